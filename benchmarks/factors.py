"""Peers that factor the training links: eigenvectors, NMF, a block model, random walks.

The settings of each are those of a small grid that rank the validation links of the split best,
by AUC. With other message edges, the factors are fitted again, with the same settings.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from scorers import MOST_PAIRS, Scorer
from torch import Tensor

from vgae.evaluation.block_model import BlockModel
from vgae.evaluation.metrics import link_scores
from vgae.graphs.graph import Graph
from vgae.graphs.non_links import sample_non_links
from vgae.graphs.split import LinkSplit
from vgae.runtime.streams import stream

WIDTHS = (16, 32, 64, 128)
SWEEPS, SAMPLES = 120, 10  # of the block model: sweeps of the chain, and samples that are kept
BLOCKS = (1, 8, 16, 32, 64)
WALKS, WALK_LENGTH, WINDOW = 10, 80, 10  # of node2vec: walks a node, nodes a walk
Vectors = Callable[[Tensor, Any], Tensor]


@dataclass(frozen=True)
class Bilinear:
    r"""A scorer of a left and a right vector of each node, fitted to the links.

    .. math:: s_{uv} = (l_u \cdot r_v + l_v \cdot r_u) / 2

    Attributes:
        vectors: Left and right vectors side by side, shape ``(N, 2d)``, from edges and a setting.
        setting: The chosen setting.
        edges: The edges of the training links, shape ``(2, E)``.
        fitted: What ``vectors`` returns for them.
        log: Whether the score is the logarithm of s, which is then positive.
    """

    vectors: Vectors
    setting: Any
    edges: Tensor
    fitted: Tensor
    log: bool = False

    def embed(self, edge_index: Tensor) -> Tensor:
        """Return the vectors, shape ``(N, 2d)``."""
        if edge_index is self.edges or torch.equal(edge_index, self.edges):
            return self.fitted
        return self.vectors(edge_index, self.setting)

    def logits(self, z: Tensor, pairs: Tensor) -> Tensor:
        """Return the scores of pairs, shape ``(P,)``."""
        left, right = z.chunk(2, dim=1)
        parts = [
            ((left[u] * right[v]).sum(dim=1) + (left[v] * right[u]).sum(dim=1)) / 2
            for u, v in pairs.split(MOST_PAIRS // 16, dim=1)
        ]
        return self._scale(torch.cat(parts))

    def rows(self, z: Tensor, nodes: Tensor) -> Tensor:
        """Return the scores of some nodes with all, shape ``(len(nodes), N)``."""
        left, right = z.chunk(2, dim=1)
        return self._scale((left[nodes] @ right.T + right[nodes] @ left.T) / 2)

    def _scale(self, score: Tensor) -> Tensor:
        return score.clamp(min=1e-30).log() if self.log else score


def chosen(
    split: LinkSplit, vectors: Vectors, settings: Iterable[Any], *, log: bool = False
) -> Scorer:
    """Return the scorer of the setting that ranks the validation links best, by AUC."""
    edges = split.message_edge_index
    # One after another, so that no more than two are in memory.
    candidates = (Bilinear(vectors, s, edges, vectors(edges, s), log) for s in settings)
    return max(candidates, key=lambda scorer: validation_auc(scorer, split))


def validation_auc(scorer: Scorer, split: LinkSplit) -> float:
    """Return the AUC on the validation links."""
    z = scorer.embed(split.message_edge_index)
    return link_scores(scorer.logits(z, split.val.edge_label_index), split.val.edge_label).auc


def adjacency(edge_index: Tensor, num_nodes: int) -> sp.csr_array:
    """Return the adjacency, float64, shape ``(N, N)``."""
    u, v = edge_index.numpy()
    return sp.csr_array((np.ones(len(u)), (u, v)), shape=(num_nodes, num_nodes))


def train_spectral(
    graph: Graph, split: LinkSplit, seed: int, *, epochs: int | None = None
) -> Scorer:
    r"""Choose leading eigenvectors, their number, and the power of their eigenvalues.

    The matrix is the adjacency (adjacency spectral embedding), that normalised by degrees with
    self-loops, or by degrees plus their mean (Qin & Rohe, 2013); the last also with rows divided
    by the root of the degree, as scikit-learn's Laplacian embedding, which Kipf & Welling use.
    Scores are inner products :math:`u_i^\top \Lambda^p u_j`, p of 0, 1/2 and 1.
    """
    del epochs

    @lru_cache(maxsize=len(MATRICES))
    def pairs_of(matrix: str, edge_index: Tensor) -> tuple[np.ndarray, np.ndarray]:
        return leading(MATRICES[matrix](adjacency(edge_index, graph.num_nodes)), WIDTHS[-1], seed)

    def vectors(edge_index: Tensor, setting: tuple[str, bool, int, float]) -> Tensor:
        matrix, by_degree, width, power = setting
        values, found = pairs_of(matrix, edge_index)
        z = found[:, :width] * np.maximum(values[:width], 0) ** (power / 2)
        if by_degree:
            degree = np.bincount(edge_index[0].numpy(), minlength=graph.num_nodes)
            z = z / np.sqrt(degree + 1)[:, None]
        return torch.from_numpy(z).repeat(1, 2)

    settings = product(MATRICES, (False, True), WIDTHS, (0.0, 0.5, 1.0))
    return chosen(split, vectors, [s for s in settings if s[0] != "adjacency" or not s[1]])


def degrees(adj: sp.csr_array) -> np.ndarray:
    """Return the sums of the rows."""
    return np.asarray(adj.sum(axis=1))


def normalised(adj: sp.csr_array, more: float) -> sp.csr_array:
    """Return the adjacency divided by the roots of the degrees of both ends plus ``more``."""
    scale = sp.diags_array((degrees(adj) + more) ** -0.5)
    return sp.csr_array(scale @ adj @ scale)


MATRICES: dict[str, Callable[[sp.csr_array], sp.csr_array]] = {
    "adjacency": lambda adj: adj,
    "self-loops": lambda adj: normalised(sp.csr_array(adj + sp.eye_array(len(degrees(adj)))), 0),
    "regularised": lambda adj: normalised(adj, degrees(adj).mean()),
}


def leading(matrix: sp.csr_array, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the largest eigenvalues, descending, and their vectors, shape ``(N, count)``."""
    from scipy.sparse.linalg import eigsh

    num_nodes = len(degrees(matrix))
    start = np.random.default_rng(seed).standard_normal(num_nodes)
    settings: Any = {"which": "LA", "v0": start, "tol": 1e-4}
    values, vectors = eigsh(matrix, min(count, num_nodes - 1), **settings)
    return values[::-1], vectors[:, ::-1]


def train_nmf(graph: Graph, split: LinkSplit, seed: int, *, epochs: int | None = None) -> Scorer:
    """Choose the width of scikit-learn's ``NMF`` of the adjacency."""
    del epochs

    def vectors(edge_index: Tensor, width: int) -> Tensor:
        import warnings

        from sklearn.decomposition import NMF
        from sklearn.exceptions import ConvergenceWarning

        options: Any = {"n_components": width, "init": "nndsvda", "max_iter": 100, "tol": 1e-3}
        model = NMF(**options, random_state=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            left = model.fit_transform(adjacency(edge_index, graph.num_nodes))
        return torch.from_numpy(np.concatenate([left, model.components_.T], axis=1))

    return chosen(split, vectors, [width for width in WIDTHS if width <= graph.num_nodes])


def train_block_model(
    graph: Graph, split: LinkSplit, seed: int, *, epochs: int | None = None
) -> Scorer:
    """Choose the largest number of groups of a degree-corrected block model.

    The score is the log of the mean rate of 10 posterior samples, drawn by Gibbs sampling from
    120 sweeps; see :class:`vgae.evaluation.block_model.BlockModel`.
    """
    del epochs

    def vectors(edge_index: Tensor, groups: int) -> Tensor:
        u, v = edge_index.numpy()
        links = np.stack([u[u < v], v[u < v]])
        model = BlockModel(links, graph.num_nodes, groups, seed).run(SWEEPS)
        left, right = [], []
        for sample in model.samples[:: max(len(model.samples) // SAMPLES, 1)]:
            group, weight = sample.group[model.place], sample.weight[model.place, None]
            left.append(weight * np.eye(groups)[group])
            right.append(weight * sample.rate[group])
        stacked = np.concatenate([*left, *right], axis=1)
        return torch.from_numpy(stacked.astype(np.float32) / np.float32(len(left) ** 0.5))

    settings = [k for k in BLOCKS if k == 1 or 10 * k <= graph.num_nodes]
    return chosen(split, vectors, settings, log=True)


def train_node2vec(
    graph: Graph, split: LinkSplit, seed: int, *, epochs: int | None = None
) -> Scorer:
    r"""Fit node2vec with p = q = 1; choose inner products, or a regression on Hadamard products.

    Skip-gram with negative sampling by gensim: 10 walks of 80 nodes from each, a window of 10,
    128 columns, one epoch, as published. The logistic regression learns from the training links
    and as many non-links; the score is then :math:`\sum_k w_k z_{uk} z_{vk}`.

    Source: Grover & Leskovec (2016), `node2vec <https://arxiv.org/abs/1607.00653>`_; with
    p = q = 1 DeepWalk's walks.
    """
    del epochs

    @lru_cache(maxsize=1)
    def skip_gram(edge_index: Tensor) -> np.ndarray:
        from gensim.models import Word2Vec

        walks = uniform_walks(adjacency(edge_index, graph.num_nodes), seed)
        options: Any = {"vector_size": WIDTHS[-1], "window": WINDOW, "min_count": 0, "sg": 1}
        model = Word2Vec(walks, **options, negative=5, epochs=1, workers=1, seed=seed)
        z = np.zeros((graph.num_nodes, WIDTHS[-1]), dtype=np.float32)
        z[np.array(model.wv.index_to_key)] = model.wv.vectors
        return z

    def vectors(edge_index: Tensor, setting: str) -> Tensor:
        z = skip_gram(edge_index)
        weight = np.ones(z.shape[1]) if setting == "inner product" else regression(z, edge_index)
        return torch.from_numpy(np.concatenate([z * weight.astype(np.float32), z], axis=1))

    def regression(z: np.ndarray, edge_index: Tensor) -> np.ndarray:
        from sklearn.linear_model import LogisticRegression

        links = edge_index[:, edge_index[0] < edge_index[1]]
        others = sample_non_links(links, graph.grid, links.shape[1], stream(seed, "pairs"))
        u, v = torch.cat([links, others], dim=1).numpy()
        labels = np.repeat([1, 0], links.shape[1])
        return LogisticRegression(max_iter=1000).fit(z[u] * z[v], labels).coef_[0]

    return chosen(split, vectors, ("inner product", "regression"))


def uniform_walks(adj: sp.csr_array, seed: int) -> list[list[int]]:
    """Return walks from every node that has a neighbour; each step takes a uniform neighbour."""
    rng = np.random.default_rng(seed)
    degree = np.diff(adj.indptr)
    start = np.repeat(degree.nonzero()[0], WALKS)
    steps = [rng.permutation(start)]
    for _ in range(WALK_LENGTH - 1):
        at = steps[-1]
        steps.append(adj.indices[adj.indptr[at] + (rng.random(len(at)) * degree[at]).astype(int)])
    return np.stack(steps, axis=1).tolist()
