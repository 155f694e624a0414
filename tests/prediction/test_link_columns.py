"""Columns of a table of links: further ones, and probabilities over samples with intervals."""

import logging
from dataclasses import replace

import numpy as np
import pytest
import torch

import vgae
from vgae.errors import UsageError
from vgae.evaluation.intervals import LEVELS, Intervals
from vgae.prediction import link_columns


@pytest.fixture(scope="module")
def fitted(sbm):
    split = vgae.split_links(sbm)
    recipe = vgae.recipes.PAPER.override({"epochs": 40})
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


@pytest.mark.parametrize("kind", ["directed", "two-sided"])
def test_samples_are_drawn_for_graphs_of_other_kinds(kind):
    rng = np.random.default_rng(0)
    if kind == "directed":
        graph = vgae.Graph.from_edges(rng.integers(40, size=(2, 200)), directed="keep")
        model = "gravity-vgae"
    else:
        ends = rng.integers(20, size=(2, 150)) + np.array([[0], [20]])
        graph = vgae.Graph.from_edges(ends, sides=np.arange(40) >= 20)
        model = "vgae"
    split = vgae.split_links(graph, val=0.2)
    recipe = vgae.recipes.PAPER.override({"epochs": 3})
    result = vgae.fit(graph, split, model=model, recipe=recipe, progress=False)
    calibration = vgae.calibrate(result, graph, split)
    table = vgae.predict_links(result, graph, 3, calibration=calibration, samples=8)
    assert table.raw
    assert ((table.low <= table.probability) & (table.probability <= table.high)).all()
    assert (table.rank[1:] - table.rank[:-1] <= 1).all()


@pytest.mark.row("R25")
def test_what_cannot_be_sampled_is_refused(sbm, fitted):
    with pytest.raises(UsageError, match="need a calibration, and there is none"):
        vgae.predict_links(fitted[0], sbm, 2, samples=10)
    with pytest.raises(UsageError, match="rank by mean probability"):
        vgae.predict_links(fitted[0], sbm, 2, samples=10, metric="cosine")
    with pytest.raises(UsageError, match="samples must be from 2"):
        vgae.score_links(fitted[0], sbm, [(sbm.ids[0], sbm.ids[1])], samples=1)
