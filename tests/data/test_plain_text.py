"""The fast reader returns what the strict reader returns, or leaves the file to it."""

import codecs
import csv
import gzip
import io
import logging
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vgae.data import plain_text
from vgae.data.edge_lists import read_edge_list
from vgae.data.plain_text import PlainLayout, read_plain
from vgae.data.reading import Reading
from vgae.errors import VgaeError


def outcome(path, reading):
    """Edges, weights and names of a file, or the error; and what was logged."""
    messages = []
    handler = logging.Handler()
    handler.emit = lambda record: messages.append(record.getMessage())
    logger = logging.getLogger("vgae")
    level = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    try:
        found = read_edge_list(path, reading)
    except VgaeError as error:
        return error.code, str(error)
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
    weight = None if found.weight is None else found.weight.tolist()
    names = [(type(name), name) for name in found.names]
    ordered = found.ordered, found.left_out
    return found.edges.tolist(), weight, names, ordered, messages


def check(content, path, *, piece=2**22, section=2**29, **layout):
    """Compare both readers; return whether the fast one read the file."""
    path.write_bytes(content)
    results = []

    def recorded(*args, **options):
        results.append(read_plain(*args, **options))
        return results[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plain_text, "SMALLEST", 0)
        patch.setattr(plain_text, "_PIECE", piece)
        patch.setattr(plain_text, "_SECTION", section)
        patch.setattr("vgae.data.edge_lists.read_plain", recorded)
        fast = outcome(path, Reading(**layout))
        patch.setattr("vgae.data.edge_lists.read_plain", lambda *_, **__: None)
        assert fast == outcome(path, Reading(**layout))
    return any(result is not None for result in results)


PLAIN = [
    pytest.param(b"1,2\n2,3\n", id="integers"),
    pytest.param(b"1,2,0.5\n2,3,1e5\n-9223372036854775808,9223372036854775807,.5\n", id="limits"),
    pytest.param(b"a,b\nb,c", id="no final line end"),
    pytest.param("é,b\nb,日本\n".encode(), id="unicode"),
    pytest.param(b"source,target,weight\r\na b,c\t.,1\r\nc,d,1e-3\r\n", id="CRLF"),
    pytest.param(b"1\t2\n2\t3\n", id="tabs"),
    pytest.param(b"1 2\n2 3\n", id="single spaces"),
    pytest.param(b"u;v;w\na;b;2\n", id="semicolons"),
    pytest.param(codecs.BOM_UTF8 + b"1,2\n2,3\n", id="L08 mark"),
    pytest.param(b"# one\n\n% two\n1,2\n2,3\n", id="L07 comments first"),
    pytest.param(b"007,1\n1,2\n", id="leading zero"),
    pytest.param(b"1,2\n+1,1_0\n", id="other integers"),
    pytest.param(b"1,2\n0x10,-0\n", id="hexadecimal"),
    pytest.param(b"1,9223372036854775808\n2,3\n", id="above 64 bits"),
    pytest.param(b'"source","target"\n1,2\n2,3\n', id="quoted header"),
    pytest.param(b"=1,'=2\n2,3\n", id="formulas"),
    pytest.param(b"'=1,'=2\n2,3\n", id="marked formulas"),
    pytest.param(b'"a b","c,d",1\n"c,d",e,"2.5"\n', id="quotes"),
    pytest.param(b'"1","2"\r\n"2",3\r\n', id="integers in quotes"),
    pytest.param(b'"007";"#x"\n"#x";"%"\n', id="text in quotes"),
    pytest.param(b"1,2\n2,3\n\n", id="L10 blank line at the end"),
    pytest.param(b"1,2\n2,3\n\n\n", id="L10 blank lines at the end"),
    pytest.param(b"a,b\r\nb,c\r\n\r\n", id="L10 blank CRLF at the end"),
    pytest.param(gzip.compress(b"1,2\n2,3\n"), id="gzip"),
    pytest.param(b"a, b\nb ,c\n c,  d \n", id="blanks around names"),
    pytest.param(b"1, 2\r\n2,  3 \r\n", id="blanks around integers"),
    pytest.param(b"a  b\nb c\n  c   d \n", id="several spaces"),
    pytest.param(b"a b\nb\tc\n", id="spaces and tabs"),
    pytest.param(b"a \t b\nb\tc \n", id="blanks around tabs"),
    pytest.param(b"a,b\n\n\nb,c\n", id="L10 blank lines"),
    pytest.param(b"a,b\nb,c\n \n", id="L10 white space at the end"),
    pytest.param(b"a,b\r\n\r\nb,c\r\n", id="L10 blank line of CRLF"),
    pytest.param(b"Source,Target,Type\na,b,Directed\nb,c,undirected\n", id="directions"),
    pytest.param(b"source,target,label\na,b,x\nb,c,\n", id="labels"),
    pytest.param(b"1,2\n3,4\n" + codecs.BOM_UTF8 + b"2,3\n", id="L08 mark within"),
]
OTHER = [
    pytest.param(b"source,target,label\na,b,1\nb,c,0\n", id="labels of non-links"),
    pytest.param(b"", id="empty"),
    pytest.param(b"source,target\n", id="only a header"),
    pytest.param(b'"a,b\nb,c\n', id="open quote"),
    pytest.param(b'a,"b""c"\nb,c\n', id="doubled quotes"),
    pytest.param(b'a,"b" \nb,c\n', id="blank after a quote"),
    pytest.param(b'a,b"c"\nb,c\n', id="quotes within"),
    pytest.param(b'a,""\nb,c\n', id="blank name in quotes"),
    pytest.param(b'a," b"\nb,c\n', id="white space in quotes"),
    pytest.param(b"a,b\nb,c\n" + b"\n" * 2000, id="L10 many blank lines at the end"),
    pytest.param(b'a,"b\nb",c\n', id="quotes over lines"),
    pytest.param(b"a,b\n#x,c\n", id="name with a comment sign"),
    pytest.param(b"a,b\rb,c\n", id="L10 lone CR"),
    pytest.param(b"a,b\r\r\nb,c\n", id="L10 CR CR LF"),
    pytest.param(b"1,2\r2,3\r3,4\r", id="L10 CR only"),
    pytest.param("a,b\u00a0\nb,c\n".encode(), id="other white space"),
    pytest.param("a b\nb c\u2003d\n".encode(), id="white space separates"),
    pytest.param(b"a\x1cb c\nb c\n", id="white space of ASCII"),
    pytest.param(b"a\tb\t\nb\tc\t\n", id="trailing tab"),
    pytest.param(b"a,\nb,c\n", id="blank name"),
    pytest.param(b"a,b,1\nb,c\n", id="short line"),
    pytest.param(b"a,b,1\nb,c,x\n", id="text for a weight"),
    pytest.param(b"a,b,1\nb,c,nan\n", id="nan"),
    pytest.param(b"a,b,1\nb,c,inf\n", id="inf"),
    pytest.param(b"a,b,1\nb,c,0\n", id="zero"),
    pytest.param(b"a,b,1\nb,c,-1\n", id="negative"),
    pytest.param(b"a,b,1\nb,c,0x10\n", id="hexadecimal weight"),
    pytest.param(b"a,b,1\nb,c,1_0\n", id="underscore"),
    pytest.param(b"a,b,1\nb,c,1e400\n", id="overflow"),
    pytest.param(b"a,b,1\nb,c,1e-400\n", id="underflow"),
    pytest.param(b"a,b\nb,\xff\n", id="L09 not UTF-8"),
    pytest.param(b"a,b\nb,\xed\xa0\x80\n", id="L09 surrogate"),
    pytest.param(b"a,b\nb,c\0\n", id="L09 NUL"),
    pytest.param(codecs.BOM_UTF8 * 2 + b"1,2\n2,3\n", id="L08 two marks"),
    pytest.param(gzip.compress(b"1,2\n2,3\n")[:-4], id="gzip cut short"),
    pytest.param(b"1,2\n2," + b"3" * 2**20 + b"\n", id="long line"),
]


@pytest.mark.parametrize("suffix", [".csv", ".txt"])
@pytest.mark.parametrize("content", PLAIN)
def test_a_plain_file_is_read_fast_and_to_the_same_edges(content, suffix, tmp_path):
    assert check(content, tmp_path / f"links{suffix}")


SIGNED = b"source,target,weight\na,b,-1\nb,c,0.5\nc,d,-2e3\n"
ZERO = b"source,target,weight\na,b,0\nb,c,0.5\nc,d,-0.0\n"


@pytest.mark.parametrize(
    ("content", "options", "fast"),
    [
        (SIGNED, {"signed": True}, True),
        (SIGNED, {"drop_zero": True}, False),
        (ZERO, {"drop_zero": True}, True),
        (ZERO, {"signed": True}, False),
        (SIGNED + ZERO[21:], {"signed": True, "drop_zero": True}, True),
        (b"Source,Target,Type\na,b,DIRECTED\nb,a,Directed\n", {"directed": "keep"}, True),
        (b"Source,Target,Type\na,b,Directed\nb,c,Undirected\n", {"directed": "keep"}, True),
    ],
)
def test_signs_zeros_and_directions_are_read_fast(content, options, fast, tmp_path):
    assert check(content, tmp_path / "links.csv", **options) is fast


@pytest.mark.parametrize("content", OTHER)
def test_any_other_file_is_left_to_the_strict_reader(content, tmp_path):
    assert not check(content, tmp_path / "links.csv")


FIELDS = st.one_of(
    st.integers(-20, 20).map(str),
    st.integers(-(2**65), 2**65).map(str),
    st.floats(1e-3, 1e6).map(repr),
    st.sampled_from(
        [
            *("a", "b c", "é", "#x", "%x", "+1", "1_0", "1e5", "0x10", "-0", "007", "nan", "inf"),
            *("", '"a"', 'a"b', '"', "'=a", "=a", "-5", "\ufeff", "\u2003", "\x85", "\x1c", " a"),
            *("a\t", "\u0661", "0,5", "e\u0301", ".5", "5.", "1e400", "1e-400", "0", "\0", "{}"),
            *("\ud7ff", "\ud800", "9223372036854775807", "-9223372036854775808"),
        ]
    ),
    st.text(max_size=3),
)
ENDS = st.sampled_from(
    ["\n", "\n", "\n \n", " \n", "\r\n", "\r", "\n\n", " \n", "\t\n", "\n# c\n"]
)


@st.composite
def contents(draw):
    """Text of an edge list, most often plain, in some dialect, and its delimiter."""
    delimiter = draw(st.sampled_from(",\t; |e"))
    width = draw(st.integers(2, 3))
    simple = st.one_of(st.integers(0, 99).map(str), st.sampled_from(["a", "b", "c1", "é"]))
    shown = ["1", "2e3", "+1", " 1", "-1", "0", "-0", "Directed", "undirected "]
    weight = st.one_of(st.floats(1e-3, 1e6).map(repr), st.sampled_from(shown))
    row = st.tuples(simple, simple, weight).map(lambda fields: list(fields[:width]))
    rows = draw(st.lists(row, min_size=1, max_size=8))
    if draw(st.booleans()):
        rows = [[f'"{f}"' if draw(st.booleans()) else f for f in fields] for fields in rows]
    ends = ["\n"] * len(rows)
    for _ in range(draw(st.integers(0, 2))):
        place = draw(st.integers(0, len(rows) - 1))
        kind = draw(st.sampled_from(["field", "end", "width"]))
        if kind == "field":
            rows[place][draw(st.integers(0, len(rows[place]) - 1))] = draw(FIELDS)
        elif kind == "end":
            ends[place] = draw(ENDS)
        else:
            rows[place].append(draw(FIELDS))
    blank = draw(st.sampled_from(["", "", " ", "  "]))
    delimiter = draw(st.sampled_from([delimiter, blank + delimiter, delimiter + blank]))
    before = draw(
        st.sampled_from(
            ["", "", "", "u,v\n", "u,v,label\n", "u,v,Type\n", "# c\n", "\n", "\ufeff", "\n#\r\n"]
        )
    )
    text = before + "".join(delimiter.join(r) + e for r, e in zip(rows, ends, strict=True))
    end = draw(st.sampled_from(["", "", "\n", "\r\n\n", "\n\n\n\n"]))
    text = text + end if draw(st.booleans()) else text.rstrip("\n")
    return text, delimiter.strip(" ") or " "


@settings(max_examples=300)
@given(
    content=contents(),
    header=st.sampled_from([None, False, True]),
    named=st.booleans(),
    small=st.booleans(),
    packed=st.booleans(),
    allowed=st.sampled_from([{}, {"signed": True}, {"drop_zero": True}, {"directed": "keep"}]),
)
def test_both_readers_agree_on_any_text(
    content, header, named, small, packed, allowed, shared_path
):
    text, delimiter = content
    data = text.encode("utf-8", "surrogatepass")
    sizes = {"piece": 7, "section": 0} if small else {}
    layout = {"header": header, "delimiter": delimiter if named else None, **allowed}
    check(gzip.compress(data) if packed else data, shared_path, **sizes, **layout)


@settings(max_examples=100)
@given(content=st.binary(max_size=60) | st.text('01,\n\r"# .e+-\t', max_size=40).map(str.encode))
def test_both_readers_agree_on_any_bytes(content, shared_path):
    check(content, shared_path)


@pytest.fixture(scope="module")
def shared_path(tmp_path_factory):
    return tmp_path_factory.mktemp("plain") / "links.csv"


@pytest.fixture
def any_size(monkeypatch):
    monkeypatch.setattr(plain_text, "SMALLEST", 0)


@pytest.mark.usefixtures("any_size")
def test_columns_are_read_by_their_positions(tmp_path):
    path = tmp_path / "links.tsv"
    path.write_text("t\tw\tv\tnote\tu\n1\t.5\tb\tx y\ta\n2\t2\tc\tz\tb\n")
    found = read_plain(path, PlainLayout("\t", 1, 5, (4, 2), (1, 0), (3,)), encoding="UTF8")
    assert found.texts[0][0] == ["x y", "z"]
    assert found.texts[0][1].tolist() == [0, 1]
    assert found.lines == 3
    assert [[found.names[u], found.names[v]] for u, v in found.edges.T] == [["a", "b"], ["b", "c"]]
    assert [values.tolist() for values in found.numbers] == [[0.5, 2.0], [1.0, 2.0]]


@pytest.mark.usefixtures("any_size")
@pytest.mark.parametrize("last", ["", " ", "\u2003", "x\u00a0"])
def test_a_last_column_that_may_be_stripped_is_not_plain(last, tmp_path):
    path = tmp_path / "links.tsv"
    path.write_text(f"a\tb\tx\nb\tc\t{last}\n")
    assert read_plain(path, PlainLayout("\t", 0, 3)) is None
    path.write_text("a\tb\tx\nb\tc\ty\n")
    assert read_plain(path, PlainLayout("\t", 0, 3)).edges.tolist() == [[0, 1], [1, 2]]


@pytest.mark.usefixtures("any_size")
@pytest.mark.parametrize(
    ("delimiter", "options"),
    [("\x1c", {}), ("é", {}), (",", {"encoding": "latin-1"}), (",", {"skip": 9})],
)
def test_layouts_that_pyarrow_would_read_differently_are_not_plain(delimiter, options, tmp_path):
    path = tmp_path / "links.csv"
    path.write_text(f"a{delimiter}b\n", encoding="utf-8")
    layout = PlainLayout(delimiter, options.pop("skip", 0), 2)
    assert read_plain(path, layout, **options) is None


def test_a_small_file_and_a_missing_pyarrow_are_left_to_the_strict_reader(tmp_path, monkeypatch):
    path = tmp_path / "links.csv"
    path.write_text("a,b\n")
    layout = PlainLayout(",", 0, 2)
    assert read_plain(path, layout) is None
    monkeypatch.setattr(plain_text, "SMALLEST", 4)
    assert read_plain(path, layout) is not None
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert read_plain(path, layout) is None


@pytest.mark.usefixtures("any_size")
@pytest.mark.parametrize("names", ["integers", "far apart", "text"])
def test_a_large_file_is_read_to_the_same_edges(names, tmp_path, monkeypatch):
    """Many pieces and sections, and each integer with its number of digits."""
    monkeypatch.setattr(plain_text, "_PIECE", 2**15)
    monkeypatch.setattr(plain_text, "_SECTION", 2**16)
    rng = np.random.default_rng(0)
    ends = rng.integers(-500, 500, (2, 30_000))
    if names == "far apart":
        ends *= 10 ** rng.integers(0, 16, ends.shape)
    shown = [[f"n{u}", f"n{v}"] if names == "text" else [u, v] for u, v in ends.T.tolist()]
    weight = rng.random(30_000)
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows(
        [*pair, w] for pair, w in zip(shown, weight.tolist(), strict=True)
    )
    path = tmp_path / "links.csv"
    path.write_text(file.getvalue())
    found = read_plain(path, PlainLayout(",", 0, 3, numbers=(2,)))
    assert [[found.names[u], found.names[v]] for u, v in found.edges.T.tolist()] == shown
    np.testing.assert_array_equal(found.numbers[0], weight)
    assert len(set(found.names)) == len(found.names)
