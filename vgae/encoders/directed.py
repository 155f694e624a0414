"""Graph convolutional encoder of directed graphs, normalised by out-degrees."""

from typing import Any, ClassVar, NamedTuple, cast

import torch
from torch import Tensor

from vgae.encoders._convolution import GraphConvolution, Propagation
from vgae.encoders._degrees import DEGREE_COLUMNS, degree_columns, degree_features
from vgae.encoders._features import Features
from vgae.encoders.gcn import GCNEncoder
from vgae.errors import DataError
from vgae.kernels import EdgeOperator, SparseOperator
from vgae.kernels.csr import checked_edges, csr_tensor, edges_to_csr
from vgae.recipes.graphs import Recipe


class DirectedPattern(NamedTuple):
    """Sorted pattern of directed edges and of a self-loop for each node.

    Args:
        ones: Matrix of ones at the edges, row i has those from node i, and at the self-loops.
        offsets: Start of each row, int64, shape ``(N + 1,)``.
        row: Row of each entry, shape ``(E + N,)``.
        edge: Index of the edge of each entry, in the order in which they were given; 0 for a
            self-loop, shape ``(E + N,)``.
        is_loop: Whether an entry is a self-loop, shape ``(E + N,)``.
        loops: Indices of the self-loops, in the order of the nodes, shape ``(N,)``.
    """

    ones: SparseOperator
    offsets: Tensor
    row: Tensor
    edge: Tensor
    is_loop: Tensor
    loops: Tensor

    @classmethod
    def of(cls, edge_index: Tensor, num_nodes: int) -> "DirectedPattern":
        """Sort the edges, given once each, without self-loops, shape ``(2, E)``.

        Raises:
            DataError: If the edges are not of this form.
        """
        edges = checked_edges(edge_index, num_nodes)
        nodes = torch.arange(num_nodes + 1, device=edges.device)
        row, col = torch.cat([edges, nodes[:-1].expand(2, -1)], dim=1)
        code, order = (row * num_nodes + col).sort()
        if (code[1:] == code[:-1]).any():
            raise DataError(
                "EDGE_ORDER", "edge_index must list every edge once, without self-loops."
            )
        row, col, is_loop = row[order], col[order], order >= edges.shape[1]
        offsets = torch.searchsorted(row, nodes)
        index = torch.int32 if len(code) < 2**31 else torch.int64
        ones = torch.ones(len(code), device=edges.device)
        matrix = csr_tensor(offsets.to(index), col.to(index), ones, (num_nodes, num_nodes))
        edge, loops = order.masked_fill(is_loop, 0), is_loop.nonzero()[:, 0]
        return cls(SparseOperator.scalable(matrix), offsets, row, edge, is_loop, loops)

    @property
    def num_edges(self) -> int:
        """Number E of edges."""
        return len(self.row) - len(self.loops)

    def normalised(self, edge_weight: Tensor, self_loop_weight: float) -> SparseOperator:
        r"""Return :math:`D_{out}^{-1} (A + c I)`; for the arguments see :func:`out_norm`."""
        if self.num_edges:
            weight = edge_weight.index_select(0, self.edge)
            weight = weight.masked_fill_(self.is_loop, self_loop_weight)
        else:
            weight = edge_weight.new_full((len(self.loops),), self_loop_weight)
        degree = torch.segment_reduce(weight, "sum", offsets=self.offsets)
        scaled = self.ones.scaled(weight / degree.index_select(0, self.row))
        return scaled._replace(loops=self.loops)


def out_norm(
    edge_index: Tensor,
    num_nodes: int,
    edge_weight: Tensor | None = None,
    *,
    self_loop_weight: float = 1.0,
    dtype: torch.dtype = torch.float32,
) -> tuple[Tensor, Tensor]:
    r"""Return rows and columns of the entries of an adjacency, and values, with self-loops.

    .. math:: \hat A = D_{out}^{-1} (A + c I), \quad (D_{out})_{ii} = c + \sum_j A_{ij}

    Row i, which sums to 1, gathers from the targets of the edges out of i. Self-loops of
    ``edge_index`` are replaced.

    Args:
        edge_index: Source and target of every edge, shape ``(2, E)``.
        num_nodes: N.
        edge_weight: Weight of each edge, finite, not negative, shape ``(E,)``; ones if not given.
        self_loop_weight: c, above 0.
        dtype: Dtype of the values.

    Returns:
        Shapes ``(2, E + N)`` and ``(E + N,)``; the values are differentiable in ``edge_weight``.

    Raises:
        DataError: If a weight is negative or not finite, or an index is out of range.
    """
    edges = checked_edges(edge_index, num_nodes, edge_weight)
    if edge_weight is None:
        edge_weight = torch.ones(edges.shape[1], device=edges.device)
    kept, weight = edges[0] != edges[1], edge_weight.to(dtype)
    nodes = torch.arange(num_nodes, device=edges.device)
    if torch.compiler.is_compiling():  # no shape may depend on values
        weight = weight * kept
    else:
        edges, weight = edges[:, kept], weight[kept]
    edges = torch.cat([edges, nodes.expand(2, -1)], dim=1)
    weight = torch.cat([weight, weight.new_full((num_nodes,), self_loop_weight)])
    degree = weight.new_zeros(num_nodes).index_add(0, edges[0], weight)
    return edges, weight / degree[edges[0]]


class DirectedConvolution(GraphConvolution):
    r"""Graph convolution that averages over the targets of the links of a node.

    As :class:`~vgae.encoders._convolution.GraphConvolution`, with
    :math:`\hat A = D_{out}^{-1} (A + c I)`. Degree columns are those of the targets and those of
    the sources.
    """

    degree_width = 2 * DEGREE_COLUMNS
    pattern = DirectedPattern

    def operator(
        self, edge_index: Tensor, num_nodes: int, edge_weight: Tensor | None = None
    ) -> SparseOperator:
        r"""Return :math:`\hat A`, given the edges from source to target."""
        entries = out_norm(edge_index, num_nodes, edge_weight, **self._norm)
        return SparseOperator.of(edges_to_csr(entries[0], num_nodes, entries[1]))

    def propagation(
        self, x: Features, edge_index: Any, edge_weight: Tensor | None = None
    ) -> Propagation:
        r"""Return :math:`\hat A` as an operator, given edges or the result of ``prepare``."""
        num_nodes = (self.weight if x is None else x).shape[0]
        if isinstance(edge_index, DirectedPattern):
            if edge_weight is None:
                edge_weight = self.weight.new_ones(edge_index.num_edges)
            weight = edge_weight.to(self._norm["dtype"])
            return edge_index.normalised(weight, self.self_loop_weight)
        if isinstance(edge_index, SparseOperator):
            if edge_weight is not None:
                raise ValueError("edge_weight goes with edge_index; a matrix has its own.")
            return edge_index
        if edge_index.layout != torch.strided:
            raise ValueError(
                "a directed encoder takes edge_index, from source to target, shape (2, E), not a"
                " sparse matrix, whose rows may be either; pass its indices."
            )
        is_learned = edge_weight is not None and edge_weight.requires_grad
        if is_learned or torch.compiler.is_compiling():
            entries, values = out_norm(edge_index, num_nodes, edge_weight, **self._norm)
            return EdgeOperator(entries.flip(0), values, num_nodes)
        return self.operator(edge_index, num_nodes, edge_weight)

    def degrees(self, adj_norm: Propagation) -> Tensor:
        """Return the columns of the number of targets, then of sources, shape ``(N, 32)``."""
        c = self.self_loop_weight
        if isinstance(adj_norm, SparseOperator):
            transpose = SparseOperator(adj_norm.transpose, adj_norm.matrix)
        else:
            entries = cast(EdgeOperator, adj_norm)
            transpose = entries._replace(edge_index=entries.edge_index.flip(0))
        # Columns of A + c I, from those of the normalised one, whose diagonal is c / (d + c).
        sources = (transpose @ (c / adj_norm.diagonal())[:, None])[:, 0]
        return torch.cat([degree_features(adj_norm, c), degree_columns(sources + (1 - c))], dim=1)

    @property
    def _norm(self) -> dict[str, Any]:
        is_double = self.weight.dtype == torch.float64
        dtype = torch.float64 if is_double else torch.float32
        return {"self_loop_weight": self.self_loop_weight, "dtype": dtype}


class DirectedGCNEncoder(GCNEncoder):
    r"""Two-layer graph convolutional network on one-way links.

    .. math::
        H = f(\hat A X W_0 + b_0), \quad
        (\mu, \log \sigma) = \hat A H W_1 + b_1, \quad
        \hat A = D_{out}^{-1} (A + c I)

    A node gathers from the targets of its links, and is no message to them: a node without a link
    out sees itself only. Without features, its row of :math:`W_0` is its own. Arguments are those
    of :class:`~vgae.GCNEncoder`; ``degrees`` are the numbers of targets and of sources.

    Source: Salha, Limnios, Hennequin, Tran & Vazirgiannis (2019), `Gravity-Inspired Graph
    Autoencoders for Directed Link Prediction <https://arxiv.org/abs/1905.09570>`_, section 3.3.

    Example:
        >>> encoder = DirectedGCNEncoder(5, 8, 4)
        >>> encoder(torch.eye(5), torch.tensor([[0, 1], [1, 2]])).mu.shape  # 0 -> 1 -> 2
        torch.Size([5, 4])
    """

    takes_signs = False
    directed: ClassVar[bool] = True
    convolution = DirectedConvolution

    @staticmethod
    def _options(recipe: Recipe) -> dict[str, Any]:
        options = GCNEncoder._options(recipe)
        return {k: v for k, v in options.items() if k not in ("walks", "roles", "content")}

    def __repr__(self) -> str:
        return f"Directed{super().__repr__()}"
