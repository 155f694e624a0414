"""Scores of training links by models that are trained without them."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from vgae.errors import DataError, UsageError
from vgae.evaluation.folds import FoldLinks
from vgae.evaluation.links import PairScorer
from vgae.evaluation.unlinked import unlinked
from vgae.graphs.canonical import link_positions
from vgae.graphs.graph import Graph
from vgae.graphs.pairs import LabelledPairs
from vgae.graphs.split import LinkSplit, check_kinds
from vgae.models.registry import AUTO
from vgae.recipes import Recipe
from vgae.runtime.devices import Compute
from vgae.runtime.progress import showing
from vgae.runtime.streams import stream
from vgae.training.links import prepare

PARTS = 5
"""Number of parts of the training links."""
FOLDS = 2
"""Number of these that are held out by default, one after the other."""


class Fold(NamedTuple):
    """A graph without one part of the training links, and without test links.

    Attributes:
        graph: The graph.
        split: Its split, with the validation links of the whole graph.
        held: The links of the part, shape ``(2, P)``.
    """

    graph: Graph
    split: LinkSplit
    held: Tensor


def cross_fit(
    graph: Graph,
    split: LinkSplit,
    *,
    folds: int = FOLDS,
    model: str = AUTO,
    recipe: Recipe | None = None,
    seed: int = 0,
    device: str | Compute = "auto",
    progress: bool | None = None,
) -> FoldLinks:
    """Train models without a fifth of the training links each, and rank it among all pairs.

    The result is for :func:`vgae.calibrate`: the training links of two folds are seven times as
    many as the validation links, as splits are by default. Test links are not used.

    Args:
        graph: Nodes and features.
        split: Split whose training links are divided.
        folds: Number of fifths, 1 to 5; each takes about as long as the training itself.
        model: Name of the model, as for :func:`vgae.fit`.
        recipe: Settings of the training; by default those of :func:`vgae.fit`.
        seed: Seed of the training.
        device: As for :func:`vgae.fit`.
        progress: Whether to show the number of folds done on stderr.

    Raises:
        UsageError: ``FOLDS`` if the number is out of range, the model has no name, or the split is
            by whole graphs or of a task other than ``"general"``.
        DataError: ``TOO_FEW_PAIRS`` if there are fewer than 10 training links.
    """
    check_kinds(graph, split)
    if not isinstance(model, str):
        rule = "folds are trained with a new model each, so model must be the name of one"
        raise UsageError("FOLDS", f"{rule}, got {type(model).__name__}.")
    options: Any = {"model": model, "recipe": recipe, "seed": seed, "device": device}
    above = []
    with without_details(), showing(folds, "folds", wanted=progress) as show:
        for number, fold in enumerate(folds_of(graph, split, folds)):
            prepared = prepare(fold.graph, fold.split, **options)
            found = replace(prepared, health=None).train(progress=False)
            scorer = PairScorer(found, fold.graph, fold.split.message_edge_index)
            known = torch.cat([fold.split.train, split.val.pos, fold.held], dim=1)
            generator = stream(split.seed, "calibration")
            others = unlinked(scorer, known, split.grid, generator)
            above.append(others.above(scorer.logits(fold.held)))
            show(number + 1)
    return FoldLinks(torch.from_numpy(np.concatenate(above)), folds)


@contextmanager
def without_details() -> Iterator[None]:
    """Log no details of trainings that are as the one before."""
    logger = logging.getLogger("vgae.training")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)


def folds_of(graph: Graph, split: LinkSplit, folds: int) -> Iterator[Fold]:
    """Yield so many folds; both directions of a reciprocal link are in one part."""
    check_folds(split, folds)
    group = split.grid.groups(split.train)
    num_groups = int(group.max()) + 1
    part = torch.randperm(num_groups, generator=stream(split.seed, "folds")) % PARTS
    empty = torch.empty(2, 0, dtype=torch.int64)
    nothing = LabelledPairs(empty, empty)
    for number in range(folds):
        is_held = part[group] == number
        train = split.train[:, ~is_held]
        known = torch.cat([train, split.val.pos], dim=1)
        place = link_positions(known, graph.links, graph.grid).sort().values
        rest = replace(graph, **graph.links_at(place))
        own = replace(split, train=train, test=nothing, fingerprint=rest.link_fingerprint)
        yield Fold(rest, own, split.train[:, is_held])


def check_folds(split: LinkSplit, folds: int) -> None:
    """Raise an error unless the training links of a split can be divided."""
    if not 1 <= folds <= PARTS:
        raise UsageError("FOLDS", f"folds (--folds) must be from 1 to {PARTS}, got {folds}.")
    if split.graph_part is not None or split.task != "general":
        what = "whole graphs" if split.graph_part is not None else f"task {split.task!r}"
        rule = f"folds (--folds) are random links, and this split is by {what}"
        raise UsageError("FOLDS", f"{rule}; calibrate it on validation links alone.")
    if (number := split.train.shape[1]) < 2 * PARTS:
        rule = f"folds need at least {2 * PARTS} training links, got {number}"
        raise DataError("TOO_FEW_PAIRS", f"{rule}; calibrate on validation links alone.")
