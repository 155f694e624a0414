"""Importance-weighted log p(A | X) of graphs."""

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from vgae.decoders import GraphDecoder
from vgae.decoders.joint import link_decoder
from vgae.encoders.content import trained_dimensions
from vgae.errors import NumericalError, UsageError
from vgae.evaluation.sampled import check_samples
from vgae.gaussian import DiagGaussian
from vgae.graphs.canonical import link_positions
from vgae.graphs.collection import GraphCollection
from vgae.graphs.graph import Graph
from vgae.graphs.typed import TypedGraph
from vgae.models.embedding import Trained, embed, evaluating, model_of, parameter_like
from vgae.runtime.streams import stream
from vgae.vae import VAE

log = logging.getLogger(__name__)

_FEW_EFFECTIVE = 10
_PAIRS_AT_ONCE = 2**17
_NUMBERS_AT_ONCE = 2**22  # of the samples that are held


@dataclass(frozen=True, eq=False)
class GraphEvidence:
    """Estimates of log p(A | X) of each graph; see :func:`graph_log_marginal`.

    Attributes:
        log_marginal: Estimate in nats, float64, shape ``(G,)``.
        error: Standard error of each, from the spread of its weights; shape ``(G,)``. It does not
            show the bias downwards, which is large where ``effective_samples`` are few.
        elbo: Mean of the logarithms of the weights, an estimate of the evidence lower bound in
            nats, at most ``log_marginal``; shape ``(G,)``.
        effective_samples: Squared sum of the weights by the sum of their squares, from 1 to K;
            shape ``(G,)``.
        num_pairs: Number of pairs of nodes of each graph, int64, shape ``(G,)``.
        num_samples: K.
    """

    log_marginal: Tensor
    error: Tensor
    elbo: Tensor
    effective_samples: Tensor
    num_pairs: Tensor
    num_samples: int

    @property
    def is_loose(self) -> bool:
        """Whether the estimate is a loose lower bound: on average fewer than ten samples count."""
        return float(self.effective_samples.mean()) < min(_FEW_EFFECTIVE, self.num_samples / 2)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON: means over the graphs, in nats per graph and per pair.

        ``log_marginal_error`` is the standard error of the mean over graphs, as for other graphs
        of their kind; for a single graph that of its estimate. ``loose_bound`` is whether the
        estimate is a loose lower bound, as fewer than ten samples count.
        """
        count = len(self.log_marginal)
        error = self.log_marginal.std() / math.sqrt(count) if count > 1 else self.error.sum()
        pairs = max(int(self.num_pairs.sum()), 1)
        return {
            "log_marginal": float(self.log_marginal.mean()),
            "log_marginal_error": float(error),
            "log_marginal_per_pair": float(self.log_marginal.sum()) / pairs,
            "elbo": float(self.elbo.mean()),
            "effective_samples": float(self.effective_samples.mean()),
            "loose_bound": self.is_loose,
            "num_samples": self.num_samples,
            "num_graphs": count,
        }


def graph_log_marginal(
    model: VAE | Trained,
    graph: Graph,
    *,
    num_samples: int,
    seed: int = 0,
    edge_index: Tensor | None = None,
    show: Callable[[int], object] = lambda _: None,
) -> GraphEvidence:
    r"""Estimate log p(A | X) of each graph by importance sampling from the posterior.

    .. math:: \log p(A \mid X) \approx \log \frac{1}{K} \sum_{k=1}^K
        \frac{p(A \mid z_k) \, p(z_k)}{q(z_k \mid A, X)}, \qquad
        \log p(A \mid z) = \sum_{i < j} \log p(A_{ij} \mid z_i, z_j)

    The sum has each pair of the grid once, with weight 1, whatever weights were trained with; so
    a model that was trained with ``weighting="kipf"`` and no bias has low values. The mean of the
    weights is unbiased, its logarithm is biased downwards: its expectation is the ELBO for K = 1,
    never decreases with K, and tends to log p(A | X). The more nodes a graph has, the more samples
    that takes. Graphs of a collection have estimates of their own from the same samples.

    Latent dimensions of content (:mod:`vgae.encoders.content`), which are no variables of the
    trained model, are left out.

    Samples of at most 2^22 numbers, and logits of 2^17 pairs, are held at once. The noise is drawn
    sample by sample, so that neither limit changes it.

    Source: Burda, Grosse & Salakhutdinov (2016), `Importance Weighted Autoencoders
    <https://arxiv.org/abs/1509.00519>`_, equation 8.

    Args:
        model: A trained model, or the result of :func:`vgae.fit` or :func:`vgae.load_run`.
        graph: One graph, or a collection, with all links A; held-out graphs are those on which
            the model was not trained.
        num_samples: K, at least 2.
        seed: Seed of the stream ``"evaluation"``, from which the samples are drawn.
        edge_index: Edges that messages travel on; those of all links by default.
        show: Called with the number of samples done.

    Raises:
        NumericalError: ``LIKELIHOOD_NONFINITE`` if an estimate is not finite.
        UsageError: ``POSTERIOR`` if the posterior has no density; ``NUM_SAMPLES``;
            ``TYPED_GRAPH`` for a typed graph.
    """
    num_samples, model = check_samples(num_samples), model_of(model)
    if isinstance(graph, TypedGraph):
        rule = "log p(A | X) (samples, --samples) is for graphs of one kind of links"
        raise UsageError("TYPED_GRAPH", f"{rule}; leave the samples out.")
    q = embed(model, graph, edge_index)
    if not isinstance(q, DiagGaussian):
        raise UsageError(
            "POSTERIOR",
            "log p(A | X) needs a posterior with a density, such as that of vgae, and this model"
            f" has a {type(q).__name__}; leave samples (--samples) out.",
        )
    q = trained_dimensions(model.encoder, q)
    batch, count = torch.zeros(graph.num_nodes, dtype=torch.int64), 1
    if isinstance(graph, GraphCollection):
        batch, count = graph.batch, graph.num_graphs
    like, generator = parameter_like(model), stream(seed, "evaluation")
    prior = DiagGaussian(torch.zeros_like(q.mu), torch.zeros_like(q.logvar))
    at_once = max(_NUMBERS_AT_ONCE // max(q.mu.numel(), 1), 1)
    parts = []
    with evaluating(model):
        for start in range(0, num_samples, at_once):
            size = min(at_once, num_samples - start)
            z = torch.stack([q.rsample(generator) for _ in range(size)])
            log_weight = torch.zeros(size, count, dtype=torch.float64)
            log_weight.index_add_(1, batch, (prior.log_prob(z) - q.log_prob(z)).double())
            _add_log_prob(log_weight, link_decoder(model), z.to(like.device), graph, batch)
            parts.append(log_weight)
            show(start + size)
    found = _evidence(torch.cat(parts), graph, batch)
    if found.is_loose:
        effective, rule = float(found.effective_samples.mean()), "it is a loose lower bound"
        log.warning("log p(A | X): %.1f of %d samples count, so %s", effective, num_samples, rule)
    return found


def _add_log_prob(total: Tensor, decoder: Any, z: Tensor, graph: Graph, batch: Tensor) -> None:
    """Add log p(A | z) of each sample ``(k, N, d)`` and graph to ``(k, G)``."""
    grid, num_nodes = graph.grid, z.shape[1]
    # A decoder of your own may have parameters of each node.
    together = isinstance(decoder, GraphDecoder)
    for start in range(0, grid.num_pairs, _PAIRS_AT_ONCE):
        pairs = grid.pairs(torch.arange(start, min(start + _PAIRS_AT_ONCE, grid.num_pairs)))
        sign = torch.where(link_positions(pairs, graph.links, grid) >= 0, 1.0, -1.0).double()
        own, size = batch[pairs[0]], max(_PAIRS_AT_ONCE // pairs.shape[1], 1) if together else 1
        for rows in torch.arange(len(z)).split(size):
            shift = num_nodes * torch.arange(len(rows))[:, None]
            numbers = (pairs[:, None] + shift).flatten(1).to(z.device)
            logits = decoder.logits(z[rows].flatten(0, 1), numbers).cpu().double()
            log_prob = F.logsigmoid(sign * logits.view(len(rows), -1))
            total[rows[0] : rows[-1] + 1].index_add_(1, own, log_prob)


def _evidence(log_weight: Tensor, graph: Graph, batch: Tensor) -> GraphEvidence:
    """Return the estimates from the logarithms of the weights, shape ``(K, G)``."""
    num_samples, count = log_weight.shape
    log_mean = log_weight.logsumexp(dim=0) - math.log(num_samples)
    if broken := int((~log_mean.isfinite()).sum()):
        got = f"the likelihood of {broken} of {count} graphs is not finite"
        raise NumericalError("LIKELIHOOD_NONFINITE", f"{got}; look for NaN in the weights.")
    weight = (log_weight - log_mean).exp()  # of mean 1
    sizes = torch.bincount(batch, minlength=count)
    pairs = sizes * (sizes - 1) // 2 if count > 1 else torch.tensor([graph.grid.num_pairs])
    return GraphEvidence(
        log_mean,
        weight.std(dim=0) / math.sqrt(num_samples),
        log_weight.mean(dim=0),
        num_samples**2 / weight.square().sum(dim=0),
        pairs,
        num_samples,
    )
