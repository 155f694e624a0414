"""Ends of proposed links: nodes by name, sides by name, and the pairs that a search is among."""

import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vgae.errors import DataError, UsageError, nearest
from vgae.graphs.canonical import NodeId
from vgae.graphs.collection import GraphCollection
from vgae.graphs.frame_kinds import is_frame
from vgae.graphs.graph import Graph

log = logging.getLogger(__name__)

Names = Iterable[NodeId] | str | None

_SHOWN = 5
_MANY = 100_000  # nodes, from which on the nearest name is found for one unknown name alone
_SIDES = ("first", "source"), ("second", "target")


@dataclass(frozen=True)
class Search:
    """Pairs that a search is among: all of a node and a candidate.

    Attributes:
        nodes: Numbers of the nodes, which get partners in a search for partners, shape ``(n,)``.
        candidates: Numbers of their possible partners, ascending, shape ``(m,)``.
        reverse: Whether the decoder takes the nodes as second ends of pairs, not as first ones.
        swapped: Whether the nodes are the targets of the proposed pairs.
        exact: Whether the search is exact however long it takes.
    """

    nodes: Tensor
    candidates: Tensor
    reverse: bool = False
    swapped: bool = False
    exact: bool = False


def searches(
    graph: Graph, nodes: Names, sources: Names, targets: Names, *, per_node: bool
) -> list[Search]:
    """Return the searches for proposals; arguments and errors as for ``predict_links``.

    There is one, except for nodes of both sides of a two-sided graph, which are searched by side.
    """
    if nodes is not None and not (per_node and sources is None and targets is None):
        other = "per_node=False" if sources is None and targets is None else "sources and targets"
        rule = "nodes requires per_node=True and no sources or targets"
        raise UsageError("PER_NODE", f"{rule}, got {other}.")
    near, near_is_side = _numbers_of(graph, sources if nodes is None else nodes)
    far, far_is_side = _numbers_of(graph, targets)
    members = getattr(graph, "members", None)
    every = torch.arange(graph.num_nodes)
    if members is not None:  # of a relation, which other nodes have no links of
        every = members.nonzero()[:, 0]
        _check_members(graph, members, near, far)
    if graph.sides is not None:
        return _across(graph, near, far, is_side=near_is_side or far_is_side, per_node=per_node)
    if near is None and far is not None and per_node:
        return [Search(far, every, reverse=True, swapped=True)]
    near, far = every if near is None else near, every if far is None else far.sort().values
    return [Search(near if per_node else near.sort().values, far)]


def _across(
    graph: Graph, near: Tensor | None, far: Tensor | None, *, is_side: bool, per_node: bool
) -> list[Search]:
    """Return the searches between the two sides."""
    sides: Any = graph.sides
    members = getattr(graph, "members", None)
    side = [own.nonzero()[:, 0] for own in (~sides, sides)]
    side = side if members is None else [own[members[own]] for own in side]
    if near is None and far is None:
        return [Search(*side)]
    given = [sides[ends].unique().tolist() for ends in (near, far) if ends is not None]
    if near is not None and far is not None:
        if any(len(one) > 1 for one in given) or (given[0] == given[1] != []):
            raise DataError(
                "SIDES",
                "sources and targets are of the same side, or of both; links go from one side to"
                f" the other: give sources of one side and targets of the other{_named(graph)}.",
            )
    elif not per_node and max(map(len, given)) > 1:
        rule = "the best of all pairs need sources, or targets, of one side"
        raise DataError("SIDES", f"{rule}, got nodes of both{_named(graph)}; drop some of them.")
    elif near is None and len(far) and (is_side or not per_node):  # pyright: ignore[reportArgumentType]
        near = side[not given[0][0]]
    ends: Any = far if near is None else near
    found = []
    for second in (False, True):
        part = ends[sides[ends] == second]
        other = side[not second] if far is None or near is None else far.sort().values
        if len(part):
            part = part if per_node else part.sort().values
            found.append(Search(part, other, reverse=second, swapped=near is None))
    return found


def restricted(search: Search, graphs: GraphCollection, names: Names) -> Search:
    """Return a search within some graphs of a collection, given their names.

    Raises:
        DataError: ``UNKNOWN_GRAPH`` if there is no graph of a name.
    """
    chosen = graph_numbers(graphs, [names] if isinstance(names, str) else names or ())
    inside = torch.zeros(graphs.num_graphs, dtype=torch.bool)
    inside[chosen] = True
    kept = (ends[inside[graphs.batch[ends]]] for ends in (search.nodes, search.candidates))
    return replace(search, **dict(zip(("nodes", "candidates"), kept, strict=True)))


def graph_numbers(graphs: GraphCollection, names: Iterable[NodeId]) -> list[int]:
    """Return the numbers of the graphs of a collection by name.

    An integer also names the graph whose name is its text, and the reverse.

    Raises:
        DataError: ``UNKNOWN_GRAPH`` if there is no graph of a name.
    """
    number = {str(name): i for i, name in enumerate(graphs.graph_ids)}
    names = [str(name) for name in names]
    if unknown := [name for name in names if name not in number]:
        near = nearest(unknown[0], [*number])
        raise DataError(
            "UNKNOWN_GRAPH",
            f"{graphs.name} has no graph {unknown[0]!r:.60}; names of its {len(number)} graphs are"
            f" like {next(iter(number))!r:.60}.{f' Did you mean {near!r:.60}?' if near else ''}",
        )
    return [number[name] for name in names]


def _check_members(graph: Graph, members: Tensor | None, *ends: Tensor | None) -> None:
    """Raise ``DataError`` if a given node is none that the relation links."""
    if members is None:
        return
    given = torch.cat(
        [*(numbers for numbers in ends if numbers is not None), members.new_empty(0)]
    )
    if len(other := given.long()[~members[given.long()]]):
        name = graph.ids[int(other[0])]
        raise DataError(
            "SIDES",
            f"{len(other):,} given nodes are of a type that the relation ({graph.name}) does not"
            f" link, first {name!r:.60}; leave them out.",
        )


def _numbers_of(graph: Graph, names: Names) -> tuple[Tensor | None, bool]:
    """Return the numbers of a side or of nodes, each once, and whether it is a side."""
    if names is None:
        return None, False
    if isinstance(names, str):
        second = side_named(graph, names)
        if second is not None:
            sides: Any = graph.sides
            side = sides == second
            members = getattr(graph, "members", None)
            return (side if members is None else side & members).nonzero()[:, 0], True
        names = [names]
    return torch.tensor(node_numbers(graph, dict.fromkeys(names)), dtype=torch.int64), False


def side_named(graph: Graph, name: str) -> bool | None:
    """Return whether a name is that of the second side, or ``None`` if it is of neither.

    A side is named by its name, in singular or plural, or by ``"first"`` and ``"second"``, or
    ``"source"`` and ``"target"``, unless these are names of nodes.
    """
    if graph.sides is None:
        return None
    text = name.strip().casefold()
    known = [str(side) for side in graph.side_names]
    exact = [side == name for side in known]
    alike = exact if any(exact) else [bool(_forms(text) & _forms(side)) for side in known]
    is_node = name in graph.ids if graph.node_ids is not None else False
    if sum(alike) == 1:
        if is_node and not any(exact):
            return None
        if is_node:
            log.warning("%r is taken as the side, though a node has that name too", name)
        return alike[1]
    return None if is_node or text not in sum(_SIDES, ()) else text in _SIDES[1]


def _forms(name: str) -> set[str]:
    """Return singular and plural of a name, without an ending such as ``_id``."""
    stem = re.sub(r"[ _.-]ids?$", "", name.strip().casefold())
    plural = f"{stem[:-1]}ies" if stem.endswith("y") else f"{stem}s"
    return {stem, plural, f"{stem}es"} - {"", "s", "es"}


def _named(graph: Graph) -> str:
    """Return the names of the sides in brackets."""
    return f" ({' and '.join(map(repr, graph.side_names))})" if graph.side_names else ""


def node_numbers(graph: Graph, names: Iterable[NodeId]) -> list[int]:
    """Return the numbers of nodes by name, or raise an error with the unknown names.

    An integer also names the node whose name is its text, and the reverse.
    """
    number: dict[Any, int] = {name: i for i, name in enumerate(graph.ids)}
    names = list(names)
    if any(name not in number for name in names):
        # A name that was read from text may have the other type.
        texts = {str(name): i for name, i in number.items()}
        others = [name for name in names if isinstance(name, str | int | np.integer)]
        number |= {n: texts[str(n)] for n in others if n not in number and str(n) in texts}
    if unknown := [name for name in names if name not in number]:
        first = list(dict.fromkeys(unknown[:_SHOWN]))
        sides = " and ".join(map(repr, graph.side_names))
        raise DataError(
            "UNKNOWN_NODE",
            f"{len(unknown)} {'name is' if len(unknown) == 1 else 'names are'} not in"
            f" {graph.name}, first {', '.join(f'{name!r:.60}' for name in first)}; names of its"
            f" nodes are like {graph.ids[0]!r:.60}.{_near_names(graph, first)}"
            f"{f' Its sides are {sides}.' if sides else ''}",
        )
    return [number[name] for name in names]


def _near_names(graph: Graph, unknown: Sequence[Any]) -> str:
    """Return a question with the nearest name of each unknown one; empty if there is none.

    In a two-sided graph, a name that is on both sides is ``SIDE:NAME``.
    """
    tried = unknown[:1] if graph.num_nodes > _MANY else unknown
    near = {name: nearest(name, graph.ids) for name in tried}
    if graph.sides is not None and graph.node_ids is not None:
        for name in tried:
            ending = f":{name}"
            sided = [known for known in graph.ids if str(known).endswith(ending)]
            if sided:
                near[name] = " or ".join(map(str, sided[:2]))
    found = [
        f"{known!r:.60} for {name!r:.60}" for name, known in near.items() if known is not None
    ]
    return f" Did you mean {', '.join(found)}?" if found else ""


def pair_numbers(graph: Graph, pairs: Iterable[Sequence[NodeId]] | np.ndarray | Tensor) -> Tensor:
    """Return the numbers of pairs of names, shape ``(2, P)``; all of them may be links."""
    if is_frame(pairs):
        from vgae.graphs.aligning import pairs_of_names

        pairs = pairs_of_names(pairs)
    listed = pairs.tolist() if isinstance(pairs, np.ndarray | Tensor) else pairs
    # A string of two letters is no pair of names.
    given = [(pair,) if isinstance(pair, str) else tuple(pair) for pair in listed]
    if wrong := [pair for pair in given if len(pair) != 2]:
        rule = "pairs must be two names each, shape (P, 2)"
        raise DataError("PAIR_SHAPE", f"{rule}, got {wrong[0]!r:.60}.")
    flat = node_numbers(graph, [name for pair in given for name in pair])
    numbers = torch.tensor(flat, dtype=torch.int64).view(-1, 2).T.contiguous()
    if alike := [pair for pair, (u, v) in zip(given, numbers.T.tolist(), strict=True) if u == v]:
        first = ", ".join(f"{pair[0]!r:.60}" for pair in alike[:_SHOWN])
        rule = f"{len(alike)} pairs link a node to itself"
        raise DataError("SELF_PAIR", f"{rule}, first {first}; drop them.")
    if len(within := (~graph.grid.holds(numbers)).nonzero()[:, 0]):
        u, v = (given[int(within[0])][end] for end in (0, -1))
        if isinstance(graph, GraphCollection):
            raise DataError(
                "COLLECTION",
                f"{len(within)} pairs join nodes of two graphs of {graph.name}, which are never"
                f" linked, first {u!r:.60} and {v!r:.60}; drop them.",
            )
        _check_members(graph, getattr(graph, "members", None), numbers.flatten())
        raise DataError(
            "SIDES",
            f"{len(within)} pairs join two nodes of one side{_named(graph)}, which are never"
            f" linked, first {u!r:.60} and {v!r:.60}; drop them.",
        )
    return numbers
