"""Sparse matrices whose rows are divided among processes."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from vgae.kernels.csr import csr_tensor
from vgae.kernels.rows import Rows
from vgae.kernels.spmm import product

_COLUMNS_AT_ONCE = 64  # of a product without gradients, so that few columns of others are held


class RowOperator(NamedTuple):
    """Own rows of a constant symmetric sparse matrix, for products with matrices of divided rows.

    Args:
        rows: Division of rows and columns.
        blocks: Own rows as CSR, cut at the columns of each process.
        loops: Own entries on the diagonal.
    """

    rows: Rows
    blocks: Sequence[Tensor]
    loops: Tensor

    def diagonal(self) -> Tensor:
        """Return the own entries on the diagonal, shape ``(len(own),)``."""
        return self.loops

    def __matmul__(self, dense: Tensor) -> Tensor:
        """Return the own rows of the product, given those of the dense matrix.

        All processes compute it together. The result has the dtype of ``dense``; half precision is
        computed in the dtype of the matrix.
        """
        dtype = torch.promote_types(self.loops.dtype, dense.dtype)
        with torch.autocast(dense.device.type, enabled=False):
            return _RowProduct.apply(self, dense.to(dtype)).to(dense.dtype)

    def product(self, dense: Tensor) -> Tensor:
        """Return the product without gradients."""
        parts = dense.split(_COLUMNS_AT_ONCE, dim=1)
        if len(parts) == 1:
            return self._product(dense)
        found = torch.empty_like(dense, memory_format=torch.contiguous_format)
        for part, own in zip(parts, found.split(_COLUMNS_AT_ONCE, dim=1), strict=True):
            own.copy_(self._product(part))
        return found

    def _product(self, dense: Tensor) -> Tensor:
        total = dense.new_zeros(dense.shape)
        for rank, block in self.rows.blocks(dense):
            total += product(self.blocks[rank].to(dense.dtype), block)
        return total


class _RowProduct(torch.autograd.Function):
    """``operator @ dense``; the gradient of ``dense`` is ``operator @ grad``, by the symmetry."""

    @staticmethod
    def forward(ctx: Any, operator: RowOperator, dense: Tensor) -> Tensor:
        ctx.operator = operator
        return operator.product(dense)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[None, Tensor]:
        return None, _RowProduct.apply(ctx.operator, grad_outputs[0])


class RowPattern(NamedTuple):
    """Own rows of :class:`vgae.kernels.patterns.EdgePattern`, cut at the columns of each process.

    Args:
        rows: Division of rows and columns.
        crows: Start of each own row in each part, shapes ``(len(own) + 1,)``.
        cols: Column of each entry of each part, from the first column of the part.
        row: Own row of each entry, part after part, shape ``(entries,)``.
        edge: Index of the edge of each entry, 0 for a self-loop, shape ``(entries,)``.
        is_loop: Whether an entry is a self-loop, shape ``(entries,)``.
        loops: Indices of the self-loops, in the order of the nodes, shape ``(len(own),)``.
        num_edges: Number E of edges of all processes, both directions.
    """

    rows: Rows
    crows: Sequence[Tensor]
    cols: Sequence[Tensor]
    row: Tensor
    edge: Tensor
    is_loop: Tensor
    loops: Tensor
    num_edges: int

    @classmethod
    def of(cls, edge_index: Tensor, rows: Rows) -> "RowPattern":
        """Sort the own edges among all, which have both directions, once each, no self-loops."""
        own, total, device = rows.own, rows.count, edge_index.device
        source, num_edges = edge_index[0], edge_index.shape[1]
        edge = ((source >= own.start) & (source < own.stop)).nonzero()[:, 0]
        nodes = torch.arange(len(own), device=device)
        row = torch.cat([source[edge] - own.start, nodes])
        col = torch.cat([edge_index[1, edge], nodes + own.start])
        starts = torch.tensor(rows.starts, device=device)
        part = torch.searchsorted(starts[1:], col, right=True)
        order = ((part * len(own) + row) * total + col).argsort()
        is_loop = order >= len(edge)
        row, col, part = row[order], col[order] - starts[part[order]], part[order]
        edge = torch.cat([edge, edge.new_zeros(len(own))])[order]
        index = torch.int32 if max(num_edges + total, len(own)) < 2**31 else torch.int64
        ends = torch.arange(len(own) + 1, device=device)
        sizes = part.bincount(minlength=rows.team.size).tolist()
        crows = [torch.searchsorted(r.contiguous(), ends).to(index) for r in row.split(sizes)]
        cols = [c.to(index) for c in col.split(sizes)]
        loops = is_loop.nonzero()[:, 0].to(index)
        return cls(rows, crows, cols, row.to(index), edge.to(index), is_loop, loops, num_edges)

    def operator(
        self,
        edge_weight: Tensor | None = None,
        *,
        self_loop_weight: float = 1.0,
        signed: bool = False,
        dtype: torch.dtype | None = None,
    ) -> RowOperator:
        r"""Return :math:`\hat A`, as :meth:`vgae.kernels.patterns.EdgePattern.gcn_norm` does.

        All processes compute it together, from the weights of all edges.
        """
        dtype = dtype or (torch.float32 if edge_weight is None else edge_weight.dtype)
        weight = torch.ones(len(self.row), dtype=dtype, device=self.row.device)
        if edge_weight is not None and self.num_edges:
            weight = edge_weight.index_select(0, self.edge).to(dtype)
        weight.masked_fill_(self.is_loop, self_loop_weight)
        values = weight.split([len(col) for col in self.cols])
        degree = weight.new_zeros(len(self.loops))
        for part, crow in zip(values, self.crows, strict=True):
            magnitude = part.abs() if signed else part
            degree += torch.segment_reduce(magnitude, "sum", offsets=crow.long())
        scale = degree.rsqrt_()
        weight.mul_(scale.index_select(0, self.row))
        blocks = [weight] * len(values)
        for rank, theirs in self.rows.blocks(scale):
            crow, col, part = self.crows[rank], self.cols[rank], values[rank]
            part.mul_(theirs.index_select(0, col))
            blocks[rank] = csr_tensor(crow, col, part, (len(scale), len(theirs)))
        return RowOperator(self.rows, blocks, weight.index_select(0, self.loops))
