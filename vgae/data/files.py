"""Graphs in files."""

import json
import operator
import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch

from vgae.arrays import csr_matrix
from vgae.errors import DataError
from vgae.graph import Graph, NodeId
from vgae.npz import read_arrays, write_arrays

_FORMAT = "vgae-graph-1"


def read_graph(path: str | os.PathLike[str]) -> Graph:
    """Read a graph from a file written by :func:`write_npz`.

    Raises:
        DataError: If the file is missing, of another kind, or damaged.
    """
    path = Path(path)
    try:
        # Before it is opened: to open a pipe would wait for its other end.
        is_file = stat.S_ISREG(path.stat().st_mode)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError("CANNOT_READ", f"{path}: {reason}.") from None
    if not is_file:
        raise DataError("CANNOT_READ", f"{path}: it is not a file.")
    if path.suffix != ".npz":
        raise DataError("FILE_FORMAT", f"{path}: a graph file must end in .npz, got {path.name}.")
    return read_npz(path)


def write_npz(graph: Graph, path: str | os.PathLike[str]) -> None:
    """Write a graph as npz without pickled objects, whole or not at all.

    Keys: ``format`` ("vgae-graph-1"), ``name``, ``num_nodes``, ``edges`` (2, M); where the graph
    has them ``x`` or ``x_indptr``, ``x_indices``, ``x_data``, ``x_shape`` (CSR), ``y``,
    ``label_names`` and ``node_ids``.

    Raises:
        DataError: If names cannot be stored: strings among integers, integers of 2**63 or
            more, strings that end in NUL.
    """
    content: dict[str, Any] = {
        "format": np.array(_FORMAT),
        "name": _stored_names([graph.name])[0],
        "num_nodes": np.array(graph.num_nodes),
        "edges": graph.links.numpy(),
    }
    x = graph.x
    if x is not None and x.layout == torch.sparse_csr:
        content["x_indptr"] = x.crow_indices().numpy()
        content["x_indices"] = x.col_indices().numpy()
        content["x_data"] = x.values().numpy()
        content["x_shape"] = np.array(x.shape)
    elif x is not None:
        content["x"] = x.numpy()
    if graph.y is not None:
        content["y"] = graph.y.numpy()
    if graph.label_names:
        content["label_names"] = _stored_names(graph.label_names)
    if graph.node_ids is not None:
        content["node_ids"] = _stored_names(graph.node_ids)
    if graph.notes:
        content["notes"] = np.array(json.dumps(dict(graph.notes)))
    # A damaged directory of the zip can drop members without a trace; the list of them shows it.
    # It comes first, because damage drops what follows.
    content = {"keys": np.array(["keys", *content]), **content}
    write_arrays(path, content)


def read_npz(path: str | os.PathLike[str]) -> Graph:
    """Read a graph written by :func:`write_npz`; nothing in it is unpickled.

    Raises:
        DataError: If the file is damaged, or its content does not make a graph.
    """
    try:
        return _graph(read_arrays(path), Path(path).stem)
    except DataError as error:
        raise DataError(error.code, f"{path}: {error}") from None


def _graph(content: dict[str, np.ndarray], stem: str) -> Graph:
    """Return the graph of these arrays, or say which of them is wrong."""
    keys = _names(content, "keys")
    if {"format", "num_nodes", "edges", *keys} - content.keys():
        raise DataError(
            "NPZ_KEYS",
            "it must hold format, num_nodes, edges and what its keys name, found"
            f" {', '.join(content) or 'nothing'}.",
        )
    if str(content["format"]) != _FORMAT:
        raise DataError("NPZ_KEYS", f"its format must be {_FORMAT}, got {content['format']}.")
    graph = Graph.from_edges(
        content["edges"],
        num_nodes=_num_nodes(content),
        x=_stored_features(content),
        y=content.get("y"),
        label_names=_names(content, "label_names"),
        node_ids=_names(content, "node_ids") if "node_ids" in content else None,
        name=str(content.get("name", stem)),
    )
    return replace(graph, notes=_notes(content))


def _num_nodes(content: dict[str, np.ndarray]) -> int:
    try:
        return operator.index(content["num_nodes"])
    except TypeError:
        raise DataError("NPZ_CORRUPT", "num_nodes must be one integer.") from None


def _names(content: dict[str, np.ndarray], key: str) -> list[Any]:
    """Return a list of names, empty where there is none."""
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
    """Return names as an array that gives them back exactly, or raise."""
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
