"""Graphs as arrays and matrices that cannot be, or look as if they could not: rows G26 to G32."""

import numpy as np
import pytest
import scipy.sparse as sp

MTX = "%%MatrixMarket matrix coordinate pattern general\n"


def npz(**changes):
    """A graph of three nodes as the package writes it, with some arrays changed."""
    return {
        "format": "vgae-graph-1",
        "num_nodes": 3,
        "edges": np.array([[0, 1], [1, 2]]),
    } | changes


def csr(**changes):
    """A path of three nodes as scipy writes it, with some arrays changed."""
    parts = {"indices": np.array([1, 2]), "indptr": np.array([0, 1, 2, 2]), "data": np.ones(2)}
    return {"format": np.array(b"csr"), "shape": np.array([3, 3])} | parts | changes


@pytest.mark.parametrize(
    ("files", "command_line", "code", "says"),
    [
        pytest.param(
            {"g.npz": sp.csr_array((0, 0))}, "train g.npz", "GRAPH_EMPTY", ["one"], id="G01-npz"
        ),
        pytest.param(
            {"g.npz": npz(node_ids=np.array([0.5, 1.5, 2.5]))},
            "train g.npz",
            "NODE_ID",
            [r"g\.npz: .*got 0\.5, a float"],
            id="G26-npz",
        ),
        pytest.param(
            {"g.npz": npz(edges=np.array([[0.0, 1], [1, 2]]))},
            "train g.npz",
            "EDGE_INDEX_DTYPE",
            [r"g\.npz: .*float64", "as integers"],
            id="G27",
        ),
        *(
            pytest.param(
                {"g.npz": npz(edges=edges)},
                "train g.npz",
                "EDGE_INDEX_SHAPE",
                [r"g\.npz: .*\(2, E\), got ", says],
                id=f"G28-{name}",
            )
            for name, edges, says in [
                ("columns", np.zeros((5, 2), int), r"\(5, 2\)\. Transpose it"),
                ("three-rows", np.zeros((3, 5), int), r"\(3, 5\)"),
                ("one-dimension", np.zeros(4, int), r"\(4,\)"),
            ]
        ),
        *(
            pytest.param(
                {"g.npz": npz(edges=np.array([[0, 1], [1, node]]))},
                "train g.npz",
                "INDEX_RANGE",
                [rf"g\.npz: .*\[0, 3\), got edge 1 - {node} in column 1"],
                id=f"G29-{name}",
            )
            for name, node in [("high", 3), ("negative", -1), ("huge", 2**62)]
        ),
        pytest.param(
            {"g.npz": sp.csr_array((2, 3))}, "train g.npz", "NOT_SQUARE", ["2, 3"], id="G30-npz"
        ),
        pytest.param(
            {"g.mtx": f"{MTX}2 3 1\n1 3\n"},
            "train g.mtx --sides none",
            "NOT_SQUARE",
            [r"g\.mtx: .*2, 3"],
            id="G30-mtx",
        ),
        pytest.param(
            {"g.npz": csr(data=np.ones(2, complex))},
            "train g.npz",
            "ADJ_DTYPE",
            [r"g\.npz: .*complex128"],
            id="G30-complex",
        ),
        pytest.param(
            {"g.npz": csr(data=np.array([1, None]))},
            "train g.npz",
            "PICKLE_REFUSED",
            [r"g\.npz: .*pickled"],
            id="G30-object",
        ),
        *(
            pytest.param(
                {"g.npz": csr(**{part: np.array(value)})},
                "train g.npz",
                "SPARSE_CORRUPT",
                [r"g\.npz: .*corrupt"],
                id=f"G31-{part}-{name}",
            )
            for part, name, value in [
                ("indices", "high", [1, 2**30]),
                ("indices", "negative", [1, -1]),
                ("indices", "float", [1.0, 2.0]),
                ("indptr", "high", [0, 1, 2**30, 2]),
                ("indptr", "falling", [0, 2, 1, 2]),
                ("indptr", "short", [0, 2]),
                ("data", "short", [1.0]),
            ]
        ),
    ],
)
def test_arrays_that_are_no_graph_are_one_line(refused, files, command_line, code, says):
    refused(files, command_line, code, *says)


def test_the_arrays_that_others_are_changed_from_are_good_ones(converted):
    """Else the refusals above would have another reason than the one they name."""
    assert converted({"g.npz": npz()}, "convert g.npz").num_links == 2
    assert converted({"g.npz": csr()}, "convert g.npz").num_links == 2


@pytest.mark.row("G09", "G30")
def test_a_matrix_with_entries_on_one_side_keeps_them_all(converted):
    """Not symmetric, and said so; of each link one direction or the other."""
    graph = converted({"g.mtx": f"{MTX}4 4 3\n2 1\n2 3\n4 3\n"}, "convert g.mtx")
    assert graph.links.T.tolist() == [[0, 1], [1, 2], [2, 3]]
    assert graph.notes == {"one_way": 3}


@pytest.mark.parametrize(
    "dtype", [pytest.param(dtype, id=f"G28-{dtype}") for dtype in ("int8", "int32", "uint64")]
)
def test_integers_of_any_width_are_taken(converted, dtype):
    edges = np.array([[0, 1], [1, 2]], dtype)
    assert converted({"g.npz": npz(edges=edges)}, "convert g.npz").num_links == 2


@pytest.mark.row("G30")
def test_truth_values_are_links_without_weights(converted):
    graph = converted({"g.npz": csr(data=np.ones(2, bool))}, "convert g.npz")
    assert (graph.num_links, graph.link_weight) == (2, None)


@pytest.mark.row("G32")
def test_a_matrix_is_what_its_entries_add_up_to(converted):
    parts = {"indices": [2, 1, 1, 0], "indptr": [0, 3, 4, 4], "data": [0.0, 1, 2, 3]}
    graph = converted(
        {"g.npz": csr(**{k: np.array(v) for k, v in parts.items()})}, "convert g.npz"
    )
    assert graph.links.T.tolist() == [[0, 1]]
    assert graph.link_weight.tolist() == [3]
