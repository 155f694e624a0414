"""Time and memory of one step, in the process that runs it."""

import ctypes
import resource
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from harness import CannotRun, Row

from vgae.training.plan import available_bytes

Step = Callable[[], Any]

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # as in malloc.h


def measure(
    make: Callable[[], Step],
    rehearsal: Callable[[], Step],
    *,
    steps: int,
    warmup: int,
    seconds: float = float("inf"),
) -> Row:
    """Return time and memory of a step.

    Args:
        make: Builds the step; what it holds counts as the step's memory.
        rehearsal: Builds the like on a small problem. It is run once beforehand, which loads
            libraries and compiles code; neither counts.
        steps: How many are timed.
        warmup: How many are run before.
        seconds: Steps and warm-up end early after so long, but not before three and one; one of
            each has to do where it takes longer by itself.

    Returns:
        ``wall_ms`` and ``cpu_ms`` of a step as medians, the second with all threads added up;
        ``peak_mb``, how far the memory of the process rose above libraries and data;
        ``process_mb``, its peak; ``rehearsal_s``, what loading and compiling took.
    """
    start = time.perf_counter()
    rehearsal()()
    rehearsal_s = time.perf_counter() - start
    before = forget_peak()
    step = make()
    (first, *_), _ = timed(step, steps=warmup, seconds=seconds)
    wall, cpu = timed(step, steps=steps, seconds=seconds, least=3 if first < seconds else 1)
    peak = peak_mb()
    return {
        "wall_ms": 1e3 * statistics.median(wall),
        "cpu_ms": 1e3 * statistics.median(cpu),
        "peak_mb": peak - before,
        "process_mb": peak,
        "steps": len(wall),
        "rehearsal_s": rehearsal_s,
    }


def timed(
    step: Step, *, steps: int, seconds: float = float("inf"), least: int = 1
) -> tuple[list[float], list[float]]:
    """Return wall and CPU seconds of each step; the latter with all threads added up."""
    wall: list[float] = []
    cpu: list[float] = []
    while len(wall) < steps and (len(wall) < least or sum(wall) < seconds):
        wall_start, cpu_start = time.perf_counter(), time.process_time()
        step()
        cpu.append(time.process_time() - cpu_start)
        wall.append(time.perf_counter() - wall_start)
    return wall, cpu


def forget_peak() -> float:
    """Hand freed memory back, forget the peak so far, and return what is still held, in MB.

    Where the system cannot forget, that is the peak so far.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return peak_mb()


def keep_freed_memory() -> None:
    """Have this process keep what it frees, to be used again.

    glibc gets each block above 32 MB from the system and gives it back at once, which has all its
    pages made anew, and zeroed, each time.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        raise CannotRun("the memory allocator of this system is not glibc's")
    mallopt(_M_MMAP_MAX, 0)
    mallopt(_M_TRIM_THRESHOLD, -1)


def peak_mb() -> float:
    """Return the largest memory that this process held since :func:`forget_peak`, in MB.

    It is what ``ru_maxrss`` counts. On Linux that one begins with the size of the parent process
    and cannot be reset, so the kernel's own line is read.
    """
    with suppress(OSError, IndexError):
        line = Path("/proc/self/status").read_text().split("VmHWM:")[1]
        return int(line.split()[0]) * 1024 / 1e6
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def need_memory(num_bytes: float, what: str) -> None:
    """Raise ``CannotRun`` unless so much memory is free."""
    free = available_bytes(torch.device("cpu"))
    if num_bytes > free:
        raise CannotRun(f"{what} take {num_bytes / 1e9:.1f} GB; {free / 1e9:.1f} GB are free")
