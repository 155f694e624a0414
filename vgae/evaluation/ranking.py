"""Ranks of held-out links among all nodes, known links excluded, and intervals from a sample."""

import math
from collections.abc import Callable
from functools import partial
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from vgae.errors import DataError, NumericalError
from vgae.evaluation.metrics import interval_of_equal
from vgae.graphs.grid import Grid
from vgae.kernels.csr import checked_edges

# Twice the largest number of scores held at once, if at least N. The system zeroes the pages of
# larger blocks at each allocation, which takes longer than the scores.
_BLOCK = 1 << 23


class RankIntervals(NamedTuple):
    """Lower and upper ends of intervals of MRR and of hits at 10, all in [0, 1]."""

    mrr: tuple[float, float]
    hits_at_10: tuple[float, float]


def link_ranks(
    scores: Callable[..., Tensor],
    links: Tensor,
    graph_links: Tensor,
    num_nodes: int,
    *,
    grid: Grid | None = None,
) -> Tensor:
    r"""Rank the far end of each link among all nodes without a known link to its near end.

    .. math:: r(u \to v) = 1 + \#\{w \in C : s_{uw} > s_{uv}\}
        + \tfrac{1}{2} \#\{w \in C : s_{uw} = s_{uv}\}

    The candidates C are all nodes except u, v and the neighbours of u in ``graph_links``; in a
    two-sided graph, those of the other side. Other true links thus do not worsen a rank
    ("filtered"). Equal scores get the mean of their ranks, so that a constant score gains nothing.
    No candidates are sampled: the result is exact.

    Source: Bordes et al. (2013), `Translating Embeddings for Modeling Multi-relational Data
    <https://papers.nips.cc/paper/5071>`_, section 4.2 (filtered ranks); Berrendorf et al. (2020),
    `On the Ambiguity of Rank-Based Evaluation <https://arxiv.org/abs/2002.06914>`_, section 3
    (realistic ranks, the mean over ties).

    Args:
        scores: Function from nodes of shape ``(B,)``, distinct and ascending, to the scores of
            all nodes as their partners, shape ``(B, N)``; any monotone function of the
            probability, possibly infinite. Its result is not modified. For a directed or
            two-sided graph it also takes ``reverse=True``, for the scores of all nodes as the
            first nodes of pairs with ``nodes``.
        links: Held-out links to rank, shape ``(2, P)``.
        graph_links: All known links, of training, validation and test, in either or both
            directions, shape ``(2, M)``, with or without the ranked links.
        num_nodes: N.
        grid: The pairs that may be links; by default those of an undirected graph.

    Returns:
        Ranks from 1, the best, to the number of candidates plus 1, float64, shape ``(2, P)``:
        first ``links[1]`` among the candidates of ``links[0]``, then the reverse.

    Raises:
        DataError: If an index is out of range, or the scores have another shape.
        NumericalError: If a score is NaN.
    """
    grid = grid or Grid(num_nodes)
    known, links = checked_edges(graph_links, num_nodes), checked_edges(links, num_nodes)
    is_end = torch.zeros(num_nodes, dtype=torch.bool, device=links.device)
    is_end[links.flatten()] = True
    known = known[:, is_end.to(known.device)[known].any(dim=0)]  # of others none is needed
    if not grid.directed and grid.sides is None:
        ends = links.flatten(), links.flip(0).flatten()
        return _ranks_of(scores, *ends, grid.known(known), grid).view(2, -1)
    source, target = links
    backward = partial(scores, reverse=True)
    return torch.stack(
        [
            _ranks_of(scores, source, target, grid.known(known), grid),
            _ranks_of(backward, target, source, grid.known(known, reverse=True), grid),
        ]
    )


def rank_intervals(ranks: Tensor, num_links: int, *, level: float = 0.95) -> RankIntervals:
    r"""Return intervals of the scores of all links, given the ranks of a random sample of them.

    .. math:: \bar v \pm z \, \frac{s}{\sqrt n} \sqrt{1 - \tfrac{n}{P}}

    with :math:`v_i` the mean over both ends of link i of the reciprocal rank, or of
    :math:`[r \le 10]`; s the standard deviation of the n values, and z the quantile of the normal
    distribution. Where all values are equal, as in
    :func:`vgae.evaluation.metrics.bootstrap_intervals`.

    Source: Cochran (1977), `Sampling Techniques`, section 2.8 (finite population).

    Args:
        ranks: Ranks of both ends of the drawn links, at least 1, shape ``(2, n)``, n at least 2.
        num_links: P, the number of links that they were drawn from without replacement.
        level: Nominal coverage of the interval, in (0, 1).
    """
    count = ranks.shape[1]
    scale = NormalDist().inv_cdf((1 + level) / 2) * math.sqrt((1 - count / num_links) / count)
    found = []
    for values in (1 / ranks.double(), (ranks <= 10).double()):
        each = values.mean(dim=0)
        mean, half = float(each.mean()), scale * float(each.std())
        ends = max(0.0, mean - half), min(1.0, mean + half)
        found.append(ends if half else interval_of_equal(mean, count, level))
    return RankIntervals(*found)


def _ranks_of(
    scores: Callable[..., Tensor], near: Tensor, far: Tensor, excluded: sp.csr_array, grid: Grid
) -> Tensor:
    """Return the rank of each far end among the partners of its near end."""
    num_nodes = grid.num_nodes
    ranks = torch.ones(len(near), dtype=torch.float64, device=near.device)
    # Equal ends are adjacent, so that a node is scored once.
    order = near.argsort(stable=True)
    for ends in order.split(max(1, _BLOCK // (2 * num_nodes))) if len(order) else ():
        nodes, place = near[ends].unique(return_inverse=True)
        block = _checked(scores(nodes), len(nodes), num_nodes)
        if (others := grid.others(nodes)) is not None:
            block = block.masked_fill(others.to(block.device), torch.nan)
        rows = block.cpu().numpy()
        found = zip(place.tolist(), near[ends].tolist(), far[ends].tolist(), strict=True)
        ranks[ends] = ranks.new_tensor([_rank(rows[i], u, v, excluded) for i, u, v in found])
    return ranks


def _rank(row: np.ndarray, near: int, far: int, excluded: sp.csr_array) -> float:
    """Return the rank of ``far`` in the scores of the partners of ``near``; NaN is none."""
    known = excluded.indices[excluded.indptr[near] : excluded.indptr[near + 1]]
    own, others = row[far], row[known]
    above = np.count_nonzero(row > own) - np.count_nonzero(others > own)
    equal = np.count_nonzero(row == own) - np.count_nonzero(others == own)
    return 1 + above + (equal - (far not in known)) / 2


def _checked(scores: Tensor, num_rows: int, num_nodes: int) -> Tensor:
    """Return scores as floating point without gradient, or raise an error for a wrong block."""
    if scores.shape != (num_rows, num_nodes):
        rule = f"scores must return a row per given node, shape ({num_rows}, {num_nodes})"
        raise DataError("SCORES_SHAPE", f"{rule}, got {tuple(scores.shape)}.")
    scores = scores.detach()
    if not scores.is_floating_point():
        scores = scores.double()
    if scores.dtype.itemsize == 2:  # numpy lacks bfloat16
        scores = scores.float()
    # A sum, which is much faster than a test of each score, is NaN if one of them is.
    if bool(scores.sum().isnan()) and (bad := int(scores.isnan().sum())):
        raise NumericalError("SCORES_NONFINITE", f"{bad} scores are NaN and have no rank.")
    return scores
