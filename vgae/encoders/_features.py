"""Features of nodes in a first layer: their forms, dropout, products with weights."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from vgae.errors import DataError
from vgae.kernels import SparseOperator
from vgae.kernels.rows import Rows
from vgae.runtime.draws import bernoulli


class Propagated(NamedTuple):
    """Node features that are already averaged over the neighbours, shape ``(N, F)``."""

    x: Tensor

    @property
    def shape(self) -> torch.Size:
        """Shape of the features."""
        return self.x.shape


Features = Tensor | SparseOperator | Propagated | None


def glorot(
    in_channels: int, out_channels: int, heads: int, generator: torch.Generator | None
) -> nn.Parameter:
    """Return the weights of ``heads`` heads side by side, each drawn separately.

    Uniform on plus or minus ``sqrt(6 / (in_channels + out_channels))``.

    Source: Glorot & Bengio (2010), equation 16, as in Kipf & Welling's code.

    Returns:
        Shape ``(in_channels, heads * out_channels)``.
    """
    weights = [torch.empty(in_channels, out_channels) for _ in range(heads)]
    for weight in weights if in_channels else ():
        nn.init.xavier_uniform_(weight, generator=generator)
    return nn.Parameter(torch.cat(weights, dim=1))


def dropped(
    x: Features,
    rate: float,
    weight: Tensor,
    generator: torch.Generator | None,
    rows: Rows | None = None,
) -> tuple[Features, Tensor]:
    """Drop entries of x; without features, rows of ``weight``.

    The others are divided by ``1 - rate``. Of sparse features, only stored entries are drawn.
    If ``rows`` are divided among processes, all of them are drawn and the own ones are used.

    Returns:
        Features and weight of the layer.

    Raises:
        ValueError: If the features are already averaged over the neighbours.
    """
    if isinstance(x, Propagated):
        raise ValueError("features cannot be dropped once they are averaged over the neighbours.")
    if x is None:
        return None, weight * kept(weight[:, :1], rate, generator, rows)
    if isinstance(x, Tensor) and x.layout == torch.sparse_csr:
        x = SparseOperator.scalable(x)
    if isinstance(x, SparseOperator):
        return x.scaled(kept(x.matrix.values(), rate, generator, x.entries)), weight
    return x * kept(x, rate, generator, rows), weight


def kept(
    like: Tensor, rate: float, generator: torch.Generator | None, rows: Rows | None = None
) -> Tensor:
    """Draw dropout's factors: 0 with probability ``rate``, else ``1 / (1 - rate)``."""
    if rows is not None:
        return rows.drawn(like, bernoulli(1 - rate), generator).div_(1 - rate)
    draw = torch.empty_like(like, requires_grad=False)
    return draw.bernoulli_(1 - rate, generator=generator).div_(1 - rate)


def transformed(x: Features, weight: Tensor) -> Tensor:
    """Return ``x @ weight``; without features x is the identity, which is never built.

    Raises:
        DataError: If the width of ``x`` is not that of the encoder.
        ValueError: If a sparse ``x`` requires gradients, which it would not get.
    """
    if x is None:
        return weight
    if x.shape[-1] != weight.shape[0]:
        raise DataError(
            "FEATURE_DIM_MISMATCH",
            f"x must have {weight.shape[0]} columns, as this encoder was built for,"
            f" got shape {tuple(x.shape)}.",
        )
    if isinstance(x, Propagated):
        return x.x @ weight
    if isinstance(x, Tensor) and x.layout == torch.sparse_csr:
        if x.requires_grad:
            raise ValueError("a sparse x gets no gradients; pass x.to_dense().")
        x = SparseOperator.of(x)
    return x @ weight
