"""Training on a collection of graphs: its training graphs alone, some of them per step."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from vgae.graphs.canonical import link_positions
from vgae.graphs.collection import GraphCollection
from vgae.graphs.graph import Graph
from vgae.graphs.pairs import LabelledPairs
from vgae.graphs.split import LinkSplit
from vgae.graphs.whole_graphs import TRAIN, VAL

Step = tuple[Sequence[Any], Any]
Prepare = Callable[[GraphCollection, LinkSplit], Sequence[Step]]


class GraphBatches:
    """Batches of graphs, in a new order in each epoch.

    Args:
        graphs: Training graphs.
        split: Split of their links.
        batch_size: Graphs per step; the last batch may have fewer. One without training links is
            joined to another.
        prepare: Returns inputs and target of the step on a collection of some graphs, all of whose
            links are training links, and the split that says so.
        generator: Source of the order.
    """

    def __init__(
        self,
        graphs: GraphCollection,
        split: LinkSplit,
        batch_size: int,
        prepare: Prepare,
        generator: torch.Generator,
    ) -> None:
        trained = graphs.links_at(link_positions(split.train, graphs.links, graphs.grid))
        self.graphs = replace(graphs, **trained, node_ids=None)  # names would only take time
        self.batch_size, self.prepare, self.generator = batch_size, prepare, generator
        self.num_links, self.seed = self.graphs.link_ptr.diff(), split.seed

    def __call__(self, inputs: Sequence[Any], target: Any) -> list[Step]:  # noqa: ARG002
        """Return inputs and target of each step of an epoch; the arguments are not used."""
        device = self.generator.device
        order = torch.randperm(len(self.num_links), generator=self.generator, device=device).cpu()
        ends = self.num_links[order].cumsum(0)[self.batch_size - 1 :: self.batch_size]
        # The ends of batches after which there is nothing more, or there was nothing new.
        is_end = (ends < self.num_links.sum()) & (ends.diff(prepend=ends.new_zeros(1)) > 0)
        places = is_end.nonzero()[:, 0] * self.batch_size + self.batch_size
        steps: list[Step] = []
        for numbers in order.tensor_split(places.tolist()):
            some = self.graphs.select(numbers)
            steps += self.prepare(some, whole_split(some, self.seed))
        return steps


def whole_split(graph: Graph, seed: int) -> LinkSplit:
    """Return the split in which all links are training links."""
    none = LabelledPairs(graph.links[:, :0], graph.links[:, :0])
    made_from = graph.link_fingerprint
    return LinkSplit(graph.num_nodes, graph.links, none, none, made_from, seed, graph.grid)


def training_part(graph: Graph, split: LinkSplit) -> tuple[Graph, LinkSplit]:
    """Return what a training sees: by whole graphs the training graphs, else all that is given."""
    return (graph, split) if split.graph_part is None else _part(graph, split, TRAIN)


def validation_part(graph: Graph, split: LinkSplit) -> tuple[Graph, LinkSplit]:
    """Return graph and split with the validation pairs and the messages for them.

    By whole graphs it has the validation graphs with their context links as training links.
    """
    return (graph, split) if split.graph_part is None else _part(graph, split, VAL)


def _part(graph: Any, split: LinkSplit, part: int) -> tuple[Graph, LinkSplit]:
    """Return the graphs of one part, and their split, whose training links carry messages."""
    assert split.graph_part is not None
    chosen = split.graph_part == part
    nodes = chosen[graph.batch]
    place = nodes.long().cumsum(0) - 1

    def own(pairs: Tensor) -> Tensor:
        return place[pairs[:, nodes[pairs[0]]]]

    some = graph.select(chosen)
    val = split.val._replace(pos=own(split.val.pos), neg=own(split.val.neg))
    test = LabelledPairs(val.pos[:, :0], val.pos[:, :0])
    train, made_from = own(split.message_links), some.link_fingerprint
    val = val if part == VAL else test
    return some, LinkSplit(some.num_nodes, train, val, test, made_from, split.seed, some.grid)
