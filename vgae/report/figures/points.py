"""Points in the plane: projections of embeddings, and their colours."""

from collections.abc import Callable, Iterator

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection

from vgae.errors import printable
from vgae.report.figures.style import CLASS_COLOURS

UNPROJECTED = "no projection"
OVERFLOWED = "no projection: the values are too large"
COLLAPSED = "no projection: all vectors are equal"
_LARGEST = 1e8  # value of a vector; the covariances of larger ones overflow in float32
_TSNE_NODES = 5000  # t-SNE takes seconds up to here and minutes beyond
_VECTORS = 2000  # more points are an image within a vector figure, which keeps the file small
_MARKERS = "os^Dv"


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
        from sklearn.manifold import TSNE

        perplexity = min(30, (len(embedding) - 1) / 3)
        method = TSNE(perplexity=perplexity, random_state=0)
        yield "t-SNE", method.fit_transform(embedding)
    from sklearn.decomposition import PCA

    yield "PCA", PCA(2, random_state=0).fit_transform(embedding)


def draw_values(
    axes: Axes, points: np.ndarray, values: np.ndarray | None, size: float
) -> PathCollection:
    """Draw points coloured by a value, or in one colour; return them for a colour bar."""
    look = {"color": CLASS_COLOURS[0]} if values is None else {"c": values, "cmap": "cividis"}
    return axes.scatter(*points.T, s=size, linewidths=0, rasterized=len(points) > _VECTORS, **look)


def draw_classes(
    axes: Axes,
    points: np.ndarray,
    labels: np.ndarray,
    size: float,
    *,
    name_of: Callable[[int], str] = str,
    largest_first: bool = False,
    counted: bool = True,
) -> None:
    """Draw points in the colour and marker of their label, named for a legend.

    Points have shape ``(n, 2)`` and a size in square points. Labels are integers of shape
    ``(n,)``, negative where unknown. Small classes are drawn on top of large ones if
    ``largest_first``, else in the order of their numbers. Names end with the number of points if
    ``counted``.
    """
    present, counts = np.unique(labels, return_counts=True)
    order = np.argsort(-counts, kind="stable") if largest_first else np.arange(len(present))
    rank = 0
    for label in present[order].tolist():
        dots = points[labels == label]
        colour, marker, width = CLASS_COLOURS[rank % 10], _MARKERS[rank // 10 % 5], 0.0
        if label < 0:
            # A cross needs a line width, which would give the other markers an edge.
            colour, marker, width = "black", "x", 0.5
        rank += label >= 0
        name = printable(name_of(label)) if label >= 0 else "unknown"
        axes.scatter(
            *dots.T,
            s=size,
            color=colour,
            marker=marker,
            linewidths=width,
            label=f"{name} ({len(dots):,})" if counted else name,
            rasterized=len(points) > _VECTORS,
        )
