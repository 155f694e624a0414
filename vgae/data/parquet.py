"""Columns of a parquet file, as names or as numbers."""

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
        whole = pa.chunked_array([chunk.cast(kind) for chunk in chunks], kind).combine_chunks()
    except pa.ArrowInvalid as error:
        raise DataError("NODE_ID", f"{brief(error)}, in {found}.") from None
    coded = whole.dictionary_encode()
    names = coded.dictionary.to_pylist()
    if whole.null_count or "" in names:
        raise DataError("NODE_ID", f"names of nodes must not be missing or empty, in {found}.")
    return names, coded.indices.to_numpy().astype(np.int64)


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
