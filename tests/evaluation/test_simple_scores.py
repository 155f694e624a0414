"""Degrees and paths on each grid, against powers of the adjacency matrix."""

import pytest
import torch

from vgae.evaluation.simple_scores import SimpleScores, path_name
from vgae.graphs.grid import DirectedGrid, Grid, TwoSidedGrid


def case(kind, generator):
    n = 24
    sides = torch.rand(n, generator=generator) < 0.5
    grid = {"none": Grid(n), "directed": DirectedGrid(n), "two": TwoSidedGrid(sides)}[kind]
    links = grid.pairs(torch.randperm(grid.num_pairs, generator=generator)[:60])
    dense = torch.zeros(n, n, dtype=torch.float64)
    dense[links[0], links[1]] = 1
    if kind != "directed":
        dense = dense + dense.T
    return grid, links, dense


@pytest.mark.parametrize("kind", ["none", "directed", "two"])
def test_degrees_and_paths_are_sums_of_the_matrix(kind, generator, monkeypatch):
    monkeypatch.setattr("vgae.evaluation.simple_scores._BLOCK", 50)
    monkeypatch.setattr("vgae.evaluation.simple_scores._NEIGHBOURS", 40)
    grid, links, dense = case(kind, generator)
    pairs = grid.pairs(torch.arange(0, grid.num_pairs, 3))
    u, v = pairs
    simple = SimpleScores(links, grid)
    assert torch.equal(simple.degree_products(pairs), dense.sum(1)[u] * dense.sum(0)[v])
    two, three = dense @ dense, dense @ dense @ dense
    assert torch.equal(simple.paths(pairs), torch.stack([two[u, v], three[u, v]]))
    short = three if kind == "two" else two
    assert torch.equal(simple.shortest_paths(pairs), short[u, v])
    assert short[u, v].count_nonzero() > 0
    assert simple.shortest_paths(pairs[:, :0]).shape == (0,)
    if kind == "two":
        assert two[u, v].count_nonzero() == 0


def test_paths_are_named_by_kind(generator):
    names = [path_name(case(kind, generator)[0]) for kind in ("none", "two")]
    assert names == ["common neighbours", "paths of three links"]
