"""What the graph encoders share: weights, and the forms in which x and the edges may come."""

import torch
from torch import Tensor, nn

from vgae.errors import DataError
from vgae.kernels import SparseOperator
from vgae.sparse import gcn_norm

Features = Tensor | SparseOperator | None
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


def propagation(edge_index: Edges, edge_weight: Tensor | None, num_nodes: int) -> SparseOperator:
    """Return the normalised adjacency as an operator, whichever form the edges came in."""
    if isinstance(edge_index, SparseOperator):
        return edge_index
    if edge_index.layout != torch.sparse_csr:
        edge_index = gcn_norm(edge_index, num_nodes, edge_weight)
    return SparseOperator.of(edge_index)


def prepared(x: Features, edge_index: Tensor, num_nodes: int) -> tuple[Features, SparseOperator]:
    """Return both in the form that costs least per pass: operators with their transpose kept.

    Args:
        x: Node features, shape ``(N, F)``: dense, sparse CSR, or ``None``.
        edge_index: Both directions of every edge, shape ``(2, E)``.
        num_nodes: N.
    """
    if isinstance(x, Tensor) and x.layout == torch.sparse_csr:
        x = SparseOperator.of(x)
    return x, SparseOperator.symmetric(gcn_norm(edge_index, num_nodes))


def transformed(x: Features, weight: Tensor) -> Tensor:
    """Return ``x @ weight``; without features x is the identity, which is never built.

    Raises:
        DataError: If the width of ``x`` is not that of the encoder.
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
        x = SparseOperator.of(x)
    return x @ weight
