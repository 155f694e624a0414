"""What every way of summing over all pairs has in common: its form, and its place in autograd."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor


class Wanted(NamedTuple):
    """Which of the three results of a sweep are asked for; the others may be anything."""

    value: bool = True
    grad_z: bool = True
    grad_bias: bool = True


class Sweep(NamedTuple):
    r"""What one pass over the pairs gives, with logits :math:`s_{ij} = z_i \cdot z_j + b`.

    Attributes:
        total: Sum of ``softplus(s_ij)`` over all N^2 ordered pairs, the diagonal included,
            float64, shape ``()``.
        grad_z: Its gradient with respect to ``z``, shape ``(N, d)``.
        grad_bias: Its gradient with respect to the bias, shape ``()``.
    """

    total: Tensor
    grad_z: Tensor
    grad_bias: Tensor


Sweeper = Callable[[Tensor, Tensor, Wanted], Sweep]
"""``(z, bias, wanted) -> Sweep``: one way of passing over the pairs."""

Precision = Literal["high", "tf32", "bf16"]
"""Of the matrix products on a GPU."""


def all_pairs(z: Tensor, bias: Tensor, sweeper: Sweeper, *, value: bool = True) -> Tensor:
    """Return the sum of ``softplus(z_i . z_j + bias)`` over all N^2 pairs, float64, shape ``()``.

    Value and gradient come out of one pass, so that nothing of size N^2 is kept for the backward
    pass, which is a multiplication by a scalar.

    Args:
        z: One latent vector per node, float32 or float64, shape ``(N, d)``.
        bias: Added to each logit, shape ``()``.
        sweeper: How the pairs are passed over.
        value: ``False`` saves the logarithms: the sum is NaN, its gradients are right.
    """
    return _AllPairs.apply(z, bias, sweeper, value)


class _AllPairs(torch.autograd.Function):
    """Value and gradient in one pass; the backward pass is a multiplication by a scalar."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, bias: Tensor, sweeper: Sweeper, value: bool) -> Tensor:  # noqa: FBT001
        grad_z, grad_bias, *_ = ctx.needs_input_grad
        sweep = sweeper(z, bias, Wanted(value, grad_z, grad_bias))
        ctx.save_for_backward(sweep.grad_z, sweep.grad_bias)
        return sweep.total if value else torch.full_like(sweep.total, torch.nan)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, Tensor, None, None]:
        refuse_second_derivative()
        (grad,) = grad_outputs
        grad_z, grad_bias = ctx.saved_tensors
        return grad.to(grad_z.dtype) * grad_z, grad.to(grad_bias.dtype) * grad_bias, None, None


def refuse_second_derivative() -> None:
    """Raise inside a backward pass that is itself to be differentiated.

    The gradients were computed in the forward pass, so autograd would take them for constants and
    return a wrong second derivative without a word.
    """
    if torch.is_grad_enabled():
        raise RuntimeError("inner_product_nll can be differentiated once; got create_graph=True.")
