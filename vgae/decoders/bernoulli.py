"""Image decoder with Bernoulli pixels."""

import torch
from torch import Tensor, nn

from vgae.decoders.densities import bernoulli_nats
from vgae.decoders.generators import ImageNetwork, check_heads, check_target


class BernoulliDecoder(nn.Module):
    r"""Pixels that are 0 or 1, independent given z, with the logits g(z).

    .. math:: \log p(x \mid z) = \sum_i x_i \log p_i + (1 - x_i) \log (1 - p_i), \quad
        p = \sigma(g(z))

    A grey pixel x in (0, 1) counts as a probability: the sum is then the *expected*
    log-likelihood of a black and white image whose pixels are drawn with the probabilities x. It
    cannot be compared with a density of grey values.

    Source: Kingma & Welling (2014), `Auto-Encoding Variational Bayes
    <https://arxiv.org/abs/1312.6114>`_, equation 11.

    Args:
        network: g, one value per pixel, such as :class:`vgae.decoders.MLPGenerator`.

    Raises:
        ValueError: If the network has more than one head.
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
            DataError: If the number or the shape of the images differs from the decoded ones.
        """
        logits = self.logits(z)
        check_target(x, logits)
        nats = bernoulli_nats(logits, x.expand_as(logits))
        return nats.flatten(start_dim=-3).sum(dim=-1)

    def mean(self, z: Tensor) -> Tensor:
        """Return E[x | z], each pixel's probability of being 1, shape ``(*, c, h, w)``."""
        return self.logits(z).sigmoid()

    def sample(self, z: Tensor, generator: torch.Generator) -> Tensor:
        """Draw an image of zeros and ones, shape ``(*, c, h, w)``, per latent vector ``(*, d)``.

        The images have no gradients; ``generator`` is on the device of ``z``.
        """
        return self.mean(z).detach().bernoulli(generator=generator)
