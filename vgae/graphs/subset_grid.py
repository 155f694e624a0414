"""Grid of some of the nodes, such as those of one relation in a graph of several node types."""

from typing import Any

import numpy as np
import scipy.sparse as sp
from torch import Tensor

from vgae.graphs.arrays import sha256
from vgae.graphs.grid import DirectedGrid, Grid


class SubsetGrid(Grid):
    """Pairs of some of the nodes, such as those of one or two types; others have no links.

    Args:
        members: Whether each node is one of these, bool, shape ``(N,)``.
        inner: Grid of the members alone, which are numbered in their order: undirected, directed
            or two-sided.
    """

    name = "subset"

    def __init__(self, members: Tensor, inner: Grid) -> None:
        super().__init__(len(members))
        self.members, self.inner = members, inner
        self.nodes = members.nonzero()[:, 0]
        self.places = members.long().cumsum(0) - 1
        self.directed: bool = inner.directed  # pyright: ignore[reportIncompatibleVariableOverride]

    @property
    def _key(self) -> tuple[Any, ...]:
        return *super()._key, self.members.numpy().tobytes(), *self.inner._key

    @property
    def num_pairs(self) -> int:
        """Number of pairs of members that may be links."""
        return self.inner.num_pairs

    @property
    def num_terms(self) -> int:
        """Number of ordered pairs of the inner grid."""
        return self.inner.num_terms

    @property
    def rectangle(self) -> tuple[int, int] | None:
        """Sizes of the inner grid."""
        return self.inner.rectangle

    def are_swapped(self, u: Any, v: Any) -> Any:
        """Return whether members are stored as (v, u), or for a pair with another node u > v."""
        is_array = isinstance(u, np.ndarray)
        members: Any = self.members.numpy() if is_array else self.members.to(u.device)
        places: Any = self.places.numpy() if is_array else self.places.to(u.device)
        known = members[u] & members[v]
        # The places of other nodes have no meaning; they may be -1.
        return (known & self.inner.are_swapped(places[u], places[v])) | (~known & (u > v))

    def holds(self, pairs: Tensor) -> Tensor:
        """Return whether each pair is of members and may be a link."""
        first, second = self.members[pairs]
        return first & second & self.inner.holds(self.places[pairs])

    def numbers(self, pairs: Tensor) -> Tensor:
        """Return the number of each pair."""
        return self.inner.numbers(self.places[pairs])

    def pairs(self, numbers: Tensor) -> Tensor:
        """Return the pairs of these numbers."""
        return self.nodes[self.inner.pairs(numbers)]

    def groups(self, links: Tensor) -> Tensor:
        """Return the groups of the inner grid."""
        return self.inner.groups(self.places[links])

    def message_edges(self, links: Tensor) -> Tensor:
        """Return the edges of the inner grid."""
        return self.nodes[self.inner.message_edges(self.places[links])]

    def known(self, links: Tensor, *, reverse: bool = False) -> sp.csr_array:
        """Return the matrix of the links, or of the reversed ones of a directed graph."""
        whole = DirectedGrid if self.directed else Grid
        return whole(self.num_nodes).known(links, reverse=reverse)

    def others(self, nodes: Tensor) -> Tensor:
        """Return the nodes that are no members, or no partners within the inner grid."""
        members, place = self.members.to(nodes.device), self.places.to(nodes.device)[nodes]
        found = ~(members[nodes][:, None] & members)
        if (inner := self.inner.others(place)) is not None:
            found[:, self.nodes.to(nodes.device)] |= inner
        return found

    def digest(self, links: Tensor) -> str:
        """Return the SHA-256 of the links, the members and the inner grid."""
        head = f"vgae-links-1 {self.num_nodes} subset {self.inner.name}"
        sides = None if self.inner.sides is None else self.inner.sides.numpy()
        return sha256(head, links.numpy(), self.members.numpy(), sides)

    def arrays(self) -> dict[str, Any]:
        """Return the kind, the members and the inner grid."""
        inner = self.inner.arrays()
        kind = {"grid": self.name, "members": self.members.numpy()}
        return {**inner, **kind, "inner": inner.get("grid", Grid.name)}
