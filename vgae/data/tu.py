"""Collections of graphs in the layout of TU Dortmund: a folder, its folder ``raw``, or a zip.

=============================  =================================================================
``NAME_A.txt``                 two numbers of nodes, from 1 on, for each edge
``NAME_graph_indicator.txt``   number of the graph, from 1 on, of each node
``NAME_graph_labels.txt``      label of each graph
``NAME_node_attributes.txt``   numbers of each node
``NAME_node_labels.txt``       kind of each node, one number or several
``NAME_edge_attributes.txt``   numbers of each edge; weights by ``weight="edge_attributes"``
``NAME_edge_labels.txt``       kind of each edge; weights by ``weight="edge_labels"``
=============================  =================================================================

Features are the attributes of the nodes, then a column for each kind of node. Names of graphs are
their numbers.

Source: Morris et al. (2020), `TUDataset: A Collection of Benchmark Datasets for Learning with
Graphs <https://arxiv.org/abs/2007.08663>`_.
"""

import io
import logging
import zipfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple, NoReturn

import numpy as np

from vgae.data.graph_tables import labelled, labels_in_text, links_within
from vgae.data.packed import unpacked
from vgae.data.reading import Reading
from vgae.errors import DataError, UsageError
from vgae.graphs.collection import GraphCollection
from vgae.graphs.graph import Graph
from vgae.runtime import limits
from vgae.runtime.reading import brief

log = logging.getLogger(__name__)

TU_OPTIONS = frozenset(("weight",))
"""Options that this layout takes, beside those that all take."""

_LINKS, _NODES = "_A.txt", "_graph_indicator.txt"
_OF_EDGES = ("edge_attributes", "edge_labels")
_OTHERS = ("graph_labels", "node_attributes", "node_labels", *_OF_EDGES, "graph_attributes")
_MOST_KINDS = 10_000


class _Files(NamedTuple):
    """Files of a data set.

    Attributes:
        name: Name of the data set.
        where: Folder or zip.
        paths: Path for messages of each file, by the end of its name, such as ``"A"``.
        read: Function that returns the bytes of one of them.
    """

    name: str
    where: Path
    paths: Mapping[str, str]
    read: Callable[[str], bytes]


def holds_tu(path: Path) -> bool:
    """Return whether a folder, or its folder ``raw``, or a zip has such files."""
    if path.is_dir():
        return _folder(path) is not None
    try:
        with zipfile.ZipFile(path) as archive:
            return _stem(archive.namelist()) is not None
    # On damaged bytes zipfile raises several kinds; the reader of the file reports them.
    except Exception:
        return False


def read_tu(path: Path, reading: Reading, name: str) -> GraphCollection:  # noqa: ARG001
    """Return the graphs of a data set of TU Dortmund.

    Raises:
        DataError: ``FIELDS`` with the file and line of what is no number; ``TU_LAYOUT`` if files
            do not fit together; ``UNPACKED_SIZE``; or as :meth:`vgae.GraphCollection.from_batch`.
        UsageError: ``WEIGHT_COLUMN`` for a file of weights that there is not.
    """
    files = _open(path)
    edges, block = _integers(files, "A"), _integers(files, "graph_indicator")
    num_nodes = len(block)
    if block.shape[1] != 1 or edges.shape[1] != 2:
        which, want = ("graph_indicator", 1) if block.shape[1] != 1 else ("A", 2)
        _refuse(files, which, 1, f"expected {want} numbers a line")
    outside = (edges < 1) | (edges > num_nodes)
    if outside.any():
        row, column = np.argwhere(outside)[0]
        what = f"node {edges[row, column]} is none of 1 to {num_nodes}, the lines of"
        _refuse(files, "A", row + 1, f"{what} {Path(files.paths['graph_indicator']).name}")
    labels = _labels(files)
    names, batch = _graphs(files, block[:, 0], None if labels is None else len(labels))
    given = {"edges": edges.T - 1, "edge_weight": _weights(files, len(edges), reading)}
    x, feature_names = _features(files, num_nodes)
    whole = Graph.from_edges(
        **given,
        num_nodes=num_nodes,
        x=x,
        feature_names=feature_names,
        **links_within(reading),
        ordered=True,
        name=files.name,
    )
    y = None
    if labels is not None:
        found = labels_in_text(labels, files.paths["graph_labels"])
        y = found if found.codes is not None else None
    kept = np.bincount(batch, minlength=len(names)) > 0
    graphs = GraphCollection.from_batch(whole, batch, names=names)
    return graphs if y is None else labelled(graphs, y._replace(codes=np.asarray(y.codes)[kept]))


def _graphs(
    files: _Files, block: np.ndarray, num_graphs: int | None
) -> tuple[list[str], np.ndarray]:
    """Return the names of all graphs, and the number of the graph of each node from 0 on."""
    low, high = int(block.min()), int(block.max())
    first = 1
    if low == 0 and (num_graphs is None or high == num_graphs - 1):
        log.info("%s: graphs are numbered from 0 on", files.paths["graph_indicator"])
        first = 0
    most = num_graphs if num_graphs is not None else len(block)
    outside = (block < first) | (block >= most + first)
    if outside.any():
        row = int(outside.argmax())
        of = "labels of graphs" if num_graphs is not None else "nodes"
        what = f"graph {block[row]} is none of {first} to {most + first - 1}, the number of {of}"
        _refuse(files, "graph_indicator", row + 1, what)
    count = num_graphs if num_graphs is not None else high - first + 1
    return [str(k + first) for k in range(count)], block - first


def _labels(files: _Files) -> list[str] | None:
    """Return the label of each graph as text; ``None`` without labels."""
    if "graph_attributes" in files.paths:
        what = "%s: left out, targets of regression are no classes"
        log.info(what, files.paths["graph_attributes"])
    if "graph_labels" not in files.paths:
        return None
    lines = files.read("graph_labels").decode("utf-8", "replace").splitlines()
    labels = [line.strip() for line in lines if line.strip()]
    if any("," in label for label in labels):
        log.warning("%s: left out, it has several for each graph", files.paths["graph_labels"])
        return [""] * len(labels)
    return labels


def _features(files: _Files, num_nodes: int) -> tuple[np.ndarray | None, list[str]]:
    """Return the features of the nodes, and their names."""
    blocks, names = [], []
    if "node_attributes" in files.paths:
        table = _numbers(files, "node_attributes")
        _check_rows(files, "node_attributes", len(table), num_nodes)
        blocks.append(table.astype(np.float32))
        names += [f"attribute_{k}" for k in range(table.shape[1])]
    if "node_labels" in files.paths:
        table = _integers(files, "node_labels")
        _check_rows(files, "node_labels", len(table), num_nodes)
        for column in range(table.shape[1]):
            kinds, codes = np.unique(table[:, column], return_inverse=True)
            if len(kinds) > _MOST_KINDS or num_nodes * len(kinds) > limits.DOCUMENT:
                what = f"it has {len(kinds)} different labels in column {column + 1}, too many for"
                _refuse(files, "node_labels", 1, f"{what} a feature each")
            blocks.append(np.eye(len(kinds), dtype=np.float32)[codes])
            title = "label" if table.shape[1] == 1 else f"label_{column}"
            names += [f"{title}={kind}" for kind in kinds.tolist()]
    return (np.concatenate(blocks, axis=1) if blocks else None), names


def _weights(files: _Files, num_edges: int, reading: Reading) -> np.ndarray | None:
    """Return the weight of each edge, if a file of them is chosen."""
    chosen = reading.weight if reading.weight != "none" else None
    there = [key for key in _OF_EDGES if key in files.paths]
    if chosen is None:
        for key in there:
            what = "%s: left out; weight=%r (--weight %s) makes weights of it"
            log.info(what, files.paths[key], key, key)
        return None
    if chosen not in there:
        shown = f"it has {' and '.join(there)}" if there else "it has no files of edges"
        raise UsageError(
            "WEIGHT_COLUMN",
            f"weight={chosen!r:.60} (--weight) must be the file of the weights: {shown} in"
            f" {files.where}.",
        )
    table = _numbers(files, chosen)
    _check_rows(files, chosen, len(table), num_edges)
    if table.shape[1] != 1:
        what = "%s: the first of %d numbers of each edge is its weight"
        log.warning(what, files.paths[chosen], table.shape[1])
    return table[:, 0]


def _check_rows(files: _Files, key: str, rows: int, wanted: int) -> None:
    if rows != wanted:
        other = "A" if key in _OF_EDGES else "graph_indicator"
        raise DataError(
            "TU_LAYOUT",
            f"{files.paths[key]} has {rows} lines, and {Path(files.paths[other]).name} {wanted};"
            " they must have as many.",
        )


def _integers(files: _Files, key: str) -> np.ndarray:
    """Return a table of integers, int64."""
    table = _numbers(files, key)
    bad = (table != np.floor(table)) | (np.abs(table) > 2**53)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        _refuse(files, key, row + 1, f"expected whole numbers, got {table[row, column]:g}")
    return table.astype(np.int64)


def _numbers(files: _Files, key: str) -> np.ndarray:
    """Return a table of numbers, separated by commas or blanks, float64."""
    content = files.read(key)
    if not content.strip():
        _refuse(files, key, 1, "it is empty")
    comma = "," if b"," in content[:10_000].partition(b"\n")[0] else None
    text = io.BytesIO(content)
    try:
        table = np.loadtxt(text, np.float64, delimiter=comma, comments=None, ndmin=2)
    except ValueError as error:
        number, line = _bad_line(content, comma)
        what = f"expected numbers as in the lines before, got {line!r:.60}"
        _refuse(files, key, number, what if number else brief(error))
    return table


def _bad_line(content: bytes, comma: str | None) -> tuple[int, str]:
    """Return number and text of the first line that is no row of numbers as the first."""
    width = None
    for number, line in enumerate(content.decode("latin-1").splitlines(), 1):
        fields = line.split(comma) if line.strip() else []
        try:
            values = list(map(float, fields))
        except ValueError:
            return number, line
        width = width or len(values)
        if fields and len(values) != width:
            return number, line
    return 0, ""


def _refuse(files: _Files, key: str, number: int, what: str) -> NoReturn:
    raise DataError("FIELDS", f"{files.paths[key]}, line {number}: {what}.")


def _open(path: Path) -> _Files:
    """Return the files of a folder or zip."""
    if path.is_dir():
        folder = _folder(path)
        assert folder is not None
        name = _stem([file.name for file in folder.iterdir()])
        found = _ends(str(name), [file.name for file in folder.iterdir()])
        paths = {key: str(folder / file) for key, file in found.items()}

        def read(key: str) -> bytes:
            with unpacked(Path(paths[key])) as file:
                return file.read()

        return _Files(str(name), folder, paths, read)
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.namelist()
    except (OSError, zipfile.BadZipFile) as error:
        raise DataError("ZIP_CORRUPT", f"{path} is damaged ({brief(error)}).") from None
    stem = str(_stem(members))
    found = _ends(stem, members)

    def member(key: str) -> bytes:
        return _member(path, found[key])

    paths = {key: f"{path}, {file}" for key, file in found.items()}
    return _Files(stem.rpartition("/")[2], path, paths, member)


def _member(path: Path, name: str) -> bytes:
    """Return the bytes of a member of a zip, of bounded size."""
    try:
        with ExitStack() as stack:
            archive = stack.enter_context(zipfile.ZipFile(path))
            info = archive.getinfo(name)
            limits.TEXT.check(info.file_size, info.compress_size, f"{name} in {path}")
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise ValueError("it is compressed by another method than deflate")
            # More than stated would be a forged directory.
            content = stack.enter_context(archive.open(info)).read(info.file_size + 1)
    except DataError:
        raise
    # On damaged bytes zipfile and zlib raise a dozen kinds.
    except Exception as error:
        raise DataError(
            "ZIP_CORRUPT", f"{path}: {name} is damaged ({brief(error)}); unpack it yourself."
        ) from None
    if len(content) > info.file_size:
        raise DataError("ZIP_CORRUPT", f"{path}: {name} is longer than it states.")
    return content


def _folder(path: Path) -> Path | None:
    """Return the folder of the files: this one, or ``raw`` in it."""
    for folder in (path, path / "raw"):
        if folder.is_dir() and _stem([file.name for file in folder.iterdir()]) is not None:
            return folder
    return None


def _stem(names: Sequence[str]) -> str | None:
    """Return the path of a data set without the ends of its files, ``None`` without one.

    Raises:
        DataError: ``TU_LAYOUT`` if there are several.
    """
    found = sorted(n.removesuffix(_LINKS) for n in names if n.endswith(_LINKS) and n[0] != ".")
    found = [stem for stem in found if f"{stem}{_NODES}" in names]
    found = [stem for stem in found if not stem.startswith("__MACOSX/")]
    if len(found) > 1:
        raise DataError(
            "TU_LAYOUT",
            f"there are {len(found)} data sets of TU, {', '.join(found):.100}; give each a folder"
            " of its own.",
        )
    return found[0] if found else None


def _ends(stem: str, names: Sequence[str]) -> dict[str, str]:
    """Return the names of the files of a data set by their ends."""
    keys = ("A", "graph_indicator", *_OTHERS)
    return {key: f"{stem}_{key}.txt" for key in keys if f"{stem}_{key}.txt" in names}
