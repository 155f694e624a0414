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


class GraphLikelihoods(NamedTuple):
    """Likelihood of each graph, at the posterior means of its nodes; float64, shape ``(G,)``.

    Attributes:
        log_likelihood: log p(A | z) of the graph, in nats: the sum over its pairs, at most 0.
        kl: KL divergence of the posteriors of its nodes to the prior, in nats, at least 0.
        anomaly: Mean -log p of its links and of its non-links, each one half, in nats per pair, at
            least 0; see :func:`graph_log_likelihood`. NaN for a graph of one node.
    """

    log_likelihood: Tensor
    kl: Tensor
    anomaly: Tensor

    @property
    def elbo(self) -> Tensor:
        """Log-likelihood less the KL divergence, in nats, shape ``(G,)``."""
        return self.log_likelihood - self.kl


def graph_log_likelihood(
    model: VAE | Trained, graphs: GraphCollection, edge_index: Tensor | None = None
) -> GraphLikelihoods:
    r"""Return the log-likelihood of each graph, and how unusual its links are.

    .. math:: \log p(A_g | z) = \sum_{i < j \in g} \log p(A_{ij} | z), \qquad
        anomaly_g = -\tfrac{1}{2} \operatorname{mean}_{links} \log p_{ij}
        - \tfrac{1}{2} \operatorname{mean}_{others} \log (1 - p_{ij})

    with :math:`p_{ij}` the sigmoid of the logit and z the posterior means. (For the anomaly score,
    logits of a decoder with the weighting ``"likelihood"`` are first reduced by the log-odds of a
    link in the collection, so that they too are those of as many links as non-links.)

    The log-likelihood of a
    large graph is lower, as it has more pairs, and so is that of a dense one, whose links cost
    more than its non-links. Neither is unusual in itself. The anomaly score gives links and
    non-links the same weight in each graph, as the reweighted loss does in training (Kipf &
    Welling, 2016): a graph has a high score if the model, which has learnt what most graphs are
    like, gives its links low and its non-links high probabilities. A graph of a single kind of
    pairs has the mean of these.

    Args:
        model: A trained model, or the result of :func:`vgae.fit` or :func:`vgae.load_run`. It may
            have been trained on these graphs, unusual ones among them, or on others.
        graphs: The graphs, with the features of the training.
        edge_index: Edges that messages travel on; those of all links by default.

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
    log_prob, balanced, count = torch.zeros(3, 2, graphs.num_graphs, dtype=torch.float64)
    with evaluating(model):
        for batch, logits, is_link in scored_pairs(decoder, z, graphs):
            for kind, chosen, sign in ((0, is_link, 1), (1, ~is_link, -1)):
                own, graph = sign * logits[chosen], batch[chosen]
                log_prob[kind].index_add_(0, graph, F.logsigmoid(own))
                balanced[kind].index_add_(0, graph, F.logsigmoid(own - sign * balance))
                count[kind].index_add_(0, graph, torch.ones_like(own))
    kl = torch.zeros(graphs.num_graphs, dtype=torch.float64)
    kl.index_add_(0, graphs.batch, q.kl().double())
    anomaly = -(balanced / count.clamp(min=1)).sum(dim=0) / (count > 0).sum(dim=0)
    return GraphLikelihoods(log_prob.sum(dim=0), kl, anomaly)


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
