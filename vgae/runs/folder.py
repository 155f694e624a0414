"""Files of a run folder that are the same for all kinds of runs."""

import json
import os
import platform
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch

from vgae.data.packed import unpacked_name
from vgae.data.pyg_ogb import PREFIXES, run_name
from vgae.errors import ArtifactError, ResourceError, UsageError, VgaeError
from vgae.models.files import read_json, read_text, write_json
from vgae.recipes.base import Training
from vgae.runs.lock import LOCK_FILES, has_lock_file, locked
from vgae.runtime.atomic import writing
from vgae.runtime.reading import parsed_json, read_regular
from vgae.training.history import HistoryRow, checked_row
from vgae.training.trackers import Tracker
from vgae.version import __version__

FORMAT = "vgae-run-1"
_PATHS = ".paths.json"
R = TypeVar("R", bound=Training)


@dataclass(frozen=True)
class Output:
    """Folder of a new run.

    Attributes:
        folder: Path of a new or empty folder.
        overwrite: Replace a run in this folder, after all arguments have been validated.
        tensorboard: Log each epoch for TensorBoard in ``tensorboard/``; short for a tracker.
        numbered: Append the name of the model or recipe, and the first number, from 1, of which
            there is no folder yet.
        track: Names of trackers, or trackers; see :mod:`vgae.training.trackers`.
    """

    folder: str | os.PathLike[str]
    overwrite: bool = False
    tensorboard: bool = False
    numbered: bool = False
    track: Sequence[str | Tracker] = ()

    @property
    def trackers(self) -> list[str | Tracker]:
        """All that are told of the training."""
        return [*self.track, *(["tensorboard"] if self.tensorboard else [])]


def is_named(source: str) -> bool:
    """Return whether a source is the name of a data set, not a path."""
    if source.startswith(PREFIXES):
        return True
    return not Path(source).suffix and Path(source).name == source


def shown_source(source: str) -> str:
    """Return a source as files that are passed on have it: a path without its folders.

    A folder without a suffix keeps ``./``, so that it is not taken for the name of a data set.
    """
    if is_named(source):
        return source
    name = _own_name(source)
    return name if not is_named(name) else f"./{name}"


def source_stem(source: str) -> str:
    """Return the name of a source in the name of a run folder."""
    if source.startswith(PREFIXES):
        return run_name(source)
    path = Path(source)
    return unpacked_name(path.resolve() if path.name in ("", "..") else path).stem


def _own_name(source: str) -> str:
    path = Path(source)
    return path.resolve().name if path.name in ("", "..") else path.name


def write_paths(folder: Path, paths: Mapping[str, str]) -> None:
    """Store where the files of a run's data are, which only this machine needs.

    Args:
        folder: Folder of the run.
        paths: Absolute paths by the field of :class:`vgae.runs.kind.Source` that names the file.
    """
    if paths:
        write_json(folder / _PATHS, dict(paths))
    else:
        (folder / _PATHS).unlink(missing_ok=True)


def read_paths(folder: Path) -> dict[str, str]:
    """Return what :func:`write_paths` stored; nothing for a run of another machine."""
    try:
        found = parsed_json(read_regular(folder / _PATHS))
        return {name: path for name, path in found.items() if isinstance(path, str)}
    except (OSError, ValueError, AttributeError):
        return {}


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
    folder: Path, *, tell: Callable[[HistoryRow], None] | None = None
) -> Iterator[Callable[[HistoryRow], None]]:
    """Open ``history.jsonl``, and yield the function that writes a row.

    The first row replaces what was there: a training that is refused has changed nothing.

    Args:
        folder: Folder of the run.
        tell: Called with each row, after it is written.
    """
    path = folder / "history.jsonl"
    with ExitStack() as opened:
        with writing(path):
            file = path.open("a", encoding="utf-8", buffering=1)
        is_new = False

        def begin() -> None:
            nonlocal is_new
            if not is_new:
                file.truncate(0)
                is_new = True

        def close() -> None:
            with writing(path):  # writes again what a full disk did not take
                file.close()

        opened.callback(close)

        def write(row: HistoryRow) -> None:
            with writing(path):
                begin()
                file.write(json.dumps(row._asdict(), allow_nan=False) + "\n")
            if tell is not None:
                tell(row)

        yield write
        with writing(path):
            begin()  # a training without an epoch


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


@contextmanager
def new_folder(output: Output) -> Iterator[Path]:
    """Create and lock the folder of a new run; it is empty then.

    Raises:
        ResourceError: If it cannot be written, or another process is writing in it.
        UsageError: If it is not empty, and may or can not be replaced.
    """
    folder = _created(output)
    if not has_lock_file(folder):
        _is_empty(folder, overwrite=output.overwrite)  # a foreign folder gets no lock file
    with locked(folder):
        if not _is_empty(folder, overwrite=output.overwrite):
            _clear(folder)
        yield folder


def _created(output: Output) -> Path:
    """Create the folder; of several processes, each creates a numbered one of its own."""
    stem = Path(output.folder)
    number = 0
    while True:
        number += 1
        folder = stem.with_name(f"{stem.name}-{number}") if output.numbered else stem
        try:
            folder.mkdir(parents=True, exist_ok=not output.numbered)
        except OSError as error:
            if output.numbered and isinstance(error, FileExistsError):
                continue
            reason = error.strerror or str(error)
            raise ResourceError(
                "CANNOT_WRITE", f"{folder} cannot be written ({reason}); choose another --out."
            ) from None
        return folder


def _is_empty(folder: Path, *, overwrite: bool) -> bool:
    """Return whether a folder is empty; raise unless what it holds may be overwritten."""
    # Hidden files remain from a process that was killed before it had written anything.
    if all(path.name.startswith(".") for path in folder.iterdir()):
        return True
    if not overwrite:
        raise UsageError(
            "RUN_EXISTS",
            f"{folder} is not empty; choose another --out, replace it with --overwrite, or go on"
            f" with 'vgae train --resume {folder}'.",
        )
    if folder.is_symlink():
        raise UsageError(
            "RUN_LINKS",
            f"{folder} is a symbolic link, which is not replaced; name the folder that it leads"
            f" to ({folder.resolve()}).",
        )
    try:
        is_run = read_json(folder / "config.json").get("format") == FORMAT
    except ArtifactError:
        is_run = False
    if not is_run:
        raise UsageError(
            "NOT_A_RUN", f"{folder} holds no run that could be replaced; it is left as it is."
        )
    return False


def _clear(folder: Path) -> None:
    """Remove a run, finished or not, from a locked folder."""
    # Scores first: a run without them is not finished. The configuration last: with it, the
    # folder can be overwritten again after a kill.
    order = {"metrics.json": 0, "config.json": 2}
    for path in sorted(folder.iterdir(), key=lambda path: order.get(path.name, 1)):
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name not in LOCK_FILES:
            path.unlink()


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
