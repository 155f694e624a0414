"""Fully connected image encoder."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vgae.encoders._layers import ImageEncoder, Kind, PosteriorHead, Sigma
from vgae.gaussian import DiagGaussian
from vgae.layers import Activation, Shape, hidden_layers


class MLPEncoder(ImageEncoder):
    r"""Fully connected network that infers a posterior for every image.

    .. math::
        h_0 = x, \quad h_l = f(W_l h_{l-1} + b_l), \quad
        (\mu, s) = W h_L + b, \quad \sigma = \exp(s)

    Source: Kingma & Welling (2014), `Auto-Encoding Variational Bayes
    <https://arxiv.org/abs/1312.6114>`_, appendix C.2 (there the second head is log sigma^2).

    Args:
        shape: (c, h, w) of the images.
        hidden_channels: Widths of the hidden layers, from the image on; without any, the
            heads are linear in the pixels.
        latent_channels: Width d of the latent vectors.
        activation: f. It decides the distribution of the initial weights: Glorot's for
            ``"tanh"``, He's for ``"relu"`` and ``"softplus"``; the biases b start at zero.
        sigma: ``"exp"`` as above, or ``"softplus"``: :math:`\sigma = \log(1 + e^s) + 10^{-6}`,
            which grows no faster than s.
        posterior: :class:`~vgae.DiagGaussian`, or :class:`~vgae.PointMass` for a plain
            auto-encoder, which has no head s.
        generator: Source of the initial weights; torch's default if not given.

    Raises:
        ValueError: If an option is not one of these.

    Example:
        >>> encoder = MLPEncoder((1, 28, 28), [400], 20)
        >>> encoder(torch.rand(3, 1, 28, 28)).mu.shape
        torch.Size([3, 20])
    """

    def __init__(
        self,
        shape: Shape,
        hidden_channels: Sequence[int],
        latent_channels: int,
        *,
        activation: Activation = "tanh",
        sigma: Sigma = "exp",
        posterior: Kind = DiagGaussian,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(shape, hidden_channels, latent_channels, activation)
        widths = [math.prod(shape), *hidden_channels]
        self.hidden = nn.Sequential(*hidden_layers(widths, activation, generator))
        options = (sigma, posterior, activation, generator)
        self.head = PosteriorHead(widths[-1], latent_channels, *options)

    def features(self, x: Tensor) -> Tensor:
        """Return the last hidden layer of images, shape ``(*, features)``."""
        return self.hidden(x.flatten(start_dim=-3))
