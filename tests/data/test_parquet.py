"""Columns of parquet keep their type: text is text, integers are integers, floats are no names."""

import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vgae.data.parquet import coded, coded_names, numbers, read_parquet
from vgae.errors import DataError, UsageError


def test_a_table_is_read_as_it_was_written(tmp_path):
    table = pa.table({"a": ["x", "y"], "b": [1, 2]})
    pq.write_table(table, tmp_path / "k=1.parquet")
    assert read_parquet(tmp_path / "k=1.parquet").equals(table)


@pytest.mark.parametrize("cut", [0, 1, 4, 100, -1, -8])
def test_a_damaged_file_is_refused(cut, tmp_path):
    pq.write_table(pa.table({"a": ["x", "y"]}), tmp_path / "a.parquet")
    content = (tmp_path / "a.parquet").read_bytes()
    (tmp_path / "a.parquet").write_bytes(content[:cut])
    with pytest.raises(DataError, match="it is not a parquet file") as caught:
        read_parquet(tmp_path / "a.parquet")
    assert caught.value.code == "PARQUET_CORRUPT"
    assert "\n" not in str(caught.value)


def test_text_that_is_not_utf_8_is_refused(tmp_path):
    text = pa.Array.from_buffers(
        pa.string(), 1, [None, pa.py_buffer(np.array([0, 1], "i4")), pa.py_buffer(b"\xff")]
    )
    pq.write_table(pa.table({"a": text}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match="UTF8"):
        read_parquet(tmp_path / "a.parquet")  # L09


@pytest.mark.row("R18")
def test_without_pyarrow_the_error_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(UsageError, match=r"pip install 'vgae\[parquet\]'") as caught:
        read_parquet(tmp_path / "a.parquet")
    assert caught.value.code == "MISSING_PACKAGE"


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (pa.string(), ["b", "a", "b"]),
        (pa.large_string(), ["b", "a", "b"]),
        (pa.string_view(), ["b", "a", "b"]),
        (pa.dictionary(pa.int8(), pa.string()), ["b", "a", "b"]),
        (pa.string(), ["007", "1", "007"]),
        (pa.int8(), [3, -1, 3]),
        (pa.uint64(), [2**63 - 1, 0, 2**63 - 1]),
        (pa.dictionary(pa.int8(), pa.int64()), [3, -1, 3]),
    ],
    ids=str,
)
def test_names_are_coded_column_after_column(kind, values):
    table = pa.table({"a": pa.array(values, kind), "b": pa.array(values[::-1], kind)})
    names, codes = coded_names(table, ["a", "b"])
    assert sorted(names) == sorted(values[:2])
    assert [names[code] for code in codes] == [*values, *values[::-1]]
    assert codes.dtype == np.int64


@pytest.mark.parametrize("values", [[5, -2, 5, 0], [2**63 - 1, -(2**63), 0], [7]], ids=str)
def test_integers_near_each_other_and_far_apart_are_coded(values):
    names, codes = coded([pa.array(values[:1], pa.int64()), pa.array(values[1:], pa.int64())])
    assert [names[code] for code in codes] == values
    assert sorted(set(values)) == sorted(names.tolist())


def test_integers_of_two_widths_are_names_of_one_kind():
    table = pa.table({"a": pa.array([1, 2], pa.int8()), "b": pa.array([2, 300], pa.uint16())})
    assert coded_names(table, ["a", "b"])[0] == [1, 2, 300]


@pytest.mark.parametrize(
    "column",
    [
        pytest.param(pa.array([1.0, 2.0]), id="G26 floats"),
        pytest.param(pa.array([2**63, 1], pa.uint64()), id="G25 2**63"),
        pytest.param(pa.array(["a", None]), id="missing"),
        pytest.param(pa.array([1, None]), id="missing integer"),
        pytest.param(pa.array(["a", ""]), id="empty"),
        pytest.param(pa.array([True, False]), id="truth values"),
        pytest.param(pa.array([b"a", b"b"]), id="bytes"),
        pytest.param(pa.array([["a"], ["b"]]), id="lists"),
        pytest.param(pa.nulls(2), id="nothing"),
    ],
)
def test_what_is_no_name_is_refused(column):
    with pytest.raises(DataError, match=r"names of nodes must|in a \(uint64\)") as caught:
        coded_names(pa.table({"a": column}), ["a"])
    assert caught.value.code == "NODE_ID"


def test_text_and_integers_do_not_mix():
    with pytest.raises(DataError, match=r"got a \(int64\), b \(string\)"):
        coded_names(pa.table({"a": [1, 2], "b": ["1", "2"]}), ["a", "b"])


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array([1, 2]), [1, 2]),
        (pa.array([1, None], pa.uint8()), [1, np.nan]),
        (pa.array([0.5, None], pa.float32()), [0.5, np.nan]),
        (pa.array([np.float16(0.5), 2], pa.float16()), [0.5, 2]),
        (pa.array([True, None]), [1, np.nan]),
    ],
    ids=str,
)
def test_numbers_are_floats_and_missing_ones_nan(column, expected):
    np.testing.assert_array_equal(numbers(pa.table({"a": column}), "a", "CODE"), expected)


@pytest.mark.parametrize(
    "column", [pa.array(["1"]), pa.array([0], pa.timestamp("s")), pa.array([[1.0]])], ids=str
)
def test_what_is_no_number_is_refused_by_its_column(column):
    with pytest.raises(DataError, match="column 'a' must be numbers") as caught:
        numbers(pa.table({"a": column}), "a", "FEATURE_DTYPE")  # F06
    assert caught.value.code == "FEATURE_DTYPE"
