"""Predicted time and memory of a training, before anything is allocated."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import torch

from vgae.encoders.content import most_columns
from vgae.errors import ResourceError
from vgae.graphs.block_grid import BlockGrid
from vgae.graphs.graph import Graph
from vgae.kernels import (
    EXACT_SECONDS,
    Blocks,
    Cost,
    Logits,
    Pairs,
    choose_pairs,
    entry_bytes,
    pairs_cost,
)
from vgae.recipes import Recipe
from vgae.runtime.mapped import BLOCK, LARGE, is_mapped
from vgae.runtime.memory import in_use
from vgae.training.durations import Duration, epoch_duration, seconds_text

_HEADROOM = 0.9  # fraction of the free memory that may be used
_LIBRARIES = 155_000_000  # what torch and MKL allocate when they are first used
# glibc frees larger arrays at once and keeps smaller ones, so that more of them are in memory.
_KEPT_BELOW = 32 * 2**20
_GIVEN_BACK = 14  # measured bytes per number of a larger layer's output


class Plan(NamedTuple):
    """Sum over the pairs of a training, and its predicted cost.

    Attributes:
        pairs: ``"exact"`` or ``"sampled"``.
        why: Reason for it, as text.
        loss: Pairs, seconds and bytes of the decoder's loss, per epoch.
        num_bytes: Peak memory in bytes, beyond the graph itself.
        available: Bytes that may be used.
        duration: Seconds of an epoch.
        epochs: Number of epochs, at most.
        parts: Number of processes among which nodes are divided.
    """

    pairs: Pairs
    why: str
    loss: Cost
    num_bytes: int
    available: int
    duration: Duration
    epochs: int
    parts: int = 1

    def __str__(self) -> str:
        seconds = self.duration.epoch
        whole = seconds_text(self.epochs * seconds)
        memory, most = _megabytes(self.num_bytes), _megabytes(self.available)
        return (
            f"pairs {self.pairs} ({self.why}): {self.loss.num_pairs:,} an epoch of"
            f" {seconds_text(seconds)}, {self.epochs:,} epochs {whole}; training takes about"
            f" {memory} of {most} that may be used"
        )


def plan_training(
    graph: Graph,
    num_train_links: int,
    widths: Sequence[int],
    recipe: Recipe,
    device: torch.device,
    *,
    max_bytes: int | None = None,
    logits: Logits = "bilinear",
    parts: int = 1,
    partition: bool | None = None,
) -> Plan:
    """Choose how the pairs are summed, predict time and memory, and check that they suffice.

    Args:
        graph: Nodes and features.
        num_train_links: Number of links that messages travel on.
        widths: Columns of each layer's output.
        recipe: Settings.
        device: Device of the training.
        max_bytes: Bytes that the process may have in all, or on a GPU the training; nine tenths of
            the free memory for the training if not given.
        logits: Formula of the decoder's logits.
        parts: Number of processes among which nodes can be divided.
        partition: Whether they shall be; if ``None``, if pairs are sampled or the memory of one
            process does not suffice for all nodes.

    Raises:
        ResourceError: If the memory does not suffice.
    """
    num_rows, num_columns = graph.grid.rectangle or (graph.num_nodes, None)
    if isinstance(graph.grid, BlockGrid):
        num_rows = Blocks.of(graph.grid.sizes)
    size = num_rows, recipe.latent_channels, device
    options: Any = {"num_columns": num_columns, "logits": logits}
    pairs: Pairs = choose_pairs(*size, **options) if recipe.pairs == "auto" else recipe.pairs
    loss = pairs_cost(*size, pairs=pairs, pairs_per_node=recipe.pairs_per_node, **options)
    num_bytes = _training_bytes(graph, num_train_links, widths, recipe) + loss.num_bytes
    available = int(_HEADROOM * available_bytes(device)) if max_bytes is None else max_bytes
    # A limit is that of the whole process, with libraries and graph.
    used = in_use() if max_bytes is not None and device.type == "cpu" else 0
    divided = partition or pairs == "sampled" or num_bytes + used > available
    parts = parts if divided else 1
    if parts > 1:
        num_bytes = _training_bytes(graph, num_train_links, widths, recipe, parts)
        num_bytes += loss.num_bytes
    why = f"{'within' if pairs == 'exact' else 'exact is not within'} {EXACT_SECONDS:g} s"
    if isinstance(num_rows, Blocks) and pairs == "exact" and loss.seconds > EXACT_SECONDS:
        why = "the graphs are too small to sample their pairs"
    why = why if recipe.pairs == "auto" else "as the recipe says"
    if num_bytes + used > available:
        beside = f", beside {_megabytes(used)} that the process has already" if used else ""
        raise ResourceError(
            "MEMORY",
            f"training on {graph.num_nodes:,} nodes and {num_train_links:,} links takes about"
            f" {_megabytes(num_bytes)}, and {_megabytes(available)} may be used on {device}"
            f"{beside}; use {_remedies(graph, recipe, pairs)}, or allow more than"
            f" {_megabytes(num_bytes + used)} (max_bytes, --max-memory).",
        )
    duration = epoch_duration(graph, num_train_links, widths, recipe, device, loss, parts=parts)
    return Plan(pairs, why, loss, num_bytes, available, duration, recipe.epochs, parts)


def _remedies(graph: Graph, recipe: Recipe, pairs: Pairs) -> str:
    """Return what makes a training take less memory."""
    found = ["fewer hidden_channels or features"]
    if pairs == "exact":
        found.insert(0, "sampled pairs (--pairs sampled)")
    if recipe.mask > 0:
        found.insert(0, "no masks (--set mask=0)")
    x = graph.x
    if x is not None and x.layout == torch.strided and not is_mapped(x) and x.nbytes > LARGE:
        found.insert(0, "features in a .npy of float32, which stay in their file")
    return ", ".join(found)


def _training_bytes(
    graph: Graph, num_train_links: int, widths: Sequence[int], recipe: Recipe, parts: int = 1
) -> int:
    """Predict the peak memory of a training, beyond the graph and the sum over all pairs.

    With parts, each process has features, activations and messages of a part of the nodes, and
    the latent vectors of all.

    It has weights with gradients, Adam's moments and two copies, sparse matrices and their
    construction, activations and their gradients, masks and dropout; all float32.
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
        features = (12 + 24 * drops) * x.values().numel()  # the transpose; both with dropout
    elif is_mapped(x):
        features = (2 + drops) * BLOCK
    else:
        features = (8 if drops else 4) * x.numel()  # with dropout, or averaged over neighbours
    num_entries, is_masked = entries + nodes, recipe.mask > 0
    work = entry_bytes(nodes, torch.device("cpu"))
    # The sorted entries, the normalised adjacency, and the weights; with masks, also the edges and
    # their links, and each of these again for an epoch.
    matrices = (16 + 46 * is_masked + work) * num_entries
    kept = 28 + 4 * (recipe.dropout > 0) + 4 * (recipe.latent_norm > 0)
    layers = sum(w * (kept if 4 * nodes * w < _KEPT_BELOW else _GIVEN_BACK) for w in widths)
    activations = nodes * (layers + 100 * recipe.degrees)
    # The means of an evaluation, with their content before and after a product.
    activations = max(activations, 12 * nodes * most_columns(nodes, ins[0], recipe.content))
    # Construction of a matrix: both directions, their order and copies; freed before training.
    making = (32 + 40 * is_masked) * num_entries
    if not is_masked and 4 * num_entries > _KEPT_BELOW:
        # The adjacency alone, beside which it is made, or that of the health check.
        matrices, making = (8 + work) * num_entries, 24 * num_entries
    if x is not None and "features" in recipe.reconstruct:
        # Blocks of entries, the mask of missing ones, weights as above.
        features += 24 * 2**18 + x.numel() * (graph.missing is not None)
        weights += weight_bytes * recipe.latent_channels * x.shape[1]
    if parts > 1:
        messages = 8 * (entries + nodes)
        features, activations = features // parts, activations // parts
        activations += 16 * nodes * recipe.latent_channels
        matrices -= messages - messages // parts
    return _LIBRARIES + features + matrices + max(making, weights + activations)


def available_bytes(device: torch.device) -> int:
    """Return the free bytes of a device; on a CPU, at most those of the container's limit."""
    if device.type == "cuda":
        # Torch uses its reserved memory first.
        reserved = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + reserved
    return min(psutil.virtual_memory().available, _left_in_group(Path("/sys/fs/cgroup")))


def _left_in_group(group: Path) -> int:
    """Return the free bytes of a control group (version 2); 2^63 - 1 without a limit."""
    try:
        limit = int((group / "memory.max").read_text())
        used = int((group / "memory.current").read_text())
        stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):  # no such file, or the limit is "max"
        return 2**63 - 1
    # The page cache counts as used, but can be freed.
    return max(limit - used + int(stat.get("inactive_file", 0)), 0)


def _megabytes(num_bytes: int) -> str:
    return f"{num_bytes / 1e6:,.0f} MB"
