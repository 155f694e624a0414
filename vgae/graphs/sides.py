"""Two sides of nodes, such as users and items: declared, by the columns of edges, or detected.

The sides of a two-sided (bipartite) graph are ``sides``, whether each node is of the second side.
"""

import logging
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from vgae.errors import DataError, UsageError, printable
from vgae.graphs.canonical import NodeId
from vgae.graphs.column_names import are_of_two_kinds, are_two_things, side_name
from vgae.graphs.columns import Roles
from vgae.runtime.numerals import is_integer

log = logging.getLogger(__name__)

COLUMNS = ("source", "target")
"""Names of sides that are columns of edges without names."""

DECLINE = "sides='none' (--sides none) reads any two nodes as a possible link"


class OfColumns(NamedTuple):
    """Edges whose columns were examined.

    Attributes:
        names: Name of each node.
        edges: Ends of each edge as indices of ``names``, int64, shape ``(2, E)``.
        side_names: Names of the sides that the columns are; ``None`` if they are not.
        prefixes: What names in both columns begin with.
    """

    names: Sequence[NodeId]
    edges: np.ndarray
    side_names: tuple[str, str] | None
    prefixes: tuple[str, str] = COLUMNS


def of_columns(
    place: str, names: Sequence[NodeId], edges: np.ndarray, roles: Roles, sides: Any, level: int
) -> OfColumns:
    """Take the columns of edges for two sides if that is asked for, or if their names say so.

    Args:
        place: The file or frame, for messages.
        names: Name of each node.
        edges: Ends of each edge as indices of ``names``, int64, shape ``(2, E)``.
        roles: Roles of the columns.
        sides: ``"columns"``; ``"auto"`` for those with the names of two kinds of things; for
            all else nothing changes.
        level: Level of the messages.
    """
    columns = COLUMNS
    if roles.names is not None:
        columns = (roles.name(roles.source), roles.name(roles.target))
    if isinstance(sides, str) and sides == "auto":
        if roles.known or roles.names is None or not are_two_things(*columns):
            _warn_of_columns(place, names, edges, roles)
            return OfColumns(names, edges, None)
        log.log(
            max(level, logging.WARNING) if level >= logging.INFO else level,
            "%s: the columns %s and %s are two sides: links go across alone; %s",
            *(place, *map(printable, columns), DECLINE),
        )
    elif not (isinstance(sides, str) and sides == "columns"):
        return OfColumns(names, edges, None)
    names, edges = two_sides(place, names, edges, roles, level)
    first, second = map(side_name, columns)
    return OfColumns(names, edges, columns if first == second else (first, second), columns)


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
    columns = COLUMNS
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


def sides_of_ends(
    edges: np.ndarray,
    names: Sequence[NodeId],
    side_names: tuple[str, str],
    sides: Any,
    directed: str | None = None,
) -> Any:
    """Return the sides of nodes by the columns of edges, bool, shape ``(N,)``.

    A node without links has the side that its name begins with, ``user_id:7``. If it has none,
    columns that are not declared as sides, with ``"columns"``, are none: ``"none"``.

    Args:
        edges: Numbers of the nodes in each column, no node in both, shape ``(2, E)``.
        names: Name of each of the N nodes.
        side_names: Prefixes of names that are in both columns, as in :func:`two_sides`.
        sides: As for :func:`of_columns`.
        directed: As for :meth:`vgae.Graph.from_edges`.

    Raises:
        DataError: ``SIDES`` if declared columns do not tell the side of a node.
        UsageError: ``SIDES`` if the graph should be directed too.
    """
    if directed == "keep":
        refuse_both()
    first, second = np.zeros((2, len(names)), bool)
    first[edges[0]], second[edges[1]] = True, True
    for node in np.flatnonzero(~(first | second)).tolist():
        side = str(names[node]).partition(":")[0]
        first[node], second[node] = side == side_names[0], side == side_names[1]
    unknown = ~(first | second)
    if not unknown.any():
        return second
    what = f"{unknown.sum():,} nodes have no link, such as {names[int(unknown.argmax())]!r:.60}"
    if isinstance(sides, str) and sides == "columns":
        raise DataError(
            "SIDES",
            f"{what}, so that the columns of the edges do not tell their side; leave these nodes"
            " out, or pass sides as a label for each node.",
        )
    log.warning("%s, and no side: links are of one kind of nodes; see sides=...", what)
    return "none"


def _warn_of_columns(place: str, names: Sequence[NodeId], edges: np.ndarray, roles: Roles) -> None:
    """Warn if two columns with numbers of different things have some in common."""
    if roles.known or roles.names is None:
        return
    if not are_of_two_kinds(*map(roles.name, (roles.source, roles.target))):
        return
    both = np.intersect1d(edges[0], edges[1])
    if len(both) and all(is_integer(str(names[node])) for node in both):
        log.warning(
            "%s: the columns %s and %s have names in common, which are the same nodes: %s, such as"
            " %.60s; sides='columns' (--sides columns) keeps them apart",
            *(place, *(printable(roles.name(end)) for end in (roles.source, roles.target))),
            *(f"{len(both):,}", printable(str(names[both[0]]))),
        )


def column_sides(edges: np.ndarray, num_nodes: int) -> np.ndarray:
    """Return the sides of nodes by the column of edges that they are in, bool, shape ``(N,)``.

    Raises:
        DataError: ``SIDES`` if a node is in both columns, or in none.
    """
    first, second = (np.isin(np.arange(num_nodes), ends) for ends in edges)
    for bad, where in ((first & second, "both columns"), (~first & ~second, "no")):
        if not bad.any():
            continue
        what = f"{bad.sum():,} nodes are in {where}, such as node {bad.argmax()}"
        cure = "give names instead of numbers of nodes, of which each column has its own, or"
        if where == "no":
            what = f"{bad.sum():,} nodes have no link, such as node {bad.argmax()}"
            cure = "a column does not tell their side:"
        raise DataError(
            "SIDES",
            f"{what} (counted from 0 in the order of the nodes); {cure} pass sides as an array"
            " with the side of each node.",
        )
    return second


def given_sides(
    sides: Any, num_nodes: int, side_names: Sequence[str]
) -> tuple[np.ndarray, tuple[str, str] | tuple[()]]:
    """Return the sides of nodes from a label for each, bool, shape ``(N,)``, and their names.

    Args:
        sides: Booleans, True for the second side; or two labels. Of numbers the smaller is the
            first side, of texts that which is first in ``side_names``, or else in the nodes.
        num_nodes: N.
        side_names: Names of the two sides, or nothing.

    Raises:
        DataError: ``SIDES`` unless there are N labels of two values.
    """
    named = tuple(map(str, side_names))
    plain = np.asarray(sides)
    if plain.shape == (num_nodes,) and plain.dtype == bool:
        return plain.copy(), named  # pyright: ignore[reportReturnType]
    values = list(getattr(sides, "tolist", lambda: sides)())
    kinds = list(dict.fromkeys(values if all(map(_is_label, values)) else map(repr, values)))
    one_kind = len({isinstance(kind, str) for kind in kinds}) == 1
    if len(values) != num_nodes or len(kinds) > 2 or not (one_kind and _is_label(values[0])):
        what = f"{len(values)} of {len(kinds)} different values"
        if len(values) == num_nodes:
            what = f"{', '.join(f'{kind!r:.40}' for kind in kinds[:3])}"
        raise DataError(
            "SIDES",
            f"sides must be one of two labels for each of {num_nodes} nodes, or 'auto', 'columns'"
            f" or 'none', got {what}.",
        )
    if all(isinstance(kind, str) for kind in kinds):
        named = named or tuple(kinds)
        if len(named) != 2 or {*kinds} - {*named}:
            raise DataError(
                "SIDES",
                f"side_names must be the two labels of sides, {' and '.join(kinds)!r:.60}, got"
                f" {', '.join(named)!r:.60}.",
            )
        second = named[1]
    else:
        second = True if {*kinds} <= {0, 1} else max(kinds)
    return np.array([value == second for value in values], bool), named[:2]  # pyright: ignore


def _is_label(value: Any) -> bool:
    return isinstance(value, str | int | np.bool_ | np.integer)


def check_sides(sides: Any, directed: str, *, has_pair: bool) -> Any:
    """Return ``sides`` of a constructor, ``"auto"`` resolved by the direction and the features.

    Args:
        sides: As for :meth:`vgae.Graph.from_edges`.
        directed: Likewise.
        has_pair: Whether features are given for each side.

    Raises:
        UsageError: ``SIDES`` if it is no such value, or contradicts another option.
    """
    named = isinstance(sides, str)
    if sides is None or (named and sides not in ("auto", "columns", "none")):
        raise UsageError(
            "SIDES",
            f"sides must be 'auto', 'columns', 'none' or a label for each node, got {sides!r:.60}"
            " (--sides auto, columns or none).",
        )
    if has_pair and named:
        if sides == "none":
            raise UsageError(
                "SIDES",
                "x is a pair, the features of each side, but sides='none'; leave that out, or give"
                " one x for all nodes.",
            )
        sides = "columns"
    if directed == "keep":
        if not (isinstance(sides, str) and sides in ("auto", "none")):
            refuse_both()
        return "none"
    return sides


def check_side_names(side_names: Sequence[str]) -> None:
    """Raise ``UsageError`` unless there are two different names, or none."""
    names = set(map(str, side_names))
    if isinstance(side_names, str) or len(side_names) not in (0, 2) or len(names) == 1:
        raise UsageError("SIDES", f"side_names must be two different names, got {side_names!r}.")


def refuse_both() -> None:
    """Raise ``UsageError``: a graph is directed or two-sided."""
    raise UsageError(
        "SIDES",
        "a graph cannot be both directed and two-sided: leave out directed='keep' (--directed"
        " keep) for links between the sides, or give sides='none' (--sides none) for links from"
        " source to target.",
    )


def kind_of(graph: Any) -> dict[str, Any]:
    """Return the arguments of ``Graph.from_edges`` for a graph of the kind of another one."""
    return {
        "directed": "keep" if graph.directed else "symmetrize",
        "sides": "none" if graph.sides is None else graph.sides,
        "side_names": graph.side_names,
    }
