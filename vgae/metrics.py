"""Scores of a ranking, from vectors of scores and labels."""

from typing import NamedTuple

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score
from torch import Tensor

from vgae.errors import DataError, NumericalError


class LinkScores(NamedTuple):
    """How well links are ranked above non-links, both in [0, 1].

    Attributes:
        auc: Area under the ROC curve: the chance that a link scores above a non-link.
        ap: Average precision, the area under the precision-recall curve.
    """

    auc: float
    ap: float


def link_scores(scores: Tensor, edge_label: Tensor) -> LinkScores:
    """Judge scores of pairs by AUC and AP; only their order matters.

    Source: ``sklearn.metrics.roc_auc_score`` and ``average_precision_score``.

    Args:
        scores: One per pair, any monotone function of the probability, shape ``(P,)``.
        edge_label: 1 for a link, 0 for a non-link, shape ``(P,)``.

    Raises:
        DataError: If one of the two classes is missing: sklearn would return 0, 1 or NaN.
        NumericalError: If a score is NaN or infinite.
    """
    labels = edge_label.detach().cpu().numpy()
    values = scores.detach().cpu().double().numpy()
    if not ((labels == 1).any() and (labels == 0).any()):
        raise DataError(
            "ONE_CLASS", f"AUC and AP need links and non-links, got {len(labels)} of one kind."
        )
    if not np.isfinite(values).all():
        raise NumericalError(
            "SCORES_NONFINITE", f"{np.count_nonzero(~np.isfinite(values))} scores are not finite."
        )
    return LinkScores(
        float(roc_auc_score(labels, values)), float(average_precision_score(labels, values))
    )
