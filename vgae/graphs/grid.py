"""Grids: the pairs of nodes that may be links, in their order, with their numbers.

Whoever counts, draws, orders or proposes pairs asks the grid of the graph. A grid of an undirected
graph is here; others are in modules of their own.
"""

import math
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from vgae.graphs.arrays import sha256
from vgae.graphs.canonical import both_directions


class Grid:
    """Pairs of an undirected graph: every two different nodes, in no order.

    A pair is stored with ``u < v``.

    Args:
        num_nodes: N.
    """

    name: ClassVar[str] = "undirected"
    directed: ClassVar[bool] = False
    sides: Tensor | None = None

    def __init__(self, num_nodes: int) -> None:
        self.num_nodes = num_nodes

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Grid) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.num_nodes} nodes, {self.num_pairs} pairs)"

    @property
    def _key(self) -> tuple[Any, ...]:
        return self.name, self.num_nodes

    @property
    def num_pairs(self) -> int:
        """Number of pairs that may be links."""
        return self.num_nodes * (self.num_nodes - 1) // 2

    @property
    def num_terms(self) -> int:
        """Number of ordered pairs, with self-pairs unless the graph has two sides.

        The loss is divided by it, as in the paper's code.
        """
        return self.num_nodes**2

    @property
    def rectangle(self) -> tuple[int, int] | None:
        """Numbers of nodes that may be the first and the second of a pair; ``None`` without order.

        Of the pairs without order, half of the ordered ones are computed.
        """
        return None

    def are_swapped(self, u: Any, v: Any) -> Any:
        """Return whether each pair (u, v), an array of numpy or a tensor, is stored as (v, u)."""
        return u > v

    def ordered(self, pairs: Tensor) -> Tensor:
        """Return pairs of shape ``(2, P)`` as they are stored."""
        return torch.where(self.are_swapped(*pairs), pairs.flip(0), pairs)

    def holds(self, pairs: Tensor) -> Tensor:
        """Return whether each pair of shape ``(2, P)`` may be a link, bool, shape ``(P,)``."""
        return pairs[0] != pairs[1]

    def numbers(self, pairs: Tensor) -> Tensor:
        """Return the number of each stored pair, from 0 to ``num_pairs - 1``, shape ``(P,)``."""
        u, v = pairs
        before = v - 1
        before.mul_(v).floor_divide_(2)
        return before.add_(u)

    def pairs(self, numbers: Tensor) -> Tensor:
        """Return the pairs of these numbers, shape ``(2, P)``."""
        # The square root may be off by one for numbers of more than 53 bits.
        v = ((1 + (1 + 8 * numbers.double()).sqrt()) / 2).long()
        v = torch.where(v * (v - 1) // 2 > numbers, v - 1, v)
        v = torch.where((v + 1) * v // 2 <= numbers, v + 1, v)
        return torch.stack([numbers - v * (v - 1) // 2, v])

    def groups(self, links: Tensor) -> Tensor:
        """Return a number for each link; links of one number are held out together."""
        return torch.arange(links.shape[1])

    def message_edges(self, links: Tensor) -> Tensor:
        """Return the edges on which messages travel, ascending, int64, shape ``(2, E)``.

        These are both directions of every link, each once.
        """
        return both_directions(links)

    def known(self, links: Tensor, *, reverse: bool = False) -> sp.csr_array:  # noqa: ARG002
        """Return a matrix (N, N), int32, that is positive at [u, v] if v is no new partner of u.

        That is the case for links, which are ordered pairs in any order with or without repeats,
        and on the diagonal.

        Args:
            links: Links, shape ``(2, M)``.
            reverse: Whether partners are the first nodes of pairs instead of the second ones;
                without direction they are the same.
        """
        u, v = links.cpu().numpy()
        return _matrix((u, v), (v, u), self.num_nodes)

    def others(self, nodes: Tensor) -> Tensor | None:  # noqa: ARG002
        """Return which nodes are no partners of ``nodes``, bool, shape ``(B, N)``.

        ``None`` if all other nodes are.
        """
        return None

    def parts(self) -> Iterator[tuple[int, "Grid"]]:
        """Yield ranges of nodes without pairs between them: the first node, and their grid."""
        yield 0, self

    def digest(self, links: Tensor) -> str:
        """Return the SHA-256 of the number of nodes, the kind of grid and the links."""
        return sha256(f"vgae-links-1 {self.num_nodes}", links.numpy())

    def arrays(self) -> dict[str, Any]:
        """Return what :func:`grid_from` rebuilds the grid from; nothing for this one."""
        return {}


class DirectedGrid(Grid):
    """Pairs of a directed graph: every two different nodes, from u to v."""

    name = "directed"
    directed = True

    @property
    def num_pairs(self) -> int:
        """Number of ordered pairs of different nodes."""
        return self.num_nodes * (self.num_nodes - 1)

    @property
    def rectangle(self) -> tuple[int, int]:
        """All nodes and all nodes."""
        return self.num_nodes, self.num_nodes

    def are_swapped(self, u: Any, v: Any) -> Any:
        """Return that no pair is."""
        return (u < 0) & (v < 0)

    def numbers(self, pairs: Tensor) -> Tensor:
        """Return the number of each pair."""
        u, v = pairs
        return u * (self.num_nodes - 1) + v - (v > u).long()

    def pairs(self, numbers: Tensor) -> Tensor:
        """Return the pairs of these numbers."""
        width = max(self.num_nodes - 1, 1)
        u, v = numbers // width, numbers % width
        return torch.stack([u, v + (v >= u).long()])

    def groups(self, links: Tensor) -> Tensor:
        """Return one number for the two directions of a reciprocal link."""
        low, high = links.sort(dim=0).values
        return (low * self.num_nodes + high).unique(return_inverse=True)[1]

    def message_edges(self, links: Tensor) -> Tensor:
        """Return the links, from source to target."""
        return links

    def known(self, links: Tensor, *, reverse: bool = False) -> sp.csr_array:
        """Return the matrix of the links, or of the reversed ones."""
        u, v = links.cpu().numpy()[::-1] if reverse else links.cpu().numpy()
        return _matrix((u,), (v,), self.num_nodes)

    def digest(self, links: Tensor) -> str:
        """Return the SHA-256 of the number of nodes, the kind of grid and the links."""
        return sha256(f"vgae-links-1 {self.num_nodes} directed", links.numpy())

    def arrays(self) -> dict[str, Any]:
        """Return the kind."""
        return {"grid": self.name}


class TwoSidedGrid(Grid):
    """Pairs of a two-sided (bipartite) graph: a node of the first side and one of the second.

    A pair is stored with the node of the first side first. Messages travel both ways.

    Args:
        sides: Whether each node is of the second side, bool, shape ``(N,)``.
    """

    name = "two-sided"

    def __init__(self, sides: Tensor) -> None:
        super().__init__(len(sides))
        self.sides: Tensor = sides  # pyright: ignore[reportIncompatibleVariableOverride]

    @property
    def _key(self) -> tuple[Any, ...]:
        return *super()._key, self.sides.numpy().tobytes()

    @cached_property
    def rows(self) -> Tensor:
        """Nodes of the first side, ascending, int64, shape ``(n,)``."""
        return (~self.sides).nonzero()[:, 0]

    @cached_property
    def columns(self) -> Tensor:
        """Nodes of the second side, ascending, int64, shape ``(m,)``."""
        return self.sides.nonzero()[:, 0]

    @cached_property
    def places(self) -> Tensor:
        """Place of each node among those of its side, int64, shape ``(N,)``."""
        second = self.sides.long().cumsum(0)
        return torch.where(self.sides, second - 1, torch.arange(self.num_nodes) - second)

    @property
    def num_pairs(self) -> int:
        """Number of pairs across."""
        return math.prod(self.rectangle)

    @property
    def rectangle(self) -> tuple[int, int]:
        """Numbers of nodes of the two sides."""
        return len(self.rows), len(self.columns)

    @property
    def num_terms(self) -> int:
        """Number of ordered pairs across, each pair twice."""
        return 2 * self.num_pairs

    def are_swapped(self, u: Any, v: Any) -> Any:
        """Return whether u is of the second side, or for a pair within one side u > v."""
        sides: Any = self.sides.numpy() if isinstance(u, np.ndarray) else self.sides.to(u.device)
        first, second = sides[u], sides[v]
        return (first & ~second) | ((first == second) & (u > v))

    def holds(self, pairs: Tensor) -> Tensor:
        """Return whether each pair goes across."""
        first, second = self.sides[pairs]
        return first != second

    def numbers(self, pairs: Tensor) -> Tensor:
        """Return the number of each pair."""
        first, second = self.places[pairs]
        return first * len(self.columns) + second

    def pairs(self, numbers: Tensor) -> Tensor:
        """Return the pairs of these numbers."""
        width = max(len(self.columns), 1)
        return torch.stack([self.rows[numbers // width], self.columns[numbers % width]])

    def others(self, nodes: Tensor) -> Tensor:
        """Return the nodes of the same side as each node."""
        sides = self.sides.to(nodes.device)
        return sides[nodes][:, None] == sides

    def digest(self, links: Tensor) -> str:
        """Return the SHA-256 of the number of nodes, the sides and the links."""
        head = f"vgae-links-1 {self.num_nodes} two-sided"
        return sha256(head, links.numpy(), self.sides.numpy())

    def arrays(self) -> dict[str, Any]:
        """Return the kind and the sides."""
        return {"grid": self.name, "sides": self.sides.numpy()}


def grid_from(num_nodes: int, arrays: Mapping[str, Any]) -> Grid:
    """Rebuild a grid from :meth:`Grid.arrays`.

    Raises:
        ValueError: If they are not of a grid of ``num_nodes`` nodes.
    """
    name = str(arrays.get("grid", Grid.name))
    if name == "subset":
        from vgae.graphs.subset_grid import SubsetGrid

        members = _mask(arrays["members"], "members", num_nodes)
        inner = {**arrays, "grid": arrays["inner"]}
        if str(inner["grid"]) == name:
            raise ValueError("the inner grid must be no subset")
        return SubsetGrid(members, grid_from(int(members.sum()), inner))
    if name == "blocks":
        from vgae.graphs.block_grid import BlockGrid

        return BlockGrid.of(num_nodes, arrays["sizes"])
    if name == DirectedGrid.name:
        return DirectedGrid(num_nodes)
    if name == TwoSidedGrid.name:
        return TwoSidedGrid(_mask(arrays["sides"], "sides", num_nodes))
    if name != Grid.name:
        raise ValueError(f"there is no grid {name!r}")
    return Grid(num_nodes)


def _mask(given: Any, name: str, num_nodes: int) -> Tensor:
    """Return a boolean of each node, or raise ``ValueError``."""
    array = np.asarray(given)
    if array.shape != (num_nodes,) or array.dtype != bool:
        raise ValueError(f"{name} must be {num_nodes} booleans, got {array.shape}")
    return torch.from_numpy(array.copy())


def _matrix(
    rows: tuple[np.ndarray, ...], columns: tuple[np.ndarray, ...], num_nodes: int
) -> sp.csr_array:
    """Return the matrix of ones at these places and on the diagonal.

    The places are in parts. Indices of 32 bits take half of the memory, where they suffice.
    """
    nodes, size = np.arange(num_nodes), sum(map(len, rows)) + num_nodes
    index = np.int32 if max(size, num_nodes) < 2**31 else np.int64
    places = (
        np.concatenate((*parts, nodes), dtype=index, casting="same_kind")
        for parts in (rows, columns)
    )
    ones = np.ones(size, dtype=np.int32)
    return sp.coo_array((ones, tuple(places)), shape=(num_nodes, num_nodes)).tocsr()
