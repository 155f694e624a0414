"""Credible intervals of link probabilities from the spread of the posterior."""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

LEVELS = np.arange(1, 100) / 100
"""Levels of the quantiles of :class:`Intervals`."""
LEAST_DEVIATION = 1e-3
"""Standard deviation of a logit that smaller ones are replaced with."""


@dataclass(frozen=True)
class Intervals:
    r"""Map from sampled logits to log odds with an interval, fitted by :func:`vgae.calibrate`.

    .. math:: \text{log odds} = a t + b + s \, Q_g(u)

    is at most the true log odds of a fraction 1 - u of all pairs, where t is the averaged logit of
    a pair, s the standard deviation of its sampled logits and Q a quantile function. All log odds
    are those for as many links as non-links.

    Attributes:
        slope: a, at least 0.
        intercept: b.
        from_logit: Averaged logits, ascending, from which on the quantiles of the next group hold.
        quantiles: Q at the 99 :data:`LEVELS`, non-decreasing, for each group of averaged logits.
        num_samples: Number of samples of the fit.
    """

    slope: float
    intercept: float
    from_logit: tuple[float, ...]
    quantiles: tuple[tuple[float, ...], ...]
    num_samples: int

    def log_odds(self, averaged: Tensor) -> Tensor:
        """Return the log odds of averaged logits, float64."""
        return self.slope * averaged.double() + self.intercept

    def ends(self, averaged: Tensor, deviation: Tensor, level: float) -> tuple[Tensor, Tensor]:
        """Return the log odds of both ends of the equal-tailed interval; see the class.

        The interval is extended to the log odds of the pair itself if they are outside.
        """
        group = torch.bucketize(averaged, averaged.new_tensor(self.from_logit), right=True)
        center, scale = self.log_odds(averaged), deviation.double().clamp(min=LEAST_DEVIATION)
        low, high = (
            center + scale * torch.tensor([np.interp(u, LEVELS, q) for q in self.quantiles])[group]
            for u in ((1 - level) / 2, (1 + level) / 2)
        )
        return torch.minimum(low, center), torch.maximum(high, center)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; :meth:`from_dict` reads them."""
        return {
            "slope": self.slope,
            "intercept": self.intercept,
            "from_logit": list(self.from_logit),
            "quantiles": [list(group) for group in self.quantiles],
            "num_samples": self.num_samples,
        }

    @classmethod
    def from_dict(cls, content: Any) -> "Intervals":
        """Return the intervals that :meth:`to_dict` wrote; raise ``ValueError`` if it did not."""
        names = {"slope", "intercept", "from_logit", "quantiles", "num_samples"}
        if not isinstance(content, dict) or content.keys() != names:
            raise ValueError(f"intervals must be an object of {', '.join(sorted(names))}")
        groups = tuple(tuple(map(_number, group)) for group in content["quantiles"])
        starts = tuple(map(_number, content["from_logit"]))
        slope, intercept = _number(content["slope"]), _number(content["intercept"])
        rules = {
            "slope must not be negative": slope >= 0,
            "from_logit must rise": all(a < b for a, b in pairwise(starts)),
            "quantiles must be of one group more": len(groups) == len(starts) + 1,
            f"quantiles must be {len(LEVELS)}": all(len(group) == len(LEVELS) for group in groups),
            "quantiles must never fall": all(a <= b for g in groups for a, b in pairwise(g)),
            "num_samples must be an integer": type(content["num_samples"]) is int,
        }
        if broken := [rule for rule, holds in rules.items() if not holds]:
            raise ValueError(broken[0])
        return cls(slope, intercept, starts, groups, content["num_samples"])


def _number(value: Any) -> float:
    if type(value) not in (int, float) or not math.isfinite(value):
        raise ValueError(f"intervals must have finite numbers, got {value!r:.60}")
    return float(value)
