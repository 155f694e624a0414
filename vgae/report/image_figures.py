"""Figures of an image model: what it makes of images, what it dreams up, and its latent space."""

import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol, cast

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from vgae.atomic import replacing
from vgae.embedding import embed_images, evaluating, parameter_like
from vgae.errors import DataError
from vgae.gaussian import DiagGaussian
from vgae.history import HistoryRow
from vgae.images import Images
from vgae.report.style import BLUE, CLASS_COLOURS, GREEN, GREY, ORANGE, titled
from vgae.streams import stream
from vgae.vae import VAE, Decoder, Posterior

_DPI = 200
_PAGE = (7.0, 9.0)  # inches of a page inside its margins
_LETTER = 0.008  # inches that a letter takes on average, per point of its size
_MAX_POINTS = 5000  # more hide each other
_MAX_LABELS = 50  # more would push the points out of the figure
_GAP = 1.0  # white
_LINE = 0.13  # inches of a line of text
_AT_ONCE = 100  # images decoded together


class ImageDecoder(Decoder, Protocol):
    """What the figures need of a decoder: it also makes images."""

    def mean(self, z: Tensor, /) -> Tensor:
        """Return E[x | z] of latent vectors ``(*, d)``, shape ``(*, c, h, w)``."""
        ...

    def sample(self, z: Tensor, generator: torch.Generator, /) -> Tensor:
        """Draw x given latent vectors ``(*, d)``, shape ``(*, c, h, w)``."""
        ...


def write_image_figures(
    folder: str | os.PathLike[str], model: VAE, images: Images, history: Sequence[HistoryRow]
) -> list[Path]:
    """Write the figures of a trained model into a folder, each whole or not at all.

    They are ``training.png``, ``samples.png``, ``reconstructions.png``, ``latent.png``,
    ``interpolation.png`` and, if the latent space is a plane, ``manifold.png``. What shows test
    images is left out if there are none, ``interpolation.png`` if there is one only.

    Args:
        folder: Made if it is not there.
        model: Its encoder says ``latent_channels``.
        images: What the model was trained on.
        history: One row per epoch.

    Returns:
        The paths written.
    """
    channels = cast("int", model.encoder.latent_channels)  # pyright: ignore
    pixels, labels = images.test, images.y_test
    noise = stream(0, "noise", parameter_like(model).device)
    drawn: dict[str, Callable[[], Figure]] = {
        "training.png": lambda: training_figure(history, len(images.train)),
        "samples.png": lambda: samples_figure(model, channels, generator=noise),
    }
    if len(pixels):
        drawn["reconstructions.png"] = lambda: reconstructions_figure(model, pixels)
        drawn["latent.png"] = lambda: latent_figure(model, pixels, labels, name=images.name)
    if len(pixels) > 1:
        drawn["interpolation.png"] = lambda: interpolation_figure(model, pixels)
    if channels == 2:
        drawn["manifold.png"] = lambda: manifold_figure(model)
    paths = []
    for name, draw in drawn.items():
        path = Path(folder) / name
        figure = draw()
        with replacing(path) as temporary:
            figure.savefig(temporary, dpi=_DPI)
        paths.append(path)
    return paths


def sheet(images: Tensor, columns: int) -> np.ndarray:
    """Tile images into one, row by row, with a white line of one pixel between neighbours.

    Values are clipped to [0, 1]. Images of neither one nor three channels are shown by the mean
    of their channels. Places left over in the last row are white.

    Args:
        images: On any device, shape ``(n, c, h, w)`` with n at least 1.
        columns: Images in a row, at least 1.

    Returns:
        float32, shape ``(H, W)``, or ``(H, W, 3)`` if c is 3.

    Raises:
        DataError: If there are no images, or ``images`` has another number of dimensions.
        ValueError: If ``columns`` is less than 1.
    """
    _check_pixels(images, 1)
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


def reconstructions_figure(
    model: VAE, pixels: Tensor, *, columns: int = 10, rows: int = 3
) -> Figure:
    """Draw images above what the decoder makes of their posterior means, E[x | mu].

    Args:
        model: The model.
        pixels: In [0, 1], shape ``(n, c, h, w)``; ``rows * columns`` of them, evenly spaced, are
            shown, or fewer if there are fewer.
        columns: Pairs side by side, at most.
        rows: Rows of pairs, at most.

    Raises:
        DataError: If there are no images, or ``pixels`` has another number of dimensions.
        ValueError: If ``columns`` or ``rows`` is less than 1.
    """
    _check_pixels(pixels, 1)
    _check_at_least(1, columns=columns, rows=rows)
    columns = min(columns, len(pixels))
    rows = min(rows, len(pixels) // columns)
    originals = _evenly_spaced(pixels, rows * columns).cpu()
    decoded = _decoded(model, _posterior(model, originals).mu)
    pairs = zip(originals.split(columns), decoded.split(columns), strict=True)
    return _sheets_figure(
        "Images above what their posterior means decode to",
        [[sheet(torch.cat(pair), columns)] for pair in pairs],
        row_labels=("image", "decoded"),
    )


def samples_figure(
    model: VAE,
    latent_channels: int,
    *,
    rows: int = 10,
    columns: int = 10,
    generator: torch.Generator,
) -> Figure:
    """Draw what the model makes up: E[x | z] for z ~ N(0, I), and beside it x drawn from p(x | z).

    Args:
        model: The model.
        latent_channels: Width d of its latent vectors.
        rows: Of each of the two sheets.
        columns: Likewise.
        generator: Where z, and then x, are drawn from; on the device of the model.

    Raises:
        ValueError: If ``rows`` or ``columns`` is less than 1.
    """
    _check_at_least(1, rows=rows, columns=columns)
    shape = rows * columns, latent_channels
    z = torch.randn(shape, generator=generator, device=generator.device)
    decoder = _decoder(model)
    drawn = _decoded(model, z, lambda part: decoder.sample(part, generator))
    return _sheets_figure(
        "Samples: z drawn from the prior, N(0, I)",
        [[sheet(_decoded(model, z), columns), sheet(drawn, columns)]],
        column_titles=("mean of p(x | z)", "x drawn from p(x | z), same z"),
    )


def manifold_figure(model: VAE, size: int = 20) -> Figure:
    r"""Draw the decoded means over the latent plane, at equal steps of probability.

    .. math:: z_{ij} = (\Phi^{-1}(\tfrac{i + 1/2}{n}), \Phi^{-1}(\tfrac{j + 1/2}{n})), \quad
        i, j = 0, \dots, n - 1

    The first coordinate grows to the right, the second one upwards.

    Source: Kingma & Welling (2014), `Auto-Encoding Variational Bayes
    <https://arxiv.org/abs/1312.6114>`_, figure 4.

    Args:
        model: Its encoder says ``latent_channels``.
        size: n, images in a row and in a column.

    Raises:
        ValueError: If the latent space is no plane, or ``size`` is less than 1.
    """
    channels = model.encoder.latent_channels  # pyright: ignore
    if channels != 2:
        raise ValueError(f"latent_channels must be 2 for a manifold, got {channels}.")
    _check_at_least(1, size=size)
    quantiles = torch.special.ndtri((torch.arange(size, dtype=torch.float64) + 0.5) / size)
    second, first = torch.meshgrid(quantiles.flip(0), quantiles, indexing="ij")
    means = _decoded(model, torch.stack([first, second], dim=-1).reshape(-1, 2))
    figure = _sheets_figure(
        "Decoded means at the quantiles of N(0, I)",
        [[sheet(means, size)]],
        with_axes=True,
    )
    axes = figure.axes[0]
    _, _, h, w = means.shape
    # At the ends and a third from them: as many on either side of zero.
    shown = np.unique([0, size // 3, size - 1 - size // 3, size - 1])
    names = [f"{quantiles[i]:.2f}".replace("-", "\N{MINUS SIGN}") for i in shown]
    axes.set_xticks(shown * (w + 1) + (w - 1) / 2, names)
    axes.set_yticks((size - 1 - shown) * (h + 1) + (h - 1) / 2, names)
    axes.set_xlabel("z, first coordinate", fontsize=8)
    axes.set_ylabel("z, second coordinate", fontsize=8)
    return figure


def interpolation_figure(model: VAE, pixels: Tensor, *, steps: int = 10, pairs: int = 6) -> Figure:
    r"""Draw decoded means on the way from one image to another.

    .. math:: E[x \mid (1 - t) \mu_a + t \mu_b], \quad t = 0, \dots, 1

    The two images themselves stand at the ends.

    Args:
        model: The model.
        pixels: In [0, 1], shape ``(n, c, h, w)`` with n at least 2; the pairs are spread evenly
            over them.
        steps: Values of t, 0 and 1 among them.
        pairs: Pairs of images, at most.

    Raises:
        DataError: If there are fewer than 2 images, or ``pixels`` has another number of
            dimensions.
        ValueError: If ``steps`` is less than 2 or ``pairs`` less than 1.
    """
    _check_pixels(pixels, 2)
    _check_at_least(2, steps=steps)
    _check_at_least(1, pairs=pairs)
    pairs = min(pairs, len(pixels) // 2)
    ends = _evenly_spaced(pixels, 2 * pairs).cpu()
    start, end = _posterior(model, ends).mu.split(pairs)
    t = torch.linspace(0, 1, steps, dtype=start.dtype)[:, None]
    z = (1 - t) * start[:, None] + t * end[:, None]
    first, last = ends.split(pairs)
    return _sheets_figure(
        "From one image to another: decoded means between theirs",
        [[sheet(first, 1), sheet(_decoded(model, z.flatten(0, 1)), steps), sheet(last, 1)]],
        column_titles=("image", "decoded", "image"),
    )


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
    _check_pixels(pixels, 1)
    if labels is not None and labels.shape != (len(pixels),):
        raise DataError(
            "LABELS",
            f"labels must be one per image, shape ({len(pixels)},), got {tuple(labels.shape)}.",
        )
    q = _posterior(model, _evenly_spaced(pixels, _MAX_POINTS))
    plane = _plane(q)
    figure = Figure(figsize=(_PAGE[0], 5.6), layout="constrained")
    axes = figure.subplots()
    size = float(np.clip(8000 / len(plane.points), 4, 22))
    if labels is not None:
        labels = _evenly_spaced(labels, _MAX_POINTS)
        _scatter_by_label(axes, plane.points, labels.cpu().numpy(), size)
    elif isinstance(q, DiagGaussian):
        dots = axes.scatter(
            *plane.points.T, s=size, c=q.kl().numpy(), cmap="cividis", linewidths=0
        )
        bar = figure.colorbar(dots, shrink=0.6)
        bar.set_label("KL to the prior, nats", fontsize=8)
        bar.ax.tick_params(labelsize=8)
    else:
        axes.scatter(*plane.points.T, s=size, color=BLUE, linewidths=0)
    axes.set_xlabel(plane.names[0], fontsize=8)
    axes.set_ylabel(plane.names[1], fontsize=8)
    if q.mu.shape[1] > 1:
        axes.set_aspect("equal", adjustable="datalim")
    titled(axes, f"{name}: {len(plane.points):,} posterior means, {plane.method}")
    return figure


def training_figure(history: Sequence[HistoryRow], num_items: int) -> Figure:
    """Draw the negative ELBO of training and validation over the epochs, and its two parts.

    All in nats per image. What training shows is the mean over an epoch, with the weights as they
    were at each step, and beta is taken as 1 whatever it was. A plain auto-encoder has no KL
    divergence: its negative ELBO is the negative log-likelihood.

    Args:
        history: One row per epoch.
        num_items: Training images, over which each row sums.

    Raises:
        ValueError: If ``num_items`` is less than 1.
    """
    _check_at_least(1, num_items=num_items)
    with_kl = any(row.kl for row in history)
    figure = Figure(figsize=(_PAGE[0], 2.6), layout="constrained")
    total, *parts = figure.subplots(1, 3 if with_kl else 1, squeeze=False)[0]
    epoch = [row.epoch for row in history]
    recon, kl = (np.array([getattr(row, part) for row in history]) for part in ("recon", "kl"))
    recon, kl = recon / num_items, kl / num_items
    _curve(total, epoch, recon + kl, color=BLUE, label="training")
    _add_validation(total, history)
    titled(total, "Negative ELBO" if with_kl else "Negative log-likelihood")
    drawn = [(recon, ORANGE, "Reconstruction, training"), (kl, GREEN, "KL to the prior, training")]
    for axes, (values, colour, title) in zip(parts, drawn if with_kl else [], strict=True):
        _curve(axes, epoch, values, color=colour)
        titled(axes, title)
    for axes in (total, *parts):
        axes.set_xlabel("epoch", fontsize=8)
        axes.xaxis.set_major_locator(
            MaxNLocator(5, steps=[1, 2, 5, 10], integer=True, min_n_ticks=1)
        )
        if history:
            axes.set_xlim(epoch[0] - 0.5, epoch[-1] + 0.5)
    total.set_ylabel("nats per image", fontsize=8)
    return figure


def _add_validation(axes: Axes, history: Sequence[HistoryRow]) -> None:
    """Add what is known of validation, and a legend; without any epoch, say so."""
    if not history:
        axes.text(0.5, 0.5, "no epochs", ha="center", transform=axes.transAxes)
        return
    seen = {row.epoch: -row.val_elbo for row in history if row.val_elbo is not None}
    if seen:
        epoch, values = [*seen], np.array([*seen.values()])
        _curve(axes, epoch, values, color=ORANGE, linestyle="--", label="validation")
        best = min(seen, key=seen.__getitem__)
        axes.axvline(best, color=GREY, linestyle=":", label=f"best: epoch {best}")
    axes.legend(facecolor="white", edgecolor="none", fontsize=8)


def _curve(axes: Axes, epoch: Sequence[int], values: np.ndarray, **style: str) -> None:
    # A line through one point would not be seen.
    marker = "o" if len(epoch) < 10 else ""
    axes.plot(epoch, values, marker=marker, markersize=3, **style)  # pyright: ignore


class _Plane(NamedTuple):
    """Points to draw, shape ``(n, 2)``, how they came about, and what the two axes are."""

    points: np.ndarray
    method: str
    names: tuple[str, str]


def _plane(q: Posterior) -> _Plane:
    mu = q.mu.double().numpy()
    if mu.shape[1] == 1:
        points = np.stack([mu[:, 0], q.kl().double().numpy()], axis=1)
        return _Plane(points, "one latent dimension", ("z", "KL to the prior, nats"))
    if mu.shape[1] == 2:
        return _Plane(
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
    return _Plane(centred @ directions, method, (first, second))


def _scatter_by_label(axes: Axes, points: np.ndarray, labels: np.ndarray, size: float) -> None:
    """Draw each label in its own colour and marker, with a legend beside the axes."""
    present = np.unique(labels)
    known = present[present >= 0]
    for label in present:
        dots = points[labels == label]
        rank = int(np.searchsorted(known, label))
        colour, marker, width = CLASS_COLOURS[rank % 10], "os^Dv"[rank // 10 % 5], 0.0
        if label < 0:
            colour, marker, width = "black", "x", 0.5
        text = f"{label if label >= 0 else 'unknown'} ({len(dots):,})"
        axes.scatter(*dots.T, s=size, color=colour, marker=marker, linewidths=width, label=text)
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
        _write_labels(axes, points, labels, known)


def _write_labels(axes: Axes, points: np.ndarray, labels: np.ndarray, known: np.ndarray) -> None:
    """Write each label in the middle of its points, so that no colour need be looked up."""
    for label in known:
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


def _sheets_figure(
    title: str,
    grid: Sequence[Sequence[np.ndarray]],
    *,
    column_titles: Sequence[str] = (),
    row_labels: Sequence[str] = (),
    with_axes: bool = False,
) -> Figure:
    """Lay sheets out in a grid, each pixel of theirs as the same whole number of the figure's.

    Pixels that are drawn two wide here and three there would look like a pattern of the images.
    Where not even one each fits on a page, they are scaled down smoothly.

    Args:
        title: One line.
        grid: Rows of sheets; those of a row are equally high, those of a column equally wide.
        column_titles: Above each column of sheets.
        row_labels: Beside the rows of images in each sheet of the first column, from the top; left
            out where the rows are too low for them.
        with_axes: Whether to leave room for ticks and labels on the left and below.
    """
    heights, widths = [row[0].shape[0] for row in grid], [tiles.shape[1] for tiles in grid[0]]
    left, right, space = _dots(0.6 if row_labels or with_axes else 0.1), _dots(0.1), _dots(0.12)
    top, bottom = _dots(0.46 if column_titles else 0.32), _dots(0.45 if with_axes else 0.1)
    margin_x = left + right + space * (len(widths) - 1)
    margin_y = top + bottom + space * (len(heights) - 1)
    scale = min(
        (_dots(_PAGE[0]) - margin_x) / sum(widths), (_dots(_PAGE[1]) - margin_y) / sum(heights)
    )
    scale = math.floor(scale) if scale >= 1 else scale
    # Narrow sheets leave room for what is written above them.
    spans = [round(scale * w) for w in widths]
    for j, text in enumerate(column_titles):
        spans[j] = max(spans[j], _dots(8 * _LETTER * len(text)))
    width = max(sum(spans) + margin_x, left + _dots(10 * _LETTER * len(title)))
    height = round(scale * sum(heights)) + margin_y
    figure = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI)
    x, y = left / width, 1 - _dots(0.22) / height
    figure.text(x, y, title, fontsize=10, parse_math=False)
    below = height - top
    for i, row in enumerate(grid):
        below -= scale * heights[i]
        beside = left
        for j, tiles in enumerate(row):
            size = scale * widths[j] / width, scale * heights[i] / height
            axes = figure.add_axes((beside / width, below / height, *size))
            _show(axes, tiles, smooth=scale < 1)
            if i == 0 and column_titles:
                axes.set_title(column_titles[j], loc="left", fontsize=8, pad=3, parse_math=False)
            # Labels of rows lower than a line of text would cover each other.
            if j == 0 and scale * heights[i] >= _dots(_LINE) * len(row_labels) > 0:
                places = (np.arange(len(row_labels)) + 0.5) / len(row_labels) * heights[i] - 0.5
                axes.set_yticks(places, row_labels)
            beside += spans[j] + space
        below -= space
    return figure


def _show(axes: Axes, tiles: np.ndarray, *, smooth: bool) -> None:
    axes.imshow(
        tiles,
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
    return round(inches * _DPI)


def _posterior(model: VAE, pixels: Tensor) -> Posterior:
    return embed_images(model, pixels.to(parameter_like(model).dtype))


def _decoder(model: VAE) -> ImageDecoder:
    return cast("ImageDecoder", model.decoder)


def _decoded(model: VAE, z: Tensor, decode: Callable[[Tensor], Tensor] | None = None) -> Tensor:
    """Return E[x | z], or what ``decode`` makes of z, on the CPU, shape ``(n, c, h, w)``."""
    decode = _decoder(model).mean if decode is None else decode
    like = parameter_like(model)
    with evaluating(model):
        parts = z.to(device=like.device, dtype=like.dtype).split(_AT_ONCE)
        return torch.cat([decode(part).cpu() for part in parts])


def _evenly_spaced(values: Tensor, most: int) -> Tensor:
    """Return at most so many rows, the first and the last among them: data may be sorted."""
    if len(values) <= most:
        return values
    index = torch.linspace(0, len(values) - 1, most, dtype=torch.float64).round().long()
    return values[index.to(values.device)]


def _check_pixels(pixels: Tensor, least: int) -> None:
    if pixels.ndim != 4 or len(pixels) < least or 0 in pixels.shape:
        raise DataError(
            "IMAGE_SHAPE",
            f"images must have shape (n, c, h, w), n at least {least} and no size zero, got"
            f" {tuple(pixels.shape)}; a single image is image[None].",
        )


def _check_at_least(least: int, **values: int) -> None:
    for name, value in values.items():
        if value < least:
            raise ValueError(f"{name} must be at least {least}, got {value}.")
