"""Which compilers are installed and work on a device."""

import logging
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import torch

log = logging.getLogger(__name__)

FEWEST_COMPILED = 2000
"""Nodes from which numba saves more in some hundred epochs than loading it takes."""

FEWEST_SPARSE = 1 << 15
"""Rows or columns from which numba multiplies sparse matrices on a CPU, faster than torch."""


def sparse_kernels(matrix_size: int, like: torch.Tensor, col: torch.Tensor) -> Any:
    """Return the module with ``csr_product`` and ``edge_sweep`` for a matrix; ``None`` for torch.

    Args:
        matrix_size: Rows or columns of the sparse matrix, whichever are more.
        like: Dense matrix, whose device and dtype are those of the values.
        col: Column of each entry.
    """
    if like.dtype != torch.float32 or not like.numel():
        return None
    if works("triton_csr", like.device):
        return import_module("vgae.kernels._triton_csr")  # on first use: it loads a compiler
    fits = matrix_size >= FEWEST_SPARSE and col.dtype == torch.int32
    if fits and works("compiled", like.device):
        return import_module("vgae.kernels._compiled_csr")
    return None


def works(impl: str, device: torch.device, width: int = 1) -> bool:
    """Return whether an implementation can be used; warn once of a fault, with its reason.

    For the arguments see :func:`fault`. Another kind of device, or no numba, is no fault.
    """
    reason = fault(impl, device, width)
    if reason and _fits(impl, device) and (impl != "compiled" or find_spec("numba")):
        _warn(impl, reason)
    return reason is None


@cache
def fault(impl: str, device: torch.device, width: int = 1) -> str | None:
    """Return why an implementation cannot be used on a device, or ``None``; try it once.

    Args:
        impl: ``"compiled"`` (numba, on a CPU), or ``"triton"`` or ``"triton_csr"`` (on a GPU of
            compute capability 8.0 or more).
        device: Device to try.
        width: Columns of z, on which the kernel of ``"triton"`` depends.
    """
    if not _fits(impl, device):
        return "another kind of device"
    if find_spec(_COMPILERS[impl]) is None:
        return f"{_COMPILERS[impl]} is not installed"
    try:
        module = import_module(f"vgae.kernels._{impl}")
        if impl == "triton":
            module.trial(device, width)
        elif impl == "triton_csr":
            module.trial(device)
    except torch.OutOfMemoryError:  # another time, there may be enough
        raise
    except Exception as error:  # whatever a compiler may raise
        return str(error) or type(error).__name__
    return None


_COMPILERS = {"compiled": "numba", "triton": "triton", "triton_csr": "triton"}


def _fits(impl: str, device: torch.device) -> bool:
    if impl == "compiled":
        return device.type == "cpu"
    # A tensor that only pretends to be on a GPU exists without one.
    is_gpu = device.type == "cuda" and torch.cuda.is_available()
    return is_gpu and torch.cuda.get_device_capability(device) >= (8, 0)


@cache
def _warn(impl: str, reason: str) -> None:
    log.warning("%s cannot be used (%s); torch computes instead", impl, reason)
