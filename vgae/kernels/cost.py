"""Predicted time and memory of the sum over all pairs."""

import math
from typing import Literal, NamedTuple

import torch

from vgae.kernels._sampled import PAIRS_PER_NODE, sampled_blocks
from vgae.kernels._tiled import buffer_shape
from vgae.kernels.inner_product import Impl, chosen_impl

Pairs = Literal["exact", "sampled"]

EXACT_SECONDS = 1.0
"""Longest predicted time of a pass for which ``pairs="auto"`` takes the exact sum."""

# Nanoseconds per ordered pair, (a, b) of a + b d. On a CPU for one thread, fitted to measurements
# with AVX-512 at d = 16 (19,717 nodes), 64 and 128 (8,192 nodes); "dense" at d = 16 on Cora alone.
# On a GPU not measured: half the rate of a Hopper's special function units.
_NANOSECONDS = {
    ("compiled", "cpu"): (0.12, 0.041),
    ("tiled", "cpu"): (0.80, 0.032),
    ("dense", "cpu"): (9.80, 0.0),
    ("tiled", "cuda"): (6e-3, 1e-5),
    ("triton", "cuda"): (2e-3, 4e-6),
}


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
    num_nodes: int,
    latent_channels: int,
    device: torch.device | str = "cpu",
    *,
    pairs: Pairs = "exact",
    pairs_per_node: int = PAIRS_PER_NODE,
    impl: Impl = "auto",
) -> Cost:
    """Predict the cost of one pass over the pairs; ``pairs_per_node`` is for ``"sampled"`` only.

    For ``impl`` see :func:`vgae.kernels.pair_loss`.
    """
    kind = torch.device(device).type
    rows = 4 * num_nodes * latent_channels  # bytes of z
    if pairs == "sampled":
        num_blocks, block, step = sampled_blocks(num_nodes, pairs_per_node, kind)
        num_pairs = num_blocks * block**2
        # Each pair has a gradient in both directions, and no symmetry saves half of them.
        seconds = _seconds("tiled", kind, latent_channels, 2 * num_pairs)
        # Blocks, their gradient, that of z and temporaries of these; three buffers of a step.
        return Cost(num_pairs, seconds, 7 * rows + 12 * step * block**2)
    impl = chosen_impl(impl, num_nodes, latent_channels, torch.device(device))
    num_pairs = num_nodes**2
    num_bytes = {
        "dense": 28 * num_pairs,
        "tiled": 6 * rows + 4 * math.prod(buffer_shape(num_nodes, kind)),
        "compiled": (5 + torch.get_num_threads()) * rows + (110 << 20),  # with the compiler
        "triton": 12 * rows + (16 << 20),
    }
    return Cost(num_pairs, _seconds(impl, kind, latent_channels, num_pairs), num_bytes[impl])


def choose_pairs(num_nodes: int, latent_channels: int, device: torch.device | str) -> Pairs:
    """Return ``"exact"`` if one pass takes at most :data:`EXACT_SECONDS`, else ``"sampled"``.

    The choice depends on sizes, kind of device and number of threads only.
    """
    kind = torch.device(device).type
    impl = "triton" if kind == "cuda" else "compiled"
    seconds = _seconds(impl, kind, latent_channels, num_nodes**2)
    return "exact" if seconds <= EXACT_SECONDS else "sampled"


def _seconds(impl: str, kind: str, latent_channels: int, num_pairs: int) -> float:
    fixed, slope = _NANOSECONDS.get((impl, kind), _NANOSECONDS["tiled", "cpu"])
    threads = torch.get_num_threads() if kind == "cpu" else 1
    return 1e-9 * (fixed + slope * latent_channels) * num_pairs / threads
