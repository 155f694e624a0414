"""Weights, features and directions on their way from and to other libraries."""

import networkx as nx
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

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
        ({"a": {"age": 1}, "b": {}}, "node 'b' has no attribute 'age'"),
        ({"a": {"age": 1}, "b": {"age": "old"}}, "must be a number"),
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
