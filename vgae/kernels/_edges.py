"""Sum over the links and self-pairs: a sparse matrix of logits, value and gradients."""

import torch
import torch.nn.functional as F
from torch import Tensor

from vgae.kernels._all_pairs import Sweep, Wanted
from vgae.kernels.csr import csr_tensor


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
    shape = (len(z), len(z))
    # The entries of z @ z.T at these places; beta = 0 ignores the values of the matrix.
    s = torch.sparse.sampled_addmm(csr_tensor(*entries, weight, shape), z, z.T, beta=0.0).values()
    s = s if bias is None else s + bias
    # softplus(s) = s + softplus(-s), and log sigma(s) = -softplus(-s).
    alpha = weight - beta if beta else weight
    total, grad_z, grad_bias = z, z, z
    if wanted.value:
        log_p = F.logsigmoid(s)
        cost = torch.addcmul(s, alpha, log_p, value=1 / beta) if beta else alpha * log_p
        total = cost.sum(dtype=torch.float64) * -(beta or 1)
    if wanted.grad_z or wanted.grad_bias:
        # The derivatives are w (p - 1) and beta p, with p = sigma(s); this is minus their sum.
        slope = torch.addcmul(weight, alpha, torch.sigmoid(s), value=-1)
        # s_ij and s_ji both contain z_i, hence the factor two.
        grad_z = (csr_tensor(*entries, slope, shape) @ z) * -2
        grad_bias = slope.sum().neg() if wanted.grad_bias else z
    return Sweep(total, grad_z, grad_bias)
