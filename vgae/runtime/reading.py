"""Read files that may come from anywhere: regular ones alone, and JSON that is JSON."""

import errno
import json
import os
import stat
from pathlib import Path
from typing import Any, NoReturn


def check_regular(path: Path) -> None:
    """Raise unless a path is that of a regular file, itself or through links.

    To open a pipe would wait for its other end, and a device may never end.

    Raises:
        OSError: If it is not, or not there.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "it is not a file", os.fspath(path))


def read_regular(path: Path) -> bytes:
    """Return the bytes of a regular file.

    Raises:
        OSError: If it is none, or cannot be read.
    """
    check_regular(path)
    return path.read_bytes()


def parsed_json(text: str | bytes) -> Any:
    """Return what strict JSON says: without NaN, and not nested beyond what Python can follow.

    Raises:
        ValueError: If it is not JSON.
    """
    try:
        return json.loads(text, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number of JSON")
