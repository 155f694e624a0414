"""Arrays in the IDX format, in which MNIST and its kin are published.

A file is a magic number (two zero bytes, a byte for the type of the numbers, a byte for the number
of dimensions), the size of each dimension (big-endian, 32 bits) and the numbers, row by row.

Source: LeCun, Cortes & Burges (1998), `The MNIST database of handwritten digits
<http://yann.lecun.com/exdb/mnist/>`_.
"""

import gzip
import math
import os
import stat
from pathlib import Path
from typing import BinaryIO

import numpy as np

from vgae.data.catalog import opened
from vgae.errors import DataError

_UNSIGNED_BYTE = 0x08
_STEP = 2**20
_ALWAYS_UNPACKED = 64 * 2**20
_MOST_TIMES = 200


def read_idx(path: str | os.PathLike[str], *, dims: int) -> np.ndarray:
    """Read an IDX file of unsigned bytes, plain or gzip; its first bytes say which.

    Nothing is allocated before the stated shape has been held against the length of the file.

    Args:
        path: The file; its name does not matter.
        dims: Number of dimensions that it must have: 3 for grey images, 1 for labels.

    Returns:
        The numbers, uint8, with ``dims`` dimensions.

    Raises:
        DataError: ``CANNOT_READ``; ``FILE_EMPTY``; ``IDX_MAGIC`` if it is of another format, type
            or number of dimensions; ``IDX_SIZE`` if it is shorter or longer than it states;
            ``GZIP_CORRUPT``; ``UNPACKED_SIZE`` if it would unpack to more than 64 MiB and more
            than 200 times its own size.
    """
    path = Path(path)
    size = file_size(path)
    with opened(path) as file:
        shape = _shape(path, file.read(4 + 4 * dims), dims)
        # Python's integers: no shape, however large, wraps around to the right number.
        count = math.prod(shape)
        if isinstance(file, gzip.GzipFile):
            check_unpacked(path, size, count)
        elif size != 4 + 4 * dims + count:
            raise _wrong_size(path, shape, f"{size - 4 - 4 * dims} bytes follow")
        data = _read_at_most(file, count + 1)
    if len(data) != count:
        found = f"{len(data)} bytes follow" if len(data) < count else "more follow"
        raise _wrong_size(path, shape, found)
    return np.frombuffer(data, dtype=np.uint8).reshape(shape)


def read_idx_pair(
    images: str | os.PathLike[str], labels: str | os.PathLike[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Read grey images and their labels.

    Args:
        images: IDX file of shape ``(n, h, w)``.
        labels: IDX file of shape ``(n,)``.

    Returns:
        Both as uint8.

    Raises:
        DataError: As :func:`read_idx`; ``IDX_COUNT`` if the files do not count alike.
    """
    pixels, y = read_idx(images, dims=3), read_idx(labels, dims=1)
    if len(pixels) != len(y):
        raise DataError(
            "IDX_COUNT",
            f"{images} has {len(pixels)} images and {labels} {len(y)} labels; they belong to"
            " different sets, or to different parts of one.",
        )
    return pixels, y


def file_size(path: Path) -> int:
    """Return the bytes of a regular file, which must not be empty.

    Raises:
        DataError: ``CANNOT_READ`` or ``FILE_EMPTY``.
    """
    try:
        # Before it is opened: to open a pipe would wait for its other end.
        found = path.stat()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError("CANNOT_READ", f"{path}: {reason}.") from None
    if not stat.S_ISREG(found.st_mode):
        raise DataError("CANNOT_READ", f"{path}: it is not a file.")
    if found.st_size == 0:
        raise DataError("FILE_EMPTY", f"{path}: it is empty; bring or download it anew.")
    return found.st_size


def check_unpacked(path: Path, packed: int, unpacked: int) -> None:
    """Raise unless ``unpacked`` bytes may come out of a compressed file of ``packed`` bytes.

    Raises:
        DataError: ``UNPACKED_SIZE``.
    """
    most = max(_ALWAYS_UNPACKED, _MOST_TIMES * packed)
    if unpacked > most:
        raise DataError(
            "UNPACKED_SIZE",
            f"{path} has {packed} bytes and would unpack to {unpacked}; at most {most} are read:"
            " unpack it first if it is what you want.",
        )


def _shape(path: Path, head: bytes, dims: int) -> tuple[int, ...]:
    """Return the sizes that the header states."""
    expected = bytes([0, 0, _UNSIGNED_BYTE, dims])
    magic = head[:4]
    if magic != expected:
        raise DataError(
            "IDX_MAGIC",
            f"{path} is not the IDX file that it must be: expected 0x{expected.hex()}, got"
            f" 0x{magic.hex()} ({_meaning(magic)}).",
        )
    if len(head) < 4 + 4 * dims:
        raise DataError("IDX_SIZE", f"{path} ends within its header; bring or download it anew.")
    return tuple(np.frombuffer(head, dtype=">u4", offset=4).tolist())


def _meaning(magic: bytes) -> str:
    """Say what the first four bytes stand for, in IDX or as text."""
    if len(magic) < 4 or magic[:2] != b"\0\0":
        return ascii(magic.decode("latin1"))
    if magic[2] != _UNSIGNED_BYTE:
        return "numbers of another type than unsigned bytes"
    return f"{magic[3]} dimension{'' if magic[3] == 1 else 's'}"


def _read_at_most(file: BinaryIO, limit: int) -> bytearray:
    """Read in steps, so that no more is allocated than the file really holds."""
    data = bytearray()
    while chunk := file.read(min(_STEP, limit - len(data))):
        data += chunk
    return data


def _wrong_size(path: Path, shape: tuple[int, ...], found: str) -> DataError:
    stated = " x ".join(map(str, shape))
    return DataError(
        "IDX_SIZE",
        f"{path} states {stated} = {math.prod(shape)} bytes, and {found}; bring or download it"
        " anew.",
    )
