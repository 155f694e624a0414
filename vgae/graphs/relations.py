"""Relations of a typed graph: their links, and the pairs that may be links."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vgae.errors import DataError
from vgae.graphs.canonical import canonical_links, check_range, edge_array
from vgae.graphs.defaults import Directed, Merge
from vgae.graphs.graph import Graph
from vgae.graphs.grid import DirectedGrid, Grid, TwoSidedGrid
from vgae.graphs.subset_grid import SubsetGrid
from vgae.graphs.values import listed

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Relation(Graph):
    """Links of one relation: a graph on all nodes of a :class:`vgae.TypedGraph`, without features.

    Attributes:
        members: Whether each node may have links of the relation, bool, shape ``(N,)``; ``None``
            if all nodes may. With ``sides``, members are linked across only.
    """

    members: Tensor | None = None

    @cached_property
    def grid(self) -> Grid:
        """The pairs that may be links."""
        if self.members is None:
            return super().grid
        num_members = int(self.members.sum())
        inner = DirectedGrid(num_members) if self.directed else Grid(num_members)
        if self.sides is not None:
            inner = TwoSidedGrid(self.sides[self.members])
        return SubsetGrid(self.members, inner)

    def __repr__(self) -> str:
        return f"Relation({self.name!r}, {self.num_links} links)"


def relation_of(
    edges: Any,
    weight: Any,
    node_type: Tensor,
    names: tuple[str, ...],
    *,
    merge: Merge,
    directed: Directed,
    ordered: bool,
) -> Relation:
    """Return the links of a relation; its grid follows from the types of the ends.

    Args:
        edges: Integers of shape ``(2, E)``.
        weight: Weight of each edge, shape ``(E,)``, or ``None``.
        node_type: Number of the type of each node, shape ``(N,)``.
        names: Names of the types.
        merge: As for :meth:`vgae.Graph.from_edges`.
        directed: Likewise, for edges within one set of types.
        ordered: Likewise.
    """
    pairs = edge_array(edges)
    check_range(pairs, len(node_type))
    first, second = _end_types(pairs, node_type.numpy())
    members = torch.isin(node_type, torch.tensor([*first, *second], dtype=torch.int64))
    sides = None
    if first.isdisjoint(second):
        sides = torch.isin(node_type, torch.tensor([*second], dtype=torch.int64))
    every = bool(members.all())
    shell = Relation(
        links=torch.empty(2, 0, dtype=torch.int64),
        num_nodes=len(node_type),
        directed=directed == "keep" and sides is None,
        sides=sides,
        side_names=() if sides is None else (_joined(first, names), _joined(second, names)),
        members=None if every else members,
    )
    how = "symmetrize" if sides is not None else directed
    given: Any = {"merge": merge, "directed": how, "ordered": ordered and sides is None}
    links = canonical_links(pairs, shell.grid, weight, **given)
    return replace(
        shell,
        links=links.links,
        link_weight=links.weight,
        notes=MappingProxyType(links.notes),
    )


def _end_types(edges: np.ndarray, node_type: np.ndarray) -> tuple[frozenset[int], frozenset[int]]:
    """Return the types of the sources and of the targets; both are the same unless disjoint."""
    if edges.size == 0:
        every = frozenset(np.unique(node_type).tolist())
        return every, every
    source, target = node_type[edges]
    pairs = np.unique(np.stack([source, target]), axis=1).T.tolist()
    first, second = frozenset(a for a, _ in pairs), frozenset(b for _, b in pairs)
    # Edges of both directions between two types have two sides, too.
    if len(first | second) == 2 and all(a != b for a, b in pairs):
        return frozenset(pairs[0][:1]), frozenset(pairs[0][1:])
    both = first | second
    return (first, second) if first.isdisjoint(second) else (both, both)


def _joined(types: frozenset[int], names: tuple[str, ...]) -> str:
    return " or ".join(names[number] for number in sorted(types))


def link_codes(relation: Graph) -> np.ndarray:
    """Return a number for each link, the same for both directions, each once, ascending."""
    low, high = relation.links.sort(dim=0).values
    return np.unique((low * relation.num_nodes + high).numpy())


def distinct_relations(
    relations: Mapping[str, Relation],
) -> tuple[dict[str, Relation], dict[str, str]]:
    """Leave out relations without links, or with those of another one or their reverse; log that.

    Otherwise a held-out link of the one would be a training link of the other. ``rev_...`` are
    left out first.

    Returns:
        The others in their order, and for each name left out that of the relation that stays.
    """
    kept: dict[bytes, str] = {}
    merged: dict[str, str] = {}
    empty = [name for name, relation in relations.items() if relation.num_links == 0]
    if len(empty) == len(relations):
        raise DataError("NO_EDGES", f"the relations {listed([*relations])} have no links.")
    if empty:
        log.warning("relations without links are left out: %s", listed(empty))
    for name in sorted(relations, key=lambda name: name.startswith("rev_")):
        if name in empty:
            continue
        first = kept.setdefault(link_codes(relations[name]).tobytes(), name)
        if first == name:
            continue
        merged[name] = first
        sides = [relations[one].side_names for one in (name, first)]
        is_reverse = name.startswith("rev_") or sides[0] != sides[1]
        log.log(
            logging.INFO if is_reverse else logging.WARNING,
            "relation %r has the links of %r%s: it is left out, as it would give away what is"
            " held out",
            *(name, first, ", reversed" if is_reverse else ""),
        )
    left_out = {*merged, *empty}
    return {name: r for name, r in relations.items() if name not in left_out}, merged
