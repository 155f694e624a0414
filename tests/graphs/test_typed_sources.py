"""Tests of typed graphs from graphs, data frames and PyG."""

import logging

import numpy as np
import pandas as pd
import pytest
import torch
from torch_geometric.data import Data, HeteroData

import vgae
from vgae.errors import DataError, UsageError
from vgae.graphs.graph import Graph

TypedGraph = vgae.TypedGraph


def shop():
    data = HeteroData()
    data["user"].x = torch.arange(12.0).view(4, 3)
    data["item"].num_nodes = 3
    data["user", "buys", "item"].edge_index = torch.tensor([[0, 1, 2], [0, 1, 2]])
    data["item", "rev_buys", "user"].edge_index = torch.tensor([[0, 1, 2], [0, 1, 2]])
    data["user", "knows", "user"].edge_index = torch.tensor([[0, 1, 3], [1, 2, 0]])
    return data


def test_relations_of_pyg_are_named_and_reverses_merged(caplog):
    with caplog.at_level(logging.INFO):
        graph = TypedGraph.from_pyg(shop())
    assert {name: r.num_links for name, r in graph.relations.items()} == {"buys": 3, "knows": 3}
    assert graph.notes == {"rev_buys": "buys"}
    assert graph.node_ids[3:5] == ("user:3", "item:0")
    assert graph.relations["buys"].links.tolist() == [[0, 1, 2], [4, 5, 6]]
    # Types without features have a column for each node.
    x = graph.dense_x
    assert x.shape == (7, 6)
    assert torch.equal(x[:4, :3], shop()["user"].x)
    assert torch.equal(x[4:, 3:], torch.eye(3))
    assert x[:4, 3:].abs().sum() == x[4:, :3].abs().sum() == 0


def test_pyg_gets_back_what_it_gave():
    data = TypedGraph.from_pyg(shop()).to_pyg()
    assert data.edge_types == [("user", "buys", "item"), ("user", "knows", "user")]
    assert torch.equal(data["user"].x, shop()["user"].x)
    again = TypedGraph.from_pyg(data)
    assert again.link_fingerprint == TypedGraph.from_pyg(shop()).link_fingerprint


def test_equal_middles_of_edge_types_are_named_in_full():
    data = shop()
    data["item", "knows", "item"].edge_index = torch.tensor([[0], [1]])
    names = {"buys", "user-knows-user", "item-knows-item"}
    graph = TypedGraph.from_pyg(data)
    assert {*graph.relations} == names
    assert ("item", "knows", "item") in graph.to_pyg().edge_types


@pytest.mark.row("G47")
def test_bad_parts_of_pyg_are_named():
    data = shop()
    data["user", "buys", "item"].edge_index = torch.tensor([[0], [3]])
    with pytest.raises(DataError, match=r"'buys'.*below 4 and 3"):
        TypedGraph.from_pyg(data)
    with pytest.raises(DataError, match=r"TypedGraph\.from_pyg"):
        Graph.from_pyg(shop())


EDGES = pd.DataFrame(
    [("a", "knows", "b"), ("b", "knows", "c"), ("a", "buys", "x"), ("c", "buys", "y")],
    columns=["source", "relation", "target"],
)


def test_a_column_of_relations_finds_the_types(caplog):
    graph = TypedGraph.from_pandas(EDGES, relation="relation")
    assert {n: r.num_links for n, r in graph.relations.items()} == {"buys": 2, "knows": 2}
    assert graph.relations["buys"].grid.num_pairs == 6
    assert graph.relations["knows"].grid.num_pairs == 3
    assert "2 types of nodes" in caplog.text
    one = TypedGraph.from_pandas(EDGES, relation="relation", node_type="none")
    assert len(one.node_type_names) == 1
    # Sources and targets of the edges within one type are no sides.
    assert one.relations["buys"].grid.num_pairs == 10


def test_a_column_of_the_nodes_names_the_types():
    nodes = pd.DataFrame(
        {"kind": ["item", "user", "user", "user", "item"], "age": [0, 1, 2, 3, 4]},
        index=["x", "a", "b", "c", "y"],
    )
    graph = TypedGraph.from_pandas(EDGES, nodes, relation="relation", node_type="kind")
    assert graph.node_type_names == ("item", "user")
    assert graph.node_type.tolist() == [0, 1, 1, 1, 0]
    assert graph.feature_names == ("age",)
    assert graph.relations["buys"].side_names == ("user", "item")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"relation": "kind"}, "no column 'kind'"),
        ({"relation": "source", "source": "source", "target": "target"}, "another column"),
        ({"relation": "relation", "node_type": "kind"}, "pass nodes too"),
        ({"relation": "relation", "drop_zero": True}, "drop_zero"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, words):
    with pytest.raises((DataError, UsageError), match=words):
        TypedGraph.from_pandas(EDGES, **options)


def test_gaps_in_the_relations_are_refused():
    edges = EDGES.assign(relation=["knows", None, "buys", "buys"])
    with pytest.raises(DataError, match="no relation in 1 rows, the first is row 1"):
        TypedGraph.from_pandas(edges, relation="relation")
    many = pd.DataFrame({"source": range(2001), "target": range(1, 2002), "r": range(2001)})
    with pytest.raises(DataError, match="2,001 different names"):
        TypedGraph.from_pandas(many, relation="r")


def test_graphs_on_the_same_nodes_become_relations():
    first = Graph.from_edges([[0, 1], [1, 2]], num_nodes=4, x=np.eye(4, dtype=np.float32))
    second = Graph.from_edges([[0, 3], [2, 0]], num_nodes=4, directed="keep")
    graph = TypedGraph.from_graphs({"near": first, "cites": second})
    assert graph.num_features == 4
    assert [r.directed for r in graph.relations.values()] == [False, True]
    with pytest.raises(DataError, match="'other' has not"):
        TypedGraph.from_graphs({"near": first, "other": Graph.from_edges([[0], [1]])})
    types = TypedGraph.from_graphs({"near": first}, node_type=["a", "a", "a", "b"])
    assert types.relations["near"].grid.num_pairs == 3


@pytest.mark.parametrize(
    ("edges", "words"),
    [
        (torch.tensor([[0.5, 1], [0, 1]]), "edges of .*'knows'.*must be integers"),
        (torch.tensor([[0, 1], [1, 2], [2, 3]]), "edges of .*'knows'.*Transpose it"),
    ],
)
def test_edges_of_pyg_are_checked(edges, words):
    data = shop()
    data["user", "knows", "user"].edge_index = edges
    with pytest.raises(DataError, match=words):
        TypedGraph.from_pyg(data)


def test_other_objects_are_named():
    graph = Graph.from_edges([[0, 1], [1, 2]])
    with pytest.raises(UsageError, match="must be a dict of a graph for each relation, got list"):
        TypedGraph.from_graphs([graph])
    with pytest.raises(UsageError, match=r"relation 'b' must be a vgae\.Graph, got NoneType"):
        TypedGraph.from_graphs({"a": graph, "b": None})
    with pytest.raises(UsageError, match="must be a PyG HeteroData, got Data"):
        TypedGraph.from_pyg(Data(edge_index=torch.tensor([[0], [1]])))
    assert [*TypedGraph.from_graphs({1: graph}).relations] == ["1"]
    empty = pd.DataFrame({"source": [], "kind": [], "target": []})
    with pytest.raises(DataError, match="there are no edges"):
        TypedGraph.from_pandas(empty, relation="kind")


def test_links_of_all_relations_as_one_graph_give_no_advice_on_direction(caplog):
    follows = Graph.from_edges([[0, 1, 2], [1, 2, 0]], directed="keep")
    with caplog.at_level(logging.INFO):
        whole = TypedGraph.from_graphs({"follows": follows}).untyped()
    assert whole.num_links == 3
    assert not caplog.records
