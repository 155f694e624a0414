"""Tests of the classification and clustering of graphs by their vectors."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from vgae import Graph, GraphCollection
from vgae.errors import DataError
from vgae.evaluation.graph_tasks import classify_graphs, evaluate_graphs, num_links


def collection(sizes, y, **options):
    parts = [Graph.from_edges([range(n - 1), range(1, n)], num_nodes=n) for n in np.asarray(sizes)]
    return GraphCollection.from_graphs(parts, y=list(y), **options)


@pytest.fixture
def labelled():
    rng = np.random.default_rng(0)
    y = np.arange(60) % 3
    return collection(rng.integers(3, 9, 60), y), np.eye(3)[y] + rng.normal(0, 0.1, (60, 3))


def test_vectors_that_separate_classes_have_accuracy_one(labelled):
    graphs, vectors = labelled
    found = classify_graphs(vectors, graphs)
    assert found.vectors.accuracy == found.vectors.macro_f1 == 1
    assert found.majority.accuracy == pytest.approx(1 / 3, abs=0.05)
    assert found.majority.macro_f1 < 0.2
    assert found.size.accuracy < 0.6
    assert (found.num_graphs, found.num_folds) == (60, 10)
    result = evaluate_graphs(torch.from_numpy(vectors), graphs)
    assert result["clusters"] == {"acc": 1.0, "nmi": 1.0, "ari": 1.0}
    assert result["classes"]["vectors"]["accuracy"] == 1
    assert result["classes"]["num_folds"] == 10


def test_sizes_alone_may_tell_the_classes():
    y = np.arange(40) % 2
    graphs = collection(5 + 4 * y, y)
    noise = np.random.default_rng(0).normal(size=(40, 2))
    found = classify_graphs(noise, graphs)
    assert found.size.accuracy == 1
    assert found.vectors.accuracy < 0.8
    assert num_links(graphs).tolist() == (4 + 4 * y).tolist()


def test_graphs_of_unknown_class_are_not_used(labelled):
    graphs, vectors = labelled
    y = graphs.graph_y.clone()
    y[:15] = -1
    found = classify_graphs(vectors, replace(graphs, graph_y=y))
    assert found.num_graphs == 45
    assert found.vectors.accuracy == 1
    few = torch.full((60,), -1)
    few[:7] = torch.tensor([0, 1, 0, 1, 0, 1, 2])
    assert classify_graphs(np.eye(60), replace(graphs, graph_y=few)).num_folds == 3


def test_what_cannot_be_classified_is_refused(labelled):
    graphs, vectors = labelled
    with pytest.raises(DataError, match=r"have no labels.*--graph-labels FILE"):
        classify_graphs(vectors, replace(graphs, graph_y=None))
    with pytest.raises(DataError, match="at least two classes"):
        classify_graphs(vectors, replace(graphs, graph_y=torch.zeros(60, dtype=torch.int64)))
    one = torch.zeros(60, dtype=torch.int64)
    one[:2] = 1
    with pytest.raises(DataError, match="needs 3 graphs of each of two classes, got 2"):
        classify_graphs(vectors, replace(graphs, graph_y=one))
    with pytest.raises(DataError, match="classes of graphs need a collection"):
        classify_graphs(vectors, graphs[0])
