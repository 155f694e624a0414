import logging
from contextlib import contextmanager

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from vgae.report.figures import points
from vgae.report.figures.points import (
    OVERFLOWED,
    UNPROJECTED,
    draw_classes,
    draw_density,
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


def test_classes_go_by_number_with_small_ones_on_top_and_are_named_with_their_counts():
    labels = np.array([-1, 0, 1, 1, 1, 2, 2])
    names = []
    for options in ({}, {"counted": False, "name_of": "abc".__getitem__}):
        axes = Figure().subplots()
        draw_classes(axes, np.zeros((7, 2)), labels, 1, **options)
        names.append(axes.get_legend_handles_labels()[1])
    assert names == [
        ["0 (1)", "1 (3)", "2 (2)", "unknown (1)"],
        ["a", "b", "c", "unknown"],
    ]
    of_class = dict(zip(names[-1], axes.collections, strict=True))
    assert of_class["b"].get_zorder() < of_class["c"].get_zorder() < of_class["a"].get_zorder()
    assert to_rgb(of_class["b"].get_facecolor()[0]) == to_rgb(CLASS_COLOURS[1])


def test_missing_values_are_grey_and_do_not_move_the_scale():
    axes = Figure().subplots()
    dots = draw_values(axes, np.zeros((3, 2)), np.array([1.0, np.nan, 5.0]), 1)
    dots.update_scalarmappable()
    assert (dots.norm.vmin, dots.norm.vmax) == (1, 5)
    assert to_rgb(dots.get_facecolor()[1]) == to_rgb("#c8c8c8")


def test_tsne_tells_its_steps_where_messages_are_shown(monkeypatch, capsys):
    vectors, told = np.random.default_rng(0).normal(size=(40, 5)).astype("f"), []

    @contextmanager
    def showing(total, unit, *, wanted):
        told.append((total, unit, wanted))
        yield lambda done, text=None: told.append(done)

    monkeypatch.setattr(points, "showing", showing)
    plain = dict(projections(vectors))["t-SNE"]
    assert told[0] == (1000, "steps", False)
    monkeypatch.setattr(points.log, "level", logging.INFO)
    points.log.manager._clear_cache()
    told.clear()
    np.testing.assert_array_equal(dict(projections(vectors))["t-SNE"], plain)
    assert told[:3] == [(1000, "steps", None), 0, 50]
    assert told[-1] >= 250
    assert capsys.readouterr().out == ""  # what scikit-learn prints
    points.log.manager._clear_cache()


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


@pytest.fixture
def many(monkeypatch):
    """Points at the left below, but two at the right, above and below."""
    monkeypatch.setattr(points, "MOST_DOTS", 100)
    places = np.zeros((200, 2))
    places[0], places[100] = (1, 1), (1, 0)
    return places


def test_the_density_is_the_number_of_points_in_a_cell(many):
    axes = Figure().subplots()
    image = draw_density(axes, many)
    found = image.get_array()
    assert (found[0, 0], found[-1, -1], found[0, -1]) == (198, 1, 1)
    assert found.count() == 3
    assert image.get_extent() == [0, 1, 0, 1]
    assert found.size == pytest.approx(200 / 6, abs=4)


def test_very_many_points_have_the_mean_colour_of_the_ten_largest_classes(many):
    axes = Figure().subplots()
    labels = np.repeat([0, 1, 2, -1], [60, 90, 40, 10])
    draw_classes(axes, many, labels, 1, name_of="abc".__getitem__)
    (image,) = axes.images
    found, alpha = np.asarray(image.get_array()), np.asarray(image.get_alpha())
    assert (alpha > 0).sum() == 3
    assert alpha[0, 0] == 1 > alpha[-1, -1] > 0.2
    np.testing.assert_allclose(found[-1, -1], to_rgb(CLASS_COLOURS[0]))
    np.testing.assert_allclose(found[0, -1], to_rgb(CLASS_COLOURS[1]))
    names = axes.get_legend_handles_labels()[1]
    assert names == ["a (60)", "b (90)", "c (40)", "unknown (10)"]
    axes = Figure().subplots()
    draw_classes(axes, many, np.arange(200) % 40, 1)
    names = axes.get_legend_handles_labels()[1]
    assert (len(names), names[-1]) == (11, "30 other classes (150)")
