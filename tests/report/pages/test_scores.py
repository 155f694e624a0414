from dataclasses import replace

import numpy as np
import pytest
import torch

from vgae.errors import LeakageError
from vgae.evaluation.links import evaluate
from vgae.evaluation.metrics import link_scores
from vgae.evaluation.simple_scores import SimpleScores
from vgae.graphs.grid import Grid
from vgae.graphs.non_links import sample_non_links
from vgae.graphs.split import LabelledPairs
from vgae.report.figures.link_panels import ScoredPairs, scored_test_pairs
from vgae.report.pages.graphs import graph_page
from vgae.report.pages.scores import (
    audit_rows,
    baseline,
    degree_chart,
    leakage_check,
    learning_charts,
    probability_rows,
    ranking_charts,
    reliability_chart,
    score_rows,
)
from vgae.training.history import HistoryRow

HISTORY = [
    HistoryRow(1, 0.9, 90.0, 0.0),
    HistoryRow(2, 0.8, 80.0, 4.0, 0.7, 0.75),
    HistoryRow(3, 0.7, 70.0, 5.0, 0.8, 0.85),
]


@pytest.fixture(scope="module")
def scored(graph_run):
    return scored_test_pairs(graph_run)


def series(chart):
    return {s.name: s for s in chart.series}


def test_the_scored_pairs_have_the_scores_of_the_run(graph_run, scored):
    scores = link_scores(scored.logits, scored.label)
    assert scores.auc == pytest.approx(graph_run.metrics["test"]["auc"])


def test_without_test_links_nothing_is_scored(graph_run):
    nothing = graph_run.split.train.new_empty(2, 0)
    split = replace(graph_run.split, test=LabelledPairs(nothing, nothing))
    found = scored_test_pairs(replace(graph_run, split=split))
    assert len(found.logits) == len(found.label) == 0


def test_the_curves_are_the_history():
    charts = learning_charts(HISTORY, 2)
    assert charts["loss"].series[0].y == [0.9, 0.8, 0.7]
    kl = series(charts["parts"])["KL divergence to the prior"]
    assert kl.y == [None, 4.0, 5.0]  # no logarithm of zero
    assert charts["validation"].series[0].x == [2, 3]
    assert charts["validation"].series[0].y == [70.0, 80.0]
    assert {chart.marks for chart in charts.values()} == {((2, "kept: epoch 2"),)}


def test_one_epoch_is_drawn_as_a_dot():
    charts = learning_charts(HISTORY[1:2], 2)
    assert [*charts] == ["loss", "parts", "validation"]
    assert {s.kind for chart in charts.values() for s in chart.series} == {"line+dots"}
    many = [HISTORY[1]._replace(epoch=k) for k in range(1, 11)]
    assert learning_charts(many, 2)["validation"].series[0].kind == "line"


def test_curves_that_are_not_there_are_left_out():
    plain = [row._replace(kl=0.0, val_auc=None, val_ap=None) for row in HISTORY]
    charts = learning_charts(plain, 3)
    assert [*charts] == ["loss", "parts"]
    assert len(charts["parts"].series) == 1
    assert learning_charts([], 0) == {}


def test_the_threshold_stands_where_the_calibration_decides(graph_run, scored):
    charts = ranking_charts(scored, graph_run.calibration)
    found = graph_run.calibration.predict(scored.logits)
    links, others = found[scored.label == 1], found[scored.label == 0]
    dot = series(charts["roc"])["threshold"]
    assert dot.x == [pytest.approx(100 * others.double().mean().item())]
    assert dot.y == [pytest.approx(100 * links.double().mean().item())]
    precision = links.sum() / (links.sum() + others.sum())
    assert series(charts["pr"])["threshold"].y == [pytest.approx(100 * precision.item())]
    ((place, _),) = charts["scores"].marks
    assert torch.equal(scored.logits > place, found)


def test_without_a_calibration_there_is_no_threshold(scored):
    charts = ranking_charts(scored, None)
    assert "threshold" not in series(charts["roc"])
    assert charts["scores"].marks == ()


def test_the_histograms_count_every_pair(scored):
    counts = [sum(s.y) for s in ranking_charts(scored, None)["scores"].series]
    assert counts == [int(scored.label.sum()), int((1 - scored.label).sum())]


def test_equal_scores_can_be_drawn(scored):
    same = scored._replace(logits=torch.zeros(len(scored.label)))
    assert sum(ranking_charts(same, None)["scores"].series[0].y) == int(scored.label.sum())


def test_the_table_has_the_scores_of_the_metrics(graph_run):
    rows = score_rows(graph_run.metrics)
    assert [row[0] for row in rows] == ["test", "validation"]
    test = graph_run.metrics["test"]
    assert rows[0][2] == f"{100 * test['auc']:.2f}"
    assert rows[0][-1] == f"{test['calibrated']['ece']:.3f}"
    bare = {"test": test | {"calibrated": None}}
    assert score_rows(bare)[0][-1] == f"{test['sigmoid']['ece']:.3f}"


def test_scores_of_few_pairs_come_with_their_number():
    def row(links, others):
        part = {name: 1.0 for name in ("auc", "ap", "hits_at_50")}
        part |= {"auc_interval": [0, 1], "ap_interval": [0, 1], "num_links": links}
        part |= {"ranks": {"mrr": 0.5, "hits_at_10": 0.5}, "calibrated": None}
        part["sigmoid"] = {"ece": 0.25, "reliability": {"num_pairs": [links, others]}}
        cells = score_rows({"test": part})[0]
        return cells[6], cells[9]

    assert row(51, 51) == ("100.00", "0.250")
    assert row(50, 50) == ("– (50 non-links)", "0.250")
    assert row(20, 20) == ("– (20 non-links)", "0.250 (40 pairs)")


def test_the_summary_of_the_loss_has_the_highest_value_unless_it_is_an_end():
    def summary(*losses):
        rows = [HistoryRow(k, loss, 90.0, 0.0) for k, loss in enumerate(losses, 1)]
        return learning_charts(rows, 1)["loss"].summary

    assert "It went from 1.82 to 0.805; the highest was 4.12, in epoch 2." in summary(
        1.82, 4.12, 0.805
    )
    assert "It went from 1.82 to 0.805. Lower" in summary(1.82, 1.1, 0.805)


def test_the_baseline_uses_training_links_alone(graph_run, scored):
    counts = SimpleScores(graph_run.split.train, Grid(120)).shortest_paths(scored.pairs)
    assert baseline(scored, graph_run.split) == link_scores(counts, scored.label)


def test_the_diagram_has_the_series_before_and_after(graph_run):
    metrics = graph_run.metrics["test"]
    chart = reliability_chart(metrics)
    assert [*series(chart)] == ["exact", "before calibration", "calibrated"]
    bins = metrics["calibrated"]["reliability"]
    np.testing.assert_allclose(
        series(chart)["calibrated"].y, 100 * np.array(bins["share"]), rtol=1e-5
    )
    few = {"sigmoid": {"ece": 0.1, "reliability": {**bins, "num_pairs": [1] * len(bins["share"])}}}
    assert "These are only" in reliability_chart(metrics | few).summary
    assert "These are only" not in chart.summary
    bare = metrics | {"calibrated": None}
    assert [*series(reliability_chart(bare))] == ["exact", "before calibration"]
    assert len(probability_rows(bare)) == 1
    assert probability_rows(metrics)[1][1] == f"{metrics['calibrated']['ece']:.4f}"


def test_links_are_grouped_by_the_training_links_of_the_end_that_has_fewer(graph_run, scored):
    chart, rows = degree_chart(scored, graph_run.split, graph_run.calibration)
    counts = [int(row[1]) for row in rows]
    assert sum(counts) == graph_run.split.test.pos.shape[1]
    found = graph_run.calibration.predict(scored.logits)[scored.label == 1]
    recalls = np.array([float(row[3]) for row in rows])
    rate = found.double().mean().item()
    assert recalls @ counts / sum(counts) == pytest.approx(100 * rate, abs=0.1)
    points = chart.series[0]
    assert all(
        low <= y <= high for low, y, high in zip(points.low, points.y, points.high, strict=True)
    )
    outranked = np.array([float(row[2]) for row in rows])
    auc = graph_run.metrics["test"]["auc"]
    assert outranked @ counts / sum(counts) == pytest.approx(100 * auc, abs=0.1)


def test_without_a_threshold_the_ranking_is_shown(graph_run, scored):
    chart, rows = degree_chart(scored, graph_run.split, None)
    assert {len(row) for row in rows} == {3}
    assert chart.series[0].low == []


def test_the_audit_counts_the_parts(graph_run):
    split, rows = graph_run.split, audit_rows(graph_run.split, graph_run.graph)
    counted = {code: text for code, _, text in rows}
    sizes = split.train.shape[1], split.val.pos.shape[1], split.test.pos.shape[1]
    assert counted["S1"].startswith("{} + {} + {} = ".format(*sizes))
    assert [*counted][:5] == ["S1", "S3", "S4", "S5", "S6"]
    assert "S12" in counted
    assert "" not in counted


def test_a_leak_makes_no_page(graph_run):
    leaky = replace(graph_run.split, train=graph_run.graph.links)
    with pytest.raises(LeakageError, match="S3"):
        audit_rows(leaky, graph_run.graph)


def test_the_leakage_check_detects_test_links_in_training(graph_run, scored):
    assert leakage_check(scored, graph_run.split) == 0.5
    leaky = replace(graph_run.split, train=graph_run.graph.links)
    assert leakage_check(scored, leaky) == 1.0


def test_the_leakage_check_detects_links_in_the_other_direction(graph_run, scored):
    leaky = replace(graph_run.split, train=graph_run.graph.links)
    turned = ScoredPairs(scored.pairs.flip(0), scored.logits, scored.label)
    assert leakage_check(turned, leaky) == 1.0


@pytest.fixture(scope="module")
def unbalanced(graph_run):
    """The run, judged on three times as many non-links, each link having its own."""
    split, graph = graph_run.split, graph_run.graph
    count = 3 * split.test.pos.shape[1]
    neg = sample_non_links(graph.links, graph.grid, count, torch.Generator().manual_seed(0))
    split = replace(split, test=LabelledPairs(split.test.pos, neg, 3))
    scores = evaluate(graph_run.model, graph, split, calibration=graph_run.calibration)
    metrics = graph_run.metrics | {part: score.to_dict() for part, score in scores.items()}
    config = graph_run.config | {"split": {"name": "mine", "path": "/mine"}}
    run = replace(graph_run, split=split, metrics=metrics, config=config)
    vars(run)["graph"] = graph
    return run


def test_random_guessing_is_the_fraction_of_links(unbalanced):
    scored = scored_test_pairs(unbalanced)
    charts = ranking_charts(scored, unbalanced.calibration)
    assert charts["pr"].series[-1].y == [25, 25]
    links = int(scored.label.sum())
    assert f"There are {links:,} links and {3 * links:,} non-links." in charts["pr"].summary


def test_own_non_links_have_columns_of_their_own(unbalanced, graph_run):
    test, val = score_rows(unbalanced.metrics)
    assert {len(test), len(val)} == {12}
    assert test[10] == f"{100 * unbalanced.metrics['test']['given']['mrr']:.2f}"
    assert val[10:] == ["–", "–"]
    assert {len(row) for row in score_rows(graph_run.metrics)} == {10}


def test_the_page_states_deviations_and_the_command_names_the_split(unbalanced):
    page = graph_page(unbalanced, top_k=3)
    assert "each link has non-links of its own, 3 in test" in page
    assert "own MRR, %" in page
    assert "as many pairs without a link were drawn" not in page
    assert "--split /mine" in page
    rows = audit_rows(unbalanced.split, unbalanced.graph)
    assert [text for code, text, _ in rows if not code] == [
        "each held-out part has as many non-links as links",
        "no part has the non-links of another",
        "all links of a part are ranked among the same non-links",
    ]
