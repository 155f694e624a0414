"""Graphs in arrays, as published benchmarks and numpy store them."""

import logging
import pickle

import numpy as np
import pytest
import scipy.sparse as sp

from vgae.data.array_graphs import labels_of
from vgae.data.files import read_graph
from vgae.data.image_files import holds_images
from vgae.errors import DataError, UsageError
from vgae.graphs.graph import Graph

ADJ = sp.csr_array(np.array([[0, 2.0, 0, 0], [2, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 0]]))
EDGES = np.array([[0, 1], [1, 2], [2, 3], [3, 4]])
X = np.arange(10.0).reshape(5, 2)


def save(path, **arrays):
    np.savez(path, **arrays)
    return path


def benchmark(dot="_", **more):
    attr = sp.csr_array(np.eye(4, 3))
    parts = {"adj": ADJ, "attr": attr}
    if dot == ".":
        parts = {"adj_matrix": ADJ, "attr_matrix": attr}
    found = {}
    for name, matrix in parts.items():
        for part in ("data", "indices", "indptr"):
            found[f"{name}{dot}{part}"] = getattr(matrix, part)
        found[f"{name}{dot}shape"] = np.array(matrix.shape)
    return {**found, "labels": np.array([0, 1, 1, 0]), **more}


@pytest.mark.parametrize("dot", ["_", "."])
def test_gnn_benchmark(dot, tmp_path):
    names = {"node_names": np.array([*"abcd"]), "attr_names": np.array([*"xyz"])}
    arrays = benchmark(dot, **names, class_names=np.array(["no", "yes"]))
    graph = read_graph(save(tmp_path / "g.npz", **arrays))
    assert graph.links.tolist() == [[0, 1], [1, 2]]
    assert graph.link_weight.tolist() == [2, 1]
    assert graph.dense_x.tolist() == np.eye(4, 3).tolist()
    assert graph.node_ids == (*"abcd",)
    assert graph.feature_names == (*"xyz",)
    assert (graph.y.tolist(), graph.label_names) == ([0, 1, 1, 0], ("no", "yes"))


class Attack:
    def __reduce__(self):
        return print, ("opened",)


def test_pickled_names_are_left_out_and_never_opened(tmp_path, caplog, capsys):
    arrays = benchmark(class_names=np.array([Attack(), 1], object))
    with caplog.at_level(logging.INFO, logger="vgae"):
        graph = read_graph(save(tmp_path / "g.npz", **arrays))
    assert (graph.num_links, graph.label_names) == (2, ())
    assert "left out: class_names (pickled)" in caplog.text
    assert capsys.readouterr().out == ""
    pickle.loads(pickle.dumps(Attack()))
    assert capsys.readouterr().out == "opened\n"


@pytest.mark.parametrize(
    "arrays",
    [
        {"edges": EDGES, "node_features": X, "node_labels": np.array([0, 1, 0, 1, 0])},
        {"edges": EDGES.T, "features": X, "label": np.array([[0], [1], [0], [1], [0]])},
        {"edge_index": EDGES.T, "x": X, "y": np.eye(2, dtype=int)[[0, 1, 0, 1, 0]]},
        {"edge_index": EDGES.T, "x": X, "y": np.array([0.0, 1, 0, 1, 0]), "train_mask": X > 1},
    ],
    ids=["heterophilous", "wikipedia", "one-hot", "floats"],
)
def test_lists_of_edges(arrays, tmp_path):
    graph = read_graph(save(tmp_path / "g.npz", **arrays))
    assert graph.links.tolist() == EDGES.T.tolist()
    assert graph.dense_x.tolist() == X.tolist()
    assert graph.y.tolist() == [0, 1, 0, 1, 0]


def test_two_edges_in_a_square_are_ambiguous_unless_named_by_pyg(tmp_path):
    square = np.array([[0, 5], [1, 2]])
    graph = read_graph(save(tmp_path / "g.npz", edge_index=square))
    assert graph.ids[:] == (0, 1, 2, 5)
    with pytest.raises(DataError, match="edge_index") as caught:
        read_graph(save(tmp_path / "g.npz", edges=square))
    assert caught.value.code == "EDGES_AMBIGUOUS"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"adj_indices": np.array([0, 1, 2, 9])}, "SPARSE_CORRUPT"),
        ({"adj_indptr": np.array([0, 2**40, 3, 4, 4])}, "SPARSE_CORRUPT"),
        ({"adj_shape": np.array([4, 5])}, "NOT_SQUARE"),
        ({"labels": np.array([0, 1])}, "NODE_SET_MISMATCH"),
        ({"adj_data": np.array([1, 1, -1, -1.0])}, "NEGATIVE_WEIGHT"),
        ({"node_names": np.array([*"aabc"])}, "NODE_ID"),
    ],
)
def test_damaged_arrays_are_refused(change, code, tmp_path):
    with pytest.raises(DataError) as caught:
        read_graph(save(tmp_path / "g.npz", **benchmark() | change))
    assert caught.value.code == code


def test_what_holds_no_graph_says_which_arrays_would(tmp_path):
    with pytest.raises(DataError, match=r"adj_data.*edge_index.*found a, b") as caught:
        read_graph(save(tmp_path / "g.npz", a=X, b=X))
    assert caught.value.code == "NPZ_KEYS"
    with pytest.raises(DataError, match=r"edges.*arrays of numbers: edge_index") as caught:
        read_graph(save(tmp_path / "g.npz", edges=np.array([{}], object)))
    assert caught.value.code == "PICKLE_REFUSED"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([2, 0, -1]), ([2, 0, -1], ())),
        (np.array([1, 3, 1]), ([0, 1, 0], ("1", "3"))),
        (np.array([1.0, np.nan, 0.0]), ([1, -1, 0], ())),
        (np.array(["b", "", "a"]), ([1, -1, 0], ("a", "b"))),
        (np.array([2**40, 0, 2**40]), ([1, 0, 1], ("0", str(2**40)))),
        (sp.csr_array(np.array([[0, 1], [0, 0], [1, 0]])), ([1, -1, 0], ())),
    ],
)
def test_labels_are_classes_from_0_on(values, expected):
    found = labels_of(values, "g")
    assert (found.y.tolist(), found.names) == expected


@pytest.mark.parametrize(
    ("values", "word"),
    [
        (np.array([[1, 1], [0, 1]]), "up to 2 for one node"),
        (np.array([0.5, 1]), "fractions"),
        (np.array([0.5j, 1]), "complex128"),
    ],
)
def test_what_are_no_classes_is_left_out_with_a_word(values, word, caplog):
    with caplog.at_level(logging.INFO, logger="vgae"):
        assert labels_of(values, "g") is None
    assert word in caplog.text


@pytest.mark.parametrize("dtype", [float, int, bool])
def test_a_square_array_is_an_adjacency(dtype, tmp_path):
    adj = ADJ.toarray().astype(dtype)
    np.save(tmp_path / "g.npy", adj)
    assert read_graph(tmp_path / "g.npy").fingerprint == Graph.from_scipy(adj).fingerprint


@pytest.mark.parametrize("edges", [EDGES, EDGES.T, EDGES.astype(float)])
def test_two_columns_or_rows_are_edges(edges, tmp_path):
    np.save(tmp_path / "g.npy", edges)
    assert read_graph(tmp_path / "g.npy").links.tolist() == EDGES.T.tolist()


def test_three_columns_are_edges_with_weights(tmp_path):
    np.save(tmp_path / "g.npy", np.column_stack([EDGES, [0.5, 1, 2, 4]]))
    graph = read_graph(tmp_path / "g.npy")
    assert graph.link_weight.tolist() == [0.5, 1, 2, 4]


def test_more_rows_of_features_than_nodes_with_links_are_isolated_nodes(tmp_path):
    np.save(tmp_path / "g.npy", EDGES)
    np.save(tmp_path / "x.npy", np.eye(7))
    assert read_graph(tmp_path / "g.npy", features=tmp_path / "x.npy").num_isolated == 2


@pytest.mark.row("L36")
@pytest.mark.parametrize(
    ("array", "links", "edges"),
    [([[0, 1], [1, 0]], 1, 1), ([[0, 1, 2], [1, 0, 1], [2, 1, 1]], 3, 2)],
)
def test_a_small_square_is_refused_and_the_cure_works(array, links, edges, tmp_path):
    path = tmp_path / "g.npy"
    np.save(path, np.array(array))
    with pytest.raises(DataError, match="--format adjacency or edges") as caught:
        read_graph(path)
    assert caught.value.code == "EDGES_AMBIGUOUS"
    assert read_graph(path, format="adjacency").num_links == links
    assert read_graph(path, format="edges").num_links == edges


@pytest.mark.parametrize(
    ("array", "code"),
    [
        (np.zeros(5), "EDGE_INDEX_SHAPE"),
        (np.zeros((4, 5)), "EDGE_INDEX_SHAPE"),
        (np.zeros((5, 2)) + 0.5, "EDGE_INDEX_DTYPE"),
        (
            np.array([["a", "b"], ["b", "c"], ["c", "d"], ["d", "e"]]).astype("S1"),
            "EDGE_INDEX_DTYPE",
        ),
        (np.eye(5) * 1j, "ADJ_DTYPE"),
    ],
)
def test_other_arrays_are_refused(array, code, tmp_path):
    np.save(tmp_path / "g.npy", array)
    with pytest.raises(DataError) as caught:
        read_graph(tmp_path / "g.npy")
    assert caught.value.code == code


def test_arrays_that_may_be_graphs_are_not_taken_for_images(tmp_path):
    shapes = {(5, 5): False, (9, 2): False, (2, 9): False, (4, 8, 8): True, (9, 784): True}
    for shape, expected in shapes.items():
        np.save(tmp_path / "a.npy", np.zeros(shape))
        assert holds_images(tmp_path / "a.npy") is expected


def test_an_unknown_format_lists_the_known_ones(tmp_path):
    np.save(tmp_path / "g.npy", EDGES)
    with pytest.raises(UsageError, match=r"adjacency, .*graphml.*got 'x'") as caught:
        read_graph(tmp_path / "g.npy", format="x")
    assert caught.value.code == "FORMAT"
