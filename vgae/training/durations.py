"""Predicted time of an epoch, and of a whole training, by what their operations pass over."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch

from vgae.graphs.collection import GraphCollection
from vgae.graphs.graph import Graph
from vgae.kernels import Cost
from vgae.recipes import Recipe
from vgae.runtime.mapped import is_mapped

# Nanoseconds of one thread of a CPU, fitted to 2,708 to 1,000,000 nodes with AVX-512.
# Of an entry of a sparse matrix in each product, with a dense matrix in the cache or a larger one.
_PER_ENTRY, _PER_MISS = 2.0, 10.0
_PER_COLUMN = 0.6  # of an entry and a column of the dense matrix
_PER_LOGIT = 8.0  # of an entry in the sum over the links, beside its columns
_PER_HIDDEN = 45.0  # of an entry, to draw masks and to normalise without the masked links
_PER_PRODUCT = 0.03  # of a multiplication and addition of dense matrices
_PER_WEIGHT = 4.0  # of a weight, for the optimizer
_PER_AVERAGE = 4.0  # of a weight, for an average of weights or for dropout of its rows
_VALIDATED = 0.12  # validation pairs for each link of a split as it is by default
_PER_PAIR = 200.0  # of a pair that is validated, with the sorting of its scores
# Of a number of an activation: temporaries below 32 MB are kept by the allocator, others are
# pages that the system must fill with zeros each time.
_SMALL = 1 << 25
_PER_NUMBER, _PER_LARGE = 5.0, 12.0
_REGULARISED = 2.5  # how many times as many operations norms, dropout and degrees take
_FORWARD = 0.4  # of what an encoder costs in training
_CALLS = 2.5e-3  # seconds of the calls of an epoch
# How many times as fast as one thread a GPU is; the calls are recorded. A guess.
_GPU, _GPU_CALLS = 300.0, 0.5e-3


class Duration(NamedTuple):
    """Predicted seconds of an epoch, on an otherwise idle machine.

    Attributes:
        encoder: Products with the adjacency and the features, and activations; both directions.
        links: Sum over the links.
        pairs: Sum over the pairs, or its estimate.
        weights: Optimizer, and averages of weights.
        validation: A look at the validation links of a split as it is by default, divided by the
            epochs between two.
    """

    encoder: float
    links: float
    pairs: float
    weights: float
    validation: float

    @property
    def epoch(self) -> float:
        """The sum."""
        return sum(self)


def epoch_duration(
    graph: Graph,
    num_train_links: int,
    widths: Sequence[int],
    recipe: Recipe,
    device: torch.device,
    loss: Cost,
    *,
    parts: int = 1,
) -> Duration:
    """Predict the time of an epoch.

    Args:
        graph: Nodes and features.
        num_train_links: Number of links that messages travel on.
        widths: Columns of each layer's output, all heads.
        recipe: Settings.
        device: Device of the training.
        loss: Cost of the sum over the pairs.
        parts: Number of processes that divide everything but the weights.
    """
    nodes, entries = graph.num_nodes, 2 * num_train_links + graph.num_nodes
    ins = [graph.num_features or nodes, *widths]
    weights = sum(rows * columns for rows, columns in pairwise(ins))
    drops = recipe.feature_dropout > 0
    regularised = drops or recipe.dropout > 0 or recipe.latent_norm > 0
    # Dense features are averaged over the neighbours once, where nothing changes them.
    dense = graph.x is not None and graph.x.layout == torch.strided
    changed = drops or recipe.mask > 0 or recipe.degrees
    averaged = dense and not changed and not is_mapped(graph.x)
    forward = sum(_sparse(entries, nodes, width) for width in widths[averaged:])
    forward += sum(nodes * a * b * _PER_PRODUCT for a, b in pairwise(widths))
    backward = forward + sum(nodes * a * b * _PER_PRODUCT for a, b in pairwise(widths))
    if dense:
        both = nodes * ins[0] * widths[0] * _PER_PRODUCT
        forward, backward = forward + both, backward + both
        forward += 2 * nodes * ins[0] * drops
    elif graph.x is not None:
        both = _sparse(graph.x.values().numel(), nodes, widths[0])
        forward, backward = forward + both, backward + both
    numbers = sum(
        nodes * width * (_PER_NUMBER if 4 * nodes * width < _SMALL else _PER_LARGE)
        for width in widths
    ) * (_REGULARISED if regularised else 1)
    passes = weights * (
        _PER_WEIGHT + _PER_AVERAGE * (recipe.average + (graph.x is None and drops))
    )
    masks = entries * _PER_HIDDEN * (recipe.mask > 0)
    links = entries * (_PER_LOGIT + 2 * _PER_COLUMN * recipe.latent_channels)
    look = forward + _FORWARD * numbers + num_train_links * _VALIDATED * _PER_PAIR
    found = (forward + backward + numbers + masks, links, passes * parts, look / recipe.eval_every)
    on_gpu = device.type == "cuda"
    speed = parts * (_GPU if on_gpu else torch.get_num_threads())
    encoder, links, passes, look = (1e-9 * value / speed for value in found)
    calls = _steps(graph, recipe) * (_GPU_CALLS if on_gpu else _CALLS * (1 + regularised))
    return Duration(encoder + calls, links, loss.seconds / parts, passes, look)


def _steps(graph: Graph, recipe: Recipe) -> int:
    """Return the number of steps of an epoch."""
    if not (isinstance(graph, GraphCollection) and recipe.batch_size):
        return 1
    return -(-len(graph.sizes) // recipe.batch_size)


def _sparse(entries: int, rows: int, width: int) -> float:
    """Return the nanoseconds of a product of a sparse matrix and a dense one."""
    entry = _PER_ENTRY if 4 * rows * width < _SMALL else _PER_MISS
    return entries * (entry + _PER_COLUMN * width)


def seconds_text(seconds: float) -> str:
    """Return a duration in words: ``about 12 ms``, ``about 3.4 s``, ``about 25 minutes``."""
    if seconds < 1e-3:
        return "under 1 ms"
    if seconds < 0.1:
        return f"about {1e3 * seconds:.2g} ms"
    if seconds < 100:
        return f"about {seconds:.2g} s"
    minutes = seconds / 60
    if minutes < 100:
        return f"about {minutes:.2g} minutes"
    return f"about {minutes / 60:.2g} hours"
