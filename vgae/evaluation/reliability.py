"""Scores of probabilities: how far they are from what came true."""

from typing import NamedTuple

import numpy as np
from sklearn.metrics import brier_score_loss, log_loss
from torch import Tensor

from vgae.errors import DataError, UsageError
from vgae.evaluation.metrics import labelled_scores


class Reliability(NamedTuple):
    """What was predicted and what came true, per bin that holds a pair, each of shape ``(B,)``.

    Attributes:
        mean_probability: Mean of the predicted probabilities.
        share: Share of links among the pairs.
        num_pairs: How many there are, int64.
    """

    mean_probability: np.ndarray
    share: np.ndarray
    num_pairs: np.ndarray


class ProbabilityScores(NamedTuple):
    """How far probabilities are from the truth; 0 is best.

    Attributes:
        brier: Mean squared difference of probability and label, in [0, 1].
        ece: Expected calibration error with 10 bins, in [0, 1].
        log_loss: Mean of -log of the probability given to what came true, in nats; a
            probability of exactly 0 or 1 counts as the nearest float to it.
    """

    brier: float
    ece: float
    log_loss: float


def reliability(probability: Tensor, edge_label: Tensor, *, bins: int = 10) -> Reliability:
    r"""Compare probabilities with the share of links, in bins of equal width.

    Bin b holds the probabilities in :math:`(\tfrac{b - 1}{B}, \tfrac{b}{B}]`, the first one also
    0; a bin without pairs is left out.

    Source: Guo et al. (2017), `On Calibration of Modern Neural Networks
    <https://arxiv.org/abs/1706.04599>`_, section 2.

    Args:
        probability: That a pair is a link, in [0, 1], shape ``(P,)``.
        edge_label: 1 for a link, 0 for a non-link, shape ``(P,)``.
        bins: Number of bins B, at least 1.

    Raises:
        DataError: If the vectors do not fit each other, hold one class only, or leave [0, 1].
        NumericalError: If a probability is NaN or infinite.
        UsageError: If ``bins`` is less than 1.
    """
    if bins < 1:
        raise UsageError("RELIABILITY_BINS", f"bins must be at least 1, got {bins}.")
    values, labels = _labelled_probabilities(probability, edge_label)
    place = np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], values)
    count = np.bincount(place, minlength=bins)
    held = count > 0
    sums = (np.bincount(place, weights=w, minlength=bins) for w in (values, labels))
    mean, share = (total[held] / count[held] for total in sums)
    return Reliability(mean, share, count[held])


def expected_calibration_error(
    probability: Tensor, edge_label: Tensor, *, bins: int = 10
) -> float:
    r"""How far probabilities are from the share of links, averaged over pairs, in [0, 1].

    .. math:: ECE = \sum_b \frac{n_b}{n} |share_b - mean_b|

    over the bins of :func:`reliability`, with its arguments and errors.

    Source: Guo et al. (2017), `On Calibration of Modern Neural Networks
    <https://arxiv.org/abs/1706.04599>`_, equation 3.
    """
    mean, share, num_pairs = reliability(probability, edge_label, bins=bins)
    return float((num_pairs * np.abs(share - mean)).sum() / num_pairs.sum())


def probability_scores(probability: Tensor, edge_label: Tensor) -> ProbabilityScores:
    r"""Judge probabilities by Brier score, calibration error and log loss.

    .. math:: Brier = \frac{1}{n} \sum_i (p_i - y_i)^2, \qquad
        log\,loss = -\frac{1}{n} \sum_i \log (y_i p_i + (1 - y_i) (1 - p_i))

    Source: ``sklearn.metrics.brier_score_loss`` and ``log_loss``.

    Args:
        probability: That a pair is a link, in [0, 1], shape ``(P,)``.
        edge_label: 1 for a link, 0 for a non-link, shape ``(P,)``.

    Raises:
        DataError: If the vectors do not fit each other, hold one class only, or leave [0, 1].
        NumericalError: If a probability is NaN or infinite.
    """
    values, labels = _labelled_probabilities(probability, edge_label)
    return ProbabilityScores(
        float(brier_score_loss(labels, values)),
        expected_calibration_error(probability, edge_label),
        float(log_loss(labels, values)),
    )


def _labelled_probabilities(
    probability: Tensor, edge_label: Tensor
) -> tuple[np.ndarray, np.ndarray]:
    values, labels = labelled_scores(probability, edge_label)
    if values.min() < 0 or values.max() > 1:
        raise DataError(
            "PROBABILITY_RANGE",
            f"probabilities must lie in [0, 1], got [{values.min():.4g}, {values.max():.4g}];"
            " logits are turned into them by calibration.",
        )
    return values, labels
