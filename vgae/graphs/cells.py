"""Cells of a table as text and as numbers, and the choice of the kind of a column."""

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, get_args

import numpy as np

Kind = Literal["number", "boolean", "category", "date", "date-dmy", "date-mdy", "hash", "drop"]
KINDS = get_args(Kind)
Cells = np.ndarray | Sequence[str | None]

_MISSING = {"", "na", "n/a", "#n/a", "<na>", "nan", "nat", "null", "missing", "-", "?"}
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_CODE = re.compile(r"0\d+", re.ASCII)
_WITH_UNIT = re.compile(  # 12%, 1'200, CHF 5.50
    r"(?!\d+$)(?:[A-Za-z.]{,4} |[^\w\s] ?)?-?\d+(?:[.,'\u2019]\d+)*(?: [A-Za-z.]{,4}| ?[^\w\s])?",
    re.ASCII,
)
_WHOLE = re.compile(r"(-?\d+)\.0+", re.ASCII)
_TIME = r"(?:[T ](?P<t>\S.*))?"
_DAY_MONTH = rf"(?P<{{}}>\d\d?)(?P<s>[-/.])(?P<{{}}>\d\d?)(?P=s)(?P<y>\d{{{{4}}}}){_TIME}"
_DATES = {
    "date": re.compile(
        rf"(?P<y>\d{{4}})(?P<s>[-/.]?)(?P<m>\d\d)(?P=s)(?P<d>\d\d){_TIME}", re.ASCII
    ),
    "date-dmy": re.compile(_DAY_MONTH.format("d", "m"), re.ASCII),
    "date-mdy": re.compile(_DAY_MONTH.format("m", "d"), re.ASCII),
}
_EPOCH = datetime(1970, 1, 1)
_YEARS = (1900, 2100)  # of dates without separators, which could be numbers
_TRUTH: dict[str, float] = dict.fromkeys(("true", "yes", "y", "t", "1", "1.0"), 1.0)
_TRUTH |= dict.fromkeys(("false", "no", "n", "f", "0", "0.0"), 0.0)
_PAIRS = [{"true", "false"}, {"yes", "no"}, {"y", "n"}, {"t", "f"}, {"0", "1", "0.0", "1.0"}]
_PARSED: tuple[Kind, ...] = ("number", "date", "date-dmy", "date-mdy")
_FEW = 20  # different values of a category, or rows in which they say nothing
_MANY = 1000  # different texts, too many to propose as categories
_MOST = 0.5  # fraction of numbers or dates that makes the others look like errors


class Refused(ValueError):
    """A column of no kind; ``kind`` is the one to propose for it."""

    def __init__(self, reason: str, kind: Kind) -> None:
        super().__init__(reason)
        self.kind = kind


def cells_of(column: Any) -> Cells:
    """Return a column as float64, NaN where missing, or as text and None.

    Args:
        column: Array of numbers, truth values or dates; or a sequence of anything.
    """
    kind = column.dtype.kind if isinstance(column, np.ndarray) else ""
    if kind and kind in "biuf":
        return column.astype(np.float64)
    if kind == "M":
        return np.datetime_as_string(column).tolist()
    return [None if cell is None else str(cell) for cell in column]


def texts_of(cells: Cells) -> list[str | None]:
    """Return cells as text, None where missing.

    Missing are NaN, empty text, and the marks NA, N/A, nan, NaT, null, None, missing, - and ?.
    """
    if isinstance(cells, np.ndarray):
        return [
            None if v != v else str(int(v)) if v.is_integer() else repr(v) for v in cells.tolist()
        ]
    stripped = (None if cell is None else cell.strip() for cell in cells)
    return [None if is_missing(text) else text for text in stripped]


def is_missing(text: str | None) -> bool:
    """Return whether a cell is missing."""
    return text is None or text == "None" or text.casefold() in _MISSING


def category_of(text: str | None) -> str | None:
    """Return the category of a cell: ``3.0``, a whole number beside missing ones, is ``3``."""
    whole = text and _WHOLE.fullmatch(text)
    return whole[1] if whole else text


def values_of(cells: Cells, kind: Kind) -> np.ndarray:
    """Return the numbers, truth values (0 or 1) or dates (days since 1970), NaN where missing.

    Raises:
        ValueError: If a cell is of another kind; the message is its text and row, from 1.
    """
    if isinstance(cells, np.ndarray) and kind == "number":
        if (bad := np.isinf(cells)).any():
            raise ValueError(f"{cells[bad.argmax()]} in row {bad.argmax() + 1}")
        return cells
    texts = texts_of(cells)
    values = {text: _value(text, kind) for text in {*texts}}
    found = np.array([values[text] for text in texts], np.float64)
    if (bad := np.isinf(found)).any():
        raise ValueError(f"{texts[bad.argmax()]!r:.60} in row {bad.argmax() + 1}")
    return found


def _value(text: str | None, kind: Kind) -> float:
    """Return the value of a cell, NaN if it is missing, infinity if it is of another kind."""
    if text is None:
        return math.nan
    if kind == "boolean":
        return _TRUTH.get(text.casefold(), math.inf)
    if kind == "number":
        return float(text) if _NUMBER.fullmatch(text) else math.inf
    match = _DATES[kind].fullmatch(text) or _DATES["date"].fullmatch(text)
    if not match:
        return math.inf
    year, month, day, clock = match.group("y", "m", "d", "t")
    try:
        moment = datetime.fromisoformat(f"{year}-{month:0>2}-{day:0>2}T{clock or '00:00'}")
        moment = moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
    except (OverflowError, ValueError):
        return math.inf
    return (moment - _EPOCH) / timedelta(days=1)


def kind_of(cells: Cells) -> Kind:
    """Return the kind of a column, by the rules of :meth:`vgae.graphs.encoding.TableEncoder.fit`.

    Raises:
        Refused: If it is free text, an identifier, or not surely of one kind.
    """
    if isinstance(cells, np.ndarray) and _are_plain_numbers(cells):
        return "number"
    texts = texts_of(cells)
    counts = Counter(text for text in texts if text is not None)
    if len(counts) < 2 and counts.total() in (0, len(texts)):
        return "drop"
    words = {text.casefold() for text in counts}
    if any(words <= pair for pair in _PAIRS):
        return "boolean"
    few = len(counts) <= max(_FEW, math.isqrt(len(texts))) and counts.total() >= 2 * len(counts)
    fits: dict[Kind, float] = {kind: _fraction(counts, kind) for kind in _PARSED}
    best = max(_PARSED, key=lambda kind: fits[kind])
    if fits[best] == 1:
        return _parsed_kind(counts, fits)
    if fits[best] > _MOST:
        word = "numbers" if best == "number" else "dates"
        bad = next(text for text in counts if math.isinf(_value(text, best)))
        what = f"has {word}, but also {bad!r:.60} in row {texts.index(bad) + 1}"
        raise Refused(what, "category" if few else "drop")
    if few:
        return "category"
    raise _refused_text(counts)


def _are_plain_numbers(values: np.ndarray) -> bool:
    """Return whether numbers are no constant, truth values or dates such as 20240131."""
    distinct = np.unique(values[~np.isnan(values)])
    first, last = (10_000 * year for year in _YEARS)
    return len(distinct) > 2 and not (distinct[0] > first and distinct[-1] < last)


def _parsed_kind(counts: Counter[str], fits: Mapping[Kind, float]) -> Kind:
    """Return the kind of a column whose cells are all numbers or dates."""
    if fits["date"] == 1 and (fits["number"] < 1 or _are_years(counts)):
        return "date"
    if fits["number"] == 1:
        return "number"
    orders: list[Kind] = [kind for kind in ("date-dmy", "date-mdy") if fits[kind] == 1]
    if len(orders) == 2 and not all("." in text for text in counts):
        text = next(text for text in counts if math.isinf(_value(text, "date")))
        raise Refused(f"has dates such as {text!r:.60}, day or month first", "date-dmy")
    return orders[0]


def _refused_text(counts: Counter[str]) -> Refused:
    """Return the error for a column of many texts."""
    text, most = counts.most_common(1)[0]
    such = f"such as {text!r:.60}"
    if sum(_WITH_UNIT.fullmatch(value) is not None for value in counts) > len(counts) / 2:
        what = f"has numbers with other characters, {such} (write 1234.5)"
        return Refused(what, "drop")
    differ = "a different text in each row" if most == 1 else f"{len(counts)} different texts"
    if sum(" " in value for value in counts) > len(counts) / 2:
        return Refused(f"is free text ({differ}, {such})", "hash")
    if most > 1:
        return Refused(f"has {differ}, {such}", "category" if len(counts) <= _MANY else "hash")
    return Refused(f"looks like an identifier ({differ}, {such})", "drop")


def is_identifier(values: np.ndarray) -> bool:
    """Return whether numbers may be identifiers: whole, and all different in many rows."""
    present = values[~np.isnan(values)]
    whole = len(present) > _FEW and bool((present == np.floor(present)).all())
    return whole and len(np.unique(present)) == len(present)


def _fraction(counts: Counter[str], kind: Kind) -> float:
    """Return the fraction of the cells that are of a kind; codes such as 007 are no numbers."""
    if kind == "number" and any(_CODE.fullmatch(text) for text in counts):
        return 0.0
    fit = sum(count for text, count in counts.items() if not math.isinf(_value(text, kind)))
    return fit / counts.total()


def _are_years(counts: Counter[str]) -> bool:
    first, last = _YEARS
    return all(first <= int(text[:4]) <= last for text in counts)
