"""Detection of two sides of nodes by the links alone."""

import logging

import numpy as np
import scipy.sparse as sp

from vgae.graphs.sides import DECLINE

log = logging.getLogger(__name__)

_FEWEST_CYCLES = 20
_HUB = 8  # links of a node; the nodes of lattices of up to four dimensions have no more
_CORE = 1024  # nodes


def detected(edges: np.ndarray, links: np.ndarray, num_nodes: int, name: str) -> np.ndarray | None:
    """Return the sides of nodes, bool, shape ``(N,)``, if links hardly are two-sided by chance.

    They are so if every link joins one of the first nodes, in their order, with one of the others;
    if no node is in both columns of the edges; or if the nodes have two colours with every link
    between both. A random graph of k independent cycles has two colours with a
    probability near ``2**-k``; at least 20 are needed. Trees, rings and lattices have two colours
    by their nature: by colours alone, a node with more than 8 links is needed too. Each node must
    have a side: by its place, by the columns, or in one component. Nodes without links whose place
    is between the sides are of the first one.

    What is found is logged as a warning.

    Args:
        edges: Edges as they were given, shape ``(2, E)``.
        links: The same as links, shape ``(2, M)``.
        num_nodes: N.
        name: Name of the graph.
    """
    num_links = links.shape[1]
    if num_links < _FEWEST_CYCLES:
        return None
    degree = np.bincount(links.ravel(), minlength=num_nodes)
    num_linked = int((degree > 0).sum())
    cycles = num_links - num_linked + 1  # at least
    if cycles < _FEWEST_CYCLES or 4 * num_links > num_linked**2:
        return None
    in_column = np.zeros((2, num_nodes), bool)
    for ends, column in zip(edges, in_column, strict=True):
        column[ends] = True
    second = int(links.max(axis=0).min())
    if links.min(axis=0).max() < second:
        sides, components, num_linked = np.arange(num_nodes) >= second, 1, num_nodes
        why = f"every link joins one of the first {second:,} and one of the other nodes"
    elif not in_column.all(axis=0).any():
        sides, components = in_column[1], 1
        why = "no node is in both columns"
    else:
        if degree.max() <= _HUB or 4 * cycles < num_linked or (edges[0] == edges[1]).any():
            return None
        found = _colours(links, degree)
        if found is None:
            return None
        sides, components = found
        sides = sides != sides[edges[0, 0]]
        why = "they have two colours, with every link between both"
    if num_links == sides.sum() * (num_linked - sides.sum()):
        return None  # every pair across is linked, so that no link could be missing
    if components > 1 or num_linked < num_nodes:
        what = f"{components} components" if components > 1 else f"{num_nodes - num_linked} nodes"
        log.warning(
            "%s: its nodes may be of two sides, such as users and items (%s), but the side of %s%s"
            " is not known; sides=... (--sides columns) declares them",
            *(name, why, what, " without links" if components == 1 else ""),
        )
        return None
    log.warning(
        "%s: two sides, of %d and %d nodes (%s): links go across alone; %s",
        *(name, num_nodes - sides.sum(), sides.sum(), why, DECLINE),
    )
    return sides


def _colours(links: np.ndarray, degree: np.ndarray) -> tuple[np.ndarray, int] | None:
    """Return a two-colouring and the number of components with links; ``None`` without one."""
    # Most graphs have an odd cycle among the nodes with most links, four or so of each within.
    order = np.argsort(-degree, kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    low, high = rank[links[0]], rank[links[1]]
    last = np.maximum(low, high)
    inside = np.bincount(last, minlength=len(rank)).cumsum()  # links among the first nodes
    dense = np.flatnonzero(inside[_CORE:] >= 4 * np.arange(_CORE + 1, len(rank) + 1))
    if len(dense) and 4 * (size := _CORE + 1 + int(dense[0])) < len(rank):
        kept = last < size
        within = np.stack([low[kept], high[kept]])
        if _coloured(within, np.bincount(within.ravel(), minlength=size)) is None:
            return None
    return _coloured(links, degree)


def _coloured(links: np.ndarray, degree: np.ndarray) -> tuple[np.ndarray, int] | None:
    """Return what :func:`_colours` does, of all nodes at once."""
    n, (u, v) = len(degree), links
    # In the graph of two copies of each node, an odd cycle joins the copies of its nodes.
    ends = np.concatenate([u, u + n]), np.concatenate([v + n, v])
    copies = sp.coo_array((np.ones(len(ends[0]), np.int8), ends), shape=(2 * n, 2 * n)).tocsr()
    first, second = sp.csgraph.connected_components(copies, directed=False)[1].reshape(2, n)
    linked = degree > 0
    if (first == second).any():
        return None
    return first > second, len(np.unique(np.minimum(first, second)[linked]))
