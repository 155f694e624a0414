"""Figures of a run: how training went, and what the latent space looks like."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from vgae.atomic import replacing
from vgae.errors import printable
from vgae.evaluation import PairScorer
from vgae.graph import Graph
from vgae.history import HistoryRow
from vgae.metrics import curves, link_scores
from vgae.reliability import probability_scores, reliability
from vgae.report.style import BLUE, GREEN, GREY, ORANGE, titled
from vgae.run import Run

# t-SNE takes seconds up to here and minutes beyond.
_TSNE_NODES = 5000


def write_figures(run: Run, embedding: np.ndarray) -> list[Path]:
    """Write ``training.png``, ``embedding.png`` and ``links.png`` into the figures of a run.

    The last one is left out if no links were held out for test.

    Args:
        run: A finished run.
        embedding: Mean of each node, shape ``(N, d)``.

    Returns:
        The paths written.
    """
    figures = {
        "training.png": training_figure(run.history, run.metrics),
        "embedding.png": embedding_figure(run.graph, embedding),
    }
    if run.split.test.pos.shape[1]:
        figures["links.png"] = links_figure(run)
    paths = []
    for name, figure in figures.items():
        path = run.folder / "figures" / name
        with replacing(path) as temporary:
            figure.savefig(temporary, dpi=150)
        paths.append(path)
    return paths


def training_figure(history: Sequence[HistoryRow], metrics: dict) -> Figure:
    """Draw the loss, its two parts, and the validation scores over the epochs."""
    figure = Figure(figsize=(11, 3.6), layout="constrained")
    loss, parts, scores = figure.subplots(1, 3)
    epoch = [row.epoch for row in history]
    loss.plot(epoch, [row.loss for row in history], color=BLUE)
    titled(loss, "Loss, nats per pair of nodes")

    parts.plot(epoch, [row.recon for row in history], color=ORANGE, label="reconstruction")
    if any(row.kl for row in history):
        parts.plot(epoch, [row.kl for row in history], color=GREEN, label="KL to the prior")
    parts.set_yscale("log")
    parts.legend(frameon=False, fontsize=8)
    titled(parts, "Its two parts, nats in all")

    seen = [row for row in history if row.val_auc is not None]
    if seen:
        at = [row.epoch for row in seen]
        scores.plot(at, [100 * row.val_auc for row in seen], color=BLUE, label="AUC")  # pyright: ignore
        scores.plot(at, [100 * row.val_ap for row in seen], color=ORANGE, label="AP")  # pyright: ignore
        kept = metrics["epoch"]
        scores.axvline(kept, color=GREY, linestyle=":", label=f"kept: epoch {kept}")
        scores.legend(frameon=False, fontsize=8, loc="lower center")
    else:
        text = "no validation links" if history else "no epochs"
        scores.text(0.5, 0.5, text, ha="center", transform=scores.transAxes)
        scores.set_axis_off()
    titled(scores, "Validation links, per cent")
    for axes in (loss, parts, scores):
        axes.set_xlabel("epoch", fontsize=8)
    return figure


def embedding_figure(graph: Graph, embedding: np.ndarray) -> Figure:
    """Draw the nodes in the plane, coloured by label, or by degree where there are no labels."""
    method, plane = _project(embedding)
    figure = Figure(figsize=(9, 6.5), layout="constrained")
    axes = figure.subplots()
    size = float(np.clip(8000 / len(plane), 1, 22))
    if graph.y is None:
        degree = np.bincount(graph.links.flatten().numpy(), minlength=graph.num_nodes)
        dots = axes.scatter(*plane.T, s=size, c=np.log10(1 + degree), cmap="cividis", linewidths=0)
        figure.colorbar(dots, label="log10(1 + degree)")
    else:
        _scatter_by_label(axes, plane, graph, size)
    axes.set_axis_off()
    name = f"{graph.name}: {graph.num_nodes:,} nodes, {embedding.shape[1]} latent dimensions"
    titled(axes, f"{name}, {method}")
    return figure


def links_figure(run: Run) -> Figure:
    """Draw how test links are told from non-links: ROC, precision and recall, reliability."""
    scorer = PairScorer(run.model, run.graph, run.split.message_edge_index)
    logits, label = scorer.logits(run.split.test.edge_label_index), run.split.test.edge_label
    figure = Figure(figsize=(11, 3.8), layout="constrained")
    roc, precision_recall, calibration = figure.subplots(1, 3)
    points, scores = curves(logits, label), link_scores(logits, label)
    roc.plot(points.fpr, points.tpr, color=BLUE)
    roc.plot([0, 1], [0, 1], color=GREY, linestyle=":", linewidth=1)
    titled(roc, f"Test links, ROC: AUC {100 * scores.auc:.2f} %")
    roc.set(xlabel="share of non-links above", ylabel="share of links above")
    precision_recall.plot(points.recall, points.precision, color=BLUE)
    precision_recall.set(xlabel="recall", ylabel="precision")
    titled(precision_recall, f"Precision and recall: AP {100 * scores.ap:.2f} %")
    sets = {"sigmoid of the logit": (logits.double().sigmoid(), ORANGE, "o")}
    if run.calibration is not None:
        sets["calibrated"] = (
            replace(run.calibration, log_odds_shift=0.0).probability(logits),
            BLUE,
            "s",
        )
        _operating_point(roc, precision_recall, run.calibration.predict(logits), label)
    calibration.plot([0, 1], [0, 1], color=GREY, linestyle=":", linewidth=1)
    for name, (probability, colour, marker) in sets.items():
        bins, ece = reliability(probability, label), probability_scores(probability, label).ece
        text = f"{name}: ECE {ece:.3f}"
        calibration.plot(
            bins.mean_probability,
            bins.share,
            color=colour,
            marker=marker,
            markersize=4,
            label=text,
        )
    calibration.legend(frameon=False, fontsize=8, loc="upper left")
    calibration.set(xlabel="predicted probability", ylabel="share of links")
    titled(calibration, "Reliability, as many non-links as links")
    return figure


def _operating_point(roc: Axes, precision_recall: Axes, predicted: Tensor, label: Tensor) -> None:
    """Mark where the calibration's threshold lies on both curves."""
    links, others = predicted[label == 1].double().mean(), predicted[label == 0].double().mean()
    text = "the model's threshold"
    roc.plot(others, links, color=ORANGE, marker="o", linestyle="", label=text)
    roc.legend(frameon=False, fontsize=8, loc="lower right")
    precision = links / (links + others) if links + others > 0 else 1.0
    precision_recall.plot(links, precision, color=ORANGE, marker="o", linestyle="")


def _scatter_by_label(axes: Axes, plane: np.ndarray, graph: Graph, size: float) -> None:
    labels = np.asarray(graph.y)
    # Ten strong colours, then their ten light ones, with another marker every ten classes.
    colours = [*colormaps["tab20"].colors[::2], *colormaps["tab20"].colors[1::2]]  # pyright: ignore
    present, counts = np.unique(labels, return_counts=True)
    # Large classes first, so that small ones are drawn on top of them.
    for rank, label in enumerate(present[np.argsort(-counts, kind="stable")]):
        dots = plane[labels == label]
        colour, marker = colours[rank % 20], "os^Dv"[rank // 10 % 5]
        if label < 0:
            name, colour, marker = "unknown", GREY, "x"
        else:
            name = graph.label_names[label] if graph.label_names else str(label)
        text = f"{printable(name)} ({len(dots):,})"
        # A cross is nothing but lines, and the others would have an edge.
        width = 0.5 if marker == "x" else 0
        axes.scatter(*dots.T, s=size, color=colour, marker=marker, linewidths=width, label=text)
    legend = axes.legend(
        loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, fontsize=8, markerscale=1.4
    )
    for handle in legend.legend_handles:
        handle.set_sizes([30])  # pyright: ignore
    for text in legend.get_texts():
        # A label such as "$x_$" must be shown, not typeset.
        text.set_parse_math(False)


def _project(embedding: np.ndarray) -> tuple[str, np.ndarray]:
    """Return the name of the method and the nodes in two dimensions, shape (N, 2)."""
    # Within rounding one and the same point, as in a complete graph: no method has an axis for it.
    spread = np.ptp(embedding, axis=0).max() > 1e-6 * np.abs(embedding).max()
    if embedding.shape[1] <= 2 or len(embedding) < 4 or not spread:
        padded = np.pad(embedding, ((0, 0), (0, max(0, 2 - embedding.shape[1]))))
        return "as they are", padded[:, :2]
    if len(embedding) > _TSNE_NODES:
        from sklearn.decomposition import PCA

        return "PCA", PCA(2, random_state=0).fit_transform(embedding)
    from sklearn.manifold import TSNE

    perplexity = min(30, (len(embedding) - 1) / 3)
    return "t-SNE", TSNE(perplexity=perplexity, random_state=0).fit_transform(embedding)
