"""Figures for papers: one panel of the figures of a run, in the width of a column."""

import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.style
from matplotlib.figure import Figure

from vgae.errors import UsageError, did_you_mean, printable
from vgae.report.figures.fonts import use_fonts
from vgae.report.figures.paper_layouts import LINE
from vgae.report.figures.style import TEXT
from vgae.report.view import view_of
from vgae.runs.graphs import Run
from vgae.runs.kind import FinishedRun, kind_of, kinds
from vgae.runtime.atomic import replacing

COLUMN = 3.3  # inches, in a page with two columns
SUFFIXES = (".pdf", ".png", ".svg")
_STYLE = {
    "font.size": TEXT,
    "axes.linewidth": 0.6,
    "lines.linewidth": 1.2,
    "xtick.labelsize": TEXT,
    "ytick.labelsize": TEXT,
    "figure.constrained_layout.w_pad": 0.02,
    "figure.constrained_layout.h_pad": 0.02,
    # Publishers require TrueType. Paths look the same without the font.
    "pdf.fonttype": 42,
    "svg.fonttype": "path",
    "svg.hashsalt": "vgae",
}
# Replace the matplotlib settings of the user for a while.
_paper_style = partial(matplotlib.style.context, ["default", _STYLE])
# Dates would make the bytes of each file differ.
_NO_DATE: dict[str, dict[str, Any]] = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}


@dataclass(frozen=True, eq=False)
class PaperFigure:
    """A figure, independent of backends and of pyplot, and the content of its caption."""

    figure: Figure
    caption: str

    def save(self, path: str | os.PathLike[str], *, dpi: int = 600) -> None:
        """Write it as ``.pdf``, ``.svg`` or ``.png``; the same figure gives the same bytes.

        Args:
            path: Path of the file.
            dpi: Dots per inch of a ``.png``, and of images and large sets of points in the others.

        Raises:
            UsageError: If the suffix is another one.
            ResourceError: If the file cannot be written.
        """
        path = Path(path)
        check_suffix(path)
        kind = path.suffix[1:].lower()
        content = io.BytesIO()
        with _paper_style():
            self.figure.savefig(content, format=kind, dpi=dpi, metadata=_NO_DATE.get(kind))
        with replacing(path) as temporary:
            temporary.write_bytes(content.getvalue())


def check_suffix(path: Path) -> None:
    """Raise ``UsageError`` unless the suffix of a path is one of :data:`SUFFIXES`."""
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError("EXPORT_FORMAT", f"{path} must end in {' or '.join(SUFFIXES)}.")


def figure_kinds() -> list[str]:
    """Return all kinds of figures: those of several runs first, then those of one run."""
    views = [view_of(kind) for kind in kinds()]
    shared = [name for view in views for name in view.shared_figures()]
    return list(dict.fromkeys([*shared, *(name for view in views for name in view.figures())]))


def check_kind(kind: str, runs: Sequence[FinishedRun]) -> None:
    """Raise ``UsageError`` unless all runs have data for a kind of figure."""
    known = figure_kinds()
    if kind not in known:
        what = f"there is no figure {kind!r}; there are {', '.join(known)}."
        raise UsageError("FIGURE", what + did_you_mean(kind, known))
    views = [view_of(run.config) for run in runs]
    shared = list(dict.fromkeys(name for view in views for name in view.shared_figures()))
    if len(runs) > 1 and kind not in shared:
        raise UsageError(
            "FIGURE",
            f"{kind!r} is of one run, not of {len(runs)}; of several are {', '.join(shared)}.",
        )
    for run, view in zip(runs, views, strict=True):
        fitting = view.drawable(run)
        if kind not in fitting:
            first = f"; 'vgae clusters {run.folder}' finds clusters"
            raise UsageError(
                "FIGURE",
                f"{run.folder} is a run on {kind_of(run.config).title} and has nothing for"
                f" {kind!r}; it has {', '.join(fitting) or 'nothing to draw'}"
                f"{first if kind == 'clusters' and isinstance(run, Run) else ''}.",
            )


def paper_figure(
    kind: str,
    *runs: FinishedRun,
    labels: Sequence[str] | None = None,
    title: str | None = None,
    width: float = COLUMN,
    color: str | None = None,
) -> PaperFigure:
    """Draw one figure of a run, or of several runs in the same axes.

    Args:
        kind: Name of a figure; see :meth:`vgae.report.view.RunView.drawable`.
        runs: Several for ``"roc"`` and ``"pr"``, else one.
        labels: Names of the runs in a legend; by default, the names of their folders.
        title: Title, which is not typeset; papers have a caption instead.
        width: Width in inches, from 1.5 to 20.
        color: Column that the nodes of ``"embedding"`` are coloured by: a column of the table of
            nodes, a feature, ``"label"`` or ``"degree"``; see
            :func:`vgae.report.node_columns.node_column`.

    Raises:
        UsageError: If the kind does not fit a run, or an option is out of range.
    """
    if not runs:
        raise UsageError("FIGURE", "a figure is of a run, and none is given.")
    check_kind(kind, runs)
    how = {} if color is None else {"color": color}
    if how and not (kind == "embedding" and isinstance(runs[0], Run)):
        rule = "color (--color) is for the figure 'embedding' of a run on a graph"
        raise UsageError("FIGURE", f"{rule}, not for {kind!r} of {runs[0].folder}; leave it out.")
    if not 1.5 <= width <= 20:
        raise UsageError("WIDTH", f"the width must be from 1.5 to 20 inches, got {width}.")
    if labels is not None and len(labels) != len(runs):
        raise UsageError("LABELS", f"there must be a label for each run, got {len(labels)}.")

    view = view_of(runs[0].config)
    with _paper_style():
        if kind in (shared := view.shared_figures()):
            drawn = shared[kind](runs, labels or [run.folder.name for run in runs], width)
        else:
            drawn = view.figures()[kind](runs[0], width, **how)
        if title is not None:
            _add_title(drawn.figure, title)
        use_fonts(drawn.figure)
        # Axes of one scale get their limits, and so their tick labels, when they are drawn; the
        # layout leaves space for them when the figure is drawn again.
        drawn.figure.draw_without_rendering()
    return PaperFigure(drawn.figure, drawn.caption)


def _add_title(figure: Figure, title: str) -> None:
    """Write a title above a figure, and increase the height by that of the title."""
    before = figure.get_figheight()
    height = before + LINE + 0.08
    figure.set_figheight(height)
    look = {"fontsize": TEXT + 1, "parse_math": False}
    if figure.get_layout_engine() is not None:
        figure.suptitle(printable(title), **look)
        return
    for axes in figure.axes:
        x, y, wide, high = axes.get_position().bounds
        axes.set_position((x, y * before / height, wide, high * before / height))
    figure.suptitle(printable(title), y=1 - (LINE / 2 + 0.03) / height, va="center", **look)
