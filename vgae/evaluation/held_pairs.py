"""Validation links and the pairs that are not known as links, to fit a calibration to."""

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from vgae.evaluation.folds import TOP, FoldLinks
from vgae.evaluation.spline import Held
from vgae.evaluation.unlinked import SAMPLED, Unlinked, unlinked
from vgae.graphs.block_grid import BlockGrid
from vgae.graphs.collection import GraphCollection
from vgae.graphs.graph import Graph
from vgae.graphs.non_links import sample_non_links
from vgae.graphs.split import LabelledPairs, LinkSplit
from vgae.runtime.streams import stream

if TYPE_CHECKING:
    from vgae.evaluation.calibration import Prior
    from vgae.evaluation.links import PairScorer


class Population(NamedTuple):
    """Numbers of pairs that proposals are from.

    Attributes:
        unknown: Pairs that carry no messages.
        hidden: Links among them.
    """

    unknown: int
    hidden: int


class HeldPairs(NamedTuple):
    """Arguments of :func:`vgae.evaluation.calibration.fit_calibration`.

    Attributes:
        logits: Logits of validation links and of other pairs, shape ``(P,)``.
        edge_label: 1 for the links, 0 for the others.
        weight: Number of pairs that each stands for.
        held: Held-out links by their ranks among the others.
    """

    logits: Tensor
    edge_label: Tensor
    weight: Tensor
    held: list[Held]


def population(graph: Graph, split: LinkSplit) -> Population:
    """Return the numbers; in a split by whole graphs, those of the validation graphs."""
    messages = split.message_links
    if isinstance(graph, GraphCollection) and split.graph_part is not None:
        unseen = split.graph_part == 1
        known = int(unseen[graph.batch[messages[0]]].sum())
        return Population(BlockGrid(graph.sizes[unseen]).num_pairs - known, split.val.pos.shape[1])
    known = messages.shape[1]
    return Population(graph.grid.num_pairs - known, graph.num_links - known)


def link_fraction(graph: Graph, split: LinkSplit, prior: "Prior") -> float:
    """Return the fraction of links that a prior refers to."""
    if prior == "balanced":
        return 0.5
    if prior == "graph":
        return graph.num_links / graph.grid.num_pairs
    numbers = population(graph, split)
    return numbers.hidden / numbers.unknown


def drawn_pairs(graph: Graph, split: LinkSplit) -> LabelledPairs:
    """Return the validation links, and up to a million pairs that are not known as links."""
    known = torch.cat([split.message_links, split.val.pos], dim=1)
    count = min(SAMPLED, graph.grid.num_pairs - known.shape[1])
    others = sample_non_links(known, graph.grid, count, stream(split.seed, "calibration"))
    if isinstance(graph, GraphCollection) and split.graph_part is not None:
        # New graphs are like those that the model has not seen.
        others = others[:, (split.graph_part == 1)[graph.batch[others[0]]]]
    return LabelledPairs(split.val.pos, others)


def held_pairs(
    scorer: "PairScorer", graph: Graph, split: LinkSplit, folds: FoldLinks | None = None
) -> HeldPairs:
    """Score the validation links beside all pairs that are not known as links."""
    links = scorer.logits(split.val.pos)
    numbers, num_links = population(graph, split), len(links)
    if split.graph_part is None:
        known = torch.cat([split.message_links, split.val.pos], dim=1)
        others = unlinked(scorer, known, graph.grid, stream(split.seed, "calibration"))
    else:
        logits = scorer.logits(drawn_pairs(graph, split).neg).double()
        each = (numbers.unknown - num_links) / max(len(logits), 1)
        others = Unlinked(logits, torch.full_like(logits, each))
    missing = float(numbers.hidden - num_links)
    held = [Held(others.above(links), missing)]
    if folds is not None:
        held.append(Held(folds.above.numpy(), missing, folds.num_folds, TOP))
    logits = torch.cat([links.double(), others.logits])
    label = torch.cat([torch.ones(num_links), torch.zeros(len(others.logits))])
    return HeldPairs(
        logits, label, torch.cat([torch.ones(num_links).double(), others.weight]), held
    )
