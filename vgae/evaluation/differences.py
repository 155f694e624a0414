"""differences: by how much one model is better than another, judged on the same data."""

import math
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from torch import Tensor

from vgae.errors import DataError
from vgae.evaluation.metrics import labelled_scores

_REACH = NormalDist().inv_cdf(0.975)  # standard errors of a 95 % interval


class Difference(NamedTuple):
    """By how much a value is above another, and the ends of a 95 % interval for it."""

    value: float
    low: float
    high: float


def auc_difference(first: Tensor, second: Tensor, edge_label: Tensor) -> Difference:
    r"""Say by how much the AUC of one model is above that of another, on the same pairs.

    What is easy for one model often is for the other, so that their difference is more certain
    than either AUC. As in :func:`vgae.evaluation.metrics.bootstrap_intervals`, models and split
    are held
    fixed: what another seed would give is not in the interval.

    .. math:: AUC = \frac{1}{m} \sum_i p_i = \frac{1}{n} \sum_j q_j, \qquad
        s^2 = \frac{\operatorname{Var}(p - p')}{m} + \frac{\operatorname{Var}(q - q')}{n}

    with :math:`p_i` the share of non-links below link i, :math:`q_j` the share of links above
    non-link j, ties counting half, and a dash for the second model.

    Source: DeLong, DeLong & Clarke-Pearson (1988), `Comparing the Areas under Two or More
    Correlated Receiver Operating Characteristic Curves <https://doi.org/10.2307/2531595>`_.

    Args:
        first: Scores of one model, shape ``(P,)``.
        second: Of the other, for the same pairs.
        edge_label: 1 for a link, 0 for a non-link, shape ``(P,)``.

    Raises:
        DataError: If the vectors do not fit each other, or there are fewer than 2 links or 2
            non-links.
        NumericalError: If a score is NaN or infinite.
    """
    (p, q), (other_p, other_q) = (_placements(scores, edge_label) for scores in (first, second))
    if len(p) < 2 or len(q) < 2:
        raise DataError(
            "TOO_FEW_PAIRS",
            f"an interval needs 2 links and 2 non-links, got {len(p)} and {len(q)}.",
        )
    variance = (p - other_p).var(ddof=1) / len(p) + (q - other_q).var(ddof=1) / len(q)
    return _difference((p - other_p).mean(), variance)


def mean_difference(first: Tensor, second: Tensor) -> Difference:
    """Say by how much one mean is above another, from values of the same items.

    Args:
        first: Shape ``(n,)``, n at least 2.
        second: Likewise, of the same items in the same order.

    Raises:
        DataError: If there are fewer than 2, or not as many of both.
    """
    if first.ndim != 1 or first.shape != second.shape or len(first) < 2:
        raise DataError(
            "TOO_FEW_PAIRS",
            "an interval needs 2 values or more, as many of both, got shapes"
            f" {tuple(first.shape)} and {tuple(second.shape)}.",
        )
    apart = (first.double() - second.double()).numpy()
    return _difference(apart.mean(), apart.var(ddof=1) / len(apart))


def _difference(value: float, variance: float) -> Difference:
    reach = _REACH * math.sqrt(variance)
    return Difference(float(value), float(value - reach), float(value + reach))


def _placements(scores: Tensor, edge_label: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Return the share of non-links below each link, and of links above each non-link."""
    values, labels = labelled_scores(scores, edge_label)
    links, others = values[labels == 1], values[labels == 0]
    return _share_below(links, others), 1 - _share_below(others, links)


def _share_below(values: np.ndarray, among: np.ndarray) -> np.ndarray:
    among = np.sort(among)
    counts = np.searchsorted(among, values, "left") + np.searchsorted(among, values, "right")
    return counts / (2 * len(among))
