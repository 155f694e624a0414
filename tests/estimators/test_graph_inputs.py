"""Edges, names and labels as users hand them over: read, or refused with the place.

The ids are the rows of the catalogue of bad input.
"""

from functools import partial

import networkx as nx
import numpy as np
import pytest
import scipy.sparse as sp
import torch
from torch_geometric.data import Data

from vgae.errors import DataError
from vgae.graphs.graph import Graph

PAIR = [[0], [1]]
ONES = np.ones((4, 4))


def changed(matrix, part, value):
    """A matrix of scipy with one wrong number in a part of it."""
    (matrix.coords[0] if part == "row" else getattr(matrix, part))[1] = value
    return matrix


@pytest.mark.parametrize("make", [np.array, torch.tensor])
def test_a_later_change_of_edges_and_labels_does_not_reach_in(make):
    edges, y = make([[0, 1], [1, 2]]), make([0, 1, 2])
    graph = Graph.from_edges(edges, num_nodes=3, y=y)
    edges[:], y[:] = 0, 9
    assert graph.links.tolist() == [[0, 1], [1, 2]]
    assert graph.y.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        pytest.param({"edges": []}, "GRAPH_EMPTY", "no nodes", id="G01"),
        pytest.param({"edges": PAIR, "num_nodes": 0}, "GRAPH_EMPTY", "no nodes", id="G01-zero"),
        pytest.param({"edges": [[0.0], [1.0]]}, "EDGE_INDEX_DTYPE", "lost digits", id="G26"),
        pytest.param({"edges": torch.rand(2, 3)}, "EDGE_INDEX_DTYPE", "float32", id="G27"),
        pytest.param(
            {"edges": torch.ones(2, 3).bfloat16()}, "EDGE_INDEX_DTYPE", "float", id="G27-b"
        ),
        pytest.param({"edges": [[True], [False]]}, "EDGE_INDEX_DTYPE", "bool", id="G27-bool"),
        pytest.param({"edges": [[2**70], [0]]}, "EDGE_INDEX_DTYPE", "64 bits", id="G25-too-large"),
        pytest.param({"edges": [[0, 1, 2]]}, "EDGE_INDEX_SHAPE", r"\(1, 3\)", id="G28-1-row"),
        pytest.param({"edges": [0, 1]}, "EDGE_INDEX_SHAPE", r"got \(2,\)", id="G28-1d"),
        pytest.param(
            {"edges": [(0, 1)] * 3}, "EDGE_INDEX_SHAPE", "Transpose", id="G28-transposed"
        ),
        pytest.param(
            {"edges": np.ones((3, 5), int)}, "EDGE_INDEX_SHAPE", r"\(3, 5\)", id="G28-3-rows"
        ),
        pytest.param(
            {"edges": [(0, 1), (1,)]}, "EDGE_INDEX_SHAPE", "equally long", id="G28-ragged"
        ),
        pytest.param(
            {"edges": torch.eye(2).to_sparse()}, "EDGE_INDEX_SHAPE", "dense", id="G28-sparse"
        ),
        pytest.param(
            {"edges": [[0, 1], [1, 7]], "num_nodes": 3},
            "INDEX_RANGE",
            "edge 1 - 7 in column 1",
            id="G29",
        ),
        pytest.param(
            {"edges": [[0], [-1]], "num_nodes": 3}, "INDEX_RANGE", "0 - -1", id="G29-negative"
        ),
        pytest.param(
            {"edges": [[0], [2]], "x": np.eye(2)}, "INDEX_RANGE", r"\[0, 2\)", id="G23-x"
        ),
        pytest.param(
            {"edges": [["a"], ["b"]], "x": np.eye(2)}, "EDGE_INDEX_DTYPE", "strings", id="G25-x"
        ),
        pytest.param({"edges": PAIR, "node_ids": ["a", "a"]}, "NODE_ID", "'a'", id="ids-repeat"),
        pytest.param(
            {"edges": PAIR, "node_ids": ["a", (1,)]}, "NODE_ID", r"\(1,\)", id="G34-tuple"
        ),
        pytest.param({"edges": PAIR, "node_ids": [0, True]}, "NODE_ID", "bool", id="G34-bool"),
        pytest.param(
            {"edges": PAIR, "num_nodes": 2, "node_ids": [0, 1, 2]},
            "NODE_SET_MISMATCH",
            "3",
            id="G23-ids",
        ),
        pytest.param(
            {"edges": PAIR, "y": [0]}, "NODE_SET_MISMATCH", r"y .*\(2\), got 1", id="F13-length"
        ),
        pytest.param({"edges": PAIR, "y": [0, -2]}, "LABELS", "-2 at node 1", id="F13-negative"),
        pytest.param({"edges": PAIR, "y": [0.0, 1.0]}, "LABELS", "float64", id="F13-float"),
        pytest.param({"edges": PAIR, "y": [[0], [1]]}, "LABELS", r"\(2, 1\)", id="F13-2d"),
        pytest.param({"edges": PAIR, "y": [[0], [1, 2]]}, "LABELS", "equally", id="F13-ragged"),
        pytest.param({"edges": PAIR, "y": ["a", "b"]}, "LABELS", "<U1", id="F13-string"),
        pytest.param(
            {"edges": PAIR, "y": np.array([0, 2**63], np.uint64)}, "LABELS", "node 1", id="F13-big"
        ),
        pytest.param(
            {"edges": PAIR, "y": [0, 2], "label_names": "ab"}, "LABELS", "2", id="F13-names"
        ),
    ],
)
def test_edges_names_and_labels_that_cannot_be_used_are_refused_with_the_place(
    options, code, words
):
    with pytest.raises(DataError, match=words) as caught:
        Graph.from_edges(**options)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("adj", "code"),
    [
        pytest.param(sp.csr_array((2, 3)), "NOT_SQUARE", id="G30"),
        pytest.param([[0, 1], [1]], "NOT_SQUARE", id="G30-ragged"),
        pytest.param(np.array([[0, "a"], ["a", 0]], dtype=object), "ADJ_DTYPE", id="G30-object"),
        pytest.param(sp.csr_array((0, 0)), "GRAPH_EMPTY", id="G01"),
        *(
            pytest.param(
                changed(make(ONES), part, value), "SPARSE_CORRUPT", id=f"G31-{name}-{part}-{value}"
            )
            for name, make in {
                "csr": sp.csr_array,
                "csc": sp.csc_array,
                "bsr": partial(sp.bsr_array, blocksize=(2, 2)),
            }.items()
            for part in ("indices", "indptr")
            for value in (99, 999_999_999, -1)
        ),
        *(
            pytest.param(
                changed(sp.coo_array(ONES), "row", value), "SPARSE_CORRUPT", id=f"G31-coo-{value}"
            )
            for value in (7, 999_999_999, -999_999_999)
        ),
        pytest.param(
            changed(sp.csr_array(np.ones((1, 1))), "indptr", 0), "SPARSE_CORRUPT", id="G31-short"
        ),
    ],
)
def test_matrices_that_are_no_adjacency_are_refused_and_never_crash(adj, code):
    """Converting a corrupt CSC or COO matrix once wrote to foreign memory before any check."""
    with pytest.raises(DataError) as caught:
        Graph.from_scipy(adj)
    assert caught.value.code == code


@pytest.mark.parametrize("node", [(1, 2), frozenset(), 1.5, 0.0, False])
def test_nodes_of_networkx_that_are_no_names_are_refused(node):
    graph = nx.Graph([(node, "other")])
    with pytest.raises(DataError, match="strings or integers") as caught:
        Graph.from_networkx(graph)
    assert caught.value.code == "NODE_ID"


def test_data_of_pyg_without_edges_is_refused():
    with pytest.raises(DataError, match="edge_index is missing"):
        Graph.from_pyg(Data(x=torch.eye(2)))


@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.uint16, np.uint64])
def test_integers_of_any_width_are_upcast(dtype):
    graph = Graph.from_edges(np.array([[0, 2], [1, 1]], dtype=dtype), num_nodes=300)
    assert graph.links.dtype == torch.int64
    assert graph.links.tolist() == [[0, 1], [1, 2]]
