"""Columns of a parquet file, as names or as numbers."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vgae.errors import DataError
from vgae.graphs.cells import Cells, cells_of
from vgae.runtime import limits
from vgae.runtime.reading import brief
from vgae.runtime.tables import optional_module

if TYPE_CHECKING:
    import pyarrow as pa

_NUMBERS = ("integer", "floating", "boolean")


def read_parquet(path: Path) -> "pa.Table":
    """Return the table of a parquet file.

    Raises:
        UsageError: ``MISSING_PACKAGE`` without pyarrow.
        DataError: ``PARQUET_CORRUPT``; ``UNPACKED_SIZE`` by :data:`vgae.runtime.limits.PARQUET`.
    """
    pq = optional_module("pyarrow.parquet", "parquet")
    try:
        with pq.ParquetFile(path) as file:
            rows, columns = file.metadata.num_rows, file.metadata.num_columns
            # A few bytes may repeat one value without end.
            limits.PARQUET.check(max(rows, 1) * max(columns, 1), path.stat().st_size)
            table = file.read()
        # Reading does not check this: text must be UTF-8.
        table.validate(full=True)
    except DataError:
        raise
    # On damaged bytes pyarrow raises several kinds of exceptions.
    except Exception as error:
        raise DataError("PARQUET_CORRUPT", f"it is not a parquet file ({brief(error)}).") from None
    return table


def coded_names(table: "pa.Table", columns: list[str]) -> tuple[list[Any], np.ndarray]:
    """Return the distinct names in columns, and the place among them of each value.

    Raises:
        DataError: ``NODE_ID`` if they are not all text or all integers below 2**63, or one is
            missing or empty.
    """
    import pyarrow as pa

    plain = [
        column.cast(column.type.value_type) if _is_one_of(column.type, "dictionary") else column
        for column in map(table.column, columns)
    ]
    chunks = [chunk for column in plain for chunk in column.chunks]
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
        whole = [chunk.cast(kind) for chunk in chunks]
    except pa.ArrowInvalid as error:
        raise DataError("NODE_ID", f"{brief(error)}, in {found}.") from None
    missing = any(chunk.null_count for chunk in whole)
    names, codes = ([""], np.empty(0)) if missing else coded(whole)
    if isinstance(names, list) and "" in names:
        raise DataError("NODE_ID", f"names of nodes must not be missing or empty, in {found}.")
    return names if isinstance(names, list) else names.tolist(), codes


def coded(chunks: "list[pa.Array]") -> tuple[np.ndarray | list[str], np.ndarray]:
    """Return the distinct values in arrays, and the place among them of each value, int64.

    Args:
        chunks: Arrays of int64, or of text or dictionaries of it, without missing values. The
            list is emptied, which frees memory.
    """
    import pyarrow as pa

    if chunks[0].type == pa.int64():
        values = [chunk.to_numpy() for chunk in chunks if len(chunk)]
        low, high = (
            min(int(part.min()) for part in values),
            max(int(part.max()) for part in values),
        )
        if high - low < 2 * sum(map(len, values)):
            return _places_in_range(values, low, high)
    whole = pa.chunked_array(chunks)
    chunks.clear()
    is_coded = pa.types.is_dictionary(whole.type)
    parts = (whole.unify_dictionaries() if is_coded else whole.dictionary_encode()).chunks
    names = parts[0].dictionary
    indices = [part.indices for part in parts]
    del whole, parts
    pa.default_memory_pool().release_unused()
    codes = np.concatenate(indices, dtype=np.int64)
    return names.to_numpy() if names.type == pa.int64() else names.to_pylist(), codes


def _places_in_range(
    values: Sequence[np.ndarray], low: int, high: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct integers, ascending, and the place of each; a table replaces hashing."""
    present = np.zeros(high - low + 1, bool)
    for part in values:
        present[part - low] = True
    place = present.cumsum() - 1
    codes = np.concatenate(values)
    codes -= low
    np.take(place, codes, out=codes, mode="clip")  # other modes copy
    return np.flatnonzero(present) + low, codes


def numbers(table: "pa.Table", column: str, code: str) -> np.ndarray:
    """Return a column of numbers or truth values as float64, NaN where one is missing.

    Raises:
        DataError: With the given code, if it is of another type.
    """
    values = table[column]
    if not _is_one_of(values.type, *_NUMBERS):
        raise DataError(code, f"column {column!r} must be numbers, got {values.type}.")
    return values.to_numpy().astype(np.float64)


def column_cells(table: "pa.Table", column: str) -> Cells:
    """Return a column of any type: numbers and truth values as float64, else text and None."""
    import pyarrow as pa

    values = table[column]
    if _is_one_of(values.type, "dictionary"):
        values = values.cast(values.type.value_type)
    if _is_one_of(values.type, "decimal"):
        values = values.cast(pa.float64())
    if _is_one_of(values.type, *_NUMBERS):
        return values.to_numpy().astype(np.float64)
    if _is_one_of(values.type, "date", "timestamp"):
        return cells_of(values.to_numpy())
    return cells_of(values.to_pylist())


def _is_name(kind: Any) -> bool:
    return _is_one_of(kind, "integer", "string", "large_string", "string_view")


def _is_one_of(kind: Any, *names: str) -> bool:
    import pyarrow as pa

    return any(getattr(pa.types, f"is_{name}")(kind) for name in names)
