"""One graph, one form: whatever way it is written down, and wherever it comes from."""

import pickle

import networkx as nx
import numpy as np
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_geometric.data import Data

from vgae.errors import DataError
from vgae.graphs.canonical import both_directions
from vgae.graphs.graph import Graph

HUGE = 4_000_000_000


@st.composite
def edge_lists(draw, max_nodes=12):
    """N and a list of ordered pairs, with self-loops and repeats."""
    n = draw(st.integers(1, max_nodes))
    node = st.integers(0, n - 1)
    return n, draw(st.lists(st.tuples(node, node), max_size=40))


def graph_of(n, pairs, **options):
    return Graph.from_edges(
        np.array(pairs, dtype=np.int64).reshape(-1, 2).T, num_nodes=n, **options
    )


def links_of(graph):
    return [tuple(link) for link in graph.links.T.tolist()]


def named_links(graph):
    """The links as sets of names, which no renumbering changes."""
    return {frozenset((graph.ids[u], graph.ids[v])) for u, v in links_of(graph)}


@given(edge_lists())
def test_links_are_the_unordered_pairs_of_the_input_ascending(case):
    n, pairs = case
    assert links_of(graph_of(n, pairs)) == sorted(
        {(min(p), max(p)) for p in pairs if p[0] != p[1]}
    )


@given(edge_lists(), st.randoms(use_true_random=False))
def test_order_direction_repeats_and_self_loops_do_not_matter(case, random):
    n, pairs = case
    again = [random.choice([(u, v), (v, u)]) for u, v in pairs + random.choices(pairs or [(0, 0)])]
    again += [(u, u) for u in range(n)]
    random.shuffle(again)
    a, b = graph_of(n, pairs), graph_of(n, again)
    assert torch.equal(a.links, b.links)
    assert a.fingerprint == b.fingerprint


@given(edge_lists())
def test_notes_count_exactly_what_was_dropped_or_merged(case):
    n, pairs = case
    distinct = {p for p in pairs if p[0] != p[1]}
    one_way = sum((v, u) not in distinct for u, v in distinct)
    expected = {
        "self_loops": sum(u == v for u, v in pairs),
        "repeats": sum(u != v for u, v in pairs) - len(distinct),
        "both_ways": (len(distinct) - one_way) // 2 if one_way else 0,
        "one_way": one_way if one_way < len(distinct) else 0,
    }
    assert dict(graph_of(n, pairs).notes) == {k: count for k, count in expected.items() if count}


@given(edge_lists())
def test_edge_index_holds_both_directions_ascending(case):
    graph = graph_of(*case)
    both = [tuple(edge) for edge in graph.edge_index.T.tolist()]
    assert both == sorted(both)
    assert set(both) == {pair for u, v in links_of(graph) for pair in ((u, v), (v, u))}
    assert torch.equal(both_directions(graph.links), graph.edge_index)


@given(edge_lists())
def test_isolated_nodes_are_kept_and_counted(case):
    n, pairs = case
    graph = graph_of(n, pairs)
    assert graph.num_nodes == n
    assert graph.num_isolated == n - len({node for u, v in pairs if u != v for node in (u, v)})
    assert graph.num_components == nx.number_connected_components(graph.to_networkx())


@pytest.mark.parametrize(
    ("edges", "ids"),
    [
        pytest.param([["b", "a"], ["a", "c"]], ("a", "b", "c"), id="G25-strings"),
        pytest.param(
            [["007", "7"], ["7", "1e3"]], ("007", "1e3", "7"), id="G25-strings-of-digits"
        ),
        pytest.param([["ä", "日本"], ["日本", "a b"]], ("a b", "ä", "日本"), id="L11-unicode"),
        pytest.param([[5, 9], [9, 7]], (5, 7, 9), id="gaps"),
        pytest.param([[0, HUGE], [HUGE, 7]], (0, 7, HUGE), id="G24-huge"),
        pytest.param([[-5, 3], [3, 2**62]], (-5, 3, 2**62), id="G25-negative"),
        pytest.param(np.array([[2**64 - 1], [3]], np.uint64), (3, 2**64 - 1), id="G28-uint64"),
        pytest.param(np.array([["x"], ["y"]], dtype=object), ("x", "y"), id="object-strings"),
    ],
)
def test_names_become_labels_of_as_many_nodes_as_there_are(edges, ids):
    graph = Graph.from_edges(edges)
    assert graph.node_ids == ids
    assert graph.num_nodes == len(ids)
    assert named_links(graph) == {
        frozenset(map(type(ids[0]), pair)) for pair in zip(*edges, strict=True)
    }


@pytest.mark.parametrize("node_ids", [None, range(3), np.arange(3)])
def test_names_from_zero_on_are_no_names(node_ids):
    graph = Graph.from_edges([[0, 1], [1, 2]], node_ids=node_ids)
    assert graph.node_ids is None
    assert list(graph.ids) == [0, 1, 2]


@pytest.mark.parametrize("make", [nx.Graph, nx.DiGraph, nx.MultiGraph, nx.MultiDiGraph])
def test_any_kind_of_networkx_graph_gives_its_links_and_stays_as_it_was(make):
    given = make([("b", "a"), ("a", "c"), ("a", "c"), ("c", "c")])
    nodes, edges = list(given.nodes), list(given.edges)
    graph = Graph.from_networkx(given)
    assert named_links(graph) == {frozenset("ab"), frozenset("ac")}
    assert (list(given.nodes), list(given.edges)) == (nodes, edges)


def test_features_stand_in_the_order_of_the_nodes_of_networkx():
    given = nx.Graph()
    given.add_nodes_from([5, 1, 0, 2])
    given.add_edges_from([(0, 1), (5, 2)])
    graph = Graph.from_networkx(given, x=[[float(node)] for node in given.nodes], y=[5, 1, 0, 2])
    assert graph.ids == (5, 1, 0, 2)
    assert graph.x[:, 0].tolist() == graph.y.tolist() == [5, 1, 0, 2]
    assert named_links(graph) == {frozenset({0, 1}), frozenset({5, 2})}


def test_frozen_graphs_and_views_of_networkx_are_read():
    path = nx.path_graph(5)
    assert Graph.from_networkx(nx.freeze(path)).num_links == 4
    assert named_links(Graph.from_networkx(path.subgraph([2, 3, 4]))) == {
        frozenset({2, 3}),
        frozenset({3, 4}),
    }


@given(edge_lists())
def test_networkx_and_back_is_the_same_graph(case):
    n, pairs = case
    graph = graph_of(n, pairs, y=range(n), node_ids=[f"v{k}" for k in range(n)])
    there = graph.to_networkx()
    assert nx.get_node_attributes(there, "y") == {f"v{k}": k for k in range(n)}
    back = Graph.from_networkx(there)
    assert (back.fingerprint, back.node_ids, back.name) == (
        graph.fingerprint,
        graph.node_ids,
        graph.name,
    )


@settings(deadline=None)
@given(edge_lists(), st.sampled_from(["csr", "csc", "coo", "bsr", "dia", "dok", "lil"]))
def test_every_format_of_scipy_is_the_same_graph(case, format_):
    graph = graph_of(*case)
    assert Graph.from_scipy(graph.to_scipy().asformat(format_)).fingerprint == graph.fingerprint


def test_a_scipy_matrix_with_repeats_explicit_zeros_and_unsorted_indices_is_put_in_order():
    data, indices = np.array([1.0, 2, 3, 0, 1]), np.array([2, 1, 1, 0, 0])
    matrix = sp.csr_array((data, indices, np.array([0, 4, 4, 5])), shape=(3, 3))
    before = matrix.copy()
    assert links_of(Graph.from_scipy(matrix)) == [(0, 1), (0, 2)]
    for part in ("data", "indices", "indptr"):
        assert np.array_equal(getattr(matrix, part), getattr(before, part))


@pytest.mark.parametrize("dtype", [bool, np.int8, np.float64])
def test_ones_and_truth_values_in_a_scipy_matrix_are_no_weights(dtype):
    matrix = sp.coo_array((np.array([1, 1], dtype), ([0, 2], [1, 1])), shape=(4, 4))
    graph = Graph.from_scipy(matrix)
    assert links_of(graph) == links_of(Graph.from_scipy(matrix.toarray())) == [(0, 1), (1, 2)]
    assert graph.link_weight is None


@settings(deadline=None)
@given(edge_lists(), st.booleans())
def test_pyg_and_back_is_the_same_graph(case, sparse):
    n, pairs = case
    x = sp.eye_array(n, format="csr") if sparse else np.eye(n)
    graph = graph_of(n, pairs, x=x, y=np.arange(n) - 1)
    back = Graph.from_pyg(graph.to_pyg())
    assert back.fingerprint == graph.fingerprint
    assert torch.equal(back.y, graph.y)


def test_a_directed_edge_index_of_pyg_becomes_links():
    data = Data(edge_index=torch.tensor([[2, 1, 2], [0, 2, 1]]), num_nodes=4)
    graph = Graph.from_pyg(data)
    assert links_of(graph) == [(0, 2), (1, 2)]
    assert dict(graph.notes) == {"both_ways": 1, "one_way": 1}


def test_the_fingerprint_knows_nodes_links_and_features_and_nothing_else():
    def made(edges=((0, 1), (1, 2)), n=4, x=1.0, **options):
        return graph_of(n, edges, x=np.full((n, 2), x), **options).fingerprint

    changed = [made(((0, 1), (1, 3))), made(n=5), made(x=np.nextafter(1, 2, dtype=np.float32))]
    assert len({made(), graph_of(4, [(0, 1), (1, 2)]).fingerprint, *changed}) == 5
    assert made() == made(y=[0, 1, 1, 0], label_names=["a", "b"], node_ids="wxyz", name="other")


def test_repr_says_what_there_is():
    graph = graph_of(4, [(0, 1), (1, 2)], x=np.ones((4, 3)), name="tiny")
    assert repr(graph) == "Graph('tiny', 4 nodes, 2 links, 3 features)"


def test_weights_belong_to_links_in_either_direction():
    graph = graph_of(4, [(0, 1), (2, 1), (3, 0)], edge_weight=[2.0, 3.0, 5.0])
    assert links_of(graph) == [(0, 1), (0, 3), (1, 2)]
    assert graph.link_weight.tolist() == [2, 5, 3]
    assert graph.weights_of(torch.tensor([[1, 3], [2, 0]])).tolist() == [3, 5]
    assert graph.edge_weight.tolist() == [2, 5, 2, 3, 3, 5]  # along edge_index
    with pytest.raises(DataError, match="nodes 1 and 3 are not linked"):
        graph.weights_of(torch.tensor([[1], [3]]))
    assert graph.fingerprint != graph_of(4, [(0, 1), (2, 1), (3, 0)]).fingerprint


def test_names_of_features_must_be_as_many():
    with pytest.raises(DataError, match="each of the 3 columns of x, got 2"):
        graph_of(4, [], x=np.ones((4, 3)), feature_names=["a", "b"])


def test_a_graph_goes_through_pickle():
    graph = graph_of(4, [(0, 1), (2, 2)], x=np.ones((4, 3)), edge_weight=[2.0, 1.0])
    back = pickle.loads(pickle.dumps(graph))
    assert back.fingerprint == graph.fingerprint
    assert back.notes == graph.notes == {"self_loops": 1}
