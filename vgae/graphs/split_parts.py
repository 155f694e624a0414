"""Parts of a split by whole graphs, each as a graph and a split of its own."""

from typing import Any

from torch import Tensor

from vgae.graphs.graph import Graph
from vgae.graphs.pairs import LabelledPairs
from vgae.graphs.split import LinkSplit
from vgae.graphs.whole_graphs import TRAIN, VAL


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
