"""Layers of the image encoders and decoders, initialized from a given generator."""

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
TAPS = 9  # weights of a 3 x 3 kernel for one pair of channels
DOWNSAMPLING = 4  # pixels before a convolution with a stride of 2 per pixel after it


def check_options(shape: Shape, widths: Sequence[int], activation: Activation) -> None:
    """Raise ``ValueError`` unless the options of an image network are valid."""
    if len(shape) != 3 or min(shape) < 1:
        raise ValueError(f"shape must be (c, h, w), each at least 1, got {tuple(shape)}.")
    if min(widths) < 1:
        raise ValueError(f"widths must be at least 1, got {[*widths]}.")
    if activation not in ACTIVATIONS:
        raise ValueError(f"activation must be one of {[*ACTIVATIONS]}, got {activation!r}.")


def halved(size: tuple[int, int], times: int) -> list[tuple[int, int]]:
    """Return the sizes (h, w) of an image before and after each of ``times`` convolutions."""
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
    """Return a linear layer with the outputs of ``heads`` heads side by side.

    Args:
        in_features: Width of the input.
        out_features: Width of one head.
        activation: Activation of the network, which sets the range of the weights.
        generator: Source of the weights; by default torch's own generator.
        heads: Number of heads; each is initialized like a single one.
    """
    layer = nn.Linear(in_features, heads * out_features, device="meta")
    return _drawn(layer, (in_features, out_features), activation, generator)


def hidden_layers(
    widths: Sequence[int], activation: Activation, generator: torch.Generator | None
) -> list[nn.Module]:
    """Return a linear layer from each width to the next, each followed by an activation."""
    layers = []
    for in_features, out_features in pairwise(widths):
        layers.append(dense(in_features, out_features, activation, generator))
        layers.append(ACTIVATIONS[activation]())
    return layers


def convolution(
    in_channels: int, out_channels: int, activation: Activation, generator: torch.Generator | None
) -> nn.Conv2d:
    """Return a convolution with a 3 x 3 kernel that halves the size, rounding up."""
    layer = nn.Conv2d(in_channels, out_channels, 3, stride=2, padding=1, device="meta")
    fans = (TAPS * in_channels, TAPS * out_channels / DOWNSAMPLING)
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
    """Return the transpose of :func:`convolution`, which restores the size before it.

    Source: Dumoulin & Visin (2016), `A guide to convolution arithmetic for deep learning
    <https://arxiv.org/abs/1603.07285>`_, chapter 4.

    Args:
        in_channels: Number of input channels.
        out_channels: Number of channels of one head.
        size: (h, w) of the output; the input has ``halved(size, 1)[1]``.
        activation: See :func:`dense`.
        generator: See :func:`dense`.
        heads: See :func:`dense`.
    """
    # An odd and an even size halve to the same; without output padding the odd one is restored.
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
    fans = (TAPS * in_channels / DOWNSAMPLING, TAPS * out_channels)
    return _drawn(layer, fans, activation, generator)


def _drawn(
    layer: Layer,
    fans: tuple[float, float],
    activation: Activation,
    generator: torch.Generator | None,
) -> Layer:
    r"""Draw the weights of a layer, and set its biases to zero.

    Uniform on plus or minus :math:`\sqrt{6 / (n_{in} + n_{out})}` for tanh, which is odd, and
    :math:`\sqrt{6 / n_{in}}` for the others, which lose about half of the signal.

    Source: Glorot & Bengio (2010), equation 16; He, Zhang, Ren & Sun (2015), `Delving Deep into
    Rectifiers <https://arxiv.org/abs/1502.01852>`_, equation 10.

    Args:
        layer: Layer on the meta device, where torch draws no weights from its own generator.
        fans: Number of inputs of one output, and number of outputs of one input.
        activation: Activation of the network.
        generator: Source of the weights.
    """
    # With the meta device as default, a model has shapes only.
    meta = torch.get_default_device().type == "meta"
    layer = layer.to_empty(device="meta" if meta else "cpu")
    fan_in, fan_out = fans
    bound = math.sqrt(6 / (fan_in + fan_out if activation == "tanh" else fan_in))
    nn.init.uniform_(layer.weight, -bound, bound, generator=generator)
    assert layer.bias is not None  # none is built without
    nn.init.zeros_(layer.bias)
    return layer
