"""Non-links, drawn with equal probability and without rejection."""

import numpy as np
import torch
from torch import Tensor

from vgae.errors import DataError


def sample_non_links(
    links: Tensor, num_nodes: int, num_samples: int, generator: torch.Generator
) -> Tensor:
    """Draw distinct non-links, each set of them equally likely, shape ``(2, num_samples)``.

    ``links`` holds each link once, shape ``(2, M)``; in all pairs, ``u < v``. Distinct numbers of
    non-links are drawn, and a binary search among the links turns each into its pair. No draw is
    rejected, so a dense graph takes no longer than a sparse one.

    Raises:
        DataError: If fewer non-links exist.
    """
    available = num_nodes * (num_nodes - 1) // 2 - links.shape[1]
    if num_samples > available:
        raise DataError(
            "NO_NEGATIVES",
            f"the graph has {available} pairs without a link, but {num_samples} are needed to"
            " rank the held-out links against; hold fewer out (val, test), or none to train only.",
        )
    rank = _distinct(available, num_samples, generator)
    # Pair (u, v), u < v, has the number v (v - 1) / 2 + u among all pairs.
    u, v = links
    code = (v * (v - 1) // 2 + u).sort().values
    non_links_before = code - torch.arange(len(code))
    code_drawn = rank + torch.searchsorted(non_links_before, rank, right=True)
    # The square root may be off by one for numbers of more than 53 bits.
    v = ((1 + (1 + 8 * code_drawn.double()).sqrt()) / 2).long()
    v = torch.where(v * (v - 1) // 2 > code_drawn, v - 1, v)
    v = torch.where((v + 1) * v // 2 <= code_drawn, v + 1, v)
    return torch.stack([code_drawn - v * (v - 1) // 2, v])


def _distinct(population: int, count: int, generator: torch.Generator) -> Tensor:
    """Draw ``count`` different integers from ``[0, population)``, in random order."""
    if population <= 4 * count:
        return torch.randperm(population, generator=generator)[:count]
    drawn = torch.empty(0, dtype=torch.int64)
    while len(drawn) < count:
        # randint uses a 32-bit remainder, which favours low numbers of a large population.
        more = torch.randint(2**62, (2 * count,), generator=generator)
        more = more[more < 2**62 // population * population] % population
        drawn = torch.cat([drawn, more])
        first = np.unique(drawn.numpy(), return_index=True)[1]
        drawn = drawn[torch.from_numpy(np.sort(first))]
    return drawn[:count]
