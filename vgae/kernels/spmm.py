"""Products of sparse and dense matrices; the backward pass transposes nothing."""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from vgae.kernels._available import sparse_kernels
from vgae.kernels.csr import csr_tensor, transposed
from vgae.kernels.rows import Rows


class SparseOperator(NamedTuple):
    """Constant sparse matrix with its transpose, for differentiable products with dense ones.

    torch would transpose a CSR matrix in each backward pass. A symmetric one is its transpose.

    Args:
        matrix: Sparse CSR matrix, shape ``(n, m)``.
        transpose: Its transpose as CSR, shape ``(m, n)``.
        order: Index in the matrix of each entry of the transpose, shape ``(nnz,)``; only
            :meth:`scaled` needs it.
        loops: Indices of the entries on the diagonal, if there is one in each row, shape ``(n,)``;
            they save :meth:`diagonal` a search.
        entries: Division of the entries among processes, if the matrix has own rows only.
    """

    matrix: Tensor
    transpose: Tensor
    order: Tensor | None = None
    loops: Tensor | None = None
    entries: Rows | None = None

    @classmethod
    def of(cls, matrix: Tensor) -> "SparseOperator":
        """Wrap any sparse CSR matrix and transpose it once."""
        return cls(matrix, transposed(matrix))

    @classmethod
    def scalable(cls, matrix: Tensor) -> "SparseOperator":
        """Wrap any sparse CSR matrix so that :meth:`scaled` works."""
        places = torch.arange(matrix.values().numel(), device=matrix.device)
        order = transposed(_with_values(matrix, places)).values()
        return cls(matrix, transposed(matrix), order)

    @classmethod
    def symmetric(cls, matrix: Tensor, loops: Tensor | None = None) -> "SparseOperator":
        """Wrap a sparse CSR matrix whose symmetry is not checked."""
        return cls(matrix, matrix, None, loops)

    def scaled(self, factors: Tensor) -> "SparseOperator":
        """Return the matrix with each entry times its factor, shape ``(nnz,)``.

        Raises:
            ValueError: If :meth:`scalable` did not make the operator.
        """
        if self.order is None:
            raise ValueError("scaled needs an operator made by SparseOperator.scalable.")
        values = self.matrix.values() * factors
        transpose = _with_values(self.transpose, values[self.order])
        return self._replace(matrix=_with_values(self.matrix, values), transpose=transpose)

    def thinned(self, kept: Tensor) -> "SparseOperator":
        """Return the matrix without some entries: ``kept`` is 1 or 0 for each, shape ``(nnz,)``.

        On a CPU the others are not stored either; elsewhere, where their number is not known
        without waiting, they are zeros.

        Raises:
            ValueError: If :meth:`scalable` did not make the operator.
        """
        if self.order is None or kept.device.type != "cpu":
            return self.scaled(kept)
        parts = (self.matrix, kept), (self.transpose, kept.index_select(0, self.order))
        matrix, transpose = (_stored(*part) for part in parts)
        return self._replace(matrix=matrix, transpose=transpose, order=None)

    def diagonal(self) -> Tensor:
        """Return the entries on the diagonal of a square matrix, shape ``(n,)``."""
        col, values = self.matrix.col_indices(), self.matrix.values()
        if self.loops is not None:
            return values.index_select(0, self.loops)
        row = torch.repeat_interleave(self.matrix.crow_indices().diff(), output_size=len(col))
        return _diagonal(row, col, values, self.shape[0])

    @property
    def shape(self) -> torch.Size:
        """Rows and columns of the matrix."""
        return self.matrix.shape

    def __matmul__(self, dense: Tensor) -> Tensor:
        """Return the product with a dense matrix of shape ``(m, k)``, shape ``(n, k)``.

        The result has the dtype of ``dense``. Half precision, for which no sparse product exists,
        is computed in the dtype of the matrix.
        """
        dtype = torch.promote_types(self.matrix.dtype, dense.dtype)
        matrix, transpose = self.matrix.to(dtype), self.transpose.to(dtype)
        with torch.autocast(dense.device.type, enabled=False):
            return _SparseProduct.apply(matrix, transpose, dense.to(dtype)).to(dense.dtype)


class EdgeOperator(NamedTuple):
    """Sparse matrix as a list of entries whose values get gradients too; slower.

    Args:
        edge_index: Source (column) and target (row) of every entry, shape ``(2, E)``.
        values: Value of each entry, shape ``(E,)``.
        num_nodes: Number of rows and of columns.
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
    # Entries off the diagonal are added as zeros, so no shape depends on values.
    return values.new_zeros(size).index_add(0, row, values * (row == col))


def _with_values(matrix: Tensor, values: Tensor) -> Tensor:
    return csr_tensor(matrix.crow_indices(), matrix.col_indices(), values, tuple(matrix.shape))


def _stored(matrix: Tensor, kept: Tensor) -> Tensor:
    """Return a matrix on a CPU without the entries for which ``kept`` is 0."""
    places = np.flatnonzero(kept.numpy() != 0)  # of truth values, it is several times faster
    crow = torch.from_numpy(np.searchsorted(places, matrix.crow_indices().numpy()))
    places = torch.from_numpy(places)
    col, values = (t.index_select(0, places) for t in (matrix.col_indices(), matrix.values()))
    return csr_tensor(crow.to(col.dtype), col, values, tuple(matrix.shape))


def product(matrix: Tensor, dense: Tensor) -> Tensor:
    """Return ``matrix @ dense`` for a sparse CSR matrix of the same dtype, without gradients.

    On a GPU, the result has the same bits each time if Triton works and the dtype is float32, or
    if torch's flag for deterministic algorithms is set; the flag does not affect cuSPARSE.
    """
    # The kernel would read beyond the end of a matrix that is too short; torch refuses it.
    fits = matrix.shape[1:] == dense.shape[:1] and dense.dim() == 2
    col = matrix.col_indices()
    kernels = sparse_kernels(max(matrix.shape), dense, col) if fits else None
    if kernels is not None:
        return kernels.csr_product(matrix.crow_indices(), col, matrix.values(), dense)
    if dense.is_cuda and torch.are_deterministic_algorithms_enabled():
        return added_in_order(matrix, dense)
    if dense.is_cuda or not fits:
        return matrix @ dense
    # torch's own product adds to zeros, and copies the result.
    found = dense.new_empty(len(matrix), dense.shape[1], requires_grad=False)
    return torch.addmm(found, matrix, dense, beta=0, out=found)


def added_in_order(matrix: Tensor, dense: Tensor) -> Tensor:
    """Return ``matrix @ dense`` by ``index_add``, which torch can make deterministic on a GPU.

    The product of cuSPARSE is faster, but its order of summation may differ between calls.
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
        return product(matrix, dense)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[None, None, Tensor]:
        return None, None, _SparseProduct.apply(ctx.transpose, ctx.matrix, grad_outputs[0])
