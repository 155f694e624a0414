"""Link decoder by inner products of latent vectors."""

from typing import Any, Literal, Self

import torch
from torch import Tensor, nn

from vgae.decoders.base import GraphDecoder, MaskedLinks, PreparedLinks
from vgae.errors import DataError
from vgae.kernels import PAIRS_PER_NODE, Pairs, Precision, Sampled, pair_loss
from vgae.kernels.csr import EdgePattern
from vgae.recipes.graphs import Recipe


class InnerProductDecoder(GraphDecoder):
    r"""Link probability from the inner product of two latent vectors.

    .. math:: p(A_{ij} = 1 \mid z_i, z_j) = \sigma(z_i \cdot z_j + b)

    Source: Kipf & Welling (2016), `Variational Graph Auto-Encoders
    <https://arxiv.org/abs/1611.07308>`_, equation 2.

    Args:
        weighting: Sum of :meth:`log_prob`. ``"likelihood"`` is the log-likelihood of the graph:
            each pair of two different nodes once, all weights 1. ``"kipf"`` is the negative
            objective of the paper's code: all N^2 ordered pairs, self-pairs counted as links,
            links weighted by ``pos_weight`` = (N^2 - E) / E and everything by ``norm`` =
            N^2 / (2 (N^2 - E)), where E counts both directions and no self-pairs. It is not a
            likelihood.
        bias: ``True`` learns the scalar b, initially zero, a prior on the density of links;
            ``False`` keeps it at zero. It changes no ranking.
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
        pairs: Pairs = "exact",
        pairs_per_node: int = PAIRS_PER_NODE,
        precision: Precision = "high",
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if weighting not in ("kipf", "likelihood"):
            raise ValueError(f"weighting must be 'kipf' or 'likelihood', got {weighting!r}.")
        if pairs not in ("exact", "sampled"):
            raise ValueError(f"pairs must be 'exact' or 'sampled', got {pairs!r}.")
        self.weighting = weighting
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
            pairs="sampled" if recipe.pairs == "sampled" else "exact",
            pairs_per_node=recipe.pairs_per_node,
            precision=recipe.precision,
        )

    def config(self) -> dict[str, Any]:
        """Return the fields of the recipe that rebuild the decoder."""
        return {"weighting": self.weighting, "logit_bias": self.bias is not None}

    def forward(self, z: Tensor, edge_label_index: Tensor) -> Tensor:
        """Return the logits of given pairs; see :meth:`logits`."""
        return self.logits(z, edge_label_index)

    def logits(self, z: Tensor, edge_label_index: Tensor) -> Tensor:
        """Return the logits of given pairs.

        Args:
            z: Latent vectors, shape ``(N, d)``.
            edge_label_index: Pairs to be scored, shape ``(2, P)``.

        Returns:
            One logit per pair, shape ``(P,)``; ``sigmoid`` makes it a probability.
        """
        src, dst = edge_label_index
        logits = (z.index_select(0, src) * z.index_select(0, dst)).sum(dim=-1)
        return logits if self.bias is None else logits + self.bias

    def factors(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return left and right, shape ``(N, d + 1)``: the logit of (u, v) is left[u] . right[v].

        Left is ``z`` with a column of the bias, right is ``z`` with a column of ones.
        """
        one = z.new_ones(len(z), 1)
        bias = 0 * one if self.bias is None else self.bias * one
        return torch.cat([z, bias], dim=1), torch.cat([z, one], dim=1)

    def logits_to_all(self, z: Tensor, nodes: Tensor) -> Tensor:
        """Return the logits of all nodes as partners of ``nodes``, shape ``(B, N)``."""
        logits = z.index_select(0, nodes) @ z.T
        return logits if self.bias is None else logits + self.bias

    def prepare(
        self, edge_index: Tensor, num_nodes: int, edge_weight: Tensor | None = None
    ) -> PreparedLinks:
        """Convert the target of :meth:`log_prob` into its fastest form, once before training.

        Args:
            edge_index: Both directions of every edge, shape ``(2, E)``.
            num_nodes: N.
            edge_weight: How often each edge counts, relative to the others, equal for both
                directions, shape ``(E,)``; in the result they have the mean 1.
        """
        pattern, weight = EdgePattern.of(edge_index, num_nodes), None
        if edge_weight is not None:
            weight = pattern.values(edge_weight / edge_weight.mean(), 1.0)
        return PreparedLinks(pattern, weight)

    def log_prob(self, z: Tensor, target: Tensor | PreparedLinks | MaskedLinks) -> Tensor:
        """Score the whole graph, every pair of nodes, by ``weighting``.

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
        pattern, weight = target
        num_edges = pattern.num_edges if masked is None else num_masked
        if masked is not None:
            masked = pattern.values(masked, 1.0)
            weight = masked if weight is None else weight * masked
        if weight is not None:  # before it meets numbers that float32 would round
            weight = weight.to(torch.promote_types(weight.dtype, z.dtype))
        if self.weighting == "likelihood":
            edge_cost, other_cost = pattern.num_edges / max(num_edges, 1) / 2, 0.5
        else:
            if num_edges == 0:
                raise DataError(
                    "NO_EDGES", "weighting 'kipf' divides by the number of edges, got none."
                )
            num_others = len(z) ** 2 - pattern.num_edges
            other_cost = len(z) ** 2 / (2 * num_others)  # norm
            edge_cost = other_cost * num_others / num_edges  # norm * pos_weight
        if weight is None:
            weight = z.new_full(pattern.col.shape, -edge_cost)
        else:
            weight = weight * -edge_cost
        if self.weighting == "likelihood":  # which knows no self-pairs
            weight.masked_fill_(pattern.is_loop, 0)
        sampled = Sampled(self.pairs_per_node, self.generator)
        return pair_loss(
            z,
            pattern,
            weight,
            -other_cost,
            self.bias,
            sampled=sampled if self.pairs == "sampled" else None,
            precision=self.precision,
        )
