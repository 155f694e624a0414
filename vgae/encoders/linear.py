"""Graph convolutional encoder with one linear layer."""

from typing import Any, ClassVar, Unpack

import torch
from torch import Tensor

from vgae.encoders._convolution import (
    ConvolutionalEncoder,
    ConvolutionOptions,
    Edges,
    GraphConvolution,
)
from vgae.encoders._features import Features
from vgae.encoders.positions import Positions, unplaced
from vgae.gaussian import DiagGaussian, PointMass
from vgae.recipes.graphs import Recipe


class LinearGCNEncoder(ConvolutionalEncoder):
    r"""One graph convolution without activation: an average over the neighbours.

    .. math:: (\mu, \log \sigma) = \hat A X W + b, \quad \hat A = D^{-1/2} (A + c I) D^{-1/2}

    Source: Salha, Hennequin & Vazirgiannis (2020), `Simple and Effective Graph Autoencoders with
    One-Hop Linear Models <https://arxiv.org/abs/2001.07614>`_, equations 5 and 6.

    Args:
        in_channels: Columns of ``x``; without features, the number of nodes.
        latent_channels: Width d of the latent vectors.
        posterior: :class:`~vgae.DiagGaussian`, or :class:`~vgae.PointMass` for a plain
            auto-encoder.
        dropout: Rate of the entries of X that are dropped in training, in ``[0, 1)``.
        generator: Source of the initial weights; torch's default if not given.
        bias: ``True`` learns the bias b.
        self_loop_weight: c, as for :class:`~vgae.GCNEncoder`.
        latent_norm: Norm of every message of the mean, as for :class:`~vgae.GCNEncoder`; with 1.8
            this is the encoder of VGNAE.
        degrees: ``True`` adds columns for the number of neighbours, as for
            :class:`~vgae.GCNEncoder`.
        positions: Number of latent dimensions that are positions, as there.
    """

    state_names: ClassVar = {
        "conv.weight": "weight",
        "conv.degree_weight": "degree_weight",
        "conv.bias": "bias",
    }

    def __init__(
        self,
        in_channels: int,
        latent_channels: int = 16,
        *,
        posterior: type[DiagGaussian] | type[PointMass] = DiagGaussian,
        dropout: float = 0.0,
        generator: torch.Generator | None = None,
        **options: Unpack[ConvolutionOptions],
    ) -> None:
        super().__init__(in_channels, latent_channels, posterior)
        common: dict[str, Any] = {**options, "dropout": dropout, "generator": generator}
        norm, degrees = common.pop("latent_norm", None), common.pop("degrees", False)
        positions, heads = common.pop("positions", 0), posterior.num_heads
        own = latent_channels - positions
        self.conv = GraphConvolution(in_channels, own, heads, norm=norm, **common)
        if degrees:
            self.conv.add_degrees(generator)
        if positions:
            self.place = Positions(positions)

    @staticmethod
    def _options(recipe: Recipe) -> dict[str, Any]:
        return {"dropout": recipe.feature_dropout}

    def config(self) -> dict[str, Any]:
        """Return the fields of the recipe that rebuild the encoder."""
        # Readers of earlier versions expect the width of a hidden layer.
        return {"hidden_channels": Recipe.hidden_channels, **super().config()}

    @classmethod
    def widths(cls, recipe: Recipe, num_heads: int) -> list[int]:
        """Return the columns of the one layer's output."""
        return [num_heads * recipe.latent_channels]

    def forward(
        self, x: Features, edge_index: Edges, edge_weight: Tensor | None = None
    ) -> DiagGaussian | PointMass:
        """Infer the posterior of every node; arguments and result as for ``GCNEncoder``."""
        x, rows = unplaced(x)
        adj_norm = self.conv.propagation(x, edge_index, edge_weight)
        heads = self.conv(x, adj_norm, self.generator, self.feature_scale)
        return self._posterior(heads, adj_norm, rows)

    def __repr__(self) -> str:
        return f"LinearGCNEncoder({self.in_channels} -> {self.latent_channels})"
