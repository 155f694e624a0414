r"""Softplus minus a quadratic over pairs of blocks of nodes, in machine code compiled by numba.

The part of the estimate of ``_sampled`` that is drawn; the mathematics is that of ``_compiled``.
"""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from vgae.kernels._all_pairs import Sweep
from vgae.kernels._compiled import (
    FACTORS,
    GROUP,
    HALF,
    ONE,
    ZERO,
    apart,
    column_gradient,
    exp_minus_abs,
    flush,
    jit,
    logits,
    on_threads,
    row_gradient,
    zeros,
)


def residuals(
    blocks: Tensor, bias: Tensor | None, line: tuple[float, float], columns: Tensor | None = None
) -> Sweep:
    r"""Sum :math:`\mathrm{softplus}(s) - \beta s - \tfrac{\lambda}{2} s^2` over pairs of blocks.

    Each block is paired with the next one, or with a block of columns, on as many threads as
    torch has.

    Args:
        blocks: float32, on the CPU, shape ``(K + 1, B, d)`` with B a multiple of 4; or
            ``(K, B, d)`` with columns.
        bias: Bias of the logits.
        line: Intercept and slope of the derivative of the quadratic.
        columns: Partner of each block, shape ``(K, B, d)``.

    Returns:
        The sums; the gradient of the blocks, then that of the columns.
    """
    num_blocks, block, width = blocks.shape
    z = _flat(blocks)
    right = z if columns is None else _flat(columns)
    z_t = z.new_empty(apart(z.shape[1], len(z)))
    z_t[:, : len(z)] = right.T
    ahead = 1 if columns is None else 0
    num_workers = min(torch.get_num_threads(), num_blocks - ahead)
    rooms = zeros(num_workers, *apart(GROUP + 3, block))
    grad, grad_t = (zeros(*x.shape) for x in (z, z_t))
    arrays = (z.numpy(), z_t.numpy(), grad, grad_t)
    numbers = np.float32([0 if bias is None else bias.numpy(), *line])

    def visit(worker: int) -> tuple[float, float]:
        sizes = (block, ahead)
        return _visit_blocks((*arrays, rooms[worker]), sizes, numbers, worker, num_workers)

    totals, slopes = zip(*on_threads(visit, num_workers), strict=True)
    if columns is None:
        grad += grad_t[:, : len(z)].T
    else:
        grad = np.concatenate([grad, grad_t[:, : len(z)].T])
    return Sweep(
        z.new_tensor(sum(totals), dtype=torch.float64),
        torch.from_numpy(grad)[:, :width].reshape(-1, block, width),
        z.new_tensor(sum(slopes), dtype=torch.float64),
    )


def _flat(blocks: Tensor) -> Tensor:
    width = blocks.shape[-1]
    z = blocks.reshape(-1, width)
    return pad(z, (0, -width % GROUP)) if width % GROUP else z


@jit
def _visit_blocks(
    arrays: Any, sizes: Any, numbers: Any, worker: int, num_workers: int
) -> tuple[float, float]:
    """Visit one worker's pairs of blocks; return its parts of the value and of the slopes.

    ``sizes`` are that of a block, and how many blocks the columns are ahead of the rows.
    """
    z, z_t, grad, grad_t, room = arrays
    s, lanes = room[:GROUP], room[GROUP:]
    sums = np.zeros((3, room.shape[1]), np.float64)
    bias, intercept, slope = numbers
    total, total_slope = 0.0, 0.0
    block, ahead = sizes
    num_pairs = z.shape[0] // block - ahead
    for pair in range(worker * num_pairs // num_workers, (worker + 1) * num_pairs // num_workers):
        top, bottom = pair * block, (pair + 1) * block
        left, right = top + ahead * block, bottom + ahead * block
        for i in range(top, bottom, GROUP):
            logits(z, z_t, i, left, right, bias, s)
            total -= _subtract_line(s, lanes, block, intercept, slope)
            row_gradient(z_t, grad, i, left, right, s)
            column_gradient(z, grad_t, i, left, right, s)
            if (i + GROUP - top) % FACTORS == 0 or i + GROUP == bottom:
                flush(lanes, sums, block)
        for v in range(block):
            total += math.log1p(sums[0, v]) + sums[1, v]
            total_slope += sums[2, v]
        sums[:, :block] = 0
    return total, total_slope


@jit
def _subtract_line(s: Any, lanes: Any, width: int, intercept: Any, slope: Any) -> float:
    """Turn logits into probabilities minus the line; return the sum of the quadratic."""
    product, positive, added = lanes[0, :width], lanes[1, :width], lanes[2, :width]
    subtracted = 0.0
    for row in range(GROUP):
        r = s[row, :width]
        quadratic = ZERO
        for v in range(width):
            x = r[v]
            e = exp_minus_abs(x)
            p = ONE / (ONE + e)
            residual = (p if x >= ZERO else e * p) - (intercept + slope * x)
            r[v] = residual
            added[v] += residual
            q = product[v]
            product[v] = q + (e + q * e)
            positive[v] += ZERO if x < ZERO else x  # NaN stays NaN
            quadratic += x * (intercept + HALF * slope * x)
        subtracted += np.float64(quadratic)
    return subtracted
