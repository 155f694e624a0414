"""The best pairs, however they are looked for, are those that a sort of all pairs gives."""

from contextlib import contextmanager

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vgae.graphs.grid import Grid
from vgae.prediction.best_pairs import (
    InnerProducts,
    best_pairs,
    best_pairs_between,
    best_partners,
    indexed_partners,
)


@contextmanager
def block_of(max_entries):
    """Limit the scores that are held at once."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("_PARTNERS_BLOCK", "_PAIRS_BLOCK"):
            patch.setattr(f"vgae.prediction.best_pairs.{name}", max_entries)
        yield


@st.composite
def cases(draw):
    """Vectors of small integers, which tie often; links; k."""
    n = draw(st.integers(2, 14))
    numbers = st.lists(st.integers(-2, 2), min_size=3 * n, max_size=3 * n)
    left = torch.tensor(draw(numbers), dtype=torch.float32).view(n, 3)
    node = st.integers(0, n - 1)
    links = draw(st.lists(st.tuples(node, node), max_size=30))
    links = torch.tensor(links, dtype=torch.int64).view(-1, 2).T
    return left, Grid(n).known(links), draw(st.integers(1, n))


def by_sorting(z, known, k):
    """Per node, partners and scores by (score, number), as NumPy sorts the dense matrix."""
    scores = (z.double() @ z.double().T).float().numpy()
    scores[known.toarray() > 0] = -np.inf
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return order, np.take_along_axis(scores, order, axis=1)


def listed(partners):
    """Number and score of each partner that there is, node by node."""
    rows = zip(partners[0].tolist(), partners[1].tolist(), strict=True)
    return [[pair for pair in zip(*row, strict=True) if pair[1] > -np.inf] for row in rows]


@settings(deadline=None, max_examples=60)
@given(cases(), st.sampled_from([1, 7, 1 << 22]))
def test_partners_are_those_of_a_sort_whatever_the_size_of_a_block(case, max_entries):
    z, known, k = case
    nodes = torch.arange(len(z))
    with block_of(max_entries):
        found = best_partners(InnerProducts(z, z), known, nodes, k)
    assert listed(found) == listed(by_sorting(z, known, k))


@settings(deadline=None, max_examples=30)
@given(cases())
def test_an_index_finds_the_same(case):
    pytest.importorskip("faiss")
    z, known, k = case
    nodes = torch.arange(len(z)).flip(0)
    found = indexed_partners(InnerProducts(z, z), known, nodes, k)
    assert listed(found) == listed(best_partners(InnerProducts(z, z), known, nodes, k))


def test_an_index_finds_the_same_among_many_nodes_and_hubs(generator):
    pytest.importorskip("faiss")
    n, k = 1500, 10
    z = torch.randn(n, 8, generator=generator).round(decimals=1)  # some scores tie
    hub = torch.stack([torch.zeros(n - 1, dtype=torch.int64), torch.arange(1, n)])[:, : n - 8]
    known = Grid(n).known(torch.cat([hub, torch.randint(n, (2, 4000), generator=generator)], 1))
    nodes, scores = torch.arange(n), InnerProducts(z, z)
    found, expected = indexed_partners(scores, known, nodes, k), by_sorting(z, known, k)
    assert np.array_equal(found.node, expected[0])
    assert np.array_equal(found.score, expected[1])


@settings(deadline=None, max_examples=60)
@given(cases(), st.sampled_from([1, 7, 1 << 22]))
def test_the_best_of_all_pairs_are_those_of_a_sort(case, max_entries):
    z, known, k = case
    with block_of(max_entries):
        found = best_pairs(InnerProducts(z, z), known, k, device=torch.device("cpu"))
    u, v = np.triu_indices(len(z), 1)
    free = known.toarray()[u, v] == 0
    u, v = u[free], v[free]
    score = (z[u].double() * z[v].double()).sum(dim=1).numpy()
    order = np.argsort(-score, kind="stable")[:k]
    assert found.nodes.tolist() == [u[order].tolist(), v[order].tolist()]
    assert found.score.tolist() == score[order].tolist()


@settings(deadline=None, max_examples=60)
@given(cases(), st.sampled_from([1, 7, 1 << 22]), st.booleans(), st.data())
def test_the_best_pairs_of_a_rectangle_are_those_of_a_sort(case, max_entries, ordered, data):
    z, known, k = case
    some = st.sets(st.integers(0, len(z) - 1), min_size=1).map(sorted)
    near, far = data.draw(some), data.draw(some)
    with block_of(max_entries):
        found = best_pairs_between(
            InnerProducts(z, z[far]),
            known[:, far],
            torch.tensor(near),
            torch.tensor(far),
            k,
            ordered=ordered,
        )
    excluded = known.toarray() > 0
    pairs = [(u, v) for u in near for v in far if not excluded[u, v]]
    if not ordered:
        pairs = [(u, v) for u, v in pairs if u < v or not (v in near and u in far)]
    scores = {(u, v): float((z[u].double() * z[v].double()).sum()) for u, v in pairs}
    pairs.sort(key=lambda pair: -scores[pair])
    assert list(zip(*found.nodes.tolist(), strict=True)) == pairs[:k]
    assert found.score.tolist() == [scores[pair] for pair in pairs[:k]]


@settings(deadline=None, max_examples=30)
@given(cases(), st.data())
def test_an_index_of_some_candidates_finds_the_same(case, data):
    pytest.importorskip("faiss")
    z, known, _ = case
    far = sorted(data.draw(st.sets(st.integers(0, len(z) - 1), min_size=1)))
    scores, nodes = InnerProducts(z, z[far]), torch.arange(len(z))
    arguments = scores, known[:, far], nodes, len(far)
    assert listed(indexed_partners(*arguments)) == listed(best_partners(*arguments))


def test_progress_reaches_all_nodes(generator):
    z = torch.randn(30, 2, generator=generator)
    known = Grid(30).known(torch.empty(2, 0, dtype=torch.int64))
    for find in (
        lambda show: best_partners(InnerProducts(z, z), known, torch.arange(30), 3, show=show),
        lambda show: best_pairs(InnerProducts(z, z), known, 3, device=z.device, show=show),
    ):
        seen = []
        with block_of(100):
            find(seen.append)
        assert seen == sorted(seen)
        assert seen[-1] == 30
        assert len(seen) > 3
