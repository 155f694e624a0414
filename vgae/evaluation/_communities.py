"""Communities of the neighbour graph of vectors, by the Louvain or the Leiden method."""

from collections.abc import Callable
from importlib import import_module
from typing import Any, Literal, NamedTuple

import networkx as nx
import numpy as np
import scipy.sparse as sp
from sklearn.cluster import MiniBatchKMeans
from sklearn.neighbors import kneighbors_graph

from vgae.errors import UsageError

NEIGHBOURS = 30
MOST_NODES = 20_000  # whose neighbour graph is built; more are grouped first
_GROUPS = 5_000
_LOWEST, _BISECTIONS = 0.02, 8  # of the resolution for fewer communities
_SWEEPS = 20  # of moves of all nodes, at most


class Communities(NamedTuple):
    """Communities of nodes.

    Attributes:
        labels: Community of each node, int64, shape ``(N,)``.
        confidence: Fraction of the weight of a node's links to its own community, ``(N,)``.
        scores: Modularity by resolution.
    """

    labels: np.ndarray
    confidence: np.ndarray
    scores: dict[float, float]


def communities(
    x: np.ndarray,
    links: sp.csr_array | None,
    k: int | None,
    method: Literal["louvain", "leiden"],
    random_state: int,
) -> Communities:
    r"""Return the communities of the neighbour graph of vectors and of known links together.

    The weight of a pair is 1 for each direction in which one is among the 30 nearest neighbours of
    the other (or a fifth of all, if this is less), and 1 more for a known link. Communities
    maximise the modularity at resolution :math:`\gamma`,

    .. math:: Q_\gamma = \frac{1}{2m} \sum_{ij} \Big(w_{ij} - \gamma \frac{d_i d_j}{2m}\Big)
        [c_i = c_j]

    with :math:`\gamma = 1`. If that has more than k communities, a bisection looks for a smaller
    :math:`\gamma` with k; of the last ones with more, pairs of the largest gain of :math:`Q_1` are
    merged. If it has fewer, communities of resolution 10, 100 and so on are merged alike, and
    single nodes then move to the community of the largest gain until none does.

    Of more than 20,000 nodes, 5,000 groups are made by mini-batch k-means; the graph is then that
    of their centres, with the mean number of links between them.

    Source: Blondel et al. (2008), `Fast unfolding of communities in large networks
    <https://arxiv.org/abs/0803.0476>`_; Traag et al. (2019), `From Louvain to Leiden
    <https://arxiv.org/abs/1810.08473>`_; Clauset et al. (2004), `Finding community structure in
    very large networks <https://arxiv.org/abs/cond-mat/0408187>`_ (the merges).

    Args:
        x: Vectors, shape ``(N, d)``.
        links: Adjacency of the known links, symmetric, of ones, shape ``(N, N)``.
        k: Number of communities, at most N; that of resolution 1 if not given.
        method: Optimiser of the modularity.
        random_state: Seed.

    Raises:
        UsageError: ``MISSING_PACKAGE`` if the Leiden method is not installed.
    """
    groups = None
    if len(x) > max(MOST_NODES, 2 * (k or 1)):
        model = MiniBatchKMeans(max(_GROUPS, 2 * (k or 1)), random_state=random_state)
        _, groups = np.unique(model.fit_predict(x), return_inverse=True)
        of_group = sp.csr_array((np.ones(len(x)), groups, np.arange(len(x) + 1)))
        size = of_group.sum(axis=0)
        x = (of_group.T @ x) / size[:, None]
        if links is not None:
            links = of_group.T @ links @ of_group / size.mean()
    graph = _neighbour_graph(x, links)
    find = {"louvain": _louvain, "leiden": _leiden}[method]
    labels = find(graph, 1.0, random_state)
    scores = {1.0: _modularity(graph, labels)}
    found = labels.max() + 1
    if k is not None and found > k:
        labels = _merged(graph, _coarser(graph, labels, k, find, random_state), k)
    elif k is not None and found < k:
        k, resolution = min(k, len(x)), 1.0
        while labels.max() + 1 < k:
            resolution *= 10
            labels = find(graph, resolution, random_state)
        labels = _with_moves(graph, _merged(graph, labels, k), random_state)
    own = sp.csr_array((np.ones(len(x)), labels, np.arange(len(x) + 1)))
    inside = (graph @ own)[np.arange(len(x)), labels]
    confidence = inside / np.maximum(graph.sum(axis=1), 1e-300)
    if groups is not None:
        labels, confidence = labels[groups], confidence[groups]
    return Communities(labels, confidence, scores)


def _neighbour_graph(x: np.ndarray, links: sp.csr_array | None) -> Any:
    """Return the symmetric weights, with zeros on the diagonal."""
    count = min(NEIGHBOURS, len(x) // 5, len(x) - 1)
    graph: Any = sp.csr_array((len(x), len(x)))
    if count > 0:
        near = sp.csr_array(kneighbors_graph(x, count))
        graph = near + near.T
    graph = sp.csr_array(graph if links is None else graph + links)
    graph.setdiag(0)
    graph.eliminate_zeros()
    return graph


def _louvain(graph: Any, resolution: float, random_state: int) -> np.ndarray:
    parts: Any = nx.community.louvain_communities(
        nx.from_scipy_sparse_array(graph), resolution=resolution, seed=random_state
    )
    labels = np.empty(graph.shape[0], np.int64)
    for number, part in enumerate(parts):
        labels[list(part)] = number
    return labels


def _leiden(graph: Any, resolution: float, random_state: int) -> np.ndarray:
    try:
        igraph, leidenalg = import_module("igraph"), import_module("leidenalg")
    except ModuleNotFoundError:
        what = "the method leiden needs two packages: pip install igraph leidenalg."
        raise UsageError("MISSING_PACKAGE", what) from None
    pairs = sp.triu(graph, 1).tocoo()
    found = leidenalg.find_partition(
        igraph.Graph(n=graph.shape[0], edges=np.stack([pairs.row, pairs.col], axis=1)),
        leidenalg.RBConfigurationVertexPartition,
        weights=pairs.data,
        resolution_parameter=resolution,
        seed=random_state % 2**31,
    )
    return np.asarray(found.membership, np.int64)


def _coarser(
    graph: Any,
    labels: np.ndarray,
    k: int,
    find: Callable[[Any, float, int], np.ndarray],
    random_state: int,
) -> np.ndarray:
    """Return communities of a resolution below 1, at least k but few more."""
    low, high = _LOWEST, 1.0
    for _ in range(_BISECTIONS):
        resolution = (low * high) ** 0.5
        found = find(graph, resolution, random_state)
        if found.max() + 1 < k:
            low = resolution
            continue
        labels, high = found, resolution
        if found.max() + 1 == k:
            break
    return labels


def _between(graph: Any, labels: np.ndarray) -> np.ndarray:
    """Return the weight between communities, shape ``(c, c)``; that within counts twice."""
    of = sp.csr_array((np.ones(len(labels)), labels, np.arange(len(labels) + 1)))
    return (of.T @ graph @ of).toarray()


def _modularity(graph: Any, labels: np.ndarray) -> float:
    between = _between(graph, labels)
    total = max(between.sum(), 1e-300)
    return float((np.trace(between) - (between.sum(axis=1) ** 2).sum() / total) / total)


def _with_moves(graph: Any, labels: np.ndarray, random_state: int) -> np.ndarray:
    """Move single nodes to the community of the largest gain; no community becomes empty."""
    labels = labels.astype(np.int64)
    degree = graph.sum(axis=1)
    total = max(degree.sum(), 1e-300)
    size = np.bincount(labels)
    volume = np.bincount(labels, degree)
    order = np.random.default_rng(random_state).permutation(len(labels))
    for _ in range(_SWEEPS):
        before = labels.copy()
        for node in order:
            own = labels[node]
            if size[own] == 1:
                continue
            part = slice(graph.indptr[node], graph.indptr[node + 1])
            weight = np.bincount(labels[graph.indices[part]], graph.data[part], len(size))
            volume[own] -= degree[node]
            gain = weight - degree[node] * volume / total
            best = gain.argmax() if gain.max() > gain[own] + 1e-9 else own
            volume[best] += degree[node]
            size[own] -= 1
            size[best] += 1
            labels[node] = best
        if (labels == before).all():
            break
    return labels


def _merged(graph: Any, labels: np.ndarray, k: int) -> np.ndarray:
    """Merge pairs of communities until k are left; see :func:`communities`."""
    weight = _between(graph, labels)
    number = np.arange(len(weight))
    while len(weight) > k:
        degree = weight.sum(axis=1)
        chance = np.outer(degree, degree) / max(degree.sum(), 1e-300)
        gain = weight - chance
        np.fill_diagonal(gain, -np.inf)
        a, b = sorted(np.unravel_index(gain.argmax(), gain.shape))
        weight[a] += weight[b]
        weight[:, a] += weight[:, b]
        weight = np.delete(np.delete(weight, b, axis=0), b, axis=1)
        number[number == b] = a
        number -= number > b
    return number[labels]
