import math

import pytest
import torch
from torch import nn
from torch.distributions import Normal

from vgae.decoders import InnerProductDecoder
from vgae.encoders import GCNEncoder, LinearGCNEncoder
from vgae.gaussian import DiagGaussian, PointMass
from vgae.vae import VAE, ElboTerms

EDGES = torch.tensor([[0, 1, 1, 2, 2, 3], [1, 0, 2, 1, 3, 2]])


class LinearGaussian(nn.Module):
    """Encoder and decoder of p(z) = N(0, 1), p(x | z) = N(z, 1): every integral is known."""

    def __init__(self, mu, logvar):
        super().__init__()
        self.q = DiagGaussian(torch.tensor([[mu]]), torch.tensor([[logvar]]))

    def forward(self, x):
        return self.q

    def log_prob(self, z, target):
        return Normal(z, 1.0).log_prob(target)


def mean_elbo(mu, logvar, x=1.2, samples=20_000):
    parts = LinearGaussian(mu, logvar)
    many = DiagGaussian(parts.q.mu.expand(samples, 1), parts.q.logvar.expand(samples, 1))
    parts.q = many
    terms = VAE(parts, parts)((None,), torch.tensor(x), torch.Generator().manual_seed(0))
    return terms.elbo().item() / samples


LOG_EVIDENCE = Normal(0.0, math.sqrt(2)).log_prob(torch.tensor(1.2)).item()


@pytest.mark.parametrize(("mu", "logvar"), [(0.0, 0.0), (1.0, 0.0), (-1.0, 1.0), (0.6, -3.0)])
def test_elbo_lies_below_the_log_evidence(mu, logvar):
    assert mean_elbo(mu, logvar) < LOG_EVIDENCE - 0.02


def test_elbo_equals_the_log_evidence_at_the_true_posterior():
    # p(z | x) = N(x / 2, 1 / 2)
    assert mean_elbo(0.6, math.log(0.5)) == pytest.approx(LOG_EVIDENCE, abs=0.01)


def test_elbo_is_the_likelihood_less_beta_times_kl():
    terms = ElboTerms(torch.tensor(-10.0), torch.tensor(3.0))
    assert terms.elbo() == -13
    assert terms.elbo(beta=0.5) == -11.5


@pytest.mark.parametrize("encoder_class", [GCNEncoder, LinearGCNEncoder])
@pytest.mark.parametrize("posterior", [DiagGaussian, PointMass])
@pytest.mark.parametrize("weighting", ["kipf", "likelihood"])
def test_each_parameter_gets_a_gradient(encoder_class, posterior, weighting, generator):
    encoder = encoder_class(5, latent_channels=3, posterior=posterior, generator=generator)
    model = VAE(encoder, InnerProductDecoder(weighting=weighting, bias=True))
    x = torch.rand(4, 5, generator=generator)
    model((x, EDGES), EDGES, generator).elbo().backward()
    without = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []
