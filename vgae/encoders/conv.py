"""Convolutional image encoder."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from vgae.encoders._layers import ImageEncoder, Kind, PosteriorHead, Sigma
from vgae.gaussian import DiagGaussian
from vgae.layers import ACTIVATIONS, Activation, Shape, convolution, halved, hidden_layers


class ConvEncoder(ImageEncoder):
    r"""Convolutional network that infers a posterior for every image.

    .. math::
        h_0 = x, \quad h_l = f(K_l * h_{l-1} + b_l), \quad
        (\mu, s) = W f(V h_L + c) + b, \quad \sigma = \exp(s)

    The kernels K are 3 x 3 with a stride of 2 and a padding of 1: each convolution halves height
    and width, rounded up.

    Args:
        shape: (c, h, w) of the images, of any height and width.
        channels: Output channels of the convolutions, from the image on.
        latent_channels: Width d of the latent vectors.
        hidden_channels: Width of the fully connected layer after the convolutions.
        activation: f; see :class:`vgae.encoders.MLPEncoder`, also for the other options.
        sigma: ``"exp"`` as above, or ``"softplus"``.
        posterior: :class:`~vgae.DiagGaussian`, or :class:`~vgae.PointMass`.
        generator: Source of the initial weights; torch's default if not given.

    Raises:
        ValueError: If an option is not one of these.

    Example:
        >>> encoder = ConvEncoder((3, 32, 32), latent_channels=20)
        >>> encoder(torch.rand(5, 3, 32, 32)).mu.shape
        torch.Size([5, 20])
    """

    def __init__(
        self,
        shape: Shape,
        channels: Sequence[int] = (32, 64),
        latent_channels: int = 64,
        *,
        hidden_channels: int = 256,
        activation: Activation = "relu",
        sigma: Sigma = "exp",
        posterior: Kind = DiagGaussian,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(shape, channels, latent_channels, activation, hidden_channels)
        depths = [shape[0], *channels]
        layers: list[nn.Module] = []
        for pair in pairwise(depths):
            layers += [convolution(*pair, activation, generator), ACTIVATIONS[activation]()]
        h, w = halved(shape[1:], len(channels))[-1]
        widths = [depths[-1] * h * w, hidden_channels]
        layers += [nn.Flatten(), *hidden_layers(widths, activation, generator)]
        self.hidden = nn.Sequential(*layers)
        options = (sigma, posterior, activation, generator)
        self.head = PosteriorHead(hidden_channels, latent_channels, *options)

    def features(self, x: Tensor) -> Tensor:
        """Return the last hidden layer of images, shape ``(*, features)``."""
        h = self.hidden(x.reshape(-1, *self.shape))
        return h.reshape(*x.shape[:-3], h.shape[-1])
