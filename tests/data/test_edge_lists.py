"""An edge list is read whatever writes it, and each line that is no edge is refused by number."""

import codecs
import csv
import gzip
import io
import logging
import re
import unicodedata

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vgae.data.edge_lists import read_edge_list, read_parquet_edges
from vgae.data.reading import Reading
from vgae.errors import DataError, UsageError

NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)


def edges_of(found):
    """The edges by their names, in the order of the file."""
    return [(found.names[u], found.names[v]) for u, v in found.edges.T.tolist()]


def read(text, path, *, drop_zero=False, **layout):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_edge_list(path, Reading(**layout, drop_zero=drop_zero))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "links.csv"


# An apostrophe before = + - @ is a spreadsheet's mark for text, and no part of a name.
UNMARKED = NAMES.filter(lambda name: not re.match(r"'+[=+\-@\t\r\0]", name))


@given(
    edges=st.lists(st.tuples(UNMARKED, UNMARKED), min_size=1), end=st.sampled_from(["\n", "\r\n"])
)
def test_names_are_read_as_python_writes_them(tmp_path_factory, edges, end):
    path = tmp_path_factory.getbasetemp() / "names.csv"
    file = io.StringIO()
    csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator=end).writerows(edges)
    found = read(file.getvalue(), path, delimiter=",", header=False)
    assert [tuple(map(str, edge)) for edge in edges_of(found)] == edges
    assert found.names == sorted(found.names)
    assert set(map(str, found.names)) == {name for edge in edges for name in edge}


@pytest.mark.parametrize("separator", [",", "\t", ";"])
@pytest.mark.parametrize("header", [False, True])
def test_a_frame_of_pandas_is_read_without_options(separator, header, path):
    rng = np.random.default_rng(0)
    names = np.array(["New York", "Zürich", 'the "city"', "a,b;c\td", "#5", "東京"])
    frame = pd.DataFrame(rng.choice(names, (200, 2)), columns=["source", "target"])
    frame["weight"] = rng.random(200)
    frame.to_csv(path, sep=separator, index=False, header=header, quoting=csv.QUOTE_NONNUMERIC)
    found = read_edge_list(path)
    assert edges_of(found) == list(zip(frame.source, frame.target, strict=True))
    np.testing.assert_array_equal(found.weight, frame.weight)


LINES = ["a b 1", "b c 2", "c a 3"]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("\n".join(LINES), id="L10 no final newline"),
        pytest.param("\r\n".join([*LINES, ""]), id="L10 CRLF"),
        pytest.param("\r".join([*LINES, ""]), id="L10 CR"),
        pytest.param(" \t\n".join([*LINES, "", ""]), id="L10 trailing blanks"),
        pytest.param("\n\n" + "\n\n".join(LINES) + "\n\n", id="L10 blank lines"),
        pytest.param("\n".join(LINES).replace(" ", "\t"), id="L10 tabs"),
        pytest.param("\n".join(LINES).replace(" ", " \t "), id="L10 tabs and blanks"),
        pytest.param("\n".join(LINES).replace(" ", ", "), id="L04 commas"),
        pytest.param("\n".join(LINES).replace(" ", ";"), id="L04 semicolons"),
        pytest.param("# a comment, with commas\n%%\n" + "\n".join(LINES), id="L07 comments"),
        pytest.param(codecs.BOM_UTF8 + "\n".join(LINES).encode(), id="L08 mark"),
        pytest.param("src,dst,w\n" + "\n".join(LINES).replace(" ", ","), id="L03 header"),
        pytest.param(gzip.compress("\n".join(LINES).encode()), id="gzip"),
    ],
)
def test_the_same_edges_are_read_from_every_form(content, path):
    found = read(content, path)
    assert edges_of(found) == [("a", "b"), ("b", "c"), ("c", "a")]
    assert found.weight.tolist() == [1, 2, 3]


def test_a_file_in_another_encoding_is_read_by_its_name(path):
    assert read("ä b\n".encode("latin-1"), path, encoding="latin-1").names == ["b", "ä"]
    with pytest.raises(DataError, match="byte 0xe4 at offset 0") as caught:
        read("ä b\n".encode("latin-1"), path)  # L09
    assert caught.value.code == "ENCODING"


@pytest.mark.parametrize(
    ("text", "header"),
    [
        pytest.param("source,target\na,b\n", "source,target", id="L03 words"),
        pytest.param("From To\n1 2\n", "From,To", id="L03 capitals"),
        pytest.param("Source ID;Target_ID\na;b\n", "Source ID,Target_ID", id="L03 blanks"),
        pytest.param("city,town,flights\na,b,3\n", "city,town,flights", id="L03 third column"),
        pytest.param("paper,cites\n1,2\n3,4\n", "paper,cites", id="L03 over integers"),
        pytest.param("# by hand\n\nu v\na b\n", "u,v", id="L03 after comments"),
        pytest.param("city,town\na,b\n", None, id="L03 other words"),
        pytest.param("u v\nv w\n", None, id="L03 words that are nodes"),
        pytest.param("a,1\n1,2\n", None, id="L03 half an integer"),
        pytest.param("a,b,1\nb,c,2\n", None, id="L03 a weight"),
        pytest.param("1 2\n2 3\n", None, id="L03 integers"),
    ],
)
def test_a_header_is_detected_and_announced(text, header, path, caplog):
    with caplog.at_level(logging.INFO, "vgae"):
        found = read(text, path)
    told = "no header" if header is None else f"header {header!r}"
    assert "links.csv: separated by " in caplog.text
    assert f", {told}, " in caplog.text
    lines = [line for line in text.splitlines() if line and line[0] != "#"]
    assert found.edges.shape[1] == len(lines) - (header is not None)


@pytest.mark.parametrize(
    ("text", "header", "warned"),
    [
        ("module,imports\nos,sys\nre,sys\n", None, True),  # words that no list could have
        ("module,sys\nos,sys\nre,sys\n", None, False),
        ("module,imports\nos,sys\nre,sys\n", False, False),
        ("module,imports\n", None, False),
        ("a,a\nb,c\n", None, False),
    ],
)
def test_a_first_line_that_may_be_a_header_is_warned_of(text, header, warned, path, caplog):
    path.write_text(text)
    read_edge_list(path, Reading(header=header))
    words = "no other line names the nodes of the first one, 'module' and 'imports'"
    assert (words in caplog.text) == warned


@pytest.mark.parametrize(
    ("text", "separated"),
    [
        pytest.param("a,b\n", "commas", id="L04 comma"),
        pytest.param("New York,Los Angeles\nRome,Paris\n", "commas", id="L04 blanks in names"),
        pytest.param("Doe, Jane\tRoe, Joe\n", "tabs", id="L04 commas in names"),
        pytest.param("a;b;1,5\nb;c;2,5\n", "semicolons", id="L04 decimal commas"),
        pytest.param("a b 1,5\nb c 2,5\n", "white space", id="L04 decimal commas and blanks"),
        pytest.param("a|b|1,5\nb|c|2,5\n", "bars", id="L04 decimal commas and bars"),
        pytest.param('"a;b",c\n', "commas", id="L04 quoted"),
        pytest.param('"a\nb",c\n"d\ne",f', "commas", id="L04 quoted lines"),
        pytest.param("a  b\n", "white space", id="L04 blanks"),
    ],
)
def test_the_separator_is_detected_and_announced(text, separated, path, caplog):
    with caplog.at_level(logging.INFO, "vgae"):
        read(text, path, weight="none")
    assert f"links.csv: separated by {separated}, no header, " in caplog.text


def test_what_is_given_is_not_detected(path, caplog):
    assert edges_of(read("a|b,c\n", path, delimiter="|")) == [("a", "b,c")]
    assert edges_of(read("a b,c\n", path, delimiter=" ")) == [("a", "b,c")]
    assert edges_of(read("source target\n", path, header=False)) == [("source", "target")]
    assert edges_of(read("a b\nb c\n", path, header=True)) == [("b", "c")]


@pytest.mark.parametrize("delimiter", ["", ", ", '"', "\n", "#"])
def test_a_delimiter_is_one_character(delimiter, path):
    with pytest.raises(UsageError, match="delimiter must be one character"):
        read("a b\n", path, delimiter=delimiter)


GOOD = "a,b\n" * 16


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        pytest.param(
            GOOD + "c\n",
            "FIELDS",
            "line 17: expected 2 fields separated by commas as in the lines before, got 1",
            id="L05 one column",
        ),
        pytest.param(
            GOOD + "a,b,c,d\n",
            "FIELDS",
            "line 17: expected 2 fields separated by commas as in the lines before, got 4",
            id="L05 four columns",
        ),
        pytest.param("a\nb\n", "FIELDS", "line 1: expected 2 or 3 fields", id="L05 a list"),
        pytest.param("a,b,c,d\n", "FIELDS", "line 1: .* by commas, got 4", id="L05 a table"),
        pytest.param(
            "a,b,1\nb,c\n",
            "FIELDS",
            "line 2: expected 3 fields separated by commas as in the lines before, got 2",
            id="L05 a weight missing",
        ),
        pytest.param(
            "source,target\na,b,1\n", "FIELDS", "line 2: expected 2 fields", id="L05 header"
        ),
        pytest.param("a b {w:1}\n", "BAD_WEIGHT", "line 1: expected a dictionary", id="L06 dict"),
        pytest.param("a,b,1\nb,c,x\n", "BAD_WEIGHT", "line 2: .* got 'x'", id="L06 G13 text"),
        pytest.param("a,b,1\nb,c,\n", "BAD_WEIGHT", "line 2: .* got ''", id="G13 empty"),
        pytest.param("a,b,1\nb,c,١\n", "BAD_WEIGHT", "line 2: ", id="L12 digits"),
        pytest.param("a,b,1\nb,c,1_0\n", "BAD_WEIGHT", "line 2: ", id="L12 underscore"),
        pytest.param("a,b,1\nb,c,nan\n", "BAD_WEIGHT", "line 2: .* got 'nan'", id="G12 NaN"),
        pytest.param("a,b,1\nb,c,inf\n", "BAD_WEIGHT", "line 2: .* got 'inf'", id="G12 inf"),
        pytest.param("a,b,1\nb,c,-inf\n", "BAD_WEIGHT", "line 2: ", id="G12 -inf"),
        pytest.param("a,b,1\nb,c,1e400\n", "BAD_WEIGHT", "line 2: ", id="G12 too large"),
        pytest.param("a,b,1\nb,c,-1\n", "NEGATIVE_WEIGHT", "line 2: .* got '-1'", id="G11"),
        pytest.param("a,b,1\nb,c,-0.0\n", "ZERO_WEIGHT", "line 2: .* drop_zero", id="G12 zero"),
        pytest.param("a,b\nb,\n", "NODE_ID", "line 2: the name of a node", id="empty target"),
        pytest.param('"",b\n', "NODE_ID", "line 1: the name of a node", id="empty source"),
        pytest.param('a,b\n"c,d\n', "QUOTES", "line 2: a quoted field", id="L13 open quote"),
        pytest.param("a b\nc\0d e\n", "ENCODING", "line 2: a NUL character", id="L13 NUL"),
        pytest.param("", "NO_EDGES", "it has no edges", id="G03 nothing"),
        pytest.param("# only\n\n", "NO_EDGES", "it has no edges", id="G03 comments"),
        pytest.param("source,target\n", "NO_EDGES", "it has no edges", id="G03 a header"),
    ],
)
def test_what_is_no_edge_is_refused_with_its_line(text, code, message, path):
    with pytest.raises(DataError, match=rf"links\.csv[,:] {message}") as caught:
        read(text, path)
    assert caught.value.code == code
    assert "\n" not in str(caught.value)


def test_lines_are_counted_with_those_that_hold_no_edge(path):
    with pytest.raises(DataError, match="line 6: expected"):
        read('# a comment\n\n"a\nb",c\r\n% another\nd\n', path)
    with pytest.raises(DataError, match="line 205: expected"):
        read("#\n" * 102 + "a,b\n" * 102 + "c\n", path)


def test_a_name_that_leaves_the_screen_is_shown_escaped(path):
    with pytest.raises(DataError) as caught:
        read("a,b,1\na,b,\x1b[31m\u202e\n", path)
    assert r"'\x1b[31m\u202e'" in str(caught.value)


def test_edges_of_weight_zero_are_left_out_on_request(path, caplog):
    with caplog.at_level(logging.INFO, "vgae"):
        found = read("a,b,0\nb,c,2\nd,d,0.0\n", path, drop_zero=True)
    assert edges_of(found) == [("b", "c")]
    assert found.weight.tolist() == [2]
    assert found.names == ["a", "b", "c", "d"]
    assert "2 edges of weight zero left out" in caplog.text


@pytest.mark.parametrize(
    ("text", "names"),
    [
        pytest.param("10 9\n", [9, 10], id="integers"),
        pytest.param("0 4000000000\n", [0, 4_000_000_000], id="G24"),
        pytest.param("-1 1\n", [-1, 1], id="G25 negative"),
        pytest.param("0 9223372036854775807\n", [0, 2**63 - 1], id="G25 largest"),
        pytest.param("0 9223372036854775808\n", ["0", "9223372036854775808"], id="G25 2**63"),
        pytest.param("1.0 1\n", ["1", "1.0"], id="G25 1.0"),
        pytest.param("1e3 1000\n", ["1000", "1e3"], id="G25 1e3"),
        pytest.param("007 7\n", ["007", "7"], id="G25 007"),
        pytest.param("9007199254740993 9007199254740992\n", [2**53, 2**53 + 1], id="G26"),
        pytest.param("١ 1\n", ["1", "١"], id="L12"),
        pytest.param("10 9\n9 a\n", ["10", "9", "a"], id="one of text"),
    ],
)
def test_names_are_integers_only_if_each_is_one(text, names, path):
    found = read(text, path)
    assert found.names == names
    assert list(map(type, found.names)) == list(map(type, names))


@given(st.permutations(["b a", "a c", "d b", "c a", "a a"]))
def test_the_order_of_lines_does_not_change_the_nodes(tmp_path_factory, lines):
    found = read("\n".join(lines), tmp_path_factory.getbasetemp() / "order.txt")
    assert found.names == ["a", "b", "c", "d"]
    assert [" ".join(edge) for edge in edges_of(found)] == lines


def test_names_that_look_alike_are_kept_apart_with_one_warning(path, caplog):
    composed, apart = "é", unicodedata.normalize("NFD", "é")
    found = read(f"{composed} {apart}\nK \u212a\n", path, header=False)  # L11
    assert len(found.names) == 4
    assert len(caplog.records) == 1
    assert r"'e\u0301' and '\xe9' are two nodes" in caplog.text


def test_names_that_do_not_look_alike_are_not_warned_of(path, caplog):
    read(f"é {unicodedata.normalize('NFD', 'è')}\n", path)
    assert not caplog.records


def test_a_long_list_is_read_past_the_lines_that_are_looked_at_first(path):
    rng = np.random.default_rng(0)
    edges = rng.integers(0, 500, (3000, 2))
    found = read("\n".join(f"{u}\t{v}" for u, v in edges.tolist()), path)
    assert edges_of(found) == list(map(tuple, edges.tolist()))


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(pd.DataFrame({"a": ["x", "y"], "b": ["y", "z"]}), id="two columns"),
        pytest.param(
            pd.DataFrame({"weight": [9, 9], "target": ["y", "z"], "source": ["x", "y"]}).drop(
                columns="weight"
            ),
            id="by name",
        ),
        pytest.param(
            pd.DataFrame({"k": [1, 2], "target": ["y", "z"], "source": ["x", "y"]}),
            id="by name among others",
        ),
    ],
)
def test_a_parquet_file_is_an_edge_list(frame, tmp_path):
    frame.to_parquet(tmp_path / "a.parquet")
    found = read_parquet_edges(tmp_path / "a.parquet")
    assert edges_of(found) == [("x", "y"), ("y", "z")]
    assert found.weight is None


def parquet(path, **columns):
    pq.write_table(pa.table(columns), path)
    return path


def test_weights_of_parquet_are_read_and_left_out_where_zero(tmp_path):
    path = parquet(tmp_path / "a.parquet", weight=[0.5, 0], target=[7, 1], source=[300, 7])
    found = read_parquet_edges(path)
    assert edges_of(found) == [(300, 7), (7, 1)]
    assert found.weight.tolist() == [0.5, 0]
    assert edges_of(read_parquet_edges(path, Reading(drop_zero=True))) == [(300, 7)]


@pytest.mark.parametrize(
    ("columns", "code"),
    [
        ({"a": ["x"]}, "PARQUET_COLUMNS"),
        ({"k": ["x"], "l": ["y"], "c": [1], "d": [1]}, "FIELDS"),
        ({"source": ["x"], "target": ["y"], "weight": ["z"]}, "BAD_WEIGHT"),
        ({"source": [0.5], "target": [1.5]}, "NODE_ID"),
        ({"source": pa.array([], "string"), "target": pa.array([], "string")}, "NO_EDGES"),
    ],
    ids=["L05 one column", "L05 four columns", "G13 text", "G26 floats", "G03 no rows"],
)
def test_a_table_of_something_else_is_refused(columns, code, tmp_path):
    with pytest.raises(DataError) as caught:
        read_parquet_edges(parquet(tmp_path / "a.parquet", **columns))
    assert caught.value.code == code
