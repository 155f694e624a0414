"""Sum over the links and self-pairs: a sparse matrix of logits, value and gradients."""

from importlib import import_module
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

from vgae.kernels._all_pairs import Sweep, Wanted
from vgae.kernels._available import works
from vgae.kernels.csr import EdgePattern, PairPattern, csr_tensor
from vgae.kernels.spmm import product

_AT_ONCE = 2**22  # entries of a block on a CPU
WORK_ENTRIES = 2 * _AT_ONCE
"""Most entries with work space at once, 28 bytes each; more are visited in blocks of half."""

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
        weight: w, of an ``EdgePattern`` equal for both directions, shape ``(nnz,)``.
        beta: Weight of the second cost.
        wanted: Results to compute.
        w: Vectors of the columns, if those are not the rows, shape ``(m, d)``.
        signature: Factors of the dimensions of ``z``, shape ``(d,)``.
    """
    rows, y = z if signature is None else z * signature, z if w is None else w
    if z.dtype == torch.float32 and z.shape[1] <= _WIDEST and works("triton_csr", z.device):
        # Imported on first use, as it loads a compiler.
        edge_sweep = import_module("vgae.kernels._triton_csr").edge_sweep
        alpha = weight - beta if beta else weight
        columns = None if y is rows else y
        found = edge_sweep(rows, bias, pattern.crow, pattern.col, alpha, beta, wanted, columns)
        if isinstance(pattern, PairPattern):
            others = Wanted(False, wanted.grad_z, False)  # noqa: FBT003
            alpha_t = alpha.index_select(0, pattern.order)
            grad_y = edge_sweep(y, bias, *pattern[2:4], alpha_t, beta, others, rows).grad_z
            found = found._replace(grad_z=torch.cat([found.grad_z, grad_y]) / 2)
    else:
        found = _torch_sweep(rows, y, bias, pattern, weight, beta, wanted)
    grad_z = found.grad_z if signature is None else found.grad_z * signature
    return found._replace(grad_z=grad_z)


def _torch_sweep(
    x: Tensor,
    y: Tensor,
    bias: Tensor | None,
    pattern: EdgePattern | PairPattern,
    weight: Tensor,
    beta: float,
    wanted: Wanted,
) -> Sweep:
    """Do so in plain torch, for the vectors of rows and of columns."""
    if isinstance(pattern, PairPattern):
        found, slope = _entries(x, y, bias, (*pattern[:2], weight), beta, wanted)
        if not wanted.grad_z:
            return found
        slope_t = slope.index_select(0, pattern.order)
        transpose = csr_tensor(*pattern[2:4], slope_t, (len(y), len(x)))
        grads = [found.grad_z, product(transpose, x)]
        return found._replace(grad_z=torch.cat(grads).neg_())
    parts = []
    for first, last in _row_blocks(pattern):
        crow = pattern.crow[first : last + 1]
        start, end = (0, len(weight)) if last - first == len(x) else map(int, crow[[0, -1]])
        matrix = crow - start if start else crow, pattern.col[start:end], weight[start:end]
        found, _ = _entries(x[first:last], y, bias, matrix, beta, wanted)
        # s_ij and s_ji both contain z_i, hence the factor two.
        parts.append(found._replace(grad_z=found.grad_z * -2) if wanted.grad_z else found)
    if len(parts) == 1:
        return parts[0]
    totals, grads, slopes = zip(*parts, strict=True)
    grad_bias = torch.stack(slopes).sum() if wanted.grad_bias else x
    total = torch.stack(totals).sum() if wanted.value else x
    return Sweep(total, torch.cat(grads) if wanted.grad_z else x, grad_bias)


def _row_blocks(pattern: EdgePattern) -> list[tuple[int, int]]:
    """Return first and last row of blocks of so few entries that work space is small."""
    num_entries, num_rows = len(pattern.col), pattern.num_nodes
    if num_entries < WORK_ENTRIES or pattern.col.is_cuda:
        return [(0, num_rows)]
    starts = torch.arange(_AT_ONCE, num_entries, _AT_ONCE, dtype=pattern.crow.dtype)
    ends = torch.searchsorted(pattern.crow, starts).unique().tolist()
    return [*pairwise([0, *(end for end in ends if end < num_rows), num_rows])]


def _entries(
    x: Tensor,
    y: Tensor,
    bias: Tensor | None,
    matrix: tuple[Tensor, Tensor, Tensor],
    beta: float,
    wanted: Wanted,
) -> tuple[Sweep, Tensor]:
    """Return minus the product of slopes and y as ``grad_z``, and minus the slopes.

    ``matrix`` has the start of each row, the columns and w.
    """
    crow, col, weight = matrix
    shape, alpha = (len(x), len(y)), weight - beta if beta else weight
    # The entries of x @ y.T at these places; beta = 0 ignores the values of the matrix.
    places = csr_tensor(crow, col, weight, shape)
    s = torch.sparse.sampled_addmm(places, x, y.T, beta=0.0).values()
    s = s if bias is None else s + bias
    # softplus(s) = s + softplus(-s), and log sigma(s) = -softplus(-s).
    total, grad_z, grad_bias, slope = x, x, x, s
    if wanted.value:
        log_p = F.logsigmoid(s)
        cost = torch.addcmul(s, alpha, log_p, value=1 / beta) if beta else alpha * log_p
        total = cost.sum(dtype=torch.float64) * -(beta or 1)
    if wanted.grad_z or wanted.grad_bias:
        # The derivatives are w (p - 1) and beta p, with p = sigma(s); this is minus their sum.
        slope = torch.addcmul(weight, alpha, torch.sigmoid(s), value=-1)
        grad_z = product(csr_tensor(crow, col, slope, shape), y) if wanted.grad_z else x
        grad_bias = slope.sum().neg() if wanted.grad_bias else x
    return Sweep(total, grad_z, grad_bias), slope
