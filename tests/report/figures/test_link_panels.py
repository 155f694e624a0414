import numpy as np
import torch
from matplotlib.figure import Figure

from vgae.report.figures.link_panels import (
    ScoredPairs,
    draw_histogram,
    draw_precision_recall,
    draw_roc,
)

TEST = ScoredPairs(
    torch.zeros(2, 4, dtype=torch.long),
    torch.tensor([2.0, 1.0, 0.0, -1.0]),
    torch.tensor([1.0, 0.0, 1.0, 0.0]),
)


def test_curves_worked_by_hand():
    roc, precision_recall = Figure().subplots(1, 2)
    draw_roc(roc, {"a": TEST})
    x, y = roc.lines[0].get_xydata().T
    assert np.trapezoid(y, x) == 0.75
    assert roc.lines[1].get_xydata().tolist() == [[0, 0], [1, 1]]
    draw_precision_recall(precision_recall, {"a": TEST})
    points = precision_recall.lines[0].get_xydata().tolist()
    assert [0.5, 1] in points
    assert any(np.allclose(point, [1, 2 / 3]) for point in points)


def test_a_test_without_a_name_is_in_no_legend():
    axes = Figure().subplots()
    draw_roc(axes, {"": TEST})
    assert axes.get_legend_handles_labels() == ([], [])


def test_the_histogram_has_links_and_non_links_in_the_same_bins():
    axes = Figure().subplots()
    draw_histogram(axes, TEST)
    bars = [bar for bar in axes.patches if hasattr(bar, "get_height")]
    assert len(bars) == 80
    assert sum(bar.get_height() for bar in bars) == 4
    texts = [text.get_text() for text in axes.get_legend().get_texts()]
    assert texts == ["2 non-links", "2 links"]
