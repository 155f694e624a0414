"""Cells as text and numbers, and the kind of a column."""

import numpy as np
import pytest

from vgae.graphs.cells import Refused, category_of, cells_of, kind_of, texts_of, values_of

MANY = [str(k) for k in range(40)]


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        (["1", "2.5", "", "-3e2"], "number"),
        (np.array([1.0, 2, np.nan, 4]), "number"),
        (np.array([20240131.5, 20240201, 3]), "number"),
        (["yes", "No", "", "yes"], "boolean"),
        (["0", "1", "1"], "boolean"),
        (np.array([True, False]), "boolean"),
        (["2020-01-05", "2020-02-05T10:00", "2020-02-05 10:00:00.5+02:00"], "date"),
        (["20200105", "19991231", "20010203"], "date"),
        (np.array([20200105.0, 19991231, 20010203]), "date"),
        (np.array(["2020-01-05", "NaT", "2020-02-05"], "M8[s]"), "date"),
        (["20200105", "20201350", "20010203"], "number"),
        (["13/01/2020", "02/03/2020"], "date-dmy"),
        (["01/13/2020", "2/3/2020"], "date-mdy"),
        (["1.2.2020", "3.4.2021"], "date-dmy"),
        (["a", "b", "a", "b", None], "category"),
        (["007", "012", "007", "012"], "category"),
        (["x", "x"], "drop"),
        (["3", "3"], "drop"),
        (["", None, "NA"], "drop"),
    ],
)
def test_the_values_of_a_column_are_of_one_kind(column, kind):
    assert kind_of(cells_of(column)) == kind


@pytest.mark.parametrize(
    ("column", "kind", "words"),
    [
        ([f"likes {k} a lot" for k in MANY], "hash", "free text .*such as 'likes 0 a lot'"),
        ([f"a{k}@b.ch" for k in MANY], "drop", "identifier .*a different text in each row"),
        ([f"n{k}" for k in MANY] + ["n1"] * 9, "category", "40 different texts, such as 'n1'"),
        ([*MANY, "old"], "drop", "numbers, but also 'old' in row 41"),
        (["1", "2", "3", "x"] * 9, "category", "numbers, but also 'x' in row 4"),
        (["2020-01-01"] * 9 + ["soon"], "category", "dates, but also 'soon' in row 10"),
        (["01/02/2020", "03/04/2020"], "date-dmy", "'01/02/2020', day or month first"),
        ([f"0{k}" for k in MANY], "drop", "identifier"),
    ],
)
def test_a_doubtful_column_is_refused_with_the_kind_to_choose(column, kind, words):
    with pytest.raises(Refused, match=words) as caught:
        kind_of(column)
    assert caught.value.kind == kind


def test_usual_marks_are_missing():
    marks = ["", " ", "NA", "n/a", "NaN", "null", "None", "-", "?", "<NA>", "NaT", "missing"]
    assert texts_of(marks) == [None] * len(marks)
    assert texts_of(["none", "0", " x "]) == ["none", "0", "x"]
    assert texts_of(np.array([1.0, np.nan, 2.5])) == ["1", None, "2.5"]


def test_dates_are_days_since_1970_in_utc():
    texts = ["1970-01-02", "1970-01-01T12:00", "1970-01-01T02:00+02:00", "", "1969/12/31"]
    np.testing.assert_array_equal(values_of(texts, "date"), [1, 0.5, 0, np.nan, -1])
    np.testing.assert_array_equal(values_of(["2/1/1970", "1970-01-03"], "date-dmy"), [1, 2])
    np.testing.assert_array_equal(values_of(["1/2/1970"], "date-mdy"), [1])


@pytest.mark.parametrize(
    ("column", "kind", "words"),
    [
        (["1", "1_0"], "number", "'1_0' in row 2"),
        (["inf"], "number", "'inf' in row 1"),
        (["٣"], "number", "in row 1"),
        (["1e999"], "number", "in row 1"),
        (np.array([0, np.inf]), "number", "inf in row 2"),
        (["yes", "maybe"], "boolean", "'maybe' in row 2"),
        (["2020-02-30"], "date", "'2020-02-30' in row 1"),
        (["0001-01-01T00:00+23:00"], "date", "in row 1"),
        (["31/31/2020"], "date-dmy", "in row 1"),
    ],
)
def test_a_cell_of_another_kind_is_named(column, kind, words):
    with pytest.raises(ValueError, match=words):
        values_of(column, kind)


def test_whole_numbers_beside_missing_ones_are_the_same_categories():
    assert [category_of(text) for text in ("3.0", "3", "3.5", "v1.0", None)] == [
        *("3", "3", "3.5", "v1.0", None)
    ]


@pytest.mark.parametrize(
    ("pattern", "kind", "words"),
    [
        ("{}%", "drop", "numbers with other characters, such as '100%'"),
        ("CHF {}.50", "drop", "other characters"),
        ("{} kg", "drop", "other characters"),
        ("1'{}", "drop", "other characters"),
        ("c{}", "drop", "looks like an identifier"),
        ("Road {} in town", "hash", "free text"),
    ],
)
def test_numbers_with_units_are_no_categories(pattern, kind, words):
    with pytest.raises(Refused, match=words) as caught:
        kind_of([pattern.format(100 + row) for row in range(30)])
    assert caught.value.kind == kind


def test_the_date_that_is_shown_is_one_of_two_readings():
    with pytest.raises(Refused, match="'03/04/2021', day or month first"):
        kind_of(["2020-01-02", "03/04/2021", "05/06/2021"] * 9)
