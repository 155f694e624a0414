"""Weights, signs and features of links: checked, merged where links repeat, kept everywhere."""

from dataclasses import replace
from typing import Any

import networkx as nx
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from torch_geometric.data import Data

import vgae
from vgae.data.files import read_npz, write_npz
from vgae.errors import DataError, UsageError
from vgae.graphs.collection import GraphCollection
from vgae.graphs.graph import Graph

EDGES = np.array([[0, 1, 2, 3], [1, 2, 3, 0]])
VALUES = [1.0, -2.0, 0.5, -1.0]
# In the order of the links 0-1, 0-3, 1-2, 2-3.
SIGNS, WEIGHTS = [1, -1, -1, 1], [1.0, 1.0, 2.0, 0.5]


def signed_graph(**options):
    return Graph.from_edges(EDGES, edge_weight=VALUES, num_nodes=4, signed=True, **options)


def test_signs_and_magnitudes_of_a_signed_graph():
    graph = signed_graph()
    assert graph.link_sign is not None
    assert graph.link_sign.dtype == torch.int8
    assert graph.link_sign.tolist() == SIGNS
    assert graph.link_weight is not None
    assert graph.link_weight.tolist() == WEIGHTS
    assert graph.link_value is not None
    assert graph.link_value.tolist() == [1, -1, -2, 0.5]
    assert graph.edge_weight is not None
    assert (graph.edge_weight > 0).all()
    assert graph.summary()["num_negative"] == 2


def test_signs_alone_leave_no_weights():
    graph = Graph.from_edges(EDGES, edge_weight=[1, -1, 1, -1], num_nodes=4, signed=True)
    assert graph.link_weight is None
    assert graph.link_sign is not None
    assert graph.link_value is not None
    assert graph.link_value.tolist() == [1, -1, -1, 1]


def test_without_signed_negative_weights_are_refused_with_the_way_to_read_them():
    with pytest.raises(DataError, match=r"signed=True \(--signed\)") as error:
        Graph.from_edges(EDGES, edge_weight=VALUES, num_nodes=4)
    assert error.value.code == "NEGATIVE_WEIGHT"


@pytest.mark.parametrize(
    ("merge", "value"), [("mean", -1.0), ("sum", -2.0), ("max", 1.0), ("first", 1.0)]
)
def test_repeats_with_other_signs_merge_as_signed_values(merge: Any, value):
    graph = Graph.from_edges(
        [[0, 1], [1, 0]], edge_weight=[1, -3], num_nodes=2, merge=merge, signed=True
    )
    assert graph.link_value is not None
    assert graph.link_value.tolist() == [value]


@pytest.mark.row("G55")
def test_repeats_that_cancel_are_refused_and_the_remedies_work():
    given: Any = {"edge_weight": [2, -2], "num_nodes": 2, "signed": True}
    with pytest.raises(DataError, match="cancel to 0, first 0 - 1") as error:
        Graph.from_edges([[0, 1], [1, 0]], **given)
    assert error.value.code == "ZERO_WEIGHT"
    first = Graph.from_edges([[0, 1], [1, 0]], merge="first", **given)
    both = Graph.from_edges([[0, 1], [1, 0]], directed="keep", **given)
    assert first.link_value is not None
    assert first.link_value.tolist() == [2]
    assert both.link_value is not None
    assert both.link_value.tolist() == [2, -2]


def same(a: Any, b: Any):
    assert torch.equal(a.links, b.links)
    assert torch.equal(a.link_value, b.link_value)
    assert torch.equal(a.link_sign, b.link_sign)
    assert a.fingerprint == b.fingerprint


@pytest.mark.parametrize("kind", ["undirected", "directed", "two-sided"])
def test_every_way_out_and_in_keeps_the_signs(tmp_path, kind):
    kinds = {"directed": {"directed": "keep"}, "two-sided": {"sides": [0, 1, 0, 1]}}
    options: Any = kinds.get(kind, {})
    graph = signed_graph(**options)
    write_npz(graph, tmp_path / "g.npz")
    same(read_npz(tmp_path / "g.npz"), graph)
    again: Any = {"signed": True, **options}
    same(Graph.from_scipy(graph.to_scipy(), **again), graph)
    same(Graph.from_networkx(graph.to_networkx(), **again), graph)
    same(Graph.from_pyg(graph.to_pyg(), **again), graph)


def test_a_file_a_frame_and_a_matrix_with_signs(tmp_path):
    path = tmp_path / "trust.csv"
    path.write_text("source,target,trust\n0,1,1\n1,2,-2\n2,3,0.5\n3,0,-1\n")
    graph = signed_graph()
    same(vgae.read_graph(path, signed=True), graph)
    same(vgae.read_graph(pd.read_csv(path), signed=True), graph)
    same(Graph.from_pandas(pd.read_csv(path), weight="trust", signed=True), graph)
    matrix = sp.coo_array((VALUES, tuple(EDGES)), shape=(4, 4)).toarray()
    same(Graph.from_scipy(matrix, signed=True), graph)
    with pytest.raises(DataError, match=r"line 3: .*--signed"):
        vgae.read_graph(path)


def test_a_stored_graph_without_signs_read_as_signed_is_positive(tmp_path):
    plain = Graph.from_edges(EDGES, edge_weight=np.abs(VALUES), num_nodes=4)
    write_npz(plain, tmp_path / "g.npz")
    graph = vgae.read_graph(tmp_path / "g.npz", signed=True)
    assert graph.link_sign is not None
    assert (graph.link_sign == 1).all()
    assert graph.fingerprint != plain.fingerprint


def test_the_fingerprint_knows_signs_and_is_that_of_before_without_them():
    plain = Graph.from_edges(EDGES, edge_weight=np.abs(VALUES), num_nodes=4)
    graph = signed_graph()
    assert graph.fingerprint != plain.fingerprint
    assert replace(graph, link_sign=None).fingerprint == plain.fingerprint


def test_collections_stack_and_select_signs_and_features_of_links():
    first = signed_graph(edge_attr=[[1, 2], [3, 4], [5, 6], [7, 8]])
    second = Graph.from_edges([[0], [1]], num_nodes=2, edge_attr=[[9, 9]])
    both = GraphCollection.from_graphs([first, second])
    assert both.link_sign is not None
    assert both.link_sign.tolist() == [*SIGNS, 1]
    chosen = both.select([1])
    assert chosen.link_attr is not None
    assert chosen.link_attr.tolist() == [[9, 9]]
    assert torch.equal(both[0].link_sign, first.link_sign)  # pyright: ignore[reportArgumentType]
    with pytest.raises(DataError, match="features of links"):
        GraphCollection.from_graphs([first, Graph.from_edges([[0], [1]], num_nodes=2)])


def test_typed_graphs_refuse_signs_with_a_remedy():
    with pytest.raises(UsageError, match="relation for each sign"):
        vgae.TypedGraph.from_graphs({"a": signed_graph()})


def test_features_of_links_follow_the_links():
    attr = np.arange(8).reshape(4, 2)
    graph = Graph.from_edges(EDGES, num_nodes=4, edge_attr=attr, edge_attr_names=["a", "b"])
    assert graph.link_attr is not None
    assert graph.link_attr.tolist() == [[0, 1], [6, 7], [2, 3], [4, 5]]
    assert graph.edge_attr is not None
    assert graph.edge_attr.shape == (8, 2)
    u, v = graph.edge_index
    row = graph.edge_attr[(u == 3) & (v == 0)]
    assert torch.equal(row, graph.edge_attr[(u == 0) & (v == 3)])
    assert row.tolist() == [[6, 7]]


def test_features_of_repeated_links_merge_column_by_column():
    graph = Graph.from_edges([[0, 1], [1, 0]], num_nodes=2, edge_attr=[[0, 4], [2, 0]])
    assert graph.link_attr is not None
    assert graph.link_attr.tolist() == [[1, 2]]


def test_edge_attr_of_pyg_is_kept_both_ways():
    edges = torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]])
    attr = torch.tensor([[1.0, 2], [1, 2], [3, 4], [3, 4]])
    graph = Graph.from_pyg(Data(edge_index=edges, edge_attr=attr, num_nodes=3))
    assert graph.link_attr is not None
    assert graph.link_attr.tolist() == [[1, 2], [3, 4]]
    assert torch.equal(graph.to_pyg().edge_attr, attr)  # pyright: ignore[reportArgumentType]


def test_edge_features_of_a_frame_and_an_npz(tmp_path):
    frame = pd.DataFrame(
        {"u": ["a", "b", "c"], "v": ["b", "c", "a"], "bond": [1, 2, 1], "length": [0.5, 1, 2]}
    )
    options: Any = {"edge_features": ["bond", "length"]}
    graph = Graph.from_pandas(frame, source="u", target="v", **options)
    assert graph.link_attr_names == ("bond", "length")
    assert graph.link_attr is not None
    assert graph.link_attr.tolist() == [[1, 0.5], [1, 2], [2, 1]]
    write_npz(graph, tmp_path / "g.npz")
    again = read_npz(tmp_path / "g.npz")
    assert torch.equal(again.link_attr, graph.link_attr)  # pyright: ignore[reportArgumentType]
    assert again.link_attr_names == graph.link_attr_names
    with pytest.raises(DataError, match=r"bonds.*Did you mean bond"):
        Graph.from_pandas(frame, source="u", target="v", edge_features=["bonds"])


def test_edge_features_go_with_their_edges_when_some_are_dropped():
    frame = pd.DataFrame(
        {"source": [0, 1, 2], "target": [1, 2, 0], "weight": [1, 0, 2], "bond": [5, 6, 7]}
    )
    graph = Graph.from_pandas(frame, edge_features=["bond"], drop_zero=True)
    assert graph.link_attr is not None
    assert graph.link_attr.tolist() == [[5], [7]]


@pytest.mark.row("G56")
@pytest.mark.parametrize("bad", [[[1.0]], [[np.nan]] * 4, [["a"]] * 4, np.zeros((4, 0))])
def test_features_of_links_that_are_no_table_of_numbers_are_refused(bad):
    with pytest.raises(DataError) as error:
        Graph.from_edges(EDGES, num_nodes=4, edge_attr=bad)
    assert error.value.code == "EDGE_ATTR"


def test_networkx_has_signed_weights():
    graph = signed_graph().to_networkx()
    assert isinstance(graph, nx.Graph)
    assert graph[1][2]["weight"] == -2
