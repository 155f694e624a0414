"""Tables with a column of graphs, and labels of graphs."""

import numpy as np
import pandas as pd
import pytest

from vgae.data.files import read_graph, read_npz, write_npz
from vgae.data.graph_tables import labels_in_text
from vgae.errors import DataError, UsageError
from vgae.graphs.graph import Graph

EDGES = "graph_id,source,target\n2,C1,C2\n2,C2,C3\n10,C1,C2\n10,C2,C10\n"
NODES = """graph_id,atom,kind,charge
2,C1,C,1
2,C2,C,1
2,C3,O,2
10,C1,N,3
10,C2,N,3
10,C10,C,1
11,C1,O,0
"""
LABELS = "graph,label\n2,toxic\n10,fine\n"


@pytest.fixture
def files(tmp_path):
    for name, text in {"e.csv": EDGES, "n.csv": NODES, "l.csv": LABELS}.items():
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.row("L54")
def test_a_column_of_graphs_makes_a_collection(files, caplog):
    caplog.set_level("INFO")
    graphs = read_graph(files / "e.csv", graph_column="graph_id")
    assert graphs.ids == ("2:C1", "2:C2", "2:C3", "10:C1", "10:C10", "10:C2")
    assert graphs.links.tolist() == [[0, 1, 3, 4], [1, 2, 5, 5]]
    assert "2 graphs of 3 nodes" in caplog.text


def test_features_labels_and_nodes_without_links_come_from_tables(files, caplog):
    graphs = read_graph(
        files / "e.csv",
        features=files / "n.csv",
        graph_column="graph_id",
        graph_labels=files / "l.csv",
        encode="auto",
        id_column="atom",
    )
    assert graphs.graph_names == ("2", "10", "11")
    assert graphs.sizes.tolist() == [3, 3, 1]
    assert graphs.feature_names == ("kind=C", "kind=N", "kind=O", "charge")
    assert graphs.x[:, 1].tolist() == [0, 0, 0, 1, 0, 1, 0]
    assert [graphs.graph_label_names[k] for k in graphs.graph_y[:2]] == ["toxic", "fine"]
    assert graphs.graph_y[2] == -1
    assert "1 of 3 graphs have no label" in caplog.text
    write_npz(graphs, files / "x.npz")
    again = read_npz(files / "x.npz")
    assert again.fingerprint == graphs.fingerprint
    assert again.ids == graphs.ids
    assert again.feature_encoder == graphs.feature_encoder
    assert again.graph_y.tolist() == graphs.graph_y.tolist()


def test_parquet_and_frames_are_read_alike(files):
    frame = pd.read_csv(files / "e.csv").assign(weight=[1.0, 2, 3, 4])
    frame.to_parquet(files / "e.parquet")
    graphs = read_graph(files / "e.parquet", graph_column="graph_id")
    assert graphs.link_weight.tolist() == [1, 2, 3, 4]
    again = read_graph(frame, graph_column="graph_id")
    assert again.fingerprint == graphs.fingerprint
    nodes = pd.read_csv(files / "n.csv")
    more = {"features": nodes, "id_column": "atom", "encode": "auto"}
    assert read_graph(frame, graph_column="graph_id", **more).num_graphs == 3


@pytest.mark.row("L55")
def test_a_column_that_seems_to_name_graphs_is_announced_with_the_option(files, caplog):
    graph = read_graph(files / "e.csv")
    assert type(graph) is Graph
    assert graph.num_nodes == 4
    assert "column 'graph_id' is left out" in caplog.text
    assert "graph_column='graph_id' (--graph-column)" in caplog.text


@pytest.mark.row("L56")
@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"graph_column": "mol"}, DataError, "no column 'mol'"),
        ({"graph_column": "graph_id", "drop_zero": True}, UsageError, "drop_zero"),
        ({"graph_column": "graph_id", "time": "x"}, UsageError, "split-by-time"),
        ({"graph_column": "graph_id", "directed": "keep"}, UsageError, "directed"),
        ({"graph_labels": "l.csv"}, UsageError, "e.csv is one; graph_column"),
        ({"graph_column": "graph_id", "features": "n.csv"}, DataError, "'kind'"),
        ({"graph_column": "graph_id", "features": ("x.csv", None)}, UsageError, "two-sided"),
    ],
)
def test_what_is_no_collection_is_refused(options, kind, words, files, monkeypatch):
    monkeypatch.chdir(files)
    (files / "x.csv").write_text("graph_id,id,f\n2,C1,1\n")
    with pytest.raises(kind, match=words):
        read_graph("e.csv", **options)


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("graph,label\n7,x\n", "COLLECTION", "none of its 1 names.*'7'; the graphs are 2, 10"),
        ("graph,label\n2,x\n2,y\n", "LABELS", "'2' is in two rows"),
        ("graph,a,b\n2,x,y\n", "GRAPH_LABELS", "two columns"),
        ("2,0\n10,1\n", "FEATURE_HEADER", "header"),
    ],
)
def test_a_table_of_labels_must_fit(text, code, words, files):
    (files / "l.csv").write_text(text)
    with pytest.raises(DataError, match=words) as caught:
        read_graph(files / "e.csv", graph_column="graph_id", graph_labels=files / "l.csv")
    assert caught.value.code == code


def test_labels_may_be_in_another_column_or_of_no_graph(files, caplog):
    (files / "l.csv").write_text("split,y,graph\ntrain,4,10\ntest,2,2\ntest,2,99\n")
    graphs = read_graph(files / "e.csv", graph_column="graph_id", graph_labels=files / "l.csv")
    assert graphs.graph_y.tolist() == [0, 1]
    assert graphs.graph_label_names == ("2", "4")
    assert "1 labels are of no graph, such as that of 99" in caplog.text


def test_rows_without_names_are_in_the_order_of_the_nodes(files):
    np.save(files / "x.npy", np.arange(6.0)[:, None])
    graphs = read_graph(files / "e.csv", graph_column="graph_id", features=files / "x.npy")
    assert graphs.x[:, 0].tolist() == [0, 1, 2, 3, 4, 5]
    np.save(files / "x.npy", np.arange(5.0)[:, None])
    with pytest.raises(DataError, match="5 rows and no names, and the graphs 6 nodes"):
        read_graph(files / "e.csv", graph_column="graph_id", features=files / "x.npy")


def test_nodes_without_features_are_refused_or_filled(files):
    text = NODES.replace("10,C10,C,1\n", "")
    (files / "n.csv").write_text(text)
    how = {"graph_column": "graph_id", "features": files / "n.csv", "encode": "auto"}
    how["id_column"] = "atom"
    with pytest.raises(DataError, match="10:C10"):
        read_graph(files / "e.csv", **how)
    graphs = read_graph(files / "e.csv", **how, missing_features="zero")
    assert graphs["10"].x[1].tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("cells", "codes", "names"),
    [
        (["1", "0", ""], [1, 0, -1], ()),
        (["1", "", "1"], [0, -1, 0], ("1",)),
        (["-1", "1", ""], [0, 1, -1], ("-1", "1")),
        (["b", "", "a"], [1, -1, 0], ("a", "b")),
        (["", "", ""], None, ()),
        (["0.5", "1", "2"], None, ()),
    ],
)
def test_labels_in_text_are_classes(cells, codes, names):
    found = labels_in_text(cells, "x")
    assert (None if found.codes is None else found.codes.tolist()) == codes
    assert found.names == names
