import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.distributions import Independent, Normal, kl_divergence

from vgae.errors import UsageError
from vgae.gaussian import DiagGaussian, PointMass

numbers = st.floats(-5, 5, width=32)


def posterior(seed=0, shape=(50, 3)):
    generator = torch.Generator().manual_seed(seed)
    mu, logvar = torch.randn(2, *shape, generator=generator, dtype=torch.float64)
    return DiagGaussian(mu, logvar)


@given(numbers, numbers)
def test_kl_is_never_negative_even_by_rounding(mu, logvar):
    q = DiagGaussian(torch.tensor([mu]), torch.tensor([logvar * 1e-3]))
    assert q.kl() >= 0


def test_kl_is_zero_for_the_prior_and_for_nothing_else():
    zeros = torch.zeros(4, 3)
    assert (DiagGaussian(zeros, zeros).kl() == 0).all()
    assert (DiagGaussian(zeros + 1e-3, zeros).kl() > 0).all()
    assert (DiagGaussian(zeros, zeros - 1e-2).kl() > 0).all()


def test_kl_equals_torch_distributions():
    q = posterior()
    normal = Independent(Normal(q.mu, (q.logvar / 2).exp()), 1)
    prior = Independent(Normal(torch.zeros_like(q.mu), torch.ones_like(q.mu)), 1)
    torch.testing.assert_close(q.kl(), kl_divergence(normal, prior))


def test_kl_equals_the_mean_log_ratio_of_samples():
    q = posterior(shape=(1, 2))
    many = DiagGaussian(q.mu.expand(200_000, 2), q.logvar.expand(200_000, 2))
    z = many.rsample(torch.Generator().manual_seed(1))
    log_q = Normal(q.mu, (q.logvar / 2).exp()).log_prob(z).sum(-1)
    ratio = log_q - Normal(0.0, 1.0).log_prob(z).sum(-1)
    standard_error = ratio.std() / len(ratio) ** 0.5
    assert (ratio.mean() - q.kl()).abs() < 4 * standard_error


@pytest.mark.parametrize("samples", [(), (4,), (2, 3)])
def test_log_density_equals_torch_distributions(samples, generator):
    q = posterior()
    z = torch.randn(*samples, 50, 3, generator=generator, dtype=torch.float64)
    normal = Independent(Normal(q.mu, (q.logvar / 2).exp()), 1)
    assert q.log_prob(z).shape == (*samples, 50)
    torch.testing.assert_close(q.log_prob(z), normal.log_prob(z))


def test_gradients_of_the_log_density_equal_those_of_torch_distributions(generator):
    q = posterior()
    z = torch.randn(7, 50, 3, generator=generator, dtype=torch.float64)
    leaves = [tensor.requires_grad_() for tensor in (q.mu, q.logvar, z)]
    normal = Independent(Normal(q.mu, (q.logvar / 2).exp()), 1)
    ours = torch.autograd.grad(q.log_prob(z).sum(), leaves)
    torch.testing.assert_close(ours, torch.autograd.grad(normal.log_prob(z).sum(), leaves))


def test_log_density_of_a_narrow_gaussian_stays_finite():
    # 1 / sigma^2 = e^100 is beyond float32; (z - mu) / sigma = 2, and log sigma = -50.
    q = DiagGaussian(torch.zeros(1, 1), torch.full((1, 1), -100.0))
    z = torch.full((1, 1), 2 * math.exp(-50))
    assert q.log_prob(z).item() == pytest.approx(-0.5 * math.log(2 * math.pi) + 50 - 2, rel=1e-6)


def test_rsample_has_the_mean_and_the_variance_it_says():
    q = DiagGaussian(torch.full((100_000, 1), 2.0), torch.full((100_000, 1), 1.5))
    z = q.rsample(torch.Generator().manual_seed(0))
    assert z.mean() == pytest.approx(2.0, abs=0.03)
    assert z.var() == pytest.approx(torch.tensor(1.5).exp().item(), rel=0.02)


def test_gradients_pass_through_a_sample():
    mu = torch.zeros(3, 2, requires_grad=True)
    logvar = torch.zeros(3, 2, requires_grad=True)
    z = DiagGaussian(mu, logvar).rsample(torch.Generator().manual_seed(0))
    z.sum().backward()
    assert (mu.grad == 1).all()
    # At logvar = 0, dz / dlogvar = eps / 2 and z = eps.
    torch.testing.assert_close(logvar.grad, z.detach() / 2)


def test_the_same_generator_gives_the_same_draw_and_the_global_one_stays_out():
    q, before = posterior(), torch.get_rng_state()
    draws = [q.rsample(torch.Generator().manual_seed(7)) for _ in range(2)]
    assert torch.equal(*draws)
    assert torch.equal(before, torch.get_rng_state())


def test_the_second_head_is_log_sigma_and_is_stored_as_log_variance():
    q = DiagGaussian.from_heads(torch.zeros(1, 1), torch.tensor([[3.0]]))
    assert q.logvar.item() == 6.0


def test_a_point_mass_is_its_mean_and_costs_nothing():
    mu = torch.randn(4, 3)
    q = PointMass.from_heads(mu)
    assert q.rsample() is mu
    assert torch.equal(q.kl(), torch.zeros(4))


@pytest.mark.parametrize("shape", [(), (3,), (50, 1)])
def test_a_variance_that_is_shared_gets_the_sum_of_the_gradients(shape):
    mu = torch.zeros(50, 3, dtype=torch.float64)
    shared = torch.full(shape, -0.7, dtype=torch.float64, requires_grad=True)

    def loss(logvar):
        z, kl = DiagGaussian(mu, logvar).rsample_with_kl(torch.Generator().manual_seed(0))
        return z.square().sum() + kl

    found, expected = loss(shared), loss(shared.expand(50, 3).contiguous())
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(*(torch.autograd.grad(x, shared)[0] for x in (found, expected)))


@pytest.mark.parametrize(
    "use", [torch.nn.Linear(2, 1), torch.relu, lambda q: torch.ones(3, 3) @ q, lambda q: q[0]]
)
@pytest.mark.parametrize("kind", [DiagGaussian, PointMass])
def test_a_posterior_given_to_a_layer_names_its_mean_and_sample(use, kind):
    q = kind.from_heads(*[torch.zeros(3, 2)] * kind.num_heads)
    with pytest.raises(UsageError, match=r"give a layer its mean, q\.mu, or a sample, q\.rsample"):
        use(q)


def test_a_posterior_has_the_names_of_torch_distributions(generator):
    mu, logstd = torch.randn(5, 2, requires_grad=True), torch.randn(5, 2)
    q, same = DiagGaussian.from_heads(mu, logstd), torch.distributions.Normal(mu, logstd.exp())
    torch.testing.assert_close(q.mean, same.mean)
    torch.testing.assert_close(q.stddev, same.stddev)
    state = generator.get_state()
    drawn = q.sample(generator)
    assert not drawn.requires_grad
    generator.set_state(state)
    assert torch.equal(drawn, q.rsample(generator))
    assert PointMass(mu).stddev.count_nonzero() == 0
    assert torch.equal(PointMass(mu).sample(), mu)
