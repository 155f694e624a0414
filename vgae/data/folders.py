"""Graphs whose files are published together: OGB, geom-gcn, MUSAE, and LINQS (Cora).

===========  ===================================================================================
OGB          ``edge.csv.gz``, ``num-node-list.csv.gz``, ``node-feat.csv.gz``,
             ``node-label.csv.gz``, ``edge-weight.csv.gz``, in a folder or its folder ``raw``;
             the validation and test links of ``split/KIND/*.pt`` beside ``raw``, if it has links
             of a split, since ``edge.csv`` has the training links alone
geom-gcn     ``out1_graph_edges.txt``, ``out1_node_feature_label.txt``
MUSAE        ``*_edges.csv``, ``*_features.json``, ``*_target.csv``
LINQS        ``NAME.cites``, ``NAME.content``; either file stands for both
===========  ===================================================================================

Source: Hu et al. (2020), `Open Graph Benchmark <https://arxiv.org/abs/2005.00687>`_; Pei et al.
(2020), `Geom-GCN <https://arxiv.org/abs/2002.05287>`_; Rozemberczki, Allen & Sarkar (2021),
`Multi-scale Attributed Node Embedding <https://arxiv.org/abs/1909.13021>`_; Sen et al. (2008),
`Collective Classification in Network Data <https://doi.org/10.1609/aimag.v29i3.2157>`_.
"""

import logging
from array import array
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp

from vgae.data.array_graphs import check_entries_are_weights, labels_of, weighed
from vgae.data.ogb import with_held_out
from vgae.data.packed import whole
from vgae.data.reading import Reading
from vgae.data.text import normalised, read_lines, split_records, typed_names
from vgae.errors import DataError
from vgae.graphs.graph import Graph, NodeId
from vgae.runtime.numerals import parse_number
from vgae.runtime.reading import brief, file_size, parsed_json

log = logging.getLogger(__name__)
Reader = Callable[[Path, Reading, str], Graph]
_SUFFIXES = ("", ".gz", ".bz2", ".xz", ".zip")
_CLASSES = ("target", "ml_target", "page_type", "mature", "label")
_WIDEST = 10**7
_LARGEST = 3e38


class Rows(NamedTuple):
    """Nodes with features and labels.

    Attributes:
        names: Name of each node.
        x: Features, float32, shape ``(N, F)``; ``None`` without.
        labels: Label of each node, text; ``None`` without.
    """

    names: list[NodeId]
    x: Any = None
    labels: Sequence[str] | None = None


def published_reader(path: Path) -> Reader | None:
    """Return the reader of a folder of one of the layouts above, ``None`` for another one."""
    return next((reader for reader, find in _LOOKED_FOR.items() if find(path)), None)


def read_citations(path: Path, reading: Reading, name: str) -> Graph:
    """Return the graph of ``NAME.content`` and ``NAME.cites``, given either.

    A line of the first is a paper, its words as numbers, and its class; a line of the second is a
    cited and a citing paper. Papers without a line of words are treated as
    ``reading.missing_features`` says.

    Raises:
        DataError: ``CANNOT_READ`` if one of them is missing; ``FIELDS``; ``FEATURE_DTYPE``;
            ``NODE_ID`` for a paper with two lines; ``NODE_SET_MISMATCH``; or as
            :func:`vgae.data.text.read_lines`.
    """
    stem = path.name.rsplit(".content", 1)[0].rsplit(".cites", 1)[0]
    content, cites = (_present(path.parent / f"{stem}{end}") for end in (".content", ".cites"))
    names: list[str] = []
    labels: list[str] = []
    values, width = array("f"), 0
    for number, fields in _records(content, reading, "\t"):
        width = width or len(fields)
        if len(fields) != width or width < 3:
            what = f"expected {max(width, 3)} fields, paper, words and class, got {len(fields)}"
            raise DataError("FIELDS", f"{content}, line {number}: {what}.")
        names.append(fields[0])
        labels.append(fields[-1])
        values.extend(_numbers(fields[1:-1], content, number))
    if not names:
        raise DataError("FEATURE_SHAPE", f"{content}: it has no papers.")
    pairs = _pairs(cites, reading, "\t")
    x = np.frombuffer(values, np.float32).reshape(len(names), -1)
    rows = Rows([*names], sp.csr_array(x) if (x == 0).mean() > 0.8 else x, labels)
    return _graph(path, name, reading, pairs, rows)


def list_features(path: Path) -> Rows:
    """Return the features of a JSON object: a list for each node, by name.

    Lists of different lengths hold the indices of the features that are 1; lists of the same
    length hold numbers if one of them is written with a point or occurs twice in its list.

    Raises:
        DataError: ``JSON_CORRUPT``; ``FEATURE_LISTS`` if it is no such object, or if its lists may
            hold indices as well as numbers; ``FILE_SIZE``.
    """
    try:
        content = parsed_json(whole(path))
    except DataError:
        raise
    except ValueError as error:
        raise DataError("JSON_CORRUPT", f"{path}: it is not JSON ({brief(error)}).") from None
    if not isinstance(content, dict) or not content:
        raise DataError(
            "FEATURE_LISTS",
            f"{path}: features in JSON are an object with a list of numbers for each node.",
        )
    for node, row in content.items():
        if not isinstance(row, list) or not all(
            type(value) in (int, float) and abs(value) < _LARGEST for value in row
        ):
            what = f"node {node!a:.60} must have a list of numbers"
            raise DataError("FEATURE_LISTS", f"{path}: {what}.")
    return Rows(list(typed_names([*content])), _features_of([*content.values()], path))


def geom_features(path: Path, reading: Reading) -> Rows:
    """Return features and labels of ``*_node_feature_label.txt`` of geom-gcn.

    Raises:
        DataError: ``FIELDS``, ``FEATURE_DTYPE``, ``FEATURE_LISTS``; or as
            :func:`vgae.data.text.read_lines`.
    """
    names, rows, labels = [], [], []
    for number, fields in _records(path, reading, "\t"):
        if fields[0].casefold() == "node_id":
            continue
        if len(fields) != 3:
            what = f"expected node, features and label separated by tabs, got {len(fields)} fields"
            raise DataError("FIELDS", f"{path}, line {number}: {what}.")
        names.append(fields[0])
        rows.append(_numbers(fields[1].split(","), path, number))
        labels.append(fields[2])
    return Rows(list(typed_names(names)), _features_of(rows, path, is_text=True), labels)


def _features_of(rows: Sequence[Sequence[float]], path: Path, *, is_text: bool = False) -> Any:
    """Return lists of numbers, or of the indices of ones, as features."""
    lengths = {*map(len, rows)}
    repeated = any(len({*row}) < len(row) for row in rows)
    is_whole = all(0 <= value < 2**53 and value == int(value) for row in rows for value in row)
    has_point = not is_text and any(type(value) is float for row in rows for value in row)
    if len(lengths) == 1 and (repeated or has_point or not is_whole) and lengths != {0}:
        log.info("%s: a row of %d numbers for each node", path, lengths.pop())
        return np.array(rows, np.float64)
    if has_point or repeated or not is_whole:
        raise DataError(
            "FEATURE_LISTS",
            f"{path}: lists of different lengths must hold the indices of features, whole numbers"
            " from 0 on, each once.",
        )
    if len(lengths) == 1 and len(rows) > 1:
        raise DataError(
            "FEATURE_LISTS",
            f"{path}: lists of one length may hold numbers or the indices of features; save a"
            " table of the numbers as .csv or .npy.",
        )
    indices = np.array([int(value) for row in rows for value in row], np.int64)
    width = int(indices.max(initial=0)) + 1
    if width > _WIDEST:
        raise DataError("FEATURE_LISTS", f"{path}: index {width - 1} of a feature is too large.")
    indptr = np.cumsum([0, *map(len, rows)])
    log.info("%s: indices of %d features", path, width)
    ones = np.ones(len(indices), np.float32)
    return sp.csr_array((ones, indices, indptr), shape=(len(rows), width))


def _read_ogb(path: Path, reading: Reading, name: str) -> Graph:
    raw = path if _found(path, "edge.csv") else path / "raw"
    name = path.parent.name if path.name == "raw" else name
    counts = _table(raw, "num-node-list.csv", reading)[:, 0]
    if len(counts) != 1:
        raise DataError("FOLDER_LAYOUT", f"{raw}: it holds {len(counts)} graphs, not one.")
    if not 0 <= counts[0] < 2**53 or counts[0] != int(counts[0]):
        raise DataError("FIELDS", f"{raw}: {counts[0]} is no number of nodes.")
    edges = _table(raw, "edge.csv", reading)
    feat, label = (
        _table(raw, file, reading) if _found(raw, file) else None
        for file in ("node-feat.csv", "node-label.csv")
    )
    weight, stated = (
        _table(raw, file, reading)[:, 0] if _found(raw, file) else None
        for file in ("edge-weight.csv", "num-edge-list.csv")
    )
    if stated is not None and stated.sum() != len(edges):
        what = f"edge.csv has {len(edges)} lines and num-edge-list.csv states {stated.sum():.0f}"
        raise DataError("FOLDER_LAYOUT", f"{raw}: {what}; download it again.")
    if edges.shape[1] != 2 or (edges != np.floor(edges)).any():
        raise DataError("FIELDS", f"{raw}: edge.csv must have two whole numbers a line.")
    pairs = edges.astype(np.int64).T
    if raw != path:
        pairs = with_held_out(pairs, path, weighted=weight is not None)
    found = None if label is None else labels_of(label, raw)
    read = ("edge.csv", "node-feat.csv", "node-label.csv", "edge-weight.csv")
    read += ("num-node-list.csv", "num-edge-list.csv")
    _tell_others(raw, [place for file in read if (place := _found(raw, file))])
    check_entries_are_weights(reading, "edge-weight.csv")
    return Graph.from_edges(
        **{**weighed(pairs, weight, reading), "num_nodes": int(counts[0])},
        x=feat,
        y=None if found is None else found.y,
        label_names=() if found is None else found.names,
        **reading.of_links(),
        ordered=True,
        name=name,
    )


def _tell_others(folder: Path, used: Sequence[Path | None]) -> None:
    if others := {*folder.glob("*.csv*"), *folder.glob("*.json*")} - {*used}:
        log.info("%s: left out: %s", folder, ", ".join(sorted(path.name for path in others)))


def _read_geom(path: Path, reading: Reading, name: str) -> Graph:
    pairs = _pairs(_present(path / "out1_graph_edges.txt"), reading, "\t")
    rows = geom_features(_present(path / "out1_node_feature_label.txt"), reading)
    return _graph(path, name, reading, pairs, rows)


def _read_musae(path: Path, reading: Reading, name: str) -> Graph:
    (edges,) = _only(path, "*_edges.csv*")
    stem = edges.name.split("_edges.csv")[0]
    pairs = _pairs(edges, reading, ",")
    features, target = (_found(path, f"{stem}{end}") for end in ("_features.json", "_target.csv"))
    _tell_others(path, [edges, features, target])
    rows = Rows(list(typed_names([*dict.fromkeys(end for pair in pairs for end in pair)])))
    if features is not None:
        rows = list_features(features)
    if target is not None:
        rows = rows._replace(labels=_musae_labels(target, rows.names, reading))
    return _graph(path, stem or name, reading, pairs, rows)


def _musae_labels(path: Path, names: Sequence[NodeId], reading: Reading) -> list[str] | None:
    """Return the label of each node in a table with a header; its column is announced."""
    records = _records(path, reading, ",")
    _, head = next(records, (0, [""]))
    wanted = (reading.label_column,) if reading.label_column else _CLASSES
    column = next((head.index(key) for key in wanted if key in head), None)
    if column is None:
        log.info("%s: left out, no column of labels among %s", path, ", ".join(head))
        return None
    node = next((head.index(key) for key in ("new_id", "id") if key in head), 0)
    found = {}
    for number, fields in records:
        if len(fields) != len(head):
            what = f"expected {len(head)} fields as in the header, got {len(fields)}"
            raise DataError("FIELDS", f"{path}, line {number}: {what}.")
        found[fields[node]] = fields[column]
    log.info("%s: labels from %r", path, head[column])
    return [found.get(str(name), "") for name in names]


def _read_linqs(path: Path, reading: Reading, name: str) -> Graph:  # noqa: ARG001
    (content,) = _only(path, "*.content*")
    return read_citations(content, reading, content.name.split(".content")[0])


def _graph(
    path: Path, name: str, reading: Reading, pairs: Sequence[tuple[str, str]], rows: Rows
) -> Graph:
    """Return the graph of links between nodes with rows of features and labels."""
    from vgae.data.node_features import NodeFeatures, join_features

    given = [str(node) for node in rows.names]
    if len({*given}) < len(given):
        seen: set[str] = set()
        twice = next(node for node in given if node in seen or seen.add(node))
        raise DataError(
            "NODE_ID", f"{path}: each node must have one line, got {twice!r:.60} again."
        )
    every = list(dict.fromkeys([*given, *(end for pair in pairs for end in pair)]))
    place_of = {node: place for place, node in enumerate(every)}
    edges = np.array([(place_of[u], place_of[v]) for u, v in pairs], np.int64).reshape(-1, 2).T
    x = rows.x
    if x is not None:
        features = NodeFeatures(x, tuple(given))
        missing = reading.missing_features
        x = join_features(every, features, missing=missing, counted=True).x
    y = None
    if rows.labels is not None:
        texts = [*rows.labels, *[""] * (len(every) - len(given))]
        y = labels_of(_classes(texts), path)
    return Graph.from_edges(
        edges,
        num_nodes=len(every),
        x=x,
        y=None if y is None else y.y,
        label_names=() if y is None else y.names,
        node_ids=normalised(typed_names(every), reading.normalize),
        **reading.of_links(),
        ordered=True,
        name=name,
    )


def _classes(texts: Sequence[str]) -> np.ndarray:
    """Return labels as integers if all known ones are, else as text, empty where unknown."""
    known = [text for text in texts if text]
    if known and all(type(name) is int and -1 <= name < 2**31 for name in typed_names(known)):
        return np.array([int(text) if text else -1 for text in texts], np.int64)
    return np.array(texts)


def _pairs(path: Path, reading: Reading, delimiter: str) -> list[tuple[str, str]]:
    """Return the first two fields of each line; a first line with other kinds of names is left."""
    pairs = []
    for number, fields in _records(path, reading, delimiter):
        if len(fields) < 2 or not (fields[0] and fields[1]):
            what = f"expected two names, got {','.join(fields)!r:.60}"
            raise DataError("FIELDS", f"{path}, line {number}: {what}.")
        pairs.append((fields[0], fields[1]))
    if not pairs:
        raise DataError("NO_EDGES", f"{path}: it has no edges.")
    head = pairs[0]
    is_numbered = all(name.isdecimal() for pair in pairs[1:50] for name in pair)
    return pairs[1:] if is_numbered and len(pairs) > 1 and not head[0].isdecimal() else pairs


def _records(path: Path, reading: Reading, delimiter: str) -> Any:
    return split_records(read_lines(path, encoding=reading.encoding), delimiter, path)


def _table(folder: Path, name: str, reading: Reading) -> np.ndarray:
    """Return a table of numbers without a header, float64; an empty cell is NaN."""
    path = _present(folder / name)
    values, width = array("d"), 0
    for number, fields in _records(path, reading, ","):
        width = width or len(fields)
        if len(fields) != width:
            what = f"expected {width} fields as in the first line, got {len(fields)}"
            raise DataError("FIELDS", f"{path}, line {number}: {what}.")
        values.extend(_numbers([field or "nan" for field in fields], path, number))
    return np.frombuffer(values).reshape(-1, width or 1)


def _numbers(fields: Sequence[str], path: Path, number: int) -> list[float]:
    try:
        return [parse_number(field) for field in fields]
    except ValueError:
        what = f"expected numbers, got {','.join(fields)!r:.60}"
        raise DataError("FEATURE_DTYPE", f"{path}, line {number}: {what}.") from None


def _found(folder: Path, name: str) -> Path | None:
    paths = (folder / f"{name}{suffix}" for suffix in _SUFFIXES)
    return next((path for path in paths if path.is_file()), None)


def _present(path: Path) -> Path:
    found = _found(path.parent, path.name)
    if found is None:
        raise DataError("CANNOT_READ", f"{path}: it is missing; its graph needs this file.")
    file_size(found)
    return found


def _only(folder: Path, pattern: str) -> list[Path]:
    found = [path for path in folder.glob(pattern) if path.is_file()]
    return found if len(found) == 1 else []


_LOOKED_FOR: dict[Reader, Callable[[Path], Any]] = {
    _read_ogb: lambda path: _found(path, "edge.csv") or _found(path / "raw", "edge.csv"),
    _read_geom: lambda path: _found(path, "out1_graph_edges.txt"),
    _read_musae: lambda path: _only(path, "*_edges.csv*"),
    _read_linqs: lambda path: _only(path, "*.content*"),
}

_OF_LISTS = frozenset(("missing_features", "encoding", "normalize"))
FOLDER_OPTIONS: dict[Reader, frozenset[str]] = {
    _read_ogb: frozenset(("weight", "drop_zero", "encoding")),
    _read_geom: _OF_LISTS,
    _read_musae: _OF_LISTS | {"label_column"},
    _read_linqs: _OF_LISTS,
}
"""Options that readers of folders take, beside those of all formats."""
