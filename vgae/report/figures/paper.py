"""Figures for papers: one kind at a time, as wide as a column, with fonts that are read at print.

What is drawn is what the figures of a run draw, by the same functions; here it is laid out anew.
"""

import io
import logging
import os
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.style
from matplotlib.figure import Figure

from vgae.errors import UsageError, printable
from vgae.report.figures.paper_layouts import LINE, OF_GRAPHS, OF_IMAGES, compared
from vgae.report.figures.style import TEXT
from vgae.runs.graphs import Run
from vgae.runs.images import ImageRun
from vgae.runtime.atomic import replacing

log = logging.getLogger(__name__)

COLUMN = 3.3  # inches, of a page with two columns
SUFFIXES = (".pdf", ".png", ".svg")
KINDS = (
    "roc",
    "pr",
    "reliability",
    "histogram",
    "curves",
    "embedding",
    "reconstructions",
    "manifold",
)
_SEVERAL = ("roc", "pr")  # that take several runs
_STYLE = {
    "font.size": TEXT,
    "axes.linewidth": 0.6,
    "lines.linewidth": 1.2,
    "xtick.labelsize": TEXT,
    "ytick.labelsize": TEXT,
    "figure.constrained_layout.w_pad": 0.02,
    "figure.constrained_layout.h_pad": 0.02,
    # TrueType, as publishers ask for; text that looks the same where the font is missing.
    "pdf.fonttype": 42,
    "svg.fonttype": "path",
    "svg.hashsalt": "vgae",
}
_MISSING = "Glyph .* missing from"
# What would tell when a file was written, and make each another one.
_NO_DATE: dict[str, dict[str, Any]] = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}


@dataclass(frozen=True, eq=False)
class PaperFigure:
    """A figure, and what its caption should say of it.

    Attributes:
        figure: Not bound to a backend, nor to the current figure of pyplot.
        caption: One line.
    """

    figure: Figure
    caption: str

    def save(self, path: str | os.PathLike[str], *, dpi: int = 600) -> None:
        """Write it as ``.pdf``, ``.svg`` or ``.png``: the same figure gives the same bytes.

        Args:
            path: Where to.
            dpi: Dots per inch of a ``.png``, and of images and very many points in the others.

        Raises:
            UsageError: If the suffix is another one.
            ResourceError: If it cannot be written.
        """
        path = Path(path)
        check_suffix(path)
        kind = path.suffix[1:].lower()
        content = io.BytesIO()
        with _paper_style(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", _MISSING)  # told already
            self.figure.savefig(content, format=kind, dpi=dpi, metadata=_NO_DATE.get(kind))
        with replacing(path) as temporary:
            temporary.write_bytes(content.getvalue())


def check_suffix(path: Path) -> None:
    """Raise ``UsageError`` unless a figure can be written to a path by its suffix."""
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError("EXPORT_FORMAT", f"{path} must end in {' or '.join(SUFFIXES)}.")


def kinds_of(run: Run | ImageRun) -> list[str]:
    """Return the kinds of figures that can be drawn of a run."""
    kinds = ["curves"] if run.history else []
    if isinstance(run, ImageRun):
        held_out = run.config["images"].get("num_test", 0)
        kinds += ["embedding", "reconstructions"] if held_out else []
        return kinds + (["manifold"] if run.recipe.latent_channels == 2 else [])
    tested = run.split.test.pos.shape[1] and run.split.test.neg.shape[1]
    return kinds + ["embedding"] + (["roc", "pr", "reliability", "histogram"] if tested else [])


def check_kind(kind: str, runs: Sequence[Run | ImageRun]) -> None:
    """Raise ``UsageError`` unless a figure of a kind can be drawn of all of the runs."""
    if kind not in KINDS:
        raise UsageError("FIGURE", f"there is no figure {kind!r}; there are {', '.join(KINDS)}.")
    if len(runs) > 1 and kind not in _SEVERAL:
        raise UsageError(
            "FIGURE",
            f"{kind!r} is of one run, not of {len(runs)}; of several are {', '.join(_SEVERAL)}.",
        )
    for run in runs:
        fitting = kinds_of(run)
        if kind not in fitting:
            what = "images" if isinstance(run, ImageRun) else "a graph"
            raise UsageError(
                "FIGURE",
                f"{run.folder} is a run on {what} and has nothing for {kind!r}; it has"
                f" {', '.join(fitting) or 'nothing to draw'}.",
            )


def paper_figure(
    kind: str,
    *runs: Run | ImageRun,
    labels: Sequence[str] | None = None,
    title: str | None = None,
    width: float = COLUMN,
) -> PaperFigure:
    """Draw one figure of a run, or of several runs in the same axes.

    Args:
        kind: One of :data:`KINDS`; :func:`kinds_of` a run tells which it has.
        runs: Several for ``"roc"`` and ``"pr"``, else one.
        labels: What a legend calls the runs; the names of their folders if not given.
        title: Above the figure, taken literally; papers have a caption instead.
        width: Inches, from 1.5 to 20.

    Raises:
        UsageError: If the kind does not fit a run, or an option makes no sense.
    """
    if not runs:
        raise UsageError("FIGURE", "a figure is of a run, and none is given.")
    check_kind(kind, runs)
    if not 1.5 <= width <= 20:
        raise UsageError("WIDTH", f"the width must be from 1.5 to 20 inches, got {width}.")
    if labels is not None and len(labels) != len(runs):
        raise UsageError("LABELS", f"there must be a label for each run, got {len(labels)}.")
    with _paper_style(), _missing_glyphs_told():
        if kind in _SEVERAL:
            names = labels or [run.folder.name for run in runs]
            drawn = compared(kind, runs, names, width)  # pyright: ignore[reportArgumentType]
        elif isinstance(runs[0], ImageRun):
            drawn = OF_IMAGES[kind](runs[0], width)
        else:
            drawn = OF_GRAPHS[kind](runs[0], width)
        if title is not None:
            _add_title(drawn.figure, title)
        # Axes of one scale get their limits, and so their numbers, only when they are drawn:
        # the second time, there is room for them.
        drawn.figure.draw_without_rendering()
    return PaperFigure(drawn.figure, drawn.caption)


def _add_title(figure: Figure, title: str) -> None:
    """Write a title above a figure, which grows by as much."""
    before = figure.get_figheight()
    height = before + LINE + 0.08
    figure.set_figheight(height)
    middle = 1 - (LINE / 2 + 0.03) / height
    look = {"fontsize": TEXT + 1, "parse_math": False}
    if figure.get_layout_engine() is not None:
        figure.suptitle(printable(title), **look)
        return
    for axes in figure.axes:
        x, y, wide, high = axes.get_position().bounds
        axes.set_position((x, y * before / height, wide, high * before / height))
    figure.suptitle(printable(title), y=middle, va="center", **look)


@contextmanager
def _paper_style() -> Iterator[None]:
    """Draw by our settings alone: whatever the user has set, and is given back afterwards."""
    with matplotlib.style.context(["default", _STYLE]):
        yield


@contextmanager
def _missing_glyphs_told() -> Iterator[None]:
    """Say once which characters the font lacks, which are drawn as boxes."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    # Each is warned of whenever it is measured.
    missing = {str(w.message) for w in caught if re.match(_MISSING, str(w.message))}
    for other in caught:
        if str(other.message) not in missing:
            warnings.warn_explicit(other.message, other.category, other.filename, other.lineno)
    if missing:
        log.warning(
            "%d characters of names are not in the font, and are drawn as boxes", len(missing)
        )
