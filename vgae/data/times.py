"""Times of edges in a column of a file: numbers, or dates of ISO 8601."""

import logging
import math
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vgae.data.text import is_integer, parse_number
from vgae.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

log = logging.getLogger(__name__)

_WORDS = ("year", "time", "date", "stamp", "epoch")


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


def place_of(time: str, columns: Sequence[str], path: Path) -> int:
    """Return the number of the column with the time, or raise."""
    if columns.count(time) != 1:
        raise DataError(
            "TIME_COLUMN",
            f"{path}: the header must have one column {time!r:.60} with the times, got"
            f" {', '.join(map(repr, columns)):.120}.",
        )
    return columns.index(time)


def without_time(
    head: tuple[int, list[str]] | None,
    records: Iterator[tuple[int, list[str]]],
    time: str,
    path: Path,
    times: list[tuple[int, str]],
) -> tuple[tuple[int, list[str]] | None, Iterator[tuple[int, list[str]]]]:
    """Return header and records without the column of the time, which is added to ``times``."""
    number, columns = head or (0, [])
    place = place_of(time, columns, path)

    def rest() -> Iterator[tuple[int, list[str]]]:
        for line, fields in records:
            if len(fields) == len(columns):
                times.append((line, fields.pop(place)))
                yield line, fields
                continue
            raise DataError(
                "FIELDS",
                f"{path}, line {line}: expected {len(columns)} fields as in the header, got"
                f" {len(fields)}; vgae convert --delimiter sets another separator.",
            )

    return (number, columns[:place] + columns[place + 1 :]), rest()


def warn_of_times(path: Path, column: str | None, weight: np.ndarray | None) -> None:
    """Warn if weights look like times: seconds since 1970, or years by the name of the column.

    Args:
        path: The file.
        column: Name of the column of weights; ``None`` without a header.
        weight: Weights, float64, shape ``(E,)``.
    """
    if weight is None or not weight.size:
        return
    low, high = weight.min(), weight.max()
    named = column is not None and any(word in column.casefold() for word in _WORDS)
    years = named and low >= 1900 and high <= 2100
    if (low >= 1e8 or years) and (weight == np.floor(weight)).all():
        name = "the third column" if column is None else f"column {column!a:.60}"
        log.warning(
            "%s: %s, %.0f to %.0f, is read as weights, but looks like times; leave it out, or,"
            " under a header, name it: vgae train --split-by-time COLUMN, read_graph(time=COLUMN)",
            *(path, name, low, high),
        )


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
