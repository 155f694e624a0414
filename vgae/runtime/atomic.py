"""Atomic writing of files, and errors of the file system."""

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
    """Turn an ``OSError`` during writing into an error of the package.

    Raises:
        ResourceError: ``NO_SPACE`` if the disk is full, else ``CANNOT_WRITE``.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error) or type(error).__name__
        code, hint = "CANNOT_WRITE", "choose another place"
        if error.errno in _FULL:
            code, hint = "NO_SPACE", "make room and try again; files written before are complete"
        raise ResourceError(code, f"{path} cannot be written ({reason}); {hint}.") from error


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path for the caller to write; on success it replaces ``path``.

    The temporary path has the folder and suffix of ``path``. The bytes reach the disk (``fsync``)
    before the rename and the name after it, so a reader sees the old file or the new one and
    never a part. On an exception, also of ``fsync``, the temporary file is removed and ``path``
    is unchanged.

    Raises:
        ResourceError: See :func:`writing`.
    """
    path = Path(path)
    # Not mkstemp, whose files only their owner can read.
    temporary = path.with_name(f".tmp-{uuid.uuid4().hex}{path.suffix}")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.touch(exist_ok=False)
        try:
            yield temporary
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
            temporary.replace(path)
            if os.name == "posix":  # Windows neither has nor needs a sync of the folder
                handle = os.open(path.parent, os.O_RDONLY)
                try:
                    os.fsync(handle)
                finally:
                    os.close(handle)
        finally:
            temporary.unlink(missing_ok=True)
