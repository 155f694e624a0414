"""Where to compute, whether to the same bits each time, and what is said if memory lacks."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from vgae.errors import ResourceError, UsageError


def resolve_device(device: str, *, cuda_graph: bool = False) -> torch.device:
    """Return the device; ``"auto"`` is a GPU if there is one, else the CPU.

    Raises:
        ResourceError: If it is not there.
        UsageError: If it must be a GPU, for ``cuda_graph``, and is none.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        resolved = torch.device(device)
        torch.empty(1, device=resolved).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        reason = "there is none of that kind" if "Expected one of" in reason else reason
        raise ResourceError(
            "DEVICE", f"device {device!r} cannot be used ({reason}); use --device cpu or auto."
        ) from None
    if cuda_graph and resolved.type != "cuda":
        raise UsageError("CUDA_GRAPH", f"cuda_graph needs a GPU, and this runs on {resolved}.")
    return resolved


@contextmanager
def deterministic_algorithms(*, wanted: bool) -> Iterator[None]:
    """Have torch take the same bits each time, or refuse to, if that is wanted.

    Where an operation on a GPU adds in any order and has no other way, torch raises
    ``RuntimeError``; products with sparse matrices take another way by themselves. On a CPU all
    operations of this package are deterministic as they are. The setting is afterwards what it
    was before.
    """
    before = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    if wanted:
        torch.use_deterministic_algorithms(mode=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before, warn_only=warn_only)


@contextmanager
def memory_named(device: torch.device) -> Iterator[None]:
    """Say in one line that the memory did not suffice; torch says it in many ways."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        reason = [*str(error).splitlines(), "the system gave no more"][0]
        lacking = isinstance(error, (MemoryError, torch.OutOfMemoryError))
        if not lacking and "can't allocate memory" not in reason:
            raise
        raise ResourceError(
            "OUT_OF_MEMORY",
            f"the memory of {device} does not suffice ({reason.rstrip('.')}); try"
            ' pairs = "sampled", smaller widths, or another device.',
        ) from error
