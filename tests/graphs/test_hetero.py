"""Two-sided graphs of PyG: both ways, or refused."""

import logging

import pytest
import torch
from torch_geometric.data import Data, HeteroData
from torch_geometric.transforms import ToUndirected

from vgae.errors import DataError, UsageError
from vgae.graphs.graph import Graph


def rated(**more):
    """Return three users and two items with features of different widths."""
    data = HeteroData()
    data["user"].x = torch.arange(6.0).reshape(3, 2) + 1
    data["item"].x = torch.tensor([[7.0], [8.0]])
    data["user", "rates", "item"].edge_index = torch.tensor([[0, 1, 1], [0, 0, 1]])
    for key, value in more.items():
        data["user", "rates", "item"][key] = value
    return data


@pytest.mark.parametrize("both", [False, True])
def test_two_node_types_are_two_sides(both):
    data = ToUndirected()(rated()) if both else rated()
    graph = Graph.from_pyg(data)
    assert graph.node_ids == ("user:0", "user:1", "user:2", "item:0", "item:1")
    assert (graph.side_names, graph.sides.tolist()) == (("user", "item"), [False] * 3 + [True] * 2)
    assert graph.links.tolist() == [[0, 1, 1], [3, 3, 4]]
    assert graph.dense_x.tolist() == [[1, 2, 0], [3, 4, 0], [5, 6, 0], [0, 0, 7], [0, 0, 8]]
    assert graph.feature_names == ("user:0", "user:1", "item:0")


def test_sides_that_are_declined_leave_one_kind_of_nodes_with_a_direction():
    graph = Graph.from_pyg(rated(), sides="none", directed="keep")
    assert (graph.sides, graph.directed) == (None, True)
    assert graph.fingerprint != Graph.from_pyg(rated()).fingerprint
    assert graph.dense_x.tolist() == Graph.from_pyg(rated()).dense_x.tolist()
    with pytest.raises(UsageError, match="or give sides='none'") as caught:
        Graph.from_pyg(rated(), directed="keep")
    assert caught.value.code == "SIDES"


def test_a_type_without_features_has_a_column_per_node():
    data = rated()
    del data["item"].x
    data["item"].num_nodes = 2
    x = Graph.from_pyg(data).dense_x
    assert x[:, 2:].tolist() == [[0, 0]] * 3 + [[1, 0], [0, 1]]


def test_back_to_two_node_types():
    weight = torch.tensor([2.0, 3.0, 4.0])
    graph = Graph.from_pyg(rated(edge_weight=weight))
    data = graph.to_hetero()
    assert data["user"].x.tolist() == rated()["user"].x.tolist()
    assert data["item"].x.tolist() == rated()["item"].x.tolist()
    assert data["user", "to", "item"].edge_index.tolist() == [[0, 1, 1], [0, 0, 1]]
    assert data["item", "rev_to", "user"].edge_index.tolist() == [[0, 0, 1], [0, 1, 1]]
    again = Graph.from_pyg(data)
    assert again.fingerprint == graph.fingerprint
    assert again.link_weight.tolist() == [2, 3, 4]
    with pytest.raises(UsageError, match="has no sides") as caught:
        Graph.from_edges([[0], [1]]).to_hetero()
    assert caught.value.code == "SIDES"


def test_labels_of_one_type_are_kept_and_of_both_left_out(caplog):
    data = rated()
    data["item"].y = torch.tensor([1, 0])
    assert Graph.from_pyg(data).y.tolist() == [-1, -1, -1, 1, 0]
    data["user"].y = torch.tensor([1, 0, 0])
    with caplog.at_level(logging.WARNING, "vgae"):
        assert Graph.from_pyg(data).y is None
    assert "leaves out y" in caplog.text


@pytest.mark.row("G43")
@pytest.mark.parametrize(
    "relation",
    [
        ("user", "knows", "user"),
        ("user", "sees", "item"),
        ("item", "calls", "user"),
        ("a", "b", "c"),
    ],
)
def test_several_relations_are_refused_with_what_reads_them(relation):
    data = rated()
    for name in {relation[0], relation[2]} - {"user", "item"}:
        data[name].num_nodes = 2
    data[relation].edge_index = torch.tensor([[0, 1], [1, 0]])
    with pytest.raises(DataError, match=r"TypedGraph\.from_pyg") as caught:
        Graph.from_pyg(data)
    assert caught.value.code == "RELATIONS"


def test_features_of_sources_and_targets_apart_are_two_sides():
    data = Data(
        x_s=torch.ones(3, 2), x_t=torch.ones(2, 4), edge_index=torch.tensor([[0, 2], [1, 1]])
    )
    graph = Graph.from_pyg(data)
    assert graph.sides.tolist() == [False] * 3 + [True] * 2
    assert graph.links.tolist() == [[0, 2], [4, 4]]
    assert graph.x.shape == (5, 6)
    data.edge_index = torch.tensor([[0], [2]])
    with pytest.raises(DataError, match="below the rows of x_s and x_t, 3 and 2") as caught:
        Graph.from_pyg(data)
    assert caught.value.code == "INDEX_RANGE"
