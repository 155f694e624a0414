"""One array of a npy file, its header compared with the length of the file."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np

from vgae.errors import DataError
from vgae.runtime import mapped
from vgae.runtime.npz import check_header
from vgae.runtime.reading import brief, file_size, naming


def read_npy(path: str | os.PathLike[str]) -> np.ndarray:
    """Return the array of a npy file; nothing is unpickled.

    Raises:
        DataError: ``CANNOT_READ``; ``FILE_EMPTY``; ``PICKLE_REFUSED`` if it holds objects;
            ``NPY_CORRUPT`` if it is damaged, or of another length than its header states.
    """
    with _checked(Path(path)) as (file, _):
        file.seek(0)
        return np.load(file, allow_pickle=False)


def mapped_npy(path: str | os.PathLike[str]) -> np.ndarray:
    """Return the array of a npy file, mapped into memory if it is large, with its errors."""
    path = Path(path)
    if file_size(path) <= mapped.LARGE:
        return read_npy(path)
    with _checked(path):
        return np.load(path, mmap_mode="r", allow_pickle=False)


def npy_shape(path: str | os.PathLike[str]) -> tuple[int, ...]:
    """Return the shape of the array of a npy file.

    Raises:
        DataError: As :func:`read_npy`.
    """
    with _checked(Path(path)) as (_, shape):
        return shape


@contextmanager
def _checked(path: Path) -> Iterator[tuple[BinaryIO, tuple[int, ...]]]:
    """Open a npy file, and compare its header with its length."""
    size = file_size(path)
    with naming(path):
        try:
            with path.open("rb") as file:
                yield file, check_header(file, size)
        except OSError as error:
            raise DataError("CANNOT_READ", f"{brief(error)}.") from None
        except DataError:
            raise
        # The header is a Python literal; on a damaged one numpy raises several kinds.
        except Exception as error:
            raise DataError("NPY_CORRUPT", f"it is not a npy file ({brief(error)}).") from None
