import pytest
import torch
from torch.distributions import Bernoulli, Normal, Poisson

from vgae.decoders.densities import bernoulli_nats, normal_nats, poisson_nats


@pytest.fixture
def values(generator):
    return 3 * torch.randn(50, generator=generator, dtype=torch.float64)


def test_they_equal_those_of_torch(values, generator):
    x = torch.rand(50, generator=generator, dtype=torch.float64)
    counts = (10 * x).floor()
    torch.testing.assert_close(
        bernoulli_nats(values, x.round()), Bernoulli(logits=values).log_prob(x.round())
    )
    sigma = torch.tensor(0.3, dtype=torch.float64)
    torch.testing.assert_close(
        normal_nats(values, sigma.log(), x), Normal(values, sigma).log_prob(x)
    )
    torch.testing.assert_close(
        poisson_nats(values, counts), Poisson(values.exp()).log_prob(counts)
    )


def test_a_probability_as_value_gives_the_expectation(values):
    zero, one = torch.zeros_like(values), torch.ones_like(values)
    expected = 0.3 * bernoulli_nats(values, one) + 0.7 * bernoulli_nats(values, zero)
    torch.testing.assert_close(bernoulli_nats(values, 0.3 * one), expected)


def test_extreme_arguments_stay_finite():
    logits = torch.tensor([-200.0, 200.0], requires_grad=True)
    x = torch.tensor([1.0, 0.0])
    for nats in (bernoulli_nats(logits, x), poisson_nats(logits, x)):
        (grad,) = torch.autograd.grad(nats.sum(), logits)
        assert nats.isfinite().all()
        assert grad.isfinite().all()
    assert normal_nats(torch.zeros(1), torch.tensor(-60.0), torch.zeros(1)) > 59
