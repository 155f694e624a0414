"""Splits from pairs of the user: any order, direction and dtype give the same split."""

import logging

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch_geometric.transforms import RandomLinkSplit

from vgae.errors import DataError, LeakageError
from vgae.graphs.graph import Graph
from vgae.graphs.grid import Grid
from vgae.graphs.pairs import checked_pairs, given_links
from vgae.graphs.split import LinkSplit, split_links


def ring(n=40, **options):
    return Graph.from_edges([range(n), [*range(1, n), 0]], num_nodes=n, **options)


def parts_of(split):
    return {name: part.tolist() for name, part in split._parts().items()}


def as_sets(split):
    return {name: sorted(zip(*part, strict=True)) for name, part in parts_of(split).items()}


@st.composite
def written(draw, pairs, *, repeats):
    """The same pairs in some order, direction, dtype, shape and type."""
    pairs = pairs.T.tolist()
    if repeats and pairs:
        pairs = pairs + draw(st.lists(st.sampled_from(pairs), max_size=5))
    pairs = [pair[:: draw(st.sampled_from([1, -1]))] for pair in draw(st.permutations(pairs))]
    array = np.array(pairs).reshape(-1, 2)
    if len(array) == 2 or draw(st.booleans()):
        array = array.T
    dtype = draw(st.sampled_from(["int8", "uint8", "int32", "uint16", "int64", "uint64", ">i4"]))
    array = np.asfortranarray(array.astype(dtype)) if draw(st.booleans()) else array.astype(dtype)
    make = draw(st.sampled_from([lambda a: a, lambda a: a.tolist(), as_tensor]))
    return make(array)


def as_tensor(array):
    return torch.from_numpy(array.astype(np.int32))


@given(st.data(), st.integers(0, 5))
def test_pairs_written_in_any_way_are_the_split(data, seed):
    graph = ring()
    split = split_links(graph, val=0.1, test=0.2, seed=seed)
    given = {
        name: data.draw(written(part, repeats=not name.endswith("neg")))
        for name, part in {
            "train": split.train,
            "val": split.val.pos,
            "test": split.test.pos,
            "val_neg": split.val.neg,
            "test_neg": split.test.neg,
        }.items()
    }
    if data.draw(st.booleans()):
        del given["train"]
    ours = LinkSplit.from_pairs(graph, **given, seed=seed)
    assert as_sets(ours) == as_sets(split)
    plain = {k: v for k, v in split._parts().items() if k != "train"}
    again = LinkSplit.from_pairs(
        graph,
        val=plain["val_pos"],
        test=plain["test_pos"],
        val_neg=plain["val_neg"],
        test_neg=plain["test_neg"],
        seed=seed,
    )
    assert parts_of(ours) == parts_of(again)


@given(st.data())
def test_non_links_of_each_link_follow_it(data):
    graph, links = ring(), [(k, k + 1) for k in range(0, 30, 3)]
    own = {link: [(link[0], link[1] + d) for d in (4, 5, 6)] for link in links}
    order = data.draw(st.permutations(links))
    turned = [pair[:: data.draw(st.sampled_from([1, -1]))] for pair in order]
    split = LinkSplit.from_pairs(graph, test=turned, test_neg=[own[link] for link in order])
    assert split.test.per_link == 3
    for i, link in enumerate(split.test.pos.T.tolist()):
        found = split.test.neg[:, 3 * i : 3 * i + 3].T.tolist()
        assert found == [[*pair] for pair in own[tuple(link)]]


def test_a_repeated_link_keeps_its_first_non_links_and_a_self_pair_none():
    split = LinkSplit.from_pairs(
        ring(),
        val=[(5, 6), (7, 7), (6, 5), (1, 2)],
        val_neg=[[(5, 20)], [(7, 21)], [(6, 22)], [(1, 23)]],
    )
    assert split.val.pos.tolist() == [[1, 5], [2, 6]]
    assert split.val.neg.tolist() == [[1, 5], [23, 20]]


def test_what_is_dropped_and_merged_is_counted(caplog):
    caplog.set_level(logging.INFO)
    LinkSplit.from_pairs(ring(), train=[(5, 6), (7, 7), (6, 5), (1, 2)])
    assert "train: 1 self-pairs dropped, 1 repeated pairs merged" in caplog.messages
    assert "split: 38 links of the graph are in no part: they carry no messages and are" in (
        caplog.text
    )


def test_absent_non_links_are_drawn_by_the_seed_from_the_pairs_without_a_link(caplog):
    caplog.set_level(logging.INFO)
    graph = Graph.from_edges(np.stack(np.nonzero(np.triu(np.ones((9, 9)), k=3))), num_nodes=9)
    u = graph.links[:, :6]
    splits = [
        LinkSplit.from_pairs(graph, test=u, train=graph.links[:, 9:], seed=s) for s in (1, 1)
    ]
    assert "split: 6 non-links of test drawn" in caplog.messages
    assert parts_of(splits[0]) == parts_of(splits[1])
    links = {*map(tuple, graph.links.T.tolist())}  # the unused ones too
    assert not links & {*map(tuple, splits[0].test.neg.T.tolist())}
    others = {
        str(LinkSplit.from_pairs(graph, test=u, seed=seed).test.neg.tolist()) for seed in range(5)
    }
    assert len(others) > 1


def test_training_links_are_all_that_are_not_held_out():
    split = LinkSplit.from_pairs(ring(), val=[(3, 4)], test=[(5, 6), (8, 7), (9, 10)])
    assert split.train.shape[1] == 36
    assert split.test.neg.shape[1] == 3
    assert LinkSplit.from_pairs(ring()).train.shape[1] == 40


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"val": [0.5, 1.0]}, r"val must have shape \(2, P\) or \(P, 2\), got \(2,\)"),
        ({"val": [(0.5, 1.0)]}, "val must be numbers of nodes, .* got float64"),
        ({"val": [("a", "b")]}, "val must be numbers of nodes, .* got <U1"),
        ({"val": [(True, False)]}, "got bool"),
        ({"val": [(0, 2**70)]}, "got object"),
        ({"val": [(0, 1), (0,)]}, "the rows of val must be equally long"),
        ({"test": np.zeros((3, 4), int)}, r"test must have shape .* got \(3, 4\)"),
        ({"test": [(0, 1), (2, 3), (39, 40)]}, r"in \[0, 40\), got 39 - 40 as pair 2"),
        ({"test": [(-1, 0)]}, "got -1 - 0 as pair 0"),
        ({"test": np.array([(2**64 - 1, 0)], np.uint64)}, "got 18446744073709551615 - 0"),
        ({"test": torch.eye(40).to_sparse()}, "test must be dense"),
        ({"val_neg": [(0, 5)]}, "val_neg needs val"),
        ({"val": [(0, 1)], "val_neg": np.zeros((2, 5, 2), int)}, "each of the 1 links of val"),
        ({"val": [(0, 1)], "val_neg": np.zeros((1, 5, 3), int)}, r"shape \(P, K, 2\)"),
        ({"val": [(0, 1)], "val_neg": np.zeros((1, 0, 2), int)}, r"shape \(P, K, 2\)"),
        ({"val": [(0, 1)], "val_neg": [[(0, 5), (0, 40)]]}, "val_neg .* got 0 - 40 as pair 1"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_what_are_no_pairs_of_nodes_is_one_line(options, words):
    with pytest.raises(DataError, match=words) as caught:
        LinkSplit.from_pairs(ring(), **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"train": ring().links, "val": [(1, 0)]}, "1 of val are training links too: 0 - 1"),
        ({"test": [(1, 0)], "val": [(0, 1)]}, "1 are both in val and in test: 0 - 1"),
        ({"test": [(5, 0)]}, "1 of test are no links of graph: 0 - 5"),
        ({"test": [(1, 0)], "test_neg": [(0, 1)]}, "both links and non-links of test: 0 - 1"),
        ({"train": [(4, 4)]}, "no link is left"),
        ({"test": [(1, 0)], "test_neg": []}, "test has 1 links and no non-links"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_leaks_are_refused_with_the_pairs(options, words):
    with pytest.raises(LeakageError, match=words):
        LinkSplit.from_pairs(ring(), **options)


def test_pairs_that_are_in_order_are_not_copied():
    pairs = torch.tensor([[0, 5], [3, 6]])
    assert checked_pairs(pairs, "pairs", Grid(10)) is pairs
    assert given_links([], "pairs", Grid(10)).shape == (2, 0)


# PyG --------------------------------------------------------------------------------------------


def pairs_of(pairs):
    return {tuple(sorted(pair)) for pair in pairs.T.tolist()}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"split_labels": True},
        {"disjoint_train_ratio": 0.3},
        {"neg_sampling_ratio": 3.0},
        {"neg_sampling_ratio": 0.0},
        {"add_negative_train_samples": False},
    ],
    ids=str,
)
def test_the_split_of_pyg_is_ours(options, sbm):
    torch.manual_seed(0)
    transform = RandomLinkSplit(is_undirected=True, num_val=0.1, num_test=0.2, **options)
    train, val, test = transform(sbm.to_pyg())
    split = LinkSplit.from_pyg(train, val, test, graph=sbm, seed=3)
    for part, data in ((split.val, val), (split.test, test)):
        if "split_labels" in options:
            pos, neg = data.pos_edge_label_index, data.neg_edge_label_index
        else:
            pos, neg = (data.edge_label_index[:, data.edge_label == k] for k in (1, 0))
        assert pairs_of(part.pos) == pairs_of(pos)
        if options.get("neg_sampling_ratio") != 0.0:
            assert pairs_of(part.neg) == pairs_of(neg)
        assert part.neg.shape[1] == part.pos.shape[1] * (3 if 3.0 in options.values() else 1)
    held = pairs_of(split.val.pos) | pairs_of(split.test.pos)
    assert pairs_of(split.train) == pairs_of(sbm.links) - held


def test_without_a_graph_it_is_that_of_the_links_of_all_parts(sbm):
    parts = RandomLinkSplit(is_undirected=True, num_val=0.1, num_test=0.2)(sbm.to_pyg())
    split = LinkSplit.from_pyg(*parts)
    assert split.fingerprint == sbm.link_fingerprint
    assert as_sets(split) == as_sets(LinkSplit.from_pyg(*parts, graph=sbm))


def test_messages_over_validation_links_are_said_to_be_left_out(sbm, caplog):
    caplog.set_level(logging.INFO)
    parts = RandomLinkSplit(is_undirected=True)(sbm.to_pyg())
    split = LinkSplit.from_pyg(*parts, graph=sbm)
    assert f"{split.val.pos.shape[1]} links that are no training links" in caplog.text
    caplog.clear()
    LinkSplit.from_pyg(*split.to_pyg(sbm), graph=sbm)
    assert "no training links" not in caplog.text


def test_to_pyg_and_back_is_the_same_split(sbm):
    split = split_links(sbm, seed=4)
    assert as_sets(LinkSplit.from_pyg(*split.to_pyg(sbm), graph=sbm)) == as_sets(split)


def test_one_direction_of_links_that_pyg_holds_out_leaks(sbm):
    """RandomLinkSplit without is_undirected leaves the other direction in training."""
    parts = RandomLinkSplit(is_undirected=False)(sbm.to_pyg())
    for graph in (sbm, None):
        with pytest.raises(LeakageError, match=r"RandomLinkSplit\(is_undirected=True\)"):
            LinkSplit.from_pyg(*parts, graph=graph)
    parts[0].edge_index = torch.cat([parts[0].edge_index, parts[1].edge_label_index], dim=1)
    with pytest.raises(LeakageError, match="are training links too"):
        LinkSplit.from_pyg(parts[0], parts[1], parts[1], graph=sbm)


def test_data_without_pairs_to_score_is_refused(sbm):
    train, val, test = split_links(sbm).to_pyg(sbm)
    del test.edge_label_index
    with pytest.raises(DataError, match="test has no labelled pairs: edge_label_index"):
        LinkSplit.from_pyg(train, val, test, graph=sbm)
    val.edge_label = val.edge_label[1:]
    with pytest.raises(DataError, match=r"val\.edge_label must have a label for each pair"):
        LinkSplit.from_pyg(train, val, val, graph=sbm)


@pytest.mark.parametrize(
    "pairs",
    [{(1, 2)}, {1: 2}, "1 2", ((k, k + 1) for k in range(3)), zip([1], [2], strict=True)],
    ids=lambda pairs: type(pairs).__name__,
)
def test_what_is_no_list_is_refused_with_a_hint(pairs):
    words = rf"test must have shape .*, got a {type(pairs).__name__}; give list\(\.\.\.\) of pairs"
    with pytest.raises(DataError, match=words):
        LinkSplit.from_pairs(ring(), test=pairs)


def test_the_refusal_of_a_directed_split_of_pyg_says_how_to_keep_the_direction():
    ring = Graph.from_edges([[0, 1, 2, 3, 1], [1, 2, 3, 0, 0]], directed="keep")
    train, held = ring.to_pyg(), ring.to_pyg()
    train.edge_index = ring.links[:, (ring.links != torch.tensor([[0], [1]])).any(0)]
    held.edge_label_index = torch.tensor([[0], [1]])
    with pytest.raises(LeakageError, match=r"from_pyg\(data, directed='keep'\)"):
        LinkSplit.from_pyg(train, held, held)
    none = ring.to_pyg()
    none.edge_label_index = torch.empty(2, 0, dtype=torch.int64)
    split = LinkSplit.from_pyg(train, held, none, graph=ring, task="bidirectional")
    assert split.val.pos.T.tolist() == [[0, 1]]


def test_a_split_of_heterogeneous_data_is_refused_with_the_way_out():
    graph = Graph.from_edges([[0, 0, 1, 2], [3, 4, 3, 4]], sides=[0, 0, 0, 1, 1])
    data = graph.to_hetero()
    with pytest.raises(DataError, match=r"HeteroData; give its pairs to LinkSplit\.from_pairs"):
        LinkSplit.from_pyg(data, data, data, graph=graph)
