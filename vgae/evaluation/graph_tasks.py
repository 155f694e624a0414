"""Evaluation of graph vectors on the classification and clustering of graphs."""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from vgae.data.planetoid import NodeSplit
from vgae.errors import DataError
from vgae.evaluation.tasks import SplitScores, checked_labels, cluster_nodes, scores_over_splits
from vgae.graphs.collection import GraphCollection
from vgae.models.graph_vectors import check_collection, standardised
from vgae.runtime.streams import stream


class GraphClassScores(NamedTuple):
    """Scores of classifiers of graphs, means and deviations over the same folds.

    Attributes:
        vectors: Logistic regression on graph vectors.
        size: Logistic regression on the numbers of nodes and links alone. Where it is as good, the
            vectors show no more than the size.
        majority: The most frequent class of the training graphs, for every graph.
        num_graphs: Number of graphs of known class.
        num_folds: Number of folds.
    """

    vectors: SplitScores
    size: SplitScores
    majority: SplitScores
    num_graphs: int
    num_folds: int


def evaluate_graphs(vectors: Any, graphs: GraphCollection) -> dict[str, Any]:
    """Return the scores of graph vectors, as plain values for JSON.

    Args:
        vectors: Vectors of the graphs, shape ``(G, d)``, such as ``vgae.graph_vectors(...).mu``.
        graphs: Collection with labels of graphs.

    Returns:
        ``"classes"``, of :func:`classify_graphs`, and ``"clusters"``, of
        :func:`vgae.evaluation.tasks.cluster_nodes` with the graphs in place of nodes, and with
        standardised columns.
    """
    scores = classify_graphs(vectors, graphs)
    classes = {
        name: value._asdict() if isinstance(value, SplitScores) else value
        for name, value in scores._asdict().items()
    }
    scaled = standardised(np.asarray(vectors, np.float64))
    return {"classes": classes, "clusters": cluster_nodes(scaled, graphs.graph_y)._asdict()}


def classify_graphs(
    vectors: Any, graphs: GraphCollection, *, num_folds: int = 10, seed: int = 0
) -> GraphClassScores:
    """Evaluate graph vectors by logistic regression in a stratified cross-validation.

    Each fold is the test part once, with the next fold as validation part, on which the penalty is
    chosen, and the others for training. Columns are standardised by mean and deviation of the
    training graphs. The model that made the vectors has seen no labels, but the links of all
    graphs that it was trained on. Graphs of unknown class are not used.

    Source: Errica et al. (2020), `A Fair Comparison of Graph Neural Networks for Graph
    Classification <https://arxiv.org/abs/1912.09893>`_ (folds with a validation part, and
    baselines without structure).

    Args:
        vectors: Vectors of the graphs, shape ``(G, d)``.
        graphs: Collection with ``graph_y``.
        num_folds: Largest number of folds, at least 3; it is that of the graphs of the second
            largest class if this has fewer.
        seed: Seed of the folds.

    Raises:
        DataError: ``NO_LABELS`` or ``ONE_CLASS`` if there are fewer than two classes;
            ``NODE_SPLIT`` if fewer than two classes have 3 graphs.
        NumericalError: If the vectors are not finite.
    """
    check_collection(graphs, "classes of graphs")
    y = graphs.graph_y
    if y is None or not bool((y >= 0).any()):
        raise DataError(
            "NO_LABELS",
            "the graphs have no labels, which the task graphs needs; give them as y to"
            " vgae.GraphCollection.from_graphs, or train with --graph-labels FILE, a table of"
            " graph,label.",
        )
    x, labels = checked_labels(vectors, y)
    counts = np.sort(np.bincount(labels[labels >= 0]))
    num_folds = min(num_folds, int(counts[-2]))
    if num_folds < 3:
        rule = "a classifier of graphs needs 3 graphs of each of two classes"
        raise DataError("NODE_SPLIT", f"{rule}, got {counts[-2]} of the second largest class.")
    folds = _folds(labels, num_folds, stream(seed, "split"))
    sizes = torch.stack([graphs.sizes, num_links(graphs)], dim=1).double().numpy()
    return GraphClassScores(
        scores_over_splits(x, labels, folds),
        scores_over_splits(sizes, labels, folds),
        # Without any difference between the graphs, only the frequencies of the classes are left.
        scores_over_splits(np.zeros((len(x), 1)), labels, folds),
        int((labels >= 0).sum()),
        num_folds,
    )


def num_links(graphs: GraphCollection) -> Tensor:
    """Return the number of links of each graph, int64, shape ``(G,)``."""
    return torch.bincount(graphs.batch[graphs.links[0]], minlength=graphs.num_graphs)


def _folds(labels: np.ndarray, num_folds: int, generator: torch.Generator) -> list[NodeSplit]:
    """Return training, validation and test graphs of each fold, in which classes are as frequent.

    The graphs are dealt to the folds in random order, one class after the other.
    """
    order = torch.randperm(len(labels), generator=generator).numpy()
    order = order[np.argsort(labels[order], kind="stable")]
    order = order[labels[order] >= 0]
    dealt = [torch.from_numpy(order[k::num_folds]) for k in range(num_folds)]
    folds = []
    for k in range(num_folds):
        val = (k + 1) % num_folds
        train = [fold for j, fold in enumerate(dealt) if j not in (k, val)]
        folds.append(NodeSplit(torch.cat(train), dealt[val], dealt[k]))
    return folds
