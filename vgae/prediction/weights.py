"""Predicted weights and signs of pairs, if they were linked, as columns of a table of links."""

import math
from collections.abc import Mapping
from typing import Any, cast

from torch import Tensor

from vgae.decoders.weights import SignDecoder, WeightDecoder
from vgae.errors import UsageError
from vgae.evaluation.link_values import part_of, unseen_posteriors
from vgae.evaluation.links import PairScorer
from vgae.vae import Posterior


def checked_level(interval: Any) -> float:
    """Return the level of an interval; raise ``UsageError`` unless it is between 0 and 1."""
    good = isinstance(interval, int | float) and math.isfinite(interval) and 0 < interval < 1
    if not good:
        raise UsageError(
            "INTERVAL",
            f"interval (--interval) must be between 0 and 1, such as 0.8, got {interval!r:.60}.",
        )
    return float(interval)


def value_columns(scorer: PairScorer, pairs: Tensor) -> Mapping[str, Tensor]:
    """Return what a model says of the weights and signs of pairs, given that they are links.

    Pairs on which messages travel are predicted without these messages, as their weight is no
    news to the model otherwise, and their interval too wide.

    Args:
        scorer: The model with the posterior of the nodes; its ``interval`` is the level.
        pairs: Pairs as the decoder takes them, shape ``(2, P)``.

    Returns:
        ``expected_weight``, ``weight_low`` and ``weight_high``, the ends of the interval, if
        weights were a target of the training; ``positive``, the probability of the sign +, if
        signs were; float64, shape ``(P,)``.
    """
    found = _columns(scorer, scorer.q, pairs)
    if not found:
        return found
    graph, edges = scorer.graph, scorer.edge_index
    edges = graph.edge_index if edges is None else edges
    for places, q in unseen_posteriors(scorer.model, graph, edges, pairs):
        for name, values in _columns(scorer, q, pairs[:, places]).items():
            found[name][places] = values
    return found


def _columns(scorer: PairScorer, q: Posterior, pairs: Tensor) -> dict[str, Tensor]:
    """Return the columns of :func:`value_columns` under a posterior."""
    found: dict[str, Tensor] = {}
    weights, signs = part_of(scorer.model, "weights"), part_of(scorer.model, "signs")
    if weights is not None and not pairs.shape[1]:
        names = ("expected_weight", "weight_low", "weight_high")
        found |= {name: pairs.new_zeros(0).double() for name in names}
    elif weights is not None:
        part = cast(WeightDecoder, weights)
        predicted = part.predicted(q, pairs)
        low, high = part.interval(predicted, scorer.interval)
        found["expected_weight"] = part.distribution.expected(predicted).cpu()
        found |= {"weight_low": low.cpu(), "weight_high": high.cpu()}
    if signs is not None:
        found["positive"] = cast(SignDecoder, signs).probability(q, pairs).cpu()
    return found
