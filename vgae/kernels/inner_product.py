"""The negative log-likelihood of an inner-product decoder, over every pair of nodes."""

from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from vgae.kernels._tiled import all_pairs, refuse_second_derivative
from vgae.sparse import adjacency, csr_tensor


class PairNll(NamedTuple):
    """Summed cost in nats of the edges, of the non-edges, and of self-pairs; weights are yours.

    The first two count ordered pairs of two different nodes, so each link and each non-link
    twice. The third is what the N self-pairs cost if they are counted as edges, as Kipf &
    Welling's code does; the likelihood of a graph leaves them out.
    """

    edges: Tensor
    non_edges: Tensor
    self_pairs: Tensor


def inner_product_nll(
    z: Tensor,
    edge_index: Tensor,
    bias: Tensor | None = None,
    *,
    impl: Literal["tiled", "dense"] = "tiled",
) -> PairNll:
    r"""Sum the cost of every edge and of every other pair of two different nodes.

    With :math:`s_{ij} = z_i \cdot z_j + b` and the edges E in both directions,

    .. math::
        \mathrm{edges} = \sum_{(i,j) \in E} \mathrm{softplus}(-s_{ij}), \quad
        \mathrm{non\_edges} = \sum_{i \ne j,\, (i,j) \notin E} \mathrm{softplus}(s_{ij})

    The second sum is that over all pairs less that over the edges and over the self-pairs; the
    sum over all pairs is exact and needs O(N d) memory. In float32 the rounding error is some
    1e-8 of that sum. Gradients reach ``z`` and ``bias``, once: a second derivative raises.

    Source: Kipf & Welling (2016), `Variational Graph Auto-Encoders
    <https://arxiv.org/abs/1611.07308>`_, equation 2.

    Args:
        z: Latent vectors, shape ``(N, d)``; float16 and bfloat16 are computed in float32.
        edge_index: Both directions of every edge, once each, no self-loops, shape ``(2, E)``; or
            the same as a sparse CSR matrix of shape ``(N, N)``, which saves checking and sorting
            them anew (:func:`vgae.sparse.adjacency` makes it).
        bias: Added to each logit, shape ``()``; zero if not given.
        impl: ``"dense"`` builds the N x N matrix, for tests and benchmarks.

    Returns:
        The sums, shape ``()``, in the dtype of the computation.

    Raises:
        ValueError: If a shape does not fit, or ``edge_index`` is not what it must be.
    """
    if z.dim() != 2:
        raise ValueError(f"z must have shape (N, d), got {tuple(z.shape)}.")
    if impl not in ("tiled", "dense"):
        raise ValueError(f"impl must be 'tiled' or 'dense', got {impl!r}.")
    z = z.float() if z.dtype in (torch.float16, torch.bfloat16) else z
    bias = z.new_zeros(()) if bias is None else bias.to(z.dtype)
    adj = _as_csr(edge_index, z.shape[0])
    with torch.autocast(z.device.type, enabled=False):
        self_logits = z.square().sum(dim=-1) + bias
        if impl == "dense":
            total = _softplus(z @ z.T + bias).sum(dtype=torch.float64)
        else:
            total = all_pairs(z, bias)
        edges, edges_as_non_edges = _EdgeTerms.apply(z, bias, adj)
        # In float64, so that the difference keeps what the sum over all pairs is exact to.
        non_edges = total - _softplus(self_logits).sum(dtype=torch.float64) - edges_as_non_edges
        self_pairs = _softplus(-self_logits).sum()
    return PairNll(edges.to(z.dtype), non_edges.to(z.dtype), self_pairs)


def _softplus(s: Tensor) -> Tensor:
    """Return ``log(1 + exp(s))``; torch's own is off by up to 2e-9 beyond its threshold of 20."""
    return -F.logsigmoid(-s)


def _as_csr(edge_index: Tensor, num_nodes: int) -> Tensor:
    """Return the adjacency as CSR, whichever form it came in."""
    if edge_index.layout == torch.sparse_csr:
        if edge_index.shape != (num_nodes, num_nodes):
            raise ValueError(
                f"the adjacency must have shape ({num_nodes}, {num_nodes}) as z has {num_nodes}"
                f" rows, got {tuple(edge_index.shape)}."
            )
        return edge_index
    return adjacency(edge_index, num_nodes)


class _EdgeTerms(torch.autograd.Function):
    """Sums of softplus(-s) and of softplus(s) over the edges, value and gradients in one pass."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, bias: Tensor, adj: Tensor) -> tuple[Tensor, Tensor]:
        crow, col = adj.crow_indices(), adj.col_indices()
        degree = crow.diff()
        src = torch.repeat_interleave(
            torch.arange(z.shape[0], device=z.device), degree, output_size=col.numel()
        )
        # index_select, not z[src]: only the former adds up in a fixed order on a CPU.
        s = (z.index_select(0, src) * z.index_select(0, col)).sum(dim=-1) + bias
        p = torch.sigmoid(s)
        # s_ij and s_ji both contain z_i, hence the factor two.
        as_non_edge = 2 * (csr_tensor(crow, col, p, adj.shape) @ z)
        as_edge = as_non_edge - 2 * (csr_tensor(crow, col, torch.ones_like(p), adj.shape) @ z)
        ctx.save_for_backward(as_edge, as_non_edge, (p - 1).sum(), p.sum())
        # softplus(s) = s + softplus(-s)
        nll = _softplus(-s).sum(dtype=torch.float64)
        return nll, nll + s.sum(dtype=torch.float64)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, Tensor, None]:
        refuse_second_derivative()
        as_edge, as_non_edge, bias_edge, bias_non_edge = ctx.saved_tensors
        grad_edges, grad_non = (grad.to(as_edge.dtype) for grad in grad_outputs)
        return (
            grad_edges * as_edge + grad_non * as_non_edge,
            grad_edges * bias_edge + grad_non * bias_non_edge,
            None,
        )
