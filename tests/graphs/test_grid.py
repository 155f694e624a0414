"""Tests of the grids: the pairs that may be links, their order and numbers."""

import itertools

import numpy as np
import pytest
import torch

from vgae.graphs.block_grid import BlockGrid
from vgae.graphs.grid import DirectedGrid, Grid, TwoSidedGrid, grid_from
from vgae.graphs.non_links import sample_non_links
from vgae.graphs.subset_grid import SubsetGrid

SIDES = torch.tensor([True, False, True, False, True, False, True])
MEMBERS = torch.tensor([False, True, True, False, True, True, True])
GRIDS = {
    "undirected": Grid(7),
    "directed": DirectedGrid(7),
    "two-sided": TwoSidedGrid(SIDES),
    "one node": Grid(1),
    "one node, directed": DirectedGrid(1),
    "one side": TwoSidedGrid(torch.zeros(4, dtype=torch.bool)),
    "some nodes": SubsetGrid(MEMBERS, Grid(5)),
    "some nodes, directed": SubsetGrid(MEMBERS, DirectedGrid(5)),
    "some nodes, two-sided": SubsetGrid(MEMBERS, TwoSidedGrid(SIDES[:5])),
    "many graphs": BlockGrid(torch.tensor([3, 1, 0, 4, 1])),
    "no nodes": SubsetGrid(torch.zeros(3, dtype=torch.bool), Grid(0)),
}


def every_pair(grid: Grid) -> list[tuple[int, int]]:
    n = grid.num_nodes
    if isinstance(grid, BlockGrid):
        graphs = itertools.pairwise(grid.ptr.tolist())
        return [p for a, b in graphs for p in itertools.combinations(range(a, b), 2)]
    if isinstance(grid, SubsetGrid):
        nodes = grid.members.nonzero()[:, 0].tolist()
        return [(nodes[u], nodes[v]) for u, v in every_pair(grid.inner)]
    if grid.directed:
        return list(itertools.permutations(range(n), 2))
    if grid.sides is None:
        return list(itertools.combinations(range(n), 2))
    side = grid.sides.tolist()
    return [(u, v) for u in range(n) for v in range(n) if not side[u] and side[v]]


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
def test_numbers_and_pairs_are_inverse_and_complete(grid):
    pairs = grid.pairs(torch.arange(grid.num_pairs))
    assert sorted(map(tuple, pairs.T.tolist())) == sorted(every_pair(grid))
    assert grid.numbers(pairs).tolist() == list(range(grid.num_pairs))
    assert bool(grid.holds(pairs).all())
    assert torch.equal(grid.ordered(pairs), pairs)


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
def test_a_pair_has_one_order_unless_it_is_directed(grid):
    pairs = grid.pairs(torch.arange(grid.num_pairs))
    turned = grid.ordered(pairs.flip(0))
    assert torch.equal(turned, pairs.flip(0) if grid.directed else pairs)


def test_pairs_within_a_side_and_self_pairs_are_not_of_the_grid():
    grid = TwoSidedGrid(SIDES)
    pairs = torch.tensor([[0, 1, 0, 3], [2, 3, 1, 3]])
    assert grid.holds(pairs).tolist() == [False, False, True, False]
    assert grid.ordered(pairs).tolist() == [[0, 1, 1, 3], [2, 3, 0, 3]]
    assert DirectedGrid(7).holds(pairs).tolist() == [True, True, True, False]
    assert grid.others(torch.tensor([0, 1])).tolist() == [SIDES.tolist(), (~SIDES).tolist()]


@pytest.mark.parametrize("name", [name for name in GRIDS if not name.startswith(("one", "no "))])
def test_non_links_are_all_other_pairs(name):
    grid = GRIDS[name]
    links = grid.pairs(torch.arange(0, grid.num_pairs, 3))
    drawn = sample_non_links(
        links, grid, grid.num_pairs - links.shape[1], torch.Generator().manual_seed(0)
    )
    found = {*map(tuple, links.T.tolist()), *map(tuple, drawn.T.tolist())}
    assert found == {*every_pair(grid)}


def test_what_is_known_of_a_directed_graph_has_a_direction():
    links = torch.tensor([[0, 1], [1, 2]])
    out = DirectedGrid(3).known(links).toarray()
    assert out.tolist() == [[1, 1, 0], [0, 1, 1], [0, 0, 1]]
    assert np.array_equal(DirectedGrid(3).known(links, reverse=True).toarray(), out.T)
    assert np.array_equal(Grid(3).known(links).toarray(), np.maximum(out, out.T))


def test_the_directions_of_a_link_are_one_group():
    links = torch.tensor([[0, 1, 2], [1, 0, 0]])
    group = DirectedGrid(3).groups(links).tolist()
    assert group[0] == group[1] != group[2]
    assert Grid(3).groups(links).tolist() == [0, 1, 2]


def test_messages_travel_both_ways_unless_the_graph_is_directed():
    links = torch.tensor([[0, 1], [1, 2]])
    assert DirectedGrid(3).message_edges(links).tolist() == [[0, 1], [1, 2]]
    assert Grid(3).message_edges(links).tolist() == [[0, 1, 1, 2], [1, 0, 2, 1]]


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
def test_a_grid_is_rebuilt_from_its_arrays(grid):
    assert grid_from(grid.num_nodes, grid.arrays()) == grid
    links = grid.pairs(torch.arange(min(grid.num_pairs, 2)))
    others = [other for other in GRIDS.values() if other != grid]
    assert all(other.digest(links) != grid.digest(links) for other in others)


@pytest.mark.parametrize(
    "arrays",
    [
        {"grid": "round"},
        {"grid": "two-sided", "sides": [True]},
        {"grid": "two-sided", "sides": [1] * 7},
        {"grid": "subset", "members": [True], "inner": "undirected"},
        {"grid": "subset", "members": [True] * 7, "inner": "subset"},
        {"grid": "subset", "members": [True] * 7, "inner": "two-sided", "sides": [True]},
    ],
)
def test_arrays_of_no_grid_are_refused(arrays):
    with pytest.raises(ValueError, match=r"must be 7 booleans|no grid 'round'|no subset"):
        grid_from(7, arrays)
