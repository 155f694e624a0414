"""Tests of the grid of many graphs; what all grids have in common is in ``test_grid.py``."""

import numpy as np
import pytest
import torch

from vgae.graphs.block_grid import BlockGrid
from vgae.graphs.grid import grid_from

GRID = BlockGrid(torch.tensor([3, 0, 2, 1]))


def test_pairs_of_two_graphs_are_not_of_the_grid():
    pairs = torch.tensor([[0, 2, 3, 4, 5], [2, 3, 4, 5, 5]])
    assert GRID.holds(pairs).tolist() == [True, False, True, False, False]
    assert GRID.batch.tolist() == [0, 0, 0, 2, 2, 3]
    assert GRID.num_pairs == 4
    assert GRID.num_terms == 14
    others = GRID.others(torch.tensor([3, 5]))
    assert others.tolist() == [[True, True, True, False, False, True], [True] * 5 + [False]]


def test_the_sizes_are_part_of_the_identity():
    other, links = BlockGrid(torch.tensor([2, 1, 2, 1])), torch.tensor([[0], [1]])
    assert other != GRID
    assert other.digest(links) != GRID.digest(links)
    assert grid_from(6, GRID.arrays()) == GRID


@pytest.mark.parametrize("sizes", [[3, 2], [7, -1], [[6]], [6.0]])
def test_sizes_that_do_not_fit_are_refused(sizes):
    with pytest.raises(ValueError, match="sizes"):
        grid_from(6, {"grid": "blocks", "sizes": np.array(sizes)})
