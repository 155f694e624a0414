"""Logits over samples of the posterior, and probabilities with intervals."""

import numpy as np
import pytest
import torch

import vgae
from vgae.errors import UsageError
from vgae.evaluation.calibration import Calibration
from vgae.evaluation.links import PairScorer
from vgae.evaluation.sampled import averaged_probability, sampled_logits
from vgae.runtime.streams import stream


@pytest.fixture(scope="module")
def trained():
    """A planted block model, its probabilities, split, model and calibration with intervals."""
    rng = np.random.default_rng(0)
    group = rng.integers(3, size=150)
    theta = np.where(group[:, None] == group, 0.25, 0.02)
    u, v = np.triu_indices(150, 1)
    drawn = rng.random(len(u)) < theta[u, v]
    links = np.stack([u, v])[:, drawn]
    graph = vgae.Graph.from_edges(links, num_nodes=150, sides="none")
    split = vgae.split_links(graph)
    recipe = vgae.recipes.PAPER.override({"epochs": 60})
    result = vgae.fit(graph, split, recipe=recipe, progress=False)
    return graph, theta, split, result, vgae.calibrate(result, graph, split, intervals=True)


def test_statistics_are_those_of_the_samples(trained):
    graph, _, split, result, _ = trained
    scorer = PairScorer(result, graph, split.message_edge_index)
    pairs = torch.tensor([[0, 5, 9], [1, 7, 100]])
    found = sampled_logits(scorer, pairs, 40, seed=3)
    generator = stream(3, "evaluation")
    z = torch.stack([scorer.q.rsample(generator) for _ in range(40)])
    logits = (z[:, pairs[0]] * z[:, pairs[1]]).sum(dim=2).double()
    assert torch.allclose(found.mean, logits.mean(dim=0), atol=1e-5)
    assert torch.allclose(found.deviation, logits.std(dim=0), atol=1e-5)
    assert torch.allclose(found.averaged, logits.sigmoid().mean(dim=0).logit(), atol=1e-5)
    part = sampled_logits(scorer, pairs[:, 1:], 40, seed=3)
    assert torch.allclose(part.mean, found.mean[1:], atol=1e-6)


def test_fitted_intervals_hold_the_true_probabilities(trained):
    graph, theta, split, result, calibration = trained
    known = np.zeros((150, 150), dtype=bool)
    known[tuple(split.train.numpy())] = True
    pairs = np.stack(np.triu_indices(150, 1))
    pairs = pairs[:, ~known[tuple(pairs)]]
    held_out = 1 - split.train.shape[1] / graph.num_links
    p = theta[tuple(pairs)]
    truth = torch.from_numpy(held_out * p / (1 - (1 - held_out) * p))
    scorer = PairScorer(result, graph, split.message_edge_index)
    sampled = sampled_logits(scorer, torch.from_numpy(pairs), 50)
    found = averaged_probability(sampled, calibration, 0.8)
    inside = (found.low <= truth) & (truth <= found.high)
    assert 0.7 < float(inside.double().mean()) < 0.9
    assert (found.low <= found.probability).all()
    assert (found.probability <= found.high).all()
    wider = averaged_probability(sampled, calibration, 0.95)
    assert (wider.low <= found.low).all()
    assert (wider.high >= found.high).all()
    raw = averaged_probability(sampled, vgae.calibrate(result, graph, split), 0.8)
    assert float(((raw.low <= truth) & (truth <= raw.high)).double().mean()) < 0.7


def test_intervals_are_stored_with_the_calibration(trained):
    calibration = trained[-1]
    assert calibration.intervals is not None
    assert Calibration.from_dict(calibration.to_dict()) == calibration


def test_what_has_no_intervals_is_refused(trained):
    graph, _, split, result, calibration = trained
    scorer = PairScorer(result, graph)
    pairs = torch.tensor([[0], [1]])
    sampled = sampled_logits(scorer, pairs, 2)
    with pytest.raises(UsageError, match=r"between 0\.02 and 0\.98, got 80"):
        averaged_probability(sampled, calibration, 80)
    for samples in (1, -3, 10**7):
        with pytest.raises(UsageError, match="samples must be from 2 to 1,000,000"):
            sampled_logits(scorer, pairs, samples)
    recipe = vgae.recipes.PAPER.override({"epochs": 2})
    plain = vgae.fit(graph, split, model="gae", recipe=recipe, progress=False)
    with pytest.raises(UsageError, match="plain auto-encoder without a posterior"):
        sampled_logits(PairScorer(plain, graph), pairs, 5)
    directed = vgae.Graph.from_edges(graph.links, num_nodes=150, directed="keep")
    own = vgae.split_links(directed)
    arrows = vgae.fit(directed, own, recipe=recipe, progress=False)
    with pytest.raises(UsageError, match=r"one undirected graph, and .* is directed"):
        vgae.calibrate(arrows, directed, own, intervals=True)
