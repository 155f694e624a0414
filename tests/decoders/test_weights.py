"""Weights and signs of links as targets of a decoder."""

from typing import Any

import pytest
import torch

import vgae
from vgae.decoders.joint import part_decoder
from vgae.decoders.weights import SignDecoder, WeightDecoder, withheld
from vgae.errors import UsageError
from vgae.gaussian import DiagGaussian
from vgae.graphs.graph import Graph
from vgae.recipes import PAPER
from vgae.runtime.streams import stream


def ring(values, **options):
    nodes = torch.arange(len(values))
    edges = torch.stack([nodes, (nodes + 1) % len(values)])
    return Graph.from_edges(edges, edge_weight=values, num_nodes=len(values), **options)


def built(graph, target, **settings):
    split = vgae.split_links(graph, val=0.1, test=0.1, seed=0)
    kind = {"weights": WeightDecoder, "signs": SignDecoder}[target]
    recipe = PAPER.override({"reconstruct": target, **settings})
    return kind.from_graph(recipe, graph, split, stream(0, "parts")), split


def test_the_target_is_the_training_links_that_are_not_withheld():
    graph = ring(1 + torch.arange(200.0) / 7)
    decoder, split = built(graph, "weights")
    target = decoder.prepare(graph, split, "cpu")
    assert decoder.num_withheld == int(0.15 * split.train.shape[1])
    kept = ~withheld(split, decoder.num_withheld)
    assert torch.equal(target.pairs, split.train[:, kept])
    assert torch.equal(target.value, graph.weights_of(target.pairs))  # pyright: ignore
    # As often as a link counts with Kipf's weighting.
    assert decoder.cost == graph.grid.num_terms / (2 * len(target.value))
    assert built(graph, "weights", weighting="likelihood")[0].cost == 1


def test_log_prob_is_the_sum_over_the_target():
    graph = ring(1 + torch.arange(60.0) / 7)
    decoder, split = built(graph, "weights", weighting="likelihood")
    target = decoder.prepare(graph, split, "cpu")
    z = torch.randn(60, 16)
    heads = decoder.network(z, target.pairs)
    nats = decoder.distribution.log_prob(heads, target.value)  # pyright: ignore
    assert torch.allclose(decoder.log_prob(z, target), nats.sum())


def test_held_out_weights_have_no_effect_on_the_decoder():
    values = 1 + torch.arange(100.0) / 7
    graph = ring(values)
    decoder, split = built(graph, "weights")
    changed = graph.link_weight.clone()  # pyright: ignore[reportOptionalMemberAccess]
    held = torch.cat([split.val.pos, split.test.pos], dim=1)
    place = [graph.links.T.tolist().index(pair) for pair in held.T.tolist()]
    changed[place] = 1e6
    other, _ = built(Graph.from_edges(graph.links, edge_weight=changed, num_nodes=100), "weights")
    assert torch.equal(decoder.loc, other.loc)
    assert torch.equal(decoder.scale, other.scale)
    assert decoder.likelihood == other.likelihood


def test_levels_are_those_that_hold_the_share_of_given_links():
    decoder = WeightDecoder(2, "normal", ordered=False, cost=1.0)
    assert decoder.own_level(0.8) == pytest.approx(0.8)
    decoder.calibrate(torch.arange(1, 100) / 100 * 0.5)
    assert decoder.own_level(0.8) == pytest.approx(0.4)
    assert decoder.own_level(0.805) == pytest.approx(0.4025)


def test_probabilities_of_signs_are_averaged_over_the_posterior():
    decoder = SignDecoder(2, "bernoulli", ordered=False, cost=1.0)
    decoder.loc.fill_(0.5)
    q = DiagGaussian(torch.zeros(3, 2), torch.zeros(3, 2))
    found = decoder.probability(q, torch.tensor([[0], [1]]))
    assert found.tolist() == pytest.approx([torch.sigmoid(torch.tensor(0.5)).item()])


@pytest.mark.row("G57")
@pytest.mark.parametrize(
    ("values", "options", "target", "settings", "message"),
    [
        ([1] * 20, {}, "weights", {}, "no weights of links"),
        ([1, 2] * 10, {}, "signs", {}, "--signed"),
        ([1, 2] * 10, {"signed": True}, "signs", {}, "same sign"),
        ([1.5, 2] * 10, {}, "weights", {"weight_likelihood": "poisson"}, "counts from 1"),
        ([1.5, -2] * 10, {"signed": True}, "weights", {"weight_likelihood": "lognormal"}, "above"),
    ],
)
def test_targets_that_a_graph_does_not_have_are_refused(
    values, options, target, settings, message
):
    with pytest.raises(UsageError, match=message) as error:
        built(ring(values, **options), target, **settings)
    assert error.value.code == "RECONSTRUCT"


def test_a_saved_model_predicts_the_same_weights_and_signs(tmp_path):
    generator = torch.Generator().manual_seed(1)
    values = torch.randn(60, generator=generator) + 1
    graph = ring(values, signed=True)
    split = vgae.split_links(graph, seed=0)
    recipe = PAPER.override({"reconstruct": "weights,signs", "epochs": 3})
    result = vgae.fit(graph, split, recipe=recipe, progress=False, device="cpu")
    vgae.save_pretrained(result.model, tmp_path / "model")
    again = vgae.from_pretrained(tmp_path / "model")
    pairs: Any = graph.links.T.tolist()
    a, b = (vgae.score_links(model, graph, pairs).columns() for model in (result.model, again))
    assert list(a) == list(b)
    assert {"expected_weight", "weight_low", "weight_high", "positive"} <= set(a)
    assert a["weight_high"].tolist() == b["weight_high"].tolist()
    decoder: Any = part_decoder(result.model, "weights")
    assert torch.equal(result.last["decoder.parts.weights.levels"], decoder.levels)
