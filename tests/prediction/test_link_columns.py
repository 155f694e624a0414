"""Columns of a table of links: further ones, and probabilities over samples with intervals."""

import logging
from dataclasses import replace

import numpy as np
import pytest
import torch

import vgae
from vgae.errors import UsageError
from vgae.evaluation import block_model
from vgae.evaluation.intervals import LEVELS, Intervals
from vgae.graphs.collection import GraphCollection
from vgae.prediction import link_columns


@pytest.fixture(scope="module")
def fitted(sbm):
    split = vgae.split_links(sbm)
    recipe = vgae.recipes.PAPER.override({"epochs": 5})
    result = vgae.fit(sbm, split, recipe=recipe, progress=False)
    calibration = vgae.calibrate(result, sbm, split)
    quantiles = tuple(float(q) for q in 6 * (LEVELS - 0.5))
    intervals = Intervals(1.5, -2.0, (), (quantiles,), 100)
    return result.model, replace(calibration, intervals=intervals)


def test_further_columns_are_added_in_one_place(sbm, fitted, monkeypatch):
    def doubled(scorer, pairs):
        assert scorer.q.mu.shape[0] == sbm.num_nodes
        return {"doubled": 2 * scorer.logits(pairs)}

    monkeypatch.setattr(link_columns, "FURTHER", (doubled,))
    options = {"calibration": fitted[1], "samples": 5}
    for table in (
        vgae.predict_links(fitted[0], sbm, 2),
        vgae.predict_links(fitted[0], sbm, 2, **options),
        vgae.score_links(fitted[0], sbm, [(sbm.ids[3], sbm.ids[1])]),
    ):
        assert torch.allclose(table.further["doubled"], 2 * table.score, atol=1e-5)


def test_samples_rank_by_mean_probability_with_intervals(sbm, fitted, tmp_path):
    model, calibration = fitted
    options = {"calibration": calibration, "samples": 20}
    table = vgae.predict_links(model, sbm, 3, **options)
    assert len(table) == 3 * sbm.num_nodes
    assert table.rank.tolist() == [1, 2, 3] * sbm.num_nodes
    assert (table.probability.view(-1, 3).diff(dim=1) <= 0).all()
    assert (table.low <= table.probability).all()
    assert (table.probability <= table.high).all()
    assert (table.low < table.high).all()
    again = vgae.predict_links(model, sbm, 3, **options)
    assert torch.equal(table.low, again.low)
    other = vgae.predict_links(model, sbm, 3, seed=1, **options)
    assert not torch.equal(table.probability, other.probability)
    best = vgae.predict_links(model, sbm, 4, per_node=False, **options)
    given = vgae.score_links(model, sbm, best.names(), **options)
    assert torch.allclose(given.probability, best.probability)
    assert torch.allclose(given.high, best.high)
    assert given.rank.tolist() == [1, 2, 3, 4]
    narrow = vgae.score_links(model, sbm, best.names(), interval=0.3, **options)
    assert (narrow.high < given.high).all()
    names = ["source", "target", "score", "probability", "probability_low", "probability_high"]
    assert [*best.columns()] == [*names, "rank"]
    best.save(tmp_path / "links.csv")
    head = (tmp_path / "links.csv").read_text().splitlines()[0]
    assert head == ",".join([*names, "rank"])


def test_proposals_say_how_many_come_true_and_count_a_pair_once(sbm, fitted):
    model, calibration = fitted
    calibration = replace(calibration, intervals=None)
    best = vgae.predict_links(model, sbm, 40, per_node=False, calibration=calibration)
    assert best.come_true.num_pairs == 40
    assert best.come_true.expected == pytest.approx(float(best.probability.sum()))
    assert best.come_true.low <= best.come_true.expected <= best.come_true.high
    narrow = vgae.predict_links(
        model, sbm, 40, per_node=False, calibration=calibration, interval=0.5
    )
    assert narrow.come_true.level == 0.5
    assert best.come_true.low <= narrow.come_true.low <= narrow.come_true.high
    assert narrow.come_true.high - narrow.come_true.low < best.come_true.high - best.come_true.low
    partners = vgae.predict_links(model, sbm, 2, calibration=calibration)
    pairs = {frozenset(pair) for pair in partners.names()}
    assert partners.come_true.num_pairs == len(pairs) < len(partners)
    at_graph = calibration.for_graph(sbm)
    for table in (
        vgae.predict_links(model, sbm, 2, calibration=at_graph),
        vgae.predict_links(model, sbm, 2),
        vgae.score_links(model, sbm, best.names(), calibration=calibration),
    ):
        assert table.come_true is None


def test_probabilities_at_another_prior_keep_their_order_and_name(sbm, fitted):
    balanced = replace(fitted[1], prior="balanced", log_odds_shift=0.0)
    options = {"samples": 10, "calibration": balanced}
    table = vgae.score_links(fitted[0], sbm, [(sbm.ids[0], sbm.ids[1])], **options)
    columns = table.columns()
    low, high = (columns[f"balanced_probability_{end}"][0] for end in ("low", "high"))
    assert low <= columns["balanced_probability"][0] <= high
    density = vgae.score_links(
        fitted[0], sbm, [(sbm.ids[0], sbm.ids[1])], calibration=fitted[1], samples=10
    )
    assert density.high[0] < table.high[0]


def test_raw_intervals_say_so(sbm, fitted, caplog):
    raw = replace(fitted[1], intervals=None)
    with caplog.at_level(logging.WARNING):
        table = vgae.predict_links(fitted[0], sbm, 2, calibration=raw, samples=10)
    assert table.raw
    assert "the intervals are those of the raw posterior" in caplog.text
    assert ((table.low <= table.probability) & (table.probability <= table.high)).all()
    assert not vgae.predict_links(fitted[0], sbm, 2, calibration=fitted[1], samples=10).raw


def graph_of(kind):
    """A small graph of a kind, and the name of its model."""
    rng = np.random.default_rng(0)
    ends = rng.integers(20, size=(2, 150)) + np.array([[0], [20]])
    if kind in ("gravity-vgae", "source-target-vgae"):
        return vgae.Graph.from_edges(rng.integers(40, size=(2, 200)), directed="keep"), kind
    if kind == "two-sided":
        return vgae.Graph.from_edges(ends, sides=np.arange(40) >= 20), "vgae"
    if kind == "typed":
        relations = {"likes": (ends, None), "knows": (ends % 20, None)}
        types = {"node_type": [0] * 20 + [1] * 20, "node_type_names": ("a", "b")}
        return vgae.TypedGraph.of(relations, **types), "rgcn-vgae"
    parts = [rng.integers(12, size=(2, 40)) for _ in range(5)]
    graphs = [vgae.Graph.from_edges(links, num_nodes=12, sides="none") for links in parts]
    return (GraphCollection.from_graphs(graphs) if kind == "collection" else graphs[0]), "vgae"


KINDS = ["gravity-vgae", "source-target-vgae", "two-sided", "collection", "repel", "typed"]


@pytest.mark.parametrize("kind", KINDS)
def test_samples_are_drawn_for_graphs_of_other_kinds(kind, monkeypatch):
    """Without a calibration, it is fitted by the split that the result knows."""
    monkeypatch.setattr(block_model, "_SWEEPS", 6)
    monkeypatch.setattr(block_model, "_TRIED", 4)
    graph, model = graph_of(kind)
    split = vgae.split_links(graph, val=0.2)
    changes = {"epochs": 1, "repel": 2} if kind == "repel" else {"epochs": 1}
    recipe = vgae.recipes.PAPER.override(changes)
    result = vgae.fit(graph, split, model=model, recipe=recipe, progress=False)
    if kind == "typed":
        with pytest.raises(
            UsageError, match="calibrated probabilities, which typed graphs have not"
        ):
            vgae.predict_links(result, graph, 3, relation="likes", samples=8)
        return
    table = vgae.predict_links(result, graph, 3, samples=8)
    assert (table.raw, table.prior) == (kind != "repel", "graph")
    assert ((table.low <= table.probability) & (table.probability <= table.high)).all()
    assert (table.rank[1:] - table.rank[:-1] <= 1).all()
    other = vgae.calibrate(result, graph, split)
    given = vgae.predict_links(result, graph, 3, samples=8, calibration=other)
    assert (given.raw, given.prior) == (True, "density")


def test_a_graph_of_other_links_has_no_intervals_of_its_own(sbm):
    split = vgae.split_links(sbm)
    recipe = vgae.recipes.PAPER.override({"epochs": 1})
    result = vgae.fit(sbm, split, recipe=recipe, progress=False)
    other = replace(sbm, **sbm.links_at(torch.arange(sbm.num_links - 1)))
    with pytest.raises(UsageError, match="need a calibration, and there is none"):
        vgae.predict_links(result, other, 2, samples=10)


@pytest.mark.row("R25")
def test_what_cannot_be_sampled_is_refused(sbm, fitted):
    with pytest.raises(UsageError, match="need a calibration, and there is none"):
        vgae.predict_links(fitted[0], sbm, 2, samples=10)
    with pytest.raises(UsageError, match="rank by mean probability"):
        vgae.predict_links(fitted[0], sbm, 2, samples=10, metric="cosine")
    with pytest.raises(UsageError, match="samples must be from 2"):
        vgae.score_links(fitted[0], sbm, [(sbm.ids[0], sbm.ids[1])], samples=1)
