"""Interface of the sweeps over all pairs, and their gradients in autograd."""

from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

Precision = Literal["high", "tf32", "bf16"]
"""Precision of the matrix products of the Triton kernel."""


class Wanted(NamedTuple):
    """The results that a sweep must compute; the others may have any value."""

    value: bool = True
    grad_z: bool = True
    grad_bias: bool = True


class Sweep(NamedTuple):
    r"""Result of ``sweep(z, bias, wanted, w=None, signature=None)``.

    One set of vectors has the logits :math:`s_{ij} = \sum_k \epsilon_k z_{ik} z_{jk} + b` with the
    signature :math:`\epsilon`, which is one if not given. Two sets have :math:`z_i \cdot w_j + b`.

    Attributes:
        total: Sum of ``softplus(s_ij)`` over all ordered pairs, float64, shape ``()``: N^2 of one
            set, the diagonal included, or n m of two.
        grad_z: Its gradient with respect to ``z``, shape ``(N, d)``; for two sets that of ``z``
            above that of ``w``, shape ``(n + m, d)``.
        grad_bias: Its gradient with respect to the bias, shape ``()``.
    """

    total: Tensor
    grad_z: Tensor
    grad_bias: Tensor


def plus(left: Sweep, right: Sweep, factor: float, wanted: Wanted) -> Sweep:
    """Return ``left + factor * right``, as far as it is wanted."""
    sums = (
        torch.add(a, b, alpha=factor) if w else a
        for a, b, w in zip(left, right, wanted, strict=True)
    )
    return Sweep(*sums)


def softplus(s: Tensor) -> Tensor:
    """Return ``log(1 + exp(s))``; with torch's own threshold of 20 it is off by up to 2e-9."""
    return F.softplus(s, threshold=40)


class AttachGradients(torch.autograd.Function):
    """Attach the gradients of a sweep to its total: ``apply(z, bias, sweep)``.

    The sweep computes value and gradients together, so nothing of size N^2 is kept. Autograd takes
    the gradients for constants, so a second derivative would be wrong: it raises.
    """

    @staticmethod
    def forward(ctx: Any, z: Tensor, bias: Tensor | None, sweep: Sweep) -> Tensor:
        ctx.save_for_backward(sweep.grad_z, None if bias is None else sweep.grad_bias)
        return sweep.total.to(z.dtype)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, Tensor | None, None]:
        if torch.is_grad_enabled():
            raise RuntimeError(
                "the sum over all pairs can be differentiated once; got create_graph=True."
            )
        grad_z, grad_bias = ctx.saved_tensors
        (grad,) = grad_outputs
        return grad * grad_z, None if grad_bias is None else grad * grad_bias, None
