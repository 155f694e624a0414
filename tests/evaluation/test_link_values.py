"""Scores of predicted weights and signs."""

import numpy as np
import pytest
import torch

import vgae
from vgae.graphs.graph import Graph
from vgae.recipes import PAPER


def planted(seed=0, num_nodes=120):
    """Weights of three blocks with little noise, and signs of two factions."""
    rng = np.random.default_rng(seed)
    block = rng.integers(3, size=num_nodes)
    u, v = np.triu_indices(num_nodes, 1)
    kept = rng.random(len(u)) < np.where(block[u] == block[v], 0.35, 0.05)
    edges = np.stack([u[kept], v[kept]])
    same = block[edges[0]] == block[edges[1]]
    value = np.where(same, 2 + block[edges[0]], -2) + 0.3 * rng.normal(size=len(same))
    return Graph.from_edges(edges, edge_weight=value, num_nodes=num_nodes, signed=True)


def test_planted_weights_and_signs_are_found():
    graph = planted()
    split = vgae.split_links(graph, seed=0)
    recipe = PAPER.override({"reconstruct": "weights,signs"})
    result = vgae.fit(graph, split, recipe=recipe, progress=False, device="cpu")
    found = vgae.evaluate(result, graph, split)["test"].to_dict()
    weights, signs = found["weights"], found["signs"]
    assert weights["likelihood"] == "normal"
    assert weights["rmse"] < 0.7 * weights["rmse_of_mean"]
    assert set(weights["coverage"]) == {"50", "80", "95"}
    assert weights["coverage"]["80"] == pytest.approx(0.8, abs=0.15)
    assert signs["auc"] > 0.85
    assert signs["num_links"] == weights["num_links"] == split.test.pos.shape[1]


def test_scores_are_those_of_the_predicted_columns():
    graph = planted(1)
    split = vgae.split_links(graph, seed=0)
    recipe = PAPER.override({"reconstruct": "weights,signs", "epochs": 20})
    result = vgae.fit(graph, split, recipe=recipe, progress=False, device="cpu")
    scorer = vgae.evaluation.links.PairScorer(result, graph, split.message_edge_index)
    links = split.test.pos
    table = vgae.score_links(scorer, graph, links.T.tolist(), interval=0.5).columns()
    value = graph.values_of(links)
    assert value is not None
    error = value.double().numpy() - table["expected_weight"]
    inside = (value.numpy() >= table["weight_low"]) & (value.numpy() <= table["weight_high"])
    found = vgae.evaluate(result, graph, split)["test"].to_dict()
    assert found["weights"]["rmse"] == pytest.approx(float((error**2).mean() ** 0.5))
    assert found["weights"]["mae"] == pytest.approx(float(abs(error).mean()))
    assert found["weights"]["coverage"]["50"] == pytest.approx(inside.mean())
    right = (table["positive"] > 0.5) == (value.numpy() > 0)
    assert found["signs"]["accuracy"] == pytest.approx(right.mean())


def test_models_without_such_targets_have_no_such_scores():
    graph = planted(2)
    split = vgae.split_links(graph, seed=0)
    recipe = PAPER.override({"epochs": 2})
    result = vgae.fit(graph, split, recipe=recipe, progress=False, device="cpu")
    assert not {"weights", "signs"} & set(vgae.evaluate(result, graph, split)["test"].to_dict())
    assert torch.isfinite(result.model.encoder(*[None, split.message_edge_index]).mu).all()
