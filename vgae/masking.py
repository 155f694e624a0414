"""LinkMasking: in each epoch, links that the encoder does not see and the decoder must predict."""

from typing import Any

import torch
from torch import Tensor

from vgae.decoders import MaskedLinks
from vgae.sparse import EdgePattern


class LinkMasking:
    """Hide a share of the links from the encoder, another one each time, and predict just those.

    A link that carries messages is seen before it is predicted: an encoder trained that way
    learns to recognise links that it has seen, and is tested on links that it has not. Here each
    epoch is the task of the test in small. Links that stay weigh ``1 / (1 - share)``, so that on
    average every node hears as much from its neighbours as it will when none is hidden.

    Source: Li et al. (2023), `What's Behind the Mask <https://arxiv.org/abs/2205.10053>`_, for
    masked graph auto-encoders; the weights are those of dropout.

    Args:
        links: Each link once, ``u < v``, shape ``(2, M)``.
        edge_index: The same in both directions, as the encoder has them, shape ``(2, 2M)``.
        share: Of the links, rounded, that is hidden, in (0, 1); at least one is, and one stays.
        generator: What is hidden; on the device of the edges.
    """

    def __init__(
        self, links: Tensor, edge_index: Tensor, share: float, generator: torch.Generator
    ) -> None:
        num_links = links.shape[1]
        self.links, self.edge_index, self.generator = links, edge_index, generator
        # Always as many, so that shapes never change.
        self.num_hidden = min(max(round(share * num_links), 1), num_links - 1)
        self.weight = num_links / max(num_links - self.num_hidden, 1)
        self.link = _link_of_edge(links, edge_index)

    def __call__(self, inputs: tuple[Any, Any], target: Tensor) -> tuple[tuple, MaskedLinks]:
        """Return what the encoder is called with and what the decoder scores, for one epoch.

        Args:
            inputs: Of the encoder, when nothing is hidden: ``(x, edges)``.
            target: Of the decoder: the links, both directions, or what its ``prepare`` made of
                them.
        """
        x, edges = inputs
        order = torch.randperm(
            self.links.shape[1], generator=self.generator, device=self.links.device
        )
        hidden, seen = order[: self.num_hidden], order[self.num_hidden :]
        weight = torch.zeros(self.links.shape[1], device=self.links.device)
        weight = weight.index_fill_(0, seen, self.weight)[self.link]
        masked = MaskedLinks(target, self.links[:, hidden])
        if isinstance(edges, EdgePattern):
            return (x, edges, weight), masked
        return (x, self.edge_index[:, weight > 0]), masked  # the encoder need not know of weights


def _link_of_edge(links: Tensor, edge_index: Tensor) -> Tensor:
    """Return which link each edge is a direction of, shape ``(2M,)``."""
    num_nodes = int(edge_index.max()) + 1 if edge_index.numel() else 0
    code, order = (links[0] * num_nodes + links[1]).sort()
    low, high = edge_index.sort(dim=0).values
    return order[torch.searchsorted(code, low * num_nodes + high)]
