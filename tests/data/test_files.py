"""A graph in a file is that graph, bit for bit, or an error of one kind."""

import json
import os
import struct
import zipfile

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vgae.data.files import read_graph, read_npz, write_npz
from vgae.errors import DataError
from vgae.graph import Graph

EDGES = [[0, 1, 1, 3, 3], [1, 0, 2, 3, 4]]
SPARSE = sp.csr_array(np.diag([1.0, 0, 2, 3, 4]))
same_file = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def full_graph(x=SPARSE, node_ids=("a", "ä", "日本", "=1+1", "x\ny")):
    """One of everything: sparse features, labels, names, notes, an isolated node."""
    return Graph.from_edges(
        EDGES, x=x, y=[0, 1, -1, 0, 1], label_names=["no", "yes"], node_ids=node_ids, name="full"
    )


def content_of(graph):
    """All that a graph holds, for comparison."""
    fields = ("num_nodes", "label_names", "node_ids", "name", "fingerprint")
    y = None if graph.y is None else graph.y.tolist()
    x = None if graph.x is None else (graph.x.layout, graph.x.dtype)
    return *(getattr(graph, field) for field in fields), dict(graph.notes), y, x


def stored(graph, path):
    write_npz(graph, path)
    return path.read_bytes()


def read(path, content):
    path.write_bytes(content)
    return read_npz(path)


@pytest.mark.parametrize(
    "graph",
    [
        pytest.param(full_graph(), id="sparse"),
        pytest.param(full_graph(x=np.random.default_rng(0).random((5, 3))), id="dense"),
        pytest.param(full_graph(x=None), id="no features"),
        pytest.param(full_graph(x=sp.csr_array((5, 4))), id="no entries"),
        pytest.param(full_graph(node_ids=None), id="no names"),
        pytest.param(full_graph(node_ids=(7, -1, 2**62, 0, 4_000_000_000)), id="integer names"),
        pytest.param(full_graph(node_ids=("", " ", "\0a", "\t", "0")), id="odd names"),
        pytest.param(Graph.from_edges(EDGES, name=""), id="edges only"),
        pytest.param(Graph.from_edges([], num_nodes=1), id="one node"),
    ],
)
def test_a_graph_is_read_as_it_was_written(graph, tmp_path):
    write_npz(graph, tmp_path / "graph.npz")
    assert content_of(read_graph(tmp_path / "graph.npz")) == content_of(graph)
    assert [file.name for file in tmp_path.iterdir()] == ["graph.npz"]


@same_file
@given(
    st.lists(st.text(max_size=5), min_size=5, max_size=5, unique=True)
    | st.lists(st.integers(-(2**65), 2**65), min_size=5, max_size=5, unique=True)
    | st.lists(st.integers() | st.text(max_size=2), min_size=5, max_size=5, unique=True)
)
def test_names_are_read_as_they_were_written_or_refused_on_writing(tmp_path, names):
    graph = Graph.from_edges(EDGES, node_ids=names)
    try:
        write_npz(graph, tmp_path / "graph.npz")
    except DataError as caught:
        assert caught.code == "NODE_ID"  # noqa: PT017 - not every draw is refused
        return
    assert content_of(read_npz(tmp_path / "graph.npz")) == content_of(graph)


@pytest.mark.parametrize(
    "names",
    [
        pytest.param({"node_ids": ["a", 1, 2, 3, 4]}, id="mixed"),
        pytest.param({"node_ids": [2**64, 1, 2, 3, 4]}, id="G25-beyond-64-bits"),
        pytest.param({"node_ids": [2**63, -1, 2, 3, 4]}, id="G25-2**63"),
        pytest.param({"node_ids": ["a\0", "a", "b", "c", "d"]}, id="trailing-nul"),
        pytest.param({"label_names": ["a\0", "a"], "y": [0] * 5}, id="label-trailing-nul"),
        pytest.param({"name": "graph\0"}, id="name-trailing-nul"),
    ],
)
def test_names_that_numpy_would_change_are_refused_on_writing(names, tmp_path):
    with pytest.raises(DataError, match="names must be all strings") as caught:
        write_npz(Graph.from_edges(EDGES, num_nodes=5, **names), tmp_path / "graph.npz")
    assert caught.value.code == "NODE_ID"
    assert not (tmp_path / "graph.npz").exists()


def test_a_name_without_suffix_is_written_to(tmp_path):
    """It once left an empty file, and the content under a hidden name."""
    write_npz(full_graph(), tmp_path / "graph")
    assert content_of(read_npz(tmp_path / "graph")) == content_of(full_graph())
    assert [file.name for file in tmp_path.iterdir()] == ["graph"]


def test_a_flipped_bit_is_an_error_or_changes_nothing(tmp_path):
    """Zip checksums the content only: in its directory, every byte is tried.

    A flip there once dropped members, and the list of them, without an error.
    """
    content = stored(full_graph(), tmp_path / "graph.npz")
    expected = content_of(full_graph())
    directory = content.index(b"PK\1\2")
    for position in (*range(0, directory, 7), *range(directory, len(content))):
        damaged = bytearray(content)
        damaged[position] ^= 1 << position * 3 % 8
        try:
            graph = read(tmp_path / "flip.npz", damaged)
        except DataError:
            continue
        assert content_of(graph) == expected, position


def test_a_truncated_file_is_an_error(tmp_path):
    content = stored(full_graph(), tmp_path / "graph.npz")
    for length in range(0, len(content), 17):
        with pytest.raises(DataError, match=r"cut\.npz"):
            read(tmp_path / "cut.npz", content[:length])


def changed(tmp_path, change):
    """The file of the full graph with some arrays replaced, or left out where None."""
    write_npz(full_graph(), tmp_path / "graph.npz")
    with np.load(tmp_path / "graph.npz") as file:
        content = {**file, **change}
    np.savez(tmp_path / "changed.npz", **{k: v for k, v in content.items() if v is not None})
    return tmp_path / "changed.npz"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        pytest.param({"y": np.array([{}, 1], object)}, "PICKLE_REFUSED", id="L20-object"),
        pytest.param({"edges": np.array(None)}, "PICKLE_REFUSED", id="L20-edges"),
        *(
            pytest.param({key: None}, "NPZ_KEYS", id=f"L21-{key}")
            for key in ("format", "num_nodes", "edges", "x_data", "x_shape", "y", "node_ids")
        ),
        pytest.param({"format": np.array("other")}, "NPZ_KEYS", id="L21-format"),
        pytest.param({"keys": np.array(3)}, "NPZ_CORRUPT", id="keys-number"),
        pytest.param({"keys": np.array([["a"]])}, "NPZ_CORRUPT", id="keys-2d"),
        pytest.param({"num_nodes": np.array([1, 2])}, "NPZ_CORRUPT", id="nodes-two"),
        pytest.param({"num_nodes": np.array(np.inf)}, "NPZ_CORRUPT", id="nodes-inf"),
        pytest.param({"num_nodes": np.array("five")}, "NPZ_CORRUPT", id="nodes-text"),
        pytest.param({"num_nodes": np.array(4.5)}, "NPZ_CORRUPT", id="nodes-fraction"),
        pytest.param({"num_nodes": np.array(4)}, "INDEX_RANGE", id="G29"),
        pytest.param({"edges": np.array([[0.0], [1]])}, "EDGE_INDEX_DTYPE", id="G27"),
        pytest.param({"notes": np.array("[1]")}, "NPZ_CORRUPT", id="notes-list"),
        pytest.param({"notes": np.array('{"repeats": "x"}')}, "NPZ_CORRUPT", id="notes-text"),
        pytest.param({"notes": np.array("{")}, "NPZ_CORRUPT", id="notes-json"),
        pytest.param({"notes": np.array("[" * 10**5)}, "NPZ_CORRUPT", id="notes-deep"),
        pytest.param({"node_ids": np.array("abcde")}, "NPZ_CORRUPT", id="ids-scalar"),
        pytest.param({"node_ids": np.arange(5.0)}, "NODE_ID", id="G26"),
        pytest.param({"node_ids": np.array([["a"]] * 5)}, "NPZ_CORRUPT", id="ids-2d"),
        pytest.param({"label_names": np.array(3)}, "NPZ_CORRUPT", id="labels-scalar"),
        pytest.param({"x_indices": np.array([0, 2, 3, 9])}, "SPARSE_CORRUPT", id="G31-index"),
        pytest.param({"x_indices": np.array([0, 2, 3, -1])}, "SPARSE_CORRUPT", id="G31-negative"),
        pytest.param({"x_indices": np.array([0.5] * 4)}, "SPARSE_CORRUPT", id="G31-float"),
        pytest.param(
            {"x_indptr": np.array([0, 9, 1, 2, 3, 4])}, "SPARSE_CORRUPT", id="G31-indptr"
        ),
        pytest.param({"x_indptr": np.array([0, 1, 1, 2, 3, 3])}, "SPARSE_CORRUPT", id="G31-short"),
        pytest.param({"x_indptr": np.array([0, 4])}, "SPARSE_CORRUPT", id="G31-rows"),
        pytest.param({"x_data": np.ones((4, 1))}, "SPARSE_CORRUPT", id="G31-data"),
        pytest.param({"x_data": np.array(["a"] * 4)}, "FEATURE_DTYPE", id="G31-text"),
        pytest.param({"x_data": np.full(4, np.nan)}, "FEATURE_NONFINITE", id="F01"),
        pytest.param({"x_shape": np.array(5)}, "SPARSE_CORRUPT", id="shape-scalar"),
        pytest.param({"x_shape": np.array([5, -5])}, "SPARSE_CORRUPT", id="shape-negative"),
        pytest.param({"x_shape": np.array([5, 2.5])}, "SPARSE_CORRUPT", id="shape-fraction"),
        pytest.param({"x_shape": np.array([5, 5, 1])}, "SPARSE_CORRUPT", id="shape-3d"),
        pytest.param(
            {"x_shape": np.array([2**63, 5], np.uint64)}, "SPARSE_CORRUPT", id="shape-big"
        ),
    ],
)
def test_a_file_with_other_content_is_refused(change, code, tmp_path):
    with pytest.raises(DataError) as caught:
        read_graph(changed(tmp_path, change))
    assert caught.value.code == code


def test_missing_keys_are_named(tmp_path):
    with pytest.raises(DataError, match=r"must hold .*edges.*found keys, format, name, num_nodes"):
        read_npz(changed(tmp_path, {"edges": None}))


def npy(header):
    text = str(header).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


@pytest.mark.parametrize(
    "header",
    [
        pytest.param(
            {"descr": "<i8", "fortran_order": False, "shape": (2, 2**50)}, id="L23-2**51"
        ),
        pytest.param(
            {"descr": "<i8", "fortran_order": False, "shape": (2, 2**70)}, id="L23-2**70"
        ),
        pytest.param({"descr": "<i8", "fortran_order": False, "shape": (-2, 1)}, id="negative"),
        pytest.param({"descr": "<q9", "fortran_order": False, "shape": (2, 1)}, id="dtype"),
        pytest.param({"descr": "<i8", 5: False, "shape": (2, 1)}, id="keys"),
        pytest.param("{[]: 1}", id="unhashable"),
        pytest.param("(" * 500, id="brackets"),
        pytest.param("{'descr': 1 0L", id="syntax"),
    ],
)
def test_a_header_that_lies_is_refused(header, tmp_path):
    write_npz(full_graph(), tmp_path / "graph.npz")
    with (
        zipfile.ZipFile(tmp_path / "graph.npz") as old,
        zipfile.ZipFile(tmp_path / "lie.npz", "w") as new,
    ):
        for name in old.namelist():
            new.writestr(name, npy(header) if name == "edges.npy" else old.read(name))
    with pytest.raises(DataError) as caught:
        read_npz(tmp_path / "lie.npz")
    assert caught.value.code == "NPZ_CORRUPT"


def npy_file(path):
    with path.open("wb") as file:
        np.save(file, np.ones(3))


def fifo(path):
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("name", "make", "code"),
    [
        pytest.param("none.npz", lambda path: None, "CANNOT_READ", id="L01-missing"),
        pytest.param("folder.npz", lambda path: path.mkdir(), "CANNOT_READ", id="L01-directory"),
        pytest.param("pipe.npz", fifo, "CANNOT_READ", id="L01-fifo"),
        pytest.param("a.npz", lambda p: p.symlink_to(p), "CANNOT_READ", id="L01-symlink-loop"),
        pytest.param("a" * 300 + ".npz", lambda path: None, "CANNOT_READ", id="L01-long-name"),
        pytest.param("a\0.npz", lambda path: None, "CANNOT_READ", id="L01-nul"),
        pytest.param("graph.txt", lambda p: p.write_text("0 1"), "FILE_FORMAT", id="suffix"),
        pytest.param("empty.npz", lambda p: p.touch(), "NPZ_CORRUPT", id="L02"),
        pytest.param("html.npz", lambda p: p.write_text("<html>"), "NPZ_CORRUPT", id="L22-html"),
        pytest.param("zip.npz", lambda p: p.write_bytes(b"PK\3\4"), "NPZ_CORRUPT", id="L22-zip"),
        pytest.param("array.npz", npy_file, "NPZ_CORRUPT", id="L22-npy"),
        pytest.param(
            "j.npz", lambda p: p.write_text(json.dumps([])), "NPZ_CORRUPT", id="L22-json"
        ),
    ],
)
def test_a_path_without_a_graph_is_refused(name, make, code, tmp_path):
    make(tmp_path / name)
    with pytest.raises(DataError) as caught:
        read_graph(tmp_path / name)
    assert caught.value.code == code


def test_a_pickle_in_the_place_of_a_graph_is_not_opened(tmp_path):
    torch.save({"x": 1}, tmp_path / "torch.npz", _use_new_zipfile_serialization=False)
    with pytest.raises(DataError):
        read_graph(tmp_path / "torch.npz")
