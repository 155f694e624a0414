"""Columns of data frames as names, numbers and labels.

Frames of pandas, polars, pyarrow and other eager libraries are read through narwhals.
"""

import logging
from collections.abc import Iterable, Sequence
from decimal import Decimal
from numbers import Real
from typing import Any, NamedTuple

import narwhals as nw
import numpy as np
import scipy.sparse as sp
from torch import Tensor

from vgae.errors import DataError, UsageError, did_you_mean
from vgae.graphs.canonical import NodeId
from vgae.graphs.encoding import Encoded, encode_table
from vgae.runtime.tables import optional_module

log = logging.getLogger(__name__)

_ENDS = (
    ("source", "target"),
    ("src", "dst"),
    ("from", "to"),
    ("u", "v"),
    ("node1", "node2"),
    ("id1", "id2"),
)
_ARRAYS = (np.ndarray, Tensor, list, tuple, str, bytes, dict, range)


class EdgeColumns(NamedTuple):
    """Columns of an edge list: the names of both ends, and the weight, if any."""

    source: str
    target: str
    weight: str | None


def edge_roles(columns: Sequence[str]) -> EdgeColumns:
    """Return which columns of an edge list are source, target and weight, by their names.

    Upper case, blanks and underscores do not count. Two columns of other names are source and
    target in this order.

    Raises:
        DataError: ``FRAME_COLUMNS`` if the names do not say.
    """
    place = {plain(name): name for name in reversed(columns)}
    weight = place.get("weight")
    for source, target in _ENDS:
        if source in place and target in place:
            return EdgeColumns(place[source], place[target], weight)
    if len(columns) == 2 and weight is None:
        return EdgeColumns(columns[0], columns[1], None)
    raise DataError(
        "FRAME_COLUMNS",
        f"among the columns {listed(columns)} it is not clear which have the ends of the edges;"
        " name them, as in source='from_city', target='to_city'.",
    )


def is_frame(value: object) -> bool:
    """Return whether a value is a data frame, of any library, eager or lazy."""
    if value is None or isinstance(value, _ARRAYS) or sp.issparse(value):
        return False
    try:
        found: Any = nw.from_native(value, pass_through=True)
    except nw.exceptions.DuplicateError:
        return True
    return isinstance(found, nw.DataFrame | nw.LazyFrame) or hasattr(value, "__dataframe__")


def frame_of(given: Any, what: str) -> nw.DataFrame[Any]:
    """Return a frame of any library as one of narwhals, with strings as names of its columns.

    Raises:
        DataError: ``FRAME`` if it is no frame; ``FRAME_COLUMNS`` if two columns have one name.
        UsageError: ``FRAME`` if it is lazy.
    """
    if nw.dependencies.is_pandas_like_dataframe(given):
        given = given.set_axis([str(name) for name in given.columns], axis=1)
    try:
        found: Any = nw.from_native(given, pass_through=True)
    except nw.exceptions.DuplicateError:
        rule = f"the columns of {what} must have different names; rename or drop some of them"
        raise DataError("FRAME_COLUMNS", f"{rule}.") from None
    if isinstance(found, nw.LazyFrame):
        raise UsageError("FRAME", f"{what} is a lazy frame; pass the result of its .collect().")
    if not isinstance(found, nw.DataFrame):
        if not hasattr(given, "__dataframe__"):
            raise DataError(
                "FRAME",
                f"{what} must be a data frame of pandas, polars or pyarrow, got"
                f" {type(given).__name__}; Graph.from_edges takes arrays.",
            )
        interchange = optional_module("pyarrow.interchange", "parquet")
        found = nw.from_native(interchange.from_dataframe(given))
    return found


def series_of(value: object) -> nw.Series[Any] | None:
    """Return a series of any library as one of narwhals; ``None`` if it is none."""
    if value is None or isinstance(value, _ARRAYS):
        return None
    found: Any = nw.from_native(value, series_only=True, pass_through=True)
    return found if isinstance(found, nw.Series) else None


def column_of(frame: nw.DataFrame[Any], name: str, what: str) -> nw.Series[Any]:
    """Return a column by name.

    Raises:
        DataError: ``FRAME_COLUMNS`` if there is none, with the nearest name.
    """
    if name not in frame.columns:
        raise DataError(
            "FRAME_COLUMNS",
            f"{what} has no column {name!r:.60}, but {listed(frame.columns)}."
            f"{did_you_mean(name, frame.columns)}",
        )
    return frame[name]


def index_names(given: Any, what: str) -> list[NodeId] | None:
    """Return the names in the index of a frame or series of pandas.

    ``None`` without an index, or if it has no name and is 0 to N - 1.

    Raises:
        DataError: ``NODE_ID`` as :func:`checked_names`, or if the index has several levels.
    """
    is_pandas = nw.dependencies.is_pandas_like_dataframe(given)
    if not (is_pandas or nw.dependencies.is_pandas_like_series(given)):
        return None
    index = given.index
    if index.nlevels > 1:
        rule = f"the index of {what} must have one level with the names of the nodes"
        raise DataError("NODE_ID", f"{rule}, got {index.nlevels}; use .reset_index().")
    is_unnamed = index.name is None and index.dtype.kind in "iu"
    if is_unnamed and np.array_equal(index.to_numpy(), np.arange(len(index))):
        return None
    return checked_names(index.tolist(), f"the index of {what}")


def column_names(column: nw.Series[Any], what: str) -> list[NodeId]:
    """Return the names of nodes in a column.

    Raises:
        DataError: ``NODE_ID`` as :func:`checked_names`.
    """
    return checked_names(column.to_list(), f"column {column.name!r:.60} of {what}")


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
    missing = [row for row, name in enumerate(names) if _is_missing(name) or name == ""]
    gaps = f"{len(missing)} rows have no name, the first is row {missing[0]}" if missing else ""
    numbers = [name for name in names if isinstance(name, float) and not _is_missing(name)]
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


def numbers_of(column: nw.Series[Any]) -> np.ndarray | None:
    """Return a column as float64, NaN where it is missing; ``None`` unless all are numbers."""
    kind = column.dtype
    if kind.is_numeric() or kind == nw.Boolean:
        return column.cast(nw.Float64).to_numpy()
    if kind not in (nw.Object, nw.Unknown):
        return None
    values = column.to_list()
    if not all(isinstance(v, Real | Decimal | np.bool_) or _is_missing(v) for v in values):
        return None
    try:
        return np.array([np.nan if _is_missing(value) else float(value) for value in values])
    except OverflowError:
        return None


def encoded_features(frame: nw.DataFrame[Any], what: str, encode: Any) -> Encoded:
    """Return all columns as features; numbers are made of them by ``encode``, if not ``"none"``.

    See :func:`features_of` and :func:`vgae.graphs.encoding.encode_table`.
    """
    if isinstance(encode, str) and encode == "none":
        return Encoded(*features_of(frame, what), None)
    return encode_table({name: _cells(frame[name]) for name in frame.columns}, encode)


def _cells(column: nw.Series[Any]) -> Any:
    """Return a column as an array of numbers or dates, or as a list with None where missing."""
    if column.dtype in (nw.Date, nw.Datetime) and getattr(column.dtype, "time_zone", None) is None:
        return column.cast(nw.Datetime("us")).to_numpy()
    values = numbers_of(column)
    if values is not None and column.dtype != nw.Boolean:
        return values
    return [None if _is_missing(value) else value for value in column.to_list()]


def features_of(frame: nw.DataFrame[Any], what: str) -> tuple[Any, tuple[str, ...]]:
    """Return all columns as features, shape ``(N, F)``, and their names.

    ``None`` without columns; a CSR matrix if all are sparse columns of pandas.

    Raises:
        DataError: ``FEATURE_DTYPE`` with all columns that are no numbers;
            ``FEATURE_NONFINITE`` with all columns in which some are missing.
    """
    names, num_rows = tuple(frame.columns), len(frame)
    if not names:
        return None, ()
    if (sparse := _sparse(frame.to_native())) is not None:
        return sparse, names
    x = np.empty((num_rows, len(names)), np.float32)
    bad, gaps = [], []
    for place, name in enumerate(names):
        values = numbers_of(frame[name])
        if values is None:
            bad.append(f"{name!r:.60} ({_described(frame[name])})")
            continue
        with np.errstate(over="ignore"):
            x[:, place] = values
        if (absent := np.flatnonzero(np.isnan(values))).size:
            gaps.append(f"{name!r:.60} ({absent.size}, the first in row {absent[0]})")
    also = f" Values are missing in {', '.join(gaps)}." if gaps else ""
    if bad:
        raise DataError(
            "FEATURE_DTYPE",
            f"{what}: features must be numbers or booleans, which the columns {', '.join(bad)} are"
            f" not; drop them, or let encode='auto' make numbers of them.{also}",
        )
    if gaps:
        raise DataError(
            "FEATURE_NONFINITE",
            f"{what}: values are missing in the columns {', '.join(gaps)}; fill them, as by"
            " .fillna(0), or drop the columns.",
        )
    return x, names


def coded_labels(values: Sequence[Any]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return labels as int64, -1 where they are missing, and their names.

    Integers stay as they are, without names; strings and booleans are numbered in sorted order.

    Raises:
        DataError: ``LABELS`` if they are of another type.
    """
    known = [value for value in values if not _is_missing(value)]
    kinds = {_label_kind(value) for value in known}
    if kinds == {"integer"} or not kinds:
        return np.array([-1 if _is_missing(v) else int(v) for v in values], np.int64), ()
    if kinds == {"text"} or kinds == {"boolean"}:
        names = sorted(set(map(str, known)))
        place = {name: number for number, name in enumerate(names)}
        codes = [-1 if _is_missing(value) else place[str(value)] for value in values]
        return np.array(codes, np.int64), tuple(names)
    found = " and ".join(sorted({type(value).__name__ for value in known})[:3])
    raise DataError("LABELS", f"labels must be integers or strings, got {found}.")


def plain(name: str) -> str:
    """Return a name of a column in lower case, without blanks, hyphens and underscores."""
    return "".join(c for c in str(name).casefold() if c not in " _-")


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


def _is_missing(value: Any) -> bool:
    """Return whether a value is None, NaN, or the NA or NaT of pandas."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, float | np.floating) and bool(np.isnan(value))


def _described(column: nw.Series[Any]) -> str:
    """Return the type of a column, with a value."""
    value = next((v for v in column.to_list() if not _is_missing(v)), None)
    kind = str(column.dtype).split("(")[0].lower()
    return kind if value is None else f"{kind} such as {str(value)!r:.40}"


def _sparse(native: Any) -> sp.csr_array | None:
    """Return a frame of pandas whose columns are all sparse, with zeros left out, as CSR."""
    if not nw.dependencies.is_pandas_dataframe(native):
        return None
    kinds: list[Any] = list(native.dtypes)
    if all(type(kind).__name__ == "SparseDtype" and kind.fill_value == 0 for kind in kinds):
        return sp.csr_array(native.sparse.to_coo())
    return None
