"""Decoder of directed links by a source and a target vector of each node."""

from typing import Any, ClassVar, Self

from torch import Tensor

from vgae.decoders.base import check_directed
from vgae.decoders.inner_product import InnerProductDecoder
from vgae.errors import UsageError
from vgae.graphs.grid import Grid
from vgae.recipes.graphs import Recipe


class SourceTargetDecoder(InnerProductDecoder):
    r"""Probability of a directed link from the source vector of i and the target vector of j.

    .. math:: p(A_{ij} = 1 \mid z_i, z_j) = \sigma(s_i \cdot t_j + b), \quad z_i = [s_i, t_i]

    The two halves of a latent vector are s and t, so that its width d is even, and two nodes may
    be linked in either direction with different probabilities. Arguments are those of
    :class:`~vgae.InnerProductDecoder`, without ``repel``, which s and t need not.

    Source: Salha, Limnios, Hennequin, Tran & Vazirgiannis (2019), `Gravity-Inspired Graph
    Autoencoders for Directed Link Prediction <https://arxiv.org/abs/1905.09570>`_, section 2.6,
    after Ou et al. (2016), `Asymmetric Transitivity Preserving Graph Embedding
    <https://doi.org/10.1145/2939672.2939751>`_.
    """

    directed: ClassVar[bool] = True

    @classmethod
    def from_recipe(cls, recipe: Recipe) -> Self:
        """Build a decoder with fresh weights; ``UsageError`` for settings that do not fit."""
        if recipe.latent_channels % 2:
            raise UsageError(
                "RECIPE",
                "source-target needs even latent_channels, the halves of a source and a target;"
                f" got {recipe.latent_channels}.",
            )
        if recipe.repel:
            raise UsageError("RECIPE", "source-target has no repel; leave it at 0.")
        return super().from_recipe(recipe)

    def prepare(
        self,
        edge_index: Tensor,
        num_nodes: int,
        edge_weight: Tensor | None = None,
        *,
        grid: Grid | None = None,
    ) -> Any:
        """Convert the links from source to target; raise ``UsageError`` without direction."""
        check_directed(grid, type(self).__name__)
        return super().prepare(edge_index, num_nodes, edge_weight, grid=grid)

    def left(self, z: Tensor) -> Tensor:
        """Return the source vectors, shape ``(N, d / 2)``."""
        return z[:, : _half(z)]

    def right(self, z: Tensor) -> Tensor:
        """Return the target vectors, shape ``(N, d / 2)``."""
        return z[:, _half(z) :]


def _half(z: Tensor) -> int:
    if z.shape[1] % 2:
        raise ValueError(f"z must have an even number of columns, got {z.shape[1]}.")
    return z.shape[1] // 2
