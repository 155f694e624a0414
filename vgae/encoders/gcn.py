"""Graph convolutional encoder with two layers."""

from typing import Any, ClassVar, Unpack

import torch
import torch.nn.functional as F
from torch import Tensor

from vgae.encoders._convolution import (
    ConvolutionalEncoder,
    ConvolutionOptions,
    Edges,
)
from vgae.encoders._features import Features
from vgae.encoders.content import Content
from vgae.encoders.positions import Positions, unplaced
from vgae.encoders.roles import Roles
from vgae.encoders.walks import Walks
from vgae.errors import UsageError, did_you_mean
from vgae.gaussian import DiagGaussian, PointMass
from vgae.recipes.graphs import Activation, Recipe

ACTIVATIONS = {"relu": F.relu_, "elu": F.elu_}  # in place: of what nobody else has


class GCNOptions(ConvolutionOptions, total=False):
    """Options of a two-layer encoder; :class:`GCNEncoder` documents them."""

    walks: tuple[int, int] | tuple[int, int, float]
    roles: int
    content: tuple[int, float]


_OPTIONS = (*ConvolutionOptions.__annotations__, *GCNOptions.__annotations__)


class GCNEncoder(ConvolutionalEncoder):
    r"""Two-layer graph convolutional network that infers a posterior for every node.

    .. math::
        H = f(\hat A X W_0 + b_0), \quad
        (\mu, \log \sigma) = \hat A H W_1 + b_1, \quad
        \hat A = D^{-1/2} (A + c I) D^{-1/2}

    For node i, with c = 1: :math:`h_i = f(W_0^T \sum_{j \in N(i) \cup i} x_j /
    \sqrt{d_i d_j} + b_0)`, where d counts the neighbours and the node itself. With equal weights
    it equals two ``torch_geometric.nn.GCNConv`` layers. In training mode entries of X and of H
    are dropped.

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
        activation: f, ``"relu"`` or ``"elu"``.
        dropout: Rate of the entries of X and of H that are dropped in training, in ``[0, 1)``;
            two numbers are that of X and that of H.
        generator: Source of the initial weights; torch's default if not given.
        bias: ``True`` learns the biases b (PyG does, the paper's code does not).
        self_loop_weight: c; ``GCNConv(improved=True)`` has 2.
        latent_norm: l, the norm of the messages of the last layer: :math:`\mu = \hat A M`, where
            row i of M is :math:`l \, m_i / \|m_i\|` and :math:`m_i = W_1^T h_i + b_1`. The norm
            of a mean then depends on the number of neighbours of a node and on how well they
            agree, and not on the scale of the features. No posterior is then wider than the
            prior: log sigma is at most 0. ``None`` (the default) leaves both as they are.
        degrees: ``True`` adds 16 columns to X that encode the number of neighbours of a node
            among the given edges: :math:`X W_0` becomes :math:`X W_0 + \phi(d) W_d`, where
            :math:`\phi_k(d) = \max(0, 1 - |\log_2(1 + d) - k|)`. An average over neighbours
            hides how many they are. Never dropped.
        positions: Number of latent dimensions, the first ones, that are positions of a node in its
            graph; see :mod:`vgae.encoders.positions`.
        walks: Number of latent dimensions, the first ones, that are a learned polynomial of the
            messages, its degree K, and the gain of its initial coefficients unless they are equal;
            see :mod:`vgae.encoders.walks`.
        roles: Number of latent dimensions, the last ones, that know a node by degrees alone; see
            :mod:`vgae.encoders.roles`. With roles, a node without features and neighbours has no
            row of :math:`W_0`: all such nodes are alike.
        content: Number of further latent dimensions, before all others, that compare features and
            are not trained, and the length of their messages; see :mod:`vgae.encoders.content`.
            They are zeros until their weights are set, and absent in training mode.

    Raises:
        ValueError: If an option is out of range.

    Example:
        >>> encoder = GCNEncoder(1433, 32, 16)
        >>> q = encoder(torch.rand(3, 1433), torch.tensor([[0, 1], [1, 0]]))
        >>> q.mu.shape
        torch.Size([3, 16])
    """

    state_names: ClassVar = {
        "conv0.weight": "weight0",
        "conv1.weight": "weight1",
        "conv0.degree_weight": "degree_weight",
        "conv0.bias": "bias0",
        "conv1.bias": "bias1",
    }

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int = 32,
        latent_channels: int = 16,
        *,
        posterior: type[DiagGaussian] | type[PointMass] = DiagGaussian,
        activation: Activation = "relu",
        dropout: float | tuple[float, float] = 0.0,
        generator: torch.Generator | None = None,
        **options: Unpack[GCNOptions],
    ) -> None:
        super().__init__(in_channels, latent_channels, posterior)
        if activation not in ACTIVATIONS:
            raise ValueError(f"activation must be one of {[*ACTIVATIONS]}, got {activation!r}.")
        for name in options:
            if name not in _OPTIONS:
                rule = f"GCNEncoder has no option {name!r:.60}"
                raise UsageError("PARAMETER", f"{rule}.{did_you_mean(name, _OPTIONS)}")
        self.activation: Activation = activation
        common: dict[str, Any] = {**options, "generator": generator}
        norm, degrees = common.pop("latent_norm", None), common.pop("degrees", False)
        positions, roles = common.pop("positions", 0), common.pop("roles", 0)
        walks, content = common.pop("walks", (0, 1)), common.pop("content", (0, 1.0))
        drop_x, drop_h = (dropout,) * 2 if isinstance(dropout, int | float) else dropout
        self.conv0 = self.convolution(in_channels, hidden_channels, dropout=drop_x, **common)
        # One product for all heads: mu and log sigma stand side by side.
        own = latent_channels - positions - walks[0] - roles
        sizes = (hidden_channels, own, posterior.num_heads)
        self.conv1 = self.convolution(*sizes, dropout=drop_h, norm=norm, **common)
        if degrees:
            self.conv0.add_degrees(generator)
        if positions:
            self.place = Positions(positions)
        if walks[0]:
            self.walks = Walks(in_channels, *walks, dropout=drop_x, generator=generator)
        if roles:
            self.roles = Roles(roles, self.conv0.self_loop_weight, generator)
            self.conv0.alone_alike = True
        if content[0]:
            self.content = Content(in_channels, *content)

    @staticmethod
    def _options(recipe: Recipe) -> dict[str, Any]:
        return {
            "hidden_channels": recipe.hidden_channels,
            "activation": recipe.activation,
            "dropout": (recipe.feature_dropout, recipe.dropout),
            "walks": (recipe.walks, recipe.walk_length, recipe.walk_gain),
            "roles": recipe.roles,
            "content": (recipe.content, recipe.content_norm),
        }

    def config(self) -> dict[str, Any]:
        """Return the fields of the recipe that rebuild the encoder."""
        own: dict[str, Any] = {"activation": self.activation, "dropout": self.conv1.dropout}
        if walks := self._part("walks"):
            own |= {"walks": walks.width, "walk_length": walks.length}
        if roles := self._part("roles"):
            own |= {"roles": roles.width}
        if content := self._part("content"):
            own |= {"content": content.width, "content_norm": content.norm}
        return {"hidden_channels": self.conv0.weight.shape[1], **own, **super().config()}

    def forward(
        self, x: Features, edge_index: Edges, edge_weight: Tensor | None = None
    ) -> DiagGaussian | PointMass:
        """Infer the posterior of every node.

        Args:
            x: Node features, shape ``(N, in_channels)``: dense, sparse CSR, or ``None`` (the
                identity, which is never built).
            edge_index: Both directions of every edge, shape ``(2, E)``; self-loops are added. Or
                the adjacency as a sparse matrix, whose row i gathers from its columns (PyG's
                ``adj_t``); or the result of :meth:`prepare`, which is already normalised.
            edge_weight: One per column of ``edge_index``, not negative, shape ``(E,)``.

        Returns:
            The posterior; ``.mu`` of shape ``(N, latent_channels)`` is the embedding.

        Raises:
            DataError: If ``x`` is not as wide as ``in_channels``.
        """
        x, rows = unplaced(x)
        adj_norm = self.conv0.propagation(x, edge_index, edge_weight)
        (h,) = self.conv0(x, adj_norm, self.generator, self.feature_scale)
        h = ACTIVATIONS[self.activation](h)
        heads = self.conv1(h, adj_norm, self.generator)
        if walks := self._part("walks"):
            heads = walks(heads, x, adj_norm, self.generator, self.feature_scale)
        if roles := self._part("roles"):
            heads = roles(heads, adj_norm)
        if not self.training and (content := self._part("content")):
            heads = content(heads, x, adj_norm)
        return self._posterior(heads, adj_norm, rows)

    def _part(self, name: str) -> Any:
        """Return a part that not every encoder has, or ``None``."""
        return getattr(self, name, None)

    def __repr__(self) -> str:
        hidden_channels = self.conv0.weight.shape[1]
        return f"GCNEncoder({self.in_channels} -> {hidden_channels} -> {self.latent_channels})"
