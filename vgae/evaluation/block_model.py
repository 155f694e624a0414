"""Posterior of a degree-corrected block model: link probabilities that a graph may come from."""

import logging
import math
from itertools import pairwise
from typing import NamedTuple, Self

import numpy as np
from scipy.special import gammaln

log = logging.getLogger(__name__)

_GROUPS = (1, 2, 4, 8, 16)  # of which the held-out links choose one
_TRIED, _SWEEPS, _KEPT = 120, 480, 30  # sweeps to choose the number of groups, and then
_BATCHES = 8  # of nodes, whose groups and weights are drawn together
_SHAPES = np.exp(np.linspace(np.log(0.3), np.log(1e4), 60))
_NUMBERS_AT_ONCE = 1 << 16


class BlockSample(NamedTuple):
    """One draw of the parameters: groups ``(N,)``, weights ``(N,)`` and rates ``(K, K)``."""

    group: np.ndarray
    weight: np.ndarray
    rate: np.ndarray


class BlockModel:
    r"""Samples of the posterior of a degree-corrected block model, given the links of a graph.

    .. math:: p(A_{ij} = 1) = 1 - \exp(-w_i w_j \eta_{c_i c_j}), \qquad
        w_i \sim \Gamma(a, a), \quad \eta_{kl} \sim \Gamma(1/2, \cdot), \quad c \sim
        \text{Dirichlet--categorical}

    Each link has a latent Poisson count of at least one, given which groups, weights, rates and a
    are drawn from their conditional distributions (Gibbs sampling), of the nodes in eight batches.
    The first groups are those of the leading eigenvectors; :meth:`run` draws. A sweep takes time
    linear in the numbers of links and nodes.

    Source: Karrer & Newman (2011), `Stochastic blockmodels and community structure in networks
    <https://arxiv.org/abs/1008.3926>`_; for the latent counts Zhou (2015), `Infinite Edge
    Partition Models <https://arxiv.org/abs/1501.06218>`_, section 2.

    Args:
        links: Links, each once, without direction, shape ``(2, M)``.
        num_nodes: N.
        num_groups: K, the largest number of groups.
        seed: Seed of all draws.
    """

    def __init__(self, links: np.ndarray, num_nodes: int, num_groups: int, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        order = self.rng.permutation(num_nodes)  # so that batches are consecutive
        self.place = np.empty_like(order)
        self.place[order] = np.arange(num_nodes)
        self.links, self.num_nodes, self.num_groups = self.place[links], num_nodes, num_groups
        ends = np.concatenate([self.links, self.links[::-1]], axis=1)
        sorted_ends = np.argsort(ends[0], kind="stable")
        self.row, self.col = ends[:, sorted_ends]
        self.link_of = sorted_ends % links.shape[1]
        self.density = links.shape[1] / (num_nodes * (num_nodes - 1) / 2)
        self.group, self.weight, self.shape = self._first_groups(), np.ones(num_nodes), 5.0
        self.rate = np.full((num_groups, num_groups), self.density)
        self.samples: list[BlockSample] = []

    def run(self, sweeps: int) -> Self:
        """Continue the chain; samples are then from the second half of these sweeps."""
        self.samples = []
        for sweep in range(sweeps):
            self._sweep()
            if sweep >= sweeps // 2 and sweep % max(sweeps // 2 // _KEPT, 1) == 0:
                sample = self.group.copy(), self.weight.copy(), self.rate
                self.samples.append(BlockSample(*sample))
        return self

    def log_rates(self, pairs: np.ndarray) -> np.ndarray:
        """Return the log rate of each pair ``(2, P)`` in each sample, shape ``(S, P)``."""
        u, v = self.place[pairs]
        return np.stack([np.log(w[u] * w[v] * rate[c[u], c[v]]) for c, w, rate in self.samples])

    def _sweep(self) -> None:
        """Draw counts, rates, groups, weights and shape, each given the others."""
        k, rng, group, weight = self.num_groups, self.rng, self.group, self.weight
        u, v = self.links
        count = _at_least_one(weight[u] * weight[v] * self.rate[group[u], group[v]], rng)
        both = count[self.link_of]
        degree = np.bincount(self.row, both, self.num_nodes)
        rate = self.rate = self._rates(both)
        for first, last in pairwise(np.linspace(0, self.num_nodes, _BATCHES + 1).astype(int)):
            part = slice(first, last)
            total = np.bincount(group, weight, k)
            inside = slice(*np.searchsorted(self.row, (first, last)))
            code = (self.row[inside] - first) * k + group[self.col[inside]]
            x = np.bincount(code, both[inside], (last - first) * k).reshape(-1, k)
            # Expected counts per unit of the own weight, in each group, without the own pair.
            exposure = rate @ total - rate[group[part]] * weight[part, None]
            counts = self.shape + degree[part][:, None]
            log_p = np.log(np.bincount(group, minlength=k) + 1 / k) + x @ np.log(rate)
            log_p -= counts * np.log(self.shape + exposure)  # the weight is integrated out
            p = np.exp(log_p - log_p.max(axis=1, keepdims=True)).cumsum(axis=1)
            group[part] = (p > rng.random(last - first)[:, None] * p[:, -1:]).argmax(axis=1)
            own = exposure[np.arange(last - first), group[part]]
            weight[part] = rng.gamma(counts[:, 0], 1 / (self.shape + own))
        own = (rate @ np.bincount(group, weight, k))[group] - rate[group, group] * weight
        self.shape = _drawn_shape(degree, np.maximum(own, 1e-12), rng)

    def _rates(self, both: np.ndarray) -> np.ndarray:
        """Draw the rate of each pair of groups, given the counts of the links."""
        k, group, weight = self.num_groups, self.group, self.weight
        total, squares = np.bincount(group, weight, k), np.bincount(group, weight**2, k)
        exposure = np.outer(total, total)
        links = np.bincount(group[self.row] * k + group[self.col], both, k * k).reshape(k, k)
        here = np.diag_indices(k)
        exposure[here] = (total**2 - squares) / 2
        links[here] /= 2
        rate = self.rng.gamma(0.5 + links, 1 / (0.5 / self.density + np.maximum(exposure, 0)))
        upper = np.triu(np.maximum(rate, 1e-300))
        return upper + np.triu(upper, 1).T

    def _first_groups(self) -> np.ndarray:
        """Return groups of nodes of similar leading eigenvectors."""
        import scipy.sparse as sp
        from scipy.sparse.linalg import eigsh
        from sklearn.cluster import KMeans

        n, k = self.num_nodes, self.num_groups
        if k == 1:
            return np.zeros(n, dtype=np.int64)
        ones = np.ones(len(self.row))
        degree = np.bincount(self.row, minlength=n)
        scale = 1 / np.sqrt(degree + degree.mean())
        adj = sp.coo_array((ones * scale[self.row] * scale[self.col], (self.row, self.col)))
        adj.resize((n, n))
        vectors = eigsh(adj.tocsr(), min(k, n - 1), which="LM", v0=np.ones(n))[1]
        vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
        state = int(self.rng.integers(1 << 30))
        clusters = KMeans(k, n_init=3, random_state=state)  # pyright: ignore[reportArgumentType]
        return clusters.fit_predict(vectors).astype(np.int64)


def fitted_block_model(
    links: np.ndarray, num_nodes: int, held_out: np.ndarray, seed: int
) -> BlockModel:
    """Return a block model whose number of groups fits held-out links.

    It is the smallest number whose mean log rate of these links is at most one standard error
    below that of the best number.

    Args:
        links: Links, shape ``(2, M)``.
        num_nodes: N.
        held_out: Other links of the graph, shape ``(2, V)``.
        seed: Seed of all draws.
    """
    choices = [k for k in _GROUPS if k == 1 or 10 * k <= num_nodes]
    models = [BlockModel(links, num_nodes, k, seed).run(_TRIED) for k in choices]
    fits = [np.log(np.exp(model.log_rates(held_out)).mean(axis=0)) for model in models]
    best = max(fits, key=np.mean)
    error = 1 / math.sqrt(held_out.shape[1])
    lacks = [best - fit for fit in fits]
    chosen = next(k for k, lack in enumerate(lacks) if lack.mean() <= error * lack.std())
    log.info("block model of at most %d groups", models[chosen].num_groups)
    return models[chosen].run(_SWEEPS)


def _at_least_one(rate: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw Poisson counts given that they are at least one."""
    first = -np.log1p(rng.random(len(rate)) * np.expm1(-rate))  # time of the first event
    return 1.0 + rng.poisson(np.maximum(rate - first, 0))


def _drawn_shape(degree: np.ndarray, exposure: np.ndarray, rng: np.random.Generator) -> float:
    """Draw the shape a of the weights, which are integrated out: counts are negative binomial."""
    # Counts are few integers, so that gammaln is taken of each of them once.
    counts, times = np.unique(degree, return_counts=True)
    log_p = (gammaln(_SHAPES[:, None] + counts) - gammaln(_SHAPES)[:, None]) @ times
    log_p += len(degree) * _SHAPES * np.log(_SHAPES)
    at_once = max(_NUMBERS_AT_ONCE // len(_SHAPES), 1)
    for start in range(0, len(degree), at_once):
        d, e = degree[start : start + at_once], exposure[start : start + at_once]
        logs = np.log(_SHAPES[:, None] + e)
        log_p -= logs @ d + _SHAPES * logs.sum(axis=1)
    p = np.exp(log_p - np.max(log_p))
    return float(rng.choice(_SHAPES, p=p / p.sum()))
