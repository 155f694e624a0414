"""Numbers in columns of large parquet and Feather files, read in batches of rows."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vgae.errors import DataError
from vgae.graphs.large_features import checked_rows, converted
from vgae.runtime import limits, mapped
from vgae.runtime.reading import brief
from vgae.runtime.tables import optional_module

if TYPE_CHECKING:
    import pyarrow as pa

FEATHER = (".feather", ".arrow")
"""Suffixes of files in Arrow's format for files."""


class ColumnFile:
    """An open file of columns.

    Args:
        path: The file: parquet, or by its suffix Feather (version 2).
    """

    def __init__(self, path: Path) -> None:
        import pyarrow as pa

        self.path, self.of_feather = path, path.suffix.lower() in FEATHER
        if self.of_feather:
            self.file: Any = pa.ipc.open_file(pa.memory_map(str(path)))
            self.schema: pa.Schema = self.file.schema
            counts = range(self.file.num_record_batches)
            self.num_rows = sum(self.file.get_batch(k).num_rows for k in counts)
        else:
            self.file = optional_module("pyarrow.parquet", "parquet").ParquetFile(path)
            self.schema, self.num_rows = self.file.schema_arrow, self.file.metadata.num_rows
        # A few bytes may repeat one value without end.
        count = max(self.num_rows, 1) * max(len(self.schema.names), 1)
        limits.PARQUET.check(count, path.stat().st_size)

    def table(self, names: Collection[str] | None = None) -> "pa.Table":
        """Return some columns, or all, in their order."""
        wanted = [name for name in self.schema.names if names is None or name in names]
        if not self.of_feather:
            return self.file.read(None if names is None else wanted)
        whole = self.file.read_all()
        return whole if names is None else whole.select(wanted)

    def are_large_numbers(self, names: Collection[str]) -> bool:
        """Return whether columns are numbers, of more bytes than are read into memory."""
        import pyarrow as pa

        kinds = [field.type for field in self.schema if field.name in names]
        is_number = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean)
        is_large = 4 * self.num_rows * len(kinds) > mapped.LARGE
        return is_large and all(any(check(kind) for check in is_number) for kind in kinds)

    def numbers(self, names: list[str]) -> np.ndarray:
        """Return columns of numbers in a temporary file, float32, shape ``(rows, columns)``.

        Raises:
            DataError: ``FEATURE_NONFINITE``, also if a value is missing.
        """
        shape = self.num_rows, len(names)
        blocks = map(_block, self._batches(names, mapped.rows_at_once(len(names))))
        return converted(shape, checked_rows(blocks), self.path.name).numpy()

    def _batches(self, names: list[str], num_rows: int) -> "Iterator[pa.RecordBatch]":
        if not self.of_feather:
            yield from self.file.iter_batches(num_rows, columns=names)
            return
        for k in range(self.file.num_record_batches):
            batch = self.file.get_batch(k).select(names)
            for first in range(0, batch.num_rows, num_rows):
                yield batch.slice(first, num_rows)


def _block(batch: "pa.RecordBatch") -> np.ndarray:
    """Return a batch as rows, with NaN for missing values."""
    block = np.empty((batch.num_rows, batch.num_columns), np.float32)
    with np.errstate(over="ignore"):
        for place, column in enumerate(batch.columns):
            block[:, place] = column.to_numpy(zero_copy_only=False).astype(np.float64)
    return block


@contextmanager
def opened(path: Path) -> Iterator[ColumnFile]:
    """Open a file of columns.

    Raises:
        UsageError: ``MISSING_PACKAGE`` without pyarrow.
        DataError: ``PARQUET_CORRUPT``; ``UNPACKED_SIZE`` by :data:`vgae.runtime.limits.PARQUET`.
    """
    optional_module("pyarrow", "parquet")
    what = "Feather (version 2)" if path.suffix.lower() in FEATHER else "parquet"
    with _named(what):
        file = ColumnFile(path)
    try:
        with _named(what):
            yield file
    finally:
        if not file.of_feather:
            file.file.close()


@contextmanager
def _named(what: str) -> Iterator[None]:
    """Turn the errors of pyarrow on damaged bytes, of several kinds, into one."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError, EOFError) as error:
        raise DataError("PARQUET_CORRUPT", f"it is not a {what} file ({brief(error)}).") from None
