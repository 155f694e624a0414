from dataclasses import replace

import numpy as np
import pytest

from vgae.graphs.graph import Graph
from vgae.recipes import PAPER
from vgae.report.figures.graphs import (
    clusters_figure,
    embedding_figure,
    links_figure,
    training_figure,
)
from vgae.runs.graphs import train_run
from vgae.training.history import HistoryRow

HISTORY = [
    HistoryRow(1, 0.9, 90.0, 3.0),
    HistoryRow(2, 0.8, 80.0, 4.0, 0.7, 0.75),
    HistoryRow(3, 0.7, 70.0, 5.0, 0.8, 0.85),
]


def labels_of(axes):
    legend = axes.get_legend()
    return [] if legend is None else [text.get_text() for text in legend.get_texts()]


def test_the_curves_are_the_history():
    loss, parts, scores = training_figure(HISTORY, {"epoch": 2}).axes
    assert loss.lines[0].get_xydata().tolist() == [[1, 0.9], [2, 0.8], [3, 0.7]]
    assert parts.lines[0].get_ydata().tolist() == [90, 80, 70]
    assert parts.lines[1].get_ydata().tolist() == [3, 4, 5]
    np.testing.assert_allclose(scores.lines[0].get_xydata(), [[2, 70], [3, 80]])
    assert "kept: epoch 2" in labels_of(scores)


def test_without_kl_and_validation_scores_there_is_a_note():
    rows = [row._replace(kl=0.0, val_auc=None, val_ap=None) for row in HISTORY]
    _, parts, scores = training_figure(rows, {"epoch": 3}).axes
    assert len(parts.lines) == 1
    assert scores.texts[0].get_text() == "no validation links"


def test_no_epochs_draw_empty_axes(tmp_path):
    training_figure([], {"epoch": 0}).savefig(tmp_path / "x.png")


@pytest.mark.parametrize("width", [1, 2, 3, 16])
@pytest.mark.parametrize("nodes", [1, 3, 40])
def test_any_number_of_nodes_and_dimensions_can_be_drawn(width, nodes, tmp_path):
    graph = Graph.from_edges(np.empty((2, 0), dtype=int), num_nodes=nodes)
    embedding = np.random.default_rng(0).normal(size=(nodes, width)).astype(np.float32)
    embedding_figure(graph, embedding).savefig(tmp_path / "x.png")


@pytest.mark.parametrize("noise", [0, 1e-8])
def test_a_latent_space_that_collapsed_is_drawn_as_it_is(sbm, tmp_path, noise):
    """To one point, within rounding; t-SNE crashes on such, process and all."""
    spread = noise * np.random.default_rng(0).normal(size=(120, 5))
    figure = embedding_figure(sbm, np.arange(1, 6) + spread)
    figure.savefig(tmp_path / "x.png")
    assert "no projection" in figure.axes[0].get_title(loc="left")


def test_large_graphs_take_pca_and_small_ones_tsne(sbm):
    z = np.random.default_rng(0).normal(size=(120, 5))
    assert "t-SNE" in embedding_figure(sbm, z).axes[0].get_title(loc="left")
    large = Graph.from_edges(np.empty((2, 0), dtype=int), num_nodes=5001)
    z = np.random.default_rng(0).normal(size=(5001, 5))
    assert "PCA" in embedding_figure(large, z).axes[0].get_title(loc="left")


def test_every_node_is_drawn_once_and_the_legend_counts_them(sbm):
    graph = replace(sbm, y=sbm.y.clone().index_fill(0, sbm.y.new_tensor([0, 1]), -1))
    axes = embedding_figure(graph, np.random.default_rng(0).normal(size=(120, 2))).axes[0]
    assert sum(len(dots.get_offsets()) for dots in axes.collections) == 120
    assert labels_of(axes)[-1] == "unknown (2)"
    assert "community 0 (28)" in labels_of(axes)


def test_names_that_look_like_formulas_are_shown_as_they_are(sbm, tmp_path):
    names = (r"$\frac$", "x^2$y_$", "a", "b")
    graph = replace(sbm, label_names=names, name=r"$\bad{$")
    figure = embedding_figure(graph, np.random.default_rng(0).normal(size=(120, 2)))
    figure.savefig(tmp_path / "x.png")
    assert labels_of(figure.axes[0])[0].startswith(r"$\frac$")


def test_links_are_drawn_from_the_test_pairs_and_the_threshold_lies_on_both_curves(
    sbm_file, tmp_path
):
    run = train_run(str(sbm_file), tmp_path / "run", recipe=replace(PAPER, epochs=20))
    roc, precision_recall, calibration = links_figure(run).axes
    assert f"{100 * run.metrics['test']['auc']:.2f}" in roc.get_title(loc="left")
    (false_rate, true_rate) = roc.lines[2].get_xydata()[0]
    curve = roc.lines[0].get_xydata()
    assert np.interp(false_rate, *curve.T) == pytest.approx(true_rate, abs=0.03)
    recall, precision = precision_recall.lines[1].get_xydata()[0]
    assert recall == true_rate
    assert precision == pytest.approx(true_rate / (true_rate + false_rate))
    assert [text.split(":")[0] for text in labels_of(calibration)] == [
        "sigmoid of the logit",
        "calibrated",
    ]
    assert f"{run.metrics['test']['calibrated']['ece']:.3f}" in labels_of(calibration)[1]


def test_clusters_have_their_names_and_sizes_in_the_legend():
    plane, labels = np.random.default_rng(0).random((6, 2)), np.array([0, 0, 0, 1, 1, 2])
    figure = clusters_figure(plane, labels, ["a", "b", "$c_"], "a title")
    texts = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert texts == ["a (3)", "b (2)", "$c_ (1)"]
    assert figure.axes[0].get_title(loc="left") == "a title"
