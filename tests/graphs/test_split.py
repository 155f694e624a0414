"""What split_links promises (S1 to S12), checked with plain sets of Python."""

import itertools
import time
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from vgae.errors import DataError, UsageError
from vgae.graphs.graph import Graph
from vgae.graphs.split import LinkSplit, split_links

KNOWN_CODES = {"NO_EDGES", "NO_NEGATIVES", "SPLIT_SHARE", "SPLIT_TOO_SMALL"}


def complete(n):
    return list(itertools.combinations(range(n), 2))


def path(n):
    return [(u, u + 1) for u in range(n - 1)]


def star(n):
    return [(0, u) for u in range(1, n)]


def graph_of(n, pairs):
    return Graph.from_edges(np.array(pairs, dtype=np.int64).reshape(-1, 2).T, num_nodes=n)


@st.composite
def graphs(draw):
    """Nodes and pairs of a graph of up to 40 nodes, from empty to complete."""
    n = draw(st.integers(1, 40))
    every = complete(n)
    kind = draw(st.sampled_from(["some", "all but some", "complete", "path", "star", "empty"]))
    if kind in ("some", "all but some"):
        chosen = set(draw(st.lists(st.integers(0, max(len(every) - 1, 0)), max_size=150)))
        pairs = [p for k, p in enumerate(every) if (k in chosen) == (kind == "some")]
    else:
        pairs = {"complete": every, "path": path(n), "star": star(n), "empty": []}[kind]
    return n, pairs


def pairs_of(tensor):
    return [tuple(pair) for pair in tensor.T.tolist()]


shares = st.sampled_from([0, 0.05, 0.1, 0.29, 1 / 3, 0.5, 0.9]) | st.floats(0, 0.999)


@settings(deadline=None)
@given(graphs(), shares, shares, st.integers(0, 2**63 - 1))
def test_a_split_keeps_its_invariants_or_says_why_there_is_none(case, val, test, seed):
    n, pairs = case
    try:
        split = split_links(graph_of(n, pairs), val=val, test=test, seed=seed)
    except (DataError, UsageError) as caught:
        assert caught.code in KNOWN_CODES  # noqa: PT017 - not every draw is refused
        return
    train, *held = map(pairs_of, (split.train, split.val.pos, split.test.pos))
    negatives = [pairs_of(split.val.neg), pairs_of(split.test.neg)]
    everything = train + held[0] + held[1]
    assert sorted(everything) == sorted(pairs)  # S1
    messages = pairs_of(split.message_edge_index)
    assert sorted(messages) == sorted(train + [(v, u) for u, v in train])  # S2
    assert not {frozenset(p) for p in held[0] + held[1]} & {frozenset(p) for p in messages}  # S3
    unordered = {frozenset(p) for p in negatives[0] + negatives[1]}
    assert all(0 <= u < n and 0 <= v < n and u != v for u, v in negatives[0] + negatives[1])  # S4
    assert len(unordered) == len(negatives[0]) + len(negatives[1])
    assert not unordered & {frozenset(p) for p in pairs}
    assert list(map(len, negatives)) == list(map(len, held))  # S5
    assert train  # S6
    assert all(part or share == 0 for part, share in zip(held, (val, test), strict=True))
    assert not any(check.violations for check in split.audit(graph_of(n, pairs)))
    with TemporaryDirectory() as folder:  # S12
        split.save(f"{folder}/split.npz")
        back = LinkSplit.load(f"{folder}/split.npz")
    assert back.fingerprint == graph_of(n, pairs).link_fingerprint
    for part, same in zip(split._parts().values(), back._parts().values(), strict=True):
        assert torch.equal(part, same)


@settings(deadline=None)
@given(graphs(), st.randoms(use_true_random=False))
def test_order_direction_and_repeats_of_the_edges_do_not_change_the_split(case, random):
    n, pairs = case
    again = [random.choice([(u, v), (v, u)]) for u, v in pairs * 2]
    random.shuffle(again)
    try:
        split = split_links(graph_of(n, pairs), val=0.2, test=0.3, seed=3)
    except DataError:
        return
    other = split_links(graph_of(n, again), val=0.2, test=0.3, seed=3)
    for part, same in zip(split._parts().values(), other._parts().values(), strict=True):
        assert torch.equal(part, same)


def test_another_seed_is_another_split_and_the_same_seed_the_same():
    graph = graph_of(1000, path(1000))
    a, b, c = (split_links(graph, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(a.test.edge_label_index, b.test.edge_label_index)
    shared = set(pairs_of(a.test.pos)) & set(pairs_of(c.test.pos))
    assert len(shared) < 30  # of 99; about 10 by chance
    assert not set(pairs_of(a.test.neg)) & set(pairs_of(c.test.neg))


@pytest.mark.parametrize(
    ("links", "val", "test", "expected"),
    [
        (5278, 0.05, 0.10, (263, 527)),  # Cora
        (4552, 0.05, 0.10, (227, 455)),  # CiteSeer
        (44324, 0.05, 0.10, (2216, 4432)),  # PubMed
        (100, 0.29, 0.57, (29, 57)),  # 100 * 0.29 = 28.999999999999996, 100 * 0.57 = 56.99...
        (3, 1 / 3, 1 / 3, (1, 1)),
        (10, 0.5, 0.1, (5, 1)),
        (9, 0, 0.99, (0, 8)),
    ],
)
def test_the_counts_are_rounded_down(links, val, test, expected):
    split = split_links(graph_of(links + 1, path(links + 1)), val=val, test=test)
    assert (split.val.pos.shape[1], split.test.pos.shape[1]) == expected
    assert split.train.shape[1] == links - sum(expected)


@pytest.mark.parametrize(
    ("val", "test"), [(-0.1, 0.1), (0.1, 1.0), (5, 0), (0.5, 0.5), (float("nan"), 0.1), (0.1, 2)]
)
def test_shares_out_of_range_are_refused(val, test):
    """G18."""
    with pytest.raises(UsageError, match=r"fraction of the links in \[0, 1\)") as caught:
        split_links(graph_of(30, path(30)), val=val, test=test)
    assert caught.value.code == "SPLIT_SHARE"


@pytest.mark.parametrize(
    ("n", "pairs", "code", "words"),
    [
        pytest.param(1, [], "NO_EDGES", "no links", id="G02"),
        pytest.param(5, [], "NO_EDGES", "no links", id="G03"),
        pytest.param(2, [(0, 0), (1, 1)], "NO_EDGES", "2 self-loops", id="G04"),
        pytest.param(30, complete(30), "NO_NEGATIVES", "has 0 pairs", id="G15"),
        pytest.param(30, complete(30)[2:], "NO_NEGATIVES", "has 2 pairs", id="G16"),
        pytest.param(10, path(10), "SPLIT_TOO_SMALL", "at least 20 links", id="G17"),
    ],
)
def test_graphs_that_cannot_be_split_are_refused_with_numbers(n, pairs, code, words):
    with pytest.raises(DataError, match=words) as caught:
        split_links(graph_of(n, pairs))
    assert caught.value.code == code


def test_a_share_that_leaves_nothing_to_train_on_is_refused():
    with pytest.raises(DataError, match="none to train on") as caught:
        split_links(graph_of(11, path(11)), val=1 - 1e-14, test=0)
    assert caught.value.code == "SPLIT_TOO_SMALL"


def test_without_held_out_shares_all_links_are_trained_on():
    """G19."""
    graph = graph_of(9, path(9))
    split = split_links(graph, val=0, test=0)
    assert torch.equal(split.train, graph.links)
    assert split.val.edge_label.shape == split.test.edge_label.shape == (0,)


def test_a_large_complete_graph_is_refused_at_once():
    """S11; Kipf's loop draws for ever."""
    links = np.stack(np.triu_indices(1000, k=1))
    graph = Graph.from_edges(links)
    start = time.perf_counter()
    with pytest.raises(DataError, match="0 pairs without a link"):
        split_links(graph)
    assert time.perf_counter() - start < 1


@settings(deadline=None)
@given(st.integers(0, 2**31))
def test_a_score_that_knows_only_the_messages_finds_no_held_out_link(seed):
    """The leak canary."""
    rng = np.random.default_rng(seed)
    graph = graph_of(40, [p for p in complete(40) if rng.random() < 0.3])
    split = split_links(graph, val=0.2, test=0.2, seed=seed)
    messages = set(pairs_of(split.message_edge_index))
    for part in (split.val, split.test):
        score = [float(pair in messages) for pair in pairs_of(part.edge_label_index)]
        assert roc_auc_score(part.edge_label.numpy(), score) <= 0.5 + 0.01
