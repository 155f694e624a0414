"""Device selection, deterministic mode, precision of convolutions, out-of-memory errors."""

import os
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from vgae.errors import ResourceError, UsageError
from vgae.runtime.processes import team


@dataclass(frozen=True)
class Compute:
    """Device and execution options of a training, which do not change what it computes.

    Functions with an argument ``device`` take one, or the name of a device alone.

    On a GPU, matrix products and convolutions are in float32 unless the caller has allowed TF32
    for products, as ``torch.set_float32_matmul_precision("high")`` does; see
    :func:`convolutions_as_products`. The exact loss of a graph has a precision of its own, a
    setting of its recipe.

    Attributes:
        device: ``"auto"`` (a GPU if there is one), ``"cpu"``, ``"cuda"``, ``"cuda:1"``. Of
            several processes, ``"auto"`` and ``"cuda"`` are a GPU of its own for each.
        max_bytes: Most memory that a graph model may take; all that is free if ``None``.
        cuda_graph: Record an epoch on a GPU once and launch it as a whole; on small graphs
            several times faster. ``None`` does so for the models of this package, where that is
            possible. In a model of your own nothing may wait for the GPU or change from epoch to
            epoch but its tensors.
        deterministic: Same bits each time on a GPU too, or an error; slower. A CPU always gives
            the same bits.
        partition: Divide the nodes of a graph among the processes that train together, so that
            each encodes its own ones. ``None`` does so where it is possible and useful: if the
            pairs of the decoder are sampled, or the memory of one process does not suffice.
    """

    device: str = "auto"
    max_bytes: int | None = None
    cuda_graph: bool | None = None
    deterministic: bool = False
    partition: bool | None = None

    @classmethod
    def of(cls, device: "str | Compute") -> "Compute":
        """Return the value itself, or that of the name of a device."""
        return device if isinstance(device, Compute) else cls(device)

    def resolved(self) -> torch.device:
        """Return the device.

        Raises:
            ResourceError: If it does not exist.
            UsageError: If ``cuda_graph`` is set and it is no GPU.
        """
        found = "cuda" if torch.cuda.is_available() else "cpu"
        name = found if self.device == "auto" else self.device
        name = _own_gpu(name) if team().size > 1 and name.startswith("cuda") else name
        try:
            device = torch.device(name)
            torch.empty(1, device=device).item()
        except (RuntimeError, AssertionError, NotImplementedError) as error:
            reason = str(error).splitlines()[0].rstrip(".")
            reason = "there is none of that kind" if "Expected one of" in reason else reason
            raise ResourceError(
                "DEVICE", f"device {name!r} cannot be used ({reason}); use --device cpu or auto."
            ) from None
        if self.cuda_graph and device.type != "cuda":
            raise UsageError("CUDA_GRAPH", f"cuda_graph needs a GPU, and this runs on {device}.")
        return device


def _own_gpu(name: str) -> str:
    """Return the GPU of this one of several processes."""
    here, there = int(os.environ.get("LOCAL_RANK", team().rank)), torch.cuda.device_count()
    if name == "cuda" and here < max(there, 1):
        return f"cuda:{here}"
    number = os.environ.get("LOCAL_WORLD_SIZE", team().size)
    raise ResourceError(
        "DEVICE",
        f"{number} processes on this machine need a GPU each, and it has {there}"
        f" (device {name!r}); start fewer (--nproc-per-node), or use --device cpu, or cuda without"
        " a number.",
    )


@contextmanager
def deterministic_algorithms(*, wanted: bool) -> Iterator[None]:
    """Make torch use deterministic algorithms if ``wanted``, and restore the setting afterwards.

    If an operation on a GPU has none, torch raises ``RuntimeError``; products with sparse matrices
    switch to one by themselves.
    """
    before = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    if wanted:
        # Some versions of torch demand it of cuBLAS, which reads it when it is first used.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(mode=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before, warn_only=warn_only)


class _Kept:
    """Settings of the process before the first of several threads changed them."""

    lock = threading.Lock()
    users = 0
    precisions: ClassVar[list[str]] = []
    older: bool | None = None


@contextmanager
def convolutions_as_products() -> Iterator[None]:
    """Run convolutions on a GPU as precisely as matrix products; restore the setting afterwards.

    By default torch computes products in float32, but convolutions and their gradients in TF32,
    with a relative error of 1e-3. Where products may be in TF32, convolutions keep their setting.
    The setting is that of the process: the last thread that needs it restores it.

    Recurrent layers go with them: torch refuses to read the older ``cudnn.allow_tf32``, as
    ``cudnn.flags`` does, unless it and both of them agree.
    """
    cudnn: Any = torch.backends.cudnn
    with _Kept.lock:
        if _Kept.users == 0:
            _Kept.precisions = [part.fp32_precision for part in (cudnn.conv, cudnn.rnn)]
            _Kept.older = _allowed_in_tf32()
        _Kept.users += 1
        if torch.backends.cuda.matmul.fp32_precision != "tf32":
            _set_precisions(["ieee", "ieee"], older=_Kept.older and False)
    try:
        yield
    finally:
        with _Kept.lock:
            _Kept.users -= 1
            if _Kept.users == 0:
                _set_precisions(_Kept.precisions, older=_Kept.older)


def _allowed_in_tf32() -> bool | None:
    """Return torch's older setting of convolutions, ``None`` where it disagrees with the newer."""
    with warnings.catch_warnings(action="ignore"):  # torch advises to use the newer
        try:
            return torch.backends.cudnn.allow_tf32
        except RuntimeError:
            return None


def _set_precisions(precisions: Sequence[str], *, older: bool | None) -> None:
    """Set the precisions of convolutions and recurrent layers."""
    cudnn: Any = torch.backends.cudnn
    if older is not None:
        with warnings.catch_warnings(action="ignore"):
            cudnn.allow_tf32 = older
    for part, precision in zip((cudnn.conv, cudnn.rnn), precisions, strict=True):
        part.fp32_precision = precision


@contextmanager
def memory_named(device: torch.device) -> Iterator[None]:
    """Turn the various out-of-memory errors of torch into one ``ResourceError``."""
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
