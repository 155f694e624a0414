"""Graphs in files."""

import json
import os
import stat
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch

from vgae.atomic import replacing
from vgae.errors import DataError
from vgae.graph import Graph, NodeId

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
        DataError: If names cannot be stored: strings among integers, integers of more than 64
            bits, strings that end in NUL.
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
    content["keys"] = np.array([*content, "keys"])
    # Given a name, numpy would add .npz to one that lacks it.
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **content)


def read_npz(path: str | os.PathLike[str]) -> Graph:
    """Read a graph written by :func:`write_npz`; nothing in it is unpickled.

    Raises:
        DataError: If the file is damaged, or its content does not make a graph.
    """
    content = _members(path)
    missing = {"format", "num_nodes", "edges", *content.get("keys", ())} - content.keys()
    if missing or str(content["format"]) != _FORMAT:
        raise DataError(
            "NPZ_KEYS",
            f"{path} must hold format = {_FORMAT}, num_nodes, edges and what its keys name,"
            f" found {', '.join(content) or 'nothing'}.",
        )
    try:
        num_nodes = int(content["num_nodes"])
        notes = json.loads(str(content.get("notes", "{}")))
    except (TypeError, ValueError) as error:
        raise DataError("NPZ_CORRUPT", f"{path}: {error}.") from None
    graph = Graph.from_edges(
        content["edges"],
        num_nodes=num_nodes,
        x=_stored_features(content, path),
        y=content.get("y"),
        label_names=content["label_names"].tolist() if "label_names" in content else (),
        node_ids=content["node_ids"].tolist() if "node_ids" in content else None,
        name=str(content.get("name", Path(path).stem)),
    )
    return replace(graph, notes=MappingProxyType(notes))


def _members(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Return every array of an npz file; whatever is wrong with it, the error is one."""
    try:
        with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as members:
            return {name: members[name] for name in members.files}
    # On damaged bytes numpy, zipfile and zlib raise a dozen kinds of exceptions.
    except Exception as error:
        if "allow_pickle" in str(error):
            raise DataError("PICKLE_REFUSED", f"{path} holds pickled objects.") from None
        raise DataError("NPZ_CORRUPT", f"{path} is not a readable npz file: {error}.") from None


def _stored_names(names: Sequence[NodeId]) -> np.ndarray:
    """Return names as an array that gives them back exactly, or raise."""
    array = np.array(names)
    if array.dtype.kind not in "iuU" or array.tolist() != list(names):
        raise DataError(
            "NODE_ID",
            "names must be all strings, none ending in NUL, or all integers of at most 64 bits,"
            f" to be stored; got {', '.join(map(repr, names[:3]))} ...",
        )
    return array


def _stored_features(content: dict[str, Any], path: Any) -> Any:
    if "x_data" not in content:
        return content.get("x")
    try:
        parts = (content["x_data"], content["x_indices"], content["x_indptr"])
        return sp.csr_array(parts, shape=tuple(content["x_shape"].tolist()))
    except (KeyError, ValueError, TypeError) as error:
        raise DataError(
            "SPARSE_CORRUPT", f"{path}: the features are not a CSR matrix: {error}."
        ) from None
