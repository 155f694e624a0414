"""Data sets of TU Dortmund: folders and zips in the layout of a small one."""

import zipfile

import pytest

from vgae.data.files import read_graph
from vgae.data.tu import holds_tu
from vgae.errors import DataError, UsageError
from vgae.graphs.collection import GraphCollection

FILES = {
    "A": "1, 2\n2, 1\n2,3\n3, 2\n4, 5\n5, 4\n",
    "graph_indicator": "1\n1\n1\n2\n2\n",
    "graph_labels": "1\n-1\n",
    "node_labels": "0\n3\n0\n3\n3\n",
    "edge_labels": "1\n1\n2\n2\n3\n3\n",
}


def folder(path, **changes):
    path.mkdir(parents=True, exist_ok=True)
    for key, text in (FILES | changes).items():
        if text is not None:
            (path / f"MOL_{key}.txt").write_text(text)
    return path


@pytest.mark.row("L50")
@pytest.mark.parametrize("kind", ["folder", "raw", "zip"])
def test_a_data_set_is_read_from_a_folder_or_a_zip(kind, tmp_path, caplog):
    caplog.set_level("INFO")
    path = folder(tmp_path / "MOL" / ("raw" if kind == "raw" else ""))
    if kind == "raw":
        path = path.parent
    elif kind == "zip":
        with zipfile.ZipFile(tmp_path / "MOL.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for file in path.iterdir():
                archive.write(file, f"MOL/{file.name}")
            archive.writestr("__MACOSX/MOL/._MOL_A.txt", "")
        path = tmp_path / "MOL.zip"
    graphs = read_graph(path)
    assert isinstance(graphs, GraphCollection)
    assert graphs.name == "MOL"
    assert graphs.sizes.tolist() == [3, 2]
    assert graphs.links.tolist() == [[0, 1, 3], [1, 2, 4]]
    assert graphs.feature_names == ("label=0", "label=3")
    assert graphs.x.argmax(1).tolist() == [0, 1, 0, 1, 1]
    assert graphs.graph_label_names == ("-1", "1")
    assert graphs.graph_y.tolist() == [1, 0]
    assert graphs.graph_names == ("1", "2")
    assert "never scored" in caplog.text
    assert "left out; weight='edge_labels'" in caplog.text


def test_attributes_come_before_kinds_and_edges_may_have_weights(tmp_path):
    path = folder(tmp_path, node_attributes="0.5, 1\n1, 2\n3,4\n5,6\n7,8\n")
    graphs = read_graph(path, weight="edge_labels")
    assert graphs.feature_names == ("attribute_0", "attribute_1", "label=0", "label=3")
    assert graphs.x[0].tolist() == [0.5, 1, 1, 0]
    assert graphs.link_weight.tolist() == [1, 2, 3]


def test_nodes_of_a_graph_may_be_apart(tmp_path):
    path = folder(
        tmp_path, A="1,3\n3,5\n2,4\n", graph_indicator="2\n1\n2\n1\n2\n", edge_labels=None
    )
    graphs = read_graph(path)
    assert graphs.sizes.tolist() == [2, 3]
    assert graphs.links.tolist() == [[0, 2, 3], [1, 3, 4]]
    assert graphs.x.argmax(1).tolist() == [1, 1, 0, 0, 1]
    assert graphs.graph_y.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("labels", "codes", "names"),
    [
        ("0\n1\n", [0, 1], ()),
        ("7\n5\n", [1, 0], ("5", "7")),
        ("1.0e+00\n0\n", [1, 0], ()),
        ("toxic\nfine\n", [1, 0], ("fine", "toxic")),
    ],
)
def test_labels_of_graphs_are_classes_in_any_spelling(labels, codes, names, tmp_path):
    graphs = read_graph(folder(tmp_path, graph_labels=labels))
    assert graphs.graph_y.tolist() == codes
    assert graphs.graph_label_names == names


@pytest.mark.parametrize("labels", ["0.5\n1.25\n", "1, 0\n0, 1\n", None])
def test_graphs_without_classes_have_no_labels(labels, tmp_path):
    graphs = read_graph(folder(tmp_path, graph_labels=labels, graph_attributes="1\n2\n"))
    assert graphs.graph_y is None


def test_a_graph_without_nodes_is_left_out_with_its_label(tmp_path, caplog):
    path = folder(tmp_path, graph_indicator="1\n1\n1\n3\n3\n", graph_labels="a\nb\nc\n")
    graphs = read_graph(path)
    assert graphs.graph_names == ("1", "3")
    assert [graphs.graph_label_names[k] for k in graphs.graph_y] == ["a", "c"]
    assert "1 of 3 graphs have no nodes and are left out, the first is 2" in caplog.text


@pytest.mark.row("L51")
@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"A": "1, 2\n2, 9\n"}, "FIELDS", "MOL_A.txt, line 2: node 9 is none of 1 to 5"),
        ({"A": "0, 1\n1, 2\n"}, "FIELDS", "MOL_A.txt, line 1: node 0"),
        ({"A": "1, 2\n2, x\n"}, "FIELDS", "MOL_A.txt, line 2: .*'2, x'"),
        ({"A": "1, 2\n2, 3, 4\n"}, "FIELDS", "MOL_A.txt, line 2"),
        ({"A": "1\n2\n"}, "FIELDS", "expected 2 numbers"),
        ({"A": ""}, "FIELDS", "MOL_A.txt, line 1: it is empty"),
        ({"A": "1.5, 2\n"}, "FIELDS", "whole numbers, got 1.5"),
        ({"A": "3, 4\n"}, "COLLECTION", "1 of 1 links join nodes of two graphs"),
        ({"graph_labels": "1\n"}, "FIELDS", "line 4: graph 2 is none of 1 to 1"),
        ({"graph_indicator": "1\n1\n1\n2\n900\n"}, "FIELDS", "graph 900"),
        ({"node_labels": "1\n"}, "TU_LAYOUT", "has 1 lines, and MOL_graph_indicator.txt 5"),
        ({"node_attributes": "1\nnan\n1\n1\n1\n"}, "FEATURE_NONFINITE", "row 1"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_file_and_line(changes, code, words, tmp_path):
    with pytest.raises(DataError, match=words) as caught:
        read_graph(folder(tmp_path, **changes))
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"directed": "keep"}, "leave directed='keep'"),
        ({"sides": "columns"}, "leave sides='columns'"),
        ({"weight": "edge_attributes"}, "it has edge_labels"),
        ({"columns": ("a", "b")}, "does not take columns"),
    ],
)
def test_options_of_one_graph_are_refused(options, words, tmp_path):
    with pytest.raises(UsageError, match=words):
        read_graph(folder(tmp_path), **options)


def test_two_data_sets_in_a_folder_are_refused(tmp_path):
    folder(tmp_path)
    for key in ("A", "graph_indicator"):
        (tmp_path / f"X_{key}.txt").write_text(FILES[key])
    with pytest.raises(DataError, match="2 data sets of TU, MOL, X"):
        read_graph(tmp_path)


def test_a_zip_that_is_damaged_or_no_data_set_is_no_tu(tmp_path):
    path = tmp_path / "x.zip"
    path.write_bytes(b"PK\3\4" + bytes(40))
    assert not holds_tu(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("MOL_A.txt", FILES["A"])
        archive.writestr("other.txt", "")
    assert not holds_tu(path)


def test_a_member_that_unpacks_to_too_much_is_refused(tmp_path):
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("M_A.txt", "1, 2\n" * 4_000_000)
        archive.writestr("M_graph_indicator.txt", "1\n1\n")
    with pytest.raises(DataError, match="would unpack") as caught:
        read_graph(path)
    assert caught.value.code == "UNPACKED_SIZE"
