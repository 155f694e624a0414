"""Reading and writing of graphs in files."""

import json
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

from vgae.data.edge_lists import read_edge_list, read_parquet_edges
from vgae.data.matrices import holds_sparse, read_mtx, sparse_from_arrays
from vgae.data.node_features import (
    NodeFeatures,
    join_features,
    read_features,
    refuse_table_options,
)
from vgae.data.reading import MissingFeatures, Reading
from vgae.data.text import unpacked_name
from vgae.errors import DataError, UsageError, printable
from vgae.graphs.aligning import node_table
from vgae.graphs.arrays import csr_matrix
from vgae.graphs.encoding import TableEncoder
from vgae.graphs.frame_columns import coded_labels, column_of, encoded_features, is_frame
from vgae.graphs.graph import Graph, NodeId
from vgae.runtime.npz import read_arrays, write_arrays
from vgae.runtime.reading import file_size, naming, parsed_json

_FORMAT = "vgae-graph-1"
_TEXT = (".csv", ".tsv", ".txt", ".edges", ".edgelist")
_MOST_NAMES = 2**32  # bytes
_XML = (".graphml", ".gml", ".gexf")
_OF_FILES = ("format", "delimiter", "header", "encoding", "comment", "time", "normalize")


def read_graph(path: Any, *, features: Any = None, **options: Any) -> Graph:
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
        path: The file; its name without suffixes becomes that of the graph. Or a data frame of
            edges, as for :meth:`vgae.Graph.from_pandas`.
        features: File of node features, which replace any in ``path``; see
            :func:`vgae.data.node_features.read_features` for its formats and
            :func:`vgae.data.node_features.join_features` for the assignment to nodes. Or a data
            frame of nodes, as for :meth:`vgae.Graph.from_pandas`.
        **options: Fields of :class:`vgae.data.reading.Reading`, by name, such as
            ``columns=("from", "to")``.

    Raises:
        UsageError: If an option is invalid, or pyarrow is missing.
        DataError: If a file is missing, damaged or of another kind, or holds no valid graph.
    """
    reading = Reading.of(options)
    if is_frame(path):
        return _graph_in_frame(path, features, reading)
    path = Path(path)
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
    if features is None:
        refuse_table_options(reading, "without features")
    rows = None if features is None else _features(features, reading)
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
                name=name,
            )
        if rows is None:
            return graph
        return _with_features(graph, rows, missing=reading.missing_features, counted=counted)


def write_npz(graph: Graph, path: str | os.PathLike[str]) -> None:
    """Write a graph as npz without pickled objects, whole or not at all.

    Keys: ``keys`` (a list of the others), ``format`` ("vgae-graph-1"), ``name``, ``num_nodes``,
    ``edges`` (2, M); where the graph has them ``link_weight`` (M,), ``x`` or ``x_indptr``,
    ``x_indices``, ``x_data``, ``x_shape`` (CSR), ``feature_names``, ``feature_encoder`` (JSON),
    ``y``, ``label_names``, ``node_ids`` and ``notes`` (JSON).

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
    if graph.feature_encoder is not None:
        content["feature_encoder"] = np.array(json.dumps(graph.feature_encoder.to_dict()))
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


def _graph_in_frame(edges: Any, features: Any, reading: Reading) -> Graph:
    """Return the graph of a data frame of edges, with a frame or file of features."""
    given = reading.to_dict()
    if of_files := [name for name in _OF_FILES if name in given]:
        raise UsageError("OPTION", f"{of_files[0]} is an option of files, not of data frames.")
    source, target, weight = (*(reading.columns or (None, None)), None)[:3]
    options: Any = {"source": source, "target": target, "weight": reading.weight or weight}
    options |= {name: getattr(reading, name) for name in ("drop_zero", "merge", "directed")}
    if features is None or not is_frame(features):
        graph = Graph.from_pandas(edges, **options)
        if features is None:
            return graph
        rows = read_features(features, reading)
        return _with_features(graph, rows, missing=reading.missing_features, counted=False)
    options |= {k: getattr(reading, k) for k in ("encode", "id_column", "missing_features")}
    return Graph.from_pandas(edges, features, y=reading.label_column, **options)


def _features(given: Any, reading: Reading) -> NodeFeatures:
    """Return the features in a file or data frame."""
    if not is_frame(given):
        return read_features(given, reading)
    table = node_table(given, "features", (), reading.id_column, first=True)
    frame, labels = table.frame, {}
    if (column := reading.label_column) is not None:
        y, names = coded_labels(column_of(frame, column, "features").to_list())
        frame, labels = frame.drop(column), {"y": y, "label_names": names}
    x, feature_names, encoder = encoded_features(frame, "features", reading.encode)
    names = None if table.names is None else tuple(table.names)
    return NodeFeatures(x, names, feature_names, encoder=encoder, **labels)


def _with_features(
    graph: Graph, features: NodeFeatures, *, missing: MissingFeatures, counted: bool
) -> Graph:
    """Return the graph with these features, and with the nodes that only they have."""
    joined = join_features(graph.ids, features, missing=missing, counted=counted)
    x, names, encoder = joined.x, features.feature_names, features.encoder
    y, label_names = joined.y, features.label_names
    if x is None and graph.x is not None:
        x, names, encoder = graph.x, graph.feature_names, graph.feature_encoder
    if y is None and graph.y is not None:
        y, label_names = np.full(len(joined.names), -1), graph.label_names
        y[joined.place] = graph.y
    again = Graph.from_edges(
        joined.place[graph.links],
        edge_weight=graph.link_weight,
        num_nodes=len(joined.names),
        x=x,
        feature_names=names,
        y=y,
        label_names=label_names,
        node_ids=joined.names,
        name=graph.name,
    )
    return replace(again, notes=graph.notes, feature_encoder=encoder)


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
    return replace(graph, notes=_notes(content), feature_encoder=_encoder(content, graph))


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


def _encoder(content: dict[str, np.ndarray], graph: Graph) -> TableEncoder | None:
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
