"""Approximate search for the best partners of nodes: similar nodes share candidates.

Nodes are divided into groups of similar vectors, by k-means. The candidates of a group are the
best partners of its centre among all nodes; each node of the group is then compared with these.
For n nodes, m candidates, C groups and T candidates of a group, this takes n C + C m + n T scores
in place of n m. T is what 97 % of the exact best partners of a sample of nodes need, and the
fraction that is found is measured on another sample.
"""

import logging
import math
from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from vgae.prediction.best_pairs import (
    InnerProducts,
    Pairs,
    Partners,
    Show,
    best_columns,
    best_partners,
    entries,
)

log = logging.getLogger(__name__)

_SAMPLE = 200  # nodes that are searched exactly, twice
_WANTED = 0.97  # fraction of their best partners that the candidates shall have
_FEWEST, _MOST_SCORES = 512, 4_000_000_000  # candidates of a group; scores of nodes with them
_TRAINED, _ROUNDS = 32, 6  # vectors per group, and rounds, of k-means
_BLOCK = 1 << 22  # scores held at once
_ROUNDING = 1e-5  # relative difference of equal scores
_PAIRS = 8  # partners of each node that the best pairs are among
_MOST_SEARCHED = 1_000_000_000  # scores of the exact search for nodes of many best pairs


class Grouped(Protocol):
    """Scores of nodes with candidates, for a search by groups."""

    def __call__(self, nodes: Tensor, first: int) -> Tensor:
        """Return the scores of nodes with the candidates from ``first`` on."""
        ...

    def vectors(self, nodes: Tensor) -> Tensor:
        """Return vectors of nodes, float32; nodes of near vectors have similar partners."""
        ...

    def of_centres(self, centres: Tensor, nearest: Tensor) -> Tensor:
        """Return the scores of groups with all candidates, ``(B, m)``.

        Args:
            centres: Means of the vectors of each group, shape ``(B, d)``.
            nearest: A node of each group, near its centre, shape ``(B,)``.
        """
        ...

    def between(self, nodes: Tensor, candidates: Tensor) -> Tensor:
        """Return the scores of nodes with some candidates, modifiable, shape ``(B, T)``."""
        ...

    def of_pairs(self, pairs: Tensor) -> Tensor:
        """Return the float32 scores of pairs of a node and a candidate, ``(2, P)``."""
        ...


class GroupedProducts(InnerProducts):
    """Inner products for a search by groups: the direction of a node decides its partners."""

    def __init__(self, left: Tensor, right: Tensor) -> None:
        super().__init__(left, right)
        # A column of one value adds the same to the scores of a node.
        varies = self.right.amax(dim=0) > self.right.amin(dim=0)
        self._left, self._right = (t[:, varies].float() for t in (self.left, self.right))

    def vectors(self, nodes: Tensor) -> Tensor:
        """Return the directions of the vectors of nodes."""
        return torch.nn.functional.normalize(self._left[nodes], dim=1)

    def of_centres(self, centres: Tensor, nearest: Tensor) -> Tensor:  # noqa: ARG002
        """Return the scores of the centres."""
        return centres @ self._right.T

    def between(self, nodes: Tensor, candidates: Tensor) -> Tensor:
        """Return float32 products without the columns of one value."""
        return self._left[nodes] @ self._right[candidates].T


class Found(NamedTuple):
    """The result of a search by groups.

    Attributes:
        partners: The best partners that were found, as :func:`best_partners` returns them.
        recall: Fraction of the exact best partners that were found for a sample of nodes.
    """

    partners: Partners
    recall: float


def grouped_partners(
    scores: Grouped, known: sp.csr_array, nodes: Tensor, k: int, show: Show = lambda _: None
) -> Found:
    """Find about the k best partners of each node; arguments are those of ``best_partners``.

    Nodes whose candidates are too few, as most are known, are searched exactly.
    """
    num_candidates: int = known.shape[1]  # pyright: ignore[reportOptionalSubscript]
    generator = torch.Generator().manual_seed(0)
    groups = _Groups.of(scores, nodes, 2 * math.isqrt(len(nodes)), generator)
    drawn = torch.randperm(len(nodes), generator=generator)[: 2 * _SAMPLE].to(nodes.device)
    first, second = drawn.tensor_split(2)
    exact = best_partners(scores, known, nodes[first], k)
    width = _width(scores, groups, nodes, first, exact, k)
    log.info(
        "approximate search: %s groups of similar nodes, each with about %s of %s candidates",
        *(f"{len(groups.centres):,}", f"{width:,}", f"{num_candidates:,}"),
    )
    partners = Partners(nodes.new_zeros(len(nodes), k), torch.full((len(nodes), k), -torch.inf))
    partners = partners._replace(score=partners.score.to(nodes.device))
    place = torch.full((num_candidates,), -1, device=nodes.device)
    members = groups.number.argsort(stable=True).split(groups.sizes.tolist())
    done = 0
    rows = max(1, _BLOCK // num_candidates)
    for start in range(0, len(groups.centres), rows):
        chosen = slice(start, start + rows)
        block = scores.of_centres(groups.centres[chosen], nodes[groups.nearest[chosen]])
        for own, row in zip(members[chosen], block, strict=True):
            candidates = _best_places(row, width)
            place[candidates] = torch.arange(len(candidates), device=nodes.device)
            for part in own.split(max(1, _BLOCK // len(candidates))):
                found = _compared(scores, known, nodes[part], candidates, place, k)
                few = found.node.shape[1]
                partners.node[part, :few], partners.score[part, :few] = found
            place[candidates] = -1
            done += len(own)
            show(done)
    free = num_candidates - torch.from_numpy(np.diff(known.indptr)).to(nodes.device)[nodes]
    lacking = (partners.score.isneginf().sum(dim=1) > (k - free).clamp(min=0)).nonzero()[:, 0]
    found = best_partners(scores, known, nodes[lacking], k)
    partners.node[lacking], partners.score[lacking] = found
    return Found(partners, _recall(partners, second, scores, known, nodes))


def grouped_pairs(
    scores: Grouped, known: sp.csr_array, nodes: Tensor, k: int, show: Show = lambda _: None
) -> tuple[Pairs, float]:
    """Find about the k best pairs of a node and a candidate, and the fraction that is found.

    They are the best of the 8 or more best partners of each node. A node all of whose partners
    are among the best pairs is searched exactly for more.

    Returns:
        Pairs of a node and the place of a candidate, best first; and the fraction of the best
        partners of a sample of nodes that were found, see :class:`Found`.
    """
    num_candidates: int = known.shape[1]  # pyright: ignore[reportOptionalSubscript]
    few = min(num_candidates, max(_PAIRS, math.ceil(4 * k / max(1, len(nodes)))))
    partners, recall = grouped_partners(scores, known, nodes, few, show)
    pairs = _best_of(nodes, partners, k)
    if len(pairs.score) == k:
        full = (partners.score[:, -1] >= pairs.score[-1]).nonzero()[:, 0]
        if 0 < len(full) <= _MOST_SEARCHED // num_candidates and few < num_candidates:
            more = best_partners(scores, known, nodes[full], min(k, num_candidates))
            other = _best_of(nodes[full], more, k * len(full))
            kept = ~torch.isin(pairs.nodes[0], nodes[full])
            both = torch.cat([pairs.nodes[:, kept], other.nodes], dim=1)
            score = torch.cat([pairs.score[kept], other.score])
            pairs = _sorted(both, score, num_candidates, k)
    return pairs, recall


def _best_of(nodes: Tensor, partners: Partners, k: int) -> Pairs:
    """Return the k best of the pairs of nodes and their partners."""
    there = partners.score > -torch.inf
    near = nodes[:, None].expand_as(partners.node)[there]
    score, far = partners.score[there], partners.node[there]
    if len(score) > k:  # those that tie with the last one too
        kept = score >= score.topk(k).values[-1]
        near, far, score = near[kept], far[kept], score[kept]
    return _sorted(torch.stack([near, far]), score, int(far.max()) + 1 if len(far) else 1, k)


def _sorted(pairs: Tensor, score: Tensor, width: int, k: int) -> Pairs:
    """Return the k best pairs, best first, equal scores by number."""
    order = (pairs[0] * width + pairs[1]).argsort()
    order = order[score[order].argsort(descending=True, stable=True)][:k]
    return Pairs(pairs[:, order], score[order])


class _Groups(NamedTuple):
    """Groups of nodes of similar vectors, without empty ones.

    Attributes:
        centres: Mean of the vectors of each group, shape ``(C, d)``.
        number: Number of the group of each node, shape ``(n,)``.
        nearest: Place of a node of each group near its centre, shape ``(C,)``.
        sizes: Number of nodes of each group, shape ``(C,)``.
    """

    centres: Tensor
    number: Tensor
    nearest: Tensor
    sizes: Tensor

    @classmethod
    def of(
        cls, scores: Grouped, nodes: Tensor, count: int, generator: torch.Generator
    ) -> "_Groups":
        """Divide nodes into groups by k-means, trained on a sample of them."""
        drawn = torch.randperm(len(nodes), generator=generator)[: _TRAINED * count]
        sample = scores.vectors(nodes[drawn.to(nodes.device)])
        centres = sample[:count].clone()
        for _ in range(_ROUNDS):
            number, _ = _nearest(lambda part: sample[part], len(sample), centres)
            total = torch.zeros_like(centres).index_add_(0, number, sample)
            sizes = torch.bincount(number, minlength=len(centres))[:, None]
            centres = torch.where(sizes > 0, total / sizes.clamp(min=1), centres)
        number, fit = _nearest(lambda part: scores.vectors(nodes[part]), len(nodes), centres)
        present, number, sizes = number.unique(return_inverse=True, return_counts=True)
        # Of each group, the last node in the order of their fit.
        nearest = torch.empty_like(present)
        order = fit.argsort(stable=True)
        order = order[number[order].argsort(stable=True)]
        nearest = order[sizes.cumsum(0) - 1]
        return cls(centres[present], number, nearest, sizes)


def _nearest(
    vectors: Callable[[Tensor], Tensor], count: int, centres: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the number of the nearest centre of each of ``count`` vectors, and its fit."""
    half = 0.5 * centres.square().sum(dim=1)
    every = torch.arange(count, device=centres.device)
    step = min(count, max(1, _BLOCK // len(centres)))
    number, fit = torch.empty_like(every), centres.new_empty(count)
    # One buffer: between new ones, the results of each part would keep the system from reusing
    # the memory of those before, which adds up to gigabytes.
    products = centres.new_empty(step, len(centres))
    for part in every.split(max(1, step)):
        own, place = products[: len(part)], slice(int(part[0]), int(part[-1]) + 1)
        torch.addmm(-half, vectors(part), centres.T, out=own)
        torch.max(own, dim=1, out=(fit[place], number[place]))
    return number, fit


def _width(
    scores: Grouped, groups: _Groups, nodes: Tensor, sample: Tensor, exact: Partners, k: int
) -> int:
    """Return how many candidates of a group have most of the best partners of a sample."""
    needed, row = [], nodes
    for i, place in enumerate(sample.tolist()):
        one = groups.number[place : place + 1]
        row = scores.of_centres(groups.centres[one], nodes[groups.nearest[one]])[0]
        best = exact.node[i][exact.score[i] > -torch.inf]
        needed.append((row > row[best][:, None]).sum(dim=1))
    needed = torch.cat(needed).double()
    most = max(_FEWEST, 4 * k, _MOST_SCORES // len(nodes))
    wanted = float(needed.quantile(_WANTED)) if len(needed) else 0.0
    return int(min(max(_FEWEST, 4 * k, 1.25 * wanted), most, len(row)))


def _best_places(row: Tensor, count: int) -> Tensor:
    """Return about ``count`` places of the highest scores of a row, ascending."""
    step = max(1, count // 64)
    some = row[::step]
    rank = min(len(some), max(1, count // step))
    places = (row >= some.topk(rank).values[-1]).nonzero()[:, 0]
    return places[: 4 * count]  # of a row of equal scores, all are found


def _compared(
    scores: Grouped,
    known: sp.csr_array,
    nodes: Tensor,
    candidates: Tensor,
    place: Tensor,
    k: int,
) -> Partners:
    """Return the best partners of nodes among candidates, whose places are in ``place``."""
    block = scores.between(nodes, candidates)
    rows, columns = entries(known, nodes)
    inside = place[columns] >= 0
    block[rows[inside], place[columns[inside]]] = -torch.inf
    best = best_columns(block, min(k, len(candidates)))
    node = candidates[best.node]
    pairs = torch.stack([nodes[:, None].expand_as(node), node]).flatten(1)
    score = scores.of_pairs(pairs).view_as(node)
    score = score.masked_fill(best.score.isneginf(), -torch.inf)
    order = node.argsort(dim=1)
    order = order.gather(1, score.gather(1, order).argsort(dim=1, descending=True, stable=True))
    return Partners(node.gather(1, order), score.gather(1, order))


def _recall(
    partners: Partners, sample: Tensor, scores: Grouped, known: sp.csr_array, nodes: Tensor
) -> float:
    """Return the fraction of the exact best partners of a sample that were found.

    Others of equal scores are as good.
    """
    exact = best_partners(scores, known, nodes[sample], partners.node.shape[1]).score
    there = exact > -torch.inf
    least = torch.where(there, exact, torch.inf).amin(dim=1, keepdim=True)
    least = least - _ROUNDING * least.abs()  # a decoder may sum in another order
    found = ((partners.score[sample] >= least) & there).sum()
    return float(found / there.sum()) if bool(there.any()) else 1.0
