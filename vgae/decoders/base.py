"""Base class of the link decoders that can be named, saved, masked and weighted."""

from typing import Any, NamedTuple, Self

from torch import Tensor, nn

from vgae.kernels.csr import EdgePattern
from vgae.recipes.graphs import Recipe


class PreparedLinks(NamedTuple):
    """Links of a graph as :meth:`GraphDecoder.prepare` returns them: sorted, with their weights.

    Attributes:
        pattern: Links, both directions, and a self-pair for each node.
        weight: Weight of each entry of the pattern, 1 for self-pairs, shape ``(E + N,)``; all are
            1 if ``None``.
    """

    pattern: EdgePattern
    weight: Tensor | None


class MaskedLinks(NamedTuple):
    """Target in which the decoder predicts some links, and the encoder received the others.

    Attributes:
        links: All links, ``(2, E)`` or the result of ``prepare``; other pairs are non-links.
        masked: 1 for each edge, in the order in which they were given, that is to be predicted,
            else 0, equal for both directions, shape ``(E,)``.
        num_masked: Number of ones in ``masked``, or the expected one.
    """

    links: Tensor | PreparedLinks
    masked: Tensor
    num_masked: float


class GraphDecoder(nn.Module):
    """Decoder of links that is built from a recipe and rebuilt from its configuration.

    A subclass has the methods below. Registered with an encoder as a model
    (:mod:`vgae.models.registry`), it is then available wherever models have names.
    """

    @classmethod
    def from_recipe(cls, recipe: Recipe) -> Self:
        """Build a decoder with fresh weights."""
        raise NotImplementedError

    def config(self) -> dict[str, Any]:
        """Return the fields of the recipe that rebuild the decoder, as plain values.

        Other keys are passed to :meth:`from_recipe` as keyword arguments.
        """
        raise NotImplementedError

    def prepare(
        self, edge_index: Tensor, num_nodes: int, edge_weight: Tensor | None = None
    ) -> PreparedLinks:
        """Return the links as the target that :meth:`log_prob` takes, once before training.

        Args:
            edge_index: Both directions of every edge, shape ``(2, E)``.
            num_nodes: N.
            edge_weight: How often each edge counts, shape ``(E,)``; once if not given.
        """
        raise NotImplementedError

    def log_prob(self, z: Tensor, target: Tensor | PreparedLinks | MaskedLinks) -> Tensor:
        """Return the log-likelihood of all links in nats; its sum is used.

        Args:
            z: Latent vectors, shape ``(N, d)``.
            target: Result of :meth:`prepare`, or :class:`MaskedLinks`.
        """
        raise NotImplementedError

    def logits(self, z: Tensor, edge_label_index: Tensor) -> Tensor:
        """Return the logits of given pairs, shape ``(2, P)``, as shape ``(P,)``."""
        raise NotImplementedError
