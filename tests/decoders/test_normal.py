import math

import pytest
import torch
from torch import nn
from torch.distributions import Independent, Normal

from vgae.decoders import ConvGenerator, MLPGenerator, NormalDecoder
from vgae.errors import DataError

SHAPE = (2, 3, 4)
VARIANCES = ["fixed", "scalar", "pixel"]


class Given(nn.Module):
    """A network of one pixel, whose heads are the entries of the latent vector."""

    def __init__(self, num_heads):
        super().__init__()
        self.num_heads = num_heads

    def forward(self, z):
        return z[..., None, None, None]


def decoder_of(variance, generator, sigma=0.3):
    heads = 2 if variance == "pixel" else 1
    network = MLPGenerator(5, [7], SHAPE, num_heads=heads, generator=generator)
    return NormalDecoder(network, variance=variance, sigma=sigma).double()


def latent(generator, *lead):
    return torch.randn(*lead, 5, generator=generator, dtype=torch.float64)


def images(generator, *lead):
    return torch.rand(*lead, *SHAPE, generator=generator, dtype=torch.float64)


def reference(decoder, z):
    """The distribution of the pixels, from what the network and the learned sigma are."""
    mean, *heads = decoder.network(z).unbind(-4)
    log_sigma = decoder.log_sigma
    if heads:
        floor = math.log(1e-3)
        log_sigma = torch.logaddexp(log_sigma + heads[0], torch.full_like(mean, floor))
    return Independent(Normal(mean, log_sigma.exp().expand_as(mean)), 3)


@pytest.mark.parametrize("variance", VARIANCES)
@pytest.mark.parametrize("lead", [(), (6,), (1, 6), (2, 3, 6)])
def test_it_equals_independent_normals_in_value_and_gradients(variance, lead, generator):
    decoder, z = decoder_of(variance, generator), latent(generator, *lead).requires_grad_()
    x = images(generator, *lead[-1:])
    expected = reference(decoder, z).log_prob(x)
    got = decoder.log_prob(z, x)
    assert got.shape == lead
    torch.testing.assert_close(got, expected)
    leaves = [z, *decoder.parameters()]
    grads = torch.autograd.grad(expected.sum(), leaves)
    torch.testing.assert_close(torch.autograd.grad(got.sum(), leaves), grads)


def test_the_constant_is_counted():
    """One pixel, hit exactly: log(1 / (sigma sqrt(2 pi)))."""
    decoder = NormalDecoder(Given(1), sigma=0.5)
    value = decoder.log_prob(torch.tensor([[0.25]]), torch.full((1, 1, 1, 1), 0.25))
    assert value.item() == pytest.approx(math.log(2 / math.sqrt(2 * math.pi)))


@pytest.mark.parametrize(("variance", "learned"), [("fixed", 0), ("scalar", 1), ("pixel", 0)])
def test_one_sigma_is_learned_if_it_is_to_be(variance, learned, generator):
    decoder = decoder_of(variance, generator)
    names = [name for name, _ in decoder.named_parameters() if "network" not in name]
    assert names == ["log_sigma"] * learned
    assert decoder.log_sigma.item() == pytest.approx(math.log(0.3))


def test_one_learned_sigma_becomes_the_root_of_the_mean_squared_error(generator):
    decoder = decoder_of("scalar", generator, sigma=1.0)
    z, x = latent(generator, 50), images(generator, 50)
    optimizer = torch.optim.LBFGS([decoder.log_sigma], max_iter=50)

    def cost():
        optimizer.zero_grad()
        nll = -decoder.log_prob(z, x).mean()
        nll.backward()
        return nll

    optimizer.step(cost)
    error = (x - decoder.mean(z)).square().mean().sqrt().item()
    assert decoder.log_sigma.exp().item() == pytest.approx(error, rel=1e-5)


@pytest.mark.parametrize(
    ("s", "excess"),
    [(-200.0, 0.0), (math.log(2e-3), 0.001), (0.0, 0.5), (2.0, math.exp(2) / 2)],
)
@pytest.mark.parametrize("least", [0.001, 0.1])
def test_the_lower_bound_is_added_to_the_sigma_of_a_pixel(s, excess, least):
    decoder = NormalDecoder(Given(2), variance="pixel", sigma=0.5, min_sigma=least)
    _, log_sigma = decoder.moments(torch.tensor([[0.5, s]]))
    assert log_sigma.exp().item() == pytest.approx(least + excess, rel=1e-5)


def test_below_the_bound_a_large_error_still_moves_sigma():
    decoder = NormalDecoder(Given(2), variance="pixel")
    z = torch.tensor([[0.5, -12.0]], requires_grad=True)
    decoder.log_prob(z, torch.ones(1, 1, 1, 1)).sum().backward()
    assert z.grad[0, 1] > 1


def test_a_pixel_that_never_changes_has_no_unbounded_likelihood():
    decoder = NormalDecoder(Given(2), variance="pixel")
    z = torch.tensor([[1.0, -1e6]])
    assert decoder.log_prob(z, torch.ones(1, 1, 1, 1)).item() == pytest.approx(
        -math.log(1e-3) - 0.5 * math.log(2 * math.pi)
    )


@pytest.mark.parametrize("variance", VARIANCES)
def test_samples_have_the_mean_and_the_spread_of_the_pixels(variance, generator):
    decoder, z = decoder_of(variance, generator), latent(generator, 2, 3)
    pixels = reference(decoder, z)
    torch.testing.assert_close(decoder.mean(z), pixels.mean)
    draws = decoder.sample(z.expand(4000, 2, 3, 5), generator)
    assert draws.shape == (4000, 2, 3, *SHAPE)
    assert not draws.requires_grad
    sigma = pixels.stddev
    assert ((draws.mean(dim=0) - pixels.mean).abs() < 5 * sigma / 4000**0.5).all()
    # The standard error of a standard deviation is sigma / sqrt(2 n).
    assert ((draws.std(dim=0) - sigma).abs() < 5 * sigma / 8000**0.5).all()


@pytest.mark.parametrize("variance", VARIANCES)
def test_samples_come_from_the_generator_and_from_nowhere_else(variance, generator):
    decoder, z = decoder_of(variance, generator), latent(generator, 6)
    state, outside = generator.get_state(), torch.get_rng_state()
    first, other = decoder.sample(z, generator), decoder.sample(z, generator)
    generator.set_state(state)
    assert torch.equal(first, decoder.sample(z, generator))
    assert not torch.equal(first, other)
    assert torch.equal(outside, torch.get_rng_state())


@pytest.mark.parametrize("variance", VARIANCES)
def test_weights_and_sigma_survive_a_round_trip(variance, generator):
    first = decoder_of(variance, generator, sigma=0.2)
    second = decoder_of(variance, generator, sigma=0.7)
    second.load_state_dict(first.state_dict())
    z, x = latent(generator, 6), images(generator, 6)
    assert torch.equal(first.log_prob(z, x), second.log_prob(z, x))


@pytest.mark.parametrize("variance", VARIANCES)
def test_images_that_do_not_match_the_latent_vectors_are_refused(variance, generator):
    decoder, z = decoder_of(variance, generator), latent(generator, 3, 6)
    with pytest.raises(DataError, match=r"\(6, 2, 3, 4\), as many"):
        decoder.log_prob(z, images(generator, 1))


@pytest.mark.parametrize(("variance", "heads"), [("fixed", 2), ("scalar", 2), ("pixel", 1)])
def test_a_network_with_too_many_or_too_few_heads_is_refused(variance, heads):
    with pytest.raises(ValueError, match=f"num_heads = {3 - heads} for this decoder, got {heads}"):
        NormalDecoder(Given(heads), variance=variance)


@pytest.mark.parametrize("sigma", [0.0, -1.0, math.inf, math.nan])
def test_a_sigma_out_of_range_is_refused(sigma):
    for name in ("sigma", "min_sigma"):
        with pytest.raises(ValueError, match=f"^{name} must be above 0 and finite"):
            NormalDecoder(Given(1), **{name: sigma})


def test_an_unknown_variance_is_refused():
    with pytest.raises(ValueError, match="'fixed', 'scalar' or 'pixel', got 'free'"):
        NormalDecoder(Given(1), variance="free")


@pytest.mark.gpu
@pytest.mark.parametrize("variance", VARIANCES)
def test_on_a_gpu_it_says_the_same(variance, generator):
    heads = 2 if variance == "pixel" else 1
    network = ConvGenerator(5, (6, 4), SHAPE, num_heads=heads, generator=generator)
    decoder = NormalDecoder(network, variance=variance, sigma=0.3).double()
    z, x = latent(generator, 3, 6), images(generator, 6)
    expected = decoder.log_prob(z, x)
    on_gpu = decoder.cuda()
    torch.testing.assert_close(on_gpu.log_prob(z.cuda(), x.cuda()).cpu(), expected)
    assert on_gpu.sample(z.cuda(), torch.Generator("cuda").manual_seed(0)).is_cuda
