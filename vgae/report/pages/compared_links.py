"""compared_links: runs on graphs beside each other."""

from collections.abc import Sequence

import torch
from torch import Tensor

from vgae.evaluation.differences import Difference, auc_difference
from vgae.evaluation.links import PairScorer
from vgae.evaluation.metrics import curves
from vgae.graphs.split import LabelledPairs
from vgae.report.pages.compared_runs import (
    Compared,
    best_of,
    curve,
    difference_text,
    listed,
    marked,
    told_apart,
)
from vgae.report.pages.frame import Chart, Column, Series, Table, numeric, shown
from vgae.report.pages.repeating import duration
from vgae.runs.graphs import Run

_WHOLE = (-2.0, 102.0)


def compared_links(runs: Sequence[Run], names: Sequence[str]) -> Compared:
    """Compare runs on graphs.

    Args:
        runs: Two or more; differences are to the first.
        names: One each.

    Raises:
        ArtifactError: If the graph of a run is another one now.
    """
    same = [same_test(run, runs[0]) for run in runs]
    logits = [
        logits_of_test(run, runs[0] if alike else run)
        for run, alike in zip(runs, same, strict=True)
    ]
    label = runs[0].split.test.edge_label
    differences = [
        auc_difference(scores, logits[0], label) if alike and len(label) >= 4 else None
        for scores, alike in zip(logits, same, strict=True)
    ]
    comparable = all(same)
    best = best_of([_test(run).get("auc") for run in runs], comparable=comparable)
    return Compared(
        kicker=_kicker(runs),
        verdict=_verdict(runs, names, logits, best),
        warnings=warnings(runs, names),
        scores=_scores(runs, names, differences, comparable=comparable),
        charts=_charts(runs, names, logits),
    )


def _kicker(runs: Sequence[Run]) -> str:
    graphs = dict.fromkeys(shown(run.config["graph"]["name"]) for run in runs)
    return f"{len(runs)} runs on the links of {', '.join(graphs)}"


def same_test(run: Run, other: Run) -> bool:
    """Tell whether two runs are judged on the same test links and non-links of the same nodes."""
    if run.split.fingerprint != other.split.fingerprint:
        return False
    return _same_pairs(run.split.test, other.split.test, run.split.num_nodes)


def _same_pairs(part: LabelledPairs, other: LabelledPairs, num_nodes: int) -> bool:
    """Compare pairs whatever their order."""
    return all(
        torch.equal(_codes(a, num_nodes), _codes(b, num_nodes))
        for a, b in ((part.pos, other.pos), (part.neg, other.neg))
    )


def _codes(pairs: Tensor, num_nodes: int) -> Tensor:
    return (pairs.min(dim=0).values * num_nodes + pairs.max(dim=0).values).sort().values


def logits_of_test(run: Run, judged_as: Run) -> Tensor:
    """Return the scores of the test pairs of a run, by the model of another.

    Args:
        run: Whose model it is; messages travel on its training links.
        judged_as: Whose test pairs, in this order.
    """
    pairs = judged_as.split.test.edge_label_index
    if not pairs.shape[1]:
        return torch.empty(0)
    return PairScorer(run.model, run.graph, run.split.message_edge_index).logits(pairs)


def warnings(runs: Sequence[Run], names: Sequence[str]) -> list[str]:
    """Say what keeps the scores of runs from being compared."""
    first, found = runs[0].split, []
    graphs = [
        n for n, run in zip(names, runs, strict=True) if run.split.fingerprint != first.fingerprint
    ]
    if graphs:
        found.append(
            f"{listed(graphs)} learned from another graph than {names[0]}. These scores are of"
            " other links: do not compare them."
        )
    others = [
        name
        for name, run in zip(names, runs, strict=True)
        if name not in graphs and not same_test(run, runs[0])
    ]
    if others:
        found.append(
            f"{listed(others)} had other test links than {names[0]}. These scores are of other"
            " links: do not compare them. The same --seed, --val and --test give the same links."
        )
    learned = [
        name
        for name, run in zip(names, runs, strict=True)
        if name not in graphs + others
        and not torch.equal(
            _codes(run.split.train, first.num_nodes), _codes(first.train, first.num_nodes)
        )
    ]
    if learned:
        found.append(
            f"{listed(learned)} had the same test links as {names[0]}, but learned from other"
            " training links."
        )
    return found


def _test(run: Run) -> dict:
    return run.metrics.get("test") or {}


def _verdict(
    runs: Sequence[Run], names: Sequence[str], logits: Sequence[Tensor], best: int | None
) -> str:
    if best is None:
        return "There is no best: their scores cannot be compared."
    order = sorted(range(len(runs)), key=lambda i: -_test(runs[i])["auc"])
    best, second = order[0], order[1]
    label = runs[0].split.test.edge_label
    said = f"{names[best]} has the highest test AUC, {100 * _test(runs[best])['auc']:.1f} %"
    if len(label) < 4:
        return f"{said}."
    ahead = auc_difference(logits[best], logits[second], label)
    numbers = " to ".join(f"{100 * end:.1f}".replace("-", "\N{MINUS SIGN}") for end in ahead[1:])
    said += f", {100 * ahead.value:.1f} points above that of {names[second]}"
    said += f" ({numbers} with 95 % confidence)"
    if told_apart(ahead):
        return f"{said}."
    return f"{said}: on these test links the two cannot be told apart."


def _scores(
    runs: Sequence[Run],
    names: Sequence[str],
    differences: Sequence[Difference | None],
    *,
    comparable: bool,
) -> Table:
    columns = [
        Column("run"),
        numeric("AUC, %", "a link above a non-link"),
        numeric("95 % interval"),
        numeric("AUC, difference", f"to {names[0]}, in points, with its 95 % interval"),
        numeric("AP, %", "average precision"),
        numeric("95 % interval"),
        numeric("MRR, %", "mean of 1 / rank among all nodes"),
        numeric("hit@10, %", "links among the first ten"),
        numeric("ECE", "calibration error; lower is better"),
        numeric("epoch kept"),
        numeric("time"),
    ]
    values = [_values(run) for run in runs]
    best = [best_of([row[k] for row in values], comparable=comparable) for k in range(4)]
    # Of an error, the lowest is the best.
    errors = [None if row[4] is None else -row[4] for row in values]
    best.append(best_of(errors, comparable=comparable))
    rows = []
    for i, (run, name) in enumerate(zip(runs, names, strict=True)):
        test, metrics, found = _test(run), run.metrics, differences[i] if i else None
        shares = [_cell(values[i][k], is_best=best[k] == i) for k in range(4)]
        apart = difference_text(found, 100, 2)
        rows.append(
            [
                name,
                shares[0],
                _interval(test.get("auc_interval")),
                (apart, found.value) if found else apart,
                shares[1],
                _interval(test.get("ap_interval")),
                *shares[2:],
                _cell(values[i][4], is_best=best[4] == i, form="{:.3f}", scale=1),
                (f"{metrics['epoch']:,}", metrics["epoch"]),
                (duration(metrics["seconds"]), metrics["seconds"]),
            ]
        )
    caption = "Scores of the test links" + ("; ★ is the best of a column" if comparable else "")
    return Table(caption, columns, rows, sortable=True)


def _cell(
    value: float | None, *, is_best: bool, form: str = "{:.2f}", scale: float = 100
) -> str | tuple[str, float]:
    if value is None:
        return "–"
    return marked(form.format(scale * value), is_best=is_best), value


def _values(run: Run) -> list[float | None]:
    test = _test(run)
    if not test:
        return [None] * 5
    judged = test["calibrated"] or test["sigmoid"]
    ranks = test["ranks"]
    return [test["auc"], test["ap"], ranks["mrr"], ranks["hits_at_10"], judged["ece"]]


def _interval(ends: Sequence[float] | None) -> str:
    return "–" if ends is None else f"{100 * ends[0]:.2f} – {100 * ends[1]:.2f}"


def _charts(
    runs: Sequence[Run], names: Sequence[str], logits: Sequence[Tensor]
) -> dict[str, Chart]:
    validation, roc, pr = [], [], []
    for i, (run, name, scores) in enumerate(zip(runs, names, logits, strict=True)):
        seen = [(row.epoch, 100 * row.val_auc) for row in run.history if row.val_auc is not None]
        if seen:
            validation.append(curve(i, name, *zip(*seen, strict=True)))
        label = run.split.test.edge_label if len(scores) else None
        if label is not None:
            points = curves(scores, label)
            roc.append(curve(i, name, 100 * points.fpr, 100 * points.tpr)._replace(kind="line"))
            pr.append(
                curve(i, name, 100 * points.recall, 100 * points.precision)._replace(kind="line")
            )
    charts = {}
    if validation:
        charts["validation"] = Chart(
            "Validation links",
            "AUC of the validation links while the runs trained.",
            validation,
            "epoch",
            "AUC, %",
        )
    if roc:
        roc.append(Series("", [0, 100], [0, 100], colour="muted", dash=True))
        pr.append(Series("", [0, 100], [50, 50], colour="muted", dash=True))
        charts["roc"] = Chart(
            "Links found, non-links let in",
            "ROC curves: the further to the upper left, the better. The dotted line is guessing.",
            roc,
            "non-links above the threshold, %",
            "links above it, %",
            _WHOLE,
            _WHOLE,
        )
        charts["pr"] = Chart(
            "Links found, how many are right",
            "Precision and recall: the further to the upper right, the better.",
            pr,
            "links found, %",
            "right among those found, %",
            _WHOLE,
            _WHOLE,
        )
    return charts
