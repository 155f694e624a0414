"""Scores of settings on links that are held out of the training links, for a search."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from vgae.errors import UsageError
from vgae.evaluation.links import evaluate_links
from vgae.evaluation.metrics import LinkScores
from vgae.graphs.canonical import link_positions
from vgae.graphs.graph import Graph
from vgae.graphs.pairs import LabelledPairs
from vgae.graphs.split import LinkSplit, check_kinds, split_links
from vgae.recipes import Recipe
from vgae.runtime.devices import Compute
from vgae.training.folds import without_details
from vgae.training.links import prepare
from vgae.training.trainer import OnRow

SPLITS = 2
"""Number of inner splits by default."""
FRACTION = 0.1
"""Fraction of the training links that an inner split holds out."""


def training_graph(graph: Graph, split: LinkSplit) -> Graph:
    """Return a graph without validation and test links, with the same nodes and features.

    What is chosen on it has seen none of them, neither as links nor as pairs without one.

    Raises:
        UsageError: ``SEARCH`` if the split is by whole graphs, or of a task other than
            ``"general"``.
    """
    check_kinds(graph, split)
    if split.graph_part is not None or split.task != "general":
        what = "whole graphs" if split.graph_part is not None else f"task {split.task!r}"
        rule = f"a search holds out random links, and this split is by {what}"
        raise UsageError("SEARCH", f"{rule}; split by links.")
    split.audit(graph)
    place = link_positions(split.train, graph.links, graph.grid).sort().values
    return replace(graph, **graph.links_at(place))


def without_test(graph: Graph, split: LinkSplit) -> tuple[Graph, LinkSplit]:
    """Return a graph and its split without test links, for scores on its validation links."""
    none = split.test.pos[:, :0]
    known = torch.cat([split.train, split.val.pos], dim=1)
    place = link_positions(known, graph.links, graph.grid).sort().values
    rest = replace(graph, **graph.links_at(place))
    test = LabelledPairs(none, none)
    return rest, replace(split, test=test, fingerprint=rest.link_fingerprint)


def inner_splits(graph: Graph, number: int = SPLITS, *, seed: int = 0) -> list[LinkSplit]:
    """Return splits of a graph of training links, without test links.

    Args:
        graph: From :func:`training_graph`.
        number: Number of splits, at least 1.
        seed: Seed of the first split; the others have the following ones.

    Raises:
        UsageError: If there is to be none.
    """
    if number < 1:
        raise UsageError("SEARCH", f"splits (--splits) must be at least 1, got {number}.")
    return [split_links(graph, val=FRACTION, test=0, seed=seed + k) for k in range(number)]


def score_recipe(
    graph: Graph,
    splits: Sequence[LinkSplit],
    recipe: Recipe,
    *,
    model: str,
    device: str | Compute = "auto",
    on_row: OnRow | None = None,
) -> list[LinkScores]:
    """Train once on each split; return the scores of its validation links.

    Args:
        graph: Graph of the splits.
        splits: Splits, whose seeds are those of the trainings.
        recipe: Settings.
        model: Name of the model.
        device: As for :func:`vgae.fit`.
        on_row: Likewise.
    """
    found = []
    with without_details():
        for split in splits:
            options: Any = {"model": model, "recipe": recipe, "seed": split.seed, "device": device}
            prepared = prepare(graph, split, **options)
            result = replace(prepared, health=None).train(on_row=on_row, progress=False)
            with torch.no_grad():
                found.append(evaluate_links(result.model, graph, split)["val"])
    return found
