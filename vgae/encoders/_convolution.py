"""What the graph convolutions share: weights, and the forms in which x and the edges may come."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from vgae.errors import DataError
from vgae.gaussian import DiagGaussian, PointMass
from vgae.kernels import EdgeOperator, SparseOperator
from vgae.sparse import gcn_norm, gcn_norm_entries


class Propagated(NamedTuple):
    """Node features that were averaged over the neighbours already, shape ``(N, F)``."""

    x: Tensor


Features = Tensor | SparseOperator | Propagated | None
Edges = Tensor | SparseOperator


def glorot(
    in_channels: int, out_channels: int, heads: int, generator: torch.Generator | None
) -> nn.Parameter:
    """Return the weights of ``heads`` heads side by side, each drawn by itself.

    Uniform on plus or minus ``sqrt(6 / (in_channels + out_channels))``.

    Source: Glorot & Bengio (2010), equation 16, as in Kipf & Welling's code.

    Returns:
        Shape ``(in_channels, heads * out_channels)``.
    """
    weights = [torch.empty(in_channels, out_channels) for _ in range(heads)]
    for weight in weights:
        nn.init.xavier_uniform_(weight, generator=generator)
    return nn.Parameter(torch.cat(weights, dim=1))


def prepared(x: Tensor | None, edge_index: Tensor, weight: Tensor) -> tuple[Features, Edges]:
    """Return both in the form that costs least per pass: operators with their transpose kept.

    Dense features are averaged over the neighbours once and for all, which saves two sparse
    products a pass. Of sparse ones the average has several times the entries, and would cost more
    than it saves.

    Args:
        x: Node features, shape ``(N, F)``: dense, sparse CSR, or ``None``.
        edge_index: Both directions of every edge, shape ``(2, E)``.
        weight: Of the first layer, shape ``(F, k)``; without features F is N.
    """
    num_nodes = weight.shape[0] if x is None else x.shape[0]
    adj_norm = SparseOperator.symmetric(gcn_norm(edge_index, num_nodes, dtype=_precision(weight)))
    if x is None:
        return None, adj_norm
    if x.layout == torch.sparse_csr:
        return SparseOperator.of(x), adj_norm
    return Propagated(adj_norm @ x), adj_norm


def propagation(
    edge_index: Edges, edge_weight: Tensor | None, h: Tensor
) -> SparseOperator | EdgeOperator:
    """Return the normalised adjacency as an operator on ``h``, whichever form the edges have."""
    if isinstance(edge_index, SparseOperator) or edge_index.layout != torch.strided:
        if edge_weight is not None:
            raise ValueError("edge_weight goes with edge_index; a matrix has weights of its own.")
        if isinstance(edge_index, SparseOperator):
            return edge_index
        coo = edge_index.to_sparse_coo().coalesce()
        edge_index, edge_weight = coo.indices().flip(0), coo.values()
    num_nodes, dtype = h.shape[0], _precision(h)
    if edge_weight is not None and edge_weight.requires_grad:
        entries = gcn_norm_entries(edge_index, num_nodes, edge_weight, dtype=dtype)
        return EdgeOperator(*entries, num_nodes)
    return SparseOperator.of(gcn_norm(edge_index, num_nodes, edge_weight, dtype=dtype))


def convolved(
    x: Features, edge_index: Edges, edge_weight: Tensor | None, weight: Tensor
) -> tuple[Tensor, SparseOperator | EdgeOperator]:
    r"""Return the first convolution, :math:`\hat A X W`, and :math:`\hat A` as an operator."""
    if isinstance(x, Propagated):
        h = _transformed(x.x, weight)
        return h, propagation(edge_index, edge_weight, h)
    h = _transformed(x, weight)
    adj_norm = propagation(edge_index, edge_weight, h)
    return adj_norm @ h, adj_norm


def _transformed(x: Tensor | SparseOperator | None, weight: Tensor) -> Tensor:
    """Return ``x @ weight``; without features x is the identity, which is never built.

    Raises:
        DataError: If the width of ``x`` is not that of the encoder.
        ValueError: If a sparse ``x`` requires gradients, which it would not get.
    """
    if x is None:
        return weight
    if x.shape[-1] != weight.shape[0]:
        raise DataError(
            "FEATURE_DIM_MISMATCH",
            f"x must have {weight.shape[0]} columns, as this encoder was built for,"
            f" got shape {tuple(x.shape)}.",
        )
    if isinstance(x, Tensor) and x.layout == torch.sparse_csr:
        if x.requires_grad:
            raise ValueError("a sparse x gets no gradients; pass x.to_dense().")
        x = SparseOperator.of(x)
    return x @ weight


def posterior_of(
    h: Tensor, bias: Tensor | None, kind: type[DiagGaussian] | type[PointMass]
) -> DiagGaussian | PointMass:
    """Add the offsets to the heads, which stand side by side, and read them as a posterior."""
    heads = h if bias is None else h + bias
    return kind.from_heads(*heads.chunk(kind.num_heads, dim=-1))


def _precision(like: Tensor) -> torch.dtype:
    """Return float64 for float64, and float32 for anything less precise."""
    return torch.float64 if like.dtype == torch.float64 else torch.float32
