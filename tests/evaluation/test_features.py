"""Planted features: the latent vector of a node decides its links and its features."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, roc_auc_score
from torch.distributions import Normal

import vgae
from vgae.decoders.features import FeatureDecoder
from vgae.decoders.joint import JointDecoder
from vgae.errors import DataError, UsageError
from vgae.evaluation.features import evaluate_features, feature_decoder, predict_entries
from vgae.graphs.feature_split import FeatureEntries
from vgae.recipes import PAPER

N, F = 120, 12
RECIPE = replace(PAPER, reconstruct="features", epochs=150, latent_channels=4)


def planted(kind, seed=0):
    """Return a graph of two communities, whose features differ between them."""
    generator = torch.Generator().manual_seed(seed)
    side = (torch.arange(N) % 2).float()
    p = torch.where(side[:, None] == side, 0.2, 0.01).triu(1)
    links = torch.bernoulli(p, generator=generator).nonzero().T
    sign = (torch.arange(F) % 2 * 2 - 1).float()
    level = (2 * side - 1)[:, None] * sign
    noise = torch.randn(N, F, generator=generator)
    if kind == "normal":
        x = 2 + level + 0.5 * noise
    elif kind == "bernoulli":
        x = (torch.rand(N, F, generator=generator) < (0.5 + 0.4 * level)).float()
    else:
        x = torch.poisson((1 + level).exp(), generator=generator)
    return vgae.Graph.from_edges(links, x=x, sides="none")


@pytest.fixture(scope="module")
def trained():
    found = {}
    for kind in ("bernoulli", "normal", "poisson"):
        hidden = vgae.split_features(planted(kind), test=0.3)
        split = vgae.split_links(hidden.graph, seed=0)
        found[kind] = hidden, split, vgae.fit(hidden.graph, split, recipe=RECIPE, progress=False)
    return found


def of_means(hidden):
    known = torch.where(hidden.graph.observed, hidden.graph.x, torch.nan)
    return known.nanmean(0)[hidden.test.columns], known


def test_bernoulli_entries_beat_column_means_and_have_the_scores_of_sklearn(trained):
    hidden, split, result = trained["bernoulli"]
    test = hidden.test
    scores = evaluate_features(result, hidden.graph, test, edge_index=split.message_edge_index)
    mean, _ = of_means(hidden)
    base = torch.distributions.Bernoulli(mean).log_prob(test.values).mean()
    assert scores.auc > roc_auc_score(test.values, mean) + 0.2
    assert scores.log_likelihood > base + 0.1
    given = {"edge_index": split.message_edge_index}
    found = predict_entries(result, hidden.graph, test.rows, test.columns, **given)
    assert scores.auc == pytest.approx(roc_auc_score(test.values, found.mean))
    assert scores.ap == pytest.approx(average_precision_score(test.values, found.mean))
    assert set(scores.to_dict()) == {
        *("likelihood", "num_entries", "log_likelihood", "auc", "ap", "rmse"),
    }


def test_normal_entries_beat_column_means_and_their_intervals_cover(trained):
    hidden, split, result = trained["normal"]
    test = hidden.test
    scores = evaluate_features(result, hidden.graph, test, edge_index=split.message_edge_index)
    mean, known = of_means(hidden)
    std = torch.where(known.isnan(), torch.nan, (known - known.nanmean(0)) ** 2).nanmean(0).sqrt()
    base = Normal(mean, std[test.columns]).log_prob(test.values).mean()
    assert scores.rmse < 0.8 * float((mean - test.values).square().mean().sqrt())
    assert scores.log_likelihood > base + 0.2
    assert 0.7 < scores.coverage < 0.92
    assert scores.auc is None


def test_counts_beat_column_means(trained):
    hidden, split, result = trained["poisson"]
    test = hidden.test
    scores = evaluate_features(result, hidden.graph, test, edge_index=split.message_edge_index)
    mean, _ = of_means(hidden)
    base = 2 * (torch.xlogy(test.values, test.values / mean) - test.values + mean).mean()
    assert scores.deviance < 0.8 * base
    assert scores.coverage is None


def test_mean_and_deviation_are_those_of_the_mixture_over_samples(trained):
    hidden, _, result = trained["normal"]
    rows, columns = torch.tensor([0, 0, 7, 119]), torch.tensor([3, 5, 0, 11])
    x = torch.tensor([1.0, 2.0, 3.0, 0.0])
    given = {"values": x, "samples": 5, "seed": 3}
    found = predict_entries(result, hidden.graph, rows, columns, **given)
    generator = vgae.runtime.streams.stream(3, "sample")
    q, decoder = vgae.embed(result, hidden.graph), feature_decoder(result)
    with torch.no_grad():
        draws = [decoder.moments(q.rsample(generator)) for _ in range(5)]
    mean = torch.stack([m[rows, columns] for m, _ in draws]).double()
    var = torch.stack([v[rows, columns] for _, v in draws]).double()
    torch.testing.assert_close(found.mean.double(), mean.mean(0), rtol=1e-5, atol=1e-5)
    std = (var.mean(0) + mean.var(0, correction=0)).sqrt()
    torch.testing.assert_close(found.std.double(), std, rtol=1e-4, atol=1e-5)
    nats = Normal(mean, var.sqrt()).log_prob(x.double()).logsumexp(0) - np.log(5)
    torch.testing.assert_close(found.log_likelihood, nats, rtol=1e-4, atol=1e-4)


def test_blocks_of_rows_change_nothing(trained, monkeypatch):
    hidden, _, result = trained["bernoulli"]
    test = hidden.test
    whole = predict_entries(result, hidden.graph, test.rows, test.columns, samples=2)
    monkeypatch.setattr("vgae.evaluation.features._VALUES_AT_ONCE", 50)
    parts = predict_entries(result, hidden.graph, test.rows, test.columns, samples=2)
    torch.testing.assert_close(whole.mean, parts.mean)


@pytest.mark.row("F18")
def test_what_an_encoder_receives_is_not_scored(trained):
    hidden, _, result = trained["bernoulli"]
    with pytest.raises(
        DataError, match=r"432 of 432 held-out features are known.*node 0"
    ) as error:
        evaluate_features(result, planted("bernoulli"), hidden.test)
    assert error.value.code == "FEATURES_SEEN"
    none = FeatureEntries(*(part[:0] for part in hidden.test))
    with pytest.raises(DataError, match="no held-out entries"):
        evaluate_features(result, hidden.graph, none)


def test_a_model_that_was_trained_on_the_held_out_entries_is_refused(trained, caplog):
    hidden, split, _ = trained["bernoulli"]
    graph = planted("bernoulli")
    seen = vgae.fit(graph, split, recipe=replace(RECIPE, epochs=1))
    with pytest.raises(DataError, match="with the held-out features"):
        evaluate_features(seen, hidden.graph, hidden.test)
    other = vgae.split_features(graph, test=0.1, seed=1)
    evaluate_features(trained["bernoulli"][2], other.graph, other.test, samples=1)
    assert "trained on other features" in caplog.text


def test_a_canary_in_a_held_out_entry_changes_neither_weights_nor_scores():
    """An entry that holds a huge value before it is held out leaves no trace."""
    graph = planted("normal")
    hidden = vgae.split_features(graph, test=0.3)
    x = graph.x.clone()
    x[hidden.test.rows, hidden.test.columns] = 1e6
    again = vgae.split_features(replace(graph, x=x), test=0.3)
    split = vgae.split_links(graph, seed=0)
    recipe = replace(RECIPE, epochs=3)
    ours, theirs = (
        vgae.fit(part.graph, split, recipe=recipe, progress=False).model.state_dict()
        for part in (hidden, again)
    )
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())


def test_models_without_features_as_target_are_refused(trained):
    hidden, split, result = trained["bernoulli"]
    alone = vgae.fit(hidden.graph, split, recipe=replace(PAPER, epochs=1), progress=False)
    with pytest.raises(UsageError, match="--reconstruct features"):
        evaluate_features(alone, hidden.graph, hidden.test)
    with pytest.raises(UsageError, match="samples must be an integer"):
        evaluate_features(result, hidden.graph, hidden.test, samples=0)


def test_a_model_of_features_alone_is_scored_too():
    hidden = vgae.split_features(planted("bernoulli"), test=0.2)
    decoder = FeatureDecoder(4, F, "bernoulli", generator=torch.Generator().manual_seed(0))
    joint = JointDecoder(vgae.InnerProductDecoder(), {"features": decoder})
    model = vgae.VAE(vgae.GCNEncoder(F, latent_channels=4), joint)
    scores = evaluate_features(model, hidden.graph, hidden.test, samples=2)
    assert 0.2 < scores.auc < 0.8
