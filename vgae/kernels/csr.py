"""Sparse CSR matrices of torch: conversion, normalisation, checks of edges."""

import warnings
from typing import Any

import scipy.sparse as sp
import torch
from torch import Tensor

from vgae.errors import DataError


def csr_tensor(crow: Tensor, col: Tensor, values: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Return a torch sparse CSR matrix; the indices are not checked.

    Args:
        crow: Start of each row, shape ``(rows + 1,)``.
        col: Column of each entry, ascending within a row, shape ``(nnz,)``.
        values: Value of each entry, shape ``(nnz,)``.
        shape: Rows and columns.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta")
        options = {"device": values.device, "check_invariants": False}
        return torch.sparse_csr_tensor(crow, col, values, shape, **options)


def scipy_csr(matrix: Tensor) -> sp.csr_array:
    """Return a matrix of torch, sparse CSR or dense, on the CPU, as one of scipy."""
    if matrix.layout == torch.strided:
        return sp.csr_array(matrix.numpy())
    parts = (matrix.values(), matrix.col_indices(), matrix.crow_indices())
    return sp.csr_array(tuple(part.numpy() for part in parts), shape=tuple(matrix.shape))


def transposed(matrix: Tensor) -> Tensor:
    """Return the transpose of a sparse CSR matrix, again as CSR."""
    csc = matrix.to_sparse_csc()
    rows, columns = matrix.shape
    return csr_tensor(csc.ccol_indices(), csc.row_indices(), csc.values(), (columns, rows))


def edges_to_csr(edge_index: Tensor, num_nodes: int, values: Tensor | None = None) -> Tensor:
    """Return the ``(N, N)`` CSR matrix with an entry per edge; repeats are added up.

    ``edge_index`` has the row and column of each entry, in ``[0, N)``, shape ``(2, E)``;
    ``values`` has shape ``(E,)``, by default ones.
    """
    if values is None:
        values = torch.ones(edge_index.shape[1], device=edge_index.device)
    code, order = (edge_index[0].long() * num_nodes + edge_index[1]).sort(stable=True)
    code, inverse = code.unique_consecutive(return_inverse=True)
    merged = values.new_zeros(code.shape).index_add_(0, inverse, values[order])
    row_starts = torch.arange(num_nodes + 1, device=code.device) * num_nodes
    crow = torch.searchsorted(code, row_starts)
    # int32 halves the memory traffic of indices; both MKL and cuSPARSE support it.
    index = torch.int32 if code.numel() < 2**31 else torch.int64
    return csr_tensor(crow.to(index), (code % num_nodes).to(index), merged, (num_nodes, num_nodes))


def gcn_norm(
    edge_index: Tensor,
    num_nodes: int,
    edge_weight: Tensor | None = None,
    *,
    self_loop_weight: float = 1.0,
    dtype: torch.dtype | None = None,
    signed: bool = False,
) -> Tensor:
    r"""Return the normalised adjacency of a graph convolution as CSR, shape ``(N, N)``.

    .. math:: \hat A = D^{-1/2} (A + c I) D^{-1/2}, \quad D_{ii} = \sum_j (A + c I)_{ij}

    A self-loop in ``edge_index`` keeps its weight instead of c, as in
    ``torch_geometric.nn.conv.gcn_conv.gcn_norm`` (where ``improved=True`` is c = 2). Row i gathers
    from the sources of the edges into i, so a directed graph is normalised by its in-degrees.

    Source: Kipf & Welling (2017), `Semi-Supervised Classification with Graph Convolutional
    Networks <https://arxiv.org/abs/1609.02907>`_, equation 2.

    Args:
        edge_index: Source and target of every edge, shape ``(2, E)``.
        num_nodes: N.
        edge_weight: Weight of each edge, finite, not negative, shape ``(E,)``; ones if not given.
        self_loop_weight: Weight c of the self-loops.
        dtype: Dtype of the result; by default that of a floating ``edge_weight``, else float32.
        signed: Whether weights may be negative; D then has their magnitudes, as in Kunegis et al.
            (2010), `Spectral Analysis of Signed Graphs
            <https://doi.org/10.1137/1.9781611972801.49>`_.

    Raises:
        DataError: If a weight is negative or not finite, or an index is out of range.
    """
    options: Any = {"self_loop_weight": self_loop_weight, "dtype": dtype, "signed": signed}
    edges, values = gcn_norm_entries(edge_index, num_nodes, edge_weight, **options)
    return edges_to_csr(edges.flip(0), num_nodes, values)


def gcn_norm_entries(
    edge_index: Tensor,
    num_nodes: int,
    edge_weight: Tensor | None = None,
    *,
    self_loop_weight: float = 1.0,
    dtype: torch.dtype | None = None,
    signed: bool = False,
) -> tuple[Tensor, Tensor]:
    """Return the entries of :func:`gcn_norm` as edges with self-loops, ``(2, E + N)``, and values.

    The values are differentiable in ``edge_weight``.
    """
    magnitude = edge_weight.abs() if signed and edge_weight is not None else edge_weight
    src, dst = checked_edges(edge_index, num_nodes, magnitude)
    if edge_weight is None:
        edge_weight = torch.ones(edge_index.shape[1], device=edge_index.device)
    if dtype is None:
        dtype = edge_weight.dtype if edge_weight.is_floating_point() else torch.float32
    edge_weight = edge_weight.to(dtype)
    loop = src == dst
    nodes = torch.arange(num_nodes, device=edge_index.device)
    loop_weight = edge_weight.new_full((num_nodes,), self_loop_weight)
    if torch.compiler.is_compiling():  # no shape may depend on values
        given = torch.zeros_like(loop_weight).index_add(0, src, edge_weight * loop)
        is_given = torch.zeros_like(loop_weight).index_add(0, src, loop.to(dtype)) > 0
        loop_weight = torch.where(is_given, given, loop_weight)
        edge_weight = edge_weight * ~loop
    else:
        loop_weight = loop_weight.index_put((src[loop],), edge_weight[loop])
        src, dst, edge_weight = src[~loop], dst[~loop], edge_weight[~loop]
    src, dst = torch.cat([src, nodes]), torch.cat([dst, nodes])
    weight = torch.cat([edge_weight, loop_weight])
    magnitude = weight.abs() if signed else weight
    degree = weight.new_zeros(num_nodes).index_add(0, dst, magnitude)
    # A node without incoming weight has the scale 1 / sqrt(inf) = 0.
    scale = degree.masked_fill(degree == 0, torch.inf).rsqrt()
    return torch.stack([src, dst]), scale[dst] * weight * scale[src]


def checked_edges(edge_index: Tensor, num_nodes: int, edge_weight: Tensor | None = None) -> Tensor:
    """Return ``edge_index`` as int64, or raise: a bad index must not reach native code.

    While torch compiles or exports, which has no values yet, only shapes and types are checked.
    """
    if edge_index.dim() != 2 or edge_index.shape[0] != 2:
        what = f"edge_index must have shape (2, E), got {tuple(edge_index.shape)}."
        raise DataError("EDGE_INDEX_SHAPE", what)
    if edge_index.dtype not in (torch.int64, torch.int32):
        raise DataError("EDGE_INDEX_DTYPE", f"edge_index must be int64, got {edge_index.dtype}.")
    has_values = not torch.compiler.is_compiling()
    if (
        has_values
        and edge_index.numel()
        and (edge_index.min() < 0 or edge_index.max() >= num_nodes)
    ):
        raise DataError(
            "INDEX_RANGE",
            f"edge_index must lie in [0, {num_nodes}), got values from {int(edge_index.min())}"
            f" to {int(edge_index.max())}.",
        )
    if edge_weight is not None:
        if edge_weight.shape != edge_index.shape[1:]:
            rule = f"edge_weight must have shape ({edge_index.shape[1]},), one per edge"
            raise DataError("WEIGHT_SHAPE", f"{rule}, got {tuple(edge_weight.shape)}.")
        if has_values and not ((edge_weight >= 0) & edge_weight.isfinite()).all():
            what = "edge_weight must be finite and not negative; drop such edges."
            raise DataError("NEGATIVE_WEIGHT", what)
    return edge_index.long()
