"""Folders of graphs: published layouts, data sets of TU, and many files with a graph in each.

The files of a folder of graphs have one suffix, and their names are those of the graphs. A table
``graphs.csv``, ``graph_labels.csv`` or ``labels.csv`` beside them has the label of each graph.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from vgae.data.folders import FOLDER_OPTIONS, Reader, published_reader
from vgae.data.graph_tables import links_within, with_labels
from vgae.data.messages import few_messages
from vgae.data.packed import unpacked_name
from vgae.data.reading import Reading
from vgae.data.tu import TU_OPTIONS, holds_tu, read_tu
from vgae.errors import DataError
from vgae.graphs.collection import GraphCollection
from vgae.graphs.graph import Graph

_LABELS = ("graphs", "graph_labels", "labels")
_NOTES = ("readme", "license", "licence", "citation", "notice", "changelog")
_TABLES = (".csv", ".tsv", ".txt", ".parquet")
_PARTS = re.compile(
    r"(.*?)[_. -]?(edges?|edge_?list|links?|nodes?|vertices|features?|attributes|attrs?|labels?"
    r"|targets?|classes|adj|train|valid|val|test|pos|neg|meta|metadata|mapping)",
    re.IGNORECASE,
)


def reader_of_folder(path: Path) -> tuple[Reader, frozenset[str]]:
    """Return the reader of a folder, and the options that it takes.

    Raises:
        DataError: ``CANNOT_READ`` if it holds no graph; ``FOLDER_LAYOUT`` if its graphs are in
            files of several suffixes.
    """
    reader = published_reader(path)
    if reader is not None:
        return reader, FOLDER_OPTIONS[reader]
    if holds_tu(path):
        return read_tu, TU_OPTIONS
    if graph_files(path):
        from vgae.data.files import FORMATS

        every = frozenset[str]().union(*(known.options for known in FORMATS.values()))
        return read_graph_files, every - {"time", "graph_column"}
    raise DataError(
        "CANNOT_READ",
        f"{path}: this folder holds no graph; looked for edge.csv.gz (OGB), out1_graph_edges.txt"
        " (geom-gcn), one *_edges.csv (MUSAE), one *.content (LINQS), *_A.txt with"
        " *_graph_indicator.txt (TU), and several files of one suffix with a graph in each;"
        " give a file in it.",
    )


def is_published(path: Path) -> bool:
    """Return whether a folder has a published layout, TU included."""
    return published_reader(path) is not None or holds_tu(path)


def is_graph_folder(path: Path) -> bool:
    """Return whether a path is a folder for :func:`reader_of_folder`."""
    if not path.is_dir():
        return False
    try:
        reader_of_folder(path)
    except DataError as error:
        return error.code != "CANNOT_READ"
    return True


def graph_files(path: Path) -> list[Path]:
    """Return the files of a folder with a graph in each, by name; none if these are its parts.

    Raises:
        DataError: ``FOLDER_LAYOUT`` if they have several suffixes.
    """
    from vgae.data.files import BY_SUFFIX

    found = [file for file in sorted(path.iterdir()) if file.is_file() and file.name[0] != "."]
    found = [file for file in found if _labels_of(file) is None]
    found = [file for file in found if file.name.partition(".")[0].casefold() not in _NOTES]
    suffixes = {file: unpacked_name(file).suffix.lower() for file in found}
    known = [file for file in found if BY_SUFFIX.get(suffixes[file], "cites") != "cites"]
    counts = Counter(suffixes[file] for file in known)
    ends = set()
    for file in known:
        match = _PARTS.fullmatch(unpacked_name(file).stem)
        ends.add(match[2].casefold() if match else "")
    if len(known) < 2 or (ends != {""} and len(ends) > 1):
        return []
    if len(counts) > 1:
        shown = " and ".join(f"{count} of {suffix}" for suffix, count in counts.most_common())
        raise DataError(
            "FOLDER_LAYOUT",
            f"{path}: a folder of graphs has files of one suffix, got {shown}; move the others"
            " elsewhere, or give one file.",
        )
    return known


def read_graph_files(path: Path, reading: Reading, name: str) -> GraphCollection:
    """Return the graphs in the files of a folder, with the names of the files.

    Messages on the first file are logged, later warnings of each kind once.

    Raises:
        DataError: As the reader of a file, with its name; or as
            :meth:`vgae.GraphCollection.from_graphs`.
    """
    from vgae.data.files import read_graph

    links_within(reading)
    files = graph_files(path)
    options = vars(replace(reading, sides="none", graph_labels=None, graph_column=None))
    graphs: list[Graph] = []
    with few_messages(len(files)) as begin:
        for file in files:
            begin()
            graphs.append(read_graph(file, **options))
            if isinstance(graphs[-1], GraphCollection):
                what = f"{file} has several graphs itself"
                raise DataError("FOLDER_LAYOUT", f"{what}; give it instead of its folder.")
    names = _names([unpacked_name(file).stem for file in files])
    found = GraphCollection.from_graphs(graphs, names=names, name=name)
    labels = [file for file in sorted(path.iterdir()) if _labels_of(file) is not None]
    if labels and reading.graph_labels is None:
        best = min(labels, key=lambda file: _LABELS.index(str(_labels_of(file))))
        found = with_labels(found, best, reading)
    return found


def _labels_of(file: Path) -> str | None:
    """Return the stem of a table of labels, ``None`` for another file."""
    inner = unpacked_name(file)
    stem = inner.stem.casefold()
    return stem if stem in _LABELS and inner.suffix.lower() in _TABLES else None


def _names(stems: Sequence[str]) -> list[str]:
    """Return stems without the word that all of them end in, such as ``_edges``."""
    matches = [_PARTS.fullmatch(stem) for stem in stems]
    bare = [match[1] for match in matches if match and match[1]]
    return bare if len(bare) == len(stems) == len({*bare}) else list(stems)
