"""Sum over the links and self-pairs: a sparse matrix of logits, value and gradients."""

from importlib import import_module

import torch
import torch.nn.functional as F
from torch import Tensor

from vgae.kernels._all_pairs import Sweep, Wanted
from vgae.kernels._available import works
from vgae.kernels.csr import csr_tensor
from vgae.kernels.spmm import product

_WIDEST = 256  # columns of z that the Triton kernel takes


def sweep(
    z: Tensor,
    bias: Tensor | None,
    entries: tuple[Tensor, Tensor],
    weight: Tensor,
    beta: float,
    wanted: Wanted,
) -> Sweep:
    r"""Pass once over the entries of a symmetric sparse matrix; unwanted results have any value.

    .. math:: \sum_k w_k \, \mathrm{softplus}(-s_k) - \beta \, \mathrm{softplus}(s_k), \quad
        s_k = z_{i(k)} \cdot z_{j(k)} + b

    Memory is O(E): no row of ``z`` is copied for an entry.

    Args:
        z: Latent vectors, shape ``(N, d)``.
        bias: b, shape ``()``; ``None`` is zero.
        entries: Row starts and columns of the matrix, as in CSR.
        weight: w, equal for both directions, shape ``(nnz,)``.
        beta: Weight of the second cost.
        wanted: Results to compute.
    """
    alpha = weight - beta if beta else weight
    if z.dtype == torch.float32 and z.shape[1] <= _WIDEST and works("triton_csr", z.device):
        # Imported on first use, as it loads a compiler.
        edge_sweep = import_module("vgae.kernels._triton_csr").edge_sweep
        return edge_sweep(z, bias, *entries, alpha, beta, wanted)
    shape = (len(z), len(z))
    # The entries of z @ z.T at these places; beta = 0 ignores the values of the matrix.
    s = torch.sparse.sampled_addmm(csr_tensor(*entries, weight, shape), z, z.T, beta=0.0).values()
    s = s if bias is None else s + bias
    # softplus(s) = s + softplus(-s), and log sigma(s) = -softplus(-s).
    total, grad_z, grad_bias = z, z, z
    if wanted.value:
        log_p = F.logsigmoid(s)
        cost = torch.addcmul(s, alpha, log_p, value=1 / beta) if beta else alpha * log_p
        total = cost.sum(dtype=torch.float64) * -(beta or 1)
    if wanted.grad_z or wanted.grad_bias:
        # The derivatives are w (p - 1) and beta p, with p = sigma(s); this is minus their sum.
        slope = torch.addcmul(weight, alpha, torch.sigmoid(s), value=-1)
        # s_ij and s_ji both contain z_i, hence the factor two.
        grad_z = product(csr_tensor(*entries, slope, shape), z) * -2
        grad_bias = slope.sum().neg() if wanted.grad_bias else z
    return Sweep(total, grad_z, grad_bias)
