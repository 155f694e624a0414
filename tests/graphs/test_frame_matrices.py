"""Frames of users and items, or of one kind of nodes, are matrices with names."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from vgae.errors import DataError
from vgae.graphs.graph import Graph

TABLE = pd.DataFrame([[5, 0, 1.5], [np.nan, 2, 0]], index=["ann", "bob"], columns=["x", "y", "z"])


@pytest.mark.row("G42")
@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_a_table_of_two_kinds_has_two_sides(kind, caplog):
    table = TABLE
    if kind == "polars":
        table = pl.from_pandas(TABLE.rename_axis("who").reset_index())
    graph = Graph.from_scipy(table)
    assert graph.node_ids == ("ann", "bob", "x", "y", "z")
    assert graph.sides.tolist() == [False] * 2 + [True] * 3
    assert graph.links.tolist() == [[0, 0, 1], [2, 4, 3]]
    assert graph.link_weight.tolist() == [5, 1.5, 2]
    assert "sides='none' (--sides none)" in caplog.text
    assert graph.to_scipy(biadjacency=True).toarray().tolist() == [[5, 0, 1.5], [0, 2, 0]]


@pytest.mark.row("G42")
def test_a_table_by_pivot_has_the_names_of_its_axes():
    ratings = pd.DataFrame({"user_id": [1, 1, 2], "item_id": [1, 2, 9], "r": [5.0, 3, 4]})
    table = ratings.pivot(index="user_id", columns="item_id", values="r")
    graph = Graph.from_scipy(table)
    assert graph.side_names == ("user", "item")
    assert graph.node_ids == ("user:1", "user:2", "item:1", "item:2", "item:9")
    assert graph.links.tolist() == [[0, 0, 1], [2, 3, 4]]


@pytest.mark.row("G42")
def test_names_of_both_sides_stay_apart():
    square = pd.DataFrame([[0, 1], [1, 1]], index=[1, 2], columns=[1, 2])
    graph = Graph.from_scipy(square, sides="columns")
    assert graph.node_ids == ("row:1", "row:2", "column:1", "column:2")
    assert graph.links.tolist() == [[0, 1, 1], [3, 2, 3]]
    assert Graph.from_scipy(square).num_nodes == 2


def test_a_part_of_an_adjacency_and_other_names_are_refused():
    square = pd.DataFrame(np.ones((3, 3)), index=list("abc"), columns=list("abc"))
    for table, code in ((square.iloc[:2], "NOT_SQUARE"), (square.set_axis([1, 2, 3]), "NODE_ID")):
        with pytest.raises(DataError) as caught:
            Graph.from_scipy(table)
        assert caught.value.code == code
    with pytest.raises(DataError, match="must have shape") as caught:
        Graph.from_scipy(TABLE, sides="none")
    assert caught.value.code == "NOT_SQUARE"
