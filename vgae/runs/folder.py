"""Files of a run folder that are the same for all kinds of runs."""

import itertools
import json
import os
import platform
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from filelock import FileLock, Timeout

from vgae.errors import ArtifactError, ResourceError, UsageError, VgaeError
from vgae.models.files import read_json, read_text
from vgae.recipes.base import Training
from vgae.runtime.atomic import writing
from vgae.runtime.reading import parsed_json
from vgae.training.history import HistoryRow, checked_row
from vgae.training.tensorboard import tensorboard_log
from vgae.version import __version__

FORMAT = "vgae-run-1"
R = TypeVar("R", bound=Training)


@dataclass(frozen=True)
class Output:
    """Folder of a new run.

    Attributes:
        folder: Path of a new or empty folder.
        overwrite: Replace a run in this folder, after all arguments have been validated.
        tensorboard: Log each epoch for TensorBoard in ``tensorboard/``.
    """

    folder: str | os.PathLike[str]
    overwrite: bool = False
    tensorboard: bool = False


def is_named(source: str) -> bool:
    """Return whether a source is the name of a data set, not a path."""
    return not Path(source).suffix and Path(source).name == source


def read_config(folder: Path, keys: Mapping[str, type] | None = None) -> dict[str, Any]:
    """Return the content of ``config.json``.

    Args:
        folder: Folder of a run.
        keys: Required keys and their types.

    Raises:
        ArtifactError: If the folder is not a run of this format, or a key is missing or of
            another type.
    """
    path = folder / "config.json"
    config = read_json(path)
    if config.get("format") != FORMAT:
        raise ArtifactError(
            "RUN_FORMAT",
            f"{folder} has format {config.get('format')!r:.40}, this version reads {FORMAT!r}.",
        )
    keys = keys or {}
    if lacking := keys.keys() - config.keys():
        raise ArtifactError("RUN_CORRUPT", f"{path} lacks {', '.join(sorted(lacking))}.")
    for key, kind in keys.items():
        if type(config[key]) is not kind:
            raise ArtifactError("RUN_CORRUPT", f"in {path} {key} must be of type {kind.__name__}.")
    return config


@contextmanager
def understood(folder: Path) -> Iterator[None]:
    """Convert errors that come from the content of a run's JSON files.

    Raises:
        ArtifactError: If a value is missing, or of another type than this package writes.
    """
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        if isinstance(error, VgaeError):
            raise
        reason = f"{type(error).__name__}: {error}"
        raise ArtifactError(
            "RUN_CORRUPT", f"a file of {folder} has content that no run has ({reason:.100})."
        ) from error  # for --debug


@contextmanager
def history_file(
    folder: Path, *, tensorboard: bool = False
) -> Iterator[Callable[[HistoryRow], None]]:
    """Open ``history.jsonl``, and yield the function that writes a row.

    Args:
        folder: Folder of the run.
        tensorboard: Write ``tensorboard/`` as well; a folder that has one is always continued.
    """
    path, logs = folder / "history.jsonl", folder / "tensorboard"
    with ExitStack() as opened:
        log_row = None
        if tensorboard or logs.is_dir():
            log_row = opened.enter_context(tensorboard_log(logs))
        with writing(path):
            file = path.open("w", encoding="utf-8", buffering=1)

        def close() -> None:
            with writing(path):  # writes again what a full disk did not take
                file.close()

        opened.callback(close)

        def write(row: HistoryRow) -> None:
            with writing(path):
                file.write(json.dumps(row._asdict(), allow_nan=False) + "\n")
            if log_row is not None:
                log_row(row)

        yield write


def read_history(folder: Path) -> list[HistoryRow]:
    """Return the rows of ``history.jsonl``.

    Raises:
        ArtifactError: If it is missing or damaged.
    """
    lines = read_text(folder / "history.jsonl").splitlines()
    try:
        return [checked_row(HistoryRow(**parsed_json(line))) for line in lines]
    except (ValueError, TypeError) as error:
        reason = str(error).rstrip(".")
        raise ArtifactError("RUN_CORRUPT", f"{folder / 'history.jsonl'}: {reason:.120}.") from None


def free_path(stem: str, suffix: str = "") -> Path:
    """Return the first of ``stem-1``, ``stem-2``, ... that does not exist."""
    return next(
        path for n in itertools.count(1) if not (path := Path(f"{stem}-{n}{suffix}")).exists()
    )


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lock a folder, so that no other process trains in it.

    The system releases the lock when the process dies, for any reason.

    Raises:
        ArtifactError: If the folder contains a symbolic link: an untrusted folder must not decide
            which files elsewhere are written or removed.
        ResourceError: If another process has the lock.
    """
    if links := [path for path in folder.rglob("*") if path.is_symlink()]:
        raise ArtifactError(
            "RUN_LINKS", f"{links[0]} is a symbolic link, which a run must not have; remove it."
        )
    try:
        with FileLock(folder / ".lock", timeout=0):
            yield
    except Timeout:
        raise ResourceError(
            "LOCKED",
            f"another process is training in {folder}; wait for it, or choose another --out.",
        ) from None


def new_folder(folder: Path, *, overwrite: bool) -> Path:
    """Create the folder of a run, or raise an error if it cannot be used."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Hidden files remain from a process that was killed before it had written anything.
        if any(not path.name.startswith(".") for path in folder.iterdir()):
            _clear(folder, overwrite=overwrite)
        (folder / ".probe").touch()
        (folder / ".probe").unlink()
    except OSError as error:
        raise ResourceError(
            "CANNOT_WRITE", f"{folder} cannot be written ({error.strerror}); choose another --out."
        ) from None
    return folder


def _clear(folder: Path, *, overwrite: bool) -> None:
    """Empty a folder that holds a run, finished or not, if it may be overwritten."""
    if not overwrite:
        raise UsageError(
            "RUN_EXISTS",
            f"{folder} is not empty; choose another --out, replace it with --overwrite, or go on"
            f" with 'vgae train --resume {folder}'.",
        )
    try:
        is_run = read_json(folder / "config.json").get("format") == FORMAT
    except ArtifactError:
        is_run = False
    if not is_run:
        raise UsageError(
            "NOT_A_RUN", f"{folder} holds no run that could be replaced; it is left as it is."
        )
    with locked(folder):
        shutil.rmtree(folder)
    folder.mkdir()


def stored_recipe(kind: type[R], config: Mapping[str, Any]) -> R:
    """Return the recipe in the content of ``config.json``.

    Raises:
        ArtifactError: If it is not a recipe.
    """
    try:
        return kind.from_dict(config["recipe"])
    except (AttributeError, TypeError, UsageError) as error:
        raise ArtifactError(
            "RUN_CORRUPT", f"the recipe of the run is not valid: {error}."
        ) from None


def remove_stale(folder: Path) -> None:
    """Remove the temporary files of a process that was killed during a write."""
    for path in folder.rglob(".tmp-*"):
        path.unlink(missing_ok=True)


def remove_checkpoints(folder: Path) -> None:
    """Remove the checkpoints of a finished training."""
    for path in (folder / "checkpoints").glob("epoch-*.ckpt"):
        path.unlink(missing_ok=True)


def versions() -> dict[str, str]:
    """Return the versions of the software that a result depends on."""
    return {
        "vgae": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
    }
