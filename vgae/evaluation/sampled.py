"""Logits and probabilities of pairs over samples of the posterior, with their intervals."""

import logging
import operator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from scipy.special import logit
from torch import Tensor

from vgae.errors import NumericalError, UsageError
from vgae.evaluation.block_model import fitted_block_model
from vgae.evaluation.calibration import Calibration, fit_calibration
from vgae.evaluation.intervals import LEAST_DEVIATION, LEVELS, Intervals
from vgae.gaussian import PointMass
from vgae.graphs.graph import Graph
from vgae.graphs.grid import Grid
from vgae.graphs.non_links import sample_non_links
from vgae.graphs.split import LabelledPairs, LinkSplit
from vgae.models.embedding import evaluating
from vgae.runtime.streams import stream

if TYPE_CHECKING:
    from vgae.evaluation.links import PairScorer

log = logging.getLogger(__name__)

MOST_FITTED = 200_000
"""Nodes and links of the largest graph whose intervals are fitted without being asked for."""

_PAIRS_AT_ONCE = 2**17
_MOST_SAMPLES = 1_000_000
_LARGEST = 700.0  # logit, of which the sigmoid is not 0 in float64
_FITTED_PAIRS, _FITTED_SAMPLES = 100_000, 100
_GROUPS, _LEAST_IN_GROUP = (0.99, 0.999), 100  # of pairs by their averaged logit


class SampledLogits(NamedTuple):
    """Logits of pairs over samples of the posterior, float64 on the CPU, each of shape ``(P,)``.

    Attributes:
        averaged: Logit of the mean of the sigmoids.
        mean: Mean of the logits.
        deviation: Their standard deviation.
    """

    averaged: Tensor
    mean: Tensor
    deviation: Tensor


class Averaged(NamedTuple):
    """Probabilities averaged over the posterior with their intervals, each of shape ``(P,)``."""

    probability: Tensor
    low: Tensor
    high: Tensor


def sampled_logits(
    scorer: "PairScorer", pairs: Tensor, num_samples: int, seed: int = 0
) -> SampledLogits:
    r"""Return statistics of the logits of pairs over samples :math:`z_k \sim q(z)` of all nodes.

    The memory does not grow with the number of samples: one sample of z and sums over the samples
    are held. A sample is drawn for all nodes, so that a pair gets the same logits whatever the
    other pairs are.

    Args:
        scorer: The model with its posterior.
        pairs: Pairs as the decoder takes them, shape ``(2, P)``.
        num_samples: K, at least 2.
        seed: Seed of the stream ``"evaluation"``, from which the samples are drawn.

    Raises:
        UsageError: ``POSTERIOR`` if the posterior is a point; ``NUM_SAMPLES`` if there are too
            few or too many samples.
        NumericalError: If a logit is not finite.
    """
    q, device = scorer.q, scorer.z.device
    num_samples = check_samples(num_samples)
    if isinstance(q, PointMass):
        raise UsageError(
            "POSTERIOR",
            "the model is a plain auto-encoder without a posterior to sample; leave samples"
            " (--samples) out, or train a variational model such as vgae.",
        )
    generator = stream(seed, "evaluation", q.mu.device)
    p, not_p, mean, squares = torch.zeros(4, pairs.shape[1], dtype=torch.float64)
    starts = range(0, pairs.shape[1], _PAIRS_AT_ONCE)
    chunks = [slice(start, start + _PAIRS_AT_ONCE) for start in starts]
    with evaluating(scorer.model):
        for k in range(num_samples):
            z = q.rsample(generator).to(device)
            for chunk in chunks:
                s = scorer.decoder.logits(z, pairs[:, chunk].to(device)).cpu().double()
                near = s.clamp(-_LARGEST, _LARGEST)
                p[chunk] += near.sigmoid()
                not_p[chunk] += near.neg().sigmoid()
                change = s - mean[chunk]  # Welford's update
                mean[chunk] += change / (k + 1)
                squares[chunk] += change * (s - mean[chunk])
    found = SampledLogits(p.log() - not_p.log(), mean, (squares / (num_samples - 1)).sqrt())
    if not all(bool(values.isfinite().all()) for values in found):
        rule = "the decoder gives logits that are not finite for samples of the posterior."
        raise NumericalError("SCORES_NONFINITE", rule)
    return found


def averaged_probability(
    sampled: SampledLogits, calibration: Calibration, level: float
) -> Averaged:
    """Return calibrated probabilities of sampled logits, with equal-tailed intervals.

    With :attr:`Calibration.intervals`, these are of its line and its quantiles. Without, they are
    those of the raw posterior: the probability of the averaged logit, and those of the mean of the
    logits less and plus a normal quantile times their standard deviation.

    Args:
        sampled: Logits over samples.
        calibration: Map from logits to probabilities.
        level: Probability of the interval, from 0.02 to 0.98.

    Raises:
        UsageError: ``INTERVAL`` if the level is out of range.
    """
    if not 0.02 <= level <= 0.98:
        rule = "interval (--interval) must lie between 0.02 and 0.98"
        raise UsageError("INTERVAL", f"{rule}, got {level}; the default is 0.8.")
    fitted = calibration.intervals
    if fitted is None:
        quantile = float(torch.special.ndtri(torch.tensor((1 + level) / 2).double()))
        half = quantile * sampled.deviation
        found = [
            calibration.probability(values)
            for values in (sampled.averaged, sampled.mean - half, sampled.mean + half)
        ]
        return Averaged(found[0], torch.minimum(*found[:2]), torch.maximum(found[0], found[2]))
    ends = fitted.ends(sampled.averaged, sampled.deviation, level)
    log_odds = fitted.log_odds(sampled.averaged), *ends
    return Averaged(*((x + calibration.log_odds_shift).sigmoid() for x in log_odds))


def has_intervals(graph: Graph) -> bool:
    """Return whether :func:`fit_intervals` can be fitted to a graph: one, undirected."""
    return type(graph.grid) is Grid


def fit_intervals(scorer: "PairScorer", graph: Graph, split: LinkSplit) -> Intervals:
    """Fit credible intervals to the training and validation links of a split.

    The spread of the posterior is that of a bound, not of the probability of a link. So its scale
    is taken from another posterior, of link probabilities which the training links may come from:
    that of :class:`~vgae.evaluation.block_model.BlockModel`. Probabilities are drawn from it for
    pairs that are no training links, and their distance from the log odds of the model, in
    standard deviations of the sampled logits, has the quantiles that are the result. The log odds
    are a line in the averaged logit, fitted to the validation pairs. Test links are not used.

    Args:
        scorer: The model with its posterior, messages over the training links.
        graph: Nodes and features.
        split: Split that the model was trained on.

    Raises:
        UsageError: ``INTERVALS`` if the graph is directed, two-sided or a collection;
            ``POSTERIOR`` if the model has no posterior.
    """
    if not has_intervals(graph):
        raise UsageError(
            "INTERVALS",
            f"intervals can be fitted to one undirected graph, and {graph.name} is"
            f" {graph.grid.name}; leave intervals (--intervals) out: samples have those of the raw"
            " posterior then.",
        )
    unknown = graph.grid.num_pairs - split.train.shape[1]
    held_out = graph.num_links - split.train.shape[1]
    known = torch.cat([split.train, split.val.pos], dim=1)
    count = min(_FITTED_PAIRS, unknown - split.val.pos.shape[1])
    others = sample_non_links(known, graph.grid, count, stream(split.seed, "calibration"))
    pairs = LabelledPairs(split.val.pos, others)
    sampled = sampled_logits(scorer, pairs.edge_label_index, _FITTED_SAMPLES, split.seed)
    options: Any = {"method": "platt", "prior": "density", "density": held_out / unknown}
    line = fit_calibration(sampled.averaged, pairs.edge_label, **options)
    own = SampledLogits(*(values[split.val.pos.shape[1] :] for values in sampled))
    log_odds = (line.slope * own.averaged + line.intercept + line.log_odds_shift).numpy()
    model = fitted_block_model(
        split.train.numpy(), graph.num_nodes, split.val.pos.numpy(), split.seed
    )
    rate = np.exp(np.minimum(model.log_rates(others.numpy()), 20))
    # The odds of a training link, by those of holding a link out: the pair has no training link.
    fraction = held_out / graph.num_links
    drawn = logit(np.minimum(fraction / (1 - fraction) * np.expm1(rate), 1 - 1e-6))
    distance = (drawn - log_odds) / own.deviation.clamp(min=LEAST_DEVIATION).numpy()
    averaged = own.averaged.numpy()
    starts = [float(start) for start in np.quantile(averaged, _GROUPS)]
    starts = sorted({x for x in starts if (averaged >= x).sum() >= _LEAST_IN_GROUP})
    group = np.searchsorted(starts, averaged, "right")
    quantiles = [np.quantile(distance[:, group == g], LEVELS) for g in range(len(starts) + 1)]
    log.info(
        "intervals of 80 %% are %.2f and %.2f standard deviations of the posterior from the mean",
        *quantiles[0][[9, 89]],
    )
    return Intervals(
        line.slope,
        line.intercept,
        tuple(starts),
        tuple(tuple(map(float, values)) for values in quantiles),
        _FITTED_SAMPLES,
    )


def check_samples(num_samples: int) -> int:
    """Return the number of samples of a posterior; raise ``UsageError`` if out of range."""
    number = operator.index(num_samples)
    if not 2 <= number <= _MOST_SAMPLES:
        rule = f"samples must be from 2 to {_MOST_SAMPLES:,}"
        raise UsageError("NUM_SAMPLES", f"{rule}, got {number}.")
    return number
