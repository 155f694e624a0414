"""Graph convolution on the normalised adjacency, and the base class of encoders of such layers."""

import math
from collections.abc import Sequence
from typing import Any, ClassVar, Self, TypedDict, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from vgae.encoders._degrees import DEGREE_COLUMNS, degree_features, linked
from vgae.encoders._features import Features, Propagated, dropped, glorot, transformed
from vgae.encoders.base import GraphEncoder
from vgae.errors import DataError, UsageError
from vgae.gaussian import DiagGaussian, PointMass
from vgae.kernels import EdgeOperator, SparseOperator
from vgae.kernels.csr import checked_edges, gcn_norm, gcn_norm_entries
from vgae.kernels.partition import RowOperator, RowPattern
from vgae.kernels.patterns import EdgePattern
from vgae.kernels.rows import RowPosterior, Rows
from vgae.recipes.graphs import Recipe
from vgae.runtime.mapped import is_mapped

_MANY_EDGES = 2**24  # whose normalisation takes much memory unless they are sorted first

Edges = Tensor | SparseOperator | EdgePattern | RowOperator | RowPattern
Propagation = SparseOperator | EdgeOperator | RowOperator


class ConvolutionOptions(TypedDict, total=False):
    """Options that the graph convolutional encoders share; ``GCNEncoder`` documents them."""

    bias: bool
    self_loop_weight: float
    latent_norm: float | None
    degrees: bool
    positions: int


class GraphConvolution(nn.Module):
    r"""Graph convolution: the average over the neighbours of linear messages.

    .. math::
        M = X W + \phi(d) W_d, \quad H = \hat A M + b, \quad
        \hat A = D^{-1/2} (A + c I) D^{-1/2}

    With a norm l, the messages of the first head have one length, and b is added before:
    :math:`H = \hat A \, l \, (M + b) / \|M + b\|`, row by row; the other heads, log sigma, are at
    most 0. In training mode, entries of X are dropped; without features, rows of W. Where
    ``alone_alike`` is set, the row of W of a node without neighbours, which no link has taught,
    counts as zeros.

    Source: Kipf & Welling (2017), `Semi-Supervised Classification with Graph Convolutional
    Networks <https://arxiv.org/abs/1609.02907>`_, equation 9; the norm: Ahn & Kim (2021),
    `Variational Graph Normalized Auto-Encoders <https://arxiv.org/abs/2108.08046>`_, equation 4.

    Args:
        in_channels: Columns of X; without features, the number of nodes.
        out_channels: Columns of each head.
        heads: Number of heads, side by side in W.
        bias: Whether the layer learns b.
        dropout: Rate of the entries of X that are dropped in training, in ``[0, 1)``.
        self_loop_weight: c, above 0.
        norm: l, above 0; ``None`` leaves the messages as they are.
        generator: Source of the initial weights; torch's default if not given.

    Raises:
        ValueError: If an option is out of range.
    """

    degree_width: ClassVar[int] = DEGREE_COLUMNS
    pattern: ClassVar[Any] = EdgePattern

    # Of an instance only where set: identities in checkpoints have no such entries.
    signed = False
    alone_alike = False

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        heads: int = 1,
        *,
        bias: bool = True,
        dropout: float = 0.0,
        self_loop_weight: float = 1.0,
        norm: float | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout must lie in [0, 1), got {dropout}.")
        if not 0 < self_loop_weight < math.inf:
            raise ValueError(f"self_loop_weight must be above 0, got {self_loop_weight}.")
        if norm is not None and not 0 < norm < math.inf:
            raise ValueError(f"latent_norm must be above 0, or None, got {norm}.")
        self.heads, self.dropout = heads, dropout
        self.self_loop_weight, self.norm = self_loop_weight, norm
        self.weight = glorot(in_channels, out_channels, heads, generator)
        self.degree_weight: nn.Parameter | None = None
        self.bias = nn.Parameter(torch.zeros(heads * out_channels)) if bias else None

    def add_degrees(self, generator: torch.Generator | None) -> None:
        """Add the weights W_d of the degrees; without them, the layer has no degree columns."""
        columns = self.weight.shape[1] // self.heads
        self.degree_weight = glorot(self.degree_width, columns, self.heads, generator)

    def degrees(self, adj_norm: Propagation) -> Tensor:
        """Return the degree columns, shape ``(N, degree_width)``."""
        return degree_features(adj_norm, self.self_loop_weight)

    def operator(
        self, edge_index: Tensor, num_nodes: int, edge_weight: Tensor | None = None
    ) -> SparseOperator:
        r"""Return :math:`\hat A` of an undirected graph, given both directions of every edge."""
        options: Any = {"self_loop_weight": self.self_loop_weight, "signed": self.signed}
        options["dtype"] = _precision(self.weight)
        # The sums of whole numbers have the same bits in any order.
        is_exact = edge_weight is None and float(self.self_loop_weight).is_integer()
        if is_exact or edge_index.shape[1] >= _MANY_EDGES:
            if edge_weight is not None:
                checked_edges(
                    edge_index, num_nodes, edge_weight.abs() if self.signed else edge_weight
                )
            try:
                pattern = self.pattern.of(edge_index, num_nodes)
            except DataError:  # self-loops of the caller
                pass
            else:
                matrix = pattern.gcn_norm(edge_weight, **options)
                return SparseOperator.symmetric(matrix, pattern.loops)
        return SparseOperator.symmetric(gcn_norm(edge_index, num_nodes, edge_weight, **options))

    def propagation(
        self, x: Features, edge_index: Edges, edge_weight: Tensor | None = None
    ) -> Propagation:
        r"""Return :math:`\hat A` as an operator, whichever form the edges have."""
        if type(edge_index) is list or type(edge_index).__module__ == "numpy":
            what = f"edge_index must be a tensor of shape (2, E), got {type(edge_index).__name__}"
            raise UsageError("PARAMETER", f"{what}; pass torch.as_tensor(edge_index).")
        num_nodes, dtype = (self.weight if x is None else x).shape[0], _precision(self.weight)
        options: Any = {"self_loop_weight": self.self_loop_weight}
        options |= {"signed": True} if self.signed else {}
        if isinstance(edge_index, RowPattern):
            return edge_index.operator(edge_weight, dtype=dtype, **options)
        if isinstance(edge_index, EdgePattern):
            matrix = edge_index.gcn_norm(edge_weight, dtype=dtype, **options)
            return SparseOperator.symmetric(matrix, edge_index.loops)
        if isinstance(edge_index, RowOperator):
            return edge_index
        if isinstance(edge_index, SparseOperator) or edge_index.layout != torch.strided:
            if edge_weight is not None:
                raise ValueError(
                    "edge_weight goes with edge_index; a matrix has weights of its own."
                )
            if isinstance(edge_index, SparseOperator):
                return edge_index
            coo = edge_index.to_sparse_coo().coalesce()
            edge_index, edge_weight = coo.indices().flip(0), coo.values()
        is_learned = edge_weight is not None and edge_weight.requires_grad
        if is_learned or torch.compiler.is_compiling():
            entries = gcn_norm_entries(edge_index, num_nodes, edge_weight, dtype=dtype, **options)
            return EdgeOperator(*entries, num_nodes)
        return SparseOperator.of(
            gcn_norm(edge_index, num_nodes, edge_weight, dtype=dtype, **options)
        )

    def forward(
        self,
        x: Features,
        adj_norm: Propagation,
        generator: torch.Generator | None = None,
        scale: Tensor | None = None,
    ) -> tuple[Tensor, ...]:
        """Return the output of each head, shape ``(N, out_channels)``.

        Args:
            x: Node features, shape ``(N, in_channels)``; ``None`` is the identity.
            adj_norm: The operator of :meth:`propagation`.
            generator: Source of dropout; torch's default if not given.
            scale: Factor of each column of ``x``, shape ``(in_channels,)``.

        Raises:
            DataError: If ``x`` is not as wide as ``in_channels``.
        """
        weight = self.weight if scale is None else scale[:, None] * self.weight
        rows = rows_of(adj_norm)
        if x is None and rows is not None:
            weight = rows.taken(weight)
        if self.training and self.dropout > 0:
            x, weight = dropped(x, self.dropout, weight, generator, rows)
        degrees = None
        if self.degree_weight is not None:
            degrees = self.degrees(adj_norm).to(weight.dtype)
        if x is None and self.alone_alike:
            weight = weight * linked(adj_norm).to(weight.dtype)[:, None]
        if self.norm is None:
            h = _messages(x, weight, degrees, self.degree_weight)
            h = h if isinstance(x, Propagated) else adj_norm @ h
            # In place, as the product is nobody else's.
            h = h if self.bias is None else h.add_(self.bias)
            return h.chunk(self.heads, dim=-1) if self.heads > 1 else (h,)
        first, *others = self._heads(x, weight, degrees)
        biases = [None] * self.heads if self.bias is None else self.bias.chunk(self.heads)
        mean = _Normed.apply(first, biases[0], self.norm)
        mu, *others = (adj_norm @ head for head in (mean, *others))
        # Log sigma is at most 0: with dropout, an unbounded one occasionally makes training
        # diverge.
        shifted = (o if b is None else o.add_(b) for o, b in zip(others, biases[1:], strict=True))
        return mu, *(F.hardtanh(o, -math.inf, 0.0, inplace=True) for o in shifted)

    def _heads(self, x: Features, weight: Tensor, degrees: Tensor | None) -> Sequence[Tensor]:
        """Return the messages of each head.

        A dense X is multiplied once for each: narrow results stay in the caches of a CPU.
        """
        own = self.degree_weight
        if not isinstance(x, Tensor) or is_mapped(x):
            return _messages(x, weight, degrees, own).chunk(self.heads, dim=-1)
        parts = [None] * self.heads if own is None else own.chunk(self.heads, dim=-1)
        pairs = zip(weight.chunk(self.heads, dim=-1), parts, strict=True)
        return [_messages(x, part, degrees, of_degrees) for part, of_degrees in pairs]


def _messages(
    x: Features, weight: Tensor, degrees: Tensor | None, degree_weight: Tensor | None
) -> Tensor:
    """Return the product of X and weights, and that of the degrees and theirs, if any."""
    h = transformed(x, weight)
    if degrees is None or degree_weight is None:
        return h
    add = torch.addmm if x is None else Tensor.addmm_  # without features, h is the weight
    return add(h, degrees, degree_weight)


class _Normed(torch.autograd.Function):
    """Rows scaled to a norm, with a bias before: ``apply(x, bias, norm)``.

    torch's own takes twice as many operations.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, bias: Tensor | None, norm: float) -> Tensor:
        result = x.clone() if bias is None else x + bias
        scale = norm / torch.linalg.vector_norm(result, dim=-1, keepdim=True).clamp_min_(1e-12)
        result.mul_(scale)
        ctx.save_for_backward(result, scale)
        ctx.norm, ctx.biased = norm, bias is not None
        return result

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *grad_outputs: Tensor
    ) -> tuple[Tensor, Tensor | None, None]:
        (grad,) = grad_outputs
        result, scale = ctx.saved_tensors
        # The part of the gradient along the row has no effect on it.
        along = torch.linalg.vecdot(grad, result).unsqueeze(-1)
        grad = torch.addcmul(grad, along, result, value=-1 / ctx.norm**2).mul_(scale)
        return grad, grad.sum(0) if ctx.biased else None, None


class ConvolutionalEncoder(GraphEncoder):
    """Encoder whose modules are graph convolutions, the first of which reads the features."""

    convolution: ClassVar[type[GraphConvolution]] = GraphConvolution
    takes_signs: ClassVar[bool] = True
    reads_mapped: ClassVar[bool] = True

    @property
    def _ends(self) -> tuple[GraphConvolution, GraphConvolution]:
        layers: list[Any] = [c for c in self.children() if isinstance(c, GraphConvolution)]
        return layers[0], layers[-1]

    @property
    def positions(self) -> int:
        """Number of latent dimensions that are positions; see :mod:`vgae.encoders.positions`."""
        place: Any = getattr(self, "place", None)
        return place.width if place else 0

    def _posterior(
        self, heads: tuple[Tensor, ...], adj_norm: Propagation, rows: Tensor | None
    ) -> DiagGaussian | PointMass:
        """Return the posterior of the outputs of the last layer, with positions, if any.

        It is a :class:`~vgae.kernels.rows.RowPosterior` if rows are divided among processes.
        """
        place: Any = getattr(self, "place", None)
        q = self.posterior.from_heads(*(place(heads, adj_norm, rows) if place else heads))
        divided: Any = rows_of(adj_norm)
        return q if divided is None else cast(Any, RowPosterior(q, divided))

    @staticmethod
    def _options(recipe: Recipe) -> dict[str, Any]:
        """Return the arguments that a recipe sets for this class only."""
        raise NotImplementedError

    @classmethod
    def from_recipe(
        cls,
        recipe: Recipe,
        in_channels: int,
        *,
        posterior: type[DiagGaussian] | type[PointMass],
        generator: torch.Generator | None = None,
    ) -> Self:
        """Build an encoder with fresh weights; see :meth:`GraphEncoder.from_recipe`."""
        options = {
            "posterior": posterior,
            "generator": generator,
            "latent_channels": recipe.latent_channels,
            "bias": recipe.bias,
            "self_loop_weight": recipe.self_loop_weight,
            "latent_norm": recipe.latent_norm or None,
            "degrees": recipe.degrees,
            "positions": recipe.positions,
            **cls._options(recipe),
        }
        encoder = cls(in_channels, **options)
        _, last = encoder._ends
        if recipe.initial_logstd and last.heads > 1:
            assert last.bias is not None  # the recipe is checked for it
            own = len(last.bias) // last.heads
            nn.init.constant_(last.bias[own:], recipe.initial_logstd)
        return encoder

    def config(self) -> dict[str, Any]:
        """Return the fields of the recipe that rebuild the encoder."""
        first, last = self._ends
        return {
            "latent_channels": self.latent_channels,
            "bias": first.bias is not None,
            "feature_dropout": first.dropout,
            "self_loop_weight": first.self_loop_weight,
            "latent_norm": last.norm or 0.0,
            "degrees": first.degree_weight is not None,
            **({"positions": self.positions} if self.positions else {}),
        }

    def prepare(
        self,
        x: Tensor | None,
        edge_index: Tensor,
        edge_weight: Tensor | None = None,
        *,
        masked: bool = False,
        rows: Rows | None = None,
    ) -> tuple[Any, ...]:
        """Convert the arguments of ``forward`` into their fastest form, once.

        Dense features are averaged over the neighbours once, where nothing is dropped, masked or
        normed: this saves two sparse products a pass. The average of sparse features has several
        times the entries, and would cost more than it saves; that of features in a file would be
        a copy in memory.

        Args:
            x: Node features, shape ``(N, F)``: dense, sparse CSR, or ``None``.
            edge_index: Both directions of every edge, or one if ``directed``, shape ``(2, E)``.
            edge_weight: Weight of each edge, shape ``(E,)``.
            masked: Whether ``forward`` will receive another ``edge_weight`` each time.
            rows: Division of the nodes among processes, of which each passes its own rows of
                ``x`` and all edges.
        """
        first, _ = self._ends
        num_nodes = first.weight.shape[0] if x is None else x.shape[0]
        sparse = x if x is not None and x.layout == torch.sparse_csr else None
        pattern = None if rows is None else RowPattern.of(edge_index, rows)
        if masked or (first.training and first.dropout > 0):
            features = x
            if sparse is not None:
                features = SparseOperator.scalable(sparse)
                if rows is not None:
                    entries = Rows.of_sizes(rows.team, sparse.values().numel())
                    features = features._replace(entries=entries)
            pattern = first.pattern.of(edge_index, num_nodes) if pattern is None else pattern
            return (features, pattern) if edge_weight is None else (features, pattern, edge_weight)
        if pattern is None:
            adj_norm = first.operator(edge_index, num_nodes, edge_weight)
        else:
            adj_norm = first.propagation(x, pattern, edge_weight)
        if x is None or sparse is not None:
            return (None if sparse is None else SparseOperator.of(sparse)), adj_norm
        plain = first.norm is None and first.degree_weight is None
        plain = plain and not (hasattr(self, "walks") or hasattr(self, "content"))
        averaged = plain and not is_mapped(x)
        return (Propagated(adj_norm @ x) if averaged else x), adj_norm


def rows_of(adj_norm: Propagation) -> Rows | None:
    """Return the division of the nodes among processes, if there is one."""
    return adj_norm.rows if isinstance(adj_norm, RowOperator) else None


def _precision(like: Tensor) -> torch.dtype:
    """Return float64 for float64, and float32 for anything less precise."""
    return torch.float64 if like.dtype == torch.float64 else torch.float32
