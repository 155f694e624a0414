"""The graphs that everything is measured on."""

from typing import NamedTuple

import torch
from torch import Tensor

from vgae.data.catalog import entry, missing
from vgae.data.named import load_dataset
from vgae.graphs.graph import Graph
from vgae.graphs.non_links import sample_non_links
from vgae.graphs.split import LinkSplit, split_links


class Problem(NamedTuple):
    """What every side is given; ``seed`` is that of split, weights, noise and sampled pairs."""

    graph: Graph
    split: LinkSplit
    seed: int = 0


def named_problem(dataset: str, features: str, seed: int = 0) -> Problem:
    """Return a data set of the catalogue; ``features`` is ``"raw"`` or ``"none"``."""
    graph = load_dataset(dataset, features=features)
    return Problem(graph, split_links(graph, seed=seed), seed)


def random_problem(
    num_nodes: int, num_links: int, *, num_features: int = 0, seed: int = 0
) -> Problem:
    """Return uniformly random links and, if asked for, dense features of normal noise."""
    shape = (num_nodes, num_features)
    x = torch.randn(shape, generator=torch.Generator().manual_seed(seed)) if num_features else None
    links = random_links(num_nodes, num_links, seed)
    graph = Graph.from_edges(links, num_nodes=num_nodes, x=x, name="random")
    return Problem(graph, split_links(graph, seed=seed), seed)


def random_links(num_nodes: int, num_links: int, seed: int = 0) -> Tensor:
    """Return distinct pairs of nodes, each as likely as any other, shape ``(2, num_links)``."""
    nothing = torch.empty(2, 0, dtype=torch.int64)
    generator = torch.Generator().manual_seed(seed)
    return sample_non_links(nothing, num_nodes, num_links, generator)


def small_nodes(side: str) -> int:
    """Return how many nodes a rehearsal has.

    This package takes compiled code where there are 2,000 or more. Of a peer's N x N matrices,
    large ones would change how the allocator treats those that are measured.
    """
    return 2048 if side.startswith("ours") else 64


def small_problem(side: str) -> Problem:
    """Return what a side is rehearsed on."""
    num_nodes = small_nodes(side)
    return random_problem(num_nodes, 2 * num_nodes, num_features=8)


def is_there(dataset: str) -> bool:
    """Return whether the files of a data set are on this machine."""
    return not missing(entry(dataset))
