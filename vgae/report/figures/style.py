"""What all figures share: colours, lines, titles and legends."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.legend import Legend

from vgae.errors import printable

# Okabe & Ito (2008): told apart with any kind of colour vision.
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#666666"
# Petroff (2021), Accessible Color Sequences for Data Visualization: the ten told apart best.
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
# The same on a dark ground: what would be less than 3:1 above it is lighter.
DARK_CLASS_COLOURS = tuple(
    {"#bd1f01": "#f4594a", "#832db6": "#b878e6"}.get(colour, colour) for colour in CLASS_COLOURS
)

TEXT = 8  # points, of all that is written but titles
_DASHES = ("-", "--", "-.", ":")


def line_look(place: int) -> dict[str, Any]:
    """Return colour and dashes of the n-th line of several: told apart in grey, too."""
    colours = (BLUE, ORANGE, GREEN, "black")
    return {"color": colours[place % 4], "linestyle": _DASHES[(place + place // 4) % 4]}


def legend(axes: Axes, **options: Any) -> Legend | None:
    """Add a legend of what has a name, taken literally, if anything has."""
    if not axes.get_legend_handles_labels()[0]:
        return None
    look = {"facecolor": "white", "edgecolor": "none", "framealpha": 0.8, "fontsize": TEXT}
    made = axes.legend(**{**look, **options})
    literal(made)
    return made


def literal(made: Legend) -> None:
    """Show texts such as "$x_$" as they are, and do not typeset them."""
    for text in made.get_texts():
        text.set_parse_math(False)


def titled(axes: Axes, text: str) -> None:
    """Put a title, taken literally, above the left end of the axes, and draw no full frame."""
    axes.set_title(printable(text), loc="left", fontsize=10, parse_math=False)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=TEXT)
