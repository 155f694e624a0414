"""Small network of the latent vectors of two nodes."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_HIDDEN = 32


class PairNetwork(nn.Module):
    r"""Small network of two nodes' latent vectors.

    .. math:: f(z_u, z_v) = W_1 h + W_2 \, \mathrm{elu}(W_3 h + b_3) + b, \quad
        h = [A z_u \odot B z_v, \; \tfrac{1}{2} (C z_u + D z_v)]

    Without direction A = B and C = D, so that f is symmetric.

    Args:
        latent_channels: d, columns of z.
        outputs: Columns of f.
        ordered: Whether u and v have different roles, as source and target.
        generator: Source of the initial weights.
    """

    def __init__(
        self,
        latent_channels: int,
        outputs: int,
        *,
        ordered: bool,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        width = min(latent_channels, _HIDDEN)
        self.left = _uniform(latent_channels, 2 * width, generator)
        self.right = _uniform(latent_channels, 2 * width, generator) if ordered else None
        self.hidden = _uniform(2 * width, _HIDDEN, generator)
        self.hidden_bias = nn.Parameter(torch.zeros(_HIDDEN))
        self.out = nn.Parameter(torch.zeros(2 * width + _HIDDEN, outputs))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, z: Tensor, pairs: Tensor) -> Tensor:
        """Return f of each pair, shape ``(P, outputs)``."""
        left = z @ self.left
        right = left if self.right is None else z @ self.right
        u, v = left.index_select(0, pairs[0]), right.index_select(0, pairs[1])
        width = u.shape[1] // 2
        products = u[:, :width] * v[:, :width]
        h = torch.cat([products, 0.5 * (u[:, width:] + v[:, width:])], dim=1)
        hidden = F.elu(torch.addmm(self.hidden_bias, h, self.hidden))
        return torch.addmm(self.bias, torch.cat([h, hidden], dim=1), self.out)


def _uniform(rows: int, columns: int, generator: torch.Generator | None) -> nn.Parameter:
    """Return weights of variance 2 / (rows + columns)."""
    bound = (6 / (rows + columns)) ** 0.5
    return nn.Parameter(torch.empty(rows, columns).uniform_(-bound, bound, generator=generator))
