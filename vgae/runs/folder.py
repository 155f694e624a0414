"""The folder of a run: what all kinds of runs write and read alike."""

import itertools
import json
import platform
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
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


def is_named(source: str) -> bool:
    """Tell the name of a data set from the path of a file."""
    return not Path(source).suffix and Path(source).name == source


def read_config(folder: Path, keys: Mapping[str, type]) -> dict[str, Any]:
    """Return the content of ``config.json``, which must have certain keys, each of its type.

    Raises:
        ArtifactError: If the folder is not a run of this version, or of another kind.
    """
    config = read_json(folder / "config.json")
    if config.get("format") != FORMAT:
        raise ArtifactError(
            "RUN_FORMAT",
            f"{folder} has format {config.get('format')!r:.40}, this version reads {FORMAT!r}.",
        )
    if lacking := keys.keys() - config.keys():
        raise ArtifactError(
            "RUN_CORRUPT", f"{folder / 'config.json'} lacks {', '.join(sorted(lacking))}."
        )
    if wrong := [key for key, kind in keys.items() if type(config[key]) is not kind]:
        raise ArtifactError(
            "RUN_CORRUPT",
            f"in {folder / 'config.json'} {wrong[0]} must be of type {keys[wrong[0]].__name__}.",
        )
    return config


def read_finished(folder: Path, keys: Mapping[str, type]) -> dict[str, Any]:
    """Return what :func:`read_config` does, of a run whose training is over.

    Raises:
        ArtifactError: Also if the training was interrupted.
    """
    config = read_config(folder, keys)
    if not (folder / "metrics.json").exists():
        raise ArtifactError(
            "NOT_COMPLETE",
            f"the training of {folder} was interrupted; go on with it first: vgae train --resume"
            f" {folder}",
        )
    return config


@contextmanager
def understood(folder: Path) -> Iterator[None]:
    """Say of what is wrong with the content of a run's JSON files that it is.

    Raises:
        ArtifactError: If a value is missing, or of another kind than this package writes.
    """
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        if isinstance(error, VgaeError):
            raise
        reason = f"{type(error).__name__}: {error}"
        raise ArtifactError(
            "RUN_CORRUPT", f"a file of {folder} says what no run says ({reason:.100})."
        ) from error  # --debug shows where


@contextmanager
def history_file(
    folder: Path, *, tensorboard: bool = False
) -> Iterator[Callable[[HistoryRow], None]]:
    """Open ``history.jsonl``, and yield what writes a row.

    Args:
        folder: Of the run.
        tensorboard: Whether to write ``tensorboard/`` too; a run that has it goes on with it.
    """
    path, logs = folder / "history.jsonl", folder / "tensorboard"
    with ExitStack() as opened:
        log_row = None
        if tensorboard or logs.is_dir():
            log_row = opened.enter_context(tensorboard_log(logs))
        with writing(path):
            file = opened.enter_context(path.open("w", encoding="utf-8", buffering=1))

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
    """Return the first of ``stem-1``, ``stem-2``, ... that is not there yet."""
    return next(
        path for n in itertools.count(1) if not (path := Path(f"{stem}-{n}{suffix}")).exists()
    )


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep every other process from training in the same folder meanwhile.

    The system takes the lock back from a process that dies, however it dies.

    Raises:
        ArtifactError: If something in the folder is a link to elsewhere: a folder from a stranger
            must not say which files of yours are written or removed.
        ResourceError: If another process has it.
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
    """Make the folder, or say at once why it cannot be used."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Hidden ones are left of a process that was killed before it had written anything.
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
    """Empty a folder if it holds a run, finished or not, and that may be deleted."""
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


def stored_recipe(kind: type[R], config: dict[str, Any]) -> R:
    """Return the recipe that ``config.json`` has.

    Raises:
        ArtifactError: If it is none.
    """
    try:
        return kind.from_dict(config["recipe"])
    except (AttributeError, TypeError, UsageError) as error:
        raise ArtifactError("RUN_CORRUPT", f"the recipe of the run is none: {error}.") from None


def remove_stale(folder: Path) -> None:
    """Remove the temporary files of a process that was killed while it wrote."""
    for path in folder.rglob(".tmp-*"):
        path.unlink(missing_ok=True)


def remove_checkpoints(folder: Path) -> None:
    """Remove the checkpoints of a training that is over."""
    for path in (folder / "checkpoints").glob("epoch-*.ckpt"):
        path.unlink(missing_ok=True)


def versions() -> dict[str, str]:
    """Return the versions that a result depends on."""
    return {
        "vgae": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
    }


def is_image_run(folder: Path) -> bool:
    """Tell a run on images from one on a graph."""
    return "images" in read_json(folder / "config.json")
