"""The networks g of the image decoders: from latent vectors to one or more values per pixel."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Protocol

import torch
from torch import Tensor, nn

from vgae.errors import DataError
from vgae.layers import (
    ACTIVATIONS,
    Activation,
    Shape,
    check_options,
    dense,
    halved,
    hidden_layers,
    transposed_convolution,
)


class ImageNetwork(Protocol):
    """What an image decoder needs of its network; any ``nn.Module`` of this form will do."""

    num_heads: int

    def __call__(self, z: Tensor) -> Tensor:
        """Map latent vectors, shape ``(*, d)``, to shape ``(*, num_heads, c, h, w)``."""
        ...


def check_heads(network: ImageNetwork, num_heads: int) -> None:
    """Raise ``ValueError`` unless a network has as many heads as its decoder reads."""
    if network.num_heads != num_heads:
        raise ValueError(
            f"network must have num_heads = {num_heads} for this decoder, got {network.num_heads}."
        )


def check_target(x: Tensor, like: Tensor) -> None:
    """Raise ``DataError`` unless ``x`` holds one image per latent vector, as decoded in ``like``.

    Args:
        x: Images, to be of shape ``(B, c, h, w)``.
        like: What was decoded, shape ``(*k, B, c, h, w)``.
    """
    if x.shape != like.shape[-4:]:
        raise DataError(
            "IMAGE_SHAPE",
            f"images to score must have shape (B, c, h, w) = {tuple(like.shape[-4:])}, as many "
            f"and of the shape that the decoder makes, got {tuple(x.shape)}.",
        )


class MLPGenerator(nn.Module):
    r"""Fully connected network from latent vectors to pixels.

    .. math:: h_0 = z, \quad h_l = f(W_l h_{l-1} + b_l), \quad g(z) = W h_L + b

    Source: Kingma & Welling (2014), `Auto-Encoding Variational Bayes
    <https://arxiv.org/abs/1312.6114>`_, appendix C.1.

    Args:
        latent_channels: Width d of the latent vectors.
        hidden_channels: Widths of the hidden layers, from the latent vector on.
        shape: (c, h, w) of the images.
        activation: f; the initial weights are drawn to suit it, as those of
            :class:`vgae.encoders.MLPEncoder`.
        num_heads: Values per pixel: 1 for :class:`vgae.decoders.BernoulliDecoder`; see
            :class:`vgae.decoders.NormalDecoder` for 2.
        generator: Where the initial weights come from; torch's default if not given.

    Attributes:
        num_heads: As given.
        shape: (c, h, w) of the images.

    Raises:
        ValueError: If an option is none of these.

    Example:
        >>> network = MLPGenerator(20, [400], (1, 28, 28))
        >>> network(torch.zeros(3, 20)).shape
        torch.Size([3, 1, 1, 28, 28])
    """

    def __init__(
        self,
        latent_channels: int,
        hidden_channels: Sequence[int],
        shape: Shape,
        *,
        activation: Activation = "tanh",
        num_heads: int = 1,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        check_options(shape, [latent_channels, *hidden_channels, num_heads], activation)
        c, h, w = shape
        self.shape = (c, h, w)
        self.num_heads = num_heads
        widths = [latent_channels, *hidden_channels]
        self.layers = nn.Sequential(
            *hidden_layers(widths, activation, generator),
            dense(widths[-1], c * h * w, activation, generator, heads=num_heads),
        )

    def forward(self, z: Tensor) -> Tensor:
        """Return g(z) of latent vectors ``(*, d)``, shape ``(*, num_heads, c, h, w)``."""
        return self.layers(z).unflatten(-1, (self.num_heads, *self.shape))


class ConvGenerator(nn.Module):
    """Convolutional network from latent vectors to pixels: ``ConvEncoder`` the other way round.

    Two fully connected layers, then transposed convolutions with 3 x 3 kernels and a stride of 2,
    f after all but the last. They give back exactly the heights and widths that the convolutions
    of :class:`vgae.encoders.ConvEncoder` have on their way, odd ones too.

    Args:
        latent_channels: Width d of the latent vectors.
        channels: What goes into each transposed convolution, from the latent vector on: those
            of the encoder in reverse, ``(64, 32)`` for its ``(32, 64)``.
        shape: (c, h, w) of the images, of any height and width.
        hidden_channels: Width of the first fully connected layer.
        activation: f; see :class:`MLPGenerator`, as for the other options.
        num_heads: Values per pixel.
        generator: Where the initial weights come from; torch's default if not given.

    Attributes:
        num_heads: As given.
        shape: (c, h, w) of the images.

    Raises:
        ValueError: If an option is none of these.

    Example:
        >>> network = ConvGenerator(20, (64, 32), (3, 32, 32))
        >>> network(torch.zeros(5, 20)).shape
        torch.Size([5, 1, 3, 32, 32])
    """

    def __init__(
        self,
        latent_channels: int,
        channels: Sequence[int],
        shape: Shape,
        *,
        hidden_channels: int = 256,
        activation: Activation = "relu",
        num_heads: int = 1,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        widths = [latent_channels, *channels, hidden_channels, num_heads]
        check_options(shape, widths, activation)
        if not channels:
            raise ValueError("channels must name at least one convolution; MLPGenerator has none.")
        c, h, w = shape
        self.shape = (c, h, w)
        self.num_heads = num_heads
        *sizes, smallest = halved((h, w), len(channels))
        start = (channels[0], *smallest)
        widths = [latent_channels, hidden_channels, start[0] * start[1] * start[2]]
        layers = [*hidden_layers(widths, activation, generator), nn.Unflatten(-1, start)]
        for pair, size in zip(pairwise(channels), reversed(sizes[1:]), strict=True):
            layers.append(transposed_convolution(*pair, size, activation, generator))
            layers.append(ACTIVATIONS[activation]())
        last = transposed_convolution(
            channels[-1], c, sizes[0], activation, generator, heads=num_heads
        )
        self.layers = nn.Sequential(*layers, last)

    def forward(self, z: Tensor) -> Tensor:
        """Return g(z) of latent vectors ``(*, d)``, shape ``(*, num_heads, c, h, w)``."""
        pixels = self.layers(z.reshape(-1, z.shape[-1]))
        return pixels.reshape(*z.shape[:-1], self.num_heads, *self.shape)
