"""Columns of data frames as names, numbers and labels.

Frames of pandas, polars, pyarrow and other eager libraries are read through narwhals.
"""

import logging
from collections.abc import Sequence
from decimal import Decimal
from importlib.util import find_spec
from numbers import Real
from typing import Any, NamedTuple

import narwhals as nw
import numpy as np
import scipy.sparse as sp

from vgae.errors import DataError, UsageError, did_you_mean
from vgae.graphs.canonical import NodeId
from vgae.graphs.columns import Chosen, Columns, Roles
from vgae.graphs.encoding import Encoded, encode_table
from vgae.graphs.values import checked_names, is_missing, listed
from vgae.runtime.tables import optional_module

log = logging.getLogger(__name__)

_SAMPLE = 100  # rows


class Choice(NamedTuple):
    """Options for the columns of a frame; see :class:`vgae.graphs.columns.Chosen`."""

    columns: Sequence[str] | None = None
    weight: str | None = None
    time: str | None = None


def edge_roles(
    frame: nw.DataFrame[Any],
    what: str,
    chosen: Chosen | None = None,
    ends: tuple[str, str] | None = None,
) -> Roles:
    """Return the roles of the columns of an edge list, as those of a file with this header.

    Args:
        frame: The edge list.
        what: Its name in messages.
        chosen: Options.
        ends: Names of the columns of source and target, if they are given.

    Raises:
        DataError: ``FRAME_COLUMNS`` if names do not decide, or are not those of columns.
    """
    first = frame.head(_SAMPLE)
    texts = (first[name].to_list() for name in frame.columns)
    texts = [["" if is_missing(value) else str(value) for value in column] for column in texts]
    sample = list(zip(*texts, strict=True))
    columns = Columns(tuple(frame.columns), sample, what, chosen or Choice(), in_frame=True)
    return columns.roles(ends=ends)


def coded_ends(
    frame: nw.DataFrame[Any], roles: Roles, what: str
) -> tuple[list[NodeId], np.ndarray]:
    """Return the distinct names in the columns of both ends, ascending, and the ends as indices.

    Raises:
        DataError: ``NODE_ID`` as :func:`checked_names`, or if one column has integers and the
            other strings.
    """
    source, target = (frame[roles.name(end)] for end in (roles.source, roles.target))
    first, second = _integers(source), _integers(target)
    if first is not None and second is not None:
        distinct, codes = np.unique(np.concatenate([first, second]), return_inverse=True)
        return distinct.tolist(), codes.reshape(2, -1)
    columns = [_coded_names(column, what) for column in (source, target)]
    if {type(name) for names, _ in columns for name in names[:1]} == {int, str}:
        raise DataError(
            "NODE_ID",
            f"{what}: {source.name!r:.60} has integers and {target.name!r:.60} strings, or the"
            " reverse; make them one type, as by .astype(str).",
        )
    names = sorted({*columns[0][0], *columns[1][0]})
    place = {name: number for number, name in enumerate(names)}
    codes = [np.array([place[name] for name in own], np.int64)[c] for own, c in columns]
    return names, np.stack(codes)


def _coded_names(column: nw.Series[Any], what: str) -> tuple[list[NodeId], np.ndarray]:
    """Return the distinct names of nodes in a column, and the column as indices of these."""
    if column.dtype == nw.String and not column.null_count() and find_spec("pyarrow"):
        coded: Any = column.to_arrow().dictionary_encode()
        coded = coded.combine_chunks() if hasattr(coded, "chunks") else coded
        names = coded.dictionary.to_pylist()
        if "" not in names:
            return names, coded.indices.to_numpy()
    names = column_names(column, what)
    place = {name: number for number, name in enumerate(dict.fromkeys(names))}
    return [*place], np.fromiter(map(place.__getitem__, names), np.int64, len(names))


def _integers(column: nw.Series[Any]) -> np.ndarray | None:
    """Return a column of integers without gaps as int64; ``None`` for another one."""
    if not column.dtype.is_integer() or column.null_count() or not len(column):
        return None
    values = column.to_numpy()
    fits = values.dtype.kind == "i" or (values.dtype.kind == "u" and values.max() < 2**63)
    return values.astype(np.int64) if fits else None


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


def numbers_of(column: nw.Series[Any]) -> np.ndarray | None:
    """Return a column as float64, NaN where it is missing; ``None`` unless all are numbers."""
    kind = column.dtype
    if kind.is_numeric() or kind == nw.Boolean:
        return column.cast(nw.Float64).to_numpy()
    if kind not in (nw.Object, nw.Unknown):
        return None
    values = column.to_list()
    if not all(isinstance(v, Real | Decimal | np.bool_) or is_missing(v) for v in values):
        return None
    try:
        return np.array([np.nan if is_missing(value) else float(value) for value in values])
    except OverflowError:
        return None


def encoded_features(
    frame: nw.DataFrame[Any], what: str, encode: Any, *, impute: bool = False
) -> Encoded:
    """Return all columns as features; numbers are made of them by ``encode``, if not ``"none"``.

    See :func:`features_of` and :func:`vgae.graphs.encoding.encode_table`.
    """
    if isinstance(encode, str) and encode == "none":
        return Encoded(*features_of(frame, what, impute=impute), None)
    return encode_table({name: _cells(frame[name]) for name in frame.columns}, encode)


def _cells(column: nw.Series[Any]) -> Any:
    """Return a column as an array of numbers or dates, or as a list with None where missing."""
    if column.dtype in (nw.Date, nw.Datetime) and getattr(column.dtype, "time_zone", None) is None:
        return column.cast(nw.Datetime("us")).to_numpy()
    if column.dtype == nw.Duration:
        seconds = column.cast(nw.Duration("us")).to_numpy()
        return np.where(np.isnat(seconds), np.nan, seconds / np.timedelta64(1, "D"))
    values = numbers_of(column)
    if values is not None and column.dtype != nw.Boolean:
        return values
    return [None if is_missing(value) else value for value in column.to_list()]


def features_of(
    frame: nw.DataFrame[Any], what: str, *, impute: bool = False
) -> tuple[Any, tuple[str, ...]]:
    """Return all columns as features, shape ``(N, F)``, and their names.

    ``None`` without columns; a CSR matrix if all are sparse columns of pandas. With ``impute``
    missing values are NaN.

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
    if gaps and not impute:
        raise DataError(
            "FEATURE_NONFINITE",
            f"{what}: values are missing in the columns {', '.join(gaps)}; fill them, as by"
            " .fillna(0), or drop the columns; or let missing_features='impute'"
            " (--missing-features impute) leave them out, as for reconstruct='features'.",
        )
    return x, names


def _described(column: nw.Series[Any]) -> str:
    """Return the type of a column, with a value."""
    value = next((v for v in column.to_list() if not is_missing(v)), None)
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
