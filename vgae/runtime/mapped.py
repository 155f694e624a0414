"""Arrays in files that are mapped into memory: read in blocks of rows, and never written to.

A mapped tensor is one on the CPU like any other, whose memory is a file. Pages that have been read
count as memory of the process until they are released, which costs nothing but to read them again.
"""

import mmap
import tempfile
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
import torch
from torch import Tensor

from vgae.runtime.atomic import writing

LARGE = 64 * 2**20  # bytes of dense features, more of which stay in their file
BLOCK = 16 * 2**20  # bytes of the rows that are read at once, as float32

_MAPS: WeakValueDictionary[int, np.memmap] = WeakValueDictionary()


def tensor_of(array: np.memmap) -> Tensor:
    """Return the tensor of a mapped array, which nothing may write to."""
    with warnings.catch_warnings():
        # torch has no tensors that are read-only, and warns.
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        tensor = torch.from_numpy(array)
    _MAPS[tensor.data_ptr()] = array
    return tensor


def is_mapped(x: Any) -> bool:
    """Return whether a tensor is one of :func:`tensor_of`, or a part of one."""
    return isinstance(x, Tensor) and _map_of(x) is not None


def as_mapped(x: Any) -> Tensor | None:
    """Return a mapped tensor, or that of the same memory as an array; ``None`` for others."""
    if isinstance(x, np.ndarray) and not isinstance(x, np.memmap) and _MAPS:
        if x.dtype != np.float32 or not x.flags.c_contiguous or not x.flags.writeable:
            return None  # not what Tensor.numpy() returns
        x = torch.from_numpy(x)
    return x if isinstance(x, Tensor) and is_mapped(x) else None


def rows_at_once(num_columns: int) -> int:
    """Return the number of rows of a block, which depends on nothing but the columns."""
    return max(BLOCK // (4 * max(num_columns, 1)), 1)


def row_blocks(x: Tensor, start: int = 0) -> Iterator[tuple[slice, Tensor]]:
    """Return blocks of rows of a dense tensor, each with its place; each is used before the next.

    The pages of a mapped tensor are released after each block. The first block is shorter by
    ``start`` rows.
    """
    found, step = _map_of(x), rows_at_once(x.shape[1])
    for first in range(-start, x.shape[0], step):
        rows = slice(max(first, 0), min(first + step, x.shape[0]))
        yield rows, x[rows]
        release(found)


def release(array: np.memmap | None) -> None:
    """Let the system take back the memory of pages that were read."""
    mapping = getattr(array, "_mmap", None)
    if mapping is not None and hasattr(mmap, "MADV_DONTNEED"):
        mapping.madvise(mmap.MADV_DONTNEED)


def spilled(shape: tuple[int, int], blocks: Iterable[np.ndarray]) -> np.memmap:
    """Write blocks of rows to a temporary file without a name, float32, and map it.

    The file is in the folder for temporary files (``TMPDIR``), and is gone with the array.

    Args:
        shape: Rows and columns of all blocks.
        blocks: Arrays of numbers, in the order of the rows.

    Raises:
        ResourceError: ``NO_SPACE`` if the disk is full; ``CANNOT_WRITE``.
    """
    with (
        writing(Path(tempfile.gettempdir()) / "vgae-features"),
        tempfile.TemporaryFile(prefix="vgae-features-") as file,
    ):
        for block in blocks:
            file.write(np.ascontiguousarray(block, np.float32).data)
        file.flush()
        return np.memmap(file, np.float32, "r", shape=shape)


def _map_of(x: Tensor) -> np.memmap | None:
    """Return the mapped array that a tensor is, or is a part of."""
    if not _MAPS or x.layout != torch.strided or x.device.type != "cpu":
        return None
    place = x.data_ptr()
    for start, array in [*_MAPS.items()]:
        if start <= place < start + array.nbytes:
            return array
    return None
