"""Calibration of the intervals of weights of links, after a training."""

import logging

import torch
from torch import Tensor

from vgae.decoders.joint import JointDecoder
from vgae.decoders.weights import WeightDecoder, withheld
from vgae.evaluation.link_values import unseen_posteriors
from vgae.graphs.graph import Graph
from vgae.graphs.split import LinkSplit
from vgae.models.embedding import embed, evaluating
from vgae.training.trainer import FitResult
from vgae.vae import VAE, Posterior

log = logging.getLogger(__name__)

_FEWEST = 10  # links


def calibrate_intervals(model: VAE, graph: Graph, split: LinkSplit) -> None:
    """Set the levels of the intervals of weights, if the model has such a target.

    They are set by links whose weights were no targets: validation links, under messages over the
    training links; and withheld training links, a hundredth of the training links at a time, under
    messages over the others, and once more under all messages, which validation links count twice
    for: a link of the training is harder than a new one to predict without its message, and easier
    with it. Test links are not used.

    Args:
        model: The trained model, changed in place.
        graph: Graph of the training.
        split: Its split.
    """
    decoder = model.decoder
    part = decoder.parts["weights"] if _has_weights(decoder) else None  # pyright: ignore
    if not isinstance(part, WeightDecoder):
        return
    own = split.train[:, withheld(split, part.num_withheld)]
    edges = split.message_edge_index
    with evaluating(model):
        whole = embed(model, graph, edges)
        needed = [*[_needed(part, graph, whole, split.val.pos)] * 2]
        needed.append(_needed(part, graph, whole, own))
        for places, q in unseen_posteriors(model, graph, edges, own):
            needed.append(_needed(part, graph, q, own[:, places]))
    needed = torch.cat(needed)
    if len(needed) < 2 * _FEWEST:
        log.warning(
            "%d links are too few to calibrate the intervals of weights: they may hold more or"
            " less than they state; give more validation links (val, --val)",
            len(needed) // 2,
        )
        return
    part.calibrate(needed)
    log.info(
        "intervals of weights calibrated on %d validation links and %d withheld training links: at"
        " 80 %%, the level of the model is %.0f %%",
        *(split.val.pos.shape[1], own.shape[1], 100 * part.own_level(0.8)),
    )


def finish(result: FitResult, graph: Graph, split: LinkSplit) -> None:
    """Calibrate the intervals of the model of a result, and store that with its weights too."""
    calibrate_intervals(result.model, graph, split)
    levels = {k: v for k, v in result.model.state_dict().items() if k.endswith(".weights.levels")}
    for weights in (result.best, result.last):
        weights.update({name: value.clone() for name, value in levels.items()})


def _has_weights(decoder: object) -> bool:
    return isinstance(decoder, JointDecoder) and "weights" in decoder.parts


def _needed(part: WeightDecoder, graph: Graph, q: Posterior, links: Tensor) -> Tensor:
    """Return the levels that links need under a posterior."""
    value = part.values(graph, links)
    if value is None or not len(value):
        return torch.zeros(0, dtype=torch.float64)
    return part.needed_levels(q, links, value)
