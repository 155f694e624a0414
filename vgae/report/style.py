"""What all figures share: colours and titles."""

from matplotlib.axes import Axes

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


def titled(axes: Axes, text: str) -> None:
    """Put a title, taken literally, above the left end of the axes, and draw no full frame."""
    axes.set_title(printable(text), loc="left", fontsize=10, parse_math=False)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)
