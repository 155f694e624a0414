"""Peers without a network: neighbours, paths, and a regression on features."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy.sparse as sp
import torch
from harness import CannotRun
from scipy.sparse.linalg import eigsh
from scorers import Scorer, Train, as_csr, csr_parts, entry_rows
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from vgae.evaluation.metrics import link_scores
from vgae.graphs.graph import Graph
from vgae.graphs.non_links import sample_non_links
from vgae.graphs.split import LinkSplit
from vgae.kernels.csr import csr_tensor, edges_to_csr
from vgae.runtime.streams import stream

RESTART = 0.15
ATTENUATIONS = (0.001, 0.01, 0.05, 0.1, 0.2, 0.5, 0.9)  # over the largest eigenvalue
LONGEST, SOURCES = 10, 64  # links of a path; sources whose paths are counted at once
GRID = (1.0, 10.0, 100.0, 1000.0, 10000.0)  # inverse strengths of the L2 penalty


def untrained(kind: Callable[[int], Scorer]) -> Train:
    """Return what trains a scorer that has nothing to learn: it is made from N alone."""

    def train(graph: Graph, split: LinkSplit, seed: int, *, epochs: int | None = None) -> Scorer:
        del split, seed, epochs
        return kind(graph.num_nodes)

    return train


@dataclass(frozen=True)
class Degrees:
    """Preferential attachment, ``log d_u + log d_v``; below all others with an isolated node."""

    num_nodes: int

    def embed(self, edge_index: Tensor) -> Tensor:
        """Return the degree of each node, shape ``(N, 1)``."""
        return torch.bincount(edge_index[0], minlength=self.num_nodes).double()[:, None]

    def logits(self, z: Tensor, pairs: Tensor) -> Tensor:
        """Return the logarithm of the product of degrees, -1 if that is 0, shape ``(P,)``."""
        product = z[pairs[0], 0] * z[pairs[1], 0]
        return torch.where(product > 0, product.log(), -1.0)


@dataclass(frozen=True)
class CommonNeighbours:
    """The sum of a weight over common neighbours.

    Source: Adamic & Adar (2003), weight ``1 / log d``; Zhou, Lü & Zhang (2009), ``1 / d``, called
    resource allocation; 1 counts the neighbours.

    Attributes:
        num_nodes: N.
        weight: Of neighbours, from their degrees, which are at least 2.
    """

    num_nodes: int
    weight: Callable[[np.ndarray], np.ndarray]

    def embed(self, edge_index: Tensor) -> Tensor:
        """Return the adjacency, sparse CSR, shape ``(N, N)``."""
        return edges_to_csr(edge_index, self.num_nodes)

    def logits(self, z: Tensor, pairs: Tensor) -> Tensor:
        """Return the sums of pairs, shape ``(P,)``."""
        adj = to_scipy(z)
        u, v = pairs.numpy()
        return torch.from_numpy(adj[u].multiply(adj[v]) @ self._weights(adj))

    def rows(self, z: Tensor, nodes: Tensor) -> Tensor:
        """Return the sums of some nodes with all, shape ``(len(nodes), N)``."""
        adj = to_scipy(z)
        weighted = adj[nodes.numpy()] @ sp.diags_array(self._weights(adj))
        return torch.from_numpy((weighted @ adj).toarray())

    def _weights(self, adj: sp.csr_array) -> np.ndarray:
        # A neighbour of fewer than two nodes is common to none.
        return self.weight(np.maximum(adj.sum(axis=1), 2))


@dataclass(frozen=True)
class PathSums:
    r"""A weighted sum over the paths between two nodes, by their length t from 1 to T.

    .. math:: s_{uv} = \sum_t c_t (M^t)_{uv}

    M is the adjacency over its largest eigenvalue (Katz, 1953), or normalised by the roots of the
    degrees: :math:`c_t = a (1 - a)^t` then makes s the personalised PageRank with restart a, in
    the mean of both directions once it is multiplied by :math:`(d_u + d_v) / (2 \sqrt{d_u d_v})`.

    Attributes:
        num_nodes: N.
        coefficients: c, shape ``(T,)``.
        pagerank: Whether it is PageRank.
        setting: The attenuation or the restart.
    """

    num_nodes: int
    coefficients: np.ndarray
    pagerank: bool
    setting: float = RESTART

    def embed(self, edge_index: Tensor) -> Tensor:
        """Return the adjacency, sparse CSR, shape ``(N, N)``."""
        return edges_to_csr(edge_index, self.num_nodes)

    def logits(self, z: Tensor, pairs: Tensor) -> Tensor:
        """Return the logarithms of the sums of pairs, shape ``(P,)``."""
        return self.combined(z, self.counts(z, pairs), pairs)

    def combined(self, z: Tensor, counts: np.ndarray, pairs: Tensor) -> Tensor:
        """Return the logarithms of sums, given their terms, shape ``(T, P)``."""
        return self._logs(z, self.coefficients @ counts, pairs)

    def counts(self, z: Tensor, pairs: Tensor) -> np.ndarray:
        """Return the entries of the powers of M at pairs, shape ``(T, P)``."""
        # One end of each pair is a source: the one that is in more pairs, so that they are few.
        u, v = pairs.numpy()
        frequency = np.bincount(pairs.flatten().numpy(), minlength=self.num_nodes)
        swap = frequency[u] < frequency[v]
        source, target = np.where(swap, v, u), np.where(swap, u, v)
        order = np.argsort(source, kind="stable")
        matrix, found = (
            path_matrix(z, pagerank=self.pagerank),
            np.empty((len(self.coefficients), len(u))),
        )
        nodes, first = np.unique(source[order], return_index=True)
        first = np.append(first, len(u))
        for start in range(0, len(nodes), SOURCES):
            here = order[first[start] : first[min(start + SOURCES, len(nodes))]]
            column = np.searchsorted(nodes, source[here]) - start
            for t, term in enumerate(self._terms(matrix, nodes[start : start + SOURCES])):
                found[t, here] = term[target[here], column]
        return found

    def rows(self, z: Tensor, nodes: Tensor) -> Tensor:
        """Return the scores of some nodes with all, shape ``(len(nodes), N)``."""
        matrix, parts = path_matrix(z, pagerank=self.pagerank), []
        for block in nodes.split(SOURCES):
            terms = self._terms(matrix, block.numpy())
            total = sum(c * term for c, term in zip(self.coefficients, terms, strict=True))
            pairs = torch.cartesian_prod(block, torch.arange(self.num_nodes)).T
            logs = self._logs(z, np.asarray(total).T.ravel(), pairs)
            parts.append(logs.view(len(block), -1))
        return torch.cat(parts)

    def _logs(self, z: Tensor, score: np.ndarray, pairs: Tensor) -> Tensor:
        if self.pagerank:
            u, v = np.maximum(to_scipy(z).sum(axis=1), 1)[pairs.numpy()]
            score = score * (u + v) / (2 * np.sqrt(u * v))
        return torch.from_numpy(np.log(np.maximum(score, 1e-30)))

    def _terms(self, matrix: sp.csr_array, nodes: np.ndarray) -> Iterator[np.ndarray]:
        term = np.zeros((self.num_nodes, len(nodes)), dtype=np.float32)
        term[nodes, np.arange(len(nodes))] = 1
        for _ in self.coefficients:
            term = np.asarray(matrix @ term)
            yield term


@lru_cache(maxsize=2)
def path_matrix(adjacency: Tensor, *, pagerank: bool) -> sp.csr_array:
    """Return M of :class:`PathSums`, single precision, shape ``(N, N)``."""
    adj = to_scipy(adjacency).astype(np.float32)
    if not pagerank:
        return sp.csr_array(adj / eigsh(adj, 1, v0=np.ones(len(adjacency)))[0][0])
    scale = sp.diags_array(np.maximum(adj.sum(axis=1), 1).astype(np.float32) ** -0.5)
    return sp.csr_array(scale @ adj @ scale)


def pagerank(num_nodes: int) -> Scorer:
    """Return personalised PageRank with restart 0.15, in the mean of both directions."""
    return PathSums(num_nodes, RESTART * (1 - RESTART) ** np.arange(1, 41), pagerank=True)


def train_katz(graph: Graph, split: LinkSplit, seed: int, *, epochs: int | None = None) -> Scorer:
    """Choose the attenuation of paths of up to 10 links, by the AUC of the validation links."""
    del seed, epochs
    candidates = [
        PathSums(graph.num_nodes, beta ** np.arange(1, LONGEST + 1), pagerank=False, setting=beta)
        for beta in ATTENUATIONS
    ]
    pairs, labels = split.val.edge_label_index, split.val.edge_label
    z = candidates[0].embed(split.message_edge_index)
    counts = candidates[0].counts(z, pairs)

    def auc(scorer: PathSums) -> float:
        return link_scores(scorer.combined(z, counts, pairs), labels).auc

    return max(candidates, key=auc)


@dataclass(frozen=True)
class FeatureRegression:
    """Logistic regression on the entrywise product of two nodes' features.

    Attributes:
        x: Rows of length 1, sparse CSR, shape ``(N, F)``.
        weight: Shape ``(F,)``.
        bias: Of the logit.
    """

    x: Tensor
    weight: np.ndarray
    bias: float

    def embed(self, edge_index: Tensor) -> Tensor:
        """Return the features, sparse CSR, shape ``(N, F)``; edges change nothing."""
        del edge_index
        return self.x

    def logits(self, z: Tensor, pairs: Tensor) -> Tensor:
        """Return the logits of pairs, shape ``(P,)``."""
        return torch.from_numpy(products(to_scipy(z), pairs) @ self.weight + self.bias)

    def rows(self, z: Tensor, nodes: Tensor) -> Tensor:
        """Return the logits of some nodes with all, shape ``(len(nodes), N)``."""
        x = to_scipy(z)
        weighted = x[nodes.numpy()] @ sp.diags_array(self.weight)
        return torch.from_numpy((weighted @ x.T).toarray() + self.bias)


def train_features(
    graph: Graph, split: LinkSplit, seed: int, *, epochs: int | None = None
) -> Scorer:
    """Fit the regression to the training links and as many sampled non-links.

    The strength of the penalty is the one of a small grid that ranks the validation links best.
    """
    del epochs
    if graph.x is None:
        raise CannotRun("there are no features to compare")
    x = unit_rows(graph.x)
    num_links = split.train.shape[1]
    others = sample_non_links(split.train, graph.grid, num_links, stream(seed, "pairs"))
    examples = products(to_scipy(x), torch.cat([split.train, others], dim=1))
    labels = np.repeat([1, 0], num_links)
    candidates = []
    for strength in GRID:
        found = LogisticRegression(C=strength, max_iter=1000).fit(examples, labels)
        candidates.append(FeatureRegression(x, found.coef_[0], float(found.intercept_[0])))

    def quality(scorer: FeatureRegression) -> float:
        z = scorer.embed(split.message_edge_index)
        return sum(link_scores(scorer.logits(z, split.val.edge_label_index), split.val.edge_label))

    return max(candidates, key=quality)


def unit_rows(x: Tensor) -> Tensor:
    """Return features with rows of Euclidean length 1, sparse CSR; empty rows stay empty."""
    crow, col, values = csr_parts(as_csr(x))
    row, squares = entry_rows(crow), values.double().square()
    length = squares.new_zeros(x.shape[0]).index_add(0, row, squares).sqrt()
    return csr_tensor(crow, col, values / length[row].clamp(min=1e-12), tuple(x.shape))


def products(x: sp.csr_array, pairs: Tensor) -> sp.csr_array:
    """Return the entrywise product of the two rows of each pair, shape ``(P, F)``."""
    u, v = pairs.numpy()
    return sp.csr_array(x[u].multiply(x[v]))


def to_scipy(matrix: Tensor) -> sp.csr_array:
    """Return a sparse CSR tensor as scipy has it."""
    crow, col, values = (part.numpy() for part in csr_parts(matrix))
    return sp.csr_array((values, col, crow), shape=tuple(matrix.shape))
