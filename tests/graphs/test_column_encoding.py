"""Encoding of one column."""

import numpy as np
import pytest
import scipy.sparse as sp

from vgae.graphs.cells import Refused
from vgae.graphs.column_encoding import ColumnEncoder, described, fitted_column, remedy


def dense(x):
    return x.toarray() if sp.issparse(x) else x


def test_numbers_are_standardised_and_missing_ones_are_the_mean_and_marked():
    column = fitted_column("age", ["1", "", "3", "5"], None)
    assert (column.mean, column.scale, column.missing) == (3.0, np.sqrt(8 / 3), True)
    expected = [[-2 / column.scale, 0], [0, 1], [0, 0], [2 / column.scale, 0]]
    np.testing.assert_array_equal(column.transform(["1", "", "3", "5"]), expected)
    assert column.feature_names == ["age", "age=missing"]


def test_rare_categories_are_one_feature_and_so_are_new_ones():
    cells = ["Bern", "Bern", "Ulm", "Ulm", "Rom", ""]
    column = fitted_column("city", cells, "category")
    assert column.feature_names == ["city=Bern", "city=Ulm", "city=other", "city=missing"]
    found = dense(column.transform(["Ulm", "Rom", "Genf", None]))
    np.testing.assert_array_equal(found, [[0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    assert column.differences(["Genf", None]) == [
        "1 cells without a category of their own, such as 'Genf': city=other"
    ]


def test_without_rare_categories_new_ones_are_zeros():
    column = fitted_column("city", ["a", "a", "b", "b"], "category")
    np.testing.assert_array_equal(
        dense(column.transform(["c", "", "b"])), [[0, 0], [0, 0], [0, 1]]
    )
    assert column.differences(["c", ""]) == [
        "1 missing cells, which had none before, count as no category",
        "1 cells without a category of their own, such as 'c': no category",
    ]


def test_categories_below_a_hundredth_of_the_rows_are_rare_unless_most_are():
    common = ["a"] * 200 + ["b"] * 200 + ["c"] * 3
    assert fitted_column("x", common, None).feature_names == ["x=a", "x=b", "x=other"]
    even = [f"c{k % 200}" for k in range(40_000)]
    assert len(fitted_column("x", even, None).feature_names) == 200


def test_a_category_named_other_is_one_with_the_rare_ones():
    column = fitted_column("a", ["other", "other", "x", "x", "y"], "category")
    assert column.feature_names == ["a=x", "a=other"]
    assert dense(column.transform(["other", "y", "x"])).tolist() == [[0, 1], [0, 1], [1, 0]]


def test_truth_values_are_zeros_and_ones():
    column = fitted_column("member", ["yes", "no", "", "no"], None)
    assert column.transform(["no", "True", ""]).tolist() == [[0, 0], [1, 0], [0, 1]]


def test_hashed_words_need_no_fit():
    column = fitted_column("notes", ["likes tea", "", "likes tea"], "hash")
    x = dense(column.transform(["Likes TEA", None, "tea likes", "chess"]))
    assert x.shape == (4, 64)
    assert (x[0] == x[2]).all()
    assert not x[1].any()
    assert (x[0] != x[3]).any()
    np.testing.assert_allclose(np.linalg.norm(x, axis=1), [1, 0, 1, 1])


def test_a_column_of_one_number_and_gaps_is_the_gaps():
    column = fitted_column("a", ["2", "", "2"], "number")
    assert column.transform(["2", "", "4"]).tolist() == [[0, 0], [0, 1], [2, 0]]


def test_possible_identifiers_are_said(caplog):
    fitted_column("number", [str(1000 + 7 * k) for k in range(30)], None)
    assert "another whole number in each row" in caplog.text
    assert "--encode number=drop" in caplog.text


@pytest.mark.parametrize(
    ("cells", "kind", "words"),
    [
        (["1", "x"], "number", "is no number: 'x' in row 2"),
        (["", ""], "number", "no values"),
        (["a", "b"], "category", "no value in two rows"),
    ],
)
def test_a_given_kind_that_does_not_fit_is_refused(cells, kind, words):
    with pytest.raises(Refused, match=words) as caught:
        fitted_column("a", cells, kind)
    assert caught.value.kind == "drop"


def test_the_remedy_is_an_option_in_python_and_on_the_command_line():
    expected = "encode={'my notes': 'hash'} (--encode 'my notes=hash')"
    assert remedy({"my notes": "hash"}) == expected


def test_an_encoded_column_is_described():
    assert described(ColumnEncoder("a", "drop")) == "'a' left out"
    column = ColumnEncoder("b", "category", categories=("x", "y"), other=True)
    assert described(column) == "'b' category (3 features, rare ones as other)"
