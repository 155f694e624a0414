"""Tests of splits as data of PyG: one graph; collections are in ``test_whole_graphs.py``."""

import torch

from vgae.graphs.graph import Graph
from vgae.graphs.split import LinkSplit, split_links


def test_a_split_comes_back_from_its_data():
    nodes = torch.arange(12)
    graph = Graph.from_edges(torch.stack([nodes, (nodes + 1) % 12]), x=torch.eye(12))
    split = split_links(graph, val=0.2, test=0.2)
    data = split.to_pyg(graph)
    again = LinkSplit.from_pyg(*data, graph=graph, seed=split.seed)
    assert again.train_digest == split.train_digest
    assert torch.equal(again.test.pos.unique(dim=1), split.test.pos.unique(dim=1))
    assert all(torch.equal(part.edge_index, split.message_edge_index) for part in data)
