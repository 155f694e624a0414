"""CSR matrices and the GCN normalisation, against scipy and torch_geometric."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_geometric.nn.conv import gcn_conv
from torch_geometric.utils import to_dense_adj

from vgae.errors import DataError
from vgae.kernels.csr import csr_tensor, edges_to_csr, gcn_norm, transposed

weights = st.floats(0, 10, width=32, allow_subnormal=False)


@st.composite
def weighted_edges(draw):
    """N, directed edges with repeats, self-loops and isolated nodes, and a weight for each.

    A node has one self-loop at most: which of several PyG keeps is not defined.
    """
    n = draw(st.integers(1, 9))
    node = st.integers(0, n - 1)
    edges = draw(st.lists(st.tuples(node, node, weights), max_size=30))
    loops = {u: (u, v, w) for u, v, w in edges if u == v}
    edges = [edge for edge in edges if edge[0] != edge[1]] + list(loops.values())
    index = torch.tensor([edge[:2] for edge in edges], dtype=torch.int64).reshape(-1, 2).T
    return n, index, torch.tensor([edge[2] for edge in edges], dtype=torch.float64)


def pyg_norm(index, n, weight):
    """What PyG multiplies x with: entry (target, source)."""
    index, weight = gcn_conv.gcn_norm(index, weight, n, dtype=torch.float64)
    return to_dense_adj(index.flip(0), edge_attr=weight, max_num_nodes=n)[0]


def assert_well_formed(matrix):
    """Sorted, without repeats and in range: torch checks what csr_tensor takes on trust."""
    parts = (matrix.crow_indices(), matrix.col_indices(), matrix.values())
    torch.sparse_csr_tensor(*parts, matrix.shape, check_invariants=True)


@given(weighted_edges(), st.sampled_from([torch.int64, torch.int32]))
def test_edges_make_the_same_matrix_as_in_scipy(case, dtype):
    n, index, weight = case
    matrix = edges_to_csr(index.to(dtype), n, weight)
    expected = sp.coo_array((weight.numpy(), tuple(index.numpy())), shape=(n, n)).toarray()
    assert_well_formed(matrix)
    np.testing.assert_allclose(matrix.to_dense().numpy(), expected, rtol=1e-12)


@given(weighted_edges())
def test_edges_without_values_are_counted(case):
    n, index, _ = case
    counts = np.zeros((n, n))
    np.add.at(counts, tuple(index.numpy()), 1)
    assert np.array_equal(edges_to_csr(index, n).to_dense().numpy(), counts)


def test_indices_of_32_bits_do_not_overflow():
    """Row 99,999 of 100,000 nodes: row * N + column needs 34 bits."""
    index = torch.tensor([[99_999, 0], [99_998, 3]], dtype=torch.int32)
    matrix = edges_to_csr(index, 100_000)
    assert matrix.col_indices().tolist() == [3, 99_998]
    assert matrix.crow_indices()[[1, 99_999, 100_000]].tolist() == [1, 1, 2]


@given(weighted_edges())
def test_gradients_reach_the_values_of_every_edge(case):
    n, index, weight = case
    weight.requires_grad_()
    edges_to_csr(index, n, weight).values().sum().backward()
    assert (weight.grad == 1).all()


@settings(deadline=None)
@given(weighted_edges())
def test_the_normalisation_equals_that_of_pyg_with_weights(case):
    n, index, weight = case
    matrix = gcn_norm(index, n, weight)
    assert_well_formed(matrix)
    torch.testing.assert_close(
        matrix.to_dense(), pyg_norm(index, n, weight), rtol=1e-12, atol=1e-6
    )


@settings(deadline=None)
@given(weighted_edges())
def test_the_normalisation_equals_that_of_pyg_without_weights(case):
    n, index, _ = case
    dense = gcn_norm(index, n).to_dense().double()
    torch.testing.assert_close(dense, pyg_norm(index, n, None), rtol=0, atol=1e-6)


def test_the_normalisation_of_a_path_by_hand():
    """A + I has degrees 2, 3, 2; node 3 is isolated. 1 / sqrt(2 * 3) = 0.408..."""
    index = torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]])
    a, b, c = 1 / 2, 6**-0.5, 1 / 3
    expected = torch.tensor([[a, b, 0, 0], [b, c, b, 0], [0, b, a, 0], [0, 0, 0, 1]])
    torch.testing.assert_close(gcn_norm(index, 4).to_dense(), expected)


def test_a_node_that_nothing_weighs_on_passes_nothing_on():
    """A self-loop of weight 0 and no other edge in once gave entries of 1e18."""
    index, weight = torch.tensor([[0, 0], [0, 1]]), torch.tensor([0.0, 1.0], requires_grad=True)
    matrix = gcn_norm(index, 2, weight)
    torch.testing.assert_close(matrix.to_dense(), torch.tensor([[0, 0], [0, 0.5]]))
    matrix.values().sum().backward()
    assert weight.grad.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool, torch.float64])
def test_weights_of_any_type_are_taken(dtype):
    index = torch.tensor([[0, 1], [1, 0]])
    dense = gcn_norm(index, 3, torch.tensor([1, 1]).to(dtype)).to_dense()
    torch.testing.assert_close(dense.float(), gcn_norm(index, 3).to_dense())


@pytest.mark.parametrize(
    ("index", "weight", "code", "words"),
    [
        pytest.param([[0, 3], [1, 0]], None, "INDEX_RANGE", r"\[0, 3\).*0 to 3", id="G29"),
        pytest.param([[0, -1], [1, 0]], None, "INDEX_RANGE", "-1", id="G29-negative"),
        pytest.param([[0, 1]], None, "EDGE_INDEX_SHAPE", r"\(1, 2\)", id="G28"),
        pytest.param([0, 1], None, "EDGE_INDEX_SHAPE", r"\(2,\)", id="G28-1d"),
        pytest.param([[0.0], [1.0]], None, "EDGE_INDEX_DTYPE", "float32", id="G27"),
        pytest.param([[0, 1], [1, 0]], [1.0, -1.0], "NEGATIVE_WEIGHT", "negative", id="G11"),
        pytest.param([[0, 1], [1, 0]], [1.0, np.nan], "NEGATIVE_WEIGHT", "finite", id="G12-nan"),
        pytest.param([[0, 1], [1, 0]], [np.inf, 1.0], "NEGATIVE_WEIGHT", "finite", id="G12-inf"),
        pytest.param([[0, 1], [1, 0]], [1.0], "WEIGHT_SHAPE", r"\(2,\).*\(1,\)", id="G12-short"),
        pytest.param([[0, 1], [1, 0]], [[1.0], [1]], "WEIGHT_SHAPE", r"\(2, 1\)", id="G12-2d"),
    ],
)
def test_edges_that_cannot_be_normalised_are_refused(index, weight, code, words):
    weight = None if weight is None else torch.tensor(weight)
    with pytest.raises(DataError, match=words) as caught:
        gcn_norm(torch.tensor(index), 3, weight)
    assert caught.value.code == code


@given(weighted_edges(), st.integers(1, 4))
def test_the_transpose_of_the_transpose_is_the_matrix(case, rows):
    n, index, weight = case
    square = edges_to_csr(index, n, weight)
    # The first rows alone make it oblong.
    rows = min(rows, n)
    end = int(square.crow_indices()[rows])
    parts = (square.crow_indices()[: rows + 1], square.col_indices()[:end], square.values()[:end])
    matrix = csr_tensor(*parts, (rows, n))
    flipped = transposed(matrix)
    assert_well_formed(flipped)
    assert torch.equal(flipped.to_dense(), matrix.to_dense().T)
    assert torch.equal(transposed(flipped).to_dense(), matrix.to_dense())
