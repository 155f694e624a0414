r"""Unbiased estimate of the sum over all pairs, for graphs too large for the exact sum.

The nodes are shuffled and cut into blocks of B; each block is paired with the next one. All
ordered pairs of two different nodes are equally likely, so for m drawn pairs, and a quadratic q
as control variate,

.. math::
    \sum_{i \ne j} \mathrm{softplus}(s_{ij}) = \sum_{i \ne j} q(s_{ij})
    + E \Big[ \frac{N (N - 1)}{m} \sum_{drawn} (\mathrm{softplus} - q)(s_{ij}) \Big],
    \quad q(s) = \beta s + \tfrac{\lambda}{2} s^2

The sums of s and s^2 over all pairs are :math:`\|\sum_i z_i\|^2` and :math:`\|Z^T Z\|_F^2`,
exact in O(N d^2). The line :math:`q'(s) = \beta + \lambda s` is the least-squares fit to
:math:`\sigma(s)` for normal logits of the given mean and variance; any line keeps the estimate
unbiased. Self-pairs are summed exactly.

Source: Owen (2013), `Monte Carlo theory, methods and examples <https://artowen.su.domains/mc/>`_,
section 8.9 (control variates).
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor

from vgae.kernels._all_pairs import Sweep, Wanted
from vgae.kernels._edges import softplus
from vgae.kernels._tiled import softplus_sum

PAIRS_PER_NODE = 32
# Number of logits in memory at once; on a CPU they fit into the cache.
_PAIRS_AT_ONCE = {"cpu": 1 << 18, "cuda": 1 << 26}
# Nodes and weights of the expectation under N(0, 1), exact for polynomials up to degree 39.
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(20)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()


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
    z: Tensor, bias: Tensor, wanted: Wanted, *, sampled: Sampled, control_variate: bool = True
) -> Sweep:
    """Estimate the sum over all pairs and its gradients; each is unbiased.

    Half the number of nodes limits ``pairs_per_node``. ``control_variate=False`` draws softplus
    itself, for comparison.
    """
    num_nodes, width = z.shape
    num_blocks, block, step = sampled_blocks(num_nodes, sampled.pairs_per_node, z.device.type)
    order = torch.randperm(num_nodes, generator=sampled.generator, device=z.device)
    order = order[: num_blocks * block]
    # The first block also follows the last one.
    order = torch.cat([order, order[:block]])
    blocks = z.index_select(0, order).view(num_blocks + 1, block, width)
    gram = z.T @ z
    line = _best_line(z, gram, bias) if control_variate else bias.new_zeros(2)
    total, grad_z, grad_bias = _exact_part(z, gram, bias, line)
    weight = num_nodes * (num_nodes - 1) / (num_blocks * block**2)
    drawn, grad_blocks, slopes = _residuals(blocks, bias, line, wanted, step)
    if wanted.grad_z:
        grad_z.index_add_(0, order, grad_blocks.mul_(weight).view(-1, width))
    return Sweep(total + weight * drawn, grad_z, (grad_bias + weight * slopes).to(bias.dtype))


def sampled_blocks(num_nodes: int, per_node: int, device_type: str) -> tuple[int, int, int]:
    """Return the number of blocks, their size, and the number of blocks processed at once."""
    block = max(min(per_node, num_nodes // 2), 1)
    num_blocks = num_nodes // block
    at_once = _PAIRS_AT_ONCE.get(device_type, _PAIRS_AT_ONCE["cpu"])
    return num_blocks, block, max(min(at_once // block**2, num_blocks), 1)


def _residuals(blocks: Tensor, bias: Tensor, line: Tensor, wanted: Wanted, step: int) -> Sweep:
    """Sum softplus minus the quadratic over neighbouring blocks."""
    intercept, slope = line
    grad = torch.zeros_like(blocks)
    total = torch.zeros((), dtype=torch.float64, device=blocks.device)
    slopes = torch.zeros_like(total)
    num_pairs, block = len(blocks) - 1, blocks.shape[1]
    # All steps reuse the buffers: allocating large ones each time is slow.
    buffers = blocks.new_empty(3, step, block, block)
    for first in range(0, num_pairs, step):
        last = min(first + step, num_pairs)
        row, column = blocks[first:last], blocks[first + 1 : last + 1]
        s, p, residual = buffers[:, : last - first]
        torch.baddbmm(bias, row, column.mT, out=s)
        torch.sigmoid(s, out=p)
        torch.addcmul(p, s, slope, value=-1, out=residual).sub_(intercept)
        if wanted.grad_z:
            grad[first:last].baddbmm_(residual, column)
            grad[first + 1 : last + 1].baddbmm_(residual.mT, row)
        if wanted.grad_bias:
            slopes += residual.sum(-1).sum(dtype=torch.float64)
        if wanted.value:
            squares = torch.linalg.vector_norm(s, dim=-1).square()
            total -= (intercept * s.sum(-1) + slope / 2 * squares).sum(dtype=torch.float64)
            total += softplus_sum(s.view(-1, block), p.view(-1, block), residual.view(-1, block))
    return Sweep(total, grad, slopes)


def _best_line(z: Tensor, gram: Tensor, bias: Tensor) -> Tensor:
    """Return intercept and slope of the least-squares line of sigma(s) for normal logits.

    By Stein's lemma the slope is the mean derivative of sigma.
    """
    num_pairs = z.shape[0] ** 2
    mean = z.sum(0).square().sum() / num_pairs
    variance = (gram.square().sum() / num_pairs - mean**2).clamp_min(0)
    mean = mean + bias
    nodes, weights = _normal(z.device, z.dtype)
    p = torch.sigmoid(mean + variance.sqrt() * nodes)
    slope = (weights * p * (1 - p)).sum()
    return torch.stack([(weights * p).sum() - slope * mean, slope])


@cache
def _normal(device: torch.device, dtype: torch.dtype) -> Tensor:
    """Return nodes and weights on a device; a captured CUDA graph must not copy from the host."""
    return torch.from_numpy(np.stack([_NODES, _WEIGHTS])).to(device, dtype)


def _exact_part(z: Tensor, gram: Tensor, bias: Tensor, line: Tensor) -> Sweep:
    """Sum the quadratic over all pairs, and softplus minus the quadratic over self-pairs."""
    intercept, slope = line
    num_nodes, z_sum = z.shape[0], z.sum(0)
    # Sums of z_i . z_j and of its square, where s = z_i . z_j + bias.
    first, second = z_sum.double().square().sum(), gram.double().square().sum()
    sum_s = first + num_nodes**2 * bias.double()
    sum_s2 = second + 2 * bias.double() * first + num_nodes**2 * bias.double() ** 2
    self_s = z.square().sum(dim=-1) + bias
    self_residual = torch.sigmoid(self_s) - (intercept + slope * self_s)
    self_cost = softplus(self_s) - (intercept + slope / 2 * self_s) * self_s
    total = intercept * sum_s + slope / 2 * sum_s2 + self_cost.sum(dtype=torch.float64)
    half_grad = (
        (intercept + slope * bias) * z_sum + slope * (z @ gram) + self_residual[:, None] * z
    )
    grad_bias = intercept * num_nodes**2 + slope * sum_s + self_residual.sum(dtype=torch.float64)
    return Sweep(total, 2 * half_grad, grad_bias)
