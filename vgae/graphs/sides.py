"""Graphs of two sides, such as users and items: equal names of sources and targets."""

import logging
from collections.abc import Sequence

import numpy as np

from vgae.errors import printable
from vgae.graphs.canonical import NodeId
from vgae.graphs.columns import Roles

log = logging.getLogger(__name__)


def two_sides(
    place: str, names: Sequence[NodeId], edges: np.ndarray, roles: Roles, level: int
) -> tuple[Sequence[NodeId], np.ndarray]:
    """Keep equal names of sources and targets apart: ``source:NAME`` and ``target:NAME``."""
    sides = [np.unique(ends) for ends in edges]
    both = np.intersect1d(sides[0], sides[1])
    if not len(both):
        log.log(level, "%s: two sides, of %d and %d nodes", place, *map(len, sides))
        return names, edges
    columns = ("source", "target")
    if roles.names is not None:
        columns = (roles.name(roles.source), roles.name(roles.target))
    log.log(
        level,
        "%s: two sides, of %d and %d nodes; %d names are on both, and become %s",
        *(
            place,
            *map(len, sides),
            len(both),
            " and ".join(f"{printable(name)}:NAME" for name in columns),
        ),
    )
    apart = [
        f"{column}:{names[node]}"
        for column, side in zip(columns, sides, strict=True)
        for node in side.tolist()
    ]
    places = [np.searchsorted(side, ends) for side, ends in zip(sides, edges, strict=True)]
    return apart, np.stack([places[0], places[1] + len(sides[0])])


def warn_of_sides(place: str, names: Sequence[NodeId], edges: np.ndarray, roles: Roles) -> None:
    """Warn if two columns with names of different things share names of nodes."""
    both = np.intersect1d(edges[0], edges[1])
    if len(both):
        log.warning(
            "%s: the columns %s and %s have names in common, which are the same nodes: %s, such as"
            " %.60s; two_sided=True (--two-sided) keeps them apart",
            *(place, *(printable(roles.name(end)) for end in (roles.source, roles.target))),
            *(f"{len(both):,}", printable(str(names[both[0]]))),
        )
