"""Graphs in arrays: the npz files of published benchmarks, npy files, and what is read apart.

===================  ============================================================================
gnn-benchmark        ``adj_data``, ``adj_indices``, ``adj_indptr``, ``adj_shape``; ``attr_*``
                     likewise; ``labels``; names
heterophilous graphs ``edges`` (E, 2), ``node_features``, ``node_labels``
PyG-like             ``edge_index`` (2, E), ``x``, ``y``, ``edge_weight``
WikipediaNetwork     ``edges`` (E, 2), ``features``, ``label`` or ``target``
===================  ============================================================================

Source: Shchur et al. (2018), `Pitfalls of Graph Neural Network Evaluation
<https://arxiv.org/abs/1811.05868>`_; Platonov et al. (2023), `A Critical Look at the Evaluation of
GNNs under Heterophily <https://arxiv.org/abs/2302.11640>`_.
"""

import logging
import operator
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vgae.data.matrices import sparse_from_arrays
from vgae.data.npy import npy_shape, read_npy
from vgae.data.reading import Reading
from vgae.errors import DataError, UsageError, printable
from vgae.graphs.graph import Graph
from vgae.graphs.interop import from_scipy

log = logging.getLogger(__name__)

_EDGES = ("edge_index", "edges", "edge_list")
_ADJ = ("adj", "adj_matrix", "adjacency", "A", "network", "net")
_X = (
    "x",
    "node_features",
    "features",
    "feature",
    "feat",
    "attr",
    "attr_matrix",
    "attributes",
    "X",
)
_Y = ("y", "node_labels", "labels", "label", "target", "group")
_WEIGHT = ("edge_weight", "edge_weights", "weight", "weights")
_NAMES = ("node_ids", "node_names", "ids")
_X_NAMES = ("feature_names", "attr_names")
_Y_NAMES = ("label_names", "class_names")
_PARTS = ("data", "indices", "indptr", "shape")


class Labels(NamedTuple):
    """Label of each node, and the names of the labels, empty if they are numbers from 0 on."""

    y: np.ndarray | None
    names: Sequence[str] = ()


class _Taken:
    """Arrays by name; those that are used are remembered."""

    def __init__(self, arrays: Mapping[str, np.ndarray]) -> None:
        self.arrays = arrays
        self.used: set[str] = set()

    def one(self, names: Collection[str]) -> tuple[str, np.ndarray] | None:
        """Return the first array of one of these names."""
        name = next((name for name in names if name in self.arrays), None)
        if name is None:
            return None
        self.used.add(name)
        return name, self.arrays[name]

    def matrix(self, names: Collection[str]) -> Any:
        """Return a sparse matrix or an array of one of these names, ``None`` without one."""
        for prefix in names:
            for dot in "_.":
                keys = [f"{prefix}{dot}{part}" for part in _PARTS]
                if all(key in self.arrays for key in keys):
                    self.used.update(keys)
                    parts = {part: self.arrays[k] for part, k in zip(_PARTS, keys, strict=True)}
                    return sparse_from_arrays({"format": np.array("csr"), **parts})
        found = self.one(names)
        return None if found is None else found[1]


def graph_of_arrays(
    arrays: Mapping[str, np.ndarray],
    name: str,
    reading: Reading,
    *,
    where: object,
    pickled: Sequence[str] = (),
) -> Graph:
    """Return the graph in arrays of one of the layouts above.

    Args:
        arrays: Arrays by name.
        name: Name of the graph.
        reading: Options.
        where: The file, for messages.
        pickled: Names of arrays that were not opened because they are pickled.

    Raises:
        DataError: ``NPZ_KEYS`` if they hold no graph; ``PICKLE_REFUSED`` if what would hold it is
            pickled; ``EDGES_AMBIGUOUS``; or as :meth:`vgae.Graph.from_edges`.
    """
    taken = _Taken(arrays)
    adj, edges = taken.matrix(_ADJ), taken.one(_EDGES)
    if adj is not None:
        links = from_scipy(weighed_matrix(adj, reading))
        del links["sides"]
    elif edges is not None:
        links = _links(taken, *edges, reading)
    else:
        raise _no_graph(arrays, pickled)
    x, labels, ids = taken.matrix(_X), taken.matrix(_Y), taken.one(_NAMES)
    found = None if labels is None else labels_of(labels, where)
    y, label_names = found or Labels(None)
    label_names = label_names or _names(taken, _Y_NAMES, None)
    nodes = {"x": x, "y": y, "node_ids": None if ids is None else ids[1].tolist()}
    if adj is None and "num_nodes" not in arrays and (x is not None or ids is not None):
        links["num_nodes"] = None  # from_edges takes that of x or of the names
    elif links.get("num_nodes") is None and y is not None:
        links["num_nodes"] = len(y)
    feature_names = _names(taken, _X_NAMES, None if x is None else x.shape[-1])
    left = [*sorted(set(arrays) - taken.used), *(f"{key} (pickled)" for key in pickled)]
    if left:
        log.info("%s: left out: %s", where, printable(", ".join(left)))
    return Graph.from_edges(
        **{**links, **nodes},
        feature_names=feature_names,
        label_names=label_names if y is not None and len(label_names) > y.max(initial=-1) else (),
        **reading.of_links(),
        missing_features="impute" if reading.missing_features == "impute" else "refuse",
        name=name,
    )


def _links(taken: _Taken, name: str, edges: np.ndarray, reading: Reading) -> dict[str, Any]:
    given = reading.weight not in (None, "none")
    weight, count = taken.one((reading.weight,) if given else _WEIGHT), taken.one(["num_nodes"])  # pyright: ignore
    if given and weight is None:
        raise DataError(
            "WEIGHT_COLUMN",
            f"it has no array {reading.weight!r:.60} (weight, --weight); it has"
            f" {printable(', '.join(taken.arrays))[:200]} (--weight none ignores all).",
        )
    values = None if weight is None else weight[1].reshape(-1)
    stated = {} if count is None else {"num_nodes": _count(count[1])}
    return {**weighed(oriented(edges, name), values, reading), **stated, "ordered": True}


def weighed(edges: np.ndarray, weight: np.ndarray | None, reading: Reading) -> dict[str, Any]:
    """Return edges and weights as arguments of :meth:`vgae.Graph.from_edges`.

    With ``reading.weight == "none"`` they have no weights. ``reading.drop_zero`` leaves out those
    of weight zero; then the number of nodes is that of all edges.
    """
    if weight is None or reading.weight == "none":
        return {"edges": edges, "edge_weight": None}
    if reading.drop_zero and weight.shape == edges.shape[1:] and (weight == 0).any():
        log.info("%d edges of weight zero left out", (weight == 0).sum())
        kept = {"edges": edges[:, weight != 0], "edge_weight": weight[weight != 0]}
        return {**kept, "num_nodes": int(edges.max()) + 1}
    return {"edges": edges, "edge_weight": weight}


def weighed_matrix(adj: Any, reading: Reading) -> Any:
    """Return an adjacency, with ones as its entries if ``reading.weight == "none"``."""
    check_entries_are_weights(reading, "the entries of the adjacency")
    return (adj != 0).astype(np.float32) if reading.weight == "none" else adj


def check_entries_are_weights(reading: Reading, weights: str) -> None:
    """Raise ``UsageError`` if ``reading.weight`` is the name of a column."""
    if reading.weight not in (None, "none"):
        raise UsageError(
            "WEIGHT_COLUMN",
            f"the weights are {weights}, there is no column {reading.weight!r:.60} (weight,"
            " --weight); leave it out, or give 'none' for links without weights.",
        )


def _no_graph(arrays: Mapping[str, np.ndarray], pickled: Sequence[str]) -> DataError:
    if pickled:
        return DataError(
            "PICKLE_REFUSED",
            f"it holds pickled objects ({printable(', '.join(pickled))[:100]}), which are not"
            " opened, and no graph beside them; save arrays of numbers: edge_index, x, y.",
        )
    return DataError(
        "NPZ_KEYS",
        "it must hold format, num_nodes, edges and all that keys lists; or a sparse matrix of"
        " scipy; or adj_data, adj_indices, adj_indptr and adj_shape; or edge_index or edges (and"
        f" x, y); found {printable(', '.join(arrays))[:200] or 'nothing'}.",
    )


def labels_of(values: Any, where: object) -> Labels | None:
    """Return one label for each node, or ``None``, with a message, if there is none.

    Args:
        values: Integers, floats without fractions, truth values or texts, shape ``(N,)`` or
            ``(N, 1)``; or one-hot rows, dense or sparse, shape ``(N, C)``. NaN is unknown.
        where: The file, for messages.
    """
    if values.ndim == 2 and values.shape[1] > 1:
        table = values.toarray() if hasattr(values, "toarray") else values
        hot = (table != 0).sum(axis=1)
        if hot.max(initial=0) > 1:
            log.info("%s: labels left out: up to %d for one node", where, hot.max())
            return None
        return Labels(np.where(hot == 1, (table != 0).argmax(axis=1), -1))
    flat = (values.toarray() if hasattr(values, "toarray") else np.asarray(values)).reshape(-1)
    if flat.dtype.kind == "f":
        known = flat[~np.isnan(flat)]
        if (known != np.floor(known)).any() or (np.abs(known) > 2**53).any():
            log.info("%s: labels left out: numbers with fractions are not classes", where)
            return None
        flat = np.where(np.isnan(flat), -1, flat).astype(np.int64)
    if flat.dtype.kind in "iub" and flat.min(initial=0) >= -1 and flat.max(initial=0) < len(flat):
        lowest = flat[flat >= 0].min(initial=len(flat))
        if lowest in (0, len(flat)):
            return Labels(flat.astype(np.int64))
    if flat.dtype.kind not in "iubU":
        log.info("%s: labels left out: they are %s", where, flat.dtype)
        return None
    known = ~np.isin(flat, [""] if flat.dtype.kind == "U" else [-1])
    names, codes = np.unique(flat[known], return_inverse=True)
    y = np.full(len(flat), -1)
    y[known] = codes
    return Labels(y, tuple(map(str, names.tolist())))


def oriented(edges: np.ndarray, name: str) -> np.ndarray:
    """Return edges with shape ``(2, E)``, given either way round.

    Raises:
        DataError: ``EDGES_AMBIGUOUS`` for shape ``(2, 2)``, unless the name is ``edge_index``.
    """
    if edges.shape == (2, 2) and name != "edge_index":
        raise DataError(
            "EDGES_AMBIGUOUS",
            f"{name} of shape (2, 2) may have an edge a row or a column; save it as edge_index,"
            " with the sources in the first row.",
        )
    is_tall = edges.ndim == 2 and edges.shape[1] == 2 and edges.shape[0] != 2
    return edges.T if is_tall else edges


def is_adjacency(path: Path) -> bool:
    """Return whether the array of a npy file is square.

    Raises:
        DataError: ``EDGES_AMBIGUOUS`` if it may also be a list of two or three edges; or as
            :func:`vgae.data.npy.read_npy`.
    """
    shape = npy_shape(path)
    if shape in ((2, 2), (3, 3)):
        raise DataError(
            "EDGES_AMBIGUOUS",
            f"{path}: an array of shape {shape} may be an adjacency or {shape[0]} edges; say"
            " format='adjacency' or format='edges' (--format adjacency or edges).",
        )
    return len(shape) == 2 and shape[0] == shape[1]


def may_hold_graph(path: Path) -> bool:
    """Return whether a npy file is square, or has 2 or 3 rows or columns; not of a damaged one."""
    try:
        shape = npy_shape(path)
    except DataError:
        return False
    return len(shape) == 2 and (shape[0] == shape[1] or bool({2, 3} & {*shape}))


def read_npy_adjacency(path: Path, reading: Reading, name: str) -> Graph:
    """Return the graph of a square array, whose entries are weights."""
    adj = weighed_matrix(read_npy(path), reading)
    return Graph.from_scipy(adj, **reading.of_links(), name=name)


def read_npy_edges(path: Path, reading: Reading, name: str) -> Graph:
    """Return the graph of an array of edges, shape ``(E, 2)`` or ``(2, E)``; or 3 with weights.

    Raises:
        DataError: ``EDGE_INDEX_SHAPE`` for another shape, ``EDGE_INDEX_DTYPE`` if the ends are
            not whole numbers.
    """
    edges = read_npy(path)
    if edges.ndim != 2 or not {2, 3} & {*edges.shape}:
        raise DataError(
            "EDGE_INDEX_SHAPE",
            "a graph must be a square adjacency (N, N), or edges (E, 2) or (2, E), with weights"
            f" (E, 3) or (3, E); got shape {edges.shape}.",
        )
    if edges.shape[1] in (2, 3) and edges.shape[0] != 2:
        edges = edges.T
    ends = edges[:2]
    if ends.dtype.kind == "f" and (ends == np.floor(ends)).all() and (np.abs(ends) < 2**53).all():
        ends = ends.astype(np.int64)
    log.info("%s: %s edges%s", path, f"{edges.shape[1]:,}", " with weights" * (len(edges) > 2))
    check_entries_are_weights(reading, "the third numbers")
    return Graph.from_edges(
        **weighed(ends, edges[2] if len(edges) > 2 else None, reading),
        **reading.of_links(),
        name=name,
    )


def _names(taken: _Taken, names: Collection[str], length: int | None) -> Sequence[str]:
    """Return names of columns, none if there are not as many as columns."""
    found = taken.one(names)
    if found is None or found[1].ndim != 1 or length not in (None, len(found[1])):
        return ()
    return [str(name) for name in found[1].tolist()]


def _count(array: np.ndarray) -> int:
    try:
        return operator.index(array.reshape(-1)[0]) if array.size == 1 else operator.index(array)
    except TypeError:
        raise DataError("NPZ_CORRUPT", "num_nodes must be one integer.") from None
