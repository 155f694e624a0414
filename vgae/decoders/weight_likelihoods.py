"""Distributions of the weight of a link: Normal, log-normal, and Poisson without zero."""

import math
from typing import ClassVar, NamedTuple, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

_LOWEST, _HIGHEST = -5.0, 1.5  # of log sigma, beside the spread of all weights
_BEYOND = 5.0  # expected counts above the largest, from which on these have an upper end
_LOWEST_LOG_RATE = -6.0
_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)
_NODES = 9  # of the quadrature over a log rate
_FIRST_BEYOND = 64.0  # standard deviations above which no count is searched for
NAMES = {"normal": "Normal", "lognormal": "log-normal", "poisson": "Poisson without zero"}


class Predicted(NamedTuple):
    """Predictive distribution of the weight of each pair, float64, each of shape ``(P,)``.

    Attributes:
        center: Mean of the weight, of its logarithm, or of the logarithm of the rate.
        spread: Standard deviation of that, noise included; of a log rate that of the posterior
            alone.
    """

    center: Tensor
    spread: Tensor


class Likelihood:
    """Distribution of weights given the outputs of a network of order one, the heads.

    Args:
        loc: Where a head of 0 puts the weight.
        scale: Factor of the heads.
    """

    heads: ClassVar[int] = 2
    """Mean and log sigma."""

    def __init__(self, loc: Tensor, scale: Tensor) -> None:
        self.loc, self.scale = loc, scale

    @classmethod
    def standard(cls, weight: Tensor) -> tuple[float, float]:
        """Return ``loc`` and ``scale`` for weights, shape ``(M,)``."""
        value = cls.plain(weight.double())
        return float(value.mean()), max(float(value.std(correction=0)), 1e-6)

    @classmethod
    def plain(cls, weight: Tensor) -> Tensor:
        """Return what has a Normal distribution: the weight, or its logarithm."""
        return weight

    def log_prob(self, heads: Tensor, weight: Tensor) -> Tensor:
        """Return the log-density of weights ``(P,)`` in nats, given heads ``(*, P, H)``."""
        mean, log_sigma = heads[..., 0], bounded(heads[..., 1])
        error = ((self.plain(weight) - self.loc) / self.scale - mean) * (-log_sigma).exp()
        density = -0.5 * error * error - log_sigma - _HALF_LOG_2PI - self.scale.log()
        return density + self.log_slope(weight)

    def log_slope(self, weight: Tensor) -> Tensor:
        """Return the logarithm of the derivative of :meth:`plain`, shape ``(P,)``."""
        return torch.zeros_like(weight)

    def predicted(self, heads: Tensor) -> Predicted:
        """Return the moments of the mixture over samples, given heads ``(S, P, H)``."""
        mean, sigma = heads[..., 0].double(), bounded(heads[..., 1].double()).exp()
        variance = (sigma * sigma).mean(dim=0) + mean.var(dim=0, correction=0)
        scale = self.scale.double()
        return Predicted(self.loc.double() + scale * mean.mean(dim=0), scale * variance.sqrt())

    def expected(self, found: Predicted) -> Tensor:
        """Return the mean of the weight, shape ``(P,)``."""
        return found.center

    def quantile(self, found: Predicted, probability: Tensor) -> Tensor:
        """Return the weight below which it lies with a probability, shape ``(P,)``."""
        return found.center + found.spread * torch.special.ndtri(probability.double())

    def level(self, found: Predicted, weight: Tensor) -> Tensor:
        """Return the level of the smallest central interval that holds the weight, in [0, 1]."""
        error = (self.plain(weight.double()) - found.center) / found.spread
        return torch.special.erf(error.abs() / math.sqrt(2))


class LogNormal(Likelihood):
    """Weights whose logarithm is Normal."""

    @classmethod
    def plain(cls, weight: Tensor) -> Tensor:
        """Return the logarithm."""
        return weight.log()

    def log_slope(self, weight: Tensor) -> Tensor:
        """Return the logarithm of 1 / w."""
        return -weight.log()

    def expected(self, found: Predicted) -> Tensor:
        """Return exp(center + spread^2 / 2)."""
        return (found.center + 0.5 * found.spread**2).exp()

    def quantile(self, found: Predicted, probability: Tensor) -> Tensor:
        """Return the exponential of the quantile of the logarithm."""
        return super().quantile(found, probability).exp()


class Poisson(Likelihood):
    r"""Counts from 1 on, Poisson given that they are not 0, as a pair of count 0 is no link.

    .. math:: p(w) = \frac{\lambda^w}{w! \, (e^\lambda - 1)}, \quad w \ge 1
    """

    heads: ClassVar[int] = 1
    """Log rate."""

    @classmethod
    def standard(cls, weight: Tensor) -> tuple[float, float]:
        """Return the log rate of all weights, and the spread of their logarithms."""
        mean = float(weight.double().mean())
        rate = max(mean, 1e-3)
        for _ in range(500):  # rate = mean (1 - exp(-rate))
            rate = max(mean * -math.expm1(-rate), math.exp(_LOWEST_LOG_RATE))
        return math.log(rate), max(float(weight.double().log().std(correction=0)), 0.1)

    def log_rate(self, heads: Tensor) -> Tensor:
        """Return the log rate, bounded from below, shape ``(*, P)``."""
        found = self.loc + self.scale * heads[..., 0]
        return _LOWEST_LOG_RATE + F.softplus(found - _LOWEST_LOG_RATE)

    def log_prob(self, heads: Tensor, weight: Tensor) -> Tensor:
        """Return the log-probability of weights."""
        log_rate = self.log_rate(heads)
        rate = log_rate.exp()
        zero = torch.log(-torch.expm1(-rate))
        return weight * log_rate - rate - torch.lgamma(weight + 1) - zero

    def predicted(self, heads: Tensor) -> Predicted:
        """Return the moments of the log rate over samples."""
        log_rate = self.log_rate(heads).double()
        return Predicted(log_rate.mean(dim=0), log_rate.std(dim=0, correction=0))

    def _rates(self, found: Predicted) -> tuple[Tensor, Tensor]:
        """Return the nodes of the quadrature as rates ``(K, P)``, and their weights ``(K, 1)``."""
        node, weight = np.polynomial.hermite_e.hermegauss(_NODES)
        like = found.center
        nodes = torch.as_tensor(node, dtype=like.dtype, device=like.device)[:, None]
        weights = torch.as_tensor(weight / weight.sum(), dtype=like.dtype, device=like.device)
        return (found.center + found.spread * nodes).exp(), weights[:, None]

    def _cdf(self, found: Predicted, count: Tensor) -> Tensor:
        """Return the probability of at most a count, 0 for 0."""
        rates, weights = self._rates(found)
        zero = (-rates).exp()
        below = torch.special.gammaincc((count + 1).expand_as(rates).contiguous(), rates)
        return (weights * ((below - zero) / -torch.expm1(-rates))).sum(dim=0).clamp(0, 1)

    def expected(self, found: Predicted) -> Tensor:
        """Return the mean of rate / (1 - exp(-rate))."""
        rates, weights = self._rates(found)
        return (weights * (rates / -torch.expm1(-rates))).sum(dim=0)

    def quantile(self, found: Predicted, probability: Tensor) -> Tensor:
        """Return the smallest count of at least this probability."""
        rates, _ = self._rates(found)
        top = rates[-1]
        low = torch.zeros_like(top)
        high = (top + _FIRST_BEYOND * (top.sqrt() + 1)).ceil()
        while bool((high - low > 1).any()):
            middle = ((low + high) / 2).floor()
            reached = self._cdf(found, middle) >= probability
            low, high = torch.where(reached, low, middle), torch.where(reached, middle, high)
        return high

    def level(self, found: Predicted, weight: Tensor) -> Tensor:
        """Return the level of the smallest interval between two quantiles with the count."""
        weight = weight.double()
        tail = torch.minimum(self._cdf(found, weight), 1 - self._cdf(found, weight - 1))
        return (1 - 2 * tail).clamp(0, 1)


LIKELIHOODS: dict[str, type[Likelihood]] = {
    "normal": Likelihood,
    "lognormal": LogNormal,
    "poisson": Poisson,
}


def bounded(log_sigma: Tensor) -> Tensor:
    """Return log sigma, smoothly bounded, as the density of equal weights has no maximum."""
    above = _LOWEST + F.softplus(log_sigma - _LOWEST)
    return _HIGHEST - F.softplus(_HIGHEST - above)


def chosen_likelihood(weight: Tensor) -> str:
    """Return the name of the distribution for weights, by what they are.

    Negative ones are Normal. Counts are Poisson, unless such counts of this mean would vary far
    more, or 5 of them would be above the largest, as for ratings from 1 to 5; those are Normal.
    Other numbers above zero are
    log-normal, unless a Normal describes all of them better by a tenth of a nat each.

    Args:
        weight: Values of the training links, shape ``(M,)``.
    """
    value = weight.double()
    if (value < 0).any():
        return "normal"
    if (value == value.floor()).all():
        rate = math.exp(Poisson.standard(value)[0])
        mean = rate / -math.expm1(-rate)
        usual = mean * (1 + rate - mean)
        rates, top = torch.tensor([rate, value.max() + 1], dtype=torch.float64)
        beyond = len(value) * float(torch.special.gammainc(top, rates)) / -math.expm1(-rate)
        is_scale = float(value.var(correction=0)) < 0.75 * usual or beyond > _BEYOND
        return "normal" if is_scale else "poisson"
    plain = cast(Tensor, value.log())
    log_normal = -plain.std(correction=0).log() - plain.mean()
    normal = -value.std(correction=0).log()
    return "normal" if float(normal - log_normal) > 0.1 else "lognormal"
