"""Names of graphs, and of their nodes ``GRAPH:NODE``, in tables."""

import logging
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from vgae.errors import DataError
from vgae.graphs.collection_parts import reordered
from vgae.graphs.column_names import key_of
from vgae.graphs.graph import Graph
from vgae.graphs.values import is_missing

log = logging.getLogger(__name__)

_GRAPHS = {
    *("graph", "graphid", "graphname", "graphindex", "graphidx", "graphindicator", "graphs"),
    *("mol", "molid", "molname", "molecule", "moleculeid", "moleculename", "session", "sessionid"),
}


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
