"""Cora, CiteSeer, PubMed and other graphs in the raw form of Planetoid.

Source: Yang, Cohen & Salakhutdinov (2016), `Revisiting Semi-Supervised Learning with Graph
Embeddings <https://arxiv.org/abs/1603.08861>`_; https://github.com/kimiyoung/planetoid.

========  ======  ======  ========  =======  ========
name      nodes   links   features  classes  isolated
========  ======  ======  ========  =======  ========
cora      2,708   5,278   1,433     7        0
citeseer  3,327   4,552   3,703     6        48
pubmed    19,717  44,324  500       3        0
========  ======  ======  ========  =======  ========
"""

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from vgae.data._stub_pickle import read_adjacency, read_bytes, read_csr, read_matrix
from vgae.data.catalog import Entry, Features, cache_home, catalogue, entry, fetch, missing
from vgae.data.graph_npz import read_npz, write_npz
from vgae.errors import DataError, ResourceError, check_choice
from vgae.graphs.graph import Graph

_LABEL_PARTS = {"ally", "ty"}

# Classes by number, as PyG and others count them; the sizes of the classes agree with those that
# Sen et al. (2008) name, and the order of PubMed's is that of its own files.
_CLASSES = {
    "cora": (
        *("theory", "reinforcement learning", "genetic algorithms", "neural networks"),
        *("probabilistic methods", "case-based", "rule learning"),
    ),
    "citeseer": ("AI", "ML", "IR", "DB", "agents", "HCI"),
    "pubmed": ("experimental", "type 1", "type 2"),
}

# Increment it when the same files give another graph, so that old conversions are not used.
_CONVERSION = 1


class _Table(NamedTuple):
    """Features or labels of known nodes, of test nodes, and a row for nodes without any."""

    rows: Any  # known + tested + 1 of them
    known: int  # rows of ``allx`` or ``ally``
    tested: int  # rows of ``tx`` or ``ty``
    path: Path  # of ``tx`` or ``ty``, for errors


class NodeSplit(NamedTuple):
    """Training, validation and test nodes: int64 indices, all different."""

    train: Tensor
    val: Tensor
    test: Tensor


def load_planetoid(
    name: str, *, features: Features = "raw", progress: bool | None = None
) -> Graph:
    """Load a data set of the catalogue; download it if necessary.

    Each file is verified by its sha256, read without unpickling, and converted once to an npz in
    the cache folder (``$VGAE_CACHE``, or the user's), which later calls read.

    Args:
        name: ``"cora"``, ``"citeseer"`` or ``"pubmed"``.
        features: ``"none"`` omits ``x``, and does not need its files.
        progress: Whether to show a download on stderr; see :func:`vgae.fit`.

    Raises:
        UsageError: ``FEATURES``.
        DataError: ``UNKNOWN_DATASET``, or as :func:`vgae.data.catalog.fetch`.
    """
    check_choice("features", features, Features)
    known = entry(name)
    if known.kind != "planetoid":
        raise DataError("UNKNOWN_DATASET", f"{name!r} is of kind {known.kind}, not planetoid.")
    converted = _converted(known, features)
    graph = _read_converted(converted, known, features)
    if graph is None:
        used = [f"ind.{known.name}.{part}" for part in _parts(features)]
        try:
            files = fetch(known, names=used, progress=progress)
        except DataError as error:
            links = {f"ind.{known.name}.{part}" for part in _parts("none")}
            if error.code == "OFFLINE" and links.isdisjoint(missing(known)):
                hint = "The files of its links are present: --features none needs no others."
                raise DataError(error.code, f"{error}\n  {hint}") from error
            raise
        graph = read_planetoid(files, known.name, features=features)
        # The conversion only saves time: a folder that cannot be written is not an error.
        with suppress(ResourceError):
            write_npz(graph, converted)
    return graph if graph.y is None else replace(graph, label_names=_CLASSES.get(known.name, ()))


def public_split(graph: Graph) -> NodeSplit | None:
    """Return the published split of Cora, CiteSeer and PubMed, ``None`` for other graphs.

    The first 20 nodes per class in the order of :func:`read_planetoid` are for training (20 of
    each class, in mixed order), the next 500 for validation; ``test.index`` lists the test nodes.

    Source: Yang, Cohen & Salakhutdinov (2016), section 5.2; the validation nodes are those of
    Kipf & Welling (2017), `Semi-Supervised Classification with Graph Convolutional Networks
    <https://arxiv.org/abs/1609.02907>`_.

    Args:
        graph: Its name, nodes and links must be those of a data set; features may differ.

    Raises:
        DataError: As :func:`load_planetoid`, if name and number of nodes match.
    """
    known = catalogue().get(graph.name.lower())
    if known is None or known.kind != "planetoid" or graph.num_nodes != known.counts.get("nodes"):
        return None
    if graph.link_fingerprint != load_planetoid(known.name, features="none").link_fingerprint:
        return None
    file = f"ind.{known.name}.test.index"
    test = _test_index(fetch(known, names=[file])[file], graph.num_nodes)
    num_train = 20 * known.counts["classes"]
    nodes = torch.arange(num_train + 500)
    return NodeSplit(nodes[:num_train], nodes[num_train:], torch.from_numpy(np.sort(test)))


def read_planetoid(files: Mapping[str, Path], name: str, *, features: Features = "raw") -> Graph:
    """Read the files ``ind.<name>.<part>`` of a data set, of the catalogue or your own.

    The order of nodes is that of Kipf and of PyG: the rows of ``allx``, then the test nodes, row
    ``k`` of ``tx`` belonging to node ``test.index[k]``. A node of the graph without a row in
    either (CiteSeer has 15) gets zero features and the label -1. There is one node per key of the
    graph, with or without features.

    Args:
        files: Path of each file, by its name. ``graph`` and ``test.index`` are required, with
            features also ``allx`` and ``tx``; labels need ``ally`` and ``ty``. ``x`` and ``y``
            repeat rows of ``allx`` and ``ally`` and are not read.
        name: Middle part of the names of the files.
        features: ``"none"`` omits ``x``.

    Raises:
        UsageError: ``FEATURES``.
        DataError: ``PLANETOID_MISSING``, ``CANNOT_READ``; ``PICKLE_REFUSED`` if a file holds more
            than data; ``PLANETOID_CORRUPT`` if it is damaged or the files disagree.
    """
    check_choice("features", features, Features)
    paths = {part: files.get(f"ind.{name}.{part}") for part in _parts(features)}
    needed = [part for part in _parts(features) if part not in _LABEL_PARTS]
    if absent := [f"ind.{name}.{part}" for part in needed if paths[part] is None]:
        raise DataError("PLANETOID_MISSING", f"{name} lacks the files {', '.join(absent)}.")
    found = {part: path for part, path in paths.items() if path is not None}
    edges, num_nodes = _edges(found["graph"])
    test = _test_index(found["test.index"], num_nodes)
    tables: dict[str, _Table] = {}
    if features == "raw":
        tables["x"] = _read_features(found)
    if found.keys() >= _LABEL_PARTS:
        tables["y"] = _read_labels(found)
    if len({table.known for table in tables.values()}) > 1:
        raise _corrupt(found["ally"], "it has another number of rows than allx")
    placed = {key: _by_node(table, test, num_nodes) for key, table in tables.items()}
    return Graph.from_edges(edges, num_nodes=num_nodes, name=name, **placed)


def _parts(features: Features) -> tuple[str, ...]:
    """Return the parts that are read, of all eight."""
    parts = ("graph", "test.index", "ally", "ty")
    return (*parts, "allx", "tx") if features == "raw" else parts


def _corrupt(path: Path, what: str) -> DataError:
    return DataError("PLANETOID_CORRUPT", f"{path} is damaged or of another data set: {what}.")


def _edges(path: Path) -> tuple[np.ndarray, int]:
    """Return the edges of a file, shape ``(2, E)``, and the number of nodes."""
    adjacency = read_adjacency(path)
    num_nodes = len(adjacency)
    for node in chain(adjacency, *adjacency.values()):
        if not 0 <= node < num_nodes:
            raise _corrupt(path, f"it has {num_nodes} nodes, numbered from 0, and names {node}")
    pairs = [(u, v) for u, neighbours in adjacency.items() for v in neighbours]
    return np.array(pairs, dtype=np.int64).reshape(-1, 2).T, num_nodes


def _test_index(path: Path, num_nodes: int) -> np.ndarray:
    """Return the node of each row of ``tx``; all differ and lie in ``[0, num_nodes)``."""
    tokens = read_bytes(path).split()
    if not tokens:
        raise _corrupt(path, "it is empty")
    for line, token in enumerate(tokens, start=1):
        # bytes.isdigit accepts ASCII digits only; the length bounds the integer.
        if not token.isdigit() or len(token) > 9 or int(token) >= num_nodes:
            text = ascii(token[:20])[1:]
            raise _corrupt(path, f"entry {line} is {text}, not one of the {num_nodes} nodes")
    test = np.array(tokens, dtype=np.int64)
    nodes, times = np.unique(test, return_counts=True)
    if len(nodes) < len(test):
        raise _corrupt(path, f"it names node {nodes[times > 1][0]} more than once")
    return test


def _read_features(found: Mapping[str, Path]) -> _Table:
    # The types of scipy lack the shape of a sparse array; hence Any.
    matrices: list[Any] = [read_csr(found[part]) for part in ("allx", "tx")]
    for part, matrix in zip(("allx", "tx"), matrices, strict=True):
        with np.errstate(over="ignore"):
            if not np.isfinite(matrix.data.astype(np.float32)).all():
                raise _corrupt(found[part], "a feature is not finite")
    (known, columns), (tested, tx_columns) = (matrix.shape for matrix in matrices)
    if columns != tx_columns:
        raise _corrupt(found["tx"], f"it has {tx_columns} columns, allx {columns}")
    nothing = sp.csr_array((1, columns), dtype=np.float32)
    rows = sp.csr_array(sp.vstack([*matrices, nothing], format="csr"))
    return _Table(rows, known, tested, found["tx"])


def _read_labels(found: Mapping[str, Path]) -> _Table:
    ally, ty = (read_matrix(found[part]) for part in ("ally", "ty"))
    if ally.shape[1] != ty.shape[1]:
        raise _corrupt(found["ty"], f"it has {ty.shape[1]} columns, ally {ally.shape[1]}")
    labels = [_label_of_row(ally, found["ally"]), _label_of_row(ty, found["ty"])]
    return _Table(np.concatenate([*labels, [-1]]), len(ally), len(ty), found["ty"])


def _label_of_row(matrix: np.ndarray, path: Path) -> np.ndarray:
    """Return the column of the one in each row, -1 where there is none."""
    if not np.isin(matrix, (0, 1)).all() or (matrix.sum(axis=1) > 1).any() or not matrix.shape[1]:
        raise _corrupt(path, "a row is not a label, that is, zeros and at most one 1")
    return np.where(matrix.any(axis=1), matrix.argmax(axis=1), -1)


def _by_node(table: _Table, test: np.ndarray, num_nodes: int) -> Any:
    """Return the rows of a table in the order of nodes."""
    if table.tested != len(test):
        what = f"it has {table.tested} rows for the {len(test)} nodes of test.index"
        raise _corrupt(table.path, what)
    if table.known > test.min():
        what = f"test.index names node {test.min()}, one of {table.known} that have a row already"
        raise _corrupt(table.path, what)
    row = np.full(num_nodes, -1)  # the last one
    row[: table.known] = np.arange(table.known)
    row[test] = table.known + np.arange(table.tested)
    return table.rows[row]


def _converted(known: Entry, features: Features) -> Path:
    """Return the path of the conversion; its name depends on all that determines it."""
    origin = [str(_CONVERSION), features, *(info.sha256 for info in known.files.values())]
    digest = hashlib.sha256("/".join(origin).encode()).hexdigest()[:16]
    return cache_home() / "converted" / f"{known.name}-{features}-{digest}.npz"


def _read_converted(path: Path, known: Entry, features: Features) -> Graph | None:
    """Return the conversion, or None if it is missing or damaged."""
    if not path.is_file():
        return None
    try:
        graph = read_npz(path)
    except DataError:  # It is damaged, and written again.
        return None
    # An archive has a checksum for each member, but none for the list of its members.
    complete = graph.name == known.name and graph.y is not None
    return graph if complete and (graph.x is None) == (features == "none") else None
