import csv
import json
import sys

import numpy as np
import pytest
import torch

from vgae.errors import ResourceError, UsageError
from vgae.runtime.tables import (
    check_table,
    checked_suffix,
    exact_values,
    optional_module,
    write_table,
)

NAMES = [
    "plain",
    "=1+1",
    "@x",
    "+1",
    "-1",
    "\t=1",
    "'=1+1",
    "'t Hooft",
    "a,b",
    '"q"',
    "two\nlines",
    "a\rb",
    "a\tb",
    "</script>",
    "\u202eleft",
    "\u2028",
    "",
    " ",
    "NA",
    "Zürich 🦉",
]
# A third has no finite decimal, and the others are the ends of their types.
FLOATS = [1 / 3, -0.1, 0.0, -0.0, 1e-45, 1.1754942e-38, 3.4028234e38, 123456789.0]


@pytest.fixture
def columns():
    """Every kind of column, as many rows as there are names."""
    numbers = np.resize(FLOATS, len(NAMES))
    return {
        "id": NAMES,
        "single": numbers.astype(np.float32),
        "double": numbers,
        "count": np.arange(len(NAMES)) - 2**62,
        "place": range(len(NAMES)),
        "known": np.arange(len(NAMES)) % 2 == 0,
    }


def assert_same_numbers(frame, columns):
    for name in ("single", "double"):
        # As whole numbers, so that -0.0 is not 0.0.
        bits = "u4" if name == "single" else "u8"
        back = frame[name].to_numpy().astype(columns[name].dtype)
        assert np.array_equal(back.view(bits), columns[name].view(bits))
    for name in ("count", "place", "known"):
        assert frame[name].tolist() == list(columns[name])


@pytest.mark.parametrize(("suffix", "separator"), [(".csv", ","), (".tsv", "\t")])
def test_pandas_reads_a_sheet_and_only_the_apostrophe_is_new(suffix, separator, columns, tmp_path):
    pandas = pytest.importorskip("pandas")
    write_table(tmp_path / f"t{suffix}", columns)
    frame = pandas.read_csv(
        tmp_path / f"t{suffix}",
        sep=separator,
        dtype={"id": str},
        keep_default_na=False,
        # The parser of older versions of pandas is off by one digit in the last place.
        converters={"double": float},
    )
    assert frame.columns.tolist() == list(columns)
    new = {
        name: back for name, back in zip(NAMES, frame["id"].tolist(), strict=True) if name != back
    }
    assert new == {
        "=1+1": "'=1+1",
        "@x": "'@x",
        "+1": "'+1",
        "-1": "'-1",
        "\t=1": "'\t=1",
        "'=1+1": "''=1+1",
    }
    assert_same_numbers(frame, columns)


@pytest.mark.parametrize("suffix", [".json", ".jsonl"])
def test_pandas_reads_json(suffix, columns, tmp_path):
    pandas = pytest.importorskip("pandas")
    write_table(tmp_path / f"t{suffix}", columns)
    frame = pandas.read_json(
        tmp_path / f"t{suffix}", lines=suffix == ".jsonl", dtype=False, precise_float=True
    )
    assert frame.columns.tolist() == list(columns)
    assert frame["id"].tolist() == NAMES
    assert frame["count"].tolist() == columns["count"].tolist()


def test_json_is_strict_a_row_on_each_line_and_brings_every_value_back(columns, tmp_path):
    pandas = pytest.importorskip("pandas")
    write_table(tmp_path / "t.json", columns)
    write_table(tmp_path / "t.jsonl", columns)
    rows = json.loads((tmp_path / "t.json").read_bytes())
    assert [json.loads(row) for row in (tmp_path / "t.jsonl").read_bytes().splitlines()] == rows
    assert [row["id"] for row in rows] == NAMES
    assert_same_numbers(pandas.DataFrame(rows), columns)


def test_arrow_reads_parquet_with_every_type_kept(columns, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    write_table(tmp_path / "t.parquet", columns)
    table = parquet.read_table(tmp_path / "t.parquet")
    types = dict(zip(table.schema.names, map(str, table.schema.types), strict=True))
    assert types == {
        "id": "string",
        "single": "float",
        "double": "double",
        "count": "int64",
        "place": "int64",
        "known": "bool",
    }
    assert table["id"].to_pylist() == NAMES
    assert_same_numbers(table.to_pandas(), columns)


@pytest.mark.parametrize(
    ("names", "stored"),
    [
        ([7, "a", None], ["7", "a", None]),
        ([2**64, -1], ["18446744073709551616", "-1"]),
        ([-(2**63), 2**63 - 1], [-(2**63), 2**63 - 1]),
        (np.array(["a", 7], dtype=object), ["a", "7"]),
        (np.array(["a", "b"]), ["a", "b"]),
        ([np.int64(3), None], [3, None]),
    ],
)
def test_a_column_of_parquet_is_of_one_type(names, stored, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    write_table(tmp_path / "t.parquet", {"id": names})
    assert parquet.read_table(tmp_path / "t.parquet")["id"].to_pylist() == stored


def test_what_is_not_finite_is_null_in_json_and_itself_elsewhere(tmp_path):
    values = np.array([np.nan, np.inf, -np.inf, 1.5], dtype=np.float32)
    for suffix in (".csv", ".json"):
        write_table(tmp_path / f"t{suffix}", {"x": values, "y": list(values)})
    rows = json.loads((tmp_path / "t.json").read_bytes())
    assert rows == [{"x": x, "y": x} for x in (None, None, None, 1.5)]
    with (tmp_path / "t.csv").open(newline="") as file:
        _, *cells = csv.reader(file)
    assert cells == [[x, x] for x in ("nan", "inf", "-inf", "1.5")]


def test_a_missing_value_is_an_empty_cell_and_null(tmp_path):
    for suffix in (".csv", ".jsonl"):
        write_table(tmp_path / f"t{suffix}", {"x": [1, None], "=y": ["a", "b"]})
    assert (tmp_path / "t.csv").read_bytes() == b"x,'=y\r\n1,a\r\n,b\r\n"
    assert (tmp_path / "t.jsonl").read_text() == '{"x": 1, "=y": "a"}\n{"x": null, "=y": "b"}\n'


@pytest.mark.parametrize(
    ("suffix", "text"), [(".csv", "x\r\n"), (".json", "[\n\n]\n"), (".jsonl", "")]
)
def test_a_table_may_have_no_rows(suffix, text, tmp_path):
    write_table(tmp_path / f"t{suffix}", {"x": []})
    assert (tmp_path / f"t{suffix}").read_bytes().decode() == text


def test_long_tables_are_written_to_the_end(tmp_path):
    write_table(tmp_path / "t.csv", {"x": np.arange(10_001), "y": range(10_001)})
    back = np.loadtxt(tmp_path / "t.csv", delimiter=",", skiprows=1, dtype=np.int64)
    assert np.array_equal(back, np.arange(10_001)[:, None].repeat(2, axis=1))


def test_exact_values_bring_any_float32_back_by_way_of_float64(generator):
    bits = torch.randint(-(2**31), 2**31, (20_000,), generator=generator).to(torch.int32)
    numbers = bits.view(torch.float32).numpy()
    numbers = numbers[np.isfinite(numbers)]
    texts = [repr(value) for value in exact_values(numbers)]
    assert np.array_equal(np.array(texts, dtype=np.float64).astype(np.float32), numbers)
    assert exact_values(np.array([0.1, 0.5], dtype=np.float32)) == [0.100000001, 0.5]


@pytest.mark.parametrize("columns", [{}, {"x": [1], "y": [1, 2]}])
def test_columns_must_be_equally_long(columns, tmp_path):
    with pytest.raises(ValueError, match="columns must be one or more, equally long, got lengths"):
        write_table(tmp_path / "t.csv", columns)


def test_another_suffix_is_refused_and_nothing_is_written(tmp_path):
    with pytest.raises(
        UsageError, match=r"must end in one of .csv, .tsv, .json, .jsonl, .parquet, got '.xls'"
    ) as error:
        write_table(tmp_path / "t.xls", {"x": [1]})
    assert error.value.code == "EXPORT_FORMAT"
    assert list(tmp_path.iterdir()) == []


def test_a_table_that_cannot_be_written_leaves_the_old_one(tmp_path):
    path = tmp_path / "t.json"
    path.write_text("old")
    with pytest.raises(TypeError, match="doesn't apply to a 'set' object"):
        write_table(path, {"x": [1, {2}]})
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_checked_suffix_is_the_suffix(tmp_path):
    assert checked_suffix(tmp_path / "a.b.csv", (".csv",)) == ".csv"


def test_a_missing_package_is_an_error_that_says_what_to_install():
    assert optional_module("json", "none") is json
    with pytest.raises(
        UsageError, match=r"^no_such_package is missing: pip install 'vgae\[parquet\]'\.$"
    ) as error:
        optional_module("no_such_package.part", "parquet")
    assert error.value.code == "MISSING_PACKAGE"


def test_a_table_is_checked_before_the_work(tmp_path, monkeypatch):
    check_table(tmp_path / "x.csv")
    with pytest.raises(UsageError, match="must end in one of"):
        check_table(tmp_path / "x.xls")
    with pytest.raises(ResourceError, match="cannot be written"):
        check_table("/dev/null/x.csv")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UsageError, match=r"vgae\[parquet\]"):
        check_table(tmp_path / "x.parquet")
    assert not list(tmp_path.iterdir())
