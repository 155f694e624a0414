"""Colours, lines, titles, legends and files of all figures."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.legend import Legend

from vgae.errors import printable
from vgae.report.figures.fonts import use_fonts
from vgae.runtime.atomic import replacing

log = logging.getLogger(__name__)

# Okabe & Ito (2008): distinct under every kind of colour vision.
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#666666"
# Petroff (2021), Accessible Color Sequences for Data Visualization: the most distinct ten.
CLASS_COLOURS = (
    "#3f90da",
    "#ffa90e",
    "#bd1f01",
    "#94a4a2",
    "#832db6",
    "#a96b59",
    "#e76300",
    "#b9ac70",
    "#717581",
    "#92dadd",
)
# For a dark background, where two of them would have a contrast below 3:1.
DARK_CLASS_COLOURS = tuple(
    {"#bd1f01": "#f4594a", "#832db6": "#b878e6"}.get(colour, colour) for colour in CLASS_COLOURS
)

TEXT = 8  # points, of all text but titles
_DASHES = ("-", "--", "-.", ":")


def line_look(place: int) -> dict[str, Any]:
    """Return colour and dashes of the n-th line, distinct in grey as well."""
    colours = (BLUE, ORANGE, GREEN, "black")
    return {"color": colours[place % 4], "linestyle": _DASHES[(place + place // 4) % 4]}


def legend(axes: Axes, **options: Any) -> None:
    """Add a legend of the named artists, if there are any."""
    if axes.get_legend_handles_labels()[0]:
        look = {"facecolor": "white", "edgecolor": "none", "framealpha": 0.8, "fontsize": TEXT}
        finish_legend(axes.legend(**{**look, **options}))


def finish_legend(made: Legend, size: float = 30) -> None:
    """Do not typeset texts such as "$x_$", and draw dots in a given size."""
    for text in made.get_texts():
        text.set_parse_math(False)
    for handle in made.legend_handles:
        if isinstance(handle, PathCollection):
            handle.set_sizes([size])


def titled(axes: Axes, text: str) -> None:
    """Set a title, which is not typeset, at the left, and remove half of the frame."""
    axes.set_title(printable(text), loc="left", fontsize=10, parse_math=False)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(which="both", labelsize=TEXT)


def cut(text: str, most: int) -> str:
    """Return a text, cut to a number of letters."""
    return text if len(text) <= most else text[: most - 1] + "…"


def label_axes(axes: Axes, x: str, y: str) -> None:
    """Set the labels of both axes."""
    axes.set_xlabel(x, fontsize=TEXT)
    axes.set_ylabel(y, fontsize=TEXT)


def save_figures(
    folder: Path, figures: Mapping[str, Callable[[], Figure]], *, dpi: int
) -> list[Path]:
    """Draw figures by name and write each whole or not at all; return their paths."""
    paths = [folder / name for name in figures]
    log.info("drawing %s", ", ".join(figures))
    for path in paths:
        figure = use_fonts(figures[path.name]())
        with replacing(path) as temporary:
            figure.savefig(temporary, dpi=dpi)
    return paths
