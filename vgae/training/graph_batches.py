"""Batches of the graphs of a collection, as the steps of a training."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch

from vgae.graphs.canonical import link_positions
from vgae.graphs.collection import GraphCollection
from vgae.graphs.split import LinkSplit
from vgae.graphs.split_parts import whole_split

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
