"""Layouts of the figures for papers, by kind, at a given width."""

import logging
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from vgae.errors import printable
from vgae.evaluation.metrics import link_scores
from vgae.graphs.graph import Graph
from vgae.models.embedding import embed
from vgae.report.cluster_text import chosen_text
from vgae.report.figures.graphs import draw_column, draw_nodes, draw_unlabelled
from vgae.report.figures.images import (
    manifold_sheet,
    name_manifold_axes,
    reconstruction_sheets,
)
from vgae.report.figures.latent_plane import draw_posteriors, thinned_posteriors, write_labels
from vgae.report.figures.link_panels import (
    draw_histogram,
    draw_precision_recall,
    draw_reliability,
    draw_roc,
    scored_test_pairs,
)
from vgae.report.figures.points import MOST_DOTS, draw_classes, projections
from vgae.report.figures.sheets import draw_sheet
from vgae.report.figures.style import TEXT, cut, finish_legend
from vgae.report.figures.training_panels import draw_elbo, draw_loss, draw_scores
from vgae.report.node_columns import NodeClasses, node_column
from vgae.runs.clusters import stored_clusters
from vgae.runs.graphs import Run
from vgae.runs.images import ImageRun

log = logging.getLogger(__name__)

_LETTER, LINE = 0.058, 0.15  # inches: width of a letter, height of a line of text
_HANDLE = 0.35  # inches: width of a legend handle with the gap between columns
_INSIDE = 4  # most lines of a legend inside the axes
_ONE_COLUMN = 8  # most lines of a legend with long names; more are cut to fit in two columns
_WRITTEN = 20  # most labels inside the axes
_LISTED = 24  # most labels of a legend
_NAME = 28  # most letters of a name
_MANIFOLD = 15  # images in a row
_PAIRS = 10, 3  # images in a row, rows
_COLUMN = 3.3  # inches: figure width for which dot sizes are given


class Layout(NamedTuple):
    """A figure and the content of its caption."""

    figure: Figure
    caption: str


def _axes(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def compared(kind: str, runs: Sequence[Run], labels: Sequence[str], width: float) -> Layout:
    """Draw ROC curves, or precision over recall, of the test pairs of several runs."""
    pairs = [run.split.test.edge_label_index for run in runs]
    if not all(torch.equal(pairs[0], other) for other in pairs[1:]):
        log.warning("the runs have different test links, so their curves are less comparable")
    tests = [scored_test_pairs(run) for run in runs]
    score, name, draw, corner = {
        "roc": ("AUC", "ROC", draw_roc, "lower right"),
        "pr": ("AP", "precision and recall", draw_precision_recall, "lower left"),
    }[kind]
    values = [100 * getattr(link_scores(test.logits, test.label), score.lower()) for test in tests]
    texts = [f"{score} {value:.2f} %" for value in values]
    if len(runs) > 1:
        names = _distinct([cut(printable(label), _NAME) for label in labels])
        texts = [f"{name}: {text}" for name, text in zip(names, texts, strict=True)]
    figure, axes = _axes(width, 0.8 * width)
    draw(axes, dict(zip(texts, tests, strict=True)))
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    _add_legend(figure, axes, corner)
    return Layout(figure, f"{name} of {_counted(tests[0].label)}; {', '.join(texts)}")


def _counted(label: torch.Tensor) -> str:
    """Return the numbers of test links and non-links."""
    num_links = int(label.sum())
    if 2 * num_links == len(label):
        return f"{num_links:,} test links and non-links"
    return f"{num_links:,} test links and {len(label) - num_links:,} non-links"


def _reliability(run: Run, width: float) -> Layout:
    test = scored_test_pairs(run)
    figure, axes = _axes(width, 0.8 * width)
    draw_reliability(axes, run, test)
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    _add_legend(figure, axes, None)
    return Layout(figure, _on_pairs(test.label))


def _on_pairs(label: torch.Tensor) -> str:
    text = f"reliability on {len(label):,} test pairs, "
    half = 2 * int(label.sum()) == len(label)
    return text + ("half of them links" if half else "links and non-links weighing the same")


def _histogram(run: Run, width: float) -> Layout:
    test = scored_test_pairs(run)
    figure, axes = _axes(width, 0.65 * width)
    draw_histogram(axes, test)
    return Layout(figure, f"logits of {len(test.label):,} test pairs")


def _curves(run: Run, width: float) -> Layout:
    with_scores = any(row.val_auc is not None for row in run.history)
    height = (1.0 if with_scores else 0.65) * width
    figure = Figure(figsize=(width, height), layout="constrained")
    loss, *scores = figure.subplots(2 if with_scores else 1, sharex=True, squeeze=False)[:, 0]
    draw_loss(loss, run.history)
    loss.set_ylabel("loss, nats per pair", fontsize=TEXT)
    for axes in scores:
        draw_scores(axes, run.history, run.metrics)
        axes.set_ylabel("validation, %", fontsize=TEXT)
        loss.set_xlabel("")
    for axes in (loss, *scores):
        axes.spines[["top", "right"]].set_visible(False)
    figure.align_ylabels()
    return Layout(figure, f"training, {len(run.history):,} epochs")


def _image_curves(run: ImageRun, width: float) -> Layout:
    figure, axes = _axes(width, 0.65 * width)
    draw_elbo(axes, run.history, run.config["images"]["num_train"])
    what = "ELBO" if any(row.kl for row in run.history) else "log-likelihood"
    return Layout(figure, f"negative {what}, {len(run.history):,} epochs")


def _embedding(run: Run, width: float, color: str | None = None) -> Layout:
    embedding = run.embedding.numpy()
    method, plane = next(projections(embedding))
    figure, axes = _axes(width, 0.85 * width)
    size = _dot_size(len(plane), width)
    if color is not None:
        _draw_column(figure, axes, plane, run.graph, color)
    elif run.graph.y is None:
        dots, label = draw_unlabelled(axes, plane, run.graph, size)
        figure.colorbar(dots, shrink=0.8).set_label(label, fontsize=TEXT)
    else:
        draw_nodes(axes, plane, run.graph, size, counted=False)
        _add_legend(figure, axes, None)
    axes.set_axis_off()
    what = "density of " if len(plane) > MOST_DOTS else ""
    text = f"{what}{len(plane):,} nodes, {embedding.shape[1]} latent dimensions, {method}"
    return Layout(figure, text + (f", coloured by {printable(color)}" if color else ""))


def _draw_column(figure: Figure, axes: Axes, plane: np.ndarray, graph: Graph, name: str) -> None:
    """Draw nodes in the colours of a column, with its legend or scale."""
    column = node_column(graph, name)
    size = _dot_size(len(plane), figure.get_figwidth())
    scale = draw_column(axes, plane, column, size, counted=False)
    if scale is None or isinstance(column, NodeClasses):
        _add_legend(figure, axes, None)
        return
    ticks = AutoDateLocator(maxticks=6) if column.is_date else None
    look: Any = {"format": ConciseDateFormatter(ticks)} if ticks else {}
    bar = figure.colorbar(scale, shrink=0.8, ticks=ticks, **look)
    bar.set_label(cut(printable(name), _NAME), fontsize=TEXT, parse_math=False)


def _clusters(run: Run, width: float) -> Layout:
    mu = embed(run, run.graph).mu.numpy()
    clusters = stored_clusters(run, run.graph.ids)
    assert clusters is not None  # drawable
    method, plane = next(projections(mu))
    figure, axes = _axes(width, 0.85 * width)
    look: dict[str, Any] = {"name_of": "cluster {}".format, "counted": False}
    draw_classes(axes, plane, clusters.labels, _dot_size(len(plane), width), **look)
    _add_legend(figure, axes, None)
    axes.set_axis_off()
    what = "density of " if len(plane) > MOST_DOTS else ""
    return Layout(figure, f"{what}{len(plane):,} nodes in {chosen_text(clusters)}, {method}")


def _latent_plane(run: ImageRun, width: float) -> Layout:
    q, labels = thinned_posteriors(run.model, run.images.test, run.images.y_test)
    figure, axes = _axes(width, 0.85 * width)
    size = _dot_size(len(q.mu), width)
    plane = draw_posteriors(axes, q, labels, size, shrink=0.8, counted=False)
    if labels is not None and len(np.unique(labels)) <= _WRITTEN:
        write_labels(axes, plane.points, labels)
    elif labels is not None:
        _add_legend(figure, axes, None)
    text = f"posterior means of {len(plane.points):,} test images, {plane.method}"
    return Layout(figure, text)


def _reconstructions(run: ImageRun, width: float) -> Layout:
    sheets = reconstruction_sheets(run.model, run.images.test, *_PAIRS)
    figure, drawn = _sheet_axes(sheets, width, (0.55, 0.02, 0.02, 0.02))
    for axes, tiles in zip(drawn, sheets, strict=True):
        axes.set_yticks(np.array([0.25, 0.75]) * tiles.shape[0] - 0.5, ("image", "decoded"))
    shown = len(sheets) * min(_PAIRS[0], len(run.images.test))
    return Layout(figure, f"{shown} test images above the decoded means of their posteriors")


def _manifold(run: ImageRun, width: float) -> Layout:
    tiles = manifold_sheet(run.model, _MANIFOLD)
    figure, (axes,) = _sheet_axes([tiles], width, (0.68, 0.16, 0.42, 0.08))
    name_manifold_axes(axes, _MANIFOLD)
    text = f"decoded means at {_MANIFOLD} x {_MANIFOLD} quantiles of the prior, N(0, I)"
    return Layout(figure, text)


def _sheet_axes(
    sheets: Sequence[np.ndarray], width: float, margins: tuple[float, float, float, float]
) -> tuple[Figure, list[Axes]]:
    """Draw sheets of one size below each other; margins are left, right, below, top in inches."""
    left, right, below, top = margins
    across, space = width - left - right, 0.06
    high = across * sheets[0].shape[0] / sheets[0].shape[1]
    height = len(sheets) * (high + space) - space + top + below
    figure, drawn = Figure(figsize=(width, height)), []
    for place, tiles in enumerate(sheets):
        bottom = height - top - (place + 1) * high - place * space
        drawn.append(
            figure.add_axes((left / width, bottom / height, across / width, high / height))
        )
        draw_sheet(drawn[-1], tiles, inches=across)
    return figure, drawn


def _add_legend(figure: Figure, axes: Axes, corner: str | None) -> None:
    """Add a legend inside the axes if it is small and a corner is given, else below them."""
    handles, texts = axes.get_legend_handles_labels()
    if len(texts) > _LISTED:
        handles = [*handles[: _LISTED - 1], Line2D([], [], linestyle="")]
        texts = [*texts[: _LISTED - 1], f"and {len(texts) - _LISTED + 1:,} more"]
    width, height = figure.get_size_inches()
    if len(texts) > _ONE_COLUMN:
        texts = [cut(printable(text), int((width / 2 - _HANDLE) / _LETTER) - 1) for text in texts]
    longest = max(map(len, texts))
    if corner and len(texts) <= _INSIDE and longest * _LETTER < 0.75 * width:
        look: dict[str, Any] = {"loc": corner, "facecolor": "white", "edgecolor": "none"}
        made = axes.legend(handles, texts, fontsize=TEXT, **look)
    else:
        columns = min(max(1, int(width // (longest * _LETTER + _HANDLE))), len(texts))
        lines = math.ceil(len(texts) / columns)
        # The size of the axes does not change.
        figure.set_figheight(height + lines * LINE + 0.1)
        made = figure.legend(
            handles,
            texts,
            loc="outside lower center",
            ncols=columns,
            frameon=False,
            fontsize=TEXT,
            columnspacing=1,
            handletextpad=0.4,
            borderpad=0.5,
        )
    finish_legend(made, 16)


def _dot_size(count: int, width: float) -> float:
    """Return the size of a dot in square points."""
    return float(np.clip(2500 / max(count, 1), 0.6, 10)) * (width / _COLUMN) ** 2


def _distinct(names: Sequence[str]) -> list[str]:
    """Return unique names, with a number after repeated ones."""
    return [
        f"{name} ({names[: place + 1].count(name)})" if names.count(name) > 1 else name
        for place, name in enumerate(names)
    ]


OF_GRAPHS: dict[str, Callable[..., Layout]] = {
    "reliability": _reliability,
    "histogram": _histogram,
    "curves": _curves,
    "embedding": _embedding,
    "clusters": _clusters,
}
OF_IMAGES: dict[str, Callable[[ImageRun, float], Layout]] = {
    "curves": _image_curves,
    "embedding": _latent_plane,
    "reconstructions": _reconstructions,
    "manifold": _manifold,
}
