"""Two sides are detected where links hardly have them by chance, and announced."""

import networkx as nx
import numpy as np
import pytest

from vgae.graphs.graph import Graph

RNG = np.random.default_rng(3)


def across(first, second, count, seed=0):
    """Return edges between two sides, numbered one after the other, connected."""
    rng = np.random.default_rng(seed)
    tree = np.arange(4 * (first + second))
    more = rng.integers([first, second], size=(count, 2))
    ends = np.concatenate([np.stack([tree % first, tree % second], axis=1), more])
    ends[:, 1] += first
    return ends.T


def shuffled(edges, seed=1):
    """Return edges in random directions between renumbered nodes, and the new numbers."""
    rng = np.random.default_rng(seed)
    place = rng.permutation(edges.max() + 1)
    flipped = rng.random(edges.shape[1]) < 0.5
    return np.where(flipped, place[edges[::-1]], place[edges]), place


def test_disjoint_columns_are_two_sides(caplog):
    place = np.random.default_rng(1).permutation(51)
    edges = place[across(30, 21, 200)]
    graph = Graph.from_edges(edges, num_nodes=51)
    assert graph.sides[place].tolist() == [False] * 30 + [True] * 21
    assert "two sides, of 30 and 21 nodes (no node is in both columns)" in caplog.text
    assert "sides='none' (--sides none)" in caplog.text
    assert Graph.from_edges(edges, num_nodes=51, sides="none").sides is None


@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
def test_the_first_nodes_and_the_others_are_two_sides(order, caplog):
    """Also with nodes without links, pairs apart from the others, and both directions."""
    edges = across(30, 21, 200)
    edges = np.where(edges >= 30, edges + 12, edges)[order]  # 30 to 41 have no links
    edges = np.concatenate([edges, [[30, 63], [64, 31]], edges[::-1]], axis=1)
    graph = Graph.from_edges(edges, num_nodes=70)
    assert graph.sides.tolist() == [False] * 42 + [True] * 28
    assert "every link joins one of the first 42 and one of the other nodes" in caplog.text
    odd = [[3, 42], [42, 3], [3, 4], [4, 42]]
    assert Graph.from_edges(np.concatenate([edges, np.array(odd).T], axis=1)).sides is None


@pytest.mark.row("G21")
@pytest.mark.parametrize("scale", [1, 100])
def test_two_colours_are_two_sides_whatever_the_numbers_and_directions(scale, caplog):
    edges, place = shuffled(across(30 * scale, 21 * scale, 200 * scale))
    graph = Graph.from_edges(edges)
    second = np.empty(51 * scale, bool)
    second[place] = np.arange(51 * scale) >= 30 * scale
    # The first side is that of the first node of the first edge.
    assert graph.sides.tolist() == (second != second[edges[0, 0]]).tolist()
    assert graph.link_fingerprint == Graph.from_edges(edges, sides=graph.sides).link_fingerprint
    assert "two colours" in caplog.text


def test_weights_stay_with_their_links():
    edges, _ = shuffled(across(30, 21, 200))
    weight = RNG.random(edges.shape[1]) + 1
    graph = Graph.from_edges(edges, edge_weight=weight, merge="first")
    plain = Graph.from_edges(edges, edge_weight=weight, merge="first", sides="none")
    assert graph.sides is not None
    assert np.array_equal(graph.to_scipy().toarray(), plain.to_scipy().toarray())


def test_one_odd_cycle_decides_otherwise(caplog):
    edges = np.concatenate(
        [shuffled(across(3000, 2100, 20000))[0], [[0, 1, 2], [1, 2, 0]]], axis=1
    )
    assert Graph.from_edges(edges).sides is None
    assert "side" not in caplog.text.replace("side_detection", "")


@pytest.mark.parametrize(
    "given",
    [
        nx.path_graph(500),
        nx.star_graph(500),
        nx.balanced_tree(3, 6),
        nx.cycle_graph(400),
        nx.grid_2d_graph(30, 30),
        nx.grid_2d_graph(20, 20, periodic=True),
        nx.grid_graph([8, 8, 8]),
        nx.hexagonal_lattice_graph(12, 12),
        nx.Graph(nx.complete_bipartite_graph(3, 4).edges),
        nx.Graph(nx.complete_bipartite_graph(20, 25).edges),
        nx.karate_club_graph(),
        nx.gnp_random_graph(200, 0.02, seed=1),
    ],
    ids=lambda graph: f"{len(graph)}",
)
def test_trees_rings_lattices_and_small_graphs_have_no_sides(given, caplog):
    assert Graph.from_networkx(nx.convert_node_labels_to_integers(given)).sides is None
    assert "side" not in caplog.text


@pytest.mark.parametrize(
    ("more", "num_nodes", "words"),
    [
        ([], 53, "the side of 2 nodes without links is not known"),
        ([[51], [52]], 53, "the side of 2 components is not known"),
    ],
)
def test_sides_that_are_not_unique_are_left_to_the_user(more, num_nodes, words, caplog):
    edges, _ = shuffled(across(30, 21, 200))
    edges = np.concatenate([edges, np.array(more, int).reshape(2, -1)], axis=1)
    assert Graph.from_edges(edges, num_nodes=num_nodes).sides is None
    assert words in caplog.text
    assert "(--sides columns)" in caplog.text


def test_the_direction_that_is_asked_for_stays():
    assert Graph.from_edges(across(30, 21, 200), directed="keep").sides is None
