import gc
import hashlib
import os
import pickle
import struct
import subprocess
import time
import warnings
from builtins import exec as builtin_exec
from collections import defaultdict
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from vgae.data import catalog
from vgae.data._stub_pickle import MAX_FILE_BYTES, read_adjacency, read_csr, read_matrix
from vgae.data.planetoid import load_planetoid, public_split, read_planetoid
from vgae.errors import DataError, UsageError, VgaeError
from vgae.graphs.graph import Graph

NAMES = ("cora", "citeseer", "pubmed")
PICKLED = ("x", "tx", "allx", "y", "ty", "ally", "graph")


class Python2Pickler(pickle._Pickler):  # type: ignore
    """Writes what the authors of Planetoid's files wrote with: Python 2, old module names."""

    dispatch: ClassVar = dict(pickle._Pickler.dispatch)  # type: ignore

    def save_text(self, value):
        raw = value.encode("latin1") if isinstance(value, str) else value
        if len(raw) < 256:
            self.write(b"U" + bytes([len(raw)]) + raw)
        else:
            self.write(b"T" + struct.pack("<i", len(raw)) + raw)
        self.memoize(value)

    def save_global(self, value, name=None):
        module = {"csr_matrix": "scipy.sparse.csr", "_reconstruct": "numpy.core.multiarray"}
        if value.__name__ in module:
            self.write(f"c{module[value.__name__]}\n{value.__name__}\n".encode())
            self.memoize(value)
        else:
            super().save_global(value, name)

    dispatch[bytes] = dispatch[str] = save_text
    dispatch[type] = save_global
    dispatch[type(len)] = save_global


def write_pickle(path: Path, value: Any) -> None:
    with path.open("wb") as file:
        Python2Pickler(file, 2).dump(value)


def toy_parts() -> dict[str, Any]:
    """Eleven nodes: 0 to 4 known; 9, 6, 10, 5 tested in this order; 7 and 8 in no file but graph.

    Row k of the features is k + 1 in column k mod 3, so that the rows tell where they came from.
    """
    known = np.zeros((5, 3), np.float32)
    known[np.arange(5), np.arange(5) % 3] = np.arange(1, 6)
    tested = np.zeros((4, 3), np.float32)
    tested[np.arange(4), np.arange(4) % 3] = np.arange(11, 15)
    graph = {0: [1, 1, 2], 1: [0], 2: [2, 0, 9], 3: [10], 4: [5, 6]}
    graph |= {5: [4], 6: [4], 7: [], 8: [], 9: [2], 10: [3]}
    return {
        "allx": sp.csr_matrix(known),
        "tx": sp.csr_matrix(tested),
        "x": sp.csr_matrix(known[:3]),
        "ally": np.eye(2, dtype=np.int32)[[0, 1, 0, 1, 0]],
        "ty": np.eye(2, dtype=np.int32)[[1, 1, 0, 1]],
        "y": np.eye(2, dtype=np.int32)[[0, 1, 0]],
        "graph": defaultdict(list, graph),
        "test.index": "9\n6\n10\n5\n",
    }


def write_toy(folder: Path, **changes: Any) -> dict[str, Path]:
    """Write the toy set with the parts in `changes` put in; bytes are written as they are."""
    files = {}
    folder.mkdir(parents=True, exist_ok=True)
    for part, value in (toy_parts() | changes).items():
        path = files[f"ind.toy.{part}"] = folder / f"ind.toy.{part}"
        if part == "test.index":
            value = value.encode()
        if isinstance(value, bytes):
            path.write_bytes(value)
        else:
            write_pickle(path, value)
    return files


@pytest.fixture
def toy(tmp_path) -> dict[str, Path]:
    return write_toy(tmp_path / "toy")


@pytest.fixture
def toy_catalogue(tmp_path, monkeypatch) -> dict[str, Path]:
    """A catalogue that holds the toy set alone, with its files in place and no network."""
    files = write_toy(tmp_path / "home" / "planetoid")
    lines = ['[toy]\ntitle = "Toy"\nkind = "planetoid"\nlicence = "CC0"\n[toy.files]']
    for name, path in files.items():
        content = path.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        lines.append(f'"{name}" = {{ bytes = {len(content)}, sha256 = "{digest}" }}')
    (tmp_path / "catalog.toml").write_text("\n".join(lines))
    monkeypatch.setattr(catalog, "datasets_dir", lambda: tmp_path)
    monkeypatch.setenv("VGAE_DATA", str(tmp_path / "home"))
    monkeypatch.setenv("VGAE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("VGAE_OFFLINE", "1")
    return files


def real_files(name: str, *parts: str) -> dict[str, Path]:
    """Return verified files of a published data set, or skip."""
    if "VGAE_DATA" not in os.environ:
        pytest.skip("VGAE_DATA does not say where the published files are")
    entry = catalog.entry(name)
    status = catalog.verify(entry)
    wanted = [f"ind.{name}.{part}" for part in parts]
    if absent := [file for file in wanted if status[file] != "ok"]:
        pytest.skip(f"VGAE_DATA lacks {', '.join(absent)}")
    return {file: catalog.locate(entry)[file] for file in wanted}


def same_graph(left: Graph, right: Graph) -> bool:
    labels = (left.y is None) == (right.y is None)
    if left.y is not None and right.y is not None:
        labels = torch.equal(left.y, right.y)
    return left.fingerprint == right.fingerprint and labels


def unpickle(path: Path) -> Any:
    """Unpickle for comparison; the files that come here are verified or written by the test."""
    with warnings.catch_warnings(), path.open("rb") as file:
        warnings.simplefilter("ignore")
        return pickle.load(file, encoding="latin1")


def assert_reader_equals_unpickler(path: Path) -> None:
    expected = unpickle(path)
    if isinstance(expected, dict):
        assert read_adjacency(path) == expected
    elif isinstance(expected, np.ndarray):
        got = read_matrix(path)
        assert got.dtype == expected.dtype
        np.testing.assert_array_equal(got, expected)
    else:
        got = read_csr(path)
        assert got.shape == expected.shape
        for attribute in ("data", "indices", "indptr"):
            one, other = getattr(got, attribute), getattr(expected, attribute)
            assert one.dtype == other.dtype
            np.testing.assert_array_equal(one, other)


# The published files.


@pytest.mark.parametrize("part", PICKLED)
@pytest.mark.parametrize("name", NAMES)
def test_the_reader_equals_pickle_on_published_files(name, part):
    for path in real_files(name, part).values():
        assert_reader_equals_unpickler(path)


@pytest.mark.parametrize(
    ("name", "nodes", "links", "features", "isolated", "notes"),
    [
        # 10,858 entries, 10,556 distinct, none a loop, in both directions: 10,556 / 2 links.
        ("cora", 2708, 5278, 1433, 0, {"repeats": 302}),
        # 9,464 entries, 248 of them loops, 9,104 distinct others.
        ("citeseer", 3327, 4552, 3703, 48, {"self_loops": 248, "repeats": 112}),
        # 88,676 entries, 6 of them loops, 88,648 distinct others; no features without allx.
        ("pubmed", 19717, 44324, 0, 0, {"self_loops": 6, "repeats": 22}),
    ],
)
def test_published_sets_have_their_published_sizes(name, nodes, links, features, isolated, notes):
    parts = ["graph", "test.index", "ally", "ty"] + (["allx", "tx"] if features else [])
    files = real_files(name, *parts)
    graph = read_planetoid(files, name, features="raw" if features else "none")
    assert (graph.num_nodes, graph.num_links, graph.num_features) == (nodes, links, features)
    assert graph.num_isolated == isolated
    assert graph.notes == notes
    counts = catalog.entry(name).counts
    assert (counts["nodes"], counts["links"], counts["isolated"]) == (nodes, links, isolated)
    assert features in (0, counts["features"])
    assert graph.y is not None
    assert graph.y.max() + 1 == counts["classes"]


@pytest.mark.parametrize(("name", "unlabelled"), [("cora", 0), ("citeseer", 15)])
def test_published_sets_equal_those_of_pyg(name, unlabelled):
    """PyG gives label 0 to CiteSeer's 15 nodes that have no row; here they have none, -1."""
    from torch_geometric.io import read_planetoid_data

    files = real_files(name, *PICKLED, "test.index")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = read_planetoid_data(str(files[f"ind.{name}.graph"].parent), name)
    graph = read_planetoid(files, name)
    assert expected.edge_index is not None
    ours, theirs = (
        set(zip(*e.tolist(), strict=True)) for e in (graph.edge_index, expected.edge_index)
    )
    assert ours == theirs
    assert graph.x is not None
    torch.testing.assert_close(graph.x.to_dense(), expected.x, rtol=0, atol=0)
    assert graph.y is not None
    assert (graph.y == -1).sum() == unlabelled
    assert torch.equal(graph.y.clamp(min=0), expected.y)


def test_pubmed_without_allx_has_links_and_says_what_its_features_lack(tmp_path, monkeypatch):
    real_files("pubmed", "graph", "test.index", "ally", "ty", "tx")
    if "ind.pubmed.allx" in catalog.locate(catalog.entry("pubmed")):
        pytest.skip("ind.pubmed.allx is there")
    monkeypatch.setenv("VGAE_OFFLINE", "1")
    monkeypatch.setenv("VGAE_CACHE", str(tmp_path))
    assert load_planetoid("pubmed", features="none").num_links == 44324
    with pytest.raises(DataError) as caught:
        load_planetoid("pubmed")
    assert caught.value.code == "OFFLINE"
    listed, hint = str(caught.value).splitlines()[1:]
    assert listed.split()[0] == "ind.pubmed.allx"
    assert "--features none" in hint


@pytest.fixture
def published(tmp_path, monkeypatch):
    """Loads a published data set without its features, or skips."""

    def load(name: str) -> Graph:
        real_files(name, "graph", "test.index", "ally", "ty")
        monkeypatch.setenv("VGAE_CACHE", str(tmp_path))
        return load_planetoid(name, features="none")

    return load


@pytest.mark.parametrize(("name", "classes"), [("cora", 7), ("citeseer", 6), ("pubmed", 3)])
def test_the_public_split_has_20_nodes_a_class_to_train_500_to_validate_and_1000_to_test(
    published, name, classes
):
    graph = published(name)
    split = public_split(graph)
    assert split is not None
    assert [len(part) for part in split] == [20 * classes, 500, 1000]
    assert len(torch.cat(split).unique()) == 20 * classes + 1500
    assert graph.y is not None
    assert graph.y[split.train].bincount().tolist() == [20] * classes
    # CiteSeer's nodes without a label are in no part.
    assert all((graph.y[part] >= 0).all() for part in split)


@pytest.mark.parametrize("name", ["cora", "citeseer"])
def test_the_public_split_is_that_of_pyg(published, name):
    from torch_geometric.io import read_planetoid_data

    files = real_files(name, *PICKLED, "test.index")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = read_planetoid_data(str(files[f"ind.{name}.graph"].parent), name)
    split = public_split(published(name))
    assert split is not None
    for part, mask in zip(split, ("train_mask", "val_mask", "test_mask"), strict=True):
        assert torch.equal(part, expected[mask].nonzero().squeeze(1))


def test_graphs_of_another_name_or_order_or_size_have_no_public_split(published, sbm):
    cora = published("cora")
    assert public_split(sbm) is None
    assert public_split(replace(sbm, name="cora")) is None
    assert public_split(replace(cora, name="mine")) is None
    assert public_split(replace(cora, name="stdlib")) is None
    backwards = Graph.from_edges(2707 - cora.links, num_nodes=2708, name="cora")
    assert public_split(backwards) is None


# How the parts become one graph.


@pytest.mark.parametrize("part", PICKLED)
def test_the_reader_equals_pickle_on_the_toy(toy, part):
    """And so what follows is about the same files as the published ones, in small."""
    assert_reader_equals_unpickler(toy[f"ind.toy.{part}"])


@pytest.mark.parametrize("dtype", ["<f4", "<f8", "<i4", "<i8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_the_reader_equals_pickle_on_every_type_of_array(tmp_path, dtype, order):
    values = np.arange(600).reshape(20, 30).astype(dtype, order=order)
    write_pickle(tmp_path / "array", values)
    assert_reader_equals_unpickler(tmp_path / "array")
    write_pickle(tmp_path / "csr", sp.csr_matrix(values))
    assert_reader_equals_unpickler(tmp_path / "csr")


@pytest.mark.parametrize("nodes", [0, 1, 2, 999, 1000, 1001])
def test_the_reader_equals_pickle_whatever_the_number_of_nodes(tmp_path, nodes):
    """Pickle writes items in batches of 1000, and a batch of one with an opcode of its own."""
    write_pickle(tmp_path / "graph", defaultdict(list, {i: [i, 70000] for i in range(nodes)}))
    assert_reader_equals_unpickler(tmp_path / "graph")


@pytest.mark.row("L27")
def test_rows_go_to_the_nodes_that_test_index_names(toy):
    graph = read_planetoid(toy, "toy")
    assert graph.x is not None
    # Nodes 5, 6, 9 and 10 are rows 3, 1, 0 and 2 of tx; nodes 7 and 8 have none.
    assert graph.x.to_dense().sum(dim=1).tolist() == [1, 2, 3, 4, 5, 14, 12, 0, 0, 11, 13]
    assert graph.y is not None
    assert graph.y.tolist() == [0, 1, 0, 1, 0, 1, 1, -1, -1, 1, 0]


def test_links_are_those_of_the_dictionary_without_loops_and_repeats(toy):
    graph = read_planetoid(toy, "toy")
    assert graph.links.T.tolist() == [[0, 1], [0, 2], [2, 9], [3, 10], [4, 5], [4, 6]]
    assert graph.notes == {"self_loops": 1, "repeats": 1}


def test_features_none_gives_the_same_graph_without_features_and_without_their_files(toy):
    expected = read_planetoid(toy, "toy").without_features()
    for part in ("x", "tx", "allx", "y"):
        toy.pop(f"ind.toy.{part}").unlink()
    assert same_graph(read_planetoid(toy, "toy", features="none"), expected)


def test_labels_are_left_out_where_their_files_are_missing(toy):
    expected = read_planetoid(toy, "toy")
    del toy["ind.toy.ty"]
    graph = read_planetoid(toy, "toy")
    assert graph.y is None
    assert graph.fingerprint == expected.fingerprint


def test_every_missing_file_is_named(toy):
    del toy["ind.toy.graph"], toy["ind.toy.tx"]
    with pytest.raises(DataError, match=r"lacks the files ind\.toy\.graph, ind\.toy\.tx\."):
        read_planetoid(toy, "toy")


@pytest.mark.parametrize("read", [load_planetoid, lambda **kwargs: read_planetoid({}, **kwargs)])
def test_features_are_raw_or_none(read):
    with pytest.raises(UsageError, match="features must be one of 'raw', 'none', got 'some'"):
        read(name="cora", features="some")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "it is empty"),
        ("9\n6\n10\n", "4 rows for the 3 nodes of test.index"),
        ("9\n6\n10\n11\n", "entry 4 is '11', not one of the 11 nodes"),
        ("9\n6\n10\n-5\n", "entry 4 is '-5'"),
        ("9\n6\n10\n5.0\n", "entry 4 is '5.0'"),
        ("9\n6\n10\n\u0665\n", "entry 4"),
        ("9\n6\n10\n" + "5" * 5000, "entry 4 is '55555555555555555555'"),
        ("9\n6\n10\n9\n", "node 9 more than once"),
        ("9\n6\n10\n4\n", "test.index names node 4, one of 5"),
        ("<!doctype html>", "entry 1 is '<!doctype'"),
    ],
)
@pytest.mark.row("L27")
def test_a_test_index_that_does_not_fit_is_refused(tmp_path, text, words):
    files = write_toy(tmp_path, **{"test.index": text})
    with pytest.raises(DataError, match=r"^\S*ind\.toy\.\S+ is damaged") as caught:
        read_planetoid(files, "toy")
    assert words in str(caught.value)


SPARSE = sp.csr_matrix(np.eye(5, 3, dtype=np.float64))


@pytest.mark.parametrize(
    ("part", "value", "words"),
    [
        ("graph", {0: [1], 2: [0]}, "names 2"),
        ("graph", {0: [1], 1: [-1]}, "names -1"),
        ("graph", {0: [1], 1: ["0"]}, "not an integer"),
        ("graph", {0: [1], 1: 0}, "no dictionary of lists"),
        ("graph", {"0": [0]}, "not an integer"),
        ("graph", [[1], [0]], "no dictionary of lists"),
        ("graph", SPARSE, "no dictionary of lists"),
        ("allx", np.eye(5, 3), "no sparse matrix"),
        ("allx", sp.csr_matrix(np.eye(5, 4)), "3 columns, allx 4"),
        ("allx", SPARSE * np.inf, "not finite"),
        ("allx", SPARSE * 1e300, "not finite"),
        ("allx", SPARSE.astype(np.int16), "another type than f4, f8, i4, i8"),
        ("allx", SPARSE.astype(np.complex64), "another type"),
        ("allx", sp.csr_matrix(np.eye(4, 3)), "another number of rows than allx"),
        ("ally", np.eye(5, 3), "2 columns, ally 3"),
        ("ally", np.full((5, 2), 1.0), "not a label"),
        ("ally", np.full((5, 2), np.nan), "not a label"),
        ("ally", np.zeros((5, 0)), "2 columns, ally 0"),
        ("ally", np.zeros(5), "not 2 sizes"),
        ("ally", np.zeros((5, 2), dtype=object), "no array"),
        ("ty", np.eye(2), "2 rows for the 4 nodes of test.index"),
    ],
)
def test_parts_that_do_not_fit_are_refused(tmp_path, part, value, words):
    files = write_toy(tmp_path, **{part: value})
    with pytest.raises(DataError, match=r"^\S*ind\.toy\.\S+ is damaged|refused") as caught:
        read_planetoid(files, "toy")
    assert "\n" not in str(caught.value)
    if "no array" not in words:
        assert words in str(caught.value)


def corrupt(part: str, **parts: Any) -> sp.csr_matrix:
    matrix = SPARSE.copy()
    for name, value in parts.items():
        setattr(matrix, name, np.asarray(value, getattr(matrix, name).dtype))
    return matrix


@pytest.mark.parametrize(
    "parts",
    [
        {"indices": [0, 1, 3]},
        {"indices": [0, 1, -1]},
        {"indices": [0, 1, 2**31 - 1]},
        {"indices": [0, 1]},
        {"data": [1, 1]},
        {"indptr": [0, 1, 2, 3, 3]},
        {"indptr": [0, 1, 2, 3, 3, 2**31 - 1]},
        {"indptr": [0, 1, 2**31 - 1, 3, 3, 3]},
        {"indptr": [0, 3, -5, 3, 3, 3]},
        {"indptr": [1, 1, 2, 3, 3, 3]},
        {"indptr": []},
    ],
)
def test_a_sparse_matrix_with_wild_indices_is_refused(tmp_path, parts):
    """Used as they are, such matrices crash the process in compiled code."""
    files = write_toy(tmp_path, allx=corrupt("allx", **parts))
    with pytest.raises(DataError, match=r"ind\.toy\.allx is damaged") as caught:
        read_planetoid(files, "toy")
    assert caught.value.code == "PLANETOID_CORRUPT"


@pytest.mark.parametrize("dims", [(2**31 - 1, 2**31 - 1), (2**30, 4), (-1, -10), (10, 2)])
def test_a_shape_that_the_bytes_do_not_fill_is_refused_before_memory_is_taken(tmp_path, dims):
    raw = Path(write_toy(tmp_path)["ind.toy.ally"]).read_bytes()
    assert raw.count(b"K\x05K\x02\x86") == 1
    shape = b"".join(b"J" + struct.pack("<i", size) for size in dims) + b"\x86"
    (tmp_path / "huge").write_bytes(raw.replace(b"K\x05K\x02\x86", shape))
    with pytest.raises(DataError, match=r"shape|sizes"):
        read_matrix(tmp_path / "huge")


# Files that want to run something.


class Call:
    """Pickles as a call of `function`."""

    def __init__(self, function: Any, *args: Any) -> None:
        self.made_of = function, args

    def __reduce__(self):
        return self.made_of


def attacks(marker: Path) -> dict[str, Any]:
    touch = f"touch {marker}"
    code = f"import pathlib; pathlib.Path({str(marker)!r}).touch()"
    return {
        "os.system": Call(os.system, touch),
        "builtins.exec": Call(builtin_exec, code),
        "builtins.eval": Call(eval, f"exec({code!r})"),
        "subprocess.Popen": Call(subprocess.Popen, ["touch", str(marker)]),
        "getattr": Call(getattr, Call(__import__, "os"), "system"),
        "in a neighbour list": {0: [Call(os.system, touch)], 1: [0]},
        "as the shape of an array": Call(np.dtype, Call(os.system, touch), 0, 1),
        "as the factory of a dictionary": Call(defaultdict, Call(os.system, touch)),
        "factory itself": Call(defaultdict, os.system),
        "list called": Call(list, (1, 2)),
        "array subclass": Call(np.ndarray, (2**40,)),
    }


@pytest.mark.parametrize("part", ["graph", "allx", "ally"])
@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("attack", list(attacks(Path())))
def test_a_file_that_calls_something_is_refused_and_not_run(tmp_path, attack, protocol, part):
    marker = tmp_path / "marker"
    payload = pickle.dumps(attacks(marker)[attack], protocol)
    files = write_toy(tmp_path / "toy", **{part: payload})
    with pytest.raises(DataError, match=rf"ind\.toy\.{part} is refused") as caught:
        read_planetoid(files, "toy")
    assert caught.value.code == "PICKLE_REFUSED"
    assert not marker.exists()


def test_the_attacks_are_real(tmp_path):
    """Control: unpickled, the same bytes do make the marker."""
    marker = tmp_path / "marker"
    pickle.loads(pickle.dumps(attacks(marker)["builtins.exec"], 2))
    assert marker.exists()


GLOBALS = {
    "csr": b"cscipy.sparse.csr\ncsr_matrix\n",
    "reconstruct": b"cnumpy.core.multiarray\n_reconstruct\n",
    "dtype": b"cnumpy\ndtype\n",
    "dict": b"ccollections\ndefaultdict\n",
    "list": b"c__builtin__\nlist\n",
}


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(GLOBALS["csr"] + b"U\x01a\x85\x81", id="new object with arguments"),
        pytest.param(GLOBALS["list"] + b")\x81", id="new object of another class"),
        pytest.param(GLOBALS["list"] + b")R", id="list called"),
        pytest.param(GLOBALS["dict"] + b")R", id="dictionary without factory"),
        pytest.param(GLOBALS["csr"] + b"}b", id="state of a class"),
        pytest.param(GLOBALS["csr"] + b")\x81}b}b", id="state set twice"),
        pytest.param(b"}}b", id="state of a dictionary"),
        pytest.param(b"U\x01a)R", id="text called"),
        pytest.param(GLOBALS["dtype"] + b"]R", id="arguments in a list"),
        pytest.param(b"cos\nsystem\n", id="another global, not called"),
        pytest.param(b"cnumpy.core.multiarray\nscalar\n", id="another global of numpy"),
        pytest.param(b"cnumpy\ndtype.__reduce__\n", id="dotted global"),
        pytest.param(b"(U\x04termcos\nsystem\no", id="OBJ"),
        pytest.param(b"(ios\nsystem\n", id="INST"),
        pytest.param(b"\x82\x01", id="EXT1"),
        pytest.param(b"Pid\n", id="PERSID"),
        pytest.param(b"U\x02osU\x06system\x93", id="STACK_GLOBAL"),
    ],
)
def test_what_published_files_do_not_do_is_refused(tmp_path, body):
    (tmp_path / "file").write_bytes(b"\x80\x02" + body + b".")
    with pytest.raises(DataError, match="file is refused") as caught:
        read_adjacency(tmp_path / "file")
    assert caught.value.code == "PICKLE_REFUSED"


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"}" + b"J\xff\xff\xff\x7f" * 100_000 + b".", id="leftovers"),
        pytest.param(b"N" * 1_000_001 + b".", id="too many opcodes"),
        pytest.param(b"]q\x00" + b"h\x00a" * 100_000 + b".", id="a list that holds itself"),
        pytest.param(b"}" + b")" + b"\x85" * 100_000 + b"Ns.", id="deep key"),
        pytest.param(b"}K\x01" + b"]q\x00h\x00\x86" * 60 + b"u.", id="wide key"),
        pytest.param(
            b"}(K\x00](" + b"K\x00" * 20_000 + b"eq\x00"
            + b"".join(b"M" + struct.pack("<H", i) + b"h\x00" for i in range(1, 20_000)) + b"u.",
            id="one list for all nodes",
        ),
        pytest.param(b"}r\xff\xff\xff\xffX\xff\xff\xff\xff.", id="huge memo index and text"),
        pytest.param(b"T\xff\xff\xff\x7fabc.", id="huge text"),
        pytest.param(b"}}." + b"junk", id="junk at the end"),
        pytest.param(b"L" + b"9" * 100_000 + b"L\n.", id="huge integer"),
    ],
)  # fmt: skip
def test_a_file_cannot_cost_more_than_its_size(tmp_path, body):
    (tmp_path / "file").write_bytes(b"\x80\x02" + body)
    start = time.perf_counter()
    with pytest.raises(DataError, match=r"file is (refused|damaged)"):
        read_adjacency(tmp_path / "file")
    # A million opcodes take about one second on one slow core.
    assert time.perf_counter() - start < 10


def test_a_file_above_the_size_of_any_published_one_is_not_opened(toy):
    with toy["ind.toy.graph"].open("r+b") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    with pytest.raises(DataError, match=rf"has {MAX_FILE_BYTES + 1} bytes"):
        read_planetoid(toy, "toy")


@pytest.mark.parametrize("kind", ["nothing", "folder", "pipe"])
def test_what_is_not_a_file_is_not_waited_for(toy, kind):
    path = toy["ind.toy.graph"]
    path.unlink()
    if kind == "folder":
        path.mkdir()
    if kind == "pipe":
        os.mkfifo(path)
    with pytest.raises(DataError, match=r"ind\.toy\.graph is not a file") as caught:
        read_planetoid(toy, "toy")
    assert caught.value.code == "CANNOT_READ"


# Damage.


@pytest.mark.parametrize("part", ["graph", "allx", "tx", "ally", "ty"])
def test_a_cut_file_is_damaged_wherever_it_was_cut(toy, part):
    path = toy[f"ind.toy.{part}"]
    whole = path.read_bytes()
    for length in range(0, len(whole), max(1, len(whole) // 60)):
        path.write_bytes(whole[:length])
        with pytest.raises(DataError, match=rf"ind\.toy\.{part} is damaged") as caught:
            read_planetoid(toy, "toy")
        assert caught.value.code == "PLANETOID_CORRUPT"
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("part", ["graph", "allx", "tx", "ally", "ty", "test.index"])
def test_a_flipped_bit_gives_one_of_our_errors_or_a_graph(toy, part):
    """Without a known sha256 a flip in a number cannot be seen; nothing else may get through."""
    path = toy[f"ind.toy.{part}"]
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for position in rng.integers(0, 8 * len(whole), size=80).tolist():
        damaged = bytearray(whole)
        damaged[position // 8] ^= 1 << position % 8
        path.write_bytes(damaged)
        with suppress(VgaeError):
            assert isinstance(read_planetoid(toy, "toy"), Graph)


@pytest.mark.parametrize("part", ["graph", "allx", "tx", "ally", "ty", "test.index"])
def test_a_flipped_bit_in_a_file_of_the_catalogue_never_gives_a_graph(toy_catalogue, part):
    path = toy_catalogue[f"ind.toy.{part}"]
    whole = path.read_bytes()
    for position in range(0, 8 * len(whole), max(1, 8 * len(whole) // 20)):
        damaged = bytearray(whole)
        damaged[position // 8] ^= 1 << position % 8
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=rf"ind\.toy\.{part} is damaged") as caught:
            load_planetoid("toy")
        assert caught.value.code == "CHECKSUM"


# The conversion that is kept.


def conversions(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize("features", ["raw", "none"])
def test_a_set_is_converted_once_and_read_from_there(toy_catalogue, tmp_path, features):
    first = load_planetoid("toy", features=features)
    assert same_graph(first, read_planetoid(toy_catalogue, "toy", features=features))
    assert len(conversions(tmp_path / "cache")) == 1
    for path in toy_catalogue.values():
        path.unlink()
    second = load_planetoid("toy", features=features)
    assert same_graph(first, second)
    assert second.name == "toy"


def test_a_set_without_features_is_not_taken_for_one_with(toy_catalogue):
    assert load_planetoid("toy", features="none").x is None
    assert load_planetoid("toy").x is not None
    assert load_planetoid("toy", features="none").x is None


# numpy leaves an archive that is none open until it is collected.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_damaged_conversion_is_made_anew(toy_catalogue, tmp_path):
    expected = load_planetoid("toy")
    (path,) = conversions(tmp_path / "cache")
    whole = path.read_bytes()
    for position in range(0, len(whole), len(whole) // 40):
        damaged = bytearray(whole)
        damaged[position] ^= 0xFF
        for content in (whole[:position], bytes(damaged)):
            path.write_bytes(content)
            assert same_graph(load_planetoid("toy"), expected)
    gc.collect()


def test_a_conversion_holds_no_pickle(toy_catalogue, tmp_path):
    load_planetoid("toy")
    (path,) = conversions(tmp_path / "cache")
    with np.load(path, allow_pickle=False) as file:
        assert all(file[key].dtype != object for key in file.files)


def test_a_folder_that_cannot_be_written_stops_nobody(toy_catalogue, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("VGAE_CACHE", str(tmp_path / "file"))
    assert same_graph(load_planetoid("toy"), read_planetoid(toy_catalogue, "toy"))


def test_a_set_of_another_kind_is_refused():
    with pytest.raises(DataError, match="of kind embedded, not planetoid"):
        load_planetoid("stdlib")


@pytest.mark.parametrize(
    ("name", "largest"), [("cora", "neural networks"), ("citeseer", "DB"), ("pubmed", "type 2")]
)
def test_classes_have_the_names_of_their_authors(published, name, largest):
    graph = published(name)
    counts = graph.y[graph.y >= 0].bincount()
    assert len(counts) == len(graph.label_names)
    assert graph.label_names[int(counts.argmax())] == largest
