"""Dense features in a folder of npy files."""

import logging
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from vgae.data.npy import mapped_npy
from vgae.errors import DataError
from vgae.graphs.large_features import checked_rows, converted
from vgae.runtime import mapped

log = logging.getLogger(__name__)


def read_shards(folder: Path) -> np.ndarray:
    """Return the rows of all npy files of a folder, in the order of their names.

    Numbers in names count as such: ``x-2.npy`` comes before ``x-10.npy``. Large features are in a
    temporary file, mapped into memory, and checked.

    Raises:
        DataError: ``FEATURE_SHARDS`` if the folder has other files or none, or they differ in
            columns; ``FEATURE_DTYPE``; ``FEATURE_NONFINITE``; or as the reader of npy files.
    """
    paths = sorted((p for p in folder.iterdir() if not p.name.startswith(".")), key=_order)
    others = [path.name for path in paths if path.suffix.lower() != ".npy"]
    if others or not paths:
        found = f"has {others[0]!a:.60}; move other files away" if others else "is empty"
        raise DataError(
            "FEATURE_SHARDS", f"a folder of features must hold .npy files only, and it {found}."
        )
    parts = [mapped_npy(path) for path in paths]
    for path, part in zip(paths, parts, strict=True):
        if part.ndim != 2 or part.shape[1] != parts[0].shape[-1] or not part.shape[1]:
            raise DataError(
                "FEATURE_SHARDS",
                f"{path.name} must have shape (rows, {parts[0].shape[-1]}) as the files before it,"
                f" got {part.shape}.",
            )
        if part.dtype.kind not in "biuf":
            raise DataError("FEATURE_DTYPE", f"{path.name} must be numbers, got {part.dtype}.")
    shape = sum(map(len, parts)), parts[0].shape[1]
    names = paths[0].name, paths[-1].name
    log.info(
        "%s: %d files of features, %d rows, in the order %s ... %s",
        folder,
        len(paths),
        shape[0],
        *names,
    )
    if 4 * shape[0] * shape[1] <= mapped.LARGE:
        return np.concatenate([part.astype(np.float32) for part in parts])
    return converted(shape, checked_rows(_blocks(parts)), f"{len(parts)} files").numpy()


def _blocks(parts: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
    for part in parts:
        step = mapped.rows_at_once(part.shape[1])
        for first in range(0, len(part), step):
            yield np.asarray(part[first : first + step])
            mapped.release(part if isinstance(part, np.memmap) else None)


def _order(path: Path) -> tuple[list[int | str], str]:
    """Return a key that orders numbers in names by value, and equal ones by the name."""
    parts = re.split(r"(\d+)", path.name)
    return [int(part) if k % 2 else part for k, part in enumerate(parts)], path.name
