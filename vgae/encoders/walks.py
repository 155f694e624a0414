r"""Walks of a node: latent dimensions that compare nodes over more links than two layers do.

.. math:: P = \sum_{k=0}^{K} a_k \hat A^k X W

where :math:`\hat A` are the messages that the encoder receives, without held-out or masked links,
and a and W are learned; without features X is the identity, and each node has a row of W. While
these rows have random directions, the inner product of two rows of P is in expectation a sum over
the walks between the nodes, :math:`\sum_{k, l} a_k a_l (\hat A^{k + l})_{ij}`: an index like that
of Katz or personalised PageRank, with coefficients that the links teach. A node without neighbours
has zeros.

Sources: Katz (1953), `A New Status Index Derived from Sociometric Analysis
<https://doi.org/10.1007/BF02289026>`_; for learned coefficients Chien, Peng, Li & Milenkovic
(2021), `Adaptive Universal Generalized PageRank Graph Neural Network
<https://arxiv.org/abs/2006.07988>`_, equation 1; for trained rows of the nodes He et al. (2020),
`LightGCN <https://arxiv.org/abs/2002.02126>`_, equation 8.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from vgae.encoders._degrees import linked
from vgae.encoders._features import Features, dropped, transformed
from vgae.kernels import EdgeOperator, SparseOperator
from vgae.kernels.partition import RowOperator

_LENGTH = 2.0  # of the rows of W, at first, on average
_DECAY = 0.7
_LOGSTD = -3.0  # so that the noise does not hide what short rows say


class Walks(nn.Module):
    """Learned polynomial of the messages, applied to learned rows.

    Args:
        in_channels: Columns of X; without features, the number of nodes.
        width: p, the number of latent dimensions.
        length: K, the number of links of the longest walks, at least 1.
        gain: g of the initial coefficients :math:`a_k = 0.7^k g` from k = 1; with 0, the default,
            they are 1 / K. :math:`a_0` is 0: at first, a node is where its neighbours are.
        dropout: Rate of the entries of X that are dropped in training, in ``[0, 1)``.
        generator: Source of the initial weights; torch's default if not given.
    """

    def __init__(
        self,
        in_channels: int,
        width: int,
        length: int,
        gain: float = 0.0,
        *,
        dropout: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if length < 1:
            raise ValueError(f"walk_length must be at least 1, got {length}.")
        self.width, self.length, self.dropout = width, length, dropout
        weight = torch.empty(in_channels, width)
        # The meta device has no numbers to draw.
        if in_channels and not weight.is_meta:
            weight.normal_(0, _LENGTH * width**-0.5, generator=generator)
        self.weight = nn.Parameter(weight)
        coefficient = torch.full((length + 1,), 1 / length)
        if gain:
            coefficient = gain * _DECAY ** torch.arange(length + 1.0)
        coefficient[0] = 0
        self.coefficient = nn.Parameter(coefficient)
        self.logstd = nn.Parameter(torch.tensor(_LOGSTD))

    def forward(
        self,
        heads: tuple[Tensor, ...],
        x: Features,
        adj_norm: SparseOperator | EdgeOperator | RowOperator,
        generator: torch.Generator | None = None,
        scale: Tensor | None = None,
    ) -> tuple[Tensor, ...]:
        """Return the heads of a posterior with the walks as their first dimensions.

        Args:
            heads: Mean and, of a Gaussian, log sigma, shape ``(N, d - p)`` each.
            x: Node features, shape ``(N, in_channels)``; ``None`` is the identity.
            adj_norm: Messages.
            generator: Source of dropout; torch's default if not given.
            scale: Factor of each column of ``x``, shape ``(in_channels,)``.
        """
        mu, *others = heads
        weight = self.weight if scale is None else scale[:, None] * self.weight
        rows = adj_norm.rows if isinstance(adj_norm, RowOperator) else None
        if x is None and rows is not None:
            weight = rows.taken(weight)
        if self.training and self.dropout > 0:
            x, weight = dropped(x, self.dropout, weight, generator, rows)
        start = transformed(x, weight) * linked(adj_norm).to(weight.dtype)[:, None]
        total = polynomial(adj_norm, self.coefficient, start)
        spread = self.logstd.clamp_max(0).expand_as(total)
        return torch.cat([total, mu], dim=1), *(torch.cat([spread, o], dim=1) for o in others)


def polynomial(
    adj_norm: SparseOperator | EdgeOperator | RowOperator, coefficient: Tensor, start: Tensor
) -> Tensor:
    r"""Return :math:`\sum_k a_k \hat A^k S` by Horner's scheme, which keeps no powers.

    Args:
        adj_norm: The messages.
        coefficient: a, shape ``(K + 1,)``.
        start: S, shape ``(N, p)``.
    """
    if not isinstance(adj_norm, EdgeOperator):
        return _Polynomial.apply(adj_norm, coefficient, start)
    *first, last = coefficient.unbind()
    total = last * start
    for number in reversed(first):
        total = torch.addcmul(adj_norm @ total, number, start)
    return total


class _Polynomial(torch.autograd.Function):
    """:func:`polynomial` of a constant matrix, in a third of the operations of autograd."""

    @staticmethod
    def forward(
        ctx: Any, adj_norm: SparseOperator | RowOperator, coefficient: Tensor, start: Tensor
    ) -> Tensor:
        ctx.adj_norm = adj_norm
        ctx.save_for_backward(coefficient, start)
        *first, last = coefficient.unbind()
        total = last * start
        for number in reversed(first):
            total = (adj_norm @ total).addcmul_(number, start)
        return total

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *grad_outputs: Tensor
    ) -> tuple[None, Tensor, Tensor]:
        adj_norm, (coefficient, start) = ctx.adj_norm, ctx.saved_tensors
        if isinstance(adj_norm, SparseOperator):
            adj_norm = SparseOperator(adj_norm.transpose, adj_norm.matrix)
        grad, whole = grad_outputs[0].contiguous(), start.flatten()
        result, products = torch.zeros_like(start), []
        for power, number in enumerate(coefficient.unbind()):
            grad = adj_norm @ grad if power else grad
            result.addcmul_(number, grad)
            products.append(torch.dot(grad.flatten(), whole))
        return None, torch.stack(products), result
