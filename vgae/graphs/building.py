"""What a graph is made of: the arguments of ``Graph.from_edges``, brought to canonical form."""

import logging
import operator
from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import torch

from vgae.errors import DataError, check_choice
from vgae.graphs.arrays import FeatureBlock, block_features, feature_tensor, label_tensor
from vgae.graphs.canonical import CanonicalLinks, NodeId, canonical_links, edge_array, node_names
from vgae.graphs.defaults import Directed, Merge, Sides
from vgae.graphs.frame_kinds import is_frame, is_series
from vgae.graphs.grid import DirectedGrid, Grid, TwoSidedGrid
from vgae.graphs.missing import without_gaps
from vgae.graphs.side_detection import detected
from vgae.graphs.sides import (
    COLUMNS,
    check_side_names,
    check_sides,
    column_sides,
    given_sides,
)

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Given:
    """Arguments of :meth:`vgae.Graph.from_edges`, which describes them."""

    edges: Any
    edge_weight: Any
    num_nodes: int | None
    x: Any
    feature_names: Sequence[str]
    y: Any
    label_names: Sequence[str]
    node_ids: Sequence[NodeId] | None
    merge: Merge
    directed: Directed
    ordered: bool
    sides: Sides | Any
    side_names: Sequence[str]
    name: str
    signed: bool = False
    edge_attr: Any = None
    edge_attr_names: Sequence[str] = ()
    missing_features: str = "refuse"


def fields_of(given: Given) -> dict[str, Any]:
    """Return the fields of the graph, which :class:`vgae.Graph` describes."""
    if is_frame(given.edges):
        raise DataError("EDGE_INDEX_SHAPE", "edges is a data frame: use Graph.from_pandas.")
    check_choice("missing_features", given.missing_features, Literal["refuse", "impute"])
    check_side_names(given.side_names)
    pair = given.x if is_pair(given.x) else None
    sides = check_sides(given.sides, given.directed, has_pair=pair is not None)
    given = replace(given, edges=edge_array(given.edges), sides=sides)
    if pair is not None:
        given = replace(given, x=None)
    is_free = given.num_nodes is None and given.x is None and given.node_ids is None
    if is_free and isinstance(sides, str) and sides == "columns":
        given = _apart(given, pair)
    given = _numbered(given)
    gaps = given.missing_features == "impute"
    features = None if given.x is None else feature_tensor(given.x, gaps=gaps)
    num_nodes, node_ids = given.num_nodes, given.node_ids
    if num_nodes is None:
        num_nodes = len(node_ids) if features is None else features.shape[0]  # pyright: ignore
    links, second, side_names = _links(given, num_nodes)
    feature_names = given.feature_names
    if pair is not None:
        features, feature_names = _pair_features(pair, node_ids, second, side_names, gaps)
    features, missing = without_gaps(features, given.name) if gaps else (features, None)
    return {
        "links": links.links,
        "num_nodes": num_nodes,
        "link_weight": links.weight,
        "link_sign": links.sign,
        "link_attr": links.attr,
        "link_attr_names": tuple(map(str, given.edge_attr_names)),
        "x": features,
        "missing": missing,
        "feature_names": tuple(str(name) for name in feature_names),
        "y": None if given.y is None else label_tensor(given.y, "y", None, "node"),
        "label_names": tuple(str(label) for label in given.label_names),
        "node_ids": None if node_ids is None else node_names(node_ids, num_nodes),
        "name": given.name,
        "notes": MappingProxyType(links.notes),
        "directed": given.directed == "keep",
        "sides": None if second is None else torch.from_numpy(second),
        "side_names": side_names,
    }


def is_pair(x: Any) -> bool:
    """Return whether ``x`` has the features of the two sides apart."""
    return (
        isinstance(x, tuple)
        and len(x) == 2
        and all(part is None or is_frame(part) or np.ndim(part) == 2 for part in x)
    )


def _numbered(given: Given) -> Given:
    """Return numbers of nodes as edges, and what is in frames in the order of the nodes."""
    num_nodes = None if given.num_nodes is None else operator.index(given.num_nodes)
    given = replace(given, num_nodes=num_nodes)
    if is_frame(given.x) or is_series(given.y):
        from vgae.graphs.aligning import align

        keys = ("num_nodes", "node_ids", "x", "y", "feature_names", "label_names")
        parts = {key: getattr(given, key) for key in keys}
        impute = given.missing_features == "impute"
        given = replace(given, **align(given.edges, **parts, impute=impute))
    if given.num_nodes is None and given.x is None and given.node_ids is None:
        names, inverse = np.unique(given.edges, return_inverse=True)
        edges, num_nodes = inverse.reshape(given.edges.shape), len(names)
        given = replace(given, edges=edges, num_nodes=num_nodes)
        if not np.array_equal(names, np.arange(num_nodes)):
            given = replace(given, node_ids=names.tolist())
    return given


def _links(
    given: Given, num_nodes: int
) -> tuple[CanonicalLinks, np.ndarray | None, tuple[str, ...]]:
    """Return the links, the sides of the nodes and their names."""
    sides, named = given.sides, tuple(map(str, given.side_names))
    second = None
    if not isinstance(sides, str):
        if is_series(sides):
            from vgae.graphs.aligning import aligned_series

            sides = aligned_series(sides, given.node_ids, "sides")
        second, named = given_sides(sides, num_nodes, named)
    elif sides == "columns":
        second, named = column_sides(given.edges, num_nodes), named or COLUMNS
    grid = DirectedGrid(num_nodes) if given.directed == "keep" else Grid(num_nodes)
    if second is not None:
        grid = TwoSidedGrid(torch.from_numpy(second))
    links = canonical_links(
        given.edges,
        grid,
        given.edge_weight,
        merge=given.merge,
        directed=given.directed,
        ordered=given.ordered and second is None,
        signed=given.signed,
        edge_attr=given.edge_attr,
    )
    if given.directed == "symmetrize" and (one_way := links.notes.get("one_way")):
        log.info(
            "%s: %s links go one way and are read without their direction; directed='keep'"
            " (--directed keep) keeps it",
            *(given.name, f"{one_way:,}"),
        )
    if isinstance(sides, str) and sides == "auto":
        second = detected(given.edges, links.links.numpy(), num_nodes, given.name)
        if second is not None:
            links = _across(links, TwoSidedGrid(torch.from_numpy(second)))
    return links, second, () if second is None else named


def _across(found: CanonicalLinks, grid: Grid) -> CanonicalLinks:
    """Return links of an undirected graph as a two-sided graph stores them."""
    links = grid.ordered(found.links)
    order = (links[0] * grid.num_nodes + links[1]).argsort()
    notes = dict(found.notes)
    if "both_ways" not in notes:
        notes.pop("one_way", None)  # the direction is that of the sides
    return found.reordered(links[:, order], order, notes)


def _apart(given: Given, pair: Any) -> Given:
    """Make nodes of each column of the edges, and of the rows of its features.

    A name in both columns becomes two nodes, ``source:NAME`` and ``target:NAME``, or with the
    names of the sides. Without features, the nodes are in ascending order of their names; else
    those of the first side come first, in the order of the rows.
    """
    labels = tuple(map(str, given.side_names)) or COLUMNS
    names, numbers = [], []
    for column, part, label in zip(given.edges, pair or (None, None), labels, strict=True):
        own, places = _of_side(column, part, label)
        numbers.append(places + len(names[0] if names else ()))
        names.append(own)
    both = {*map(str, names[0])}.intersection(map(str, names[1]))
    edges, apart = np.stack(numbers), [*names[0], *names[1]]
    if both:
        log.info(
            "%s: %d names are on both sides, and become %s:NAME and %s:NAME",
            *(given.name, len(both), *labels),
        )
        sided = zip(labels, names, strict=True)
        apart = [f"{label}:{name}" for label, own in sided for name in own]
    second = np.arange(len(apart)) >= len(names[0])
    if pair is None:
        order = np.array(sorted(range(len(apart)), key=apart.__getitem__), np.int64)
        apart, second, edges = [apart[k] for k in order], second[order], order.argsort()[edges]
    return replace(given, edges=edges, node_ids=apart, sides=second, side_names=labels)


def _of_side(column: np.ndarray, part: Any, label: str) -> tuple[list[NodeId], np.ndarray]:
    """Return the names of the nodes of one side, and the places of one column of edges in them."""
    distinct, inverse = np.unique(column, return_inverse=True)
    if is_frame(part):
        from vgae.graphs.aligning import positions, side_table

        what = f"x of {label!r:.60}"
        own = side_table(part, what, set(distinct.tolist())).names
        if own is not None:
            return own, positions(column, own, what)
    num_rows = None if part is None else len(part) if is_frame(part) else np.shape(part)[0]
    if num_rows is not None and column.dtype.kind in "iu":
        low, high = (distinct[0], distinct[-1]) if distinct.size else (0, -1)
        if low >= 0 and high < num_rows:
            return list(range(num_rows)), column.astype(np.int64)
    return distinct.tolist(), inverse.reshape(-1)


def _pair_features(
    pair: Any,
    node_ids: Sequence[NodeId] | None,
    second: np.ndarray | None,
    names: Sequence[str],
    gaps: bool,  # noqa: FBT001
) -> tuple[Any, Sequence[str]]:
    """Return the features of two sides as blocks of columns, and the names of the columns."""
    assert second is not None
    if all(part is None for part in pair):
        return None, ()
    blocks = []
    for part, label, is_second in zip(pair, names or ("first", "second"), (0, 1), strict=True):
        nodes = np.flatnonzero(second == is_second)
        own = nodes.tolist() if node_ids is None else [node_ids[node] for node in nodes.tolist()]
        columns: Sequence[Any] = own if part is None else ()
        if is_frame(part):
            from vgae.graphs.aligning import aligned_features

            part, columns = aligned_features(part, own, f"x of {label!r:.60}", label, impute=gaps)
        blocks.append(FeatureBlock(label, nodes, part, columns))
    return block_features(blocks, gaps=gaps)
