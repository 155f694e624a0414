"""Reading of graphs from files and folders: the formats, and the choice among them."""

import logging
import os
from pathlib import Path
from typing import Any, NamedTuple

from vgae.data.array_graphs import (
    graph_of_arrays,
    is_adjacency,
    read_npy_adjacency,
    read_npy_edges,
    weighed_matrix,
)
from vgae.data.dialects import header_hint
from vgae.data.edge_lists import EdgeList, read_edge_list, read_parquet_edges
from vgae.data.folders import Reader, read_citations
from vgae.data.graph_folders import reader_of_folder
from vgae.data.graph_npz import as_asked, graph_name, is_stored_graph, stored_graph
from vgae.data.graph_npz import read_npz as read_npz
from vgae.data.graph_npz import write_npz as write_npz
from vgae.data.graph_tables import finished, read_graph_table
from vgae.data.isolated import read_h5ad, read_mat
from vgae.data.joining import features_in, graph_in_frame, with_features
from vgae.data.json_graphs import LINES, read_json_graph
from vgae.data.markup import read_gexf, read_gml, read_graphml
from vgae.data.matrices import (
    has_adjacency_header,
    holds_sparse,
    read_adjacency_text,
    read_mtx,
    sparse_from_arrays,
)
from vgae.data.node_features import TABLE_OPTIONS, refuse_table_options
from vgae.data.packed import SUFFIXES, unpacked, unpacked_name
from vgae.data.pajek import read_pajek
from vgae.data.pyg_files import read_pt
from vgae.data.reading import Reading
from vgae.data.side_features import side_files
from vgae.data.tu import TU_OPTIONS, holds_tu, read_tu
from vgae.errors import DataError, UsageError
from vgae.graphs.collection import GraphCollection
from vgae.graphs.frame_kinds import is_frame
from vgae.graphs.graph import Graph
from vgae.graphs.graph_nodes import warn_of_graphs
from vgae.graphs.sides import sides_of_ends
from vgae.runtime.npz import read_arrays
from vgae.runtime.reading import file_head, file_size, naming

log = logging.getLogger(__name__)


class Format(NamedTuple):
    """A format of graphs.

    Attributes:
        read: Function of path, options and name.
        suffixes: Those of its files.
        is_text: Whether files may also be compressed.
        counted: Whether a file gives the number of nodes, not only their links.
        attributes: Whether a file may give names, features or labels of the nodes.
        options: Fields of :class:`vgae.data.reading.Reading` that it takes, beside those that all
            take.
    """

    read: Reader
    suffixes: tuple[str, ...] = ()
    is_text: bool = True
    counted: bool = True
    attributes: bool = False
    options: frozenset[str] = frozenset()


def read_graph(path: Any, *, features: Any = None, **options: Any) -> Graph:
    """Read a graph from a file or folder; nothing is unpickled.

    ======================================  ======================================================
    ``.csv``, ``.tsv``, ``.txt``,           an edge list: two names a line, optionally a weight;
    ``.edges``, ``.edgelist``               or a square table with the names of the nodes above
                                            and at the left
    ``.parquet``                            an edge list, with columns as in text under a header
    ``.npz``                                a graph as :func:`write_npz` writes it; an adjacency
                                            as ``scipy.sparse.save_npz`` writes it; the arrays of
                                            published benchmarks, see
                                            :mod:`vgae.data.array_graphs`
    ``.npy``                                a square adjacency, or edges ``(E, 2)``, ``(2, E)``
    ``.mtx``                                an adjacency in Matrix Market format
    ``.mat``                                an adjacency ``network``, ``net``, ``A``, ...; labels
                                            ``group``; features ``attributes``; see
                                            :func:`vgae.data.isolated.read_mat`
    ``.graphml``, ``.gexf``, ``.gml``,      nodes and edges with attributes; see
    ``.json``                               :mod:`vgae.data.attributed`
    ``.net``, ``.paj``                      Pajek
    ``.cites``, ``.content``                papers and citations of LINQS
    ``.h5ad``                               AnnData; see :func:`vgae.data.isolated.read_h5ad`
    a folder                                of OGB, geom-gcn, MUSAE or LINQS; see
                                            :mod:`vgae.data.folders`; many graphs of TU (also a
                                            zip) or one in each file: :mod:`vgae.data.tu`,
                                            :mod:`vgae.data.graph_folders`
    ``.jsonl``, ``.pt``                     many graphs, as lists in ``.json``: see
                                            :mod:`vgae.data.pyg_files`
    ======================================  ======================================================

    Many graphs, also by ``graph_column``, are a :class:`vgae.GraphCollection`.

    Text may also be compressed: ``.gz``, ``.bz2``, ``.xz``, or ``.zip`` with one file in it.
    Values of an adjacency are weights unless all are 1. The nodes of an adjacency are its rows;
    those of an edge list are its names, in ascending order. In text, names are integers if each
    is in canonical form (``7``, not ``007``, ``7.0`` or ``1e3``), else text.

    Args:
        path: The file or folder; its name without suffixes becomes that of the graph. Or a data
            frame of edges, as for :meth:`vgae.Graph.from_pandas`.
        features: File of node features, which replace any in ``path``; see
            :func:`vgae.data.node_features.read_features` for its formats and
            :func:`vgae.data.node_features.join_features` for the assignment to nodes. Or a data
            frame of nodes, as for :meth:`vgae.Graph.from_pandas`. Or a tuple with those of each
            side of a two-sided graph, also as ``"users.csv,items.csv"``.
        **options: Fields of :class:`vgae.data.reading.Reading`, by name, such as
            ``columns=("from", "to")``. ``format`` is a suffix without its dot, ``"edges"`` or
            ``"adjacency"``.

    Raises:
        UsageError: If an option is invalid, or an optional package is missing.
        DataError: If a file is missing, damaged or of another kind, or holds no valid graph.
    """
    reading = Reading.of(options)
    if is_frame(path):
        return graph_in_frame(path, features, reading)
    path = Path(path)
    known, name = _known(path, reading)
    _refuse_others(path, reading, known, has_features=features is not None)
    pair = side_files(features)
    rows: Any = None if features is None else features_in(pair or features, reading)
    with naming(path):
        graph = finished(known.read(path, reading, name), rows, reading, path)
        if rows is not None and not isinstance(graph, GraphCollection):
            missing = reading.missing_features
            try:
                return with_features(graph, rows, missing=missing, counted=known.counted)
            except DataError as error:
                if error.code != "NODE_SET_MISMATCH" or known is not FORMATS["edges"]:
                    raise
                hint = "" if pair else header_hint(path, reading, rows.names or ())
                raise DataError(error.code, f"{hint}{error}") from None
    if reading.label_column is not None and graph.y is None:
        raise UsageError(
            "LABEL_COLUMN",
            f"label_column={reading.label_column!r:.60} (--label-column) names a column of"
            f" features or an attribute of nodes, and {path} has none of this name.",
        )
    return graph


def taken_options(path: str | os.PathLike[str], *, has_features: bool) -> frozenset[str]:
    """Return the fields of :class:`vgae.data.reading.Reading` that a file or folder takes.

    Args:
        path: The file or folder of the graph.
        has_features: Whether features are in another file.

    Raises:
        DataError: As :func:`read_graph` for a path that is no graph.
    """
    return _taken(_known(Path(path), Reading())[0], has_features=has_features)


def _known(path: Path, reading: Reading) -> tuple[Format, str]:
    """Return the format of a file or folder, and the name of its graph."""
    if not _is_folder(path):
        file_size(path)
        return _format_of(path, reading), graph_name(unpacked_name(path))
    reader, options = reader_of_folder(path)
    known = Format(reader, attributes=True, options=options)
    return known, graph_name(path.resolve())


def _taken(known: Format, *, has_features: bool) -> frozenset[str]:
    return known.options | _OF_ALL | (_OF_FEATURES if has_features else frozenset())


def _refuse_others(path: Path, reading: Reading, known: Format, *, has_features: bool) -> None:
    """Raise ``UsageError`` if an option is given that is not one of the format."""
    taken = _taken(known, has_features=has_features)
    others = [name for name in reading.to_dict() if name not in taken]
    refuse_table_options(reading, "without features", [n for n in others if n in TABLE_OPTIONS])
    if others:
        flag = {"time": "split-by-time"}.get(others[0], others[0].replace("_", "-"))
        raise UsageError(
            "OPTION",
            f"{path}: this format does not take {others[0]} (--{flag}); leave it out. It takes"
            f" {', '.join(sorted(taken))}.",
        )


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):  # no such name is possible: reported as a missing file
        return False


def _format_of(path: Path, reading: Reading) -> Format:
    """Return the format of a file, by ``reading.format`` or its suffix.

    Raises:
        DataError: ``FILE_FORMAT`` for an unknown suffix, with the way to convert it.
        UsageError: ``FORMAT`` for an unknown format.
    """
    inner = unpacked_name(path)
    suffix = inner.suffix.lower()
    name = BY_SUFFIX.get(suffix)
    if reading.format is not None:
        name = _named_format(reading.format, suffix)
    if name is None and path.suffix.lower() == ".zip" and holds_tu(path):
        return FORMATS["tu"]
    if name is None:
        if path.suffix.lower() == ".zip" and not suffix:
            with unpacked(path):  # raises if it has not exactly one member
                pass
        raise _unknown(path, suffix)
    if not FORMATS[name].is_text and path.suffix.lower() in SUFFIXES:
        raise DataError(
            "FILE_FORMAT", f"{path}: only text is read compressed; unpack {inner} first."
        )
    if reading.format is not None:
        return FORMATS[name]
    if name == "npy":
        name = "npy-adjacency" if is_adjacency(path) else "npy"
    elif suffix in (".csv", ".tsv") and has_adjacency_header(path, reading):
        name = "adjacency"
    elif name == "edges" and file_head(path).lower().startswith(b"%%matrixmarket"):
        log.info("%s: it is a matrix in the format Matrix Market", path)
        name = "mtx"
    return FORMATS[name]


def _named_format(text: str, suffix: str) -> str:
    given = text.lower().removeprefix(".")
    if suffix == ".npy" and given in ("adjacency", "edges"):
        return "npy-adjacency" if given == "adjacency" else "npy"
    name = BY_SUFFIX.get(f".{given}", given)
    if name not in FORMATS:
        known = sorted({suffix[1:] for suffix in BY_SUFFIX} | {"adjacency", "edges"})
        raise UsageError("FORMAT", f"format must be one of {', '.join(known)}, got {text!r:.60}.")
    return name


def _unknown(path: Path, suffix: str) -> DataError:
    """Return the error for a format that is not read, with the way to convert it."""
    text = [s for known in FORMATS.values() if known.is_text for s in known.suffixes]
    binary = [s for known in FORMATS.values() if not known.is_text for s in known.suffixes]
    hint = _CONVERSIONS.get(suffix, "; if it is text with two names a line, add --format edges")
    return DataError(
        "FILE_FORMAT",
        f"{path}: a graph must be in a file {', '.join(binary)}, or (also with"
        f" {', '.join(SUFFIXES)}) {', '.join(text)}, got {path.name}{hint}.",
    )


def _read_npz(path: Path, reading: Reading, name: str) -> Graph:
    pickled: list[str] = []
    arrays = read_arrays(path, pickled=pickled, in_file="x")
    if pickled and (is_stored_graph(arrays) or holds_sparse(arrays)):
        raise DataError("PICKLE_REFUSED", "it holds pickled objects.")
    if holds_sparse(arrays):
        return _of_matrix(sparse_from_arrays(arrays), reading, name)
    if is_stored_graph(arrays):
        return as_asked(stored_graph(arrays, name), reading)
    return graph_of_arrays(arrays, name, reading, pickled=pickled, where=path)


def _of_matrix(matrix: Any, reading: Reading, name: str) -> Graph:
    if zeros := int(((matrix := weighed_matrix(matrix, reading)).data == 0).sum()):
        log.info("%s: %d stored zeros are no links", name, zeros)
    return Graph.from_scipy(matrix, **reading.of_links(), name=name)


def _read_mtx(path: Path, reading: Reading, name: str) -> Graph:
    keep = reading.directed == "keep"
    return _of_matrix(read_mtx(path, keep_direction=keep), reading, name)


def _read_edges(path: Path, reading: Reading, name: str) -> Graph:
    if reading.graph_column is not None:
        return read_graph_table(path, reading, name)
    return _of_edges(read_edge_list(path, reading), reading, name)


def _read_parquet(path: Path, reading: Reading, name: str) -> Graph:
    if reading.graph_column is not None:
        return read_graph_table(path, reading, name)
    return _of_edges(read_parquet_edges(path, reading), reading, name)


def _of_edges(edges: EdgeList, reading: Reading, name: str) -> Graph:
    warn_of_graphs(edges.left_out, name, "graph_column=%r (--graph-column)")
    sides: Any = reading.sides
    if edges.side_names is not None:
        how = {"sides": sides, "directed": reading.directed}
        sides = sides_of_ends(edges.edges, edges.names, edges.side_names, **how)
    return Graph.from_edges(
        edges.edges,
        edge_weight=edges.weight,
        num_nodes=len(edges.names),
        node_ids=edges.names,
        ordered=edges.ordered,
        side_names=edges.side_names or (),
        name=name,
        **reading.of_links() | {"sides": sides},
    )


_OF_ALL = frozenset(("format", "directed", "merge", "sides", "signed", "graph_labels"))
_OF_FEATURES = frozenset(
    ("id_column", "label_column", "encode", "missing_features", "encoding", "normalize")
) | {"graph_column"}
_OF_EDGES = frozenset(("columns", "weight", "time", "drop_zero", "normalize", "graph_column"))
_OF_TEXT = frozenset(("delimiter", "header", "encoding", "comment"))
_OF_TABLE = frozenset(("delimiter", "encoding", "weight", "normalize"))
_OF_ARRAYS = frozenset(("weight", "drop_zero"))
_OF_MATRIX = frozenset(("weight",))
_OF_DOCUMENT = frozenset(
    ("weight", "drop_zero", "normalize", "id_column", "label_column", "encode")
)
_OF_CITATIONS = frozenset(("missing_features", "encoding", "normalize"))

_TEXT_OF_EDGES = Format(
    _read_edges,
    (".csv", ".tsv", ".txt", ".edges", ".edgelist"),
    counted=False,
    options=_OF_EDGES | _OF_TEXT,
)
_PARQUET = Format(_read_parquet, (".parquet",), is_text=False, counted=False, options=_OF_EDGES)
_NPY = Format(read_npy_edges, (".npy",), is_text=False, counted=False, options=_OF_ARRAYS)
_H5AD = Format(
    read_h5ad,
    (".h5ad",),
    is_text=False,
    attributes=True,
    options=frozenset(("weight", "label_column")),
)


def _document(read: Reader, suffixes: tuple[str, ...], *more: str) -> Format:
    return Format(read, suffixes, attributes=True, options=_OF_DOCUMENT | {*more})


FORMATS = {
    "npz": Format(_read_npz, (".npz",), is_text=False, options=_OF_ARRAYS | {"missing_features"}),
    "npy": _NPY,
    "npy-adjacency": Format(read_npy_adjacency, is_text=False, options=_OF_MATRIX),
    "parquet": _PARQUET,
    "mat": Format(read_mat, (".mat",), is_text=False, attributes=True, options=_OF_MATRIX),
    "h5ad": _H5AD,
    "edges": _TEXT_OF_EDGES,
    "adjacency": Format(read_adjacency_text, options=_OF_TABLE),
    "mtx": Format(_read_mtx, (".mtx",), options=_OF_MATRIX),
    "graphml": _document(read_graphml, (".graphml",)),
    "gexf": _document(read_gexf, (".gexf",)),
    "gml": _document(read_gml, (".gml",), "encoding"),
    "json": _document(read_json_graph, (".json", ".cyjs", *LINES)),
    "pajek": _document(read_pajek, (".net", ".paj"), "encoding"),
    "pt": Format(
        read_pt, (".pt", ".pth"), is_text=False, attributes=True, options=frozenset(("weight",))
    ),
    "tu": Format(read_tu, is_text=False, attributes=True, options=TU_OPTIONS),
    "cites": Format(
        read_citations, (".cites", ".content"), attributes=True, options=_OF_CITATIONS
    ),
}
"""Formats of graphs by name."""

BY_SUFFIX = {suffix: name for name, known in FORMATS.items() for suffix in known.suffixes}
_NETWORKX = "; load it yourself, then call vgae.Graph.from_networkx and vgae.data.files.write_npz"
_CSV = "; save its table of edges as .csv"
_CONVERSIONS = {
    **dict.fromkeys((".gpickle", ".pkl", ".pickle"), f"{_NETWORKX}, if you trust it"),
    **dict.fromkeys((".xlsx", ".xls", ".ods", ".numbers"), _CSV),
    **dict.fromkeys((".g6", ".s6"), f" (networkx.read_graph6, read_sparse6){_NETWORKX}"),
    **dict.fromkeys((".dot", ".gv"), f" (networkx.nx_pydot.read_dot){_NETWORKX}"),
    **dict.fromkeys((".dgl", ".bin"), f" (dgl.load_graphs, dgl.to_networkx){_NETWORKX}"),
    **dict.fromkeys(
        (".rds", ".rdata", ".rda"), "; in R, igraph::write_graph(g, 'g.graphml', 'graphml')"
    ),
    **dict.fromkeys((".sqlite", ".db"), _CSV),
    **dict.fromkeys(
        (".hdf5", ".h5", ".loom"), "; save it as .h5ad with anndata, or as .npz with scipy"
    ),
    ".graphmlz": "; it is GraphML in gzip: rename it to .graphml.gz",
    ".xml": "; if it is GraphML, rename it to .graphml",
    ".dat": "; if it is text with two names a line, add --format edges",
    ".feather": "; save it as .parquet",
    **dict.fromkeys(
        (".tar", ".tgz", ".tbz2", ".txz", ".7z", ".rar", ".zst", ".zip", ".gz", ".bz2", ".xz"),
        "; unpack it and give the file or folder",
    ),
    **dict.fromkeys((".clu", ".vec"), "; it belongs to a network of Pajek: give the .net"),
}
