"""Trainings whose nodes are divided among processes: the same result as of one process."""

import logging
from dataclasses import replace

import numpy as np
import pytest
import torch

from vgae.decoders import InnerProductDecoder
from vgae.encoders import GCNEncoder, LinearGCNEncoder
from vgae.errors import UsageError
from vgae.graphs.graph import Graph
from vgae.graphs.split import split_links
from vgae.models.graphs import build_model
from vgae.recipes import BEST, PAPER, RANKS
from vgae.runtime.devices import Compute
from vgae.runtime.processes import Team
from vgae.training import rows
from vgae.training.links import fit, prepare
from vgae.training.plan import plan_training
from vgae.vae import VAE

N = 60


def graph_of(kind):
    """Return a graph of two communities with the features that a case is about."""
    random = np.random.default_rng(0)
    side = np.arange(N) % 2
    chance = np.where(side[:, None] == side, 0.3, 0.05)
    edges = np.argwhere(np.triu(random.random((N, N)) < chance, 1)).T
    x = np.eye(2, dtype=np.float32)[side] + random.random((N, 2)) > 0.8
    x = np.concatenate([x, random.random((N, 12)) < 0.2], axis=1).astype(np.float32)
    weight = 1.0 + random.random(edges.shape[1]) if kind == "weighted" else None
    x = x * random.random(x.shape).astype(np.float32) if kind in ("dense", "weighted") else x
    graph = Graph.from_edges(edges, x=None if kind == "none" else x, edge_weight=weight)
    return replace(graph, x=graph.x.to_dense()) if kind in ("dense", "weighted") else graph


SHORT = {"epochs": 6, "eval_every": 3}
CASES = {
    "dense": ("vgae", replace(PAPER, pairs="sampled", **SHORT)),
    "sparse": ("vgae", replace(BEST, hidden_channels=8, latent_channels=8, **SHORT)),
    "content": ("vgae", replace(RANKS, hidden_channels=8, latent_channels=8, content=6, **SHORT)),
    "none": ("vgae", replace(BEST, hidden_channels=8, latent_channels=8, **SHORT)),
    "weighted": ("gae", replace(BEST, weighted=True, hidden_channels=8, mask=0.5, **SHORT)),
    "linear": ("linear-vgae", replace(PAPER, positions=4, feature_dropout=0.3, **SHORT)),
}


def own_model(kind, graph):
    """Return a float64 model of one's own."""
    generator = torch.Generator().manual_seed(0)
    given = {"generator": generator, "dropout": (0.3, 0.2), "degrees": True, "bias": True}
    if kind == "linear":
        given["dropout"] = 0.3
        encoder = LinearGCNEncoder(graph.num_features or N, 6, **given)
    else:
        encoder = GCNEncoder(graph.num_features or N, 10, 6, latent_norm=2.0, **given)
    return VAE(encoder, InnerProductDecoder(pairs="sampled")).double()


def trained(partition):
    """Return the scores and the weights of each case."""
    found = {}
    for kind, (model, recipe) in CASES.items():
        graph = graph_of(kind)
        split = split_links(graph, seed=0)
        device = Compute("cpu", partition=partition)
        given = {"model": model, "recipe": recipe, "seed": 1, "device": device}
        assert (prepare(graph, split, **given).problem.summed is not None) is bool(partition)
        result = fit(graph, split, **given)
        history = [[value or 0.0 for value in row] for row in result.history]
        own = own_model(kind, graph)
        recipe = replace(PAPER, mask=recipe.mask, **SHORT)
        own = fit(graph, split, model=own, recipe=recipe, seed=1, device=device)
        found[kind] = history, result.health, own.last
    return found


@pytest.fixture(scope="module")
def one():
    return trained(None)


@pytest.mark.parametrize("size", [2, 3])
def test_nodes_divided_among_processes_train_to_the_result_of_one(together, one, size):
    for found in together(size, trained, True):
        for kind, (history, health, weights) in one.items():
            for given, wanted in zip(found[kind][0], history, strict=True):
                assert given == pytest.approx(wanted, rel=1e-4), kind
            assert found[kind][1] == health, kind
            for name, value in weights.items():
                torch.testing.assert_close(found[kind][2][name], value, rtol=1e-6, atol=1e-8)


@pytest.fixture
def two(monkeypatch):
    """Decisions of one of two processes that do not exist."""
    us = Team(0, 2)
    monkeypatch.setattr(us, "agreed", bool)
    monkeypatch.setattr(rows, "team", lambda: us)


@pytest.mark.usefixtures("two")
def test_nodes_are_divided_where_pairs_are_sampled_or_memory_lacks(caplog, monkeypatch):
    monkeypatch.setattr("vgae.training.plan.in_use", lambda: 0)
    caplog.set_level(logging.INFO)
    graph = graph_of("dense")
    split = split_links(graph, seed=0)
    sampled = replace(PAPER, pairs="sampled")
    options = {"parts": 2, "partition": None}

    def division(recipe, **given):
        given = options | given
        model = build_model("vgae", graph.num_features, recipe, torch.Generator())
        links = split.train.shape[1]
        plan = plan_training(graph, links, [32, 32], recipe, torch.device("cpu"), **given)
        del given["max_bytes"]
        return rows.rows_for(model, graph, split, plan, **given), caplog.messages[-1]

    found, why = division(sampled, max_bytes=10**9)
    assert len(found.own) in range(20, 40)
    assert found.count == N
    assert why == "nodes are divided among the 2 processes: the pairs are sampled"
    found, why = division(replace(PAPER, pairs="exact"), max_bytes=10**9)
    assert found is None
    assert why.startswith("nodes are not divided among the processes: the sum over all pairs")
    found, why = division(replace(PAPER, pairs="exact"), max_bytes=10**9, partition=True)
    assert found.count == N
    assert why.endswith("partition is set")
    assert division(sampled, max_bytes=10**9, parts=1)[0] is None
    whole = plan_training(
        graph, split.train.shape[1], [32, 32], replace(PAPER, pairs="exact"), torch.device("cpu")
    )
    found, why = division(replace(PAPER, pairs="exact"), max_bytes=whole.num_bytes - 1)
    assert found.count == N
    assert why.endswith("the memory of one process does not suffice")


@pytest.mark.row("R27")
@pytest.mark.usefixtures("two")
def test_nodes_that_cannot_be_divided_are_refused_or_a_line_says_so(caplog):
    caplog.set_level(logging.INFO)
    graph = graph_of("dense")
    few = Graph.from_edges(np.array([[0], [0]]), num_nodes=1)
    own = VAE(type("Own", (GCNEncoder,), {})(3, 4, 2), InnerProductDecoder())
    for model, given in (("sage", graph), ("source-target-vgae", graph), (own, graph)):
        with pytest.raises(UsageError, match="encodes all nodes at once; GCNEncoder and") as found:
            rows.possible_parts(model, given, partition=True)
        assert found.value.code == "PARTITION"
    with pytest.raises(UsageError, match="has 1 nodes, fewer than the 2 processes; leave parti"):
        rows.possible_parts("gae", few, partition=True)
    assert rows.possible_parts("sage", graph, partition=None) == 1
    assert "nodes are not divided among the processes: SAGEEncoder" in caplog.text
    assert rows.possible_parts("linear-gae", graph, partition=False) == 1
    assert rows.possible_parts("linear-gae", graph, partition=None) == 2


def test_one_process_has_nothing_to_divide():
    assert rows.possible_parts("sage", graph_of("none"), partition=True) == 1
