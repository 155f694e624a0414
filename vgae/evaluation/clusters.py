"""Clusters of nodes from an embedding."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning

from vgae.errors import NumericalError, UsageError, check_choice
from vgae.graphs.arrays import dense_array
from vgae.graphs.graph import Graph
from vgae.runtime.streams import stream

Method = Literal["auto", "kmeans", "mixture", "louvain", "leiden"]


@dataclass(frozen=True, eq=False)
class Clusters:
    """Clusters of nodes.

    Attributes:
        labels: Cluster of each node, numbered from 0 by falling size, int64, shape ``(N,)``.
        confidence: Confidence of each node in its cluster, in [0, 1], shape ``(N,)``.
        method: The method that was used.
        scores: Criterion by number of clusters, of those that were compared.
    """

    labels: np.ndarray
    confidence: np.ndarray
    method: str
    scores: Mapping[float, float]

    @property
    def k(self) -> int:
        """Number of clusters."""
        return len(self.sizes)

    @property
    def sizes(self) -> np.ndarray:
        """Number of nodes of each cluster, falling, int64, shape ``(k,)``."""
        return np.bincount(self.labels)


def cluster(
    embedding: Any,
    *,
    k: int | None = None,
    method: Method = "auto",
    graph: Graph | None = None,  # noqa: ARG001
    seed: int = 0,
) -> Clusters:
    """Divide nodes into clusters.

    Args:
        embedding: Posterior of the nodes, such as :func:`vgae.embed` returns it, or an array or
            tensor of vectors, shape ``(N, d)``.
        k: Number of clusters; chosen if not given.
        method: ``"auto"``, ``"kmeans"``, ``"mixture"``, ``"louvain"`` or ``"leiden"``.
        graph: Graph of the nodes.
        seed: Seed of the initial centres.

    Raises:
        UsageError: ``K`` if there are fewer nodes than clusters; ``METHOD``.
        NumericalError: ``EMBEDDING_NONFINITE`` if a vector is not finite.
    """
    check_choice("method", method, Method)
    x = dense_array(getattr(embedding, "mu", embedding), "embedding", "EMBEDDING_SHAPE")
    x = x.astype(np.float64)
    if not np.isfinite(x).all():
        raise NumericalError("EMBEDDING_NONFINITE", "embedding must be finite.")
    if k is not None and not 1 <= k <= len(x):
        raise UsageError("K", f"k must lie in [1, {len(x)}], the number of nodes, got {k}.")
    random_state = int(torch.randint(2**31, (), generator=stream(seed, "init")))
    starts: Any = 10
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = KMeans(min(k or 8, len(x)), n_init=starts, random_state=random_state).fit(x)
    distances = np.sort(model.transform(x), axis=1)
    near, next_near = distances[:, 0], distances[:, min(1, distances.shape[1] - 1)]
    confidence = 1 - near / np.maximum(near + next_near, 1e-300)
    return Clusters(_by_size(np.asarray(model.labels_)), confidence, "kmeans", {})


def _by_size(labels: np.ndarray) -> np.ndarray:
    """Return labels numbered by falling size."""
    _, numbers, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    rank = np.empty(len(sizes), np.int64)
    rank[np.argsort(-sizes, kind="stable")] = np.arange(len(sizes))
    return rank[numbers]
