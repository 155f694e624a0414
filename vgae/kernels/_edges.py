"""Sum over the links and self-pairs: a sparse matrix of logits, value and gradients."""

from collections.abc import Callable
from functools import partial
from types import ModuleType

import torch
import torch.nn.functional as F
from torch import Tensor

from vgae.kernels._all_pairs import Sweep, Wanted
from vgae.kernels._available import sparse_kernels
from vgae.kernels.csr import csr_tensor
from vgae.kernels.patterns import EdgePattern, PairPattern
from vgae.kernels.shares import PatternShare
from vgae.kernels.spmm import product

_WIDEST = 256  # columns of z that the Triton kernel takes


def sweep(
    z: Tensor,
    bias: Tensor | None,
    pattern: EdgePattern | PairPattern | PatternShare,
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
        pattern: Places of the entries; a ``PairPattern`` needs ``w``. Of a share, the result is
            that of its entries, to be added to those of the other shares.
        weight: w, of an ``EdgePattern`` equal for both directions, shape ``(nnz,)``; if all are
            equal, one number expanded to it needs no memory.
        beta: Weight of the second cost.
        wanted: Results to compute.
        w: Vectors of the columns, if those are not the rows, shape ``(m, d)``.
        signature: Factors of the dimensions of ``z``, shape ``(d,)``.
    """
    x, y = z if signature is None else z * signature, z if w is None else w
    col = (pattern.pattern if isinstance(pattern, PatternShare) else pattern).col
    is_wide = z.is_cuda and z.shape[1] > _WIDEST
    kernels = None if is_wide else sparse_kernels(max(len(x), len(y)), z, col)
    rows, pairs = _torch_rows, _torch_pairs
    if kernels is not None:
        rows = partial(_kernel_rows, kernels)
        pairs = partial(_kernel_pairs, kernels)
    if isinstance(pattern, PatternShare):
        found = _share(rows, (x, y), bias, pattern, weight, beta, wanted)
    elif isinstance(pattern, PairPattern):
        found = pairs(x, y, bias, pattern, weight, beta, wanted)
    else:
        found = rows(x, y, bias, (pattern.crow, pattern.col), weight, beta, wanted)
    grad_z = found.grad_z if signature is None else found.grad_z * signature
    return found._replace(grad_z=grad_z)


def _share(
    rows: Callable[..., Sweep],
    vectors: tuple[Tensor, Tensor],
    bias: Tensor | None,
    share: PatternShare,
    weight: Tensor,
    beta: float,
    wanted: Wanted,
) -> Sweep:
    """Visit the rows of a share and, for the gradient of columns, those of the transpose."""
    pattern, (x, y) = share.pattern, vectors
    is_pairs = isinstance(pattern, PairPattern)
    grad = torch.zeros_like(torch.cat([x, y]) if is_pairs else x)
    total = grad.new_zeros((), dtype=torch.float64)
    found = Sweep(total, grad, total)
    own, entries = share.rows
    if entries.stop > entries.start:
        places = _places(pattern.crow, pattern.col, own, entries)
        part = rows(x[own], y, bias, places, weight[entries], beta, wanted)
        found = part._replace(grad_z=grad)
        if wanted.grad_z:
            grad[own] = part.grad_z / 2 if is_pairs else part.grad_z
    if is_pairs and wanted.grad_z:
        own, entries = share.rows_t
        if entries.stop > entries.start:
            places = _places(pattern.crow_t, pattern.col_t, own, entries)
            given = weight.index_select(0, pattern.order[entries])
            part = rows(y[own], x, bias, places, given, beta, Wanted(False, True, False))  # noqa: FBT003
            grad[len(x) :][own] = part.grad_z / 2
    return found


def _places(crow: Tensor, col: Tensor, rows: slice, entries: slice) -> tuple[Tensor, Tensor]:
    """Return the pattern of some rows and their entries."""
    return crow[rows.start : rows.stop + 1] - entries.start, col[entries]


def _kernel_rows(
    kernels: ModuleType,
    x: Tensor,
    y: Tensor,
    bias: Tensor | None,
    places: tuple[Tensor, Tensor],
    weight: Tensor,
    beta: float,
    wanted: Wanted,
) -> Sweep:
    """Pass over a symmetric pattern, or some of its rows; of two sets the gradient is doubled."""
    weight = weight - beta if x.is_cuda and beta else weight  # that kernel takes w - beta
    columns = None if y is x else y
    return kernels.edge_sweep(x, bias, *places, weight, beta, wanted, columns)


def _kernel_pairs(
    kernels: ModuleType,
    x: Tensor,
    y: Tensor,
    bias: Tensor | None,
    pattern: PairPattern,
    weight: Tensor,
    beta: float,
    wanted: Wanted,
) -> Sweep:
    """Pass over the rows and over those of the transpose."""
    found = _kernel_rows(kernels, x, y, bias, pattern[:2], weight, beta, wanted)
    others = Wanted(False, wanted.grad_z, False)  # noqa: FBT003
    weight = weight.index_select(0, pattern.order)
    grad_y = _kernel_rows(kernels, y, x, bias, pattern[2:4], weight, beta, others).grad_z
    return found._replace(grad_z=torch.cat([found.grad_z, grad_y]) / 2)


def _torch_rows(
    x: Tensor,
    y: Tensor,
    bias: Tensor | None,
    places: tuple[Tensor, Tensor],
    weight: Tensor,
    beta: float,
    wanted: Wanted,
) -> Sweep:
    """Do the same as :func:`_kernel_rows` in plain torch."""
    shape = len(x), len(y)
    found, slope = _torch_values(x, y, bias, places, weight, beta, wanted)
    if not wanted.grad_z:
        return found
    # Of a symmetric pattern, s_ij and s_ji both contain z_i, hence the factor two.
    return found._replace(grad_z=product(csr_tensor(*places, slope.mul_(-2), shape), y))


def _torch_pairs(
    x: Tensor,
    y: Tensor,
    bias: Tensor | None,
    pattern: PairPattern,
    weight: Tensor,
    beta: float,
    wanted: Wanted,
) -> Sweep:
    """Pass over the rows, whose logits are those of the transpose, too."""
    found, slope = _torch_values(x, y, bias, pattern[:2], weight, beta, wanted)
    if not wanted.grad_z:
        return found
    slope_t = slope.index_select(0, pattern.order)
    transpose = csr_tensor(*pattern[2:4], slope_t, (len(y), len(x)))
    grad_x = product(csr_tensor(*pattern[:2], slope, (len(x), len(y))), y)
    return found._replace(grad_z=torch.cat([grad_x, product(transpose, x)]).neg_())


def _torch_values(
    x: Tensor,
    y: Tensor,
    bias: Tensor | None,
    places: tuple[Tensor, Tensor],
    weight: Tensor,
    beta: float,
    wanted: Wanted,
) -> tuple[Sweep, Tensor]:
    """Return a sweep without the gradient of vectors, and minus the slope of each entry."""
    weight = weight.contiguous()
    alpha = weight - beta if beta else weight
    # The entries of x @ y.T at these places; beta = 0 ignores the values of the matrix.
    matrix = csr_tensor(*places, weight, (len(x), len(y)))
    s = torch.sparse.sampled_addmm(matrix, x, y.T, beta=0.0).values()
    s = s if bias is None else s + bias
    # softplus(s) = s + softplus(-s), and log sigma(s) = -softplus(-s).
    total, slope, grad_bias = x, s, x
    if wanted.value:
        log_p = F.logsigmoid(s)
        cost = torch.addcmul(s, alpha, log_p, value=1 / beta) if beta else alpha * log_p
        total = cost.sum(dtype=torch.float64) * -(beta or 1)
    if wanted.grad_z or wanted.grad_bias:
        # The derivatives are w (p - 1) and beta p, with p = sigma(s); this is minus their sum.
        slope = torch.addcmul(weight, alpha, torch.sigmoid(s), value=-1)
        grad_bias = slope.sum().neg() if wanted.grad_bias else x
    return Sweep(total, x, grad_bias), slope
