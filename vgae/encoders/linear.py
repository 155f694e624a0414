"""LinearGCNEncoder: one hop, no hidden layer."""

from typing import Any

import torch
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
    posterior_of,
    prepared,
    prepared_for_masks,
    scaled,
)
from vgae.gaussian import DiagGaussian, PointMass


class LinearGCNEncoder(nn.Module):
    r"""One graph convolution without activation: an average over the neighbours.

    .. math:: (\mu, \log \sigma) = \hat A X W + b, \quad \hat A = D^{-1/2} (A + c I) D^{-1/2}

    Source: Salha, Hennequin & Vazirgiannis (2020), `Simple and Effective Graph Autoencoders with
    One-Hop Linear Models <https://arxiv.org/abs/2001.07614>`_, equations 5 and 6.

    Args:
        in_channels: Columns of ``x``; without features, the number of nodes.
        latent_channels: Width d of the latent vectors.
        posterior: :class:`~vgae.DiagGaussian`, or :class:`~vgae.PointMass` for a plain
            auto-encoder.
        bias: Whether the layer learns the offset b.
        dropout: Share of the entries of X that is dropped in training, in ``[0, 1)``.
        self_loop_weight: c, as for ``GCNEncoder``.
        length: What every message of the mean is scaled to, as for ``GCNEncoder``; with 1.8 this
            is the encoder of VGNAE.
        degrees: Whether X has columns that say how many neighbours a node has, as for
            ``GCNEncoder``.
        generator: Where the initial weights come from; torch's default if not given.
    """

    def __init__(
        self,
        in_channels: int,
        latent_channels: int = 16,
        *,
        posterior: type[DiagGaussian] | type[PointMass] = DiagGaussian,
        bias: bool = True,
        dropout: float = 0.0,
        self_loop_weight: float = 1.0,
        length: float | None = None,
        degrees: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        check_options([dropout], self_loop_weight, length)
        heads = posterior.num_heads
        self.posterior = posterior
        self.dropout = dropout
        self.self_loop_weight, self.length = self_loop_weight, length
        self.generator: torch.Generator | None = None
        self.feature_scale: Tensor | None
        self.register_buffer("feature_scale", None)
        self.feature_names: tuple[str, ...] = ()
        self.in_channels, self.latent_channels = in_channels, latent_channels
        self.weight = glorot(in_channels, latent_channels, heads, generator)
        self.degree_weight = (
            glorot(DEGREE_COLUMNS, latent_channels, heads, generator) if degrees else None
        )
        self.bias = nn.Parameter(torch.zeros(heads * latent_channels)) if bias else None

    def prepare(
        self,
        x: Tensor | None,
        edge_index: Tensor,
        edge_weight: Tensor | None = None,
        *,
        masked: bool = False,
    ) -> tuple[Any, ...]:
        """Bring the arguments of :meth:`forward` into their fastest form, as ``GCNEncoder``'s."""
        if masked or (self.training and self.dropout > 0):
            return prepared_for_masks(x, edge_index, edge_weight, self.weight)
        return prepared(
            x,
            edge_index,
            self.weight,
            self.self_loop_weight,
            edge_weight=edge_weight,
            averaged=self.length is None and self.degree_weight is None,
        )

    def forward(
        self, x: Features, edge_index: Edges, edge_weight: Tensor | None = None
    ) -> DiagGaussian | PointMass:
        """Infer the posterior of every node; arguments and result as for ``GCNEncoder``."""
        share = self.dropout if self.training else 0.0
        x, weight = dropped(x, share, scaled(self.weight, self.feature_scale), self.generator)
        messages, adj_norm = first_messages(
            x, edge_index, edge_weight, weight, self.degree_weight, self.self_loop_weight
        )
        if isinstance(x, Propagated):
            return posterior_of(messages, None, self.bias, self.posterior, None)
        return posterior_of(messages, adj_norm, self.bias, self.posterior, self.length)

    def extra_repr(self) -> str:
        """Return the widths, for ``repr``."""
        return f"{self.weight.shape[0]} -> {self.latent_channels}"
