"""Intervals of weights are calibrated on links that were no targets."""

import logging

import pytest
import torch

import vgae
from vgae.decoders.joint import part_decoder
from vgae.graphs.collection import GraphCollection
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


@pytest.mark.parametrize(
    ("kind", "model"),
    [
        ("undirected", "gae"),
        ("directed", "source-target-vgae"),
        ("two-sided", "vgae"),
        ("graphs", "gae"),
        ("whole graphs", "vgae"),
    ],
)
def test_weights_and_signs_of_each_kind_of_graph_resume_to_the_same_bits(kind, model, tmp_path):
    graph = signed_graph(kind)
    by = "graphs" if kind == "whole graphs" else "links"
    split = vgae.split_links(graph, seed=0, by=by)
    wanted = {"reconstruct": "weights,signs"}
    options = {"model": model, "progress": False, "device": "cpu", "seed": 1}

    def fitted(epochs, **more):
        recipe = PAPER.override({**wanted, "epochs": epochs})
        return vgae.fit(graph, split, recipe=recipe, **options, **more)

    whole = fitted(8)
    fitted(3, checkpoints=tmp_path)
    resumed = fitted(8, checkpoints=tmp_path)
    a, b = whole.model.state_dict(), resumed.model.state_dict()
    assert all(torch.equal(a[name], b[name]) for name in a)
    scores = vgae.evaluate(resumed, graph, split)["test"].to_dict()
    assert scores["signs"]["num_links"] == scores["weights"]["num_links"] > 0
    pairs = [[graph.ids[i] for i in pair] for pair in split.test.pos.T[:5].tolist()]
    columns = vgae.score_links(resumed, graph, pairs, interval=0.6).columns()
    assert (columns["weight_low"] < columns["weight_high"]).all()
    assert ((columns["positive"] > 0) & (columns["positive"] < 1)).all()


def signed_graph(kind):
    generator = torch.Generator().manual_seed(3)
    if kind.endswith("graphs"):
        return GraphCollection.from_graphs([random_signed(generator, 14) for _ in range(12)])
    options = {}
    if kind == "directed":
        options["directed"] = "keep"
    if kind == "two-sided":
        options["sides"] = torch.arange(40) >= 20
    return random_signed(generator, 40, **options)


def random_signed(generator, num_nodes, **options):
    u, v = torch.triu_indices(num_nodes, num_nodes, 1)
    kept = torch.rand(len(u), generator=generator) < 0.4
    if "sides" in options:
        kept &= options["sides"][u] != options["sides"][v]
    weight = torch.randn(int(kept.sum()), generator=generator)
    edges = torch.stack([u[kept], v[kept]])
    return Graph.from_edges(edges, edge_weight=weight, num_nodes=num_nodes, signed=True, **options)
