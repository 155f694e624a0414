"""Tests of collections of graphs."""

import copy
import pickle

import networkx as nx
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vgae import Graph
from vgae.errors import DataError, UsageError
from vgae.graphs.collection import GraphCollection


def path(n: int, **parts) -> Graph:
    return Graph.from_edges([list(range(n - 1)), list(range(1, n))], num_nodes=n, **parts)


def same(left: Graph, right: Graph) -> bool:
    """Return whether two graphs have equal fields."""
    of_nodes = [(left.x, right.x), (left.y, right.y), (left.link_weight, right.link_weight)]
    return (
        torch.equal(left.links, right.links)
        and list(left.ids) == list(right.ids)
        and left.label_names == right.label_names
        and left.feature_names == right.feature_names
        and all((a is None) == (b is None) for a, b in of_nodes)
        and all(a is None or torch.equal(a.to_dense(), b.to_dense()) for a, b in of_nodes)
    )


def test_graphs_come_back_as_they_were():
    parts = [
        path(3, x=torch.eye(3), y=[0, 1, 0]),
        path(2, x=torch.ones(2, 3), edge_weight=[2.0]),
    ]
    graphs = GraphCollection.from_graphs(parts, names=["a", "b"], y=[1, 0])
    assert graphs.ids == ("a:0", "a:1", "a:2", "b:0", "b:1")
    assert graphs.links.tolist() == [[0, 1, 3], [1, 2, 4]]
    assert graphs.grid.num_pairs == 4
    for part, back in zip(parts, graphs, strict=True):
        assert torch.equal(back.links, part.links)
        assert torch.equal(back.x, part.x)
        assert list(back.ids) == list(part.ids)
    assert graphs[1].link_weight.tolist() == [2.0]
    assert graphs[0].link_weight.tolist() == [1.0, 1.0]
    assert graphs[1].y.tolist() == [-1, -1]


def test_a_selection_is_a_collection_in_any_order():
    graphs = GraphCollection.from_graphs([path(n) for n in (2, 3, 4)], y=[0, 1, 2])
    some = graphs[1:]
    assert some.sizes.tolist() == [3, 4]
    assert some.graph_names == ("1", "2")
    assert some.graph_y.tolist() == [1, 2]
    assert some.links.tolist() == [[0, 1, 3, 4, 5], [1, 2, 4, 5, 6]]
    assert some.ids[0] == "1:0"
    back = graphs.select([2, 0])
    assert back.sizes.tolist() == [4, 2]
    assert back.links.tolist() == [[0, 1, 2, 4], [1, 2, 3, 5]]
    assert back.ids[0] == "2:0"
    assert graphs[[True, False, True]].sizes.tolist() == [2, 4]
    assert graphs[np.array([-1])].graph_names == ("2",)
    assert graphs["1"].num_nodes == 3
    assert list(graphs[-1].ids) == [0, 1, 2, 3]


@pytest.mark.parametrize("numbers", [[0, 0], [3], [-4], [True], [0.5], "9"])
def test_numbers_and_names_of_no_graph_are_refused(numbers):
    graphs = GraphCollection.from_graphs([path(2)] * 3)
    with pytest.raises(UsageError) as caught:
        graphs[numbers]
    assert caught.value.code == "COLLECTION"


@pytest.mark.row("G54")
@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ([], "no graphs"),
        ([Graph.from_edges([[0, 1], [1, 2]], directed="keep")], "directed"),
        ([Graph.from_edges([[0, 1], [2, 2]], sides="columns")], "two-sided"),
        ([path(3, x=torch.eye(3)), path(2)], "1 of 2 graphs have no features, as graph 1"),
        ([path(2), path(3, x=torch.eye(3))], "1 of 2 graphs have no features, as graph 0"),
        ([path(3, x=torch.eye(3)), path(2, x=torch.eye(2))], "2 features and graph 0 3"),
        ([GraphCollection.from_graphs([path(2)])], "a collection itself"),
        ([path(2), nx.path_graph(2)], "must be a vgae.Graph"),
        ([path(2, y=[0, 1], label_names="ab"), path(2, y=[0, 1])], "labels of nodes have names"),
    ],
)
def test_graphs_that_do_not_fit_are_refused(parts, words):
    with pytest.raises(DataError, match=words) as caught:
        GraphCollection.from_graphs(parts)
    assert caught.value.code == "COLLECTION"


@pytest.mark.parametrize(
    ("names", "words"),
    [(["a"], "2 graphs and 1 names"), (["a", "a"], "'a' twice")],
)
def test_names_must_be_one_for_each_graph_and_different(names, words):
    with pytest.raises(DataError, match=words):
        GraphCollection.from_graphs([path(2), path(3)], names=names)


def test_names_of_nodes_that_would_be_equal_are_refused():
    parts = {"a": path(2, node_ids=["b:c", "d"]), "a:b": path(2, node_ids=["c", "d"])}
    with pytest.raises(DataError, match="two nodes have the name 'a:b:c'"):
        GraphCollection.from_graphs(parts)


def test_labels_of_nodes_with_other_names_are_numbered_together():
    parts = [path(2, y=[0, 1], label_names=["C", "N"]), path(2, y=[1, 0], label_names=["N", "O"])]
    graphs = GraphCollection.from_graphs(parts)
    assert graphs.label_names == ("C", "N", "O")
    assert graphs.y.tolist() == [0, 1, 2, 1]


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_any_graphs_come_back_also_from_pickles_and_copies(data):
    count = data.draw(st.integers(1, 5))
    has_x, sparse, named = (data.draw(st.booleans()) for _ in range(3))
    parts = []
    for _ in range(count):
        n = data.draw(st.integers(1, 6))
        pairs = data.draw(st.lists(st.tuples(*[st.integers(0, n - 1)] * 2), max_size=8))
        edges = np.array([p for p in pairs if p[0] != p[1]], np.int64).reshape(-1, 2).T
        x = np.arange(2.0 * n).reshape(n, 2) if has_x else None
        ids = [f"n{k}" for k in range(n)] if named else None
        own = {"x": sp.csr_array(x) if sparse and has_x else x, "node_ids": ids, "sides": "none"}
        parts.append(Graph.from_edges(edges, num_nodes=n, **own))
    graphs = GraphCollection.from_graphs(parts, y=[k % 2 for k in range(count)])
    others = [pickle.loads(pickle.dumps(graphs)), copy.copy(graphs)]
    others.append(GraphCollection.from_graphs(list(graphs), y=graphs.graph_y))
    others.append(graphs.select(range(count)))
    for other in others:
        assert other.fingerprint == graphs.fingerprint
        assert other.ids == graphs.ids
        assert {**other.summary(), "notes": {}} == {**graphs.summary(), "notes": {}}
        assert other.graph_y.tolist() == graphs.graph_y.tolist()
        assert all(same(a, b) for a, b in zip(parts, other, strict=True))
    assert graphs.num_links == sum(part.num_links for part in parts)
    assert graphs.without_features().x is None
    assert graphs.without_features().num_graphs == count


def test_edges_with_a_batch_in_any_order_become_graphs():
    graphs = GraphCollection.from_edges(
        [[0, 2, 1], [2, 4, 3]], batch=[0, 1, 0, 1, 0], graph_names=["p", "q"], graph_y=["u", "v"]
    )
    assert graphs.sizes.tolist() == [3, 2]
    assert graphs.links.tolist() == [[0, 1, 3], [1, 2, 4]]
    assert graphs.graph_label_names == ("u", "v")


@pytest.mark.parametrize(
    ("batch", "words"),
    [
        ([0, 0, 1], "1 of 2 links join nodes of two graphs, the first '1' of graph 0 and '2'"),
        ([0, 0], "shape"),
        ([0, 0, -1], "got -1"),
        ([0.0, 0.0, 0.0], "integers"),
        ([0, 0, 2**40], "without large gaps"),
    ],
)
def test_a_batch_that_does_not_fit_is_refused(batch, words):
    with pytest.raises(DataError, match=words):
        GraphCollection.from_edges([[0, 1], [1, 2]], batch=batch, num_nodes=3)


def test_graphs_without_nodes_are_left_out_with_their_labels(caplog):
    graph = Graph.from_edges([[0], [1]], num_nodes=2)
    graphs = GraphCollection.from_batch(graph, [1, 1], names="abc", y=[0, 1, 0])
    assert "2 of 3 graphs have no nodes and are left out, the first is a" in caplog.text
    assert graphs.graph_names == ("b",)
    assert graphs.graph_y.tolist() == [1]


def test_graphs_of_networkx_and_matrices_become_collections():
    made = {"p": nx.path_graph(3), "c": nx.cycle_graph(4)}
    for name, graph in made.items():
        graph.graph["kind"] = name
        nx.set_node_attributes(graph, {node: float(node) for node in graph}, "charge")
    graphs = GraphCollection.from_networkx(made, graph_y="kind", x=["charge"])
    assert graphs.graph_names == ("p", "c")
    assert graphs.graph_label_names == ("c", "p")
    assert graphs.graph_y.tolist() == [1, 0]
    assert graphs.x[:, 0].tolist() == [0, 1, 2, 0, 1, 2, 3]
    assert nx.is_isomorphic(graphs["c"].to_networkx(), made["c"])
    adj = [nx.to_scipy_sparse_array(graph) for graph in made.values()]
    x = [np.arange(len(graph))[:, None] for graph in made.values()]
    again = GraphCollection.from_scipy(adj, x=x)
    assert torch.equal(again.links, graphs.links)
    assert torch.equal(again.x, graphs.x)
    with pytest.raises(DataError, match="2 adjacencies and features of 1 graphs"):
        GraphCollection.from_scipy(adj, x=x[:1])
    with pytest.raises(DataError, match="no graph has an attribute 'y'"):
        GraphCollection.from_networkx(made, graph_y="y")


def test_a_molecule_whose_nodes_have_two_colours_is_no_two_sided_graph():
    star = nx.star_graph(5)
    nx.set_node_attributes(star, {node: int(node > 0) for node in star}, "bipartite")
    graphs = GraphCollection.from_networkx([star, nx.path_graph(4)])
    assert graphs.sides is None
    assert graphs.grid.num_pairs == 15 + 6


def test_frames_have_graphs_in_a_column():
    edges = pd.DataFrame({"graph_id": [2, 10, 10], "u": ["a", "a", "b"], "v": ["b", "b", "c"]})
    labels = pd.Series(["x", "y"], index=[10, 2])
    graphs = GraphCollection.from_pandas(edges, labels=labels)
    assert graphs.ids == ("2:a", "2:b", "10:a", "10:b", "10:c")
    assert graphs.graph_y.tolist() == [1, 0]
    assert graphs["10"].links.tolist() == [[0, 1], [1, 2]]


def test_the_announcement_says_that_pairs_are_within_graphs():
    graphs = GraphCollection.from_graphs([path(2), path(3)], name="mol")
    assert graphs.announcement.startswith("mol: 2 graphs of 2 to 3 nodes;")
    assert "never scored" in graphs.announcement
