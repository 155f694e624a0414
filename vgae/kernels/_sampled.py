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

from vgae.kernels._all_pairs import Sweep, Wanted, plus, softplus
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
    z: Tensor,
    bias: Tensor | None,
    wanted: Wanted,
    *,
    sampled: Sampled,
    control_variate: bool = True,
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
    blocks = z.index_select(0, torch.cat([order, order[:block]]))
    blocks = blocks.view(num_blocks + 1, block, width)
    exact, line = _exact_part(z, bias, wanted, control_variate=control_variate)
    weight = num_nodes * (num_nodes - 1) / (num_blocks * block**2)
    drawn = _residuals(blocks, bias, line, wanted, step)
    if wanted.grad_z:
        drawn.grad_z[0] += drawn.grad_z[-1]  # each node once, so that no order of sums matters
        grad = drawn.grad_z[:-1].view(-1, width)
        exact.grad_z.index_add_(0, order, grad, alpha=weight)
    others = wanted._replace(grad_z=False)
    return plus(exact, drawn, weight, others)


def sampled_blocks(num_nodes: int, per_node: int, device_type: str) -> tuple[int, int, int]:
    """Return the number of blocks, their size, and the number of blocks processed at once."""
    block = max(min(per_node, num_nodes // 2), 1)
    num_blocks = num_nodes // block
    at_once = _PAIRS_AT_ONCE.get(device_type, _PAIRS_AT_ONCE["cpu"])
    return num_blocks, block, max(min(at_once // block**2, num_blocks), 1)


def _residuals(
    blocks: Tensor, bias: Tensor | None, line: Tensor, wanted: Wanted, step: int
) -> Sweep:
    """Sum softplus minus the quadratic over neighbouring blocks."""
    intercept, slope = line
    grad = torch.zeros_like(blocks)
    total, slopes = blocks.new_zeros(2, dtype=torch.float64)
    num_pairs, block = len(blocks) - 1, blocks.shape[1]
    # All steps reuse the buffers: allocating large ones each time is slow.
    buffers = blocks.new_empty(3, step, block, block)
    for first in range(0, num_pairs, step):
        last = min(first + step, num_pairs)
        row, column = blocks[first:last], blocks[first + 1 : last + 1]
        s, p, residual = buffers[:, : last - first]
        if bias is None:
            torch.bmm(row, column.mT, out=s)
        else:
            torch.baddbmm(bias, row, column.mT, out=s)
        torch.sigmoid(s, out=p)
        torch.addcmul(p, s, slope, value=-1, out=residual).sub_(intercept)
        if wanted.grad_z:
            grad[first:last].baddbmm_(residual, column)
            grad[first + 1 : last + 1].baddbmm_(residual.mT, row)
        if wanted.grad_bias:
            slopes += residual.sum(-1).sum(dtype=torch.float64)
        if wanted.value:
            rows = (x.view(-1, block) for x in (s, p, residual))
            total += _cost(*rows, intercept, slope)
    return Sweep(total, grad, slopes)


def _cost(s: Tensor, p: Tensor, work: Tensor, intercept: Tensor, slope: Tensor) -> Tensor:
    """Return the sum of softplus minus the quadratic, float64; all three are overwritten."""
    if s.is_cuda:  # one function of two operands, where the sums below are a dozen launches
        line = torch.addcmul(intercept, s, slope, value=0.5)
        return torch.addcmul(softplus(s), s, line, value=-1).sum(dtype=torch.float64)
    torch.addcmul(intercept, s, slope, value=0.5, out=work).mul_(s)
    quadratic = work.sum(-1).sum(dtype=torch.float64)
    return softplus_sum(s, p, work) - quadratic


def _exact_part(
    z: Tensor, bias: Tensor | None, wanted: Wanted, *, control_variate: bool
) -> tuple[Sweep, Tensor]:
    r"""Sum the quadratic over all pairs, and softplus minus the quadratic over self-pairs.

    With :math:`t_{ij} = z_i \cdot z_j`, the quadratic is
    :math:`q = (\beta + \lambda b / 2) b + (\beta + \lambda b) \, t + \tfrac{\lambda}{2} t^2`.

    Returns:
        The sums, and intercept and slope of its derivative in s, shape ``(2,)``.
    """
    num_pairs, z_sum, gram = len(z) ** 2, z.sum(0), z.T @ z
    # Sums of t and of its square.
    first, second = (x.double().square().sum() for x in (z_sum, gram))
    line = _best_line(first / num_pairs, second / num_pairs, bias, z.dtype)
    line = line if control_variate else torch.zeros_like(line)
    intercept, slope = line
    self_s = torch.linalg.vecdot(z, z)
    at_zero = intercept if bias is None else intercept + slope * bias
    total = at_zero * first + slope / 2 * second
    if bias is not None:
        self_s = self_s + bias
        total = total + (num_pairs / 2 * bias.double()) * (intercept + at_zero)
    self_line = torch.addcmul(intercept, self_s, slope)
    residual = torch.sigmoid(self_s) - self_line
    if wanted.value:
        half = (intercept + self_line) * self_s
        total = total + torch.add(softplus(self_s), half, alpha=-0.5).sum(dtype=torch.float64)
    # Both t_ij and t_ji contain z_i, hence the factor two.
    grad_z = torch.addmm(2 * at_zero * z_sum, z, gram * slope, alpha=2)
    grad_z.addcmul_(residual[:, None], z, value=2)
    grad_bias = total
    if wanted.grad_bias:
        grad_bias = at_zero.double() * num_pairs + slope * first + residual.sum(dtype=torch.float64)
    return Sweep(total, grad_z, grad_bias), line


def _best_line(mean: Tensor, square: Tensor, bias: Tensor | None, dtype: torch.dtype) -> Tensor:
    """Return intercept and slope of the least-squares line of sigma(s) for normal logits.

    By Stein's lemma the slope is the mean derivative of sigma. ``mean`` and ``square`` are the
    means of the logits without the bias, and of their squares.
    """
    deviation = (square - mean * mean).clamp_min(0).sqrt()
    mean = mean if bias is None else mean + bias
    nodes, weights = _normal(mean.device, mean.dtype)
    p = torch.sigmoid(torch.addcmul(mean, nodes, deviation))
    slope = weights.dot(torch.addcmul(p, p, p, value=-1))
    return torch.stack([torch.addcmul(weights.dot(p), slope, mean, value=-1), slope]).to(dtype)


@cache
def _normal(device: torch.device, dtype: torch.dtype) -> Tensor:
    """Return nodes and weights on a device; a captured CUDA graph must not copy from the host."""
    return torch.from_numpy(np.stack([_NODES, _WEIGHTS])).to(device, dtype)
