"""Layers of the image encoders and decoders; their weights come from a given generator."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, TypeVar

import torch
from torch import nn

Activation = Literal["tanh", "relu", "softplus"]
ACTIVATIONS: dict[str, type[nn.Module]] = {
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "softplus": nn.Softplus,
}
Shape = tuple[int, int, int]
Layer = TypeVar("Layer", nn.Linear, nn.Conv2d, nn.ConvTranspose2d)
TAPS = 9  # weights of a kernel for one pair of channels
SHARE = 4  # of the pixels on the fine side of a stride of 2 to those on the coarse side


def check_options(shape: Shape, widths: Sequence[int], activation: Activation) -> None:
    """Raise ``ValueError`` unless an image network can be built of these."""
    if len(shape) != 3 or min(shape) < 1:
        raise ValueError(f"shape must be (c, h, w), each at least 1, got {tuple(shape)}.")
    if min(widths) < 1:
        raise ValueError(f"widths must be at least 1, got {[*widths]}.")
    if activation not in ACTIVATIONS:
        raise ValueError(f"activation must be one of {[*ACTIVATIONS]}, got {activation!r}.")


def halved(size: tuple[int, int], times: int) -> list[tuple[int, int]]:
    """Return the sizes (h, w) of an image before, between and after so many convolutions."""
    sizes = [size]
    for _ in range(times):
        h, w = sizes[-1]
        sizes.append(((h + 1) // 2, (w + 1) // 2))
    return sizes


def dense(
    in_features: int,
    out_features: int,
    activation: Activation,
    generator: torch.Generator | None,
    *,
    heads: int = 1,
) -> nn.Linear:
    """Return a linear layer whose outputs are ``heads`` heads side by side.

    Args:
        in_features: Width of what goes in.
        out_features: Width of one head.
        activation: Of the network; it decides how wide the weights are drawn.
        generator: Where the weights come from; torch's default if not given.
        heads: How many there are; each is drawn as if it were alone.
    """
    layer = nn.Linear(in_features, heads * out_features, device="meta")
    return _drawn(layer, (in_features, out_features), activation, generator)


def hidden_layers(
    widths: Sequence[int], activation: Activation, generator: torch.Generator | None
) -> list[nn.Module]:
    """Return linear layers from each width to the next, an activation after each."""
    layers = []
    for in_features, out_features in pairwise(widths):
        layers.append(dense(in_features, out_features, activation, generator))
        layers.append(ACTIVATIONS[activation]())
    return layers


def convolution(
    in_channels: int, out_channels: int, activation: Activation, generator: torch.Generator | None
) -> nn.Conv2d:
    """Return a convolution with a 3 x 3 kernel that halves the size, rounded up."""
    layer = nn.Conv2d(in_channels, out_channels, 3, stride=2, padding=1, device="meta")
    fans = (TAPS * in_channels, TAPS * out_channels / SHARE)
    return _drawn(layer, fans, activation, generator)


def transposed_convolution(
    in_channels: int,
    out_channels: int,
    size: tuple[int, int],
    activation: Activation,
    generator: torch.Generator | None,
    *,
    heads: int = 1,
) -> nn.ConvTranspose2d:
    """Return the transpose of :func:`convolution`, which gives back the size it had halved.

    Source: Dumoulin & Visin (2016), `A guide to convolution arithmetic for deep learning
    <https://arxiv.org/abs/1603.07285>`_, chapter 4.

    Args:
        in_channels: Channels that go in.
        out_channels: Channels of one head.
        size: (h, w) of what comes out; ``halved(size, 1)[1]`` goes in.
        activation: As for :func:`dense`.
        generator: As for :func:`dense`.
        heads: As for :func:`dense`.
    """
    # Odd and even sizes halve to the same; without padding the odd one comes back.
    padding = ((size[0] + 1) % 2, (size[1] + 1) % 2)
    layer = nn.ConvTranspose2d(
        in_channels,
        heads * out_channels,
        3,
        stride=2,
        padding=1,
        output_padding=padding,
        device="meta",
    )
    fans = (TAPS * in_channels / SHARE, TAPS * out_channels)
    return _drawn(layer, fans, activation, generator)


def _drawn(
    layer: Layer,
    fans: tuple[float, float],
    activation: Activation,
    generator: torch.Generator | None,
) -> Layer:
    r"""Draw the weights of a layer, and set its offsets to zero.

    Uniform on plus or minus :math:`\sqrt{6 / (n_{in} + n_{out})}` for tanh, which is odd, and
    :math:`\sqrt{6 / n_{in}}` for the others, which lose about half of the signal.

    Source: Glorot & Bengio (2010), equation 16; He, Zhang, Ren & Sun (2015), `Delving Deep into
    Rectifiers <https://arxiv.org/abs/1502.01852>`_, equation 10.

    Args:
        layer: On the meta device: elsewhere torch would draw weights from its own generator.
        fans: Terms in the sum that makes one output, and sums that one input enters.
        activation: Of the network.
        generator: Where the weights come from.
    """
    # On the meta device there is nothing to draw; whoever builds there wants the shapes.
    meta = torch.get_default_device().type == "meta"
    layer = layer.to_empty(device="meta" if meta else "cpu")
    fan_in, fan_out = fans
    bound = math.sqrt(6 / (fan_in + fan_out if activation == "tanh" else fan_in))
    nn.init.uniform_(layer.weight, -bound, bound, generator=generator)
    assert layer.bias is not None  # none is built without
    nn.init.zeros_(layer.bias)
    return layer
