"""Scores of the predicted weights and signs of held-out links."""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor

from vgae.decoders.joint import JointDecoder, PartDecoder
from vgae.decoders.weight_likelihoods import LogNormal
from vgae.decoders.weights import SignDecoder, WeightDecoder
from vgae.evaluation.metrics import auc_and_ap
from vgae.graphs.canonical import link_positions
from vgae.graphs.graph import Graph
from vgae.models.embedding import embed
from vgae.vae import VAE, Posterior

if TYPE_CHECKING:
    from vgae.evaluation.links import PairScorer

_AT_ONCE = 0.01  # share of the message edges that are hidden at a time

LEVELS = (0.5, 0.8, 0.95)
"""Levels of the intervals whose coverage is counted."""


@dataclass(frozen=True)
class WeightScores:
    """Scores of the weights of links.

    Attributes:
        likelihood: Distribution of the weights, as in the recipe.
        log_scale: Whether errors are those of the logarithms, as for a log-normal one.
        rmse: Root of the mean squared error of the expected weight.
        mae: Mean absolute error.
        rmse_of_mean: The ``rmse`` of the mean of the training links for all links.
        log_likelihood: Mean log-density of a weight, averaged over samples of the posterior, in
            nats.
        coverage: Fraction of the weights in the interval of each level, by the level in per cent.
        num_links: Number of links.
    """

    likelihood: str
    log_scale: bool
    rmse: float
    mae: float
    rmse_of_mean: float
    log_likelihood: float
    coverage: dict[str, float]
    num_links: int


@dataclass(frozen=True)
class SignScores:
    """Scores of the signs of links.

    Attributes:
        auc: Area under the ROC curve of the probability of +; ``None`` if all have one sign.
        accuracy: Fraction of the links on the right side of one half.
        accuracy_of_most: The ``accuracy`` of the more frequent sign for all links.
        log_likelihood: Mean log-probability of a sign, in nats.
        num_links: Number of links.
        num_negative: Number of those of sign -1.
    """

    auc: float | None
    accuracy: float
    accuracy_of_most: float
    log_likelihood: float
    num_links: int
    num_negative: int


@dataclass(frozen=True)
class ValueScores:
    """Scores of the weights and of the signs of links, ``None`` if they are no target."""

    weights: WeightScores | None = None
    signs: SignScores | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON, of those that there are."""
        return {name: found for name, found in asdict(self).items() if found is not None}


def part_of(model: VAE, name: str) -> PartDecoder | None:
    """Return the decoder of a further target of a model; ``None`` if it has none."""
    decoder = model.decoder
    has = isinstance(decoder, JointDecoder) and name in decoder.parts
    return cast(PartDecoder, decoder.parts[name]) if has else None  # pyright: ignore


def unseen_posteriors(
    model: VAE, graph: Graph, edges: Tensor, pairs: Tensor
) -> Iterator[tuple[Tensor, Posterior]]:
    """Yield indices of pairs, and a posterior whose messages do not travel on these pairs.

    A hundredth of the messages is hidden at a time; pairs without messages are no part of it.

    Args:
        model: The trained model.
        graph: Its graph, or one for which it was made.
        edges: Edges that messages travel on, shape ``(2, E)``.
        pairs: Pairs, shape ``(2, P)``.
    """
    grid = graph.grid
    u, v = grid.ordered(pairs)
    code, number = torch.unique(u * grid.num_nodes + v, return_inverse=True)
    stored = torch.stack([code // grid.num_nodes, code % grid.num_nodes])
    place = link_positions(edges, stored, grid)
    num_edges = torch.bincount(place[place >= 0], minlength=len(code))
    folds = math.ceil(int(num_edges.sum()) / max(_AT_ONCE * edges.shape[1], 1))
    for part in (num_edges > 0).nonzero()[:, 0].chunk(max(folds, 1)):
        if len(part):
            others = edges[:, link_positions(edges, stored[:, part], grid) < 0]
            yield torch.isin(number, part).nonzero()[:, 0], embed(model, graph, others)


def value_scores(scorer: "PairScorer", graph: Graph, links: Tensor) -> ValueScores:
    """Score the weights and signs of links under a model that has such targets.

    Args:
        scorer: The model with the posterior of the nodes.
        graph: Graph with the weights and signs.
        links: Held-out links, shape ``(2, P)``.
    """
    weights, signs = part_of(scorer.model, "weights"), part_of(scorer.model, "signs")
    own = weight_scores(weights, scorer, graph, links) if weights is not None else None
    return ValueScores(own, None if signs is None else sign_scores(signs, scorer, graph, links))


def weight_scores(
    decoder: Any, scorer: "PairScorer", graph: Graph, links: Tensor
) -> WeightScores | None:
    """Return the scores of weights; ``None`` if the graph has none."""
    part, value = cast(WeightDecoder, decoder), WeightDecoder.values(graph, links)
    if value is None:
        return None
    distribution, value = part.distribution, value.double()
    found = part.predicted(scorer.q, links)
    is_log = isinstance(distribution, LogNormal)
    none = torch.zeros(1, 1, distribution.heads, device=part.loc.device)
    mean = distribution.predicted(none)
    if is_log:
        target, center, of_mean = value.log(), found.center, mean.center
    else:
        target, center, of_mean = value, *map(distribution.expected, (found, mean))
    error = target - center.cpu()
    coverage = {}
    for level in LEVELS:
        low, high = (end.cpu() for end in part.interval(found, level))
        coverage[f"{100 * level:g}"] = float(((value >= low) & (value <= high)).double().mean())
    return WeightScores(
        likelihood=part.likelihood,
        log_scale=is_log,
        rmse=float((error**2).mean().sqrt()),
        mae=float(error.abs().mean()),
        rmse_of_mean=float(((target - of_mean.cpu()) ** 2).mean().sqrt()),
        log_likelihood=float(part.log_density(scorer.q, links, value.float()).mean()),
        coverage=coverage,
        num_links=len(value),
    )


def sign_scores(
    decoder: Any, scorer: "PairScorer", graph: Graph, links: Tensor
) -> SignScores | None:
    """Return the scores of signs; ``None`` if the graph has none."""
    part, value = cast(SignDecoder, decoder), SignDecoder.values(graph, links)
    if value is None:
        return None
    positive = value > 0
    probability = part.probability(scorer.q, links).cpu()
    right = torch.where(positive, probability, 1 - probability)
    share = float(positive.double().mean())
    both = 0 < share < 1
    return SignScores(
        auc=float(auc_and_ap(probability, positive.long())[0]) if both else None,
        accuracy=float((right > 0.5).double().mean()),
        accuracy_of_most=max(share, 1 - share),
        log_likelihood=float(right.clamp_min(1e-300).log().mean()),
        num_links=len(value),
        num_negative=int((~positive).sum()),
    )
