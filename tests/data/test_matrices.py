"""A sparse matrix is read as scipy wrote it; parts that cannot be one never reach scipy."""

import gzip
import logging

import numpy as np
import pandas as pd
import pytest
import scipy.io
import scipy.sparse as sp

from vgae.data.files import read_graph
from vgae.data.matrices import (
    has_adjacency_header,
    holds_sparse,
    read_mtx,
    sparse_from_arrays,
)
from vgae.data.reading import Reading
from vgae.errors import DataError
from vgae.graphs.graph import Graph
from vgae.runtime.npz import read_arrays

MATRIX = sp.random_array((5, 4), density=0.4, rng=np.random.default_rng(0), format="coo")
SQUARE = sp.csr_array([[0, 1.5, 0], [1.5, 0, 2], [0, 2, 4]])
PARTS = {
    "format": np.array(b"csr"),
    "shape": np.array([3, 3]),
    "data": np.ones(2),
    "indices": np.array([1, 2]),
    "indptr": np.array([0, 1, 2, 2]),
    "row": np.array([0, 1]),
    "col": np.array([1, 2]),
}


@pytest.mark.parametrize("form", ["csr", "csc", "coo"])
@pytest.mark.parametrize("kind", [sp.csr_array, sp.csr_matrix], ids=["array", "matrix"])
def test_a_matrix_is_read_as_scipy_wrote_it(form, kind, tmp_path):
    sp.save_npz(tmp_path / "a.npz", kind(MATRIX).asformat(form))
    arrays = read_arrays(tmp_path / "a.npz")
    assert holds_sparse(arrays)
    found = sparse_from_arrays(arrays)
    assert found.format == "csr"
    np.testing.assert_array_equal(found.toarray(), MATRIX.toarray())


@pytest.mark.parametrize("form", ["bsr", "dia"])
def test_other_formats_are_named_in_the_error(form, tmp_path):
    sp.save_npz(tmp_path / "a.npz", MATRIX.asformat(form))
    with pytest.raises(DataError, match=f"got '{form}'; convert it by .tocsr") as caught:
        sparse_from_arrays(read_arrays(tmp_path / "a.npz"))
    assert caught.value.code == "FILE_FORMAT"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        pytest.param({"indices": np.array([1, 9])}, "SPARSE_CORRUPT", id="G31 index"),
        pytest.param({"indices": np.array([1, -1])}, "SPARSE_CORRUPT", id="G31 negative"),
        pytest.param({"indices": np.array([1.0, 2])}, "SPARSE_CORRUPT", id="G31 float"),
        pytest.param({"indptr": np.array([0, 9, 2, 2])}, "SPARSE_CORRUPT", id="G31 indptr"),
        pytest.param({"indptr": np.array([0, 2])}, "SPARSE_CORRUPT", id="G31 rows"),
        pytest.param({"data": np.ones(1)}, "SPARSE_CORRUPT", id="G31 data"),
        pytest.param({"data": np.array(1.0)}, "SPARSE_CORRUPT", id="G31 scalar"),
        pytest.param({"data": np.array(["a", "b"])}, "ADJ_DTYPE", id="G30 text"),
        pytest.param({"data": np.ones(2, complex)}, "ADJ_DTYPE", id="G30 complex"),
        pytest.param({"shape": np.array(3)}, "SPARSE_CORRUPT", id="shape scalar"),
        pytest.param({"shape": np.array([3.5, 3])}, "SPARSE_CORRUPT", id="shape fraction"),
        pytest.param({"shape": np.array([3, -3])}, "SPARSE_CORRUPT", id="shape negative"),
        pytest.param({"indices": None}, "SPARSE_CORRUPT", id="L21 no indices"),
        pytest.param({"format": np.array([1, 2])}, "FILE_FORMAT", id="format numbers"),
        pytest.param({"format": np.array(b"\xff")}, "FILE_FORMAT", id="format bytes"),
        *(
            pytest.param({"format": np.array("coo"), **change}, code, id=f"G31 coo {name}")
            for name, change, code in [
                ("row", {"row": np.array([0, 3])}, "SPARSE_CORRUPT"),
                ("negative", {"col": np.array([0, -1])}, "SPARSE_CORRUPT"),
                ("beyond int32", {"row": np.array([0, 2**32])}, "SPARSE_CORRUPT"),
                ("beyond int64", {"row": np.array([0, 2**64 - 1], "u8")}, "SPARSE_CORRUPT"),
                ("float", {"row": np.array([0.0, 1])}, "SPARSE_CORRUPT"),
                ("length", {"row": np.array([0])}, "SPARSE_CORRUPT"),
                ("columns", {"shape": np.array([3, 2**64 - 1], "u8")}, "SPARSE_CORRUPT"),
                ("rows", {"shape": np.array([2**40, 3])}, "GRAPH_SIZE"),
            ]
        ),
    ],
)
def test_parts_that_are_no_matrix_are_refused(change, code):
    arrays = {name: part for name, part in {**PARTS, **change}.items() if part is not None}
    with pytest.raises(DataError) as caught:
        sparse_from_arrays(arrays)
    assert caught.value.code == code


def test_other_arrays_are_no_matrix():
    assert not holds_sparse({"x": np.ones(2)})
    assert not holds_sparse({"format": np.array("vgae-graph-1"), "edges": np.ones(2)})


@pytest.mark.parametrize(
    ("matrix", "options"),
    [
        pytest.param(MATRIX, {}, id="real"),
        pytest.param(SQUARE, {}, id="symmetric"),
        pytest.param(SQUARE, {"symmetry": "general"}, id="general"),
        pytest.param(SQUARE.astype(int), {"comment": "two\nlines"}, id="integer"),
        pytest.param(SQUARE, {"field": "pattern"}, id="pattern"),
        pytest.param(sp.coo_array((3, 3)), {}, id="no entries"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_a_matrix_market_file_is_read_as_by_scipy(matrix, options, packed, tmp_path):
    path = tmp_path / "a.mtx"
    scipy.io.mmwrite(path, matrix, **options)
    expected = scipy.io.mmread(path).toarray()
    if packed:
        path = tmp_path / "a.mtx.gz"
        path.write_bytes(gzip.compress((tmp_path / "a.mtx").read_bytes()))
    np.testing.assert_array_equal(read_mtx(path).toarray(), expected)


def test_comments_and_blank_lines_may_stand_anywhere(tmp_path):
    text = (
        "%%MatrixMarket MATRIX Coordinate Real General\r\n% Müller\r\n\r\n 2\t2 1 \r\n\r\n1 2 .5"
    )
    (tmp_path / "a.mtx").write_bytes(text.encode("latin-1"))
    np.testing.assert_array_equal(read_mtx(tmp_path / "a.mtx").toarray(), [[0, 0.5], [0, 0]])


HEAD = "%%MatrixMarket matrix coordinate real general\n"


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("<html>", "MTX_CORRUPT", "first line"),
        ("%%MatrixMarket matrix array real general\n", "FILE_FORMAT", "array real general"),
        ("%%MatrixMarket matrix coordinate complex general\n", "FILE_FORMAT", "complex"),
        ("%%MatrixMarket matrix coordinate real skew-symmetric\n", "FILE_FORMAT", "skew"),
        (HEAD, "MTX_CORRUPT", "no number of entries"),
        (HEAD + "3 3\n", "MTX_CORRUPT", "line 2: expected 3 numbers, got '3 3'"),
        (HEAD + "3 3 2\n1 2 .5\n", "MTX_CORRUPT", "states 2 entries and has 1"),
        (HEAD + "3 3 999999999999\n1 2 .5\n", "MTX_CORRUPT", "states 999999999999 entries"),
        (HEAD + "3 3 1\n1 2 .5\n1 3 .5\n", "MTX_CORRUPT", "states 1 entries and has 2"),
        (HEAD + "3 3 2\n1 2 .5\n1 3 x\n", "MTX_CORRUPT", "line 4: expected 3 numbers, got '1 3 x"),
        (HEAD + "3 3 1\n1 2 3 4\n", "MTX_CORRUPT", "line 3: expected 3 numbers"),
        (HEAD + "3 3 1\n1 ٢ 1\n", "MTX_CORRUPT", "line 3"),
        (HEAD + "3 3 1\n0 2 .5\n", "MTX_CORRUPT", "index"),
        (HEAD + "3 3 1\n1 4 .5\n", "MTX_CORRUPT", "index"),
        (HEAD + "3 3 1\n1 2.5 .5\n", "MTX_CORRUPT", "index"),
        (HEAD + "3 3 1\nnan 2 .5\n", "MTX_CORRUPT", "index"),
        (HEAD + "-3 3 0\n", "MTX_CORRUPT", "size"),
        (HEAD + "3 inf 0\n", "MTX_CORRUPT", "size"),
        (HEAD + "4000000000 4000000000 1\n1 2 1\n", "GRAPH_SIZE", "4000000000 rows"),
    ],
)
def test_a_matrix_market_file_that_is_none_is_refused(text, code, message, tmp_path):
    (tmp_path / "a.mtx").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=message) as caught:
        read_mtx(tmp_path / "a.mtx")
    assert caught.value.code == code


def test_a_file_cut_short_is_refused(tmp_path):
    """The reader of scipy has crashed on some of these."""
    scipy.io.mmwrite(tmp_path / "a.mtx", MATRIX, symmetry="general")
    lines = (tmp_path / "a.mtx").read_text().splitlines(keepends=True)
    for count in range(1, len(lines)):
        (tmp_path / "cut.mtx").write_text("".join(lines[:count]))
        with pytest.raises(DataError):
            read_mtx(tmp_path / "cut.mtx")


def text_of(tmp_path, text, name="a.csv"):
    (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path / name


def test_a_file_without_the_header_of_the_format_is_read_and_announced(tmp_path, caplog):
    """As networkrepository.com has them."""
    plain = text_of(tmp_path, "% networkrepository style\n4 4 3\n2 1\n3 1\n4 3\n", "a.mtx")
    assert read_mtx(plain).toarray()[[1, 2, 3], [0, 0, 2]].tolist() == [1, 1, 1]
    assert "read as a general matrix" in caplog.text
    weighted = text_of(tmp_path, "2 2 1\n2 1 0.5\n", "b.mtx")
    assert read_mtx(weighted).toarray().tolist() == [[0, 0], [0.5, 0]]
    for text in ("2 2 1\n2 1 1 1\n", "2 2 2\n2 1\n", "2 2 1\n3 1\n", "<html>\n"):
        with pytest.raises(DataError) as caught:
            read_mtx(text_of(tmp_path, text, "c.mtx"))
        assert caught.value.code == "MTX_CORRUPT"


def test_stored_zeros_are_counted(tmp_path, caplog):
    head = "%%MatrixMarket matrix coordinate real symmetric\n"
    with caplog.at_level(logging.INFO, logger="vgae"):
        graph = read_graph(text_of(tmp_path, head + "4 4 3\n2 1 1\n3 1 0\n4 3 2\n", "a.mtx"))
    assert graph.num_links == 2
    assert "2 stored zeros are no links" in caplog.text


ADJ = np.array([[0, 2.0, 0], [2, 0, 0.5], [0, 0.5, 0]])


@pytest.mark.parametrize(("name", "separator"), [("a.csv", ","), ("a.tsv", "\t"), ("b.csv", ";")])
def test_a_table_with_its_names_above_and_at_the_left_is_an_adjacency(name, separator, tmp_path):
    names = ["Ann", "Bo, jr", "Cy"]
    table = pd.DataFrame(ADJ, index=names, columns=names)
    table.to_csv(tmp_path / name, sep=separator)
    graph = read_graph(tmp_path / name)
    assert graph.node_ids == tuple(names)
    assert graph.fingerprint == Graph.from_scipy(ADJ).fingerprint
    table.index.name = "person"
    table.to_csv(tmp_path / name, sep=separator)
    assert read_graph(tmp_path / name).fingerprint == graph.fingerprint


def test_a_table_without_names_is_an_adjacency_if_the_format_says_so(tmp_path):
    np.savetxt(tmp_path / "a.csv", ADJ, delimiter=",")
    np.savetxt(tmp_path / "a.txt", ADJ)
    for name in ("a.csv", "a.txt"):
        graph = read_graph(tmp_path / name, format="adjacency")
        assert graph.node_ids is None
        assert graph.fingerprint == Graph.from_scipy(ADJ).fingerprint
    text = text_of(tmp_path, ",a,b\na,,1\nb,1,\n")
    assert read_graph(text).num_links == 1


@pytest.mark.parametrize(
    "text",
    [
        # A list of edges with weights, and a symmetric matrix without names.
        "1,2,3\n2,5,1\n3,4,1\n",
        "0,1,2,3\n1,0,4,5\n2,4,0,6\n3,5,6,0\n",
        "a,b,3\nb,c,1\n",
        "source,target\na,b\n",
        "",
    ],
)
def test_other_texts_are_no_adjacency_with_names(text, tmp_path):
    assert not has_adjacency_header(text_of(tmp_path, text or "\n"), Reading())


def test_the_first_line_of_a_symmetric_matrix_is_not_taken_for_names(tmp_path):
    path = text_of(tmp_path, "0,1,2,3\n1,0,4,5\n2,4,0,6\n3,5,6,0\n")
    graph = read_graph(path, format="adjacency")
    assert (graph.num_nodes, graph.link_weight.tolist()) == (4, [1, 2, 3, 4, 5, 6])


@pytest.mark.row("L44")
@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        (",a,b\na,0,1\nc,1,0\n", "NODE_ID", "column 'b' and line 'c'"),
        (",a,b\na,0,1\n", "NOT_SQUARE", r"\(1, 2\)"),
        (",a,b\na,0,1\nb,1\n", "FIELDS", "line 3: expected 2 weights.*got 1"),
        (",a,b\na,0,x\nb,1,0\n", "BAD_WEIGHT", "line 2.*'x'"),
        ("0,1\n1,0,1\n", "FIELDS", "line 2"),
        (",a,b\na,0,-1\nb,-1,0\n", "NEGATIVE_WEIGHT", "-1"),
    ],
)
def test_a_table_that_is_no_adjacency_is_refused(text, code, message, tmp_path):
    with pytest.raises(DataError, match=message) as caught:
        read_graph(text_of(tmp_path, text), format="adjacency")
    assert caught.value.code == code
