"""The npz format of this package; tests/data/test_files.py has its round trips."""

import numpy as np

from vgae.data.files import read_graph
from vgae.data.graph_npz import graph_name, is_stored_graph, read_npz, write_npz
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
