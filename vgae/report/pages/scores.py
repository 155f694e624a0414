"""Charts and tables of a run on a graph: training, ranking, calibration and leakage checks."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from scipy.stats import binomtest
from torch import Tensor

from vgae.evaluation.calibration import Calibration
from vgae.evaluation.metrics import LinkScores, curves, link_scores
from vgae.evaluation.simple_scores import SimpleScores
from vgae.graphs.canonical import link_positions
from vgae.graphs.graph import Graph
from vgae.graphs.split import LinkSplit
from vgae.report.figures.link_panels import ScoredPairs
from vgae.report.pages.frame import PERCENT, Chart, Series, line, rounded, thinned, training_chart
from vgae.report.text import calibration_error, error_text
from vgae.training.history import HistoryRow

_BINS = 40
_ROC_AXES = "non-links above the threshold (FPR), %", "links above the threshold (TPR), %"
_PR_AXES = "links above the threshold (recall), %", "links among them (precision), %"
FEW_PAIRS = 50  # with fewer pairs, the calibration error is mostly chance
_HITS = 50  # the non-link of this rank is the threshold of Hits@50
_SIGMOID, _CALIBRATED = ("sigmoid", "before calibration"), ("calibrated", "calibrated")
# Training links of the end that has fewer of them, first and last number of each group.
_DEGREES = ((0, 0), (1, 1), (2, 2), (3, 4), (5, 8), (9, 16), (17, None))


def learning_charts(history: Sequence[HistoryRow], kept: int) -> dict[str, Chart]:
    """Return the curves of training."""
    if not history:
        return {}
    some = [history[i] for i in thinned(len(history), 1000)]
    epoch = [row.epoch for row in some]
    chart = partial(training_chart, kept=kept)
    charts = {
        "loss": chart(
            "Loss",
            "Training minimises the reconstruction error of the links and, in a variational model,"
            f" the KL divergence to the prior. {_course(history)} Lower is better.",
            [line("loss", epoch, rounded([row.loss for row in some]))],
            "nats per pair",
        )
    }
    parts = [line("reconstruction of links", epoch, rounded([row.recon for row in some]))]
    if any(row.kl for row in history):
        kl = [float(f"{row.kl:.6g}") if row.kl > 0 else None for row in some]
        parts.append(line("KL divergence to the prior", epoch, kl, "second"))
    text = "The two sums that the loss combines, over the whole graph, on a logarithmic scale."
    charts["parts"] = chart("Parts of the loss", text, parts, "nats", log_y=True)
    seen = [row for row in history if row.val_auc is not None and row.val_ap is not None]
    if seen:
        at = [row.epoch for row in seen]
        auc = rounded([100 * (row.val_auc or 0) for row in seen])
        ap = rounded([100 * (row.val_ap or 0) for row in seen])
        charts["validation"] = chart(
            "Validation links",
            "Scores of links that are not used for training."
            f" The AUC began at {auc[0]:.1f} and ended at {auc[-1]:.1f} %.",
            [line("AUC", at, auc), line("AP", at, ap, "second")],
            "per cent",
        )
    return charts


def _course(history: Sequence[HistoryRow]) -> str:
    """Return first and last loss as a sentence, and the highest loss if that is another one."""
    first, last = (f"{row.loss:.3g}" for row in (history[0], history[-1]))
    highest = max(history, key=lambda row: row.loss)
    top = f"{highest.loss:.3g}"
    if top in (first, last):
        return f"It went from {first} to {last}."
    return f"It went from {first} to {last}; the highest was {top}, in epoch {highest.epoch:,}."


def num_pairs(metrics: Mapping[str, Any]) -> int:
    """Return the number of pairs of a part of the split, from its entry in ``metrics.json``."""
    return sum(metrics["sigmoid"]["reliability"]["num_pairs"])


def ranking_charts(scored: ScoredPairs, calibration: Calibration | None) -> dict[str, Chart]:
    """Return the ROC and precision-recall curves and the histograms of scores."""
    points, scores = curves(scored.logits, scored.label), link_scores(scored.logits, scored.label)
    fpr, tpr, recall, precision = (
        rounded(100 * values[thinned(len(values))])
        for values in (points.fpr, points.tpr, points.recall, points.precision)
    )
    roc, pr = [Series("the model", fpr, tpr)], [Series("the model", recall, precision)]
    marks, text = (), ""
    if calibration is not None:
        found = calibration.predict(scored.logits)
        links = float(found[scored.label == 1].double().mean())
        others = float(found[scored.label == 0].double().mean())
        right = links / (links + others) if links + others else 1.0
        tip = [f"threshold: recall {100 * links:.1f} %, precision {100 * right:.1f} %"]
        for series, x, y in ((roc, others, links), (pr, links, right)):
            series.append(Series("threshold", [100 * x], [100 * y], "dots", "second", text=tip))
        where = ", chosen for the density of the graph," * (calibration.prior != "balanced")
        text = (
            f" At the threshold of the model{where} {100 * links:.0f} % of the links and"
            f" {100 * others:.0f} % of the non-links are classified as links."
        )
        marks = _threshold_mark(scored.logits, found)
    charts = ranking_curves(
        roc,
        pr,
        f"The area under the curve is the AUC, {100 * scores.auc:.1f} %.{text}",
        f"The area under the curve is the average precision, {100 * scores.ap:.1f} %."
        f" {_balance(scored.label)}",
        base=base_rate(scored.label),
        guess="random guessing",
    )
    return charts | {"scores": _histograms(scored, marks)}


def base_rate(label: Tensor) -> float:
    """Return the fraction of links among pairs, which is the AP of random guessing."""
    return float((label == 1).double().mean())


def _balance(label: Tensor) -> str:
    """Return a sentence on the numbers of links and non-links."""
    num_links = int(label.sum())
    if 2 * num_links == len(label):
        return "There are as many non-links as links."
    return f"There are {num_links:,} links and {len(label) - num_links:,} non-links."


def ranking_curves(
    roc: Sequence[Series],
    pr: Sequence[Series],
    roc_text: str,
    pr_text: str,
    *,
    base: float,
    guess: str = "",
) -> dict[str, Chart]:
    """Return the charts of ROC curves and precision-recall curves, with random guessing.

    ``base`` is the fraction of links among the pairs.
    """
    diagonal = Series(guess, [0, 100], [0, 100], colour="muted", dash=True)
    roc, pr = [*roc, diagonal], [*pr, diagonal._replace(y=[100 * base] * 2)]
    return {
        "roc": Chart("ROC curve", roc_text, roc, *_ROC_AXES, PERCENT, PERCENT),
        "pr": Chart("Precision and recall", pr_text, pr, *_PR_AXES, PERCENT, PERCENT),
    }


def _histograms(scored: ScoredPairs, marks: Sequence[tuple[float, str]]) -> Chart:
    values, label = scored.logits.double().numpy(), scored.label.numpy() == 1
    low, high = np.quantile(values, [0.002, 0.998])
    edges = np.linspace(low, high if high > low else low + 1, _BINS + 1)
    middle = rounded((edges[:-1] + edges[1:]) / 2)
    links, others = (
        np.histogram(np.clip(values[which], edges[0], edges[-1]), edges)[0].tolist()
        for which in (label, ~label)
    )
    return Chart(
        "Scores of links and of non-links",
        "The less the two histograms overlap, the better the model distinguishes links from"
        " non-links. The first and the last bar include all scores beyond them.",
        [
            Series("held-out links", middle, links, "bars"),
            Series("non-links", middle, others, "bars", "second"),
        ],
        "score (logit)",
        "pairs",
        marks=marks,
    )


def _threshold_mark(logits: Tensor, found: Tensor) -> tuple[tuple[float, str], ...]:
    """Return the middle between the logits next to the threshold as the mark of a chart."""
    if not bool(found.any()) or bool(found.all()):
        return ()
    place = (float(logits[found].min()) + float(logits[~found].max())) / 2
    return ((float(f"{place:.6g}"), "threshold"),)


def score_rows(metrics: Mapping[str, Any]) -> list[list[str]]:
    """Return the scores of test and validation as rows of a table.

    In a two-sided graph, two more columns have recall@20 and NDCG@20 of nodes of the first side.
    Where links have non-links of their own, two more have MRR and hit@10 among them.
    """
    rows, has_own = [], any((metrics.get(part) or {}).get("given") for part in ("val", "test"))
    for part, name in (("test", "test"), ("val", "validation")):
        if part not in metrics:
            continue
        row = metrics[part]
        auc, ap = (percent_interval(row[f"{score}_interval"]) for score in ("auc", "ap"))
        values = [row["auc"], row["ap"], row["hits_at_50"]]
        values += [row["ranks"]["mrr"], row["ranks"]["hits_at_10"]]
        texts = [f"{100 * value:.2f}" for value in values]
        others = num_pairs(row) - row["num_links"]
        if others <= _HITS:  # every link is above all but so many, whatever the model
            texts[2] = f"– ({others} non-links)"
        error = error_text(row["calibrated"] or row["sigmoid"], "–")
        few = f" ({num_pairs(row)} pairs)" if num_pairs(row) < FEW_PAIRS else ""
        cells = [name, f"{row['num_links']:,}", texts[0], auc, texts[1], ap, *texts[2:]]
        rows.append([*cells, f"{error}{few}"])
        if found := row.get("recommended"):
            rows[-1] += [f"{100 * found[key]:.2f}" for key in ("recall_at_20", "ndcg_at_20")]
        if has_own:
            own = row.get("given")
            keys = ("mrr", "hits_at_10")
            rows[-1] += [f"{100 * own[key]:.2f}" if own else "–" for key in keys]
    return rows


def percent_interval(ends: Sequence[float]) -> str:
    """Return an interval of fractions as text in per cent."""
    return f"{100 * ends[0]:.2f} – {100 * ends[1]:.2f}"


def baseline(scored: ScoredPairs, split: LinkSplit) -> LinkScores:
    """Return the scores of a baseline that counts the shortest paths, on the same pairs.

    They are common neighbours in a graph without direction or sides.
    """
    counts = SimpleScores(split.message_links, split.grid).shortest_paths(scored.pairs)
    return link_scores(counts, scored.label)


def reliability_chart(metrics: Mapping[str, Any]) -> Chart:
    """Return the reliability diagram of the plain sigmoid and of calibrated probabilities."""
    series = [Series("exact", [0, 100], [0, 100], colour="muted", dash=True)]
    errors = []
    for key, name, colour in (*_SIGMOID, "muted"), (*_CALIBRATED, "accent"):
        if not metrics[key]:
            continue
        bins = metrics[key]["reliability"]
        mean, fraction = (100 * np.asarray(bins[k]) for k in ("mean_probability", "share"))
        text = [
            f"{name}: predicted {m:.0f} %, observed {f:.0f} % of {n:,} pairs"
            for m, f, n in zip(mean, fraction, bins["num_pairs"], strict=True)
        ]
        points = rounded(mean), rounded(fraction)
        series.append(Series(name, *points, "line+dots", colour, text=text))
        error = calibration_error(metrics[key])
        errors.append(f"{name}, " + ("–" if error is None else f"{100 * error:.1f} points"))
    count = num_pairs(metrics)
    few = f" These are only {count} pairs." if count < FEW_PAIRS else ""
    return Chart(
        "Reliability diagram",
        "Test pairs in bins of equal width. On the diagonal, 80 % of the pairs with a predicted"
        f" probability of 80 % are links. Mean distance from it: {'; '.join(errors)}.{few}",
        series,
        "predicted probability, %",
        "observed fraction of links, %",
        PERCENT,
        PERCENT,
    )


def probability_rows(metrics: Mapping[str, Any]) -> list[list[str]]:
    """Return calibration error, Brier score and log loss, before and after calibration."""
    return [
        [
            name,
            "–" if calibration_error(metrics[key]) is None else f"{metrics[key]['ece']:.4f}",
            *(f"{metrics[key][score]:.4f}" for score in ("brier", "log_loss")),
        ]
        for key, name in (_SIGMOID, _CALIBRATED)
        if metrics[key]
    ]


def degree_chart(
    scored: ScoredPairs, split: LinkSplit, calibration: Calibration | None
) -> tuple[Chart, list[list[str]]]:
    """Return the recall of test links by the lower degree of their two ends in training."""
    is_link = scored.label == 1
    simple = SimpleScores(split.message_links, split.grid)
    least = simple.degrees(scored.pairs[:, is_link]).min(dim=0).values.numpy()
    links, others = (scored.logits[which].double().numpy() for which in (is_link, ~is_link))
    others = np.sort(others)
    below = np.searchsorted(others, links, "left") + np.searchsorted(others, links, "right")
    fraction_below = below / (2 * len(others))
    found = None if calibration is None else calibration.predict(scored.logits)[is_link].numpy()
    names, recall, low, high, rows = [], [], [], [], []
    for first, last in _DEGREES:
        inside = (least >= first) & (least <= (last if last is not None else least.max()))
        count = int(inside.sum())
        if not count:
            continue
        name = f"{first}+" if last is None else f"{first}" if first == last else f"{first}–{last}"
        mean = float(100 * fraction_below[inside].mean())
        names.append(name)
        rows.append([name, f"{count:,}", f"{mean:.1f}"])
        if found is not None:
            hits = int(found[inside].sum())
            ends = binomtest(hits, count).proportion_ci(method="wilson")
            low.append(100 * ends.low)
            high.append(100 * ends.high)
            mean = 100 * hits / count
            rows[-1].append(f"{mean:.1f}")
        recall.append(mean)
    what = "recall at the threshold" if found is not None else "mean fraction of non-links below"
    chart = Chart(
        "Nodes with few links",
        f"Test links by the training links of the end that has fewer of them{_counted(split)}:"
        f" {what}, with 95 % intervals, which are wide where there are few test links.",
        [Series("", names, rounded(recall), "dots", low=rounded(low), high=rounded(high))],
        "training links of the end with fewer links",
        "per cent",
        y_range=(-3.0, 103.0),
    )
    return chart, rows


def _counted(split: LinkSplit) -> str:
    """Return which links count in a directed graph."""
    return ", out of the source or into the target" if split.grid.directed else ""


def audit_rows(split: LinkSplit, graph: Graph) -> list[tuple[str, str, str]]:
    """Return code, statement and finding of each check; raise ``LeakageError`` for a leak.

    The code of a check that found a deviation, which is no leak, is empty.
    """
    train, val, test = split.train.shape[1], split.val.pos.shape[1], split.test.pos.shape[1]
    val_neg, test_neg = split.val.neg.shape[1], split.test.neg.shape[1]
    every = "=" if train + val + test == graph.num_links else "of"
    messages = split.message_edge_index.shape[1]
    counted = {
        "S1": f"{train:,} + {val:,} + {test:,} {every} {graph.num_links:,} links",
        "S3": f"0 of {val + test:,} held-out links, among {messages:,} messages",
        "S4": f"0 of {val_neg + test_neg:,} non-links are links of their part",
        "S5": f"validation {val:,} and {val_neg:,}, test {test:,} and {test_neg:,}",
        "S6": f"{train:,} links",
        "S12": f"fingerprint {split.fingerprint[:12]}…",
    }
    return [
        (
            "" if c.violations else c.invariant,
            c.statement,
            c.finding or counted.get(c.invariant, "without exception"),
        )
        for c in split.audit(graph)
    ]


def leakage_check(scored: ScoredPairs, split: LinkSplit) -> float:
    """Return the AUC of membership in the training links: 0.5 unless test links are among them."""
    known = link_positions(scored.pairs, split.train, split.grid) >= 0
    return link_scores(known.double(), scored.label).auc
