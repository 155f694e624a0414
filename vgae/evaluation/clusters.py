"""Clusters of nodes from an embedding."""

import logging
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import scipy.sparse as sp
import torch
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import silhouette_score

from vgae.errors import DataError, NumericalError, UsageError, check_choice
from vgae.evaluation._communities import communities
from vgae.evaluation._mixture import distinct_rows, fit_mixture, k_means
from vgae.evaluation.shown import clusters_preview
from vgae.gaussian import DiagGaussian
from vgae.graphs.arrays import dense_array
from vgae.graphs.graph import Graph
from vgae.runtime.streams import stream

log = logging.getLogger(__name__)

Method = Literal["auto", "kmeans", "mixture", "louvain", "leiden"]

_MOST = 20  # clusters among which a number is chosen
_SAMPLE = 5_000  # vectors from which it is chosen
_DIMENSIONS = 8  # principal components that a mixture gets
_FEW_LINKS = 5  # a neighbour graph has no node with fewer


@dataclass(frozen=True, eq=False, repr=False)
class Clusters:
    """Clusters of nodes, from :func:`cluster`.

    Attributes:
        labels: Cluster of each node, numbered from 0 by falling size, int64, shape ``(N,)``.
        confidence: How clearly a node belongs to its cluster, in [0, 1], shape ``(N,)``; its
            meaning depends on the method, see :func:`cluster`.
        method: The method that was used.
        scores: What was compared: the mean silhouette (more is better) of ``"kmeans"`` or the BIC
            (less is better) of ``"mixture"`` by number of clusters, if it was chosen; the
            modularity of ``"louvain"`` and ``"leiden"`` by resolution.
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

    def __repr__(self) -> str:
        sizes = ", ".join(f"{size}" for size in self.sizes[:10]) + ", ..." * (self.k > 10)
        return f"Clusters({self.method!r}, {len(self.labels)} nodes in {self.k}: {sizes})"

    def _repr_html_(self) -> str:
        return clusters_preview(self).html()


def cluster(
    embedding: Any,
    *,
    k: int | None = None,
    method: Method = "auto",
    graph: Graph | None = None,
    seed: int = 0,
) -> Clusters:
    r"""Divide nodes into clusters by their vectors.

    The direction of a latent vector says which nodes it links to, and its length how many, so that
    means are divided by their length, :math:`x_i = \mu_i / \|\mu_i\|`; one column is left as it
    is. Methods:

    - ``"kmeans"``: the best of 10 starts. The number of clusters is that of the largest mean
      silhouette, from 2 to 20, of 5,000 nodes drawn at random if there are more. The confidence
      is the simplified silhouette, :math:`1 - a_i / b_i` for the distances to the nearest and the
      second nearest centre.
    - ``"mixture"``: Gaussians with diagonal covariances in the first 8 principal components, with
      the variance of each posterior as known noise; uncertain nodes count less. The number is
      that of the smallest BIC, from 1 to 20. The confidence is the probability of the cluster.
    - ``"louvain"``, ``"leiden"``: communities of the nearest neighbours and the links of ``graph``
      together, if it is given; ``"leiden"`` needs the packages igraph and leidenalg. The number
      is that of the largest modularity. The confidence is the fraction of a node's links, of this
      combined graph, to its own cluster.
    - ``"auto"``: ``"louvain"`` if 99 % of the nodes of ``graph`` have at least 5 links, as in a
      graph of nearest neighbours, else ``"kmeans"``; the choice is logged.

    Source: Rousseeuw (1987), "Silhouettes" (J. Comput. Appl. Math. 20, 53-65); Hruschka et al.
    (2004), "Evolutionary Algorithms for Clustering Gene-Expression Data" (ICDM; the simplified
    silhouette); Schwarz (1978), "Estimating the Dimension of a Model" (Ann. Statist. 6, 461-464;
    BIC). ``docs/clusters.md`` has measurements, and :mod:`vgae.evaluation` the other sources.

    Args:
        embedding: Posterior of the nodes, such as :func:`vgae.embed` returns it, or an array or
            tensor of vectors, shape ``(N, d)``.
        k: Number of clusters, in ``[1, N]``; chosen if not given. There are fewer if fewer
            vectors are different.
        method: See above.
        graph: Graph of the nodes.
        seed: Seed of initial centres, samples and the order of nodes; the same seed gives the
            same clusters.

    Raises:
        UsageError: ``K`` if k is no integer in ``[1, N]``; ``METHOD``; ``SEED`` or
            ``SEED_RANGE``; ``MISSING_PACKAGE`` if the Leiden method is not installed.
        DataError: ``EMBEDDING_SHAPE`` if the embedding is not of numbers of shape ``(N, d)``;
            ``NODE_SET_MISMATCH`` if it is of other nodes than the graph.
        NumericalError: ``EMBEDDING_NONFINITE`` if a vector or variance is not finite.
    """
    check_choice("method", method, Method)
    mu, variance = _checked(embedding)
    if k is not None and (isinstance(k, bool) or not isinstance(k, int | np.integer)):
        raise UsageError("K", f"k must be an integer, got {k!r:.60}.")
    if k is not None and not 1 <= k <= len(mu):
        raise UsageError("K", f"k must lie in [1, {len(mu)}], the number of nodes, got {k}.")
    if graph is not None and graph.num_nodes != len(mu):
        rule = f"embedding must have the {graph.num_nodes} nodes of {graph.name}"
        raise DataError("NODE_SET_MISMATCH", f"{rule}, got {len(mu)}.")
    random_state = int(torch.randint(2**31, (), generator=stream(seed, "init")))
    links = None if graph is None else _adjacency(graph)
    used = _best_method(links) if method == "auto" else method
    length = lengths(mu)
    x = mu / length
    if used == "kmeans":
        labels, confidence, scores = _k_means(x, k, random_state)
    elif used == "mixture":
        labels, confidence, scores = _mixture(x, variance / length**2, k, random_state)
    else:
        labels, confidence, scores = communities(x, links, k, used, random_state)
    return Clusters(_by_size(labels), np.clip(confidence, 0, 1), used, scores)


def lengths(mu: np.ndarray) -> np.ndarray:
    """Return what vectors are divided by: their lengths, or 1 for zeros and for one column."""
    length = np.linalg.norm(mu, axis=1, keepdims=True)
    return np.where((length > 0) & (mu.shape[1] > 1), length, 1.0)


def _checked(embedding: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return means and variances of the vectors, float64, shape ``(N, d)``."""
    mu = dense_array(getattr(embedding, "mu", embedding), "embedding", "EMBEDDING_SHAPE")
    if mu.ndim != 2 or 0 in mu.shape or mu.dtype.kind not in "iuf":
        got = f"got shape {mu.shape} of {mu.dtype}"
        raise DataError("EMBEDDING_SHAPE", f"embedding must be numbers of shape (N, d), {got}.")
    mu = mu.astype(np.float64)
    variance = np.zeros_like(mu)
    if isinstance(embedding, DiagGaussian):
        variance = np.broadcast_to(embedding.logvar.detach().cpu().double().exp(), mu.shape)
    bad = ~(np.isfinite(mu) & np.isfinite(variance)).all(axis=1)
    if bad.any():
        got = f"got {bad.sum()} rows that are not, first that of node {bad.argmax()}"
        raise NumericalError("EMBEDDING_NONFINITE", f"embedding must be finite, {got}.")
    return mu, variance


def _adjacency(graph: Graph) -> sp.csr_array:
    """Return the links of positive sign in both directions, as ones, without self-loops."""
    adjacency: Any = graph.to_scipy() > 0
    return sp.csr_array((adjacency + adjacency.T).astype(np.float64))


def _best_method(links: sp.csr_array | None) -> Literal["kmeans", "louvain"]:
    """Return the method of ``auto``, and log it."""
    if links is None:
        log.info("clusters: k-means, as no graph is given")
        return "kmeans"
    enough = float((np.diff(links.indptr) >= _FEW_LINKS).mean())
    used = "louvain" if enough >= 0.99 else "kmeans"
    log.info("clusters: %s, as %.1f %% of the nodes have 5 links or more", used, 100 * enough)
    return used


def _k_means(
    x: np.ndarray, k: int | None, random_state: int
) -> tuple[np.ndarray, np.ndarray, dict[float, float]]:
    """Return labels, simplified silhouettes, and silhouettes by number of clusters."""
    distinct = distinct_rows(x)
    scores: dict[float, float] = {}
    if k is None:
        sample = _sample(x, random_state)
        for count in range(2, min(_MOST, distinct - 1, len(sample) - 1) + 1):
            labels = k_means(sample, count, random_state, starts=3).labels_
            if 1 < len(np.unique(labels)) < len(sample):
                scores[count] = float(silhouette_score(sample, labels))
        k = int(max(scores, key=lambda count: scores[count], default=1))
    model = k_means(x, min(k, distinct), random_state)
    if len(model.cluster_centers_) == 1:
        return np.zeros(len(x), np.int64), np.ones(len(x)), scores
    near, other = np.partition(model.transform(x), 1, axis=1)[:, :2].T
    return np.asarray(model.labels_), 1 - near / np.maximum(other, 1e-300), scores


def _mixture(
    x: np.ndarray, variance: np.ndarray, k: int | None, random_state: int
) -> tuple[np.ndarray, np.ndarray, dict[float, float]]:
    """Return labels, probabilities, and BIC by number of clusters."""
    distinct = distinct_rows(x)
    with np.errstate(invalid="ignore"):  # the ratio of explained variance, of equal vectors
        axes: Any = PCA(min(_DIMENSIONS, *x.shape), random_state=random_state).fit(x)
    # Variances of the components; their covariances are left out.
    x, variance = axes.transform(x), variance @ (axes.components_**2).T
    scores: dict[float, float] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        if k is None:
            some = _sample(np.arange(len(x)), random_state)
            for count in range(1, min(_MOST, distinct, len(some)) + 1):
                scores[count] = fit_mixture(x[some], variance[some], count, random_state).bic
            k = int(min(scores, key=lambda count: scores[count]))
        found = fit_mixture(x, variance, min(k, distinct), random_state)
    r = found.responsibilities
    return r.argmax(axis=1), r.max(axis=1), scores


def _sample(x: np.ndarray, random_state: int) -> np.ndarray:
    """Return 5,000 rows at random, all if there are no more."""
    if len(x) <= _SAMPLE:
        return x
    return x[np.random.default_rng(random_state).choice(len(x), _SAMPLE, replace=False)]


def _by_size(labels: np.ndarray) -> np.ndarray:
    """Return labels numbered by falling size; of equal sizes, the first node's comes first."""
    _, first, numbers, sizes = np.unique(
        labels, return_index=True, return_inverse=True, return_counts=True
    )
    rank = np.empty(len(sizes), np.int64)
    rank[np.lexsort((first, -sizes))] = np.arange(len(sizes))
    return rank[numbers]
