"""The npz format of this package: a graph as arrays, without pickled objects."""

import json
import logging
import operator
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from vgae.data.array_graphs import check_entries_are_weights
from vgae.data.reading import Reading
from vgae.errors import DataError, printable
from vgae.graphs.arrays import csr_matrix, label_tensor
from vgae.graphs.block_grid import BlockGrid
from vgae.graphs.collection import GraphCollection
from vgae.graphs.directions import refuse_undirected
from vgae.graphs.encoding import TableEncoder
from vgae.graphs.graph import Graph, NodeId
from vgae.graphs.grid import grid_from
from vgae.graphs.missing import with_gaps
from vgae.runtime.npz import read_arrays, write_arrays
from vgae.runtime.reading import naming, parsed_json

log = logging.getLogger(__name__)

FORMAT = "vgae-graph-1"
_OF_KINDS = "vgae-graph-2"  # directed or two-sided, which readers of the first do not know
_OF_SIGNS = "vgae-graph-3"  # with signs or features of links, or gaps in x: earlier readers fail
_OF_GRAPHS = "vgae-graph-4"  # a collection, which earlier readers refuse by the format
_OF_LINKS = ("link_sign", "link_attr", "link_attr_names")
_OF_COLLECTION = ("graph_names", "graph_y", "graph_label_names")
_MOST_NAMES = 2**32  # bytes


def write_npz(graph: Graph, path: str | os.PathLike[str]) -> None:
    """Write a graph as npz without pickled objects, whole or not at all.

    Keys: ``keys`` (a list of the others), ``format`` ("vgae-graph-1"), ``name``, ``num_nodes``,
    ``edges`` (2, M); where the graph has them ``link_weight`` (M,), ``link_sign`` (M,),
    ``link_attr`` (M, K), ``link_attr_names``, ``x`` or ``x_indptr``, ``x_indices``, ``x_data``,
    ``x_shape`` (CSR), ``feature_names``, ``feature_encoder`` (JSON), ``y``, ``label_names``,
    ``node_ids`` and ``notes`` (JSON). A directed graph has ``grid`` ("directed"), a two-sided one
    ``grid`` ("two-sided"), ``sides`` (N,) and ``side_names``; then the format is "vgae-graph-2",
    or with signs or features of links, or missing features, which are NaN, "vgae-graph-3". A
    collection of graphs has ``grid`` ("blocks"), ``sizes`` (G,), and where it has them
    ``graph_names``, ``graph_y`` (G,) and ``graph_label_names``; then the format is "vgae-graph-4".

    Raises:
        DataError: ``NODE_ID`` if names cannot be stored: strings among integers, integers of
            2**63 or more, strings that end in NUL.
    """
    content: dict[str, Any] = {
        "format": np.array(_format(graph)),
        "name": _stored_names([graph.name])[0],
        "num_nodes": np.array(graph.num_nodes),
        "edges": graph.links.numpy(),
    }
    given = graph.x if graph.missing is None else with_gaps(graph.x, graph.missing)
    x, names = {"x": given}, ("feature_names", "y", "label_names", "node_ids", "side_names")
    if given is not None and given.layout == torch.sparse_csr:
        x = {"x_indptr": given.crow_indices(), "x_indices": given.col_indices()}
        x |= {"x_data": given.values(), "x_shape": torch.tensor(given.shape)}
    values = {name: getattr(graph, name) for name in ("link_weight", *_OF_LINKS)}
    values |= {name: getattr(graph, name, None) for name in _OF_COLLECTION}
    stored = values | x | {k: getattr(graph, k) for k in names}
    for key, part in stored.items():
        if isinstance(part, Tensor):
            content[key] = part.numpy()
        elif part:
            content[key] = _stored_names(part)
    content |= {key: np.array(value) for key, value in graph.grid.arrays().items()}
    if graph.feature_encoder is not None:
        content["feature_encoder"] = np.array(json.dumps(graph.feature_encoder.to_dict()))
    if graph.notes:
        content["notes"] = np.array(json.dumps(dict(graph.notes)))
    # A damaged directory of the zip can silently lack members; the list of them shows it. It comes
    # first, because damage drops the members after it.
    write_arrays(path, {"keys": np.array(["keys", *content]), **content})


def _format(graph: Graph) -> str:
    """Return the first format whose readers know what a graph has."""
    if isinstance(graph, GraphCollection):
        return _OF_GRAPHS
    if any(getattr(graph, name) is not None for name in (*_OF_LINKS[:2], "missing")):
        return _OF_SIGNS
    return _OF_KINDS if graph.grid.arrays() else FORMAT


def read_npz(path: str | os.PathLike[str]) -> Graph:
    """Read a graph written by :func:`write_npz`; nothing is unpickled.

    Raises:
        DataError: If the file is damaged, or holds no valid graph.
    """
    with naming(Path(path)):
        return stored_graph(read_arrays(path, in_file="x"), graph_name(Path(path)))


def stored_graph(content: Mapping[str, np.ndarray], stem: str) -> Graph:
    """Return the graph of the arrays of :func:`write_npz`.

    Args:
        content: The arrays.
        stem: Name of the graph if the arrays have none.

    Raises:
        DataError: ``NPZ_KEYS``, ``NPZ_CORRUPT``, or as :meth:`vgae.Graph.from_edges`.
    """
    keys = _names(content, "keys")
    if {"format", "num_nodes", "edges", *keys} - content.keys():
        raise DataError(
            "NPZ_KEYS",
            "it must hold format, num_nodes, edges and all that keys lists, or a sparse matrix of"
            f" scipy; found {printable(', '.join(content)) or 'nothing'}.",
        )
    if (got := str(content["format"])) not in (
        known := (FORMAT, _OF_KINDS, _OF_SIGNS, _OF_GRAPHS)
    ):
        raise DataError("NPZ_KEYS", f"its format must be {' or '.join(known)}, got {got!a:.60}.")
    try:
        num_nodes = operator.index(content["num_nodes"])
    except TypeError:
        raise DataError("NPZ_CORRUPT", "num_nodes must be one integer.") from None
    graph = Graph.from_edges(
        content["edges"],
        **_values(content),
        num_nodes=num_nodes,
        x=_stored_features(content),
        feature_names=_names(content, "feature_names"),
        y=content.get("y"),
        label_names=_names(content, "label_names"),
        node_ids=_names(content, "node_ids") if "node_ids" in content else None,
        name=str(content.get("name", stem)),
        missing_features="impute" if got in (_OF_SIGNS, _OF_GRAPHS) else "refuse",
        **_kind(content, num_nodes),
    )
    whole = replace(graph, notes=_notes(content), feature_encoder=_encoder(content, graph))
    return _collection(whole, content) if str(content.get("grid")) == BlockGrid.name else whole


def _collection(graph: Graph, content: Mapping[str, np.ndarray]) -> GraphCollection:
    """Return the collection of a graph of all nodes."""
    names = [str(name) for name in _names(content, "graph_names")]
    batch = BlockGrid.of(graph.num_nodes, content["sizes"]).batch
    heads = [f"{name}:" for name in names or range(len(content["sizes"]))]
    pairs = zip(batch.tolist(), graph.ids, strict=True)
    nodes = None
    if graph.node_ids is not None and len(heads) == len(content["sizes"]):
        nodes = [str(node).removeprefix(heads[number]) for number, node in pairs]
    found = GraphCollection.from_batch(graph, batch, names=names, node_names=nodes)
    if "graph_y" not in content:
        return found
    y, label_names = content["graph_y"], tuple(map(str, _names(content, "graph_label_names")))
    labels = label_tensor(y, "graph_y", found.num_graphs, "graph")
    if label_names and int(labels.max()) >= len(label_names):
        raise DataError("NPZ_CORRUPT", "graph_y must lie below the number of graph_label_names.")
    return replace(found, graph_y=labels, graph_label_names=label_names)


def _values(content: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Return the arguments of :meth:`vgae.Graph.from_edges` on what the links have."""
    weight, sign, attr = (content.get(name) for name in ("link_weight", "link_sign", "link_attr"))
    given: dict[str, Any] = {"edge_weight": weight}
    if sign is not None:
        shape = content["edges"].shape[1:]
        others = () if weight is None else (weight,)
        if (
            any(part.shape != shape for part in (sign, *others))
            or not np.isin(sign, (-1, 1)).all()
        ):
            raise DataError("NPZ_CORRUPT", "link_sign must be 1 or -1 for each link.")
        if weight is not None and (weight < 0).any():
            raise DataError("NPZ_CORRUPT", "link_weight must be above zero beside link_sign.")
        given = {"edge_weight": sign.astype(np.float32) * (1 if weight is None else weight)}
        given["signed"] = True
    if attr is not None:
        given |= {"edge_attr": attr, "edge_attr_names": _names(content, "link_attr_names")}
    return given


def _names(content: Mapping[str, np.ndarray], key: str) -> list[Any]:
    """Return the names under a key, an empty list without the key."""
    names = content.get(key, np.empty(0))
    if names.ndim != 1:
        raise DataError("NPZ_CORRUPT", f"{key} must be a list, got shape {names.shape}.")
    return names.tolist()


def _kind(content: Mapping[str, np.ndarray], num_nodes: int) -> dict[str, Any]:
    """Return the arguments of :meth:`vgae.Graph.from_edges` for the stored kind of graph."""
    try:
        grid = grid_from(num_nodes, content)
    except (KeyError, ValueError) as error:
        raise DataError("NPZ_CORRUPT", f"its kind of graph is damaged: {error}.") from None
    return {
        "directed": "keep" if grid.directed else "symmetrize",
        "sides": "none" if grid.sides is None else grid.sides,
        "side_names": _names(content, "side_names"),
    }


def as_asked(graph: Graph, reading: Reading) -> Graph:
    """Return a stored graph of its own kind, without weights or sides if these are not wanted."""
    if reading.directed == "keep" and not graph.directed:
        refuse_undirected("the stored graph", "read its source again")
    if reading.directed == "error" and graph.directed:
        raise DataError("DIRECTED", "the stored graph is directed; leave directed='error' out.")
    if reading.sides != "auto":
        graph = graph_of_sides(graph, reading.sides)
    if reading.directed == "error" and (one_way := graph.notes.get("one_way")):
        raise DataError(
            "DIRECTED",
            f"{one_way} of its links went one way only before it was stored; use"
            " directed='symmetrize' (--directed symmetrize) to keep them.",
        )
    check_entries_are_weights(reading, "link_weight")
    if reading.weight == "none":
        return replace(graph, link_weight=None, link_sign=None)
    if reading.signed and graph.link_sign is None:
        log.info("%s is stored without signs: all of its links are positive", graph.name)
        return replace(graph, link_sign=torch.ones(graph.num_links, dtype=torch.int8))
    return graph


def graph_of_sides(graph: Graph, sides: str) -> Graph:
    """Return a graph with its own sides, ``"columns"``, or without them, ``"none"``.

    Raises:
        DataError: ``SIDES`` if it has none.
    """
    if sides == "none" and graph.sides is not None:
        parts = {k: getattr(graph, k) for k in ("num_nodes", "x", "feature_names", "y", "name")}
        parts |= {"label_names": graph.label_names, "node_ids": graph.node_ids, "sides": "none"}
        plain = Graph.from_edges(graph.links, **graph.link_options, **parts)
        kept = {k: getattr(graph, k) for k in ("notes", "feature_encoder", "missing")}
        return replace(plain, **kept)
    if sides != "none" and graph.sides is None:
        raise DataError(
            "SIDES",
            f"{graph.name} is stored without sides; read its source again with sides={sides!r}"
            f" (--sides {sides}).",
        )
    return graph


def _notes(content: Mapping[str, np.ndarray]) -> Mapping[str, int]:
    try:
        notes = json.loads(str(content.get("notes", "{}")))
    except (ValueError, RecursionError):
        notes = None
    if not isinstance(notes, dict) or not all(type(count) is int for count in notes.values()):
        raise DataError("NPZ_CORRUPT", "notes must be a JSON object of integers.")
    return MappingProxyType(notes)


def _encoder(content: Mapping[str, np.ndarray], graph: Graph) -> TableEncoder | None:
    """Return the stored encoder of the features, or raise unless it makes those of the graph."""
    if "feature_encoder" not in content:
        return None
    try:
        encoder = TableEncoder.from_dict(parsed_json(str(content["feature_encoder"])))
    except ValueError as error:
        raise DataError("NPZ_CORRUPT", f"feature_encoder: {error}") from None
    if encoder.feature_names != graph.feature_names:
        raise DataError("NPZ_CORRUPT", "feature_encoder makes other features than those of x.")
    return encoder


def _stored_names(names: Sequence[NodeId]) -> np.ndarray:
    """Return names as an array that restores them exactly, or raise."""
    texts = cast("Sequence[str]", names) if set(map(type, names)) == {str} else ()
    size = 4 * len(texts) * max(map(len, texts), default=0)
    if size > _MOST_NAMES:
        raise DataError(
            "NODE_ID",
            f"{len(names)} names take {size / 1e9:.0f} GB to store, since the longest has"
            f" {max(map(len, texts))} characters; shorten the long ones.",
        )
    array = np.array(names)
    if texts:
        # numpy drops NUL at the end.
        exact = np.strings.str_len(array).sum() == sum(map(len, texts))
    else:
        exact = array.dtype.kind in "iuU" and array.tolist() == list(names)
    if not exact:
        raise DataError(
            "NODE_ID",
            "names must be all strings, none ending in NUL, or all integers below 2**63,"
            f" to be stored; got {', '.join(map(repr, names[:3]))} ...",
        )
    return array


def _stored_features(content: Mapping[str, np.ndarray]) -> Any:
    if "x_data" not in content:
        return content.get("x")
    try:
        indices, indptr = content["x_indices"], content["x_indptr"]
        shape = [operator.index(size) for size in content["x_shape"]]
    except (KeyError, TypeError) as error:
        raise DataError("SPARSE_CORRUPT", f"x is not a CSR matrix: {error}.") from None
    return csr_matrix(content["x_data"], indices, indptr, shape)


def graph_name(path: Path) -> str:
    """Return the stem of a path, with a question mark for each byte that is not text."""
    return path.stem.encode("utf-8", "replace").decode()


def is_stored_graph(content: Mapping[str, np.ndarray]) -> bool:
    """Return whether arrays are from a file of :func:`write_npz`, complete or not."""
    return not {"keys", "format"}.isdisjoint(content)
