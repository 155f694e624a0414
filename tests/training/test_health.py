"""Trainings that fail end with one finding that names the setting; healthy ones with none."""

import logging
from dataclasses import replace

import networkx as nx
import numpy as np
import pytest
import torch
from torch import nn

import vgae
from vgae import Graph, fit, fit_images, split_links
from vgae.errors import NumericalError, ResourceError
from vgae.gaussian import DiagGaussian, PointMass
from vgae.graphs.grid import DirectedGrid, Grid, TwoSidedGrid
from vgae.recipes import BEST, PAPER
from vgae.recipes.images import IWAE50, KERAS2D, KINGMA2013, SMALL2D
from vgae.training import health, links
from vgae.training.health import collapse, constant_embedding, loss_finding
from vgae.training.history import HistoryRow
from vgae.training.links import prepare

SCALE = "--set scale_features=true (Python: recipe.override({'scale_features': True}))"
WITHOUT = "--features none (Python: graph.without_features())"


def trained(graph, recipe=PAPER, *, model="vgae", seed=0, **changes):
    split = split_links(graph, seed=seed)
    options = {"recipe": recipe.override(changes), "seed": seed, "device": "cpu"}
    return fit(graph, split, model=model, progress=False, **options)


@pytest.fixture(scope="module")
def stdlib():
    return vgae.load_dataset("stdlib")


@pytest.fixture(scope="module")
def noise():
    """300 nodes in ten communities, whose features say nothing about them."""
    rng = np.random.default_rng(0)
    community = np.arange(300) // 30
    chance = np.where(community[:, None] == community, 0.3, 0.002)
    edges = np.nonzero(np.triu(rng.random((300, 300)) < chance, k=1))
    return Graph.from_edges(np.stack(edges), x=rng.normal(size=(300, 2)), name="noise")


@pytest.fixture(scope="module")
def digits():
    return vgae.load_images("digits")


@pytest.mark.parametrize("model", ["vgae", "gae", "linear-vgae"])
@pytest.mark.parametrize("features", [True, False])
def test_a_healthy_training_has_no_finding(stdlib, sbm, model, features):
    for graph in (stdlib, sbm):
        graph = graph if features else graph.without_features()
        assert trained(graph, model=model).health == ()


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("model", ["vgae", "gae"])
def test_best_has_no_finding_on_small_graphs(sbm, model, seed):
    karate = Graph.from_networkx(nx.karate_club_graph())
    for graph in (sbm, sbm.without_features(), karate):
        assert trained(graph, BEST, model=model, seed=seed, epochs=60).health == ()
    assert trained(karate, model=model, seed=seed).health == ()


@pytest.mark.parametrize(
    ("recipe", "model", "epochs"),
    [
        (KERAS2D, "vae", 3),
        (KINGMA2013, "vae", 12),
        (SMALL2D, "ae", 30),
        (SMALL2D, "vae", 30),
        (IWAE50, "vae", 65),
    ],
)
def test_a_healthy_training_on_images_has_no_finding(digits, recipe, model, epochs):
    recipe = recipe.override({"epochs": epochs})
    assert fit_images(digits, recipe=recipe, model=model, progress=False).health == ()


@pytest.mark.parametrize("recipe", [PAPER, BEST])
@pytest.mark.parametrize("value", [0.0, 1.0])
@pytest.mark.parametrize("sparse", [False, True])
def test_features_that_are_the_same_for_all_nodes(sbm, recipe, value, sparse):
    x = torch.full((120, 3), value)
    graph = replace(sbm, x=x.to_sparse_csr() if sparse else x, feature_names=())
    (found,) = trained(graph, recipe, epochs=20).health
    assert found.startswith(f"all features are {'the same for all nodes' if value else '0'};")
    assert WITHOUT in found


def test_columns_of_very_different_scales(sbm):
    x = sbm.x.clone()
    x[:, 0] *= 1e-4
    assert trained(replace(sbm, x=x)).health == ()  # one column is ignored
    x[:, 1] *= 20
    found = trained(replace(sbm, x=x)).health
    assert any("columns of features differ by a factor of 200,000" in f for f in found)
    assert SCALE in found[0]
    assert trained(replace(sbm, x=x), scale_features=True).health == ()


def test_features_of_a_large_scale(sbm):
    first, *_ = trained(replace(sbm, x=30 * sbm.x)).health
    assert "the loss reached" in first
    assert SCALE in first
    assert "--recipe best (Python: recipe=BEST)" in first


@pytest.mark.parametrize("scale", [1e-6, 1e-2])
def test_features_of_a_small_scale(sbm, scale):
    graph = replace(sbm, x=scale * sbm.x)
    (found,) = trained(graph, epochs=20).health
    assert found.startswith(f"the largest value of the features is {scale:.2g}, where 1 is usual;")
    assert SCALE in found
    assert trained(graph, scale_features=True).health == ()


def test_one_cause_gets_one_advice(noise):
    (found,) = trained(replace(noise, x=30 * noise.x)).health
    assert SCALE in found
    assert "lr" not in found


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("model", ["vgae", "gae"])
def test_very_small_graphs_have_no_finding(model, seed):
    graphs = (nx.path_graph(3), nx.star_graph(5), nx.path_graph(8), nx.florentine_families_graph())
    for small in graphs:
        graph = Graph.from_networkx(small)
        split = split_links(graph, val=0, test=0, seed=seed)
        options = {"recipe": PAPER.override({"epochs": 20}), "seed": seed, "device": "cpu"}
        assert fit(graph, split, model=model, progress=False, **options).health == ()


def test_nodes_of_a_complete_graph_cannot_be_distinguished():
    graph = Graph.from_networkx(nx.complete_graph(5))
    split = split_links(graph, val=0, test=0)
    options = {"recipe": PAPER.override({"epochs": 20}), "device": "cpu"}
    (found,) = fit(graph, split, progress=False, **options).health
    assert "the nodes cannot be distinguished: each is linked to all others" in found
    assert "lr" not in found


@pytest.mark.parametrize("links", [nx.star_graph(400), nx.complete_bipartite_graph(20, 25)])
def test_links_that_an_inner_product_cannot_express(links):
    (found,) = trained(Graph.from_networkx(links, sides="none")).health
    assert "below chance (50): the inner product" in found
    assert "let half of the dimensions repel: --set repel=8" in found


def test_a_large_learning_rate_is_named_where_the_features_are_not_large(sbm):
    found = trained(sbm, lr=2.0).health
    assert any("the loss reached" in finding for finding in found)
    for finding in found:
        assert "a smaller lr (now 2.0), such as --set lr=0.2 (Python: recipe.override(" in finding
        assert "scale" not in finding


def test_divergence_names_the_settings_that_work(sbm):
    salary = torch.linspace(2e4, 1e5, 120)[:, None]
    graph = replace(sbm, x=salary, feature_names=())
    with pytest.raises(NumericalError) as error:
        trained(graph)
    for words in (SCALE, "--recipe best", "a smaller lr (now 0.01)"):
        assert words in str(error.value)
    assert trained(graph, scale_features=True, epochs=2).history


def test_a_posterior_that_collapses(sbm):
    (found,) = trained(sbm, beta=1e4).health
    assert "0 of 16 latent dimensions are active; try a smaller beta (now 10000)" in found
    assert "--set beta=1 (Python: recipe.override({'beta': 1}))" in found
    for word in ("lr", "warmup"):
        assert word not in found


def test_a_learning_rate_that_is_too_small(sbm, digits):
    (found,) = trained(sbm, lr=1e-8).health
    assert "the loss did not fall" in found
    assert "--set lr=0.01 " in found
    recipe = SMALL2D.override({"epochs": 10, "lr": 1e-9})
    assert "--set lr=0.001 " in fit_images(digits, recipe=recipe, progress=False).health[0]


def test_a_training_that_ends_too_early(stdlib):
    (found,) = trained(stdlib, lr=1e-4).health
    assert "the loss is still falling: from " in found
    assert "more epochs, such as --set epochs=1000 " in found
    assert "a larger lr (now 0.0001), such as --set lr=0.01 " in found


def test_images_collapse_too(digits):
    recipe = SMALL2D.override({"epochs": 12, "beta": 50.0})
    (found,) = fit_images(digits, recipe=recipe, progress=False).health
    assert "0 of 2 latent dimensions are active" in found


def test_equal_images_are_named():
    black = vgae.Images.from_arrays(np.zeros((40, 1, 4, 4), dtype=np.float32))
    recipe = SMALL2D.override({"epochs": 2})
    (found,) = fit_images(black, recipe=recipe, progress=False).health
    assert "all images are the same" in found


def test_features_that_harm_are_compared_with_none(noise, caplog):
    caplog.set_level(logging.INFO)
    result = trained(noise)
    (found,) = result.health
    assert found.startswith("the validation AUC is ")
    assert f"without features; train without them: {WITHOUT}" in found
    assert [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING] == [found]


def test_the_check_changes_neither_weights_nor_random_streams(noise):
    split = split_links(noise)
    state = torch.get_rng_state()
    plain = replace(prepare(noise, split, recipe=PAPER), health=None).train(progress=False)
    checked = prepare(noise, split, recipe=PAPER).train(progress=False)
    assert checked.health
    assert plain.health == ()
    assert checked.history == plain.history
    for name, value in plain.last.items():
        assert torch.equal(value, checked.last[name])
        assert torch.equal(value, checked.model.state_dict()[name])
    assert torch.equal(torch.get_rng_state(), state)
    assert not checked.model.training


def test_a_long_training_is_not_repeated(noise, monkeypatch):
    monkeypatch.setattr("vgae.training.health._RETRAINED_SECONDS", 0.0)
    assert not any("without features" in finding for finding in trained(noise).health)


def test_a_comparison_that_fails_is_left_out(noise, monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    first = prepare(noise, split_links(noise))

    def no_memory(*_, **__):
        raise ResourceError("MEMORY", "too little.")

    monkeypatch.setattr(links, "prepare", no_memory)
    assert not any("without features" in finding for finding in first.train(progress=False).health)
    assert "the training without features failed" in caplog.text


@pytest.mark.parametrize(
    ("epochs", "advice"),
    [
        (5, "train for more epochs: --set epochs=200 "),
        (60, "try --recipe best (Python: recipe=BEST)"),
    ],
)
def test_links_without_a_pattern_are_predicted_no_better_than_chance(epochs, advice):
    rng = np.random.default_rng(0)
    edges = np.stack(np.nonzero(np.triu(rng.random((200, 200)) < 0.1, k=1)))
    graph = Graph.from_edges(edges, x=rng.normal(size=(200, 3)))
    (found,) = trained(graph, epochs=epochs).health
    assert f"hardly better than chance (50); {advice}" in found


def test_few_validation_links_are_no_evidence(sbm):
    split = split_links(sbm, val=0.02)
    assert split.val.pos.shape[1] < 20
    assert fit(sbm, split, recipe=PAPER.override({"epochs": 1}), progress=False).health == ()


class Own(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(40, 8)

    def forward(self, x, edge_index):
        return PointMass(self.linear(x))


def test_a_model_of_your_own_is_checked_without_a_second_training(sbm):
    split = split_links(sbm)
    model = vgae.VAE(Own(), vgae.InnerProductDecoder())
    graph = replace(sbm, x=100 * sbm.x)
    result = fit(graph, split, model=model, recipe=PAPER.override({"epochs": 60}), progress=False)
    assert "divide each column of the features by its largest value" in result.health[0]
    assert trained(sbm, epochs=0).health == ()


def history(*losses):
    return [HistoryRow(i, loss, loss, 0.0) for i, loss in enumerate(losses, start=1)]


@pytest.mark.parametrize("sign", [0.0, -500.0])
def test_a_loss_that_falls_is_healthy_wherever_zero_is(sign):
    rng = np.random.default_rng(0)
    falling = sign + 100 * np.exp(-np.arange(50) / 10) + rng.normal(size=50)
    rising = falling + np.concatenate([np.zeros(25), np.linspace(0, 80, 25)])
    assert loss_finding(history(*falling), PAPER, is_new=True) is None
    assert "the loss rose from" in (loss_finding(history(*rising), PAPER, is_new=True) or "")


def test_noise_hides_neither_a_fall_nor_that_there_is_none():
    rng = np.random.default_rng(0)

    def count(loss):
        noisy = (history(*(loss + rng.normal(scale=0.1, size=60))) for _ in range(200))
        found = [loss_finding(rows, PAPER, is_new=True) or "" for rows in noisy]
        return sum("did not fall" in finding for finding in found)

    assert count(np.full(60, 3.0)) > 190
    assert count(np.linspace(3.2, 2.9, 60)) < 10  # one tenth against another: every fifth


def test_a_loss_may_rise_in_the_warm_up_and_be_flat_for_trained_weights():
    rises = [*np.linspace(10, 20, 30), *np.linspace(20, 18, 60)]
    warm = PAPER.override({"warmup": 30})
    assert "rose" in (loss_finding(history(*rises), PAPER, is_new=True) or "")
    assert loss_finding(history(*rises), warm, is_new=True) is None
    flat = history(*[1.0] * 50)
    assert "did not fall" in (loss_finding(flat, PAPER, is_new=True) or "")
    assert loss_finding(flat, PAPER, is_new=False) is None
    assert loss_finding(flat[:9], PAPER, is_new=True) is None


def test_only_a_posterior_that_equals_the_prior_has_collapsed():
    mu = torch.zeros(50, 16)
    assert collapse(DiagGaussian(mu, torch.zeros(50, 16)), PAPER, 100)
    assert collapse(PointMass(mu), PAPER, 100) is None
    assert collapse(DiagGaussian(mu, torch.full((50, 16), -4.0)), BEST, 100) is None
    assert collapse(DiagGaussian(mu, torch.zeros(50, 16)), PAPER, 5) is None
    mu[:25, :2] = 1.0
    assert collapse(DiagGaussian(mu, torch.zeros(50, 16)), PAPER, 100) is None


def test_an_embedding_is_constant_up_to_rounding():
    mu = torch.ones(10, 3)
    assert "the same everywhere" in (constant_embedding(mu, PAPER) or "")
    assert "0 everywhere" in (constant_embedding(0 * mu, PAPER) or "")
    strong = PAPER.override({"weight_decay": 1.0})
    assert "a smaller weight_decay (now 1)" in (constant_embedding(mu, strong) or "")
    mu[0, 0] = 1.001
    assert constant_embedding(mu, PAPER) is None
    assert constant_embedding(mu[:1], PAPER) is None


def test_a_loss_may_still_fall_where_patience_ended_the_training():
    falling, recipe = history(*np.linspace(10, 5, 100)), PAPER.override({"epochs": 100})
    assert "still falling" in (loss_finding(falling, recipe, is_new=True) or "")
    assert loss_finding(falling, recipe, is_new=False) is None
    assert loss_finding(falling, PAPER, is_new=True) is None


def test_the_noise_of_single_epochs_is_no_rise():
    noisy = 1 + np.random.default_rng(0).normal(size=50)
    assert "rose" not in (loss_finding(history(0.5, *noisy), PAPER, is_new=True) or "")


@pytest.mark.parametrize("kind", ["undirected", "directed", "two-sided"])
def test_simple_scores_follow_the_kind_of_the_graph(kind, generator):
    sides = torch.arange(30) >= 12
    grids = {
        "undirected": Grid(30),
        "directed": DirectedGrid(30),
        "two-sided": TwoSidedGrid(sides),
    }
    grid = grids[kind]
    links = grid.pairs(torch.randperm(grid.num_pairs, generator=generator)[:100].sort().values)
    options = {"undirected": {"sides": "none"}, "directed": {"directed": "keep"}}
    graph = Graph.from_edges(links, num_nodes=30, **options.get(kind, {"sides": sides}))
    split = split_links(graph, val=0.2, test=0)
    dense = torch.zeros(30, 30, dtype=torch.float64)
    dense[split.train[0], split.train[1]] = 1
    if kind != "directed":
        dense = dense + dense.T
    u, v = split.val.edge_label_index
    degrees, paths = health._simple_scores(split)
    assert torch.equal(degrees, dense.sum(1)[u] * dense.sum(0)[v])
    two, three = dense @ dense, dense @ dense @ dense
    assert torch.allclose(paths, (two + 0.1 * three)[u, v])
    assert bool((two[u, v] == 0).all()) == (kind == "two-sided")
