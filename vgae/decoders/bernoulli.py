"""BernoulliDecoder: black and white pixels, each with a probability of its own."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vgae.decoders.generators import ImageNetwork, check_heads, check_target


class BernoulliDecoder(nn.Module):
    r"""Pixels that are 0 or 1, independent given z, with the logits g(z).

    .. math:: \log p(x \mid z) = \sum_i x_i \log p_i + (1 - x_i) \log (1 - p_i), \quad
        p = \sigma(g(z))

    A grey pixel x in (0, 1) counts as a probability: the sum is then the *expected*
    log-likelihood of a black and white image whose pixels are drawn with the probabilities x. That
    is no density of grey values, and cannot be compared with one.

    Source: Kingma & Welling (2014), `Auto-Encoding Variational Bayes
    <https://arxiv.org/abs/1312.6114>`_, equation 11.

    Args:
        network: g, one value per pixel, such as :class:`vgae.decoders.MLPGenerator`.

    Raises:
        ValueError: If the network has another number of heads than 1.
    """

    def __init__(self, network: ImageNetwork) -> None:
        super().__init__()
        check_heads(network, 1)
        self.network = network

    def logits(self, z: Tensor) -> Tensor:
        """Return g(z) of latent vectors ``(*, d)``, shape ``(*, c, h, w)``."""
        return self.network(z).squeeze(-4)

    def log_prob(self, z: Tensor, x: Tensor) -> Tensor:
        """Score images.

        Args:
            z: Any number of samples of each image's latent vector, shape ``(*k, B, d)``.
            x: Images with pixels in [0, 1], shape ``(B, c, h, w)``.

        Returns:
            Log-likelihood in nats, one per sample and image, at most 0 but for rounding,
            shape ``(*k, B)``.

        Raises:
            DataError: If there are more or fewer images than latent vectors, or of another shape.
        """
        logits = self.logits(z)
        check_target(x, logits)
        nats = F.binary_cross_entropy_with_logits(logits, x.expand_as(logits), reduction="none")
        return -nats.sum(dim=(-3, -2, -1))

    def mean(self, z: Tensor) -> Tensor:
        """Return E[x | z], each pixel's probability of being 1, shape ``(*, c, h, w)``."""
        return self.logits(z).sigmoid()

    def sample(self, z: Tensor, generator: torch.Generator) -> Tensor:
        """Draw images of zeros and ones given latent vectors ``(*, d)``.

        Args:
            z: Latent vectors, shape ``(*, d)``.
            generator: Where the pixels are drawn from, on the device of ``z``.

        Returns:
            One image per latent vector, shape ``(*, c, h, w)``; without gradients.
        """
        return self.mean(z).detach().bernoulli(generator=generator)
