"""Labels of graphs."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from vgae.errors import DataError
from vgae.graphs.collection_labels import coded_integers, coded_numbers, graph_labels


@pytest.mark.parametrize(
    ("y", "codes", "names"),
    [
        ([1, 0, -1], [1, 0, -1], ()),
        ([1, -1, 1], [1, 0, 1], ("-1", "1")),
        ([1, None, 1], [1, -1, 1], ()),
        ([-2, 4, 4], [0, 1, 1], ("-2", "4")),
        (["b", "a", None], [1, 0, -1], ("a", "b")),
        ([True, False, True], [1, 0, 1], ("False", "True")),
        ([1.0, np.nan, 0.0], [1, -1, 0], ()),
        ({"p": "x", "r": "y"}, [0, -1, 1], ("x", "y")),
        (pd.Series(["x", "y", "x"], index=["r", "q", "p"]), [0, 1, 0], ("x", "y")),
        (pd.Series([0, 2, 1]), [0, 2, 1], ()),
        (pd.DataFrame({"graph": ["q", "p"], "label": [5, 3]}), [3, 5, -1], ()),
        (
            pl.DataFrame({"graph": ["q", "p", "r"], "label": ["u", "v", "u"]}),
            [1, 0, 0],
            ("u", "v"),
        ),
    ],
)
def test_labels_are_numbers_or_names_in_any_form(y, codes, names):
    found = graph_labels(y, ["p", "q", "r"])
    assert found.codes.tolist() == codes
    assert found.names == names


def test_given_names_keep_the_numbers():
    found = graph_labels([-1, 1, 1], range(3), ["no", "yes"])
    assert found.codes.tolist() == [-1, 1, 1]
    assert found.names == ("no", "yes")


@pytest.mark.parametrize(
    ("y", "code", "words"),
    [
        ([0, 1], "LABELS", "3 graphs and labels of 2"),
        ([0.5, 1, 1], "LABELS", "integers or strings"),
        ({"z": 1}, "COLLECTION", "'z' has a label, and the graphs are p, q, r"),
        (pd.DataFrame({"a": [1], "b": [1], "c": [1]}), "LABELS", "two columns"),
        (pd.DataFrame({"a": ["p", "p"], "b": [1, 2]}), "LABELS", "'p' has two labels"),
    ],
)
def test_labels_that_do_not_fit_are_refused(y, code, words):
    with pytest.raises(DataError, match=words) as caught:
        graph_labels(y, ["p", "q", "r"])
    assert caught.value.code == code


def test_a_label_beyond_its_names_is_refused():
    with pytest.raises(DataError, match="below the number of their names, 1"):
        graph_labels([0, 1, 0], range(3), ["a"])


def test_labels_of_no_graph_are_named(caplog):
    graph_labels({"p": 1, "z": 0}, ["p", "q"])
    assert "1 of 2 labels are of graphs without nodes, such as z" in caplog.text
    assert "1 of 2 graphs have no label, such as q" in caplog.text


def test_compact_labels_get_names_unless_they_are_all_of_a_range():
    assert coded_integers(np.array([0, 1, -1]), compact=True).names == ()
    found = coded_integers(np.array([10, 2, -1]), compact=True)
    assert found.codes.tolist() == [1, 0, -1]
    assert found.names == ("2", "10")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.array([0.5, 1.0]), "targets of regression"),
        (np.ones((2, 3)), "shape (2, 3)"),
        (np.array(["a"]), "<U1"),
    ],
)
def test_what_is_no_class_is_left_out_with_a_word(values, words, caplog):
    assert coded_numbers(values, "y").codes is None
    assert caplog.messages[0].startswith("y is left out")
    assert words in caplog.text
