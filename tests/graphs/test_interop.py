"""Weights, features and directions on their way from and to other libraries."""

import networkx as nx
import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_geometric.data import Data

from vgae.errors import DataError
from vgae.graphs.graph import Graph


@st.composite
def weighted_graphs(draw):
    n = draw(st.integers(1, 8))
    node, weight = st.integers(0, n - 1), st.floats(0.125, 64, width=32)
    edges = draw(st.lists(st.tuples(node, node, weight), max_size=20))
    u, v, w = (np.array([edge[k] for edge in edges]) for k in range(3))
    return Graph.from_edges(
        np.stack([u, v]).astype(np.int64),
        edge_weight=w.astype(np.float32),
        x=draw(st.sampled_from([np.eye(n), np.arange(2 * n).reshape(n, 2)])),
        y=np.arange(n) - 1,
        node_ids=[f"node {k}" for k in range(n)],
    )


@settings(deadline=None)
@given(weighted_graphs())
def test_weights_and_features_come_back_from_every_library(graph):
    there = graph.to_networkx(features=True)
    back = Graph.from_networkx(there, x="x", y="y")
    assert (back.fingerprint, back.node_ids) == (graph.fingerprint, graph.node_ids)
    assert torch.equal(back.y, graph.y)
    for back in (
        Graph.from_scipy(graph.to_scipy(), x=graph.x),
        Graph.from_pyg(graph.to_pyg()),
        Graph.from_edges(graph.edge_index, edge_weight=graph.edge_weight, x=graph.x),
    ):
        assert back.fingerprint == graph.fingerprint


def test_node_attributes_become_features_by_name():
    given = nx.Graph([("a", "b")])
    nx.set_node_attributes(given, {"a": 30, "b": 40}, "age")
    nx.set_node_attributes(given, {"a": [1, 2], "b": [3, 4]}, "place")
    graph = Graph.from_networkx(given, x=["place", "age"])
    assert graph.feature_names == ("place_0", "place_1", "age")
    assert graph.x.tolist() == [[1, 2, 30], [3, 4, 40]]
    there = graph.to_networkx(features=True)
    assert there.nodes["b"] == {"place_0": 3, "place_1": 4, "age": 40}
    assert Graph.from_networkx(there, x=graph.feature_names).fingerprint == graph.fingerprint


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ({"a": {"age": 1}, "b": {}}, "1 of 2 nodes have no attribute 'age', such as node 'b'"),
        ({"a": {"aeg": 1}, "b": {}}, "no node has an attribute 'age'; there are 'aeg'.*mean aeg"),
        ({"a": {"age": 1}, "b": {"age": "old"}}, "must be a number.*'old'.*from_pandas"),
        ({"a": {"age": [1]}, "b": {"age": [1, 2]}}, "equally long"),
    ],
)
def test_attributes_that_are_no_features_are_refused(attributes, words):
    given = nx.Graph([("a", "b")])
    nx.set_node_attributes(given, attributes)
    with pytest.raises(DataError, match=words):
        Graph.from_networkx(given, x=["age"])


def test_edges_of_networkx_weigh_what_their_attribute_says_and_one_without():
    given = nx.Graph()
    given.add_edge("a", "b", weight=2.5, cost=7)
    given.add_edge("b", "c")
    assert Graph.from_networkx(given).link_weight.tolist() == [2.5, 1]
    assert Graph.from_networkx(given, weight="cost").link_weight.tolist() == [7, 1]
    assert Graph.from_networkx(given, weight="none").link_weight is None


def test_a_directed_graph_of_networkx_is_counted_or_refused():
    given = nx.DiGraph([("a", "b"), ("b", "c"), ("c", "b")])
    assert dict(Graph.from_networkx(given).notes) == {"both_ways": 1, "one_way": 1}
    with pytest.raises(DataError, match="1 links go one way only"):
        Graph.from_networkx(given, directed="error")
    with pytest.raises(DataError, match="2 links go one way only"):
        Graph.from_networkx(nx.DiGraph([("a", "b"), ("b", "c")]), directed="error")
    assert Graph.from_networkx(given.to_undirected(), directed="error").num_links == 2


def test_values_of_a_matrix_are_weights():
    adj = np.array([[0, 2, 0], [2, 0, 0.5], [0, 0.5, 0]])
    graph = Graph.from_scipy(adj)
    assert graph.link_weight.tolist() == [2, 0.5]
    assert np.array_equal(graph.to_scipy().toarray(), adj)
    with pytest.raises(DataError, match="negative"):
        Graph.from_scipy(-adj)


def test_attributes_of_text_are_refused_all_at_once():
    given = nx.Graph([("a", "b")])
    nx.set_node_attributes(given, {node: {"job": "cook", "city": "B", "age": 3} for node in "ab"})
    with pytest.raises(DataError, match=r"'job' \(such as 'cook'\), 'city' \(such as 'B'\)"):
        Graph.from_networkx(given, x=["job", "age", "city"])
    assert Graph.from_networkx(given, x=pd.Index(["age"])).feature_names == ("age",)


def test_labels_of_text_are_numbered_and_a_misspelt_name_is_refused():
    given = nx.Graph([("a", "b"), ("b", "c")])
    nx.set_node_attributes(given, {"a": "y", "b": "x"}, "class")
    graph = Graph.from_networkx(given, y="class")
    assert (graph.y.tolist(), graph.label_names) == ([1, 0, -1], ("x", "y"))
    with pytest.raises(DataError, match=r"no node has an attribute 'clas'.*Did you mean class\?"):
        Graph.from_networkx(given, y="clas")


def test_a_misspelt_weight_is_refused():
    given = nx.Graph([("a", "b", {"cost": 2})])
    with pytest.raises(DataError, match=r"no edge has an attribute 'coost'.*Did you mean cost\?"):
        Graph.from_networkx(given, weight="coost")
    assert Graph.from_networkx(given).link_weight is None


@pytest.mark.parametrize(
    "library", [lambda frame: frame, lambda f: pl.from_pandas(f.reset_index())]
)
def test_an_adjacency_in_a_frame_names_the_nodes(library):
    values = [[0, 1, 0], [1, 0, 2], [0, 2, 0]]
    adj = pd.DataFrame(values, index=list("abc"), columns=list("abc"))
    for frame in (adj, adj[["c", "a", "b"]]):
        graph = Graph.from_scipy(library(frame))
        assert graph.node_ids == ("a", "b", "c")
        assert graph.to_scipy().toarray().tolist() == values
    assert Graph.from_scipy(pl.DataFrame(values, schema=["a", "b", "c"])).node_ids == tuple("abc")
    assert Graph.from_scipy(pd.DataFrame(values)).node_ids is None
    assert Graph.from_scipy(adj.set_axis([3, 5, 4]).set_axis([3, 5, 4], axis=1)).node_ids == (
        3,
        5,
        4,
    )


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        (lambda adj: adj.set_axis(list("xyz"), axis=1), "NODE_ID", "adj.columns = adj.index"),
        (lambda adj: adj.reset_index(drop=True), "NODE_ID", "rows 0, 1, 2 and columns 'a'"),
        (lambda adj: adj.iloc[:2], "NOT_SQUARE", r"\(2, 3\)"),
        (lambda adj: adj.astype(str), "ADJ_DTYPE", "'a', 'b', 'c'"),
    ],
)
def test_a_frame_that_is_no_adjacency_is_refused(change, code, words):
    adj = pd.DataFrame(np.eye(3)[::-1], index=list("abc"), columns=list("abc"))
    with pytest.raises(DataError, match=words) as caught:
        Graph.from_scipy(change(adj))
    assert caught.value.code == code


def test_what_of_pyg_is_left_out_is_said(caplog):
    parts = {"edge_index": torch.tensor([[0, 1], [1, 0]]), "num_nodes": 2, "x": torch.eye(2)}
    Graph.from_pyg(Data(**parts, y=torch.tensor([0, 1]), edge_weight=torch.ones(2)))
    assert not caplog.records
    others = {"y": torch.rand(2), "pos": torch.rand(2, 3), "train_mask": torch.ones(2).bool()}
    assert Graph.from_pyg(Data(**parts, **others, edge_attr=torch.ones(2, 1))).y is None
    (line,) = caplog.messages
    assert all(name in line for name in ("y (2,)", "pos (2, 3)", "train_mask (2,)"))
    assert "edge_attr (2, 1)" in line
    assert "set data.edge_weight = data.edge_attr[:, 0]" in line
