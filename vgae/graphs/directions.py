"""Directions that edges of a source have, or do not have."""

from collections.abc import Sequence
from typing import Any, NamedTuple, NoReturn

import numpy as np

from vgae.errors import DataError


class Ends(NamedTuple):
    """Edges with what belongs to each of them.

    Attributes:
        edges: Ends of each edge, shape ``(2, E)``.
        weight: Weight of each edge, shape ``(E,)``; ``None`` without weights.
        time: Time of each edge, shape ``(E,)``; ``None`` without times.
        directed: Whether one of them is directed.
    """

    edges: np.ndarray
    weight: Any
    time: Any
    directed: bool = True


def refuse_undirected(what: str, cure: str) -> NoReturn:
    """Raise ``DataError``: the links of an undirected graph have no direction to keep."""
    raise DataError(
        "DIRECTED",
        f"{what} is undirected, so that directed='keep' (--directed keep) has no direction to"
        f" keep; leave that out, or {cure}.",
    )


def with_reverse(edges: np.ndarray, weight: Any, time: Any, undirected: Sequence[int]) -> Ends:
    """Return edges, with those that are undirected in the other direction too, at the end.

    Args:
        edges: Ends of each edge, shape ``(2, E)``.
        weight: Weight of each edge; ``None`` without weights.
        time: Time of each edge; ``None`` without times.
        undirected: Numbers of the edges without a direction.
    """
    if not len(undirected):
        return Ends(edges, weight, time)
    again = np.asarray(undirected, np.int64)
    edges = np.concatenate([edges, edges[::-1, again]], axis=1)
    weight, time = (
        None if values is None else np.concatenate([values, values[again]])
        for values in (weight, time)
    )
    return Ends(edges, weight, time)


def directions(
    kinds: Sequence[Any], edges: np.ndarray, weight: Any, time: Any, directed: str
) -> Ends:
    """Return edges of which a column of Gephi states whether each is ``Directed``.

    If the direction is kept, the others go in both directions.

    Args:
        kinds: Value of the column for each edge.
        edges: Ends of each edge, shape ``(2, E)``.
        weight: Weight of each edge; ``None`` without weights.
        time: Time of each edge; ``None`` without times.
        directed: As for :meth:`vgae.Graph.from_edges`.

    Raises:
        DataError: ``DIRECTED`` if the direction should be kept, and none is stated.
    """
    are = np.array([str(kind).casefold() == "directed" for kind in kinds], bool)
    if directed != "keep":
        return Ends(edges, weight, time, bool(are.any()))
    if not are.any():
        refuse_undirected("each edge", "state Directed in the column of the type")
    return with_reverse(edges, weight, time, np.flatnonzero(~are).tolist())
