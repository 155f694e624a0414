"""Arrays, sparse matrices and adjacency lists out of a Python 2 pickle, without unpickling it.

Unpickling runs whatever code the file names. Here ``pickle`` is not even imported: a small stack
machine knows the opcodes that the published Planetoid files consist of and nothing else. The six
globals that they name become inert records; to call one only notes what it was called with. The
arrays are built afterwards, from bytes whose number has been checked. One parser both reads and
decides, so no file can look harmless to a scan and different to what runs it.
"""

import math
import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import scipy.sparse as sp

from vgae.errors import DataError

MAX_FILE_BYTES = 16 * 2**20  # the largest real file, ind.pubmed.allx, has 7.6 MB
MAX_OPCODES = 1_000_000  # the longest real file, ind.pubmed.graph, has 178,216

_GLOBALS = {
    "scipy.sparse.csr csr_matrix": "csr_matrix",
    "numpy.core.multiarray _reconstruct": "_reconstruct",
    "numpy ndarray": "ndarray",
    "numpy dtype": "dtype",
    "collections defaultdict": "defaultdict",
    "__builtin__ list": "list",
}
_DTYPES = ("f4", "f8", "i4", "i8")


@dataclass(frozen=True)
class _Global:
    """The name of one of the six globals; it cannot be called."""

    name: str


@dataclass(eq=False)
class _Stub:
    """What would have been an object: which global, called with what, given which state."""

    kind: str
    args: tuple[Any, ...]
    state: Any = None


def read_bytes(path: Path) -> bytes:
    """Return the bytes of a regular file of at most ``MAX_FILE_BYTES``.

    Raises:
        DataError: ``CANNOT_READ``, or ``PICKLE_REFUSED`` if the file is too large.
    """
    try:
        if not path.is_file():
            raise DataError("CANNOT_READ", f"{path} is not a file.")
        if path.stat().st_size > MAX_FILE_BYTES:
            raise DataError(
                "PICKLE_REFUSED",
                f"{path} has {path.stat().st_size} bytes; at most {MAX_FILE_BYTES} are read.",
            )
        return path.read_bytes()
    except OSError as error:
        raise DataError("CANNOT_READ", f"{path} cannot be read: {error.strerror}.") from error


def read_matrix(path: Path) -> np.ndarray:
    """Return the pickled array of two dimensions, float or int.

    Raises:
        DataError: ``CANNOT_READ``, ``PICKLE_REFUSED`` or ``PLANETOID_CORRUPT``.
    """
    return _read(path, lambda value, _: _array(value, ndim=2))


def read_csr(path: Path) -> sp.csr_array:
    """Return the pickled CSR matrix, its indices checked.

    Raises:
        DataError: ``CANNOT_READ``, ``PICKLE_REFUSED`` or ``PLANETOID_CORRUPT``.
    """
    return _read(path, lambda value, _: _csr(value))


def read_adjacency(path: Path) -> dict[int, list[int]]:
    """Return the pickled neighbours of each node.

    Raises:
        DataError: ``CANNOT_READ``, ``PICKLE_REFUSED`` or ``PLANETOID_CORRUPT``.
    """
    return _read(path, _adjacency)


def _read[T](path: Path, build: Callable[[Any, int], T]) -> T:
    """Run the machine over a file and build a value; every fault names the file."""
    data = read_bytes(path)
    try:
        return build(_Machine().run(data), len(data))
    except _RefusedError as error:
        raise DataError("PICKLE_REFUSED", f"{path} is refused: {error}.") from None
    except (ValueError, TypeError, IndexError, KeyError, OverflowError) as error:
        raise DataError(
            "PLANETOID_CORRUPT",
            f"{path} is damaged or not of the Planetoid form ({_brief(error)}); fetch it anew.",
        ) from None
