"""Posterior means of images in the plane."""

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
from vgae.report.figures.style import TEXT, finish_legend, label_axes, titled
from vgae.vae import VAE, Posterior

MAX_POINTS = 5000  # more points hide each other
COORDINATES = "z, first coordinate", "z, second coordinate"
_MAX_LABELS = 50  # more labels leave no space for the points


class Plane(NamedTuple):
    """Points to draw, shape ``(n, 2)``, their method, and the names of the axes."""

    points: np.ndarray
    method: str
    names: tuple[str, str]
    one_scale: bool = True


def latent_figure(
    model: VAE, pixels: Tensor, labels: Tensor | None = None, *, name: str = "images"
) -> Figure:
    """Draw the posterior means in the plane, coloured by label or, without labels, by KL.

    Two latent dimensions are the plane. Of more, the first two principal components are drawn;
    a single one is drawn against the KL divergence of each posterior to the prior.

    At most 5,000 images, evenly spaced, are drawn. They are in [0, 1] and have shape
    ``(n, c, h, w)``; labels are integers of shape ``(n,)``, -1 where unknown.

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
    q, drawn = thinned_posteriors(model, pixels, labels)
    figure = Figure(figsize=(PAGE[0], 5.6), layout="constrained")
    axes = figure.subplots()
    plane = draw_posteriors(axes, q, drawn, float(np.clip(8000 / len(q.mu), 4, 22)), shrink=0.6)
    if drawn is not None:
        _add_legend(axes, plane.points, drawn)
    titled(axes, f"{name}: {len(plane.points):,} posterior means, {plane.method}")
    return figure


def thinned_posteriors(
    model: VAE, pixels: Tensor, labels: Tensor | None
) -> tuple[Posterior, np.ndarray | None]:
    """Return posteriors and labels of at most 5,000 images, evenly spaced."""
    some = None if labels is None else evenly_spaced(labels, MAX_POINTS).cpu().numpy()
    return posterior_of(model, evenly_spaced(pixels, MAX_POINTS)), some


def draw_posteriors(
    axes: Axes,
    q: Posterior,
    labels: np.ndarray | None,
    size: float,
    *,
    shrink: float,
    counted: bool = True,
) -> Plane:
    """Draw posterior means in the colours of their labels, or of their KL with a colour bar."""
    plane = plane_of(q)
    if labels is not None:
        draw_classes(axes, plane.points, labels, size, counted=counted)
    else:
        kl = q.kl().numpy() if isinstance(q, DiagGaussian) else None
        dots = draw_values(axes, plane.points, kl, size)
        if kl is not None:
            bar = axes.figure.colorbar(dots, shrink=shrink)
            bar.set_label("KL to the prior, nats", fontsize=TEXT)
            bar.ax.tick_params(labelsize=TEXT)
    label_axes(axes, *plane.names)
    if plane.one_scale:
        axes.set_aspect("equal", adjustable="datalim")
    return plane


def posterior_of(model: VAE, pixels: Tensor) -> Posterior:
    """Return the posterior of images of any floating-point type."""
    return embed_images(model, pixels.to(parameter_like(model).dtype))


def evenly_spaced(values: Tensor, most: int) -> Tensor:
    """Return at most ``most`` rows with the first and the last, as data can be sorted."""
    if len(values) <= most:
        return values
    index = torch.linspace(0, len(values) - 1, most, dtype=torch.float64).round().long()
    return values[index.to(values.device)]


def plane_of(q: Posterior) -> Plane:
    """Return the means of posteriors in the plane."""
    mu = q.mu.double().numpy()
    if mu.shape[1] == 1:
        points = np.stack([mu[:, 0], q.kl().double().numpy()], axis=1)
        names = "z", "KL to the prior, nats"
        return Plane(points, "one latent dimension", names, one_scale=False)
    if mu.shape[1] == 2:
        return Plane(mu, "the latent plane itself", COORDINATES)
    centred = mu - mu.mean(axis=0)
    variances, directions = np.linalg.eigh(centred.T @ centred)
    # eigh sorts upwards, with arbitrary signs: make the largest entry positive.
    directions = directions[:, [-1, -2]]
    directions *= np.sign(directions[np.abs(directions).argmax(axis=0), [0, 1]])
    total = variances.sum()
    fractions = variances[[-1, -2]] / total if total > 0 else np.zeros(2)
    method = f"PCA of {mu.shape[1]} dimensions, {100 * fractions.sum():.0f} % of the variance"
    first, second = (
        f"principal component {k}, {100 * fraction:.0f} % of the variance"
        for k, fraction in enumerate(fractions, 1)
    )
    return Plane(centred @ directions, method, (first, second))


def _add_legend(axes: Axes, points: np.ndarray, labels: np.ndarray) -> None:
    """Add a legend beside the axes and, if there are few labels, write them into the axes."""
    present = np.unique(labels)
    handles, names = axes.get_legend_handles_labels()
    cut = len(present) > _MAX_LABELS
    legend = axes.legend(
        handles[:_MAX_LABELS],
        names[:_MAX_LABELS],
        title=f"{_MAX_LABELS} of {len(present):,} labels" if cut else None,
        title_fontsize=TEXT,
        loc="upper left",
        bbox_to_anchor=(1, 1),
        frameon=False,
        fontsize=TEXT,
        ncols=math.ceil(min(len(present), _MAX_LABELS) / 25),
    )
    finish_legend(legend)
    if (present >= 0).sum() <= 20:
        write_labels(axes, points, labels)


def write_labels(axes: Axes, points: np.ndarray, labels: np.ndarray) -> None:
    """Write each label in the middle of its points."""
    for label in np.unique(labels[labels >= 0]):
        x, y = np.median(points[labels == label], axis=0)
        text = axes.text(x, y, str(label), ha="center", va="center", fontsize=10)
        text.set(fontweight="bold", path_effects=[withStroke(linewidth=3, foreground="white")])
