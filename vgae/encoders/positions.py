r"""Positions of nodes in their graph: what tells nodes of one kind in different places apart.

A node of a graph without identities of its own, such as an atom, is known by its features and its
neighbours, and many nodes of a graph have the same ones. Some dimensions of the latent vectors are
therefore a polynomial of the links,

.. math:: P = \sum_{k=0}^{3} a_k \hat A^k R, \qquad R R^T \approx I

where :math:`\hat A` are the messages that the encoder receives, without held-out or masked links,
and a are learned numbers. The inner product of two rows is then
:math:`(\sum_k a_k \hat A^k)^2_{ij}`, a weighted number of walks between the nodes: it does not
depend on the order of the nodes of a graph of at most p nodes, nor on other graphs, and the same
numbers a hold for graphs that no training has seen.

Row i of a graph is the unit vector of dimension i in the first p rows; the rows of each further p
nodes are unit vectors in another order and with random signs, of which the products have the
expectation 0 and the variance 1 / p. Source: Charikar, Chen & Farach-Colton (2002), `Finding
Frequent Items in Data Streams <https://doi.org/10.1007/3-540-45465-9_59>`_, for the sketch.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from vgae.kernels import EdgeOperator, SparseOperator
from vgae.kernels.partition import RowOperator

POWERS = 4
_SEED = 20021


class Placed(NamedTuple):
    """Features and the rows R of the nodes.

    Attributes:
        x: Features in any form that an encoder takes.
        rows: R, shape ``(N, p)``.
    """

    x: Any
    rows: Tensor

    @property
    def shape(self) -> torch.Size:
        """Shape of the features."""
        return self.x.shape


class Positions(nn.Module):
    """Learned polynomial of the messages, applied to the rows of the nodes.

    Args:
        width: p, the number of dimensions.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        # Nodes with common neighbours are near each other at the start.
        self.weight = nn.Parameter(torch.tensor([0.0, 2.0, 0.0, 0.0]))
        self.logstd = nn.Parameter(torch.tensor(-1.0))

    def forward(
        self,
        heads: tuple[Tensor, ...],
        adj_norm: SparseOperator | EdgeOperator | RowOperator,
        rows: Tensor | None,
    ) -> tuple[Tensor, ...]:
        """Return the heads of a posterior with the positions as their first dimensions.

        Args:
            heads: Mean and, of a Gaussian, log sigma, shape ``(N, d - p)`` each.
            adj_norm: Messages.
            rows: R; those of one graph if not given.
        """
        mu, *others = heads
        if rows is None:
            rows = rows_of(torch.tensor([len(mu)]), self.width).to(mu)
        power, total = rows, self.weight[0] * rows
        for weight in self.weight[1:]:
            power = adj_norm @ power
            total = total + weight * power
        spread = self.logstd.clamp_max(0).expand_as(total)
        return torch.cat([total, mu], dim=1), *(torch.cat([spread, o], dim=1) for o in others)


def rows_of(sizes: Tensor, width: int) -> Tensor:
    """Return R of graphs of these sizes, one after another, float32, shape ``(N, width)``.

    The rows of a graph depend on nothing but its size.
    """
    place = torch.arange(int(sizes.sum())) - (sizes.cumsum(0) - sizes).repeat_interleave(sizes)
    most = int(place.max()) // width + 1 if len(place) else 1
    random = np.random.default_rng(_SEED)
    drawn = torch.from_numpy(random.random((most, 2, width)))
    column, sign = drawn[:, 0].argsort(dim=1), (drawn[:, 1] < 0.5) * 2.0 - 1
    column[0], sign[0] = torch.arange(width), 1
    rows = torch.zeros(len(place), width)
    column, sign = column.flatten()[place], sign.flatten()[place].float()
    return rows.scatter_(1, column[:, None], sign[:, None])


def unplaced(x: Any) -> tuple[Any, Tensor | None]:
    """Return features, and the rows R if there are some."""
    return (x.x, x.rows) if isinstance(x, Placed) else (x, None)
