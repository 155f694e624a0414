"""Tests of the grid of some of the nodes; tests/graphs/test_grid.py has those of all grids."""

import numpy as np
import torch

from vgae.graphs.grid import DirectedGrid, Grid, TwoSidedGrid
from vgae.graphs.subset_grid import SubsetGrid

MEMBERS = torch.tensor([False, True, True, False, True, True, True])
SIDES = torch.tensor([True, False, True, False, True])  # of the five members


def test_nodes_of_no_relation_are_in_no_pair():
    grid = SubsetGrid(MEMBERS, TwoSidedGrid(SIDES))
    assert grid.nodes.tolist() == [1, 2, 4, 5, 6]  # of the sides 1, 0, 1, 0, 1
    pairs = torch.tensor([[0, 2, 1, 1, 3], [1, 1, 2, 4, 0]])
    assert grid.holds(pairs).tolist() == [False, True, True, False, False]
    assert grid.ordered(pairs).tolist() == [[0, 2, 2, 1, 0], [1, 1, 1, 4, 3]]
    ordered = grid.are_swapped(*pairs.numpy())
    assert ordered.tolist() == grid.are_swapped(*pairs).tolist()
    others = grid.others(torch.tensor([0, 1, 2])).tolist()
    t, f = True, False
    assert others == [[t] * 7, [t, t, f, t, t, f, t], [t, f, t, t, f, t, f]]
    known = grid.known(torch.tensor([[2], [1]])).toarray()
    assert np.array_equal(known, Grid(7).known(torch.tensor([[2], [1]])).toarray())
    links = torch.tensor([[1, 2], [2, 1]])
    directed = SubsetGrid(MEMBERS, DirectedGrid(5))
    assert len(set(directed.groups(links).tolist())) == 1
    assert directed.message_edges(links).tolist() == links.tolist()
    assert SubsetGrid(MEMBERS, Grid(5)).message_edges(links[:, :1]).tolist() == links.tolist()
    known = directed.known(links[:, :1], reverse=True).toarray()
    assert np.array_equal(known, DirectedGrid(7).known(links[:, 1:]).toarray())
