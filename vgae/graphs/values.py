"""Names and labels of nodes as values of other libraries."""

from collections.abc import Iterable, Sequence
from numbers import Real
from typing import Any

import numpy as np

from vgae.errors import DataError
from vgae.graphs.canonical import NodeId


def checked_names(values: Iterable[Any], what: str) -> list[NodeId]:
    """Return names, all integers or all strings.

    Raises:
        DataError: ``NODE_ID`` with the first row that is anything else.
    """
    names: list[Any] = list(values)
    kinds = set(map(type, names))
    if not kinds <= {int, str}:
        generic = (np.integer, np.str_)
        names = [name.item() if isinstance(name, generic) else name for name in names]
        kinds = set(map(type, names))
    if kinds <= {int} or (kinds <= {str} and "" not in names):
        return names
    missing = [row for row, name in enumerate(names) if is_missing(name) or name == ""]
    gaps = f"{len(missing)} rows have no name, the first is row {missing[0]}" if missing else ""
    numbers = [name for name in names if isinstance(name, float) and not is_missing(name)]
    if numbers:
        raise DataError(
            "NODE_ID",
            f"{what} must have integers or strings as names of nodes, got floats such as"
            f" {numbers[0]!r}, which may have lost digits{gaps and '; ' + gaps}; read it as"
            " integers, or convert it by .astype('Int64').",
        )
    if missing:
        raise DataError("NODE_ID", f"{what}: {gaps}; drop these rows, as by .dropna().")
    if kinds == {int, str}:
        whole, text = (next(n for n in names if isinstance(n, kind)) for kind in (int, str))
        raise DataError(
            "NODE_ID",
            f"{what} has integers and strings as names of nodes, such as {whole!r} and"
            f" {text!r:.60}; make them one type, as by .astype(str).",
        )
    row, bad = next((row, name) for row, name in enumerate(names) if type(name) not in (int, str))
    raise DataError(
        "NODE_ID",
        f"{what} must have integers or strings as names of nodes, got {bad!r:.60}, a"
        f" {type(bad).__name__}, in row {row}; convert it, as by .astype(str).",
    )


def coded_labels(values: Sequence[Any]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return labels as int64, -1 where they are missing, and their names.

    Integers stay as they are, without names; strings and booleans are numbered in sorted order.

    Raises:
        DataError: ``LABELS`` if they are of another type.
    """
    known = [value for value in values if not is_missing(value)]
    kinds = {_label_kind(value) for value in known}
    if kinds == {"integer"} or not kinds:
        return np.array([-1 if is_missing(v) else int(v) for v in values], np.int64), ()
    if kinds == {"text"} or kinds == {"boolean"}:
        names = sorted(set(map(str, known)))
        place = {name: number for number, name in enumerate(names)}
        codes = [-1 if is_missing(value) else place[str(value)] for value in values]
        return np.array(codes, np.int64), tuple(names)
    found = " and ".join(sorted({type(value).__name__ for value in known})[:3])
    raise DataError("LABELS", f"labels must be integers or strings, got {found}.")


def listed(names: Sequence[Any]) -> str:
    """Return the first names, for messages."""
    shown = ", ".join(f"{name!r:.40}" for name in names[:8])
    return f"{shown}, ... ({len(names)} in all)" if len(names) > 8 else shown


def _label_kind(value: Any) -> str:
    if isinstance(value, bool | np.bool_):
        return "boolean"
    # pandas makes floats of integers where some are missing.
    if isinstance(value, Real) and float(value).is_integer():
        return "integer"
    return "text" if isinstance(value, str) else "other"


def is_missing(value: Any) -> bool:
    """Return whether a value is None, NaN, or the NA or NaT of pandas."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, float | np.floating) and bool(np.isnan(value))
