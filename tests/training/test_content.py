"""Tests of which models have latent dimensions of content, and of trainings with them."""

import copy
import logging
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
import torch

import vgae
from vgae.encoders.content import content_weights
from vgae.evaluation.likelihood import graph_log_marginal
from vgae.graphs.graph import Graph
from vgae.graphs.split import split_links
from vgae.models.pretrained import from_pretrained, save_pretrained
from vgae.recipes import RANKS
from vgae.training.content import content_for
from vgae.training.links import fit

SHORT = replace(RANKS, epochs=20, hidden_channels=8, latent_channels=8)


def graph_of(sbm, x, **given):
    edges = sbm.links
    return Graph.from_edges(edges, num_nodes=sbm.num_nodes, x=x, **given)


@pytest.fixture(scope="module")
def split(sbm):
    return split_links(sbm, seed=0)


@pytest.fixture(scope="module")
def trained(sbm, split):
    return fit(sbm, split, recipe=SHORT, progress=False)


def width(graph, model="vgae", recipe=SHORT, split=None):
    split = split_links(graph, seed=0) if split is None else split
    settings, weights = content_for(model, graph, split, recipe)
    assert bool(settings.content) is bool(weights)
    return settings.content


def test_it_is_of_models_with_a_gcn_and_an_inner_product_alone(sbm, split):
    widths = {name: width(sbm, name, split=split) for name in ("vgae", "gae")}
    assert widths == {"vgae": 40, "gae": 40}
    for name in ("sage", "linear-vgae", "linear-gae", "source-target-vgae", "gravity-vgae"):
        assert width(sbm, name, split=split) == 0, name
    assert width(sbm, recipe=replace(SHORT, content=16), split=split) == 16
    assert width(sbm, recipe=replace(SHORT, content=0), split=split) == 0
    assert width(sbm, recipe=replace(SHORT, reconstruct="features"), split=split) == 0


def test_it_is_of_undirected_graphs_with_known_features_that_differ(sbm, split):
    x = sbm.x.to_dense().numpy()
    assert width(graph_of(sbm, x)) == 40
    assert width(graph_of(sbm, None), split=split) == 0
    assert width(graph_of(sbm, x, directed="keep")) == 0
    assert width(graph_of(sbm, sp.csr_array(np.zeros_like(x)))) == 0
    assert width(graph_of(sbm, sp.csr_array(np.ones_like(x)))) == 0
    missing = np.where(np.random.default_rng(0).random(x.shape) < 0.1, np.nan, x)
    assert width(graph_of(sbm, missing, missing_features="impute")) == 0


def test_its_weights_are_those_of_the_training_links(sbm, split, trained):
    found = trained.model.encoder.content.state_dict()
    for name, value in content_weights(sbm.x, split.message_edge_index, 512, 6.0).items():
        assert torch.equal(found[name], value)
    recipe = replace(SHORT, content=8)
    held = torch.cat([split.val.pos, split.test.pos], dim=1)
    edges = torch.cat([split.message_edge_index, held, held.flip(0)], dim=1)
    (_, own), leaked = content_for("vgae", sbm, split, recipe), content_weights(sbm.x, edges, 8, 6)
    assert not torch.allclose(own["weight"].abs(), leaked["weight"].abs(), atol=1e-3)
    assert torch.equal(
        own["weight"], content_weights(sbm.x, split.message_edge_index, 8, 6)["weight"]
    )


def test_the_wide_embedding_is_said_evaluated_and_stored(sbm, split, caplog, tmp_path):
    caplog.set_level(logging.INFO)
    found = fit(sbm, split, recipe=SHORT, progress=False)
    said = "content: 40 fixed dimensions beside the 8 that are trained, so the embedding has 48"
    assert [m for m in caplog.messages if m.startswith(said)]
    assert not [m for m in caplog.messages if "no effect" in m]
    q = vgae.embed(found, sbm)
    assert q.mu.shape == (120, 48)
    # Validation during the training has the content too.
    best = max(row.val_auc for row in found.history if row.val_auc is not None)
    scores = vgae.evaluate(found, sbm, split)["val"].scores
    assert scores.auc == pytest.approx(best, abs=1e-6)
    save_pretrained(found.model, tmp_path / "model")
    assert torch.equal(vgae.embed(from_pretrained(tmp_path / "model"), sbm).mu, q.mu)


def test_where_it_has_no_effect_is_said(sbm, split, caplog):
    caplog.set_level(logging.INFO)
    fit(sbm, split, model="sage", recipe=SHORT.override({"epochs": 1}), progress=False)
    (said,) = [m for m in caplog.messages if "no effect" in m]
    assert "content" in said


def test_the_likelihood_is_that_of_the_trained_dimensions(sbm, trained):
    found = graph_log_marginal(trained, sbm, num_samples=4)
    without = copy.deepcopy(trained.model)
    del without.encoder.content
    assert found.elbo.allclose(graph_log_marginal(without, sbm, num_samples=4).elbo)


def test_a_training_that_was_ended_goes_on_to_the_same_bits(sbm, split, trained, tmp_path):
    half = SHORT.override({"epochs": 10})
    fit(sbm, split, recipe=half, progress=False, checkpoints=tmp_path)
    found = fit(sbm, split, recipe=SHORT, progress=False, checkpoints=tmp_path)
    wanted = trained.model.state_dict()
    assert found.model.state_dict().keys() == wanted.keys()
    for name, value in found.model.state_dict().items():
        assert torch.equal(value, wanted[name]), name


def test_new_nodes_have_content_too(sbm, trained):
    links = torch.cat([sbm.links, torch.tensor([[0, 1], [120, 121]])], dim=1)
    x = torch.cat([sbm.x.to_dense(), sbm.x.to_dense()[:2]]).numpy()
    grown = Graph.from_edges(links, num_nodes=123, x=np.vstack([x, 0 * x[:1]]))
    mu = vgae.embed(trained, grown).mu
    assert mu.shape == (123, 48)
    assert mu.isfinite().all()
    assert mu[120, :40].norm() > 1
    assert torch.equal(mu[122, :40], torch.zeros(40))
