"""What the sum over all pairs costs before it is begun: seconds and bytes, by a printed rule."""

import math
from typing import NamedTuple

import torch

from vgae.kernels._sampled import PAIRS_PER_NODE, sampled_blocks
from vgae.kernels._tiled import buffer_shape
from vgae.kernels.inner_product import Impl, Pairs, chosen_impl

EXACT_SECONDS = 1.0
"""``pairs="auto"`` takes the exact sum where one pass is predicted to take no longer."""

# Nanoseconds per ordered pair, (a, b) of a + b d: on a CPU for one thread, fitted to what was
# measured at d = 16 (19,717 nodes), 64 and 128 (8,192 nodes) with AVX-512; "dense" at d = 16 on
# Cora alone. Those of GPUs are half of what a Hopper's special function units can do, and were not
# measured.
_NANOSECONDS = {
    ("compiled", "cpu"): (0.12, 0.041),
    ("tiled", "cpu"): (0.80, 0.032),
    ("dense", "cpu"): (9.80, 0.0),
    ("tiled", "cuda"): (6e-3, 1e-5),
    ("triton", "cuda"): (2e-3, 4e-6),
}


class Cost(NamedTuple):
    """A prediction, for value and gradient together.

    Attributes:
        num_pairs: Ordered pairs that the sum stands for or, if sampled, that are drawn.
        seconds: Of one pass, on a machine that does nothing else.
        num_bytes: Held at once, beyond ``z``.
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
    """Predict what one pass over the pairs costs.

    Args:
        num_nodes: N.
        latent_channels: d.
        device: Where.
        pairs: ``"exact"`` or ``"sampled"``.
        pairs_per_node: For ``"sampled"``.
        impl: As for :func:`vgae.kernels.inner_product_nll`.
    """
    kind = torch.device(device).type
    threads = torch.get_num_threads() if kind == "cpu" else 1
    rows = 4 * num_nodes * latent_channels  # bytes of z
    if pairs == "sampled":
        num_blocks, block, step = sampled_blocks(num_nodes, pairs_per_node, kind)
        num_pairs = num_blocks * block**2
        # Two directions of the gradient for each pair, and no symmetry to save half of them.
        nanoseconds = 2 * _rate("tiled", kind, latent_channels) * num_pairs
        # Blocks, their gradient, that of z and what makes them; logits of a step, and the like.
        return Cost(num_pairs, 1e-9 * nanoseconds / threads, 7 * rows + 12 * step * block**2)
    impl = chosen_impl(impl, num_nodes, latent_channels, torch.device(device))
    num_pairs = num_nodes**2
    seconds = 1e-9 * _rate(impl, kind, latent_channels) * num_pairs / threads
    if impl == "dense":
        return Cost(num_pairs, seconds, 28 * num_pairs)
    if impl == "compiled":
        # The compiler is loaded with it.
        return Cost(num_pairs, seconds, (5 + threads) * rows + (110 << 20))
    if impl == "triton":
        return Cost(num_pairs, seconds, 12 * rows + (16 << 20))
    return Cost(num_pairs, seconds, 6 * rows + 4 * math.prod(buffer_shape(num_nodes, kind)))


def choose_pairs(num_nodes: int, latent_channels: int, device: torch.device | str) -> Pairs:
    """Return ``"exact"`` where one pass takes at most :data:`EXACT_SECONDS`, else ``"sampled"``.

    The prediction hangs on sizes, kind of device and number of threads alone, not on what is
    installed nor on a measurement, so that the same command makes the same choice each time.
    """
    kind = torch.device(device).type
    rate = _rate("triton" if kind == "cuda" else "compiled", kind, latent_channels)
    threads = torch.get_num_threads() if kind == "cpu" else 1
    return "exact" if 1e-9 * rate * num_nodes**2 <= EXACT_SECONDS * threads else "sampled"


def _rate(impl: str, kind: str, latent_channels: int) -> float:
    """Return nanoseconds per ordered pair."""
    fixed, slope = _NANOSECONDS.get((impl, kind), _NANOSECONDS["tiled", "cpu"])
    return fixed + slope * latent_channels
