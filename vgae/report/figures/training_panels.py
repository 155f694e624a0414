"""Axes with training curves over the epochs."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from vgae.report.figures.style import BLUE, GREEN, GREY, ORANGE, TEXT, legend
from vgae.training.history import HistoryRow

_SEEN_AS_POINTS = 10  # fewer values get markers, as a line needs two points


def draw_curve(
    axes: Axes, epoch: Sequence[int], values: Sequence[float] | np.ndarray, **look: Any
) -> None:
    """Draw values over epochs."""
    marker = "o" if len(epoch) < _SEEN_AS_POINTS else ""
    axes.plot(epoch, values, marker=marker, markersize=3, **look)


def draw_loss(axes: Axes, history: Sequence[HistoryRow]) -> None:
    """Draw the loss."""
    draw_curve(axes, _epochs(history), [row.loss for row in history], color=BLUE)
    _finish(axes, history)


def draw_parts(axes: Axes, history: Sequence[HistoryRow]) -> None:
    """Draw reconstruction and, if there is one, KL divergence, summed in nats."""
    epoch = _epochs(history)
    recon = [row.recon for row in history]
    draw_curve(axes, epoch, recon, color=ORANGE, label="reconstruction")
    if any(row.kl for row in history):
        kl = [row.kl for row in history]
        draw_curve(axes, epoch, kl, color=GREEN, linestyle="--", label="KL to the prior")
    axes.set_yscale("log")
    legend(axes)
    _finish(axes, history)


def draw_scores(axes: Axes, history: Sequence[HistoryRow], metrics: Mapping[str, int]) -> None:
    """Draw AUC and AP of the validation links and the kept epoch, or a note without scores."""
    seen = [row for row in history if row.val_auc is not None and row.val_ap is not None]
    if not seen:
        text = "no validation links" if history else "no epochs"
        axes.text(0.5, 0.5, text, ha="center", transform=axes.transAxes, fontsize=TEXT)
        axes.set_axis_off()
        return
    at = [row.epoch for row in seen]
    auc, ap = 100 * np.array([[row.val_auc, row.val_ap] for row in seen], dtype=float).T
    draw_curve(axes, at, auc, color=BLUE, label="AUC")
    draw_curve(axes, at, ap, color=ORANGE, linestyle="--", label="AP")
    kept = metrics["epoch"]
    axes.axvline(kept, color=GREY, linestyle=":", label=f"kept: epoch {kept}")
    legend(axes, loc="lower center")
    _finish(axes, history)


def draw_elbo(axes: Axes, history: Sequence[HistoryRow], num_items: int) -> None:
    """Draw the negative ELBO of training and of validation, in nats per item."""
    if not history:
        axes.text(0.5, 0.5, "no epochs", ha="center", transform=axes.transAxes, fontsize=TEXT)
    total = [(row.recon + row.kl) / num_items for row in history]
    draw_curve(axes, _epochs(history), total, color=BLUE, label="training")
    seen = {row.epoch: -row.val_elbo for row in history if row.val_elbo is not None}
    if seen:
        values = [*seen.values()]
        draw_curve(axes, [*seen], values, color=ORANGE, linestyle="--", label="validation")
        best = min(seen, key=seen.__getitem__)
        axes.axvline(best, color=GREY, linestyle=":", label=f"best: epoch {best}")
    if history:
        legend(axes)
    _finish(axes, history)
    axes.set_ylabel("nats per image", fontsize=TEXT)


def draw_part(axes: Axes, history: Sequence[HistoryRow], name: str, num_items: int) -> None:
    """Draw one of the two parts of the negative ELBO, in nats per item."""
    values = np.array([getattr(row, name) for row in history]) / num_items
    draw_curve(axes, _epochs(history), values, color={"recon": ORANGE, "kl": GREEN}[name])
    _finish(axes, history)


def _epochs(history: Sequence[HistoryRow]) -> list[int]:
    return [row.epoch for row in history]


def _finish(axes: Axes, history: Sequence[HistoryRow]) -> None:
    axes.set_xlabel("epoch", fontsize=TEXT)
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10], integer=True, min_n_ticks=1))
    if history:
        axes.set_xlim(history[0].epoch - 0.5, history[-1].epoch + 0.5)
