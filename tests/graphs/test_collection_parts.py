"""Parts of collections: ranges, rows, names."""

import torch

from vgae import Graph, GraphCollection
from vgae.graphs.collection_parts import (
    chosen_numbers,
    names_in_graphs,
    names_within,
    ranges,
    reordered,
)


def test_ranges_follow_each_other():
    found = ranges(torch.tensor([5, 0, 7]), torch.tensor([2, 0, 3]))
    assert found.tolist() == [5, 6, 7, 8, 9]


def test_numbers_may_count_from_the_end():
    assert chosen_numbers(range(1, 3), 4).tolist() == [1, 2]
    assert chosen_numbers([-1, 0], 4).tolist() == [3, 0]
    assert chosen_numbers([], 4).tolist() == []


def test_names_become_numbers_only_where_all_are():
    assert names_within(["a:0", "a:1"], "a") is None
    assert names_within(["a:1", "a:0"], "a") == (1, 0)
    assert names_within(["a:01", "a:1"], "a") == ("01", "1")
    assert names_within(["a:b:c"], "a") == ("b:c",)


def test_a_name_in_a_graph_may_have_a_colon():
    graph = Graph.from_edges([[0], [1]], node_ids=["a:x", "y"])
    graphs = GraphCollection.from_graphs({"a": graph})
    assert names_in_graphs(graphs) == ["a:x", "y"]
    assert graphs[0].ids == ("a:x", "y")


def test_a_reordered_graph_keeps_what_its_links_have():
    graph = Graph.from_edges(
        [[0, 1], [1, 2]], edge_weight=[2.0, 3.0], x=torch.eye(3), y=[0, 1, 2], node_ids="abc"
    )
    found, order = reordered(graph, torch.tensor([2, 0, 1]).numpy())
    assert order.tolist() == [1, 2, 0]
    assert found.links.tolist() == [[0, 0], [1, 2]]
    assert found.link_weight.tolist() == [3.0, 2.0]
    assert found.y.tolist() == [1, 2, 0]
    assert found.x.argmax(1).tolist() == [1, 2, 0]
