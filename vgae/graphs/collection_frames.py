"""Tables of edges and nodes with a column that has the graph of each row."""

from collections.abc import Sequence
from typing import Any

import narwhals as nw

from vgae.errors import DataError, UsageError, did_you_mean
from vgae.graphs.aligning import name_column
from vgae.graphs.frame_columns import Choice, column_names, edge_roles, frame_of, index_names
from vgae.graphs.graph_nodes import GraphNodes, graph_texts

_SINGLE = ("sides", "two_sided")


def composed(
    edges: Any, nodes: Any, graph: str, given: dict[str, Any]
) -> tuple[Any, Any, GraphNodes, dict[str, Any]]:
    """Return frames in which nodes have names of their own, these, and the options.

    For the arguments see :meth:`vgae.GraphCollection.from_pandas`.
    """
    from vgae.graphs.frames import edge_frame

    for name in _SINGLE:
        if given.get(name) not in (None, False, "auto", "none"):
            rule = f"{name} is for one graph, and a collection has graphs without sides"
            raise UsageError("OPTION", f"{rule}; leave it out.")
    options = {"name": "graphs"} | {k: v for k, v in given.items() if k not in _SINGLE}
    table, columns = GraphNodes(), [options.get(key) for key in ("source", "target", "weight")]
    frame = edge_frame(edges, [*columns, graph])
    of_graphs, frame = taken(frame, graph, "edges")
    ends = None if None in columns[:2] else (str(columns[0]), str(columns[1]))
    roles = edge_roles(frame, "edges", Choice(weight=columns[2]), ends)
    for key, place in (("source", roles.source), ("target", roles.target)):
        name = roles.name(place)
        names = table.named(of_graphs, column_names(frame[name], "edges"))
        frame = _with_column(frame, name, names)
        options[key] = name
    if nodes is not None:
        nodes, options["id_column"] = _composed_nodes(nodes, graph, table, options)
    options["sides"] = "none"
    return frame.to_native(), nodes, table, options


def _composed_nodes(
    given: Any, graph: str, table: GraphNodes, options: dict[str, Any]
) -> tuple[Any, str]:
    """Return a frame of nodes with a column of their names, and the name of this column."""
    frame, column = frame_of(given, "nodes"), options.get("id_column")
    names = index_names(given, "nodes") if column is None else None
    if names is not None and graph in map(str, getattr(given.index, "names", ())):
        given, names = given.reset_index(), None
        frame = frame_of(given, "nodes")
    of_graphs, frame = taken(frame, graph, "nodes")
    if names is None:
        column = column or name_column(frame, "nodes", ()) or frame.columns[0]
        if column not in frame.columns:
            near = did_you_mean(column, frame.columns)
            raise DataError("FRAME_COLUMNS", f"nodes has no column {column!r:.60}.{near}")
        names = column_names(frame[column], "nodes")
    column = column or "node_id"
    return _with_column(frame, column, table.named(of_graphs, names)).to_native(), column


def taken(frame: nw.DataFrame[Any], graph: str, what: str) -> tuple[list[str], nw.DataFrame[Any]]:
    """Return the name of the graph of each row, and the frame without this column.

    Raises:
        DataError: ``GRAPH_COLUMN`` if there is no such column, or it has gaps.
    """
    if graph not in frame.columns:
        raise no_graph_column(graph, frame.columns, what)
    return graph_texts(frame[graph].to_list(), what, graph), frame.drop(graph)


def no_graph_column(graph: str, columns: Sequence[str], what: str) -> DataError:
    """Return the error for a table without the column of graphs."""
    shown = ", ".join(f"{column!r:.60}" for column in columns[:10])
    return DataError(
        "GRAPH_COLUMN",
        f"{what} has no column {graph!r:.60} with the graph of each row; it has {shown}."
        f"{did_you_mean(graph, columns)}",
    )


def _with_column(frame: nw.DataFrame[Any], name: str, values: Sequence[str]) -> nw.DataFrame[Any]:
    native = nw.get_native_namespace(frame)
    return frame.with_columns(nw.new_series(name, values, nw.String(), backend=native))
