"""Log-densities of single values, which the decoders of images and of graphs share."""

import math

import torch.nn.functional as F
from torch import Tensor

_MOST_LOG_RATE = 20.0  # exp of it is far above any count, and its square is finite


def bernoulli_nats(logits: Tensor, x: Tensor) -> Tensor:
    r"""Return the log-probability of values that are 0 or 1.

    .. math:: \log p(x) = x \log p + (1 - x) \log (1 - p), \quad p = \sigma(l)

    For x in (0, 1) it is the expectation over a value that is 1 with the probability x.

    Args:
        logits: l, of any shape.
        x: Values in [0, 1], of the same shape.

    Returns:
        In nats, of the same shape, at most 0 but for rounding.
    """
    return -F.binary_cross_entropy_with_logits(logits, x, reduction="none")


def normal_nats(mean: Tensor, log_sigma: Tensor, x: Tensor) -> Tensor:
    r"""Return the log-density of a Normal distribution, which may be above 0.

    .. math:: \log p(x) = -\tfrac{1}{2} (\log 2\pi + \log\sigma^2 + (x - \mu)^2 / \sigma^2)

    Args:
        mean: :math:`\mu`, of any shape.
        log_sigma: :math:`\log\sigma`, of a shape that broadcasts to it.
        x: Values, of the shape of ``mean`` or one to which it broadcasts.

    Returns:
        In nats, of the common shape.
    """
    # Squared last: 1 / sigma^2 overflows long before (x - mean) / sigma does.
    error = (x - mean) * (-log_sigma).exp()
    return -0.5 * (math.log(2 * math.pi) + error * error) - log_sigma


def poisson_nats(log_rate: Tensor, x: Tensor) -> Tensor:
    r"""Return the log-probability of counts.

    .. math:: \log p(x) = x \log\lambda - \lambda - \log x!

    Args:
        log_rate: :math:`\log\lambda`, of any shape; above 20 it counts as 20.
        x: Counts, of the same shape.

    Returns:
        In nats, of the same shape, at most 0 but for rounding.
    """
    log_rate = log_rate.clamp(max=_MOST_LOG_RATE)
    return x * log_rate - log_rate.exp() - (x + 1).lgamma()
