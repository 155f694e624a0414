import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from vgae.report.figures.style import (
    BLUE,
    CLASS_COLOURS,
    DARK_CLASS_COLOURS,
    GREEN,
    GREY,
    ORANGE,
    titled,
)

# What is left of linear red, green and blue without red cones, and without green ones: Machado,
# Oliveira & Fernandes (2009), severity 1.0.
PROTANOPIA = [
    [0.152286, 1.052583, -0.204868],
    [0.114503, 0.786281, 0.099216],
    [-0.003882, -0.048116, 1.051998],
]
DEUTERANOPIA = [
    [0.367322, 0.860646, -0.227968],
    [0.280085, 0.672501, 0.047413],
    [-0.011820, 0.042940, 0.968881],
]
XYZ = [
    [0.412456, 0.357576, 0.180437],
    [0.212673, 0.715152, 0.072175],
    [0.019334, 0.119192, 0.950304],
]


def cielab(linear):
    """CIE L*a*b* of linear sRGB under D65, shape (n, 3)."""
    xyz = linear.clip(0, 1) @ np.transpose(XYZ) / [0.95047, 1, 1.08883]
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.stack(
        [116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1
    )


@pytest.mark.parametrize("vision", [np.eye(3), PROTANOPIA, DEUTERANOPIA])
@pytest.mark.parametrize("colours", [(BLUE, ORANGE, GREEN, GREY), CLASS_COLOURS])
def test_no_two_colours_look_alike_to_the_colour_blind(colours, vision):
    """Matplotlib's own ten colours come as close as 5 to each other."""
    srgb = np.array([to_rgb(colour) for colour in colours])
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    lab = cielab(linear @ np.transpose(vision))
    apart = np.linalg.norm(lab[:, None] - lab, axis=-1)
    assert apart[~np.eye(len(lab), dtype=bool)].min() > 15


def test_a_title_that_looks_like_a_formula_is_shown_as_it_is(tmp_path):
    figure = Figure()
    axes = figure.subplots()
    titled(axes, r"$\bad{$")
    figure.savefig(tmp_path / "x.png")
    assert axes.get_title(loc="left") == r"$\bad{$"
    assert not axes.spines["top"].get_visible()


@pytest.mark.parametrize("colour", DARK_CLASS_COLOURS)
def test_dots_stand_out_from_the_dark_map(colour):
    def luminance(text):
        parts = np.array(to_rgb(text))
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return linear @ [0.2126, 0.7152, 0.0722]

    assert (luminance(colour) + 0.05) / (luminance("#1e2125") + 0.05) >= 3
