"""Interface of the sweeps over all pairs, and their gradients in autograd."""

from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

Precision = Literal["high", "tf32", "bf16"]
"""Precision of the matrix products of the Triton kernel."""


class Wanted(NamedTuple):
    """The results that a sweep must compute; the others may have any value."""

    value: bool = True
    grad_z: bool = True
    grad_bias: bool = True


class Sweep(NamedTuple):
    r"""Result of ``sweep(z, bias, wanted)``, with logits :math:`s_{ij} = z_i \cdot z_j + b`.

    Attributes:
        total: Sum of ``softplus(s_ij)`` over all N^2 ordered pairs, the diagonal included,
            float64, shape ``()``.
        grad_z: Its gradient with respect to ``z``, shape ``(N, d)``.
        grad_bias: Its gradient with respect to the bias, shape ``()``.
    """

    total: Tensor
    grad_z: Tensor
    grad_bias: Tensor


class AttachGradients(torch.autograd.Function):
    """Attach the gradients of a sweep to its total: ``apply(z, bias, sweep)``.

    The sweep computes value and gradients together, so nothing of size N^2 is kept.
    """

    @staticmethod
    def forward(ctx: Any, z: Tensor, bias: Tensor, sweep: Sweep) -> Tensor:  # noqa: ARG004
        ctx.save_for_backward(sweep.grad_z, sweep.grad_bias)
        return sweep.total

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, Tensor, None]:
        refuse_second_derivative()
        (grad,) = grad_outputs
        grad_z, grad_bias = ctx.saved_tensors
        return grad.to(grad_z.dtype) * grad_z, grad.to(grad_bias.dtype) * grad_bias, None


def refuse_second_derivative() -> None:
    """Raise if the current backward pass is itself differentiated.

    Autograd treats the precomputed gradients as constants, so a second derivative would be wrong.
    """
    if torch.is_grad_enabled():
        raise RuntimeError("inner_product_nll can be differentiated once; got create_graph=True.")
