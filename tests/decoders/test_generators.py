import pytest
import torch
import torch.nn.functional as F

from vgae.decoders import ConvGenerator, MLPGenerator
from vgae.decoders.generators import check_heads, check_target
from vgae.encoders import ConvEncoder
from vgae.errors import DataError


def build(kind, shape, generator, **options):
    if kind == "mlp":
        return MLPGenerator(3, [7, 6], shape, generator=generator, **options)
    return ConvGenerator(3, (6, 4), shape, hidden_channels=9, generator=generator, **options)


@pytest.mark.parametrize("num_heads", [1, 2])
def test_fully_connected_it_equals_products_of_matrices_written_out(num_heads, generator):
    network = build("mlp", (2, 4, 5), generator, num_heads=num_heads)
    z = torch.randn(8, 3, generator=generator)
    w0, b0, w1, b1, w2, b2 = network.parameters()
    h = ((z @ w0.T + b0).tanh() @ w1.T + b1).tanh() @ w2.T + b2
    torch.testing.assert_close(network(z), h.reshape(8, num_heads, 2, 4, 5))


@pytest.mark.parametrize("num_heads", [1, 2])
def test_convolutional_it_equals_torchs_transposed_convolutions(num_heads, generator):
    network = build("conv", (3, 7, 10), generator, num_heads=num_heads)
    z = torch.randn(8, 3, generator=generator)
    w0, b0, w1, b1, k0, c0, k1, c1 = network.parameters()
    h = ((z @ w0.T + b0).relu() @ w1.T + b1).relu().reshape(8, 6, 2, 3)
    # 2 -> 4 is even, 3 -> 5 is odd; 4 -> 7 is odd, 5 -> 10 is even.
    options = {"stride": 2, "padding": 1}
    h = F.conv_transpose2d(h, k0, c0, output_padding=(1, 0), **options).relu()
    h = F.conv_transpose2d(h, k1, c1, output_padding=(0, 1), **options)
    torch.testing.assert_close(network(z), h.reshape(8, num_heads, 3, 7, 10))


@pytest.mark.parametrize("shape", [(1, 4, 4), (1, 28, 28), (3, 32, 32), (3, 5, 9), (2, 1, 13)])
@pytest.mark.parametrize("channels", [(6,), (6, 4), (6, 4, 5)])
def test_what_an_encoder_takes_apart_its_generator_gives_back_in_size(shape, channels, generator):
    encoder = ConvEncoder(shape, channels[::-1], 3, hidden_channels=9, generator=generator)
    network = ConvGenerator(3, channels, shape, hidden_channels=9, generator=generator)
    x = torch.rand(2, *shape, generator=generator)
    assert network(encoder(x).mu).squeeze(-4).shape == x.shape
    # As many channels at each size on the way back as on the way there.
    forth = [m.weight.shape for m in encoder.modules() if isinstance(m, torch.nn.Conv2d)]
    back = [m.weight.shape for m in network.modules() if isinstance(m, torch.nn.ConvTranspose2d)]
    assert forth == back[::-1]


@pytest.mark.parametrize("kind", ["mlp", "conv"])
@pytest.mark.parametrize("lead", [(), (3,), (2, 3), (0,), (2, 1, 3)])
def test_each_latent_vector_is_decoded_by_itself(kind, lead, generator):
    network = build(kind, (2, 5, 6), generator, num_heads=2)
    z = torch.randn(*lead, 3, generator=generator)
    got = network(z)
    assert got.shape == (*lead, 2, 2, 5, 6)
    for single, image in zip(z.reshape(-1, 3), got.reshape(-1, 2, 2, 5, 6), strict=True):
        torch.testing.assert_close(image, network(single))


@pytest.mark.parametrize("kind", ["mlp", "conv"])
def test_equal_seeds_give_equal_weights_and_nothing_is_drawn_elsewhere(kind):
    outside = torch.get_rng_state()
    first, second, other = (
        list(build(kind, (1, 5, 6), torch.Generator().manual_seed(seed)).parameters())
        for seed in (3, 3, 4)
    )
    assert all(map(torch.equal, first, second))
    assert not torch.equal(first[0], other[0])
    assert torch.equal(outside, torch.get_rng_state())


@pytest.mark.parametrize("kind", ["mlp", "conv"])
def test_weights_survive_a_round_trip(kind, generator):
    first, second = (build(kind, (1, 5, 6), generator) for _ in range(2))
    z = torch.randn(4, 3, generator=generator)
    assert not torch.equal(first(z), second(z))
    second.load_state_dict(first.state_dict())
    assert torch.equal(first(z), second(z))


def test_without_a_convolution_there_is_no_convolutional_generator():
    with pytest.raises(ValueError, match="at least one convolution"):
        ConvGenerator(3, (), (1, 8, 8))


@pytest.mark.parametrize("kind", ["mlp", "conv"])
@pytest.mark.parametrize("options", [{"num_heads": 0}, {"activation": "gelu"}])
def test_an_option_out_of_range_is_refused(kind, options, generator):
    with pytest.raises(ValueError, match=r"widths must be|activation must be"):
        build(kind, (1, 5, 6), generator, **options)


def test_a_network_must_have_the_heads_that_are_read(generator):
    network = build("mlp", (1, 5, 6), generator, num_heads=2)
    check_heads(network, 2)
    with pytest.raises(ValueError, match="num_heads = 1 for this decoder, got 2"):
        check_heads(network, 1)


@pytest.mark.parametrize("shape", [(1, 1, 5, 6), (4, 1, 6, 5), (4, 30), (2, 4, 1, 5, 6)])
def test_a_target_must_have_an_image_per_latent_vector(shape):
    like = torch.empty(2, 4, 1, 5, 6)
    check_target(torch.empty(4, 1, 5, 6), like)
    with pytest.raises(DataError, match=r"\(4, 1, 5, 6\), as many") as caught:
        check_target(torch.empty(shape), like)
    assert caught.value.code == "IMAGE_SHAPE"
