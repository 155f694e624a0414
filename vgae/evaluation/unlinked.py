"""Logits of all pairs that are not known as links: exact at the top, by a sample below."""

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from vgae.evaluation.spline import fraction_above
from vgae.graphs.grid import DirectedGrid, Grid, TwoSidedGrid
from vgae.graphs.non_links import sample_non_links

if TYPE_CHECKING:
    from vgae.evaluation.links import PairScorer

SAMPLED = 1_000_000
"""Largest number of pairs that are drawn if the best of all are not found."""

_MOST_SECONDS = 5.0  # predicted for scoring all pairs; otherwise pairs are drawn
_MOST_KEPT = 5_000_000  # logits that are held at once
_TOP, _REST = 100_000, 200_000  # logits of the best pairs, and those that stand for all others
_BLOCK = 1 << 22  # scores at once


class Unlinked(NamedTuple):
    """Logits of pairs in descending order, and the number of pairs that each stands for.

    Attributes:
        logits: float64, shape ``(P,)``.
        weight: Likewise; the sum is the number of all pairs.
    """

    logits: Tensor
    weight: Tensor

    def above(self, logits: Tensor) -> np.ndarray:
        """Return the fraction of pairs above each logit; equal ones count one half."""
        pairs = self.logits.numpy(), self.weight.numpy()
        return fraction_above(logits.double().numpy(), *pairs)


def unlinked(
    scorer: "PairScorer", known: Tensor, grid: Grid, generator: torch.Generator
) -> Unlinked:
    """Score the pairs of a grid but the known ones.

    In one graph of some 100 million pairs or less, all are scored: the 100,000 of the highest
    logits are kept, and every n-th other one. Above 5 million pairs, the others are drawn. Of
    larger graphs and of collections, a million pairs are drawn.

    Args:
        scorer: Model with its messages.
        known: Pairs that are left out, as the grid stores them, shape ``(2, M)``.
        grid: Pairs that may be links.
        generator: Generator of the drawn pairs.
    """
    size = grid.num_pairs - known.shape[1]
    one = type(grid) in (Grid, DirectedGrid, TwoSidedGrid)
    if not one or scorer.seconds(grid.num_pairs) > _MOST_SECONDS:
        rest = _drawn(scorer, known, grid, min(SAMPLED, size), generator)
        return Unlinked(rest, torch.full_like(rest, size / len(rest)))
    if size <= _MOST_KEPT:
        top, rest = _above(scorer, known, grid, -math.inf).tensor_split([_TOP])
        step = 1 + len(rest) // _REST
        rest = rest[step // 2 :: step]
    else:
        drawn = _drawn(scorer, known, grid, _REST, generator)
        least = float(drawn[int(_TOP / size * len(drawn))])
        top, rest = _above(scorer, known, grid, least), drawn[drawn <= least]
    each = torch.full_like(rest, (size - len(top)) / max(len(rest), 1))
    return Unlinked(torch.cat([top, rest]), torch.cat([torch.ones_like(top), each]))


def _drawn(
    scorer: "PairScorer", known: Tensor, grid: Grid, count: int, generator: torch.Generator
) -> Tensor:
    """Return the logits of pairs that are drawn, float64, descending."""
    pairs = sample_non_links(known, grid, count, generator)
    return scorer.logits(pairs).double().sort(descending=True).values


def _above(scorer: "PairScorer", known: Tensor, grid: Grid, least: float) -> Tensor:
    """Return the logits above ``least`` of all pairs but the known ones, as :func:`_drawn`."""
    two_sided = isinstance(grid, TwoSidedGrid)
    nodes = grid.rows if two_sided else torch.arange(grid.num_nodes)
    each_once = two_sided or grid.directed
    is_known = grid.known(known)
    found = []
    for chunk in nodes.split(max(1, _BLOCK // grid.num_nodes)):
        block = scorer.logits_of(chunk).double()
        is_out = torch.from_numpy(is_known[chunk.numpy()].toarray() > 0)
        if (others := grid.others(chunk)) is not None:
            is_out |= others
        if not each_once:
            is_out |= torch.arange(grid.num_nodes) <= chunk[:, None]
        found.append(block[~is_out & (block > least)])
    return torch.cat(found).sort(descending=True).values
