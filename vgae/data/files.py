"""Graphs in files."""

import json
import os
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch

from vgae.atomic import replacing
from vgae.errors import DataError
from vgae.graph import Graph

_FORMAT = "vgae-graph-1"
# What numpy and zipfile raise on damaged bytes, besides ValueError.
_NPZ_FAULTS = (
    OSError,
    EOFError,
    KeyError,
    MemoryError,
    NotImplementedError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
)


def read_graph(path: str | os.PathLike[str]) -> Graph:
    """Read a graph from a file written by :func:`write_npz`.

    Raises:
        DataError: If the file is missing, of another kind, or damaged.
    """
    path = Path(path)
    if not path.is_file():
        reason = "it is not a file" if path.exists() else "no such file"
        raise DataError("CANNOT_READ", f"{path}: {reason}.")
    if path.suffix != ".npz":
        raise DataError("FILE_FORMAT", f"{path}: a graph file must end in .npz, got {path.name}.")
    return read_npz(path)


def write_npz(graph: Graph, path: str | os.PathLike[str]) -> None:
    """Write a graph as npz without pickled objects, whole or not at all.

    Keys: ``format`` ("vgae-graph-1"), ``name``, ``num_nodes``, ``edges`` (2, M); where the graph
    has them ``x`` or ``x_indptr``, ``x_indices``, ``x_data``, ``x_shape`` (CSR), ``y``,
    ``label_names`` and ``node_ids``.
    """
    content: dict[str, Any] = {
        "format": np.array(_FORMAT),
        "name": np.array(graph.name),
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
        content["label_names"] = np.array(graph.label_names)
    if graph.node_ids is not None:
        content["node_ids"] = np.array(graph.node_ids)
        if content["node_ids"].tolist() != list(graph.node_ids):
            raise DataError("NODE_ID", "node ids must be all strings or all integers, got both.")
    if graph.notes:
        content["notes"] = np.array(json.dumps(dict(graph.notes)))
    # A damaged directory of the zip can drop members without a trace; the list of them shows it.
    content["keys"] = np.array([*content, "keys"])
    with replacing(path) as temporary:
        np.savez_compressed(temporary, allow_pickle=False, **content)


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
    except ValueError as error:
        if "allow_pickle" in str(error):
            raise DataError("PICKLE_REFUSED", f"{path} holds pickled objects.") from None
        raise DataError("NPZ_CORRUPT", f"{path} is not a readable npz file: {error}.") from None
    except _NPZ_FAULTS as error:
        raise DataError("NPZ_CORRUPT", f"{path} is not a readable npz file: {error}.") from None


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
