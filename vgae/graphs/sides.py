"""Edges between nodes of two kinds, such as users and items, each with names of its own."""

import logging
from collections.abc import Sequence

import numpy as np

from vgae.errors import printable
from vgae.graphs.canonical import NodeId
from vgae.graphs.column_names import are_of_two_kinds
from vgae.graphs.columns import Roles
from vgae.runtime.numerals import is_integer

log = logging.getLogger(__name__)


def two_sides(
    place: str, names: Sequence[NodeId], edges: np.ndarray, roles: Roles, level: int
) -> tuple[Sequence[NodeId], np.ndarray]:
    """Keep equal names of sources and targets apart: ``source:NAME`` and ``target:NAME``.

    Args:
        place: The file or frame, for messages.
        names: Name of each node.
        edges: Ends of each edge as indices of ``names``, int64, shape ``(2, E)``.
        roles: Roles of the columns, whose names replace ``source`` and ``target``.
        level: Level of the message.

    Returns:
        Names and edges; unchanged if no name is on both sides.
    """
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
    """Warn if two columns with numbers of different things have some in common."""
    if roles.names is None or not are_of_two_kinds(*map(roles.name, (roles.source, roles.target))):
        return
    both = np.intersect1d(edges[0], edges[1])
    if len(both) and all(is_integer(str(names[node])) for node in both):
        log.warning(
            "%s: the columns %s and %s have names in common, which are the same nodes: %s, such as"
            " %.60s; two_sided=True (--two-sided) keeps them apart",
            *(place, *(printable(roles.name(end)) for end in (roles.source, roles.target))),
            *(f"{len(both):,}", printable(str(names[both[0]]))),
        )
