"""Figures of a run on images: training curves, reconstructions, samples and latent space."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, cast

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from vgae.data.images import Images
from vgae.models.embedding import evaluating, parameter_like
from vgae.report.figures.latent_plane import (
    COORDINATES,
    evenly_spaced,
    latent_figure,
    posterior_of,
)
from vgae.report.figures.sheets import DPI, PAGE, check_pixels, sheet, sheets_figure
from vgae.report.figures.style import label_axes, save_figures, titled
from vgae.report.figures.training_panels import draw_elbo, draw_part
from vgae.runtime.streams import stream
from vgae.training.history import HistoryRow
from vgae.vae import VAE, Decoder

_AT_ONCE = 100  # images decoded together


class ImageDecoder(Decoder, Protocol):
    """A decoder that also returns images."""

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

    These are ``training.png``, ``samples.png``, ``reconstructions.png``, ``latent.png``,
    ``interpolation.png`` and, if the latent space is a plane, ``manifold.png``. Reconstructions
    and latent space need a test image, the interpolation needs two.

    The folder is made if it does not exist. The encoder must have ``latent_channels``. Return the
    paths of the files.
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
    return save_figures(Path(folder), drawn, dpi=DPI)


def reconstructions_figure(
    model: VAE, pixels: Tensor, *, columns: int = 10, rows: int = 3
) -> Figure:
    """Draw images above the decoded means of their posteriors, E[x | mu].

    Of images in [0, 1], shape ``(n, c, h, w)``, at most ``rows * columns``, evenly spaced, are
    drawn.

    Raises:
        DataError: If there are no images, or ``pixels`` has another number of dimensions.
        ValueError: If ``columns`` or ``rows`` is less than 1.
    """
    check_pixels(pixels, 1)
    _check_at_least(1, columns=columns, rows=rows)
    return sheets_figure(
        "Images above the decoded means of their posteriors",
        [[pairs] for pairs in reconstruction_sheets(model, pixels, columns, rows)],
        row_labels=("image", "decoded"),
    )


def reconstruction_sheets(model: VAE, pixels: Tensor, columns: int, rows: int) -> list[np.ndarray]:
    """Return sheets of two rows each: images above the decoded means of their posteriors."""
    columns = min(columns, len(pixels))
    rows = min(rows, len(pixels) // columns)
    originals = evenly_spaced(pixels, rows * columns).cpu()
    rebuilt = decoded(model, posterior_of(model, originals).mu)
    pairs = zip(originals.split(columns), rebuilt.split(columns), strict=True)
    return [sheet(torch.cat(pair), columns) for pair in pairs]


def samples_figure(
    model: VAE,
    latent_channels: int,
    *,
    rows: int = 10,
    columns: int = 10,
    generator: torch.Generator,
) -> Figure:
    """Draw samples: E[x | z] for z ~ N(0, I), and beside it x drawn from p(x | z).

    Each of the two sheets has ``rows * columns`` images. The generator, on the device of the
    model, draws z and then x.

    Raises:
        ValueError: If ``rows`` or ``columns`` is less than 1.
    """
    _check_at_least(1, rows=rows, columns=columns)
    shape = rows * columns, latent_channels
    z = torch.randn(shape, generator=generator, device=generator.device)
    decoder = _decoder(model)
    drawn = decoded(model, z, lambda part: decoder.sample(part, generator))
    return sheets_figure(
        "Samples: z drawn from the prior, N(0, I)",
        [[sheet(decoded(model, z), columns), sheet(drawn, columns)]],
        column_titles=("mean of p(x | z)", "x drawn from p(x | z), same z"),
    )


def manifold_figure(model: VAE, size: int = 20) -> Figure:
    r"""Draw the decoded means over the latent plane, at equal steps of probability.

    .. math:: z_{ij} = (\Phi^{-1}(\tfrac{i + 1/2}{n}), \Phi^{-1}(\tfrac{j + 1/2}{n})), \quad
        i, j = 0, \dots, n - 1

    The first coordinate grows to the right, the second one upwards; n is ``size``.

    Source: Kingma & Welling (2014), `Auto-Encoding Variational Bayes
    <https://arxiv.org/abs/1312.6114>`_, figure 4.

    Raises:
        ValueError: If ``latent_channels`` of the encoder is not 2, or ``size`` is less than 1.
    """
    channels = model.encoder.latent_channels  # pyright: ignore
    if channels != 2:
        raise ValueError(f"latent_channels must be 2 for a manifold, got {channels}.")
    _check_at_least(1, size=size)
    figure = sheets_figure(
        "Decoded means at the quantiles of N(0, I)",
        [[manifold_sheet(model, size)]],
        with_axes=True,
    )
    name_manifold_axes(figure.axes[0], size)
    return figure


def manifold_sheet(model: VAE, size: int) -> np.ndarray:
    """Return the decoded means over the latent plane; see :func:`manifold_figure`."""
    quantiles = _quantiles(size)
    second, first = torch.meshgrid(quantiles.flip(0), quantiles, indexing="ij")
    return sheet(decoded(model, torch.stack([first, second], dim=-1).reshape(-1, 2)), size)


def name_manifold_axes(axes: Axes, size: int) -> None:
    """Label some rows and columns of the sheet of a manifold with their latent coordinates."""
    quantiles = _quantiles(size)
    # The ends and the thirds, symmetric about zero.
    shown = np.unique([0, size // 3, size - 1 - size // 3, size - 1])
    names = [f"{quantiles[i]:.2f}".replace("-", "\N{MINUS SIGN}") for i in shown]
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    # Sizes of an image with the line of one pixel beside it.
    wide, high = (right - left + 1) / size, (bottom - top + 1) / size
    axes.set_xticks(left + shown * wide + (wide - 1) / 2, names)
    axes.set_yticks(bottom - shown * high - (high - 1) / 2, names)
    label_axes(axes, *COORDINATES)


def _quantiles(size: int) -> Tensor:
    return torch.special.ndtri((torch.arange(size, dtype=torch.float64) + 0.5) / size)


def interpolation_figure(model: VAE, pixels: Tensor, *, steps: int = 10, pairs: int = 6) -> Figure:
    r"""Draw interpolations between two images, which stand at the ends, as decoded means.

    .. math:: E[x \mid (1 - t) \mu_a + t \mu_b], \quad t = 0, \dots, 1

    At most ``pairs`` pairs, evenly spaced, are drawn of images in [0, 1], shape ``(n, c, h, w)``
    with n at least 2; ``steps`` is the number of values of t, with 0 and 1.

    Raises:
        DataError: If there are fewer than 2 images, or ``pixels`` has another number of
            dimensions.
        ValueError: If ``steps`` is less than 2 or ``pairs`` less than 1.
    """
    check_pixels(pixels, 2)
    _check_at_least(2, steps=steps)
    _check_at_least(1, pairs=pairs)
    pairs = min(pairs, len(pixels) // 2)
    ends = evenly_spaced(pixels, 2 * pairs).cpu()
    start, end = posterior_of(model, ends).mu.split(pairs)
    t = torch.linspace(0, 1, steps, dtype=start.dtype)[:, None]
    z = (1 - t) * start[:, None] + t * end[:, None]
    first, last = ends.split(pairs)
    return sheets_figure(
        "Interpolation: decoded means between those of two images",
        [[sheet(first, 1), sheet(decoded(model, z.flatten(0, 1)), steps), sheet(last, 1)]],
        column_titles=("image", "decoded", "image"),
    )


def training_figure(history: Sequence[HistoryRow], num_items: int) -> Figure:
    """Draw the negative ELBO of training and validation over the epochs, and its two parts.

    All values are in nats per image. Those of training are means over an epoch, with the weights
    of each step and with beta 1. A plain auto-encoder has no KL divergence: its negative ELBO is
    the negative log-likelihood.

    Each row of the history sums over ``num_items`` training images.

    Raises:
        ValueError: If ``num_items`` is less than 1.
    """
    _check_at_least(1, num_items=num_items)
    with_kl = any(row.kl for row in history)
    figure = Figure(figsize=(PAGE[0], 2.6), layout="constrained")
    total, *parts = figure.subplots(1, 3 if with_kl else 1, squeeze=False)[0]
    draw_elbo(total, history, num_items)
    titled(total, "Negative ELBO" if with_kl else "Negative log-likelihood")
    drawn = {"recon": "Reconstruction, training", "kl": "KL to the prior, training"}
    for axes, (name, title) in zip(parts, drawn.items() if with_kl else [], strict=True):
        draw_part(axes, history, name, num_items)
        titled(axes, title)
    return figure


def _decoder(model: VAE) -> ImageDecoder:
    return cast("ImageDecoder", model.decoder)


def decoded(model: VAE, z: Tensor, decode: Callable[[Tensor], Tensor] | None = None) -> Tensor:
    """Return E[x | z], or ``decode(z)``, in parts and on the CPU, shape ``(n, c, h, w)``."""
    decode = _decoder(model).mean if decode is None else decode
    like = parameter_like(model)
    with evaluating(model):
        parts = z.to(device=like.device, dtype=like.dtype).split(_AT_ONCE)
        return torch.cat([decode(part).cpu() for part in parts])


def _check_at_least(least: int, **values: int) -> None:
    for name, value in values.items():
        if value < least:
            raise ValueError(f"{name} must be at least {least}, got {value}.")
