"""Intervals of weights are calibrated on links that were no targets."""

import logging

import pytest
import torch

import vgae
from vgae.decoders.joint import part_decoder
from vgae.graphs.graph import Graph
from vgae.recipes import PAPER

RECIPE = PAPER.override({"reconstruct": "weights", "epochs": 5})


def random_graph(seed=0, num_nodes=60):
    generator = torch.Generator().manual_seed(seed)
    u, v = torch.triu_indices(num_nodes, num_nodes, 1)
    kept = torch.rand(len(u), generator=generator) < 0.2
    edges = torch.stack([u[kept], v[kept]])
    weight = torch.randn(edges.shape[1], generator=generator).exp()
    return Graph.from_edges(edges, edge_weight=weight, num_nodes=num_nodes)


def test_the_weights_of_test_links_have_no_effect_on_the_model():
    graph = random_graph()
    split = vgae.split_links(graph, seed=0)
    weight = graph.link_weight
    assert weight is not None
    canary = weight.clone()
    is_test = torch.tensor([pair in split.test.pos.T.tolist() for pair in graph.links.T.tolist()])
    canary[is_test] = 1e5
    other = Graph.from_edges(graph.links, edge_weight=canary, num_nodes=graph.num_nodes)
    a, b = (
        vgae.fit(g, split, recipe=RECIPE, progress=False, device="cpu").model.state_dict()
        for g in (graph, other)
    )
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert not torch.equal(a["decoder.parts.weights.levels"], torch.arange(1, 100) / 100)


def test_too_few_links_leave_the_levels_and_say_so(caplog):
    graph = Graph.from_edges(
        [[0, 1, 2, 3, 4, 5], [1, 2, 3, 4, 5, 0]], edge_weight=[1, 2.5, 3, 4, 5, 6], num_nodes=6
    )
    split = vgae.split_links(graph, val=0.0, test=0.2, seed=0)
    with caplog.at_level(logging.WARNING):
        model = vgae.fit(graph, split, recipe=RECIPE, progress=False, device="cpu").model
    assert "too few to calibrate" in caplog.text
    decoder = part_decoder(model, "weights")
    assert decoder.own_level(0.8) == pytest.approx(0.8)  # pyright: ignore
