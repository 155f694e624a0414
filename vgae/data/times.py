"""Times of edges in a column of a file: numbers, or dates of ISO 8601."""

import math
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from vgae.errors import DataError
from vgae.runtime.numerals import is_integer, parse_number

if TYPE_CHECKING:
    import pyarrow as pa


def parsed_times(texts: Iterable[tuple[int, str]], place: str) -> np.ndarray:
    """Return times as int64 or float64, shape ``(E,)``; later ones are higher.

    Args:
        texts: Number of the line or row, and text of each time: all numbers, or all dates such as
            ``2024-05-31`` or ``2024-05-31T10:00:00+02:00``. A date without a zone is one of UTC.
        place: What the number counts, in messages.

    Raises:
        DataError: ``BAD_TIME``.
    """
    values: list[float] = []
    first_kind = None
    for number, text in texts:
        kind, value = _number_or_date(text)
        first_kind = first_kind or kind
        if kind != first_kind or not math.isfinite(value):
            rule = "a finite number or a date of ISO 8601"
            if math.isfinite(value):
                rule = f"a {first_kind} as those before"
            raise DataError(
                "BAD_TIME", f"{place} {number}: a time must be {rule}, got {text!r:.60}."
            )
        values.append(value)
    return np.array(values)


def times_of(table: "pa.Table", column: str) -> np.ndarray:
    """Return a column of numbers, dates or text as times; see :func:`parsed_times`.

    Raises:
        DataError: ``BAD_TIME``.
    """
    import pyarrow as pa

    values = table[column]
    if values.null_count:
        raise DataError("BAD_TIME", f"column {column!r} lacks {values.null_count} times.")
    if pa.types.is_timestamp(values.type) or pa.types.is_date(values.type):
        values = values.cast(pa.timestamp("us")).cast(pa.int64())
    if pa.types.is_integer(values.type) or pa.types.is_floating(values.type):
        times = values.to_numpy()
        if not np.isfinite(times).all():
            raise DataError("BAD_TIME", f"column {column!r} holds times that are not finite.")
        return times
    texts = enumerate(map(str, values.to_pylist()))
    return parsed_times(texts, f"column {column!r}, row")


def _number_or_date(text: str) -> tuple[str, float]:
    """Return the kind of a time and its value; an empty kind and NaN if it is none."""
    if is_integer(text):
        return "number", int(text)
    try:
        return "number", parse_number(text)
    except ValueError:
        pass
    try:
        date = datetime.fromisoformat(text)
    except ValueError:
        return "", math.nan
    return "date", (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
