import math
from dataclasses import replace

import pytest
import torch

from vgae.data.images import Images
from vgae.evaluation.images import active_units
from vgae.gaussian import DiagGaussian, PointMass
from vgae.models.embedding import embed_images
from vgae.recipes.images import KERAS2D
from vgae.report.pages.image_charts import average_image, charts_of, dimension_table, dimensions_of
from vgae.training.history import HistoryRow

HISTORY = [
    HistoryRow(1, 9.0, 900.0, 30.0, val_elbo=-9.5),
    HistoryRow(2, 8.0, 800.0, 40.0, val_elbo=-8.5),
    HistoryRow(3, 7.0, 700.0, 50.0, val_elbo=-8.75),
]


def two_pixels(test):
    train = torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0, 0.0], [0.0, 0.0]]).view(4, 1, 1, 2)
    return Images.from_arrays(train.numpy(), val=train.numpy(), test=[[[test]]])


def test_the_average_image_of_binary_pixels_by_hand():
    # The first pixel is 1 with 1/2; the second never was, of 4 images: 1/6.
    found = average_image(two_pixels([1.0, 0.0]), KERAS2D)
    assert found == pytest.approx(math.log(1 / 2) + math.log(5 / 6))
    surprised = average_image(two_pixels([1.0, 1.0]), KERAS2D)
    assert surprised == pytest.approx(math.log(1 / 2) + math.log(1 / 6))


@pytest.mark.parametrize(
    ("variance", "sigmas"),
    # Deviations from the average are 1/2 and 0: of both pixels together the root of 1/8.
    [("fixed", (0.3, 0.3)), ("scalar", (math.sqrt(1 / 8),) * 2), ("pixel", (0.5, 0.1))],
)
def test_the_average_image_of_a_normal_likelihood_by_hand(variance, sigmas):
    recipe = replace(
        KERAS2D, likelihood="normal", variance=variance, pixel_sigma=0.3, min_pixel_sigma=0.1
    )
    found = average_image(two_pixels([1.0, 0.25]), recipe)
    expected = sum(
        -0.5 * math.log(2 * math.pi) - math.log(sigma) - 0.5 * (error / sigma) ** 2
        for error, sigma in zip((0.5, 0.25), sigmas, strict=True)
    )
    assert found == pytest.approx(expected)


def test_the_curves_are_per_image_and_validation_lies_on_them():
    charts = charts_of(HISTORY, 2, 100, KERAS2D)
    assert [*charts] == ["elbo", "recon", "kl"]
    training, validation = charts["elbo"].series
    assert training.y == pytest.approx([9.3, 8.4, 7.5])
    assert validation.y == [9.5, 8.5, 8.75]
    assert charts["recon"].series[0].y == [9.0, 8.0, 7.0]
    assert charts["kl"].series[0].y == [0.3, 0.4, 0.5]
    assert charts["elbo"].marks == ((2, "kept: epoch 2"),)
    assert (
        "from 9.3 to 7.5 in training; the best value of the validation images was 8.5."
        in charts["elbo"].summary
    )


def test_a_loss_that_is_another_than_the_elbo_is_drawn_as_well():
    charts = charts_of(HISTORY, 2, 100, replace(KERAS2D, beta=0.5, warmup=4))
    assert charts["loss"].series[0].y == [9.0, 8.0, 7.0]
    assert "counts 0.5 times, less in the first 4 epochs" in charts["loss"].summary


def test_without_kl_there_is_one_curve_and_without_epochs_none():
    history = [row._replace(kl=0.0) for row in HISTORY]
    charts = charts_of(history, 3, 100, KERAS2D)
    assert [*charts] == ["elbo"]
    assert charts["elbo"].title == "Negative log-likelihood"
    assert charts_of([], 0, 100, KERAS2D) == {}


@pytest.fixture
def q(generator):
    mu = torch.randn(500, 4, generator=generator) * torch.tensor([1.0, 0.01, 2.0, 0.5])
    return DiagGaussian(mu, torch.tensor([-2.0, 0.0, -4.0, -1.0]).expand(500, 4))


def test_the_kl_divergences_of_the_dimensions_add_up_and_are_sorted(q):
    found = dimensions_of(q)
    assert found.kl.sum().item() == pytest.approx(q.kl().mean().item(), rel=1e-5)
    assert found.order == [2, 0, 3, 1]
    assert found.is_active == [True, False, True, True]


def test_the_active_ones_are_those_that_the_evaluation_counts(image_run):
    pixels = image_run.images.test
    found = dimensions_of(embed_images(image_run.model, pixels))
    assert sum(found.is_active) == active_units(image_run.model, pixels)


def test_bars_have_the_active_dimensions_in_another_colour(q):
    chart = dimensions_of(q).chart("test")
    assert [(s.name, s.colour, s.x) for s in chart.series] == [
        ("active", "accent", ["z3", "z1", "z4"]),
        ("not active", "muted", ["z2"]),
    ]
    assert "3 of 4 are active" in chart.summary


def test_of_very_many_dimensions_the_first_are_drawn():
    q = DiagGaussian(torch.randn(10, 130), torch.zeros(10, 130))
    chart = dimensions_of(q).chart("test")
    assert sum(len(series.x) for series in chart.series) == 100
    assert "the first 100 are drawn" in chart.summary


def test_a_plain_auto_encoder_has_variances_alone(q):
    found = dimensions_of(PointMass(q.mu))
    assert found.kl is None
    assert found.order == [2, 0, 3, 1]
    table = dimension_table(found)
    assert [column.title for column in table.columns] == ["dimension", "active", "variance"]
    assert table.rows[3][:2] == [("z2", 2), "no"]
    with pytest.raises(ValueError, match="has no KL"):
        found.chart("test")


def test_the_table_has_what_the_bars_show(q):
    found = dimensions_of(q)
    table = dimension_table(found)
    assert not table.sortable
    assert [row[0] for row in table.rows] == [("z3", 3), ("z1", 1), ("z4", 4), ("z2", 2)]
    assert table.rows[0][2][1] == pytest.approx(float(found.kl[2]))
    assert table.rows[0][3][1] == pytest.approx(float(found.variance[2]))
