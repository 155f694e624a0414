"""Node features in files, and their assignment to the nodes of a graph."""

import logging
import os
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import scipy.sparse as sp
import torch

from vgae.data.folders import read_lists
from vgae.data.matrices import holds_sparse, sparse_from_arrays
from vgae.data.npy import read_npy
from vgae.data.parquet import coded_names, numbers, read_parquet
from vgae.data.reading import MissingFeatures, Reading
from vgae.data.text import (
    is_blank_or_comment,
    is_number,
    normalised,
    parse_number,
    read_lines,
    split_records,
    typed_names,
    unpacked_name,
)
from vgae.errors import DataError, printable
from vgae.graphs.arrays import feature_tensor
from vgae.graphs.graph import NodeId
from vgae.kernels.csr import scipy_csr
from vgae.runtime.npz import read_arrays
from vgae.runtime.reading import file_size, naming
from vgae.runtime.tables import plain_names

log = logging.getLogger(__name__)

_SEPARATORS = (",", "\t", ";")
_KEYS = {"x", "ids", "feature_names"}


@dataclass(frozen=True, eq=False)
class NodeFeatures:
    """A row of numbers for each node.

    Attributes:
        x: Finite float32, shape ``(N, F)``.
        names: Name of each row, all different; ``None`` if the file has none.
        feature_names: Name of each column; empty if the file has none.
    """

    x: np.ndarray | sp.csr_array
    names: tuple[NodeId, ...] | None = None
    feature_names: tuple[str, ...] = ()


class Joined(NamedTuple):
    """Nodes with their features.

    Attributes:
        names: Name of each node.
        place: Index in ``names`` of each node of the graph, int64.
        x: Row of features of each of ``names``.
    """

    names: Sequence[NodeId]
    place: np.ndarray
    x: np.ndarray | sp.csr_array


def read_features(path: str | os.PathLike[str], reading: Reading = Reading()) -> NodeFeatures:
    """Read node features from a file; nothing is unpickled.

    ==================  ==========================================================================
    ``.npy``            ``x``, a row for each node from 0 on
    ``.npz``            ``x``, with or without ``ids`` (a name for each row) and
                        ``feature_names``; or a sparse matrix as ``scipy.sparse.save_npz`` writes
    ``.csv``, ``.tsv``  also with ``.gz``: a header, then a line for each node, its name first;
                        separated by commas, tabs or semicolons
    ``.parquet``        a column of names (``node_id``, ``id``, or else the first); the others
                        are the features
    ``.json``           a list for each node, of numbers or of the indices of features that are
                        1; see :func:`vgae.data.folders.list_features`
    ``.txt``            ``*_node_feature_label.txt`` of geom-gcn
    ==================  ==========================================================================

    Names in text are text, or integers if each is in canonical form.

    Args:
        path: The file.
        reading: Options.

    Raises:
        UsageError: ``ENCODING``; ``MISSING_PACKAGE`` without pyarrow.
        DataError: ``FILE_FORMAT``; ``FEATURE_DTYPE`` if a feature is not a number, with its
            column and line; ``FEATURE_NONFINITE``; ``FEATURE_SHAPE``; ``FEATURE_HEADER``;
            ``FIELDS``; ``NODE_ID`` if two names are equal; ``NPZ_KEYS``; or as the reader of the
            format.
    """
    path = Path(path)
    file_size(path)
    kind = unpacked_name(path).suffix.lower()
    with naming(path):
        if kind == ".npy":
            features = _checked(None, read_npy(path))
        elif kind == ".npz":
            features = _from_arrays(read_arrays(path))
        elif kind == ".parquet":
            features = _from_parquet(path)
        elif kind in (".csv", ".tsv"):
            features = _from_text(path, reading.encoding)
        elif kind == ".json" or path.name.endswith("_node_feature_label.txt"):
            names, x, _ = read_lists(path, kind, reading)
            features = _checked(names, x)
        else:
            raise DataError(
                "FILE_FORMAT",
                "features must be in a .npy, .npz, .csv, .tsv, .json (also .gz) or .parquet file.",
            )
        if features.names is None or reading.normalize == "none":
            return features
        names = normalised(features.names, reading.normalize)
        return _checked(names, features.x, features.feature_names)


def join_features(
    names: Sequence[NodeId], features: NodeFeatures, *, missing: MissingFeatures, counted: bool
) -> Joined:
    """Assign a row of features to each node, by name.

    Rows without names belong to the nodes 0, 1, ... If the names of one side are text and those of
    the other integers, both become text.

    Args:
        names: Name of each node.
        features: Features of these nodes.
        missing: Treatment of nodes without a row and rows without a node: ``"zero"`` adds rows of
            zeros and isolated nodes, and then sorts all nodes by name.
        counted: Whether the number of nodes is certain. If only the links give it, there may be
            more rows without names: their nodes have no links.

    Raises:
        DataError: ``NODE_SET_MISMATCH``.
    """
    num_rows, _ = cast(tuple[int, int], features.x.shape)
    rows: Sequence[NodeId] = features.names or range(num_rows)
    if features.names and {type(name) for name in (*names[:1], *rows[:1])} == {int, str}:
        names, rows = list(map(str, names)), list(map(str, rows))
    row_of = {name: row for row, name in enumerate(rows)}
    nodes = set(names)
    no_row = [name for name in names if name not in row_of]
    no_node = [name for name in rows if name not in nodes]
    if features.names is None and no_row:
        raise DataError(
            "NODE_SET_MISMATCH",
            f"the features have {len(rows)} rows and no names, so that row i is node i, and there"
            f" are nodes {_some(no_row)}; save them as npz with ids and x.",
        )
    certain = counted or features.names is not None
    if missing == "refuse" and (no_row or (no_node and certain)):
        raise DataError(
            "NODE_SET_MISMATCH",
            f"there are {len(names)} nodes and features of {len(rows)}: {_some(no_row)} have no"
            f" features, {_some(no_node)} are not among the nodes; missing_features='zero'"
            " (--missing-features zero) keeps all of them.",
        )
    if no_row or no_node:
        counts = len(no_row), len(no_node)
        log.info("%d nodes have no features, %d are in the features only", *counts)
    ordered = sorted(nodes.union(rows)) if no_node else names
    place_of = {name: place for place, name in enumerate(ordered)}
    place = np.fromiter((place_of[name] for name in names), np.int64, len(names))
    return Joined(ordered, place, _rows(features.x, [row_of.get(name, -1) for name in ordered]))


def _rows(x: Any, rows: list[int]) -> Any:
    """Return these rows, zeros for -1."""
    if rows == list(range(x.shape[0])):
        return x
    zeros = np.zeros((1, x.shape[1]), x.dtype)
    # In the last row, which has the index -1.
    whole: Any = sp.vstack([x, zeros], format="csr") if sp.issparse(x) else np.vstack([x, zeros])
    return whole[rows]


def _some(names: Sequence[NodeId]) -> str:
    """Return the number of names, and the first three."""
    shown = ", ".join(f"{name!r:.60}" for name in names[:3])
    return f"{len(names)} ({shown}{', ...' if len(names) > 3 else ''})" if names else "0"


def _checked(
    names: Sequence[NodeId] | None, x: Any, feature_names: Sequence[str] = ()
) -> NodeFeatures:
    """Return features, or raise if their parts do not fit together."""
    tensor = feature_tensor(x)
    rows, columns = tensor.shape
    if rows == 0:
        raise DataError("FEATURE_SHAPE", "it has no rows.")
    if names is not None and len(names) != rows:
        raise DataError("NODE_SET_MISMATCH", f"it has {rows} rows and {len(names)} ids.")
    if names is not None and len(set(names)) != rows:
        seen: set[NodeId] = set()
        twice = next(name for name in names if name in seen or seen.add(name))
        raise DataError("NODE_ID", f"each node must have one row, got {twice!r:.60} again.")
    if feature_names and len(feature_names) != columns:
        raise DataError(
            "FEATURE_SHAPE", f"it has {columns} features and {len(feature_names)} feature_names."
        )
    array = tensor.numpy() if tensor.layout == torch.strided else scipy_csr(tensor)
    return NodeFeatures(array, None if names is None else tuple(names), tuple(feature_names))


def _from_arrays(arrays: dict[str, np.ndarray]) -> NodeFeatures:
    if holds_sparse(arrays):
        return _checked(None, sparse_from_arrays(arrays))
    if "x" not in arrays or not arrays.keys() <= _KEYS:
        raise DataError(
            "NPZ_KEYS",
            "it must hold x (and ids, feature_names), or a sparse matrix of scipy, and nothing"
            f" else; found {printable(', '.join(sorted(arrays))) or 'nothing'}.",
        )
    for key in ("ids", "feature_names"):
        names = arrays.get(key, np.empty(0, int))
        if names.ndim != 1 or names.dtype.kind not in ("iuU" if key == "ids" else "iU"):
            found = f"{names.dtype} of shape {names.shape}"
            raise DataError("NODE_ID", f"{key} must be a list of text or integers, got {found}.")
    ids = arrays.get("ids")
    feature_names = [str(name) for name in arrays.get("feature_names", ())]
    return _checked(None if ids is None else ids.tolist(), arrays["x"], feature_names)


def _from_text(path: Path, encoding: str) -> NodeFeatures:
    lines = read_lines(path, encoding=encoding)
    first = next((line for line in lines if not is_blank_or_comment(line[1])), (0, "\n"))
    delimiter = max(_SEPARATORS, key=first[1].count)
    records = split_records(chain([first], lines), delimiter, path)
    number, header = next(records, (0, []))
    columns = header[1:]
    if not columns or all(map(is_number, columns)):
        raise DataError(
            "FEATURE_HEADER",
            f"{path}, line {number}: expected a header, a column of nodes and then the names of"
            f" the features, got {','.join(header)!r:.60}.",
        )
    names, values = [], array("f")
    for number, fields in records:
        if len(fields) != len(header):
            expected = f"expected {len(header)} fields as in the header, got {len(fields)}"
            raise DataError("FIELDS", f"{path}, line {number}: {expected}.")
        names.append(fields[0])
        try:
            values.extend(map(parse_number, fields[1:]))
        except ValueError:
            pairs = zip(columns, fields[1:], strict=True)
            column, text = next(pair for pair in pairs if not is_number(pair[1]))
            what = f"feature {column!r:.60} must be a number, got {text!r:.60}"
            raise DataError("FEATURE_DTYPE", f"{path}, line {number}: {what}.") from None
    if "" in names:
        raise DataError("NODE_ID", "the name of a node must not be empty.")
    log.info("%s: %d features of %d nodes", path, len(columns), len(names))
    x = np.frombuffer(values, np.float32).reshape(len(names), len(columns))
    return _checked(typed_names(plain_names(names)), x, plain_names(columns))


def _from_parquet(path: Path) -> NodeFeatures:
    table = read_parquet(path)
    columns = table.column_names
    if len(set(columns)) != len(columns) or table.num_rows == 0:
        raise DataError(
            "PARQUET_COLUMNS",
            f"it must have rows, and columns of different names, got {table.num_rows} rows.",
        )
    names = next((name for name in ("node_id", "id") if name in columns), columns[0])
    features = [name for name in columns if name != names]
    x = np.empty((table.num_rows, len(features)), np.float32)
    with np.errstate(over="ignore"):
        for place, name in enumerate(features):
            x[:, place] = numbers(table, name, "FEATURE_DTYPE")
    known, codes = coded_names(table, [names])
    return _checked([known[code] for code in codes], x, features)
