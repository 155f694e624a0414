"""Networks of the image decoders: from latent vectors to one or more values per pixel."""

import math
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
    """Network of an image decoder: any ``nn.Module`` of this form."""

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
    """Raise ``DataError`` unless ``x``, shape ``(B, c, h, w)``, has one image per latent vector.

    Args:
        x: Images to score.
        like: Decoded images, shape ``(*k, B, c, h, w)``.
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
        activation: f, which also decides the distribution of the initial weights; see
            :class:`vgae.encoders.MLPEncoder`.
        num_heads: Values per pixel: 1 for :class:`vgae.decoders.BernoulliDecoder`; see
            :class:`vgae.decoders.NormalDecoder` for 2.
        generator: Source of the initial weights; torch's default if not given.

    Raises:
        ValueError: If an option is not one of these.

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
        self.shape, self.num_heads = tuple(shape), num_heads
        widths = [latent_channels, *hidden_channels]
        self.layers = nn.Sequential(
            *hidden_layers(widths, activation, generator),
            dense(widths[-1], math.prod(shape), activation, generator, heads=num_heads),
        )

    def forward(self, z: Tensor) -> Tensor:
        """Return g(z) of latent vectors ``(*, d)``, shape ``(*, num_heads, c, h, w)``."""
        return self.layers(z).view(*z.shape[:-1], self.num_heads, *self.shape)


class ConvGenerator(nn.Module):
    """Convolutional network from latent vectors to pixels: ``ConvEncoder`` in reverse.

    Two fully connected layers, then transposed convolutions with 3 x 3 kernels and a stride of 2,
    f after all but the last. They restore the heights and widths, odd ones too, of the layers of
    :class:`vgae.encoders.ConvEncoder`.

    Args:
        latent_channels: Width d of the latent vectors.
        channels: Input channels of the transposed convolutions: those of the encoder in reverse,
            ``(64, 32)`` for its ``(32, 64)``.
        shape: (c, h, w) of the images, of any height and width.
        hidden_channels: Width of the first fully connected layer.
        activation: f; see :class:`MLPGenerator`, also for the other options.
        num_heads: Values per pixel.
        generator: Source of the initial weights; torch's default if not given.

    Raises:
        ValueError: If an option is not one of these.

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
        self.shape, self.num_heads = tuple(shape), num_heads
        *sizes, smallest = halved(shape[1:], len(channels))
        start = (channels[0], *smallest)
        widths = [latent_channels, hidden_channels, math.prod(start)]
        layers = [*hidden_layers(widths, activation, generator), nn.Unflatten(-1, start)]
        for pair, size in zip(pairwise(channels), reversed(sizes[1:]), strict=True):
            layers.append(transposed_convolution(*pair, size, activation, generator))
            layers.append(ACTIVATIONS[activation]())
        last = (channels[-1], shape[0], sizes[0], activation, generator)
        layers.append(transposed_convolution(*last, heads=num_heads))
        self.layers = nn.Sequential(*layers)

    def forward(self, z: Tensor) -> Tensor:
        """Return g(z) of latent vectors ``(*, d)``, shape ``(*, num_heads, c, h, w)``."""
        pixels = self.layers(z.reshape(-1, z.shape[-1]))
        return pixels.reshape(*z.shape[:-1], self.num_heads, *self.shape)
