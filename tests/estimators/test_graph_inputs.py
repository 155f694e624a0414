"""Edges, names and labels as users hand them over: read, or refused with the place.

The ids are the rows of the catalogue of bad input.
"""

from functools import partial

import networkx as nx
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from torch_geometric.data import Data

from vgae.errors import DataError, UsageError
from vgae.estimators import LinkPredictor, VGAEEmbedder
from vgae.graphs.graph import Graph
from vgae.graphs.typed import TypedGraph

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
        pytest.param({"edges": PAIR, "node_ids": [1, "1"]}, "NODE_ID", "1 and '1'", id="G37"),
        pytest.param({"edges": [[1], ["1"]]}, "EDGE_INDEX_DTYPE", "of int, str", id="G37-edges"),
        pytest.param(
            {"edges": [[1, 2], [2, 3]], "num_nodes": 3}, "INDEX_RANGE", "begin at 1", id="G29-one"
        ),
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


NODES = [f"n{k}" for k in range(12)]
RING = nx.cycle_graph(NODES)


@pytest.fixture
def frame():
    """Features of the ring, its nodes in another order."""
    x = np.random.default_rng(0).normal(size=(12, 3))
    return pd.DataFrame(x, index=NODES, columns=list("abc")).sample(frac=1, random_state=1)


def embedder():
    return VGAEEmbedder(n_components=2, max_epochs=1, validation_fraction=0, random_state=0)


def named_links(graph):
    return {frozenset((graph.ids[u], graph.ids[v])) for u, v in graph.links.T.tolist()}


def test_rows_of_a_frame_meet_the_nodes_of_their_names(frame):
    """They were once taken by position, so that each node had the features of another."""
    adj = nx.to_pandas_adjacency(RING)
    for graph in (RING, Graph.from_networkx(RING), adj):
        fitted = embedder().fit(frame, graph=graph)
        assert fitted.graph_.node_ids == tuple(frame.index)
        assert np.array_equal(fitted.graph_.x.numpy(), frame.to_numpy(np.float32))
        assert named_links(fitted.graph_) == set(map(frozenset, RING.edges))


def test_the_result_has_the_rows_of_the_frame(frame):
    model = embedder().set_output(transform="pandas")
    found = model.fit_transform(frame, graph=RING)
    assert found.index.equals(frame.index)
    other = frame.sort_index()
    again = model.transform(other)
    assert again.index.equals(other.index)
    pd.testing.assert_frame_equal(again.loc[found.index], found, atol=1e-5)
    with pytest.raises(UsageError, match="other rows need their own graph"):
        model.transform(other + 1)


def test_a_matrix_beside_a_frame_is_in_the_order_of_the_rows(frame):
    fitted = embedder().fit(frame, graph=nx.to_scipy_sparse_array(RING))
    assert fitted.graph_.node_ids is None
    assert np.array_equal(fitted.transform(frame), fitted.embedding_)


def test_rows_without_names_are_taken_in_order_and_others_refused(frame, caplog):
    fitted = embedder().fit(frame.reset_index(drop=True), graph=RING)
    assert fitted.graph_.node_ids == tuple(NODES)
    assert "the rows of X have no names" in caplog.text
    with pytest.raises(DataError, match=r"1 of 12 nodes have no row in X \('n3'\)") as caught:
        embedder().fit(frame.rename(index={"n3": "n99"}), graph=RING)
    assert "GridSearchCV" not in str(caught.value)
    with pytest.raises(UsageError, match=r"Graph\.from_pandas\(edges, nodes\)"):
        embedder().fit(frame, graph=nx.to_pandas_edgelist(RING))


@pytest.mark.parametrize("model", [embedder, LinkPredictor])
@pytest.mark.parametrize(
    "make", [nx.to_scipy_sparse_array, nx.to_numpy_array, nx.to_pandas_adjacency]
)
@pytest.mark.row("R24")
def test_an_adjacency_as_features_is_refused(model, make):
    with pytest.raises(UsageError, match=r"pass Graph\.from_scipy\(X\) as X") as caught:
        model().fit(make(RING))
    assert caught.value.code == "GRAPH"


def test_square_features_are_features(caplog):
    x = np.random.default_rng(0).random((12, 12))
    embedder().fit(x + x.T)
    embedder().fit(nx.to_numpy_array(RING), graph=RING)
    assert not [record for record in caplog.records if record.levelname == "WARNING"]
    embedder().fit(np.triu(x, 1))
    assert "if it is an adjacency" in caplog.text


def test_pairs_in_a_frame_are_scored(frame):
    model = LinkPredictor(embedder(), validation_fraction=0.3, random_state=0)
    model.fit(frame, graph=RING)
    pairs = pd.DataFrame({"target": ["n1", "n2"], "p": [1, 2], "source": ["n5", "n7"]})
    expected = model.predict_proba([("n5", "n1"), ("n7", "n2")])
    assert np.array_equal(model.predict_proba(pairs), expected)
    assert np.array_equal(model.predict_proba(pairs[["source", "target"]]), expected)


def test_a_typed_graph_is_refused():
    graph = Graph.from_edges([[0, 1], [1, 2]])
    typed = TypedGraph.from_graphs({"knows": graph})
    with pytest.raises(UsageError, match=r"take one relation, graph\.relations\[name\]"):
        VGAEEmbedder().fit(typed)
