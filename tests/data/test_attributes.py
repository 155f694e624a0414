"""Tables of nodes: which column has the names, the labels, an index; what is no number."""

import datetime
import decimal
import gzip

import numpy as np
import pandas as pd
import pytest

from vgae.data.attributes import label_codes, read_node_table
from vgae.data.reading import Reading
from vgae.errors import DataError

FRAME = pd.DataFrame({"age": [20, 0, 10]}, index=["b", "a", "c"])


def table(path, text, *, numeric=True, suffix=".csv", **options):
    file = path / f"t{suffix}"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_node_table(file, Reading(**options), numeric=numeric)


@pytest.mark.parametrize(
    ("text", "column", "names", "attributes"),
    [
        (",id,age\n0,2,20\n1,0,0\n2,1,10\n", "id", [2, 0, 1], ("age",)),
        ("Unnamed: 0,Node_ID,age\n5,2,20\n7,0,0\n9,1,10\n", "Node_ID", [2, 0, 1], ("age",)),
        ("index,age,Node Id\n0,20,2\n1,0,0\n2,10,1\n", "Node Id", [2, 0, 1], ("age",)),
        ("index,id,age\n1.5,2,20\n1.5,0,0\n1,1,10\n", "id", [2, 0, 1], ("index", "age")),
        (",age\nb,20\na,0\nc,10\n", "", ["b", "a", "c"], ("age",)),
        ("index,age\n2,20\n0,0\n1,10\n", "index", [2, 0, 1], ("age",)),
        ("age,NAME\n20,b\n0,a\n10,c\n", "NAME", ["b", "a", "c"], ("age",)),
        ("name,id,age\nx,2,20\ny,0,0\nz,1,10\n", "id", [2, 0, 1], ("name", "age")),
        ("age,personId:ID\n20,b\n0,a\n10,c\n", "personId:ID", ["b", "a", "c"], ("age",)),
        ("who,age\nb,20\na,0\nc,10\n", "who", ["b", "a", "c"], ("age",)),
        ("id,age,\nb,20,\na,0,\nc,10,\n", "id", ["b", "a", "c"], ("age",)),
    ],
)
def test_the_column_of_the_names_is_found(text, column, names, attributes, tmp_path):
    found = table(tmp_path, text, numeric=False)
    assert (found.id_column, list(found.names), found.attributes) == (column, names, attributes)
    if "name" not in attributes:
        found = table(tmp_path, text)
        assert (list(found.names), found.attributes) == (names, attributes)
        assert found.x[:, attributes.index("age")].tolist() == [20, 0, 10]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("# made by hand\n\nid,age\n#b,20\n% a,0\n# later\nc,10\n", ["#b", "% a", "c"]),
        ("sep=;\nid;age;\nb;20;\na;0;\nc;10;\n", ["b", "a", "c"]),
        ("id|age\nb c|20\na|0\nc|10\n", ["b c", "a", "c"]),
        ('id age\n"b c" 20\na 0\nc 10\n', ["b c", "a", "c"]),
        ("the id;age\nBob Day;20,0\nAnn Lee;0,0\nc;10,0\n", ["Bob Day", "Ann Lee", "c"]),
        ('"age"\n"b" 20\n"a" 0\n"c" 10\n', ["b", "a", "c"]),  # R with names of rows
        ("the id\tage\nBob, Day\t20\nAnn\t0\nc\t10\n", ["Bob, Day", "Ann", "c"]),
    ],
)
def test_tables_are_read_in_any_dialect(text, names, tmp_path):
    found = table(tmp_path, text)
    assert (list(found.names), found.attributes) == (names, ("age",))
    assert found.x.tolist() == [[20], [0], [10]]


def test_white_space_does_not_separate_where_a_sign_does(tmp_path):
    with pytest.raises(DataError, match="line 3: expected 2 fields separated by commas as") as e:
        table(tmp_path, "the id,full name\nann,Ann Lee\nbob,Bob Day,x\n")
    assert "delimiter" not in str(e.value)  # the option is that of the links


def test_a_saved_index_of_pandas_has_the_names(tmp_path):
    FRAME.to_csv(tmp_path / "a.csv")
    FRAME.to_parquet(tmp_path / "a.parquet")
    FRAME.reset_index(names="id").set_axis([4, 6, 9]).to_parquet(tmp_path / "b.parquet")
    for name in ("a.csv", "a.parquet", "b.parquet"):
        found = read_node_table(tmp_path / name, Reading(), numeric=True)
        assert (list(found.names), found.attributes) == (["b", "a", "c"], ("age",))
        assert found.x.tolist() == [[20], [0], [10]]


def test_the_column_of_the_names_can_be_chosen(tmp_path):
    found = table(tmp_path, "id,who,age\n1,b,20\n2,a,0\n", id_column="who")
    assert (found.names, found.attributes) == (["b", "a"], ("id", "age"))


@pytest.mark.parametrize(
    ("text", "suffix"),
    [
        ("id\tage\nb\t1\na\t2\n", ".tsv"),
        ("id;age\nb;1,0\na;2,0\n", ".csv"),
        ("id age\nb 1\na  2\n", ".txt"),
        ("id,age\nb,1\na,2\n", ".txt"),
        (gzip.compress(b"\xef\xbb\xbfid,age\r\nb,1\r\na,2\r\n", mtime=0), ".csv.gz"),
    ],
)
@pytest.mark.parametrize("numeric", [True, False])
def test_separators_and_decimal_commas(text, suffix, numeric, tmp_path):
    found = table(tmp_path, text, suffix=suffix, numeric=numeric)
    values = found.x[:, 0] if numeric else np.array(found.columns["age"], float)
    assert values.tolist() == [1, 2]


def test_truth_values_are_numbers(tmp_path):
    assert table(tmp_path, "id,m\na,True\nb,false\n").x.tolist() == [[1], [0]]


def test_columns_of_one_name_get_numbers(tmp_path, caplog):
    found = table(tmp_path, "id,h,h,h.1,h\na,1,2,3,4\n", numeric=False)
    first = {name: cells[0] for name, cells in found.columns.items()}
    assert first == {"id": "a", "h": "1", "h.2": "2", "h.1": "3", "h.3": "4"}
    assert "with the name of another one" in caplog.text


@pytest.mark.parametrize(
    ("text", "options", "code", "words"),
    [
        (
            "id,age,city,ok\na,1,Ulm,1\nb,,Ulm,2\nc,1.5,Ulm,3\nd,2,Bern,2\n",
            {},
            "FEATURE_DTYPE",
            "'city' is 'Ulm' in line 2, 'age' is '' in line 3; encode='auto' ",
        ),
        ("id;a\n1;1.234,5\n2;1\n", {}, "FEATURE_DTYPE", "'a' is '1.234,5' in line 2"),
        (
            "id,name,age\n1,a,2\n2,b,3\n",
            {},
            "FEATURE_DTYPE",
            "if 'name' is the name of the node: id_column='name'",
        ),
        (",id,age\nx,1,2\n", {}, "FEATURE_HEADER", "first column has no name"),
        ("id,age\na,1\n", {"id_column": "idd"}, "ID_COLUMN", "did you mean 'id'"),
        ("id,age\na,1\n", {"label_column": "xyz"}, "LABEL_COLUMN", "it has 'id', 'age'"),
        ("id,age\na,1\n", {"label_column": "id"}, "LABEL_COLUMN", "names of the nodes"),
        ("id,age\na,1\nb,1,2\n", {}, "FIELDS", "line 3: expected 2 fields"),
        ("id,age,\na,1,2\n", {}, "FIELDS", "line 2: expected 2 fields"),
        ("id,age\n", {}, "FEATURE_SHAPE", "no rows"),
        ("age,id\n1,\n", {}, "NODE_ID", "empty"),
    ],
)
def test_a_table_that_cannot_be_read_is_refused(text, options, code, words, tmp_path):
    with pytest.raises(DataError, match=words) as caught:
        table(tmp_path, text, **options)
    assert caught.value.code == code


def test_a_parquet_of_numbers_alone_is_told_how_to_name_its_nodes(tmp_path):
    pd.DataFrame({"a": [0.5, 1.5], "b": [1, 2]}).to_parquet(tmp_path / "t.parquet")
    with pytest.raises(DataError, match=r"a \(double\).*--id-column.*a \.npy\.$") as caught:
        read_node_table(tmp_path / "t.parquet", Reading(), numeric=True)
    assert caught.value.code == "NODE_ID"
    named = read_node_table(tmp_path / "t.parquet", Reading(id_column="b"), numeric=True)
    assert named.names == [1, 2]


def test_a_parquet_table_keeps_its_types(tmp_path):
    day = datetime.date(2020, 1, 1)
    frame = pd.DataFrame(
        {
            "id": ["a", "b", "c"],
            "when": pd.to_datetime(["2020-01-01", None, "2020-01-03"]),
            "zone": pd.to_datetime(["2020-01-01"] * 3).tz_localize("Europe/Berlin"),
            "b": pd.array([True, None, False], dtype="boolean"),
            "i": pd.array([1, None, 3], dtype="Int64"),
            "c": pd.Categorical(["u", "v", "u"]),
            "d": [decimal.Decimal("1.5"), None, decimal.Decimal("2.5")],
            "day": [day, None, day],
            "list": [[1], [2], None],
        }
    )
    frame.to_parquet(tmp_path / "t.parquet")
    columns = read_node_table(tmp_path / "t.parquet", Reading(), numeric=False).columns
    assert columns["when"][0].startswith("2020-01-01T00:00:00")
    assert columns["zone"][0].startswith("2019-12-31T23:00:00")
    assert columns["day"] == ["2020-01-01", "NaT", "2020-01-01"]
    assert columns["c"] == ["u", "v", "u"]
    assert columns["list"] == ["[1]", "[2]", None]
    for name, values in {
        "b": [1, np.nan, 0],
        "i": [1, np.nan, 3],
        "d": [1.5, np.nan, 2.5],
    }.items():
        np.testing.assert_array_equal(columns[name], values)
    with pytest.raises(DataError, match=r"'when' is of type timestamp.*'c' is of type dict"):
        read_node_table(tmp_path / "t.parquet", Reading(), numeric=True)


@pytest.mark.parametrize(
    ("cells", "y", "names"),
    [
        (["x", "", "a", "x"], [1, -1, 0, 1], ("a", "x")),
        (["10", "9", "-1", "NA"], [2, 1, 0, -1], ("-1", "9", "10")),
        (["10.0", "9.0", ""], [1, 0, -1], ("9", "10")),
        (np.array([2, np.nan, 10]), [0, -1, 1], ("2", "10")),
    ],
)
def test_labels_are_sorted_and_missing_ones_are_unknown(cells, y, names):
    found, label_names = label_codes(cells, "l")
    assert (found.tolist(), label_names) == (y, names)


def test_a_column_without_labels_is_refused():
    with pytest.raises(DataError, match="'l' of the labels has no values") as caught:
        label_codes(["", None], "l")
    assert caught.value.code == "LABELS"
