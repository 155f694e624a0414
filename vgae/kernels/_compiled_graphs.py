r"""Exact sum over the pairs within blocks, in machine code compiled by numba.

The mathematics is that of ``_compiled``. A thread copies one block after another into a work
space, visits its pairs there, and writes the gradient of its rows. Of one set of vectors only the
tiles on and above the diagonal are visited, of 32 rows, since most blocks are small. Larger blocks
are visited one after another by all threads together.
"""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vgae.kernels import _compiled
from vgae.kernels._all_pairs import Sweep, Wanted
from vgae.kernels._compiled import (
    GROUP,
    activate,
    add_probabilities,
    apart,
    column_gradient,
    jit,
    logits,
    on_threads,
    row_gradient,
    zeros,
)
from vgae.kernels.blocks import Blocks, sweep_each

_LARGEST = 2000  # rows of a block of which a single thread visits all pairs
_ROWS, _COLUMNS = 32, 1024  # of a tile
_FACTORS = 960  # each at most 2, so that a product stays below 2^1024, the limit of float64
_NEVER = np.float32(-200)  # logit of a row that only fills a group
_FEWEST = 1 << 18  # pairs for which a further thread pays


def block_sweep(
    z: Tensor,
    bias: Tensor | None,
    wanted: Wanted,
    w: Tensor | None = None,
    signature: Tensor | None = None,
    *,
    blocks: Blocks,
) -> Sweep:
    """Visit the pairs within each block, on as many threads as torch has.

    All tensors are float32, on the CPU; unwanted results are zero.
    """
    found = sweep_each(_compiled.sweep, blocks.above(_LARGEST), z, bias, wanted, w, signature)
    small = blocks.up_to(_LARGEST)
    if not small.num_pairs:
        return found
    width, largest = z.shape[1], int(small.sizes.max())
    y = z if w is None else w
    y = y if signature is None else y * signature
    factors = z.new_ones(width) if signature is None else signature
    grads = found.grad_z.split(len(z))
    tensors = (z, y, grads[0], grads[-1], factors)
    given = tuple(tensor.detach().contiguous().numpy() for tensor in tensors)
    bias_value = np.float32(0 if bias is None else bias.item())
    pairs = (small.sizes**2).cumsum()
    num_workers = int(min(torch.get_num_threads(), pairs[-1] // _FEWEST + 1, len(small)))
    # Each worker has about as many pairs.
    shares = pairs[-1] / num_workers * np.arange(1, num_workers)
    ends = [0, *np.searchsorted(pairs, shares).tolist(), len(small)]
    rounded = -(-width // GROUP) * GROUP
    rows, columns = -(-largest // GROUP) * GROUP, apart(rounded, largest)
    # This thread allocates the work spaces, see ``_compiled``.
    block = (rows, rounded), columns
    shapes = *block, *block, apart(GROUP + 3, min(largest, _COLUMNS))
    rooms = [tuple(zeros(*shape) for shape in shapes) for _ in range(num_workers)]

    def visit(worker: int) -> tuple[float, float]:
        part = slice(ends[worker], ends[worker + 1])
        places = (small.starts[part], small.sizes[part])
        return _visit_graphs(given, rooms[worker], places, bias_value, w is None, wanted)

    totals, grad_biases = zip(*on_threads(visit, num_workers), strict=True)
    return Sweep(
        found.total + sum(totals),
        found.grad_z,
        (found.grad_bias + sum(grad_biases)).to(z.dtype),
    )


@jit
def _visit_graphs(
    given: Any,
    room: Any,
    places: Any,
    bias: Any,
    symmetric: Any,
    wanted: Any,
) -> tuple[float, float]:
    """Visit some blocks; return their parts of the value and of the bias' gradient.

    ``given`` are the vectors of rows and of columns, the gradients of both, which are one array if
    the logits are symmetric, and the signature; ``places`` the first row and the number of rows of
    each block.
    """
    z, y, grad, grad_y, signature = given
    x, t, g, g_t, lines = room
    starts, sizes = places
    num_channels = z.shape[1]
    # Products of factors that count once and of those that count twice, minus one, and how many.
    products = np.zeros((2, 2), np.float64)
    total, total_p = 0.0, 0.0
    for block in range(len(starts)):
        start, size = starts[block], sizes[block]
        if size == 0:
            continue
        rows = -(-size // GROUP) * GROUP
        for i in range(size):
            for k in range(num_channels):
                x[i, k] = z[start + i, k]
                t[k, i] = y[start + i, k]
        x[size:rows] = 0
        g[:rows] = 0
        g_t[:, :size] = 0
        found = _visit_pairs((x[:rows], t, g, g_t, lines), size, bias, symmetric, wanted, products)
        total += found[0]
        total_p += found[1]
        if not wanted[1]:
            continue
        for i in range(size):
            for k in range(num_channels):
                if symmetric:  # s_ij and s_ji both contain z_i
                    grad[start + i, k] = 2 * (g[i, k] + g_t[k, i] * signature[k])
                else:
                    grad[start + i, k] = g[i, k]
                    grad_y[start + i, k] = g_t[k, i]
    total += math.log1p(products[0, 0]) + 2 * math.log1p(products[1, 0])
    return total, total_p


@jit
def _visit_pairs(
    arrays: Any,
    size: Any,
    bias: Any,
    symmetric: Any,
    wanted: Any,
    products: Any,
) -> tuple[float, float]:
    """Visit the tiles of a block; add to the gradients and products, and return other sums."""
    x, t, g, g_t, lines = arrays
    value, grad_z, grad_bias = wanted
    s, lanes = lines[:GROUP], lines[GROUP:]
    total, total_p = 0.0, 0.0
    for top in range(0, size, _ROWS):
        bottom = min(top + _ROWS, x.shape[0])
        left = top if symmetric else 0
        while left < size:
            diagonal = symmetric and left == top
            right = min(bottom if diagonal else left + _COLUMNS, size)
            width = right - left
            for i in range(top, bottom, GROUP):
                logits(x, t, i, left, right, bias, s)
                for row in range(min(size - i, GROUP), GROUP):
                    s[row, :width] = _NEVER
                activate(s, lanes, width, value, grad_z or grad_bias)
                if grad_bias:
                    add_probabilities(s, lanes, width)
                if grad_z:
                    row_gradient(t, g, i, left, right, s)
                    if not diagonal:
                        column_gradient(x, g_t, i, left, right, s)
            # The tile on the diagonal holds both (i, j) and (j, i); the others count twice.
            times = 2 if symmetric and not diagonal else 1
            found = _collect(lanes, width, bottom - top, products[times - 1])
            total += times * found[0]
            total_p += times * found[1]
            left = right
    return total, total_p


@jit
def _collect(lanes: Any, width: int, rows: int, product: Any) -> tuple[float, float]:
    """Move the lanes to a product, and return the sums of the others and of full products."""
    q, count = product[0], product[1]
    total, total_p = 0.0, 0.0
    for v in range(width):
        if count + rows > _FACTORS:
            total += math.log1p(q)
            q, count = 0.0, 0.0
        factor = np.float64(lanes[0, v])
        q = q + (factor + q * factor)
        count += rows
        total += np.float64(lanes[1, v])
        total_p += np.float64(lanes[2, v])
    lanes[:, :width] = 0
    product[0], product[1] = q, count
    return total, total_p
