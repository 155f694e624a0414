"""Many small images as one PNG for a page."""

import io
import math
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from vgae.report.figures.images import decoded
from vgae.report.figures.sheets import sheet
from vgae.report.pages.frame import image_uri
from vgae.vae import VAE

_SIDE = 64  # most pixels along a side of an image on a page
_GRID_PIXELS = 1 << 20  # most pixels of a grid
_LEAST, _MOST = 9, 31  # images along a side of a grid


class Grid(NamedTuple):
    """Decoded images over the square from ``-reach`` to ``reach``, ``size`` along a side.

    They are listed row by row from the top. The first coordinate grows to the right, the second
    one upwards.
    """

    images: Tensor
    size: int
    reach: float


def sprite(images: Tensor, columns: int) -> str:
    """Return images of shape ``(n, c, h, w)`` without gaps as the data URI of a PNG."""
    h, w = images.shape[-2:]
    tiles = sheet(images, columns)
    tiles = np.delete(np.delete(tiles, np.s_[h :: h + 1], axis=0), np.s_[w :: w + 1], axis=1)
    return _png(tiles)


def spaced_sprite(images: Tensor, columns: int) -> str:
    """Return images with transparent lines between them as the data URI of a PNG."""
    h, w = images.shape[-2:]
    tiles = sheet(images, columns)
    if tiles.ndim == 2:
        tiles = tiles[..., None]
    alpha = np.ones_like(tiles[..., :1])
    alpha[h :: h + 1], alpha[:, w :: w + 1] = 0, 0
    missing = -len(images) % columns
    if missing:
        alpha[-h:, (columns - missing) * (w + 1) - 1 :] = 0
    return _png(np.concatenate([tiles, alpha], axis=-1))


def _png(tiles: np.ndarray) -> str:
    file = io.BytesIO()
    # PIL keeps the number of channels; matplotlib's imsave always writes four.
    Image.fromarray((255 * tiles).round().astype(np.uint8)).save(file, format="png", optimize=True)
    return image_uri(file.getvalue())


def thumbnails(images: Tensor) -> Tensor:
    """Return images of at most 64 pixels a side; smaller ones are unchanged."""
    longest = max(images.shape[-2:])
    if longest <= _SIDE:
        return images
    size = [max(1, round(side * _SIDE / longest)) for side in images.shape[-2:]]
    return F.interpolate(images.float(), size, mode="bilinear", antialias=True)


def latent_grid(model: VAE, axes: tuple[int, int], mu: Tensor, least: float) -> Grid:
    """Decode a square in the plane of two latent coordinates; the others are 0.

    Its reach is at least ``least``, and covers 99 % of each coordinate of the means ``mu``.
    """
    farthest = torch.quantile(mu[:, list(axes)].abs().double(), 0.99, dim=0).max().item()
    reach = max(math.ceil(10 * max(least, farthest)), 1) / 10
    like = thumbnails(decoded(model, mu[:1]))
    size = int(min(_MOST, max(_LEAST, math.sqrt(_GRID_PIXELS / math.prod(like.shape[-2:])))))
    size -= 1 - size % 2  # odd: 0 is one of the points
    places = torch.linspace(-reach, reach, size, dtype=torch.float64)
    second, first = torch.meshgrid(places.flip(0), places, indexing="ij")
    z = torch.zeros(size * size, mu.shape[1], dtype=torch.float64)
    z[:, axes[0]], z[:, axes[1]] = first.flatten(), second.flatten()
    return Grid(thumbnails(decoded(model, z)), size, reach)


def tiling(count: int) -> int:
    """Return the number of columns that makes a sheet of images about square."""
    return max(1, int(np.ceil(np.sqrt(count))))
