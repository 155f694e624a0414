"""Sheets of images, and figures in which each of their pixels has the same size."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from vgae.errors import DataError

DPI = 200
PAGE = (7.0, 9.0)  # inches of a page inside its margins
_LETTER = 0.008  # mean width of a letter in inches, per point of its size
_GAP = 1.0  # white
_PRINTED = 600  # pixels per inch
_LINE = 0.13  # inches of a line of text


def sheet(images: Tensor, columns: int) -> np.ndarray:
    """Tile images into one, row by row, with a white line of one pixel between neighbours.

    Values are clipped to [0, 1]. Channels are averaged unless there are one or three. The rest
    of the last row is white.

    Args:
        images: Images on any device, shape ``(n, c, h, w)`` with n at least 1.
        columns: Number of images in a row, at least 1.

    Returns:
        float32, shape ``(H, W)``, or ``(H, W, 3)`` if c is 3.

    Raises:
        DataError: If there are no images, or ``images`` has another number of dimensions.
        ValueError: If ``columns`` is less than 1.
    """
    check_pixels(images, 1)
    if columns < 1:
        raise ValueError(f"columns must be at least 1, got {columns}.")
    tiles = images.detach().float().cpu().clamp(0, 1)
    if tiles.shape[1] not in (1, 3):
        tiles = tiles.mean(dim=1, keepdim=True)
    n, c, h, w = tiles.shape
    rows = math.ceil(n / columns)
    canvas = np.full((rows * columns, h + 1, w + 1, c), _GAP, dtype=np.float32)
    canvas[:n, :h, :w] = tiles.movedim(1, -1).numpy()
    canvas = canvas.reshape(rows, columns, h + 1, w + 1, c).swapaxes(1, 2)
    canvas = canvas.reshape(rows * (h + 1), columns * (w + 1), c)[:-1, :-1]
    return canvas[..., 0] if c == 1 else canvas


def sheets_figure(
    title: str,
    grid: Sequence[Sequence[np.ndarray]],
    *,
    column_titles: Sequence[str] = (),
    row_labels: Sequence[str] = (),
    with_axes: bool = False,
) -> Figure:
    """Lay sheets out in a grid, each of their pixels as the same whole number of figure pixels.

    Otherwise, pixels of different widths would look like a pattern of the images. Sheets that do
    not fit on a page so are scaled down smoothly.

    Args:
        title: Title of one line.
        grid: Rows of sheets, of equal heights in a row and equal widths in a column.
        column_titles: Titles of the columns of sheets.
        row_labels: Labels of the rows of images in each sheet of the first column, from the top;
            they are left out if the rows are too low.
        with_axes: Whether there is space for ticks and labels on the left and below.
    """
    heights, widths = [row[0].shape[0] for row in grid], [tiles.shape[1] for tiles in grid[0]]
    left, right, space = _dots(0.6 if row_labels or with_axes else 0.1), _dots(0.1), _dots(0.12)
    top, bottom = _dots(0.46 if column_titles else 0.32), _dots(0.45 if with_axes else 0.1)
    margin_x = left + right + space * (len(widths) - 1)
    margin_y = top + bottom + space * (len(heights) - 1)
    scale = min(
        (_dots(PAGE[0]) - margin_x) / sum(widths), (_dots(PAGE[1]) - margin_y) / sum(heights)
    )
    scale = math.floor(scale) if scale >= 1 else scale
    # Columns are at least as wide as their titles.
    spans = [round(scale * w) for w in widths]
    for j, text in enumerate(column_titles):
        spans[j] = max(spans[j], _dots(8 * _LETTER * len(text)))
    width = max(sum(spans) + margin_x, left + _dots(10 * _LETTER * len(title)))
    height = round(scale * sum(heights)) + margin_y
    figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI)
    x, y = left / width, 1 - _dots(0.22) / height
    figure.text(x, y, title, fontsize=10, parse_math=False)
    below = height - top
    for i, row in enumerate(grid):
        below -= scale * heights[i]
        beside = left
        for j, tiles in enumerate(row):
            size = scale * widths[j] / width, scale * heights[i] / height
            axes = figure.add_axes((beside / width, below / height, *size))
            draw_sheet(axes, tiles, smooth=scale < 1)
            if i == 0 and column_titles:
                axes.set_title(column_titles[j], loc="left", fontsize=8, pad=3, parse_math=False)
            # Labels of rows lower than a line of text would overlap.
            if j == 0 and scale * heights[i] >= _dots(_LINE) * len(row_labels) > 0:
                places = (np.arange(len(row_labels)) + 0.5) / len(row_labels) * heights[i] - 0.5
                axes.set_yticks(places, row_labels)
            beside += spans[j] + space
        below -= space
    return figure


def draw_sheet(
    axes: Axes, tiles: np.ndarray, *, smooth: bool | None = None, inches: float | None = None
) -> None:
    """Fill axes with a sheet; one of its pixels is one unit of the axes.

    It is ``smooth`` if it is scaled down. In print, of a width in ``inches``, pixels are repeated
    to several hundred per inch instead, because viewers of vector figures blur small images.
    """
    height, width = tiles.shape[:2]
    if inches is not None:
        times = max(1, round(_PRINTED * inches / width))
        tiles = tiles.repeat(times, axis=0).repeat(times, axis=1)
        smooth = width > _PRINTED * inches
    axes.imshow(
        tiles,
        extent=(-0.5, width - 0.5, height - 0.5, -0.5),
        cmap="gray",
        vmin=0,
        vmax=1,
        interpolation="antialiased" if smooth else "nearest",
        aspect="auto",
    )
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, labelsize=8)


def _dots(inches: float) -> int:
    return round(inches * DPI)


def check_pixels(pixels: Tensor, least: int) -> None:
    """Raise ``DataError`` unless there are ``least`` images of shape ``(n, c, h, w)``."""
    if pixels.ndim != 4 or len(pixels) < least or 0 in pixels.shape:
        raise DataError(
            "IMAGE_SHAPE",
            f"images must have shape (n, c, h, w), n at least {least} and no size zero, got"
            f" {tuple(pixels.shape)}; a single image is image[None].",
        )
