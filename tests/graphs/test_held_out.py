"""Tests of the choice of held-out links: those of a directed graph."""

import torch

from vgae.graphs.graph import Graph
from vgae.graphs.held_out import held_out


def test_both_directions_of_a_reciprocal_link_are_in_one_part():
    generator = torch.Generator().manual_seed(0)
    pairs = torch.combinations(torch.arange(12)).T
    back = pairs[:, ::2].flip(0)
    graph = Graph.from_edges(torch.cat([pairs, back], dim=1), num_nodes=12, directed="keep")
    for _ in range(20):
        parts = held_out(graph, 0.1, 0.2, generator)
        test, val, train = (
            {tuple(link) for link in graph.links[:, part].T.tolist()} for part in parts
        )
        assert len(test) + len(val) + len(train) == graph.num_links == 99
        assert len(test) in (19, 20)
        assert len(val) in (9, 10)
        for part, others in ((test, val | train), (val, test | train)):
            assert not {(v, u) for u, v in part} & others
