import pytest
import torch

from vgae.kernels import EdgeOperator, SparseOperator
from vgae.kernels.csr import edges_to_csr
from vgae.kernels.spmm import added_in_order
from vgae.runtime.devices import deterministic_algorithms


def operator(generator):
    index = torch.randint(6, (2, 14), generator=generator)
    values = torch.rand(14, generator=generator, dtype=torch.float64)
    return SparseOperator.of(edges_to_csr(index, 6, values))


def test_product_and_gradient_equal_the_dense_ones(generator):
    a = operator(generator)
    x = torch.rand(6, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(a @ x, a.matrix.to_dense() @ x)
    assert torch.autograd.gradcheck(lambda x: a @ x, x)
    assert torch.autograd.gradgradcheck(lambda x: (a @ x) ** 3, x)


def test_the_product_that_is_added_in_order_is_the_product(generator):
    a = operator(generator)
    x = torch.rand(6, 3, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(added_in_order(a.matrix, x), a @ x)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_on_a_gpu_the_flag_gives_the_same_bits_each_time(dtype, generator):
    index = torch.randint(2000, (2, 100_000), generator=generator)
    values = torch.rand(100_000, generator=generator, dtype=dtype)
    a = SparseOperator.of(edges_to_csr(index, 2000, values).cuda())
    x = torch.rand(2000, 64, generator=generator, dtype=dtype).cuda().requires_grad_()
    with deterministic_algorithms(wanted=True):
        found = [torch.autograd.grad((a @ x).square().sum(), x)[0] for _ in range(5)]
    assert all(torch.equal(found[0], other) for other in found[1:])


def test_the_transpose_of_a_symmetric_matrix_is_the_matrix_itself():
    edge_index = torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]])
    a = SparseOperator.symmetric(edges_to_csr(edge_index, 3).double())
    assert a.transpose is a.matrix
    x = torch.rand(3, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: a @ x, x)


def test_scaled_entries_are_those_of_the_matrix_in_product_and_gradient(generator):
    index = torch.randint(6, (2, 14), generator=generator)
    values = torch.rand(14, generator=generator, dtype=torch.float64)
    a = SparseOperator.scalable(edges_to_csr(index, 6, values))
    factors = torch.rand(a.matrix.values().shape, generator=generator, dtype=torch.float64)
    dense = a.matrix.to_dense()
    dense[dense != 0] *= factors
    b = a.scaled(factors)
    torch.testing.assert_close(b.matrix.to_dense(), dense)
    torch.testing.assert_close(b.transpose.to_dense(), dense.T)


def test_the_diagonal_holds_what_stands_there_and_zeros(generator):
    a = operator(generator)
    assert 0 < a.diagonal().count_nonzero() < 6
    torch.testing.assert_close(a.diagonal(), a.matrix.to_dense().diagonal())
    index = torch.tensor([[0, 1, 1, 2], [1, 1, 1, 0]])
    entries = EdgeOperator(index, torch.tensor([1.0, 2.0, 3.0, 4.0]), 3)
    assert entries.diagonal().tolist() == [0, 5, 0]


def test_an_operator_without_an_order_is_not_scaled(generator):
    with pytest.raises(ValueError, match=r"made by SparseOperator\.scalable"):
        operator(generator).scaled(torch.ones(14))
