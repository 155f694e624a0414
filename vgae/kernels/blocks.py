"""Blocks: the graphs of a collection, whose nodes are rows of one matrix of vectors."""

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from vgae.kernels._all_pairs import Sweep, Wanted
from vgae.runtime.processes import Team


class Blocks:
    """Consecutive rows of latent vectors that form pairs with each other only.

    Prepare it once for a collection of graphs; what an implementation needs is kept.

    Attributes:
        starts: First row of each block, int64 of numpy, shape ``(G,)``.
        sizes: Number of rows of each block, int64 of numpy, shape ``(G,)``.
        num_nodes: N, the number of rows; some may be in no block.
        device: Device of the vectors.
    """

    def __init__(
        self, starts: np.ndarray, sizes: np.ndarray, num_nodes: int, device: torch.device
    ) -> None:
        self.starts, self.sizes = starts, sizes
        self.num_nodes, self.device = num_nodes, device
        self._padded: dict[int, list[Tensor]] = {}
        self._bounds: dict[int, Tensor] = {}
        self._parts: dict[int | tuple[int, int], Blocks] = {}

    @classmethod
    def of(cls, sizes: Tensor | Sequence[int]) -> "Blocks":
        """Return blocks that follow each other.

        Args:
            sizes: Number of rows of each block, not negative, shape ``(G,)``; a tensor on the
                device of the vectors.

        Raises:
            ValueError: If the sizes are not as described.
        """
        sizes = torch.as_tensor(sizes, dtype=None if len(sizes) else torch.int64)
        if sizes.dim() != 1 or sizes.is_floating_point() or sizes.is_complex():
            raise ValueError(
                f"sizes must be integers of shape (G,), got {sizes.dtype} of {tuple(sizes.shape)}."
            )
        counts = sizes.cpu().numpy().astype(np.int64)
        if (counts < 0).any():
            raise ValueError(f"sizes must be at least 0, got {counts.min()}.")
        stops = counts.cumsum()
        return cls(stops - counts, counts, int(counts.sum()), sizes.device)

    def __len__(self) -> int:
        return len(self.sizes)

    def __repr__(self) -> str:
        return f"Blocks({len(self)} blocks, {self.num_nodes} rows, {self.num_pairs} pairs)"

    @cached_property
    def num_pairs(self) -> int:
        """Number of ordered pairs within blocks, self-pairs included."""
        return int((self.sizes**2).sum())

    @property
    def are_one(self) -> bool:
        """Whether one block has all rows."""
        return self.num_pairs == self.num_nodes**2

    def check(self, rows: int, device: torch.device) -> None:
        """Raise ``ValueError`` unless these are blocks of so many rows on a device."""
        if rows != self.num_nodes:
            raise ValueError(f"the blocks have {self.num_nodes} rows, got vectors of {rows}.")
        if device != self.device:
            raise ValueError(f"the blocks are on {self.device}, the vectors on {device}.")

    def up_to(self, largest: int) -> "Blocks":
        """Return the blocks of at most ``largest`` rows, without renumbering the rows."""
        found = self._parts.get(largest)
        if found is None:
            keep = self.sizes <= largest
            found = self if keep.all() else self._some(keep)
            self._parts[largest] = found
        return found

    def share(self, team: Team) -> "Blocks":
        """Return consecutive blocks with an equal part of the pairs, up to one block."""
        found = self._parts.get((team.rank, team.size))
        if found is None:
            pairs = (self.sizes**2).cumsum()
            ends = [self.num_pairs * (team.rank + k) // team.size for k in (0, 1)]
            first, last = np.searchsorted(pairs, ends, side="right")
            found = self._some(slice(first, last))
            self._parts[team.rank, team.size] = found
        return found

    def _some(self, keep: np.ndarray | slice) -> "Blocks":
        return Blocks(self.starts[keep], self.sizes[keep], self.num_nodes, self.device)

    def above(self, largest: int) -> list[slice]:
        """Return the rows of each block of more than ``largest``."""
        large = self.sizes > largest
        ends = zip(self.starts[large].tolist(), self.sizes[large].tolist(), strict=True)
        return [slice(start, start + size) for start, size in ends]

    def padded(self, largest: int) -> list[Tensor]:
        r"""Return the rows of the blocks of 1 to ``largest`` rows, in batches of similar sizes.

        The sizes of a batch differ by a factor of less than :math:`\sqrt 2`, so that padding is
        less than half of its pairs.

        Returns:
            Rows of the blocks of each batch, N where a block has fewer, int64, shape ``(g, n)``.
        """
        if largest not in self._padded:
            small = (self.sizes > 0) & (self.sizes <= largest)
            starts, sizes = (torch.from_numpy(x[small]) for x in (self.starts, self.sizes))
            kinds = (sizes * sizes).double().log2().floor()
            batches = []
            for kind in kinds.unique():
                first, count = (x[kinds == kind][:, None] for x in (starts, sizes))
                place = torch.arange(int(count.max()))
                rows = torch.where(place < count, first + place, self.num_nodes)
                batches.append(rows.to(self.device))
            self._padded[largest] = batches
        return self._padded[largest]

    def bounds(self, padded: int) -> Tensor:
        """Return the first row of the block of each row, and the one after its last.

        Both are 0 for a row in no block and for those that pad them to ``padded`` rows; int32,
        shape ``(2, padded)``.
        """
        if padded not in self._bounds:
            bounds = np.zeros((2, padded), np.int32)
            bounds[:, self._rows] = np.repeat(
                [self.starts, self.starts + self.sizes], self.sizes, axis=1
            )
            self._bounds[padded] = torch.from_numpy(bounds).to(self.device)
        return self._bounds[padded]

    @property
    def holds(self) -> Tensor:
        """Whether two rows are of one block, bool, shape ``(N, N)``."""
        batch = np.full(self.num_nodes, -1)
        batch[self._rows] = np.repeat(np.arange(len(self)), self.sizes)
        batch = torch.from_numpy(batch).to(self.device)
        return (batch[:, None] == batch) & (batch >= 0)

    @property
    def _rows(self) -> np.ndarray:
        """Rows in blocks, block after block."""
        ends = self.sizes.cumsum()
        return np.arange(self.sizes.sum()) + np.repeat(self.starts - ends + self.sizes, self.sizes)

    def num_padded(self, largest: int) -> int:
        """Return the number of pairs of the largest batch of :meth:`padded`."""
        return max((len(rows) * rows.shape[1] ** 2 for rows in self.padded(largest)), default=0)


def sweep_each(
    sweep: Callable[..., Sweep],
    parts: Sequence[slice],
    z: Tensor,
    bias: Tensor | None,
    wanted: Wanted,
    w: Tensor | None = None,
    signature: Tensor | None = None,
) -> Sweep:
    """Return the sum of the sweeps over some blocks, one after another; zero without any."""
    total = torch.zeros((), dtype=torch.float64, device=z.device)
    grad_bias = torch.zeros_like(total)
    grads = [torch.zeros_like(vectors) for vectors in (z, w) if vectors is not None]
    for part in parts:
        others = {"w": None if w is None else w[part], "signature": signature}
        given = {name: value for name, value in others.items() if value is not None}
        found = sweep(z[part], bias, wanted, **given)
        total += found.total
        if wanted.grad_bias:
            grad_bias += found.grad_bias
        if wanted.grad_z:
            for grad, more in zip(grads, found.grad_z.chunk(len(grads)), strict=True):
                grad[part] = more
    return Sweep(total, torch.cat(grads) if len(grads) > 1 else grads[0], grad_bias)
