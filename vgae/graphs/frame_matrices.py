"""Adjacencies in data frames, with the names of the nodes in the index and the columns."""

import logging
from typing import Any

import numpy as np

from vgae.errors import DataError
from vgae.graphs.column_names import side_name
from vgae.graphs.frame_columns import frame_of, index_names, numbers_of
from vgae.graphs.values import checked_names, listed

log = logging.getLogger(__name__)


def matrix_in_frame(frame: Any, sides: str = "none") -> tuple[np.ndarray, Any]:
    """Return a frame as an array with the names of its nodes, ``None`` if they have none.

    Args:
        frame: Square, its rows and columns with the same names; or, with other sides than
            ``"none"``, with a row for each node of the first side and a column for each of the
            second, in which a missing value is no link. Then the names are those of the nodes of
            both sides, and of the sides, as the axes are named.
        sides: As for :meth:`vgae.Graph.from_scipy`.

    Raises:
        DataError: ``NOT_SQUARE``; ``NODE_ID`` if rows and columns have different names;
            ``ADJ_DTYPE`` if a column has no numbers.
    """
    found = frame_of(frame, "adj")
    given = list(frame.columns) if hasattr(frame, "index") else found.columns
    rows = index_names(frame, "adj")
    is_text = len(found.columns) > 1 and numbers_of(found[:, 0]) is None
    if rows is None and (len(found.columns) == len(found) + 1 or (is_text and sides != "none")):
        # A first column of names, as frames without an index have it.
        rows = checked_names(found[:, 0].to_list(), "the first column of adj")
        found, given = found[:, 1:], given[1:]
    shape = (len(found), len(found.columns))
    parts = (getattr(frame, axis, None) for axis in ("index", "columns"))
    axes = [name for part in parts if isinstance(name := getattr(part, "name", None), str)]
    named = len({*axes}) == 2
    is_part = rows is not None and not named and {*map(str, rows)} & {*found.columns}
    if sides == "columns" or (sides == "auto" and shape[0] != shape[1] and not is_part):
        labels = tuple(map(side_name, axes)) if named else ("row", "column")
        values = np.stack(_numbers(found, found.columns), axis=1)
        if gaps := int(np.isnan(values).sum()):
            log.info("adj: %d missing values are no links", gaps)
        names = list(range(shape[0])) if rows is None else rows
        return np.nan_to_num(values, posinf=np.inf, neginf=-np.inf), (names, _plain(given), labels)
    if shape[0] != shape[1]:
        cure = "if its rows and columns are two kinds of nodes, pass sides='columns'"
        raise DataError("NOT_SQUARE", f"adj must have shape (N, N), got {shape}; {cure}.")
    names = list(range(len(given))) if rows is None else rows
    texts, columns = list(map(str, names)), found.columns
    if rows is None and not hasattr(frame, "index"):
        rows, texts = columns, columns
    if set(texts) != set(columns) or len(set(texts)) != len(texts):
        raise DataError(
            "NODE_ID",
            f"the rows and columns of adj must have the same names, each once, got rows"
            f" {listed(names[:3])} and columns {listed(given[:3])}; for names in the order of the"
            " rows, set adj.columns = adj.index; if they are two kinds of nodes, pass"
            " sides='columns'.",
        )
    return np.stack(_numbers(found, texts), axis=1), rows


def _numbers(found: Any, names: Any) -> list[np.ndarray]:
    """Return columns as numbers, or raise with those that are none."""
    values = [numbers_of(found[name]) for name in names]
    if bad := [name for name, column in zip(names, values, strict=True) if column is None]:
        raise DataError("ADJ_DTYPE", f"adj must hold real numbers, unlike columns {listed(bad)}.")
    return [column for column in values if column is not None]


def _plain(names: Any) -> list[Any]:
    """Return the names of columns, integers as such if all are."""
    plain = [name.item() if isinstance(name, np.generic) else name for name in names]
    return plain if all(type(name) in (int, str) for name in plain) else list(map(str, plain))
