"""Simple scores of pairs from known links: products of degrees, and short paths."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from vgae.graphs.grid import Grid

_BLOCK = 500_000  # paths of length 2 that are extended at once
_NEIGHBOURS = 1 << 22  # of both ends of pairs, which are compared at once


def path_name(grid: Grid) -> str:
    """Return what :meth:`SimpleScores.shortest_paths` counts, in words."""
    if grid.sides is not None:
        return "paths of three links"
    return "paths of two links" if grid.directed else "common neighbours"


class SimpleScores:
    """Degrees and paths of the graph of these links; paths of a directed graph follow its links.

    Args:
        links: Known links, shape ``(2, M)``.
        grid: The pairs that may be links.
    """

    def __init__(self, links: Tensor, grid: Grid) -> None:
        self.adjacency: Any = grid.known(links).astype(np.float64)
        self.adjacency.setdiag(0)
        self.adjacency.eliminate_zeros()
        self.adjacency.data[:] = 1
        self.into: Any = self.adjacency.T.tocsr() if grid.directed else self.adjacency
        self.path_length = 2 if grid.sides is None else 3

    def degrees(self, pairs: Tensor) -> Tensor:
        """Return the links of both nodes of pairs; of a directed graph out of u and into v."""
        u, v = pairs.numpy()
        both = self.adjacency.sum(axis=1)[u], self.into.sum(axis=1)[v]
        return torch.from_numpy(np.stack(both)).long()

    def degree_products(self, pairs: Tensor) -> Tensor:
        r"""Return :math:`d_u d_v` of pairs ``(2, P)``, float64."""
        u, v = self.degrees(pairs).double()
        return u * v

    def num_walks(self, pairs: Tensor) -> int:
        """Return the number of walks of length 2 from the first nodes of pairs."""
        degree = self.adjacency.sum(axis=1)
        return int((self.adjacency @ degree)[pairs[0].numpy()].sum())

    def paths(self, pairs: Tensor) -> Tensor:
        r"""Return :math:`(A^2)_{uv}` and :math:`(A^3)_{uv}` of pairs, float64, ``(2, P)``."""
        u, v = pairs.numpy()
        found = [np.zeros((2, 0))]
        for block in np.array_split(np.arange(len(u)), 1 + self.num_walks(pairs) // _BLOCK):
            near, far = self.adjacency[u[block]], self.into[v[block]]
            walks = near, near @ self.adjacency
            found.append(np.stack([w.multiply(far).sum(axis=1) for w in walks]))
        return torch.from_numpy(np.concatenate(found, axis=1))

    def shortest_paths(self, pairs: Tensor) -> Tensor:
        """Return the number of the shortest paths that two unlinked nodes may have, ``(P,)``.

        They have length 2, and are common neighbours in a graph without direction; in a two-sided
        graph, where two nodes of different sides have none, length 3.

        Source: Daminelli et al. (2015), `Common Neighbours and the Local-Community-Paradigm for
        Topological Link Prediction in Bipartite Networks <https://arxiv.org/abs/1504.07011>`_.
        """
        if self.path_length == 3:
            return self.paths(pairs)[1]
        u, v = pairs.numpy()
        sizes = np.diff(self.adjacency.indptr)[u] + np.diff(self.into.indptr)[v]
        block = sizes.cumsum(dtype=np.int64) // _NEIGHBOURS
        found = []
        for near, far in np.split(pairs.numpy(), np.flatnonzero(np.diff(block)) + 1, axis=1):
            found.append(self.adjacency[near].multiply(self.into[far]).sum(axis=1))
        return torch.from_numpy(np.concatenate(found)).double()
