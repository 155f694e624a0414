"""plan_training: what a training will take, said before anything is allocated."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import psutil
import torch

from vgae.errors import ResourceError
from vgae.graphs.graph import Graph
from vgae.kernels import EXACT_SECONDS, Cost, Pairs, choose_pairs, pairs_cost
from vgae.recipes import Recipe

_HEADROOM = 0.9  # share of the free memory that is planned with
_LIBRARIES = 140_000_000  # what torch and MKL allocate when they are first used
# glibc gives larger arrays back at once and keeps smaller ones, so that more of them are there.
_KEPT_BELOW = 32 * 2**20
_GIVEN_BACK = 14  # bytes a number of a layer's output takes in a training, measured


class Plan(NamedTuple):
    """How the pairs are summed, and what that and everything else will take.

    Attributes:
        pairs: ``"exact"`` or ``"sampled"``.
        why: The rule that chose, for people.
        loss: Pairs, seconds and bytes of the decoder's loss, an epoch.
        num_bytes: At most held at once, beyond the graph itself.
        available: Bytes that may be taken.
    """

    pairs: Pairs
    why: str
    loss: Cost
    num_bytes: int
    available: int

    def __str__(self) -> str:
        cost = self.loss
        return (
            f"pairs {self.pairs} ({self.why}): {cost.num_pairs:,} an epoch,"
            f" {_seconds(cost.seconds)}; training takes about {_megabytes(self.num_bytes)} of"
            f" {_megabytes(self.available)} that may be used"
        )


def plan_training(
    graph: Graph,
    num_train_links: int,
    widths: Sequence[int],
    recipe: Recipe,
    device: torch.device,
    *,
    max_bytes: int | None = None,
) -> Plan:
    """Choose how the pairs are summed, predict time and memory, and refuse what cannot fit.

    Args:
        graph: Nodes and features.
        num_train_links: Links that messages travel on.
        widths: Columns of each layer's output.
        recipe: How the pairs are summed, and d.
        device: Where.
        max_bytes: Most that may be taken, whatever is free; nine tenths of that if not given.

    Raises:
        ResourceError: If more is needed than there is.
    """
    size = graph.num_nodes, recipe.latent_channels, device
    pairs: Pairs = choose_pairs(*size) if recipe.pairs == "auto" else recipe.pairs
    loss = pairs_cost(*size, pairs=pairs, pairs_per_node=recipe.pairs_per_node)
    num_bytes = training_bytes(graph, num_train_links, widths, recipe) + loss.num_bytes
    available = int(_HEADROOM * available_bytes(device)) if max_bytes is None else max_bytes
    plan = Plan(pairs, _why(recipe, pairs), loss, num_bytes, available)
    if num_bytes > available:
        raise ResourceError(
            "MEMORY",
            f"training on {graph.num_nodes:,} nodes and {num_train_links:,} links takes about"
            f" {_megabytes(num_bytes)}, and {_megabytes(available)} may be used on {device}; use"
            " fewer hidden_channels or features, or allow more (max_bytes, --max-memory).",
        )
    return plan


def training_bytes(
    graph: Graph, num_train_links: int, widths: Sequence[int], recipe: Recipe
) -> int:
    """Predict what a training holds at once, beyond the graph and the sum over all pairs.

    Counted are weights with gradients, Adam's moments and two copies, sparse matrices and what
    makes them, activations and their gradients, and what masks, dropout and the like add; all
    float32.
    """
    nodes, entries = graph.num_nodes, 2 * num_train_links
    ins = [graph.num_features or nodes, *widths]
    drops = recipe.feature_dropout > 0
    weight_bytes = 24 + 4 * recipe.average + 8 * (drops or recipe.scale_features)
    weights = weight_bytes * sum(rows * columns for rows, columns in pairwise(ins))
    x = graph.x
    if x is None:
        features = 0
    elif x.layout == torch.sparse_csr:
        features = (12 + 24 * drops) * x.values().numel()  # the transpose; both with other values
    else:
        features = (4 + 8 * drops) * x.numel()  # averaged over the neighbours, or thinned out
    # edge_index, the normalised adjacency, the pattern of links with logits and slopes.
    matrices = 16 * entries + 8 * (entries + nodes) + 20 * entries
    matrices += 40 * (entries + nodes) * (recipe.mask > 0)
    kept = 28 + 8 * (recipe.dropout > 0) + 8 * (recipe.latent_norm > 0)
    layers = sum(w * (kept if 4 * nodes * w < _KEPT_BELOW else _GIVEN_BACK) for w in widths)
    activations = nodes * (layers + 100 * recipe.degrees)
    # While a matrix is made: codes, their order and copies of the edges; gone before training.
    making = 100 * (entries + nodes)
    return _LIBRARIES + features + matrices + max(making, weights + activations)


def available_bytes(device: torch.device) -> int:
    """Return the bytes that are free on a device: on a CPU, also within the container's limit."""
    if device.type == "cuda":
        # What torch has reserved and does not use, it will use before it asks for more.
        reserved = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + reserved
    return min(psutil.virtual_memory().available, _left_in_group(Path("/sys/fs/cgroup")))


def _left_in_group(group: Path) -> int:
    """Return what a control group (version 2) leaves; without a limit, more than there can be."""
    try:
        limit = int((group / "memory.max").read_text())
        used = int((group / "memory.current").read_text())
        stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):  # no such file, or the limit is "max"
        return 2**63 - 1
    # Files that were read and may be forgotten count as used, and are not in the way.
    return max(limit - used + int(stat.get("inactive_file", 0)), 0)


def _why(recipe: Recipe, pairs: Pairs) -> str:
    if recipe.pairs != "auto":
        return "as the recipe says"
    within = "within" if pairs == "exact" else "exact is not within"
    return f"{within} {EXACT_SECONDS:g} s"


def _seconds(seconds: float) -> str:
    if seconds < 1e-3:
        return "under 1 ms"
    return f"about {1e3 * seconds:.2g} ms" if seconds < 0.1 else f"about {seconds:.2g} s"


def _megabytes(num_bytes: int) -> str:
    return f"{num_bytes / 1e6:,.0f} MB"
