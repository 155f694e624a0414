"""Sparse times dense, with a backward pass that never transposes a matrix."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from vgae.kernels.csr import csr_tensor, transposed


class SparseOperator(NamedTuple):
    """A constant sparse matrix that can be multiplied with a dense one and differentiated.

    torch transposes a CSR matrix anew in each backward pass; this keeps the transpose. That of a
    symmetric matrix, such as the normalised adjacency, is the matrix itself.

    Args:
        matrix: Sparse CSR matrix, shape ``(n, m)``.
        transpose: Its transpose as CSR, shape ``(m, n)``.
        order: Where each entry of the transpose stands in the matrix, shape ``(nnz,)``; only
            :meth:`scaled` needs it.
    """

    matrix: Tensor
    transpose: Tensor
    order: Tensor | None = None

    @classmethod
    def of(cls, matrix: Tensor) -> "SparseOperator":
        """Wrap any sparse CSR matrix; transposes it, once."""
        return cls(matrix, transposed(matrix))

    @classmethod
    def scalable(cls, matrix: Tensor) -> "SparseOperator":
        """Wrap any sparse CSR matrix so that :meth:`scaled` works."""
        places = torch.arange(matrix.values().numel(), device=matrix.device)
        order = transposed(_with_values(matrix, places)).values()
        return cls(matrix, transposed(matrix), order)

    @classmethod
    def symmetric(cls, matrix: Tensor) -> "SparseOperator":
        """Wrap a symmetric sparse CSR matrix; the caller vouches for the symmetry."""
        return cls(matrix, matrix)

    def scaled(self, factors: Tensor) -> "SparseOperator":
        """Return the matrix with each entry times its factor, shape ``(nnz,)``.

        Raises:
            ValueError: If the operator was not made by :meth:`scalable`.
        """
        if self.order is None:
            raise ValueError("scaled needs an operator made by SparseOperator.scalable.")
        values = self.matrix.values() * factors
        transpose = _with_values(self.transpose, values[self.order])
        return SparseOperator(_with_values(self.matrix, values), transpose, self.order)

    def diagonal(self) -> Tensor:
        """Return the entries on the diagonal of a square matrix, shape ``(n,)``."""
        col, values = self.matrix.col_indices(), self.matrix.values()
        row = torch.repeat_interleave(self.matrix.crow_indices().diff(), output_size=len(col))
        return _diagonal(row, col, values, self.shape[0])

    @property
    def shape(self) -> torch.Size:
        """Rows and columns of the matrix."""
        return self.matrix.shape

    def __matmul__(self, dense: Tensor) -> Tensor:
        """Return the product with a dense matrix of shape ``(m, k)``, shape ``(n, k)``.

        Half precision is computed in that of the matrix, as no sparse product exists for it. The
        result has the dtype of ``dense``.
        """
        dtype = torch.promote_types(self.matrix.dtype, dense.dtype)
        matrix, transpose = self.matrix.to(dtype), self.transpose.to(dtype)
        with torch.autocast(dense.device.type, enabled=False):
            return _SparseProduct.apply(matrix, transpose, dense.to(dtype)).to(dense.dtype)


class EdgeOperator(NamedTuple):
    """A sparse matrix as a list of entries whose values get gradients too; slower.

    Args:
        edge_index: Source (column) and target (row) of every entry, shape ``(2, E)``.
        values: One per entry, shape ``(E,)``.
        num_nodes: Rows and columns.
    """

    edge_index: Tensor
    values: Tensor
    num_nodes: int

    def __matmul__(self, dense: Tensor) -> Tensor:
        """Return the product with a dense matrix of shape ``(N, k)``, shape ``(N, k)``."""
        src, dst = self.edge_index
        messages = self.values[:, None].to(dense.dtype) * dense.index_select(0, src)
        return dense.new_zeros(self.num_nodes, dense.shape[1]).index_add(0, dst, messages)

    def diagonal(self) -> Tensor:
        """Return the entries on the diagonal, shape ``(N,)``."""
        row, col = self.edge_index
        return _diagonal(row, col, self.values, self.num_nodes)


def _diagonal(row: Tensor, col: Tensor, values: Tensor, size: int) -> Tensor:
    # All entries are added, those off the diagonal as zeros, so that no shape depends on values.
    return values.new_zeros(size).index_add(0, row, values * (row == col))


def _with_values(matrix: Tensor, values: Tensor) -> Tensor:
    """Return a CSR matrix with the same pattern and other values."""
    return csr_tensor(matrix.crow_indices(), matrix.col_indices(), values, tuple(matrix.shape))


def added_in_order(matrix: Tensor, dense: Tensor) -> Tensor:
    """Return ``matrix @ dense``, added by what torch vouches for on a GPU.

    cuSPARSE's product, which is faster, may add in another order each time, and torch's flag for
    deterministic algorithms does not tell. ``index_add`` heeds it.
    """
    col, counts = matrix.col_indices(), matrix.crow_indices().diff()
    row = torch.repeat_interleave(counts, output_size=len(col))
    messages = matrix.values()[:, None] * dense.index_select(0, col)
    return dense.new_zeros(matrix.shape[0], dense.shape[1]).index_add(0, row, messages)


class _SparseProduct(torch.autograd.Function):
    """``matrix @ dense``; the gradient of ``dense`` is ``transpose @ grad``."""

    @staticmethod
    def forward(ctx: Any, matrix: Tensor, transpose: Tensor, dense: Tensor) -> Tensor:
        ctx.matrix, ctx.transpose = matrix, transpose
        if dense.is_cuda and torch.are_deterministic_algorithms_enabled():
            return added_in_order(matrix, dense)
        return matrix @ dense

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[None, None, Tensor]:
        return None, None, _SparseProduct.apply(ctx.transpose, ctx.matrix, grad_outputs[0])
