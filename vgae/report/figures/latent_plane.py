"""latent_figure: where images lie in the latent space, in the plane."""

import math
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from torch import Tensor

from vgae.errors import DataError
from vgae.gaussian import DiagGaussian
from vgae.models.embedding import embed_images, parameter_like
from vgae.report.figures.points import draw_classes, draw_values
from vgae.report.figures.sheets import PAGE, check_pixels
from vgae.report.figures.style import TEXT, titled
from vgae.vae import VAE, Posterior

MAX_POINTS = 5000  # more hide each other
_MAX_LABELS = 50  # more would push the points out of the figure


def latent_figure(
    model: VAE, pixels: Tensor, labels: Tensor | None = None, *, name: str = "images"
) -> Figure:
    """Draw the posterior means in the plane, coloured by label, or by KL without labels.

    Two latent dimensions are the plane. Of more, their first two principal components are drawn;
    a single one is drawn against the KL divergence of each posterior to the prior.

    Args:
        model: The model.
        pixels: In [0, 1], shape ``(n, c, h, w)``; at most 5,000, evenly spaced, are drawn.
        labels: Integers, -1 where unknown, shape ``(n,)``.
        name: What the title calls the images.

    Raises:
        DataError: If there are no images, ``pixels`` has another number of dimensions, or there
            is not one label per image.
    """
    check_pixels(pixels, 1)
    if labels is not None and labels.shape != (len(pixels),):
        raise DataError(
            "LABELS",
            f"labels must be one per image, shape ({len(pixels)},), got {tuple(labels.shape)}.",
        )
    q = posterior_of(model, evenly_spaced(pixels, MAX_POINTS))
    plane = plane_of(q)
    figure = Figure(figsize=(PAGE[0], 5.6), layout="constrained")
    axes = figure.subplots()
    size = float(np.clip(8000 / len(plane.points), 4, 22))
    if labels is not None:
        labels = evenly_spaced(labels, MAX_POINTS)
        draw_classes(axes, plane.points, labels.cpu().numpy(), size)
        _add_legend(axes, plane.points, labels.cpu().numpy())
    else:
        kl = q.kl().numpy() if isinstance(q, DiagGaussian) else None
        dots = draw_values(axes, plane.points, kl, size)
        if kl is not None:
            bar = figure.colorbar(dots, shrink=0.6)
            bar.set_label("KL to the prior, nats", fontsize=TEXT)
            bar.ax.tick_params(labelsize=TEXT)
    name_axes(axes, plane)
    titled(axes, f"{name}: {len(plane.points):,} posterior means, {plane.method}")
    return figure


def posterior_of(model: VAE, pixels: Tensor) -> Posterior:
    """Infer the posterior of images of any precision."""
    return embed_images(model, pixels.to(parameter_like(model).dtype))


def evenly_spaced(values: Tensor, most: int) -> Tensor:
    """Return at most so many rows, the first and the last among them: data may be sorted."""
    if len(values) <= most:
        return values
    index = torch.linspace(0, len(values) - 1, most, dtype=torch.float64).round().long()
    return values[index.to(values.device)]


class Plane(NamedTuple):
    """Points to draw, shape ``(n, 2)``, how they came about, and what the two axes are."""

    points: np.ndarray
    method: str
    names: tuple[str, str]
    one_scale: bool = True


def name_axes(axes: Axes, plane: Plane) -> None:
    """Say what the axes are; two latent dimensions are drawn to one scale."""
    axes.set_xlabel(plane.names[0], fontsize=TEXT)
    axes.set_ylabel(plane.names[1], fontsize=TEXT)
    if plane.one_scale:
        axes.set_aspect("equal", adjustable="datalim")


def plane_of(q: Posterior) -> Plane:
    """Return the plane that posteriors are drawn in."""
    mu = q.mu.double().numpy()
    if mu.shape[1] == 1:
        points = np.stack([mu[:, 0], q.kl().double().numpy()], axis=1)
        names = "z", "KL to the prior, nats"
        return Plane(points, "one latent dimension", names, one_scale=False)
    if mu.shape[1] == 2:
        return Plane(
            mu, "the latent plane itself", ("z, first coordinate", "z, second coordinate")
        )
    centred = mu - mu.mean(axis=0)
    variances, directions = np.linalg.eigh(centred.T @ centred)
    # eigh sorts upwards, and leaves the signs open: the largest entry shall be positive.
    directions = directions[:, [-1, -2]]
    directions *= np.sign(directions[np.abs(directions).argmax(axis=0), [0, 1]])
    total = variances.sum()
    shares = variances[[-1, -2]] / total if total > 0 else np.zeros(2)
    method = f"PCA of {mu.shape[1]} dimensions, {100 * shares.sum():.0f} % of the variance"
    first, second = (
        f"principal component {k}, {100 * share:.0f} % of the variance"
        for k, share in enumerate(shares, 1)
    )
    return Plane(centred @ directions, method, (first, second))


def _add_legend(axes: Axes, points: np.ndarray, labels: np.ndarray) -> None:
    """Name the labels beside the axes, and in them where they are not too many."""
    present = np.unique(labels)
    known = present[present >= 0]
    handles, names = axes.get_legend_handles_labels()
    cut = len(present) > _MAX_LABELS
    legend = axes.legend(
        handles[:_MAX_LABELS],
        names[:_MAX_LABELS],
        title=f"{_MAX_LABELS} of {len(present):,} labels" if cut else None,
        title_fontsize=8,
        loc="upper left",
        bbox_to_anchor=(1, 1),
        frameon=False,
        fontsize=8,
        ncols=math.ceil(min(len(present), _MAX_LABELS) / 25),
    )
    for handle in legend.legend_handles:
        handle.set_sizes([30])  # pyright: ignore
    if len(known) <= 20:
        write_labels(axes, points, labels)


def write_labels(axes: Axes, points: np.ndarray, labels: np.ndarray) -> None:
    """Write each label in the middle of its points, so that no colour need be looked up."""
    for label in np.unique(labels[labels >= 0]):
        x, y = np.median(points[labels == label], axis=0)
        outline = [withStroke(linewidth=3, foreground="white")]
        axes.text(
            x,
            y,
            str(label),
            ha="center",
            va="center",
            fontsize=10,
            fontweight="bold",
            path_effects=outline,
        )
