"""NormalDecoder: grey and coloured pixels with Gaussian noise."""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vgae.decoders.generators import ImageNetwork, check_heads, check_target

Variance = Literal["fixed", "scalar", "pixel"]
_MIN_SIGMA = 1e-3  # a quarter of one step of 255 grey values: nothing finer is in the data


class NormalDecoder(nn.Module):
    r"""Pixels with Gaussian noise, independent given z.

    .. math:: \log p(x \mid z) = -\tfrac{1}{2} \sum_i
        (\log 2\pi + \log\sigma_i^2 + (x_i - g_i(z))^2 / \sigma_i^2)

    It is the density of the pixels as they are scaled, [0, 1], and may be above zero.

    Source: Kingma & Welling (2014), `Auto-Encoding Variational Bayes
    <https://arxiv.org/abs/1312.6114>`_, appendix C.2; one learned sigma: Rybkin, Daniilidis &
    Levine (2021), `Simple and Effective VAE Training with Calibrated Decoders
    <https://arxiv.org/abs/2006.13202>`_.

    Args:
        network: g, with one value per pixel, such as :class:`vgae.decoders.MLPGenerator`; with
            two for the variance ``"pixel"``, of which the second is s below.
        variance: ``"fixed"`` keeps sigma as it is given. ``"scalar"`` learns one sigma for all
            pixels and images, by its logarithm. ``"pixel"`` lets each pixel of each z have its
            own, :math:`\sigma_i = \sigma_{min} + \sigma e^{s_i(z)}`. The lower bound is there
            because many data sets have pixels that are the same in every image: their likelihood
            has no maximum, it grows without end as sigma goes to zero. It is added to sigma
            because a clamped one would have no gradient, and never come back.
        sigma: The standard deviation that is kept or, otherwise, where learning starts.
        min_sigma: The lower bound, above 0. Where most pixels are the same in most images, a
            small one leaves the model nothing to gain from the others: MNIST wants 0.1.

    Attributes:
        log_sigma: Logarithm of ``sigma``, shape ``()``; a parameter if it is learned.

    Raises:
        ValueError: If an option is none of these, or the network has another number of heads.
    """

    log_sigma: Tensor

    def __init__(
        self,
        network: ImageNetwork,
        *,
        variance: Variance = "fixed",
        sigma: float = 1.0,
        min_sigma: float = _MIN_SIGMA,
    ) -> None:
        super().__init__()
        if variance not in ("fixed", "scalar", "pixel"):
            raise ValueError(f"variance must be 'fixed', 'scalar' or 'pixel', got {variance!r}.")
        for name, value in {"sigma": sigma, "min_sigma": min_sigma}.items():
            if not 0 < value < math.inf:
                raise ValueError(f"{name} must be above 0 and finite, got {value}.")
        check_heads(network, 2 if variance == "pixel" else 1)
        self.network = network
        self.variance: Variance = variance
        self.min_sigma, self.log_min_sigma = min_sigma, math.log(min_sigma)
        log_sigma = torch.tensor(math.log(sigma))
        if variance == "scalar":
            self.log_sigma = nn.Parameter(log_sigma)
        else:
            self.register_buffer("log_sigma", log_sigma)

    def moments(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean and log sigma of each pixel.

        Args:
            z: Latent vectors, shape ``(*, d)``.

        Returns:
            The mean, shape ``(*, c, h, w)``, and log sigma, of the same shape for the variance
            ``"pixel"`` and else of shape ``()``.
        """
        mean, *others = self.network(z).unbind(dim=-4)
        if not others:
            return mean, self.log_sigma
        excess = self.log_sigma + others[0] - self.log_min_sigma
        # log(a + b) = log a + softplus(log b - log a), which neither overflows nor underflows.
        return mean, self.log_min_sigma + F.softplus(excess)

    def log_prob(self, z: Tensor, x: Tensor) -> Tensor:
        """Score images.

        Args:
            z: Any number of samples of each image's latent vector, shape ``(*k, B, d)``.
            x: Images, shape ``(B, c, h, w)``.

        Returns:
            Log-density in nats, one per sample and image, shape ``(*k, B)``.

        Raises:
            DataError: If there are more or fewer images than latent vectors, or of another shape.
        """
        mean, log_sigma = self.moments(z)
        check_target(x, mean)
        # Squared last: 1 / sigma^2 overflows long before (x - mean) / sigma does.
        error = (x - mean) * (-log_sigma).exp()
        density = -0.5 * (math.log(2 * math.pi) + error * error) - log_sigma
        return density.sum(dim=(-3, -2, -1))

    def mean(self, z: Tensor) -> Tensor:
        """Return E[x | z] = g(z), shape ``(*, c, h, w)``; it may leave [0, 1]."""
        return self.moments(z)[0]

    def sample(self, z: Tensor, generator: torch.Generator) -> Tensor:
        """Draw images, noise and all, given latent vectors.

        Args:
            z: Latent vectors, shape ``(*, d)``.
            generator: Where the noise comes from, on the device of ``z``.

        Returns:
            One image per latent vector, shape ``(*, c, h, w)``; without gradients.
        """
        mean, log_sigma = self.moments(z)
        eps = torch.randn(mean.shape, generator=generator, dtype=mean.dtype, device=mean.device)
        return (mean + eps * log_sigma.exp()).detach()
