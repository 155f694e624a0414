"""sprites: many small images as one PNG, which a page can hold."""

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

_SIDE = 64  # pixels of an image on a page, at most
_GRID_PIXELS = 1 << 20  # of all images of a grid
_MOST = 31  # images along a side of a grid
_LEAST = 9


class Grid(NamedTuple):
    """Decoded images over a square of the latent space.

    Attributes:
        images: Row by row from the top, first coordinate to the right, second one upwards, shape
            ``(size * size, c, h, w)``.
        size: Images along a side.
        reach: The square goes from minus to plus this in both coordinates.
    """

    images: Tensor
    size: int
    reach: float


def sprite(images: Tensor, columns: int) -> str:
    """Return images side by side, nothing between them, as the address of a PNG.

    Args:
        images: Shape ``(n, c, h, w)``, n at least 1.
        columns: Images in a row.
    """
    h, w = images.shape[-2:]
    tiles = sheet(images, columns)
    tiles = np.delete(np.delete(tiles, np.s_[h :: h + 1], axis=0), np.s_[w :: w + 1], axis=1)
    return _png(tiles)


def spaced_sprite(images: Tensor, columns: int) -> str:
    """Return images with a transparent line between them, which is seen on dark pages as well."""
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
    # As many numbers a pixel as it has: matplotlib's imsave would always write four.
    Image.fromarray((255 * tiles).round().astype(np.uint8)).save(file, format="png", optimize=True)
    return image_uri(file.getvalue())


def thumbnails(images: Tensor) -> Tensor:
    """Return images no larger than a page can use; small ones as they are."""
    longest = max(images.shape[-2:])
    if longest <= _SIDE:
        return images
    size = [max(1, round(side * _SIDE / longest)) for side in images.shape[-2:]]
    return F.interpolate(images.float(), size, mode="bilinear", antialias=True)


def latent_grid(model: VAE, axes: tuple[int, int], mu: Tensor, least: float) -> Grid:
    """Decode a square of the plane of two latent coordinates; the others are 0.

    The square holds 99 % of each coordinate of ``mu``.

    Args:
        model: The model.
        axes: The two coordinates.
        mu: Posterior means of images, shape ``(n, d)``.
        least: How far it reaches at least.
    """
    farthest = torch.quantile(mu[:, list(axes)].abs().double(), 0.99, dim=0).max().item()
    reach = max(math.ceil(10 * max(least, farthest)), 1) / 10
    like = thumbnails(decoded(model, mu[:1]))
    size = int(min(_MOST, max(_LEAST, math.sqrt(_GRID_PIXELS / math.prod(like.shape[-2:])))))
    size -= 1 - size % 2  # odd, so that 0 is among the places
    places = torch.linspace(-reach, reach, size, dtype=torch.float64)
    second, first = torch.meshgrid(places.flip(0), places, indexing="ij")
    z = torch.zeros(size * size, mu.shape[1], dtype=torch.float64)
    z[:, axes[0]], z[:, axes[1]] = first.flatten(), second.flatten()
    return Grid(thumbnails(decoded(model, z)), size, reach)


def tiling(count: int) -> int:
    """Return how many columns make so many images about square."""
    return max(1, int(np.ceil(np.sqrt(count))))
