"""Atomic writing of files, and errors of the file system."""

import errno
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vgae.errors import ResourceError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NO_FILES = {errno.EMFILE, errno.ENFILE}


@contextmanager
def writing(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn an ``OSError`` during writing into an error of the package.

    Raises:
        ResourceError: ``NO_SPACE`` if the disk is full, ``NO_FILES`` if no more files can be
            opened, else ``CANNOT_WRITE``.
    """
    try:
        yield
    except OSError as error:
        named = exhausted(error, path)
        reason = error.strerror or str(error) or type(error).__name__
        message = f"{path} cannot be written ({reason}); choose another place."
        raise named or ResourceError("CANNOT_WRITE", message) from error


def exhausted(error: BaseException, path: object = None) -> ResourceError | None:
    """Return the error for a full disk or for too many open files, if one of them is the cause.

    Args:
        error: An exception; those that it was raised from count too.
        path: File that was written, if known; by default the one that the system names.
    """
    link: BaseException | None = error
    while link is not None:
        if isinstance(link, ResourceError) and link.code in ("NO_FILES", "NO_SPACE"):
            return link
        number = link.errno if isinstance(link, OSError) else None
        # Other libraries quote the system in exceptions of their own.
        if number in _NO_FILES or any(os.strerror(n) in str(link) for n in _NO_FILES):
            return ResourceError("NO_FILES", _too_many_files(link, path))
        if number in _FULL:
            file = path or getattr(link, "filename", None) or "the output"
            return ResourceError(
                "NO_SPACE",
                f"{file} cannot be written ({os.strerror(number)}); make room and try again; files"
                " written before are complete.",
            )
        link = link.__cause__ or link.__context__
    return None


def _too_many_files(error: BaseException, path: object) -> str:
    file = path or getattr(error, "filename", None) or "a file"
    if getattr(error, "errno", None) == errno.ENFILE:
        return f"{file} cannot be opened: the system has too many open files; close programs."
    limit = "too many files"
    if os.name == "posix":
        import resource

        limit = f"at most {resource.getrlimit(resource.RLIMIT_NOFILE)[0]} files"
    return (
        f"{file} cannot be opened: this process may have {limit} open at once; raise the limit,"
        " such as with 'ulimit -n 1024', and try again."
    )


def check_writable(path: str | os.PathLike[str]) -> None:
    """Raise ``ResourceError`` if a file cannot be written, before the work for it begins.

    A temporary file is made and removed in its folder, or in the nearest one that exists.
    """
    path = Path(path)
    with writing(path):
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        place = next(place for place in path.absolute().parents if place.exists())
        probe = place / f".tmp-{uuid.uuid4().hex}"
        probe.touch(exist_ok=False)
        probe.unlink()


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
