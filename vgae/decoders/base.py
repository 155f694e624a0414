"""Base class of the link decoders that can be named, saved, masked and weighted."""

from typing import Any, ClassVar, NamedTuple, Self

import torch
from torch import Tensor, nn

from vgae.errors import DataError, UsageError
from vgae.graphs.block_grid import BlockGrid
from vgae.graphs.grid import Grid
from vgae.kernels import Blocks, Logits
from vgae.kernels.csr import checked_edges
from vgae.kernels.patterns import EdgePattern, PairPattern, check_undirected
from vgae.recipes.graphs import Recipe


class PreparedLinks(NamedTuple):
    """Links of a graph as :meth:`GraphDecoder.prepare` returns them: sorted, with their weights.

    Attributes:
        pattern: Links, both directions, and a self-pair for each node.
        weight: Weight of each entry of the pattern, 1 for self-pairs, shape ``(E + N,)``; all are
            1 if ``None``.
        blocks: Graphs of a collection, whose pairs are within graphs; ``None`` for one graph.
    """

    pattern: EdgePattern
    weight: Tensor | None
    blocks: Blocks | None = None

    counted = 2
    """How often each pair of the grid occurs among the pairs."""
    given = 1
    """Number of given edges of each entry."""

    @property
    def num_pairs(self) -> int:
        """Number of pairs, N^2, or the sum of those of the graphs of a collection."""
        return self.pattern.num_nodes**2 if self.blocks is None else self.blocks.num_pairs

    @property
    def num_edges(self) -> int:
        """Number of entries that are links."""
        return self.pattern.num_edges

    @property
    def is_loop(self) -> Tensor:
        """Whether each entry is a self-pair."""
        return self.pattern.is_loop

    def values(self, edges: Tensor) -> Tensor:
        """Return the value of each entry from those of the edges, 1 for self-pairs."""
        return self.pattern.values(edges, 1.0)


class PreparedPairs(NamedTuple):
    """Links as entries of a rectangle, whose rows and columns are nodes, with their weights.

    Attributes:
        pattern: Links, and a self-pair for each node if rows and columns are all nodes.
        weight: Weight of each entry of the pattern, 1 for self-pairs; all are 1 if ``None``.
        edge: Index of the edge of each entry, in the order in which they were given; 0 for a
            self-pair, shape ``(nnz,)``.
        is_loop: Whether each entry is a self-pair, shape ``(nnz,)``; ``None`` if no pair is.
        rows: Nodes of the rows, shape ``(n,)``; ``None`` for all nodes.
        columns: Nodes of the columns, shape ``(m,)``; ``None`` for all nodes.
        counted: How often each pair of the grid occurs among the pairs.
        given: Number of given edges of each entry.
        blocks: Graphs of a collection, whose pairs are within graphs; ``None`` for one graph.
    """

    pattern: PairPattern
    weight: Tensor | None
    edge: Tensor
    is_loop: Tensor | None
    rows: Tensor | None
    columns: Tensor | None
    counted: int
    given: int
    blocks: Blocks | None = None

    @classmethod
    def of(
        cls, edge_index: Tensor, grid: Grid, edge_weight: Tensor | None = None
    ) -> "PreparedPairs":
        """Return the links of a grid as ordered pairs.

        The rows of a two-sided grid are the nodes of its first side, the columns those of its
        second side; rows and columns of another grid are all nodes.

        Args:
            edge_index: Edges on which messages travel, shape ``(2, E)``: both directions of every
                link, or of a directed grid the links.
            grid: Pairs that may be links.
            edge_weight: Weight of each edge, shape ``(E,)``; in the result they have the mean 1.

        Raises:
            DataError: If the edges are not as described.
        """
        src, dst = checked_edges(edge_index, grid.num_nodes, edge_weight)
        if not grid.directed:
            check_undirected(edge_index, grid.num_nodes)
        if (src == dst).any():
            raise DataError("EDGE_ORDER", "edge_index must list every link once, no self-loop.")
        sides, nodes = grid.sides, torch.arange(grid.num_nodes, device=src.device)
        if sides is None:
            edge, loops = torch.arange(len(src), device=src.device), grid.num_nodes
            pairs = torch.cat([torch.stack([src, dst]), nodes.expand(2, -1)], dim=1)
            shape, places = (grid.num_nodes, grid.num_nodes), (None, None)
        else:
            sides = sides.to(src.device)
            if (sides[src] == sides[dst]).any():
                raise DataError("SIDES", "edge_index has a link within one side of the grid.")
            edge, loops = (~sides[src]).nonzero()[:, 0], 0
            places = nodes[~sides], nodes[sides]
            second = sides.long().cumsum(0) - 1
            pairs = torch.stack([(nodes - second - 1)[src[edge]], second[dst[edge]]])
            shape = len(places[0]), len(places[1])
        pattern = PairPattern.of(pairs, shape)
        is_loop = pattern.pair >= len(edge) if loops else None
        edge = torch.cat([edge, edge.new_zeros(loops)])[pattern.pair]
        counted = 1 if grid.directed or sides is not None else 2
        given, blocks = 1 if sides is None else 2, blocks_of(grid, edge_index)
        found = cls(pattern, None, edge, is_loop, *places, counted, given, blocks)
        if edge_weight is None:
            return found
        return found._replace(weight=found.values(edge_weight / edge_weight.mean()))

    @property
    def num_pairs(self) -> int:
        """Number of pairs, n m, or the sum of those of the graphs of a collection."""
        if self.blocks is not None:
            return self.blocks.num_pairs
        rows, columns = self.pattern.shape
        return rows * columns

    @property
    def num_edges(self) -> int:
        """Number of entries that are links."""
        num_loops = 0 if self.is_loop is None else self.pattern.shape[0]
        return len(self.pattern.col) - num_loops

    def values(self, edges: Tensor) -> Tensor:
        """Return the value of each entry from those of the edges, 1 for self-pairs."""
        if not len(edges):
            return edges.new_ones(len(self.edge))
        found = edges.index_select(0, self.edge)
        return found if self.is_loop is None else found.masked_fill_(self.is_loop, 1.0)


Prepared = PreparedLinks | PreparedPairs
"""Links as :meth:`GraphDecoder.prepare` returns them."""


def blocks_of(grid: Grid, edge_index: Tensor) -> Blocks | None:
    """Return the graphs of a collection as blocks of latent vectors; ``None`` for one graph.

    Args:
        grid: Pairs that may be links.
        edge_index: Edges, shape ``(2, E)``, on the device of the vectors.

    Raises:
        DataError: If an edge joins two graphs.
    """
    if not isinstance(grid, BlockGrid):
        return None
    batch = grid.batch.to(edge_index.device)
    if not torch.equal(*batch[edge_index]):
        raise DataError("COLLECTION", "edge_index has a link between two graphs of a collection.")
    return Blocks.of(grid.sizes.to(edge_index.device))


class MaskedLinks(NamedTuple):
    """Target in which the decoder predicts some links, and the encoder received the others.

    Attributes:
        links: All links, ``(2, E)`` or the result of ``prepare``; other pairs are non-links.
        masked: 1 for each edge, in the order in which they were given, that is to be predicted,
            else 0, equal for both directions of a link without direction, shape ``(E,)``.
        num_masked: Number of ones in ``masked``, or the expected one.
    """

    links: Tensor | Prepared
    masked: Tensor
    num_masked: float


class GraphDecoder(nn.Module):
    """Decoder of links that is built from a recipe and rebuilt from its configuration.

    A subclass has the methods below. Registered with an encoder as a model
    (:mod:`vgae.models.registry`), it is then available wherever models have names.
    """

    directed: ClassVar[bool] = False
    """Whether it needs a directed graph, as the two directions of a pair have different logits."""
    logits_kind: ClassVar[Logits] = "bilinear"
    """Formula of the logits, by which the cost of :meth:`log_prob` is predicted."""

    @classmethod
    def from_recipe(cls, recipe: Recipe) -> Self:
        """Build a decoder with fresh weights."""
        raise NotImplementedError

    def config(self) -> dict[str, Any]:
        """Return the fields of the recipe that rebuild the decoder, as plain values.

        Other keys are passed to :meth:`from_recipe` as keyword arguments.
        """
        raise NotImplementedError

    def prepare(
        self,
        edge_index: Tensor,
        num_nodes: int,
        edge_weight: Tensor | None = None,
        *,
        grid: Grid | None = None,
    ) -> Prepared:
        """Return the links as the target that :meth:`log_prob` takes, once before training.

        Args:
            edge_index: Both directions of every edge, or those of a directed grid, shape
                ``(2, E)``.
            num_nodes: N.
            edge_weight: How often each edge counts, shape ``(E,)``; once if not given.
            grid: Pairs that may be links; by default all two different nodes, in no order.
        """
        raise NotImplementedError

    def log_prob(self, z: Tensor, target: Tensor | Prepared | MaskedLinks) -> Tensor:
        """Return the log-likelihood of all links in nats; its sum is used.

        Args:
            z: Latent vectors, shape ``(N, d)``.
            target: Result of :meth:`prepare`, or :class:`MaskedLinks`.
        """
        raise NotImplementedError

    def logits(self, z: Tensor, edge_label_index: Tensor) -> Tensor:
        """Return the logits of given pairs, shape ``(2, P)``, as shape ``(P,)``."""
        raise NotImplementedError


def check_directed(grid: Grid | None, name: str) -> None:
    """Raise ``UsageError`` if the pairs that may be links have no direction."""
    if grid is not None and not grid.directed:
        raise UsageError(
            "DECODER",
            f"{name} predicts the direction of links, and the graph is {grid.name}; read it with"
            " directed='keep' (--directed keep), or take another decoder or model.",
        )


def check_sum(weighting: str, pairs: str) -> None:
    """Raise ``ValueError`` unless these say how the pairs are weighted and visited."""
    if weighting not in ("kipf", "likelihood"):
        raise ValueError(f"weighting must be 'kipf' or 'likelihood', got {weighting!r}.")
    if pairs not in ("exact", "sampled"):
        raise ValueError(f"pairs must be 'exact' or 'sampled', got {pairs!r}.")
