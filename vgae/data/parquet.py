"""Columns of a parquet file, as names or as numbers."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from vgae.data.text import brief
from vgae.errors import DataError, UsageError

if TYPE_CHECKING:
    import pyarrow as pa

_ALWAYS_VALUES = 2**24
_VALUES_A_BYTE = 100


class Coded(NamedTuple):
    """Distinct names in order of appearance, and for each value which of them it is."""

    names: list[int] | list[str]
    codes: np.ndarray


def read_parquet(path: Path) -> "pa.Table":
    """Return the table of a parquet file.

    Raises:
        UsageError: ``PYARROW`` if pyarrow is missing.
        DataError: ``PARQUET_CORRUPT``; ``UNPACKED_SIZE`` if it states far more values than it has
            bytes.
    """
    try:
        import pyarrow.parquet as pq
    except ModuleNotFoundError:
        raise UsageError(
            "PYARROW", "pyarrow, which reads parquet, is missing: pip install 'vgae[parquet]'"
        ) from None
    try:
        with pq.ParquetFile(path) as file:
            _check_size(file.metadata, path.stat().st_size)
            table = file.read()
        # Not done on reading: the text in it must be UTF-8.
        table.validate(full=True)
    except DataError:
        raise
    # On damaged bytes pyarrow raises several kinds of exceptions.
    except Exception as error:
        raise DataError("PARQUET_CORRUPT", f"it is no parquet file ({brief(error)}).") from None
    return table


def _check_size(metadata: Any, size: int) -> None:
    """Raise if a file of so many bytes states far more values: a byte may repeat one for ever."""
    values = max(metadata.num_rows, 1) * max(metadata.num_columns, 1)
    if values > max(_ALWAYS_VALUES, _VALUES_A_BYTE * size):
        raise DataError(
            "UNPACKED_SIZE",
            f"it has {size} bytes and states {values} values; save it without compression if they"
            " are what you want.",
        )


def coded_names(table: "pa.Table", columns: list[str]) -> Coded:
    """Return the names in columns, one column after the other.

    Raises:
        DataError: ``NODE_ID`` if they are not all text or all integers below 2**63, or one is
            missing or empty.
    """
    import pyarrow as pa

    chunks = [chunk for column in columns for chunk in _plain(table[column]).chunks]
    types = {pa.types.is_integer(chunk.type) for chunk in chunks if _is_name(chunk.type)}
    found = ", ".join(f"{name} ({table[name].type})" for name in columns)
    if len(types) != 1 or not all(_is_name(chunk.type) for chunk in chunks):
        raise DataError(
            "NODE_ID",
            f"names of nodes must be all text or all integers, got {found}; a column of floats"
            " has already lost digits.",
        )
    try:
        kind = pa.int64() if types == {True} else pa.large_string()
        whole = pa.chunked_array([chunk.cast(kind) for chunk in chunks], kind).combine_chunks()
    except pa.ArrowInvalid as error:
        raise DataError("NODE_ID", f"{brief(error)}, in {found}.") from None
    coded = whole.dictionary_encode()
    names = coded.dictionary.to_pylist()
    if whole.null_count or "" in names:
        raise DataError("NODE_ID", f"names of nodes must not be missing or empty, in {found}.")
    return Coded(names, coded.indices.to_numpy().astype(np.int64))


def numbers(table: "pa.Table", column: str, code: str) -> np.ndarray:
    """Return a column of numbers or truth values as float64, NaN where one is missing.

    Raises:
        DataError: With the given code, if it is of another type.
    """
    import pyarrow as pa

    values = table[column]
    if not any(
        check(values.type)
        for check in (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean)
    ):
        raise DataError(code, f"column {column!r} must be numbers, got {values.type}.")
    return values.to_numpy().astype(np.float64)


def _plain(column: "pa.ChunkedArray") -> "pa.ChunkedArray":
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        return column.cast(column.type.value_type)
    return column


def _is_name(kind: "pa.DataType") -> bool:
    import pyarrow as pa

    return any(
        check(kind)
        for check in (
            pa.types.is_integer,
            pa.types.is_string,
            pa.types.is_large_string,
            pa.types.is_string_view,
        )
    )
