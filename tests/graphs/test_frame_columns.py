"""Columns of frames as roles, names, numbers and labels."""

from decimal import Decimal

import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pytest

from vgae.errors import DataError
from vgae.graphs.frame_columns import (
    edge_roles,
    index_names,
    numbers_of,
)


@pytest.mark.parametrize(
    ("columns", "roles"),
    [
        (["id", "Source", "Weight", "Target"], ("Source", "Target", "Weight")),
        (["to", "from"], ("from", "to", None)),
        (["Node 1", "node_2", "w"], ("Node 1", "node_2", "w")),
        (["p", "q"], ("p", "q", None)),
    ],
)
def test_names_of_columns_say_their_roles(columns, roles):
    frame = nw.from_native(pd.DataFrame([["1"] * len(columns)], columns=columns))
    found = edge_roles(frame, "edges")
    weight = None if found.weight is None else found.name(found.weight)
    assert (found.name(found.source), found.name(found.target), weight) == roles


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        (["p"], "edges: it is not clear which of the columns, 'p', have"),
        (["p", "weight"], "name them, as in source='p', target='weight'"),
        (["x", "y", "z"], r"source='x', target='y' \(in read_graph, columns=\('x', 'y'\)\)"),
        (["src", "dst", "from", "to"], "several .*, src,dst and from,to; select .* source='src'"),
        (["u", "v", "w", "count"], r"several .* weights, w, count; weight='w' takes one"),
        ([], "source="),
    ],
)
def test_other_columns_are_refused(columns, words):
    frame = nw.from_native(pd.DataFrame([["x"] * len(columns)], columns=columns))
    with pytest.raises(DataError, match=words) as caught:
        edge_roles(frame, "edges")
    assert caught.value.code == "FRAME_COLUMNS"
    assert "--" not in str(caught.value)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, None], [1, np.nan]),
        ([True, False], [1, 0]),
        (pd.array([True, None], dtype="boolean"), [1, np.nan]),
        (pd.array([1, None], dtype="Int64"), [1, np.nan]),
        (np.array([True, None], dtype=object), [1, np.nan]),
        (np.array([Decimal("0.5"), 2], dtype=object), [0.5, 2]),
        (pd.arrays.SparseArray([0, 3]), [0, 3]),
        (["1", "2"], None),
        ([1 + 2j, 0], None),
        (np.array([10**400, 1], dtype=object), None),
        (pd.Categorical([1, 2]), None),
    ],
)
def test_numbers_are_numbers_whatever_their_type(values, expected):
    found = numbers_of(nw.from_native(pd.Series(values), series_only=True))
    if expected is None:
        assert found is None
    else:
        np.testing.assert_array_equal(found, expected)


def test_an_index_is_of_names_unless_it_is_the_default():
    frame = pd.DataFrame({"a": [1, 2]})
    assert index_names(frame, "x") is None
    assert index_names(frame.set_axis([0, 1]), "x") is None
    assert index_names(frame.rename_axis("id"), "x") == [0, 1]
    assert index_names(frame.set_axis([1, 0]), "x") == [1, 0]
    assert index_names(pd.Series([1], index=["n"]), "y") == ["n"]
    assert index_names(pl.DataFrame({"a": [1]}), "x") is None
    with pytest.raises(DataError, match=r"the index of x .* floats such as 0\.5"):
        index_names(frame.set_axis([0.5, 1.5]), "x")
