"""Sums over the edges: a sparse matrix of logits, value and gradients."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from vgae.kernels._all_pairs import refuse_second_derivative
from vgae.kernels.csr import csr_tensor


def edge_terms(
    z: Tensor, bias: Tensor, adj: Tensor, weight: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Return the sums of ``softplus(-s)`` and of ``softplus(s)`` over the edges, float64.

    Memory is O(E): no row of ``z`` is copied for an edge.

    Args:
        z: Latent vectors, shape ``(N, d)``.
        bias: Bias of the logits, shape ``()``.
        adj: Symmetric sparse CSR matrix with an entry per edge, shape ``(N, N)``.
        weight: Weight of each entry in the first sum, equal for both directions, shape ``(E,)``.
    """
    if weight is not None and (weight.shape != adj.values().shape or weight.requires_grad):
        raise ValueError(
            f"edge_weight must have shape ({adj._nnz()},) and no gradient, got"
            f" {tuple(weight.shape)}."
        )
    return _EdgeTerms.apply(z, bias, adj, weight)


def softplus(s: Tensor) -> Tensor:
    """Return ``log(1 + exp(s))``; torch's own is off by up to 2e-9 beyond its threshold of 20."""
    return -F.logsigmoid(-s)


class _EdgeTerms(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, z: Tensor, bias: Tensor, adj: Tensor, weight: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        crow, col, values = adj.crow_indices(), adj.col_indices(), adj.values()
        pattern = csr_tensor(crow, col, values.to(z.dtype), adj.shape)
        # The entries of z @ z.T where adj has one; beta = 0 ignores the values of adj.
        s = torch.sparse.sampled_addmm(pattern, z, z.T, beta=0.0).values() + bias
        ctx.save_for_backward(z, s, crow, col)
        ctx.weight = weight
        cost = softplus(-s)
        # softplus(s) = s + softplus(-s)
        as_non_edge = cost.sum(dtype=torch.float64) + s.sum(dtype=torch.float64)
        cost = cost if weight is None else weight * cost
        return cost.sum(dtype=torch.float64), as_non_edge

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, Tensor, None, None]:
        refuse_second_derivative()
        z, s, crow, col = ctx.saved_tensors
        as_edge, as_non_edge = (grad.to(z.dtype) for grad in grad_outputs)
        if ctx.weight is not None:
            as_edge = as_edge * ctx.weight
        # The derivative of softplus(-s) is p - 1, that of softplus(s) is p.
        slope = (as_edge + as_non_edge) * torch.sigmoid(s) - as_edge
        # s_ij and s_ji both contain z_i, hence the factor two.
        grad_z = 2 * (csr_tensor(crow, col, slope, (z.shape[0], z.shape[0])) @ z)
        return grad_z, slope.sum(), None, None
