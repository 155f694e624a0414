"""Sparse matrices in files: npz of scipy, and Matrix Market."""

import logging
import operator
from array import array
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from vgae.data.text import is_blank_or_comment, parse_number, read_lines
from vgae.errors import DataError
from vgae.graphs.arrays import csr_matrix
from vgae.runtime.reading import brief

log = logging.getLogger(__name__)

_FIELDS = ("real", "integer", "pattern")
_SYMMETRIES = ("general", "symmetric")

_ALWAYS_ROWS = 10**6
_ROWS_PER_ENTRY = 100


def holds_sparse(arrays: Mapping[str, np.ndarray]) -> bool:
    """Return whether arrays are those that ``scipy.sparse.save_npz`` writes."""
    return {"format", "shape", "data"} <= arrays.keys()


def sparse_from_arrays(arrays: Mapping[str, np.ndarray]) -> sp.csr_array:
    """Return the matrix whose arrays ``scipy.sparse.save_npz`` writes.

    The indices are checked before native code of scipy receives them.

    Args:
        arrays: Parts of a matrix in the format csr, csc or coo.

    Raises:
        DataError: ``SPARSE_CORRUPT``; ``FILE_FORMAT`` if it is in another format; ``ADJ_DTYPE`` if
            it does not hold real numbers; ``GRAPH_SIZE``.
    """
    form = arrays["format"].item() if arrays["format"].size == 1 else None
    form = form.decode("latin1") if isinstance(form, bytes) else form
    data = arrays["data"]
    if data.dtype.kind not in "biuf":
        raise DataError("ADJ_DTYPE", f"the matrix must hold real numbers, got {data.dtype}.")
    try:
        shape = [operator.index(size) for size in arrays["shape"]]
        if form == "csr":
            return csr_matrix(data, arrays["indices"], arrays["indptr"], shape)
        if form == "csc":
            return csr_matrix(data, arrays["indices"], arrays["indptr"], shape[::-1]).T.tocsr()
        if form == "coo":
            return _from_coo(data, arrays["row"], arrays["col"], shape)
    except DataError:
        raise
    except (KeyError, OverflowError, TypeError, ValueError) as error:
        raise DataError(
            "SPARSE_CORRUPT", f"it is not a sparse matrix in format {form}: {brief(error)}."
        ) from None
    raise DataError(
        "FILE_FORMAT",
        f"a sparse matrix must be in format csr, csc or coo, got {form!a:.60}; convert it by"
        " .tocsr() before you save it.",
    )


def read_mtx(path: Path) -> sp.csr_array:
    """Return the matrix of a Matrix Market file, plain or gzip.

    A truncated file can crash the reader of scipy, hence this one.

    Source: Boisvert, Pozo & Remington (1996), `The Matrix Market Exchange Formats
    <https://math.nist.gov/MatrixMarket/reports/MMformat.ps.gz>`_.

    Args:
        path: Coordinate file of real numbers, integers or a pattern, general or symmetric.

    Raises:
        DataError: ``MTX_CORRUPT``; ``FILE_FORMAT`` if it is of another kind; ``GRAPH_SIZE``; or
            as :func:`vgae.data.text.read_lines`.
    """
    # Only comments may hold more than ASCII, in any encoding.
    lines = read_lines(path, encoding="latin-1")
    kind = next(lines, (1, ""))[1].lower().split()
    if kind[:2] != ["%%matrixmarket", "matrix"] or len(kind) != 5:
        raise DataError(
            "MTX_CORRUPT",
            f"{path}: its first line is not the header of a Matrix Market file; if its lines are"
            " pairs, rename it to .edges, or write '%%MatrixMarket matrix coordinate pattern"
            " general' above them.",
        )
    if (kind[2], kind[3] in _FIELDS, kind[4] in _SYMMETRIES) != ("coordinate", True, True):
        raise DataError(
            "FILE_FORMAT",
            f"a matrix must be coordinate, {' or '.join(_FIELDS)}, {' or '.join(_SYMMETRIES)}; got"
            f" {' '.join(kind[2:])!a:.60}.",
        )
    lines = (numbered for numbered in lines if not is_blank_or_comment(numbered[1]))
    size = _numbers(lines, 3, path, most=1)
    entries = _numbers(lines, 2 if kind[3] == "pattern" else 3, path)
    if len(size) != 1 or size[0, 2] != len(entries):
        stated = f"{size[0, 2]:.0f}" if len(size) else "no number of"
        raise DataError("MTX_CORRUPT", f"it states {stated} entries and has {len(entries)}.")
    shape, index = size[0, :2], entries[:, :2]
    sizes = (shape >= 0) & (shape < 2**53) & (shape == np.floor(shape))
    if not sizes.all() or not ((index >= 1) & (index <= shape) & (index == np.floor(index))).all():
        raise DataError("MTX_CORRUPT", "an index is not an integer within the size it states.")
    row, column = index.T.astype(np.int64) - 1
    values = np.ones(len(entries)) if kind[3] == "pattern" else entries[:, 2]
    if zeros := int((values == 0).sum()):
        log.info("%s: stored zeros are no links: %d", path, zeros)
    if kind[4] == "symmetric":
        if shape[0] != shape[1]:
            raise DataError("MTX_CORRUPT", "it states that it is symmetric, but is not square.")
        below = row != column
        row, column = np.append(row, column[below]), np.append(column, row[below])
        values = np.append(values, values[below])
    return _from_coo(values, row, column, [int(length) for length in shape])


def _numbers(
    lines: Iterator[tuple[int, str]], width: int, path: Path, most: int | None = None
) -> np.ndarray:
    """Return the numbers in the next lines, float64, shape ``(lines, width)``."""
    values = array("d")
    for number, line in islice(lines, most):
        fields = line.split()
        try:
            values.extend(map(parse_number, fields))
        except ValueError:
            fields = []
        if len(fields) != width:
            raise DataError(
                "MTX_CORRUPT",
                f"{path}, line {number}: expected {width} numbers, got {line.strip()!a:.60}.",
            )
    return np.frombuffer(values).reshape(-1, width)


def _from_coo(data: Any, row: Any, column: Any, shape: Any) -> sp.csr_array:
    if row.dtype.kind not in "iu" or column.dtype.kind not in "iu":
        raise TypeError(f"indices must be integers, got {row.dtype} and {column.dtype}")
    # A CSR matrix takes memory for each row, however few of them have an entry.
    if shape[0] > max(_ALWAYS_ROWS, _ROWS_PER_ENTRY * len(data)):
        raise DataError(
            "GRAPH_SIZE",
            f"the matrix states {shape[0]} rows and has {len(data)} entries; if large numbers"
            " name its rows, save an edge list instead.",
        )
    return sp.coo_array((data, (row, column)), shape=tuple(shape)).tocsr()
