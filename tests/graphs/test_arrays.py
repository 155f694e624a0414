"""Features as users hand them over: read alike in any form, or refused with the place.

The ids are the rows of the catalogue of bad input.
"""

import warnings

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from vgae.errors import DataError
from vgae.graphs.arrays import FeatureBlock, block_features
from vgae.graphs.graph import Graph

PAIR = [[0], [1]]
DENSE = np.array([[0, 1, 0], [1, 0, 0]], dtype=np.float32)


def read_only(array):
    array.flags.writeable = False
    return array


def torch_csr(crow, col):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.sparse_csr_tensor(
            torch.tensor(crow),
            torch.tensor(col),
            torch.ones(len(col)),
            (2, 3),
            check_invariants=False,
        )


def torch_coo(row, col):
    indices = torch.tensor([row, col])
    return torch.sparse_coo_tensor(indices, torch.ones(2), (2, 3), check_invariants=False)


@pytest.mark.parametrize(
    "x",
    [
        pytest.param(DENSE.tolist(), id="list"),
        pytest.param(np.asfortranarray(DENSE), id="F09-fortran"),
        pytest.param(np.repeat(DENSE, 2, axis=1)[:, ::2], id="F09-strided"),
        pytest.param(DENSE[::-1].copy()[::-1], id="F09-negative-strides"),
        pytest.param(read_only(DENSE.copy()), id="F09-read-only"),
        pytest.param(DENSE.astype(">f8"), id="F07-big-endian"),
        *(
            pytest.param(DENSE.astype(t), id=f"F07-{t}")
            for t in ("float16", "float64", "longdouble", "int8", "uint64", "bool")
        ),
        *(
            pytest.param(torch.tensor(DENSE).to(t), id=f"F07-{t}")
            for t in (torch.float16, torch.bfloat16, torch.float64, torch.int32, torch.bool)
        ),
        pytest.param(torch.tensor(DENSE).requires_grad_(), id="F12-requires-grad"),
        pytest.param(torch.tensor(DENSE.T.copy()).T, id="F09-transposed-tensor"),
        *(
            pytest.param(sp.coo_array(DENSE).asformat(f), id=f"F12-scipy-{f}")
            for f in ("csr", "csc", "coo", "bsr", "dia", "dok", "lil")
        ),
        pytest.param(sp.csr_array(DENSE.astype(bool)), id="F07-scipy-bool"),
        pytest.param(torch_csr([0, 1, 2], [1, 0]), id="F12-torch-csr"),
        pytest.param(torch_coo([0, 1], [1, 0]), id="F12-torch-coo"),
        pytest.param(torch_coo([0, 1], [1, 0]).bool(), id="F12-torch-coo-bool"),
        pytest.param(torch_coo([0, 1], [1, 0]).bfloat16(), id="F12-torch-coo-bfloat16"),
    ],
)
def test_the_same_features_in_any_form_give_the_same_x(x):
    graph = Graph.from_edges(PAIR, x=x)
    assert graph.x.dtype == torch.float32
    assert not graph.x.requires_grad
    assert torch.equal(graph.x.to_dense(), torch.from_numpy(DENSE))
    assert (graph.num_nodes, graph.num_features) == DENSE.shape


@pytest.mark.parametrize("format_", ["csr", "csc", "coo"])
def test_sparse_features_stay_sparse_and_have_one_form(format_):
    row, col, data = [1, 0, 0, 1], [0, 1, 1, 2], [1.0, 0.25, 0.75, 0.0]
    x = sp.coo_array((data, (row, col)), shape=(2, 3)).asformat(format_)
    graph = Graph.from_edges(PAIR, x=x)
    plain = Graph.from_edges(PAIR, x=sp.csr_array(DENSE))
    assert graph.x.layout == torch.sparse_csr
    assert graph.fingerprint == plain.fingerprint


@pytest.mark.parametrize(
    "make", [np.array, torch.tensor, sp.csr_array, sp.coo_array, sp.csc_array]
)
def test_a_later_change_of_the_features_does_not_reach_in(make):
    x = make(DENSE)
    graph = Graph.from_edges(PAIR, x=x)
    (x.data if sp.issparse(x) else x)[:] = 7
    assert torch.equal(graph.x.to_dense(), torch.from_numpy(DENSE))


@pytest.mark.parametrize(
    ("x", "code", "words"),
    [
        pytest.param([[1, np.nan], [0, 1]], "FEATURE_NONFINITE", "row 0, column 1", id="F01-nan"),
        pytest.param([[1, 2], [-np.inf, 1]], "FEATURE_NONFINITE", "row 1, column 0", id="F01-inf"),
        pytest.param(
            [[0, 1e39], [1, 1]], "FEATURE_NONFINITE", "float32, got 1 ", id="F07-too-large"
        ),
        pytest.param(
            sp.csr_array([[0, 0], [0, np.nan]]),
            "FEATURE_NONFINITE",
            "row 1, column 1",
            id="F01-csr",
        ),
        pytest.param(
            sp.csc_array([[0, 1e39], [0, 0]]), "FEATURE_NONFINITE", "row 0, column 1", id="F07-csc"
        ),
        pytest.param(np.ones((3, 2)), "NODE_SET_MISMATCH", r"\(2\), got 3", id="F02-too-many"),
        pytest.param(np.ones((1, 2)), "NODE_SET_MISMATCH", r"\(2\), got 1", id="F02-too-few"),
        pytest.param(np.ones((2, 0)), "FEATURE_SHAPE", r"\(2, 0\)", id="F04"),
        pytest.param([1.0, 2.0], "FEATURE_SHAPE", r"\(N, F\).*got \(2,\)", id="F10-1d"),
        pytest.param(np.ones((2, 2, 2)), "FEATURE_SHAPE", r"\(2, 2, 2\)", id="F10-3d"),
        pytest.param([[1, 2], [3]], "FEATURE_SHAPE", "rows of x", id="F10-ragged"),
        pytest.param([["1"], ["2"]], "FEATURE_DTYPE", "<U1", id="F06-string"),
        pytest.param(np.ones((2, 1), object), "FEATURE_DTYPE", "object", id="F06-object"),
        pytest.param(np.ones((2, 1), complex), "FEATURE_DTYPE", "complex128", id="F06-complex"),
        pytest.param(torch.ones(2, 1) * 1j, "FEATURE_DTYPE", "complex64", id="F06-tensor"),
        pytest.param((torch.ones(2, 1) * 1j).conj(), "FEATURE_DTYPE", "complex64", id="F06-conj"),
        pytest.param(sp.csr_array(1j * np.eye(2)), "FEATURE_DTYPE", "complex128", id="F06-sparse"),
        pytest.param(np.zeros((2, 1), "M8[s]"), "FEATURE_DTYPE", "datetime64", id="F06-datetime"),
        pytest.param(
            torch_csr([0, 1, 2], [1, 9]), "SPARSE_CORRUPT", "corrupt", id="G31-torch-index"
        ),
        pytest.param(
            torch_csr([0, 1, 9], [1, 0]), "SPARSE_CORRUPT", "corrupt", id="G31-torch-crow"
        ),
        pytest.param(
            torch_coo([0, 10**9], [1, 0]), "SPARSE_CORRUPT", "corrupt", id="G31-torch-coo"
        ),
    ],
)
def test_features_that_cannot_be_used_are_refused_with_the_place(x, code, words):
    with pytest.raises(DataError, match=words) as caught:
        Graph.from_edges(PAIR, num_nodes=2, x=x)
    assert caught.value.code == code


def test_blocks_of_features_have_columns_of_their_own():
    blocks = [
        FeatureBlock("user", np.array([2, 0]), DENSE[:, :2], ("age", "rich")),
        FeatureBlock("item", np.array([1]), sp.csr_array([[5.0, 0, 7]])),
        FeatureBlock("shop", np.array([4, 3])),
    ]
    x, names = block_features(blocks)
    assert x.layout == torch.sparse_csr
    assert x.to_dense().tolist() == [
        [1, 0, 0, 0, 0, 0, 0],
        [0, 0, 5, 0, 7, 0, 0],
        [0, 1, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 1],
        [0, 0, 0, 0, 0, 1, 0],
    ]
    own = ("user:age", "user:rich", "item:0", "item:1", "item:2", "shop:0", "shop:1")
    assert names == own


@pytest.mark.parametrize(
    ("block", "code", "words"),
    [
        (("a", np.arange(3), DENSE), "NODE_SET_MISMATCH", r"x of 'a' must have one row .*\(3\)"),
        (("a", np.arange(2), DENSE, ["f"]), "FEATURE_NAMES", "each of the 3 columns of x of 'a'"),
        (("a", np.arange(2), DENSE + np.inf), "FEATURE_NONFINITE", "^x of 'a' must be finite"),
    ],
)
def test_a_block_that_cannot_be_used_is_named(block, code, words):
    with pytest.raises(DataError, match=words) as caught:
        block_features([FeatureBlock(*block)])
    assert caught.value.code == code
