"""Non-links, drawn with equal probability and without rejection."""

import numpy as np
import torch
from torch import Tensor

from vgae.errors import DataError
from vgae.graphs.grid import Grid


def sample_non_links(
    links: Tensor, grid: Grid, num_samples: int, generator: torch.Generator
) -> Tensor:
    """Draw distinct non-links, each set of them equally likely, shape ``(2, num_samples)``.

    ``links`` holds each link once, as the grid stores it, shape ``(2, M)``. Distinct numbers of
    non-links are drawn, and a binary search among the links turns each into its pair. No draw is
    rejected, so a dense graph takes no longer than a sparse one.

    Raises:
        DataError: If fewer non-links exist.
    """
    available = grid.num_pairs - links.shape[1]
    if num_samples > available:
        raise DataError(
            "NO_NEGATIVES",
            f"the graph has {available} pairs without a link, but {num_samples} are needed to"
            " rank the held-out links against; hold fewer out (val, test), or none to train only.",
        )
    rank = _distinct(available, num_samples, generator)
    code = grid.numbers(links)
    code.numpy().sort()  # in place, where torch would return the order too
    code -= torch.arange(len(code))  # non-links before each link
    # In order, they are found ten times as fast.
    ascending, order = rank.sort()
    rank[order] = ascending + torch.searchsorted(code, ascending, right=True)
    return grid.pairs(rank)


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
