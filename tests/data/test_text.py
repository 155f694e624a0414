"""Text is read as it was written, whatever ends its lines, or refused with its place."""

import codecs
import csv
import gzip
import io
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vgae.data.packed import unpacked_name
from vgae.data.text import read_lines, split_records, typed_names
from vgae.errors import DataError, UsageError
from vgae.runtime import limits
from vgae.runtime.numerals import is_integer


def lines_of(content, path, encoding="utf-8"):
    path.write_bytes(content)
    return [line for _, line in read_lines(path, encoding=encoding)]


def records_of(text, path, delimiter=","):
    path.write_bytes(text.encode())
    return [fields for _, fields in split_records(read_lines(path), delimiter, path)]


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        pytest.param("ä b\n日本 c\n".encode(), "utf-8", id="utf-8"),
        pytest.param(codecs.BOM_UTF8 + "ä b\n日本 c\n".encode(), "utf-8", id="L08 mark of utf-8"),
        pytest.param(codecs.BOM_UTF8 + "ä b\n日本 c\n".encode(), "UTF8", id="L08 other spelling"),
        pytest.param("ä b\n日本 c\n".encode("utf-16"), "utf-16", id="L09 utf-16"),
        pytest.param("ä b\n日本 c\n".encode("shift-jis", "replace"), "shift-jis", id="L09 jis"),
    ],
)
def test_text_is_read_in_its_encoding(content, encoding, tmp_path):
    first, second = lines_of(content, tmp_path / "a.txt", encoding)
    assert first[1:] == " b\n"
    assert second == "日本 c\n"


def test_lines_are_counted_and_keep_their_ends(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"a\nb\r\nc\rd\xc2\x85e\xe2\x80\xa8f\n\ng")
    expected = ["a\n", "b\r\n", "c\r", "d\x85e\u2028f\n", "\n", "g"]
    assert list(read_lines(path)) == list(enumerate(expected, 1))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"a b\n" + b"c \xff\n", "byte 0xff at offset 6 is not utf-8", id="L09 byte"),
        pytest.param(
            b"a b\n" * 5000 + b"c \xe9", "byte 0xe9 at offset 20002 is", id="L09 far on, cut short"
        ),
        pytest.param(
            b"a" * 8191 + b"\xc3\x28", "byte 0xc3 at offset 8191", id="L09 across two reads"
        ),
        pytest.param("a b\n".encode("utf-16"), "offset 0, a byte order mark of UTF-16", id="L09"),
        pytest.param("a\n b\n".encode("utf-16-le"), "line 1: a NUL character", id="L09 no mark"),
        pytest.param(b"a b\nc \0\n", "line 2: a NUL character", id="L09 NUL"),
    ],
)
def test_what_is_not_text_is_refused_with_its_place(content, message, tmp_path):
    with pytest.raises(DataError, match=message) as caught:
        lines_of(content, tmp_path / "a.txt")
    assert caught.value.code == "ENCODING"
    assert "encoding" in str(caught.value)


@pytest.mark.parametrize("encoding", ["klingon", "rot13"])
def test_an_unknown_encoding_is_a_fault_of_the_caller(encoding, tmp_path):
    with pytest.raises(UsageError, match=encoding):
        lines_of(b"a b", tmp_path / "a.txt", encoding)


def test_utf_16_without_its_mark_is_refused(tmp_path):
    with pytest.raises(DataError, match="is not utf-16"):
        lines_of("a b".encode("utf-16-be"), tmp_path / "a.txt", "utf-16")


@pytest.mark.parametrize("end", ["", "\n"])
def test_a_line_has_a_longest_length(end, tmp_path):
    path = tmp_path / "a.txt"
    assert len(lines_of(b"a" * (2**20 - 1) + end.encode(), path)) == 1
    with pytest.raises(DataError, match=r"a\.txt, line 2: it has more than 1048576") as caught:
        lines_of(b"b\n" + b"a" * (2**20 + 1) + end.encode(), path)  # L14
    assert caught.value.code == "LINE_LENGTH"


PACKED = gzip.compress(b"a b\n" * 1000)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(PACKED[:-1], id="L15 truncated"),
        pytest.param(PACKED[:20], id="L15 truncated early"),
        pytest.param(PACKED[:-8] + b"\0" * 8, id="L15 checksum"),
        pytest.param(PACKED + b"junk", id="L15 trailing junk"),
        pytest.param(PACKED[:12] + b"\xff" * 9 + PACKED[21:], id="L15 garbage inside"),
        pytest.param(b"<!doctype html>", id="L15 a page"),
        pytest.param(b"a b\n", id="L15 plain text"),
    ],
)
def test_damaged_gzip_is_one_error(content, tmp_path):
    with pytest.raises(DataError, match=r"a\.csv\.gz .*download it again") as caught:
        lines_of(content, tmp_path / "a.csv.gz")
    assert caught.value.code == "GZIP_CORRUPT"


def test_gzip_is_read_whatever_its_name(tmp_path):
    assert lines_of(PACKED, tmp_path / "a.csv.gz") == ["a b\n"] * 1000
    assert lines_of(PACKED, tmp_path / "a.csv") == ["a b\n"] * 1000
    two = gzip.compress(b"a\n") + gzip.compress(b"b\n")
    assert lines_of(two, tmp_path / "a.csv.gz") == ["a\n", "b\n"]


def test_a_small_file_does_not_unpack_without_bound(tmp_path, monkeypatch):
    line = b"#" * 2**16 + b"\n"
    assert len(lines_of(gzip.compress(line * 200), tmp_path / "a.gz")) == 200
    with pytest.raises(DataError, match="more than 16777216") as caught:
        lines_of(gzip.compress(line * 300), tmp_path / "a.gz")  # L16
    assert caught.value.code == "UNPACKED_SIZE"
    monkeypatch.setattr(limits, "TEXT", limits.TEXT._replace(most=1000))
    with pytest.raises(DataError, match="more than 1000"):
        lines_of(PACKED, tmp_path / "a.gz")
    assert len(lines_of(line * 300, tmp_path / "a.txt")) == 300


@given(
    rows=st.lists(
        st.lists(
            st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
            min_size=2,
            max_size=4,
        ),
        max_size=5,
    ),
    delimiter=st.sampled_from("\t;,|^"),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_quoted_fields_are_read_as_python_writes_them(tmp_path_factory, rows, delimiter, end):
    file = io.StringIO()
    csv.writer(file, delimiter=delimiter, quoting=csv.QUOTE_ALL, lineterminator=end).writerows(
        rows
    )
    path = tmp_path_factory.getbasetemp() / "quoted.csv"
    assert records_of(file.getvalue(), path, delimiter) == rows


@given(
    rows=st.lists(st.lists(st.text('ab"#\n é;\t', max_size=6), min_size=2, max_size=3)),
    delimiter=st.sampled_from(",|"),
)
def test_fields_are_quoted_only_where_they_must_be(tmp_path_factory, rows, delimiter):
    rows = [[field.strip() for field in row] for row in rows]
    rows = [row for row in rows if not row[0].startswith("#") and any(row)]
    file = io.StringIO()
    csv.writer(file, delimiter=delimiter).writerows(rows)
    path = tmp_path_factory.getbasetemp() / "plain.csv"
    assert records_of(file.getvalue(), path, delimiter) == rows


@pytest.mark.parametrize(
    ("text", "delimiter", "expected"),
    [
        pytest.param("#a,b\n# c\n g,#h", ",", [["#a", "b"], ["# c"], ["g", "#h"]], id="L07"),
        pytest.param('"#a",b\n', ",", [["#a", "b"]], id="L07 quoted"),
        pytest.param("a b # c\n", " ", [["a", "b", "#", "c"]], id="L07 within"),
        pytest.param("\n \t \na,b\n\r\n", ",", [["a", "b"]], id="L10 blank lines"),
        pytest.param("a\tb\t \t\n", "\t", [["a", "b", "", ""]], id="L10 trailing tabs"),
        pytest.param("a,\tb \n", ",", [["a", "b"]], id="L10 blanks around"),
        pytest.param("  a \t b  \n", " ", [["a", "b"]], id="L10 white space"),
        pytest.param('" a " , "b,""c""" \n', ",", [[" a ", 'b,"c"']], id="blanks around quotes"),
        pytest.param('5" pipe,a "b" c\n', ",", [['5" pipe', 'a "b" c']], id="quotes within"),
        pytest.param('"a b" c\n', " ", [["a b", "c"]], id="quotes in white space"),
        pytest.param('5" "a ""b"""\t c" \n', " ", [['5"', 'a "b"', 'c"']], id="quotes and words"),
        pytest.param('"a\n\n#b\n",c\nd,e', ",", [["a\n\n#b\n", "c"], ["d", "e"]], id="L13 lines"),
        pytest.param('"",b\n', ",", [["", "b"]], id="empty"),
        pytest.param("a,,\n", ",", [["a", "", ""]], id="missing"),
        pytest.param("a\x1bb,\u202ec\n", ",", [["a\x1bb", "\u202ec"]], id="L13 control"),
    ],
)
def test_records_are_split(text, delimiter, expected, tmp_path):
    assert records_of(text, tmp_path / "a.csv", delimiter) == expected


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('a,b\n"c,d\n', id="open to the end"),
        pytest.param('a,b\n"c"d,e\n', id="text after the quote"),
        pytest.param('a,b\n"c\n' + "d\n" * 1000 + '",e\n', id="too many lines"),
        pytest.param('a,b\n"c' + ("d" * 2**19 + "\n") * 2 + '",e\n', id="L14 too long"),
    ],
)
def test_a_quote_that_is_not_closed_is_refused_where_it_opens(text, tmp_path):
    with pytest.raises(DataError, match=r"a\.csv, line 2: a quoted field does not") as caught:
        records_of(text, tmp_path / "a.csv")
    assert caught.value.code == "QUOTES"


def test_an_open_quote_does_not_take_the_whole_file(tmp_path):
    taken = itertools.count()
    lines = ((next(taken) + 1, line) for line in itertools.chain(['"a\n'], ["b\n"] * 10**4))
    with pytest.raises(DataError, match="quoted"):
        list(split_records(lines, ",", tmp_path))
    assert next(taken) < 200


@pytest.mark.parametrize("name", ["0", "7", "-7", "9223372036854775807", "-9223372036854775808"])
def test_canonical_integers_are_integers(name):
    assert is_integer(name)
    assert typed_names([name, "1"]) == [int(name), 1]


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("9223372036854775808", id="G25 2**63"),
        pytest.param("-9223372036854775809", id="G25 below"),
        pytest.param("9" * 5000, id="G25 long"),
        pytest.param("1.0", id="G25 1.0"),
        pytest.param("1e3", id="G25 1e3"),
        pytest.param("007", id="G25 007"),
        pytest.param("+1", id="plus"),
        pytest.param("-0", id="minus zero"),
        pytest.param("1_0", id="underscore"),
        pytest.param("١", id="L12 Arabic-Indic"),
        pytest.param("", id="empty"),
        pytest.param("1\n", id="line end"),
    ],
)
def test_one_name_of_text_keeps_all_names_text(name):
    assert not is_integer(name)
    assert typed_names(["1", name]) == ["1", name]


@pytest.mark.parametrize(
    ("name", "expected"), [("a.csv.gz", "a.csv"), ("b.GZ", "b"), ("c.csv", "c.csv")]
)
def test_the_suffix_of_gzip_is_no_part_of_the_name(name, expected, tmp_path):
    assert str(unpacked_name(tmp_path / name)) == expected
