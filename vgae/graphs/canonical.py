"""Canonical form of links, weights, labels and node names, with checks of the input."""

import logging
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from vgae.errors import DataError, check_choice
from vgae.graphs.arrays import dense_array
from vgae.graphs.defaults import Directed, Merge
from vgae.graphs.link_values import checked_values, edge_features, magnitudes, merged

if TYPE_CHECKING:
    from vgae.graphs.grid import Grid

log = logging.getLogger(__name__)

NodeId = str | int

_MOST_NODES = math.isqrt(2**63 - 1)  # the number of a pair must fit into 64 bits


class CanonicalLinks(NamedTuple):
    """Links in canonical form.

    Attributes:
        links: Each link once, as the grid stores it, ascending, int64, shape ``(2, M)``.
        weight: Weight of each link, float32, shape ``(M,)``; ``None`` if all are 1.
        notes: Counts of dropped and merged edges, those above zero.
        sign: Sign of each link, 1 or -1, int8, shape ``(M,)``; ``None`` if they have none.
        attr: Features of each link, float32, shape ``(M, K)``; ``None`` without.
    """

    links: Tensor
    weight: Tensor | None
    notes: dict[str, int]
    sign: Tensor | None = None
    attr: Tensor | None = None

    def reordered(self, links: Tensor, order: Tensor, notes: dict[str, int]) -> "CanonicalLinks":
        """Return other links, with what these have in another order."""
        own = (
            None if part is None else part[order] for part in (self.weight, self.sign, self.attr)
        )
        weight, sign, attr = own
        return CanonicalLinks(links, weight, notes, sign, attr)


def edge_array(edges: Any) -> np.ndarray:
    """Return the edges as an array of shape (2, E), of integers or of strings."""
    given, edges = edges, dense_array(edges, "edges", "EDGE_INDEX_SHAPE")
    if edges.size == 0:
        return np.zeros((2, 0), dtype=np.int64)
    if edges.ndim != 2 or edges.shape[0] != 2:
        hint = " Transpose it." if edges.ndim == 2 and edges.shape[1] == 2 else ""
        raise DataError(
            "EDGE_INDEX_SHAPE", f"edges must have shape (2, E), got {edges.shape}.{hint}"
        )
    if edges.dtype.kind == "U" and not isinstance(given, np.ndarray):
        edges = np.array(given, dtype=object)  # numpy makes text of numbers beside text
    if edges.dtype.kind in "OT" and all(isinstance(node, str) for node in edges.flat):
        edges = np.array(edges.tolist())  # a column of strings from pandas
    if edges.dtype.kind not in "iuU":
        hint = "; floats may have lost digits, so read the file as integers or strings"
        is_mixed = edges.dtype.kind == "O"
        kinds = sorted({type(node).__name__ for node in edges.flat}) if is_mixed else []
        raise DataError(
            "EDGE_INDEX_DTYPE",
            f"edges must be integers of at most 64 bits or strings, got {edges.dtype}"
            f"{hint if edges.dtype.kind == 'f' else ''}"
            f"{' of ' if kinds else ''}{', '.join(kinds)}.",
        )
    return edges


def canonical_links(
    edges: np.ndarray,
    grid: "Grid",
    edge_weight: Any = None,
    *,
    merge: Merge = "mean",
    directed: Directed = "symmetrize",
    ordered: bool = False,
    signed: bool = False,
    edge_attr: Any = None,
) -> CanonicalLinks:
    """Bring edges to canonical form; for the arguments see :meth:`vgae.Graph.from_edges`.

    Raises:
        DataError: If an index or a weight is out of range, or the graph is directed and must not.
        UsageError: If an option has no such value.
    """
    check_choice("merge", merge, Merge)
    check_choice("directed", directed, Directed)
    num_nodes = grid.num_nodes
    check_range(edges, num_nodes)
    kept = edges[0] != edges[1]
    loops = len(kept) - int(kept.sum())
    pairs = edges[:, kept] if loops else edges
    if grid.sides is not None:
        _check_sides(pairs, grid)
    code = _pair_numbers(pairs, grid)
    values = []
    if edge_weight is None and edge_attr is None:
        if (code[1:] < code[:-1]).any():  # stored graphs are sorted
            code.sort()
    else:
        given = (
            None if edge_weight is None else checked_values(edge_weight, edges, signed=signed),
            None if edge_attr is None else edge_features(edge_attr, edges.shape[1]),
        )
        order = (code >> 1).argsort(kind="stable")
        code = code[order]
        values = [None if v is None else (v[kept] if loops else v)[order] for v in given]
        del order, given
    del kept, pairs
    numbers, reverse = (code >> 1).view(np.int64), (code & 1).astype(bool)
    starts = np.flatnonzero(np.diff(numbers, prepend=-1))
    repeats = len(code) - len(starts)
    del code
    links, only_reverse, any_reverse = numbers, reverse, reverse
    if repeats:
        links = numbers[starts]
        only_reverse = np.logical_and.reduceat(reverse, starts)
        any_reverse = np.logical_or.reduceat(reverse, starts)
    one_way = int((only_reverse == any_reverse).sum())
    both_ways = len(links) - one_way
    notes = {
        "self_loops": loops,
        "repeats": repeats - both_ways,
        # All edges in one direction, or all in both, is a usual list of undirected edges.
        "both_ways": both_ways if one_way else 0,
        "one_way": one_way if ordered or both_ways else 0,
    }
    if grid.directed:  # each direction is a link of its own
        notes |= {"both_ways": 0, "one_way": 0}
        _warn_of_no_direction(links, num_nodes)
    if directed == "error" and notes["one_way"]:
        single = only_reverse == any_reverse
        _refuse_one_way(links[single], any_reverse[single], num_nodes)
    value, attr = (None if v is None else merged(v, starts, merge) for v in values or (None,) * 2)
    ends = np.empty((2, len(links)), np.int64)
    np.divmod(links, num_nodes, out=(ends[0], ends[1]))
    weight, sign = (None, None) if value is None else magnitudes(value, ends, signed=signed)
    return CanonicalLinks(
        torch.from_numpy(ends),
        weight,
        {name: count for name, count in notes.items() if count},
        sign,
        None if attr is None else torch.from_numpy(attr),
    )


def _warn_of_no_direction(links: np.ndarray, num_nodes: int) -> None:
    """Warn if each of the numbered links goes both ways."""
    u, v = np.divmod(links, num_nodes)
    if len(links) and np.array_equal(np.sort(v * num_nodes + u), links):
        log.warning(
            "each of the %d links goes both ways, so that directed='keep' (--directed keep) keeps"
            " no direction",
            len(links),
        )


def _refuse_one_way(links: np.ndarray, is_reverse: np.ndarray, num_nodes: int) -> NoReturn:
    """Raise ``DIRECTED`` with the first of the numbered links that go one way."""
    low, high = np.divmod(links, num_nodes)
    u, v = np.where(is_reverse, (high, low), (low, high))
    first = (u * num_nodes + v).argmin()
    raise DataError(
        "DIRECTED",
        f"{len(links)} links go one way only, the first from node {u[first]} to node {v[first]}"
        " (counted from 0 in the order of the nodes); use directed='symmetrize' to keep them, or"
        " directed='keep' (--directed keep) to keep their direction too.",
    )


def _pair_numbers(pairs: np.ndarray, grid: "Grid") -> np.ndarray:
    """Return the number of each stored pair, times 2, plus 1 if it was given in the other order.

    Sorting one number per edge is many times faster than sorting columns.
    """
    u, v = pairs.astype(np.int64, copy=False)
    swapped = grid.are_swapped(u, v)
    code = np.where(swapped, v, u)
    code *= grid.num_nodes
    code += np.where(swapped, u, v)
    code = code.view(np.uint64)
    code <<= 1
    code += swapped
    return code


def _check_sides(pairs: np.ndarray, grid: "Grid") -> None:
    """Raise unless every edge between two nodes is a pair of the grid."""
    within = ~grid.holds(torch.from_numpy(pairs.astype(np.int64, copy=False))).numpy()
    if within.any():
        u, v = pairs[:, within.argmax()].tolist()
        raise DataError(
            "SIDES",
            f"{within.sum():,} edges join two nodes of one side, first nodes {u} and {v} (counted"
            " from 0 in the order of the nodes); leave them out, or give sides='none' (--sides"
            " none).",
        )


def node_names(node_ids: Sequence[NodeId], num_nodes: int) -> tuple[NodeId, ...] | None:
    """Return the names of the nodes, or None if they are 0 to N - 1."""
    if isinstance(node_ids, range) and node_ids == range(num_nodes):
        return None
    plain = set(map(type, node_ids)) <= {str, int}
    ids = tuple(node_ids if plain else (_plain_name(node) for node in node_ids))
    if len(set(ids)) != len(ids):
        node = next(node for node, count in Counter(ids).items() if count > 1)
        raise DataError(
            "NODE_ID",
            f"node ids must differ, got {len(ids) - len(set(ids))} repeats, such as {node!r:.60}.",
        )
    if {int, str} <= set(map(type, ids)):
        texts = {str(node): node for node in ids}
        if len(texts) != len(ids):
            node = next(node for node in ids if texts[str(node)] != node)
            raise DataError(
                "NODE_ID",
                f"names of nodes must differ as text, got {node!r:.60} and"
                f" {texts[str(node)]!r:.60}; give all names one type.",
            )
    return None if len(ids) == num_nodes and ids == tuple(range(num_nodes)) else ids


def _plain_name(node: Any) -> NodeId:
    """Return a name as a value of Python, or raise."""
    node = node.item() if isinstance(node, np.generic) else node
    if not isinstance(node, str | int) or isinstance(node, bool):
        raise DataError(
            "NODE_ID",
            f"node ids must be strings or integers, got {node!r:.60}, a {type(node).__name__}.",
        )
    return node


def check_lengths(graph: Any) -> None:
    """Raise unless features, labels and names fit the number of nodes."""
    for name, value in {"x": graph.x, "y": graph.y, "node_ids": graph.node_ids}.items():
        if value is not None and len(value) != graph.num_nodes:
            raise DataError(
                "NODE_SET_MISMATCH",
                f"{name} must have one entry per node ({graph.num_nodes}), got {len(value)}.",
            )
    if graph.feature_names and len(graph.feature_names) != graph.num_features:
        raise DataError(
            "FEATURE_NAMES",
            f"feature_names must name each of the {graph.num_features} columns of x, got"
            f" {len(graph.feature_names)}.",
        )
    if graph.y is not None and graph.label_names and graph.y.max() >= len(graph.label_names):
        raise DataError(
            "LABELS",
            f"y must lie below the number of label_names ({len(graph.label_names)}),"
            f" got {int(graph.y.max())}.",
        )


def both_directions(links: Tensor) -> Tensor:
    """Return ``(u, v)`` and ``(v, u)`` of each link, ascending, shape ``(2, 2M)``."""
    u, v = links.numpy()
    n = int(links.max()) + 1 if links.numel() else 1
    code = np.empty(2 * len(u), np.int64)
    for part, (first, second) in zip(np.split(code, 2), ((u, v), (v, u)), strict=True):
        np.multiply(first, n, out=part)
        part += second
    code.sort()
    ends = np.empty((2, len(code)), np.int64)
    np.divmod(code, n, out=(ends[0], ends[1]))
    return torch.from_numpy(ends)


def link_positions(pairs: Tensor, links: Tensor, grid: "Grid") -> Tensor:
    """Return the index of each pair in the canonical links, -1 for a non-link, shape ``(P,)``.

    The pairs may be in either order if the grid has none, shape ``(2, P)``.
    """
    num_nodes = grid.num_nodes
    u, v = grid.ordered(pairs)
    code, wanted = links[0] * num_nodes + links[1], u * num_nodes + v
    if len(code) == 0:
        return torch.full_like(wanted, -1)
    place = torch.searchsorted(code, wanted).clamp_max(len(code) - 1)
    return torch.where(code[place] == wanted, place, -1)


def known_positions(pairs: Tensor, links: Tensor, grid: "Grid", name: str) -> Tensor:
    """Return :func:`link_positions`; raise ``NOT_A_LINK`` if a pair is none in a graph."""
    place = link_positions(pairs.cpu(), links, grid)
    if bool((place < 0).any()):
        u, v = pairs[:, (place < 0).nonzero()[0, 0]].tolist()
        raise DataError(
            "NOT_A_LINK", f"nodes {u} and {v} are not linked in {name}; pass edge_weight."
        )
    return place


def num_components(links: Tensor, num_nodes: int) -> int:
    """Return the number of components of ascending links, isolated nodes included."""
    rows, columns = links.numpy()
    index = np.int32 if max(num_nodes, links.shape[1]) < 2**31 else np.int64
    starts = np.zeros(num_nodes + 1, index)
    np.bincount(rows, minlength=num_nodes).cumsum(out=starts[1:])
    parts = np.ones(links.shape[1], np.int8), columns.astype(index), starts
    adj = sp.csr_array(parts, shape=(num_nodes, num_nodes))
    return int(sp.csgraph.connected_components(adj, directed=False)[0])


def check_range(edges: np.ndarray, num_nodes: int) -> None:
    """Raise unless there are nodes and every edge holds two node numbers."""
    if num_nodes < 1:
        raise DataError("GRAPH_EMPTY", "the graph has no nodes; it must have at least one.")
    if num_nodes > _MOST_NODES:
        raise DataError("GRAPH_SIZE", f"num_nodes must be at most {_MOST_NODES}.")
    if edges.dtype.kind == "U":
        raise DataError(
            "EDGE_INDEX_DTYPE",
            "edges must be integers where num_nodes, x or node_ids is given, got strings.",
        )
    if edges.size and not (edges.min() >= 0 and edges.max() < num_nodes):
        bad = ((edges < 0) | (edges >= num_nodes)).any(axis=0)
        u, v = edges[:, bad.argmax()].tolist()
        hint = ""
        if edges.min() == 1 and edges.max() == num_nodes:
            hint = " The smallest is 1: if ids begin at 1, subtract 1, or give node_ids."
        raise DataError(
            "INDEX_RANGE",
            f"edges must lie in [0, {num_nodes}), got edge {u} - {v} in column {bad.argmax()}."
            f"{hint}",
        )


def warn_of_first(names: Iterable[NodeId], num_rows: int) -> None:
    """Log a warning if the names of nodes begin at 1 where rows are numbered from 0."""
    if min((name for name in names if isinstance(name, int)), default=0) == 1:
        log.warning(
            "the ids of the nodes begin at 1, but the %d rows of features have no names, so that"
            " they are those of the nodes 0, 1, ...: node 1 gets the second row, and node 0 has no"
            " links; if that is not meant, give each row the name of its node",
            num_rows,
        )
