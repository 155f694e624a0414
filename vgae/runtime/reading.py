"""Safe reading of files from anywhere: regular files only, strict JSON, one-line errors."""

import errno
import json
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from vgae.errors import DataError, nearest

_HEAD = 512  # bytes that show what a file is
_FOREIGN = {
    b"version https://git-lfs.github.com/spec/": "a pointer of Git LFS in place of the file; run"
    " 'git lfs pull' in its repository, or download the file itself",
    b"<!doctype html": "a web page (HTML), perhaps of an error; download the file itself",
    b"<html": "a web page (HTML), perhaps of an error; download the file itself",
    b'<?xml version="1.0" encoding="utf-8"?><error>': "an error message of a server; download"
    " the file again",
}
_SPACE_AFTER_TAG = re.compile(rb">\s+<")


def check_regular(path: Path) -> None:
    """Raise unless a path leads to a regular file.

    Opening a pipe would wait for its other end, and a device may never end.

    Raises:
        OSError: If it is another kind of file, or missing.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "it is not a file", os.fspath(path))


def read_regular(path: Path) -> bytes:
    """Return the bytes of a regular file.

    Raises:
        OSError: If it is another kind of file, or cannot be read.
    """
    check_regular(path)
    return path.read_bytes()


def file_size(path: Path) -> int:
    """Return the number of bytes of a regular file that is not empty.

    Raises:
        DataError: ``CANNOT_READ``; ``FILE_EMPTY``; ``NOT_THE_FILE`` as :func:`check_head`.
    """
    try:
        check_regular(path)
        size = path.stat().st_size
        head = file_head(path)
    except (OSError, ValueError) as error:
        near = _near_file(path) if isinstance(error, FileNotFoundError) else ""
        raise DataError("CANNOT_READ", f"{path}: {brief(error)}.{near}") from None
    if size == 0:
        raise DataError("FILE_EMPTY", f"{path}: it is empty; download it again.")
    check_head(head, path)
    return size


def file_head(path: Path) -> bytes:
    """Return the first bytes of a file."""
    with path.open("rb") as file:
        return file.read(_HEAD)


def check_head(head: bytes, path: Path) -> None:
    """Raise if the first bytes are those of what often stands in place of a file.

    Raises:
        DataError: ``NOT_THE_FILE`` for a pointer of Git LFS, a web page or an error message.
    """
    begin = _SPACE_AFTER_TAG.sub(b"><", head.removeprefix(b"\xef\xbb\xbf").lstrip().lower())
    for known, what in _FOREIGN.items():
        if begin.startswith(known):
            raise DataError("NOT_THE_FILE", f"{path}: it is {what}.")


def _near_file(path: Path) -> str:
    """Return a question with the file of the nearest name in the folder of a missing one."""
    try:
        near = nearest(path.name, sorted(entry.name for entry in path.parent.iterdir()))
    except OSError:
        return ""
    # The suffix alone makes no two names alike.
    if near is None or nearest(path.stem, [Path(near).stem]) is None:
        return ""
    return f" Did you mean {str(path.with_name(near))!r:.200}?"


def parsed_json(text: str | bytes) -> Any:
    """Parse strict JSON: no NaN, and no deeper nesting than Python can follow.

    Raises:
        ValueError: If it is not JSON.
    """
    try:
        return json.loads(text, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("it is nested too deep") from None


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Put the path before the message of a DataError that does not begin with it."""
    try:
        yield
    except DataError as error:
        if str(error).startswith(str(path)):
            raise
        raise type(error)(error.code, f"{path}: {error}") from None


def brief(error: Exception) -> str:
    """Return one printable line of at most 120 characters: the text may come from a file."""
    reason = getattr(error, "strerror", None) or str(error).rstrip(".")
    return ascii(reason or type(error).__name__)[1:-1][:120]


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a number of JSON; write null")
