import base64
import io

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from vgae.report.pages.sprites import latent_grid, spaced_sprite, sprite, thumbnails, tiling
from vgae.vae import VAE


def pixels_of(uri):
    content = base64.b64decode(uri.removeprefix("data:image/png;base64,"))
    return np.array(Image.open(io.BytesIO(content)))


class LinearDecoder(nn.Module):
    """The first pixels are the latent vector, the others 0.5."""

    def __init__(self, shape):
        super().__init__()
        self.shape = shape

    def mean(self, z):
        rest = z.new_full((*z.shape[:-1], int(np.prod(self.shape)) - z.shape[-1]), 0.5)
        return torch.cat([z, rest], dim=-1).unflatten(-1, self.shape)


def model_of(shape):
    return VAE(nn.Identity(), LinearDecoder(shape))  # pyright: ignore


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("columns", [1, 3, 7])
def test_each_image_of_a_sprite_lies_in_its_place(channels, columns, generator):
    images = torch.rand(7, channels, 4, 5, generator=generator)
    found = pixels_of(sprite(images, columns))
    assert found.shape[:2] == (-(-7 // columns) * 4, columns * 5)
    for k, image in enumerate(images):
        tile = found[k // columns * 4 :][:4, k % columns * 5 :][:, :5]
        expected = (255 * image).round().movedim(0, -1).numpy().squeeze()
        np.testing.assert_array_equal(tile, expected)


def test_the_lines_between_spaced_images_and_the_places_left_over_are_transparent(generator):
    images = torch.rand(3, 1, 2, 2, generator=generator)
    alpha = pixels_of(spaced_sprite(images, 2))[..., -1] // 255
    expected = [[1, 1, 0, 1, 1], [1, 1, 0, 1, 1], [0] * 5, [1, 1, 0, 0, 0], [1, 1, 0, 0, 0]]
    np.testing.assert_array_equal(alpha, expected)


def test_only_large_images_are_made_smaller():
    small = torch.rand(2, 1, 64, 10)
    assert thumbnails(small) is small
    large = thumbnails(torch.full((2, 3, 100, 200), 0.25))
    assert large.shape == (2, 3, 32, 64)
    torch.testing.assert_close(large, torch.full_like(large, 0.25))


def test_a_grid_has_each_place_of_the_square_decoded():
    mu = torch.zeros(5, 3)
    grid = latent_grid(model_of((1, 2, 2)), (2, 0), mu, 2.0)
    assert (grid.size, grid.reach) == (31, 2.0)
    first = grid.images.flatten(1)[:, 2].view(31, 31)  # the third latent variable, to the right
    second = grid.images.flatten(1)[:, 0].view(31, 31)  # the first one, upwards
    places = torch.linspace(-2, 2, 31)
    torch.testing.assert_close(first, places.expand(31, 31))
    torch.testing.assert_close(second, places.flip(0)[:, None].expand(31, 31))
    assert (grid.images.flatten(1)[:, 1] == 0).all()
    assert max(abs(first[15, 15]), abs(second[15, 15])) < 1e-9


def test_a_grid_reaches_as_far_as_the_images_do_but_not_to_the_farthest():
    mu = torch.linspace(-4, 4, 1001)[:, None].repeat(1, 2)
    mu[0] = 100
    assert latent_grid(model_of((1, 2, 2)), (0, 1), mu, 2.0).reach == pytest.approx(4.0)


def test_large_images_have_a_coarser_grid_with_zero_in_its_middle():
    grid = latent_grid(model_of((3, 60, 60)), (0, 1), torch.zeros(2, 2), 0.0)
    assert grid.reach == 0.1
    assert grid.size == 17
    assert len(grid.images) == 17 * 17


def test_tiling_is_about_square():
    assert [tiling(n) for n in (1, 2, 4, 5, 5000)] == [1, 2, 2, 3, 71]
