"""Arrays in the IDX format, in which MNIST and similar data sets are published.

A file is a magic number (two zero bytes, a byte for the type of the numbers, a byte for the number
of dimensions), the size of each dimension (big-endian, 32 bits) and the numbers, row by row.

Source: LeCun, Cortes & Burges (1998), `The MNIST database of handwritten digits
<http://yann.lecun.com/exdb/mnist/>`_.
"""

import gzip
import math
import os
from pathlib import Path

import numpy as np

from vgae.data.packed import opened
from vgae.errors import DataError
from vgae.runtime import limits
from vgae.runtime.reading import file_size

_UNSIGNED_BYTE = 0x08
_STEP = 2**20


def read_idx(path: str | os.PathLike[str], *, dims: int) -> np.ndarray:
    """Read an IDX file of unsigned bytes, plain or gzip (detected by its first bytes).

    Nothing is allocated before the stated shape is compared with the length of the file.

    Args:
        path: The file, of any name.
        dims: Expected number of dimensions: 3 for grey images, 1 for labels.

    Raises:
        DataError: ``CANNOT_READ``; ``FILE_EMPTY``; ``IDX_MAGIC`` if it is of another format, type
            or number of dimensions; ``IDX_SIZE`` if it is shorter or longer than it states;
            ``GZIP_CORRUPT``; ``UNPACKED_SIZE`` by :data:`vgae.runtime.limits.IDX`.
    """
    path = Path(path)
    size, head = file_size(path), 4 + 4 * dims
    with opened(path) as file:
        shape = _shape(path, file.read(head), dims)
        # Integers of Python do not overflow, whatever the shape.
        count = math.prod(shape)
        if isinstance(file, gzip.GzipFile):
            limits.IDX.check(count, size, path)
        elif size != head + count:
            raise _wrong_size(path, shape, f"{size - head} bytes follow")
        data = bytearray()
        # In steps, so that no more is allocated than the file really holds.
        while chunk := file.read(min(_STEP, count + 1 - len(data))):
            data += chunk
    if len(data) != count:
        found = f"{len(data)} bytes follow" if len(data) < count else "more follow"
        raise _wrong_size(path, shape, found)
    return np.frombuffer(data, dtype=np.uint8).reshape(shape)


def read_idx_pair(
    images: str | os.PathLike[str], labels: str | os.PathLike[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Read grey images, shape ``(n, h, w)``, and their labels, ``(n,)``, both uint8.

    Raises:
        DataError: As :func:`read_idx`; ``IDX_COUNT`` if the numbers of images and labels differ.
    """
    pixels, y = read_idx(images, dims=3), read_idx(labels, dims=1)
    if len(pixels) != len(y):
        raise DataError(
            "IDX_COUNT",
            f"{images} has {len(pixels)} images and {labels} {len(y)} labels; they belong to"
            " different sets, or to different parts of one.",
        )
    return pixels, y


def _shape(path: Path, head: bytes, dims: int) -> tuple[int, ...]:
    """Return the sizes that the header states."""
    expected, magic = bytes([0, 0, _UNSIGNED_BYTE, dims]), head[:4]
    if magic != expected:
        raise DataError(
            "IDX_MAGIC",
            f"{path} is not the expected IDX file: expected 0x{expected.hex()}, got"
            f" 0x{magic.hex()} ({_meaning(magic)}).",
        )
    if len(head) < 4 + 4 * dims:
        raise DataError("IDX_SIZE", f"{path} ends within its header; download it again.")
    return tuple(np.frombuffer(head, dtype=">u4", offset=4).tolist())


def _meaning(magic: bytes) -> str:
    """Describe the first four bytes, in terms of IDX or as text."""
    if len(magic) < 4 or magic[:2] != b"\0\0":
        return ascii(magic.decode("latin1"))
    if magic[2] != _UNSIGNED_BYTE:
        return "numbers of another type than unsigned bytes"
    return f"{magic[3]} dimension{'' if magic[3] == 1 else 's'}"


def _wrong_size(path: Path, shape: tuple[int, ...], found: str) -> DataError:
    stated = " x ".join(map(str, shape))
    return DataError(
        "IDX_SIZE",
        f"{path} states {stated} = {math.prod(shape)} bytes, and {found}; download it again.",
    )
