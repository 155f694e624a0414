"""ConvEncoder: images through convolutions."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from vgae.encoders._layers import Kind, PosteriorHead, Sigma, check_images
from vgae.gaussian import DiagGaussian, PointMass
from vgae.layers import (
    ACTIVATIONS,
    Activation,
    Shape,
    check_options,
    convolution,
    halved,
    hidden_layers,
)


class ConvEncoder(nn.Module):
    r"""Convolutional network that infers a posterior for every image.

    .. math::
        h_0 = x, \quad h_l = f(K_l * h_{l-1} + b_l), \quad
        (\mu, s) = W f(V h_L + c) + b, \quad \sigma = \exp(s)

    The kernels K are 3 x 3 with a stride of 2 and a padding of 1, so that each convolution halves
    height and width, rounded up.

    Args:
        shape: (c, h, w) of the images, of any height and width.
        channels: Of the convolutions, from the image on.
        latent_channels: Width d of the latent vectors.
        hidden_channels: Width of the fully connected layer after the convolutions.
        activation: f; see :class:`vgae.encoders.MLPEncoder`, as for the other options.
        sigma: ``"exp"`` as above, or ``"softplus"``.
        posterior: :class:`~vgae.DiagGaussian`, or :class:`~vgae.PointMass`.
        generator: Where the initial weights come from; torch's default if not given.

    Attributes:
        shape: (c, h, w) of the images.
        latent_channels: Width d of the latent vectors.

    Raises:
        ValueError: If an option is none of these.

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
        super().__init__()
        check_options(shape, [*channels, hidden_channels, latent_channels], activation)
        c, h, w = shape
        self.shape = (c, h, w)
        self.latent_channels = latent_channels
        self.channels, self.activation = [*channels], activation
        layers: list[nn.Module] = []
        for pair in pairwise([c, *channels]):
            layers.append(convolution(*pair, activation, generator))
            layers.append(ACTIVATIONS[activation]())
        depth = [c, *channels][-1]
        h, w = halved((h, w), len(channels))[-1]
        layers.append(nn.Flatten())
        layers.extend(hidden_layers([depth * h * w, hidden_channels], activation, generator))
        self.hidden = nn.Sequential(*layers)
        self.head = PosteriorHead(
            hidden_channels,
            latent_channels,
            sigma=sigma,
            posterior=posterior,
            activation=activation,
            generator=generator,
        )

    def forward(self, x: Tensor) -> DiagGaussian | PointMass:
        """Infer the posterior of every image.

        Args:
            x: Images, shape ``(*, c, h, w)``.

        Returns:
            The posterior; ``.mu`` of shape ``(*, latent_channels)`` is the embedding.

        Raises:
            DataError: If the images have another shape.
        """
        check_images(x, self.shape)
        h = self.hidden(x.reshape(-1, *self.shape))
        return self.head(h.reshape(*x.shape[:-3], h.shape[-1]))
