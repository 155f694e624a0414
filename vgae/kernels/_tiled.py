r"""All pairs of an inner-product decoder, exactly, without the N x N matrix.

With logits :math:`s_{ij} = z_i \cdot z_j + b` over all N^2 ordered pairs, the diagonal included,

.. math::
    L = \sum_{ij} \mathrm{softplus}(s_{ij}), \quad
    \partial L / \partial z_i = 2 \sum_j \sigma(s_{ij}) z_j, \quad
    \partial L / \partial b = \sum_{ij} \sigma(s_{ij})

Three savings: only tiles on and above the diagonal are visited, since s is symmetric; value and
gradient come out of one pass, so that nothing of size N^2 is kept for the backward pass; and

.. math:: \mathrm{softplus}(s) = \max(s, 0) - \log \sigma(|s|)

whose factors :math:`\sigma(|s|) \in [1/2, 1)` are multiplied by the dozen before one logarithm is
taken of the product (64 of them never fall below 2^-64). Memory is O(N d) plus one tile.
"""

from typing import Any

import torch
from torch import Tensor

# Rows and columns of a tile. On a CPU three float32 tiles of this size stay in the caches, and the
# width is no power of two: MKL multiplies a transposed tile half as fast if it is. A GPU wants
# larger tiles, to be busy during each launch.
_TILE = {"cpu": (256, 2000), "cuda": (2048, 16384)}
_FACTORS = 64


def all_pairs(z: Tensor, bias: Tensor) -> Tensor:
    """Return the sum of ``softplus(z_i . z_j + bias)`` over all N^2 pairs, float64, shape ``()``.

    Args:
        z: One latent vector per node, float32 or float64, shape ``(N, d)``.
        bias: Added to each logit, shape ``()``.
    """
    return _AllPairs.apply(z, bias)


class _AllPairs(torch.autograd.Function):
    """Value and gradient in one pass; the backward pass is a multiplication by a scalar."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, bias: Tensor) -> Tensor:
        wants_grad_z, wants_grad_bias = ctx.needs_input_grad
        total, grad_z, grad_bias = _sweep(
            z, bias, wants_grad_z=wants_grad_z, wants_grad_bias=wants_grad_bias
        )
        ctx.save_for_backward(grad_z, grad_bias)
        return total

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, Tensor]:
        refuse_second_derivative()
        (grad,) = grad_outputs
        grad_z, grad_bias = ctx.saved_tensors
        return grad.to(grad_z.dtype) * grad_z, grad.to(grad_bias.dtype) * grad_bias


def refuse_second_derivative() -> None:
    """Raise inside a backward pass that is itself to be differentiated.

    The gradients were computed in the forward pass, so autograd would take them for constants and
    return a wrong second derivative without a word.
    """
    if torch.is_grad_enabled():
        raise RuntimeError("inner_product_nll can be differentiated once; got create_graph=True.")


def _sweep(
    z: Tensor, bias: Tensor, *, wants_grad_z: bool, wants_grad_bias: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Visit each tile on or above the diagonal once; return the sum and its two gradients.

    A gradient that is not wanted is left at zero.
    """
    num_nodes = z.shape[0]
    rows, columns = _TILE.get(z.device.type, _TILE["cpu"])
    z_t = z.T.contiguous()
    total = torch.zeros((), dtype=torch.float64, device=z.device)
    grad_bias = torch.zeros_like(total)
    grad_z = torch.zeros_like(z)
    # One buffer each for all tiles: allocating them anew costs more than filling them.
    size = min(rows, num_nodes) * min(max(rows, columns), num_nodes)
    buffers = z.new_empty(3, size)
    for top in range(0, num_nodes, rows):
        bottom = min(top + rows, num_nodes)
        lefts = [top, *range(bottom, num_nodes, columns)]
        for left, right in zip(lefts, [*lefts[1:], num_nodes], strict=True):
            # The tile on the diagonal holds both (i, j) and (j, i); the others stand for two.
            weight = 1 if left == top else 2
            shape = (bottom - top, right - left)
            s, p, work = (b[: shape[0] * shape[1]].view(shape) for b in buffers)
            torch.addmm(bias, z[top:bottom], z_t[:, left:right], out=s)
            torch.sigmoid(s, out=p)
            if wants_grad_z:
                grad_z[top:bottom].addmm_(p, z[left:right])
                if weight == 2:
                    grad_z[left:right].addmm_(p.T, z[top:bottom])
            if wants_grad_bias:
                grad_bias += weight * p.sum()
            # By rows first: float32 keeps a digit more, at no cost.
            positive = s.clamp_min_(0).sum(dim=1).sum(dtype=torch.float64)
            total += weight * (positive - _log_sigmoid_abs_sum(p, work))
    return total, 2 * grad_z, grad_bias.to(bias.dtype)


def _log_sigmoid_abs_sum(p: Tensor, work: Tensor) -> Tensor:
    """Return the sum of ``log sigma(|s|)`` from ``p = sigma(s)``; ``work`` is overwritten."""
    factors = torch.maximum(p, torch.sub(1, p, out=work), out=work).view(-1)
    rest = factors.numel() % _FACTORS
    tail = factors[factors.numel() - rest :].log().sum()
    products = factors[: factors.numel() - rest].view(_FACTORS, factors.numel() // _FACTORS)
    return tail + products.prod(dim=0).log().sum(dtype=torch.float64)
