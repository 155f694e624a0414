"""Limit on the memory of this process: sizes such as ``4G``, and what the system grants."""

import logging
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from vgae.errors import ResourceError, UsageError

log = logging.getLogger(__name__)

_UNITS = {"": 10**6, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_BINARY = {"": 2**20, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
# Private memory that is granted but never used: stacks of threads, buffers of libraries.
_UNUSED = 2**30
_MOST = 2**60  # bytes; more is no limit


def num_bytes(text: str) -> int:
    """Return the number of bytes of a size: ``4G``, ``4GB``, ``4GiB``, ``500M``; ``500`` is in MB.

    Raises:
        UsageError: ``MAX_MEMORY`` if it is no size.
    """
    found = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+)\s*([kmgt]?)(i?)(b?)", text.strip().lower())
    if found is None or (found[3] and not found[2]) or (found[4] and not found[2]):
        raise UsageError(
            "MAX_MEMORY",
            f"--max-memory must be a size such as 4G, 4GiB or 500M, or a number of MB, got"
            f" {text!r:.60}.",
        )
    size = float(found[1]) * (_BINARY if found[3] else _UNITS)[found[2]]
    if not size:
        raise UsageError("MAX_MEMORY", f"--max-memory must be above 0, got {text!r:.60}.")
    return int(min(size, _MOST))


def in_use() -> int:
    """Return the resident memory of this process in bytes."""
    return psutil.Process().memory_info().rss


def _peak() -> int:
    """Return the most resident memory that this process has had, in bytes, on Linux."""
    # Not getrusage, whose maximum begins with the memory of the process that started this one.
    status = Path("/proc/self/status").read_text()
    return 1024 * int(re.findall(r"^VmHWM:\s*(\d+) kB$", status, re.MULTILINE)[0])


@contextmanager
def limited(size: int | None) -> Iterator[None]:
    """Let the system refuse this process more private memory than about ``size`` bytes.

    What does not fit then ends with ``OUT_OF_MEMORY`` instead of a signal of the kernel. Files
    that are mapped into memory do not count: the system takes their pages back. A peak above the
    size is logged, such as that of Python and its libraries alone. Without a size, or on a system
    other than Linux, nothing is limited.

    Raises:
        ResourceError: ``OUT_OF_MEMORY`` if the memory did not suffice.
    """
    if size is None or sys.platform != "linux":
        yield
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    known_peak = _peak()
    wanted = max(size, psutil.Process().memory_info().data) + _UNUSED
    known = [limit for limit in (soft, hard) if limit != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_DATA, (min([wanted, *known]), hard))
    try:
        yield
        if known_peak <= size < (peak := _peak()):
            log.warning(
                "it took %.0f MB at its peak, above --max-memory of %.0f MB; Python and its"
                " libraries take some 500 MB alone",
                peak / 1e6,
                size / 1e6,
            )
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "can't allocate memory" not in str(error):
            raise
        raise ResourceError(
            "OUT_OF_MEMORY",
            f"--max-memory of {size / 1e6:,.0f} MB does not suffice; allow more, or use sampled"
            " pairs (--pairs sampled), features in .npy, which stay in their file, or smaller"
            " widths.",
        ) from error
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))
