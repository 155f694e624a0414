"""Tests of the scores of a part of a split in a collection: all within graphs."""

import logging
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from vgae import Graph, GraphCollection, evaluate, split_links
from vgae.errors import DataError
from vgae.evaluation import link_parts
from vgae.evaluation.links import PairScorer
from vgae.evaluation.ranking import link_ranks
from vgae.models.graphs import build_model
from vgae.recipes import Recipe
from vgae.report.text import link_scores_text
from vgae.runtime.streams import stream

SIZES = (30, 4, 600, 25, 40)


def random_graph(n: int, rng: np.random.Generator) -> Graph:
    u, v = np.triu_indices(n, 1)
    linked = rng.random(len(u)) < 6 / n
    return Graph.from_edges(
        np.stack([u, v])[:, linked], num_nodes=n, x=rng.normal(size=(n, 5)).astype(np.float32)
    )


@pytest.fixture(scope="module")
def graphs():
    rng = np.random.default_rng(0)
    return GraphCollection.from_graphs([random_graph(n, rng) for n in SIZES])


@pytest.fixture(scope="module")
def split(graphs):
    return split_links(graphs, val=0.1, test=0.2, seed=0)


@pytest.fixture(scope="module")
def model():
    return build_model("vgae", 5, Recipe(name="x"), stream(0, "init"))


def test_scores_and_ranks_are_those_within_graphs(model, graphs, split):
    found = evaluate(model, graphs, split)["test"]
    scorer = PairScorer(model, graphs, split.message_edge_index)
    pos, ranks, auc = split.test.pos, [], []
    for g, (first, size) in enumerate(zip(graphs.grid.ptr.tolist(), SIZES, strict=False)):
        z = scorer.z[first : first + size]
        own = [links[:, graphs.batch[links[0]] == g] - first for links in (pos, split.test.neg)]
        logits = [(z[pairs[0]] * z[pairs[1]]).sum(dim=1) for pairs in own]
        scores = lambda nodes, z=z: z[nodes] @ z.T  # noqa: E731
        ranks.append(link_ranks(scores, own[0], graphs[g].links, size).flatten())
        if all(map(len, logits)):
            label = [1] * len(logits[0]) + [0] * len(logits[1])
            auc.append(roc_auc_score(label, torch.cat(logits)))
    reciprocal = (1 / torch.cat(ranks)).mean()
    assert found.ranks.mrr == pytest.approx(float(reciprocal), abs=1e-9)
    assert found.per_graph is not None
    assert found.per_graph.auc == pytest.approx(np.mean(auc), abs=1e-6)
    assert found.per_graph.num_graphs == len(auc)
    assert found.to_dict()["auc_per_graph"] == found.per_graph.auc
    logits = scorer.logits(split.test.edge_label_index)
    assert found.auc == pytest.approx(roc_auc_score(split.test.edge_label, logits), abs=1e-9)


def test_one_graph_has_no_averages(model, graphs):
    graph = graphs[0]
    found = evaluate(model, graph, split_links(graph, val=0.1, test=0.2, seed=0))["test"]
    assert found.per_graph is None
    assert "auc_per_graph" not in found.to_dict()


def test_a_sample_is_ranked_of_a_large_collection(model, graphs, split, monkeypatch, caplog):
    whole = evaluate(model, graphs, split)["test"]
    assert whole.num_ranked == split.test.pos.shape[1]
    assert whole.rank_intervals is None
    assert "mrr_interval" not in whole.to_dict()["ranks"]
    monkeypatch.setattr(link_parts, "_MOST_SCORES", 1000)
    monkeypatch.setattr(link_parts, "_FEWEST", 200)
    with caplog.at_level(logging.INFO, "vgae"):
        found = evaluate(model, graphs, split)["test"]
    count = f"{whole.num_ranked:,} held-out links, drawn at random"
    assert f"ranks among all nodes are those of 200 of the {count}" in caplog.text
    assert found.num_ranked == 200
    again = evaluate(model, graphs, split)["test"]
    assert again.ranks == found.ranks
    other = evaluate(model, graphs, replace(split, seed=1), allow_seen=True)["test"]
    assert other.ranks != found.ranks
    for name in ("mrr", "hits_at_10"):
        low, high = getattr(found.rank_intervals, name)
        assert low < getattr(found.ranks, name) < high
        assert low <= getattr(whole.ranks, name) <= high
    content = found.to_dict()["ranks"]
    assert (content["num_links"], content["sampled_of"]) == (200, whole.num_ranked)
    assert content["mrr_interval"] == list(found.rank_intervals.mrr)
    text = link_scores_text({"test": found.to_dict()})
    assert f"200 test links drawn at random from {whole.num_ranked:,}" in text
    assert f"MRR {100 * found.rank_intervals.mrr[0]:.2f} - " in text


def test_hard_non_links_of_a_large_graph_are_those_of_a_sample(model, graphs, monkeypatch):
    graph = graphs[2]
    split = split_links(graph, val=0, test=0.2, seed=0)
    monkeypatch.setattr(link_parts, "_MOST_SCORES", 1000)
    monkeypatch.setattr(link_parts, "_FEWEST_HARD", 20)
    found = evaluate(model, graph, split, hard=10)["test"]
    content = found.to_dict()["hard"]
    assert (found.num_hard, content["num_links"]) == (20, 20)
    assert content["sampled_of"] == split.test.pos.shape[1]


def test_a_sample_of_nodes_gets_recommendations_in_a_large_graph(monkeypatch, caplog):
    rng = np.random.default_rng(0)
    pairs = np.stack([rng.integers(0, 60, 500), rng.integers(60, 100, 500)])
    graph = Graph.from_edges(pairs, num_nodes=100, sides=np.arange(100) >= 60)
    split = split_links(graph, val=0, test=0.3, seed=0)
    model = build_model("vgae", 100, Recipe(name="x"), stream(0, "init"))
    whole = evaluate(model, graph, split)["test"].recommended
    monkeypatch.setattr(link_parts, "_MOST_SCORES", 1000)
    monkeypatch.setattr(link_parts, "_FEWEST", 25)
    found = evaluate(model, graph, split)["test"].recommended
    assert found.num_sources == 25 < whole.num_sources
    assert found.recall_at_20 == pytest.approx(whole.recall_at_20, abs=0.25)


def test_hard_negatives_are_within_graphs(model, graphs, split, monkeypatch):
    seen = []
    logits = PairScorer.logits

    def remember(self, pairs):
        seen.append(pairs)
        return logits(self, pairs)

    monkeypatch.setattr(PairScorer, "logits", remember)
    large = graphs.select([0, 2, 3, 4])
    own = split_links(large, val=0, test=0.2, seed=0)
    found = evaluate(model, large, own, hard=10)["test"]
    assert found.hard is not None
    negatives = seen[-2]
    assert negatives.shape == (2, 10 * own.test.pos.shape[1])
    assert large.grid.holds(negatives).all()
    known = torch.isin(
        large.grid.numbers(large.grid.ordered(negatives)), large.grid.numbers(large.links)
    )
    assert not known.any()


def test_more_hard_negatives_than_a_graph_has_are_refused(model, graphs, split):
    with pytest.raises(
        DataError, match=r"per_link is 500, but an end .* at most \d+ are possible"
    ):
        evaluate(model, graphs, split, hard=500)
