"""Lock of a run folder, and the process that holds it."""

import json
import os
import platform
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path

import psutil

from vgae.errors import ArtifactError, ResourceError
from vgae.runtime.atomic import writing
from vgae.runtime.locks import locked_file
from vgae.runtime.reading import parsed_json, read_regular

_LOCK, _HOLDER = ".lock", ".process.json"
LOCK_FILES = (_LOCK, _HOLDER)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lock a folder, so that no other process writes in it.

    The system releases the lock when the process dies, for any reason.

    Raises:
        ArtifactError: If the folder contains a symbolic link: an untrusted folder must not decide
            which files elsewhere are written or removed.
        ResourceError: If another process has the lock, or the folder cannot be written.
    """
    if links := [path for path in folder.rglob("*") if path.is_symlink()]:
        raise ArtifactError(
            "RUN_LINKS", f"{links[0]} is a symbolic link, which a run must not have; remove it."
        )
    with locked_file(folder / _LOCK, partial(_taken, folder)):
        me = psutil.Process()
        content = {"pid": me.pid, "started": me.create_time(), "host": platform.node()}
        with writing(folder):
            (folder / _HOLDER).write_text(json.dumps(content), encoding="utf-8")
        try:
            yield
        finally:
            with suppress(OSError):  # a folder that was removed meanwhile
                (folder / _HOLDER).unlink(missing_ok=True)


@contextmanager
def reserved(path: Path | None, stem: str, suffix: str) -> Iterator[Path]:
    """Reserve the file that a process will write, for as long as it runs.

    Args:
        path: The file; another process that writes it is an error.
        stem: Without ``path``, the file is the first of ``stem-1``, ``stem-2``, ... with the
            suffix that neither exists nor is reserved.
        suffix: Suffix with its dot.
    """
    with ExitStack() as held:
        number = 0
        while True:
            number += 1
            found = path or Path(f"{stem}-{number}{suffix}")
            with writing(found):
                found.parent.mkdir(parents=True, exist_ok=True)
            try:
                lock = found.with_name(f".{found.name}.lock")
                held.enter_context(locked_file(lock, partial(_taken, found)))
            except ResourceError as error:
                if path is not None or error.code != "LOCKED":
                    raise
                continue
            if path is not None or not found.exists():
                break
            held.close()
        yield found


def _taken(path: Path) -> str:
    holder = holder_of(path) or "another process"
    return f"{holder} is writing in {path}; wait for it, or choose another --out."


def has_lock_file(folder: Path) -> bool:
    """Return whether a folder has a lock file, locked or not."""
    return (folder / _LOCK).exists()


def holder_of(folder: Path) -> str | None:
    """Return the living process that has the lock of a folder, as text; ``None`` without one."""
    try:
        content = parsed_json(read_regular(folder / _HOLDER))
        pid, started, host = content["pid"], content["started"], content["host"]
        if host != platform.node():
            return f"process {int(pid)} on {str(host)[:60]!r}"
        if psutil.Process(pid).create_time() != started:
            return None
    except (OSError, ValueError, LookupError, TypeError, OverflowError, psutil.Error):
        return None
    return "this process" if pid == os.getpid() else f"process {pid}"
