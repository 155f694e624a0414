"""Sorted patterns of links: where the entries of a sparse matrix are, whatever their values."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

from vgae.errors import DataError
from vgae.kernels.csr import checked_edges, csr_tensor

# The pattern of edges, as long as they exist: encoder and decoder share it.
_PATTERNS: Any = WeakIdKeyDictionary()
_MANY, _ROWS = 1 << 24, 1 << 14  # entries that are normalised in blocks of rows


class PairPattern(NamedTuple):
    """Sorted CSR pattern of some entries of a rectangle, with that of its transpose.

    Args:
        crow: Start of each row, shape ``(n + 1,)``.
        col: Column of each entry, shape ``(E,)``.
        crow_t: Start of each row of the transpose, shape ``(m + 1,)``.
        col_t: Column of each entry of the transpose, shape ``(E,)``.
        order: Index in the pattern of each entry of the transpose, shape ``(E,)``.
        pair: Index of the pair of each entry, in the order in which they were given, ``(E,)``.
    """

    crow: Tensor
    col: Tensor
    crow_t: Tensor
    col_t: Tensor
    order: Tensor
    pair: Tensor

    @classmethod
    def of(cls, pairs: Tensor, shape: tuple[int, int]) -> "PairPattern":
        """Sort the pairs of a row and a column, once each, shape ``(2, E)``.

        Raises:
            DataError: If an index is out of range, or a pair is repeated.
        """
        num_rows, num_columns = shape
        row, col = checked_edges(pairs, max(shape))
        for name, index, size in (("row", row, num_rows), ("column", col, num_columns)):
            if len(index) and int(index.max()) >= size:
                raise DataError(
                    "INDEX_RANGE", f"a {name} must lie in [0, {size}), got {int(index.max())}."
                )
        code, pair = (row * num_columns + col).sort()
        if (code[1:] == code[:-1]).any():
            raise DataError("EDGE_ORDER", "pairs must be listed once each.")
        row, col = row[pair], col[pair]
        order = col.argsort(stable=True)
        dtype = torch.int32 if len(code) < 2**31 else torch.int64
        starts = (
            torch.searchsorted(index.contiguous(), torch.arange(size + 1, device=index.device))
            for index, size in ((row, num_rows), (col[order], num_columns))
        )
        crow, crow_t = (start.to(dtype) for start in starts)
        return cls(crow, col.to(dtype), crow_t, row[order].to(dtype), order, pair)

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows n and of columns m."""
        return len(self.crow) - 1, len(self.crow_t) - 1

    def values(self, pairs: Tensor) -> Tensor:
        """Return the value of each entry from those of the pairs, shape ``(E,)``."""
        return pairs.index_select(0, self.pair)


@dataclass(frozen=True, eq=False)
class EdgePattern:
    """Sorted CSR pattern of the edges of an undirected graph and of a self-loop for each node.

    What else follows from these is computed when it is first used, and kept.

    Attributes:
        crow: Start of each row, shape ``(N + 1,)``.
        col: Column of each entry, shape ``(E + N,)``.
        loops: Indices of the self-loops, in the order of the nodes, shape ``(N,)``.
        order: Index of each edge, in the order in which they were given, ascending by row and
            column, shape ``(E,)``; ``None`` if they were given in this order.
    """

    crow: Tensor
    col: Tensor
    loops: Tensor
    order: Tensor | None = None

    @classmethod
    def of(cls, edge_index: Tensor, num_nodes: int) -> "EdgePattern":
        """Sort the edges, given in both directions, once each, without self-loops, ``(2, E)``.

        As long as the edges exist, the result is kept, and returned for the same tensor.

        Raises:
            DataError: If the edges are not of this form.
        """
        state = num_nodes, 0 if edge_index.is_inference() else edge_index._version
        known = _PATTERNS.get(edge_index)
        if known is None or known[0] != state:
            known = _PATTERNS[edge_index] = state, cls._of(edge_index, num_nodes)
        return known[1]

    @classmethod
    def _of(cls, edge_index: Tensor, num_nodes: int) -> "EdgePattern":
        edges, order = checked_edges(edge_index, num_nodes), None
        if not _ascends(edges, num_nodes):
            order = (edges[0] * num_nodes + edges[1]).argsort()
            edges = edges[:, order]
            if not _ascends(edges, num_nodes):
                raise _not_undirected()
        row, col = edges
        index = torch.int32 if edges.shape[1] + num_nodes < 2**31 else torch.int64
        starts = row.new_zeros(num_nodes + 1)
        torch.cumsum(row.bincount(minlength=num_nodes), 0, out=starts[1:])
        if (row == col).any() or not _is_symmetric(starts.to(index), col.to(index), edges):
            raise _not_undirected()
        nodes = torch.arange(num_nodes, device=row.device)
        # Where the self-loop comes among the entries of its row.
        loops = starts[:-1] + nodes + row[col < row].bincount(minlength=num_nodes)
        crow = starts + torch.arange(num_nodes + 1, device=row.device)
        whole = torch.empty(len(col) + num_nodes, dtype=index, device=row.device)
        is_edge = torch.ones(len(whole), dtype=torch.bool, device=row.device)
        is_edge.index_fill_(0, loops, 0)
        whole.masked_scatter_(is_edge, col.to(index)).index_copy_(0, loops, nodes.to(index))
        return cls(crow.to(index), whole, loops, order)

    @cached_property
    def offsets(self) -> Tensor:
        """``crow`` as int64, shape ``(N + 1,)``."""
        return self.crow.long()

    @property
    def row(self) -> Tensor:
        """Row of each entry, int64, shape ``(E + N,)``."""
        nodes = torch.arange(self.num_nodes, device=self.col.device)
        return nodes.repeat_interleave(self.offsets.diff(), output_size=len(self.col))

    _kept_row = cached_property(lambda self: self.row)

    @cached_property
    def is_loop(self) -> Tensor:
        """Whether an entry is a self-loop, shape ``(E + N,)``."""
        found = torch.zeros(len(self.col), dtype=torch.bool, device=self.col.device)
        return found.index_fill_(0, self.loops, 1)

    @cached_property
    def edge(self) -> Tensor:
        """Index of the edge of each entry, as they were given; 0 for a self-loop, ``(E + N,)``."""
        index = self.col.dtype
        own = torch.arange(self.num_edges, dtype=index, device=self.col.device)
        found = torch.zeros(len(self.col), dtype=index, device=self.col.device)
        return found.masked_scatter_(
            ~self.is_loop, own if self.order is None else self.order.to(index)
        )

    @property
    def num_nodes(self) -> int:
        """Number N of nodes."""
        return len(self.loops)

    @property
    def num_edges(self) -> int:
        """Number E of edges, both directions."""
        return len(self.col) - len(self.loops)

    def values(self, edges: Tensor, loop: float) -> Tensor:
        """Return the value of each entry, from those of the edges and that of the self-loops.

        Args:
            edges: Value of each edge, shape ``(E,)``.
            loop: Value of the self-loops.

        Raises:
            ValueError: If the shape is another, or the values require gradients.
        """
        if edges.shape != (self.num_edges,) or edges.requires_grad:
            raise ValueError(
                f"edge_weight must have shape ({self.num_edges},) and no gradient, got"
                f" {tuple(edges.shape)}; pass edge_index for weights that are learned."
            )
        if not len(edges):
            return edges.new_full((self.num_nodes,), loop)
        return edges.index_select(0, self.edge).masked_fill_(self.is_loop, loop)

    def matrix(self, values: Tensor) -> Tensor:
        """Return the sparse matrix of these values, shape ``(N, N)``."""
        return csr_tensor(self.crow, self.col, values, (self.num_nodes, self.num_nodes))

    def gcn_norm(
        self,
        edge_weight: Tensor | None = None,
        *,
        self_loop_weight: float = 1.0,
        signed: bool = False,
        dtype: torch.dtype | None = None,
    ) -> Tensor:
        r"""Return :math:`\hat A` as :func:`gcn_norm` does, with c above zero.

        ``edge_weight`` is equal for both directions of an edge, and not negative unless
        ``signed``, shape ``(E,)``; ones if not given.
        """
        if edge_weight is None:
            dtype = dtype or torch.float32
            weight = torch.ones(len(self.col), dtype=dtype, device=self.col.device)
            weight.index_fill_(0, self.loops, self_loop_weight)
        else:
            weight = self.values(edge_weight.to(dtype or edge_weight.dtype), self_loop_weight)
        magnitude = weight.abs() if signed else weight
        scale = torch.segment_reduce(magnitude, "sum", offsets=self.offsets).rsqrt_()
        if weight.is_cuda or len(weight) <= _MANY:
            weight.mul_(scale.index_select(0, self._kept_row))
            return self.matrix(weight.mul_(scale.index_select(0, self.col)))
        # The indices of all entries would be large.
        sizes = torch.cat([self.offsets[:-1:_ROWS], self.offsets[-1:]]).diff().tolist()
        parts, cols = weight.split(sizes), self.col.split(sizes)
        counts = self.offsets.diff().split(_ROWS)
        for part, col, count, own in zip(parts, cols, counts, scale.split(_ROWS), strict=True):
            part.mul_(own.repeat_interleave(count, output_size=len(part)))
            part.mul_(scale.index_select(0, col))
        return self.matrix(weight)


def check_undirected(edge_index: Tensor, num_nodes: int) -> None:
    """Raise ``DataError`` unless edges are in both directions, once each, without self-loops."""
    EdgePattern.of(edge_index, num_nodes)


def _ascends(edges: Tensor, num_nodes: int) -> bool:
    """Return whether edges ascend by row and column, without repeats."""
    code = edges[0] * num_nodes
    code += edges[1]
    return bool((code[1:] > code[:-1]).all())


def _is_symmetric(starts: Tensor, col: Tensor, edges: Tensor) -> bool:
    """Return whether the reverse of each edge is one; they ascend by row and column."""
    if starts.is_cuda:
        num_nodes = len(starts) - 1
        code, back = (e[0] * num_nodes + e[1] for e in (edges, edges.flip(0)))
        return torch.equal(back.sort().values, code)
    ones = np.ones(len(col), np.int8)
    shape = (len(starts) - 1,) * 2
    back = sp.csr_array((ones, col.numpy(), starts.numpy()), shape=shape).tocsc()
    same = np.array_equal(back.indptr, starts.numpy())
    return same and np.array_equal(back.indices, col.numpy())


def _not_undirected() -> DataError:
    return DataError(
        "NOT_UNDIRECTED",
        "edge_index must list every edge in both directions, once each, without self-loops;"
        " use torch_geometric.utils.to_undirected and remove_self_loops.",
    )
