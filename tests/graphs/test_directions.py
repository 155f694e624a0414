"""Directions are kept where they are asked for, and never made up."""

import networkx as nx
import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_geometric.data import Data

from vgae.errors import DataError
from vgae.graphs.directions import directions
from vgae.graphs.graph import Graph


@st.composite
def one_way_links(draw):
    """Ordered pairs of at most 7 nodes with weights, loops and repeats among them."""
    pair = st.tuples(st.integers(0, 6), st.integers(0, 6))
    return draw(st.lists(st.tuples(pair, st.sampled_from([0.5, 1.0, 2.0])), max_size=12))


def expected(rows):
    """Mean weight of each ordered pair."""
    found = {}
    for (u, v), weight in rows:
        if u != v:
            found.setdefault((u, v), []).append(weight)
    return {pair: sum(weights) / len(weights) for pair, weights in found.items()}


def links_of(graph):
    ones = [1.0] * graph.num_links
    weight = ones if graph.link_weight is None else graph.link_weight.tolist()
    return dict(zip(map(tuple, graph.links.T.tolist()), weight, strict=True))


@settings(max_examples=60)
@given(rows=one_way_links())
def test_directed_links_survive_every_library(rows):
    edges = np.array([pair for pair, _ in rows], int).reshape(-1, 2).T
    weight = [weight for _, weight in rows] or None
    graph = Graph.from_edges(edges, edge_weight=weight, num_nodes=7, directed="keep")
    links = expected(rows)
    assert links_of(graph) == pytest.approx(links)
    assert graph.directed
    assert graph.num_isolated == 7 - len({node for pair in links for node in pair})
    dense = np.zeros((7, 7))
    for (u, v), value in links.items():
        dense[u, v] = value
    assert np.allclose(graph.to_scipy().toarray(), dense)
    for again in (
        Graph.from_networkx(graph.to_networkx(), directed="keep"),
        Graph.from_scipy(graph.to_scipy(), directed="keep"),
        Graph.from_pyg(graph.to_pyg(), directed="keep"),
    ):
        assert again.fingerprint == graph.fingerprint
        assert again.directed


def test_a_directed_graph_says_so():
    graph = Graph.from_edges([[0, 2, 1, 1], [1, 1, 0, 0]], directed="keep")
    assert repr(graph) == "Graph('graph', 3 nodes, 3 links, 0 features, directed)"
    assert graph.summary()["directed"] is True
    assert dict(graph.notes) == {"repeats": 1}
    assert isinstance(graph.to_networkx(), nx.DiGraph)
    assert graph.to_pyg().edge_index.tolist() == [[0, 1, 2], [1, 0, 1]]
    assert "directed" not in Graph.from_edges([[0], [1]]).summary()


@pytest.mark.parametrize(
    "make",
    [
        lambda **kind: Graph.from_pandas(pd.DataFrame({"from": "ab", "to": "bc"}, [0]), **kind),
        lambda **kind: Graph.from_networkx(
            nx.DiGraph([("a", "b"), ("c", "b"), ("b", "c")]), **kind
        ),
        lambda **kind: Graph.from_scipy(sp.csr_array([[0, 1], [0, 0]]), **kind),
        lambda **kind: Graph.from_pyg(
            Data(edge_index=torch.tensor([[1], [0]]), num_nodes=2), **kind
        ),
    ],
    ids=["pandas", "networkx", "scipy", "pyg"],
)
def test_without_it_links_are_undirected(make):
    assert not make().directed
    assert make(directed="keep").directed


def test_what_is_read_without_its_direction_is_named_with_the_option(caplog):
    with caplog.at_level("INFO", "vgae"):
        Graph.from_edges([[0, 1, 1], [1, 0, 2]])
    assert "1 links go one way" in caplog.text
    assert "directed='keep' (--directed keep) keeps it" in caplog.text


def test_undirected_sources_have_no_direction_to_keep(caplog):
    with pytest.raises(DataError, match=r"graph is undirected.*graph\.to_directed\(\)") as caught:
        Graph.from_networkx(nx.path_graph(3), directed="keep")
    assert caught.value.code == "DIRECTED"
    both = Graph.from_scipy(nx.to_scipy_sparse_array(nx.path_graph(3)), directed="keep")
    assert both.num_links == 4
    assert "each of the 4 links goes both ways" in caplog.text


@pytest.mark.parametrize("library", [pd, pl], ids=["pandas", "polars"])
def test_a_column_of_gephi_directs_each_edge(library):
    edges = library.DataFrame(
        {
            "Source": ["a", "b", "c"],
            "Target": ["b", "c", "a"],
            "Type": ["Directed", "Undirected", "Directed"],
            "Weight": [1.0, 2.0, 3.0],
        }
    )
    graph = Graph.from_pandas(edges, directed="keep")
    assert links_of(graph) == {(0, 1): 1, (1, 2): 2, (2, 1): 2, (2, 0): 3}
    assert Graph.from_pandas(edges).num_links == 3


def test_edges_without_a_direction_have_none_to_keep():
    edges = np.array([[0, 1], [1, 2]])
    assert not directions(["undirected"] * 2, edges, None, None, "symmetrize").directed
    with pytest.raises(DataError, match="each edge is undirected") as caught:
        directions(["Undirected"] * 2, edges, None, None, "keep")
    assert caught.value.code == "DIRECTED"
    found = directions(["directed", ""], edges, np.array([5, 6]), np.array([7, 8]), "keep")
    assert found.edges.tolist() == [[0, 1, 2], [1, 2, 1]]
    assert (found.weight.tolist(), found.time.tolist()) == ([5, 6, 6], [7, 8, 8])
