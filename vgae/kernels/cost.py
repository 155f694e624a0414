"""Predicted time and memory of the sum over all pairs."""

import math
from typing import Literal, NamedTuple

import numpy as np
import torch

from vgae.kernels._available import FEWEST_SPARSE, works
from vgae.kernels._sampled import (
    PAIRS_PER_NODE,
    Sampled,
    is_compiled,
    largest_exact,
    sampled_blocks,
)
from vgae.kernels._tiled import block_buffer, buffer_shape, largest_padded
from vgae.kernels.blocks import Blocks
from vgae.kernels.gravity import LINKS_AT_ONCE, TILE
from vgae.kernels.inner_product import Impl, chosen_impl

Pairs = Literal["exact", "sampled"]
Logits = Literal["bilinear", "gravity"]

EXACT_SECONDS = 1.0
"""Longest predicted time of a pass for which ``pairs="auto"`` takes the exact sum."""

# Nanoseconds per ordered pair, (a, b) of a + b d. On a CPU for one thread, fitted to measurements
# with AVX-512 at d = 16 (19,717 nodes), 64 and 128 (8,192 nodes); "dense" at d = 16 on Cora alone.
# "triton" is derived from machine code for a Hopper (benchmarks/compiled.py) and not yet measured.
# Per pair, the larger of issue slots and their equivalent in time of the tensor cores is 16 at
# d = 16, 40 at 64 and 80 at 128, about 8 + 0.55 d: of 128 slots per clock at 1.98 GHz on 132
# processors, 70 % of the time. "tiled" on a GPU is a guess, too.
_SLOTS_PER_NANOSECOND = 0.7 * 128 * 1.98 * 132
_NANOSECONDS = {
    ("compiled", "cpu"): (0.12, 0.041),
    ("tiled", "cpu"): (0.80, 0.032),
    ("dense", "cpu"): (9.80, 0.0),
    ("tiled", "cuda"): (6e-3, 1e-5),
    ("triton", "cuda"): (8 / _SLOTS_PER_NANOSECOND, 0.55 / _SLOTS_PER_NANOSECOND),
    # d = 8, 32 and 128 (2,708 nodes); on a GPU a guess.
    ("gravity", "cpu"): (9.0, 0.05),
    ("gravity-sampled", "cpu"): (18.0, 0.5),
    ("gravity", "cuda"): (2e-2, 1e-5),
    ("gravity-sampled", "cuda"): (4e-2, 1e-4),
}

# Columns besides its own that are visited for each row of a block, at most.
_COLUMNS_OF_TILE = {"compiled": 32, "triton": 64}
# Nanoseconds per row of a small block, (a, b) of a + b d: blocks of 5 to 300 rows, d = 16 and 64.
_NANOSECONDS_OF_ROW = (50.0, 7.0)

_GRAVITY_BUFFERS = 8  # tiles that are held at once
_COMPILER = 110 << 20  # bytes of numba and of what it compiles


class Cost(NamedTuple):
    """Predicted cost of one pass for value and gradient together.

    Attributes:
        num_pairs: Number of ordered pairs, all or those drawn.
        seconds: Time on an otherwise idle machine.
        num_bytes: Peak memory besides ``z``.
    """

    num_pairs: int
    seconds: float
    num_bytes: int


def pairs_cost(
    num_nodes: int | Blocks,
    latent_channels: int,
    device: torch.device | str = "cpu",
    *,
    pairs: Pairs = "exact",
    pairs_per_node: int = PAIRS_PER_NODE,
    impl: Impl = "auto",
    num_columns: int | None = None,
    logits: Logits = "bilinear",
) -> Cost:
    """Predict the cost of one pass over the pairs; ``pairs_per_node`` is for ``"sampled"`` only.

    With blocks instead of N, the pairs are those within blocks. For ``impl`` see
    :func:`vgae.kernels.all_pairs`. With ``num_columns``, the pairs are those of two sets of
    vectors, whose logits have no symmetry that saves half of the work. ``logits`` are products of
    vectors, or those of :func:`vgae.kernels.gravity.gravity_loss`, to which ``impl`` and
    ``num_columns`` do not apply.
    """
    kind = torch.device(device).type
    if isinstance(num_nodes, Blocks):
        options = latent_channels, torch.device(device), impl
        if pairs == "exact":
            return _blocks_cost(num_nodes, *options)
        return _estimate_cost(num_nodes, *options, pairs_per_node)
    if logits == "gravity":
        return _gravity_cost(num_nodes, latent_channels, kind, pairs, pairs_per_node)
    rows = 4 * (num_nodes + (num_columns or 0)) * latent_channels  # bytes of the vectors
    if pairs == "sampled":
        sizes = (num_nodes,) if num_columns is None else (num_nodes, num_columns)
        num_blocks, block, step = sampled_blocks(sizes, pairs_per_node, kind)
        num_pairs = num_blocks * block**2
        shape = block, latent_channels
        how = "compiled" if is_compiled(max(sizes), shape, torch.device(device)) else "tiled"
        # Each pair has a gradient in both directions, and no symmetry saves half of them.
        seconds = _seconds(how, kind, latent_channels, 2 * num_pairs)
        # Blocks, their gradient, that of z and temporaries of these; three buffers of a step.
        room = _COMPILER if how == "compiled" else 12 * step * block**2
        return Cost(num_pairs, seconds, 7 * rows + room)
    num_pairs = num_nodes * (num_nodes if num_columns is None else num_columns)
    impl = chosen_impl(impl, math.isqrt(num_pairs), latent_channels, torch.device(device))
    num_bytes = {
        "dense": 28 * num_pairs,
        "tiled": 6 * rows + 4 * math.prod(buffer_shape(num_nodes, kind, num_columns)),
        "compiled": (5 + torch.get_num_threads()) * rows + _COMPILER,
        "triton": sum(
            triton_bytes(n, latent_channels) for n in (num_nodes, num_columns or 0) if n
        ),
    }
    visits = num_pairs if num_columns is None or impl == "dense" else 2 * num_pairs
    return Cost(num_pairs, _seconds(impl, kind, latent_channels, visits), num_bytes[impl])


def _blocks_cost(blocks: Blocks, width: int, device: torch.device, impl: Impl) -> Cost:
    """Return the cost of the exact sum over the pairs within blocks."""
    kind, rows = device.type, 4 * blocks.num_nodes * width
    impl = chosen_impl(impl, math.isqrt(blocks.num_pairs), width, device)
    largest = int(blocks.sizes.max(initial=0))
    num_bytes = {
        "dense": 30 * blocks.num_nodes**2,
        "tiled": 9 * rows + 24 * blocks.num_nodes + 4 * block_buffer(blocks, kind),
        # The private gradients of threads are those of one large block.
        "compiled": 5 * rows + 4 * width * torch.get_num_threads() * largest + _COMPILER,
        "triton": triton_bytes(blocks.num_nodes, width) + 8 * blocks.num_nodes,
    }
    return Cost(blocks.num_pairs, _blocks_seconds(blocks, impl, kind, width), num_bytes[impl])


def _blocks_seconds(blocks: Blocks, impl: str, kind: str, width: int) -> float:
    seconds = _seconds(impl, kind, width, _visits(blocks, impl, kind))
    if kind != "cpu":
        return seconds
    (fixed, slope), rows = _NANOSECONDS_OF_ROW, int(blocks.sizes.sum())
    return seconds + 1e-9 * (fixed + slope * width) * rows / torch.get_num_threads()


def _visits(blocks: Blocks, impl: str, kind: str) -> int:
    """Return the number of pairs that take the time of ordered pairs of one large block."""
    if impl == "dense":
        return blocks.num_nodes**2
    if impl == "tiled":  # padded blocks have no symmetry that saves half of the work
        largest = largest_padded(kind)
        padded = sum(len(rows) * rows.shape[1] ** 2 for rows in blocks.padded(largest))
        return 2 * padded + blocks.num_pairs - blocks.up_to(largest).num_pairs
    sizes = blocks.sizes
    least = _COLUMNS_OF_TILE[impl]
    least = np.minimum(sizes, least) if kind == "cpu" else least
    return int((sizes * (sizes + least)).sum())


def _estimate_cost(
    blocks: Blocks, width: int, device: torch.device, impl: Impl, pairs_per_node: int
) -> Cost:
    """Return the cost of the estimate, in which the sum over small blocks is exact."""
    largest = largest_exact(Sampled(pairs_per_node), device)
    found = [_blocks_cost(blocks.up_to(largest), width, device, impl)]
    sizes, counts = np.unique(blocks.sizes[blocks.sizes > largest], return_counts=True)
    options = {"pairs": "sampled", "pairs_per_node": pairs_per_node}
    for size, count in zip(sizes.tolist(), counts.tolist(), strict=True):
        cost = pairs_cost(size, width, device, **options)
        found.append(Cost(count * cost.num_pairs, count * cost.seconds, cost.num_bytes))
    pairs, seconds, num_bytes = zip(*found, strict=True)
    return Cost(sum(pairs), sum(seconds), max(num_bytes))


def _gravity_cost(
    num_nodes: int, latent_channels: int, kind: str, pairs: Pairs, pairs_per_node: int
) -> Cost:
    """Return the cost of gravity logits, whose tiles are visited once for both directions."""
    # Centred positions, their gradient and that of z, and temporaries; positions of some links.
    rows = 7 * 4 * num_nodes * latent_channels + 4 * 4 * LINKS_AT_ONCE
    if pairs == "sampled":
        num_blocks, block, step = sampled_blocks((num_nodes,), pairs_per_node, kind)
        num_pairs = num_blocks * block**2
        seconds = _seconds("gravity-sampled", kind, latent_channels, 2 * num_pairs)
        return Cost(num_pairs, seconds, rows + _GRAVITY_BUFFERS * 4 * step * block**2)
    tile = math.prod(min(num_nodes, size) for size in TILE.get(kind, TILE["cpu"]))
    seconds = _seconds("gravity", kind, latent_channels, num_nodes**2)
    return Cost(num_nodes**2, seconds, rows + _GRAVITY_BUFFERS * 4 * tile)


def entry_bytes(num_nodes: int, device: torch.device) -> int:
    """Return the work space of the sum over links, in bytes for each entry of their pattern.

    Compiled code has no logits and slopes in memory.
    """
    is_compiled = num_nodes >= FEWEST_SPARSE and works("compiled", device)
    return 0 if is_compiled or works("triton_csr", device) else 28


def triton_bytes(num_nodes: int, latent_channels: int, splits: int | None = None) -> int:
    """Return the memory of the Triton kernel: pieces of z, gradients and sums of each split.

    As many splits as a GPU of 132 processors takes, if not given.
    """
    width = max(16, 1 << max(latent_channels - 1, 0).bit_length())
    padded = num_nodes + 64
    if splits is None:
        # As in _triton.num_splits: 32 programs of 64 rows per processor, but at least four tiles
        # of columns each, and at most 4096.
        tiles = -(-num_nodes // (64 if width <= 64 else 32))
        splits = max(min(-(-32 * 132 * 64 // padded), tiles // 4), -(-tiles // 4096), 1)
    return padded * (6 * width + splits * (4 * width + 16) + 4 * latent_channels) + 64


def choose_pairs(
    num_nodes: int | Blocks,
    latent_channels: int,
    device: torch.device | str,
    num_columns: int | None = None,
    logits: Logits = "bilinear",
) -> Pairs:
    """Return ``"exact"`` if one pass takes at most :data:`EXACT_SECONDS`, else ``"sampled"``.

    Blocks that are all too small to be estimated are summed exactly, too. The choice depends on
    sizes, kind of device and number of threads only. ``num_columns`` and ``logits`` are as for
    :func:`pairs_cost`, like blocks instead of N.
    """
    kind = torch.device(device).type
    if logits == "gravity":
        seconds = pairs_cost(num_nodes, latent_channels, device, logits=logits).seconds
        return "exact" if seconds <= EXACT_SECONDS else "sampled"
    impl = "triton" if kind == "cuda" else "compiled"
    if isinstance(num_nodes, Blocks):
        is_small = not num_nodes.above(largest_exact(Sampled(), torch.device(device)))
        seconds = _blocks_seconds(num_nodes, impl, kind, latent_channels)
        return "exact" if is_small or seconds <= EXACT_SECONDS else "sampled"
    visits = num_nodes**2 if num_columns is None else 2 * num_nodes * num_columns
    seconds = _seconds(impl, kind, latent_channels, visits)
    return "exact" if seconds <= EXACT_SECONDS else "sampled"


def _seconds(impl: str, kind: str, latent_channels: int, num_pairs: int) -> float:
    fixed, slope = _NANOSECONDS.get((impl, kind), _NANOSECONDS["tiled", "cpu"])
    threads = torch.get_num_threads() if kind == "cpu" else 1
    return 1e-9 * (fixed + slope * latent_channels) * num_pairs / threads
