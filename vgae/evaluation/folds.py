"""Training links that models trained without them have scored, for a calibration."""

from typing import NamedTuple

from torch import Tensor

TOP = 0.25
"""Fraction of these links, the highest ones, that a calibration is fitted to."""


class FoldLinks(NamedTuple):
    """Training links in K folds, each scored by a model that was trained on the other folds.

    Such a model has other logits, and slightly lower scores, than one of all training links. So
    its links are known by their ranks among all pairs, and a calibration uses the highest
    :data:`TOP` of them, which were measured to be ranked alike; the validation links alone have
    the lower ranks.

    Attributes:
        above: Fraction of the pairs that are not known as links which have higher logits than each
            link, equal ones counted one half; float64, shape ``(M_train,)``.
        num_folds: K.
    """

    above: Tensor
    num_folds: int
