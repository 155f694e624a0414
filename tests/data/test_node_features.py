"""Features find their nodes by name, or there is an error that says which are left over."""

import gzip
import logging

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from vgae.data.node_features import NodeFeatures, join_features, read_features
from vgae.data.reading import Reading
from vgae.errors import DataError

X = np.array([[1.5, 0], [0, 2], [-1, 1e-3]], dtype=np.float32)
FRAME = pd.DataFrame(X, columns=["age", "height"]).assign(node=["b", "a", "c"]).iloc[:, [2, 0, 1]]
BACKWARDS = FRAME.rename(columns={"node": "id"}).iloc[:, ::-1]


def write(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def dense(x):
    return x.toarray() if sp.issparse(x) else x


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("x.csv", lambda path: FRAME.to_csv(path, index=False)),
        ("x.csv.gz", lambda path: FRAME.to_csv(path, index=False)),
        ("x.csv", lambda path: FRAME.to_csv(path, index=False, sep=";", lineterminator="\r\n")),
        ("x.tsv", lambda path: FRAME.to_csv(path, index=False, sep="\t", encoding="utf-8-sig")),
        ("x.parquet", lambda path: FRAME.to_parquet(path, index=False)),
        ("x.parquet", lambda path: BACKWARDS.to_parquet(path)),
        ("x.npz", lambda path: np.savez(path, ids=["b", "a", "c"], x=X)),
        ("x.npz", lambda path: np.savez(path, x=X)),
        ("x.npz", lambda path: sp.save_npz(path, sp.csr_array(X))),
        ("x.npz", lambda path: sp.save_npz(path, sp.coo_matrix(X))),
        ("x.npy", lambda path: np.save(path, X)),
        ("x.npy", lambda path: np.save(path, np.asfortranarray(X.astype(float)))),
    ],
)  # fmt: skip
def test_features_are_read_as_they_were_written(name, make, tmp_path):
    make(tmp_path / name)
    found = read_features(tmp_path / name)
    order = [1, 0] if found.feature_names == ("height", "age") else [0, 1]
    np.testing.assert_array_equal(dense(found.x), X[:, order])
    assert dense(found.x).dtype == np.float32
    assert found.x.shape[0] == 3
    assert found.names in (None, ("b", "a", "c"))
    if name not in ("x.npz", "x.npy"):
        assert found.names
        assert sorted(found.feature_names) == ["age", "height"]


def test_names_of_features_come_from_npz_too(tmp_path):
    np.savez(tmp_path / "x.npz", x=X, ids=[3, 1, 2], feature_names=["a", "b"])
    found = read_features(tmp_path / "x.npz")
    assert (found.names, found.feature_names) == ((3, 1, 2), ("a", "b"))


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("id,f\n7,1\n10,2\n", (7, 10)),
        ("id,f\n7,1\n007,2\n", ("7", "007")),
        ('id,f\n"a,\n""b""",1\n c ,2\n', ('a,\n"b"', "c")),
        ("# made by hand\n\nid,f\n%no\na,1\nb,2", ("a", "b")),
    ],
)
def test_names_in_text_are_those_of_an_edge_list(text, names, tmp_path):
    assert read_features(write(tmp_path / "x.csv", text)).names == names


def test_text_is_read_in_its_encoding(tmp_path):
    path = write(tmp_path / "x.csv", "id,Größe\nä,1\n".encode("latin-1"))
    found = read_features(path, Reading(encoding="latin-1"))
    assert (found.names, found.feature_names) == (("ä",), ("Größe",))


def npz(path, **arrays):
    np.savez(path, **arrays)
    return path


def parquet(path, **columns):
    pd.DataFrame(columns).to_parquet(path)
    return path


@pytest.mark.parametrize(
    ("make", "code", "message"),
    [
        pytest.param(
            lambda p: write(p / "x.csv", "id,age\na,1\nb,old\n"),
            "FEATURE_DTYPE",
            r"x\.csv: each feature must be a number: 'age' is 'old' in line 3",
            id="F06 text",
        ),
        pytest.param(
            lambda p: write(p / "x.csv", "id,age\na,\n"),
            "FEATURE_DTYPE",
            "'age' is '' in line 2",
            id="F06 empty",
        ),
        pytest.param(
            lambda p: write(p / "x.csv", "id,a,b\na,1,1_0\n"),
            "FEATURE_DTYPE",
            "'b' is '1_0' in line 2",
            id="F06 underscore",
        ),
        pytest.param(
            lambda p: parquet(p / "x.parquet", id=["a"], age=["1"]),
            "FEATURE_DTYPE",
            "'age' is of type (large_)?string",
            id="F06 parquet",
        ),
        pytest.param(
            lambda p: npz(p / "x.npz", x=np.array([["a"]])), "FEATURE_DTYPE", "<U1", id="F06 npz"
        ),
        pytest.param(
            lambda p: write(p / "x.csv", "id,f,g\na,1,2\nb,2,nan\n"),
            "FEATURE_NONFINITE",
            r"x\.csv: .* the first in row 1, column 1",
            id="F01 csv",
        ),
        pytest.param(
            lambda p: parquet(p / "x.parquet", id=["a", "b"], f=[1, None]),
            "FEATURE_NONFINITE",
            "row 1, column 0",
            id="F01 parquet",
        ),
        pytest.param(
            lambda p: write(p / "x.csv", "id,f\na,1e39\n"),
            "FEATURE_NONFINITE",
            "finite",
            id="F07 large",
        ),
        pytest.param(
            lambda p: write(p / "x.csv", "id,f\na,1\nb\n"),
            "FIELDS",
            "line 3: expected 2 fields separated by commas as in the header, got 1",
            id="a field missing",
        ),
        pytest.param(
            lambda p: write(p / "x.csv", "a,1,2\nb,3,4\n"),
            "FEATURE_HEADER",
            "line 1: expected a header",
            id="no header",
        ),
        pytest.param(
            lambda p: write(p / "x.csv", "id\na\n"), "FEATURE_HEADER", "got 'id'", id="F04 csv"
        ),
        pytest.param(
            lambda p: write(p / "x.csv", "# nothing\n"),
            "FEATURE_HEADER",
            "got ''",
            id="only comments",
        ),
        pytest.param(
            lambda p: write(p / "x.csv", "id,f\n"), "FEATURE_SHAPE", "no rows", id="no rows"
        ),
        pytest.param(
            lambda p: write(p / "x.csv", "id,f\na,1\nb,2\na,3\n"),
            "NODE_ID",
            "one row, got 'a' again",
            id="a node twice",
        ),
        pytest.param(
            lambda p: write(p / "x.csv", "id,f\n,1\n"), "NODE_ID", "empty", id="an empty name"
        ),
        pytest.param(
            lambda p: parquet(p / "x.parquet", id=[0.5], f=[1]), "NODE_ID", "floats", id="G26"
        ),
        pytest.param(
            lambda p: npz(p / "x.npz", x=X, ids=np.ones(3)), "NODE_ID", "float64", id="G26 npz"
        ),
        pytest.param(
            lambda p: npz(p / "x.npz", x=X, ids=["a"]),
            "NODE_SET_MISMATCH",
            "3 rows and 1 ids",
            id="F02",
        ),
        pytest.param(
            lambda p: npz(p / "x.npz", x=X, feature_names=["a"]),
            "FEATURE_SHAPE",
            "2 features and 1 feature_names",
            id="names of features",
        ),
        pytest.param(lambda p: npz(p / "x.npz", X=X), "NPZ_KEYS", "found X", id="L21 missing"),
        pytest.param(
            lambda p: npz(p / "x.npz", x=X, y=[1]), "NPZ_KEYS", "found x, y", id="L21 extra"
        ),
        pytest.param(
            lambda p: npz(p / "x.npz", x=np.array([{}])), "PICKLE_REFUSED", "pickled", id="L20"
        ),
        pytest.param(lambda p: write(p / "x.npz", b"PK\3\4"), "NPZ_CORRUPT", r"x\.npz", id="L22"),
        pytest.param(
            lambda p: write(p / "x.npy", b"\x93NUMPY\7\0"), "NPY_CORRUPT", r"x\.npy", id="L23"
        ),
        pytest.param(
            lambda p: write(p / "x.csv.gz", gzip.compress(b"id,f\na,1\n")[:-1]),
            "GZIP_CORRUPT",
            r"x\.csv\.gz",
            id="L15",
        ),
        pytest.param(
            lambda p: write(p / "x.csv", "id,f\nä,1\n".encode("utf-16")),
            "ENCODING",
            "UTF-16",
            id="L09",
        ),
        pytest.param(lambda p: write(p / "x.csv", ""), "FILE_EMPTY", "empty", id="L02"),
        pytest.param(lambda p: p / "x.csv", "CANNOT_READ", "No such file", id="L01"),
        pytest.param(lambda p: write(p / "x.md", "a"), "FILE_FORMAT", ".parquet", id="suffix"),
    ],
)
def test_what_are_no_features_is_refused(make, code, message, tmp_path):
    with pytest.raises(DataError, match=message) as caught:
        read_features(make(tmp_path))
    assert caught.value.code == code
    assert str(caught.value).startswith(str(tmp_path / "x."))


@pytest.mark.parametrize("shape", [(3,), (3, 0), (3, 2, 1)], ids=["F10", "F04", "3-d"])
def test_an_array_of_another_shape_is_refused(shape, tmp_path):
    np.save(tmp_path / "x.npy", np.ones(shape))
    with pytest.raises(DataError, match=r"x\.npy: x must have shape") as caught:
        read_features(tmp_path / "x.npy")
    assert caught.value.code == "FEATURE_SHAPE"


@pytest.mark.parametrize("kind", [np.asarray, sp.csr_array], ids=["dense", "sparse"])
class TestJoin:
    def test_rows_follow_their_names(self, kind):
        joined = join(["a", "b", "c"], NodeFeatures(kind(X), ("b", "a", "c")))
        assert list(joined.names) == ["a", "b", "c"]
        assert joined.place.tolist() == [0, 1, 2]
        np.testing.assert_array_equal(dense(joined.x), X[[1, 0, 2]])

    def test_missing_rows_are_zeros_and_missing_nodes_are_added_on_request(self, kind, caplog):
        features = NodeFeatures(kind(X), ("d", "a", "b"))
        with caplog.at_level(logging.INFO, "vgae"):
            joined = join(["c", "a"], features, missing="zero")
        assert joined.names == ["a", "b", "c", "d"]
        assert joined.place.tolist() == [2, 0]
        np.testing.assert_array_equal(dense(joined.x), [*X[[1, 2]], [0, 0], X[0]])
        assert "without features: 1; in the features only: 2 nodes" in caplog.text

    def test_rows_without_names_belong_to_numbers(self, kind):
        joined = join([0, 2], NodeFeatures(kind(X)))
        assert list(joined.names) == [0, 1, 2]
        assert joined.place.tolist() == [0, 2]
        np.testing.assert_array_equal(dense(joined.x), X)

    def test_integers_and_text_are_compared_as_text(self, kind):
        joined = join([10, 9, 8], NodeFeatures(kind(X), ("8", "9", "10")))
        assert joined.names == ["10", "9", "8"]
        np.testing.assert_array_equal(dense(joined.x), X[::-1])
        joined = join(["10", "9", "8"], NodeFeatures(kind(X), (8, 9, 10)))
        np.testing.assert_array_equal(dense(joined.x), X[::-1])


def join(names, features, missing="refuse", counted=False):
    return join_features(names, features, missing=missing, counted=counted)


@pytest.mark.parametrize(
    ("names", "known", "counted", "message"),
    [
        pytest.param(
            list("abcdef"),
            ("b", "a", "x"),
            False,
            r"6 nodes and features of 3: 4 \('c', 'd', 'e', ...\) have no features, 1 \('x'\) are"
            r" not among the nodes; missing_features='zero'",
            id="G23 both",
        ),
        pytest.param(["a", "b"], ("b", "a", "c"), False, r"0 have .*, 1 \('c'\)", id="G23 rows"),
        pytest.param([0, 1, 2, 3], None, False, r"nodes 1 \(3\); save them as npz", id="F02 few"),
        pytest.param(["a"], None, False, r"there are nodes 1 \('a'\)", id="G33 text"),
        pytest.param(["0", "1", "2"], None, False, "row i is node i", id="G33 text of digits"),
        pytest.param([-1, 0], None, False, r"1 \(-1\)", id="G25 negative"),
        pytest.param(range(2), None, True, "2 nodes and features of 3", id="F02 many"),
    ],
)
def test_other_nodes_are_refused_with_their_names(names, known, counted, message):
    with pytest.raises(DataError, match=message) as caught:
        join(names, NodeFeatures(X, known), counted=counted)
    assert caught.value.code == "NODE_SET_MISMATCH"


def test_rows_without_names_do_not_stretch_to_other_nodes():
    with pytest.raises(DataError, match="row i is node i"):
        join(["a"], NodeFeatures(X), missing="zero")


def test_ids_from_1_beside_rows_without_names_are_warned_of(caplog):
    """Node 1 gets the second row, and a node 0 without links the first."""
    features = NodeFeatures(np.eye(4, dtype=np.float32))
    joined = join_features([1, 2, 3], features, missing="zero", counted=False)
    assert joined.names == [0, 1, 2, 3]
    assert "the ids of the nodes begin at 1, but the 4 rows" in caplog.text
    caplog.clear()
    join_features([0, 1, 2, 3], features, missing="refuse", counted=False)
    assert not [record for record in caplog.records if record.levelname == "WARNING"]
