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
"""

from itertools import pairwise

import torch
from torch import Tensor

from vgae.kernels._all_pairs import Sweep, Wanted

# Rows and columns of a tile. On a CPU three float32 tiles of this size stay in the caches, and the
# width is no power of two, for which MKL takes twice as long to multiply a transposed tile. A GPU
# needs larger tiles to be busy during each launch.
_TILE = {"cpu": (256, 2000), "cuda": (2048, 16384)}
_FACTORS = 64


def sweep(z: Tensor, bias: Tensor | None, wanted: Wanted) -> Sweep:
    """Visit each tile on or above the diagonal once; unwanted results are zero."""
    num_nodes = z.shape[0]
    rows, columns = _tile(z.device.type)
    z_t = z.T.contiguous()
    total = torch.zeros((), dtype=torch.float64, device=z.device)
    grad_bias = torch.zeros_like(total)
    grad_z = torch.zeros_like(z)
    offset = z.new_zeros(()) if bias is None else bias
    buffers = z.new_empty(buffer_shape(num_nodes, z.device.type))
    for top in range(0, num_nodes, rows):
        bottom = min(top + rows, num_nodes)
        # First the square on the diagonal, then the tiles to its right.
        for left, right in pairwise([top, *range(bottom, num_nodes, columns), num_nodes]):
            # The tile on the diagonal holds both (i, j) and (j, i); the others count twice.
            weight = 1 if left == top else 2
            shape = (bottom - top, right - left)
            s, p, work = (b[: shape[0] * shape[1]].view(shape) for b in buffers)
            torch.addmm(offset, z[top:bottom], z_t[:, left:right], out=s)
            torch.sigmoid(s, out=p)
            if wanted.grad_z:
                grad_z[top:bottom].addmm_(p, z[left:right])
                if weight == 2:
                    grad_z[left:right].addmm_(p.T, z[top:bottom])
            if wanted.grad_bias:
                grad_bias += weight * p.sum()
            if wanted.value:
                total += weight * softplus_sum(s, p, work)
    return Sweep(total, 2 * grad_z, grad_bias.to(z.dtype))


def _tile(device_type: str) -> tuple[int, int]:
    return _TILE.get(device_type, _TILE["cpu"])


def buffer_shape(num_nodes: int, device_type: str) -> tuple[int, int]:
    """Return the shape of the buffers; all tiles reuse them, which saves allocations."""
    rows, columns = _tile(device_type)
    return 3, min(rows, num_nodes) * min(max(rows, columns), num_nodes)


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
