"""Adjacencies in files: npz of scipy, Matrix Market, and square tables of text."""

import logging
import operator
from array import array
from collections.abc import Iterator, Mapping
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from vgae.data.reading import Reading
from vgae.data.separators import detected
from vgae.data.text import is_blank_or_comment, normalised, read_lines, split_records, typed_names
from vgae.errors import DataError
from vgae.graphs.arrays import csr_matrix
from vgae.graphs.directions import refuse_undirected
from vgae.graphs.graph import Graph
from vgae.graphs.interop import from_scipy
from vgae.runtime.numerals import is_number, parse_number
from vgae.runtime.reading import brief
from vgae.runtime.tables import plain_names

log = logging.getLogger(__name__)

_FIELDS = ("real", "integer", "pattern")
_SYMMETRIES = ("general", "symmetric")

_SAMPLE = 4  # lines
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


def read_mtx(path: Path, *, keep_direction: bool = False) -> sp.csr_array:
    """Return the matrix of a Matrix Market file, plain or compressed.

    A truncated file can crash the reader of scipy, hence this one. A file without the first line
    of the format, as of networkrepository.com, is read as a general matrix, with a message.

    Source: Boisvert, Pozo & Remington (1996), `The Matrix Market Exchange Formats
    <https://math.nist.gov/MatrixMarket/reports/MMformat.ps.gz>`_.

    Args:
        path: Coordinate file of real numbers, integers or a pattern, general or symmetric.
        keep_direction: Whether it must not be symmetric by its header.

    Raises:
        DataError: ``MTX_CORRUPT``; ``DIRECTED``; ``FILE_FORMAT`` if it is of another kind;
            ``GRAPH_SIZE``; or as :func:`vgae.data.text.read_lines`.
    """
    # Only comments may hold more than ASCII, in any encoding.
    lines = read_lines(path, encoding="latin-1")
    first = next(lines, (1, ""))
    kind = first[1].lower().split()
    if kind[:1] != ["%%matrixmarket"] and (first[1][:1] == "%" or all(map(is_number, kind))):
        log.warning("%s: no header of Matrix Market, read as a general matrix", path)
        kind, lines = ["", "", "coordinate", "", "general"], chain([first], lines)
    elif kind[:2] != ["%%matrixmarket", "matrix"] or len(kind) != 5:
        raise DataError(
            "MTX_CORRUPT",
            "its first line is not the header of a Matrix Market file, such as"
            " '%%MatrixMarket matrix coordinate pattern symmetric'; if it is text with two names a"
            " line, say format='edges' (--format edges).",
        )
    elif (kind[2], kind[3] in _FIELDS, kind[4] in _SYMMETRIES) != ("coordinate", True, True):
        raise DataError(
            "FILE_FORMAT",
            f"a matrix must be coordinate, {' or '.join(_FIELDS)}, {' or '.join(_SYMMETRIES)}; got"
            f" {' '.join(kind[2:])!a:.60}; write scipy.sparse.coo_array(matrix) by"
            " scipy.io.mmwrite.",
        )
    lines = (numbered for numbered in lines if not is_blank_or_comment(numbered[1]))
    size = _numbers(lines, 3, path, most=1)
    third = next(lines, (0, ""))
    lines = chain([third] if third[0] else [], lines)
    width = {"pattern": 2, "": max(2, len(third[1].split()))}.get(kind[3], 3)
    entries = _numbers(lines, width, path)
    if len(size) != 1 or size[0, 2] != len(entries):
        stated = f"{size[0, 2]:.0f}" if len(size) else "no number of"
        raise DataError("MTX_CORRUPT", f"it states {stated} entries and has {len(entries)}.")
    if width > 3:
        raise DataError("MTX_CORRUPT", f"an entry has {width} numbers, not 2 or 3.")
    shape, index = size[0, :2], entries[:, :2]
    sizes = (shape >= 0) & (shape < 2**53) & (shape == np.floor(shape))
    if not sizes.all() or not ((index >= 1) & (index <= shape) & (index == np.floor(index))).all():
        raise DataError("MTX_CORRUPT", "an index is not an integer within the size it states.")
    row, column = index.T.astype(np.int64) - 1
    values = np.ones(len(entries)) if width == 2 else entries[:, 2]
    if kind[4] == "symmetric" and keep_direction:
        refuse_undirected("the matrix is symmetric by its header; it", "write a general matrix")
    if kind[4] == "symmetric":
        if shape[0] != shape[1]:
            raise DataError("MTX_CORRUPT", "it states that it is symmetric, but is not square.")
        below = row != column
        row, column = np.append(row, column[below]), np.append(column, row[below])
        values = np.append(values, values[below])
    return _from_coo(values, row, column, [int(length) for length in shape])


def has_adjacency_header(path: Path, reading: Reading) -> bool:
    """Return whether the first lines of a text are those of a square table with names.

    The names of the nodes are in the first line and, in the same order, at the left. A table of
    two nodes looks like an edge list with weights unless its first cell is empty.
    """
    lines = read_lines(path, encoding=reading.encoding)
    sample = list(islice((line for line in lines if not is_blank_or_comment(line[1])), _SAMPLE))
    if not sample:
        return False
    delimiter = reading.delimiter or detected(sample, path, "")
    records = split_records(iter(sample), delimiter, path)
    try:
        (_, (corner, *names)), *rows = records
    except (DataError, ValueError):  # the reader of edge lists reports it
        return False
    # The first line of a symmetric matrix of numbers also equals its first column.
    if is_number(corner) and all(map(is_number, names)):
        return False
    if len(names) < (2 if corner == "" else 3) or len(rows) != min(3, len(names)):
        return False
    return all(
        row[:1] == [name] and len(row) == len(names) + 1 and all(map(_is_cell, row[1:]))
        for name, (_, row) in zip(names, rows, strict=False)
    )


def read_adjacency_text(path: Path, reading: Reading, name: str) -> Graph:
    """Return the graph of a square table of weights in text; an empty cell is no link.

    The table may have the names of the nodes in its first line and at the left of each line, in
    the same order.

    Raises:
        DataError: ``NOT_SQUARE``; ``FIELDS`` if a line has another number of cells; ``NODE_ID`` if
            the names of lines and columns differ; ``BAD_WEIGHT``; or as
            :meth:`vgae.Graph.from_edges`.
    """
    lines = read_lines(path, encoding=reading.encoding)
    first = list(islice((line for line in lines if not is_blank_or_comment(line[1])), _SAMPLE))
    delimiter = reading.delimiter or detected(first, path, "")
    records = split_records(chain(first, lines), delimiter, path)
    head = next(records, (1, []))
    columns: list[str] | None = None
    if has_adjacency_header(path, reading) or not all(map(_is_cell, head[1])):
        columns = head[1][1:]
    else:
        records = chain([head], records)
    names, cells, counts = [], array("d"), []
    for number, record in records:
        row = record if columns is None else record[1:]
        names += record[:1]
        counts.append(len(row))
        if len(row) != (counts[0] if columns is None else len(columns)):
            raise DataError(
                "FIELDS",
                f"{path}, line {number}: expected {counts[0] if columns is None else len(columns)}"
                f" weights as in the first line, got {len(row)}.",
            )
        for cell in row:
            if not _is_cell(cell):
                what = f"a weight must be a number, got {cell!r:.60}"
                raise DataError("BAD_WEIGHT", f"{path}, line {number}: {what}.")
            cells.append(parse_number(cell) if cell else 0.0)
    if not counts or len(counts) != counts[0]:
        shape = (len(counts), counts[0] if counts else 0)
        what = f"an adjacency must be square, got {shape}"
        hint = "format='edges' (--format edges) reads a list of links"
        raise DataError("NOT_SQUARE", f"{what}; {hint}.")
    if columns is not None and columns != names:
        pair = next(pair for pair in zip(columns, names, strict=True) if pair[0] != pair[1])
        raise DataError(
            "NODE_ID",
            "lines and columns must have the same names in the same order, got column"
            f" {pair[0]!r:.60} and line {pair[1]!r:.60}.",
        )
    adj = np.frombuffer(cells).reshape(len(counts), -1)
    log.info("%s: adjacency of %d nodes", path, len(adj))
    ids = (
        None if columns is None else normalised(typed_names(plain_names(names)), reading.normalize)
    )
    parts: Any = from_scipy(adj) | {"node_ids": ids} | reading.of_links()
    return Graph.from_edges(**parts, name=name)


def _is_cell(text: str) -> bool:
    return not text or is_number(text)


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
