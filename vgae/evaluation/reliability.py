"""Scores of probabilities: Brier score, calibration error, log loss, reliability bins."""

from typing import Any, NamedTuple

import numpy as np
from sklearn.metrics import brier_score_loss, log_loss
from torch import Tensor

from vgae.errors import DataError, UsageError
from vgae.evaluation.metrics import labelled_scores


class Reliability(NamedTuple):
    """Predictions and outcomes of each bin that is not empty, each of shape ``(B,)``.

    Attributes:
        mean_probability: Mean of the predicted probabilities.
        share: Fraction of links among the pairs.
        num_pairs: Number of pairs, int64.
    """

    mean_probability: np.ndarray
    share: np.ndarray
    num_pairs: np.ndarray

    def calibration_error(self) -> float:
        r"""Return the expected calibration error, in [0, 1].

        .. math:: ECE = \sum_b \frac{n_b}{n} |f_b - m_b|

        with :math:`f_b` the fraction of links and :math:`m_b` the mean probability of a bin.

        Source: Guo et al. (2017), equation 3; see :func:`reliability`.
        """
        gap = np.abs(self.share - self.mean_probability)
        return float((self.num_pairs * gap).sum() / self.num_pairs.sum())


class ProbabilityScores(NamedTuple):
    """Errors of probabilities; 0 is best.

    Attributes:
        brier: Mean squared difference of probability and label, in [0, 1].
        ece: Expected calibration error with 10 bins, in [0, 1].
        log_loss: Mean of -log of the probability of the label, in nats; exact 0 and 1 are
            clipped to the nearest float.
    """

    brier: float
    ece: float
    log_loss: float


class Probabilities(NamedTuple):
    """Scores of probabilities, and the bins of a reliability diagram."""

    scores: ProbabilityScores
    reliability: Reliability

    @classmethod
    def of(cls, probability: Tensor, label: Tensor) -> "Probabilities":
        """Evaluate probabilities of pairs on labels, both of shape ``(P,)``."""
        return cls(probability_scores(probability, label), reliability(probability, label))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        bins = {name: value.tolist() for name, value in self.reliability._asdict().items()}
        return {**self.scores._asdict(), "reliability": bins}


def reliability(probability: Tensor, edge_label: Tensor, *, bins: int = 10) -> Reliability:
    r"""Compare probabilities with the fraction of links, in bins of equal width.

    Bin b holds the probabilities in :math:`(\tfrac{b - 1}{B}, \tfrac{b}{B}]`, the first bin also
    0; empty bins are omitted.

    Source: Guo et al. (2017), `On Calibration of Modern Neural Networks
    <https://arxiv.org/abs/1706.04599>`_, section 2.

    Args:
        probability: Probabilities of a link, in [0, 1], shape ``(P,)``.
        edge_label: 1 for a link, 0 for a non-link, shape ``(P,)``.
        bins: Number of bins B, at least 1.

    Raises:
        DataError: If the shapes differ, a class is missing, or a probability is outside [0, 1].
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
    mean, fraction = (total[held] / count[held] for total in sums)
    return Reliability(mean, fraction, count[held])


def probability_scores(probability: Tensor, edge_label: Tensor) -> ProbabilityScores:
    r"""Return Brier score, calibration error and log loss of probabilities.

    .. math:: Brier = \frac{1}{n} \sum_i (p_i - y_i)^2, \qquad
        log\,loss = -\frac{1}{n} \sum_i \log (y_i p_i + (1 - y_i) (1 - p_i))

    Arguments and errors are those of :func:`reliability`.

    Source: ``sklearn.metrics.brier_score_loss`` and ``log_loss``.
    """
    values, labels = _labelled_probabilities(probability, edge_label)
    return ProbabilityScores(
        float(brier_score_loss(labels, values)),
        reliability(probability, edge_label).calibration_error(),
        float(log_loss(labels, values)),
    )


def _labelled_probabilities(probability: Tensor, label: Tensor) -> tuple[np.ndarray, np.ndarray]:
    values, labels = labelled_scores(probability, label)
    if values.min() < 0 or values.max() > 1:
        got = f"got [{values.min():.4g}, {values.max():.4g}]"
        hint = "a calibration converts logits to probabilities"
        raise DataError("PROBABILITY_RANGE", f"probabilities must lie in [0, 1], {got}; {hint}.")
    return values, labels
