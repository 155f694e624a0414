from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from torch.distributions import Bernoulli, Normal, Poisson

import vgae
from vgae.decoders import features as module
from vgae.decoders.features import FeatureDecoder
from vgae.decoders.joint import part_decoder
from vgae.errors import UsageError
from vgae.models.pretrained import from_pretrained, save_pretrained
from vgae.recipes import BEST, PAPER

KINDS = ["bernoulli", "normal", "poisson"]
N, F, D = 23, 5, 3


def features(kind, generator):
    x = torch.rand(N, F, generator=generator)
    if kind == "normal":
        return 100 + 10 * x
    return (x < 0.4).float() if kind == "bernoulli" else (5 * x).floor()


def graph_of(x, *, gaps=True, sparse=False):
    x = x.clone()
    if gaps:
        x[::4, 1] = x[3, :] = torch.nan
    x = x.numpy()
    if sparse:
        at = np.nonzero(x)
        x = sp.coo_array((x[at], at), shape=x.shape)
    edges = np.stack([np.arange(N - 1), np.arange(1, N)])
    return vgae.Graph.from_edges(edges, x=x, missing_features="impute")


def decoder_of(graph, generator, **changes):
    recipe = replace(PAPER, latent_channels=D, reconstruct="features", **changes)
    return FeatureDecoder.from_graph(recipe, graph, vgae.split_links(graph), generator)


def reference(decoder, z):
    values = decoder.network(z)
    if decoder.likelihood == "bernoulli":
        return Bernoulli(logits=values, validate_args=False)
    if decoder.likelihood == "poisson":
        rate = decoder.column_scale * (1 + (np.e - 1) * values.exp()).log()
        return Poisson(rate, validate_args=False)
    sigma = 0.01 + decoder.log_sigma.exp()
    mean = decoder.column_mean + decoder.column_scale * values
    return Normal(mean, decoder.column_scale * sigma)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("rows", [1, 7, N])
def test_value_and_gradients_are_those_of_the_known_entries(kind, sparse, rows, generator):
    graph = graph_of(features(kind, generator), sparse=sparse)
    decoder = decoder_of(graph, generator).double()
    assert decoder.likelihood == kind
    target = decoder.prepare(graph)._replace(rows=rows)
    z = torch.randn(N, D, generator=generator, dtype=torch.float64, requires_grad=True)
    nats = 0.5 * decoder.log_prob(z, target)
    found = torch.autograd.grad(nats, [z, *decoder.parameters()])
    own = reference(decoder, z).log_prob(graph.x.to_dense().double())[graph.observed].sum() / 2
    expected = torch.autograd.grad(own, [z, *decoder.parameters()])
    torch.testing.assert_close(nats, own)
    torch.testing.assert_close(found, expected)
    with torch.no_grad():
        torch.testing.assert_close(0.5 * decoder.log_prob(z, target), own)
    decoder.requires_grad_(requires_grad=False)
    (grad,) = torch.autograd.grad(0.5 * decoder.log_prob(z, target), z)
    torch.testing.assert_close(grad, expected[0])


@pytest.mark.parametrize("sparse", [False, True])
def test_a_large_target_keeps_its_missing_entries_sparse(sparse, generator, monkeypatch):
    graph = graph_of(features("poisson", generator), sparse=sparse)
    decoder = decoder_of(graph, generator)
    z = torch.randn(N, D, generator=generator)
    dense = decoder.log_prob(z, decoder.prepare(graph))
    monkeypatch.setattr(module, "_DENSE", 1)
    target = decoder.prepare(graph)
    assert target.missing.is_sparse_csr
    assert target.x.is_sparse_csr == sparse
    torch.testing.assert_close(decoder.log_prob(z, target), dense)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_missing_has_no_effect(kind, generator):
    graph = graph_of(features(kind, generator))
    decoder = decoder_of(graph, generator)
    other = graph.x.clone()
    other[~graph.observed] = 1e3
    other = replace(graph, x=other)
    again = decoder_of(other, torch.Generator().manual_seed(0))
    same = decoder_of(graph, torch.Generator().manual_seed(0))
    z = torch.randn(N, D, generator=generator)
    assert torch.equal(
        decoder.log_prob(z, decoder.prepare(graph)), decoder.log_prob(z, decoder.prepare(other))
    )
    for ours, theirs in zip(again.state_dict().values(), same.state_dict().values(), strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("kind", KINDS)
def test_it_begins_with_the_mean_of_each_column_and_moments_are_those_of_torch(kind, generator):
    graph = graph_of(features(kind, generator))
    decoder = decoder_of(graph, generator)
    mean, _ = decoder.moments(torch.zeros(1, D))
    known = torch.where(graph.observed, graph.x, torch.nan)
    torch.testing.assert_close(mean[0], known.nanmean(0), rtol=0.1, atol=0.05)
    torch.testing.assert_close(decoder.column_mean, known.nanmean(0))
    z = torch.randn(N, D, generator=generator)
    own = reference(decoder, z)
    for ours, theirs in zip(decoder.moments(z), (own.mean, own.variance), strict=True):
        torch.testing.assert_close(ours, theirs)
    at = torch.tensor([0, 4]), torch.tensor([2, 0])
    given = decoder.nats_given(*decoder.moments(z), at, graph.x[at])
    torch.testing.assert_close(given, own.log_prob(graph.x)[at], rtol=1e-4, atol=1e-4)


def test_auto_takes_the_likelihood_that_fits():
    zeros = torch.zeros(N, F)
    assert decoder_of(graph_of(zeros, gaps=False), None).likelihood == "bernoulli"
    counts = zeros.clone()
    counts[2, 2] = 7
    assert decoder_of(graph_of(counts), None).likelihood == "poisson"
    assert decoder_of(graph_of(-counts), None).likelihood == "normal"
    assert decoder_of(graph_of(counts / 14), None).likelihood == "normal"
    assert (
        decoder_of(graph_of(counts / 14), None, feature_likelihood="bernoulli").likelihood
        == "bernoulli"
    )


@pytest.mark.parametrize("sparse", [False, True])
def test_truth_values_among_measured_columns_are_announced(sparse, generator, caplog):
    x = features("normal", generator)
    x[:, [0, 3]] = (x[:, [0, 3]] > 105).float()
    decoder_of(graph_of(x, sparse=sparse), generator)
    assert "2 of 5 columns of the features are 0/1" in caplog.text
    caplog.clear()
    decoder_of(graph_of(features("normal", generator), sparse=sparse), generator)
    assert "are 0/1" not in caplog.text


@pytest.mark.row("F18")
def test_a_likelihood_that_does_not_fit_is_refused_and_so_are_absent_features(generator):
    graph = graph_of(features("normal", generator))
    for kind in ("bernoulli", "poisson"):
        with pytest.raises(UsageError, match=r"needs .* from 100.*set feature_likelihood=normal"):
            decoder_of(graph, generator, feature_likelihood=kind)
    with pytest.raises(UsageError, match="has no features to reconstruct"):
        decoder_of(graph.without_features(), generator)
    other = graph_of(torch.ones(N, F + 1))
    with pytest.raises(UsageError, match="6 features, and the decoder was built for 5"):
        decoder_of(graph, generator).prepare(other)
    with pytest.raises(ValueError, match="likelihood must be one of"):
        FeatureDecoder(D, F, "gamma")
    with pytest.raises(ValueError, match="num_features must be an integer"):
        FeatureDecoder(D, 0, "normal")


def test_columns_of_a_large_mean_are_standardised_by_their_deviation(generator):
    """Squares in float32 would lose it."""
    years = 2020 + torch.rand(N, 1, generator=generator).expand(N, F)
    for sparse in (False, True):
        decoder = decoder_of(graph_of(years, sparse=sparse), generator)
        expected = graph_of(years).x[:, 0].double()
        known = graph_of(years).observed[:, 0]
        torch.testing.assert_close(
            decoder.column_scale[0].double(), expected[known].std(correction=0), rtol=1e-4, atol=0
        )


def test_a_constant_column_has_a_finite_density(generator):
    x = features("normal", generator)
    x[:, 2] = 1e4 / 3
    graph = graph_of(x)
    decoder = decoder_of(graph, generator)
    assert decoder.column_scale[2] == 1
    z = torch.randn(N, D, generator=generator)
    assert decoder.log_prob(z, decoder.prepare(graph)).isfinite()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("hidden", [0, 4])
def test_it_is_rebuilt_from_its_config(kind, hidden, generator):
    decoder = FeatureDecoder(D, F, kind, hidden_channels=hidden, generator=generator)
    other = FeatureDecoder(**decoder.config())
    other.load_state_dict(decoder.state_dict())
    z = torch.randn(N, D, generator=generator)
    assert torch.equal(decoder.moments(z)[0], other.moments(z)[0])
    assert other.config() == decoder.config()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("recipe", [PAPER, replace(BEST, hidden_channels=8, latent_channels=8)])
def test_a_model_trains_on_features_and_is_saved(kind, recipe, generator, tmp_path):
    graph = graph_of(features(kind, generator))
    split = vgae.split_links(graph, val=0.1, test=0.1)
    recipe = replace(recipe, epochs=20, reconstruct="features", scale_features=True)
    result = vgae.fit(graph, split, recipe=recipe, progress=False)
    save_pretrained(result.model, tmp_path / "model")
    loaded = from_pretrained(tmp_path / "model")
    z = torch.randn(N, recipe.latent_channels, generator=generator)
    ours, theirs = (part_decoder(m, "features").moments(z)[0] for m in (result.model, loaded))
    assert torch.equal(ours, theirs)
    untrained = vgae.fit(graph, split, recipe=replace(recipe, epochs=0), progress=False)
    after, before = (
        part_decoder(r.model, "features").log_prob(
            vgae.embed(r, graph, split.message_edge_index).mu,
            decoder_of(graph, None).prepare(graph),
        )
        for r in (result, untrained)
    )
    assert after > before


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sparse", [False, True])
def test_the_trivial_cost_is_that_of_the_column_means(kind, sparse, generator):
    """Of counts, the mean has half a count in one more row, as the rates at the start have."""
    graph = graph_of(features(kind, generator), sparse=sparse)
    decoder = decoder_of(graph, generator)
    target = decoder.prepare(graph)._replace(rows=5)
    mean = decoder.column_mean
    if kind == "normal":
        expected = int(graph.observed.sum()) * float(Normal(0.0, 1.0).entropy())
    else:
        x = graph.x.to_dense()
        x = torch.where(graph.observed, x, 0)
        base = Bernoulli(mean) if kind == "bernoulli" else Poisson(decoder.column_scale)
        expected = -float(base.log_prob(x)[graph.observed].sum())
    assert decoder.trivial_nats(target) == pytest.approx(expected, rel=1e-5)
