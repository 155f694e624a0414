"""Digests that tie the files of a run to its training."""

import hashlib
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from vgae.errors import ArtifactError
from vgae.models.files import read_json, write_json
from vgae.runs.lock import locked
from vgae.runtime.reading import read_regular

T = TypeVar("T")
_REMEDIES = {
    "embeddings.npz": "write it again with 'vgae embed {folder}'",
    "clusters.npz": "write it again with 'vgae clusters {folder}'",
    "model/calibration.json": "fit it again with 'vgae calibrate {folder}'",
}
_PATIENCE, _ROUNDS = 0.1, 5  # seconds; a process may be between the writes of two files


def digests(folder: Path, names: Collection[str]) -> dict[str, str | None]:
    """Return the SHA-256 of files of a run by name; ``None`` for one that is not there."""
    found = {}
    for name in names:
        path = folder / name
        found[name] = hashlib.sha256(read_regular(path)).hexdigest() if path.exists() else None
    return found


def check_digests(folder: Path, metrics: Mapping[str, Any], names: Collection[str]) -> None:
    """Compare files of a run with the digests that its training stored.

    Runs of earlier versions have none, and are not checked.

    Raises:
        ArtifactError: ``RUN_MIXED`` if a file is another one than the training wrote.
    """
    stored = metrics.get("files", {})
    if not isinstance(stored, dict):
        raise ArtifactError(
            "RUN_CORRUPT", f"files of {folder / 'metrics.json'} is no JSON object."
        )
    known = [name for name in names if name in stored]
    for name, digest in digests(folder, known).items():
        if digest != stored[name]:
            remedy = _REMEDIES.get(name, "bring back the file of this run, or train again")
            raise ArtifactError(
                "RUN_MIXED",
                f"{folder / name} is not the file that belongs to this run: it is of another run,"
                " was changed, or was left by a process that was ended;"
                f" {remedy.format(folder=folder)}.",
            )


def settled(read: Callable[[], T]) -> T:
    """Return the result of ``read``, called again if a process was just replacing two files."""
    for _ in range(_ROUNDS):
        try:
            return read()
        except ArtifactError as error:
            if error.code != "RUN_MIXED":
                raise
            time.sleep(_PATIENCE)
    return read()


def store_digests(folder: Path, names: Collection[str], **changes: Any) -> dict[str, Any]:
    """Store new digests of files, and other changes, in ``metrics.json``; return its content.

    The caller has the lock of the folder.
    """
    metrics = read_json(folder / "metrics.json") | changes
    metrics["files"] = metrics.get("files", {}) | digests(folder, names)
    write_json(folder / "metrics.json", metrics)
    return metrics


@contextmanager
def rewriting(folder: Path, metrics: Mapping[str, Any]) -> Iterator[None]:
    """Lock a run while files are written that were computed from what was loaded of it.

    Args:
        folder: Folder of the run.
        metrics: Content of ``metrics.json`` as it was loaded.

    Raises:
        ArtifactError: If another run has replaced it meanwhile; then nothing is written.
        ResourceError: If another process is writing in its folder.
    """
    with locked(folder):
        check_digests(folder, metrics, ["config.json", "model/config.json"])
        yield
