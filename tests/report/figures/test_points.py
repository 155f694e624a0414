import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from vgae.report.figures import points
from vgae.report.figures.points import (
    OVERFLOWED,
    UNPROJECTED,
    draw_classes,
    draw_values,
    projections,
)
from vgae.report.figures.style import CLASS_COLOURS


def test_very_many_points_are_an_image_within_the_vectors():
    points = np.zeros((2001, 2))
    axes = Figure().subplots()
    for draw in (draw_values, draw_classes):
        axes = Figure().subplots()
        draw(axes, points, np.zeros(2001), 1)
        draw(axes, points[1:], np.zeros(2000), 1)
        assert [dots.get_rasterized() for dots in axes.collections] == [True, False]


def test_classes_go_by_number_or_by_size_and_are_named_with_their_counts():
    labels = np.array([-1, 0, 1, 1, 1, 2, 2])
    names = []
    for options in ({}, {"largest_first": True}, {"counted": False, "name_of": "abc".__getitem__}):
        axes = Figure().subplots()
        draw_classes(axes, np.zeros((7, 2)), labels, 1, **options)
        names.append(axes.get_legend_handles_labels()[1])
    assert names == [
        ["unknown (1)", "0 (1)", "1 (3)", "2 (2)"],
        ["1 (3)", "2 (2)", "unknown (1)", "0 (1)"],
        ["unknown", "a", "b", "c"],
    ]


def test_an_eleventh_class_has_another_marker():
    axes = Figure().subplots()
    draw_classes(axes, np.zeros((11, 2)), np.arange(11), 1)
    first, *_, last = axes.collections
    assert (first.get_facecolor() == last.get_facecolor()).all()
    assert len(first.get_paths()[0]) != len(last.get_paths()[0])


def test_two_dimensions_are_left_as_they_are():
    points = np.random.default_rng(0).normal(size=(9, 2))
    ((method, plane),) = projections(points)
    assert method == UNPROJECTED
    np.testing.assert_array_equal(plane, points)


@pytest.mark.parametrize("value", [1e19, np.inf, np.nan])
def test_very_large_values_are_drawn_without_a_projection(value):
    points = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)
    points[0] = value
    ((method, plane),) = projections(points)
    assert method == OVERFLOWED
    assert plane.shape == (9, 2)
    assert np.isfinite(plane).all()


def cells_of(axes):
    (image,) = axes.images
    return np.ma.filled(image.get_array(), np.nan), np.asarray(image.get_alpha()), image


@pytest.fixture
def many(monkeypatch):
    """Points of which 99 of 100 are in the corner at the left below, the others at the right."""
    monkeypatch.setattr(points, "MOST_DOTS", 100)
    places = np.zeros((200, 2))
    places[0], places[100] = (1, 1), (1, 0)
    return places


def test_very_many_points_are_a_map_of_their_mean_values(many):
    axes = Figure().subplots()
    values = np.arange(200.0)
    drawn = draw_values(axes, many, values, 1)
    found, alpha, image = cells_of(axes)
    assert drawn is image
    assert image.get_extent() == [0, 1, 0, 1]
    assert (found[-1, -1], found[0, -1]) == (0, 100)
    assert found[0, 0] == pytest.approx(values[(many == 0).all(axis=1)].mean())
    assert np.isnan(found).sum() == found.size - 3
    assert (alpha > 0).sum() == 3
    assert alpha[0, 0] == 1 > alpha[-1, -1] > 0.25


def test_very_many_points_have_the_mean_colour_of_the_ten_largest_classes(many):
    axes = Figure().subplots()
    labels = np.repeat([0, 1, 2, -1], [60, 90, 40, 10])
    draw_classes(axes, many, labels, 1, name_of="abc".__getitem__, largest_first=True)
    found, _, _ = cells_of(axes)
    np.testing.assert_allclose(found[-1, -1], to_rgb(CLASS_COLOURS[1]))
    np.testing.assert_allclose(found[0, -1], to_rgb(CLASS_COLOURS[0]))
    names = axes.get_legend_handles_labels()[1]
    assert names == ["b (90)", "a (60)", "c (40)", "unknown (10)"]
    axes = Figure().subplots()
    draw_classes(axes, many, np.arange(200) % 40, 1)
    names = axes.get_legend_handles_labels()[1]
    assert (len(names), names[-1]) == (11, "30 other classes (150)")
