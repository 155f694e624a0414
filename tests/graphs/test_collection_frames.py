"""Frames with a column of graphs."""

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from vgae import GraphCollection
from vgae.errors import DataError, UsageError

EDGES = {
    "graph_id": [2, 2, 10, 10],
    "source": ["C1", "C2", "C1", "C2"],
    "target": ["C2", "C3", "C2", "C10"],
    "weight": [1.0, 2.0, 1.0, 4.0],
}
NODES = {
    "graph_id": [2, 2, 2, 10, 10, 10, 11],
    "atom": ["C1", "C2", "C3", "C1", "C2", "C10", "C1"],
    "charge": [1.0, 2, 3, 4, 5, 6, 7],
    "kind": ["C", "C", "O", "N", "N", "C", "O"],
}


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame, pa.table])
def test_names_may_repeat_in_different_graphs_and_nodes_without_edges_stay(frame):
    graphs = GraphCollection.from_pandas(
        frame(EDGES), frame(NODES), y="kind", labels={2: "a", 10: "b", 11: "a"}
    )
    assert graphs.graph_names == ("2", "10", "11")
    assert graphs.ids[:4] == ("2:C1", "2:C2", "2:C3", "10:C1")
    assert graphs.x[:, 0].tolist() == [1, 2, 3, 4, 5, 6, 7]
    assert graphs.links.tolist() == [[0, 1, 3, 4], [1, 2, 4, 5]]
    assert graphs.link_weight.tolist() == [1, 2, 1, 4]
    assert graphs.label_names == ("C", "N", "O")
    assert graphs.graph_y.tolist() == [0, 1, 0]


def test_an_index_of_names_and_text_features_are_read():
    nodes = pd.DataFrame(NODES).set_index("atom")
    graphs = GraphCollection.from_pandas(pd.DataFrame(EDGES), nodes, encode="auto")
    assert graphs.ids[3] == "10:C1"
    assert graphs.feature_encoder is not None
    indexed = pd.DataFrame(NODES).set_index(["graph_id", "atom"])
    again = GraphCollection.from_pandas(pd.DataFrame(EDGES), indexed.reset_index(), encode="auto")
    assert again.fingerprint == graphs.fingerprint


def test_whole_numbers_are_names_and_ascend_by_value():
    edges = pd.DataFrame({"g": [1.0, 1.0], "u": [10, 9], "v": [9, 2]})
    graphs = GraphCollection.from_pandas(edges, graph="g")
    assert graphs.ids == ("1:2", "1:9", "1:10")
    assert graphs[0].ids == (2, 9, 10)


@pytest.mark.parametrize(
    ("change", "options", "words"),
    [
        ({}, {"graph": "graphid"}, "no column 'graphid'.*Did you mean graph_id"),
        ({"graph_id": [2, None, 10, 10]}, {}, "no name in row 2"),
        ({"graph_id": [2, 2, 10.5, 10]}, {}, "10.5 in row 3"),
    ],
)
def test_a_column_of_graphs_must_name_each(change, options, words):
    with pytest.raises(DataError, match=words) as caught:
        GraphCollection.from_pandas(pd.DataFrame({**EDGES, **change}), **options)
    assert caught.value.code == "GRAPH_COLUMN"


def test_nodes_without_the_column_or_a_row_are_refused():
    edges, nodes = pd.DataFrame(EDGES), pd.DataFrame(NODES)
    numbers = nodes[["graph_id", "atom", "charge"]]
    with pytest.raises(DataError, match="nodes has no column 'graph_id'"):
        GraphCollection.from_pandas(edges, nodes.drop(columns="graph_id"))
    with pytest.raises(DataError, match="2:C1"):
        GraphCollection.from_pandas(edges, numbers[1:].reset_index(drop=True))
    with pytest.raises(UsageError, match="sides"):
        GraphCollection.from_pandas(edges, sides="columns")
