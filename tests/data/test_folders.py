"""Files that are published together: OGB, geom-gcn, MUSAE, LINQS."""

import gzip
import json
import logging

import pytest

from vgae.data.files import read_graph
from vgae.data.graph_folders import is_graph_folder
from vgae.data.image_files import holds_images
from vgae.errors import DataError

OGB = {
    "edge.csv.gz": "0,1\n1,2\n",
    "num-node-list.csv.gz": "4\n",
    "num-edge-list.csv.gz": "2\n",
    "node-feat.csv.gz": "0.5,1\n1,2\n2,3\n0,0\n",
    "node-label.csv.gz": "0\n1\n0\n2\n",
    "edge-weight.csv.gz": "2\n3\n",
    "node_year.csv.gz": "1999\n2000\n1\n1\n",
}
GEOM = {
    "out1_graph_edges.txt": "node_id\tnode_id\n0\t1\n2\t1\n",
    "out1_node_feature_label.txt": "node_id\tfeature\tlabel\n1\t0,0,1\t1\n"
    "0\t0,1,0\t2\n2\t1,1,1\t0\n",
}
MUSAE = {
    "musae_x_edges.csv": "id1,id2\n0,1\n2,1\n",
    "musae_x_features.json": '{"0": [3, 0], "1": [2], "2": []}',
    "musae_x_target.csv": "id,name,page_type\n0,u,company\n1,v,tvshow\n2,w,company\n",
}
LINQS = {
    "cora.content": "31336\t0\t1\tNN\n1061127\t1\t0\tRule\n77\t1\t1\tNN\n",
    "cora.cites": "31336\t1061127\n77\t31336\n",
}


def folder(tmp_path, files, **changes):
    path = tmp_path / "there"
    path.mkdir(exist_ok=True)
    for name, text in {**files, **changes}.items():
        if text is not None:
            content = text.encode()
            (path / name).write_bytes(gzip.compress(content) if name[-3:] == ".gz" else content)
    return path


def test_the_raw_folder_of_ogb(tmp_path, caplog):
    folder(tmp_path / "", OGB)
    (tmp_path / "there").rename(tmp_path / "raw")
    for path in (tmp_path, tmp_path / "raw"):
        with caplog.at_level(logging.INFO, logger="vgae"):
            graph = read_graph(path)
        assert (graph.num_nodes, graph.links.tolist()) == (4, [[0, 1], [1, 2]])
        assert graph.x.tolist() == [[0.5, 1], [1, 2], [2, 3], [0, 0]]
        assert graph.y.tolist() == [0, 1, 0, 2]
        assert graph.link_weight.tolist() == [2, 3]
        assert graph.name == tmp_path.name
    assert "left out: node_year.csv.gz" in caplog.text


def test_several_labels_of_a_node_are_left_out(tmp_path):
    graph = read_graph(folder(tmp_path, OGB, **{"node-label.csv.gz": "1,1\n0,1\n0,0\n1,0\n"}))
    assert graph.y is None


def test_geom_gcn(tmp_path):
    graph = read_graph(folder(tmp_path, GEOM))
    assert graph.ids == (1, 0, 2)
    assert graph.dense_x.tolist() == [[0, 0, 1], [0, 1, 0], [1, 1, 1]]
    assert graph.y.tolist() == [1, 2, 0]
    assert graph.num_links == 2


def test_indices_of_words_as_in_film(tmp_path):
    text = "node_id\tfeature\tlabel\n0\t0,3\t0\n1\t2\t1\n2\t1\t0\n"
    graph = read_graph(folder(tmp_path, GEOM, **{"out1_node_feature_label.txt": text}))
    assert graph.dense_x.tolist() == [[1, 0, 0, 1], [0, 0, 1, 0], [0, 1, 0, 0]]


def test_musae(tmp_path, caplog):
    path = folder(tmp_path, MUSAE)
    with caplog.at_level(logging.INFO, logger="vgae"):
        graph = read_graph(path)
    assert graph.dense_x.tolist() == [[1, 0, 0, 1], [0, 0, 1, 0], [0, 0, 0, 0]]
    assert (graph.y.tolist(), graph.label_names) == ([0, 1, 0], ("company", "tvshow"))
    assert "labels from 'page_type'" in caplog.text
    assert read_graph(path, label_column="name").label_names == ("u", "v", "w")
    features = path / "musae_x_features.json"
    alone = read_graph(path / "musae_x_edges.csv", features=features)
    assert alone.fingerprint == graph.fingerprint


def test_linqs_by_either_file_or_the_folder(tmp_path):
    path = folder(tmp_path, LINQS)
    for given in (path, path / "cora.content", path / "cora.cites"):
        graph = read_graph(given)
        assert graph.node_ids == (31336, 1061127, 77)
        assert graph.links.tolist() == [[0, 0], [1, 2]]
        assert graph.dense_x.tolist() == [[0, 1], [1, 0], [1, 1]]
        assert (graph.y.tolist(), graph.label_names) == ([0, 1, 0], ("NN", "Rule"))
        assert graph.name == "cora"


def test_a_paper_without_words_is_refused_and_the_cure_works(tmp_path):
    path = folder(tmp_path, LINQS, **{"cora.cites": "31336\t1061127\n77\t9\n"})
    with pytest.raises(DataError, match="--missing-features zero") as caught:
        read_graph(path)
    assert caught.value.code == "NODE_SET_MISMATCH"
    graph = read_graph(path, missing_features="zero")
    assert (graph.ids[3], graph.y[3], graph.dense_x[3].tolist()) == (9, -1, [0, 0])


@pytest.mark.row("L41")
@pytest.mark.parametrize(
    ("files", "changes", "code", "message"),
    [
        ({}, {}, "CANNOT_READ", "looked for edge.csv.gz"),
        (OGB, {"num-node-list.csv.gz": "2\n2\n"}, "FOLDER_LAYOUT", "2 graphs"),
        (OGB, {"num-node-list.csv.gz": None}, "CANNOT_READ", "is missing"),
        (OGB, {"num-node-list.csv.gz": "nan\n"}, "FIELDS", "number of nodes"),
        (OGB, {"edge.csv.gz": "0,1\n1,9\n"}, "INDEX_RANGE", "9"),
        (OGB, {"edge.csv.gz": "0,1\n1\n"}, "FIELDS", "line 2"),
        (OGB, {"edge.csv.gz": "0,1.5\n1,2\n"}, "FIELDS", "whole numbers"),
        (OGB, {"num-edge-list.csv.gz": "7\n"}, "FOLDER_LAYOUT", "states 7"),
        (OGB, {"node-feat.csv.gz": "a,b\n"}, "FEATURE_DTYPE", "line 1"),
        (OGB, {"node-feat.csv.gz": "1\n2\n"}, "NODE_SET_MISMATCH", "x must have"),
        (GEOM, {"out1_node_feature_label.txt": None}, "CANNOT_READ", "is missing"),
        (GEOM, {"out1_node_feature_label.txt": "0\t1\n"}, "FIELDS", "got 2 fields"),
        (GEOM, {"out1_node_feature_label.txt": "0\ta\t1\n"}, "FEATURE_DTYPE", "line 1"),
        (MUSAE, {"musae_x_features.json": "[]"}, "FEATURE_LISTS", "object"),
        (MUSAE, {"musae_x_features.json": '{"0": ["a"]}'}, "FEATURE_LISTS", "list of numbers"),
        (MUSAE, {"musae_x_features.json": '{"0": [99999999999]}'}, "FEATURE_LISTS", "too large"),
        (MUSAE, {"musae_x_features.json": "{"}, "JSON_CORRUPT", "not JSON"),
        (MUSAE, {"musae_x_target.csv": "id,target\n0\n"}, "FIELDS", "line 2"),
        (LINQS, {"cora.content": "a\t1\tx\na\t0\ty\n"}, "NODE_ID", "got 'a' again"),
        (LINQS, {"cora.content": "a\t1\tx\nb\ty\n"}, "FIELDS", "line 2"),
        (LINQS, {"cora.content": "a\tq\tx\n"}, "FEATURE_DTYPE", "line 1"),
        (LINQS, {"cora.cites": "a\n"}, "FIELDS", "two names"),
        (LINQS, {"cora.cites": None}, "CANNOT_READ", "cora.cites: it is missing"),
    ],
)
def test_what_is_incomplete_or_damaged_is_refused(files, changes, code, message, tmp_path):
    with pytest.raises(DataError, match=message) as caught:
        read_graph(folder(tmp_path, files, **changes))
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("lists", "expected"),
    [
        ({"a": [1.5, 2], "b": [0, 1]}, [[1.5, 2], [0, 1]]),
        ({"a": [0, 0], "b": [0, 1]}, [[0, 0], [0, 1]]),
        ({"a": [-1, 0], "b": [3, 1]}, [[-1, 0], [3, 1]]),
        ({"a": [1], "b": [0, 2]}, [[0, 1, 0], [1, 0, 1]]),
    ],
)
def test_lists_of_numbers_or_of_indices(lists, expected, tmp_path):
    (tmp_path / "x.json").write_text(json.dumps(lists))
    (tmp_path / "e.csv").write_text("a,b\n")
    graph = read_graph(tmp_path / "e.csv", features=tmp_path / "x.json", header=False)
    assert graph.dense_x.tolist() == expected


@pytest.mark.row("L40")
@pytest.mark.parametrize("lists", [{"a": [1, 2], "b": [0, 2]}, {"a": [1.5], "b": [2.5, 1]}])
def test_lists_that_may_be_either_are_refused(lists, tmp_path):
    (tmp_path / "x.json").write_text(json.dumps(lists))
    (tmp_path / "e.csv").write_text("a,b\n")
    with pytest.raises(DataError) as caught:
        read_graph(tmp_path / "e.csv", features=tmp_path / "x.json", header=False)
    assert caught.value.code == "FEATURE_LISTS"


def test_a_folder_of_a_graph_is_not_one_of_images(tmp_path):
    path = folder(tmp_path, GEOM)
    assert is_graph_folder(path)
    assert not holds_images(path)
    assert holds_images(tmp_path)
