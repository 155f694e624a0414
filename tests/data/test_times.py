"""Times are numbers, or dates; text on them is in test_splits."""

from datetime import date

import numpy as np
import pytest

from vgae.data.times import parsed_times, times_of
from vgae.errors import DataError


def parsed(*texts):
    return parsed_times(enumerate(texts), "row")


def test_whole_numbers_keep_all_their_digits():
    """Nanoseconds since 1970 have more digits than a float."""
    times = parsed("1717171717171717171", "1717171717171717172")
    assert times.dtype == np.int64
    assert times[0] < times[1]
    assert parsed("1", "2.5", "-3e2").tolist() == [1, 2.5, -300]


def test_dates_are_ordered_in_any_zone():
    times = parsed("2024-05-31", "2024-05-31T01:00:00+02:00", "2024-05-31T00:00:00.5Z")
    assert times.argsort().tolist() == [1, 0, 2]


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (("x",), "row 0: a time must be a finite number or a date of ISO 8601, got 'x'"),
        (("1", "inf"), "row 1: a time must be .*got 'inf'"),
        (("1", "2024-05-31"), "row 1: a time must be a number as those before"),
        (("2024-05-31", "20240"), "row 1: a time must be a date as those before"),
    ],
)
def test_other_text_is_refused(texts, words):
    with pytest.raises(DataError, match=words):
        parsed(*texts)


def test_columns_of_parquet():
    pa = pytest.importorskip("pyarrow")
    table = pa.table(
        {
            "whole": [3, 1],
            "date": [date(2024, 5, 31), date(2023, 5, 31)],
            "text": ["2024-05-31", "2023-05-31"],
            "gap": [1, None],
            "nan": [1.0, float("nan")],
            "truth": [True, False],
        }
    )
    for name in ("whole", "date", "text"):
        assert times_of(table, name).argsort().tolist() == [1, 0]
    for name, words in (("gap", "lacks 1 times"), ("nan", "not finite"), ("truth", "got 'True'")):
        with pytest.raises(DataError, match=f"column '{name}'.* {words}"):
            times_of(table, name)
