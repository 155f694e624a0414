"""Axes with scores of links and non-links: ROC, precision and recall, reliability, histogram."""

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from torch import Tensor

from vgae.evaluation.links import PairScorer
from vgae.evaluation.metrics import curves
from vgae.evaluation.reliability import balancing_weight, probability_scores, reliability
from vgae.report.figures.style import BLUE, GREY, ORANGE, label_axes, legend, line_look
from vgae.runs.graphs import Run

_BINS = 40
_POINTS = 10_000  # of a curve; more are not distinguished


class ScoredPairs(NamedTuple):
    """Pairs of nodes, shape ``(2, P)``, with logits and labels (1: link), shape ``(P,)``."""

    pairs: Tensor
    logits: Tensor
    label: Tensor


def scored_test_pairs(run: Run, of: Run | None = None) -> ScoredPairs:
    """Score the test pairs of a run, or of another one; messages travel on the training links."""
    test = (of or run).split.test
    scorer = PairScorer(run.model, run.graph, run.split.message_edge_index)
    return ScoredPairs(
        test.edge_label_index, scorer.logits(test.edge_label_index), test.edge_label
    )


def draw_roc(axes: Axes, tests: Mapping[str, ScoredPairs]) -> None:
    """Draw the ROC curve of each test; its name, unless empty, is for a legend."""
    for place, (name, test) in enumerate(tests.items()):
        points = curves(test.logits, test.label)
        axes.plot(*_thinned(points.fpr, points.tpr), label=name, **line_look(place))
    _diagonal(axes)
    label_axes(axes, "false positive rate", "true positive rate")


def draw_precision_recall(axes: Axes, tests: Mapping[str, ScoredPairs]) -> None:
    """Draw precision over recall of each test; names are as for :func:`draw_roc`."""
    for place, (name, test) in enumerate(tests.items()):
        points = curves(test.logits, test.label)
        axes.plot(*_thinned(points.recall, points.precision), label=name, **line_look(place))
    label_axes(axes, "recall", "precision")


def draw_operating_point(
    roc: Axes, precision_recall: Axes, predicted: Tensor, label: Tensor
) -> None:
    """Mark the threshold of a calibration on both curves."""
    links, others = predicted[label == 1].double().mean(), predicted[label == 0].double().mean()
    text = "the model's threshold"
    roc.plot(others, links, color=ORANGE, marker="o", linestyle="", label=text)
    legend(roc, loc="lower right")
    precision = links / (links + others) if links + others > 0 else 1.0
    precision_recall.plot(links, precision, color=ORANGE, marker="o", linestyle="")


def draw_reliability(axes: Axes, run: Run, test: ScoredPairs) -> None:
    """Draw the fraction of links over the predicted probability, plain and calibrated."""
    sets = {"sigmoid of the logit": (test.logits.double().sigmoid(), ORANGE, "o")}
    if run.calibration is not None:
        balanced = replace(run.calibration, log_odds_shift=0.0)
        sets["calibrated"] = (balanced.probability(test.logits), BLUE, "s")
    weight = balancing_weight(test.label)
    _diagonal(axes)
    for name, (probability, colour, marker) in sets.items():
        bins = reliability(probability, test.label, weight=weight)
        text = name
        if len(bins.num_pairs) > 1:  # the error of one bin is almost 0, whatever the model
            error = probability_scores(probability, test.label, weight).ece
            text += f": ECE {error:.3f}"
        dots = axes.plot(bins.mean_probability, bins.share, color=colour, label=text)[0]
        dots.set(marker=marker, markersize=4)
    label_axes(axes, "predicted probability", "fraction of links")


def draw_histogram(axes: Axes, test: ScoredPairs) -> None:
    """Draw the histograms of the logits of links and of non-links."""
    logits, label = test.logits.double().cpu().numpy(), test.label.cpu().numpy()
    edges = np.histogram_bin_edges(logits, _BINS).tolist()
    # The outlines distinguish them without colour.
    for value, name, colour, line in ((0, "non-links", ORANGE, "--"), (1, "links", BLUE, "-")):
        chosen = logits[label == value]
        text = f"{len(chosen):,} {name}"
        axes.hist(chosen, edges, color=colour, alpha=0.35, label=text)
        axes.hist(chosen, edges, histtype="step", color=colour, linestyle=line, linewidth=1.2)
    legend(axes, loc="best")
    label_axes(axes, "logit", "test pairs")


def _thinned(*ends: np.ndarray) -> list[np.ndarray]:
    """Return the points of a curve, evenly spaced if there are very many."""
    count = len(ends[0])
    if count <= 2 * _POINTS:
        return [*ends]
    chosen = np.linspace(0, count - 1, _POINTS).round().astype(int)
    return [end[chosen] for end in ends]


def _diagonal(axes: Axes) -> None:
    axes.plot([0, 1], [0, 1], color=GREY, linestyle=":", linewidth=1)
