"""Points in the plane: projections of embeddings, and their colours."""

import io
import logging
import math
import re
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from typing import Any, NamedTuple

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.colors import LogNorm, to_rgb
from matplotlib.image import AxesImage

from vgae.errors import printable
from vgae.report.figures.style import CLASS_COLOURS
from vgae.runtime.progress import showing

log = logging.getLogger(__name__)

UNPROJECTED = "no projection"
OVERFLOWED = "no projection: the values are too large"
COLLAPSED = "no projection: all vectors are equal"
_LARGEST = 1e8  # value of a vector; the covariances of larger ones overflow in float32
_TSNE_NODES = 5000  # t-SNE takes seconds up to here and minutes beyond
_VECTORS = 2000  # more points are an image within a vector figure, which keeps the file small
_MARKERS = "osD^P"  # as on pages
MOST_DOTS = 50_000  # more hide each other, and are drawn as a map of their density
_CELL_POINTS = 6  # of a cell of such a map, on average
_MOST_CELLS = 480, 360
_CLASSES = 10  # the largest classes, which have colours in such a map
_OTHERS = "#c8c8c8"


def projections(embedding: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Yield methods and their results for vectors, shape ``(n, 2)``, the best method first.

    Two dimensions, fewer than four vectors, a space that collapsed and very large values are not
    projected.
    """
    if not np.abs(embedding).max() < _LARGEST:  # NaN too
        finite = np.where(np.isfinite(embedding), embedding, 0)
        yield OVERFLOWED, np.pad(finite, ((0, 0), (0, max(0, 2 - finite.shape[1]))))[:, :2]
        return
    # All vectors of a complete graph, for example, are one point within rounding.
    spread = np.ptp(embedding, axis=0).max() > 1e-6 * np.abs(embedding).max()
    if embedding.shape[1] <= 2 or len(embedding) < 4 or not spread:
        padded = np.pad(embedding, ((0, 0), (0, max(0, 2 - embedding.shape[1]))))
        yield UNPROJECTED if spread or len(embedding) < 2 else COLLAPSED, padded[:, :2]
        return
    if len(embedding) <= _TSNE_NODES:
        yield "t-SNE", _tsne(embedding)
    from sklearn.decomposition import PCA

    yield "PCA", PCA(2, random_state=0).fit_transform(embedding)


def _tsne(embedding: np.ndarray) -> np.ndarray:
    """Return t-SNE in the plane, with progress on stderr if messages of the package are shown."""
    from sklearn.manifold import TSNE

    perplexity, steps = min(30, (len(embedding) - 1) / 3), 1000
    method = TSNE(perplexity=perplexity, max_iter=steps, random_state=0, verbose=2)
    wanted = None if log.isEnabledFor(logging.INFO) else False
    with showing(steps, "steps", wanted=wanted) as show:
        show(0, lambda: f"t-SNE of {len(embedding):,} vectors")
        with redirect_stdout(_Steps(show)):  # scikit-learn prints every fiftieth step
            return method.fit_transform(embedding)


class _Steps(io.TextIOBase):
    """Stream that takes the number of the step from what t-SNE prints."""

    def __init__(self, show: Callable[[int], None]) -> None:
        self.show = show

    def write(self, text: str) -> int:
        if found := re.search(r"Iteration (\d+)", text):
            self.show(int(found[1]))
        return len(text)


def draw_values(
    axes: Axes, points: np.ndarray, values: np.ndarray | None, size: float
) -> PathCollection:
    """Draw points coloured by a value, grey if it is NaN, or in one colour.

    Return them for a colour bar.
    """
    look: dict[str, Any] = {"color": CLASS_COLOURS[0]}
    if values is not None:
        cmap = colormaps["cividis"].with_extremes(bad=_OTHERS)
        look = {"c": np.ma.masked_invalid(values), "cmap": cmap, "plotnonfinite": True}
    return axes.scatter(*points.T, s=size, linewidths=0, rasterized=len(points) > _VECTORS, **look)


def draw_density(axes: Axes, points: np.ndarray) -> AxesImage:
    """Draw the number of points in each cell of a grid; return the image for a colour bar."""
    cells = _Cells.of(points)
    counts = np.ma.masked_equal(cells.counts, 0)
    return cells.draw(axes, counts, cmap="cividis_r", norm=LogNorm(1, max(2, counts.max())))


def draw_classes(
    axes: Axes,
    points: np.ndarray,
    labels: np.ndarray,
    size: float,
    *,
    name_of: Callable[[int], str] = str,
    counted: bool = True,
) -> None:
    """Draw points in the colour and marker of their label, named for a legend.

    Points have shape ``(n, 2)`` and a size in square points. Labels are integers of shape
    ``(n,)``, negative where unknown. Colours and legend are in the order of their numbers, unknown
    ones last; small classes are drawn on top of large ones. Names end with the number of points if
    ``counted``.

    More than 50,000 points are drawn as a map of their density: a cell of a grid has the mean
    colour of its points, and is the more opaque the more these are. Only the ten largest classes
    have colours in it.
    """
    if len(points) > MOST_DOTS:
        _draw_class_density(axes, points, labels, name_of, counted=counted)
        return
    present = np.unique(labels)
    for rank, label in enumerate(
        [*present[present >= 0].tolist(), *present[present < 0].tolist()]
    ):
        dots = points[labels == label]
        colour, marker, width = CLASS_COLOURS[rank % 10], _MARKERS[rank // 10 % 5], 0.0
        if label < 0:
            # A cross needs a line width, which would give the other markers an edge.
            colour, marker, width = "black", "x", 0.5
        name = printable(name_of(label)) if label >= 0 else "unknown"
        axes.scatter(
            *dots.T,
            s=size,
            color=colour,
            marker=marker,
            linewidths=width,
            label=f"{name} ({len(dots):,})" if counted else name,
            zorder=2 - len(dots) / len(points),
            rasterized=len(points) > _VECTORS,
        )


class _Cells(NamedTuple):
    """Cells of a grid over the plane that points lie in.

    Attributes:
        counts: Number of points in each cell, shape ``(rows, columns)``, from below.
        place: Number of the cell of each point, shape ``(n,)``.
        extent: Left, right, lower and upper end of the grid.
    """

    counts: np.ndarray
    place: np.ndarray
    extent: tuple[float, float, float, float]

    @classmethod
    def of(cls, points: np.ndarray) -> "_Cells":
        """Return the cells of points."""
        fraction = min(1, math.sqrt(len(points) / _CELL_POINTS / math.prod(_MOST_CELLS)))
        columns, rows = sizes = [max(1, round(fraction * most)) for most in _MOST_CELLS]
        low, high = points.min(axis=0), points.max(axis=0)
        width = np.maximum(high - low, np.finfo(np.float32).tiny)
        x, y = np.minimum((points - low) / width * sizes, np.subtract(sizes, 1)).astype(int).T
        place = y * columns + x
        counts = np.bincount(place, minlength=rows * columns).reshape(rows, columns)
        left, lower, right, upper = map(float, [*low, *(low + width)])
        return cls(counts, place, (left, right, lower, upper))

    def mean(self, values: np.ndarray) -> np.ndarray:
        """Return the mean of the values in each cell; NaN without points."""
        total = np.bincount(self.place, values, minlength=self.counts.size)
        counts = self.counts.ravel()
        return np.where(counts > 0, total / np.maximum(counts, 1), np.nan)

    def draw(self, axes: Axes, image: np.ndarray, **look: Any) -> AxesImage:
        """Draw an image of the cells."""
        look |= {"origin": "lower", "aspect": "auto", "interpolation": "nearest"}
        return axes.imshow(image, extent=self.extent, **look)


def _draw_class_density(
    axes: Axes,
    points: np.ndarray,
    labels: np.ndarray,
    name_of: Callable[[int], str],
    *,
    counted: bool,
) -> None:
    """Draw the density of points in the mean colour of their classes, named for a legend."""
    present, counts = np.unique(labels[labels >= 0], return_counts=True)
    largest = np.sort(present[np.argsort(-counts, kind="stable")][:_CLASSES])
    colours = [*CLASS_COLOURS[: len(largest)], _OTHERS]
    number = np.full(len(labels), len(largest))
    for rank, label in enumerate(largest):
        number[labels == label] = rank
    cells, red_green_blue = _Cells.of(points), np.array([to_rgb(c) for c in colours])
    image = np.stack([cells.mean(channel[number]) for channel in red_green_blue.T], axis=1)
    dense = np.log1p(cells.counts) / np.log1p(cells.counts.max())
    alpha = np.where(cells.counts > 0, 0.2 + 0.8 * dense, 0)
    cells.draw(axes, np.nan_to_num(image, nan=1.0).reshape(*cells.counts.shape, 3), alpha=alpha)
    names = [printable(name_of(label)) for label in largest.tolist()]
    names += [f"{len(present) - len(largest):,} other classes" if len(present) > 10 else "unknown"]
    sizes = np.bincount(number, minlength=len(colours))
    for colour, name, size in zip(colours, names, sizes, strict=True):
        if size:
            text = f"{name} ({size:,})" if counted else name
            axes.scatter([], [], color=colour, label=text)
