"""Edge lists with a column of relations, as typed graphs."""

from pathlib import Path
from typing import Any

import numpy as np

from vgae.data.extra_column import column_place, read_with_column
from vgae.data.files import taken_options
from vgae.data.graph_npz import graph_name
from vgae.data.joining import features_in, with_features
from vgae.data.packed import unpacked_name
from vgae.data.parquet import read_parquet
from vgae.data.reading import Reading
from vgae.errors import DataError, UsageError
from vgae.graphs.graph import Graph
from vgae.graphs.typed import TypedGraph
from vgae.graphs.typed_sources import Parts, of_edges, refuse_signs
from vgae.runtime.reading import naming

_TEXT = (".csv", ".tsv", ".txt", ".edges", ".edgelist")


def read_typed_graph(
    path: Any, *, relation: str, features: Any = None, **options: Any
) -> TypedGraph:
    """Read an edge list in text or parquet, with the relation of each edge in a column.

    Types of nodes are found as :meth:`vgae.TypedGraph.from_pandas` does.

    Args:
        path: The file.
        relation: Column with the name of the relation, by the header; or by ``columns``, which
            then has a name for each column.
        features: File of node features; see :func:`vgae.read_graph`.
        **options: Fields of :class:`vgae.data.reading.Reading`, without ``drop_zero``.

    Raises:
        UsageError: If an option is invalid.
        DataError: ``RELATION`` if there is no such column, or it has gaps or too many names; or
            as :func:`vgae.read_graph`.
    """
    reading, path = Reading.of(options), Path(path)
    if reading.signed:
        refuse_signs("the edges")
    unusable = ("drop_zero", "time", "graph_column", "graph_labels")
    if given := next((name for name in unusable if getattr(reading, name)), ""):
        given += " (--split-by-time)" * (given == "time")
        rule = f"{given} is not for typed graphs"
        raise UsageError("OPTION", f"{rule}; leave it out, and such edges beforehand.")
    suffix = f".{reading.format}" if reading.format else unpacked_name(path).suffix.lower()
    if suffix not in (*_TEXT, ".parquet"):
        raise DataError(
            "FILE_FORMAT",
            f"{path}: relations are in a column of an edge list, {', '.join(_TEXT)} or .parquet;"
            " for other graphs see vgae.TypedGraph.",
        )
    known = taken_options(path, has_features=features is not None)
    if other := [name for name in reading.to_dict() if name not in known]:
        raise UsageError("OPTION", f"{path}: this format does not take {other[0]}; leave it out.")
    rows = None if features is None else features_in(features, reading)
    with naming(path):
        read = _parquet if suffix == ".parquet" else _text
        parts, names = read(path, reading, relation)
        parts |= {"merge": reading.merge, "directed": reading.directed}
        name = graph_name(unpacked_name(path))
        if rows is not None:
            parts = _with_features(parts, rows, reading)
        return TypedGraph.of(**of_edges(parts, names, f"column {relation!r:.60}"), name=name)


def _text(path: Path, reading: Reading, relation: str) -> tuple[Parts, list[str]]:
    """Return the parts of a graph in text, and the relation of each edge."""
    found, names = read_with_column(path, reading, relation, "RELATION")
    given = {"edges": found.edges, "edge_weight": found.weight, "ordered": found.ordered}
    return {**given, "num_nodes": len(found.names), "node_ids": found.names}, names


def _parquet(path: Path, reading: Reading, relation: str) -> tuple[Parts, list[Any]]:
    """Return the parts of a graph in parquet, and the relation of each edge."""
    from vgae.graphs.frames import from_frames

    table = read_parquet(path)
    place = column_place(table.column_names, relation, "RELATION", has_header=True)
    names = table.column(place).to_pylist()
    source, target, *weight = reading.columns or (None, None)
    ends = source, target, reading.weight or (weight[0] if weight else None)
    parts, _ = from_frames(table.remove_column(place), None, ends, None, "none", {})
    return parts, names


def _with_features(parts: Parts, rows: Any, reading: Reading) -> Parts:
    """Return the parts with features, and with the nodes that only these have."""
    shared = {"num_nodes": parts["num_nodes"], "node_ids": parts["node_ids"], "sides": "none"}
    graph = Graph.from_edges(parts["edges"], **shared)
    joined = with_features(graph, rows, missing=reading.missing_features, counted=False)
    number = {name: place for place, name in enumerate(joined.ids)}
    place = np.array([number[name] for name in graph.ids], np.int64)
    more = {"x": joined.x, "feature_names": joined.feature_names, "y": joined.y}
    more |= {"num_nodes": joined.num_nodes, "node_ids": joined.ids}
    return parts | more | {"edges": place[parts["edges"]], "label_names": joined.label_names}
