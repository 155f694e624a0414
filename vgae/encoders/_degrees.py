"""Degrees of nodes as features of a linear map."""

import torch
from torch import Tensor

from vgae.kernels import EdgeOperator, SparseOperator
from vgae.kernels.partition import RowOperator

_ROUNDING = 1e-6
DEGREE_COLUMNS = 16  # the last one stands for 32,767 neighbours and more


def degree_features(
    adj_norm: SparseOperator | EdgeOperator | RowOperator, self_loop_weight: float
) -> Tensor:
    r"""Return the number of neighbours of each node, in columns that a linear map distinguishes.

    .. math:: \phi_k(d_i) = \max(0, 1 - |\log_2(1 + d_i) - k|), \quad k = 0, \dots, 15

    Degrees 0, 1, 3, 7, ... have one column each, those between have two. The degree is read off
    the diagonal of :math:`\hat A`, which is :math:`c / (d_i + c)`: it counts the edges that the
    encoder receives, without masked ones.

    Returns:
        Shape ``(N, 16)``; rows sum to 1.
    """
    c = self_loop_weight
    return degree_columns(torch.rsub(adj_norm.diagonal().reciprocal(), 1 - c, alpha=-c))


def degree_columns(grown: Tensor) -> Tensor:
    """Return the columns of :func:`degree_features`, shape ``(N, 16)``, given 1 + d."""
    # For a large c, rounding leaves less than 1, even less than 0.
    grown = grown.clamp(1, 2 ** (DEGREE_COLUMNS - 1))
    columns = torch.arange(DEGREE_COLUMNS, device=grown.device)
    return (1 - (grown.log2()[:, None] - columns).abs()).clamp_min_(0)


def linked(adj_norm: SparseOperator | EdgeOperator | RowOperator) -> Tensor:
    r"""Return whether each node has neighbours, bool, shape ``(N,)``.

    Without any, the entry of the node on the diagonal of :math:`\hat A` is 1 but for rounding.
    """
    return adj_norm.diagonal() < 1 - _ROUNDING
