"""Samples of link probabilities agree with those that a graph was drawn with."""

import numpy as np
import pytest

from vgae.evaluation import block_model
from vgae.evaluation.block_model import (
    BlockModel,
    _at_least_one,
    _drawn_shape,
    fitted_block_model,
)


@pytest.fixture
def planted():
    """Two groups of 60 nodes with weights; links at probability 0.3 within and 0.04 across."""
    rng = np.random.default_rng(3)
    group, weight = np.arange(120) % 2, rng.gamma(4, 1 / 4, 120)
    theta = np.where(group[:, None] == group, 0.3, 0.04) * np.outer(weight, weight)
    theta = 1 - np.exp(-theta)
    u, v = np.triu_indices(120, 1)
    drawn = rng.random(len(u)) < theta[u, v]
    links = np.stack([u, v])[:, drawn]
    order = rng.permutation(links.shape[1])
    return theta, links[:, order[100:]], links[:, order[:100]]


@pytest.mark.slow
def test_intervals_of_the_block_model_hold_the_probabilities(planted):
    theta, links, held_out = planted
    model = fitted_block_model(links, 120, held_out, 0)
    assert model.num_groups in (2, 4)
    pairs = np.stack(np.triu_indices(120, 1))
    sampled = 1 - np.exp(-np.exp(model.log_rates(pairs)))
    truth = theta[tuple(pairs)] * links.shape[1] / (links.shape[1] + 100)
    low, high = np.quantile(sampled, [0.1, 0.9], axis=0)
    assert 0.7 < np.mean((low <= truth) & (truth <= high)) < 0.9
    assert np.mean(sampled) == pytest.approx(links.shape[1] / pairs.shape[1], rel=0.1)


def test_the_fewest_groups_that_fit_are_chosen(planted, monkeypatch):
    _, links, held_out = planted
    monkeypatch.setattr(block_model, "_TRIED", 16)
    monkeypatch.setattr(block_model, "_SWEEPS", 16)
    model = fitted_block_model(links, 120, held_out, 0)
    assert model.num_groups in (2, 4)
    pairs = np.stack(np.triu_indices(120, 1))
    mean = np.mean(1 - np.exp(-np.exp(model.log_rates(pairs))))
    assert mean == pytest.approx(links.shape[1] / pairs.shape[1], rel=0.1)


def test_the_shape_of_weights_has_the_likelihood_of_the_counts():
    """Weights of a known shape: counts are Poisson of rate 20 times the weight."""
    rng = np.random.default_rng(1)
    for shape in (0.7, 5.0):
        count = rng.poisson(20 * rng.gamma(shape, 1 / shape, 3000)).astype(float)
        drawn = [_drawn_shape(count, np.full(3000, 20.0), rng) for _ in range(5)]
        assert drawn == pytest.approx([shape] * 5, rel=0.25)


def test_the_same_seed_gives_the_same_samples(planted):
    _, links, held_out = planted
    one, same, other = (BlockModel(links, 120, 2, s).run(6).log_rates(held_out) for s in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_counts_of_links_are_poisson_without_zero():
    rate = np.full(100_000, 0.7)
    count = _at_least_one(rate, np.random.default_rng(0))
    assert count.min() == 1
    assert count.mean() == pytest.approx(0.7 / -np.expm1(-0.7), abs=0.01)
    assert np.mean(count == 1) == pytest.approx(0.7 * np.exp(-0.7) / -np.expm1(-0.7), abs=0.01)
