"""Folders with a graph in each file."""

import networkx as nx
import pytest

from vgae.data.files import read_graph
from vgae.data.graph_folders import graph_files, is_graph_folder
from vgae.data.image_files import holds_images
from vgae.errors import DataError, UsageError


def folder(path, count=3, suffix=".csv", stem="mol{}"):
    path.mkdir(exist_ok=True)
    for k in range(count):
        text = "source,target\n0,1\n1,2\n" + "2,3\n" * (k % 2)
        (path / f"{stem.format(k)}{suffix}").write_text(text)
    return path


@pytest.mark.row("L52")
def test_graphs_have_the_names_of_files_and_the_labels_of_a_table(tmp_path, caplog):
    caplog.set_level("INFO")
    path = folder(tmp_path / "mols")
    (path / "graphs.csv").write_text("graph,label\nmol1,toxic\nmol0,fine\n")
    (path / "README.md").write_text("from the laboratory")
    graphs = read_graph(path)
    assert graphs.name == "mols"
    assert graphs.graph_names == ("mol0", "mol1", "mol2")
    assert graphs.sizes.tolist() == [3, 4, 3]
    assert graphs.ids[3] == "mol1:0"
    assert graphs.graph_label_names == ("fine", "toxic")
    assert graphs.graph_y.tolist() == [0, 1, -1]
    assert caplog.text.count("separated by commas") == 1
    assert is_graph_folder(path)
    assert not holds_images(path)


def test_documents_with_features_are_read(tmp_path):
    for k in range(3):
        graph = nx.path_graph(3 + k)
        nx.set_node_attributes(graph, {node: float(node) for node in graph}, "charge")
        nx.write_graphml(graph, tmp_path / f"g{k}.graphml")
    graphs = read_graph(tmp_path)
    assert graphs.feature_names == ("charge",)
    assert graphs.x[:, 0].tolist() == [0, 1, 2, 0, 1, 2, 3, 0, 1, 2, 3, 4]


def test_compressed_files_and_a_word_at_the_end_of_all_names(tmp_path):
    path = folder(tmp_path / "x", suffix=".txt", stem="m{}_edges")
    (path / "LICENSE.txt").write_text("do as you like")
    assert read_graph(path).graph_names == ("m0", "m1", "m2")


@pytest.mark.row("L53")
def test_a_folder_of_several_suffixes_is_refused_with_their_numbers(tmp_path):
    path = folder(tmp_path / "x")
    (path / "g.graphml").write_text("")
    with pytest.raises(DataError, match=r"3 of \.csv and 1 of \.graphml") as caught:
        read_graph(path)
    assert caught.value.code == "FOLDER_LAYOUT"
    assert is_graph_folder(path)


@pytest.mark.parametrize("names", [("edges.csv", "nodes.csv"), ("g_links.csv", "g_nodes.csv")])
def test_parts_of_one_graph_are_no_graphs(names, tmp_path):
    for name in names:
        (tmp_path / name).write_text("source,target\n0,1\n")
    assert graph_files(tmp_path) == []
    with pytest.raises(DataError, match="holds no graph") as caught:
        read_graph(tmp_path)
    assert caught.value.code == "CANNOT_READ"


def test_one_file_is_no_folder_of_graphs(tmp_path):
    assert graph_files(folder(tmp_path / "x", count=1)) == []


def test_a_damaged_file_is_named(tmp_path):
    path = folder(tmp_path / "x")
    (path / "mol2.csv").write_text("source,target,weight\n0,1,heavy\n")
    with pytest.raises(DataError, match=r"mol2\.csv, line 2"):
        read_graph(path)


def test_files_of_several_graphs_and_directions_are_refused(tmp_path):
    line = '{"nodes": [{"id": 0}], "links": []}\n'
    for k in range(2):
        (tmp_path / f"{k}.jsonl").write_text(line * 2)
    with pytest.raises(DataError, match="several graphs itself"):
        read_graph(tmp_path)
    with pytest.raises(UsageError, match="directed"):
        read_graph(tmp_path, directed="keep")


def test_features_in_some_files_alone_are_refused(tmp_path):
    nx.write_graphml(nx.path_graph(3), tmp_path / "a.graphml")
    graph = nx.path_graph(3)
    nx.set_node_attributes(graph, 1.5, "charge")
    nx.write_graphml(graph, tmp_path / "b.graphml")
    with pytest.raises(DataError, match="1 of 2 graphs have no features, as graph 'a'"):
        read_graph(tmp_path)


def test_pictures_beside_texts_are_images(tmp_path):
    path = folder(tmp_path / "x", suffix=".txt")
    assert not holds_images(path)
    (path / "class").mkdir()
    (path / "class" / "a.png").write_bytes(b"")
    assert holds_images(path)
