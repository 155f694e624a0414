"""Columns of predicted weights in tables of links."""

import pytest
import torch

import vgae
from vgae.decoders.joint import part_decoder
from vgae.errors import UsageError
from vgae.evaluation.links import PairScorer
from vgae.graphs.graph import Graph
from vgae.prediction.weights import checked_level
from vgae.recipes import PAPER


@pytest.mark.parametrize("bad", [0, 1, 1.5, -0.1, float("nan"), "0.8", None])
def test_levels_outside_zero_and_one_are_refused(bad):
    with pytest.raises(UsageError, match="--interval") as error:
        checked_level(bad)
    assert error.value.code == "INTERVAL"


def test_proposals_have_weights_and_wider_intervals_at_higher_levels(tmp_path):
    generator = torch.Generator().manual_seed(0)
    u, v = torch.triu_indices(40, 40, 1)
    kept = torch.rand(len(u), generator=generator) < 0.3
    edges = torch.stack([u[kept], v[kept]])
    weight = torch.randn(edges.shape[1], generator=generator).exp()
    graph = Graph.from_edges(edges, edge_weight=weight, num_nodes=40)
    split = vgae.split_links(graph, seed=0)
    recipe = PAPER.override({"reconstruct": "weights", "epochs": 5})
    result = vgae.fit(graph, split, recipe=recipe, progress=False, device="cpu")
    narrow, wide = (
        vgae.predict_links(result, graph, 2, interval=level, progress=False).columns()
        for level in (0.5, 0.9)
    )
    assert (narrow["expected_weight"] == wide["expected_weight"]).all()
    assert (narrow["weight_low"] > wide["weight_low"]).all()
    assert (narrow["weight_high"] < wide["weight_high"]).all()
    assert (wide["weight_low"] > 0).all()


def test_links_with_messages_are_predicted_as_if_they_had_none():
    graph, result = trained()
    link = graph.links[:, 7:8]
    kept = torch.arange(graph.links.shape[1]) != 7
    others = PairScorer(result, graph, graph.grid.message_edges(graph.links[:, kept]))
    # The same link twice, in either order, beside a pair that is no link.
    pairs = [*link.T.tolist(), *link.flip(0).T.tolist(), [0, non_partner(graph, 0)]]
    found = vgae.score_links(result, graph, torch.tensor(pairs)).columns()
    wanted = vgae.score_links(others, graph, link.T).columns()
    whole = PairScorer(result, graph)
    for name in ("expected_weight", "weight_low", "weight_high"):
        assert found[name][0] == pytest.approx(wanted[name][0], rel=1e-5)
        assert found[name][1] == pytest.approx(wanted[name][0], rel=1e-5)
    part = part_decoder(result.model, "weights")
    plain = part.distribution.expected(part.predicted(whole.q, torch.tensor(pairs).T))  # pyright: ignore
    assert found["expected_weight"][2] == pytest.approx(float(plain[2]), rel=1e-5)
    assert found["expected_weight"][0] != pytest.approx(float(plain[0]), rel=1e-5)


def non_partner(graph, node):
    partners = graph.links[:, (graph.links == node).any(dim=0)].flatten().tolist()
    return next(other for other in range(graph.num_nodes) if other not in [*partners, node])


def trained():
    generator = torch.Generator().manual_seed(0)
    u, v = torch.triu_indices(30, 30, 1)
    kept = torch.rand(len(u), generator=generator) < 0.3
    edges = torch.stack([u[kept], v[kept]])
    weight = torch.randn(edges.shape[1], generator=generator).exp()
    graph = Graph.from_edges(edges, edge_weight=weight, num_nodes=30)
    split = vgae.split_links(graph, seed=0)
    recipe = PAPER.override({"reconstruct": "weights", "epochs": 20})
    result = vgae.fit(graph, split, recipe=recipe, progress=False, device="cpu")
    return graph, result
