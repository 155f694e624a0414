"""Tests of splits of a collection by whole graphs."""

import numpy as np
import pytest
import torch

from vgae.errors import LeakageError, VgaeError
from vgae.graphs.collection import GraphCollection
from vgae.graphs.graph import Graph
from vgae.graphs.split import LinkSplit, split_links


def ring(n: int) -> Graph:
    return Graph.from_edges([[*range(n)], [*range(1, n), 0]], num_nodes=n, x=torch.eye(8)[:n])


def rings(count: int = 20, **parts) -> GraphCollection:
    return GraphCollection.from_graphs([ring(5 + k % 4) for k in range(count)], **parts)


def graphs_of(pairs, graphs) -> set[int]:
    return set(graphs.batch[pairs].flatten().tolist())


def test_whole_graphs_are_held_out_and_no_pair_joins_two():
    graphs = rings()
    split = split_links(graphs, by="graphs", val=0.1, test=0.2, seed=3)
    part = split.graph_part
    assert part.bincount().tolist() == [14, 2, 4]
    for pairs, number in ((split.train, 0), (split.val.pos, 1), (split.test.pos, 2)):
        assert graphs_of(pairs, graphs) == set((part == number).nonzero()[:, 0].tolist())
    for pairs in (split.val, split.test):
        # As many non-links as links, graph by graph, and a fifth of the 5 to 8 links of a ring.
        counts = [graphs.batch[p[0]].bincount(minlength=20) for p in (pairs.pos, pairs.neg)]
        assert torch.equal(*counts)
        assert set(counts[0].tolist()) <= {0, 1, 2}
        assert bool(graphs.grid.holds(pairs.neg).all())
    everything = torch.cat([split.message_links, split.val.pos, split.test.pos], dim=1)
    assert torch.equal(everything.unique(dim=1), graphs.links)
    assert split.train_edge_index.shape[1] == 2 * split.train.shape[1]
    assert split.message_edge_index.shape[1] == 2 * split.message_links.shape[1]
    assert not any(check.violations for check in split.audit(graphs))


def test_labels_have_their_share_of_every_part():
    graphs = rings(40, y=[0] * 30 + [1] * 10)
    part = split_links(graphs, by="graphs", val=0.1, test=0.2).graph_part
    for number, size in ((1, 4), (2, 8)):
        own = graphs.graph_y[part == number]
        assert len(own) == size
        assert abs(int((own == 1).sum()) - size / 4) <= 1


def test_a_split_comes_back_from_its_file_from_its_pairs_and_from_its_parts(tmp_path):
    graphs = rings()
    split = split_links(graphs, by="graphs", seed=1)
    split.save(tmp_path / "split.npz")
    made = LinkSplit.from_pairs(
        graphs, val=split.val.pos, test=split.test.pos, graph_part=split.graph_part
    )
    for other in (LinkSplit.load(tmp_path / "split.npz"), made):
        assert torch.equal(other.graph_part, split.graph_part)
        assert torch.equal(other.context, split.context)
        assert other.train_digest == split.train_digest
    assert LinkSplit.load(tmp_path / "split.npz").digest == split.digest
    # Non-links that are drawn are of the graph of their links.
    assert graphs_of(made.test.neg, graphs) == graphs_of(split.test.pos, graphs)
    given = split_links(graphs, by=split.graph_part)
    assert torch.equal(given.graph_part, split.graph_part)
    assert torch.equal(given.train, split.train)
    with np.load(tmp_path / "split.npz") as arrays:
        assert str(arrays["format"]) == "vgae-split-4"  # earlier versions would ignore the context
    assert "in 17 graphs" in repr(split)


def test_data_of_pyg_pass_messages_over_the_context_in_evaluation_only():
    graphs = rings()
    split = split_links(graphs, by="graphs")
    train, val, test = split.to_pyg(graphs)
    assert torch.equal(train.edge_index, split.train_edge_index)
    assert torch.equal(val.edge_index, split.message_edge_index)
    assert torch.equal(test.edge_index, split.message_edge_index)


def test_a_graph_that_is_hidden_whole_or_has_no_non_link():
    pair = Graph.from_edges([[0], [1]], num_nodes=2)
    trio = Graph.from_edges([[0], [1]], num_nodes=3)
    graphs = GraphCollection.from_graphs([trio, trio, pair, trio])
    split = split_links(graphs, by=[0, 1, 2, 2])
    assert split.val.pos.shape[1] == 1  # its only link
    assert split.val.neg.shape[1] == 1
    assert graphs_of(split.context, graphs) == {2}  # a complete graph has nothing to compare with
    assert graphs_of(split.test.pos, graphs) == {3}


def test_by_links_pairs_stay_within_graphs_and_graphs_of_one_link_do_no_harm():
    one = Graph.from_edges([[0], [1]], num_nodes=4, x=torch.eye(8)[:4])
    graphs = GraphCollection.from_graphs([ring(6), one, one, ring(8), one])
    for seed in range(5):
        split = split_links(graphs, val=0.2, test=0.3, seed=seed)
        for pairs in (split.val.pos, split.val.neg, split.test.pos, split.test.neg):
            assert bool(graphs.grid.holds(pairs).all())
        assert split.context.shape == (2, 0)
        assert split.by == "links"


@pytest.mark.row("G58")
@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"by": "graph"}, "BY"),
        ({"by": [0, 1]}, "SPLIT_PARTS"),
        ({"by": [3] * 20}, "SPLIT_PARTS"),
        ({"by": "graphs", "hide": 0.0}, "SPLIT_SHARE"),
        ({"by": "graphs", "val": 0.5, "test": 0.5}, "SPLIT_SHARE"),
        ({"by": [1] * 20}, "SPLIT_TOO_SMALL"),
    ],
)
def test_bad_options_are_refused(given, code):
    with pytest.raises(VgaeError) as caught:
        split_links(rings(), **given)
    assert caught.value.code == code


@pytest.mark.row("G58")
def test_two_graphs_and_one_graph_are_refused():
    for graphs, code in ((rings(2), "SPLIT_TOO_SMALL"), (ring(6), "BY")):
        with pytest.raises(VgaeError) as caught:
            split_links(graphs, by="graphs")
        assert caught.value.code == code


@pytest.mark.parametrize("leak", ["context", "held_out", "scored_context", "other_part"])
def test_the_audit_finds_a_link_in_the_part_of_another_graph(leak):
    graphs = rings()
    split = split_links(graphs, by="graphs", val=0.2, test=0.2)
    parts = {"train": split.train, "context": split.context, "val": split.val, "test": split.test}
    if leak == "context":
        parts["train"] = torch.cat([split.train, split.context[:, :1]], dim=1)
        parts["context"] = split.context[:, 1:]
    elif leak == "held_out":
        parts["train"] = torch.cat([split.train, split.test.pos[:, :1]], dim=1)
    elif leak == "scored_context":
        parts["context"] = torch.cat([split.context, split.test.pos[:, :1]], dim=1)
    else:
        parts["val"] = split.val._replace(neg=split.test.neg[:, : split.val.pos.shape[1]])
    leaky = LinkSplit(
        *(graphs.num_nodes, parts["train"], parts["val"], parts["test"]),
        *(split.fingerprint, 0, graphs.grid),
        graph_part=split.graph_part,
        context=parts["context"],
    )
    with pytest.raises(LeakageError, match=r"held-out graphs|context|another part"):
        leaky.audit(graphs)


def test_context_and_parts_of_graphs_go_together():
    graphs = rings()
    split = split_links(graphs, by="graphs")
    for given in ({"context": split.context}, {"graph_part": [0, 1, 2]}):
        with pytest.raises(VgaeError) as caught:
            LinkSplit(
                *(graphs.num_nodes, split.train, split.val, split.test),
                *(split.fingerprint, 0, graphs.grid),
                **given,
            )
        assert caught.value.code == "SPLIT_PARTS"
