"""LinearGCNEncoder: one hop, no hidden layer."""

import torch
from torch import Tensor, nn

from vgae.encoders._convolution import (
    Edges,
    Features,
    convolved,
    glorot,
    posterior_of,
    prepared,
)
from vgae.gaussian import DiagGaussian, PointMass


class LinearGCNEncoder(nn.Module):
    r"""One graph convolution without activation: an average over the neighbours.

    .. math:: (\mu, \log \sigma) = \hat A X W + b, \quad \hat A = D^{-1/2} (A + I) D^{-1/2}

    Source: Salha, Hennequin & Vazirgiannis (2020), `Simple and Effective Graph Autoencoders with
    One-Hop Linear Models <https://arxiv.org/abs/2001.07614>`_, equations 5 and 6.

    Args:
        in_channels: Columns of ``x``; without features, the number of nodes.
        latent_channels: Width d of the latent vectors.
        posterior: :class:`~vgae.DiagGaussian`, or :class:`~vgae.PointMass` for a plain
            auto-encoder.
        bias: Whether the layer learns the offset b.
        generator: Where the initial weights come from; torch's default if not given.
    """

    def __init__(
        self,
        in_channels: int,
        latent_channels: int = 16,
        *,
        posterior: type[DiagGaussian] | type[PointMass] = DiagGaussian,
        bias: bool = True,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        heads = posterior.num_heads
        self.posterior = posterior
        self.latent_channels = latent_channels
        self.weight = glorot(in_channels, latent_channels, heads, generator)
        self.bias = nn.Parameter(torch.zeros(heads * latent_channels)) if bias else None

    def prepare(self, x: Tensor | None, edge_index: Tensor) -> tuple[Features, Edges]:
        """Bring the arguments of :meth:`forward` into their fastest form, once before training.

        Args:
            x: As for :meth:`forward`.
            edge_index: Both directions of every edge, shape ``(2, E)``.
        """
        return prepared(x, edge_index, self.weight)

    def forward(
        self, x: Features, edge_index: Edges, edge_weight: Tensor | None = None
    ) -> DiagGaussian | PointMass:
        """Infer the posterior of every node; arguments and result as for ``GCNEncoder``."""
        h, _ = convolved(x, edge_index, edge_weight, self.weight)
        return posterior_of(h, self.bias, self.posterior)

    def extra_repr(self) -> str:
        """Return the widths, for ``repr``."""
        return f"{self.weight.shape[0]} -> {self.latent_channels}"
