import itertools

import pytest
import torch
from torch import nn
from torch.distributions import Bernoulli, Independent

from vgae.decoders import BernoulliDecoder, ConvGenerator, MLPGenerator
from vgae.errors import DataError

SHAPE = (2, 3, 4)


class Given(nn.Module):
    """A network whose value is the latent vector itself, as pixels."""

    num_heads = 1

    def __init__(self, shape):
        super().__init__()
        self.shape = shape

    def forward(self, z):
        return z.unflatten(-1, (1, *self.shape))


def decoder_of(generator):
    return BernoulliDecoder(MLPGenerator(5, [7], SHAPE, generator=generator)).double()


def latent(generator, *lead):
    return torch.randn(*lead, 5, generator=generator, dtype=torch.float64)


def binary(generator, *lead):
    return torch.rand(*lead, *SHAPE, generator=generator, dtype=torch.float64).round()


@pytest.mark.parametrize("lead", [(), (6,), (1, 6), (2, 3, 6)])
def test_it_equals_independent_bernoullis_in_value_and_gradients(lead, generator):
    decoder, z = decoder_of(generator), latent(generator, *lead).requires_grad_()
    x = binary(generator, *lead[-1:])
    reference = Independent(Bernoulli(logits=decoder.logits(z)), 3).log_prob(x)
    got = decoder.log_prob(z, x)
    assert got.shape == lead
    torch.testing.assert_close(got, reference)
    leaves = [z, *decoder.parameters()]
    expected = torch.autograd.grad(reference.sum(), leaves)
    torch.testing.assert_close(torch.autograd.grad(got.sum(), leaves), expected)


def test_all_images_there_are_have_a_probability_of_one_together(generator):
    decoder = BernoulliDecoder(Given((1, 2, 2)))
    x = torch.tensor(list(itertools.product([0.0, 1.0], repeat=4))).reshape(16, 1, 2, 2)
    z = torch.randn(4, generator=generator).expand(16, 4)
    assert decoder.log_prob(z, x).exp().sum().item() == pytest.approx(1)


def test_a_grey_image_scores_as_the_average_of_the_binary_ones_drawn_from_it(generator):
    decoder = BernoulliDecoder(Given((1, 2, 2)))
    grey = torch.tensor([0.1, 0.5, 0.8, 1.0])
    x = torch.tensor(list(itertools.product([0.0, 1.0], repeat=4)))
    chance = torch.where(x == 1, grey, 1 - grey).prod(dim=1)
    z = torch.randn(1, 4, generator=generator)
    average = chance @ decoder.log_prob(z.expand(16, 4), x.reshape(16, 1, 2, 2))
    torch.testing.assert_close(decoder.log_prob(z, grey.reshape(1, 1, 2, 2))[0], average)


@pytest.mark.parametrize(
    ("logit", "x", "nats", "slope"),
    [(200, 1, 0, 0), (200, 0, -200, -1), (-200, 1, -200, 1), (-200, 0, 0, 0)],
)
def test_it_is_exact_where_a_probability_rounds_to_zero_or_one(logit, x, nats, slope):
    decoder = BernoulliDecoder(Given((1, 1, 1)))
    z = torch.tensor([[float(logit)]], requires_grad=True)
    value = decoder.log_prob(z, torch.full((1, 1, 1, 1), float(x)))
    value.sum().backward()
    assert value.item() == nats
    assert z.grad.item() == slope


def test_the_mean_is_the_probability_of_a_one_and_samples_follow_it(generator):
    decoder, z = decoder_of(generator), latent(generator, 2, 3)
    mean = decoder.mean(z)
    assert mean.shape == (2, 3, *SHAPE)
    torch.testing.assert_close(mean, 1 / (1 + (-decoder.logits(z)).exp()))
    draws = decoder.sample(z.expand(4000, 2, 3, 5), generator)
    assert draws.shape == (4000, 2, 3, *SHAPE)
    assert draws.unique().tolist() == [0, 1]
    assert not draws.requires_grad
    error = (mean * (1 - mean) / 4000).sqrt()
    assert ((draws.mean(dim=0) - mean).abs() < 5 * error).all()


def test_samples_come_from_the_generator_and_from_nowhere_else(generator):
    decoder, z = decoder_of(generator), latent(generator, 6)
    state, outside = generator.get_state(), torch.get_rng_state()
    first, other = decoder.sample(z, generator), decoder.sample(z, generator)
    generator.set_state(state)
    assert torch.equal(first, decoder.sample(z, generator))
    assert not torch.equal(first, other)
    assert torch.equal(outside, torch.get_rng_state())


@pytest.mark.parametrize("shape", [(1, *SHAPE), (6, 2, 4, 3)])
def test_images_that_do_not_match_the_latent_vectors_are_refused(shape, generator):
    decoder, z = decoder_of(generator), latent(generator, 3, 6)
    with pytest.raises(DataError, match=r"\(6, 2, 3, 4\), as many"):
        decoder.log_prob(z, torch.zeros(shape))


def test_a_network_with_two_heads_is_refused(generator):
    with pytest.raises(ValueError, match="num_heads = 1"):
        BernoulliDecoder(MLPGenerator(5, [7], SHAPE, num_heads=2, generator=generator))


def test_weights_survive_a_round_trip(generator):
    first, second = decoder_of(generator), decoder_of(generator)
    z = latent(generator, 6)
    assert not torch.equal(first.mean(z), second.mean(z))
    second.load_state_dict(first.state_dict())
    assert torch.equal(first.mean(z), second.mean(z))


@pytest.mark.gpu
def test_on_a_gpu_it_says_the_same(generator):
    decoder = BernoulliDecoder(ConvGenerator(5, (6, 4), SHAPE, generator=generator)).double()
    z, x = latent(generator, 3, 6), binary(generator, 6)
    expected = decoder.log_prob(z, x)
    on_gpu = decoder.cuda()
    torch.testing.assert_close(on_gpu.log_prob(z.cuda(), x.cuda()).cpu(), expected)
    draw = on_gpu.sample(z.cuda(), torch.Generator("cuda").manual_seed(0))
    assert draw.is_cuda
    assert draw.unique().tolist() == [0, 1]
