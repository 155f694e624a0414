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


def residuals(blocks: Tensor, bias: Tensor | None, line: tuple[float, float]) -> Sweep:
    r"""Sum :math:`\mathrm{softplus}(s) - \beta s - \tfrac{\lambda}{2} s^2` over pairs of blocks.

    Each block of nodes is paired with the next one, on as many threads as torch has.

    Args:
        blocks: float32, on the CPU, shape ``(K + 1, B, d)`` with B a multiple of 4.
        bias: Bias of the logits.
        line: Intercept and slope of the derivative of the quadratic.
    """
    num_blocks, block, width = blocks.shape
    z = blocks.reshape(-1, width)
    z = pad(z, (0, -width % GROUP)) if width % GROUP else z
    z_t = z.new_empty(apart(z.shape[1], len(z)))
    z_t[:, : len(z)] = z.T
    num_workers = min(torch.get_num_threads(), num_blocks - 1)
    rooms = zeros(num_workers, *apart(GROUP + 3, block))
    grad, grad_t = (zeros(*x.shape) for x in (z, z_t))
    arrays = (z.numpy(), z_t.numpy(), grad, grad_t)
    numbers = np.float32([0 if bias is None else bias.numpy(), *line])

    def visit(worker: int) -> tuple[float, float]:
        return _visit_blocks((*arrays, rooms[worker]), block, numbers, worker, num_workers)

    totals, slopes = zip(*on_threads(visit, num_workers), strict=True)
    grad += grad_t[:, : len(z)].T
    return Sweep(
        z.new_tensor(sum(totals), dtype=torch.float64),
        torch.from_numpy(grad)[:, :width].reshape(blocks.shape),
        z.new_tensor(sum(slopes), dtype=torch.float64),
    )


@jit
def _visit_blocks(
    arrays: Any, block: int, numbers: Any, worker: int, num_workers: int
) -> tuple[float, float]:
    """Visit one worker's pairs of blocks; return its parts of the value and of the slopes."""
    z, z_t, grad, grad_t, room = arrays
    s, lanes = room[:GROUP], room[GROUP:]
    sums = np.zeros((3, room.shape[1]), np.float64)
    bias, intercept, slope = numbers
    total, total_slope = 0.0, 0.0
    num_pairs = z.shape[0] // block - 1
    for pair in range(worker * num_pairs // num_workers, (worker + 1) * num_pairs // num_workers):
        top, left, right = pair * block, (pair + 1) * block, (pair + 2) * block
        for i in range(top, left, GROUP):
            logits(z, z_t, i, left, right, bias, s)
            total -= _subtract_line(s, lanes, block, intercept, slope)
            row_gradient(z_t, grad, i, left, right, s)
            column_gradient(z, grad_t, i, left, right, s)
            if (i + GROUP - top) % FACTORS == 0 or i + GROUP == left:
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
