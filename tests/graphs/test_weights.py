"""Numbers are taken for weights unless they look like something else."""

import logging

import numpy as np
import pytest

from vgae.graphs.columns import Roles
from vgae.graphs.weights import checked_weights, doubt

ROWS = np.arange(1.0, 31)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1_400_000_000, 1_400_000_007], "times"),
        ([1_400_000_000, 3], None),
        ([1_400_000_000.5, 1_400_000_007], None),
        ([1999, 2024], "years"),
        ([2000, 2000], None),
        ([1999, 2024, 7], None),
        (ROWS, "ids"),
        (ROWS[::-1] * 7, "ids"),
        (ROWS / 2, None),
        (np.append(ROWS, 1), None),
        (ROWS[:20], None),
        ([], None),
    ],
)
def test_what_numbers_look_like(values, expected):
    assert doubt(np.array(values, float)) == expected


@pytest.mark.parametrize(
    ("options", "used", "level", "words"),
    [
        ({}, True, "INFO", "weights are column 'x', 1 to 30"),
        (
            {"sure": False},
            False,
            "WARNING",
            "column 'x', 1 to 30, is not read as weights: it looks"
            " like ids; weight='x' (--weight x) reads it",
        ),
        (
            {"sure": False, "names": None},
            False,
            "WARNING",
            "the third column, 1 to 30, is not read"
            " as weights: it looks like ids; columns=('source', 'target', 'weight')",
        ),
    ],
)
def test_what_becomes_of_them_is_logged(options, used, level, words, caplog):
    roles = Roles(0, 1, weight=2, **{"names": ("u", "v", "x"), **options})
    with caplog.at_level(logging.INFO, "vgae"):
        found = checked_weights(ROWS, roles, "g.csv")
    assert (found is ROWS) == used
    assert [record.levelname for record in caplog.records] == [level]
    assert caplog.messages[0].startswith(f"g.csv: {words}")


def test_numbers_that_could_be_no_weights_are_no_warning(caplog):
    roles = Roles(0, 1, weight=2, sure=False, refused=True, names=("u", "v", "rank"))
    with caplog.at_level(logging.INFO, "vgae"):
        assert checked_weights(np.array([0, 2.5, np.nan]), roles, "g.csv") is None
    assert [record.levelname for record in caplog.records] == ["INFO"]
    assert "column 'rank', 0 to 2.5, is not read" in caplog.text
