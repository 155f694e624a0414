"""Locks between processes, which the system releases when a process dies."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from vgae.errors import ResourceError
from vgae.runtime.atomic import writing


@contextmanager
def locked_file(lock: Path, taken: Callable[[], str]) -> Iterator[None]:
    """Hold a lock file, which stays there afterwards.

    Args:
        lock: Path of the file.
        taken: Function that returns the message of the error if another process has the lock.

    Raises:
        ResourceError: ``LOCKED`` if another process has it; if it cannot be written, see
            :func:`vgae.runtime.atomic.writing`.
    """
    with ExitStack() as held:
        with writing(lock):
            try:
                held.enter_context(FileLock(lock, timeout=0))
            except Timeout:  # an OSError
                raise ResourceError("LOCKED", taken()) from None
        yield
