"""Conversion of two-sided graphs of PyG: ``HeteroData``, and ``Data`` with two sides."""

import logging
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from vgae.errors import DataError, UsageError
from vgae.graphs.arrays import FeatureBlock, block_features
from vgae.graphs.values import listed

if TYPE_CHECKING:
    from torch_geometric.data import HeteroData

log = logging.getLogger(__name__)

Parts = dict[str, Any]  # keyword arguments of Graph.from_edges
EdgeType = tuple[str, str, str]


def from_hetero(data: "HeteroData") -> Parts:
    """Return the parts of a two-sided graph; see :meth:`vgae.Graph.from_pyg`.

    Raises:
        DataError: ``RELATIONS`` unless there are two node types and, apart from its transpose, one
            relation between both.
    """
    types, kept = list(data.node_types), _relations(data)
    across = [kind for kind in kept if kind[0] != kind[2]]
    if len(types) != 2 or len(kept) != 1 or not across:
        raise DataError(
            "RELATIONS",
            f"a HeteroData must have two node types and one relation between them, got node types"
            f" {listed(types)} and relations {listed(['/'.join(kind) for kind in kept])}; use"
            " TypedGraph.from_pyg for several relations, or for one within a type.",
        )
    (kind,) = across
    first, second = kind[0], kind[2]
    sizes = [_num_nodes(data, name) for name in (first, second)]
    edges = data[kind].edge_index + torch.tensor([[0], [sizes[0]]])
    names = (first, second)
    used = {"x", "y", "num_nodes", "edge_index", "edge_weight"}
    stores = {name: data[name] for name in names} | {"/".join(kind): data[kind]}
    left = [
        f"{where}.{key}" for where, store in stores.items() for key in store if key not in used
    ]
    if left:
        log.warning("from_pyg leaves out %s", ", ".join(left))
    x = tuple(data[name].get("x") for name in names)
    return {
        "edges": edges,
        "edge_weight": data[kind].get("edge_weight"),
        "num_nodes": sum(sizes),
        "node_ids": [
            f"{name}:{k}" for name, size in zip(names, sizes, strict=True) for k in range(size)
        ],
        "x": None if x == (None, None) else x,
        "y": _labels(data, names, sizes),
        "sides": np.arange(sum(sizes)) >= sizes[0],
        "side_names": names,
    }


def _num_nodes(data: "HeteroData", name: str) -> int:
    count = data[name].num_nodes
    if count is None:
        raise DataError("RELATIONS", f"data[{name!r}].num_nodes is missing; set it.")
    return int(count)


def _relations(data: "HeteroData") -> list[EdgeType]:
    """Return the relations without those that are the transpose of another one."""
    kept: list[EdgeType] = []
    for kind in sorted(data.edge_types, key=lambda kind: kind[1].startswith("rev_")):
        pairs = data[kind].get("edge_index")
        if pairs is None:
            raise DataError("NO_EDGES", f"data[{kind}].edge_index is missing.")
        reverse = [other for other in kept if (other[0], other[2]) == (kind[2], kind[0])]
        if not any(_same(pairs.flip(0), data[other].edge_index) for other in reverse):
            kept.append(kind)
    return kept


def _same(left: Tensor, right: Tensor) -> bool:
    return torch.equal(left.unique(dim=1), right.unique(dim=1))


def _labels(data: "HeteroData", names: tuple[str, str], sizes: list[int]) -> np.ndarray | None:
    """Return the labels of the one type that has them, -1 for the other; ``None`` if both have."""
    found = {
        place: data[name].y
        for place, name in enumerate(names)
        if isinstance(data[name].get("y"), Tensor)
    }
    found = {
        place: y
        for place, y in found.items()
        if y.shape == (sizes[place],) and not y.is_floating_point()
    }
    if len(found) != 1:
        if found:
            log.warning("from_pyg leaves out y: both types have labels, which mean other things")
        return None
    ((place, y),) = found.items()
    labels = [np.full(size, -1) for size in sizes]
    labels[place] = y.numpy()
    return np.concatenate(labels)


def without_sides(parts: Parts) -> Parts:
    """Return parts of a graph of one kind of nodes, with the features of both in columns."""
    second, names = parts["sides"], parts.get("side_names", ("first", "second"))
    plain = {key: value for key, value in parts.items() if key != "side_names"}
    plain |= {"sides": "none", "ordered": True}
    if parts["x"] is not None:
        sides = zip(names, (~second, second), parts["x"], strict=True)
        blocks = [FeatureBlock(name, np.flatnonzero(side), x) for name, side, x in sides]
        plain["x"], plain["feature_names"] = block_features(blocks)
    return plain


def is_two_sided_data(data: Any) -> bool:
    """Return whether a ``Data`` has features of sources and targets apart, ``x_s`` and ``x_t``."""
    return data.get("x") is None and all(data.get(key) is not None for key in ("x_s", "x_t"))


def from_two_sided_data(data: Any) -> Parts:
    """Return the parts of a ``Data`` whose ``edge_index`` numbers each side from 0."""
    x = data.x_s, data.x_t
    sizes = [len(part) for part in x]
    edges = data.edge_index
    if edges.numel() and (edges.amin() < 0 or (edges.amax(1) >= torch.tensor(sizes)).any()):
        raise DataError(
            "INDEX_RANGE",
            f"edge_index must lie below the rows of x_s and x_t, {sizes[0]} and {sizes[1]}, got"
            f" {edges.amax(1).tolist()}.",
        )
    return {
        "edges": edges + torch.tensor([[0], [sizes[0]]]),
        "edge_weight": data.edge_weight,
        "num_nodes": sum(sizes),
        "x": x,
        "sides": np.arange(sum(sizes)) >= sizes[0],
    }


def to_hetero(graph: Any) -> "HeteroData":
    """Return a two-sided :class:`vgae.Graph`; see :meth:`vgae.Graph.to_hetero`."""
    from torch_geometric.data import HeteroData

    grid = graph.grid
    if graph.sides is None:
        raise UsageError(
            "SIDES", f"{graph!r} has no sides, which HeteroData has as node types; use to_pyg()."
        )
    names = graph.side_names or ("first", "second")
    data = HeteroData()
    x, nodes = graph.dense_x, (grid.rows, grid.columns)
    for name, other, own in zip(names, names[::-1], nodes, strict=True):
        data[name].num_nodes = len(own)
        if graph.y is not None:
            data[name].y = graph.y[own]
        if x is not None:
            columns = [not column.startswith(f"{other}:") for column in graph.feature_names]
            data[name].x = x[own][:, torch.tensor(columns)] if columns else x[own]
    places = grid.places[graph.links]
    for source, relation, target, pairs in (
        (names[0], "to", names[1], places),
        (names[1], "rev_to", names[0], places.flip(0)),
    ):
        data[source, relation, target].edge_index = pairs
        if graph.link_value is not None:
            data[source, relation, target].edge_weight = graph.link_value
        if graph.link_attr is not None:
            data[source, relation, target].edge_attr = graph.link_attr
    return data
