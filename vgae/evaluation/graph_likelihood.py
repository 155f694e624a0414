"""Log-likelihood of each graph of a collection, and an anomaly score."""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from vgae.graphs.canonical import link_positions
from vgae.graphs.collection import GraphCollection
from vgae.models.embedding import Trained, embed, evaluating, model_of, parameter_like
from vgae.models.graph_vectors import check_collection
from vgae.vae import VAE, LinkDecoder

_PAIRS_AT_ONCE = 2**20


class Typical(NamedTuple):
    """Median and deviation of nats per pair, and of the KL divergence per node, over graphs.

    The deviation is 1.48 times the median distance from the median, the standard deviation of a
    normal distribution, which a few unusual graphs do not change.
    """

    medians: tuple[float, float]
    deviations: tuple[float, float]

    @classmethod
    def of(cls, *values: Tensor) -> "Typical":
        """Return those of two values of each graph."""
        medians = [float(value.nanmedian()) for value in values]
        both = zip(values, medians, strict=True)
        deviations = [1.4826 * float((v - m).abs().nanmedian()) for v, m in both]
        return cls((medians[0], medians[1]), (deviations[0], deviations[1]))


class GraphLikelihoods(NamedTuple):
    """Likelihood of each graph, at the posterior means of its nodes; float64, shape ``(G,)``.

    Attributes:
        log_likelihood: log p(A | z) of the graph, in nats: the sum over its pairs, at most 0.
        kl: KL divergence of the posteriors of its nodes to the prior, in nats, at least 0.
        per_pair: Mean -log p of its pairs, in nats per pair, at least 0; NaN for a graph of one
            node. See :func:`graph_log_likelihood`.
        kl_per_node: ``kl`` divided by the number of nodes.
        typical: Medians and deviations of these two, over these graphs or the given ones.
    """

    log_likelihood: Tensor
    kl: Tensor
    per_pair: Tensor
    kl_per_node: Tensor
    typical: "Typical"

    @property
    def anomaly(self) -> Tensor:
        """Distance of both terms from the typical ones, in deviations, at least 0."""
        pairs, nodes = self.typical.deviations
        parts = (
            (self.per_pair - self.typical.medians[0], pairs),
            (
                self.kl_per_node - self.typical.medians[1],
                nodes,
            ),
        )
        # Of terms that are the same for most graphs, such as the KL of a point mass, none counts.
        squares = [(apart / deviation) ** 2 for apart, deviation in parts if deviation > 0]
        return torch.stack([0 * self.per_pair, *squares]).sum(dim=0).sqrt()

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
        \ell_g = -\frac{2}{n_g (n_g - 1)} \log p(A_g | z), \qquad
        k_g = \frac{1}{n_g} \sum_{i \in g} KL_i, \qquad
        anomaly_g^2 = \Big(\frac{\ell_g - m_\ell}{s_\ell}\Big)^2
        + \Big(\frac{k_g - m_k}{s_k}\Big)^2

    with the sigmoid of the logit as the probability of a link, z the posterior means, and medians
    m and deviations s over the graphs (:class:`Typical`). The
    log-likelihood of a large graph is lower, as it has more pairs, which the mean over its pairs
    leaves out. Models are trained with links that weigh as much as all non-links (Kipf & Welling,
    2016); so the links of a dense graph do not cost more than its non-links, and its density alone
    does not make it unusual. For the anomaly score, logits of a decoder with the weighting
    ``"likelihood"`` are reduced by the log-odds of a link in the collection, to the same effect.

    These are the two terms of the evidence lower bound, of which a usual graph has usual values. A
    graph is unusual if the model cannot express its links by the positions that it infers for the
    nodes, or only by unlikely positions, and also if its links are far easier to express than
    those of most graphs, as those of a star are.

    Source: Nalisnick et al. (2019), `Detecting Out-of-Distribution Inputs to Deep Generative
    Models Using Typicality <https://arxiv.org/abs/1906.02994>`_, section 3.

    Args:
        model: A trained model, or the result of :func:`vgae.fit` or :func:`vgae.load_run`. It may
            have been trained on these graphs, unusual ones among them, or on others.
        graphs: The graphs, with the features of the training.
        edge_index: Edges that messages travel on; those of all links by default.
        typical: Medians and deviations, such as ``.typical`` of the training graphs for new ones;
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
    typical = typical or Typical.of(per_pair, per_node)
    return GraphLikelihoods(log_prob, kl, per_pair, per_node, typical)


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
