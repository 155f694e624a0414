"""Relational graph convolutional encoder with two layers."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor, nn

from vgae.encoders._features import Features, dropped, glorot, transformed
from vgae.encoders.base import GraphEncoder
from vgae.encoders.gcn import ACTIVATIONS
from vgae.errors import DataError
from vgae.gaussian import DiagGaussian, PointMass
from vgae.kernels import SparseOperator
from vgae.kernels.csr import checked_edges, csr_tensor
from vgae.recipes.graphs import Activation, Recipe

BASES = 4


class Message(NamedTuple):
    """Edges of one kind of messages, from source to target.

    Attributes:
        edge_index: Shape ``(2, E)``.
        edge_weight: Weight of each edge, not negative, shape ``(E,)``; all are 1 if ``None``.
    """

    edge_index: Tensor
    edge_weight: Tensor | None = None


class RelationalConvolution(nn.Module):
    r"""Relational graph convolution: an average over the neighbours of each relation.

    .. math:: H'_i = X_i W_0 + \sum_r \sum_j \hat A^r_{ij} X_j W_r + b, \quad
        W_r = \sum_b a_{rb} V_b

    Source: Schlichtkrull et al. (2018), `Modeling Relational Data with Graph Convolutional
    Networks <https://arxiv.org/abs/1703.06103>`_, equations 2 and 3.

    Args:
        in_channels: Columns of X; without features, the number of nodes.
        out_channels: Columns of each head.
        num_relations: Number of kinds of messages r.
        num_bases: Number of bases V.
        heads: Number of heads, side by side.
        bias: Whether the layer learns b.
        dropout: Rate of the entries of X that are dropped in training, in ``[0, 1)``.
        generator: Source of the initial weights; torch's default if not given.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        num_relations: int,
        num_bases: int,
        *,
        heads: int = 1,
        bias: bool = True,
        dropout: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout must lie in [0, 1), got {dropout}.")
        if not 1 <= num_bases <= max(num_relations, 1):
            rule = f"bases must lie in [1, {num_relations}], the number of kinds of messages"
            raise ValueError(f"{rule}, got {num_bases}.")
        self.heads, self.dropout = heads, dropout
        # The bases and W_0 side by side: one product for all.
        self.weight = glorot(in_channels, out_channels, (num_bases + 1) * heads, generator)
        self.coefficients = nn.Parameter(torch.empty(num_relations, num_bases))
        nn.init.xavier_uniform_(self.coefficients, generator=generator)
        self.bias = nn.Parameter(torch.zeros(heads * out_channels)) if bias else None

    def forward(
        self,
        x: Features,
        messages: SparseOperator,
        generator: torch.Generator | None = None,
        scale: Tensor | None = None,
    ) -> tuple[Tensor, ...]:
        """Return the output of each head, shape ``(N, out_channels)``.

        Args:
            x: Node features, shape ``(N, in_channels)``; ``None`` is the identity.
            messages: The result of :func:`stacked`.
            generator: Source of dropout; torch's default if not given.
            scale: Factor of each column of ``x``, shape ``(in_channels,)``.
        """
        weight = self.weight if scale is None else scale[:, None] * self.weight
        if self.training and self.dropout > 0:
            x, weight = dropped(x, self.dropout, weight, generator)
        num_relations, num_bases = self.coefficients.shape
        h = transformed(x, weight)
        h = h.view(len(h), num_bases + 1, -1)
        mixed = torch.einsum("rb,nbc->rnc", self.coefficients, h[:, :-1])
        out = h[:, -1] + messages @ mixed.reshape(num_relations * len(h), -1)
        out = out if self.bias is None else out + self.bias
        return out.chunk(self.heads, dim=-1) if self.heads > 1 else (out,)


class RGCNEncoder(GraphEncoder):
    r"""Two-layer relational graph convolutional network that infers a posterior for every node.

    .. math::
        H = f\Big(X W_0 + \sum_r \hat A^r X W_r + b\Big), \quad
        (\mu, \log \sigma) = H W'_0 + \sum_r \hat A^r H W'_r + b', \quad
        W_r = \sum_b a_{rb} V_b

    Row i of :math:`\hat A^r` averages over the sources of the messages r to node i. The relations
    of a typed graph send messages both ways (:func:`vgae.training.typed.messages`): an undirected
    one as one kind r, one between two types or a directed one as two kinds with weights of their
    own, the inverse relations of the paper.

    Source: Schlichtkrull et al. (2018), `Modeling Relational Data with Graph Convolutional
    Networks <https://arxiv.org/abs/1703.06103>`_, equations 2 and 3.

    Args:
        in_channels: Columns of ``x``; without features, the number of nodes.
        hidden_channels: Width of the hidden layer.
        latent_channels: Width d of the latent vectors.
        messages: Names of the kinds of messages r.
        bases: Number of bases V, at most that of the kinds of messages; by default that number,
            at most 4.
        posterior: :class:`~vgae.DiagGaussian`, or :class:`~vgae.PointMass` for a plain
            auto-encoder.
        activation: f, ``"relu"`` or ``"elu"``.
        dropout: Rates of the entries of X and of H that are dropped in training, each in
            ``[0, 1)``.
        bias: Whether the layers learn b.
        generator: Source of the initial weights; torch's default if not given.

    Raises:
        ValueError: If an option is out of range.

    Example:
        >>> encoder = RGCNEncoder(8, 32, 16, messages=["knows", "buys", "buys, reversed"])
        >>> edges = torch.tensor([[0, 1], [1, 0]])
        >>> q = encoder(torch.rand(3, 8), [Message(edges)] * 3)
        >>> q.mu.shape
        torch.Size([3, 16])
    """

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int = 32,
        latent_channels: int = 16,
        *,
        messages: Sequence[str],
        bases: int | None = None,
        posterior: type[DiagGaussian] | type[PointMass] = DiagGaussian,
        activation: Activation = "relu",
        dropout: tuple[float, float] = (0.0, 0.0),
        bias: bool = True,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(in_channels, latent_channels, posterior)
        if activation not in ACTIVATIONS:
            raise ValueError(f"activation must be one of {[*ACTIVATIONS]}, got {activation!r}.")
        if not messages or isinstance(messages, str):
            raise ValueError("messages must name at least one kind of messages.")
        self.activation: Activation = activation
        self.messages = tuple(messages)
        self.bases = min(BASES, len(self.messages)) if bases is None else bases
        common: Any = {"bias": bias, "generator": generator}
        sizes = len(self.messages), self.bases
        self.conv0 = RelationalConvolution(
            in_channels, hidden_channels, *sizes, dropout=dropout[0], **common
        )
        self.conv1 = RelationalConvolution(
            hidden_channels,
            latent_channels,
            *sizes,
            heads=posterior.num_heads,
            dropout=dropout[1],
            **common,
        )

    @classmethod
    def from_recipe(
        cls,
        recipe: Recipe,
        in_channels: int,
        *,
        posterior: type[DiagGaussian] | type[PointMass],
        generator: torch.Generator | None = None,
        messages: Sequence[str] = (),
        bases: int | None = None,
    ) -> Self:
        """Build an encoder with fresh weights; see :meth:`GraphEncoder.from_recipe`."""
        encoder = cls(
            in_channels,
            recipe.hidden_channels,
            recipe.latent_channels,
            messages=messages,
            bases=bases,
            posterior=posterior,
            activation=recipe.activation,
            dropout=(recipe.feature_dropout, recipe.dropout),
            bias=recipe.bias,
            generator=generator,
        )
        if recipe.initial_logstd and posterior is DiagGaussian:
            assert encoder.conv1.bias is not None  # the recipe is checked for it
            nn.init.constant_(encoder.conv1.bias[recipe.latent_channels :], recipe.initial_logstd)
        return encoder

    def config(self) -> dict[str, Any]:
        """Return the fields of the recipe and the arguments that rebuild the encoder."""
        first = self.conv0
        return {
            "hidden_channels": first.weight.shape[1] // (self.bases + 1),
            "latent_channels": self.latent_channels,
            "activation": self.activation,
            "feature_dropout": first.dropout,
            "dropout": self.conv1.dropout,
            "bias": first.bias is not None,
            "messages": list(self.messages),
            "bases": self.bases,
        }

    def prepare(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, x: Tensor | None, messages: Sequence[Message]
    ) -> tuple[Any, ...]:
        """Convert the arguments of :meth:`forward` into their fastest form, once."""
        like = self.conv0.weight
        num_nodes = like.shape[0] if x is None else x.shape[0]
        if x is not None and x.layout == torch.sparse_csr:
            is_dropped = self.training and self.conv0.dropout > 0
            x = (SparseOperator.scalable if is_dropped else SparseOperator.of)(x)  # pyright: ignore
        return x, self._stacked(messages, num_nodes)

    def forward(
        self, x: Features, messages: Sequence[Message] | SparseOperator
    ) -> DiagGaussian | PointMass:
        """Infer the posterior of every node.

        Args:
            x: Node features, shape ``(N, in_channels)``: dense, sparse CSR, or ``None`` (the
                identity, which is never built).
            messages: Edges of each kind of messages in the order of ``messages``; or the
                result of :meth:`prepare`.

        Returns:
            The posterior; ``.mu`` of shape ``(N, latent_channels)`` is the embedding.

        Raises:
            DataError: If ``x`` is not as wide as ``in_channels``, or there are other messages.
        """
        if not isinstance(messages, SparseOperator):
            num_nodes = (self.conv0.weight if x is None else x).shape[0]
            messages = self._stacked(messages, num_nodes)
        (h,) = self.conv0(x, messages, self.generator, self.feature_scale)
        h = ACTIVATIONS[self.activation](h)
        return self.posterior.from_heads(*self.conv1(h, messages, self.generator))

    def _stacked(self, messages: Sequence[Message], num_nodes: int) -> SparseOperator:
        if len(messages) != len(self.messages):
            raise DataError(
                "RELATION",
                f"this encoder takes {len(self.messages)} kinds of messages,"
                f" {', '.join(self.messages)}; got {len(messages)}.",
            )
        like = self.conv0.weight
        return stacked(messages, num_nodes, dtype=like.dtype, device=like.device)

    def __repr__(self) -> str:
        hidden = self.conv0.weight.shape[1] // (self.bases + 1)
        return (
            f"RGCNEncoder({self.in_channels} -> {hidden} -> {self.latent_channels},"
            f" {len(self.messages)} kinds of messages, {self.bases} bases)"
        )


def stacked(
    messages: Sequence[Message],
    num_nodes: int,
    *,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> SparseOperator:
    r"""Return the averages over the neighbours of all relations, side by side.

    .. math:: [\hat A^1, \dots, \hat A^R], \quad
        \hat A^r_{ij} = w^r_{j \to i} / \sum_k w^r_{k \to i}

    Args:
        messages: Edges of each relation.
        num_nodes: N.
        dtype: Dtype of the result.
        device: Device of the result.

    Returns:
        Sparse matrix of shape ``(N, R N)``; the row of a node without neighbours is zero.

    Raises:
        DataError: If an index is out of range, or a weight is negative or not finite.
    """
    blocks = []
    for edge_index, edge_weight in messages:
        source, target = checked_edges(edge_index.cpu(), num_nodes, edge_weight).numpy()
        weight = (
            np.ones(len(source)) if edge_weight is None else edge_weight.double().cpu().numpy()
        )
        total = np.bincount(target, weights=weight, minlength=num_nodes)
        values = weight / np.where(total > 0, total, 1)[target]
        blocks.append(sp.coo_array((values, (target, source)), shape=(num_nodes, num_nodes)))
    matrix: Any = sp.hstack(blocks, format="csr")
    matrix.sort_indices()
    index = torch.int32 if max(matrix.nnz, matrix.shape[1]) < 2**31 else torch.int64
    crow, col = (torch.from_numpy(a).to(device, index) for a in (matrix.indptr, matrix.indices))
    values = torch.from_numpy(matrix.data).to(device, dtype)
    return SparseOperator.of(csr_tensor(crow, col, values, matrix.shape))
