"""Grid of many graphs: the pairs of nodes of the same graph."""

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vgae.graphs.arrays import sha256
from vgae.graphs.grid import Grid

_PART_NODES = 512  # all pairs of so many nodes are computed about as fast as those within graphs


class BlockGrid(Grid):
    """Pairs of two different nodes of the same graph, in no order, of a collection of graphs.

    The nodes of the graphs follow each other. A pair is stored with ``u < v``.

    Args:
        sizes: Number of nodes of each graph, int64, shape ``(G,)``.
    """

    name = "blocks"

    def __init__(self, sizes: Tensor) -> None:
        super().__init__(int(sizes.sum()))
        self.sizes = sizes

    @property
    def _key(self) -> tuple[Any, ...]:
        return *super()._key, self.sizes.numpy().tobytes()

    @cached_property
    def ptr(self) -> Tensor:
        """First node of each graph, and N at the end, int64, shape ``(G + 1,)``."""
        return torch.cat([self.sizes.new_zeros(1), self.sizes.cumsum(0)])

    @cached_property
    def batch(self) -> Tensor:
        """Number of the graph of each node, ascending, int64, shape ``(N,)``."""
        return torch.arange(len(self.sizes)).repeat_interleave(self.sizes)

    @cached_property
    def pairs_before(self) -> Tensor:
        """Number of pairs before those of each graph, and all at the end, shape ``(G + 1,)``."""
        own = self.sizes * (self.sizes - 1) // 2
        return torch.cat([own.new_zeros(1), own.cumsum(0)])

    @property
    def num_pairs(self) -> int:
        """Number of pairs within graphs."""
        return int(self.pairs_before[-1])

    @property
    def num_terms(self) -> int:
        """Number of ordered pairs within graphs, with self-pairs."""
        return int((self.sizes * self.sizes).sum())

    def holds(self, pairs: Tensor) -> Tensor:
        """Return whether each pair is of two different nodes of one graph."""
        first, second = self.batch[pairs]
        return super().holds(pairs) & (first == second)

    def numbers(self, pairs: Tensor) -> Tensor:
        """Return the number of each pair."""
        block = self.batch[pairs[0]]
        return self.pairs_before[block] + super().numbers(pairs - self.ptr[block])

    def pairs(self, numbers: Tensor) -> Tensor:
        """Return the pairs of these numbers."""
        # Graphs without a pair have the same number as the next one, which is found.
        block = torch.searchsorted(self.pairs_before, numbers, right=True) - 1
        return super().pairs(numbers - self.pairs_before[block]) + self.ptr[block]

    def others(self, nodes: Tensor) -> Tensor:
        """Return the nodes of other graphs than each node."""
        batch = self.batch.to(nodes.device)
        return batch[nodes][:, None] != batch

    def parts(self) -> Iterator[tuple[int, Grid]]:
        """Yield consecutive graphs of at most 512 nodes in all, or one larger graph."""
        first = 0
        while first < len(self.sizes):
            most = self.ptr[first] + _PART_NODES
            last = max(int(torch.searchsorted(self.ptr, most, right=True)) - 1, first + 1)
            yield int(self.ptr[first]), BlockGrid(self.sizes[first:last])
            first = last

    def digest(self, links: Tensor) -> str:
        """Return the SHA-256 of the sizes of the graphs and the links."""
        return sha256("vgae-links-1 blocks", links.numpy(), self.sizes.numpy())

    def arrays(self) -> dict[str, Any]:
        """Return the kind and the sizes of the graphs."""
        return {"grid": self.name, "sizes": self.sizes.numpy()}

    @classmethod
    def of(cls, num_nodes: int, sizes: Any) -> "BlockGrid":
        """Rebuild a grid from :meth:`arrays`.

        Raises:
            ValueError: If the sizes are no non-negative integers with the sum ``num_nodes``.
        """
        sizes = np.asarray(sizes)
        fits = sizes.ndim == 1 and sizes.dtype.kind in "iu" and (sizes >= 0).all()
        if not fits or sizes.sum() != num_nodes:
            raise ValueError(f"sizes must be integers with the sum {num_nodes}")
        return cls(torch.from_numpy(sizes.astype(np.int64)))
