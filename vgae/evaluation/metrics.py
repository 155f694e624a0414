"""Metrics of rankings: AUC, AP, Hits@k, MRR, their intervals, and curves."""

import math
from typing import NamedTuple

import numpy as np
import torch
from sklearn.metrics import precision_recall_curve, roc_curve
from torch import Tensor

from vgae.errors import DataError, NumericalError, UsageError

_FEW = 10  # links or non-links that are too few to resample
# More pairs than these are resampled in groups of neighbouring scores, so many of them: a thousand
# resamples of a million pairs take minutes.
_MOST_RESAMPLED, _GROUPS = 1 << 17, 1 << 11


class LinkScores(NamedTuple):
    """Scores of a ranking of links and non-links, both in [0, 1].

    Attributes:
        auc: Area under the ROC curve: the probability that a link scores above a non-link.
        ap: Average precision, the area under the precision-recall curve.
    """

    auc: float
    ap: float


class LinkIntervals(NamedTuple):
    """Lower and upper ends of the intervals of :class:`LinkScores`, all in [0, 1]."""

    auc: tuple[float, float]
    ap: tuple[float, float]


class RankScores(NamedTuple):
    """Scores of the ranks of links, each among its own non-links, all in [0, 1].

    ``mrr`` is the mean reciprocal rank, ``hits_at_k`` the fraction of links of rank k or better.
    """

    mrr: float
    hits_at_1: float
    hits_at_10: float
    hits_at_50: float
    hits_at_100: float


class Curves(NamedTuple):
    """Points of the ROC curve and of the precision-recall curve, in the order of scikit-learn.

    Attributes:
        fpr: Fraction of non-links at or above falling thresholds, from 0 to 1, shape ``(R,)``.
        tpr: Fraction of links at or above them, from 0 to 1, shape ``(R,)``.
        precision: Fraction of links among the pairs at or above each distinct score, rising, and a
            final 1, shape ``(T + 1,)``.
        recall: Fraction of links at or above them, from 1 to 0, shape ``(T + 1,)``.
    """

    fpr: np.ndarray
    tpr: np.ndarray
    precision: np.ndarray
    recall: np.ndarray


def finite_array(scores: Tensor) -> np.ndarray:
    """Return scores as float64 on the CPU; raise ``NumericalError`` for NaN and infinity."""
    values = scores.detach().cpu().double().numpy()
    if bad := np.count_nonzero(~np.isfinite(values)):
        raise NumericalError("SCORES_NONFINITE", f"{bad} scores are not finite.")
    return values


def labelled_scores(scores: Tensor, edge_label: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Return scores as float64 and labels as int64, both of shape ``(P,)``.

    Raises:
        DataError: If the shapes differ, a label is neither 0 nor 1, or one of the classes is
            missing, for which scikit-learn returns 0, 1 or NaN.
        NumericalError: If a score is NaN or infinite.
    """
    _check_labelled(scores, edge_label)
    labels = edge_label.detach().cpu().double().numpy()
    links, non_links = int((labels == 1).sum()), int((labels == 0).sum())
    if others := len(labels) - links - non_links:
        raise DataError("LABEL_VALUE", f"edge_label must hold 0 and 1, got {others} other values.")
    if not (links and non_links):
        got = f"got {links} links and {non_links} non-links"
        raise DataError("ONE_CLASS", f"an evaluation needs links and non-links, {got}.")
    return finite_array(scores), labels.astype(np.int64)


def link_scores(scores: Tensor, edge_label: Tensor) -> LinkScores:
    """Return AUC and AP of the scores of pairs; only the order of the scores matters.

    Arguments are those of :func:`auc_and_ap`.

    Raises:
        DataError: If the shapes differ, a label is neither 0 nor 1, or a class is missing.
        NumericalError: If a score is NaN or infinite.
    """
    found = LinkScores(*auc_and_ap(scores, edge_label).tolist())
    if math.isnan(found.auc):
        labelled_scores(scores, edge_label)  # raises
    return found


def auc_and_ap(scores: Tensor, edge_label: Tensor) -> Tensor:
    r"""Return AUC and AP of the scores of pairs, without waiting for a GPU.

    .. math:: AUC = \frac{1}{PN} \sum_i \Big(\#\{j: n_j < s_i\}
        + \tfrac{1}{2} \#\{j: n_j = s_i\}\Big), \qquad
        AP = \frac{1}{P} \sum_i \frac{\#\{k: s_k \ge s_i\}}
        {\#\{k: s_k \ge s_i\} + \#\{j: n_j \ge s_i\}}

    with :math:`s_i` the scores of the P links and :math:`n_j` those of the N non-links. Equal
    scores count as in ``sklearn.metrics.roc_auc_score`` and ``average_precision_score``.

    Args:
        scores: Any monotone function of the probability, shape ``(P + N,)``.
        edge_label: 1 for a link, 0 for a non-link, on any device, shape ``(P + N,)``.

    Returns:
        Both, float64 on the device of the scores, shape ``(2,)``. They are NaN if a score is NaN
        or infinite, a label is neither 0 nor 1, or a class is missing.

    Raises:
        DataError: If the shapes differ.
    """
    _check_labelled(scores, edge_label)
    scores, edge_label = scores.detach(), edge_label.to(scores.device)
    is_link = edge_label == 1
    usable = scores.isfinite() & (is_link | (edge_label == 0))
    ordered, order = scores.sort()
    link = is_link[order].long()
    count, links = len(scores), link.sum()
    # Of the group of equal scores that a pair is in: all pairs below it, and the links below it.
    starts = ordered != ordered.roll(1)
    below = (torch.arange(count, device=scores.device) * starts).cummax(0).values
    links_below = ((link.cumsum(0) - link) * starts).cummax(0).values
    # Non-links below links less links below non-links, plus PN: twice the sum of the AUC.
    pairs = links * (count - links)
    auc = ((link * below - links_below).sum() + pairs).double() / (2 * pairs)
    ap = (link * (links - links_below).double() / (count - below)).sum() / links
    return torch.stack([auc, ap]).where(usable.all() & (pairs > 0), torch.nan)


def bootstrap_intervals(
    scores: Tensor,
    edge_label: Tensor,
    *,
    level: float = 0.95,
    num_resamples: int = 1000,
    seed: int = 0,
) -> LinkIntervals:
    r"""Return intervals of AUC and AP over the choice of held-out pairs.

    Links and non-links are resampled separately. An interval goes from the
    :math:`(1 - level) / 2` to the :math:`(1 + level) / 2` quantile. Model and split are fixed: it
    does not cover other seeds.

    Fewer than 10 links or non-links are too few to resample: 3 links that all score above the
    non-links give [1, 1]. There, and where all resamples give the same score, the interval of a
    score s is

    .. math:: [s \, a^{1/n}, \; 1 - (1 - s) \, a^{1/n}], \qquad a = (1 - level) / 2

    with n the number of links for AP, and the smaller of the two numbers for AUC. At s = 0 and
    s = 1 it is the exact interval of n trials with equal outcomes; between, it is a wide interval
    without a guaranteed coverage. 3 such links give [0.29, 1].

    More than 131,072 pairs are resampled in 2,048 groups of neighbouring scores, whose pairs count
    as equal; the interval is shifted by the difference that this makes to the score itself.

    Source: Efron & Tibshirani (1993), `An Introduction to the Bootstrap`, chapter 13 (percentile
    interval); Clopper & Pearson (1934), `The Use of Confidence or Fiducial Limits Illustrated in
    the Case of the Binomial` (exact interval).

    Args:
        scores: Scores of pairs, shape ``(P,)``.
        edge_label: 1 for a link, 0 for a non-link, shape ``(P,)``.
        level: Nominal coverage of the interval, in (0, 1).
        num_resamples: Number of resamples, at least 1.
        seed: Seed of the resamples, at least 0.

    Raises:
        DataError, NumericalError: As for :func:`link_scores`.
        UsageError: If ``level``, ``num_resamples`` or ``seed`` is out of range.
    """
    if not 0 < level < 1:
        raise UsageError("BOOTSTRAP_LEVEL", f"level must lie in (0, 1), got {level}.")
    if num_resamples < 1:
        rule = "num_resamples must be at least 1"
        raise UsageError("BOOTSTRAP_RESAMPLES", f"{rule}, got {num_resamples}.")
    if seed < 0:
        raise UsageError("SEED_RANGE", f"seed must be at least 0, got {seed}.")
    values, labels = labelled_scores(scores, edge_label)
    num_links = int(labels.sum())
    few = min(num_links, len(labels) - num_links)
    found = link_scores(scores, edge_label)
    exact = LinkIntervals(
        interval_of_equal(found.auc, few, level), interval_of_equal(found.ap, num_links, level)
    )
    if few < _FEW:
        return exact
    resampled = _percentiles(values, labels, level, num_resamples, seed)
    return LinkIntervals(*(r if r[0] < r[1] else e for r, e in zip(resampled, exact, strict=True)))


def interval_of_equal(score: float, count: int, level: float) -> tuple[float, float]:
    """Return the interval of a score that is exact if all of ``count`` trials were equal."""
    tail = ((1 - level) / 2) ** (1 / count)
    return score * tail, 1 - (1 - score) * tail


def _percentiles(
    values: np.ndarray, labels: np.ndarray, level: float, num_resamples: int, seed: int
) -> list[tuple[float, float]]:
    """Return the percentile intervals of AUC and AP over resampled pairs."""
    # Pairs of equal score are one group; the first group has the best score.
    distinct, group, counts = np.unique(-values, return_inverse=True, return_counts=True)
    ends = [(1 - level) / 2, (1 + level) / 2]
    # A generator for each class, so that the draws do not depend on the size of a chunk.
    generators = np.random.default_rng(seed).spawn(2)
    if len(values) > _MOST_RESAMPLED:
        place = (counts.cumsum() - counts) * _GROUPS // len(values)
        counted = [np.bincount(place[group[labels == k]], minlength=_GROUPS) for k in (1, 0)]
        drawn = _counted_scores(
            *(
                generator.multinomial(count.sum(), count / count.sum(), num_resamples)
                for count, generator in zip(counted, generators, strict=True)
            )
        )
        exact = link_scores(torch.from_numpy(values), torch.from_numpy(labels))
        whole = _counted_scores(*(count[None] for count in counted))
        drawn = np.clip(drawn + np.array(exact)[:, None] - whole, 0, 1)
        return [(low, high) for low, high in np.quantile(drawn, ends, axis=1).T.tolist()]
    classes = zip((1, 0), generators, strict=True)
    groups = [(group[labels == label], generator) for label, generator in classes]
    chunk = max(1, 2**18 // len(values))
    drawn = []
    for start in range(0, num_resamples, chunk):
        rows = min(chunk, num_resamples - start)
        drawn.append(_counted_scores(*(_resampled(*g, len(distinct), rows) for g in groups)))
    return [(low, high) for low, high in np.quantile(np.hstack(drawn), ends, axis=1).T.tolist()]


def _resampled(
    group: np.ndarray, generator: np.random.Generator, num_groups: int, rows: int
) -> np.ndarray:
    """Draw ``len(group)`` pairs with replacement, ``rows`` times; count them by group."""
    drawn = group[generator.integers(len(group), size=(rows, len(group)))]
    cell = drawn + num_groups * np.arange(rows)[:, None]
    counts = np.bincount(cell.ravel(), minlength=rows * num_groups)
    return counts.reshape(rows, num_groups)


def _counted_scores(links: np.ndarray, non_links: np.ndarray) -> np.ndarray:
    r"""Return AUC and AP from the counts of each distinct score, best first.

    .. math:: AUC = \sum_g n_g \frac{TP_{g-1} + TP_g}{2\,TP\,FP}, \qquad
        AP = \sum_g \frac{p_g}{TP} \frac{TP_g}{TP_g + FP_g}

    with :math:`p_g` links and :math:`n_g` non-links at score g, and :math:`TP_g, FP_g` their
    cumulative sums. Counts have shape ``(B, G)``, the result ``(2, B)``.
    """
    tp, fp = links.cumsum(axis=1), non_links.cumsum(axis=1)
    total = tp[:, -1]
    auc = (non_links * (tp - links / 2)).sum(axis=1) / (total * fp[:, -1])
    # Before the first drawn pair there is no precision, and its weight is zero.
    ap = (links * (tp / np.maximum(tp + fp, 1))).sum(axis=1) / total
    return np.stack([auc, ap])


def curves(scores: Tensor, edge_label: Tensor) -> Curves:
    """Return the points of the ROC and precision-recall curves of the scores of pairs.

    Arguments and errors are those of :func:`link_scores`.

    Source: ``sklearn.metrics.roc_curve`` (without points on a straight line) and
    ``precision_recall_curve``.
    """
    values, labels = labelled_scores(scores, edge_label)
    roc, precision_recall = roc_curve(labels, values), precision_recall_curve(labels, values)
    return Curves(*roc[:2], *precision_recall[:2])


def hits_at_k(pos: Tensor, neg: Tensor, k: int) -> float:
    r"""Return the fraction of links that score above all but ``k - 1`` of the non-links.

    .. math:: \frac{1}{P} \sum_i [s_i > n_{(k)}]

    with :math:`n_{(k)}` the k-th highest score of a non-link; 1 with fewer than k non-links.
    A link that ties with it is no hit.

    Source: Hu et al. (2020), `Open Graph Benchmark <https://arxiv.org/abs/2005.00687>`_, and
    ``ogb.linkproppred.Evaluator``.

    Args:
        pos: Scores of links, shape ``(P,)``.
        neg: Scores of the non-links that all links are ranked among, shape ``(N,)``.
        k: Rank, at least 1.

    Raises:
        DataError: If the scores are not vectors, or there are no links.
        NumericalError: If a score is NaN or infinite.
        UsageError: If ``k`` is less than 1.
    """
    if k < 1:
        raise UsageError("HITS_K", f"k must be at least 1, got {k}.")
    fits = pos.ndim == 1 and neg.ndim == 1 and len(pos) > 0
    _check_shapes("pos must have shape (P,) with P > 0, and neg (N,)", pos, neg, fits=fits)
    links, non_links = finite_array(pos), finite_array(neg)
    if len(non_links) < k:
        return 1.0
    return float((links > np.partition(non_links, -k)[-k]).mean())


def ranks_among(pos: Tensor, neg: Tensor) -> Tensor:
    r"""Rank each link among its own non-links, from 1, the best, to K + 1; ties count half.

    .. math:: r_i = 1 + \#\{j: n_{ij} > s_i\} + \tfrac{1}{2} \#\{j: n_{ij} = s_i\}

    Ranks are float64 on the CPU, shape ``(P,)``; equal scores of all pairs give the middle rank.

    Source: Bordes et al. (2013), section 4.1 (the protocol); Sun et al. (2020), `A Re-evaluation
    of Knowledge Graph Completion Methods <https://arxiv.org/abs/1911.03903>`_ (ties).

    Args:
        pos: Scores of links, shape ``(P,)``.
        neg: Scores of the non-links of each link, shape ``(P, K)``.

    Raises:
        DataError: If the shapes do not match.
        NumericalError: If a score is NaN or infinite.
    """
    fits = pos.ndim == 1 and neg.ndim == 2 and len(pos) == len(neg)
    _check_shapes("pos must have shape (P,) and neg (P, K)", pos, neg, fits=fits)
    links, non_links = finite_array(pos)[:, None], finite_array(neg)
    above, equal = (non_links > links).sum(axis=1), (non_links == links).sum(axis=1)
    return torch.as_tensor(1 + above + 0.5 * equal)


def rank_scores(ranks: Tensor) -> RankScores:
    r"""Return the mean reciprocal rank and the fractions of ranks up to k.

    .. math:: MRR = \frac{1}{P} \sum_i \frac{1}{r_i}, \qquad
        Hits@k = \frac{1}{P} \sum_i [r_i \le k]

    Args:
        ranks: Ranks, at least 1, shape ``(P,)``.

    Raises:
        DataError: If there are no ranks, or a rank is less than 1.
        NumericalError: If a rank is NaN or infinite.
    """
    values = finite_array(ranks)
    if values.ndim != 1 or values.size == 0 or values.min() < 1:
        rule = "ranks must be at least 1 and have shape (P,) with P > 0"
        got = f"got shape {values.shape}, minimum {values.min(initial=np.inf)}"
        raise DataError("RANK_RANGE", f"{rule}, {got}.")
    hits = (float((values <= k).mean()) for k in (1, 10, 50, 100))
    return RankScores(float((1 / values).mean()), *hits)


def _check_labelled(scores: Tensor, edge_label: Tensor) -> None:
    fits = scores.ndim == 1 and scores.shape == edge_label.shape
    _check_shapes("scores and edge_label must both have shape (P,)", scores, edge_label, fits=fits)


def _check_shapes(rule: str, a: Tensor, b: Tensor, *, fits: bool) -> None:
    if not fits:
        got = f"got {tuple(a.shape)} and {tuple(b.shape)}"
        raise DataError("SCORE_SHAPE", f"{rule}, {got}.")
