"""Names and labels as other libraries hold them."""

import numpy as np
import pandas as pd
import pytest

from vgae.errors import DataError
from vgae.graphs.values import checked_names, coded_labels


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([1.5], r"floats such as 1\.5"),
        ([float("nan"), 2.0], "floats such as 2.0.*1 rows have no name"),
        ([None, "a", ""], "2 rows have no name, the first is row 0"),
        ([pd.NA, "a"], "1 rows"),
        ([pd.NaT], "1 rows"),
        ([1, "a"], "one type"),
        ([(1, 2)], "a tuple, in row 0"),
        ([np.True_], "bool"),
    ],
)
def test_what_is_no_name_is_refused_with_its_row(values, words):
    with pytest.raises(DataError, match=words) as caught:
        checked_names(values, "column 'u'")
    assert caught.value.code == "NODE_ID"


def test_numbers_of_numpy_are_names_like_those_of_python():
    names = checked_names([np.int64(3), 2**70], "x")
    assert names == [3, 2**70]
    assert {type(name) for name in names} == {int}


@pytest.mark.parametrize(
    ("values", "codes", "names"),
    [
        ([2, -1, 0], [2, -1, 0], ()),
        ([2.0, None, float("nan")], [2, -1, -1], ()),
        (["b", "a", None, "b"], [1, 0, -1, 1], ("a", "b")),
        ([True, False, pd.NA], [1, 0, -1], ("False", "True")),
        ([None, None], [-1, -1], ()),
    ],
)
def test_labels_are_numbered_in_sorted_order(values, codes, names):
    found, label_names = coded_labels(values)
    assert (found.tolist(), label_names) == (codes, names)


@pytest.mark.parametrize("values", [[0.5], [1, "a"], [pd.Timestamp(0)], [float("inf")]])
def test_other_labels_are_refused(values):
    with pytest.raises(DataError, match="labels must be integers or strings"):
        coded_labels(values)
