import copy
import json
import logging
import math
import pickle
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from torch import nn

from vgae.decoders import InnerProductDecoder
from vgae.encoders import GCNEncoder
from vgae.errors import DataError, LeakageError, UsageError
from vgae.evaluation import links
from vgae.evaluation.hard_negatives import hard_negatives
from vgae.evaluation.links import (
    PairScorer,
    calibrate,
    consistent_method,
    evaluate,
    evaluate_links,
)
from vgae.evaluation.metrics import (
    link_scores,
    rank_scores,
    ranks_among,
)
from vgae.evaluation.recommendation import recommendation_scores
from vgae.evaluation.reliability import probability_scores
from vgae.gaussian import DiagGaussian
from vgae.graphs.canonical import both_directions
from vgae.graphs.graph import Graph
from vgae.graphs.split import LabelledPairs, split_links
from vgae.models.embedding import embed
from vgae.prediction.links import predict_links
from vgae.recipes import BEST, PAPER
from vgae.training.links import fit
from vgae.vae import VAE


class SeesMessages(nn.Module):
    """Encodes each node as its row of the adjacency it was given: the leak canary."""

    def forward(self, x, edge_index):
        rows = torch.zeros(len(x), len(x))
        rows[edge_index[0], edge_index[1]] = 1
        return DiagGaussian(rows, torch.zeros_like(rows))


class IsLinked(nn.Module):
    """Scores a pair 1 if messages travel between the two, else 0."""

    def logits(self, z, edge_label_index):
        return z[edge_label_index[0], edge_label_index[1]]


def test_the_leak_canary_finds_nothing(sbm):
    """A model that merely remembers which links carry messages is no better than a coin."""
    for seed in range(5):
        split = split_links(sbm, seed=seed)
        scores = evaluate(VAE(SeesMessages(), IsLinked()), sbm, split)
        assert scores["val"].auc <= 0.51
        assert scores["test"].auc <= 0.51


def test_scores_are_those_of_the_means_over_training_messages(sbm):
    split = split_links(sbm)
    model = VAE(SeesMessages(), InnerProductDecoder())
    rows = torch.zeros(120, 120)
    rows[split.message_edge_index[0], split.message_edge_index[1]] = 1
    common = (rows @ rows)[tuple(split.test.edge_label_index)]  # common neighbours
    expected = link_scores(common, split.test.edge_label)
    assert evaluate(model, sbm, split)["test"].scores == expected
    assert evaluate_links(model, sbm, split)["test"] == expected


def test_the_mode_of_the_model_changes_nothing_and_is_left_alone(sbm):
    split = split_links(sbm)

    class Noisy(InnerProductDecoder):
        def logits(self, z, edge_label_index):
            return nn.functional.dropout(super().logits(z, edge_label_index), 0.5, self.training)

    model = VAE(SeesMessages(), Noisy())
    scores = [evaluate(model.train(mode), sbm, split) for mode in (True, False)]
    assert scores[0]["test"].to_dict() == scores[1]["test"].to_dict()
    assert not model.training


def test_a_part_without_links_is_left_out(sbm):
    model = VAE(SeesMessages(), InnerProductDecoder())
    assert list(evaluate(model, sbm, split_links(sbm, val=0))) == ["test"]


def test_a_split_of_another_graph_is_refused(sbm, two_cliques):
    with pytest.raises(LeakageError, match="S12"):
        evaluate(VAE(SeesMessages(), InnerProductDecoder()), two_cliques, split_links(sbm))


@pytest.fixture(scope="module")
def trained(sbm):
    split = split_links(sbm, seed=1)
    return fit(sbm, split, recipe=replace(PAPER, epochs=30), progress=False).model, split


def test_messages_over_validation_links_change_the_test_part_alone(sbm, trained):
    """The same model is better off with more neighbours; validation must not see itself."""
    model, split = trained
    train, more = (evaluate_links(model, sbm, split, messages=m) for m in ("train", "train+val"))
    assert train["val"] == more["val"]
    assert train["test"] != more["test"]
    edges = both_directions(torch.cat([split.train, split.val.pos], dim=1))
    z = embed(model, sbm, edges).mu
    logits = model.decoder.logits(z, split.test.edge_label_index)
    assert more["test"] == link_scores(logits, split.test.edge_label)
    with pytest.raises(UsageError, match="'train' or 'train\\+val', got 'all'"):
        evaluate(model, sbm, split, messages="all")


def test_ranks_are_among_all_nodes_but_known_neighbours(sbm, trained):
    model, split = trained
    z = embed(model, sbm, split.message_edge_index).mu
    scores = z @ z.T
    known = torch.eye(120, dtype=torch.bool)
    known[sbm.edge_index[0], sbm.edge_index[1]] = True
    ranks = []
    for u, v in [*split.test.pos.T.tolist(), *split.test.pos.flip(0).T.tolist()]:
        ranks.append(1 + (scores[u] > scores[u, v])[~known[u]].sum().item())
    expected = torch.tensor(ranks, dtype=torch.float64)
    found = evaluate(model, sbm, split)["test"]
    assert found.ranks.mrr == pytest.approx((1 / expected).mean().item())
    assert found.ranks.hits_at_10 == pytest.approx((expected <= 10).double().mean().item())
    assert found.num_ranked == split.test.pos.shape[1]


def test_a_decoder_without_a_fast_way_to_all_pairs_is_ranked_alike(sbm, trained):
    model, split = trained

    class Slow(InnerProductDecoder):
        def logits(self, z, edge_label_index):
            return super().logits(z, edge_label_index)

    slow = evaluate(VAE(model.encoder, Slow()), sbm, split)["test"]
    assert slow.ranks == evaluate(model, sbm, split)["test"].ranks


def test_a_method_beside_logits_is_not_inherited_past_other_logits():
    class Other(InnerProductDecoder):
        def logits(self, z, edge_label_index):
            return -super().logits(z, edge_label_index)

    class OtherWithFactors(Other):
        def factors(self, z):
            return -z, z

    class SameLogits(OtherWithFactors):
        pass

    assert consistent_method(InnerProductDecoder(), "factors")
    assert consistent_method(InnerProductDecoder(), "logits_to_all")
    assert consistent_method(Other(), "factors") is None
    for decoder in (OtherWithFactors(), SameLogits()):
        assert consistent_method(decoder, "factors") == decoder.factors
        assert consistent_method(decoder, "logits_to_all") is None
    assert consistent_method(IsLinked(), "factors") is None
    patched = InnerProductDecoder()
    patched.logits = IsLinked().logits
    assert consistent_method(patched, "factors") is None


def test_hard_non_links_are_harder_than_any_others(sbm, trained):
    model, split = trained
    hard = evaluate(model, sbm, split, hard=20)["test"].hard
    generator = torch.Generator().manual_seed(0)
    scorer = PairScorer(model, sbm, split.message_edge_index)
    others = torch.randint(120, (len(split.test.pos[0]) * 20,), generator=generator)
    pairs = torch.stack([split.test.pos[0].repeat_interleave(20), others])
    random = ranks_among(scorer.logits(split.test.pos), scorer.logits(pairs).view(-1, 20))
    assert hard.mrr < rank_scores(random).mrr
    assert hard == evaluate(model, sbm, split, hard=20)["test"].hard
    heart = evaluate(model, sbm, split, hard="heart:20")["test"]
    assert heart.to_dict()["hard"] == {**heart.hard._asdict(), "rule": "heart"}
    assert heart.hard != hard


def test_by_the_rule_of_heart_later_links_are_unknown(sbm, trained, monkeypatch):
    model, split = trained
    known = []

    def recorded(links, *arguments, **options):
        known.append(links)
        return hard_negatives(links, *arguments, **options)

    monkeypatch.setattr("vgae.evaluation.link_parts.hard_negatives", recorded)
    evaluate(model, sbm, split, hard="heart:4")
    evaluate(model, sbm, split, hard=4)
    train, val = split.train, split.val.pos
    expected = [train, torch.cat([train, val], dim=1), sbm.links, sbm.links]
    assert all(map(torch.equal, known, expected))
    assert len(known) == 4


def test_calibration_makes_probabilities_truer_and_is_fitted_to_validation_alone(sbm, trained):
    model, split = trained
    calibration = calibrate(model, sbm, split)
    found = evaluate(model, sbm, split, calibration=calibration)["test"]
    assert found.calibrated.scores.brier < found.sigmoid.scores.brier
    assert found.calibrated.scores.ece < found.sigmoid.scores.ece
    other_test = replace(split, test=split.test._replace(neg=split.test.neg.flip(1)))
    assert calibrate(model, sbm, other_test) == calibration
    assert found.scores == evaluate(model, sbm, split)["test"].scores
    json.dumps(found.to_dict(), allow_nan=False)


def test_the_prior_of_the_graph_is_its_density(sbm, trained):
    model, split = trained
    balanced, density = (
        calibrate(model, sbm, split, prior="balanced"),
        calibrate(model, sbm, split),
    )
    assert (balanced.method, density.method) == ("platt", "spline")
    unknown = 120 * 119 / 2 - split.train.shape[1]
    share = (sbm.num_links - split.train.shape[1]) / unknown
    assert balanced.log_odds_shift == 0
    assert density.log_odds_shift == pytest.approx(math.log(share / (1 - share)))


def test_without_validation_links_there_is_nothing_to_calibrate_by(sbm, trained):
    for val, num in ((0, 0), (1.5 / sbm.num_links, 1)):
        with pytest.raises(
            DataError, match=f"needs at least 2 validation links, got {num}; split"
        ):
            calibrate(trained[0], sbm, split_links(sbm, val=val), allow_seen=True)


def test_a_split_whose_held_out_links_may_have_been_seen_is_refused(sbm, trained):
    model, other = trained[0], split_links(sbm, seed=2)
    for use in (evaluate, evaluate_links, calibrate):
        with pytest.raises(LeakageError, match="trained on other links") as caught:
            use(model, sbm, other)
        assert caught.value.code == "SPLIT_SEEN"
        assert use(model, sbm, other, allow_seen=True)
    # Other non-links, or fewer held-out links of the same training links, are no leak.
    renewed = replace(trained[1], val=trained[1].test, test=trained[1].val)
    assert evaluate_links(model, sbm, renewed)


def test_a_model_that_was_trained_on_two_splits_is_refused_on_both(sbm):
    first, second = split_links(sbm, seed=1), split_links(sbm, seed=2)
    recipe = replace(PAPER, epochs=2)
    model = VAE(GCNEncoder(sbm.num_features), InnerProductDecoder())
    initial = copy.deepcopy(model)
    fit(sbm, first, model=model, recipe=recipe, progress=False)
    evaluate_links(model, sbm, first)
    fit(sbm, second, model=model, recipe=recipe, progress=False)
    for split in (first, second):
        with pytest.raises(LeakageError, match="trained on other links"):
            evaluate_links(model, sbm, split)
    # Neither a copy nor its weights in another model forget it.
    fresh = VAE(GCNEncoder(sbm.num_features), InnerProductDecoder())
    fresh.load_state_dict(model.state_dict())
    half = VAE(GCNEncoder(sbm.num_features), InnerProductDecoder())
    half.encoder.load_state_dict(model.encoder.state_dict())
    lent = VAE(model.encoder, InnerProductDecoder(bias=True))
    failed = copy.deepcopy(model)
    with pytest.raises(RuntimeError):
        failed.load_state_dict(VAE(GCNEncoder(3), InnerProductDecoder()).state_dict())
    partly = copy.deepcopy(model)
    partly.load_state_dict(initial.decoder.state_dict(prefix="decoder."), strict=False)
    plain = copy.deepcopy(model)
    plain.load_state_dict({name: value.clone() for name, value in model.state_dict().items()})
    copies = (fresh, half, lent, failed, partly, plain, copy.deepcopy(model))
    for copied in (*copies, pickle.loads(pickle.dumps(model))):
        with pytest.raises(LeakageError, match="trained on other links"):
            evaluate_links(copied, sbm, second)
    # The initial weights have seen nothing.
    model.load_state_dict(initial.state_dict())
    fit(sbm, second, model=model, recipe=recipe, progress=False)
    assert evaluate_links(model, sbm, second)


def test_a_result_is_taken_and_an_unknown_model_is_told(sbm, trained, caplog):
    model, split = trained
    result = fit(sbm, split, recipe=replace(PAPER, epochs=1), progress=False)
    assert (
        evaluate(result, sbm, split)["test"].scores == evaluate_links(result, sbm, split)["test"]
    )
    assert calibrate(result, sbm, split).method == "spline"
    caplog.set_level(logging.INFO)
    evaluate_links(model, sbm, split)
    assert "it is not known" not in caplog.text
    evaluate_links(VAE(SeesMessages(), IsLinked()), sbm, split)
    assert "it is not known which links the model was trained on" in caplog.text


def test_intervals_hold_the_scores(sbm, trained):
    found = evaluate(trained[0], sbm, trained[1])["test"]
    for score, (low, high) in zip(found.scores, found.intervals, strict=True):
        assert low < score < high


def test_under_the_density_a_precision_is_that_among_all_unknown_pairs(sbm, trained):
    """Among as many non-links as links, no false positive may mean a hundred of them."""
    model, split = trained
    calibration = calibrate(model, sbm, split, prior="density", goal="precision=0.1")
    u, v = torch.triu_indices(120, 120, offset=1)
    known = torch.zeros(120, 120, dtype=torch.bool)
    known[split.message_edge_index[0], split.message_edge_index[1]] = True
    pairs = torch.stack([u, v])[:, ~known[u, v]]
    is_link = torch.zeros(120, 120, dtype=torch.bool)
    is_link[sbm.edge_index[0], sbm.edge_index[1]] = True
    chosen = calibration.predict(PairScorer(model, sbm, split.message_edge_index).logits(pairs))
    assert is_link[tuple(pairs[:, chosen])].double().mean() > 0.06
    with pytest.raises(UsageError, match="no threshold reaches precision"):
        calibrate(model, sbm, split, prior="density", goal="precision=1")


def test_the_prior_of_a_calibration_does_not_change_how_it_is_evaluated(sbm, trained):
    model, split = trained
    calibration = calibrate(model, sbm, split)
    shifted = replace(calibration, log_odds_shift=-4.0)
    scores = [
        evaluate(model, sbm, split, calibration=c)["test"].calibrated.scores
        for c in (calibration, shifted)
    ]
    assert scores[0] == scores[1]


@pytest.fixture(scope="module")
def own(sbm, trained):
    """That split with 60 non-links of each test link, another test link among them."""
    split = trained[1]
    u = split.test.pos[0]
    nodes = torch.arange(120)
    linked = torch.eye(120, dtype=torch.bool)
    linked[sbm.edge_index[0], sbm.edge_index[1]] = True
    neg = [torch.stack([u[i].expand(60), nodes[~linked[u[i]]][:60]]) for i in range(len(u))]
    for i in range(len(u)):
        neg[i][:, 0] = split.test.pos[:, i - 1]
    return replace(split, test=LabelledPairs(split.test.pos, torch.cat(neg, dim=1), 60))


def test_links_with_non_links_of_their_own_are_ranked_among_them(sbm, trained, own):
    found = evaluate(trained[0], sbm, own)
    test, z = found["test"], embed(trained[0], sbm, own.message_edge_index).mu
    logit = (z[own.test.pos[0]] * z[own.test.pos[1]]).sum(dim=1)
    others = (z[own.test.neg[0]] * z[own.test.neg[1]]).sum(dim=1).view(-1, 60)
    higher = (others > logit[:, None]).sum(dim=1)
    ranks = 1 + higher + (others == logit[:, None]).sum(dim=1) / 2  # mean of best and worst
    assert test.given.mrr == pytest.approx((1 / ranks).mean().item(), abs=1e-4)
    assert test.given.hits_at_10 == pytest.approx((ranks <= 10).double().mean().item(), abs=0.02)
    assert (test.num_links, test.num_non_links) == (len(logit), 60 * len(logit))
    assert test.to_dict()["given"] == test.given._asdict()
    assert (found["val"].given, found["val"].to_dict()["given"]) == (None, None)


def test_a_constant_score_gains_nothing_among_own_non_links(sbm, own):
    class Constant(nn.Module):
        def logits(self, z, edge_label_index):
            return torch.zeros(edge_label_index.shape[1])

    found = evaluate(VAE(SeesMessages(), Constant()), sbm, own)["test"]
    assert found.given.mrr == pytest.approx(1 / 31)
    assert found.auc == 0.5


def test_probabilities_are_scored_as_if_non_links_were_as_many_as_links(sbm, trained):
    """Each link nine times among as many non-links is the same as once with their weights."""
    model, split = trained
    neg = torch.cat([split.val.neg, split.test.neg], dim=1).repeat(1, 9)[:, : 9 * 10]
    few = split.test.pos[:, :10]
    unbalanced = replace(split, test=LabelledPairs(few, neg))
    calibration = calibrate(model, sbm, split, prior="balanced")
    found = evaluate(model, sbm, unbalanced, calibration=calibration)["test"]
    pairs = torch.cat([few.repeat(1, 9), neg], dim=1)
    logits = PairScorer(model, sbm, split.message_edge_index).logits(pairs)
    label = (torch.arange(180) < 90).int()
    for ours, p in (
        (found.sigmoid, logits.double().sigmoid()),
        (found.calibrated, calibration.probability(logits)),
    ):
        assert ours.scores == pytest.approx(probability_scores(p, label))


def test_a_calibration_is_fitted_to_any_number_of_non_links(sbm, trained, own):
    model, split = trained
    swapped = replace(split, val=own.test, test=split.val)
    for prior in ("balanced", "density"):
        calibration = calibrate(model, sbm, swapped, prior=prior)
        assert 0 < calibration.threshold < 1
        evaluate(model, sbm, swapped, calibration=calibration)


def test_parts_with_the_same_messages_are_embedded_once(sbm, trained, own, monkeypatch):
    seen = []
    embed = links.embed
    monkeypatch.setattr(links, "embed", lambda *given: seen.append(given) or embed(*given))
    evaluate(trained[0], sbm, own)
    assert len(seen) == 1
    scorer = PairScorer(trained[0], sbm, own.message_edge_index)
    first, again = calibrate(scorer, sbm, own), evaluate(scorer, sbm, own)
    assert len(seen) == 2
    assert first == calibrate(trained[0], sbm, own)
    assert again["test"].to_dict() == evaluate(trained[0], sbm, own)["test"].to_dict()
    evaluate(scorer, sbm, own, messages="train+val")
    assert len(seen) == 5  # of the test, with others


def test_graph_and_split_in_another_order_or_of_another_kind_are_refused(sbm, trained):
    model, split = trained[0], split_links(sbm)
    for call in (evaluate, calibrate):
        with pytest.raises(UsageError, match=r"graph must be a vgae\.Graph, got LinkSplit"):
            call(model, split, sbm)
        with pytest.raises(UsageError, match=r"got Data; .* vgae\.Graph\.from_pyg\(data\)"):
            call(model, sbm.to_pyg(), split)


@pytest.fixture(scope="module")
def shop():
    """A graph of 30 users and 45 items in three groups, its split, and a model of it."""
    rng = np.random.default_rng(0)
    likely = np.where(np.arange(30)[:, None] % 3 == np.arange(45) % 3, 0.5, 0.03)
    links = sp.csr_array(rng.random((30, 45)) < likely)
    graph = Graph.from_scipy(links, sides="columns", name="shop")
    split = split_links(graph, val=0.1, test=0.2, seed=0)
    return graph, split, fit(graph, split, recipe=replace(PAPER, epochs=30), progress=False)


def test_a_two_sided_graph_has_recommendations_scored_across(shop):
    graph, split, result = shop
    found = evaluate(result, graph, split, hard=4)
    scorer = PairScorer(result, graph, split.message_edge_index)
    for name, part in (("val", split.val), ("test", split.test)):
        users = part.pos[0].unique()
        hits = []
        for u in users.tolist():
            own = part.pos[1, part.pos[0] == u].tolist()
            linked = set(graph.links[1, graph.links[0] == u].tolist()) - set(own)
            free = [v for v in graph.grid.columns.tolist() if v not in linked]
            pairs = torch.tensor([[u] * len(free), free])
            best = {free[k] for k in scorer.logits(pairs).topk(10).indices.tolist()}
            hits.append(len(best & set(own)) / len(own))
        recommended = found[name].recommended
        assert recommended.recall_at_10 == pytest.approx(np.mean(hits))
        assert recommended.num_sources == len(users)
        assert found[name].to_dict()["recommended"]["recall_at_10"] == recommended.recall_at_10
        assert found[name].hard.mrr > 0
    assert found["test"].recommended.recall_at_20 > 0.6  # of about 43 items, 15 are of the group
    assert found["test"].auc > 0.65


def test_recommendations_beat_popularity_and_proposals_go_across():
    rng = np.random.default_rng(1)
    likely = np.where(rng.integers(3, size=(90, 1)) == rng.integers(3, size=60), 0.3, 0.02)
    likely *= np.exp(rng.normal(0, 0.5, 60))
    links = rng.random(likely.shape) < likely
    graph = Graph.from_scipy(sp.csr_array(links), sides="columns")
    split = split_links(graph, val=0.1, test=0.2, seed=1)
    result = fit(graph, split, recipe=BEST.override({"epochs": 60}), progress=False)
    found = evaluate(result, graph, split)["test"]
    counts = torch.bincount(split.train[1], minlength=graph.num_nodes).double()
    known = torch.cat([split.train, split.val.pos], dim=1)
    popular = recommendation_scores(
        lambda nodes: counts.expand(len(nodes), -1), split.test.pos, known, graph.grid
    )
    assert found.recommended.recall_at_10 > popular.recall_at_10 + 0.15
    assert found.recommended.ndcg_at_10 > popular.ndcg_at_10 + 0.1
    proposed = predict_links(result, graph, 100, per_node=False)
    assert set(graph.sides[proposed.source].tolist()) == {False}
    assert set(graph.sides[proposed.target].tolist()) == {True}


def test_the_density_of_a_two_sided_graph_is_that_of_pairs_across(shop):
    graph, split, result = shop
    found = calibrate(result, graph, split)
    held_out = graph.num_links - split.train.shape[1]
    density = held_out / (30 * 45 - split.train.shape[1])
    assert found.log_odds_shift == pytest.approx(np.log(density / (1 - density)))


def test_without_sides_there_are_no_recommendations(sbm, trained):
    result, split = trained
    assert "recommended" not in evaluate(result, sbm, split)["test"].to_dict()


def test_a_model_of_directions_scores_no_graph_without_any():
    links = [[0, 1, 2, 3, 4], [1, 2, 3, 4, 0]]
    graph = Graph.from_edges(links, directed="keep")
    split = split_links(graph, val=0, test=0)
    result = fit(graph, split, recipe=replace(PAPER, epochs=1))
    assert PairScorer(result, graph).logits(graph.links).shape == (5,)
    with pytest.raises(UsageError, match="SourceTargetDecoder predicts the direction of links"):
        PairScorer(result, Graph.from_edges(links))
