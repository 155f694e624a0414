"""Logits over samples of the posterior, and probabilities with intervals."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest
import torch

import vgae
from vgae.errors import UsageError
from vgae.evaluation import block_model
from vgae.evaluation.calibration import Calibration
from vgae.evaluation.links import PairScorer
from vgae.evaluation.sampled import averaged_probability, sampled_logits
from vgae.graphs.split import LinkSplit
from vgae.runtime.streams import stream
from vgae.training.trainer import FitResult


class Planted(NamedTuple):
    """A planted block model, its probabilities, split and trained model."""

    graph: vgae.Graph
    theta: np.ndarray
    split: LinkSplit
    result: FitResult


def planted(num_nodes, epochs):
    rng = np.random.default_rng(0)
    group = rng.integers(3, size=num_nodes)
    theta = np.where(group[:, None] == group, 0.25, 0.02)
    u, v = np.triu_indices(num_nodes, 1)
    drawn = rng.random(len(u)) < theta[u, v]
    links = np.stack([u, v])[:, drawn]
    graph = vgae.Graph.from_edges(links, num_nodes=num_nodes, sides="none")
    split = vgae.split_links(graph)
    recipe = vgae.recipes.PAPER.override({"epochs": epochs})
    return Planted(graph, theta, split, vgae.fit(graph, split, recipe=recipe, progress=False))


@pytest.fixture(scope="module")
def trained():
    return planted(120, 2)


@pytest.fixture(scope="module")
def calibration(trained):
    """A calibration with intervals, of few sweeps."""
    with pytest.MonkeyPatch.context() as few:
        few.setattr(block_model, "_SWEEPS", 20)
        few.setattr(block_model, "_TRIED", 10)
        graph, _, split, result = trained
        return vgae.calibrate(result, graph, split, intervals=True)


def test_statistics_are_those_of_the_samples(trained):
    graph, _, split, result = trained
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


@pytest.mark.slow
def test_intervals_hold_the_probabilities_that_links_were_drawn_with():
    graph, theta, split, result = planted(150, 60)
    known = np.zeros((150, 150), dtype=bool)
    known[tuple(split.train.numpy())] = True
    pairs = np.stack(np.triu_indices(150, 1))
    pairs = pairs[:, ~known[tuple(pairs)]]
    truth = torch.from_numpy(theta[tuple(pairs)])
    found = vgae.score_links(result, graph, pairs.T, samples=50)
    assert (found.prior, found.raw) == ("graph", False)
    assert 0.7 < float(((found.low <= truth) & (truth <= found.high)).double().mean()) < 0.9
    assert float(found.probability.mean()) == pytest.approx(float(truth.mean()), rel=0.1)
    raw = replace(vgae.calibrate(result, graph, split, prior="graph"), intervals=None)
    found = vgae.score_links(result, graph, pairs.T, samples=50, calibration=raw)
    assert float(((found.low <= truth) & (truth <= found.high)).double().mean()) < 0.7


def test_ends_of_intervals_are_in_order(trained, calibration):
    pairs = torch.from_numpy(np.stack(np.triu_indices(120, 1)))
    sampled = sampled_logits(PairScorer(trained.result, trained.graph), pairs, 20)
    found = averaged_probability(sampled, calibration, 0.8)
    assert (found.low <= found.probability).all()
    assert (found.probability <= found.high).all()
    wider = averaged_probability(sampled, calibration, 0.95)
    assert (wider.low <= found.low).all()
    assert (wider.high >= found.high).all()


def test_the_prior_of_the_graph_divides_the_odds_by_the_fraction_held_out(trained, calibration):
    """Odds h p / (1 - p) of a held-out link, for a fraction h of links that are held out."""
    graph, _, split, result = trained
    held_out = vgae.calibrate(result, graph, split)
    assert (held_out.prior, calibration.prior) == ("density", "graph")
    p, q = (c.probability(torch.tensor([0.3])) for c in (held_out.for_graph(graph), held_out))
    fraction = 1 - split.train.shape[1] / graph.num_links
    assert float(q / (1 - q)) == pytest.approx(float(fraction * p / (1 - p)))


def test_intervals_are_stored_with_the_calibration(calibration):
    assert calibration.intervals is not None
    assert Calibration.from_dict(calibration.to_dict()) == calibration


def test_what_has_no_intervals_is_refused(trained, calibration):
    graph, _, split, result = trained
    scorer = PairScorer(result, graph)
    pairs = torch.tensor([[0], [1]])
    sampled = sampled_logits(scorer, pairs, 2)
    with pytest.raises(UsageError, match=r"between 0\.02 and 0\.98, got 80"):
        averaged_probability(sampled, calibration, 80)
    for samples in (1, -3, 10**7):
        with pytest.raises(UsageError, match="samples must be from 2 to 1,000,000"):
            sampled_logits(scorer, pairs, samples)
    recipe = vgae.recipes.PAPER.override({"epochs": 1})
    plain = vgae.fit(graph, split, model="gae", recipe=recipe, progress=False)
    with pytest.raises(UsageError, match="plain auto-encoder without a posterior"):
        sampled_logits(PairScorer(plain, graph), pairs, 5)
    directed = vgae.Graph.from_edges(graph.links, num_nodes=120, directed="keep")
    own = vgae.split_links(directed)
    arrows = vgae.fit(directed, own, recipe=recipe, progress=False)
    with pytest.raises(UsageError, match=r"one undirected graph, and .* is directed"):
        vgae.calibrate(arrows, directed, own, intervals=True)
