"""Nodes, sides and features of the two sides of a graph are those that are given."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from vgae.errors import DataError
from vgae.graphs.building import is_pair
from vgae.graphs.graph import Graph

USERS = pd.DataFrame({"age": [30, 40, 50]}, index=["cid", "ann", "bob"])
ITEMS = pd.DataFrame({"price": [1, 2], "size": [3, 4]}, index=["pen", "ann"])


def rows_of(graph):
    return dict(zip(graph.ids, graph.dense_x.tolist(), strict=True))


def test_frames_of_both_sides_are_joined_by_name():
    edges = [["ann", "bob"], ["ann", "pen"]]
    graph = Graph.from_edges(edges, x=(USERS, ITEMS), side_names=("user", "item"))
    assert rows_of(graph) == {
        "user:cid": [30, 0, 0],
        "user:ann": [40, 0, 0],
        "user:bob": [50, 0, 0],
        "item:pen": [0, 1, 3],
        "item:ann": [0, 2, 4],
    }
    assert graph.feature_names == ("user:age", "item:price", "item:size")
    links = [(graph.ids[u], graph.ids[v]) for u, v in graph.links.T.tolist()]
    assert links == [("user:ann", "item:ann"), ("user:bob", "item:pen")]


def test_frames_are_joined_to_nodes_that_have_names_and_sides():
    ids = ["pen", "bob", "ann", "cup", "cid"]
    items = ITEMS.set_axis(["cup", "pen"])
    options = {"node_ids": ids, "sides": ["i", "u", "u", "i", "u"], "side_names": ("u", "i")}
    graph = Graph.from_edges([[0], [1]], x=(USERS, items), **options)
    assert [row[0] for row in graph.dense_x.tolist()] == [0, 50, 40, 0, 30]
    assert [row[1:] for row in graph.dense_x.tolist()] == [[2, 4], [0, 0], [0, 0], [1, 3], [0, 0]]


@pytest.mark.parametrize("make", [np.array, sp.csr_array, list])
def test_rows_of_arrays_are_those_of_the_nodes_of_each_side(make):
    first, second = make([[1.0, 2], [3, 4], [5, 6]]), make([[7.0], [8]])
    graph = Graph.from_edges(
        [[0, 2], [1, 1]], x=(np.asarray(first.toarray() if sp.issparse(first) else first), second)
    )
    assert graph.node_ids == ("source:0", "source:1", "source:2", "target:0", "target:1")
    assert graph.links.tolist() == [[0, 2], [4, 4]]
    assert graph.dense_x.tolist() == [[1, 2, 0], [3, 4, 0], [5, 6, 0], [0, 0, 7], [0, 0, 8]]


def test_a_side_without_features_has_a_column_per_node():
    graph = Graph.from_edges([["a", "b"], ["x", "x"]], x=(None, [[3.0]]))
    assert rows_of(graph) == {"a": [1, 0, 0], "b": [0, 1, 0], "x": [0, 0, 3]}
    assert graph.feature_names == ("source:a", "source:b", "target:0")
    assert Graph.from_edges([["a", "b"], ["x", "x"]], x=(None, None)).x is None


def test_rows_that_do_not_fit_the_nodes_of_a_side_are_refused():
    for x in ((np.ones((1, 2)), None), (None, np.ones((3, 2)))):
        with pytest.raises(DataError, match="one row per node") as caught:
            Graph.from_edges([["a", "b"], ["x", "x"]], x=x)
        assert caught.value.code == "NODE_SET_MISMATCH"
    with pytest.raises(DataError, match="no row in x of 'target'") as caught:
        Graph.from_edges([["ann"], ["zoe"]], x=(USERS, ITEMS))
    assert caught.value.code == "NODE_SET_MISMATCH"


def test_a_pair_is_a_tuple_of_two_tables():
    assert is_pair((None, None))
    assert is_pair((np.ones((2, 3)), USERS))
    assert not is_pair(((1, 2), (3, 4)))
    assert not is_pair([np.ones((2, 3)), np.ones((2, 3))])
    assert not is_pair(np.ones((2, 3)))


def test_names_of_one_column_each_are_in_ascending_order():
    graph = Graph.from_edges([["b", "d"], ["c", "a"]], sides="columns")
    assert graph.node_ids == ("a", "b", "c", "d")
    assert graph.sides.tolist() == [True, False, True, False]
    assert graph.side_names == ("source", "target")


def test_columns_of_numbers_of_nodes_are_sides_of_nodes_with_links():
    graph = Graph.from_edges([[0, 2], [1, 1]], num_nodes=3, sides="columns")
    assert graph.sides.tolist() == [False, True, False]
    with pytest.raises(DataError, match="1 nodes have no link, such as node 3") as caught:
        Graph.from_edges([[0, 2], [1, 1]], num_nodes=4, sides="columns")
    assert caught.value.code == "SIDES"
