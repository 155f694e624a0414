"""Log-likelihood of each graph of a collection, and an anomaly score."""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from vgae.gaussian import PointMass
from vgae.graphs.canonical import link_positions
from vgae.graphs.collection import GraphCollection
from vgae.models.embedding import Trained, embed, evaluating, model_of, parameter_like
from vgae.models.graph_vectors import check_collection, graph_vectors, num_positions
from vgae.vae import VAE, LinkDecoder

_PAIRS_AT_ONCE = 2**20
_STEPS = 10  # of concentration; more change nothing


class Typical(NamedTuple):
    """Robust centre and covariance of the vectors of usual graphs, K columns; float64.

    Source: Boudt et al. (2020), `The Minimum Regularized Covariance Determinant Estimator
    <https://arxiv.org/abs/1701.07086>`_: the mean and covariance of the three quarters of the
    graphs that are nearest to them, found by concentration steps. The covariance is shrunk towards
    a multiple of the identity as by Chen et al. (2010), `Shrinkage Algorithms for MMSE Covariance
    Estimation <https://arxiv.org/abs/0907.4698>`_, equation 23.

    Attributes:
        centre: Shape ``(K,)``.
        precision: Inverse covariance, shape ``(K, K)``, scaled so that half of the graphs are
            within a distance of 1. Columns that are the same for most graphs have zeros.
    """

    centre: Tensor
    precision: Tensor

    @classmethod
    def of(cls, vectors: Tensor) -> "Typical":
        """Return those of the graphs without NaN, given vectors of shape ``(G, K)``."""
        known = vectors[vectors.isfinite().all(dim=1)].double()
        centre = known.new_zeros(known.shape[1])
        precision = known.new_zeros(known.shape[1], known.shape[1])
        if not len(known):
            return cls(centre, precision)
        median = known.median(dim=0).values
        deviation = 1.4826 * (known - median).abs().median(dim=0).values
        used = (deviation > 1e-6 * median.abs()).nonzero()[:, 0]
        x = (known[:, used] - median[used]) / deviation[used]
        apart = x.abs().median(dim=1).values if len(used) else x.sum(dim=1)
        mean, inverse = x.new_zeros(len(used)), torch.eye(len(used), dtype=x.dtype)
        for _ in range(_STEPS if len(used) else 0):
            nearest = x[apart.argsort(stable=True)[: math.ceil(0.75 * len(x))]]
            mean = nearest.mean(dim=0)
            inverse = torch.linalg.inv(_shrunk_covariance(nearest - mean))
            apart = _squares(x - mean, inverse)
        scaled = inverse / (deviation[used, None] * deviation[used])
        middle = float(apart.median())
        centre = median.index_put((used,), median[used] + deviation[used] * mean)
        precision[used[:, None], used] = scaled / (middle if middle > 0 else 1)
        return cls(centre, precision)

    def distance(self, vectors: Tensor) -> Tensor:
        """Return the Mahalanobis distance of each row, shape ``(G,)``."""
        return _squares(vectors.double() - self.centre, self.precision).clamp(min=0).sqrt()


class GraphLikelihoods(NamedTuple):
    """Likelihood of each graph, at the posterior means of its nodes; float64, shape ``(G,)``.

    Attributes:
        log_likelihood: log p(A | z) of the graph, in nats: the sum over its pairs, at most 0.
        kl: KL divergence of the posteriors of its nodes to the prior, in nats, at least 0.
        per_pair: Mean -log p of its pairs, in nats per pair, at least 0; NaN for a graph of one
            node. See :func:`graph_log_likelihood`.
        kl_per_node: ``kl`` divided by the number of nodes.
        vectors: What graphs are compared by, shape ``(G, K)``; see :func:`graph_log_likelihood`.
        typical: Centre and covariance of the vectors of these graphs, or the given ones.
    """

    log_likelihood: Tensor
    kl: Tensor
    per_pair: Tensor
    kl_per_node: Tensor
    vectors: Tensor
    typical: Typical

    @property
    def anomaly(self) -> Tensor:
        """Distance from the typical graphs, at least 0; half of these have less than 1."""
        return self.typical.distance(self.vectors)

    @property
    def elbo(self) -> Tensor:
        """Log-likelihood less the KL divergence, in nats, shape ``(G,)``."""
        return self.log_likelihood - self.kl


def graph_log_likelihood(
    model: VAE | Trained,
    graphs: GraphCollection,
    edge_index: Tensor | None = None,
    *,
    typical: Typical | None = None,
) -> GraphLikelihoods:
    r"""Return the log-likelihood of each graph, and how unusual its links are.

    .. math:: \log p(A_g | z) = \sum_{i < j \in g} \log p(A_{ij} | z), \qquad
        anomaly_g^2 = (v_g - m)^T S^{-1} (v_g - m)

    with the sigmoid of the logit as the probability of a link and z the posterior means. The
    vector :math:`v_g` has

    - the two terms of the evidence lower bound: :math:`-\log p(A_g | z)` per pair and the KL
      divergence per node;
    - the means over the nodes of :math:`\mu_i` and :math:`\mu_i^2`, in the dimensions that are
      comparable between graphs;
    - of the others, the positions of nodes in their graph (:mod:`vgae.encoders.positions`), the
      means of :math:`\|p_i\|^2` and :math:`\|p_i\|^4`; these squares are numbers of closed walks.

    m and S are a robust centre and covariance over the graphs (:class:`Typical`), on which some
    unusual graphs have no effect. A graph is unusual if its links are harder or far easier to
    express than those of most graphs, or if its nodes have other positions.

    The log-likelihood of a large graph is lower, as it has more pairs, which the mean over its
    pairs leaves out. For the vectors, logits of a decoder with the weighting ``"likelihood"`` are
    reduced by the log-odds of a link in the collection, since models are otherwise trained with
    links that weigh as much as all non-links (Kipf & Welling, 2016).

    Source: Nalisnick et al. (2019), `Detecting Out-of-Distribution Inputs to Deep Generative
    Models Using Typicality <https://arxiv.org/abs/1906.02994>`_, section 3; Lee et al. (2018),
    `A Simple Unified Framework for Detecting Out-of-Distribution Samples
    <https://arxiv.org/abs/1807.03888>`_, for the distance of hidden vectors.

    Args:
        model: A trained model, or the result of :func:`vgae.fit` or :func:`vgae.load_run`. It may
            have been trained on these graphs, unusual ones among them, or on others.
        graphs: The graphs, with the features of the training.
        edge_index: Edges that messages travel on; those of all links by default.
        typical: Centre and covariance, such as ``.typical`` of the training graphs for new ones;
            those of these graphs by default.

    Raises:
        DataError: ``COLLECTION`` if the graph is no collection; those of :func:`vgae.embed`.
    """
    check_collection(graphs, "log-likelihoods of graphs")
    model = model_of(model)
    decoder: Any = model.decoder
    q = embed(model, graphs, edge_index)
    z = q.mu.to(parameter_like(model).device)
    balance = 0.0
    if getattr(decoder, "weighting", "") == "likelihood" and graphs.num_links:
        balance = math.log(graphs.num_links / max(graphs.grid.num_pairs - graphs.num_links, 1))
    log_prob, balanced = torch.zeros(2, graphs.num_graphs, dtype=torch.float64)
    with evaluating(model):
        for batch, logits, is_link in scored_pairs(decoder, z, graphs):
            sign = torch.where(is_link, 1.0, -1.0)
            log_prob.index_add_(0, batch, F.logsigmoid(sign * logits))
            balanced.index_add_(0, batch, F.logsigmoid(sign * (logits - balance)))
    kl = torch.zeros(graphs.num_graphs, dtype=torch.float64)
    kl.index_add_(0, graphs.batch, q.kl().double())
    pairs = graphs.sizes * (graphs.sizes - 1) // 2
    per_pair, per_node = -balanced / pairs, kl / graphs.sizes
    means = _means(model, q.mu.double(), graphs)
    vectors = torch.cat([per_pair[:, None], per_node[:, None], means], dim=1)
    typical = Typical.of(vectors) if typical is None else typical
    return GraphLikelihoods(log_prob, kl, per_pair, per_node, vectors, typical)


def graph_log_prob(decoder: LinkDecoder, z: Tensor, graphs: GraphCollection) -> Tensor:
    r"""Return :math:`\log p(A_g | z)` of each graph, in nats, float64 on the CPU, shape ``(G,)``.

    It is the sum over pairs of two different nodes, each once, whatever the weighting of the
    decoder's ``log_prob``.

    Args:
        decoder: Decoder with a method ``logits``.
        z: Latent vectors of the nodes, shape ``(N, d)``.
        graphs: Collection of these nodes.
    """
    total = torch.zeros(graphs.num_graphs, dtype=torch.float64)
    for batch, logits, is_link in scored_pairs(decoder, z, graphs):
        total.index_add_(0, batch, F.logsigmoid(torch.where(is_link, logits, -logits)))
    return total


def scored_pairs(
    decoder: LinkDecoder, z: Tensor, graphs: GraphCollection
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yield graph, logit (float64) and whether it is a link, of some pairs at a time."""
    grid = graphs.grid
    for start in range(0, grid.num_pairs, _PAIRS_AT_ONCE):
        numbers = torch.arange(start, min(start + _PAIRS_AT_ONCE, grid.num_pairs))
        pairs = grid.pairs(numbers)
        logits = decoder.logits(z, pairs.to(z.device)).cpu().double()
        yield graphs.batch[pairs[0]], logits, link_positions(pairs, graphs.links, grid) >= 0


def _means(model: VAE, z: Tensor, graphs: GraphCollection) -> Tensor:
    """Return the means over the nodes of each graph that it is compared by, ``(G, K - 2)``."""
    p = num_positions(model)
    lengths = z[:, :p].square().sum(dim=1, keepdim=True)[:, : min(p, 1)]
    return graph_vectors(PointMass(torch.cat([z[:, p:], lengths], dim=1)), graphs, "moments").mu


def _squares(x: Tensor, precision: Tensor) -> Tensor:
    """Return the squared Mahalanobis length of each row."""
    return ((x @ precision) * x).sum(dim=1)


def _shrunk_covariance(x: Tensor) -> Tensor:
    """Return the covariance of centred rows, shrunk towards a multiple of the identity."""
    n, p = x.shape
    covariance = x.T @ x / n
    trace, squares = float(covariance.trace()), float(covariance.square().sum())
    apart = (n + 1 - 2 / p) * (squares - trace**2 / p)
    wanted = (1 - 2 / p) * squares + trace**2
    weight = min(1.0, wanted / apart) if apart > 0 else 1.0
    level = trace / p if trace > 0 else 1.0
    return (1 - weight) * covariance + weight * level * torch.eye(p, dtype=x.dtype)
