"""Graphs in data frames: an edge list and a table of nodes."""

import logging
from collections.abc import Sequence
from typing import Any, Literal, TypedDict

import narwhals as nw
import numpy as np
import scipy.sparse as sp

from vgae.errors import DataError, UsageError, check_choice, did_you_mean
from vgae.graphs.aligning import (
    Names,
    NodeTable,
    Parts,
    aligned_labels,
    comparable,
    first_of,
    node_table,
    warn_of_first,
)
from vgae.graphs.canonical import NodeId
from vgae.graphs.defaults import Directed, Merge
from vgae.graphs.frame_columns import (
    EdgeColumns,
    coded_labels,
    column_names,
    column_of,
    edge_roles,
    encoded_features,
    frame_of,
    listed,
    numbers_of,
    plain,
)

log = logging.getLogger(__name__)

MissingRows = Literal["refuse", "zero", "mean"]


class FrameOptions(TypedDict, total=False):
    """Options of :meth:`vgae.Graph.from_pandas`, which describes them."""

    id_column: str | None
    missing_features: MissingRows
    drop_zero: bool
    merge: Merge
    directed: Directed
    name: str


def from_frames(
    edges: Any,
    nodes: Any,
    columns: tuple[str | None, str | None, str | None],
    y: Any,
    encode: Any,
    options: FrameOptions,
) -> Parts:
    """Return the parts of a graph in frames; see :meth:`vgae.Graph.from_pandas`.

    ``columns`` are the columns of source, target and weight, each ``None`` if it is not given.
    """
    known = list(FrameOptions.__annotations__)
    for name in options:
        if name not in known:
            what = f"there is no option {name!r:.60}; there are {', '.join(known)}."
            raise UsageError("OPTION", what + did_you_mean(name, known))
    missing = options.get("missing_features", "refuse")
    check_choice("missing_features", missing, MissingRows)
    frame = frame_of(_with_index(edges, columns), "edges")
    roles = _edge_columns(frame, columns)
    ends = _ends(frame, roles)
    drop_zero, weight = options.get("drop_zero", False), None
    if roles.weight is not None:
        weight = _weights(frame[roles.weight], drop_zero=drop_zero)
    names: Names
    if nodes is None:
        if isinstance(y, str):
            raise UsageError("LABELS", f"y={y!r:.60} names a column of nodes; pass nodes too.")
        names, parts = sorted(set(ends)), {}
    else:
        table = node_table(nodes, "nodes", set(ends), options.get("id_column"), first=True)
        ends, names, parts = _joined(ends, table, y, encode, missing)
    if y is not None and not isinstance(y, str):
        parts |= aligned_labels(y, names)
    place = {name: number for number, name in enumerate(names)}
    pairs = np.fromiter((place[name] for name in ends), np.int64, len(ends)).reshape(2, -1)
    if weight is not None and drop_zero:
        pairs, weight = pairs[:, weight != 0], weight[weight != 0]
    others = {k: v for k, v in options.items() if k in ("merge", "directed", "name")}
    parts |= {"edges": pairs, "edge_weight": weight, "num_nodes": len(names), "node_ids": names}
    return {**parts, **others}


def _joined(
    ends: Names, table: NodeTable, y: Any, encode: Any, missing: MissingRows
) -> tuple[Names, Names, Parts]:
    """Return the ends of edges, the names of all nodes, and their features and labels."""
    names: Sequence[NodeId] = range(len(table)) if table.names is None else table.names
    ends, names = comparable(ends, names)
    absent = sorted(set(ends).difference(names))
    if absent and missing == "refuse":
        hint = "" if table.names is not None else ", whose rows have no names and are 0, 1, ..."
        if table.names is None and min(ends) == 1:
            hint += " while the ids of nodes begin at 1 (see nodes.set_index)"
        raise DataError(
            "NODE_SET_MISMATCH",
            f"{len(absent)} of {len(set(ends))} nodes in edges have no row in nodes{hint}"
            f"{first_of(absent)}; add rows, name the column of names by id_column=, or keep these"
            " nodes by missing_features='zero' or 'mean'.",
        )
    if table.names is None:
        warn_of_first(ends, len(table))
    parts: Parts = {}
    frame = table.frame
    if isinstance(y, str):
        labels, parts["label_names"] = coded_labels(column_of(frame, y, "nodes").to_list())
        parts["y"] = np.append(labels, np.full(len(absent), -1))
        frame = frame.drop(y)
    x, parts["feature_names"], parts["feature_encoder"] = encoded_features(frame, "nodes", encode)
    if x is not None and absent:
        rows = x.mean(axis=0) if missing == "mean" else np.zeros(x.shape[1])
        rows = np.tile(np.asarray(rows, np.float32), (len(absent), 1))
        x = sp.vstack([x, rows], format="csr") if sp.issparse(x) else np.vstack([x, rows])
    return ends, [*names, *absent], {**parts, "x": x}


def _with_index(edges: Any, columns: Sequence[str | None]) -> Any:
    """Return a frame of pandas with its index as columns if that has ends of edges."""
    if not nw.dependencies.is_pandas_like_dataframe(edges):
        return edges
    named = [name for name in edges.index.names if name is not None]
    ends = {"source", "target", "src", "dst", "from", "to", "u", "v", *columns}
    return edges.reset_index() if any(n in ends for n in named) else edges


def _edge_columns(
    frame: nw.DataFrame[Any], given: tuple[str | None, str | None, str | None]
) -> EdgeColumns:
    """Return the columns of an edge list, given by the caller or found; log those left out."""
    source, target, weight = given
    if (source is None) != (target is None):
        raise UsageError("FRAME_COLUMNS", "source and target must be given together.")
    for name in (source, target, *([] if weight in (None, "none") else [weight])):
        if name is not None:
            column_of(frame, name, "edges")
    if source is None or target is None:
        found = edge_roles([name for name in frame.columns if name != weight])
    else:
        named = [name for name in frame.columns if plain(name) == "weight"]
        found = EdgeColumns(source, target, next(iter(named), None))
    if weight is not None:
        found = found._replace(weight=None if weight == "none" else weight)
    if left_out := [name for name in frame.columns if name not in found]:
        log.log(
            logging.WARNING if found.weight is None and weight is None else logging.INFO,
            "edges: columns %s and %s are the ends, %s the weight; left out: %s",
            *(*map(repr, found[:2]), "none" if found.weight is None else repr(found.weight)),
            listed(left_out),
        )
    return found


def _ends(frame: nw.DataFrame[Any], roles: EdgeColumns) -> Names:
    """Return the names of the first ends of all edges, and then of the second ends."""
    if roles.source == roles.target:
        raise UsageError("FRAME_COLUMNS", f"source and target are both {roles.source!r:.60}.")
    source, target = (column_names(frame[name], "edges") for name in roles[:2])
    if {type(name) for name in (*source[:1], *target[:1])} == {int, str}:
        raise DataError(
            "NODE_ID",
            f"edges: {roles.source!r:.60} has integers and {roles.target!r:.60} strings, or the"
            " reverse; make them one type, as by .astype(str).",
        )
    return [*source, *target]


def _weights(column: nw.Series[Any], *, drop_zero: bool) -> np.ndarray:
    """Return weights of edges as float64; zeros are refused unless they are dropped later."""
    values = numbers_of(column)
    if values is None:
        what = f"column {column.name!r:.60} must have numbers as weights, got {column.dtype}"
        raise DataError("BAD_WEIGHT", f"{what}; name another by weight=, or weight='none'.")
    if (absent := np.flatnonzero(np.isnan(values))).size:
        what = f"column {column.name!r:.60} has no weight in {absent.size} rows"
        raise DataError("BAD_WEIGHT", f"{what}, the first is row {absent[0]}; fill or drop them.")
    rules = [("NEGATIVE_WEIGHT", values < 0, "must not be negative")]
    if not drop_zero:
        rule = "must not be 0; drop_zero=True leaves such edges out, and keeps their nodes"
        rules.append(("ZERO_WEIGHT", values == 0, rule))
    for code, bad, rule in rules:
        if bad.any():
            where = f"{bad.sum()} rows are, the first is row {bad.argmax()}"
            where = f"{where} with {values[bad.argmax()]:g}"
            raise DataError(code, f"weights in column {column.name!r:.60} {rule}: {where}.")
    return values
