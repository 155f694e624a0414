"""The npz format of this package; tests/data/test_files.py has its round trips."""

import numpy as np
import pytest

from vgae.data.files import read_graph
from vgae.data.graph_npz import graph_name, is_stored_graph, read_npz, write_npz
from vgae.errors import DataError
from vgae.graphs.collection import GraphCollection
from vgae.graphs.graph import Graph


def test_a_stored_graph_is_recognised_and_read_by_both_readers(tmp_path):
    graph = Graph.from_edges([["a", "b"], ["b", "c"]], name="mine")
    write_npz(graph, tmp_path / "g.npz")
    with np.load(tmp_path / "g.npz") as content:
        assert is_stored_graph(dict(content))
    assert not is_stored_graph({"edges": np.zeros((2, 1))})
    for read in (read_npz, read_graph):
        assert read(tmp_path / "g.npz").fingerprint == graph.fingerprint
        assert read(tmp_path / "g.npz").name == "mine"


def test_a_name_that_is_no_text_gets_question_marks(tmp_path):
    assert graph_name(tmp_path / "a.b.npz") == "a.b"
    assert graph_name(tmp_path / "a\udcff.npz") == "a?"


def collection(**more):
    parts = [Graph.from_edges([[0, 1], [1, 2]], node_ids="abc"), Graph.from_edges([[0], [1]])]
    return GraphCollection.from_graphs(parts, **more)


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"names": ["p:q", "r"], "y": ["u", "v"], "name": "mine"},
        {"y": [-1, 1], "label_names": ["no", "yes"]},
        {"y": [0, -1]},
    ],
)
def test_a_collection_comes_back(more, tmp_path):
    graphs = collection(**more)
    write_npz(graphs, tmp_path / "g.npz")
    with np.load(tmp_path / "g.npz") as content:
        assert str(content["format"]) == "vgae-graph-4"
    for read in (read_npz, read_graph):
        again = read(tmp_path / "g.npz")
        assert isinstance(again, GraphCollection)
        assert again.fingerprint == graphs.fingerprint
        assert again.ids == graphs.ids
        assert again.summary() == graphs.summary()
        for name in ("graph_names", "graph_label_names", "name"):
            assert getattr(again, name) == getattr(graphs, name)
        labels = (None if g.graph_y is None else g.graph_y.tolist() for g in (again, graphs))
        assert next(labels) == next(labels)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"sizes": np.array([3, 3])}, "NPZ_CORRUPT"),
        ({"sizes": np.array([5, -1, 1])}, "NPZ_CORRUPT"),
        ({"sizes": np.array([2, 3])}, "COLLECTION"),
        ({"graph_names": np.array(["a", "a"])}, "COLLECTION"),
        ({"graph_names": np.array(["a"])}, "COLLECTION"),
        ({"graph_y": np.array([0, 5])}, "NPZ_CORRUPT"),
        ({"graph_y": np.array([0])}, "LABELS"),
        ({"graph_y": np.array([0.5, 1])}, "LABELS"),
    ],
)
def test_a_damaged_collection_is_refused(changes, code, tmp_path):
    write_npz(collection(names="pq", y=["u", "v"]), tmp_path / "g.npz")
    with np.load(tmp_path / "g.npz") as content:
        arrays = {**content, **changes}
    np.savez(tmp_path / "g.npz", **arrays)
    with pytest.raises(DataError) as caught:
        read_graph(tmp_path / "g.npz")
    assert caught.value.code == code
