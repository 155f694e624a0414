r"""Roles of nodes: latent dimensions that know a node by degrees alone, its own and those around.

.. math:: R = [\Phi, \hat A \Phi, \hat A^2 \Phi, \hat A^3 \Phi] \, U

where row i of :math:`\Phi` has the degree columns :math:`\phi(d_i)` of
:class:`~vgae.GCNEncoder`, counted among the links that the encoder receives, and U is learned, the
same for all nodes. If the last half of these dimensions repels
(:class:`~vgae.InnerProductDecoder`), the logit of two nodes has a term
:math:`r_i^T S r_j` that may be any symmetric function of this kind: at first it is
:math:`b_i + b_j`, the popularity of both, as

.. math:: b_i + b_j = \tfrac12 (b_i + 1)(b_j + 1) - \tfrac12 (b_i - 1)(b_j - 1).

It tells hubs from leaves where nodes at a distance of two are unlikely to link, and a node that
has lost its only link from one that has others.

Sources: Karrer & Newman (2011), `Stochastic blockmodels and community structure in networks
<https://arxiv.org/abs/1008.3926>`_, for the correction for degrees; Henderson et al. (2012),
`RolX <https://doi.org/10.1145/2339530.2339723>`_, for roles by recursive features of degrees.
"""

import torch
from torch import Tensor, nn

from vgae.encoders._degrees import DEGREE_COLUMNS, degree_features
from vgae.kernels import EdgeOperator, SparseOperator
from vgae.kernels.partition import RowOperator

HOPS = 3
_STD = 0.15  # of the entries of U, at first
_LOGSTD = -2.0


class Roles(nn.Module):
    """Learned linear map of the degrees around a node.

    Args:
        width: Number of latent dimensions.
        self_loop_weight: c, the weight of the self-loops in the messages.
        generator: Source of the initial weights; torch's default if not given.
    """

    def __init__(
        self, width: int, self_loop_weight: float, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        self.width, self.self_loop_weight = width, self_loop_weight
        weight = torch.empty((HOPS + 1) * DEGREE_COLUMNS, width)
        if not weight.is_meta:
            weight.normal_(0, _STD, generator=generator)
            if width > 1:
                # Degree columns sum to 1, so that a constant in their rows is one in the result.
                popularity = weight[:, 0].clone()
                weight[:, 0], weight[:, -1] = popularity, popularity
                weight[:DEGREE_COLUMNS, 0] += 0.5**0.5
                weight[:DEGREE_COLUMNS, -1] -= 0.5**0.5
        self.weight = nn.Parameter(weight)
        self.logstd = nn.Parameter(torch.full((width,), _LOGSTD))

    def forward(
        self, heads: tuple[Tensor, ...], adj_norm: SparseOperator | EdgeOperator | RowOperator
    ) -> tuple[Tensor, ...]:
        """Return the heads of a posterior with the roles as their last dimensions.

        Args:
            heads: Mean and, of a Gaussian, log sigma, shape ``(N, d - width)`` each.
            adj_norm: Messages.
        """
        mu, *others = heads
        columns = [degree_features(adj_norm, self.self_loop_weight).to(self.weight.dtype)]
        for _ in range(HOPS):
            columns.append(adj_norm @ columns[-1])
        roles = torch.cat(columns, dim=1) @ self.weight
        spread = self.logstd.clamp_max(0).expand_as(roles)
        return torch.cat([mu, roles], dim=1), *(torch.cat([o, spread], dim=1) for o in others)
