"""Differences between two models on the same data, with 95 % intervals."""

import math
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from torch import Tensor

from vgae.errors import DataError
from vgae.evaluation.metrics import labelled_scores

_REACH = NormalDist().inv_cdf(0.975)  # standard errors of a 95 % interval


class Difference(NamedTuple):
    """A difference of two values, and the ends of its 95 % interval."""

    value: float
    low: float
    high: float


def auc_difference(first: Tensor, second: Tensor, edge_label: Tensor) -> Difference:
    r"""Return the AUC of one model minus that of another, on the same pairs.

    A pair that is easy for one model is often easy for the other, so the difference is more
    certain than either AUC. As in :func:`vgae.evaluation.metrics.bootstrap_intervals`, models and
    split are fixed: the interval does not cover other seeds.

    .. math:: AUC = \frac{1}{m} \sum_i p_i = \frac{1}{n} \sum_j q_j, \qquad
        s^2 = \frac{\operatorname{Var}(p - p')}{m} + \frac{\operatorname{Var}(q - q')}{n}

    with :math:`p_i` the fraction of non-links below link i, :math:`q_j` the fraction of links
    above non-link j, ties counted half, and a prime for the second model.

    Source: DeLong, DeLong & Clarke-Pearson (1988), `Comparing the Areas under Two or More
    Correlated Receiver Operating Characteristic Curves <https://doi.org/10.2307/2531595>`_.

    Args:
        first: Scores of the first model, shape ``(P,)``.
        second: Scores of the second model for the same pairs, shape ``(P,)``.
        edge_label: 1 for a link, 0 for a non-link, shape ``(P,)``.

    Raises:
        DataError: If the shapes differ, or there are fewer than 2 links or 2 non-links.
        NumericalError: If a score is NaN or infinite.
    """
    (p, q), (other_p, other_q) = (_placements(scores, edge_label) for scores in (first, second))
    if len(p) < 2 or len(q) < 2:
        got = f"got {len(p)} and {len(q)}"
        raise DataError("TOO_FEW_PAIRS", f"an interval needs 2 links and 2 non-links, {got}.")
    variance = (p - other_p).var(ddof=1) / len(p) + (q - other_q).var(ddof=1) / len(q)
    return _difference((p - other_p).mean(), variance)


def mean_difference(first: Tensor, second: Tensor) -> Difference:
    """Return the mean of ``first`` minus that of ``second``, two values of each item.

    Args:
        first: Values, shape ``(n,)``, n at least 2.
        second: Values of the same items in the same order, shape ``(n,)``.

    Raises:
        DataError: If there are fewer than 2 values, or the shapes differ.
    """
    if first.ndim != 1 or first.shape != second.shape or len(first) < 2:
        rule = "an interval needs two vectors of the same length, at least 2"
        got = f"got shapes {tuple(first.shape)} and {tuple(second.shape)}"
        raise DataError("TOO_FEW_PAIRS", f"{rule}, {got}.")
    apart = (first.double() - second.double()).numpy()
    return _difference(apart.mean(), apart.var(ddof=1) / len(apart))


def _difference(value: float, variance: float) -> Difference:
    reach = _REACH * math.sqrt(variance)
    return Difference(float(value), float(value - reach), float(value + reach))


def _placements(scores: Tensor, edge_label: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Return the fraction of non-links below each link, and of links above each non-link."""
    values, labels = labelled_scores(scores, edge_label)
    order = values.argsort()
    ordered, own = values[order], labels[order]
    starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    sizes = np.diff(starts, append=len(order))
    found = []
    for k in (1, 0):
        # Of the other class, those with lower scores, and half of those with the same one.
        others = np.add.reduceat(own != k, starts, dtype=np.int64)
        place = np.empty(len(order))
        place[order] = (others.cumsum() - others / 2).repeat(sizes)
        found.append(place[labels == k])
    links, non_links = found
    return links / len(non_links), 1 - non_links / len(links)
