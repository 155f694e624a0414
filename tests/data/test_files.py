"""A graph in a file is that graph, bit for bit, or an error of one kind."""

import contextlib
import gzip
import json
import os
import struct
import zipfile

import networkx as nx
import numpy as np
import pandas as pd
import pytest
import scipy.io
import scipy.sparse as sp
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vgae.data.files import FORMATS, read_graph, read_npz, write_npz
from vgae.data.node_features import read_features
from vgae.errors import DataError, UsageError
from vgae.graphs.graph import Graph

EDGES = [[0, 1, 1, 3, 3], [1, 0, 2, 3, 4]]
SPARSE = sp.csr_array(np.diag([1.0, 0, 2, 3, 4]))
same_file = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def full_graph(x=SPARSE, node_ids=("a", "ä", "日本", "=1+1", "x\ny")):
    """One of everything: weights, sparse features, labels, names, notes, an isolated node."""
    return Graph.from_edges(
        EDGES,
        edge_weight=[0.1, 0.2, 1e-30, 7, 3],
        x=x,
        feature_names=() if x is None else [f"F{k}" for k in range(x.shape[1])],
        y=[0, 1, -1, 0, 1],
        label_names=["no", "yes"],
        node_ids=node_ids,
        name="full",
    )


def content_of(graph):
    """All that a graph holds, for comparison."""
    fields = ("num_nodes", "feature_names", "label_names", "node_ids", "name", "fingerprint")
    weight = None if graph.link_weight is None else graph.link_weight.numpy().tobytes()
    y = None if graph.y is None else graph.y.tolist()
    x = None if graph.x is None else (graph.x.layout, graph.x.dtype)
    return *(getattr(graph, field) for field in fields), dict(graph.notes), weight, y, x


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


def test_one_very_long_name_among_many_is_not_stored(tmp_path, monkeypatch):
    monkeypatch.setattr("vgae.data.graph_npz._MOST_NAMES", 4 * 2 * 100)
    graph = Graph.from_edges([["a" * 100], ["b"]])
    write_npz(graph, tmp_path / "a.npz")
    with pytest.raises(DataError, match="the longest has 101 characters") as caught:
        write_npz(Graph.from_edges([["a" * 101], ["b"]]), tmp_path / "b.npz")
    assert caught.value.code == "NODE_ID"
    assert not (tmp_path / "b.npz").exists()


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
        pytest.param({"link_weight": np.ones(2)}, "BAD_WEIGHT", id="weights of other links"),
        pytest.param({"link_weight": np.array([1, 1, np.nan])}, "BAD_WEIGHT", id="G12-NaN"),
        pytest.param({"link_weight": np.array([1, 1, -1])}, "NEGATIVE_WEIGHT", id="G11"),
        pytest.param({"feature_names": np.array(["a"])}, "FEATURE_NAMES", id="feature-names"),
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
        pytest.param("graph.doc", lambda p: p.write_text("0 1"), "FILE_FORMAT", id="suffix"),
        pytest.param("graph", lambda p: p.write_text("0 1"), "FILE_FORMAT", id="no suffix"),
        pytest.param("g.npz.gz", lambda p: p.write_text("0 1"), "FILE_FORMAT", id="npz in gzip"),
        pytest.param("empty.npz", lambda p: p.touch(), "FILE_EMPTY", id="L02"),
        pytest.param("empty.csv", lambda p: p.touch(), "FILE_EMPTY", id="L02-csv"),
        pytest.param("html.npz", lambda p: p.write_text("<html>"), "NOT_THE_FILE", id="L22-html"),
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


def test_a_file_of_before_weights_is_read(tmp_path):
    graph = Graph.from_edges(EDGES, x=np.eye(5), name="old")
    keys = ("format", "name", "num_nodes", "edges", "x", "notes")
    write_npz(graph, tmp_path / "new.npz")
    with np.load(tmp_path / "new.npz") as file:
        assert set(file["keys"].tolist()) == {"keys", *keys}
        np.savez(tmp_path / "old.npz", **{key: file[key] for key in keys})
    assert content_of(read_npz(tmp_path / "old.npz")) == content_of(graph)


@pytest.mark.row("L43")
@pytest.mark.parametrize(
    ("name", "cure"),
    [
        ("a.gpickle", r"from_networkx .*if you trust it"),
        ("a.XLSX", r"save its table of edges as \.csv"),
        ("a.dot", r"read_dot\); load it yourself, then call vgae\.Graph\.from_networkx"),
        ("a.sqlite", r"as \.csv"),
        ("a.RData", "igraph::write_graph"),
        ("a.graphmlz", r"rename it to \.graphml\.gz"),
        ("a.dgl", "dgl.to_networkx"),
        ("a.loom", "as .h5ad"),
        ("a.hdf5", "as .h5ad"),
        ("a.links", "--format edges"),
    ],
)
def test_a_format_that_is_not_read_names_the_way_to_convert_it(name, cure, tmp_path):
    (tmp_path / name).write_text("a b\nb c\n")
    with pytest.raises(DataError, match=cure) as caught:
        read_graph(tmp_path / name)
    assert caught.value.code == "FILE_FORMAT"
    assert len(str(caught.value).splitlines()) == 1


def test_a_format_can_be_given_for_any_suffix(tmp_path):
    (tmp_path / "a.links").write_text("a b\nb c\n")
    assert read_graph(tmp_path / "a.links", format="edges").num_links == 2
    (tmp_path / "a.xml").write_text("[[1, 2]]")
    assert read_graph(tmp_path / "a.xml", format=".JSON").num_links == 1


def test_labels_that_are_nowhere_are_not_forgotten(tmp_path):
    (tmp_path / "a.csv").write_text("a,b\n")
    with pytest.raises(UsageError, match="--label-column") as caught:
        read_graph(tmp_path / "a.csv", label_column="kind")
    assert caught.value.code == "LABEL_COLUMN"


LINKS = {("a", "b"): 1.5, ("b", "c"): 2.0, ("c", "d"): 0.5}
TABLE = pd.DataFrame([(*pair, weight) for pair, weight in LINKS.items()], columns=["u", "v", "w"])


def links_of(graph):
    """Weight of each link by the names of its nodes."""
    weight = [1.0] * graph.num_links if graph.link_weight is None else graph.link_weight.tolist()
    pairs = [(graph.ids[u], graph.ids[v]) for u, v in graph.links.T.tolist()]
    return dict(zip(pairs, weight, strict=True))


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("links.csv", lambda path: TABLE.to_csv(path, index=False)),
        ("links.CSV.GZ", lambda path: TABLE.to_csv(path, index=False, compression="gzip")),
        ("links.tsv", lambda path: TABLE.to_csv(path, index=False, sep="\t")),
        ("links.txt", lambda path: TABLE.to_csv(path, index=False, header=False, sep=" ")),
        ("links.edges", lambda path: TABLE.to_csv(path, index=False, header=False, sep=" ")),
        ("links.edgelist.gz", lambda path: TABLE.to_csv(path, index=False, sep=";")),
        ("links.parquet", lambda path: TABLE.to_parquet(path)),
    ],
)
def test_an_edge_list_is_the_same_graph_in_every_format(name, make, tmp_path):
    make(tmp_path / name)
    graph = read_graph(tmp_path / name)
    assert links_of(graph) == LINKS
    assert graph.name == "links"


def test_files_that_networkx_writes_are_read(tmp_path):
    there = nx.karate_club_graph()
    nx.write_weighted_edgelist(there, tmp_path / "a.edgelist")
    graph = read_graph(tmp_path / "a.edgelist")
    expected = Graph.from_networkx(there)
    assert graph.num_nodes == 34
    assert graph.node_ids is None
    assert torch.equal(graph.links, expected.links)
    assert torch.equal(graph.link_weight, expected.link_weight)


def packed_mtx(path, adj):
    with gzip.open(path, "wb") as file:
        scipy.io.mmwrite(file, adj * 1.0)


ADJ = sp.csr_array([[0, 1.5, 0, 0], [1.5, 0, 2, 0], [0, 2, 0, 0], [0, 0, 0, 0]])


@pytest.mark.parametrize("values", [ADJ, ADJ.astype(bool)], ids=["weights", "G30 truth values"])
@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("adj.npz", sp.save_npz),
        ("adj.npz", lambda path, adj: sp.save_npz(path, adj.tocoo())),
        ("adj.mtx", lambda path, adj: scipy.io.mmwrite(path, adj * 1.0)),
        ("adj.mtx.gz", packed_mtx),
    ],
)
def test_an_adjacency_is_the_graph_that_scipy_makes_of_it(values, name, write, tmp_path):
    write(tmp_path / name, values)
    graph = read_graph(tmp_path / name)
    assert content_of(graph) == content_of(Graph.from_scipy(values, name="adj"))
    assert graph.num_nodes == 4  # G14: the last one has no link
    assert (graph.link_weight is None) == (values.dtype == bool)


def test_zeros_and_repeats_of_an_adjacency_are_what_scipy_makes_of_them(tmp_path):
    adj = sp.coo_array(([1.0, 2, 0, 3], ([0, 0, 1, 1], [1, 1, 2, 0])), shape=(3, 3))
    sp.save_npz(tmp_path / "adj.npz", adj)
    assert links_of(read_graph(tmp_path / "adj.npz")) == {(0, 1): 3.0}  # G32


@pytest.mark.parametrize(
    ("adj", "code"),
    [
        (sp.csr_array((2, 3)), "NOT_SQUARE"),
        (sp.csr_array([[0, 1j], [1j, 0]]), "ADJ_DTYPE"),
        (sp.csr_array([[0, -1], [-1, 0]]), "NEGATIVE_WEIGHT"),
        (sp.csr_array([[0, np.nan], [1, 0]]), "BAD_WEIGHT"),
        (sp.csr_array((0, 0)), "GRAPH_EMPTY"),
    ],
    ids=["G30 not square", "G30 complex", "G11", "G12 NaN", "G01"],
)
def test_a_matrix_that_is_no_adjacency_is_refused(adj, code, tmp_path):
    sp.save_npz(tmp_path / "adj.npz", adj)
    with pytest.raises(DataError, match=r"adj\.npz: ") as caught:
        read_graph(tmp_path / "adj.npz")
    assert caught.value.code == code


def test_what_is_wrong_with_weights_of_parquet_names_the_file(tmp_path):
    TABLE.assign(w=[1, 0, 2]).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(DataError, match=r"a\.parquet: .*zero") as caught:
        read_graph(tmp_path / "a.parquet")
    assert caught.value.code == "ZERO_WEIGHT"
    assert read_graph(tmp_path / "a.parquet", drop_zero=True).num_links == 2


def written(path, text):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_loops_repeats_and_directions_are_counted(tmp_path):
    text = "a a\na b\na b\nb a\nb c\n10 a\n"
    graph = read_graph(written(tmp_path / "a.txt", text))
    assert links_of(graph) == {("a", "b"): 1, ("b", "c"): 1, ("10", "a"): 1}  # G05, G06, G07, G09
    assert graph.notes == {"self_loops": 1, "repeats": 1, "both_ways": 1, "one_way": 2}
    with pytest.raises(DataError, match=r"a\.txt: 2 links go one way only") as caught:
        read_graph(tmp_path / "a.txt", directed="error")  # G08
    assert caught.value.code == "DIRECTED"


def test_loops_alone_make_nodes_without_links(tmp_path):
    graph = read_graph(written(tmp_path / "a.txt", "a a\nb b\n"))  # G04
    assert (graph.num_nodes, graph.num_links, graph.notes) == (2, 0, {"self_loops": 2})


@pytest.mark.parametrize(("merge", "weight"), [("mean", 4), ("sum", 8), ("max", 7), ("first", 7)])
def test_repeats_are_merged_as_asked(merge, weight, tmp_path):
    path = written(tmp_path / "a.csv", "b,a,7\na,b,1\n")
    assert links_of(read_graph(path, merge=merge)) == {("a", "b"): weight}  # G10


def test_options_are_for_the_reader_of_text(tmp_path):
    path = written(tmp_path / "a.csv", "name|other|n\nä|b,c|0\nä|d|2".encode("latin-1"))
    layout = {"delimiter": "|", "header": True, "encoding": "latin-1"}
    graph = read_graph(path, **layout, drop_zero=True)
    assert links_of(graph) == {("d", "ä"): 2}
    assert graph.ids == ("b,c", "d", "ä")


@given(
    edges=st.lists(st.tuples(st.sampled_from("abcde"), st.sampled_from("abcde")), min_size=1),
    turned=st.randoms(use_true_random=False),
)
def test_order_direction_and_repeats_of_lines_do_not_change_the_graph(
    tmp_path_factory, edges, turned
):
    path = tmp_path_factory.getbasetemp() / "turned.txt"
    expected = read_graph(written(path, "\n".join(map(" ".join, edges))))
    again = [edge[:: turned.choice((1, -1))] for edge in edges * 2]
    turned.shuffle(again)
    graph = read_graph(written(path, "\r\n".join(map("\t".join, again))))
    assert graph.ids == expected.ids
    assert links_of(graph) == links_of(expected)


FEATURES = "id,age,height\nc,3,30\na,1,10\nb,2,20\n"


def test_features_find_their_nodes_by_name(tmp_path):
    links = written(tmp_path / "links.csv", "b,a\nb,c\n")
    graph = read_graph(links, features=written(tmp_path / "x.csv", FEATURES))
    assert graph.ids == ("a", "b", "c")
    assert graph.feature_names == ("age", "height")
    assert graph.x.tolist() == [[1, 10], [2, 20], [3, 30]]
    write_npz(graph, tmp_path / "graph.npz")
    assert content_of(read_graph(tmp_path / "graph.npz")) == content_of(graph)


def test_other_nodes_than_those_of_the_features_are_refused_or_filled(tmp_path):
    links = written(tmp_path / "links.csv", "d,a,2\na,b,3\n")
    x = written(tmp_path / "x.csv", FEATURES)
    with pytest.raises(DataError, match=r"links\.csv: .* 1 \('d'\) .* 1 \('c'\)") as caught:
        read_graph(links, features=x)  # G23
    assert caught.value.code == "NODE_SET_MISMATCH"
    graph = read_graph(links, features=x, missing_features="zero")
    assert graph.ids == ("a", "b", "c", "d")
    assert links_of(graph) == {("a", "b"): 3, ("a", "d"): 2}
    assert graph.x.tolist() == [[1, 10], [2, 20], [3, 30], [0, 0]]
    assert graph.num_isolated == 1


def test_rows_without_names_are_those_of_numbers(tmp_path):
    np.save(tmp_path / "x.npy", np.arange(8.0).reshape(4, 2))
    graph = read_graph(written(tmp_path / "a.txt", "2 0\n"), features=tmp_path / "x.npy")
    assert (graph.num_nodes, graph.node_ids, graph.links.tolist()) == (4, None, [[0], [2]])
    assert graph.x.tolist() == [[0, 1], [2, 3], [4, 5], [6, 7]]  # G14, G33
    with pytest.raises(DataError, match="no names, so that row i is node i"):
        read_graph(written(tmp_path / "a.txt", "2 4\n"), features=tmp_path / "x.npy")
    with pytest.raises(DataError, match="save them as npz with ids and x"):
        read_graph(written(tmp_path / "a.txt", "a b\n"), features=tmp_path / "x.npy")


@pytest.mark.parametrize("rows", [3, 5])
def test_rows_without_names_are_as_many_as_an_adjacency_has(rows, tmp_path):
    sp.save_npz(tmp_path / "adj.npz", ADJ)
    np.save(tmp_path / "x.npy", np.eye(rows))
    with pytest.raises(DataError) as caught:
        read_graph(tmp_path / "adj.npz", features=tmp_path / "x.npy")  # F02
    assert caught.value.code == "NODE_SET_MISMATCH"
    np.save(tmp_path / "x.npy", np.eye(4))
    graph = read_graph(tmp_path / "adj.npz", features=tmp_path / "x.npy")
    assert torch.equal(graph.x, torch.eye(4))


def test_a_graph_of_ours_takes_other_features_and_keeps_the_rest(tmp_path):
    graph = full_graph(node_ids=("c", "a", "b", "e", "d"))
    write_npz(graph, tmp_path / "graph.npz")
    np.savez(tmp_path / "x.npz", ids=list("abcde"), x=np.arange(5.0)[:, None])
    again = read_graph(tmp_path / "graph.npz", features=tmp_path / "x.npz")
    assert again.x.tolist() == [[2], [0], [1], [4], [3]]
    assert again.feature_names == ()
    kept = ("node_ids", "label_names", "name", "notes", "link_fingerprint")
    assert [getattr(again, name) for name in kept] == [getattr(graph, name) for name in kept]
    assert torch.equal(again.y, graph.y)
    assert links_of(again) == links_of(graph)


def test_nodes_that_features_bring_have_no_label(tmp_path):
    write_npz(full_graph(node_ids=("c", "a", "b", "e", "d")), tmp_path / "graph.npz")
    np.savez(tmp_path / "x.npz", ids=["aa", "c"], x=[[1], [2]])
    options = {"features": tmp_path / "x.npz", "missing_features": "zero"}
    graph = read_graph(tmp_path / "graph.npz", **options)
    assert graph.ids == ("a", "aa", "b", "c", "d", "e")
    assert graph.y.tolist() == [1, -1, -1, 0, 1, 0]
    assert graph.x.tolist() == [[0], [1], [0], [2], [0], [0]]
    before = links_of(full_graph(node_ids=("c", "a", "b", "e", "d")))
    assert {frozenset(k): v for k, v in links_of(graph).items()} == {
        frozenset(k): v for k, v in before.items()
    }


def test_what_is_wrong_with_features_names_their_file(tmp_path):
    links = written(tmp_path / "links.csv", "b,a\nb,c\n")
    x = written(tmp_path / "x.csv", "id,f\na,1\nb,old\n")
    with pytest.raises(DataError) as caught:
        read_graph(links, features=x)
    assert str(caught.value).startswith(
        f"{x}: each feature must be a number: 'f' is 'old' in line 3"
    )


def test_a_flipped_byte_of_a_file_is_one_kind_of_error_or_none(tmp_path):
    rng = np.random.default_rng(0)
    TABLE.to_parquet(tmp_path / "a.parquet")
    TABLE.to_csv(tmp_path / "a.csv", index=False)
    TABLE.to_csv(tmp_path / "a.csv.gz", index=False)
    sp.save_npz(tmp_path / "a.npz", ADJ)
    scipy.io.mmwrite(tmp_path / "a.mtx", ADJ)
    for path in sorted(tmp_path.iterdir()):
        content = path.read_bytes()
        for position in rng.integers(0, len(content), 60):
            damaged = bytearray(content)
            damaged[position] = rng.integers(0, 256)
            with contextlib.suppress(DataError):
                read_graph(written(path, bytes(damaged)))


PEOPLE = "name,age,town,team\na,20,Ulm,x\nb,,Ulm,\nc,30,Bern,y\nd,25,Bern,x\n"


@pytest.fixture
def people(tmp_path):
    links = written(tmp_path / "links.csv", "b,a\nb,c\nd,a\n")
    return links, written(tmp_path / "people.csv", PEOPLE)


def test_a_table_of_people_is_encoded_and_its_encoder_is_stored(people, tmp_path):
    graph = read_graph(people[0], features=people[1], encode="auto", label_column="team")
    assert graph.feature_names == ("age", "age=missing", "town=Bern", "town=Ulm")
    assert graph.dense_x[:, 1:].tolist() == [[0, 0, 1], [1, 0, 1], [0, 1, 0], [0, 1, 0]]
    assert (graph.y.tolist(), graph.label_names) == ([0, -1, 1, 0], ("x", "y"))
    write_npz(graph, tmp_path / "graph.npz")
    back = read_npz(tmp_path / "graph.npz")
    assert back.feature_encoder == graph.feature_encoder
    assert back.fingerprint == graph.fingerprint
    assert back.without_features().feature_encoder is None
    for encode in (graph.feature_encoder, graph.feature_encoder.to_dict()):
        again = read_graph(people[0], features=people[1], encode=encode, label_column="team")
        assert again.fingerprint == graph.fingerprint
        assert again.feature_encoder == graph.feature_encoder


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"feature_encoder": np.array("{}")}, "feature_encoder: .* not readable"),
        ({"feature_encoder": np.array("[[[")}, "feature_encoder: "),
        ({"feature_names": np.array(list("abcd"))}, "other features than those of x"),
    ],
)
def test_a_stored_encoder_that_does_not_fit_is_refused(people, tmp_path, change, words):
    graph = read_graph(people[0], features=people[1], encode="auto", label_column="team")
    write_npz(graph, tmp_path / "graph.npz")
    with np.load(tmp_path / "graph.npz") as file:
        np.savez(tmp_path / "graph.npz", **{**file, **change})
    with pytest.raises(DataError, match=words) as caught:
        read_npz(tmp_path / "graph.npz")
    assert caught.value.code == "NPZ_CORRUPT"


def test_a_table_of_labels_alone_leaves_the_features_of_a_graph(people, tmp_path):
    labels = written(tmp_path / "labels.csv", "id,team\na,x\nb,\nc,y\nd,x\n")
    graph = read_graph(people[0], features=labels, label_column="team")
    assert (graph.x, graph.y.tolist()) == (None, [0, -1, 1, 0])
    graph = read_graph(people[0], features=people[1], encode={"team": "drop"})
    write_npz(graph, tmp_path / "graph.npz")
    more = read_graph(tmp_path / "graph.npz", features=labels, label_column="team")
    assert more.fingerprint == graph.fingerprint
    assert (more.y.tolist(), more.feature_encoder) == ([0, -1, 1, 0], graph.feature_encoder)


def test_nodes_without_a_row_get_zeros_or_means_and_no_label(people, tmp_path):
    few = written(tmp_path / "few.csv", "id,age,team\na,1,x\nb,4,y\nz,1,x\n")
    how = {"features": few, "label_column": "team"}
    for missing, value in (("zero", 0), ("mean", 2)):
        graph = read_graph(people[0], missing_features=missing, **how)
        assert graph.ids == ("a", "b", "c", "d", "z")
        assert graph.x[:, 0].tolist() == [1, 4, value, value, 1]
        assert graph.y.tolist() == [0, 1, -1, -1, 0]
    with pytest.raises(DataError, match=r"2 \('c', 'd'\).*'zero' or 'mean'.*column 'id'"):
        read_graph(people[0], **how)


@pytest.mark.parametrize("option", [{"encode": "auto"}, {"label_column": "a"}, {"id_column": "a"}])
@pytest.mark.parametrize("features", [None, "x.npy"])
def test_options_of_tables_without_a_table_are_refused(people, option, features, tmp_path):
    np.save(tmp_path / "x.npy", np.eye(4))
    features = None if features is None else tmp_path / features
    with pytest.raises(UsageError, match="about a table of nodes") as caught:
        read_graph(people[0], features=features, **option)
    assert caught.value.code == next(iter(option)).upper()


LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"


@pytest.mark.row("L48")
@pytest.mark.parametrize("suffix", sorted({s for f in FORMATS.values() for s in f.suffixes}))
def test_a_pointer_or_a_page_in_place_of_a_file_is_told(suffix, tmp_path):
    for text in (LFS, "\n<!DOCTYPE html><title>404</title>"):
        path = tmp_path / f"x{suffix}"
        path.write_text(text)
        for read in (read_graph, read_features):
            with pytest.raises(DataError) as caught:
                read(path)
            assert caught.value.code == "NOT_THE_FILE"


@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("a.npz", {"header": True}),
        ("a.npy", {"columns": ("a", "b")}),
        ("a.mtx", {"drop_zero": True}),
        ("a.graphml", {"columns": ("a", "b")}),
        ("a.gml", {"missing_features": "zero"}),
        ("a.parquet", {"delimiter": ","}),
        ("a.csv", {"missing_features": "mean"}),
    ],
    ids=["L49-npz", "L49-npy", "L49-mtx", "L49-graphml", "L49-gml", "L49-parquet", "L49-csv"],
)
def test_an_option_that_a_format_does_not_take_is_refused(name, option, tmp_path):
    (tmp_path / name).write_bytes(b"x")
    if name == "a.npy":
        np.save(tmp_path / name, np.array([[0, 1], [1, 2], [2, 3], [3, 4]]))
    with pytest.raises(UsageError, match="does not take") as caught:
        read_graph(tmp_path / name, **option)
    assert caught.value.code == "OPTION"


@pytest.mark.parametrize("name", ["e.npz", "e.npy"])
def test_weights_in_arrays_are_left_out_and_edges_of_weight_zero_too(name, tmp_path):
    edges, weight = np.array([[0, 1, 2], [1, 2, 3]]), np.array([2.5, 1, 0])
    if name == "e.npz":
        np.savez(tmp_path / name, edge_index=edges, edge_weight=weight)
    else:
        np.save(tmp_path / name, np.vstack([edges, weight]).T[[0, 1, 2, 0]])
    plain = read_graph(tmp_path / name, weight="none")
    assert (plain.links.tolist(), plain.link_weight) == ([[0, 1, 2], [1, 2, 3]], None)
    dropped = read_graph(tmp_path / name, drop_zero=True)
    assert (dropped.num_nodes, dropped.links.tolist()) == (4, [[0, 1], [1, 2]])
    assert dropped.link_weight.tolist() == [2.5, 1]


def test_weights_of_an_adjacency_have_no_column(tmp_path):
    sp.save_npz(tmp_path / "a.npz", sp.csr_array([[0, 2.0], [2.0, 0]]))
    assert read_graph(tmp_path / "a.npz").link_weight.tolist() == [2]
    assert read_graph(tmp_path / "a.npz", weight="none").link_weight is None
    with pytest.raises(UsageError) as caught:
        read_graph(tmp_path / "a.npz", weight="cost")
    assert caught.value.code == "WEIGHT_COLUMN"


def test_a_stored_graph_that_went_one_way_is_refused_where_that_is_an_error(tmp_path):
    write_npz(
        Graph.from_edges([[0, 1], [1, 2]], edge_weight=[2, 3], ordered=True), tmp_path / "g.npz"
    )
    with pytest.raises(DataError) as caught:
        read_graph(tmp_path / "g.npz", directed="error")
    assert caught.value.code == "DIRECTED"
    assert read_graph(tmp_path / "g.npz", weight="none").link_weight is None
