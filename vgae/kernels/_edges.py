"""Sum over the links and self-pairs: a sparse matrix of logits, value and gradients."""

import torch
import torch.nn.functional as F
from torch import Tensor

from vgae.kernels._all_pairs import Sweep, Wanted
from vgae.kernels._available import sparse_kernels
from vgae.kernels.csr import EdgePattern, PairPattern, csr_tensor
from vgae.kernels.spmm import product

_WIDEST = 256  # columns of z that the Triton kernel takes


def sweep(
    z: Tensor,
    bias: Tensor | None,
    pattern: EdgePattern | PairPattern,
    weight: Tensor,
    beta: float,
    wanted: Wanted,
    w: Tensor | None = None,
    signature: Tensor | None = None,
) -> Sweep:
    r"""Pass once over the entries of a sparse matrix; unwanted results have any value.

    .. math:: \sum_k w_k \, \mathrm{softplus}(-s_k) - \beta \, \mathrm{softplus}(s_k), \quad
        s_k = z_{i(k)} \cdot z_{j(k)} + b

    Memory is O(E): no row of ``z`` is copied for an entry.

    Args:
        z: Latent vectors, shape ``(N, d)``.
        bias: b, shape ``()``; ``None`` is zero.
        pattern: Places of the entries; a ``PairPattern`` needs ``w``.
        weight: w, of an ``EdgePattern`` equal for both directions, shape ``(nnz,)``; if all are
            equal, one number expanded to it needs no memory.
        beta: Weight of the second cost.
        wanted: Results to compute.
        w: Vectors of the columns, if those are not the rows, shape ``(m, d)``.
        signature: Factors of the dimensions of ``z``, shape ``(d,)``.
    """
    rows, y = z if signature is None else z * signature, z if w is None else w
    size = max(len(rows), len(y))
    kernels = None if z.is_cuda and z.shape[1] > _WIDEST else sparse_kernels(size, z, pattern.col)
    if kernels is not None:
        columns = None if y is rows else y
        weight = weight - beta if z.is_cuda and beta else weight  # that kernel takes alpha
        found = kernels.edge_sweep(
            rows, bias, pattern.crow, pattern.col, weight, beta, wanted, columns
        )
        if isinstance(pattern, PairPattern):
            others = Wanted(False, wanted.grad_z, False)  # noqa: FBT003
            weight_t = weight.index_select(0, pattern.order)
            grad_y = kernels.edge_sweep(y, bias, *pattern[2:4], weight_t, beta, others, rows)
            found = found._replace(grad_z=torch.cat([found.grad_z, grad_y.grad_z]) / 2)
    else:
        weight = weight.contiguous()
        weights = weight, weight - beta if beta else weight
        found = _torch_sweep(rows, y, bias, pattern, weights, beta, wanted)
    grad_z = found.grad_z if signature is None else found.grad_z * signature
    return found._replace(grad_z=grad_z)


def _torch_sweep(
    x: Tensor,
    y: Tensor,
    bias: Tensor | None,
    pattern: EdgePattern | PairPattern,
    weights: tuple[Tensor, Tensor],
    beta: float,
    wanted: Wanted,
) -> Sweep:
    """Do so in plain torch, for the vectors of rows and of columns; weights are w and w - beta."""
    shape, (weight, alpha) = (len(x), len(y)), weights
    # The entries of x @ y.T at these places; beta = 0 ignores the values of the matrix.
    places = csr_tensor(pattern.crow, pattern.col, weight, shape)
    s = torch.sparse.sampled_addmm(places, x, y.T, beta=0.0).values()
    s = s if bias is None else s + bias
    # softplus(s) = s + softplus(-s), and log sigma(s) = -softplus(-s).
    total, grad_z, grad_bias = x, x, x
    if wanted.value:
        log_p = F.logsigmoid(s)
        cost = torch.addcmul(s, alpha, log_p, value=1 / beta) if beta else alpha * log_p
        total = cost.sum(dtype=torch.float64) * -(beta or 1)
    if wanted.grad_z or wanted.grad_bias:
        # The derivatives are w (p - 1) and beta p, with p = sigma(s); this is minus their sum.
        slope = torch.addcmul(weight, alpha, torch.sigmoid(s), value=-1)
        if isinstance(pattern, PairPattern):
            slope_t = slope.index_select(0, pattern.order)
            transpose = csr_tensor(*pattern[2:4], slope_t, (len(y), len(x)))
            grad_x = product(csr_tensor(pattern.crow, pattern.col, slope, shape), y)
            grad_z = torch.cat([grad_x, product(transpose, x)]).neg_()
        else:
            # s_ij and s_ji both contain z_i, hence the factor two.
            grad_z = product(csr_tensor(pattern.crow, pattern.col, slope, shape), y) * -2
        grad_bias = slope.sum().neg() if wanted.grad_bias else x
    return Sweep(total, grad_z, grad_bias)
