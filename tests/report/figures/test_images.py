import math
from statistics import NormalDist

import matplotlib.image
import numpy as np
import pytest
import torch
from matplotlib.text import Text
from torch import nn

from vgae.data.images import Images
from vgae.errors import DataError
from vgae.gaussian import DiagGaussian
from vgae.report.figures.images import (
    interpolation_figure,
    manifold_figure,
    reconstructions_figure,
    samples_figure,
    training_figure,
    write_image_figures,
)
from vgae.training.history import HistoryRow
from vgae.vae import VAE

HISTORY = [
    HistoryRow(1, 9.0, 900.0, 30.0),
    HistoryRow(2, 8.0, 800.0, 40.0, val_elbo=-8.5),
    HistoryRow(3, 7.0, 700.0, 50.0, val_elbo=-8.25),
    HistoryRow(4, 6.0, 600.0, 60.0, val_elbo=-9.0),
]


class PixelEncoder(nn.Module):
    """The first pixels are the means; the variances are 1."""

    def __init__(self, latent_channels, posterior=DiagGaussian):
        super().__init__()
        self.latent_channels, self.posterior = latent_channels, posterior
        self.weight = nn.Parameter(torch.eye(latent_channels))

    def forward(self, x):
        assert not self.training
        mu = x.flatten(-3)[..., : self.latent_channels] @ self.weight
        return self.posterior.from_heads(*(mu, torch.zeros_like(mu))[: self.posterior.num_heads])


class PixelDecoder(nn.Module):
    """The latent vector becomes the first pixels, and all others are 0.5; a draw is rounded."""

    def __init__(self, shape):
        super().__init__()
        self.shape = shape

    def mean(self, z):
        assert not torch.is_grad_enabled()
        rest = math.prod(self.shape) - z.shape[-1]
        return torch.cat([z, z.new_full((*z.shape[:-1], rest), 0.5)], -1).unflatten(-1, self.shape)

    def sample(self, z, generator):
        mean = self.mean(z).clamp(0, 1)
        return mean.bernoulli(generator=generator)


def pixel_model(latent_channels=2, shape=(1, 2, 3), posterior=DiagGaussian):
    return VAE(PixelEncoder(latent_channels, posterior), PixelDecoder(shape))


def shown(axes):
    return np.asarray(axes.images[0].get_array())


def tile(array, row, column, size=(2, 3)):
    h, w = size
    top, left = row * (h + 1), column * (w + 1)
    return array[top : top + h, left : left + w]


def labels_of(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


@pytest.mark.parametrize("shape", [(2, 2), (3, 2, 2), (0, 1, 2, 2), (1, 1, 0, 2)])
def test_what_is_no_image_is_refused(shape):
    with pytest.raises(DataError, match="n at least 2"):
        interpolation_figure(pixel_model(), torch.zeros(shape))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda x: reconstructions_figure(pixel_model(), x, rows=0), "rows must be at least 1"),
        (lambda x: interpolation_figure(pixel_model(), x, steps=1), "steps must be at least 2"),
        (lambda x: interpolation_figure(pixel_model(), x, pairs=0), "pairs must be at least 1"),
        (lambda x: manifold_figure(pixel_model(), 0), "size must be at least 1"),
        (lambda x: manifold_figure(pixel_model(3)), "latent_channels must be 2 .* got 3"),
        (lambda x: training_figure(HISTORY, 0), "num_items must be at least 1"),
    ],
)
def test_arguments_out_of_range_are_named(call, words):
    with pytest.raises(ValueError, match=words):
        call(torch.zeros(5, 1, 2, 3))


def test_reconstructions_stand_below_their_originals(generator):
    pixels = torch.rand(6, 1, 2, 3, generator=generator)
    figure = reconstructions_figure(pixel_model(), pixels, columns=3, rows=4)
    assert len(figure.axes) == 2
    for k, image in enumerate(pixels[:, 0]):
        pair = shown(figure.axes[k // 3])
        np.testing.assert_array_equal(tile(pair, 0, k % 3), image)
        decoded = torch.full((2, 3), 0.5)
        decoded[0, :2] = image[0, :2]
        np.testing.assert_array_equal(tile(pair, 1, k % 3), decoded)
    ticks = figure.axes[0].get_yticks()
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == ["image", "decoded"]
    assert ticks[0] < 2 < ticks[1]


@pytest.mark.parametrize(("num", "rows"), [(1, 1), (2, 1), (3, 1), (8, 2), (100, 4)])
def test_rows_of_reconstructions_are_full(num, rows):
    figure = reconstructions_figure(pixel_model(), torch.zeros(num, 1, 2, 3), columns=3, rows=4)
    assert len(figure.axes) == rows
    assert {shown(axes).shape for axes in figure.axes} == {(5, 4 * min(num, 3) - 1)}


def test_of_many_images_those_shown_are_spread_over_all_of_them():
    pixels = (torch.arange(101.0) / 100).reshape(-1, 1, 1, 1).expand(101, 1, 2, 3)
    pair = shown(reconstructions_figure(pixel_model(), pixels, columns=5, rows=1).axes[0])
    np.testing.assert_allclose([tile(pair, 0, k)[0, 0] for k in range(5)], [0, 0.25, 0.5, 0.75, 1])


def test_samples_show_the_mean_and_a_draw_of_the_same_prior_sample(generator):
    figure = samples_figure(pixel_model(), 2, rows=11, columns=13, generator=generator)
    means, draws = (shown(axes) for axes in figure.axes)
    same = torch.Generator().manual_seed(0)
    z = torch.randn(143, 2, generator=same)
    expected = z.clamp(0, 1).numpy()
    found = np.array([tile(means, k // 13, k % 13)[0, :2] for k in range(143)])
    np.testing.assert_array_equal(found, expected)
    drawn = np.array([tile(draws, k // 13, k % 13) for k in range(143)])
    assert set(np.unique(drawn)) == {0, 1}
    certain = (expected == 0) | (expected == 1)
    np.testing.assert_array_equal(drawn[:, 0, :2][certain], expected[certain])
    # 572 fair coins: five standard deviations are 0.105.
    assert abs(np.delete(drawn.reshape(143, 6), [0, 1], axis=1).mean() - 0.5) < 0.105


def test_the_same_generator_state_draws_the_same_samples():
    figures = [
        samples_figure(pixel_model(), 2, generator=torch.Generator().manual_seed(seed))
        for seed in (3, 3, 4)
    ]
    first, again, other = (shown(figure.axes[1]) for figure in figures)
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_the_manifold_has_normal_quantiles_that_grow_to_the_right_and_upwards():
    size = 4
    figure = manifold_figure(pixel_model(), size)
    z = np.array([NormalDist().inv_cdf((i + 0.5) / size) for i in range(size)])
    tiles = shown(figure.axes[0])
    for row in range(size):
        for column in range(size):
            expected = np.clip([z[column], z[size - 1 - row]], 0, 1)
            np.testing.assert_allclose(tile(tiles, row, column)[0, :2], expected, rtol=1e-6)
    axes = figure.axes[0]
    names = [text.get_text().replace("\N{MINUS SIGN}", "-") for text in axes.get_xticklabels()]
    np.testing.assert_allclose([float(name) for name in names], z, atol=0.005)
    np.testing.assert_array_equal(axes.get_xticks(), [1, 5, 9, 13])
    np.testing.assert_array_equal(axes.get_yticks(), [9.5, 6.5, 3.5, 0.5])


def test_a_manifold_of_one_image_is_the_origin():
    np.testing.assert_array_equal(
        tile(shown(manifold_figure(pixel_model(), 1).axes[0]), 0, 0)[0], [0, 0, 0.5]
    )


def test_interpolation_goes_from_one_image_to_the_other_in_equal_steps(generator):
    pixels = torch.rand(4, 1, 2, 3, generator=generator)
    figure = interpolation_figure(pixel_model(), pixels, steps=5)
    first, between, last = (shown(axes) for axes in figure.axes)
    for pair in range(2):
        a, b = pixels[pair, 0], pixels[pair + 2, 0]
        np.testing.assert_array_equal(tile(first, pair, 0), a)
        np.testing.assert_array_equal(tile(last, pair, 0), b)
        for step in range(5):
            expected = a[0, :2] + step / 4 * (b[0, :2] - a[0, :2])
            np.testing.assert_allclose(tile(between, pair, step)[0, :2], expected, rtol=1e-5)


@pytest.mark.parametrize(("height", "width"), [(8, 8), (28, 28), (9, 40), (31, 5)])
def test_each_pixel_of_an_image_takes_a_whole_number_of_the_pixels_of_the_file(
    height, width, generator, tmp_path
):
    shape = (3, height, width)
    pixels = torch.rand(4, *shape, generator=generator)
    figure = interpolation_figure(pixel_model(2, shape), pixels, steps=3)
    figure.savefig(tmp_path / "x.png", dpi=figure.dpi)
    drawn = matplotlib.image.imread(tmp_path / "x.png")[..., :3]
    axes = figure.axes[0]
    box = axes.get_position()
    rows, columns = shown(axes).shape[:2]
    scale = box.width * drawn.shape[1] / columns
    assert scale == pytest.approx(round(scale), abs=1e-6)
    scale = round(scale)
    top = round((1 - box.y1) * drawn.shape[0])
    left = round(box.x0 * drawn.shape[1])
    block = drawn[top : top + rows * scale, left : left + columns * scale]
    expected = shown(axes).repeat(scale, 0).repeat(scale, 1)
    # Eight bits a channel.
    np.testing.assert_allclose(block, expected, atol=1 / 255)


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 90, 2), (1, 2, 90), (3, 300, 300)])
def test_images_of_any_size_fit_on_a_page(shape, generator, tmp_path):
    pixels = torch.rand(7, *shape, generator=generator)
    model = pixel_model(1, shape)
    figures = [
        reconstructions_figure(model, pixels),
        interpolation_figure(model, pixels, steps=3, pairs=2),
        samples_figure(model, 1, rows=3, columns=3, generator=generator),
    ]
    for figure in figures:
        width, height = figure.get_size_inches()
        assert width <= 7.01
        assert height <= 9.01
        figure.canvas.draw()
        written = [text for text in figure.findobj(Text) if text.get_visible()]
        boxes = [text.get_window_extent() for text in written if text.get_text()]
        for box in boxes:
            assert box.x0 >= 0
            assert box.x1 <= figure.bbox.width
        for k, box in enumerate(boxes):
            assert not any(box.overlaps(other) for other in boxes[:k])


def test_the_curves_are_the_history_per_image():
    total, recon, kl = training_figure(HISTORY, 100).axes
    training, validation, best = total.lines
    np.testing.assert_allclose(training.get_xydata(), [[1, 9.3], [2, 8.4], [3, 7.5], [4, 6.6]])
    np.testing.assert_allclose(validation.get_xydata(), [[2, 8.5], [3, 8.25], [4, 9]])
    assert best.get_xdata()[0] == 3
    assert labels_of(total) == ["training", "validation", "best: epoch 3"]
    np.testing.assert_allclose(recon.lines[0].get_ydata(), [9, 8, 7, 6])
    np.testing.assert_allclose(kl.lines[0].get_ydata(), [0.3, 0.4, 0.5, 0.6])


def test_a_plain_auto_encoder_has_one_curve_and_no_bound():
    rows = [row._replace(kl=0.0, val_elbo=None) for row in HISTORY]
    (total,) = training_figure(rows, 100).axes
    assert total.get_title(loc="left") == "Negative log-likelihood"
    assert labels_of(total) == ["training"]


def test_a_single_epoch_is_seen_and_none_is_said(tmp_path):
    figure = training_figure(HISTORY[:1], 100)
    figure.savefig(tmp_path / "one.png")
    assert figure.axes[0].lines[0].get_marker() == "o"
    assert [tick for tick in figure.axes[0].get_xticks() if 0.5 < tick < 1.5] == [1]
    figure = training_figure([], 100)
    figure.savefig(tmp_path / "none.png")
    assert figure.axes[0].texts[0].get_text() == "no epochs"


ALWAYS = {"training.png", "samples.png"}
WITH_TEST = {"reconstructions.png", "latent.png"}


@pytest.mark.parametrize(
    ("channels", "num_test", "names"),
    [
        (2, 5, ALWAYS | WITH_TEST | {"interpolation.png", "manifold.png"}),
        (3, 1, ALWAYS | WITH_TEST),
        (3, 0, ALWAYS),
    ],
)
def test_all_figures_that_can_be_drawn_are_written(channels, num_test, names, generator, tmp_path):
    pixels = torch.rand(5, 1, 2, 3, generator=generator)
    labels = torch.arange(num_test) if num_test > 1 else None
    images = Images(pixels, pixels[:0], pixels[:num_test], y_test=labels)
    model = pixel_model(channels).train()
    before = torch.get_rng_state()
    paths = write_image_figures(tmp_path / "figures", model, images, HISTORY)
    assert {path.name for path in paths} == names
    assert {path.name for path in (tmp_path / "figures").iterdir()} == names
    assert all(matplotlib.image.imread(path).size for path in paths)
    assert model.training
    assert torch.equal(torch.get_rng_state(), before)


def test_writing_twice_gives_the_same_bytes(generator, tmp_path):
    pixels = torch.rand(5, 1, 2, 3, generator=generator)
    images = Images(pixels, pixels[:0], pixels[:0])
    first, again = (
        write_image_figures(tmp_path / name, pixel_model(3), images, HISTORY) for name in "ab"
    )
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in again]


def test_a_model_in_double_precision_is_drawn(generator):
    pixels = torch.rand(5, 1, 2, 3, generator=generator)
    pair = shown(reconstructions_figure(pixel_model().double(), pixels, columns=5).axes[0])
    np.testing.assert_array_equal(tile(pair, 1, 4)[0, :2], pixels[4, 0, 0, :2])


@pytest.mark.gpu
def test_a_model_on_the_gpu_is_drawn_from_images_on_either_device(generator, tmp_path):
    pixels = torch.rand(5, 1, 2, 3, generator=generator)
    model = pixel_model().cuda()
    for device in ("cpu", "cuda"):
        part, labels = pixels.to(device), torch.arange(5, device=device)
        images = Images(part, part[:0], part, y_test=labels)
        assert len(write_image_figures(tmp_path / device, model, images, HISTORY)) == 6
