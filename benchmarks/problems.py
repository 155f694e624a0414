"""The graphs that everything is measured on."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from vgae.data.catalog import data_home, entry, missing
from vgae.data.files import read_graph
from vgae.data.named import load_dataset
from vgae.graphs.graph import Graph
from vgae.graphs.grid import Grid
from vgae.graphs.non_links import sample_non_links
from vgae.graphs.split import LinkSplit, split_links

NETWORKS = ("facebook", "arxiv", "wikipedia", "ppi")


class Problem(NamedTuple):
    """What every side is given.

    Attributes:
        graph: Nodes, features and links, on the CPU.
        split: Links to train on.
        seed: Seed of split, weights, noise and sampled pairs.
        device: Device to train on.
    """

    graph: Graph
    split: LinkSplit
    seed: int = 0
    device: str = "cpu"


def named_graph(dataset: str, features: str) -> Graph:
    """Return a graph by name, or that of a file.

    Args:
        dataset: A name of the catalogue, ``"facebook"``, ``"arxiv"``, ``"wikipedia"`` or ``"ppi"``
            for ``$VGAE_DATA/networks/<name>.npz``, or the path of a file.
        features: ``"raw"``, or ``"none"`` to omit them.
    """
    path = data_home() / f"networks/{dataset}.npz" if dataset in NETWORKS else Path(dataset)
    if not path.suffix:
        return load_dataset(dataset, features=features)  # pyright: ignore[reportArgumentType]
    graph = read_graph(path)
    return graph if features == "raw" else graph.without_features()


def named_problem(dataset: str, features: str, seed: int = 0) -> Problem:
    """Return a named graph and its split; see :func:`named_graph`."""
    graph = named_graph(dataset, features)
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


def cora_like(*, small: bool = False) -> Problem:
    """Return a random graph with the counts of Cora: no time depends on which links there are.

    Args:
        small: A twentieth of everything.
    """
    share = 20 if small else 1
    num_nodes, width, nonzero = 2708 // share, 1433 // share, 49_216 // share
    generator = torch.Generator().manual_seed(0)
    places = torch.randint(num_nodes * width, (nonzero,), generator=generator).unique().numpy()
    ones = np.ones(len(places), np.float32)
    x = sp.coo_array((ones, (places // width, places % width)), shape=(num_nodes, width))
    links = random_links(num_nodes, 5278 // share)
    graph = Graph.from_edges(links, num_nodes=num_nodes, x=x, name="cora-like")
    return Problem(graph, split_links(graph))


def random_links(num_nodes: int, num_links: int, seed: int = 0) -> Tensor:
    """Return distinct pairs of nodes, each as likely as any other, shape ``(2, num_links)``."""
    nothing = torch.empty(2, 0, dtype=torch.int64)
    generator = torch.Generator().manual_seed(seed)
    return sample_non_links(nothing, Grid(num_nodes), num_links, generator)


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
