"""Graphs with the features and labels of their nodes, from files or data frames."""

from dataclasses import replace
from typing import Any

import numpy as np

from vgae.data.node_features import NodeFeatures, join_features, read_features
from vgae.data.reading import Reading
from vgae.data.side_features import placed_sides, side_files, with_side_features
from vgae.errors import UsageError
from vgae.graphs.collection import GraphCollection
from vgae.graphs.defaults import MissingFeatures
from vgae.graphs.frame_kinds import is_frame
from vgae.graphs.graph import Graph
from vgae.graphs.values import coded_labels

_OF_FILES = (
    "format",
    "graph_labels",
    "delimiter",
    "header",
    "encoding",
    "comment",
    "time",
    "normalize",
)


def graph_in_frame(edges: Any, features: Any, reading: Reading) -> Graph:
    """Return the graph of a data frame of edges, with a frame or file of features."""
    given = reading.to_dict()
    if of_files := [name for name in _OF_FILES if name in given]:
        raise UsageError("OPTION", f"{of_files[0]} is an option of files, not of data frames.")
    options: Any = {"weight": reading.weight}
    if reading.columns is not None:
        from vgae.graphs.frame_columns import edge_roles
        from vgae.graphs.frames import edge_frame

        edges = edge_frame(edges, reading.columns)
        roles = edge_roles(edges, "edges", reading)
        places = {"source": roles.source, "target": roles.target, "weight": roles.weight}
        options = {k: "none" if v is None else roles.name(v) for k, v in places.items()}
        edges = edges.to_native()
    of_links = ("drop_zero", "sides", "merge", "directed", "signed")
    options |= {k: getattr(reading, k) for k in of_links}
    if reading.graph_column is not None:
        if not (features is None or is_frame(features)):
            rule = "features of many graphs must be a data frame, as their edges are"
            raise UsageError("FEATURES", f"{rule}.")
        options["graph"] = reading.graph_column
        more = ("encode", "id_column", "missing_features") if features is not None else ()
        options |= {k: getattr(reading, k) for k in more}
        return GraphCollection.from_pandas(edges, features, y=reading.label_column, **options)
    if features is None or not is_frame(features):
        graph = Graph.from_pandas(edges, **options)
        if features is None:
            return graph
        rows = features_in(side_files(features) or features, reading)
        return with_features(graph, rows, missing=reading.missing_features, counted=False)
    options |= {k: getattr(reading, k) for k in ("encode", "id_column", "missing_features")}
    return Graph.from_pandas(edges, features, y=reading.label_column, **options)


def features_in(given: Any, reading: Reading, *, of_side: bool = False) -> Any:
    """Return the features in a file or data frame, or in a pair of them for each side."""
    if isinstance(given, tuple):
        return tuple(
            None if part is None else features_in(part, reading, of_side=True) for part in given
        )
    if not is_frame(given):
        return read_features(given, reading)
    from vgae.graphs.aligning import node_table, side_table
    from vgae.graphs.frame_columns import column_of, encoded_features

    if of_side:
        table = side_table(given, "features", (), reading.id_column)
    else:
        table = node_table(given, "features", (), reading.id_column, first=True)
    frame, labels = table.frame, {}
    if (column := reading.label_column) is not None:
        y, names = coded_labels(column_of(frame, column, "features").to_list())
        frame, labels = frame.drop(column), {"y": y, "label_names": names}
    x, feature_names, encoder = encoded_features(
        frame, "features", reading.encode, impute=reading.missing_features == "impute"
    )
    names = None if table.names is None else tuple(table.names)
    return NodeFeatures(x, names, feature_names, encoder=encoder, **labels)


def with_features(
    graph: Graph,
    features: NodeFeatures | tuple[NodeFeatures | None, ...],
    *,
    missing: MissingFeatures,
    counted: bool,
) -> Graph:
    """Return the graph with these features, and with the nodes that only they have.

    A tuple has the features of each side; see :func:`with_side_features`.
    """
    if isinstance(features, tuple):
        return with_side_features(graph, features, missing=missing, counted=counted)
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
        **graph.link_options,
        num_nodes=len(joined.names),
        x=x,
        feature_names=names,
        y=y,
        label_names=label_names,
        node_ids=joined.names,
        name=graph.name,
        missing_features="impute" if missing == "impute" else "refuse",
        **placed_sides(graph, joined.place, joined.names),
    )
    return replace(again, notes=graph.notes, feature_encoder=encoder)
