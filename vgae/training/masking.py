"""LinkMasking: in each epoch, links that the encoder does not see and the decoder must predict."""

from typing import Any

import torch
from torch import Tensor

from vgae.decoders import MaskedLinks
from vgae.errors import DataError
from vgae.kernels.csr import EdgePattern


class LinkMasking:
    """Hide a share of the links from the encoder, another one each time, and predict just those.

    A link that carries messages is seen before it is predicted: an encoder trained that way
    learns to recognise links that it has seen, and is tested on links that it has not. Here each
    epoch is the task of the test in small. Links that stay weigh ``1 / (1 - share)``, so that on
    average every node hears as much from its neighbours as it will when none is hidden.

    Source: Li et al. (2023), `What's Behind the Mask <https://arxiv.org/abs/2205.10053>`_, for
    masked graph auto-encoders; the weights are those of dropout.

    Args:
        edge_index: Both directions of every link, as the encoder has them, sorted by row and then
            by column, shape ``(2, 2M)``.
        share: Of the links, rounded, that is hidden, in (0, 1); at least one is, and one stays.
        generator: What is hidden; on the device of the edges.

    Raises:
        DataError: If the edges are not in that order, or are fewer than two links.
    """

    def __init__(self, edge_index: Tensor, share: float, generator: torch.Generator) -> None:
        if edge_index.shape[1] < 4:
            raise DataError("NO_EDGES", "masking needs two links, one to see and one to predict.")
        code = edge_index[0] * (edge_index.max() + 1) + edge_index[1]
        if not (code.diff() > 0).all():
            raise DataError(
                "EDGE_ORDER",
                "edge_index must be sorted by row and then by column, without repeats.",
            )
        self.edge_index, self.generator = edge_index, generator
        self.num_links = num_links = edge_index.shape[1] // 2
        # Always as many, so that shapes never change.
        self.num_hidden = min(max(round(share * num_links), 1), num_links - 1)
        self.weight = num_links / (num_links - self.num_hidden)
        self.link = _link_of_edge(edge_index)

    def __call__(self, inputs: tuple[Any, ...], target: Tensor) -> list[tuple[tuple, MaskedLinks]]:
        """Return what the encoder is called with and what the decoder scores, in one step.

        Args:
            inputs: Of the encoder, when nothing is hidden: ``(x, edges)``, and of a weighted graph
                the weight of each edge.
            target: Of the decoder: the links, both directions, or what its ``prepare`` made of
                them.
        """
        x, edges, *edge_weight = inputs
        device = self.edge_index.device
        order = torch.randperm(self.num_links, generator=self.generator, device=device)
        hidden = torch.zeros(self.num_links, device=device)
        hidden = hidden.index_fill_(0, order[: self.num_hidden], 1)[self.link]
        masked = MaskedLinks(target, hidden, 2 * self.num_hidden)
        if isinstance(edges, EdgePattern):
            weight = self.weight * (1 - hidden)
            return [((x, edges, weight * edge_weight[0] if edge_weight else weight), masked)]
        seen = hidden == 0
        # An encoder of one's own need not know of weights where the graph has none.
        return [((x, self.edge_index[:, seen], *(w[seen] for w in edge_weight)), masked)]


def _link_of_edge(edge_index: Tensor) -> Tensor:
    """Return the number of the link that each edge is a direction of, shape ``(2M,)``."""
    num_nodes = int(edge_index.max()) + 1
    low, high = edge_index.sort(dim=0).values
    return (low * num_nodes + high).unique(return_inverse=True)[1]
