"""GraphSAGE encoder with two layers of PyG's SAGEConv."""

from typing import Any, Literal, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch_geometric.nn import SAGEConv

from vgae.encoders._features import kept
from vgae.encoders.base import GraphEncoder
from vgae.errors import UsageError
from vgae.gaussian import DiagGaussian, PointMass
from vgae.recipes.graphs import Recipe


class SAGEEncoder(GraphEncoder):
    r"""Two-layer GraphSAGE network that infers a posterior for every node.

    .. math::
        h_i = f(W_0 x_i + V_0 \, \mathrm{mean}_{j \in N(i)} x_j + b_0), \quad
        (\mu_i, \log \sigma_i) = W_1 h_i + V_1 \, \mathrm{mean}_{j \in N(i)} h_j + b_1

    Source: Hamilton, Ying & Leskovec (2017), `Inductive Representation Learning on Large Graphs
    <https://arxiv.org/abs/1706.02216>`_, section 3.3 (mean aggregator), as in
    ``torch_geometric.nn.SAGEConv``.

    Args:
        in_channels: Columns of ``x``; without features, the number of nodes.
        hidden_channels: Width of the hidden layer.
        latent_channels: Width d of the latent vectors.
        posterior: :class:`~vgae.DiagGaussian`, or :class:`~vgae.PointMass`.
        activation: f, ``"relu"`` or ``"elu"``.
        dropout: Rates of the entries of X and of H that are dropped in training.
        bias: Whether the layers learn the biases b.
        generator: Source of the initial weights; torch's default if not given.
    """

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int = 32,
        latent_channels: int = 16,
        *,
        posterior: type[DiagGaussian] | type[PointMass] = DiagGaussian,
        activation: Literal["relu", "elu"] = "relu",
        dropout: tuple[float, float] = (0.0, 0.0),
        bias: bool = True,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(in_channels, latent_channels, posterior)
        self.activation, self.dropout = activation, dropout
        with torch.random.fork_rng(devices=[]):  # PyG draws weights from torch's default
            self.conv0 = SAGEConv(in_channels, hidden_channels, bias=bias)
            heads = posterior.num_heads * latent_channels
            self.conv1 = SAGEConv(hidden_channels, heads, bias=bias)
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter, generator=generator)
            else:
                nn.init.zeros_(parameter)

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
        encoder = cls(
            in_channels,
            recipe.hidden_channels,
            recipe.latent_channels,
            posterior=posterior,
            activation=recipe.activation,
            dropout=(recipe.feature_dropout, recipe.dropout),
            bias=recipe.bias,
            generator=generator,
        )
        if recipe.initial_logstd and posterior is DiagGaussian:
            bias = encoder.conv1.lin_l.bias
            nn.init.constant_(bias[recipe.latent_channels :], recipe.initial_logstd)
        return encoder

    def config(self) -> dict[str, Any]:
        """Return the fields of the recipe that rebuild the encoder."""
        return {
            "hidden_channels": self.conv0.out_channels,
            "latent_channels": self.latent_channels,
            "activation": self.activation,
            "feature_dropout": self.dropout[0],
            "dropout": self.dropout[1],
            "bias": self.conv0.lin_l.bias is not None,
        }

    def prepare(
        self,
        x: Tensor | None,
        edge_index: Tensor,
        edge_weight: Tensor | None = None,
        *,
        masked: bool = False,
    ) -> tuple[Any, ...]:
        """Convert the arguments of :meth:`forward` once; refuse weights before the training."""
        _check_weights(edge_weight)
        return super().prepare(x, edge_index, edge_weight, masked=masked)

    def forward(
        self, x: Tensor | None, edge_index: Tensor, edge_weight: Tensor | None = None
    ) -> DiagGaussian | PointMass:
        """Infer the posterior of every node.

        Args:
            x: Node features, shape ``(N, in_channels)``, or ``None`` (the identity, which is
                never built).
            edge_index: Both directions of every edge, shape ``(2, E)``.
            edge_weight: ``None``, or equal weights: the mean has none.

        Raises:
            UsageError: If the weights differ.
        """
        _check_weights(edge_weight)
        drop_x, drop_h = self.dropout if self.training else (0.0, 0.0)
        h = getattr(F, self.activation)(self._first(x, edge_index, drop_x))
        h = h * kept(h, drop_h, self.generator) if drop_h > 0 else h
        heads = self.conv1(h, edge_index).chunk(self.posterior.num_heads, dim=-1)
        return self.posterior.from_heads(*heads)

    def _first(self, x: Tensor | None, edge_index: Tensor, drop: float) -> Tensor:
        """Return the first layer's output; without features, a node is a column of the weights."""
        if x is not None:
            x = self.scaled(x)
            return self.conv0(x * kept(x, drop, self.generator) if drop > 0 else x, edge_index)
        left, right = self.conv0.lin_l, self.conv0.lin_r.weight.T
        one = right[:, :1]
        rows = kept(one, drop, self.generator) if drop > 0 else torch.ones_like(one)
        columns = left.weight.T * rows
        h = self.conv0.propagate(edge_index, x=(columns, columns), size=None) + right * rows
        return h if left.bias is None else h + left.bias


def _check_weights(edge_weight: Tensor | None) -> None:
    """Raise ``UsageError`` unless all edges weigh the same."""
    if edge_weight is not None and not bool((edge_weight == edge_weight[:1]).all()):
        raise UsageError(
            "EDGE_WEIGHT",
            "GraphSAGE takes no edge weights; leave them out, or train another model.",
        )
