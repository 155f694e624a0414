r"""Exact sum over all pairs in plain torch: on any device, without the N x N matrix.

With logits :math:`s_{ij} = z_i \cdot z_j + b` over all N^2 ordered pairs, the diagonal included,

.. math::
    L = \sum_{ij} \mathrm{softplus}(s_{ij}), \quad
    \partial L / \partial z_i = 2 \sum_j \sigma(s_{ij}) z_j, \quad
    \partial L / \partial b = \sum_{ij} \sigma(s_{ij})

Two savings: only tiles on and above the diagonal are visited, since s is symmetric; and

.. math:: \mathrm{softplus}(s) = \max(s, 0) - \log \sigma(|s|)

whose factors :math:`\sigma(|s|) \in [1/2, 1)` are multiplied by the dozen before one logarithm is
taken of the product (64 of them never fall below 2^-64). Memory is O(N d) plus one tile.

A signature multiplies one of the two factors of a logit, which stays symmetric. Two sets of
vectors have n m logits, of which every tile is visited.

Blocks that fit into a tile are multiplied many at once, padded to a common size. A padded row gets
a factor of -1e30 in a further dimension, so that its logits have the softplus and the slope zero.
"""

import math
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn.functional import pad

from vgae.kernels._all_pairs import Sweep, Wanted
from vgae.kernels.blocks import Blocks, sweep_each

# Rows and columns of a tile. On a CPU three float32 tiles of this size stay in the caches, and the
# width is no power of two, for which MKL takes twice as long to multiply a transposed tile. A GPU
# needs larger tiles to be busy during each launch.
_TILE = {"cpu": (256, 2000), "cuda": (2048, 16384)}
_FACTORS = 64
_NEVER = -1e30  # logit of a padded row


def sweep(
    z: Tensor,
    bias: Tensor | None,
    wanted: Wanted,
    w: Tensor | None = None,
    signature: Tensor | None = None,
) -> Sweep:
    """Visit each tile once, of one set on or above the diagonal; unwanted results are zero."""
    y = z if w is None else w
    num_rows, num_columns = len(z), len(y)
    rows, columns = _tile(z.device.type)
    y_t = y.T.contiguous() if signature is None else (y * signature).T.contiguous()
    total = torch.zeros((), dtype=torch.float64, device=z.device)
    grad_bias = torch.zeros_like(total)
    grad_z = torch.zeros_like(z)
    grad_y = grad_z if w is None else torch.zeros_like(w)
    offset = z.new_zeros(()) if bias is None else bias
    buffers = z.new_empty(buffer_shape(num_rows, z.device.type, num_columns))
    for top in range(0, num_rows, rows):
        bottom = min(top + rows, num_rows)
        # Of one set, first the square on the diagonal, then the tiles to its right.
        lefts = range(0, num_columns, columns)
        lefts = [top, *range(bottom, num_columns, columns)] if w is None else lefts
        for left, right in pairwise([*lefts, num_columns]):
            # The tile on the diagonal holds both (i, j) and (j, i); the others count twice.
            weight = 2 if w is None and left > top else 1
            shape = (bottom - top, right - left)
            s, p, work = (b[: shape[0] * shape[1]].view(shape) for b in buffers)
            torch.addmm(offset, z[top:bottom], y_t[:, left:right], out=s)
            torch.sigmoid(s, out=p)
            if wanted.grad_z:
                grad_z[top:bottom].addmm_(p, y[left:right])
                if weight == 2 or w is not None:
                    grad_y[left:right].addmm_(p.T, z[top:bottom])
            if wanted.grad_bias:
                grad_bias += weight * p.sum()
            if wanted.value:
                total += weight * softplus_sum(s, p, work)
    grad_z = 2 * grad_z if w is None else torch.cat([grad_z, grad_y])
    grad_z = grad_z if signature is None else grad_z * signature
    return Sweep(total, grad_z, grad_bias.to(z.dtype))


def block_sweep(
    z: Tensor,
    bias: Tensor | None,
    wanted: Wanted,
    w: Tensor | None = None,
    signature: Tensor | None = None,
    *,
    blocks: Blocks,
) -> Sweep:
    """Pass over the pairs within blocks; a block larger than a tile is visited by itself."""
    area, largest = math.prod(_tile(z.device.type)), largest_padded(z.device.type)
    found = sweep_each(sweep, blocks.above(largest), z, bias, wanted, w, signature)
    y = z if w is None else w
    y = y if signature is None else y * signature
    width = z.shape[1]
    # A padded row is (0, -1e30, 1), a padded column (0, 1, -1e30), and others end in (0, 1).
    left, right = (pad(vectors, (0, 2, 0, 1)) for vectors in (z, y))
    left[:, width + 1] = right[:, width] = 1
    left[-1, width] = right[-1, width + 1] = _NEVER
    offset = z.new_zeros(()) if bias is None else bias
    grads = [pad(grad, (0, 0, 0, 1)) for grad in found.grad_z.split(len(z))]
    total, grad_bias = found.total, found.grad_bias
    buffers = z.new_empty(3, min(area, blocks.num_padded(largest)))
    for rows in blocks.padded(largest):
        for part in rows.split(max(area // rows.shape[1] ** 2, 1)):
            x, y = left[part], right[part]
            shape = (len(part), part.shape[1], part.shape[1])
            s, p, work = (b[: math.prod(shape)].view(shape) for b in buffers)
            torch.baddbmm(offset, x, y.mT, out=s)
            torch.sigmoid(s, out=p)
            if wanted.grad_z:
                # Each row is in one block; only the last one, of the padding, is written twice.
                grads[0][part] = (p @ y)[..., :width] * (2 if w is None else 1)
                if w is not None:
                    grads[1][part] = (p.mT @ x)[..., :width]
            if wanted.grad_bias:
                grad_bias += p.sum(dim=2).sum(dtype=torch.float64)
            if wanted.value:
                total += softplus_sum(*(b.flatten(0, 1) for b in (s, p, work)))
    grad_z = torch.cat([grad[:-1] for grad in grads])
    return Sweep(total, grad_z, grad_bias.to(z.dtype))


def _tile(device_type: str) -> tuple[int, int]:
    return _TILE.get(device_type, _TILE["cpu"])


def buffer_shape(
    num_rows: int, device_type: str, num_columns: int | None = None
) -> tuple[int, int]:
    """Return the shape of the buffers; all tiles reuse them, which saves allocations."""
    rows, columns = _tile(device_type)
    num_columns = num_rows if num_columns is None else num_columns
    return 3, min(rows, num_rows) * min(max(rows, columns), num_columns)


def largest_padded(device_type: str) -> int:
    """Return the number of rows up to which blocks are padded, so that one fits into a tile."""
    return math.isqrt(math.prod(_tile(device_type)))


def block_buffer(blocks: Blocks, device_type: str) -> int:
    """Return the number of elements of the buffers of :func:`block_sweep`."""
    largest = largest_padded(device_type)
    padded = 3 * min(math.prod(_tile(device_type)), blocks.num_padded(largest))
    size = int(blocks.sizes.max(initial=0))
    return max(padded, math.prod(buffer_shape(size, device_type)) if size > largest else 0)


def softplus_sum(s: Tensor, p: Tensor, work: Tensor) -> Tensor:
    """Return the sum of ``softplus(s)``, float64, from ``p = sigma(s)``.

    All have one shape ``(rows, columns)``; ``s`` and ``work`` are overwritten.
    """
    # Summing rows first gains a digit in float32, at no cost.
    positive = s.clamp_min_(0).sum(dim=1).sum(dtype=torch.float64)
    factors = torch.maximum(p, torch.sub(1, p, out=work), out=work).view(-1)
    rest = factors.numel() % _FACTORS
    tail = factors[factors.numel() - rest :].log().sum()
    products = factors[: factors.numel() - rest].view(_FACTORS, factors.numel() // _FACTORS)
    return positive - tail - products.prod(dim=0).log().sum(dtype=torch.float64)
