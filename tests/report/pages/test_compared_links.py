from dataclasses import replace

import pytest
import torch

from vgae.evaluation.metrics import link_scores
from vgae.graphs.split import LabelledPairs
from vgae.recipes import PAPER
from vgae.report.figures.link_panels import scored_test_pairs
from vgae.report.pages.compared_links import compared_links, same_test, warnings
from vgae.report.pages.compared_runs import NO_BEST
from vgae.runs.graphs import GraphSource, train_run

NAMES = ["one", "two"]


@pytest.fixture(scope="module")
def make(sbm_file, tmp_path_factory):
    def train(val=0.05, test=0.10, **options):
        recipe = replace(PAPER, epochs=options.pop("epochs", 10))
        folder = tmp_path_factory.mktemp("runs") / "run"
        source = GraphSource(str(sbm_file), val=val, test=test)
        return train_run(source, folder, recipe=recipe, progress=False, **options)

    return train


@pytest.fixture(scope="module")
def short(make):
    """The same as ``graph_run``, but for fewer epochs."""
    return make()


@pytest.fixture(scope="module")
def elsewhere(make):
    """Another split of the same graph."""
    return make(seed=1)


def cell(table, run, title):
    column = [head.title for head in table.columns].index(title)
    found = table.rows[run][column]
    return found if isinstance(found, str) else found[0]


def test_runs_on_the_same_links_are_compared_pair_by_pair(short, graph_run):
    found = compared_links([short, graph_run], NAMES)
    assert found.warnings == []
    assert found.kicker == "2 runs on the links of sbm"
    auc = [run.metrics["test"]["auc"] for run in (short, graph_run)]
    best = int(auc[1] > auc[0])
    assert cell(found.scores, best, "AUC, %") == f"★ {100 * auc[best]:.2f}"
    assert cell(found.scores, 1 - best, "AUC, %") == f"{100 * auc[1 - best]:.2f}"
    assert cell(found.scores, 0, "AUC, difference") == "–"
    difference = cell(found.scores, 1, "AUC, difference")
    assert difference.startswith(f"{100 * (auc[1] - auc[0]):+.2f}".replace("-", "−"))
    assert found.verdict.startswith(f"{NAMES[best]} has the highest test AUC")


def test_the_lowest_calibration_error_is_the_best(short, graph_run):
    found = compared_links([short, graph_run], NAMES)
    texts = [cell(found.scores, i, "ECE") for i in range(2)]
    errors = [float(text.removeprefix("★ ")) for text in texts]
    assert texts[errors.index(min(errors))].startswith("★")
    assert not texts[errors.index(max(errors))].startswith("★")


def test_the_same_model_twice_has_no_significant_difference(short):
    found = compared_links([short, short], NAMES)
    assert "0.0 points above" in found.verdict
    assert found.verdict.endswith("the difference is not significant on these test links.")


def test_other_test_links_give_a_warning_and_no_best_run(short, graph_run, elsewhere):
    found = compared_links([short, elsewhere, graph_run], ["one", "two", "three"])
    assert found.warnings == [
        "two had other test links than one. Do not compare these scores. The same --seed, --val"
        " and --test give the same links."
    ]
    assert found.verdict == NO_BEST
    assert not any("★" in str(cells) for cells in found.scores.rows)
    assert cell(found.scores, 1, "AUC, difference") == "–"
    assert cell(found.scores, 2, "AUC, difference") != "–"


def test_another_graph_gives_a_warning(short):
    other = replace(short, split=replace(short.split, fingerprint="0" * 64))
    assert warnings([short, other], NAMES) == [
        "two had another graph than one. Do not compare these scores: they are of other links."
    ]


def test_other_training_links_give_a_warning(short):
    fewer = replace(short, split=replace(short.split, train=short.split.train[:, 1:]))
    assert same_test(short, fewer)
    assert warnings([short, fewer], NAMES) == [
        "two had the same test links as one, but other training links."
    ]


def test_the_order_of_pairs_does_not_make_them_others(short):
    test = short.split.test
    turned = LabelledPairs(test.pos.flip(1), test.neg.flip(0))
    other = replace(short, split=replace(short.split, test=turned))
    assert same_test(short, other)
    # Scores follow the first run's order, so that they can be paired.
    logits = [scored_test_pairs(run, short).logits for run in (other, short)]
    torch.testing.assert_close(*logits)
    one_less = LabelledPairs(test.pos[:, 1:], test.neg[:, 1:])
    assert not same_test(short, replace(short, split=replace(short.split, test=one_less)))


def test_the_scores_are_those_of_the_evaluation_of_the_run(graph_run):
    scored = scored_test_pairs(graph_run)
    auc = link_scores(scored.logits, graph_run.split.test.edge_label).auc
    assert auc == pytest.approx(graph_run.metrics["test"]["auc"], abs=1e-6)


def test_each_run_has_its_curves(short, graph_run):
    charts = compared_links([short, graph_run], NAMES).charts
    assert [*charts] == ["validation", "roc", "pr"]
    for chart in charts.values():
        assert [s.name for s in chart.series if s.name] == NAMES
        assert [s.colour for s in chart.series if s.name] == ["run-0", "run-1"]
    x, y = charts["roc"].series[1].x, charts["roc"].series[1].y
    area = sum((b - a) * (p + q) / 2e4 for a, b, p, q in zip(x, x[1:], y, y[1:], strict=False))
    assert area == pytest.approx(graph_run.metrics["test"]["auc"], abs=1e-4)


def test_without_test_links_there_is_nothing_to_compare(make):
    runs = [make(val=0.0, test=0.0), make(val=0.0, test=0.0, model="gae")]
    found = compared_links(runs, NAMES)
    assert found.charts == {}
    assert found.verdict == NO_BEST
    assert cell(found.scores, 1, "AUC, %") == "–"
