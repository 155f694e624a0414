"""The folder of a run: what all kinds of runs write and read alike."""

import itertools
import json
import platform
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vgae.errors import ArtifactError, ResourceError, UsageError
from vgae.history import HistoryRow
from vgae.model_files import read_json, read_text
from vgae.version import __version__

FORMAT = "vgae-run-1"


def is_named(source: str) -> bool:
    """Tell the name of a data set from the path of a file."""
    return not Path(source).suffix and Path(source).name == source


def read_config(folder: Path, keys: set[str]) -> dict[str, Any]:
    """Return the content of ``config.json``, which must have certain keys.

    Raises:
        ArtifactError: If the folder is not a run of this version, or of another kind.
    """
    config = read_json(folder / "config.json")
    if config.get("format") != FORMAT:
        raise ArtifactError(
            "RUN_FORMAT",
            f"{folder} has format {config.get('format')!r}, this version reads {FORMAT!r}.",
        )
    if lacking := keys - config.keys():
        raise ArtifactError(
            "RUN_CORRUPT", f"{folder / 'config.json'} lacks {', '.join(sorted(lacking))}."
        )
    return config


@contextmanager
def history_file(folder: Path) -> Iterator[Callable[[HistoryRow], None]]:
    """Open ``history.jsonl``, and yield what writes a row."""
    with (folder / "history.jsonl").open("w", encoding="utf-8", buffering=1) as file:

        def write(row: HistoryRow) -> None:
            file.write(json.dumps(row._asdict(), allow_nan=False) + "\n")

        yield write


def read_history(folder: Path) -> list[HistoryRow]:
    """Return the rows of ``history.jsonl``.

    Raises:
        ArtifactError: If it is missing or damaged.
    """
    lines = read_text(folder / "history.jsonl").splitlines()
    try:
        return [HistoryRow(**json.loads(line)) for line in lines]
    except (ValueError, TypeError) as error:
        raise ArtifactError("RUN_CORRUPT", f"{folder / 'history.jsonl'}: {error}.") from None


def free_path(stem: str, suffix: str = "") -> Path:
    """Return the first of ``stem-1``, ``stem-2``, ... that is not there yet."""
    return next(
        path for n in itertools.count(1) if not (path := Path(f"{stem}-{n}{suffix}")).exists()
    )


def new_folder(folder: Path, *, overwrite: bool) -> Path:
    """Make the folder, or say at once why it cannot be used."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
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
            f"{folder} is not empty; choose another --out, or pass --overwrite to replace it.",
        )
    try:
        is_run = read_json(folder / "config.json").get("format") == FORMAT
    except ArtifactError:
        is_run = False
    if not is_run:
        raise UsageError(
            "NOT_A_RUN", f"{folder} holds no run that could be replaced; it is left as it is."
        )
    shutil.rmtree(folder)
    folder.mkdir()


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
