import math

import numpy as np
import pytest
import torch

from vgae.errors import DataError
from vgae.report.figures.sheets import sheet


def test_a_sheet_of_two_by_two_grey_pixels_by_hand():
    images = torch.tensor(
        [[[[0.0, 0.1], [0.2, 0.3]]], [[[0.4, 0.5], [0.6, 0.7]]], [[[2, -1], [0.8, 1]]]]
    )
    expected = [
        [0.0, 0.1, 1, 0.4, 0.5],
        [0.2, 0.3, 1, 0.6, 0.7],
        [1.0, 1.0, 1, 1.0, 1.0],
        [1.0, 0.0, 1, 1.0, 1.0],
        [0.8, 1.0, 1, 1.0, 1.0],
    ]
    np.testing.assert_array_equal(sheet(images, 2), np.array(expected, dtype=np.float32))


@pytest.mark.parametrize("columns", [1, 3, 7, 9])
def test_a_sheet_has_every_image_in_its_place_with_its_colours_last(columns, generator):
    images = torch.rand(7, 3, 2, 4, generator=generator)
    tiles = sheet(images, columns)
    rows = math.ceil(7 / columns)
    assert tiles.shape == (rows * 3 - 1, columns * 5 - 1, 3)
    for k, image in enumerate(images):
        found = tiles[3 * (k // columns) :, 5 * (k % columns) :][:2, :4]
        np.testing.assert_array_equal(found, image.permute(1, 2, 0))
    assert (tiles[2::3] == 1).all()


def test_channels_that_are_no_colours_are_averaged(generator):
    images = torch.rand(2, 5, 3, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    tiles = sheet(images, 2)
    assert tiles.shape == (3, 7)
    np.testing.assert_allclose(tiles[:, 4:], images.detach()[1].mean(0), rtol=1e-6)


@pytest.mark.parametrize("shape", [(2, 2), (3, 2, 2), (0, 1, 2, 2), (1, 1, 0, 2)])
def test_what_is_no_image_is_refused(shape):
    with pytest.raises(DataError, match=r"must have shape \(n, c, h, w\)"):
        sheet(torch.zeros(shape), 1)


def test_a_sheet_has_a_column():
    with pytest.raises(ValueError, match="columns must be at least 1, got 0"):
        sheet(torch.zeros(5, 1, 2, 3), 0)
