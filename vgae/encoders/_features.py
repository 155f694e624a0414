"""Features of nodes in a first layer: their forms, dropout, products with weights.

Features that stay in a file (:mod:`vgae.runtime.mapped`) are read in blocks of rows, once for the
product and once for the gradient of the weights, and have no copy in memory.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from vgae.errors import DataError
from vgae.kernels import SparseOperator
from vgae.kernels.csr import csr_tensor
from vgae.kernels.rows import Rows
from vgae.runtime.draws import bernoulli
from vgae.runtime.mapped import is_mapped, row_blocks, rows_at_once


class Propagated(NamedTuple):
    """Node features that are already averaged over the neighbours, shape ``(N, F)``."""

    x: Tensor

    @property
    def shape(self) -> torch.Size:
        """Shape of the features."""
        return self.x.shape


class Thinned(NamedTuple):
    """Mapped features of which entries are dropped, drawn again whenever a block is read.

    Attributes:
        x: Features, shape ``(N, F)``.
        rate: Probability of each entry to be dropped.
        seed: Seed of the blocks' draws.
        first: Number of the first row among those of all processes.
    """

    x: Tensor
    rate: float = 0.0
    seed: int = 0
    first: int = 0

    @property
    def shape(self) -> torch.Size:
        """Shape of the features."""
        return self.x.shape


class CSRFeatures(NamedTuple):
    """Sparse node features as plain tensors, which compiled and exported encoders take.

    Args:
        crow: Start of each row, int64, shape ``(N + 1,)``.
        col: Column of each entry, int64, shape ``(nnz,)``.
        value: Value of each entry, shape ``(nnz,)``.
        num_columns: F.
    """

    crow: Tensor
    col: Tensor
    value: Tensor
    num_columns: int

    @classmethod
    def of(cls, x: Tensor) -> "CSRFeatures":
        """Take a sparse CSR matrix apart.

        The parts are copies: torch does not compile what is a view of a sparse matrix.
        """
        crow, col = (
            part.to(torch.int64, copy=True) for part in (x.crow_indices(), x.col_indices())
        )
        return cls(crow, col, x.values().clone(), x.shape[1])

    @property
    def shape(self) -> torch.Size:
        """Shape of the features."""
        return torch.Size((self.crow.shape[0] - 1, self.num_columns))

    @property
    def row(self) -> Tensor:
        """Row of each entry, shape ``(nnz,)``; its shape depends on no values."""
        begun = self.crow.new_zeros(self.col.shape[0] + 1)
        return begun.index_add(0, self.crow[1:], torch.ones_like(self.crow[1:]))[:-1].cumsum(0)

    def __matmul__(self, dense: Tensor) -> Tensor:
        """Return the product with a dense matrix of shape ``(F, k)``, shape ``(N, k)``."""
        messages = self.value[:, None] * dense.index_select(0, self.col)
        result = dense.new_zeros(self.crow.shape[0] - 1, dense.shape[1])
        return result.index_add(0, self.row, messages)


Features = Tensor | SparseOperator | Propagated | Thinned | CSRFeatures | None


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
    # The first random numbers of the meta device, which has no numbers, would take seconds.
    for weight in weights if in_channels and not weights[0].is_meta else ():
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

    The weight is divided by the fraction of the others. Of sparse features, only stored entries
    are drawn; those of mapped features are drawn whenever a block of rows is read, from a seed
    drawn here. If ``rows`` are divided among processes, all of them are drawn and the own ones
    are used.

    Returns:
        Features and weight of the layer.

    Raises:
        ValueError: If the features are already averaged over the neighbours.
    """
    if isinstance(x, Propagated | Thinned):
        raise ValueError("features cannot be dropped once they are averaged over the neighbours.")
    if x is None:
        return None, weight * kept(weight[:, :1], rate, generator, rows)
    fraction = _kept_fraction(rate)
    if isinstance(x, Tensor) and x.layout == torch.sparse_csr:
        x = SparseOperator.scalable(x)
    if isinstance(x, SparseOperator):
        drawn = _drawn(x.matrix.values(), fraction, generator, x.entries)
        return x.thinned(drawn), weight / fraction
    if isinstance(x, CSRFeatures):
        value = x.value * _drawn(x.value, fraction, generator)
        return x._replace(value=value), weight / fraction
    if is_mapped(x):
        device = "cpu" if generator is None else generator.device
        seed = int(torch.randint(2**62, (), generator=generator, device=device))
        return Thinned(x, rate, seed, 0 if rows is None else rows.own.start), weight
    return x * _drawn(x, fraction, generator, rows), weight / fraction


def kept(
    like: Tensor, rate: float, generator: torch.Generator | None, rows: Rows | None = None
) -> Tensor:
    """Draw dropout's factors: 0 with probability ``rate``, else the inverse of the fraction."""
    fraction = _kept_fraction(rate)
    return _drawn(like, fraction, generator, rows).div_(fraction)


def _kept_fraction(rate: float) -> float:
    """Return ``1 - rate`` as a multiple of 2^-16, which :func:`bernoulli` draws exactly."""
    return max(round((1 - rate) * 2**16), 1) / 2**16


def _drawn(
    like: Tensor, fraction: float, generator: torch.Generator | None, rows: Rows | None = None
) -> Tensor:
    """Draw 1 with probability ``fraction``, else 0; own rows of what all processes draw."""
    fill = bernoulli(fraction)
    if rows is not None:
        return rows.drawn(like, fill, generator)
    drawn = torch.empty(like.shape, dtype=like.dtype, device=like.device)
    fill(drawn, generator)
    return drawn


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
    if isinstance(x, Tensor) and is_mapped(x):
        x = Thinned(x)
    return _BlockProduct.apply(x, weight) if isinstance(x, Thinned) else x @ weight


def row_lengths(x: Features, scale: Tensor) -> Tensor:
    """Return the lengths of the rows of x, its columns multiplied by ``scale``, shape ``(N, 1)``.

    Raises:
        ValueError: If the features are already averaged over the neighbours.
    """
    if isinstance(x, SparseOperator):
        x = x.matrix
    if isinstance(x, CSRFeatures):
        squares = x._replace(value=(x.value * scale.index_select(0, x.col)).square())
        return (squares @ scale.new_ones(x.num_columns, 1)).sqrt()
    if not isinstance(x, Tensor):
        raise ValueError("features have no lengths once they are averaged or dropped.")
    if x.layout == torch.sparse_csr:
        crow, col = x.crow_indices(), x.col_indices()
        squares = (x.values() * scale.index_select(0, col)).square()
        matrix = csr_tensor(crow, col, squares, tuple(x.shape))
        return (matrix @ squares.new_ones(x.shape[1], 1)).sqrt()
    if not is_mapped(x):
        return torch.linalg.vector_norm(x * scale, dim=1, keepdim=True)
    blocks = (block for _, block in _read(Thinned(x), scale))
    return torch.cat([torch.linalg.vector_norm(b * scale, dim=1, keepdim=True) for b in blocks])


class _BlockProduct(torch.autograd.Function):
    """Product of mapped features and weights, of which the latter get a gradient."""

    @staticmethod
    def forward(ctx: Any, x: Thinned, weight: Tensor) -> Tensor:
        ctx.x = x
        result = weight.new_empty(x.shape[0], weight.shape[1])
        for rows, block in _read(x, weight):
            torch.mm(block, weight, out=result[rows])
        return result

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *grad_outputs: Tensor
    ) -> tuple[None, Tensor]:
        (grad,) = grad_outputs
        result = grad.new_zeros(ctx.x.shape[1], grad.shape[1])
        for rows, block in _read(ctx.x, grad):
            result.addmm_(block.T, grad[rows])
        return None, result


def _read(x: Thinned, like: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Return blocks of rows, with the others dropped, in the precision and on the device of like.

    Blocks and draws are those of the rows of all processes.
    """
    step = rows_at_once(x.shape[1])
    for rows, block in row_blocks(x.x, x.first % step):
        block = block.to(like.device, like.dtype)
        if x.rate > 0:
            number, place = divmod(x.first + rows.start, step)
            generator = torch.Generator(like.device).manual_seed(x.seed + number)
            whole = kept(block.new_empty(step, x.shape[1]), x.rate, generator)
            block = block * whole[place : place + len(block)]
        yield rows, block
