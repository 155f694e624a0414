"""Tests of collections of graphs."""

import pytest
import torch

from vgae import Graph
from vgae.errors import DataError
from vgae.graphs.collection import GraphCollection


def path(n: int, **parts) -> Graph:
    return Graph.from_edges([list(range(n - 1)), list(range(1, n))], num_nodes=n, **parts)


def test_graphs_come_back_as_they_were():
    parts = [
        path(3, x=torch.eye(3), y=[0, 1, 0]),
        path(2, x=torch.ones(2, 3), edge_weight=[2.0]),
    ]
    graphs = GraphCollection.from_graphs(parts, names=["a", "b"], y=[1, 0])
    assert graphs.ids == ("a:0", "a:1", "a:2", "b:0", "b:1")
    assert graphs.links.tolist() == [[0, 1, 3], [1, 2, 4]]
    assert graphs.grid.num_pairs == 4
    for part, back in zip(parts, graphs, strict=True):
        assert torch.equal(back.links, part.links)
        assert torch.equal(back.x, part.x)
        assert list(back.ids) == list(part.ids)
    assert graphs[1].link_weight.tolist() == [2.0]
    assert graphs[0].link_weight.tolist() == [1.0, 1.0]
    assert graphs[1].y.tolist() == [-1, -1]


def test_a_selection_is_a_collection():
    graphs = GraphCollection.from_graphs([path(n) for n in (2, 3, 4)], y=[0, 1, 2])
    some = graphs[1:]
    assert some.sizes.tolist() == [3, 4]
    assert some.graph_names == ("1", "2")
    assert some.graph_y.tolist() == [1, 2]
    assert some.links.tolist() == [[0, 1, 3, 4, 5], [1, 2, 4, 5, 6]]
    assert some.ids[0] == "1:0"


def test_graphs_that_do_not_fit_are_refused():
    directed = Graph.from_edges([[0, 1], [1, 2]], directed="keep")
    for parts in ([], [directed], [path(3, x=torch.eye(3)), path(2)]):
        with pytest.raises(DataError) as caught:
            GraphCollection.from_graphs(parts)
        assert caught.value.code == "COLLECTION"
