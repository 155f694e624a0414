"""Rows of matrices that are divided among processes: each has some consecutive ones."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from vgae.gaussian import DiagGaussian, PointMass
from vgae.kernels.csr import csr_tensor
from vgae.runtime.draws import Fill, rows_of_draw
from vgae.runtime.processes import Team
from vgae.runtime.streams import RowNoise


class Rows:
    """Division of the rows of matrices among the processes of a team.

    All processes call its methods in the same order, unless they are said to be of one process.

    Args:
        team: The processes.
        starts: First row of each process, and the number of rows, shape ``(size + 1,)``.
    """

    def __init__(self, team: Team, starts: Sequence[int]) -> None:
        self.team, self.starts = team, tuple(starts)

    @classmethod
    def balanced(cls, team: Team, cost: Tensor) -> "Rows":
        """Divide rows so that the processes have about equal sums of a cost.

        Args:
            team: The processes.
            cost: Cost of each row, not negative, of at least as many rows as processes.
        """
        size, total = team.size, cost.cumsum(0)
        wanted = total[-1] * torch.arange(1, size) / size
        cuts = torch.searchsorted(total.double(), wanted.double(), right=True).tolist()
        starts = [0]
        for rank, cut in enumerate(cuts, start=1):  # at least one row for each process
            starts.append(min(max(cut, starts[-1] + 1), len(cost) - size + rank))
        return cls(team, [*starts, len(cost)])

    @classmethod
    def of_sizes(cls, team: Team, own: int) -> "Rows":
        """Return the division in which each process has the number of rows that it passes."""
        sizes = torch.zeros(team.size, dtype=torch.int64)
        sizes[team.rank] = own
        team.sum_([sizes])
        return cls(team, [0, *sizes.cumsum(0).tolist()])

    def part(self, rank: int) -> range:
        """Return the rows of a process."""
        return range(self.starts[rank], self.starts[rank + 1])

    @property
    def own(self) -> range:
        """Rows of this process."""
        return self.part(self.team.rank)

    @property
    def count(self) -> int:
        """Number of rows of all processes."""
        return self.starts[-1]

    def cut(self, matrix: Tensor) -> Tensor:
        """Return the own rows of a dense or sparse CSR matrix of all rows; of one process."""
        own = self.own
        if matrix.layout == torch.strided:
            return matrix[own.start : own.stop]
        crow = matrix.crow_indices()[own.start : own.stop + 1]
        entries = slice(int(crow[0]), int(crow[-1]))
        col, values = matrix.col_indices()[entries], matrix.values()[entries]
        return csr_tensor(crow - crow[0], col, values, (len(own), matrix.shape[1]))

    def blocks(self, own: Tensor) -> Iterator[tuple[int, Tensor]]:
        """Yield each process and its rows, those of this process first.

        Rows are passed round a ring: the next ones arrive while the caller uses these, so that no
        process has the rows of more than three at a time.

        Args:
            own: Rows of this process, shape ``(len(own), *)``.
        """
        block, rank, size = own.detach().contiguous(), self.team.rank, self.team.size
        for left in reversed(range(size)):
            before = (rank - 1) % size
            arriving, wait = block, None
            if left:
                arriving = block.new_empty(len(self.part(before)), *block.shape[1:])
                wait = self.team.passed_on(block, arriving)
            yield rank, block
            if wait is not None:
                wait()
            block, rank = arriving, before

    def collected(self, own: Tensor) -> Tensor:
        """Return the rows of all processes, without gradients."""
        whole = own.new_empty(self.count, *own.shape[1:], requires_grad=False)
        for rank, block in self.blocks(own):
            part = self.part(rank)
            whole[part.start : part.stop] = block
        return whole

    def gathered(self, own: Tensor) -> Tensor:
        """Return the rows of all processes, of which all compute the same function.

        Each process then has the gradient of all rows, and keeps that of its own.
        """
        return _Gathered.apply(own, self)

    def taken(self, whole: Tensor) -> Tensor:
        """Return the own rows of a matrix that all processes have.

        Each process then has the gradient of its own rows, which all receive from it.
        """
        return _Taken.apply(whole, self)

    def drawn(self, like: Tensor, fill: Fill, generator: torch.Generator | None) -> Tensor:
        """Return own rows like the given ones of a tensor that ``fill`` fills; of one process.

        The numbers are those of one process that has all rows.
        """
        return rows_of_draw(self, like, fill, generator)


class _Gathered(torch.autograd.Function):
    """Rows of all processes: ``apply(own, rows)``."""

    @staticmethod
    def forward(ctx: Any, own: Tensor, rows: Rows) -> Tensor:
        ctx.rows = rows
        return rows.collected(own)

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *grad_outputs: Tensor
    ) -> tuple[Tensor, None]:
        return ctx.rows.cut(grad_outputs[0]), None


class _Taken(torch.autograd.Function):
    """Own rows of a matrix of all rows: ``apply(whole, rows)``."""

    @staticmethod
    def forward(ctx: Any, whole: Tensor, rows: Rows) -> Tensor:
        ctx.rows = rows
        return rows.cut(whole)

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *grad_outputs: Tensor
    ) -> tuple[Tensor, None]:
        return ctx.rows.collected(grad_outputs[0]), None


@dataclass(frozen=True)
class RowPosterior:
    """Posterior of all rows, of which each process has computed its own.

    Args:
        own: Posterior of the own rows.
        rows: Division of the rows.
    """

    own: DiagGaussian | PointMass
    rows: Rows

    @property
    def mu(self) -> Tensor:
        """Mean of all rows, shape ``(N, d)``."""
        return self.rows.gathered(self.own.mu)

    def rsample(self, generator: torch.Generator | None = None) -> Tensor:
        """Draw one sample per row as one process would, shape ``(N, d)``."""
        noise: Any = RowNoise(cast(Any, generator), cast(Any, self.rows))
        return self.rows.gathered(self.own.rsample(noise))

    def kl(self) -> Tensor:
        """Return the KL divergence of each row to the prior in nats, shape ``(N,)``."""
        return self.rows.gathered(self.own.kl())
