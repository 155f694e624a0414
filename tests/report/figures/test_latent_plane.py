import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex
from torch import nn

from vgae.errors import DataError
from vgae.gaussian import DiagGaussian, PointMass
from vgae.report.figures.latent_plane import latent_figure
from vgae.vae import VAE


class FirstPixels(nn.Module):
    """The first pixels are the means; the variances are 1."""

    def __init__(self, latent_channels, posterior):
        super().__init__()
        self.latent_channels, self.posterior = latent_channels, posterior

    def forward(self, x):
        mu = x.flatten(-3)[..., : self.latent_channels]
        return self.posterior.from_heads(*(mu, torch.zeros_like(mu))[: self.posterior.num_heads])


def pixel_model(latent_channels=2, posterior=DiagGaussian):
    return VAE(FirstPixels(latent_channels, posterior), nn.Identity())


def labels_of(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


def test_a_latent_plane_is_shown_as_it_is_and_coloured_by_label(generator):
    pixels = torch.rand(30, 1, 2, 3, generator=generator)
    labels = torch.arange(30) % 3 + 4
    labels[:2] = -1
    axes = latent_figure(pixel_model(), pixels, labels, name=r"$\bad{$").axes[0]
    assert r"$\bad{$: 30 posterior means, the latent plane itself" in axes.get_title(loc="left")
    assert labels_of(axes) == ["4 (9)", "5 (9)", "6 (10)", "unknown (2)"]
    mu = pixels[:, 0, 0, :2]
    for label, dots in zip([4, 5, 6, -1], axes.collections, strict=True):
        np.testing.assert_allclose(dots.get_offsets(), mu[labels == label], rtol=1e-6)
    assert len({to_hex(dots.get_facecolor()[0]) for dots in axes.collections}) == 4
    middles = {text.get_text(): text.get_position() for text in axes.texts}
    assert middles.keys() == {"4", "5", "6"}
    np.testing.assert_allclose(middles["5"], np.median(mu[labels == 5], axis=0), rtol=1e-6)


def test_unknown_labels_alone_can_be_drawn(tmp_path):
    figure = latent_figure(pixel_model(), torch.rand(3, 1, 2, 3), torch.full((3,), -1))
    figure.savefig(tmp_path / "x.png")
    assert labels_of(figure.axes[0]) == ["unknown (3)"]


def test_without_labels_the_colour_is_the_kl(generator):
    pixels = torch.rand(9, 1, 2, 3, generator=generator)
    axes, bar = latent_figure(pixel_model(), pixels).axes
    # Of variance 1, it is half the squared length of the mean.
    expected = pixels[:, 0, 0, :2].square().sum(-1) / 2
    np.testing.assert_allclose(axes.collections[0].get_array(), expected, rtol=1e-5)
    assert "KL" in bar.get_ylabel()


def test_a_plain_auto_encoder_has_no_kl_to_colour_by(generator):
    pixels = torch.rand(9, 1, 2, 3, generator=generator)
    figure = latent_figure(pixel_model(posterior=PointMass), pixels)
    assert len(figure.axes) == 1
    assert len(figure.axes[0].collections[0].get_offsets()) == 9


def test_more_than_two_dimensions_are_shown_by_their_principal_components(generator):
    pixels = torch.rand(40, 1, 2, 3, generator=generator)
    axes = latent_figure(pixel_model(5), pixels).axes[0]
    points = np.asarray(axes.collections[0].get_offsets())
    mu = pixels.flatten(1)[:, :5].double().numpy()
    _, s, directions = np.linalg.svd(mu - mu.mean(0), full_matrices=False)
    expected = (mu - mu.mean(0)) @ directions[:2].T
    np.testing.assert_allclose(np.abs(points), np.abs(expected), atol=1e-6)
    fraction = 100 * s**2 / (s**2).sum()
    title = axes.get_title(loc="left")
    assert f"PCA of 5 dimensions, {fraction[0] + fraction[1]:.0f} % of the variance" in title
    assert f"{fraction[0]:.0f} % of" in axes.get_xlabel()
    assert f"{fraction[1]:.0f} % of" in axes.get_ylabel()


@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("posterior", [DiagGaussian, PointMass])
@pytest.mark.parametrize("num", [1, 3])
def test_a_latent_space_that_collapsed_can_be_drawn(channels, posterior, num, tmp_path):
    figure = latent_figure(pixel_model(channels, posterior=posterior), torch.zeros(num, 1, 2, 3))
    figure.savefig(tmp_path / "x.png", dpi=30)


def test_a_single_dimension_is_shown_against_its_kl(generator):
    pixels = torch.rand(9, 1, 2, 3, generator=generator)
    points = latent_figure(pixel_model(1), pixels).axes[0].collections[0].get_offsets()
    mu = pixels[:, 0, 0, :1].numpy()
    np.testing.assert_allclose(points, np.hstack([mu, mu**2 / 2]), rtol=1e-4)


def test_at_most_five_thousand_points_are_drawn_each_with_its_own_label():
    ramp = torch.linspace(0, 1, 6001).reshape(-1, 1, 1, 1).expand(-1, 1, 2, 3)
    axes = latent_figure(pixel_model(), ramp, (ramp[:, 0, 0, 0] > 0.5).long()).axes[0]
    low, high = (np.asarray(dots.get_offsets()) for dots in axes.collections)
    assert len(low) + len(high) == 5000
    assert low.max() <= 0.5 < high.min()
    assert (low.min(), high.max()) == (0, 1)


def test_the_legend_of_very_many_labels_lists_some_and_their_number(tmp_path):
    figure = latent_figure(pixel_model(), torch.rand(80, 1, 2, 3), torch.arange(80))
    figure.savefig(tmp_path / "x.png", dpi=30)
    axes = figure.axes[0]
    assert len(axes.collections) == 80
    assert len(labels_of(axes)) == 50
    assert axes.get_legend().get_title().get_text() == "50 of 80 labels"
    looks = {
        (to_hex(dots.get_facecolor()[0]), dots.get_paths()[0].vertices.tobytes())
        for dots in axes.collections[:50]
    }
    assert len(looks) == 50


def test_there_must_be_a_label_for_each_image():
    with pytest.raises(DataError, match=r"one per image, shape \(5,\)"):
        latent_figure(pixel_model(), torch.zeros(5, 1, 2, 3), torch.zeros(4))
