"""What follows from the fields of a graph."""

import torch

from vgae.graphs.graph import Graph


def graph_of(**options):
    return Graph.from_edges([[0, 1, 2], [1, 2, 0]], num_nodes=3, **options)


def test_links_at_have_what_the_links_have():
    graph = graph_of(edge_weight=[1, -2, 3], signed=True, edge_attr=[[1], [2], [3]])
    part = graph.links_at(torch.tensor([0, 2]))
    assert part["links"].tolist() == [[0, 1], [1, 2]]
    assert part["link_weight"].tolist() == [1, 2]
    assert part["link_sign"].tolist() == [1, -1]
    assert part["link_attr"].tolist() == [[1], [2]]


def test_options_of_links_make_the_same_graph_again():
    graph = graph_of(edge_weight=[1, -2, 3], signed=True, edge_attr=[[1], [2], [3]])
    again = Graph.from_edges(graph.links, num_nodes=3, **graph.link_options)
    assert again.fingerprint == graph.fingerprint
    assert torch.equal(again.link_attr, graph.link_attr)  # pyright: ignore[reportArgumentType]
    assert graph_of().link_options == {"edge_weight": None}
