"""Reading and writing of graphs in files."""

import json
import operator
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vgae.data.edge_lists import read_edge_list, read_parquet_edges
from vgae.data.matrices import holds_sparse, read_mtx, sparse_from_arrays
from vgae.data.node_features import NodeFeatures, join_features, read_features
from vgae.data.reading import MissingFeatures, Reading
from vgae.data.text import unpacked_name
from vgae.errors import DataError, printable
from vgae.graphs.arrays import csr_matrix
from vgae.graphs.graph import Graph, NodeId
from vgae.runtime.npz import read_arrays, write_arrays
from vgae.runtime.reading import file_size, naming

_FORMAT = "vgae-graph-1"
_TEXT = (".csv", ".tsv", ".txt", ".edges", ".edgelist")
_XML = (".graphml", ".gml", ".gexf")


def read_graph(
    path: str | os.PathLike[str],
    *,
    features: str | os.PathLike[str] | None = None,
    **options: Any,
) -> Graph:
    """Read a graph from a file; nothing is unpickled.

    ======================================  ======================================================
    ``.npz``                                a graph as :func:`write_npz` writes it; or an
                                            adjacency as ``scipy.sparse.save_npz`` writes it
    ``.mtx``                                an adjacency in Matrix Market format
    ``.csv``, ``.tsv``, ``.txt``,           an edge list: two names a line, optionally a weight
    ``.edges``, ``.edgelist``
    ``.parquet``                            an edge list: columns ``source``, ``target``,
                                            optionally ``weight``; or two or three columns
    ======================================  ======================================================

    All but ``.npz`` and ``.parquet`` may also be compressed (``.csv.gz``). Values of an adjacency
    are weights unless all are 1. The nodes of an adjacency are its rows; those of an edge list are
    its names, in ascending order. In text, names are integers if each is in canonical form
    (``7``, not ``007``, ``7.0`` or ``1e3``), else text.

    Args:
        path: The file; its name without suffixes becomes that of the graph.
        features: File of node features, which replace any in ``path``; see
            :func:`vgae.data.node_features.read_features` for its formats and
            :func:`vgae.data.node_features.join_features` for the assignment to nodes.
        **options: Fields of :class:`vgae.data.reading.Reading`, by name, such as
            ``columns=("from", "to")``.

    Raises:
        UsageError: If an option is invalid, or pyarrow is missing.
        DataError: If a file is missing, damaged or of another kind, or holds no valid graph.
    """
    path, reading = Path(path), Reading.of(options)
    file_size(path)
    unpacked = unpacked_name(path)
    name, kind = _graph_name(unpacked), unpacked.suffix.lower()
    counted = kind in (".npz", ".mtx")
    if not (counted or kind == ".parquet" or kind in _TEXT):
        hint = "; read it by networkx, then call Graph.from_networkx" if kind in _XML else ""
        raise DataError(
            "FILE_FORMAT",
            f"{path}: a graph must be in a file .npz or .parquet, or (also with .gz) .mtx,"
            f" {', '.join(_TEXT)}, got {path.name}{hint}.",
        )
    rows = None
    if features is not None:
        rows = read_features(features, reading)
    with naming(path):
        arrays = read_arrays(path) if kind == ".npz" else None
        if arrays is not None and not holds_sparse(arrays):
            graph = _graph(arrays, name)
        elif counted:
            matrix = read_mtx(path) if arrays is None else sparse_from_arrays(arrays)
            graph = Graph.from_scipy(
                matrix, merge=reading.merge, directed=reading.directed, name=name
            )
        else:
            if kind == ".parquet":
                edges = read_parquet_edges(path, reading)
            else:
                edges = read_edge_list(path, reading)
            graph = Graph.from_edges(
                edges.edges,
                edge_weight=edges.weight,
                num_nodes=len(edges.names),
                node_ids=edges.names,
                merge=reading.merge,
                directed=reading.directed,
                ordered=edges.ordered,
                name=name,
            )
        if rows is None:
            return graph
        return _with_features(graph, rows, missing=reading.missing_features, counted=counted)


def write_npz(graph: Graph, path: str | os.PathLike[str]) -> None:
    """Write a graph as npz without pickled objects, whole or not at all.

    Keys: ``keys`` (a list of the others), ``format`` ("vgae-graph-1"), ``name``, ``num_nodes``,
    ``edges`` (2, M); where the graph has them ``link_weight`` (M,), ``x`` or ``x_indptr``,
    ``x_indices``, ``x_data``, ``x_shape`` (CSR), ``feature_names``, ``y``, ``label_names``,
    ``node_ids`` and ``notes`` (JSON).

    Raises:
        DataError: ``NODE_ID`` if names cannot be stored: strings among integers, integers of
            2**63 or more, strings that end in NUL.
    """
    content: dict[str, Any] = {
        "format": np.array(_FORMAT),
        "name": _stored_names([graph.name])[0],
        "num_nodes": np.array(graph.num_nodes),
        "edges": graph.links.numpy(),
    }
    x, names = {"x": graph.x}, ("feature_names", "y", "label_names", "node_ids")
    if graph.x is not None and graph.x.layout == torch.sparse_csr:
        x = {"x_indptr": graph.x.crow_indices(), "x_indices": graph.x.col_indices()}
        x |= {"x_data": graph.x.values(), "x_shape": torch.tensor(graph.x.shape)}
    stored = {"link_weight": graph.link_weight} | x | {k: getattr(graph, k) for k in names}
    for key, part in stored.items():
        if isinstance(part, Tensor):
            content[key] = part.numpy()
        elif part:
            content[key] = _stored_names(part)
    if graph.notes:
        content["notes"] = np.array(json.dumps(dict(graph.notes)))
    # A damaged directory of the zip can silently lack members; the list of them shows it. It comes
    # first, because damage drops the members after it.
    write_arrays(path, {"keys": np.array(["keys", *content]), **content})


def read_npz(path: str | os.PathLike[str]) -> Graph:
    """Read a graph written by :func:`write_npz`; nothing is unpickled.

    Raises:
        DataError: If the file is damaged, or holds no valid graph.
    """
    with naming(Path(path)):
        return _graph(read_arrays(path), _graph_name(Path(path)))


def _with_features(
    graph: Graph, features: NodeFeatures, *, missing: MissingFeatures, counted: bool
) -> Graph:
    """Return the graph with these features, and with the nodes that only they have."""
    joined = join_features(graph.ids, features, missing=missing, counted=counted)
    y = None if graph.y is None else np.full(len(joined.names), -1)
    if y is not None:
        y[joined.place] = graph.y
    again = Graph.from_edges(
        joined.place[graph.links],
        edge_weight=graph.link_weight,
        num_nodes=len(joined.names),
        x=joined.x,
        feature_names=features.feature_names,
        y=y,
        label_names=graph.label_names,
        node_ids=joined.names,
        name=graph.name,
    )
    return replace(again, notes=graph.notes)


def _graph(content: dict[str, np.ndarray], stem: str) -> Graph:
    """Return the graph of the arrays of :func:`write_npz`."""
    keys = _names(content, "keys")
    if {"format", "num_nodes", "edges", *keys} - content.keys():
        raise DataError(
            "NPZ_KEYS",
            "it must hold format, num_nodes, edges and all that keys lists, or a sparse matrix of"
            f" scipy; found {printable(', '.join(content)) or 'nothing'}.",
        )
    if (got := str(content["format"])) != _FORMAT:
        raise DataError("NPZ_KEYS", f"its format must be {_FORMAT}, got {got!a:.60}.")
    try:
        num_nodes = operator.index(content["num_nodes"])
    except TypeError:
        raise DataError("NPZ_CORRUPT", "num_nodes must be one integer.") from None
    graph = Graph.from_edges(
        content["edges"],
        edge_weight=content.get("link_weight"),
        num_nodes=num_nodes,
        x=_stored_features(content),
        feature_names=_names(content, "feature_names"),
        y=content.get("y"),
        label_names=_names(content, "label_names"),
        node_ids=_names(content, "node_ids") if "node_ids" in content else None,
        name=str(content.get("name", stem)),
    )
    return replace(graph, notes=_notes(content))


def _names(content: dict[str, np.ndarray], key: str) -> list[Any]:
    """Return the names under a key, an empty list without the key."""
    names = content.get(key, np.empty(0))
    if names.ndim != 1:
        raise DataError("NPZ_CORRUPT", f"{key} must be a list, got shape {names.shape}.")
    return names.tolist()


def _notes(content: dict[str, np.ndarray]) -> Mapping[str, int]:
    try:
        notes = json.loads(str(content.get("notes", "{}")))
    except (ValueError, RecursionError):
        notes = None
    if not isinstance(notes, dict) or not all(type(count) is int for count in notes.values()):
        raise DataError("NPZ_CORRUPT", "notes must be a JSON object of integers.")
    return MappingProxyType(notes)


def _stored_names(names: Sequence[NodeId]) -> np.ndarray:
    """Return names as an array that restores them exactly, or raise."""
    array = np.array(names)
    if array.dtype.kind not in "iuU" or array.tolist() != list(names):
        raise DataError(
            "NODE_ID",
            "names must be all strings, none ending in NUL, or all integers below 2**63,"
            f" to be stored; got {', '.join(map(repr, names[:3]))} ...",
        )
    return array


def _stored_features(content: dict[str, np.ndarray]) -> Any:
    if "x_data" not in content:
        return content.get("x")
    try:
        indices, indptr = content["x_indices"], content["x_indptr"]
        shape = [operator.index(size) for size in content["x_shape"]]
    except (KeyError, TypeError) as error:
        raise DataError("SPARSE_CORRUPT", f"x is not a CSR matrix: {error}.") from None
    return csr_matrix(content["x_data"], indices, indptr, shape)


def _graph_name(path: Path) -> str:
    """Return the stem of a path, with a question mark for each byte that is not text."""
    return path.stem.encode("utf-8", "replace").decode()
