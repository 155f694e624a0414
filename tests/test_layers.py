import math

import pytest
import torch
from torch import nn

from vgae.layers import (
    ACTIVATIONS,
    check_options,
    convolution,
    dense,
    halved,
    hidden_layers,
    transposed_convolution,
)

KINDS = ["dense", "heads", "convolution", "transposed"]


def build(kind, activation, generator):
    return {
        "dense": lambda: dense(200, 50, activation, generator),
        "heads": lambda: dense(200, 25, activation, generator, heads=2),
        "convolution": lambda: convolution(16, 32, activation, generator),
        "transposed": lambda: transposed_convolution(32, 16, (8, 8), activation, generator),
    }[kind]()


# Of a convolution with stride 2, each of the 9 weights of a kernel is used once per output, and
# on average 9 / 4 of them per input; of its transpose the other way round.
FANS = {
    "dense": (200, 50),
    "heads": (200, 25),
    "convolution": (9 * 16, 9 * 32 / 4),
    "transposed": (9 * 32 / 4, 9 * 16),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_weights_fill_the_range_of_glorot_or_he_and_offsets_are_zero(kind, activation, generator):
    layer = build(kind, activation, generator)
    fan_in, fan_out = FANS[kind]
    bound = math.sqrt(6 / (fan_in + fan_out)) if activation == "tanh" else math.sqrt(6 / fan_in)
    assert 0.98 * bound < layer.weight.abs().max() <= bound
    assert layer.weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.05)
    assert not layer.bias.any()


@pytest.mark.parametrize("kind", KINDS)
def test_weights_come_from_the_generator_alone(kind):
    outside = torch.get_rng_state()
    first, second, other = (
        build(kind, "relu", torch.Generator().manual_seed(seed)).weight for seed in (3, 3, 4)
    )
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    assert torch.equal(outside, torch.get_rng_state())


@pytest.mark.parametrize("kind", KINDS)
def test_hes_weights_keep_the_size_of_what_relu_lets_through(kind, generator):
    """The mean square of the outputs is that of the inputs before relu, if it is odd."""
    layer = build(kind, "relu", generator)
    shape = (400, 200) if isinstance(layer, nn.Linear) else (50, layer.in_channels, 16, 16)
    before = torch.randn(shape, generator=generator)
    after = layer(before.relu())
    # Border pixels have fewer neighbours, which costs the convolutions a few per cent.
    assert after.square().mean().item() == pytest.approx(1, rel=0.15)


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (4, 4), (7, 8), (28, 28), (13, 6)])
def test_a_transposed_convolution_gives_back_the_size_that_was_halved(size, generator):
    x = torch.rand(2, 3, *size, generator=generator)
    h = convolution(3, 5, "tanh", generator)(x)
    assert h.shape == (2, 5, *halved(size, 1)[1])
    back = transposed_convolution(5, 3, size, "tanh", generator)
    assert back(h).shape == x.shape


@pytest.mark.parametrize("size", [(6, 6), (5, 8)])
def test_a_transposed_convolution_is_the_adjoint_of_the_convolution(size, generator):
    """With equal weights, <K x, y> = <x, K' y> for all x and y."""
    forth = convolution(3, 5, "tanh", generator).double()
    back = transposed_convolution(5, 3, size, "tanh", generator).double()
    with torch.no_grad():
        back.weight.copy_(forth.weight)
    x = torch.randn(1, 3, *size, generator=generator, dtype=torch.float64)
    y = torch.randn(1, 5, *halved(size, 1)[1], generator=generator, dtype=torch.float64)
    torch.testing.assert_close((forth(x) * y).sum(), (x * back(y)).sum())


def test_sizes_are_halved_and_rounded_up():
    assert halved((28, 7), 3) == [(28, 7), (14, 4), (7, 2), (4, 1)]


def test_hidden_layers_end_in_an_activation_each(generator):
    kinds = [type(layer) for layer in hidden_layers([4, 3, 2], "softplus", generator)]
    assert kinds == [nn.Linear, nn.Softplus, nn.Linear, nn.Softplus]
    assert hidden_layers([4], "softplus", generator) == []


@pytest.mark.parametrize(
    ("shape", "widths", "activation", "message"),
    [
        ((28, 28), [5], "tanh", r"shape must be \(c, h, w\).*\(28, 28\)"),
        ((1, 0, 28), [5], "tanh", r"at least 1, got \(1, 0, 28\)"),
        ((1, 28, 28), [5, 0], "tanh", r"widths must be at least 1, got \[5, 0\]"),
        ((1, 28, 28), [5], "gelu", "activation must be one of .*'softplus'.*'gelu'"),
    ],
)
def test_what_no_network_can_be_built_of_is_named(shape, widths, activation, message):
    with pytest.raises(ValueError, match=message):
        check_options(shape, widths, activation)
