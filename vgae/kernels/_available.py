"""Which compilers are installed and work on a device."""

import logging
from functools import cache
from importlib import import_module
from importlib.util import find_spec

import torch

from vgae.kernels._all_pairs import Wanted

log = logging.getLogger(__name__)


@cache
def works(impl: str, device: torch.device) -> bool:
    """Return whether the module of an implementation can be used on a device; try it once.

    Args:
        impl: ``"compiled"`` (numba, on a CPU), or ``"triton"`` or ``"triton_csr"`` (on a GPU of
            compute capability 8.0 or more).
        device: Device to try.
    """
    if impl == "compiled":
        fits, compiler = device.type == "cpu", "numba"
    else:
        # A tensor that only pretends to be on a GPU exists without one.
        fits = device.type == "cuda" and torch.cuda.is_available()
        fits = fits and torch.cuda.get_device_capability(device) >= (8, 0)
        compiler = "triton"
    if not fits or find_spec(compiler) is None:
        return False
    try:
        module = import_module(f"vgae.kernels._{impl}")
        if impl == "triton":  # needs a C compiler: run it on a single pair
            z = torch.zeros(1, 1, dtype=torch.float32, device=device)
            module.sweep(z, z[0, 0], Wanted())
        elif impl == "triton_csr":
            module.trial(device)
    except Exception as error:  # whatever a compiler may raise
        log.warning("%s cannot be used (%s); torch computes instead", impl, error)
        return False
    return True
