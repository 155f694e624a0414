"""Searches for the best pairs within the graphs of a collection."""

from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from vgae.graphs.canonical import link_positions
from vgae.graphs.collection import GraphCollection
from vgae.prediction.best_pairs import Show

Per = Literal["node", "graph", "all"]

SMALL = 2048  # nodes of a graph; of a larger one, the scores of all nodes with all are faster
_PAIRS_AT_ONCE = 2**19


class BestWithin(NamedTuple):
    """Pairs ``(2, P)`` with scores and ranks, and how many nodes or graphs have fewer than k."""

    pairs: Tensor
    score: Tensor
    rank: Tensor
    lacking: int


def best_within(
    scores: Callable[[Tensor], Tensor],
    graphs: GraphCollection,
    near: Tensor,
    far: Tensor,
    k: int,
    per: Per,
    show: Show = lambda _: None,
) -> BestWithin:
    """Find the best pairs without a link, each within a graph, of graphs of at most SMALL nodes.

    All pairs of some graphs at a time are scored once, without a loop over graphs.

    Args:
        scores: Function from pairs, shape ``(2, P)``, to their scores on the CPU, ``(P,)``.
        graphs: Collection; its links are not proposed.
        near: Whether each node may be the first of a pair, bool, shape ``(N,)``.
        far: Whether each node may be the second of a pair, bool, shape ``(N,)``.
        k: Number of pairs for each node or graph, or of all.
        per: ``"node"``: the k best partners of each node of ``near``; ``"graph"``: the k best
            pairs of each graph; ``"all"``: the k best of all.
        show: Called with the number of nodes done.

    Returns:
        The pairs, ascending by node or graph and then by rank; equal scores are in the order of
        the nodes.
    """
    found = [(torch.empty(2, 0, dtype=torch.int64), torch.empty(0))]
    for first, last in _runs(graphs):
        start, end = (int(graphs.grid.pairs_before[g]) for g in (first, last))
        pairs = graphs.grid.pairs(torch.arange(start, end))
        pairs = pairs[:, link_positions(pairs, graphs.links, graphs.grid) < 0]
        pairs = _oriented(pairs, near, far, both=per == "node")
        score = scores(pairs).float()
        kept = _best(graphs, pairs, score, k, per)[0]
        found.append((pairs[:, kept], score[kept]))
        if per == "all":
            found = [_joined(found, graphs, k)]
        show(int(graphs.grid.ptr[last]))
    pairs = torch.cat([part for part, _ in found], dim=1)
    score = torch.cat([part for _, part in found])
    order, rank = _best(graphs, pairs, score, k, per)
    pairs, score = pairs[:, order], score[order]
    small = graphs.sizes <= SMALL
    if per == "node":
        count = torch.bincount(pairs[0], minlength=graphs.num_nodes)
        lacking = int((near & small[graphs.batch] & (count < k)).sum())
    elif per == "graph":
        given = torch.zeros(graphs.num_graphs, dtype=torch.bool)
        given[graphs.batch[near]] = True
        count = torch.bincount(graphs.batch[pairs[0]], minlength=graphs.num_graphs)
        lacking = int((small & given & (count < k)).sum())
    else:
        lacking = int(len(score) < k)
    return BestWithin(pairs, score, rank, lacking)


def _runs(graphs: GraphCollection) -> Iterator[tuple[int, int]]:
    """Yield first and last + 1 of consecutive small graphs with not too many pairs in all."""
    small = (graphs.sizes <= SMALL).tolist()
    before = graphs.grid.pairs_before.tolist()
    first = 0
    for number in range(graphs.num_graphs):
        if first < number and (
            not small[number] or before[number + 1] - before[first] > _PAIRS_AT_ONCE
        ):
            yield first, number
            first = number
        if not small[number]:
            first = number + 1
    if first < graphs.num_graphs:
        yield first, graphs.num_graphs


def _oriented(pairs: Tensor, near: Tensor, far: Tensor, *, both: bool) -> Tensor:
    """Return the pairs that go from ``near`` to ``far``, in one or in both directions."""
    ahead = near[pairs[0]] & far[pairs[1]]
    back = near[pairs[1]] & far[pairs[0]]
    back = back if both else back & ~ahead
    return torch.cat([pairs[:, ahead], pairs[:, back].flip(0)], dim=1)


def _best(
    graphs: GraphCollection, pairs: Tensor, score: Tensor, k: int, per: Per
) -> tuple[Tensor, Tensor]:
    """Return the places of the k best pairs of each group, and their ranks."""
    u, v = pairs.numpy()
    groups = {"node": pairs[0], "graph": graphs.batch[pairs[0]], "all": torch.zeros_like(pairs[0])}
    group = groups[per].numpy()
    order = np.lexsort((v, u, -score.numpy(), group))
    ordered = group[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if len(order) else []
    counts = np.diff(np.r_[starts, len(order)]).astype(np.int64)
    rank = np.arange(len(order)) - np.repeat(starts, counts).astype(np.int64) + 1
    kept = rank <= k
    return torch.from_numpy(order[kept]), torch.from_numpy(rank[kept])


def _joined(
    found: list[tuple[Tensor, Tensor]], graphs: GraphCollection, k: int
) -> tuple[Tensor, Tensor]:
    """Return the k best of the pairs that were found until now."""
    pairs = torch.cat([part for part, _ in found], dim=1)
    score = torch.cat([part for _, part in found])
    kept = _best(graphs, pairs, score, k, "all")[0]
    return pairs[:, kept], score[kept]
