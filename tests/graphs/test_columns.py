"""Names, options and first values decide the roles of columns, or it is refused."""

import re

import pytest

from vgae.data.reading import Reading
from vgae.errors import DataError
from vgae.graphs.columns import Columns
from vgae.runtime.numerals import is_decimal, is_running


def roles_of(header, *records, positional=None, **options):
    """The roles as one text: ends, weight (with ? if its values decide), time."""
    names = None if header is None else tuple(header.split(","))
    sample = [record.split(",") for record in records]
    roles = Columns(names, sample, "g.csv, line 1", Reading(**options)).roles(
        positional=positional
    )
    found = [roles.name(roles.source), roles.name(roles.target)]
    if roles.weight is not None and not roles.refused:
        found.append(roles.name(roles.weight) + "?" * (not roles.sure))
    return " ".join(found + ([] if roles.time is None else [f"time={roles.name(roles.time)}"]))


@pytest.mark.parametrize(
    ("header", "record", "options", "roles"),
    [
        ("target,source", "a,b", {}, "source target"),
        ("source,target,foo", "a,b,2", {}, "source target foo?"),
        ("source,target,foo", "a,b,x", {}, "source target"),
        ("foo,source,target", "2,a,b", {}, "source target"),
        ("source,target,foo,bar", "a,b,2,3", {}, "source target"),
        ("source,target,count,foo", "a,b,2,3", {}, "source target count"),
        ("source,target,count,Weight", "a,b,2,3", {}, "source target Weight"),
        ("source,target,score,rank", "a,b,2,3", {}, "source target"),
        ("source,target,score,kind", "a,b,2,x", {}, "source target score"),
        ("city,town", "a,b", {}, "city town"),
        ("city,town,flights", "a,b,3", {}, "city town flights?"),
        ("weight,city,town", "3,a,b", {}, "city town weight"),
        ("Unnamed: 0,city,town", "0,a,b", {}, "city town"),
        ("id,friend", "1,2", {}, "id friend"),
        ("u,v,w", "a,b,2", {"weight": "none"}, "u v"),
        ("u,v,km", "a,b,2", {"weight": "km"}, "u v km"),
        ("u,v,km", "a,b,2", {"weight": "KM"}, "u v km"),
        ("city,town,km", "a,b,2", {"weight": "km"}, "city town km"),
        ("u,v,w", "a,b,2", {"time": "w"}, "u v time=w"),
        ("when,city,town,w", "2,a,b,3", {"time": "when"}, "city town w time=when"),
        ("c,a,b", "z,x,y", {"columns": ("b", "c")}, "b c"),
        ("c,a,b", "z,x,3", {"columns": ("a", "c", "b")}, "a c b"),
        ("x,target,source", "1,b,a", {"columns": ("x", "target", "source")}, "source target x"),
        ("c,a,b", "z,x,3", {"columns": ("A", "C")}, "a c"),
        (None, "a,b", {}, "column 1 column 2"),
        (None, "a,b,3", {}, "column 1 column 2 column 3?"),
        (None, "a,b,3", {"weight": "none"}, "column 1 column 2"),
        (None, "a,r,b", {"columns": ("source", "r", "target")}, "source target"),
        (None, "3,b,a", {"columns": ("weight", "target", "source")}, "source target weight"),
        (None, "a,b,3", {"columns": ("x", "y", "z")}, "source target weight"),
        (None, "a,b,3", {"columns": ("source", "target", "time")}, "source target"),
        (
            None,
            "a,b,3,4",
            {"columns": ("source", "target", "weight", "t"), "time": "t"},
            "source target weight time=t",
        ),
    ],
)
def test_roles(header, record, options, roles):
    assert roles_of(header, record, **options) == roles


def test_columns_by_the_position_of_a_format():
    konect = ("source", "target", "weight", "time")
    assert roles_of(None, "1,2", positional=konect) == "source target"
    assert roles_of(None, "1,2,3,4", positional=konect) == "source target weight"
    found = roles_of(None, "1,2,3,4", positional=konect, time="time")
    assert found == "source target weight time=time"


@pytest.mark.parametrize(
    ("header", "record", "options", "code", "words"),
    [
        ("p,q,r", "a,b,c", {}, "FIELDS", "under the header 'p,q,r'; select them, columns=('p'"),
        ("city,town,km", "a,b,3", {}, "FIELDS", "--columns city,town)"),
        ("p,q", "a,b", {"columns": ("p", "w")}, "COLUMNS", "no column 'w' among 'p', 'q'"),
        ("city,q", "a,b", {"columns": ("cit", "q")}, "COLUMNS", "did you mean 'city'?"),
        ("p,q", "a,b", {"columns": ("p",)}, "COLUMNS", "columns must name those of source"),
        ("p,q", "a,b", {"columns": ("p", "p")}, "COLUMNS", "columns must name those of source"),
        ("p,p,q", "a,b,c", {"columns": ("p", "q")}, "COLUMNS", "more than one column 'p'"),
        ("u,v", "a,b", {"weight": "w"}, "COLUMNS", "no column 'w' among 'u', 'v'"),
        ("u,v", "a,b", {"time": "w"}, "TIME_COLUMN", "one column 'w'"),
        ("u,v,n,w", "a,b,1,2", {}, "COLUMNS", "weight='n' (--weight n) takes one of them"),
        (None, "a", {}, "FIELDS", "expected 2 or 3 fields, got 1: 'a'"),
        (None, "a,b,3", {"weight": "w"}, "COLUMNS", "there is no header; name the columns"),
        (None, "a,b,3", {"time": "w"}, "TIME_COLUMN", "got no header"),
        (None, "a,b,3", {"columns": ("a", "b")}, "COLUMNS", "columns has 2 names, 'a,b', and a"),
        (None, "a,b,3,4", {"columns": (*"abcd",)}, "COLUMNS", "two of them source and target"),
    ],
)
def test_what_is_not_certain_is_refused(header, record, options, code, words):
    with pytest.raises(DataError, match=re.escape(words)) as caught:
        roles_of(header, record, **options)
    assert caught.value.code == code
    assert str(caught.value).startswith("g.csv, line 1: ")


@pytest.mark.parametrize(
    ("records", "words"),
    [
        (["1,is_a,2", "2,part_of,3"], "second"),
        (["a,is_a,b", "b,is_a,c"], "second"),
        (["a,b,is_a", "b,c,part_of"], "third"),
        (["a,b,x", "c,d,x"], "third"),
        (["a,x,b", "c,x,d"], "second"),
    ],
)
def test_a_column_of_relations_is_refused(records, words):
    with pytest.raises(DataError, match=f"the {words} of 3 fields looks like a relation"):
        roles_of(None, *records)


@pytest.mark.parametrize(
    "records", [["a,b,1", "b,c,x"], ["a,b,NA", "b,c,"], ["a,b,1", "c,d,2"], ["1,a,2", "2,3,4"]]
)
def test_damaged_weights_are_no_relations(records):
    assert roles_of(None, *records) == "column 1 column 2 column 3?"


def test_numbers_of_rows_are_running():
    assert is_running(["0", "1", "2"])
    assert not is_running(["0", "2"])
    assert is_running(["0", "2"], strict=False)
    assert not is_running(["2", "1"], strict=False)
    assert not is_running([])
    assert not is_running(["a"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *[("1,5", True), (",5", True), ("-1,5e3", True), ("1.5", True), ("1.234,5", False)],
        *[("1,2,3", False), ("x", False), ("1,", False), ("١,٢", False)],
    ],
)
def test_a_comma_is_a_decimal_sign_between_digits(text, expected):
    assert is_decimal(text) == expected
