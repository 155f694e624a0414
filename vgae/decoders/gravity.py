"""Decoder of directed links by masses and distances of nodes."""

import math
from typing import Any, ClassVar, Literal, NamedTuple, Self

import torch
from torch import Tensor, nn

from vgae.decoders.base import GraphDecoder, MaskedLinks, check_directed, check_sum
from vgae.errors import DataError, UsageError
from vgae.graphs.grid import Grid
from vgae.kernels import PAIRS_PER_NODE, Logits, Pairs, Sampled
from vgae.kernels.csr import checked_edges
from vgae.kernels.gravity import gravity_loss, squared_distances
from vgae.recipes.graphs import Recipe


class DirectedLinks(NamedTuple):
    """Links of a graph as :meth:`GravityDecoder.prepare` returns them.

    Attributes:
        edge_index: Source and target of every link, shape ``(2, E)``.
        weight: How often each link counts, shape ``(E,)``; once if ``None``.
    """

    edge_index: Tensor
    weight: Tensor | None


class GravityDecoder(GraphDecoder):
    r"""Probability of a directed link from the mass of its target and the distance of its ends.

    .. math:: p(A_{ij} = 1 \mid x_i, x_j, m_j)
        = \sigma(m_j - \lambda \log(\|x_i - x_j\|^2 + \epsilon) + b)

    The last column of the latent vectors is the mass m, the others are the position x: a width d
    is d - 1 dimensions of space. A node with a high mass attracts links; of two nodes, the link to
    the one with the higher mass is more probable.

    Source: Salha, Limnios, Hennequin, Tran & Vazirgiannis (2019), `Gravity-Inspired Graph
    Autoencoders for Directed Link Prediction <https://arxiv.org/abs/1905.09570>`_,
    sections 3.3 to 3.5. The authors' code has this epsilon, and :math:`\lambda` is chosen for each
    graph and task.

    Args:
        weighting: As for :class:`~vgae.InnerProductDecoder`: ``"likelihood"`` has each ordered
            pair of different nodes once; ``"kipf"`` weights links by (N^2 - E) / E for E directed
            links, and counts self-pairs as links.
        bias: Whether the decoder learns b, initially zero.
        distance_weight: :math:`\lambda`, above 0; the smaller, the more the masses count.
        pairs: ``"exact"`` visits every pair in :meth:`log_prob`; ``"sampled"`` estimates their sum
            without bias from uniform blocks of ``pairs_per_node`` pairs a node. Its variance is
            above that of :class:`~vgae.InnerProductDecoder`, which subtracts a quadratic.
        pairs_per_node: Number of sampled pairs per node.
        epsilon: :math:`\epsilon`, above 0.
        generator: Source of sampled pairs, on the device of ``z``; ``None`` is torch's default.

    Raises:
        ValueError: If an option is out of range.
    """

    directed: ClassVar[bool] = True
    logits_kind: ClassVar[Logits] = "gravity"

    def __init__(
        self,
        *,
        weighting: Literal["kipf", "likelihood"] = "likelihood",
        bias: bool = False,
        distance_weight: float = 1.0,
        pairs: Pairs = "exact",
        pairs_per_node: int = PAIRS_PER_NODE,
        epsilon: float = 0.01,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        check_sum(weighting, pairs)
        for name, value in (("distance_weight", distance_weight), ("epsilon", epsilon)):
            if not 0 < value < math.inf:
                raise ValueError(f"{name} must be above 0, got {value}.")
        self.weighting: Literal["kipf", "likelihood"] = weighting
        self.bias = nn.Parameter(torch.zeros(())) if bias else None
        self.distance_weight = distance_weight
        self.pairs: Pairs = pairs
        self.pairs_per_node, self.epsilon, self.generator = pairs_per_node, epsilon, generator

    @classmethod
    def from_recipe(cls, recipe: Recipe, *, epsilon: float = 0.01) -> Self:
        """Build a decoder with fresh weights; raise ``UsageError`` without room for positions."""
        if recipe.latent_channels < 2:
            raise UsageError(
                "RECIPE",
                "gravity needs latent_channels of 2 or more, a mass and a position; got"
                f" {recipe.latent_channels}.",
            )
        return cls(
            weighting=recipe.weighting,
            bias=recipe.logit_bias,
            distance_weight=recipe.distance_weight,
            pairs="sampled" if recipe.pairs == "sampled" else "exact",
            pairs_per_node=recipe.pairs_per_node,
            epsilon=epsilon,
        )

    def config(self) -> dict[str, Any]:
        """Return the fields of the recipe, and the arguments of :meth:`from_recipe`."""
        return {
            "weighting": self.weighting,
            "logit_bias": self.bias is not None,
            "distance_weight": self.distance_weight,
            "epsilon": self.epsilon,
        }

    def forward(self, z: Tensor, edge_label_index: Tensor) -> Tensor:
        """Return the logits of given pairs; see :meth:`logits`."""
        return self.logits(z, edge_label_index)

    def logits(self, z: Tensor, edge_label_index: Tensor) -> Tensor:
        """Return the logits of given pairs from source to target.

        Args:
            z: Latent vectors, shape ``(N, d)``.
            edge_label_index: Pairs to be scored, shape ``(2, P)``.

        Returns:
            One logit per pair, shape ``(P,)``; ``sigmoid`` makes it a probability.
        """
        source, target = (z.index_select(0, end) for end in edge_label_index)
        distances = (source[:, :-1] - target[:, :-1]).square().sum(dim=-1)
        return self._logits(distances, target[:, -1])

    def logits_to_all(self, z: Tensor, nodes: Tensor) -> Tensor:
        """Return the logits of links from ``nodes`` to all nodes, shape ``(B, N)``."""
        return self._logits(self._distances(z, nodes), z[:, -1])

    def logits_from_all(self, z: Tensor, nodes: Tensor) -> Tensor:
        """Return the logits of links from all nodes to ``nodes``, shape ``(B, N)``."""
        return self._logits(self._distances(z, nodes), z[nodes, -1:])

    def prepare(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        edge_index: Tensor,
        num_nodes: int,
        edge_weight: Tensor | None = None,
        *,
        grid: Grid | None = None,
    ) -> DirectedLinks:
        """Check the target of :meth:`log_prob`, once before training.

        Args:
            edge_index: Source and target of every link, shape ``(2, E)``.
            num_nodes: N.
            edge_weight: How often each link counts, relative to the others, shape ``(E,)``.
            grid: The pairs that may be links, those of a directed graph.

        Raises:
            DataError: If an index or a weight is out of range.
            UsageError: If the grid is another one.
        """
        check_directed(grid, type(self).__name__)
        edges = checked_edges(edge_index, num_nodes, edge_weight)
        weight = None if edge_weight is None else edge_weight / edge_weight.mean()
        return DirectedLinks(edges, weight)

    def log_prob(self, z: Tensor, target: Any) -> Tensor:
        """Score the whole graph, every ordered pair of nodes, by ``weighting``.

        Args:
            z: Latent vectors, shape ``(N, d)``.
            target: Source and target of every link, shape ``(2, E)``; or the result of
                :meth:`prepare`; or :class:`MaskedLinks`, of which only the masked links count,
                with weights that keep the total.

        Returns:
            The weighted sum in nats, shape ``()``, or its estimate if ``pairs`` is ``"sampled"``.

        Raises:
            DataError: If ``target`` is not valid, or ``"kipf"`` finds no link in it.
        """
        masked, num_masked = None, 0.0
        if isinstance(target, MaskedLinks):
            target, masked, num_masked = target
        if isinstance(target, Tensor):
            target = self.prepare(target, len(z))
        edges, weight = target
        num_edges = edges.shape[1]
        weight = z.new_ones(num_edges) if weight is None else weight.to(z.dtype)
        weight = weight if masked is None else weight * masked
        predicted = num_edges if masked is None else num_masked
        if self.weighting == "kipf":
            if predicted == 0:
                raise DataError(
                    "NO_EDGES", "weighting 'kipf' divides by the number of edges, got none."
                )
            num_others = len(z) ** 2 - num_edges
            other_cost = len(z) ** 2 / (2 * num_others)
            link_cost = self_cost = other_cost * num_others / predicted
        else:
            link_cost, self_cost, other_cost = num_edges / max(predicted, 1), 0.0, 1.0
        selves = torch.arange(len(z), device=z.device).expand(2, -1)
        costs = torch.cat([weight * link_cost, z.new_full((len(z),), self_cost)])
        sampled = Sampled(self.pairs_per_node, self.generator)
        return -gravity_loss(
            z if self.bias is None else torch.cat([z[:, :-1], z[:, -1:] + self.bias], dim=1),
            z.new_tensor(self.distance_weight),
            torch.cat([edges, selves], dim=1),
            costs,
            other_cost,
            epsilon=self.epsilon,
            sampled=sampled if self.pairs == "sampled" else None,
        )

    def _distances(self, z: Tensor, nodes: Tensor) -> Tensor:
        x = z[:, :-1] - z[:, :-1].mean(dim=0)  # for smaller rounding errors
        return squared_distances(x.index_select(0, nodes), x)

    def _logits(self, distances: Tensor, mass: Tensor) -> Tensor:
        logits = mass - self.distance_weight * (distances + self.epsilon).log()
        return logits if self.bias is None else logits + self.bias
