r"""How many of some proposed pairs come true: the expected number, with an interval.

A pair comes true if it is one of the links that are missing from the graph of the messages, as
many of which are among all other pairs as the prior says. The number of true ones among n pairs of
probabilities p has the mean :math:`\lambda = \sum p` and the variance

.. math:: \sum p (1 - p) + \Big( \sum p (1 - p) \, e \Big)^2,

where e is the standard error of the log odds of a pair. The errors of all pairs are taken to be
one, as pairs of similar logits share it. The interval is that of a beta-binomial distribution with
this mean and variance.
"""

from typing import NamedTuple

import numpy as np
from scipy.stats import betabinom, binom
from torch import Tensor

from vgae.errors import UsageError
from vgae.evaluation.calibration import Calibration

LEVEL = 0.95
"""Default probability of the interval."""


class ExpectedTrue(NamedTuple):
    """Number of pairs that come true.

    Attributes:
        expected: Expected number.
        low: Lower end of the interval.
        high: Upper end.
        num_pairs: Number of the pairs.
        level: Probability of the interval.
    """

    expected: float
    low: int
    high: int
    num_pairs: int
    level: float


def expected_true(
    calibration: Calibration, logits: Tensor, level: float = LEVEL
) -> ExpectedTrue | None:
    """Return how many of some pairs come true; ``None`` without standard errors.

    Args:
        calibration: Calibration by a spline.
        logits: Logits of the pairs, each pair once, shape ``(P,)``.
        level: Probability of the equal-tailed interval, in (0, 1).

    Raises:
        UsageError: ``INTERVAL`` if the level is out of range.
    """
    if not 0 < level < 1:
        raise UsageError("INTERVAL", f"interval must lie between 0 and 1, got {level}.")
    if calibration.method != "spline":
        return None
    p = calibration.probability(logits).numpy()
    error = calibration.standard_error(logits).numpy()
    n, mean, noise = len(p), float(p.sum()), p * (1 - p)
    low, high = _ends(n, mean, float(noise.sum() + (noise @ error) ** 2), level)
    return ExpectedTrue(mean, low, high, n, level)


def _ends(n: int, mean: float, variance: float, level: float) -> tuple[int, int]:
    """Return the ends of the interval of a number from 0 to n."""
    tails = np.array([(1 - level) / 2, (1 + level) / 2])
    binomial = mean * (1 - mean / n) if n else 0.0
    if binomial <= 0:  # no pairs, or of probability 0 or 1
        return round(mean), round(mean)
    # How many times as large as for independent pairs of equal probabilities; at most n.
    excess = min(variance / binomial, 1 + (n - 1) * (1 - 1e-6))
    if excess <= 1 + 1e-9:
        low, high = binom.ppf(tails, n, mean / n)
    else:
        strength = (n - excess) / (excess - 1)
        a, b = mean / n * strength, (1 - mean / n) * strength
        low, high = betabinom.ppf(tails, n, a, b)
    return int(low), int(high)
