"""Figure of a search for settings: the AUC of the trials, and which settings matter."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from vgae.report.figures.style import (
    BLUE,
    GREY,
    ORANGE,
    TEXT,
    label_axes,
    legend,
    save_figures,
    titled,
)
from vgae.runs.trial_sampler import levelled
from vgae.runs.tuning import Tuning

_LOW = 25  # per cent of the trials that may lie below the axis, so that the others are apart


def write_tuning_figure(folder: Path, tuning: Tuning) -> list[Path]:
    """Write ``tuning.png`` into a folder; return its path."""
    return save_figures(folder, {"tuning.png": partial(tuning_figure, tuning)}, dpi=150)


def tuning_figure(tuning: Tuning) -> Figure:
    """Draw the AUC of every trial with the best so far, beside the importance of each setting."""
    figure = Figure(figsize=(8, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    _draw_trials(left, tuning)
    _draw_importances(right, tuning.importances())
    return figure


def _draw_trials(axes: Axes, tuning: Tuning) -> None:
    whole = [t for t in tuning.trials if len(t.scores) == tuning.num_splits]
    early = [t for t in tuning.trials if 0 < len(t.scores) < tuning.num_splits]
    auc = levelled(tuning.trials)
    for trials, colour in ((whole, BLUE), (early, "none")):
        if trials:
            label = "trial" if trials is whole else "ended after one split"
            x, y = zip(*((t.number, 100 * (auc[t.number] or 0)) for t in trials), strict=True)
            look: Any = {"color": colour, "edgecolors": BLUE, "linewidths": 0.8}
            axes.scatter(x, y, s=18, label=label, **look)
    x = [trial.number for trial in whole]
    best = np.maximum.accumulate([100 * (trial.auc or 0) for trial in whole])
    end = tuning.trials[-1].number
    axes.step([*x, end], [*best, best[-1]], where="post", color=ORANGE, label="best so far")
    if (first := tuning.trials[0].auc) is not None:
        name = f"recipe {tuning.recipe.name}"
        axes.axhline(100 * first, color=GREY, linestyle=":", label=name)
    seen = [100 * value for value in auc if value is not None]
    low, high = min(np.percentile(seen, _LOW), 100 * (first or 1)), max(seen)
    room = max(high - low, 0.5)
    axes.set_ylim(low - 0.35 * room, high + 0.1 * room)
    hidden = sum(value < low - 0.35 * room for value in seen)
    titled(axes, "Validation AUC of the trials, %")
    label_axes(axes, f"trial ({hidden} below the axis)" if hidden else "trial", "")
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
    legend(axes, loc="lower right")


def _draw_importances(axes: Axes, importances: dict[str, float]) -> None:
    titled(axes, "Importance of each setting, %")
    if not importances:
        text = "too few trials"
        axes.text(0.5, 0.5, text, ha="center", transform=axes.transAxes, fontsize=TEXT)
        axes.set_axis_off()
        return
    names = sorted(importances, key=importances.__getitem__)
    axes.barh(names, [100 * importances[name] for name in names], color=BLUE, height=0.6)
    label_axes(axes, "of the variance of the AUC", "")
    axes.set_ylim(-0.7, len(names) - 0.3)
