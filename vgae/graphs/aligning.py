"""Features and labels in data frames, in the order of the nodes of a graph.

A frame or series of pandas has the names of its rows in its index, unless that is the default
one, 0 to N - 1. Beside such an index, and in frames without one, a column may have the names.
"""

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import narwhals as nw
import numpy as np

from vgae.errors import DataError
from vgae.graphs.canonical import NodeId
from vgae.graphs.column_names import NODE_NAMES, key_of, side_name
from vgae.graphs.frame_columns import (
    Choice,
    coded_ends,
    column_names,
    column_of,
    edge_roles,
    features_of,
    frame_of,
    index_names,
)
from vgae.graphs.frame_kinds import is_frame, is_series
from vgae.graphs.values import coded_labels, listed

log = logging.getLogger(__name__)

Names = list[NodeId]
Parts = dict[str, Any]  # keyword arguments of Graph.from_edges


@dataclass(frozen=True, eq=False)
class NodeTable:
    """Rows of a frame with a row for each node.

    Attributes:
        names: Name of each row; ``None`` if the rows have none.
        frame: The other columns.
        what: What the frame is called in messages.
    """

    names: Names | None
    frame: nw.DataFrame[Any]
    what: str

    def __len__(self) -> int:
        return len(self.frame)


def align(
    edges: np.ndarray,
    *,
    num_nodes: int | None,
    node_ids: Sequence[NodeId] | None,
    x: Any,
    y: Any,
    feature_names: Sequence[str],
    label_names: Sequence[str],
    impute: bool = False,
) -> Parts:
    """Bring features and labels in frames and series into the order of the nodes.

    Without ``node_ids``, the names of the rows of ``x``, or else of ``y``, are those of the nodes,
    in this order. With ``impute`` missing values of ``x`` become NaN instead of an error.

    Returns:
        The arguments, with arrays as ``x`` and ``y``, and their names where none are given.

    Raises:
        DataError: ``NODE_SET_MISMATCH`` if the names of rows and nodes differ; or as
            :meth:`vgae.Graph.from_pandas`.
    """
    table = None
    if is_frame(x):
        given = np.unique(edges).tolist() if node_ids is None else node_ids
        table = node_table(x, "x", set(given))
    own = table.names if table is not None else index_names(y, "y")
    if node_ids is None and own is not None:
        edges, node_ids = positions(edges, own, "y" if table is None else "x"), own
    parts: Parts = {"edges": edges, "num_nodes": num_nodes, "node_ids": node_ids, "x": x, "y": y}
    parts |= {"feature_names": feature_names, "label_names": label_names}
    if table is not None:
        values, columns = features_of(table.frame, "x", impute=impute)
        if values is None:
            raise DataError("FEATURE_SHAPE", "x has no columns with features.")
        names = range(num_nodes or len(table)) if node_ids is None else node_ids
        parts["x"] = values[aligned_rows(names, table.names, len(table), "x")]
        parts["feature_names"] = feature_names or columns
    if is_series(y):
        labels = aligned_labels(y, node_ids)
        parts |= {**labels, "label_names": labels["label_names"] or label_names}
    return parts


def aligned_rows(
    names: Sequence[NodeId], own: Sequence[NodeId] | None, num_rows: int, what: str
) -> np.ndarray:
    """Return the row of each node, int64.

    Args:
        names: Names of the nodes.
        own: Names of the rows, all different. ``None`` means 0 to N - 1 if the nodes have these
            names in any order, else rows in the order of the nodes, which is logged.
        num_rows: Number of rows.
        what: Name of the rows in messages.

    Raises:
        DataError: ``NODE_SET_MISMATCH`` unless each node has a row, and each row a node.
    """
    if own is None:
        if num_rows != len(names):
            raise DataError(
                "NODE_SET_MISMATCH",
                f"{what} must have one row per node ({len(names)}), got {num_rows}.",
            )
        if set(names) != set(range(num_rows)):
            log.warning(
                "the rows of %s have no names: they are taken in the order of the nodes, the first"
                " as that of %.60r",
                *(what, names[0]),
            )
            return np.arange(num_rows)
    names, rows = comparable(names, range(num_rows) if own is None else own)
    row_of = {name: row for row, name in enumerate(rows)}
    nodes = set(names)
    no_row = [name for name in names if name not in row_of]
    no_node = [name for name in rows if name not in nodes]
    if no_row or no_node:
        raise DataError(
            "NODE_SET_MISMATCH",
            f"{len(no_row)} of {len(names)} nodes have no row in {what}{first_of(no_row)}, and"
            f" {len(no_node)} of its {len(rows)} rows have no node{first_of(no_node)}; give each"
            f" node one row, or pass {what}.to_numpy() if the rows are in the order of the nodes.",
        )
    return np.fromiter((row_of[name] for name in names), np.int64, len(names))


def pairs_of_names(frame: Any) -> list[tuple[NodeId, NodeId]]:
    """Return the pairs of names in the columns of a frame that :func:`edge_roles` finds."""
    found = frame_of(frame, "pairs")
    names, ends = coded_ends(found, edge_roles(found, "pairs", Choice(weight="none")), "pairs")
    return [(names[u], names[v]) for u, v in ends.T.tolist()]


def node_table(
    given: Any,
    what: str,
    wanted: Collection[NodeId] = (),
    id_column: str | None = None,
    *,
    first: bool = False,
) -> NodeTable:
    """Return the rows of a frame with their names.

    Args:
        given: The frame.
        what: Its name in messages.
        wanted: Names that some of the rows have, by which the column of names is chosen.
        id_column: Column with the names.
        first: Whether the first column has the names in a frame without an index and without
            another column of names.

    Raises:
        DataError: ``NODE_ID`` if names are missing or equal, or are no integers or strings.
    """
    frame = frame_of(given, what)
    names = index_names(given, what) if id_column is None else None
    if names is None and id_column is None:
        id_column = name_column(frame, what, wanted)
        has_index = nw.dependencies.is_pandas_like_dataframe(given)
        if id_column is None and first and not has_index and frame.columns:
            id_column = frame.columns[0]
        if id_column is not None:
            log.info("column %r of %s has the names of the nodes", id_column, what)
    where = "its index"
    if id_column is not None:
        names = column_names(column_of(frame, id_column, what), what)
        frame, where = frame.drop(id_column), f"column {id_column!r:.60}"
    if names is not None and len(set(names)) != len(names):
        seen: set[NodeId] = set()
        twice = next(name for name in names if name in seen or seen.add(name))
        message = f"{what}: each node must have one row, but {twice!r:.60} is twice in {where}"
        raise DataError("NODE_ID", f"{message}; drop rows, or name another column by id_column=.")
    return NodeTable(names, frame, what)


def side_table(
    given: Any, what: str, wanted: Collection[NodeId] = (), id_column: str | None = None
) -> NodeTable:
    """Return :func:`node_table` of one side of nodes, whose first column may be ``user_id``."""
    if id_column is None and index_names(given, what) is None:
        columns = frame_of(given, what).columns
        if columns and side_name(columns[0]) != columns[0] and key_of(columns[0]) != "id":
            id_column = columns[0]
            log.info("column %r of %s has the names of the nodes", id_column, what)
    return node_table(given, what, wanted, id_column)


def aligned_labels(y: Any, names: Sequence[NodeId] | None) -> Parts:
    """Return labels, those of a series by the names of its index, and their names."""
    if not is_series(y):
        return {"y": y}
    labels, label_names = coded_labels(aligned_series(y, names, "y"))
    return {"y": labels, "label_names": label_names}


def aligned_series(values: Any, names: Sequence[NodeId] | None, what: str) -> list[Any]:
    """Return the values of a series, by the names of its index if the nodes have names."""
    found = nw.from_native(values, series_only=True).to_list()
    if names is None:
        return found
    return [found[row] for row in aligned_rows(names, index_names(values, what), len(found), what)]


def aligned_features(
    given: Any, names: Sequence[NodeId], what: str, side: str = "", *, impute: bool = False
) -> tuple[Any, Sequence[str]]:
    """Return the features in a frame in the order of nodes, and their names.

    Args:
        given: The frame.
        names: Names of the nodes.
        what: Name of the frame in messages.
        side: Prefix ``SIDE:`` of names of nodes that the frame may lack.
        impute: Whether missing values become NaN instead of an error.
    """
    table = side_table(given, what, set(names))
    own = table.names
    if own is not None and side and {*map(str, own)}.isdisjoint(map(str, names)):
        own = [f"{side}:{name}" for name in own]
    values, columns = features_of(table.frame, what, impute=impute)
    if values is None:
        raise DataError("FEATURE_SHAPE", f"{what} has no columns with features.")
    return values[aligned_rows(names, own, len(table), what)], columns


def comparable(left: Sequence[NodeId], right: Sequence[NodeId]) -> tuple[Any, Any]:
    """Return two lists of names, as text if one has integers and the other text."""
    if {type(name) for name in (*left[:1], *right[:1])} == {int, str}:
        return [str(name) for name in left], [str(name) for name in right]
    return left, right


def first_of(names: Sequence[NodeId]) -> str:
    """Return the first names in brackets; an empty text without names."""
    return f" ({listed(names[:3])}{', ...' if len(names) > 3 else ''})" if names else ""


def name_column(frame: nw.DataFrame[Any], what: str, wanted: Collection[NodeId]) -> str | None:
    """Return the column of a frame without an index that has the names of its rows, if any.

    Of the columns that are called so, that with all wanted names; ``None`` if these are numbers of
    rows; else the first.
    """
    found = {key_of(name): name for name in reversed(frame.columns)}
    likely = [found[name] for name in NODE_NAMES if name in found]
    texts = set(map(str, wanted))
    for name in likely:
        if texts <= set(map(str, frame[name].to_list())):
            return name
    if likely and set(wanted) <= set(range(len(frame))):
        log.warning("the rows of %s are the nodes 0, 1, ...; %r is a feature", what, likely[0])
        return None
    return next(iter(likely), None)


def positions(edges: np.ndarray, names: Names, what: str) -> np.ndarray:
    """Return the numbers of nodes in edges that have their names.

    Integers beside names that are text may be numbers already.

    Raises:
        DataError: ``NODE_SET_MISMATCH`` if an edge has another node.
    """
    distinct, inverse = np.unique(edges, return_inverse=True)
    given, own = comparable(distinct.tolist(), names)
    place = {name: number for number, name in enumerate(own)}
    unknown = [name for name in given if name not in place]
    if not unknown:
        found = np.fromiter((place[name] for name in given), np.int64, len(given))
        return found[inverse.reshape(edges.shape)]
    is_numbers = edges.dtype.kind in "iu" and isinstance(names[0], str)
    if is_numbers and distinct[0] >= 0 and distinct[-1] < len(names):
        return edges
    raise DataError(
        "NODE_SET_MISMATCH",
        f"{len(unknown)} of {len(given)} nodes in edges have no row in {what}{first_of(unknown)};"
        f" add rows, or pass {what}.to_numpy() if edges have the numbers of its rows.",
    )
