"""Comparison of runs on graphs."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from vgae.evaluation.differences import Difference, auc_difference
from vgae.evaluation.metrics import curves
from vgae.report.figures.link_panels import scored_test_pairs
from vgae.report.pages import compared_runs as shared
from vgae.report.pages.frame import Cell, Chart, Table, numeric, shown
from vgae.report.pages.scores import base_rate, percent_interval, ranking_curves
from vgae.report.text import calibration_error
from vgae.runs.graphs import Run


def compared_links(runs: Sequence[Run], names: Sequence[str]) -> shared.Compared:
    """Compare two or more runs on graphs; raise ``ArtifactError`` if a graph has changed."""
    same = [same_test(run, runs[0]) for run in runs]
    logits = [
        scored_test_pairs(run, runs[0] if alike else run).logits
        for run, alike in zip(runs, same, strict=True)
    ]
    label = runs[0].split.test.edge_label
    differences = [
        auc_difference(scores, logits[0], label) if alike and len(label) >= 4 else None
        for scores, alike in zip(logits, same, strict=True)
    ]
    graphs = dict.fromkeys(shown(run.config["graph"]["name"]) for run in runs)
    return shared.Compared(
        kicker=f"{len(runs)} runs on the links of {', '.join(graphs)}",
        verdict=_verdict(runs, names, logits, comparable=all(same)),
        warnings=warnings(runs, names),
        scores=_scores(runs, names, differences, comparable=all(same)),
        charts=_charts(runs, names, logits),
    )


def same_test(run: Run, other: Run) -> bool:
    """Return whether two runs have the same graph, test links and test non-links."""
    first, second = run.split.test, other.split.test
    return run.split.fingerprint == other.split.fingerprint and all(
        _same_pairs(a, b, run.split.num_nodes)
        for a, b in ((first.pos, second.pos), (first.neg, second.neg))
    )


def _same_pairs(pairs: Tensor, other: Tensor, num_nodes: int) -> bool:
    """Compare undirected pairs in any order."""
    codes = [p.min(dim=0).values * num_nodes + p.max(dim=0).values for p in (pairs, other)]
    return torch.equal(codes[0].sort().values, codes[1].sort().values)


def warnings(runs: Sequence[Run], names: Sequence[str]) -> list[str]:
    """Return the reasons why the scores of runs are not comparable."""
    first, num_nodes = runs[0], runs[0].split.num_nodes
    graph = [run.split.fingerprint == first.split.fingerprint for run in runs]
    test = [same_test(run, first) for run in runs]
    train = [_same_pairs(run.split.train, first.split.train, num_nodes) for run in runs]
    # A run breaks the first rule that does not hold for it, and no further one.
    rules = {
        f"had another graph than {names[0]}. Do not compare these scores: they are of other"
        " links.": graph,
        f"had other test links than {names[0]}. Do not compare these scores. The same --seed,"
        " --val and --test give the same links.": [
            same or not alike for same, alike in zip(test, graph, strict=True)
        ],
        f"had the same test links as {names[0]}, but other training links.": [
            same or not alike for same, alike in zip(train, test, strict=True)
        ],
    }
    return shared.warnings_of(names, rules)


def _test(run: Run) -> dict:
    return run.metrics.get("test") or {}


def _verdict(
    runs: Sequence[Run], names: Sequence[str], logits: Sequence[Tensor], *, comparable: bool
) -> str:
    aucs: list[Any] = [_test(run).get("auc") for run in runs]
    if shared.best_of(aucs, comparable=comparable) is None:
        return shared.NO_BEST
    best, second = sorted(range(len(runs)), key=lambda i: -aucs[i])[:2]
    text = f"{names[best]} has the highest test AUC, {100 * aucs[best]:.1f} %"
    label = runs[0].split.test.edge_label
    if len(label) < 4:
        return f"{text}."
    ahead = auc_difference(logits[best], logits[second], label)
    return text + shared.lead_text(ahead, names[second], (100, 1, " points"), "test links")


def _scores(
    runs: Sequence[Run],
    names: Sequence[str],
    apart: Sequence[Difference | None],
    *,
    comparable: bool,
) -> Table:
    columns = [
        numeric("AUC, %", "P(link ranks above non-link)"),
        numeric("95 % interval"),
        numeric("AUC, difference", f"to {names[0]}, in points, with its 95 % interval"),
        numeric("AP, %", "average precision"),
        numeric("95 % interval"),
        numeric("MRR, %", "mean of 1 / rank among all nodes"),
        numeric("hit@10, %", "fraction of links ranked in the first ten"),
        numeric("ECE", "calibration error; lower is better"),
    ]
    values = [_values(run) for run in runs]
    # The best error is the lowest one.
    ranked = [[*row[:4], None if row[4] is None else -row[4]] for row in values]
    best = [shared.best_of(column, comparable=comparable) for column in zip(*ranked, strict=True)]
    cells, units = [], [(100, 2)] * 4 + [(1, 3)]  # scale and decimals
    for i, run in enumerate(runs):
        found, test = apart[i] if i else None, _test(run)
        auc, ap, mrr, hits, ece = (
            shared.score_cell(value, None, unit, is_best=winner == i)
            for value, winner, unit in zip(values[i], best, units, strict=True)
        )
        text = shared.difference_text(found, 100, 2)
        difference: Cell = (text, found.value) if found else text
        intervals = [
            percent_interval(test[key]) if test else "–" for key in ("auc_interval", "ap_interval")
        ]
        cells.append([auc, intervals[0], difference, ap, intervals[1], mrr, hits, ece])
    return shared.scores_of_runs(runs, names, columns, cells, "test links", comparable=comparable)


def _values(run: Run) -> list[float | None]:
    test = _test(run)
    if not test:
        return [None] * 5
    probabilities, ranks = test["calibrated"] or test["sigmoid"], test["ranks"]
    error = calibration_error(probabilities)
    return [test["auc"], test["ap"], ranks["mrr"], ranks["hits_at_10"], error]


def _charts(
    runs: Sequence[Run], names: Sequence[str], logits: Sequence[Tensor]
) -> dict[str, Chart]:
    text = "AUC of the validation links during training."
    empty = Chart("Validation links", text, [], "epoch", "AUC, %")
    charts = shared.validation_chart(runs, names, empty, "val_auc", 100)
    roc, pr = [], []
    for i, (run, name, scores) in enumerate(zip(runs, names, logits, strict=True)):
        if len(scores):
            points = curves(scores, run.split.test.edge_label)
            drawn = (roc, points.fpr, points.tpr), (pr, points.recall, points.precision)
            for series, x, y in drawn:
                series.append(shared.curve(i, name, 100 * x, 100 * y)._replace(kind="line"))
    if roc:
        text = "The further to the upper {}, the better. The dotted line is random guessing."
        label = torch.cat([run.split.test.edge_label for run in runs])
        texts = text.format("left"), text.format("right")
        charts |= ranking_curves(roc, pr, *texts, base=base_rate(label))
    return charts
