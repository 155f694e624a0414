"""judgement: how good a run is, and whether its numbers can be trusted, as charts and tables."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.stats import binomtest
from torch import Tensor

from vgae.evaluation.calibration import Calibration
from vgae.evaluation.links import PairScorer
from vgae.evaluation.metrics import LinkScores, curves, link_scores
from vgae.evaluation.ranking import known_pairs
from vgae.graphs.canonical import link_positions
from vgae.graphs.graph import Graph
from vgae.graphs.split import LinkSplit
from vgae.report.pages.frame import Chart, Column, Series, Table, numeric, rounded, thinned
from vgae.training.history import HistoryRow

_BINS = 40
FEW_PAIRS = 50  # of fewer, how far probabilities are off is chance
_HITS = 50  # non-links that Hits@50 looks at
# Training links of the end that has fewer: from the first number on, up to the second.
_DEGREES = ((0, 0), (1, 1), (2, 2), (3, 4), (5, 8), (9, 16), (17, None))


class ScoredPairs(NamedTuple):
    """The pairs of one part of a split, and what the model makes of them.

    Attributes:
        pairs: Shape ``(2, P)``.
        logits: Shape ``(P,)``.
        label: 1 for a link, shape ``(P,)``.
    """

    pairs: Tensor
    logits: Tensor
    label: Tensor


def scored_test_pairs(model: Any, graph: Graph, split: LinkSplit) -> ScoredPairs | None:
    """Score the test pairs, messages over training links only; ``None`` if there are none."""
    part = split.test
    if not part.pos.shape[1]:
        return None
    scorer = PairScorer(model, graph, split.message_edge_index)
    pairs = part.edge_label_index
    return ScoredPairs(pairs, scorer.logits(pairs), part.edge_label)


def learning_charts(history: Sequence[HistoryRow], kept: int) -> dict[str, Chart]:
    """Return the curves of training."""
    if not history:
        return {}
    some = [history[i] for i in thinned(len(history), 1000)]
    epoch = [row.epoch for row in some]
    mark = ((kept, f"kept: epoch {kept}"),) if kept else ()
    charts = {
        "loss": Chart(
            "Loss",
            "What training minimises: how badly links are predicted, and how far the"
            f" representation strays from the simplest one. {_course(history)} Lower is better.",
            [Series("loss", epoch, rounded([row.loss for row in some]))],
            x_title="epoch",
            y_title="nats per pair",
            marks=mark,
        )
    }
    parts = [Series("prediction of links", epoch, rounded([row.recon for row in some]))]
    if any(row.kl for row in history):
        kl = [float(f"{row.kl:.6g}") if row.kl > 0 else None for row in some]
        parts.append(Series("distance from the prior (KL)", epoch, kl, colour="second"))
    charts["parts"] = Chart(
        "Its parts",
        "The two sums that the loss weighs against each other, in nats over the whole graph, on"
        " a logarithmic scale.",
        parts,
        x_title="epoch",
        y_title="nats",
        log_y=True,
        marks=mark,
    )
    seen = [row for row in history if row.val_auc is not None and row.val_ap is not None]
    if seen:
        at = [row.epoch for row in seen]
        auc = rounded([100 * (row.val_auc or 0) for row in seen])
        ap = rounded([100 * (row.val_ap or 0) for row in seen])
        charts["validation"] = Chart(
            "Validation links",
            "Links that training never sees, scored while it runs."
            f" The AUC began at {auc[0]:.1f} and ended at {auc[-1]:.1f} %.",
            [Series("AUC", at, auc), Series("AP", at, ap, colour="second")],
            x_title="epoch",
            y_title="per cent",
            marks=mark,
        )
    return charts


def _course(history: Sequence[HistoryRow]) -> str:
    """Say where the loss began and ended, and its highest if that is neither."""
    first, last = (f"{row.loss:.3g}" for row in (history[0], history[-1]))
    highest = max(history, key=lambda row: row.loss)
    top = f"{highest.loss:.3g}"
    if top in (first, last):
        return f"It went from {first} to {last}."
    return f"It went from {first} to {last}; the highest was {top}, in epoch {highest.epoch:,}."


def num_pairs(judged: Mapping[str, Any]) -> int:
    """Return how many pairs the scores of a part, as ``metrics.json`` has them, are of."""
    return sum(judged["sigmoid"]["reliability"]["num_pairs"])


def ranking_charts(scored: ScoredPairs, calibration: Calibration | None) -> dict[str, Chart]:
    """Return the ROC and precision-recall curves and the histograms of scores."""
    points, scores = curves(scored.logits, scored.label), link_scores(scored.logits, scored.label)
    roc, pr = thinned(len(points.fpr)), thinned(len(points.recall))
    roc_series = [
        Series("the model", rounded(100 * points.fpr[roc]), rounded(100 * points.tpr[roc])),
        Series("guessing", [0, 100], [0, 100], colour="muted", dash=True),
    ]
    pr_series = [
        Series("the model", rounded(100 * points.recall[pr]), rounded(100 * points.precision[pr])),
        Series("guessing", [0, 100], [50, 50], colour="muted", dash=True),
    ]
    marks, said = (), ""
    if calibration is not None:
        found = calibration.predict(scored.logits)
        links = float(found[scored.label == 1].double().mean())
        others = float(found[scored.label == 0].double().mean())
        precision = links / (links + others) if links + others else 1.0
        text = [f"threshold: finds {100 * links:.1f} % of links, {100 * precision:.1f} % right"]
        dot = ("threshold", [100 * others], [100 * links], "dots", "second", False, text)
        roc_series.append(Series(*dot))
        pr_series.append(Series(dot[0], [100 * links], [100 * precision], *dot[3:]))
        said = (
            f" At the model's threshold it finds {100 * links:.0f} % of the links and takes"
            f" {100 * others:.0f} % of the non-links for links."
        )
        marks = _threshold_mark(scored.logits, found)
    whole = (-2.0, 102.0)
    return {
        "roc": Chart(
            "Links found, non-links let in",
            f"The ROC curve; the area under it is the AUC, {100 * scores.auc:.1f} %.{said}",
            roc_series,
            "non-links let in, %",
            "links found, %",
            whole,
            whole,
        ),
        "pr": Chart(
            "Links found, how many are right",
            "Precision and recall; the area under the curve is the average precision,"
            f" {100 * scores.ap:.1f} %. There are as many non-links as links.",
            pr_series,
            "links found (recall), %",
            "right ones (precision), %",
            whole,
            whole,
        ),
        "scores": _histograms(scored, marks),
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
        "The less the two hills overlap, the better the model tells them apart. The first and"
        " the last bar hold all that lies beyond.",
        [
            Series("held-out links", middle, links, "bars"),
            Series("non-links", middle, others, "bars", "second"),
        ],
        "score (logit)",
        "pairs",
        marks=marks,
    )


def _threshold_mark(logits: Tensor, found: Tensor) -> tuple[tuple[float, str], ...]:
    """Return where the threshold lies among the logits, between the pairs on its two sides."""
    if not bool(found.any()) or bool(found.all()):
        return ()
    place = (float(logits[found].min()) + float(logits[~found].max())) / 2
    return ((float(f"{place:.6g}"), "threshold"),)


def score_table(metrics: Mapping[str, Any]) -> Table:
    """Return the scores of validation and test."""
    columns = [
        Column("held-out links"),
        numeric("number"),
        numeric("AUC, %", "a link above a non-link"),
        numeric("95 % interval"),
        numeric("AP, %", "average precision"),
        numeric("95 % interval"),
        numeric("Hits@50, %", "links above all but 49 of the non-links"),
        numeric("MRR, %", "mean of 1 / rank among all nodes"),
        numeric("hit@10, %", "links among the first ten of all nodes"),
        numeric("ECE", "calibration error"),
    ]
    rows = []
    for part, name in (("test", "test"), ("val", "validation")):
        if part not in metrics:
            continue
        row = metrics[part]
        auc, ap = (_interval(row[f"{score}_interval"]) for score in ("auc", "ap"))
        judged = row["calibrated"] or row["sigmoid"]
        numbers = [row["auc"], row["ap"], row["hits_at_50"]]
        numbers += [row["ranks"]["mrr"], row["ranks"]["hits_at_10"]]
        figures = [f"{100 * value:.2f}" for value in numbers]
        others = num_pairs(row) - row["num_links"]
        if others <= _HITS:  # every link is above all but so many, whatever the model
            figures[2] = f"– ({others} non-links)"
        cells = [name, f"{row['num_links']:,}", figures[0], auc, figures[1], ap]
        few = f" ({num_pairs(row)} pairs)" if num_pairs(row) < FEW_PAIRS else ""
        rows.append([*cells, *figures[2:], f"{judged['ece']:.3f}{few}"])
    return Table("Scores of the links that were held out", columns, rows)


def _interval(ends: Sequence[float]) -> str:
    return f"{100 * ends[0]:.2f} – {100 * ends[1]:.2f}"


def common_neighbours(pairs: Tensor, links: Tensor, num_nodes: int) -> Tensor:
    """Return how many nodes both ends of each pair are linked to, float64, shape ``(P,)``."""
    adjacency = known_pairs(links, num_nodes)
    adjacency.setdiag(0)
    adjacency.eliminate_zeros()
    u, v = pairs.numpy()
    return torch.from_numpy(adjacency[u].multiply(adjacency[v]).sum(axis=1)).double()


def baseline(scored: ScoredPairs, split: LinkSplit) -> LinkScores:
    """Return the scores of a rule that only counts common neighbours, on the same pairs."""
    counts = common_neighbours(scored.pairs, split.train, split.num_nodes)
    return link_scores(counts, scored.label)


def reliability_chart(judged: Mapping[str, Any]) -> Chart:
    """Return the reliability diagram of the bare sigmoid and of calibrated probabilities."""
    names = {"sigmoid": ("before calibration", "muted"), "calibrated": ("calibrated", "accent")}
    series, said = [Series("exact", [0, 100], [0, 100], colour="muted", dash=True)], []
    for key, (name, colour) in names.items():
        if not judged[key]:
            continue
        bins = judged[key]["reliability"]
        mean, share, count = (bins[k] for k in ("mean_probability", "share", "num_pairs"))
        text = [
            f"{name}: said {100 * m:.0f} %, were {100 * s:.0f} % of {n:,} pairs"
            for m, s, n in zip(mean, share, count, strict=True)
        ]
        points = rounded(100 * np.asarray(mean)), rounded(100 * np.asarray(share))
        series.append(Series(name, *points, "line+dots", colour, text=text))
        said.append(f"{name}, {100 * judged[key]['ece']:.1f} points")
    count = num_pairs(judged)
    few = f" That rests on {count} pairs, which is few." if count < FEW_PAIRS else ""
    return Chart(
        "Said and come true",
        "Test pairs in bins of equal width. On the diagonal, of the pairs that are said to"
        f" be links with 80 %, 80 % are. Off it on average: {'; '.join(said)}.{few}",
        series,
        "probability said, %",
        "links among them, %",
        (-2.0, 102.0),
        (-2.0, 102.0),
    )


def probability_table(judged: Mapping[str, Any]) -> Table:
    """Return Brier score, calibration error and log loss, before and after calibration."""
    names = {"sigmoid": "before calibration", "calibrated": "calibrated"}
    rows = [
        [name, *(f"{judged[key][score]:.4f}" for score in ("ece", "brier", "log_loss"))]
        for key, name in names.items()
        if judged[key]
    ]
    columns = [
        Column("probabilities"),
        numeric("ECE", "mean distance of said and come true"),
        numeric("Brier score", "mean squared error"),
        numeric("log loss", "nats"),
    ]
    return Table("Errors of the probabilities of test pairs; 0 is best", columns, rows)


def degree_chart(
    scored: ScoredPairs, split: LinkSplit, calibration: Calibration | None
) -> tuple[Chart, Table]:
    """Return how well links are found by how many training links their poorer end has."""
    degree = torch.bincount(split.train.flatten(), minlength=split.num_nodes)
    is_link = scored.label == 1
    least = degree[scored.pairs[:, is_link]].min(dim=0).values.numpy()
    links, others = (scored.logits[which].double().numpy() for which in (is_link, ~is_link))
    others = np.sort(others)
    below = np.searchsorted(others, links, "left") + np.searchsorted(others, links, "right")
    above_share = below / (2 * len(others))
    found = None if calibration is None else calibration.predict(scored.logits)[is_link].numpy()
    names, recall, low, high, rows = [], [], [], [], []
    for first, last in _DEGREES:
        inside = (least >= first) & (least <= (last if last is not None else least.max()))
        count = int(inside.sum())
        if not count:
            continue
        name = f"{first}+" if last is None else f"{first}" if first == last else f"{first}–{last}"
        outranked = f"{100 * above_share[inside].mean():.1f}"
        names.append(name)
        if found is None:
            recall.append(float(100 * above_share[inside].mean()))
            rows.append([name, f"{count:,}", outranked])
            continue
        hits = int(found[inside].sum())
        ends = binomtest(hits, count).proportion_ci(method="wilson")
        recall.append(100 * hits / count)
        low.append(100 * ends.low)
        high.append(100 * ends.high)
        rows.append([name, f"{count:,}", outranked, f"{100 * hits / count:.1f}"])
    what = "found at the threshold" if found is not None else "above non-links, on average"
    chart = Chart(
        "Nodes with few links",
        f"Test links {what}, by how many training links their poorer end has. Bars are 95 %"
        " intervals: few links, wide bars.",
        [Series("", names, rounded(recall), "dots", low=rounded(low), high=rounded(high))],
        "training links of the poorer end",
        "per cent",
        y_range=(-3.0, 103.0),
    )
    columns = [Column("training links"), numeric("test links")]
    columns += [numeric("non-links below, %"), numeric("found, %")]
    caption = "Test links by the training links of their poorer end"
    return chart, Table(caption, columns[: 3 if found is None else 4], rows)


def audit_rows(split: LinkSplit, graph: Graph) -> list[tuple[str, str, str]]:
    """Return each invariant of the split that was checked anew: code, statement, what was counted.

    Raises:
        LeakageError: If one does not hold.
    """
    train, val, test = split.train.shape[1], split.val.pos.shape[1], split.test.pos.shape[1]
    val_neg, test_neg = split.val.neg.shape[1], split.test.neg.shape[1]
    counted = {
        "S1": f"{train:,} + {val:,} + {test:,} = {graph.num_links:,} links",
        "S3": f"0 of {val + test:,} held-out links, among {2 * train:,} messages",
        "S4": f"0 of {val_neg + test_neg:,} non-links are links",
        "S5": f"validation {val:,} and {val_neg:,}, test {test:,} and {test_neg:,}",
        "S6": f"{train:,} links",
        "S12": f"fingerprint {split.fingerprint[:12]}…",
    }
    checks = split.audit(graph)
    return [
        (c.invariant, c.statement, counted.get(c.invariant, f"{c.violations} violations"))
        for c in checks
    ]


def canary(scored: ScoredPairs, split: LinkSplit) -> float:
    """Return the AUC of a cheat on the test pairs, who knows the training links and no more.

    It is 0.5 unless test links are among them.
    """
    known = link_positions(scored.pairs, split.train, split.num_nodes) >= 0
    return link_scores(known.double(), scored.label).auc
