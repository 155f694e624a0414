"""Proposals by an approximate search are those of an exact one, for every kind of graph."""

import logging

import numpy as np
import pytest
import torch

import vgae
from vgae import Graph, predict_links
from vgae.decoders.gravity import GravityDecoder
from vgae.decoders.inner_product import InnerProductDecoder as Products
from vgae.decoders.source_target import SourceTargetDecoder
from vgae.evaluation.links import PairScorer
from vgae.prediction import grouped_search, searches


class Distance(Products):
    """A decoder without inner products."""

    def logits(self, z, edge_label_index):
        u, v = z[edge_label_index]
        return 1 - (u - v).square().sum(dim=1)


def scorer_of(graph, decoder, z):
    scorer = object.__new__(PairScorer)
    encoder = vgae.GCNEncoder(1, 2, 2)
    vars(scorer).update(
        model=vgae.VAE(encoder, decoder).eval(), decoder=decoder, graph=graph, edge_index=None
    )
    scorer.calibration, scorer.z = None, z
    scorer.q = vgae.gaussian.PointMass(z)
    return scorer


@pytest.fixture(params=["undirected", "directed", "two-sided"])
def graph(request):
    rng = np.random.default_rng(0)
    n = 600
    u, v = rng.integers(0, n // 2, 1500), rng.integers(n // 2, n, 1500)
    if request.param == "two-sided":
        return Graph.from_edges(np.stack([u, v]), num_nodes=n, sides=np.arange(n) >= n // 2)
    kind = "keep" if request.param == "directed" else "symmetrize"
    return Graph.from_edges(np.stack([u, v]), num_nodes=n, directed=kind, sides="none")


@pytest.fixture(params=["products", "distances"])
def scorer(request, graph):
    rng = np.random.default_rng(1)
    centres = 2 * rng.normal(size=(12, 4))
    z = centres[rng.integers(0, 12, 600)] + 0.3 * rng.normal(size=(600, 4))
    kinds = (SourceTargetDecoder, GravityDecoder) if graph.directed else (Products, Distance)
    decoder = kinds[request.param == "distances"]()
    return scorer_of(graph, decoder, torch.from_numpy(z).float())


@pytest.mark.parametrize("per_node", [True, False])
def test_a_long_search_is_approximate_unless_it_shall_be_exact(
    graph, scorer, per_node, monkeypatch, caplog
):
    exact = predict_links(scorer, graph, 4 if per_node else 300, per_node=per_node)
    assert exact.recall is None
    monkeypatch.setattr(searches, "_MOST_SECONDS", 0.0)
    monkeypatch.setattr(searches, "_FEWEST_GROUPED", 1)
    monkeypatch.setattr(grouped_search, "_FEWEST", 150)
    monkeypatch.setattr(grouped_search, "_SAMPLE", 200)
    options = {"per_node": per_node, "progress": False}
    with caplog.at_level(logging.INFO, "vgae"):
        found = predict_links(scorer, graph, 4 if per_node else 300, **options)
    assert "are searched for approximately" in caplog.text
    assert f"about {100 * found.recall:.1f} %" in caplog.text
    assert found.recall > 0.95
    assert len(found) == len(exact)
    pairs, others = ({*table.names()} for table in (found, exact))
    assert len(pairs & others) > 0.95 * len(others)
    assert torch.equal(found.rank, exact.rank)
    forced = predict_links(scorer, graph, 4 if per_node else 300, exact=True, **options)
    assert forced.names() == exact.names()
    assert forced.recall is None


def test_few_nodes_are_searched_exactly(monkeypatch):
    graph = Graph.from_edges(np.array([[0, 1], [1, 2]]), num_nodes=50)
    decoder = Products()
    scorer = scorer_of(graph, decoder, torch.arange(100.0).view(50, 2))
    monkeypatch.setattr(searches, "_MOST_SECONDS", 0.0)
    assert predict_links(scorer, graph, 2, nodes=[3, 4]).recall is None
