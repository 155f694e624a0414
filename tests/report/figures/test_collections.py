"""Tests of the figures of a collection."""

import numpy as np

from vgae.report.figures.collections import chosen_graphs, collection_figure, examples_figure


def test_usual_and_unusual_graphs_do_not_overlap():
    anomaly = np.array([3.0, np.nan, 1.0, 2.0])
    assert chosen_graphs(anomaly) == {"usual": [2, 3], "unusual": [0]}
    found = chosen_graphs(np.arange(20.0))
    assert found == {"usual": [0, 1, 2, 3, 4], "unusual": [19, 18, 17, 16, 15]}
    assert chosen_graphs(np.full(2, np.nan)) == {"usual": [], "unusual": []}


def test_vectors_have_the_colours_of_labels_and_sizes_their_counts(collection_run):
    graphs = collection_run.graph
    vectors = np.random.default_rng(0).normal(size=(24, 6))
    figure = collection_figure(graphs, vectors, np.arange(24.0))
    plane, sizes = figure.axes
    names = [text.get_text() for text in plane.get_legend().get_texts()]
    assert names == ["path (12)", "ring (12)"]
    assert sum(bar.get_height() for bar in sizes.patches) == 24


def test_examples_show_their_links_and_proposals(collection_run):
    from vgae import predict_links

    graphs = collection_run.graph
    proposals = predict_links(collection_run, graphs, 3, per_graph=True, progress=False)
    embedding = collection_run.embedding.numpy()
    figure = examples_figure(graphs, np.arange(24.0), embedding, proposals)
    first = figure.axes[0]
    assert first.get_title(loc="left") == "usual: g0"
    assert len(first.lines) == graphs[0].num_links + 3
    assert figure.axes[5].get_title(loc="left") == "unusual: g23"
    assert len(first.collections[0].get_offsets()) == graphs[0].num_nodes
