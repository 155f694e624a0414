"""Node features in files, and how they find the nodes of a graph."""

import logging
import os
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from vgae.data.idx import file_size
from vgae.data.matrices import holds_sparse, sparse_from_arrays
from vgae.data.npy import read_npy
from vgae.data.parquet import coded_names, numbers, read_parquet
from vgae.data.text import (
    Normalize,
    is_blank_or_comment,
    is_number,
    naming,
    normalised,
    parse_number,
    read_lines,
    split_records,
    typed_names,
    unpacked_name,
)
from vgae.errors import DataError, UsageError, printable
from vgae.graphs.arrays import feature_tensor
from vgae.graphs.graph import NodeId
from vgae.runtime.npz import read_arrays
from vgae.runtime.tables import plain_names

MissingFeatures = Literal["error", "zero"]

log = logging.getLogger(__name__)

_SEPARATORS = (",", "\t", ";")
_KEYS = {"x", "ids", "feature_names"}


@dataclass(frozen=True, eq=False)
class NodeFeatures:
    """A row of numbers for each node.

    Attributes:
        x: float32, finite, shape ``(N, F)``, an array or a CSR matrix of scipy.
        names: Name of each row, all different; ``None`` if the file has none.
        feature_names: Name of each column; empty if the file has none.
    """

    x: np.ndarray | sp.csr_array
    names: tuple[NodeId, ...] | None = None
    feature_names: tuple[str, ...] = ()

    @property
    def num_rows(self) -> int:
        """N."""
        return cast(tuple[int, int], self.x.shape)[0]


class Joined(NamedTuple):
    """Nodes and features brought together.

    ``names``: name of each node; ``place``: where in them each node now is that had been there
    before; ``x``: a row for each of ``names``.
    """

    names: Sequence[NodeId]
    place: np.ndarray
    x: np.ndarray | sp.csr_array


def read_features(
    path: str | os.PathLike[str], *, encoding: str = "utf-8", normalize: Normalize = "none"
) -> NodeFeatures:
    """Read node features from a file; nothing is unpickled.

    ==================  ==========================================================================
    ``.npy``            ``x``, a row for each node from 0 on
    ``.npz``            ``x``, with or without ``ids`` (a name for each row) and
                        ``feature_names``; or a sparse matrix as ``scipy.sparse.save_npz`` writes
    ``.csv``, ``.tsv``  also with ``.gz``: a header, then a line for each node, its name first;
                        separated by commas, tabs or semicolons
    ``.parquet``        a column ``node_id`` or ``id``, or else the first, with the names; the
                        others are the features
    ==================  ==========================================================================

    Names in text are text, or integers if each is the canonical way to write one.

    Args:
        path: The file.
        encoding: Of a text file, as Python names it.
        normalize: As for :func:`vgae.read_graph`.

    Raises:
        UsageError: If the encoding is unknown, or pyarrow missing.
        DataError: ``FILE_FORMAT``; ``FEATURE_DTYPE`` if a feature is not a number, with its
            column and line; ``FEATURE_NONFINITE``; ``FEATURE_SHAPE``; ``FEATURE_HEADER``;
            ``FIELDS``; ``NODE_ID`` if names are not all different; ``NPZ_KEYS``; or what is wrong
            with the file itself.
    """
    path = Path(path)
    file_size(path)
    with naming(path):
        features = _read(path, encoding)
        if features.names is None or normalize == "none":
            return features
        names = normalised(features.names, normalize)
        return _checked(names, features.x, features.feature_names)


def _read(path: Path, encoding: str) -> NodeFeatures:
    """Read features by the suffix of the file."""
    kind = unpacked_name(path).suffix.lower()
    if kind == ".npy":
        return _checked(None, read_npy(path))
    if kind == ".npz":
        return _from_arrays(read_arrays(path))
    if kind == ".parquet":
        return _from_parquet(path)
    if kind in (".csv", ".tsv"):
        return _from_text(path, encoding)
    raise DataError(
        "FILE_FORMAT",
        "features must be in a .npy, .npz, .csv, .tsv (also .gz) or .parquet file.",
    )


def join_features(
    names: Sequence[NodeId], features: NodeFeatures, *, missing: MissingFeatures, counted: bool
) -> Joined:
    """Give each node its features, by name.

    Rows without names are those of the nodes 0, 1, ... If one side has text for names and the
    other integers, both become text.

    Args:
        names: Of the nodes.
        features: Features of these nodes.
        missing: If nodes and rows are not the same: ``"zero"`` gives nodes without a row zeros,
            and makes nodes of rows without one. All nodes then stand in ascending order.
        counted: Whether the number of nodes is certain. If it is known from links alone, rows
            without names may go on: their nodes have no links.

    Raises:
        UsageError: If ``missing`` has no such value.
        DataError: ``NODE_SET_MISMATCH``.
    """
    if missing not in ("error", "zero"):
        raise UsageError(
            "MISSING_FEATURES", f"missing_features must be 'error' or 'zero', got {missing!r}."
        )
    rows: Sequence[NodeId] = features.names or range(features.num_rows)
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
    if missing == "error" and (no_row or (no_node and certain)):
        raise DataError(
            "NODE_SET_MISMATCH",
            f"there are {len(names)} nodes and features of {len(rows)}: {_some(no_row)} have no"
            f" features, {_some(no_node)} are not among the nodes; missing_features='zero'"
            " (vgae convert --missing-features zero) keeps all of them.",
        )
    if no_row or no_node:
        log.info(
            "%d nodes have no features, %d are in the features alone", len(no_row), len(no_node)
        )
    ordered = sorted(nodes.union(rows)) if no_node else names
    place_of = {name: place for place, name in enumerate(ordered)}
    place = np.fromiter((place_of[name] for name in names), np.int64, len(names))
    return Joined(ordered, place, _rows(features.x, [row_of.get(name, -1) for name in ordered]))


def _rows(x: Any, rows: list[int]) -> Any:
    """Return these rows, zeros for -1."""
    if rows == list(range(x.shape[0])):
        return x
    zeros = np.zeros((1, x.shape[1]), x.dtype)
    # They come last, where -1 finds them.
    whole: Any = sp.vstack([x, zeros], format="csr") if sp.issparse(x) else np.vstack([x, zeros])
    return whole[rows]


def _some(names: Sequence[NodeId]) -> str:
    """Say how many names there are, and the first three."""
    shown = ", ".join(f"{name!r:.60}" for name in names[:3])
    return f"{len(names)} ({shown}{', ...' if len(names) > 3 else ''})" if names else "0"


def _checked(
    names: Sequence[NodeId] | None, x: Any, feature_names: Sequence[str] = ()
) -> NodeFeatures:
    """Return features whose parts fit together, or say which does not."""
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
    return NodeFeatures(
        _array(tensor), None if names is None else tuple(names), tuple(feature_names)
    )


def _array(x: Tensor) -> np.ndarray | sp.csr_array:
    if x.layout == torch.strided:
        return x.numpy()
    parts = (x.values().numpy(), x.col_indices().numpy(), x.crow_indices().numpy())
    return sp.csr_array(parts, shape=tuple(x.shape))


def _from_arrays(arrays: dict[str, np.ndarray]) -> NodeFeatures:
    if holds_sparse(arrays):
        return _checked(None, sparse_from_arrays(arrays))
    if "x" not in arrays or not arrays.keys() <= _KEYS:
        raise DataError(
            "NPZ_KEYS",
            "it must hold x and perhaps ids and feature_names, or a sparse matrix of scipy, and"
            f" nothing else; found {printable(', '.join(sorted(arrays))) or 'nothing'}.",
        )
    for key in ("ids", "feature_names"):
        names = arrays.get(key, np.empty(0, int))
        if names.ndim != 1 or names.dtype.kind not in ("iuU" if key == "ids" else "iU"):
            raise DataError(
                "NODE_ID",
                f"{key} must be a list of text or integers, got {names.dtype} of shape"
                f" {names.shape}.",
            )
    ids = arrays.get("ids")
    feature_names = [str(name) for name in arrays.get("feature_names", ())]
    return _checked(None if ids is None else ids.tolist(), arrays["x"], feature_names)


def _from_text(path: Path, encoding: str) -> NodeFeatures:
    lines = read_lines(path, encoding=encoding)
    first = next((line for line in lines if not is_blank_or_comment(line[1])), (0, ""))
    delimiter = max(_SEPARATORS, key=first[1].count)
    records = split_records(chain([first] if first[0] else [], lines), delimiter, path)
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
            raise DataError(
                "FIELDS",
                f"{path}, line {number}: expected {len(header)} fields as in the header, got"
                f" {len(fields)}.",
            )
        names.append(fields[0])
        try:
            values.extend(map(parse_number, fields[1:]))
        except ValueError:
            pairs = zip(columns, fields[1:], strict=True)
            column, text = next(pair for pair in pairs if not is_number(pair[1]))
            raise DataError(
                "FEATURE_DTYPE",
                f"{path}, line {number}: feature {column!r:.60} must be a number, got"
                f" {text!r:.60}.",
            ) from None
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
