"""The approximate search against the exact one, on embeddings with and without clusters."""

import logging

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from vgae.prediction import grouped_search as grouped
from vgae.prediction.best_pairs import best_pairs, best_partners

N, K = 3000, 5


@pytest.fixture(scope="module")
def clustered():
    """Vectors of 60 clusters, of unequal lengths."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(60, 8))
    z = centres[rng.integers(0, 60, N)] + 0.3 * rng.normal(size=(N, 8))
    return torch.from_numpy(z * rng.lognormal(0, 0.3, (N, 1)))


@pytest.fixture(scope="module")
def known():
    rng = np.random.default_rng(1)
    u, v = rng.integers(0, N, (2, 6 * N))
    places = np.concatenate([u, v, np.arange(N)]), np.concatenate([v, u, np.arange(N)])
    return sp.coo_array((np.ones(len(places[0]), np.int32), places), shape=(N, N)).tocsr()


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(grouped, "_FEWEST", 64)
    monkeypatch.setattr(grouped, "_SAMPLE", 60)


def recall(found, exact):
    pairs = zip(found.node.tolist(), exact.node.tolist(), strict=True)
    return np.mean([len({*a} & {*b}) / len(b) for a, b in pairs])


def test_nearly_all_of_the_best_partners_in_clusters_are_found(clustered, known):
    scores, nodes = grouped.GroupedProducts(clustered, clustered), torch.arange(N)
    found = grouped.grouped_partners(scores, known, nodes, K)
    exact = best_partners(scores, known, nodes, K)
    assert recall(found.partners, exact) > 0.95
    assert found.recall == pytest.approx(recall(found.partners, exact), abs=0.04)
    # Those found have their scores, best first, and none is known.
    u = nodes[:, None].expand_as(found.partners.node).numpy()
    assert known[u.ravel(), found.partners.node.numpy().ravel()].sum() == 0
    pairs = (clustered[u] * clustered[found.partners.node]).sum(dim=2).float()
    assert torch.equal(found.partners.score, pairs)
    assert bool((pairs.diff(dim=1) <= 0).all())
    again = grouped.grouped_partners(scores, known, nodes, K)
    assert torch.equal(again.partners.node, found.partners.node)


def test_the_recall_is_measured_where_the_candidates_are_too_few(known, generator, monkeypatch):
    """Without clusters, in many dimensions, a group has little in common."""
    z = torch.randn(N, 32, generator=generator)
    monkeypatch.setattr(grouped, "_MOST_SCORES", 0)
    scores, nodes = grouped.GroupedProducts(z, z), torch.arange(N)
    found = grouped.grouped_partners(scores, known, nodes, K)
    exact = best_partners(scores, known, nodes, K)
    assert found.recall < 0.9
    assert found.recall == pytest.approx(recall(found.partners, exact), abs=0.08)


def test_nodes_with_many_known_links_get_all_partners(clustered, known):
    """Node 0 is linked to all but 7 nodes, which its group does not find."""
    free = torch.tensor([3, 900, 901, 1500, 1501, 1502, 2999])
    row = np.ones(N, np.int32)
    row[free] = 0
    other = known.tolil()
    other[0] = row
    scores, nodes = grouped.GroupedProducts(clustered, clustered), torch.arange(N)
    found = grouped.grouped_partners(scores, other.tocsr(), nodes, 10).partners
    assert sorted(found.node[0][found.score[0] > -torch.inf].tolist()) == free.tolist()


def test_some_nodes_find_partners_among_other_candidates(clustered, known, caplog):
    """The candidates are every third node, and have places."""
    chosen, nodes = torch.arange(0, N, 3), torch.arange(1, N, 2)
    scores = grouped.GroupedProducts(clustered, clustered[chosen])
    columns = known[:, chosen.numpy()]
    with caplog.at_level(logging.INFO, "vgae"):
        found = grouped.grouped_partners(scores, columns, nodes, K)
    assert recall(found.partners, best_partners(scores, columns, nodes, K)) > 0.95
    assert "of 1,000 candidates" in caplog.text


def test_the_best_pairs_are_found_with_a_hub(clustered, known):
    """The longest vector has more of the best pairs than the partners of one node."""
    z = clustered.clone()
    z[7] = 5 * z[z.norm(dim=1).argmax()]
    scores, nodes = grouped.GroupedProducts(z, z), torch.arange(N)
    found, _ = grouped.grouped_pairs(scores, known, nodes, 2 * 100)
    exact = best_pairs(scores, known, 100, torch.device("cpu"))
    pairs = {tuple(sorted(pair)) for pair in found.nodes.T.tolist()}
    assert len(pairs & {tuple(pair) for pair in exact.nodes.T.tolist()}) >= 98
    assert bool((found.score.diff() <= 0).all())


def test_equal_vectors_are_one_group_whose_first_nodes_are_proposed():
    known = sp.eye_array(500, dtype=np.int32).tocsr()
    z = torch.ones(500, 3, dtype=torch.float64)
    found = grouped.grouped_partners(
        grouped.GroupedProducts(z, z), known, torch.arange(500), 3
    ).partners
    assert found.node[:2].tolist() == [[1, 2, 3], [0, 2, 3]]
    assert found.node[300].tolist() == [0, 1, 2]


def test_the_nearest_centres_are_found_in_parts(generator, monkeypatch):
    monkeypatch.setattr(grouped, "_BLOCK", 40)
    vectors, centres = (torch.randn(n, 4, generator=generator) for n in (23, 7))
    number, fit = grouped._nearest(lambda part: vectors[part], len(vectors), centres)
    distance = torch.cdist(vectors, centres).square()
    assert torch.equal(number, distance.argmin(dim=1))
    found = 0.5 * (vectors.square().sum(dim=1) - distance.min(dim=1).values)
    assert torch.allclose(fit, found, atol=1e-5)
