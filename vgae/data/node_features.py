"""Node features in files, and their assignment to the nodes of a graph."""

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
import torch

from vgae.data.attributes import FORMATS, label_codes, of_column, read_node_table
from vgae.data.folders import geom_features, list_features
from vgae.data.matrices import holds_sparse, sparse_from_arrays
from vgae.data.npy import mapped_npy
from vgae.data.packed import unpacked_name
from vgae.data.reading import Reading
from vgae.data.shards import read_shards
from vgae.data.text import normalised
from vgae.errors import DataError, UsageError, printable
from vgae.graphs.arrays import feature_tensor, rows_of
from vgae.graphs.canonical import warn_of_first
from vgae.graphs.defaults import MissingFeatures
from vgae.graphs.encoding import TableEncoder, encode_table
from vgae.graphs.graph import NodeId
from vgae.kernels.csr import scipy_csr
from vgae.runtime.npz import read_arrays
from vgae.runtime.reading import file_size, naming

log = logging.getLogger(__name__)

TABLE_OPTIONS = ("id_column", "label_column", "encode")
"""Options that only tables of nodes have."""

_KEYS = {"x", "ids", "feature_names"}


@dataclass(frozen=True, eq=False)
class NodeFeatures:
    """A row of numbers for each node.

    Attributes:
        x: Finite float32, shape ``(N, F)``; ``None`` if there are only labels.
        names: Name of each row, all different; ``None`` if the file has none.
        feature_names: Name of each column; empty if the file has none.
        y: Label of each row, int64, -1 where missing; ``None`` without labels.
        label_names: Name of each label.
        encoder: What made numbers of the columns of the file, if they were encoded.
        id_column: Column of the names, if the file is a table.
        graphs: Name of the graph of each row, if the table has ``graph_column``; then names are
            ``GRAPH:NODE``.
    """

    x: np.ndarray | sp.csr_array | None
    names: tuple[NodeId, ...] | None = None
    feature_names: tuple[str, ...] = ()
    y: np.ndarray | None = None
    label_names: tuple[str, ...] = ()
    encoder: TableEncoder | None = None
    id_column: str | None = None
    graphs: tuple[str, ...] | None = None


class Joined(NamedTuple):
    """Nodes with their features.

    Attributes:
        names: Name of each node.
        place: Index in ``names`` of each node of the graph, int64.
        x: Row of features of each of ``names``.
        y: Label of each of ``names``, -1 where missing; ``None`` without labels.
    """

    names: Sequence[NodeId]
    place: np.ndarray
    x: np.ndarray | sp.csr_array | None
    y: np.ndarray | None = None


def read_features(path: str | os.PathLike[str], reading: Reading = Reading()) -> NodeFeatures:
    """Read node features from a file; nothing is unpickled.

    ==================  ==========================================================================
    ``.npy``            ``x``, a row for each node from 0 on
    ``.npz``            ``x``, with or without ``ids`` (a name for each row) and
                        ``feature_names``; or a sparse matrix as ``scipy.sparse.save_npz`` writes
    ``.csv``, ``.tsv``  a table, also compressed: a header, then a line for each node
    ``.txt``
    ``.parquet``        a table; also ``.feather`` and ``.arrow``
    a folder            of ``.npy``: rows in the order of the names, of which numbers count as such
    ``.json``           a list for each node, of numbers or of the indices of features that are
                        1; see :func:`vgae.data.folders.list_features`
    ==================  ==========================================================================

    Dense features of more than 64 MB stay in their file, mapped into memory: in ``.npy``, and as
    ``x`` in an ``.npz`` that is not compressed, of float32 in row-major order. Others of that
    size, numbers in a table of columns, and those of a folder are written to a temporary file.

    For the column of names of a table see :func:`vgae.data.attributes.read_node_table`; the others
    are numbers and truth values, or are encoded (``reading.encode``), and one may be a label
    (``reading.label_column``). Names in text are text, or integers if each is in canonical form.

    Args:
        path: The file.
        reading: Options.

    Raises:
        UsageError: ``ENCODING``; ``MISSING_PACKAGE`` without pyarrow; ``ENCODE``, ``ID_COLUMN``
            or ``LABEL_COLUMN`` for a file that is no table.
        DataError: ``FILE_FORMAT``; ``FEATURE_DTYPE`` if features are not numbers, with each of
            their columns; ``FEATURE_NONFINITE``; ``FEATURE_SHAPE``; ``FEATURE_HEADER``;
            ``FIELDS``; ``NODE_ID`` if two names are equal; ``NPZ_KEYS``; or as the reader of the
            format.
    """
    path = Path(path)
    if path.is_dir():
        refuse_table_options(reading, "in a folder of .npy")
        with naming(path):
            return _checked(None, read_shards(path), gaps=reading.missing_features == "impute")
    file_size(path)
    kind, gaps = unpacked_name(path).suffix.lower(), reading.missing_features == "impute"
    with naming(path):
        if kind == ".json" or path.name.endswith("_node_feature_label.txt"):
            is_json = kind == ".json"
            names, x, _ = list_features(path) if is_json else geom_features(path, reading)
            features = _checked(names, x, gaps=gaps)
        elif is_table(path):
            features = _from_table(path, reading)
        elif kind in (".npy", ".npz"):
            refuse_table_options(reading, f"in a file {kind}")
            is_npy = kind == ".npy"
            features = (
                _checked(None, mapped_npy(path), gaps=gaps)
                if is_npy
                else _from_arrays(read_arrays(path, in_file="x"), gaps=gaps)
            )
        else:
            raise DataError(
                "FILE_FORMAT",
                "features must be in a file .npy, .npz, .parquet, or (also .gz) .csv, .tsv, .txt"
                " or .json.",
            )
        if features.names is None or reading.normalize == "none":
            return features
        names = normalised(features.names, reading.normalize)
        checked = _checked(names, features.x, features.feature_names, gaps=gaps)
        return replace(features, names=checked.names)


def is_table(path: str | os.PathLike[str]) -> bool:
    """Return whether a path is one of a table of nodes, by its suffix."""
    return unpacked_name(Path(path)).suffix.lower() in FORMATS


def refuse_table_options(
    reading: Reading, where: str, options: Sequence[str] = TABLE_OPTIONS
) -> None:
    """Raise ``UsageError`` if there are options that only tables of nodes have."""
    for name in options:
        if getattr(reading, name) != getattr(Reading(), name):
            flag = name.replace("_", "-")
            raise UsageError(
                name.upper(),
                f"{name} (--{flag}) is about a table of nodes, and there is none {where}; give one"
                f" as features (--features FILE: {', '.join(FORMATS)}), or leave {name} out.",
            )


def join_features(
    names: Sequence[NodeId], features: NodeFeatures, *, missing: MissingFeatures, counted: bool
) -> Joined:
    """Assign a row of features to each node, by name.

    Rows without names belong to the nodes 0, 1, ... If the names of one side are text and those of
    the other integers, both become text.

    Args:
        names: Name of each node.
        features: Features of these nodes.
        missing: Treatment of nodes without a row and rows without a node: ``"zero"`` and
            ``"mean"`` add rows of zeros or of the columns' means, and isolated nodes, and then
            sort all nodes by name. Labels of the added rows are -1.
        counted: Whether the number of nodes is certain. If only the links give it, there may be
            more rows without names: their nodes have no links.

    Raises:
        DataError: ``NODE_SET_MISMATCH``.
    """
    x, y = features.x, features.y
    num_rows = 0 if x is None else x.shape[0]  # pyright: ignore
    if num_rows and features.names is None and names == range(num_rows):
        return Joined(names, np.arange(len(names)), x, y)  # without a dict of all names
    rows: Sequence[NodeId] = features.names or range(0 if x is None else x.shape[0])  # pyright: ignore
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
    if features.names is None:
        warn_of_first(names, len(rows))
    certain = counted or features.names is not None
    if names and len(no_row) == len(names):
        raise DataError(
            "NODE_SET_MISMATCH",
            f"none of the {len(names)} nodes has features: {_some(no_row)} are nodes,"
            f" {_some(no_node)} have features{_alike(no_row, no_node)}"
            f"{of_column(features.id_column)}.",
        )
    if missing == "refuse" and (no_row or (no_node and certain)):
        raise DataError(
            "NODE_SET_MISMATCH",
            f"there are {len(names)} nodes and features of {len(rows)}: {_some(no_row)} have no"
            f" features, {_some(no_node)} are not among the nodes; missing_features='zero' or"
            " 'mean' (--missing-features zero) keeps all of them"
            f"{_alike(no_row, no_node)}{of_column(features.id_column)}.",
        )
    if no_row or no_node:
        counts = len(no_row), len(no_node)
        log.info("without features: %d; in the features only: %d nodes", *counts)
    ordered = sorted(nodes.union(rows)) if no_node else names
    place_of = {name: place for place, name in enumerate(ordered)}
    place = np.fromiter((place_of[name] for name in names), np.int64, len(names))
    order = np.array([row_of.get(name, -1) for name in ordered], np.int64)
    labels = None if y is None else np.where(order < 0, -1, y[order])
    return Joined(ordered, place, None if x is None else rows_of(x, order, missing), labels)


def _alike(names: Sequence[NodeId], others: Sequence[NodeId]) -> str:
    """Return in what the names of two sides differ, if one of them is nearly the same."""
    texts = {str(name) for name in names}
    if any(text.endswith(".0") and text[:-2] in texts for text in map(str, others)):
        return "; those of the features end in .0: write whole numbers"
    folded = {text.casefold() for text in texts}
    if any(text.casefold() in folded for text in map(str, others)):
        return "; some differ in upper and lower case only"
    bare = {text.partition(":")[2] for text in texts} - {""}
    if any(text in bare for text in map(str, others)):
        return (
            "; nodes of two sides take features of each: features=('users.csv', 'items.csv')"
            " (--features users.csv,items.csv)"
        )
    return ""


def _some(names: Sequence[NodeId]) -> str:
    """Return the number of names, and the first three."""
    shown = ", ".join(f"{name!r:.60}" for name in names[:3])
    return f"{len(names)} ({shown}{', ...' if len(names) > 3 else ''})" if names else "0"


def _checked(
    names: Sequence[NodeId] | None,
    x: Any,
    feature_names: Sequence[str] = (),
    *,
    gaps: bool,
) -> NodeFeatures:
    """Return features, or raise if their parts do not fit together."""
    tensor = None if x is None else feature_tensor(x, gaps=gaps)
    rows, columns = (len(names or ()), 0) if tensor is None else tensor.shape
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
    is_dense = tensor is not None and tensor.layout == torch.strided
    array = tensor.numpy() if tensor is not None and is_dense else None
    array = scipy_csr(tensor) if tensor is not None and not is_dense else array
    return NodeFeatures(array, None if names is None else tuple(names), tuple(feature_names))


def _from_arrays(arrays: dict[str, np.ndarray], *, gaps: bool) -> NodeFeatures:
    if holds_sparse(arrays):
        return _checked(None, sparse_from_arrays(arrays), gaps=gaps)
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
    return _checked(None if ids is None else ids.tolist(), arrays["x"], feature_names, gaps=gaps)


def _from_table(path: Path, reading: Reading) -> NodeFeatures:
    """Return the features, encoded if asked for, and the labels of a table."""
    numeric = reading.encode == "none"
    table = read_node_table(path, reading, numeric=numeric)
    x, names, encoder = table.x, table.attributes, None
    if names and not numeric:
        columns = {name: table.columns[name] for name in names}
        x, names, encoder = encode_table(columns, reading.encode)
    label = reading.label_column
    y, label_names = (None, ()) if label is None else label_codes(table.columns[label], label)
    if x is None and y is None:
        raise DataError("FEATURE_SHAPE", "it has no features and no labels.")
    try:
        found = _checked(table.names, x, names, gaps=reading.missing_features == "impute")
    except DataError as error:
        if error.code == "NODE_ID":
            what = f"{str(error).rstrip('.')}{of_column(table.id_column)}."
            raise DataError(error.code, what) from None
        if error.code != "FEATURE_NONFINITE" or table.x is None or not np.isnan(table.x).any():
            raise
        hint = "encode='auto' (--encode auto) fills missing cells"
        raise DataError(error.code, f"{str(error).rstrip('.')}; {hint}.") from None
    labels = {"y": y, "label_names": label_names}
    graphs = None if table.graphs is None else tuple(table.graphs)
    return replace(found, **labels, encoder=encoder, id_column=table.id_column, graphs=graphs)
