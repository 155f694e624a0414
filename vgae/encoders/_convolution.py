"""What the graph convolutions share: weights, and the forms in which x and the edges may come."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vgae.errors import DataError
from vgae.gaussian import DiagGaussian, PointMass
from vgae.kernels import EdgeOperator, SparseOperator
from vgae.kernels.csr import EdgePattern, gcn_norm, gcn_norm_entries


class Propagated(NamedTuple):
    """Node features that were averaged over the neighbours already, shape ``(N, F)``."""

    x: Tensor


DEGREE_COLUMNS = 16  # the last one is that of 32,767 neighbours and more
Features = Tensor | SparseOperator | Propagated | None
Edges = Tensor | SparseOperator | EdgePattern


def glorot(
    in_channels: int, out_channels: int, heads: int, generator: torch.Generator | None
) -> nn.Parameter:
    """Return the weights of ``heads`` heads side by side, each drawn by itself.

    Uniform on plus or minus ``sqrt(6 / (in_channels + out_channels))``.

    Source: Glorot & Bengio (2010), equation 16, as in Kipf & Welling's code.

    Returns:
        Shape ``(in_channels, heads * out_channels)``.
    """
    weights = [torch.empty(in_channels, out_channels) for _ in range(heads)]
    for weight in weights:
        nn.init.xavier_uniform_(weight, generator=generator)
    return nn.Parameter(torch.cat(weights, dim=1))


def prepared(
    x: Tensor | None,
    edge_index: Tensor,
    weight: Tensor,
    self_loop_weight: float,
    *,
    edge_weight: Tensor | None = None,
    averaged: bool = True,
) -> tuple[Features, Edges]:
    """Return both in the form that costs least per pass, if nothing is dropped or masked.

    Dense features are averaged over the neighbours once and for all, which saves two sparse
    products a pass. Of sparse ones the average has several times the entries, and would cost more
    than it saves.

    Args:
        x: Node features, shape ``(N, F)``: dense, sparse CSR, or ``None``.
        edge_index: Both directions of every edge, shape ``(2, E)``.
        weight: Of the first layer, shape ``(F, k)``; without features F is N.
        self_loop_weight: See :func:`vgae.kernels.csr.gcn_norm`.
        edge_weight: Likewise.
        averaged: Whether dense features may be averaged once and for all.
    """
    num_nodes = weight.shape[0] if x is None else x.shape[0]
    adj_norm = SparseOperator.symmetric(
        gcn_norm(
            edge_index,
            num_nodes,
            edge_weight,
            self_loop_weight=self_loop_weight,
            dtype=_precision(weight),
        )
    )
    if x is None:
        return None, adj_norm
    if x.layout == torch.sparse_csr:
        return SparseOperator.of(x), adj_norm
    return (Propagated(adj_norm @ x) if averaged else x), adj_norm


def prepared_for_masks(
    x: Tensor | None, edge_index: Tensor, edge_weight: Tensor | None, weight: Tensor
) -> tuple[Any, ...]:
    """Return them in the form that costs least per pass, if features are dropped, links masked.

    Arguments as for :func:`prepared`.
    """
    pattern = EdgePattern.of(edge_index, weight.shape[0] if x is None else x.shape[0])
    features: Features = x
    if x is not None and x.layout == torch.sparse_csr:
        features = SparseOperator.scalable(x)
    return (features, pattern) if edge_weight is None else (features, pattern, edge_weight)


def propagation(
    edge_index: Edges, edge_weight: Tensor | None, h: Tensor, self_loop_weight: float = 1.0
) -> SparseOperator | EdgeOperator:
    """Return the normalised adjacency as an operator on ``h``, whichever form the edges have."""
    if isinstance(edge_index, EdgePattern):
        if edge_weight is None:
            edge_weight = h.new_ones(edge_index.place.numel() - h.shape[0])
        edge_weight = edge_weight.to(_precision(h))
        return SparseOperator.symmetric(
            edge_index.gcn_norm(edge_weight, self_loop_weight=self_loop_weight)
        )
    if isinstance(edge_index, SparseOperator) or edge_index.layout != torch.strided:
        if edge_weight is not None:
            raise ValueError("edge_weight goes with edge_index; a matrix has weights of its own.")
        if isinstance(edge_index, SparseOperator):
            return edge_index
        coo = edge_index.to_sparse_coo().coalesce()
        edge_index, edge_weight = coo.indices().flip(0), coo.values()
    options = {"self_loop_weight": self_loop_weight, "dtype": _precision(h)}
    if edge_weight is not None and edge_weight.requires_grad:
        entries = gcn_norm_entries(edge_index, h.shape[0], edge_weight, **options)
        return EdgeOperator(*entries, h.shape[0])
    return SparseOperator.of(gcn_norm(edge_index, h.shape[0], edge_weight, **options))


def first_messages(
    x: Features,
    edge_index: Edges,
    edge_weight: Tensor | None,
    weight: Tensor,
    degree_weight: Tensor | None,
    self_loop_weight: float,
) -> tuple[Tensor, SparseOperator | EdgeOperator]:
    r"""Return the messages of the first layer, and :math:`\hat A`, which averages them.

    They are averaged already where the features are.
    """
    h = transformed(x, weight)
    adj_norm = propagation(edge_index, edge_weight, h, self_loop_weight)
    if degree_weight is not None:
        h = h + degree_features(adj_norm, self_loop_weight).to(h.dtype) @ degree_weight
    return h, adj_norm


def degree_features(adj_norm: SparseOperator | EdgeOperator, self_loop_weight: float) -> Tensor:
    r"""Say how many neighbours each node has, in columns that a linear map can tell apart.

    .. math:: \phi_k(d_i) = \max(0, 1 - |\log_2(1 + d_i) - k|), \quad k = 0, \dots, 15

    Degrees 0, 1, 3, 7, ... have a column each, and those between share two. The degree is read
    off the diagonal of :math:`\hat A`, which is :math:`c / (d_i + c)`: it counts what the encoder
    sees and, under a mask, nothing that is hidden.

    Returns:
        Shape ``(N, 16)``; rows sum to 1.
    """
    diagonal = adj_norm.diagonal()
    degree = (self_loop_weight * (1 / diagonal - 1)).clamp_min(0)  # rounded, zero can be below
    bucket = torch.arange(DEGREE_COLUMNS, device=diagonal.device)
    place = (1 + degree).log2().clamp_max(DEGREE_COLUMNS - 1)
    return (1 - (place[:, None] - bucket).abs()).clamp_min(0)


def dropped(
    x: Features, share: float, weight: Tensor, generator: torch.Generator | None
) -> tuple[Features, Tensor]:
    """Drop a share of the entries of x; without features, as many rows of ``weight``.

    Those that stay are divided by ``1 - share``. Of sparse features, only entries that are there
    are drawn.

    Returns:
        Features and weight of the first layer.

    Raises:
        ValueError: If the features were averaged over the neighbours already.
    """
    if share == 0:
        return x, weight
    if isinstance(x, Propagated):
        raise ValueError("features cannot be dropped once they are averaged over the neighbours.")
    if x is None:
        return None, weight * kept(weight[:, :1], share, generator)
    if isinstance(x, Tensor) and x.layout == torch.sparse_csr:
        x = SparseOperator.scalable(x)
    if isinstance(x, SparseOperator):
        return x.scaled(kept(x.matrix.values(), share, generator)), weight
    return x * kept(x, share, generator), weight


def scaled(weight: Tensor, scale: Tensor | None) -> Tensor:
    """Return the weights of features that are multiplied by ``scale`` first, if there is one."""
    return weight if scale is None else scale[:, None] * weight


def feature_scale(x: Tensor) -> Tensor:
    r"""Return a factor per column that brings features of any units to a common scale.

    .. math:: s_j = c / \max_i |x_{ij}|, \quad
        c: \tfrac{1}{N} \sum_i \| (s_j x_{ij})_j \|^2 = 16

    Binary words stay as they are but for c. A column of zeros gets zero.

    Args:
        x: Node features, dense or sparse CSR, shape ``(N, F)``.

    Returns:
        float32, shape ``(F,)``.
    """
    if x.layout == torch.sparse_csr:
        column, value = x.col_indices().long(), x.values().double()
        zeros = value.new_zeros(x.shape[1])
        top = zeros.scatter_reduce(0, column, value.abs(), "amax")
        squares = zeros.index_add(0, column, value.square())
    else:
        top, squares = x.abs().amax(dim=0).double(), x.square().sum(dim=0, dtype=torch.float64)
    scale = torch.where(top > 0, 1 / top, 0)
    square = (squares * scale.square()).sum() / max(x.shape[0], 1)
    return (scale * (16 / square).sqrt() if square > 0 else scale).float()


def kept(like: Tensor, share: float, generator: torch.Generator | None) -> Tensor:
    """Draw dropout's factors: 0 with probability ``share``, else ``1 / (1 - share)``."""
    draw = torch.empty_like(like, requires_grad=False)
    return draw.bernoulli_(1 - share, generator=generator).div_(1 - share)


def check_options(dropout: Sequence[float], self_loop_weight: float, length: float | None) -> None:
    """Raise ``ValueError`` if an option that the encoders share is out of range."""
    if not all(0 <= share < 1 for share in dropout):
        raise ValueError(f"dropout must lie in [0, 1), got {dropout}.")
    if not 0 < self_loop_weight < math.inf:
        raise ValueError(f"self_loop_weight must be above 0, got {self_loop_weight}.")
    if length is not None and not 0 < length < math.inf:
        raise ValueError(f"length must be above 0, or None, got {length}.")


def transformed(x: Features, weight: Tensor) -> Tensor:
    """Return ``x @ weight``; without features x is the identity, which is never built.

    Raises:
        DataError: If the width of ``x`` is not that of the encoder.
        ValueError: If a sparse ``x`` requires gradients, which it would not get.
    """
    if x is None:
        return weight
    if isinstance(x, Propagated):
        x = x.x
    if x.shape[-1] != weight.shape[0]:
        raise DataError(
            "FEATURE_DIM_MISMATCH",
            f"x must have {weight.shape[0]} columns, as this encoder was built for,"
            f" got shape {tuple(x.shape)}.",
        )
    if isinstance(x, Tensor) and x.layout == torch.sparse_csr:
        if x.requires_grad:
            raise ValueError("a sparse x gets no gradients; pass x.to_dense().")
        x = SparseOperator.of(x)
    return x @ weight


def posterior_of(
    messages: Tensor,
    adj_norm: SparseOperator | EdgeOperator | None,
    bias: Tensor | None,
    kind: type[DiagGaussian] | type[PointMass],
    length: float | None,
) -> DiagGaussian | PointMass:
    """Average the last layer's messages over the neighbours, and read them as a posterior.

    Args:
        messages: Of each node, the heads side by side.
        adj_norm: What averages them; ``None`` if they were averaged already.
        bias: Added to the average; that of the mean is added before, if there is a length.
        kind: The posterior.
        length: What the messages of the mean are scaled to, if anything.
    """
    if length is None or adj_norm is None:
        h = messages if adj_norm is None else adj_norm @ messages
        h = h if bias is None else h + bias
        return kind.from_heads(*h.chunk(kind.num_heads, dim=-1))
    heads = messages.chunk(kind.num_heads, dim=-1)
    offsets = [0.0] * len(heads) if bias is None else bias.chunk(kind.num_heads)
    mean = length * F.normalize(heads[0] + offsets[0], dim=-1)
    mu, *others = (adj_norm @ torch.cat([mean, *heads[1:]], dim=-1)).chunk(kind.num_heads, dim=-1)
    # Wider than the prior no posterior needs to be; unbounded, exp() of what dropout makes of the
    # head throws the training off its feet once in a thousand epochs.
    return kind.from_heads(
        mu, *((h + b).clamp_max(0) for h, b in zip(others, offsets[1:], strict=True))
    )


def _precision(like: Tensor) -> torch.dtype:
    """Return float64 for float64, and float32 for anything less precise."""
    return torch.float64 if like.dtype == torch.float64 else torch.float32
