"""Write a file whole or not at all; say what stands in the way."""

import errno
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vgae.errors import ResourceError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def writing(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn what the system says while a file is written into an error of the package.

    Raises:
        ResourceError: ``NO_SPACE`` if the disk is full; ``CANNOT_WRITE`` for any other reason.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error) or type(error).__name__
        if error.errno in _FULL:
            raise ResourceError(
                "NO_SPACE",
                f"{path} cannot be written ({reason}); make room, and do the same again. What"
                " was written before is whole.",
            ) from error
        raise ResourceError(
            "CANNOT_WRITE", f"{path} cannot be written ({reason}); choose another place."
        ) from error


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path in the folder of ``path``; on success it takes the place of ``path``.

    The bytes reach the disk (``fsync``) before the rename and the name after it, so that a
    reader sees the old file or the new one and never a part. On an exception the temporary file
    is removed and ``path`` stays as it was. A failed ``fsync`` is a failure: what the system then
    has in its cache says nothing about the disk.

    Yields:
        A path with the suffix of ``path``, to be written by the caller.

    Raises:
        ResourceError: See :func:`writing`.
    """
    path = Path(path)
    # Not mkstemp, which makes files that nobody else may read.
    temporary = path.with_name(f".tmp-{uuid.uuid4().hex}{path.suffix}")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.touch(exist_ok=False)
        try:
            yield temporary
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
            temporary.replace(path)
            _sync_folder(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Bring the new name itself to the disk; Windows has no such call and needs none."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
