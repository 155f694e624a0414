"""Features and labels with names go to the nodes of these names, or nowhere."""

import logging

import networkx as nx
import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp

from vgae.errors import DataError
from vgae.graphs.aligning import aligned_rows, pairs_of_names
from vgae.graphs.canonical import warn_of_first
from vgae.graphs.graph import Graph

X = pd.DataFrame({"p": [1, 2, 3], "q": [4, 5, 6]}, index=["c", "b", "a"])
PATH = [["a", "b"], ["b", "c"]]
NUMBERS = [[0, 1], [1, 2]]
ADJ = pd.DataFrame([[0, 1, 0], [1, 0, 2], [0, 2, 0]], index=list("abc"), columns=list("abc"))


def test_a_frame_beside_edges_of_names_has_the_nodes_in_its_order():
    extra = pd.concat([X, pd.DataFrame({"p": [9], "q": [9]}, index=["lone"])])
    y = pd.Series(["s", None, "t", "s"], index=["a", "b", "c", "lone"])
    graph = Graph.from_edges(PATH, x=extra, y=y)
    assert graph.node_ids == ("c", "b", "a", "lone")
    assert graph.links.tolist() == [[0, 1], [1, 2]]
    assert (graph.feature_names, graph.x[:, 0].tolist()) == (("p", "q"), [1, 2, 3, 9])
    assert (graph.y.tolist(), graph.label_names) == ([1, -1, 0, 0], ("s", "t"))
    numbered = Graph.from_edges([[10, 20], [20, 30]], x=X.set_axis([30, 20, 10]))
    assert numbered.node_ids == (30, 20, 10)
    assert numbered.links.tolist() == [[0, 1], [1, 2]]
    assert Graph.from_edges(PATH, y=y.drop("lone")).node_ids == ("a", "b", "c")


def test_a_frame_is_brought_into_the_order_of_given_names():
    for graph in (
        Graph.from_edges(NUMBERS, x=X, node_ids=["a", "b", "c"]),
        Graph.from_networkx(nx.path_graph(["a", "b", "c"]), x=X),
        Graph.from_scipy(ADJ, x=X),
    ):
        assert graph.node_ids == ("a", "b", "c")
        assert graph.x.tolist() == [[3, 6], [2, 5], [1, 4]]
        assert graph.feature_names == ("p", "q")
    named = Graph.from_edges(NUMBERS, x=X, node_ids=["a", "b", "c"], feature_names=["x", "y"])
    assert named.feature_names == ("x", "y")
    ids = pl.from_pandas(X.reset_index(names="id"))
    assert Graph.from_networkx(nx.path_graph(["a", "b", "c"]), x=ids).x[0].tolist() == [3, 6]


def test_rows_without_names_are_taken_in_order_which_is_said(caplog):
    plain = X.reset_index(drop=True)
    assert Graph.from_edges(NUMBERS, x=plain).node_ids is None
    assert not caplog.records
    graph = Graph.from_edges(NUMBERS, x=plain, node_ids=["a", "b", "c"])
    assert graph.x[:, 0].tolist() == [1, 2, 3]
    assert "the rows of x have no names: they are taken in the order of the nodes" in caplog.text
    # These rows do have the names of the nodes.
    assert Graph.from_edges(NUMBERS, x=plain, node_ids=[2, 0, 1]).x[:, 0].tolist() == [3, 1, 2]


def test_a_matrix_gets_its_names_from_the_rows_of_features(caplog):
    adj = sp.csr_array(ADJ.to_numpy())
    with caplog.at_level(logging.INFO, "vgae"):
        graph = Graph.from_scipy(adj, x=X)
    assert (graph.node_ids, graph.x[0].tolist()) == (("c", "b", "a"), [1, 4])
    assert "the nodes get the names of the rows of x" in caplog.text
    again = Graph.from_scipy(adj, x=X.set_axis([2, 0, 1]))
    assert (again.node_ids, again.x[0].tolist()) == (None, [2, 5])


def test_integers_beside_an_index_of_text_are_numbers_of_rows():
    graph = Graph.from_edges(NUMBERS, x=X)
    assert (graph.node_ids, graph.links.tolist()) == (("c", "b", "a"), NUMBERS)


@pytest.mark.parametrize(
    ("edges", "options", "words"),
    [
        (NUMBERS, {"x": X, "node_ids": ["a", "b", "z"]}, r"1 of 3 .*in x \('z'\).* 1 .*\('c'\)"),
        (NUMBERS, {"x": X.set_axis([10, 20, 30])}, r"3 of 3 nodes in edges .*x\.to_numpy\(\)"),
        ([["a"], ["z"]], {"x": X}, r"1 of 2 nodes in edges have no row in x \('z'\)"),
        (NUMBERS, {"x": X.reset_index(drop=True), "node_ids": ["a", "b"]}, r"\(2\), got 3"),
        (NUMBERS, {"y": pd.Series([1, 0], index=[0, 1]), "node_ids": [0, 1, 2]}, r"\(3\), got 2"),
    ],
)
@pytest.mark.row("G36")
def test_a_partial_match_is_refused_with_the_names(edges, options, words):
    with pytest.raises(DataError, match=words) as caught:
        Graph.from_edges(edges, **options)
    assert caught.value.code == "NODE_SET_MISMATCH"


def test_a_frame_of_edges_is_sent_to_the_other_door():
    with pytest.raises(DataError, match=r"use Graph\.from_pandas"):
        Graph.from_edges(pd.DataFrame([[0, 1], [1, 2]]))


def test_rows_follow_their_names():
    assert aligned_rows(["a", "b"], ["b", "a"], 2, "x").tolist() == [1, 0]
    assert aligned_rows([1, 0], None, 2, "x").tolist() == [1, 0]
    assert aligned_rows([1, 2], ["2", "1"], 2, "x").tolist() == [1, 0]


def test_only_ids_from_1_are_warned_of(caplog):
    warn_of_first([0, 1, 2], 3)
    warn_of_first([2, 3], 4)
    warn_of_first(["1", "2"], 3)
    assert not caplog.records
    warn_of_first([2, 1], 3)
    assert "begin at 1, but the 3 rows" in caplog.text


def test_pairs_are_the_columns_of_source_and_target_or_the_only_two():
    frame = pd.DataFrame({"score": [0.5], "target": ["b"], "source": ["a"]})
    assert pairs_of_names(frame) == [("a", "b")]
    assert pairs_of_names(pl.DataFrame({"p": [1, 2], "q": [2, 3]})) == [(1, 2), (2, 3)]


def test_features_need_columns():
    with pytest.raises(DataError, match="no columns with features"):
        Graph.from_edges(NUMBERS, x=pd.DataFrame(index=np.arange(3)))
