"""GCNEncoder: two graph convolutions."""

from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vgae.encoders._convolution import (
    DEGREE_COLUMNS,
    Edges,
    Features,
    Propagated,
    check_options,
    dropped,
    first_messages,
    glorot,
    kept,
    posterior_of,
    prepared,
    prepared_for_masks,
    scaled,
)
from vgae.gaussian import DiagGaussian, PointMass

Activation = Literal["relu", "elu"]
ACTIVATIONS = {"relu": F.relu, "elu": F.elu}


class GCNEncoder(nn.Module):
    r"""Two-layer graph convolutional network that infers a posterior for every node.

    .. math::
        H = f(\hat A X W_0 + b_0), \quad
        (\mu, \log \sigma) = \hat A H W_1 + b_1, \quad
        \hat A = D^{-1/2} (A + c I) D^{-1/2}

    For node i, with c = 1: :math:`h_i = f(W_0^T \sum_{j \in N(i) \cup i} x_j /
    \sqrt{d_i d_j} + b_0)`, where d counts the neighbours and the node itself. With equal weights
    it equals two ``torch_geometric.nn.GCNConv`` layers. In training mode entries of X and of H
    are dropped; evaluation drops nothing.

    Source: Kipf & Welling (2016), `Variational Graph Auto-Encoders
    <https://arxiv.org/abs/1611.07308>`_, section 1; Kipf & Welling (2017), `Semi-Supervised
    Classification with Graph Convolutional Networks <https://arxiv.org/abs/1609.02907>`_,
    equation 9. The messages' length: Ahn & Kim (2021), `Variational Graph Normalized Auto-Encoders
    <https://arxiv.org/abs/2108.08046>`_, equation 4.

    Args:
        in_channels: Columns of ``x``; without features, the number of nodes.
        hidden_channels: Width of the hidden layer.
        latent_channels: Width d of the latent vectors.
        posterior: :class:`~vgae.DiagGaussian`, or :class:`~vgae.PointMass` for a plain
            auto-encoder.
        bias: Whether the layers learn the offsets b (PyG does, the paper's code does not).
        activation: f, ``"relu"`` or ``"elu"``.
        dropout: Shares of the entries of X and of H that are dropped in training, each in
            ``[0, 1)``.
        self_loop_weight: c; ``GCNConv(improved=True)`` has 2.
        length: l, what the messages of the last layer are scaled to: :math:`\mu = \hat A M`, where
            row i of M is :math:`l \, m_i / \|m_i\|` and :math:`m_i = W_1^T h_i + b_1`. The length
            of a mean then says how many neighbours a node has and how well they agree, and not
            how large the features are. No posterior is then wider than the prior: log sigma is at
            most 0. ``None`` leaves both as they are.
        degrees: Whether X has 16 more columns that say how many neighbours a node has, among the
            edges at hand: :math:`X W_0` becomes :math:`X W_0 + \phi(d) W_d`, where
            :math:`\phi_k(d) = \max(0, 1 - |\log_2(1 + d) - k|)`. An average over neighbours
            hides how many they are. Never dropped.
        generator: Where the initial weights come from; torch's default if not given.

    Attributes:
        generator: Where dropout is drawn from, on the device of ``x``; ``None`` is torch's
            default. :func:`vgae.fit` lends one while it trains.
        feature_scale: Factor of each column of ``x``, shape ``(in_channels,)``, stored with the
            weights; ``None`` takes features as they are.
        feature_names: Name of each column of ``x``, if they are known; :func:`vgae.fit` notes
            them, :func:`vgae.embed` compares them.

    Raises:
        ValueError: If an option is none of these.

    Example:
        >>> encoder = GCNEncoder(1433, 32, 16)
        >>> q = encoder(torch.rand(3, 1433), torch.tensor([[0, 1], [1, 0]]))
        >>> q.mu.shape
        torch.Size([3, 16])
    """

    def __init__(  # noqa: PLR0913 - each is given by name
        self,
        in_channels: int,
        hidden_channels: int = 32,
        latent_channels: int = 16,
        *,
        posterior: type[DiagGaussian] | type[PointMass] = DiagGaussian,
        bias: bool = True,
        activation: Activation = "relu",
        dropout: tuple[float, float] = (0.0, 0.0),
        self_loop_weight: float = 1.0,
        length: float | None = None,
        degrees: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if activation not in ACTIVATIONS:
            raise ValueError(f"activation must be one of {[*ACTIVATIONS]}, got {activation!r}.")
        check_options(dropout, self_loop_weight, length)
        heads = posterior.num_heads
        self.posterior = posterior
        self.activation, self.dropout = activation, dropout
        self.self_loop_weight, self.length = self_loop_weight, length
        self.generator: torch.Generator | None = None
        self.feature_scale: Tensor | None
        self.register_buffer("feature_scale", None)
        self.feature_names: tuple[str, ...] = ()
        self.in_channels, self.latent_channels = in_channels, latent_channels
        self.weight0 = glorot(in_channels, hidden_channels, 1, generator)
        # One product for all heads: mu and log sigma stand side by side.
        self.weight1 = glorot(hidden_channels, latent_channels, heads, generator)
        self.degree_weight = (
            glorot(DEGREE_COLUMNS, hidden_channels, 1, generator) if degrees else None
        )
        self.bias0 = nn.Parameter(torch.zeros(hidden_channels)) if bias else None
        self.bias1 = nn.Parameter(torch.zeros(heads * latent_channels)) if bias else None

    def prepare(
        self,
        x: Tensor | None,
        edge_index: Tensor,
        edge_weight: Tensor | None = None,
        *,
        masked: bool = False,
    ) -> tuple[Any, ...]:
        """Bring the arguments of :meth:`forward` into their fastest form, once before training.

        Args:
            x: As for :meth:`forward`.
            edge_index: Both directions of every edge, shape ``(2, E)``.
            edge_weight: As for :meth:`forward`.
            masked: Whether :meth:`forward` will get another ``edge_weight`` each time.
        """
        if masked or (self.training and self.dropout[0] > 0):
            return prepared_for_masks(x, edge_index, edge_weight, self.weight0)
        return prepared(
            x,
            edge_index,
            self.weight0,
            self.self_loop_weight,
            edge_weight=edge_weight,
            averaged=self.degree_weight is None,
        )

    def forward(
        self, x: Features, edge_index: Edges, edge_weight: Tensor | None = None
    ) -> DiagGaussian | PointMass:
        """Infer the posterior of every node.

        Args:
            x: Node features, shape ``(N, in_channels)``: dense, sparse CSR, or ``None`` for none
                at all (the identity, which is never built).
            edge_index: Both directions of every edge, shape ``(2, E)``; self-loops are added. Or
                the adjacency as a sparse matrix, whose row i gathers from its columns (PyG's
                ``adj_t``); or what :meth:`prepare` returned, which is normalised already.
            edge_weight: One per column of ``edge_index``, not negative, shape ``(E,)``.

        Returns:
            The posterior; ``.mu`` of shape ``(N, latent_channels)`` is the embedding.

        Raises:
            DataError: If ``x`` is not as wide as ``in_channels``.
        """
        drop_x, drop_h = self.dropout if self.training else (0.0, 0.0)
        x, weight0 = dropped(x, drop_x, scaled(self.weight0, self.feature_scale), self.generator)
        h, adj_norm = first_messages(
            x, edge_index, edge_weight, weight0, self.degree_weight, self.self_loop_weight
        )
        h = h if isinstance(x, Propagated) else adj_norm @ h
        h = ACTIVATIONS[self.activation](h if self.bias0 is None else h + self.bias0)
        if drop_h > 0:
            h = h * kept(h, drop_h, self.generator)
        messages = h @ self.weight1
        return posterior_of(messages, adj_norm, self.bias1, self.posterior, self.length)

    def extra_repr(self) -> str:
        """Return the widths, for ``repr``."""
        in_channels, hidden_channels = self.weight0.shape
        return f"{in_channels} -> {hidden_channels} -> {self.latent_channels}"
