"""Link decoder by inner products of latent vectors; base class of other bilinear decoders."""

import operator
from typing import Any, Literal, Self

import torch
from torch import Tensor, nn

from vgae.decoders.base import (
    GraphDecoder,
    MaskedLinks,
    Prepared,
    PreparedLinks,
    PreparedPairs,
    blocks_of,
    check_sum,
)
from vgae.errors import DataError
from vgae.graphs.grid import Grid
from vgae.kernels import PAIRS_PER_NODE, Pairs, Precision, Sampled, pair_loss
from vgae.kernels.patterns import EdgePattern
from vgae.recipes.graphs import Recipe


class InnerProductDecoder(GraphDecoder):
    r"""Link probability from the inner product of two latent vectors.

    .. math:: p(A_{ij} = 1 \mid z_i, z_j) = \sigma(z_i \cdot z_j + b)

    With ``repel`` = k, the last k dimensions count negatively, so that similar nodes may be
    unlikely to link; the logit is
    :math:`\sum_{l \le d - k} z_{il} z_{jl} - \sum_{l > d - k} z_{il} z_{jl} + b`.

    A subclass with other logits :math:`l(z)_i \cdot r(z)_j + b` overrides :meth:`left` and
    :meth:`right`, which then ignore ``repel``, and nothing else; its logits may depend on the
    order of the two nodes.

    Source: Kipf & Welling (2016), `Variational Graph Auto-Encoders
    <https://arxiv.org/abs/1611.07308>`_, equation 2; for ``repel`` Peysakhovich & Bottou (2021),
    `An Attract-Repel Decomposition of Undirected Networks <https://arxiv.org/abs/2106.09671>`_.

    Args:
        weighting: Sum of :meth:`log_prob`. ``"likelihood"`` is the log-likelihood of the graph:
            each pair of the grid once, all weights 1. ``"kipf"`` is the negative objective of the
            paper's code: all P = N^2 ordered pairs, self-pairs counted as links, links weighted by
            ``pos_weight`` = (P - E) / E and everything by ``norm`` = P / (2 (P - E)), where E
            counts both directions and no self-pairs. It is not a likelihood. On a directed grid E
            counts the links; on a two-sided one of n and m nodes, P = 2 n m; on one of many
            graphs P is the sum of their N^2.
        bias: ``True`` learns the scalar b, initially zero, a prior on the density of links;
            ``False`` keeps it at zero. It changes no ranking.
        repel: k, at least 0 and at most d.
        pairs: ``"exact"`` visits every pair in :meth:`log_prob`; ``"sampled"`` estimates their sum
            without bias from ``pairs_per_node`` pairs a node, for graphs of very many nodes.
        pairs_per_node: Number of sampled pairs per node.
        precision: Precision of the Triton kernel; see :func:`vgae.kernels.pair_loss`.
        generator: Source of sampled pairs, on the device of ``z``; ``None`` is torch's default.
            :func:`vgae.fit` lends one during training.
    """

    def __init__(
        self,
        *,
        weighting: Literal["kipf", "likelihood"] = "likelihood",
        bias: bool = False,
        repel: int = 0,
        pairs: Pairs = "exact",
        pairs_per_node: int = PAIRS_PER_NODE,
        precision: Precision = "high",
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        check_sum(weighting, pairs)
        repel = operator.index(repel)
        if repel < 0:
            raise ValueError(f"repel must be at least 0, got {repel}.")
        self.weighting = weighting
        self.repel = repel
        self.bias = nn.Parameter(torch.zeros(())) if bias else None
        self.pairs: Pairs = pairs
        self.pairs_per_node = pairs_per_node
        self.precision: Precision = precision
        self.generator = generator

    @classmethod
    def from_recipe(cls, recipe: Recipe) -> Self:
        """Build a decoder with fresh weights."""
        return cls(
            weighting=recipe.weighting,
            bias=recipe.logit_bias,
            repel=recipe.repel,
            pairs="sampled" if recipe.pairs == "sampled" else "exact",
            pairs_per_node=recipe.pairs_per_node,
            precision=recipe.precision,
        )

    def config(self) -> dict[str, Any]:
        """Return the fields of the recipe that rebuild the decoder."""
        config = {"weighting": self.weighting, "logit_bias": self.bias is not None}
        return {**config, "repel": self.repel} if self.repel and self._is_own else config

    def left(self, z: Tensor) -> Tensor:
        """Return the vectors of nodes that are first in a pair, shape ``(N, k)``."""
        return z

    def right(self, z: Tensor) -> Tensor:
        """Return the vectors of nodes that are second in a pair, shape ``(N, k)``."""
        signature = self._signature(z)
        return z if signature is None else z * signature

    def _signature(self, z: Tensor) -> Tensor | None:
        """Return 1 for dimensions that attract and -1 for those that repel, shape ``(d,)``."""
        if not self.repel:
            return None
        if self.repel > z.shape[1]:
            raise ValueError(f"repel must be at most d = {z.shape[1]}, got {self.repel}.")
        signature = z.new_ones(z.shape[1])
        signature[-self.repel :].neg_()
        return signature

    @property
    def _is_own(self) -> bool:
        """Whether left and right are those of this class, so that no logit has an order."""
        mine = InnerProductDecoder
        return type(self).left is mine.left and type(self).right is mine.right

    def forward(self, z: Tensor, edge_label_index: Tensor) -> Tensor:
        """Return the logits of given pairs; see :meth:`logits`."""
        return self.logits(z, edge_label_index)

    def logits(self, z: Tensor, edge_label_index: Tensor) -> Tensor:
        """Return the logits of given pairs.

        Args:
            z: Latent vectors, shape ``(N, d)``.
            edge_label_index: Pairs to be scored, of a directed graph from the first node to the
                second, shape ``(2, P)``.

        Returns:
            One logit per pair, shape ``(P,)``; ``sigmoid`` makes it a probability.
        """
        src, dst = edge_label_index
        left, right = self.left(z), self.right(z)
        logits = (left.index_select(0, src) * right.index_select(0, dst)).sum(dim=-1)
        return logits if self.bias is None else logits + self.bias

    def factors(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return left and right, shape ``(N, k + 1)``: the logit of (u, v) is left[u] . right[v].

        :meth:`left` has a further column of the bias, and :meth:`right` one of ones.
        """
        one = z.new_ones(len(z), 1)
        bias = 0 * one if self.bias is None else self.bias * one
        return torch.cat([self.left(z), bias], dim=1), torch.cat([self.right(z), one], dim=1)

    def logits_to_all(self, z: Tensor, nodes: Tensor) -> Tensor:
        """Return the logits of the pairs (node, other) with all other nodes, shape ``(B, N)``."""
        logits = self.left(z).index_select(0, nodes) @ self.right(z).T
        return logits if self.bias is None else logits.add_(self.bias)

    def logits_from_all(self, z: Tensor, nodes: Tensor) -> Tensor:
        """Return the logits of the pairs (other, node) with all other nodes, shape ``(B, N)``."""
        logits = self.right(z).index_select(0, nodes) @ self.left(z).T
        return logits if self.bias is None else logits.add_(self.bias)

    def prepare(
        self,
        edge_index: Tensor,
        num_nodes: int,
        edge_weight: Tensor | None = None,
        *,
        grid: Grid | None = None,
    ) -> Prepared:
        """Convert the target of :meth:`log_prob` into its fastest form, once before training.

        Args:
            edge_index: Both directions of every edge, or those of a directed grid, shape
                ``(2, E)``.
            num_nodes: N.
            edge_weight: How often each edge counts, relative to the others, equal for both
                directions, shape ``(E,)``; in the result they have the mean 1.
            grid: Pairs that may be links; by default all two different nodes, in no order. A
                two-sided grid takes edges across only, and one of many graphs edges within graphs,
                whose pairs are then all that are visited.
        """
        grid = Grid(num_nodes) if grid is None else grid
        if grid.num_nodes != num_nodes:
            raise ValueError(f"grid must have {num_nodes} nodes, got {grid.num_nodes}.")
        if grid.directed or grid.sides is not None or not self._is_own:
            return PreparedPairs.of(edge_index, grid, edge_weight)
        pattern, weight = EdgePattern.of(edge_index, num_nodes), None
        if edge_weight is not None:
            weight = pattern.values(edge_weight / edge_weight.mean(), 1.0)
        return PreparedLinks(pattern, weight, blocks_of(grid, edge_index))

    def log_prob(self, z: Tensor, target: Tensor | Prepared | MaskedLinks) -> Tensor:
        """Score the whole graph, every pair of the grid, by ``weighting``.

        Args:
            z: Latent vectors, shape ``(N, d)``.
            target: Both directions of every edge, shape ``(2, E)``; or the result of
                :meth:`prepare`; or :class:`MaskedLinks`, of which only the masked links count,
                with weights that keep the total.

        Returns:
            The weighted sum in nats, shape ``()``, at most zero but for rounding; its estimate,
            which may be above, if ``pairs`` is ``"sampled"``.

        Raises:
            DataError: If ``target`` is not valid, or ``"kipf"`` finds no edge in it.
        """
        masked, num_masked = None, 0
        if isinstance(target, MaskedLinks):
            target, masked, num_masked = target
        if isinstance(target, Tensor):
            target = self.prepare(target, len(z))
        weight = target.weight
        num_edges = target.num_edges if masked is None else num_masked / target.given
        if masked is not None:
            masked = target.values(masked)
            weight = masked if weight is None else weight * masked
        if weight is not None:  # before it meets numbers that float32 would round
            weight = weight.to(torch.promote_types(weight.dtype, z.dtype))
        edge_cost, other_cost = self._costs(target, num_edges)
        if weight is None:
            weight = z.new_full((), -edge_cost).expand(target.pattern.col.shape)
        else:
            weight = weight * -edge_cost
        if self.weighting == "likelihood" and target.is_loop is not None:
            weight = weight.masked_fill(target.is_loop, 0)  # the likelihood has no self-pairs
        sampled = Sampled(self.pairs_per_node, self.generator)
        vectors, others = self._vectors(z, target)
        return pair_loss(
            *(vectors, target.pattern, weight, -other_cost, self.bias),
            **others,
            blocks=target.blocks,
            sampled=sampled if self.pairs == "sampled" else None,
            precision=self.precision,
        )

    def _costs(self, target: Prepared, num_edges: float) -> tuple[float, float]:
        """Return the cost of a pair that is a link to predict, and that of another pair."""
        if self.weighting == "likelihood":
            cost = target.num_edges / max(num_edges, 1) / target.counted
            return cost, 1 / target.counted
        if num_edges == 0:
            raise DataError(
                "NO_EDGES", "weighting 'kipf' divides by the number of edges, got none."
            )
        # Without any other pair, its cost is not used.
        num_others = max(target.num_pairs - target.num_edges, 1)
        norm = target.given * target.num_pairs / (2 * num_others)  # of both directions
        return norm * num_others / num_edges, norm  # norm * pos_weight, norm

    def _vectors(self, z: Tensor, target: Prepared) -> tuple[Tensor, dict[str, Tensor | None]]:
        """Return the vectors of the rows, and those of the columns or the signature."""
        if isinstance(target, PreparedLinks):
            if not self._is_own:
                raise ValueError("this target is of another decoder; prepare it with this one.")
            return z, {"signature": self._signature(z)}
        rows, columns = (
            vectors if nodes is None else vectors.index_select(0, nodes)
            for vectors, nodes in ((self.left(z), target.rows), (self.right(z), target.columns))
        )
        return rows, {"w": columns}
