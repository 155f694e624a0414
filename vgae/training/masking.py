"""Link masking: the decoder predicts links that the encoder does not receive."""

from typing import Any

import torch
from torch import Tensor

from vgae.decoders import MaskedLinks
from vgae.encoders.directed import DirectedPattern
from vgae.errors import DataError
from vgae.kernels.partition import RowPattern
from vgae.kernels.patterns import EdgePattern


class LinkMasking:
    """Hide a random fraction of the links from the encoder in each epoch, and predict only those.

    An encoder that receives the links that it must predict learns to recognise them, but is tested
    on links that it does not receive. With masks, each epoch is the task of the test in small. The
    other links have the weight ``1 / (1 - rate)``, so that the expected messages of a node are
    those without masks.

    Source: Li et al. (2023), `What's Behind the Mask <https://arxiv.org/abs/2205.10053>`_, for
    masked graph auto-encoders; the weights are those of dropout.

    Args:
        edge_index: Edges of the links as the encoder has them, sorted by row and then by column,
            shape ``(2, E)``: both directions of every link, or those of a directed graph. The two
            directions of a pair are hidden together.
        rate: Fraction of the links that is hidden, in (0, 1); the count is rounded, and at least
            one link is hidden and one stays.
        generator: Source of the masks, on the device of the edges.
        target: Edges of the same links as the decoder has them; by default ``edge_index``.

    Raises:
        DataError: If the edges are not in that order, or are fewer than two links.
    """

    def __init__(
        self,
        edge_index: Tensor,
        rate: float,
        generator: torch.Generator,
        target: Tensor | None = None,
    ) -> None:
        num_nodes = int(edge_index.max()) + 1 if edge_index.numel() else 0
        if not ((edge_index[0] * num_nodes + edge_index[1]).diff() > 0).all():
            raise DataError(
                "EDGE_ORDER",
                "edge_index must be sorted by row and then by column, without repeats.",
            )
        self.edge_index, self.generator = edge_index, generator
        # The number of the link that each edge is a direction of.
        self.link = _links(edge_index, num_nodes)
        self.target_link = self.link if target is None else _links(target, num_nodes)
        self.num_links = num_links = int(self.link.max()) + 1 if edge_index.numel() else 0
        if num_links < 2:
            raise DataError("NO_EDGES", "masking needs two links, one to see and one to predict.")
        # A fixed number, so that shapes never change.
        self.num_hidden = min(max(round(rate * num_links), 1), num_links - 1)
        self.weight = num_links / (num_links - self.num_hidden)
        # In a directed graph, the expected number: some links have an edge, others two.
        self.num_masked = self.target_link.numel() * self.num_hidden / num_links

    def __call__(self, inputs: tuple[Any, ...], target: Tensor) -> list[tuple[tuple, MaskedLinks]]:
        """Return the inputs of the encoder and the target of the decoder for one step.

        Args:
            inputs: Inputs of the encoder without masks: ``(x, edges)``, or ``(x, edges, weights)``
                for a weighted graph.
            target: Target of the decoder: both directions of the links, or the result of its
                ``prepare``.
        """
        x, edges, *edge_weight = inputs
        device = self.edge_index.device
        order = torch.randperm(self.num_links, generator=self.generator, device=device)
        hidden = torch.zeros(self.num_links, device=device)
        chosen = hidden.index_fill_(0, order[: self.num_hidden], 1)
        hidden = own = chosen.index_select(0, self.link)
        if self.target_link is not self.link:
            own = chosen.index_select(0, self.target_link)
        masked = MaskedLinks(target, own, self.num_masked)
        if isinstance(edges, (EdgePattern, DirectedPattern, RowPattern)):
            weight = torch.rsub(hidden, self.weight, alpha=self.weight)
            return [((x, edges, weight * edge_weight[0] if edge_weight else weight), masked)]
        seen = hidden == 0
        # An encoder of your own needs no edge_weight for a graph without weights.
        own = (w[seen] if isinstance(w, Tensor) else w for w in edge_weight)
        return [((x, self.edge_index[:, seen], *own), masked)]


def _links(edge_index: Tensor, num_nodes: int) -> Tensor:
    """Return the number of the pair of nodes of each sorted edge, whatever its direction."""
    code = edge_index.amin(dim=0) * num_nodes
    code += edge_index.amax(dim=0)
    ascending = code[edge_index[0] < edge_index[1]]
    if 0 < len(ascending) < 2**31:  # of both directions, those that ascend are all pairs
        place = torch.searchsorted(ascending, code, out_int32=True)
        if torch.equal(ascending.index_select(0, place.clamp_max(len(ascending) - 1)), code):
            return place
    return code.unique(return_inverse=True)[1]
