"""Link splits as the three ``Data`` of PyG, and back."""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from vgae.graphs.canonical import link_positions
from vgae.graphs.defaults import Task
from vgae.graphs.graph import Graph
from vgae.graphs.interop import split_pairs
from vgae.graphs.pairs import LabelledPairs, checked_pairs

if TYPE_CHECKING:
    from torch_geometric.data import Data

    from vgae.graphs.split import LinkSplit

log = logging.getLogger(__name__)


def from_data(
    kind: "type[LinkSplit]", data: "Sequence[Data]", graph: Graph | None, *, seed: int, task: Task
) -> "LinkSplit":
    """Make a split; see :meth:`vgae.LinkSplit.from_pyg`."""
    train, val, test = data
    given = split_pairs(train, val, test, directed=graph is not None and graph.directed)
    if graph is None:
        every = torch.cat([given[name].cpu() for name in ("train", "val", "test")], dim=1)
        graph = Graph.from_edges(every, num_nodes=train.num_nodes)
    given["train"] = graph.grid.ordered(given["train"].cpu()).unique(dim=1)
    split = kind.from_pairs(graph, **given, seed=seed, task=task)
    messages = checked_pairs(test.edge_index, "test.edge_index", graph.grid)
    more = messages[:, link_positions(messages, split.train, graph.grid) < 0]
    if more.shape[1]:
        log.info(
            "split: the test graph of PyG has %s links that are no training links; messages do not"
            " travel on them unless evaluated with messages='train+val'",
            f"{more.unique(dim=1).shape[1]:,}",
        )
    return split


def to_data(split: "LinkSplit", graph: Graph) -> "tuple[Data, Data, Data]":
    """Return train, val and test; see :meth:`vgae.LinkSplit.to_pyg`."""
    from torch_geometric.data import Data

    parts = (LabelledPairs(split.train, split.train.new_empty(2, 0)), split.val, split.test)
    edges = (split.train_edge_index, split.message_edge_index, split.message_edge_index)
    given: dict[str, Any] = {"x": graph.dense_x, "y": graph.y, "num_nodes": split.num_nodes}
    found = []
    for part, edge_index in zip(parts, edges, strict=True):
        weight = graph.values_of(edge_index)
        own = {} if weight is None else {"edge_weight": weight}
        own |= {"edge_label_index": part.edge_label_index, "edge_label": part.edge_label}
        found.append(Data(**given, edge_index=edge_index, **own))
    train, val, test = found
    return train, val, test
