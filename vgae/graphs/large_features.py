"""Dense features that stay in their file: checks, conversion and digest in blocks of rows."""

import hashlib
import logging
from collections.abc import Iterator
from typing import Any

import numpy as np
from torch import Tensor

from vgae.errors import DataError
from vgae.runtime import mapped

log = logging.getLogger(__name__)


def stays_in_file(x: Any) -> bool:
    """Return whether an array is mapped, and so large that it is not read into memory.

    A map that may be written to without the file (``mode="c"``) is read.
    """
    is_map = isinstance(x, np.memmap) and getattr(x, "_mmap", None) is not None
    return is_map and x.mode != "c" and x.nbytes > mapped.LARGE


def mapped_features(array: np.memmap) -> Tensor:
    """Return mapped features as a mapped tensor, float32, shape ``(N, F)``.

    Numbers of another type, or in another order, are converted into a temporary file.

    Raises:
        DataError: ``FEATURE_NONFINITE``.
        ResourceError: ``NO_SPACE`` if there is no room for the temporary file.
    """
    is_ready = array.dtype == np.float32 and array.dtype.isnative
    if is_ready and array.flags.c_contiguous and array.flags.aligned:
        for _ in _checked_blocks(array):
            pass
        return mapped.tensor_of(array)
    return converted(array.shape, _checked_blocks(array), f"{array.dtype}")


def converted(shape: tuple[int, ...], blocks: Iterator[np.ndarray], of: str) -> Tensor:
    """Return features of a temporary file as a mapped tensor, and log that.

    Args:
        shape: Rows and columns.
        blocks: Rows, which are finite numbers.
        of: What they were before, for the message.
    """
    rows, columns = shape
    log.info(
        "features of %s are written to a temporary file of %.0f MB (TMPDIR); vgae convert writes"
        " a graph whose features are read where they are",
        of,
        4e-6 * rows * columns,
    )
    return mapped.tensor_of(mapped.spilled((rows, columns), blocks))


def checked_rows(blocks: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    """Return blocks of rows as float32.

    Raises:
        DataError: ``FEATURE_NONFINITE`` after all, with the number of other values and the first.
    """
    bad, first, start = 0, (0, 0), 0
    for block in blocks:
        with np.errstate(over="ignore"):
            values = block.astype(np.float32, copy=False)
        finite = np.isfinite(values)
        if not finite.all():
            row, column = np.argwhere(~finite)[0]
            first = first if bad else (start + int(row), int(column))
            bad += finite.size - int(finite.sum())
        start += len(values)
        yield values
    if bad:
        raise DataError(
            "FEATURE_NONFINITE",
            f"x must be finite in float32, got {bad} other values, the first in row {first[0]},"
            f" column {first[1]}.",
        )


def _checked_blocks(array: np.memmap) -> Iterator[np.ndarray]:
    return checked_rows(_blocks(array))


def _blocks(array: np.memmap) -> Iterator[np.ndarray]:
    """Return blocks of rows of a mapped array; its pages are released after each."""
    step = mapped.rows_at_once(array.shape[1])
    for first in range(0, len(array), step):
        yield np.asarray(array[first : first + step])
        mapped.release(array)


def mapped_rows(x: np.ndarray, rows: np.ndarray, last: np.ndarray) -> np.ndarray:
    """Return some rows of mapped features, in another temporary file; for -1, a given row.

    Args:
        x: Mapped features, shape ``(N, F)``.
        rows: Index of each row, shape ``(M,)``.
        last: Row for the index -1, shape ``(1, F)``.
    """
    step = mapped.rows_at_once(x.shape[1])

    def blocks() -> Iterator[np.ndarray]:
        for first in range(0, len(rows), step):
            chosen = rows[first : first + step]
            yield np.where(chosen[:, None] < 0, last, x[chosen])

    return converted((len(rows), x.shape[1]), blocks(), "nodes in another order").numpy()


def column_means(x: Tensor) -> np.ndarray:
    """Return the mean of each column of mapped features, float64, shape ``(F,)``."""
    sums = np.zeros(x.shape[1])
    for _, block in mapped.row_blocks(x):
        sums += block.numpy().sum(axis=0, dtype=np.float64)
    return sums / max(x.shape[0], 1)


def dense_digest(head: str, x: Tensor) -> str:
    """Return the digest of dense features as that of their sparse form, without making it.

    It is ``sha256(head, indptr, indices, data)`` of :mod:`vgae.graphs.arrays`, with indices of
    int64.
    """
    counts = [np.count_nonzero(block.numpy(), axis=1) for _, block in mapped.row_blocks(x)]
    starts = np.concatenate([[0], *counts]).cumsum(dtype=np.int64)
    digest, size = hashlib.sha256(head.encode()), int(starts[-1])

    def begin(kind: str, length: int) -> None:
        digest.update(f" {kind} ({length},) ".encode())

    begin("<i8", len(starts))
    digest.update(starts.astype("<i8", copy=False).data)
    begin("<i8", size)
    for _, block in mapped.row_blocks(x):
        digest.update(np.nonzero(block.numpy())[1].astype("<i8", order="C", copy=False).data)
    begin("<f4", size)
    for _, block in mapped.row_blocks(x):
        values = block.numpy()
        digest.update(values[values != 0].astype("<f4", copy=False).data)
    return digest.hexdigest()
