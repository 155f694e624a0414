r"""Unbiased estimate of the sum over all pairs, for graphs too large for the exact sum.

The nodes are shuffled and cut into blocks of B; each block is paired with the next one. All
ordered pairs of two different nodes are equally likely, so for m drawn pairs, and a quadratic q
as control variate,

.. math::
    \sum_{i \ne j} \mathrm{softplus}(s_{ij}) = \sum_{i \ne j} q(s_{ij})
    + E \Big[ \frac{N (N - 1)}{m} \sum_{drawn} (\mathrm{softplus} - q)(s_{ij}) \Big],
    \quad q(s) = \beta s + \tfrac{\lambda}{2} s^2

The sums of s and s^2 over all pairs are :math:`\|\sum_i z_i\|^2` and :math:`\|Z^T Z\|_F^2`,
exact in O(N d^2). The line :math:`q'(s) = \beta + \lambda s` is about the least-squares fit to
:math:`\sigma(s)` for normal logits of the given mean and variance; any line keeps the estimate
unbiased. Self-pairs are summed exactly. With a signature :math:`\epsilon`, one factor of each
product is multiplied by it.

Of two sets of vectors, both are shuffled and cut into blocks, and the blocks of the shorter list
are repeated. Their sums of s and s^2 are :math:`\sum_i z_i \cdot \sum_j w_j` and
:math:`\mathrm{tr}(Z^T Z \, W^T W)`.

Source: Owen (2013), `Monte Carlo theory, methods and examples <https://artowen.su.domains/mc/>`_,
section 8.9 (control variates).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module

import torch
from torch import Tensor
from torch.nn.functional import pad

from vgae.kernels._all_pairs import Sweep, Wanted, plus, softplus
from vgae.kernels._available import FEWEST_COMPILED, works
from vgae.kernels._tiled import softplus_sum
from vgae.kernels.shares import placed, rows_of
from vgae.runtime.processes import ALONE, Team

PAIRS_PER_NODE = 32
# Number of logits in memory at once; on a CPU they fit into the cache.
_PAIRS_AT_ONCE = {"cpu": 1 << 18, "cuda": 1 << 26}
# Vectors whose exact sum takes as long as the operations of an estimate; about 1 ms.
_EXACT_UP_TO = {"cpu": 1024, "cuda": 16384}
# Multiplications of Gram matrices for which a message between processes pays; about 1 ms.
_FEWEST_PRODUCTS = 1 << 24
# Columns up to which compiled code is faster than torch's products of blocks.
_WIDEST_COMPILED = 32
_ROWS_AT_ONCE = 1 << 10  # that stay in the cache
Moments = tuple[Tensor, Tensor]
# On a CPU a number; on a GPU a tensor of shape (), so that the host need not wait for it.
Scalar = float | Tensor


@dataclass(frozen=True)
class Sampled:
    """Options of the estimated sum over all pairs.

    Attributes:
        pairs_per_node: B, at least 1; values below 16 save little.
        generator: Source of the pairs, on the device of ``z``; by default torch's own generator.
    """

    pairs_per_node: int = PAIRS_PER_NODE
    generator: torch.Generator | None = None

    def __post_init__(self) -> None:
        if self.pairs_per_node < 1:
            raise ValueError(f"pairs_per_node must be at least 1, got {self.pairs_per_node}.")


def sweep(
    z: Tensor,
    bias: Tensor | None,
    wanted: Wanted,
    w: Tensor | None = None,
    signature: Tensor | None = None,
    *,
    sampled: Sampled,
    control_variate: bool = True,
    team: Team = ALONE,
) -> Sweep:
    """Estimate the sum over all pairs and its gradients; each is unbiased.

    Half the number of nodes, or the size of the smaller of two sets, limits ``pairs_per_node``.
    ``control_variate=False`` draws softplus itself, for comparison. Several processes draw the
    same blocks, and the result is the share of some of them.
    """
    options = {"control_variate": control_variate, "team": team}
    exact, line = _exact_part(z, bias, w, signature, **options)
    draw = partial(_drawn, bias=bias, line=line, wanted=wanted)
    if w is not None:
        return _rectangle(z, w, exact, draw, sampled, team)
    num_nodes, width = z.shape
    if not num_nodes:
        return exact
    num_blocks, block, step = sampled_blocks((num_nodes,), sampled.pairs_per_node, z.device.type)
    order = torch.randperm(num_nodes, generator=sampled.generator, device=z.device)
    order = order[: num_blocks * block]
    mine = team.share(num_blocks)
    if not mine:
        return exact
    # The first block also follows the last one.
    order = torch.cat([order, order[:block]])[mine.start * block : (mine.stop + 1) * block]
    blocks = z.index_select(0, order).view(len(mine) + 1, block, width)
    compiled = is_compiled(num_nodes, (block, width), z.device, z.dtype)
    if signature is None:
        drawn = draw(blocks, None, compiled=compiled, step=step)
    else:
        drawn = draw(blocks[:-1], blocks[1:] * signature, compiled=compiled, step=step)
        rows, columns = drawn.grad_z.chunk(2)
        ends = rows.new_zeros(1, block, width)
        columns = columns * signature
        drawn = drawn._replace(grad_z=torch.cat([rows, ends]) + torch.cat([ends, columns]))
    weight = num_nodes * (num_nodes - 1) / (num_blocks * block**2)
    if wanted.grad_z:
        grad = drawn.grad_z
        if len(mine) == num_blocks:  # each node once, so that no order of sums matters
            grad[0].add_(grad[-1])
            _add_to_rows(exact.grad_z, order[:-block], grad[:-1].reshape(-1, width), weight)
        else:
            exact.grad_z.index_add_(0, order, grad.reshape(-1, width), alpha=weight)
    others = wanted._replace(grad_z=False)
    return plus(exact, drawn, weight, others)


def _add_to_rows(target: Tensor, order: Tensor, rows: Tensor, factor: float) -> None:
    """Add multiples of ``rows`` to different rows of a target; the bits are those of torch.

    On a CPU, ``index_add_`` takes one row after another, four times as long.
    """
    if target.is_cuda:
        target.index_add_(0, order, rows, alpha=factor)
        return
    for places, added in zip(order.split(_ROWS_AT_ONCE), rows.split(_ROWS_AT_ONCE), strict=True):
        found = target.index_select(0, places).add_(added, alpha=factor)
        target.index_copy_(0, places, found)


def _rectangle(
    z: Tensor, w: Tensor, exact: Sweep, draw: Callable[..., Sweep], sampled: Sampled, team: Team
) -> Sweep:
    """Return the estimate for two sets of vectors, of which ``exact`` is the exact part."""
    sizes = len(z), len(w)
    if not min(sizes):
        return exact
    num_blocks, block, step = sampled_blocks(sizes, sampled.pairs_per_node, z.device.type)
    mine, blocks, orders = team.share(num_blocks), [], []
    for vectors in (z, w):
        order = torch.randperm(len(vectors), generator=sampled.generator, device=z.device)
        order = order[: len(vectors) // block * block]
        repeat = -(-num_blocks * block // len(order))
        chosen = order.repeat(repeat)[mine.start * block : mine.stop * block]
        blocks.append(vectors.index_select(0, chosen).view(len(mine), block, z.shape[1]))
        orders.append(order)
    if not mine:
        return exact
    compiled = is_compiled(max(sizes), (block, z.shape[1]), z.device, z.dtype)
    drawn = draw(*blocks, compiled=compiled, step=step)
    weight = sizes[0] * sizes[1] / (num_blocks * block**2)
    for order, grad, target in zip(
        orders, drawn.grad_z.chunk(2), exact.grad_z.split(sizes), strict=True
    ):
        # Each node once, so that no order of sums matters.
        before, after = mine.start * block % len(order), -mine.stop * block % len(order)
        grad = pad(grad.reshape(len(mine) * block, -1), (0, 0, before, after))
        grad = grad.view(-1, len(order), z.shape[1]).sum(dim=0)
        _add_to_rows(target, order, grad, weight)
    return plus(exact, drawn, weight, Wanted(grad_z=False))


def _drawn(
    blocks: Tensor,
    columns: Tensor | None,
    *,
    bias: Tensor | None,
    line: tuple[Scalar, Scalar],
    wanted: Wanted,
    compiled: bool,
    step: int,
) -> Sweep:
    """Sum softplus minus the quadratic over blocks and columns, or over neighbouring blocks."""
    if compiled:
        # Imported on first use, as it loads a compiler.
        residuals = import_module("vgae.kernels._compiled_blocks").residuals
        return residuals(blocks, bias, line, columns)
    return _residuals(blocks, columns, bias, line, wanted, step)


def largest_exact(sampled: Sampled, device: torch.device) -> int:
    """Return the number of vectors up to which the exact sum is faster than the estimate."""
    return max(_EXACT_UP_TO.get(device.type, _EXACT_UP_TO["cpu"]), 2 * sampled.pairs_per_node)


def sampled_blocks(
    sizes: tuple[int, ...], per_node: int, device_type: str
) -> tuple[int, int, int]:
    """Return the number of blocks, their size, and the number of blocks processed at once.

    ``sizes`` are those of one or two sets of vectors.
    """
    smallest = sizes[0] // 2 if len(sizes) == 1 else min(sizes)
    block = max(min(per_node, smallest), 1)
    num_blocks = max(sizes) // block
    at_once = _PAIRS_AT_ONCE.get(device_type, _PAIRS_AT_ONCE["cpu"])
    return num_blocks, block, max(min(at_once // block**2, num_blocks), 1)


def is_compiled(
    num_nodes: int,
    shape: tuple[int, int],
    device: torch.device,
    dtype: torch.dtype = torch.float32,
) -> bool:
    """Return whether compiled code sums the blocks of this shape, faster than torch."""
    block, width = shape
    fits = num_nodes >= FEWEST_COMPILED and block % 4 == 0 and width <= _WIDEST_COMPILED
    return fits and dtype == torch.float32 and works("compiled", device)


def _residuals(
    blocks: Tensor,
    columns: Tensor | None,
    bias: Tensor | None,
    line: tuple[Scalar, Scalar],
    wanted: Wanted,
    step: int,
) -> Sweep:
    """Sum softplus minus the quadratic in plain torch."""
    intercept, slope = line
    if columns is None:
        rows, columns, grad, beta = blocks[:-1], blocks[1:], torch.empty_like(blocks), 1
        grad[0] = 0
    else:
        rows, grad, beta = blocks, blocks.new_empty(2 * len(blocks), *blocks.shape[1:]), 0
    num_pairs, block = rows.shape[:2]
    grad_rows, grad_columns = grad[:num_pairs], grad[-num_pairs:]
    total, slopes = blocks.new_zeros(2, dtype=torch.float64)
    # All steps reuse the buffers: allocating large ones each time is slow.
    buffers = blocks.new_empty(3, step, block, block)
    for first in range(0, num_pairs, step):
        last = min(first + step, num_pairs)
        row, column = rows[first:last], columns[first:last]
        s, p, residual = buffers[:, : last - first]
        torch.bmm(row, column.mT, out=s)
        if bias is not None:
            s += bias
        torch.sigmoid(s, out=p)
        torch.mul(s, -slope, out=residual).add_(p).sub_(intercept)
        if wanted.grad_z:
            # A block of columns is written before it is one of rows, which are added.
            torch.bmm(residual.mT, row, out=grad_columns[first:last])
            grad_rows[first:last].baddbmm_(residual, column, beta=beta)
        if wanted.grad_bias:
            slopes += residual.sum(dtype=torch.float64)
        if wanted.value:
            total += _cost(s.view(-1, block), p.view(-1, block), residual.view(-1, block), line)
    return Sweep(total, grad, slopes)


def _cost(s: Tensor, p: Tensor, work: Tensor, line: tuple[Scalar, Scalar]) -> Tensor:
    """Return the sum of softplus minus the quadratic, float64; all three are overwritten."""
    intercept, slope = line
    quadratic = torch.mul(s, slope / 2, out=work).add_(intercept).mul_(s)
    if s.is_cuda:  # a dozen launches fewer
        return (softplus(s) - quadratic).sum(dtype=torch.float64)
    subtracted = quadratic.sum(dtype=torch.float64)
    return softplus_sum(s, p, work) - subtracted


def _exact_part(
    z: Tensor,
    bias: Tensor | None,
    w: Tensor | None,
    signature: Tensor | None,
    *,
    control_variate: bool,
    team: Team,
) -> tuple[Sweep, tuple[Scalar, Scalar]]:
    r"""Sum the quadratic over all pairs, and softplus minus the quadratic over self-pairs.

    Two sets have no self-pairs. With :math:`t_{ij} = z_i \cdot z_j`, the quadratic is
    :math:`q = (\beta + \lambda b / 2) b + (\beta + \lambda b) \, t + \tfrac{\lambda}{2} t^2`.
    Of several processes, each has the gradients and the self-pairs of some rows.

    Returns:
        The sums, and the line: intercept and slope.
    """
    num_pairs = len(z) * len(z if w is None else w)
    sums, moments = _moments((z,) if w is None else (z, w), team)
    if signature is not None:  # those of the other factor of a product
        moments = sums[0] * signature, sums[1] * signature * signature[:, None]
    doubles = others = [x.double().view(-1) for x in sums]
    if moments is not sums:
        others = [x.double().view(-1) for x in moments]
    # Sums of t and of its square.
    first, second = (_scalar(x.dot(y)) for x, y in zip(doubles, others, strict=True))
    b = 0.0 if bias is None else _scalar(bias)
    line, count = (0.0, 0.0), max(num_pairs, 1)
    if control_variate:
        line = _best_line(first / count, second / count, b)
    intercept, slope = line
    at_zero = intercept + slope * b
    total = at_zero * first + slope / 2 * second + num_pairs / 2 * b * (intercept + at_zero)
    grad_bias = at_zero * num_pairs + slope * first
    if not team.leads:
        total = grad_bias = 0.0
    if w is not None:
        parts = ((z, moments), (w, sums))
        grads = [
            placed(torch.addmm(s * at_zero, x[rows_of(x, team)], gram * slope), x, team)
            for x, (s, gram) in parts
        ]
        total, grad_bias = (
            torch.as_tensor(x, dtype=torch.float64, device=z.device) for x in (total, grad_bias)
        )
        return Sweep(total, torch.cat(grads), grad_bias), line
    x = z[rows_of(z, team)]
    y = x if signature is None else x * signature
    self_s = torch.linalg.vecdot(x, y)
    self_s = self_s if bias is None else self_s + bias
    self_line = self_s * slope + intercept
    residual = torch.sigmoid(self_s) - self_line
    cost = torch.addcmul(softplus(self_s), self_s, self_line + intercept, value=-0.5)
    total = cost.sum(dtype=torch.float64) + total
    # Both t_ij and t_ji contain z_i, hence the factor two.
    z_sum, gram = moments
    grad_z = torch.addmm(z_sum * at_zero, x, gram * slope, beta=2, alpha=2)
    grad_z.addcmul_(residual[:, None], y, value=2)
    grad_bias = residual.sum(dtype=torch.float64) + grad_bias
    return Sweep(total, placed(grad_z, z, team), grad_bias), line


def _moments(sets: Sequence[Tensor], team: Team) -> tuple[Moments, Moments]:
    """Return sum and Gram matrix of the first and of the last set of vectors."""
    width = sets[0].shape[1]
    divided = sum(len(x) for x in sets) * width**2 >= _FEWEST_PRODUCTS
    parts = [x[rows_of(x, team)] for x in sets] if divided else sets
    found = [(x.sum(0), x.T @ x) for x in parts]
    if divided:
        team.sum_([s for both in found for s in both])
    return found[0], found[-1]


def _scalar(x: Tensor) -> Scalar:
    return x if x.is_cuda else float(x.numpy())


def _best_line(mean: Scalar, square: Scalar, bias: Scalar) -> tuple[Scalar, Scalar]:
    r"""Return intercept and slope of a line close to sigma(s) for normal logits s.

    By Stein's lemma the slope of the least-squares line is the mean derivative of sigma; with
    :math:`r = (1 + \pi v / 8)^{-1/2}`, it is about :math:`r \, \sigma'(r m)`, and the mean of
    sigma about :math:`\sigma(r m)`. With 1/2 instead of :math:`\pi / 8` the line is flatter, as
    suits long vectors, whose pairs weigh most in the gradient; on trained embeddings of Cora its
    variance is up to a tenth less.

    Source: MacKay (1992), `The Evidence Framework Applied to Classification Networks
    <https://doi.org/10.1162/neco.1992.4.5.720>`_, equation 10.

    Args:
        mean: Mean of the logits without the bias.
        square: Mean of their squares.
        bias: The bias.
    """
    # By rounding, the variance may be a little below zero.
    scale = (1 + (square - mean * mean) / 2) ** -0.5
    mean = mean + bias
    half = mean * scale / 2
    p = (half.tanh() if isinstance(half, Tensor) else math.tanh(half)) / 2 + 0.5
    slope = scale * p * (1 - p)
    return p - slope * mean, slope
