"""Evaluation of embeddings on node classification and clustering."""

import warnings
from collections.abc import Sequence
from statistics import mean, stdev
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import adjusted_rand_score, f1_score, normalized_mutual_info_score
from sklearn.metrics.cluster import contingency_matrix
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from vgae.data.planetoid import NodeSplit, public_split
from vgae.errors import DataError, NumericalError, UsageError
from vgae.graphs.arrays import dense_array
from vgae.graphs.graph import Graph
from vgae.runtime.streams import stream

# Ascending, so that the strongest penalty wins ties.
_INVERSE_PENALTIES = (0.01, 0.1, 1.0, 10.0, 100.0)


class SplitScores(NamedTuple):
    """Mean and deviation (n - 1; 0 for one split) of test scores in [0, 1] over splits."""

    accuracy: float
    accuracy_deviation: float
    macro_f1: float
    macro_f1_deviation: float


class ClassScores(NamedTuple):
    """Scores on the public split, ``None`` without one, and on random splits."""

    public: SplitScores | None
    random: SplitScores


class ClusterScores(NamedTuple):
    """Agreement of clusters with classes; 1 is perfect.

    Attributes:
        acc: Accuracy under the best one-to-one matching of clusters and classes, in [0, 1].
        nmi: Mutual information over the arithmetic mean of the two entropies, in [0, 1].
        ari: Adjusted Rand index, in [-0.5, 1], 0 by chance.
    """

    acc: float
    nmi: float
    ari: float


def evaluate_embedding(embedding: Any, graph: Graph, tasks: Sequence[str]) -> dict[str, Any]:
    """Return the scores of an embedding by task, as plain values for JSON.

    Args:
        embedding: Vectors of the nodes, shape ``(N, d)``.
        graph: Graph with labels.
        tasks: ``"classes"``, ``"clusters"`` or both; others are ignored.
    """
    result: dict[str, Any] = {}
    if "classes" in tasks:
        scores = classify_nodes(embedding, graph.y, public=public_split(graph))
        result["classes"] = {
            name: split and split._asdict() for name, split in scores._asdict().items()
        }
    if "clusters" in tasks:
        result["clusters"] = cluster_nodes(embedding, graph.y)._asdict()
    return result


def classify_nodes(
    embedding: Any,
    y: Any,
    *,
    public: NodeSplit | None = None,
    num_splits: int = 10,
    train_per_class: int = 20,
    num_val: int = 500,
    num_test: int = 1000,
    seed: int = 0,
) -> ClassScores:
    """Evaluate an embedding by logistic regression from few training nodes.

    Columns are standardised by mean and deviation of the training nodes, and the penalty is chosen
    on the validation nodes. Nodes of unknown class are not used.

    A random split has ``train_per_class`` training nodes of each class, at most half of them. Of
    the rest it takes ``num_val`` and ``num_test`` nodes, or half each if there are fewer.

    Source: Shchur et al. (2018), `Pitfalls of Graph Neural Network Evaluation
    <https://arxiv.org/abs/1811.05868>`_ (the reason for random splits beside the public one).

    Args:
        embedding: Vector of each node, shape ``(N, d)``.
        y: Class of each node, -1 where unknown, shape ``(N,)``.
        public: Another split, such as :func:`vgae.data.planetoid.public_split`.
        num_splits: Number of random splits.
        train_per_class: Training nodes of each class in a random split.
        num_val: Validation nodes in a random split.
        num_test: Test nodes in a random split.
        seed: Seed of the random splits.

    Raises:
        DataError: ``NO_LABELS`` or ``ONE_CLASS`` if there are fewer than two classes;
            ``NODE_SPLIT`` if a split cannot be used; ``EMBEDDING_SHAPE`` or ``LABELS``.
        NumericalError: If the embedding is not finite.
        UsageError: If a count is below 1, or the seed out of range.
    """
    counts = (num_splits, train_per_class, num_val, num_test)
    if min(counts) < 1:
        raise UsageError("NODE_SPLIT", f"numbers of splits and nodes must be positive: {counts}.")
    x, labels = checked_labels(embedding, y)
    given = None if public is None else scores_over_splits(x, labels, [_known(public, labels)])
    generator = stream(seed, "split")
    drawn = [_random_split(labels, *counts[1:], generator) for _ in range(num_splits)]
    return ClassScores(given, scores_over_splits(x, labels, drawn))


def cluster_nodes(embedding: Any, y: Any, *, seed: int = 0) -> ClusterScores:
    """Evaluate an embedding by k-means, the best of 10 starts, with one cluster per known class.

    The embedding is not standardised. Nodes of unknown class are clustered, but not scored.

    Source: Pan et al. (2018), `Adversarially Regularized Graph Autoencoder for Graph Embedding
    <https://arxiv.org/abs/1802.04407>`_ (reports these three).

    Args:
        embedding: Vector of each node, shape ``(N, d)``.
        y: Class of each node, -1 where unknown, shape ``(N,)``.
        seed: Seed of the initial centres.

    Raises:
        VgaeError: The errors of :func:`classify_nodes` except those of splits.
    """
    x, labels = checked_labels(embedding, y)
    known = labels >= 0
    random_state = int(torch.randint(2**31, (), generator=stream(seed, "init")))
    starts: Any = 10  # scikit-learn annotates "auto" only
    k_means = KMeans(labels.max() + 1, n_init=starts, random_state=random_state)
    with warnings.catch_warnings():
        # A collapsed embedding has fewer distinct vectors than classes; its scores show it.
        warnings.simplefilter("ignore", ConvergenceWarning)
        clusters = k_means.fit_predict(x)
    labels, clusters = labels[known], clusters[known]
    table: Any = contingency_matrix(labels, clusters)
    acc = table[linear_sum_assignment(table, maximize=True)].sum() / len(labels)
    nmi = normalized_mutual_info_score(labels, clusters, average_method="arithmetic")
    return ClusterScores(float(acc), float(nmi), float(adjusted_rand_score(labels, clusters)))


def checked_labels(embedding: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return an embedding as float64, and classes numbered from 0, -1 where unknown."""
    x = dense_array(embedding, "embedding", "EMBEDDING_SHAPE")
    if x.ndim != 2 or x.shape[1] == 0 or x.dtype.kind not in "iuf":
        got = f"got shape {x.shape} of {x.dtype}"
        raise DataError("EMBEDDING_SHAPE", f"embedding must be numbers of shape (N, d), {got}.")
    with np.errstate(over="ignore"):
        bad = ~np.isfinite(x.astype(np.float32)).all(axis=1)
    if bad.any():
        got = f"got {bad.sum()} rows that are not, first that of node {bad.argmax()}"
        raise NumericalError("EMBEDDING_NONFINITE", f"embedding must be finite in float32, {got}.")
    labels = np.full(len(x), -1) if y is None else dense_array(y, "y", "LABELS")
    if labels.shape != (len(x),) or labels.dtype.kind not in "iu":
        got = f"got shape {labels.shape} of {labels.dtype}"
        raise DataError("LABELS", f"y must be integers of shape ({len(x)},), {got}.")
    known = labels >= 0
    classes, numbers = np.unique(labels[known], return_inverse=True)
    if len(classes) == 0:
        what = "which the tasks classes and clusters need"
        raise DataError("NO_LABELS", f"the graph has no labels, {what}.")
    if len(classes) == 1:
        raise DataError("ONE_CLASS", f"y must have at least two classes, got only {classes[0]}.")
    labels = np.full(len(x), -1)
    labels[known] = numbers
    return x.astype(np.float64), labels


def _known(split: NodeSplit, labels: np.ndarray) -> NodeSplit:
    """Return the nodes of known class of a given split."""
    parts = [dense_array(part, "public", "NODE_SPLIT") for part in split]
    nodes = np.concatenate(parts)
    within = nodes.dtype.kind in "iu" and ((nodes >= 0) & (nodes < len(labels))).all()
    if not within or len(np.unique(nodes)) < len(nodes):
        what = f"distinct integers in [0, {len(labels)})"
        raise DataError("NODE_SPLIT", f"train, val and test of public must be {what}.")
    return NodeSplit(*(torch.from_numpy(part[labels[part] >= 0]) for part in parts))


def _random_split(
    labels: np.ndarray, per_class: int, num_val: int, num_test: int, generator: torch.Generator
) -> NodeSplit:
    """Draw a split; see :func:`classify_nodes`."""
    order = torch.randperm(len(labels), generator=generator)
    shuffled = torch.from_numpy(labels)[order]
    of_class = [order[shuffled == k] for k in range(labels.max() + 1)]
    quota = [min(per_class, len(nodes) // 2) for nodes in of_class]
    train = torch.cat([nodes[:k] for nodes, k in zip(of_class, quota, strict=True)])
    rest = order[(shuffled >= 0) & ~torch.isin(order, train)]
    if len(rest) < num_val + num_test:
        num_val, num_test = len(rest) // 2, len(rest) - len(rest) // 2
    return NodeSplit(train, rest[:num_val], rest[num_val : num_val + num_test])


def scores_over_splits(x: np.ndarray, labels: np.ndarray, splits: list[NodeSplit]) -> SplitScores:
    """Return the scores of logistic regression on splits, given vectors and classes."""
    accuracy, macro_f1 = zip(*(_test_scores(x, labels, s) for s in splits), strict=True)
    deviations = [stdev(s) if len(s) > 1 else 0.0 for s in (accuracy, macro_f1)]
    return SplitScores(mean(accuracy), deviations[0], mean(macro_f1), deviations[1])


def _test_scores(x: np.ndarray, labels: np.ndarray, split: NodeSplit) -> tuple[float, float]:
    """Return accuracy and macro F1 of the model that is chosen on the validation nodes."""
    train, val, test = (part.numpy() for part in split)
    if len(np.unique(labels[train])) < 2 or len(val) == 0 or len(test) == 0:
        what = "training nodes of two classes, and nodes of known class in val and test"
        raise DataError("NODE_SPLIT", f"a split must have {what}; there are too few labels.")
    candidates = [LogisticRegression(C=c, max_iter=1000) for c in _INVERSE_PENALTIES]
    models = [make_pipeline(StandardScaler(), c).fit(x[train], labels[train]) for c in candidates]
    best = max(models, key=lambda model: model.score(x[val], labels[val]))
    predicted = best.predict(x[test])
    macro_f1 = f1_score(labels[test], predicted, average="macro")
    return float((predicted == labels[test]).mean()), float(macro_f1)
