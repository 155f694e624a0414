"""Scores of probabilities: Brier score, calibration error, log loss, reliability bins."""

from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.metrics import brier_score_loss, log_loss
from torch import Tensor

from vgae.errors import DataError, UsageError
from vgae.evaluation.metrics import finite_array, labelled_scores


class Reliability(NamedTuple):
    """Predictions and outcomes of each bin that is not empty, each of shape ``(B,)``.

    Attributes:
        mean_probability: Mean of the predicted probabilities.
        share: Fraction of links among the pairs.
        num_pairs: Number of pairs, int64.
        weight: Total weight of the pairs, if they are weighted.
    """

    mean_probability: np.ndarray
    share: np.ndarray
    num_pairs: np.ndarray
    weight: np.ndarray | None = None

    def calibration_error(self) -> float:
        r"""Return the expected calibration error, in [0, 1].

        .. math:: ECE = \sum_b \frac{n_b}{n} |f_b - m_b|

        with :math:`f_b` the fraction of links, :math:`m_b` the mean probability and :math:`n_b`
        the number of pairs of a bin, or their weight.

        Source: Guo et al. (2017), equation 3; see :func:`reliability`.
        """
        gap = np.abs(self.share - self.mean_probability)
        weight = self.num_pairs if self.weight is None else self.weight
        return float((weight * gap).sum() / weight.sum())


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
    def of(
        cls, probability: Tensor, label: Tensor, weight: Tensor | None = None
    ) -> "Probabilities":
        """Evaluate probabilities of pairs on labels, all of shape ``(P,)``."""
        scores = probability_scores(probability, label, weight)
        return cls(scores, reliability(probability, label, weight=weight))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        bins = self.reliability._asdict().items()
        bins = {name: value.tolist() for name, value in bins if value is not None}
        return {**self.scores._asdict(), "reliability": bins}


def balancing_weight(edge_label: Tensor) -> Tensor | None:
    """Return weights by which links and non-links weigh the same: 1 for a link.

    They are float64 of the shape of ``edge_label``; ``None`` for as many non-links as links, which
    need no weights.
    """
    is_link = edge_label == 1
    num_links = int(is_link.sum())
    num_non_links = is_link.numel() - num_links
    if num_links == num_non_links or not num_non_links:
        return None
    weight = torch.ones(is_link.shape, dtype=torch.float64)
    return weight.masked_fill(~is_link, num_links / num_non_links)


def reliability(
    probability: Tensor, edge_label: Tensor, *, bins: int = 10, weight: Tensor | None = None
) -> Reliability:
    r"""Compare probabilities with the fraction of links, in bins of equal width.

    Bin b holds the probabilities in :math:`(\tfrac{b - 1}{B}, \tfrac{b}{B}]`, the first bin also
    0; empty bins are omitted.

    Source: Guo et al. (2017), `On Calibration of Modern Neural Networks
    <https://arxiv.org/abs/1706.04599>`_, section 2.

    Args:
        probability: Probabilities of a link, in [0, 1], shape ``(P,)``.
        edge_label: 1 for a link, 0 for a non-link, shape ``(P,)``.
        bins: Number of bins B, at least 1.
        weight: Weight of each pair, above zero, shape ``(P,)``; such as
            :func:`balancing_weight`. Means, fractions and errors are weighted.

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
    weights = None if weight is None else _weights(weight, values)
    rows = (values, labels) if weights is None else (values * weights, labels * weights)
    sums = (np.bincount(place, weights=row, minlength=bins) for row in rows)
    total = count if weights is None else np.bincount(place, weights=weights, minlength=bins)
    mean, fraction = (row[held] / total[held] for row in sums)
    return Reliability(mean, fraction, count[held], None if weights is None else total[held])


def probability_scores(
    probability: Tensor, edge_label: Tensor, weight: Tensor | None = None
) -> ProbabilityScores:
    r"""Return Brier score, calibration error and log loss of probabilities.

    .. math:: Brier = \frac{1}{n} \sum_i (p_i - y_i)^2, \qquad
        log\,loss = -\frac{1}{n} \sum_i \log (y_i p_i + (1 - y_i) (1 - p_i))

    Arguments and errors are those of :func:`reliability`.

    Source: ``sklearn.metrics.brier_score_loss`` and ``log_loss``.
    """
    values, labels = _labelled_probabilities(probability, edge_label)
    weights = None if weight is None else _weights(weight, values)
    return ProbabilityScores(
        float(brier_score_loss(labels, values, sample_weight=weights)),
        reliability(probability, edge_label, weight=weight).calibration_error(),
        float(log_loss(labels, values, sample_weight=weights)),
    )


def _weights(weight: Tensor, values: np.ndarray) -> np.ndarray:
    weights = finite_array(weight)
    if weights.shape != values.shape or weights.min() <= 0:
        rule = f"weight must be above zero, of shape {values.shape}"
        got = f"got shape {weights.shape}, minimum {weights.min(initial=np.inf)}"
        raise DataError("SCORE_SHAPE", f"{rule}, {got}.")
    return weights


def _labelled_probabilities(probability: Tensor, label: Tensor) -> tuple[np.ndarray, np.ndarray]:
    values, labels = labelled_scores(probability, label)
    if values.min() < 0 or values.max() > 1:
        got = f"got [{values.min():.4g}, {values.max():.4g}]"
        hint = "a calibration converts logits to probabilities"
        raise DataError("PROBABILITY_RANGE", f"probabilities must lie in [0, 1], {got}; {hint}.")
    return values, labels
