"""read_npy: one array of numbers or text, its header held against the length of the file."""

import io
import math
import os
from pathlib import Path

import numpy as np

from vgae.data.idx import file_size
from vgae.data.text import brief, naming
from vgae.errors import DataError


def read_npy(path: str | os.PathLike[str]) -> np.ndarray:
    """Return the array of a npy file; nothing is unpickled.

    Raises:
        DataError: ``CANNOT_READ``; ``FILE_EMPTY``; ``PICKLE_REFUSED`` if it holds objects;
            ``NPY_CORRUPT`` if it is damaged, or of another length than its header states.
    """
    path = Path(path)
    size = file_size(path)
    with naming(path):
        try:
            with path.open("rb") as file:
                _check_header(file, size)
                file.seek(0)
                return np.load(file, allow_pickle=False)
        except OSError as error:
            raise DataError("CANNOT_READ", f"{brief(error)}.") from None
        except DataError:
            raise
        # The header is a Python literal; on a damaged one numpy raises several kinds.
        except Exception as error:
            raise DataError("NPY_CORRUPT", f"it is no npy file ({brief(error)}).") from None


def _check_header(file: io.BufferedReader, size: int) -> None:
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    else:
        shape, _, dtype = np.lib.format.read_array_header_2_0(file)
    if dtype.hasobject:
        raise DataError("PICKLE_REFUSED", "it holds pickled objects.")
    # Python's integers: no shape, however large, wraps around to the right number.
    stated, found = math.prod(map(int, shape)) * dtype.itemsize, size - file.tell()
    if stated != found:
        raise DataError("NPY_CORRUPT", f"it states {stated} bytes of numbers and has {found}.")
