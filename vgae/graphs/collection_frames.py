"""Tables of edges and nodes with a column that has the graph of each row."""

import logging
from collections.abc import Iterable, Sequence
from typing import Any

import narwhals as nw
import numpy as np

from vgae.errors import DataError, UsageError, did_you_mean
from vgae.graphs.aligning import name_column
from vgae.graphs.collection_parts import reordered
from vgae.graphs.column_names import key_of
from vgae.graphs.frame_columns import Choice, column_names, edge_roles, frame_of, index_names
from vgae.graphs.graph import Graph
from vgae.graphs.values import is_missing

log = logging.getLogger(__name__)

_GRAPHS = {
    *("graph", "graphid", "graphname", "graphindex", "graphidx", "graphindicator", "graphs"),
    *("mol", "molid", "molname", "molecule", "moleculeid", "moleculename"),
}
_SINGLE = ("sides", "two_sided")


class GraphNodes:
    """Nodes of several graphs by their names ``GRAPH:NODE``."""

    def __init__(self) -> None:
        self._parts: dict[str, tuple[str, str]] = {}

    def named(self, graphs: Iterable[str], nodes: Iterable[Any]) -> list[str]:
        """Return the names of nodes of graphs, which are remembered.

        Raises:
            DataError: ``COLLECTION`` if two of them have one name, by a colon in names of graphs.
        """
        names = []
        for graph, node in zip(graphs, nodes, strict=True):
            name = f"{graph}:{node}"
            if self._parts.setdefault(name, (graph, str(node))) != (graph, str(node)):
                what = f"node {node!r:.60} of graph {graph!r:.60} has the name {name!r:.60}"
                cure = "rename the graph, without a colon"
                raise DataError("COLLECTION", f"{what}, as that of another graph; {cure}.")
            names.append(name)
        return names

    def collection(self, kind: Any, whole: Graph, y: Any = None, *, ordered: bool = False) -> Any:
        """Return the collection of a graph whose nodes have these names.

        Graphs are in ascending order of their names; integers by value.

        Args:
            kind: ``GraphCollection``.
            whole: Graph of all nodes.
            y: Labels of graphs.
            ordered: Whether nodes stay in their order; else they ascend by name.
        """
        found = [self._parts[str(name)] for name in whole.ids]
        graphs, nodes = (ascending(part) for part in zip(*found, strict=True))
        batch = np.array([graphs[graph] for graph, _ in found], np.int64)
        own = [node for _, node in found]
        if not ordered:
            rank = batch * len(nodes) + np.array([nodes[node] for node in own], np.int64)
            whole, order = reordered(whole, rank)
            batch, own = batch[order], [own[k] for k in order.tolist()]
        return kind.from_batch(whole, batch, names=[*graphs], y=y, node_names=own)


def ascending(texts: Iterable[str]) -> dict[str, int]:
    """Return the number of each distinct text in ascending order, of integers by value."""
    distinct = {*texts}
    is_whole = all(
        text.isascii() and text.isdecimal() and len(text) < 19 and str(int(text)) == text
        for text in distinct
    )
    ordered = sorted(distinct, key=int) if is_whole else sorted(distinct)
    return {text: number for number, text in enumerate(ordered)}


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


def warn_of_graphs(left_out: Iterable[str], what: str, cure: str) -> None:
    """Warn of columns that are left out and seem to have the graph of each row."""
    for column in left_out:
        if key_of(column) in _GRAPHS:
            log.warning(
                "%s: column %r is left out, and equal names are one node of one graph; if it names"
                " the graph of each edge, %s reads many graphs",
                *(what, column, cure % column),
            )


def graph_texts(values: Sequence[Any], what: str, graph: str) -> list[str]:
    """Return names of graphs as text.

    Raises:
        DataError: ``GRAPH_COLUMN`` with the first row without a name, or with a fraction.
    """
    texts = []
    for row, value in enumerate(values):
        is_float = isinstance(value, float | np.floating) and not is_missing(value)
        if is_missing(value) or value == "" or (is_float and not float(value).is_integer()):
            got = "no name" if is_missing(value) or value == "" else f"{value!r}"
            raise DataError(
                "GRAPH_COLUMN",
                f"column {graph!r:.60} of {what} must name the graph of each row, got {got} in row"
                f" {row + 1}; fill it, or drop the row.",
            )
        texts.append(str(int(value) if is_float else value).strip())
    return texts


def _with_column(frame: nw.DataFrame[Any], name: str, values: Sequence[str]) -> nw.DataFrame[Any]:
    native = nw.get_native_namespace(frame)
    return frame.with_columns(nw.new_series(name, values, nw.String(), backend=native))
