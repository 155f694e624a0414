"""Image decoder with Gaussian pixels."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vgae.decoders.densities import normal_nats
from vgae.decoders.generators import ImageNetwork, check_heads, check_target
from vgae.recipes.images import Variance

_MIN_SIGMA = 1e-3  # a quarter of one step of 255 grey values: nothing finer is in the data


class NormalDecoder(nn.Module):
    r"""Pixels with Gaussian noise, independent given z.

    .. math:: \log p(x \mid z) = -\tfrac{1}{2} \sum_i
        (\log 2\pi + \log\sigma_i^2 + (x_i - g_i(z))^2 / \sigma_i^2)

    This is the density of pixels scaled to [0, 1]; it may be above zero.

    Source: Kingma & Welling (2014), `Auto-Encoding Variational Bayes
    <https://arxiv.org/abs/1312.6114>`_, appendix C.2; one learned sigma: Rybkin, Daniilidis &
    Levine (2021), `Simple and Effective VAE Training with Calibrated Decoders
    <https://arxiv.org/abs/2006.13202>`_.

    Args:
        network: g, with one value per pixel, such as :class:`vgae.decoders.MLPGenerator`; with
            two for the variance ``"pixel"``, of which the second is s below.
        variance: ``"fixed"`` keeps ``sigma``. ``"scalar"`` learns one log sigma for all pixels and
            images. ``"pixel"`` decodes one per pixel from z,
            :math:`\sigma_i = \sigma_{min} + \sigma e^{s_i(z)}`. It needs the lower bound: the
            likelihood of pixels that are the same in every image grows without bound as sigma
            goes to zero. The bound is added because a clamped sigma has no gradient.
        sigma: Standard deviation; the initial one if it is learned.
        min_sigma: Lower bound, above 0. Where most pixels are the same in most images, a small
            one leaves the model nothing to gain from the others: use 0.1 for MNIST.

    Attributes:
        log_sigma: Logarithm of ``sigma``, shape ``()``; a parameter if it is learned.

    Raises:
        ValueError: If an option is not one of these, or the number of heads is wrong.
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
            The mean, shape ``(*, c, h, w)``, and log sigma: of the same shape for the variance
            ``"pixel"``, of shape ``()`` otherwise.
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
            DataError: If the number or the shape of the images differs from the decoded ones.
        """
        mean, log_sigma = self.moments(z)
        check_target(x, mean)
        return normal_nats(mean, log_sigma, x).sum(dim=(-3, -2, -1))

    def mean(self, z: Tensor) -> Tensor:
        """Return E[x | z] = g(z), shape ``(*, c, h, w)``; it may leave [0, 1]."""
        return self.moments(z)[0]

    def sample(self, z: Tensor, generator: torch.Generator) -> Tensor:
        """Draw an image with noise, shape ``(*, c, h, w)``, per latent vector ``(*, d)``.

        The images have no gradients; ``generator`` is on the device of ``z``.
        """
        mean, log_sigma = self.moments(z)
        eps = torch.randn(mean.shape, generator=generator, dtype=mean.dtype, device=mean.device)
        return (mean + eps * log_sigma.exp()).detach()
