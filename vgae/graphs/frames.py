"""Graphs in data frames: an edge list and a table of nodes."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple, TypedDict, get_args

import narwhals as nw
import numpy as np

from vgae.errors import DataError, UsageError, check_choice, did_you_mean
from vgae.graphs.aligning import (
    Names,
    NodeTable,
    Parts,
    aligned_labels,
    comparable,
    first_of,
    node_table,
)
from vgae.graphs.arrays import rows_of
from vgae.graphs.canonical import NodeId, warn_of_first
from vgae.graphs.column_names import pairs_of
from vgae.graphs.columns import Roles
from vgae.graphs.defaults import Directed, Merge, MissingFeatures, Sides, sides_option
from vgae.graphs.directions import directions
from vgae.graphs.encoding import TableEncoder
from vgae.graphs.frame_columns import (
    Choice,
    coded_ends,
    column_of,
    edge_roles,
    encoded_features,
    frame_of,
    numbers_of,
)
from vgae.graphs.graph_nodes import warn_of_graphs
from vgae.graphs.link_values import SIGNED
from vgae.graphs.sides import of_columns, sides_of_ends
from vgae.graphs.values import coded_labels, listed
from vgae.graphs.weights import checked_weights

log = logging.getLogger(__name__)


class FrameOptions(TypedDict, total=False):
    """Options of :meth:`vgae.Graph.from_pandas`, which describes them."""

    id_column: str | None
    missing_features: MissingFeatures
    drop_zero: bool
    sides: Any
    two_sided: bool
    merge: Merge
    directed: Directed
    signed: bool
    edge_features: Sequence[str]
    name: str


def from_frames(
    edges: Any,
    nodes: Any,
    columns: tuple[str | None, str | None, str | None],
    y: Any,
    encode: Any,
    options: FrameOptions,
) -> tuple[Parts, TableEncoder | None]:
    """Return the parts of a graph in frames, and the encoder of the features of its nodes.

    For the arguments see :meth:`vgae.Graph.from_pandas`;

    ``columns`` are those of source, target and weight, each ``None`` if it is not given.
    """
    _check_options(options, nodes)
    missing = options.get("missing_features", "refuse")
    (roles, ends, pairs, values), ordered = _edges(edges, columns, options)
    sides = sides_option(options.get("sides", "auto"), two_sided=options.get("two_sided", False))
    of_ends = of_columns("edges", ends, pairs, roles, sides, logging.INFO)
    apart, pairs, side_names, prefixes = of_ends
    if apart is not ends:
        order = sorted(range(len(apart)), key=apart.__getitem__)
        ends, pairs = [apart[place] for place in order], np.argsort(order)[pairs]
    names: Names = ends
    place, parts = np.arange(len(ends)), {}
    if nodes is None and isinstance(y, str):
        raise UsageError("LABELS", f"y={y!r:.60} names a column of nodes; pass nodes too.")
    if nodes is not None:
        table = node_table(nodes, "nodes", ends, options.get("id_column"), first=True)
        labels = None
        if isinstance(sides, str) and sides not in get_args(Sides):
            labels = column_of(table.frame, sides, "nodes").to_list()
            table = replace(table, frame=table.frame.drop(sides))
        place, names, parts = _joined(ends, table, y, encode, missing)
        if labels is not None:
            sides = [*labels, *[None] * (len(names) - len(labels))]
    if y is not None and not isinstance(y, str):
        parts |= aligned_labels(y, names)
    pairs = place[pairs]
    if side_names is not None:
        sides = sides_of_ends(pairs, names, prefixes, sides, options.get("directed"))
        parts |= {"side_names": side_names}
    parts["sides"] = sides
    others = {k: v for k, v in options.items() if k in ("merge", "directed", "name", "signed")}
    parts |= {"edges": pairs, **values, "num_nodes": len(names), "node_ids": names}
    parts |= {"missing_features": "impute"} if missing == "impute" else {}
    encoder = parts.pop("feature_encoder", None)
    return {**parts, **others, "ordered": ordered}, encoder


class _Edges(NamedTuple):
    """Roles of columns, the distinct ends, the edges as numbers of them, and their values."""

    roles: Roles
    ends: Names
    pairs: np.ndarray
    values: Parts


def _edges(
    edges: Any, columns: tuple[str | None, str | None, str | None], options: FrameOptions
) -> tuple[_Edges, bool]:
    """Return the edges of a frame, and whether it says that some are directed."""
    frame = edge_frame(edges, columns)
    frame, attr = _without_features(frame, options.get("edge_features", ()))
    roles = _edge_columns(frame, columns)
    ends, pairs = coded_ends(frame, roles, "edges")
    drop_zero, signed = options.get("drop_zero", False), options.get("signed", False)
    weight = _weights(frame, roles, drop_zero=drop_zero, signed=signed)
    rows, ordered = np.arange(pairs.shape[1]), False
    if roles.direction is not None:
        kinds = frame[roles.name(roles.direction)].to_list()
        how = options.get("directed", "symmetrize")
        pairs, weight, rows, ordered = directions(kinds, pairs, weight, rows, how)
        assert rows is not None
    kept = slice(None) if weight is None or not drop_zero else weight != 0
    values: Parts = {"edge_weight": None if weight is None else weight[kept]}
    if attr is not None:
        values |= {"edge_attr": attr[rows[kept]], "edge_attr_names": options["edge_features"]}  # pyright: ignore[reportTypedDictNotRequiredAccess]
    return _Edges(roles, ends, pairs[:, kept], values), ordered


def _check_options(options: FrameOptions, nodes: Any) -> None:
    """Raise ``UsageError`` for an option or value that there is not, and for a pair of nodes."""
    if isinstance(nodes, tuple):
        raise UsageError(
            "FRAME",
            "nodes must be one data frame of all nodes; vgae.read_graph(edges, features=(users,"
            " items)) takes one for each side.",
        )
    known = list(FrameOptions.__annotations__)
    for name in options:
        if name not in known:
            what = f"there is no option {name!r:.60}; there are {', '.join(known)}."
            raise UsageError("OPTION", what + did_you_mean(name, known))
    check_choice("missing_features", options.get("missing_features", "refuse"), MissingFeatures)


def _joined(
    ends: Names, table: NodeTable, y: Any, encode: Any, missing: MissingFeatures
) -> tuple[np.ndarray, Names, Parts]:
    """Return the number of each end of edges, the names of all nodes, their features and labels.

    ``ends`` are the distinct names in the edges.
    """
    names: Sequence[NodeId] = range(len(table)) if table.names is None else table.names
    ends, names = comparable(ends, names)
    absent = sorted(set(ends).difference(names))
    if absent and (missing == "refuse" or len(absent) == len(ends)):
        hint = "" if table.names is not None else ", whose rows have no names and are 0, 1, ..."
        if table.names is None and min(ends) == 1:
            hint += " while the ids of nodes begin at 1 (see nodes.set_index)"
        keep = ", or keep these nodes by missing_features='zero', 'mean' or 'impute'"
        raise DataError(
            "NODE_SET_MISMATCH",
            f"{len(absent)} of {len(ends)} nodes in edges have no row in nodes{hint}"
            f"{first_of(absent)}; add rows, or name the column of names, as in"
            f" id_column={_column_with(absent, table.frame)!r:.60}"
            f"{keep if len(absent) < len(ends) else ''}.",
        )
    if table.names is None:
        warn_of_first(ends, len(table))
    parts: Parts = {}
    frame = table.frame
    if isinstance(y, str):
        labels, parts["label_names"] = coded_labels(column_of(frame, y, "nodes").to_list())
        parts["y"] = np.append(labels, np.full(len(absent), -1))
        frame = frame.drop(y)
    x, parts["feature_names"], parts["feature_encoder"] = encoded_features(
        frame, "nodes", encode, impute=missing == "impute"
    )
    if x is not None and absent:
        x = rows_of(x, np.append(np.arange(len(names)), np.full(len(absent), -1)), missing)
    names = [*names, *absent]
    number = {name: place for place, name in enumerate(names)}
    return np.array([number[name] for name in ends], np.int64), names, {**parts, "x": x}


def _column_with(names: Names, frame: nw.DataFrame[Any]) -> str:
    """Return the column that has most of some names, else ``"id"``."""
    wanted = set(map(str, names))
    counts = {c: len(wanted & set(map(str, frame[c].to_list()))) for c in frame.columns}
    best = max(counts, key=lambda column: counts[column], default="id")
    return best if counts.get(best) else "id"


def edge_frame(edges: Any, columns: Sequence[str | None] = ()) -> nw.DataFrame[Any]:
    """Return an edge list with the index of pandas as columns if that has ends of edges.

    ``columns`` are the names of columns that are given.
    """
    if nw.dependencies.is_pandas_like_dataframe(edges):
        named = [str(name) for name in edges.index.names if name is not None]
        known = [str(name) for name in edges.columns]
        pairs = pairs_of([*named, *known], range(len(named) + len(known)))
        of_index = any(min(pair) < len(named) for pair in pairs) or {*named} & {*columns}
        if of_index and not {*named} & {*known} and len(named) == edges.index.nlevels:
            edges = edges.reset_index()
    return frame_of(edges, "edges")


def _edge_columns(
    frame: nw.DataFrame[Any], given: tuple[str | None, str | None, str | None]
) -> Roles:
    """Return the columns of an edge list, given by the caller or found; log those left out."""
    source, target, weight = given
    if (source is None) != (target is None):
        raise UsageError("FRAME_COLUMNS", "source and target must be given together.")
    ends = None if source is None or target is None else (source, target)
    if ends is not None and source == target:
        raise UsageError("FRAME_COLUMNS", f"source and target are both {source!r:.60}.")
    found = edge_roles(frame, "edges", Choice(weight=weight), ends)
    if left_out := found.left_out():
        log.info(
            "edges: columns %r and %r are the ends; left out: %s",
            *(found.name(found.source), found.name(found.target), listed(left_out)),
        )
    warn_of_graphs(found.left_out(), "edges", "GraphCollection.from_pandas(edges, graph=%r)")
    return found


def _without_features(
    frame: nw.DataFrame[Any], names: Sequence[str]
) -> tuple[nw.DataFrame[Any], np.ndarray | None]:
    """Return an edge list without the columns of features of links, and these, ``(E, K)``.

    Raises:
        DataError: ``EDGE_ATTR`` if a column is missing, or is no column of numbers.
    """
    if isinstance(names, str):
        raise UsageError(
            "OPTION",
            f"edge_features must be a list of columns, got {names!r:.60}; use [{names!r}].",
        )
    found = []
    for name in names:
        if name not in frame.columns:
            what = f"edges has no column {name!r:.60} (edge_features); it has"
            hint = did_you_mean(name, frame.columns)
            raise DataError("EDGE_ATTR", f"{what} {listed(frame.columns)}.{hint}")
        values = numbers_of(frame[name])
        if values is None or not np.isfinite(values).all():
            what = f"column {name!r:.60} (edge_features) must have a finite number in each row"
            raise DataError(
                "EDGE_ATTR", f"{what}; make numbers of categories, as by pandas.get_dummies."
            )
        found.append(values)
    return frame.drop(list(names)), np.stack(found, axis=1) if found else None


def _weights(
    frame: nw.DataFrame[Any], roles: Roles, *, drop_zero: bool, signed: bool
) -> np.ndarray | None:
    """Return weights as float64, or ``None`` without; zeros are refused or dropped later."""
    if roles.weight is None:
        return None
    column = frame[roles.name(roles.weight)]
    values = None if column.dtype == nw.Boolean else numbers_of(column)
    if roles.refused:
        return None if values is None else checked_weights(values, roles, "edges", in_frame=True)
    if values is None:
        what = f"column {column.name!r:.60} must have numbers as weights, got {column.dtype}"
        raise DataError("BAD_WEIGHT", f"{what}; name another by weight=, or weight='none'.")
    rules = [
        ("BAD_WEIGHT", ~np.isfinite(values), "be finite numbers", "fill or drop them, or"),
    ]
    if not signed:
        rules.append(("NEGATIVE_WEIGHT", values < 0, "not be negative", f"{SIGNED};"))
    if not drop_zero:
        cure = "drop_zero=True leaves such edges out, and keeps their nodes;"
        rules.append(("ZERO_WEIGHT", values == 0, "not be 0", cure))
    for code, bad, rule, cure in rules:
        if bad.any():
            where = f"the first of {bad.sum()} such rows is row {bad.argmax()}"
            what = f"weights in column {column.name!r:.60} must {rule}: {where}"
            what = f"{what} with {values[bad.argmax()]:g}; {cure}".rstrip()
            raise DataError(code, f"{what} weight='none' reads the links without weights.")
    return checked_weights(values, roles, "edges", in_frame=True)
