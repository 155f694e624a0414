"""Scores of recommendations: the best targets of each source of a two-sided graph."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vgae.errors import DataError
from vgae.evaluation.metrics import finite_array
from vgae.graphs.grid import TwoSidedGrid

_BLOCK = 1 << 24  # largest number of scores held at once, if at least N


class RecommendationScores(NamedTuple):
    """Means over the nodes of the first side that have held-out links, all in [0, 1].

    See :func:`recommendation_scores`; ``num_sources`` is the number of these nodes.
    """

    recall_at_10: float
    recall_at_20: float
    precision_at_10: float
    precision_at_20: float
    ndcg_at_10: float
    ndcg_at_20: float
    num_sources: int


def recommendation_scores(
    scores: Callable[[Tensor], Tensor], held_out: Tensor, known: Tensor, grid: TwoSidedGrid
) -> RecommendationScores:
    r"""Score the best k targets of each source among those without a known link to it.

    .. math:: recall@k = \frac{|T_k \cap R|}{|R|}, \qquad
        precision@k = \frac{|T_k \cap R|}{k}, \qquad
        NDCG@k = \frac{\sum_{i \le k} [t_i \in R] / \log_2 (i + 1)}
        {\sum_{i \le \min(k, |R|)} 1 / \log_2 (i + 1)}

    with R the held-out targets of a source, and :math:`T_k = \{t_1, ..., t_k\}` its k best
    candidates: all nodes of the second side except those of its known links. The means are over
    sources with held-out targets. Targets of equal scores are in random order, of which the
    expectation is returned, so that a constant score gains nothing.

    Source: He et al. (2020), `LightGCN <https://arxiv.org/abs/2002.02126>`_, section 4.1, and the
    protocol of Wang et al. (2019), `Neural Graph Collaborative Filtering
    <https://arxiv.org/abs/1905.08108>`_ (all targets are ranked); McSherry & Najork (2008),
    `Computing Information Retrieval Performance Measures Efficiently in the Presence of Tied
    Scores` (ties).

    Args:
        scores: Function from nodes of the first side, shape ``(B,)``, to the scores of all nodes
            as their partners, shape ``(B, N)``.
        held_out: Links whose targets are to be found, shape ``(2, P)``.
        known: Other known links, such as those of training, shape ``(2, M)``.
        grid: The pairs that may be links.

    Raises:
        DataError: If there are no held-out links, or one is known.
        NumericalError: If a score is not finite.
    """
    held_out, known = grid.ordered(held_out), grid.ordered(known)
    if not held_out.shape[1] or torch.isin(grid.numbers(held_out), grid.numbers(known)).any():
        rule = "recommendations are scored on held-out links that are not known"
        raise DataError(
            "RANKED_LINKS", f"{rule}, got {held_out.shape[1]} with known ones, or none."
        )
    sources, row, counts = held_out[0].unique(return_inverse=True, return_counts=True)
    known = known[:, torch.isin(known[0], sources)]
    known_row = torch.searchsorted(sources, known[0]).numpy()
    known_column = grid.places[known[1]].numpy()
    above, equal = np.empty(len(row)), np.empty(len(row))
    target, line = grid.places[held_out[1]].numpy(), row.numpy()
    for rows in torch.arange(len(sources)).split(max(1, _BLOCK // grid.num_nodes)):
        first, last = int(rows[0]), int(rows[-1]) + 1
        block = finite_array(scores(sources[rows]).cpu()[:, grid.columns])
        inside = (known_row >= first) & (known_row < last)
        block[known_row[inside] - first, known_column[inside]] = -np.inf
        ordered = np.sort(block, axis=1)
        for link in np.flatnonzero((line >= first) & (line < last)):
            here, own = ordered[line[link] - first], block[line[link] - first, target[link]]
            low, high = (np.searchsorted(here, own, side) for side in ("left", "right"))
            above[link], equal[link] = len(here) - high, high - low
    found: list[float] = []
    gains = [np.ones(len(grid.columns) + 1), 1 / np.log2(np.arange(2, len(grid.columns) + 3))]
    hits, dcg = ({k: _per_source(gain, above, equal, row, k) for k in (10, 20)} for gain in gains)
    sizes = counts.numpy()
    ideal = np.concatenate([[0], gains[1].cumsum()])
    found += [float((hits[k] / sizes).mean()) for k in (10, 20)]
    found += [float(hits[k].mean() / k) for k in (10, 20)]
    found += [float((dcg[k] / ideal[np.minimum(k, sizes)]).mean()) for k in (10, 20)]
    return RecommendationScores(*found, num_sources=len(sources))


def _per_source(
    gain: np.ndarray, above: np.ndarray, equal: np.ndarray, row: Tensor, k: int
) -> np.ndarray:
    """Return the expected sum of the gains of the held-out targets in the first k places.

    A target with ``above`` better candidates and ``equal`` equal ones, itself included, has each
    of these places with the same probability.
    """
    total = np.concatenate([[0], gain.cumsum()])
    first, last = (np.minimum(end, k).astype(int) for end in (above, above + equal))
    return np.bincount(row.numpy(), (total[last] - total[first]) / equal)
