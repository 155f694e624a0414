"""Distributions of weights: densities and quantiles against scipy."""

import math

import numpy as np
import pytest
import scipy.stats
import torch

from vgae.decoders.weight_likelihoods import (
    LIKELIHOODS,
    LogNormal,
    Poisson,
    Predicted,
    bounded,
    chosen_likelihood,
)


def made(name, loc=0.3, scale=2.0):
    return LIKELIHOODS[name](torch.tensor(loc), torch.tensor(scale))


def test_normal_and_log_normal_densities_are_those_of_scipy():
    heads = torch.tensor([[0.5, -0.7], [-1.0, 0.2]])
    weight = torch.tensor([1.5, 0.2])
    mean = 0.3 + 2 * heads[:, 0].numpy()
    sigma = 2 * bounded(heads[:, 1]).exp().numpy()
    found = made("normal").log_prob(heads, weight)
    assert np.allclose(found, scipy.stats.norm.logpdf(weight, mean, sigma), rtol=1e-5)
    found = made("lognormal").log_prob(heads, weight)
    assert np.allclose(
        found, scipy.stats.lognorm.logpdf(weight, sigma, scale=np.exp(mean)), rtol=1e-5
    )


def test_the_poisson_distribution_without_zero_sums_to_one():
    counts = torch.arange(1, 60).float()
    heads = torch.full((59, 1), 0.4)
    total = made("poisson").log_prob(heads, counts).exp().sum()
    assert math.isclose(float(total), 1, rel_tol=1e-5)


def test_the_mean_rate_of_counts_is_that_of_the_truncated_distribution():
    loc, _ = Poisson.standard(torch.tensor([1.0, 2, 2, 5]))
    rate = math.exp(loc)
    assert math.isclose(rate / -math.expm1(-rate), 2.5, rel_tol=1e-6)


def test_quantiles_and_levels_of_counts_agree_with_scipy():
    rate = np.array([0.7, 3.0, 40.0])
    found = Predicted(torch.tensor(rate).log(), torch.zeros(3).double())
    dist = made("poisson")
    zero = np.exp(-rate)
    for share in (0.1, 0.5, 0.9):
        # P(w <= k | w > 0) >= share at the first k with P(w <= k) >= zero + share (1 - zero)
        wanted = scipy.stats.poisson.ppf(zero + share * (1 - zero), rate)
        assert dist.quantile(found, torch.tensor(share)).tolist() == wanted.tolist()
    assert np.allclose(dist.expected(found), rate / (1 - zero))
    count = torch.tensor([1.0, 6.0, 30.0])
    level = dist.level(found, count)
    for step, holds in ((1e-6, True), (-1e-6, False)):
        own = level + step
        low, high = (
            torch.stack([dist.quantile(found, p)[k] for k, p in enumerate(tails)])
            for tails in ((1 - own) / 2, (1 + own) / 2)
        )
        inside = (count >= low) & (count <= high)
        assert bool(inside[level > 0].all()) if holds else not bool(inside[level > 0].any())


@pytest.mark.parametrize("name", ["normal", "lognormal"])
def test_the_level_that_a_weight_needs_is_that_of_the_interval_that_ends_at_it(name):
    dist = made(name)
    found = Predicted(torch.tensor([0.2, -1.0]).double(), torch.tensor([0.5, 2.0]).double())
    weight = torch.tensor([1.1, 2.0]).double()
    level = dist.level(found, weight)
    high = torch.stack([dist.quantile(found, (1 + own) / 2)[k] for k, own in enumerate(level)])
    low = torch.stack([dist.quantile(found, (1 - own) / 2)[k] for k, own in enumerate(level)])
    assert torch.minimum((high - weight).abs(), (low - weight).abs()).max() < 1e-9


def test_the_spread_has_noise_and_samples():
    heads = torch.tensor([[[0.0, -1.0]], [[2.0, -1.0]]])
    found = made("normal", loc=0.0, scale=1.0).predicted(heads)
    sigma = float(bounded(torch.tensor(-1.0)).exp())
    assert math.isclose(float(found.spread), math.sqrt(1 + sigma**2), rel_tol=1e-6)


def test_the_distribution_is_chosen_by_what_the_weights_are():
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(2000, generator=generator)
    assert chosen_likelihood(noise) == "normal"
    assert chosen_likelihood(noise.exp()) == "lognormal"
    counts = torch.poisson(noise.exp() * 3, generator=generator)
    assert chosen_likelihood(counts[counts > 0]) == "poisson"
    stars = (3 + noise).round().clamp(1, 5)
    assert chosen_likelihood(stars) == "normal"
    assert chosen_likelihood(torch.arange(2000) % 5 + 1.0) == "normal"  # all alike frequent
    plain = torch.poisson(torch.full((2000,), 2.8), generator=generator)
    assert chosen_likelihood(plain[plain > 0]) == "poisson"
    assert isinstance(LogNormal(torch.zeros(()), torch.ones(())), LIKELIHOODS["lognormal"])
