"""Scores of a ranking, from vectors of scores and labels."""

from typing import NamedTuple

import numpy as np
import torch
from sklearn.metrics import (
    average_precision_score,
    precision_recall_curve,
    roc_auc_score,
    roc_curve,
)
from torch import Tensor

from vgae.errors import DataError, NumericalError, UsageError


class LinkScores(NamedTuple):
    """How well links are ranked above non-links, both in [0, 1].

    Attributes:
        auc: Area under the ROC curve: the chance that a link scores above a non-link.
        ap: Average precision, the area under the precision-recall curve.
    """

    auc: float
    ap: float


class LinkIntervals(NamedTuple):
    """Lower and upper end of an interval for each of :class:`LinkScores`, all in [0, 1]."""

    auc: tuple[float, float]
    ap: tuple[float, float]


class RankScores(NamedTuple):
    """How near to the top links are ranked, each among its own non-links, all in [0, 1].

    Attributes:
        mrr: Mean reciprocal rank.
        hits_at_1: Share of links of rank 1 or better; likewise the others.
    """

    mrr: float
    hits_at_1: float
    hits_at_10: float
    hits_at_50: float
    hits_at_100: float


class Curves(NamedTuple):
    """Points of the ROC and of the precision-recall curve, as sklearn orders them.

    Attributes:
        fpr: Share of non-links at or above each ROC threshold, rising from 0 to 1, ``(R,)``.
        tpr: Share of links likewise, ``(R,)``.
        roc_thresholds: Scores, falling; the first is infinite, ``(R,)``.
        precision: Share of links among the pairs at or above each threshold, and a last 1,
            ``(T + 1,)``.
        recall: Share of links found, falling from 1 to a last 0, ``(T + 1,)``.
        pr_thresholds: The distinct scores, rising, ``(T,)``.
    """

    fpr: np.ndarray
    tpr: np.ndarray
    roc_thresholds: np.ndarray
    precision: np.ndarray
    recall: np.ndarray
    pr_thresholds: np.ndarray


def finite_array(scores: Tensor) -> np.ndarray:
    """Return scores as float64 on the CPU, any shape.

    Raises:
        NumericalError: If a score is NaN or infinite.
    """
    values = scores.detach().cpu().double().numpy()
    if not np.isfinite(values).all():
        raise NumericalError(
            "SCORES_NONFINITE", f"{np.count_nonzero(~np.isfinite(values))} scores are not finite."
        )
    return values


def labelled_scores(scores: Tensor, edge_label: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Return scores as float64 and labels as int64, both ``(P,)``, or say what is wrong.

    Raises:
        DataError: If the vectors are not equally long, if a label is neither 0 nor 1, or if one
            of the two classes is missing: sklearn would return 0, 1 or NaN.
        NumericalError: If a score is NaN or infinite.
    """
    if scores.ndim != 1 or scores.shape != edge_label.shape:
        raise DataError(
            "SCORE_SHAPE",
            "scores and edge_label must both have shape (P,), got"
            f" {tuple(scores.shape)} and {tuple(edge_label.shape)}.",
        )
    labels = edge_label.detach().cpu().double().numpy()
    links, non_links = int((labels == 1).sum()), int((labels == 0).sum())
    if links + non_links < len(labels):
        raise DataError(
            "LABEL_VALUE",
            f"edge_label must hold 0 and 1, got {len(labels) - links - non_links} other values.",
        )
    if not (links and non_links):
        raise DataError(
            "ONE_CLASS",
            f"scores need links and non-links to be judged by, got {links} links and {non_links}"
            " non-links.",
        )
    return finite_array(scores), labels.astype(np.int64)


def link_scores(scores: Tensor, edge_label: Tensor) -> LinkScores:
    """Judge scores of pairs by AUC and AP; only their order matters.

    Source: ``sklearn.metrics.roc_auc_score`` and ``average_precision_score``.

    Args:
        scores: One per pair, any monotone function of the probability, shape ``(P,)``.
        edge_label: 1 for a link, 0 for a non-link, shape ``(P,)``.

    Raises:
        DataError: If the vectors do not fit each other or hold one class only.
        NumericalError: If a score is NaN or infinite.
    """
    values, labels = labelled_scores(scores, edge_label)
    return LinkScores(
        float(roc_auc_score(labels, values)), float(average_precision_score(labels, values))
    )


def bootstrap_intervals(
    scores: Tensor,
    edge_label: Tensor,
    *,
    level: float = 0.95,
    num_resamples: int = 1000,
    seed: int = 0,
) -> LinkIntervals:
    r"""Say how far AUC and AP would move if other pairs of the same kind had been held out.

    Links and non-links are resampled separately, each to its own number, and the interval runs
    from the :math:`(1 - level) / 2` to the :math:`(1 + level) / 2` quantile. It holds the model
    and the split fixed: what another seed would give is not in it.

    Source: Efron & Tibshirani (1993), `An Introduction to the Bootstrap`, chapter 13 (percentile
    interval).

    Args:
        scores: One per pair, shape ``(P,)``.
        edge_label: 1 for a link, 0 for a non-link, shape ``(P,)``.
        level: Chance that the interval is meant to hold the value, in (0, 1).
        num_resamples: How often to draw, at least 1.
        seed: Same seed, same interval; at least 0.

    Raises:
        DataError: If the vectors do not fit each other or hold one class only.
        NumericalError: If a score is NaN or infinite.
        UsageError: If ``level``, ``num_resamples`` or ``seed`` is out of range.
    """
    if not 0 < level < 1:
        raise UsageError("BOOTSTRAP_LEVEL", f"level must lie in (0, 1), got {level}.")
    if num_resamples < 1:
        raise UsageError(
            "BOOTSTRAP_RESAMPLES", f"num_resamples must be at least 1, got {num_resamples}."
        )
    if seed < 0:
        raise UsageError("SEED_RANGE", f"seed must be at least 0, got {seed}.")
    values, labels = labelled_scores(scores, edge_label)
    # Pairs of equal score share a group, numbered from the best score on.
    distinct, group = np.unique(-values, return_inverse=True)
    classes = [group[labels == 1], group[labels == 0]]
    # A generator for each: what is drawn does not depend on the size of a chunk.
    generators = np.random.default_rng(seed).spawn(2)
    chunk = max(1, 2**18 // len(values))
    drawn = []
    for start in range(0, num_resamples, chunk):
        rows = min(chunk, num_resamples - start)
        links, non_links = (
            _resampled(groups, len(distinct), rows, generator)
            for groups, generator in zip(classes, generators, strict=True)
        )
        drawn.append(_counted_scores(links, non_links))
    ends = [(1 - level) / 2, (1 + level) / 2]
    (auc_low, auc_high), (ap_low, ap_high) = np.quantile(np.hstack(drawn), ends, axis=1).T
    return LinkIntervals((float(auc_low), float(auc_high)), (float(ap_low), float(ap_high)))


def _resampled(
    group: np.ndarray, num_groups: int, rows: int, generator: np.random.Generator
) -> np.ndarray:
    """Draw ``len(group)`` pairs with replacement, ``rows`` times; count them by group."""
    drawn = group[generator.integers(len(group), size=(rows, len(group)))]
    cell = drawn + num_groups * np.arange(rows)[:, None]
    counts = np.bincount(cell.ravel(), minlength=rows * num_groups)
    return counts.reshape(rows, num_groups)


def _counted_scores(links: np.ndarray, non_links: np.ndarray) -> np.ndarray:
    r"""AUC and AP from the counts of each distinct score, best first; ties count half in AUC.

    .. math:: AUC = \sum_g n_g \frac{TP_{g-1} + TP_g}{2\,TP\,FP}, \qquad
        AP = \sum_g \frac{p_g}{TP} \frac{TP_g}{TP_g + FP_g}

    with :math:`p_g` links and :math:`n_g` non-links at score g, and :math:`TP_g, FP_g` their sums
    up to it.

    Args:
        links: Shape ``(B, G)``, no row all zero.
        non_links: Likewise.

    Returns:
        Shape ``(2, B)``.
    """
    tp, fp = links.cumsum(axis=1), non_links.cumsum(axis=1)
    total = tp[:, -1]
    auc = (non_links * (tp - links / 2)).sum(axis=1) / (total * fp[:, -1])
    # Before the first pair drawn there is no precision, and no link to weigh it.
    ap = (links * (tp / np.maximum(tp + fp, 1))).sum(axis=1) / total
    return np.stack([auc, ap])


def curves(scores: Tensor, edge_label: Tensor) -> Curves:
    """Return the points of the ROC and precision-recall curves, to be drawn.

    Source: ``sklearn.metrics.roc_curve`` (points on a straight line are left out) and
    ``precision_recall_curve``.

    Args:
        scores: One per pair, shape ``(P,)``.
        edge_label: 1 for a link, 0 for a non-link, shape ``(P,)``.

    Raises:
        DataError: If the vectors do not fit each other or hold one class only.
        NumericalError: If a score is NaN or infinite.
    """
    values, labels = labelled_scores(scores, edge_label)
    fpr, tpr, roc_thresholds = roc_curve(labels, values)
    precision, recall, pr_thresholds = precision_recall_curve(labels, values)
    return Curves(fpr, tpr, roc_thresholds, precision, recall, pr_thresholds)


def hits_at_k(pos: Tensor, neg: Tensor, k: int) -> float:
    r"""Share of links that score above all but ``k - 1`` of the non-links, in [0, 1].

    .. math:: \frac{1}{P} \sum_i [s_i > n_{(k)}]

    with :math:`n_{(k)}` the k-th highest score of a non-link; 1 if there are fewer than ``k``.
    A link that ties with it is no hit.

    Source: Hu et al. (2020), `Open Graph Benchmark <https://arxiv.org/abs/2005.00687>`_, and
    ``ogb.linkproppred.Evaluator``.

    Args:
        pos: Scores of links, shape ``(P,)``.
        neg: Scores of the non-links that all links are ranked among, shape ``(N,)``.
        k: At least 1.

    Raises:
        DataError: If the scores are not vectors, or there are no links.
        NumericalError: If a score is NaN or infinite.
        UsageError: If ``k`` is less than 1.
    """
    if k < 1:
        raise UsageError("HITS_K", f"k must be at least 1, got {k}.")
    if pos.ndim != 1 or neg.ndim != 1 or len(pos) == 0:
        raise DataError(
            "SCORE_SHAPE",
            "pos must have shape (P,) with P > 0, and neg (N,), got"
            f" {tuple(pos.shape)} and {tuple(neg.shape)}.",
        )
    links, non_links = finite_array(pos), finite_array(neg)
    if len(non_links) < k:
        return 1.0
    return float((links > np.partition(non_links, -k)[-k]).mean())


def ranks_among(pos: Tensor, neg: Tensor) -> Tensor:
    r"""Rank each link among non-links of its own; 1 is best, ties count half.

    .. math:: r_i = 1 + \#\{j: n_{ij} > s_i\} + \tfrac{1}{2} \#\{j: n_{ij} = s_i\}

    A model that scores all pairs alike gets the middle rank, and not the best or the worst.

    Source: Bordes et al. (2013), section 4.1 (the protocol); Sun et al. (2020), `A Re-evaluation
    of Knowledge Graph Completion Methods <https://arxiv.org/abs/1911.03903>`_ (ties).

    Args:
        pos: Scores of links, shape ``(P,)``.
        neg: Scores of the non-links of each, shape ``(P, K)``.

    Returns:
        Ranks in ``[1, K + 1]``, float64 on the CPU, shape ``(P,)``.

    Raises:
        DataError: If the shapes do not fit each other.
        NumericalError: If a score is NaN or infinite.
    """
    if pos.ndim != 1 or neg.ndim != 2 or len(pos) != len(neg):
        raise DataError(
            "SCORE_SHAPE",
            "pos must have shape (P,) and neg (P, K), got"
            f" {tuple(pos.shape)} and {tuple(neg.shape)}.",
        )
    links, non_links = finite_array(pos)[:, None], finite_array(neg)
    above, equal = (non_links > links).sum(axis=1), (non_links == links).sum(axis=1)
    return torch.as_tensor(1 + above + 0.5 * equal)


def rank_scores(ranks: Tensor) -> RankScores:
    r"""Judge ranks by their mean reciprocal and by the share that is at most k.

    .. math:: MRR = \frac{1}{P} \sum_i \frac{1}{r_i}, \qquad
        Hits@k = \frac{1}{P} \sum_i [r_i \le k]

    Args:
        ranks: Of :func:`ranks_among`, at least 1, shape ``(P,)``.

    Raises:
        DataError: If there are no ranks, or one is less than 1.
        NumericalError: If a rank is NaN or infinite.
    """
    values = finite_array(ranks)
    if values.ndim != 1 or values.size == 0 or values.min() < 1:
        raise DataError(
            "RANK_RANGE",
            "ranks must be at least 1 and have shape (P,) with P > 0, got shape"
            f" {values.shape}, minimum {values.min(initial=np.inf)}.",
        )
    hits = (float((values <= k).mean()) for k in (1, 10, 50, 100))
    return RankScores(float((1 / values).mean()), *hits)
