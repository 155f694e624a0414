"""Graphs with a known structure: a degree-corrected block model with features, in strips."""

import math
import operator
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from scipy.optimize import brentq

from vgae.errors import UsageError
from vgae.runtime.streams import checked_seed

if TYPE_CHECKING:
    from vgae.graphs.graph import Graph

_STRIP = 1 << 21  # expected links of a strip; the numbers drawn depend on it
_ROWS = 1 << 14  # nodes of a block of features; likewise
_STREAMS = ("nodes", "links", "centres", "features")
_TERMS = 12  # of the series of an expected number of links
_MOST_NODES = 1 << 31  # the number of a pair must fit into 64 bits
_MOST_EXPONENT = 100.0
_MOST_FEATURES = 1 << 24
_ONES = 20  # expected draws of a row of sparse features
_OWN = 10  # a community has one of so many columns of sparse features for its own


class Planted(NamedTuple):
    """What is drawn for the nodes, each of shape ``(N,)`` or ``(N + 1,)``.

    Attributes:
        weight: Theta of each node.
        community: Number of its community.
        before: Sum of the weights before each node.
        keys: ``community * N + node`` of the nodes, sorted.
        before_key: Sum of the weights before each of the keys.
    """

    weight: np.ndarray
    community: np.ndarray
    before: np.ndarray
    keys: np.ndarray
    before_key: np.ndarray


@dataclass(frozen=True)
class PlantedGraph:
    r"""A degree-corrected block model: communities, power-law degrees, features of communities.

    .. math:: p(A_{ij} = 1) = 1 - \exp(-\theta_i \theta_j \omega_{c_i c_j}), \qquad
        \theta_i \sim \text{Pareto}(\gamma - 1) \text{ on } [1, b], \qquad
        x_i \sim \mathcal{N}(m_{c_i}, I), \quad m_k \sim \mathcal{N}(0, \tfrac{2}{F} I)

    Communities :math:`c_i` are uniform; :math:`\omega` has one value within communities and
    another one across, of which the expected numbers of links follow; b keeps the rates
    :math:`\theta_i \theta_j \omega` at about 1 or below. The distance of two centres
    :math:`m_k` is about 2, two deviations of the noise, for any F.

    The upper triangle of the adjacency is drawn in strips of consecutive rows. Counts of a strip
    are Poisson, with ends in proportion to :math:`\theta`, and a pair with a count of at least
    one is a link: this gives exactly the probabilities above, independently for each pair. Each
    strip has a seed of its own; the same values give the same graph with one version of numpy,
    whatever the number of threads. It takes about 60 bytes a node and 300 MB.

    Source: Karrer & Newman (2011), `Stochastic blockmodels and community structure in networks
    <https://arxiv.org/abs/1008.3926>`_, sections II and IV B.

    Attributes:
        links: Expected number of links, M.
        nodes: N; by default a tenth of M, more for few links, which must fit into the communities.
        communities: Number of communities, K.
        features: F, at most 2**24; 0 for a graph without features.
        exponent: Exponent of the distribution of degrees, gamma, in ``(2, 100]``.
        mixing: Expected fraction of links across communities, in ``[0, 1 - 1 / K)``.
        seed: Seed of all that is drawn, in ``[0, 2**63)``.
        sparse: Features are 0 or 1, in sparse rows: about 20 ones, half of them in columns that
            the community has for its own, a tenth of all, the others anywhere.

    Raises:
        UsageError: ``PLANTED`` if a value is out of range, or if so many links do not fit into
            communities of this size; ``SEED`` and ``SEED_RANGE``.
    """

    links: int = 100_000
    nodes: int = 0
    communities: int = 10
    features: int = 0
    exponent: float = 2.5
    mixing: float = 0.2
    seed: int = 0
    sparse: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        checked_seed(self.seed)
        self._count("links", 1)
        if self.nodes == 0:
            object.__setattr__(self, "nodes", self._usual_nodes())
        self._count("nodes", 2, _MOST_NODES)
        self._count("communities", 1, self.nodes)
        self._count("features", 0, _MOST_FEATURES)
        if not 2 < self.exponent <= _MOST_EXPONENT:
            raise _refused("exponent", f"above 2 and at most {_MOST_EXPONENT:g}", self.exponent)
        most = 1 - 1 / self.communities
        if not (0 <= self.mixing < most or self.mixing == 0):
            rule = f"at least 0 and below 1 - 1 / communities, which is {most:g}"
            raise _refused("mixing", rule if most else "0 for one community", self.mixing)
        if self.largest_weight < 1:
            raise self._too_dense()

    def _usual_nodes(self) -> int:
        """Return a tenth of the links, or so many nodes that one pair of four is a link within."""
        self._count("communities", 1)
        within = self.links * max(1 - self.mixing, 0)
        roomy = math.sqrt(8 * self.communities * within) if within < math.inf else 0
        return max(2, self.communities, self.links // 10, math.ceil(roomy))

    def _count(self, name: str, least: int, most: int = 2**62) -> None:
        value = getattr(self, name)
        try:
            number = operator.index(value)
        except TypeError:
            raise _refused(name, "an integer", value) from None
        if not least <= number <= most:
            limit = f" and at most {most:,}" if number > most else ""
            raise _refused(name, f"at least {least}{limit}", value)

    def _too_dense(self) -> UsageError:
        return UsageError(
            "PLANTED",
            f"{self.links:,} links do not fit into {self.communities:,} communities of about"
            f" {self.nodes / self.communities:,.0f} nodes, with {1 - self.mixing:.0%} of them"
            " within; give fewer links (--links) or communities (--communities), or more nodes"
            " (--nodes).",
        )

    @property
    def largest_weight(self) -> float:
        """Bound b of the weights, at which the rate of two such nodes of a community is 1."""
        mean = (self.exponent - 1) / (self.exponent - 2)
        pairs = 2 * self.links * self.communities * (1 - self.mixing)
        return mean * self.nodes / math.sqrt(pairs)

    @cached_property
    def planted(self) -> Planted:
        """Weights and communities of the nodes."""
        rng = self._rng("nodes")
        power = 1 - self.exponent
        drawn = rng.random(self.nodes)
        weight = (1 - drawn * (1 - self.largest_weight**power)) ** (1 / power)
        community = rng.integers(self.communities, size=self.nodes)
        keys = community * self.nodes + np.arange(self.nodes)
        keys.sort()
        by_key = weight[keys % self.nodes]
        return Planted(weight, community, _sums_before(weight), keys, _sums_before(by_key))

    @cached_property
    def rates(self) -> tuple[float, float]:
        """Omega across communities, and what is added to it within."""
        weight, community, *_ = self.planted
        # Of the power k of the weights: half the sums over pairs within, and over pairs across.
        pairs = np.empty((2, _TERMS))
        power = np.ones_like(weight)
        for k in range(_TERMS):
            power *= weight
            sums = np.bincount(community, power, self.communities)
            pairs[:, k] = (sums @ sums - power @ power) / 2, (sums.sum() ** 2 - sums @ sums) / 2
        within = self._rate(pairs[0], (1 - self.mixing) * self.links)
        across = self._rate(pairs[1], self.mixing * self.links)
        if within < across:
            raise _refused("mixing", "smaller for communities of these sizes", self.mixing)
        return across, within - across

    def _rate(self, pairs: np.ndarray, links: float) -> float:
        """Return the omega of an expected number of links, from the sums of powers of weights.

        The number is the sum over pairs of ``1 - exp(-omega * theta_i * theta_j)``, as a series.
        """
        if links == 0:
            return 0.0
        if pairs[0] <= 0:
            raise self._too_dense()
        first = links / pairs[0]
        signs = np.array([-((-first) ** k) / math.factorial(k) for k in range(1, _TERMS + 1)])
        terms = (signs * pairs)[::-1]

        def surplus(scale: float) -> float:
            return scale * float(np.polyval(terms, scale)) - links

        if surplus(2.0) < 0:
            raise self._too_dense()
        return first * float(brentq(surplus, 0.5, 2.0, xtol=1e-13))  # pyright: ignore[reportArgumentType]

    def strips(self) -> Iterator[np.ndarray]:
        """Yield the links, ``u < v``, each once and ascending, in parts of shape ``(2, m)``."""
        before = self.planted.before
        later = self.planted.weight * (before[-1] - before[1:])
        until = later.cumsum()
        count = -(-self.links // _STRIP)
        inner = np.searchsorted(until, until[-1] * np.arange(1, count) / count)
        bounds = np.concatenate([[0], inner, [self.nodes]])
        del later, until
        for number, (start, stop) in enumerate(pairwise(bounds.tolist())):
            yield self._strip(number, start, stop)

    def _strip(self, number: int, start: int, stop: int) -> np.ndarray:
        """Return the links from the nodes between two to later ones."""
        _, _, before, keys, before_key = self.planted
        across, within = self.rates
        rng, n = self._rng("links", number), self.nodes
        rows, columns = before[stop] - before[start], before[-1] - before[start]
        count = rng.poisson(across * rows * columns)
        u = _drawn(rng, before, np.full(count, start), np.full(count, stop))
        v = _drawn(rng, before, np.full(count, start), np.full(count, n))
        heads = n * np.arange(self.communities)
        first, last, end = (np.searchsorted(keys, heads + node) for node in (start, stop, n))
        rows, columns = before_key[last] - before_key[first], before_key[end] - before_key[first]
        counts = rng.poisson(within * rows * columns)
        first, last, end = (np.repeat(place, counts) for place in (first, last, end))
        own_u = keys[_drawn(rng, before_key, first, last)] % n
        own_v = keys[_drawn(rng, before_key, first, end)] % n
        u, v = np.concatenate([u, own_u]), np.concatenate([v, own_v])
        later = u < v  # pairs of two rows of the strip are drawn in both orders
        code = u[later] * n + v[later]
        code.sort()
        return np.stack(np.divmod(code[np.diff(code, prepend=-1) > 0], n))

    def feature_blocks(self) -> Iterator[Any]:
        """Yield the features in blocks of rows, float32: arrays, or CSR if they are sparse."""
        centres = self._own_columns() if self.sparse else self._centres()
        for number, start in enumerate(range(0, self.nodes, _ROWS)):
            community = self.planted.community[start : start + _ROWS]
            rng = self._rng("features", number)
            if self.sparse:
                yield self._ones(rng, centres[community])
            else:
                noise = rng.standard_normal((len(community), self.features), np.float32)
                noise += centres[community]
                yield noise

    def _centres(self) -> np.ndarray:
        """Return the mean of each community, float32, shape ``(K, F)``."""
        shape = self.communities, self.features
        drawn = self._rng("centres").standard_normal(shape, np.float32)
        return drawn * np.float32(math.sqrt(2 / max(self.features, 1)))

    def _own_columns(self) -> np.ndarray:
        """Return the columns that each community has for its own, shape ``(K, ...)``."""
        rng, count = self._rng("centres"), max(1, self.features // _OWN)
        own = [rng.choice(self.features, count, replace=False) for _ in range(self.communities)]
        return np.array(own)

    def _ones(self, rng: np.random.Generator, own: np.ndarray) -> sp.csr_array:
        """Return rows of zeros and ones, given the columns that each may call its own."""
        counts = np.minimum(rng.poisson(_ONES, len(own)), self.features)
        rows = np.repeat(np.arange(len(own)), counts)
        anywhere = rng.integers(self.features, size=len(rows))
        columns = own[rows, rng.integers(own.shape[1], size=len(rows))]
        columns = np.where(rng.random(len(rows)) < 0.5, columns, anywhere)
        code = np.unique(rows * self.features + columns)
        ends = np.divmod(code, self.features)
        ones = np.ones(len(code), np.float32)
        return sp.csr_array((ones, ends), shape=(len(own), self.features))

    def probabilities(self, pairs: Any) -> np.ndarray:
        """Return the probability that each pair is a link, float64, shape ``(P,)``.

        Args:
            pairs: Numbers of nodes, shape ``(2, P)``, in either order.
        """
        u, v = np.asarray(pairs)
        weight, community, *_ = self.planted
        across, within = self.rates
        rate = across + within * (community[u] == community[v])
        return -np.expm1(-weight[u] * weight[v] * rate)

    def label_names(self) -> list[str]:
        """Return the names of the communities, which are the labels."""
        return [f"community {number}" for number in range(self.communities)]

    def graph(self, name: str = "planted") -> "Graph":
        """Return the graph, all of it in memory."""
        from vgae.graphs.graph import Graph

        x: Any = None
        if self.features:
            blocks = list(self.feature_blocks())
            x = sp.vstack(blocks, format="csr") if self.sparse else np.concatenate(blocks)
        links = np.concatenate(list(self.strips()), axis=1)
        kind: Any = {"sides": "none", "label_names": self.label_names(), "name": name}
        return Graph.from_edges(links, num_nodes=self.nodes, x=x, y=self.planted.community, **kind)

    def _rng(self, stream: str, number: int = 0) -> np.random.Generator:
        return np.random.default_rng([self.seed, _STREAMS.index(stream), number])


def _refused(name: str, rule: str, value: object) -> UsageError:
    return UsageError("PLANTED", f"{name} (--{name}) must be {rule}, got {value!r:.60}.")


def _sums_before(values: np.ndarray) -> np.ndarray:
    """Return the sum of the values before each, and of all, shape ``(N + 1,)``."""
    sums = np.zeros(len(values) + 1)
    values.cumsum(out=sums[1:])
    return sums


def _drawn(
    rng: np.random.Generator, before: np.ndarray, first: np.ndarray, end: np.ndarray
) -> np.ndarray:
    """Return a place of each range, drawn in proportion to weights with these sums before."""
    at = before[first]
    at += rng.random(len(first)) * (before[end] - at)
    return (np.searchsorted(before, at, side="right") - 1).clip(first, end - 1)
