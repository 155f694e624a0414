"""Link decoder of several relations, each with a weight for every latent dimension."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, Self

import torch
from torch import Tensor, nn

from vgae.decoders.base import GraphDecoder, check_sum
from vgae.errors import UsageError, did_you_mean
from vgae.graphs.grid import Grid
from vgae.graphs.subset_grid import SubsetGrid
from vgae.kernels import PAIRS_PER_NODE, Pairs, Precision, Sampled, pair_loss
from vgae.kernels.patterns import PairPattern
from vgae.recipes.graphs import Recipe


class RelationLinks(NamedTuple):
    """Links of one relation as :meth:`DistMultDecoder.prepare` returns them.

    The pairs that may be links are the cells of a rectangle, without self-pairs; those of an
    undirected relation within one set of nodes are there twice, once for each order.

    Attributes:
        pattern: Links and self-pairs among the cells.
        is_link: 1 for each link and 0 for each self-pair of the pattern, shape ``(nnz,)``.
        rows: Nodes of the rows, int64, shape ``(n,)``; ``None`` for all nodes.
        columns: Nodes of the columns, int64, shape ``(m,)``; ``None`` for all nodes.
        num_links: Number of links among the cells.
        num_cells: Number of cells that may be links.
        orders: How often each pair is there, 1 or 2.
    """

    pattern: PairPattern
    is_link: Tensor
    rows: Tensor | None
    columns: Tensor | None
    num_links: int
    num_cells: int
    orders: int

    @classmethod
    def of(cls, links: Tensor, grid: Grid, device: torch.device | str) -> "RelationLinks":
        """Sort the links, each once as the grid stores it, shape ``(2, M)``."""
        inner, nodes = grid, None
        if isinstance(grid, SubsetGrid):
            inner, nodes = grid.inner, grid.nodes
            links = grid.places[links]
        if inner.sides is not None:
            first, second = ((inner.sides == side).nonzero()[:, 0] for side in (False, True))
            place = torch.empty(inner.num_nodes, dtype=torch.int64)
            place[first], place[second] = torch.arange(len(first)), torch.arange(len(second))
            entries, is_link = place[links], torch.ones(links.shape[1])
            rows, columns = (ends if nodes is None else nodes[ends] for ends in (first, second))
            shape, selves = (len(first), len(second)), 0
        else:
            selves = inner.num_nodes
            shape, rows, columns = (selves, selves), nodes, nodes
            both = links if inner.directed else torch.cat([links, links.flip(0)], dim=1)
            entries = torch.cat([both, torch.arange(selves).expand(2, -1)], dim=1)
            is_link = torch.cat([torch.ones(both.shape[1]), torch.zeros(selves)])
        pattern = PairPattern.of(entries.to(device), shape)
        return cls(
            pattern,
            pattern.values(is_link.to(device)),
            None if rows is None else rows.to(device),
            None if columns is None else columns.to(device),
            num_links=int(is_link.sum()),
            num_cells=shape[0] * shape[1] - selves,
            orders=1 if inner.directed or inner.sides is not None else 2,
        )


class DistMultDecoder(GraphDecoder):
    r"""Link probability of each relation from a diagonal bilinear form of two latent vectors.

    .. math:: p(A^r_{ij} = 1 \mid z_i, z_j) = \sigma\Big(\sum_k z_{ik} R_{rk} z_{jk} + b_r\Big)

    Both orders of a pair have one logit, also in a directed relation. A negative weight
    :math:`R_{rk}` means that nodes which differ in k are linked.

    Source: Yang et al. (2015), `Embedding Entities and Relations for Learning and Inference in
    Knowledge Bases <https://arxiv.org/abs/1412.6575>`_, section 3.2; as the decoder of an
    auto-encoder: Schlichtkrull et al. (2018), `Modeling Relational Data with Graph Convolutional
    Networks <https://arxiv.org/abs/1703.06103>`_, equation 6.

    Args:
        latent_channels: Width d of the latent vectors.
        relations: Names of the relations r.
        weighting: Sum of :meth:`log_prob`. ``"likelihood"`` is the log-likelihood of all
            relations: each pair that may be a link once, all weights 1. ``"kipf"`` balances as
            :class:`vgae.InnerProductDecoder` does: the links of a relation count as much as its
            non-links, and each relation as much as the others; it is not a likelihood.
        bias: ``True`` learns :math:`b_r`, initially zero; ``False`` keeps it at zero.
        pairs: As for :class:`vgae.InnerProductDecoder`.
        pairs_per_node: Likewise.
        precision: Likewise.
        generator: Likewise.
    """

    def __init__(
        self,
        latent_channels: int,
        relations: Sequence[str],
        *,
        weighting: Literal["kipf", "likelihood"] = "likelihood",
        bias: bool = False,
        pairs: Pairs = "exact",
        pairs_per_node: int = PAIRS_PER_NODE,
        precision: Precision = "high",
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        check_sum(weighting, pairs)
        if not relations or isinstance(relations, str):
            raise ValueError("relations must name at least one relation.")
        self.relations = tuple(relations)
        self.weighting = weighting
        self.weight = nn.Parameter(torch.ones(len(self.relations), latent_channels))
        self.bias = nn.Parameter(torch.zeros(len(self.relations))) if bias else None
        self.pairs: Pairs = pairs
        self.pairs_per_node = pairs_per_node
        self.precision: Precision = precision
        self.generator = generator

    @classmethod
    def from_recipe(cls, recipe: Recipe, *, relations: Sequence[str] = ()) -> Self:
        """Build a decoder with fresh weights."""
        return cls(
            recipe.latent_channels,
            relations,
            weighting=recipe.weighting,
            bias=recipe.logit_bias,
            pairs="sampled" if recipe.pairs == "sampled" else "exact",
            pairs_per_node=recipe.pairs_per_node,
            precision=recipe.precision,
        )

    def draw_weights(self, generator: torch.Generator) -> None:
        """Draw the weights R from a normal distribution of mean 1 and deviation 1/2.

        With the ones of a new decoder, all relations would begin as one and the same.
        """
        with torch.no_grad():
            self.weight.normal_(1, 0.5, generator=generator)

    def config(self) -> dict[str, Any]:
        """Return the fields of the recipe and the arguments that rebuild the decoder."""
        own = {"weighting": self.weighting, "logit_bias": self.bias is not None}
        return {**own, "latent_channels": self.weight.shape[1], "relations": list(self.relations)}

    def of(self, relation: str) -> "RelationDecoder":
        """Return the decoder of one relation.

        Raises:
            UsageError: ``RELATION`` if there is none of this name.
        """
        if relation not in self.relations:
            listed = ", ".join(map(repr, self.relations))
            near = did_you_mean(relation, self.relations)
            raise UsageError(
                "RELATION", f"no relation {relation!r:.60}; there are {listed}.{near}"
            )
        return RelationDecoder(self, self.relations.index(relation))

    def logits(self, z: Tensor, edge_label_index: Tensor) -> Tensor:  # noqa: ARG002
        """Raise ``UsageError``: pairs are scored by the decoder :meth:`of` a relation."""
        raise UsageError(
            "RELATION",
            "this decoder has a logit for each relation; name one, as by decoder.of(relation).",
        )

    def prepare(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, links: Mapping[str, tuple[Tensor, Grid]]
    ) -> dict[str, RelationLinks]:
        """Convert the target of :meth:`log_prob` into its fastest form, once before training.

        Args:
            links: Links of each relation, each once as its grid stores it, shape ``(2, M)``, and
                the grid. A relation without links has no term.
        """
        given = {name: links[name] for name in self.relations if links[name][0].shape[1]}
        device = self.weight.device
        return {name: RelationLinks.of(*parts, device) for name, parts in given.items()}

    def log_prob(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, z: Tensor, target: Mapping[str, RelationLinks]
    ) -> Tensor:
        """Score all relations, every pair that may be a link, by ``weighting``.

        Args:
            z: Latent vectors, shape ``(N, d)``.
            target: Result of :meth:`prepare`.

        Returns:
            The weighted sum in nats, shape ``()``, at most zero but for rounding; its estimate,
            which may be above, if ``pairs`` is ``"sampled"``.
        """
        total = sum(links.num_cells for links in target.values())
        sampled = Sampled(self.pairs_per_node, self.generator) if self.pairs == "sampled" else None
        nats = z.new_zeros(())
        for name, links in target.items():
            number = self.relations.index(name)
            edge_cost = other_cost = 1 / links.orders
            if self.weighting == "kipf":
                half = total / (2 * len(target))
                edge_cost = half / links.num_links
                other_cost = half / max(links.num_cells - links.num_links, 1)
            left, right = z * self.weight[number], z
            nats = nats + pair_loss(
                left if links.rows is None else left.index_select(0, links.rows),
                links.pattern,
                links.is_link.to(z.dtype) * -edge_cost,
                -other_cost,
                None if self.bias is None else self.bias[number],
                w=right if links.columns is None else right.index_select(0, links.columns),
                sampled=sampled,
                precision=self.precision,
            )
        return nats


class RelationDecoder:
    """Decoder of one relation of a :class:`DistMultDecoder`, with its present weights.

    Args:
        decoder: Decoder of all relations.
        number: Place of the relation in ``decoder.relations``.
    """

    def __init__(self, decoder: DistMultDecoder, number: int) -> None:
        self.weight = decoder.weight[number]
        self.bias = None if decoder.bias is None else decoder.bias[number]

    def log_prob(self, z: Tensor, target: Any) -> Tensor:
        """Raise ``NotImplementedError``: relations are trained together."""
        raise NotImplementedError("relations are trained together.")

    def logits(self, z: Tensor, edge_label_index: Tensor) -> Tensor:
        """Return the logits of given pairs, shape ``(2, P)``, as shape ``(P,)``."""
        src, dst = edge_label_index
        z_src = z.index_select(0, src) * self.weight
        logits = (z_src * z.index_select(0, dst)).sum(dim=-1)
        return logits if self.bias is None else logits + self.bias

    def factors(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return left and right, ``(N, d + 1)``: the logit of (u, v) is left[u] . right[v]."""
        one = z.new_ones(len(z), 1)
        bias = 0 * one if self.bias is None else self.bias * one
        return torch.cat([z * self.weight, bias], dim=1), torch.cat([z, one], dim=1)
