"""Files of graphs with a known structure, written as they are drawn."""

import logging
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from vgae.data.graph_npz import FORMAT, graph_name
from vgae.errors import UsageError
from vgae.graphs.planted import PlantedGraph
from vgae.runtime.atomic import replacing, writing
from vgae.runtime.npz import Streamed, write_arrays
from vgae.runtime.progress import Pace, showing

log = logging.getLogger(__name__)

_PIECE = 1 << 20  # numbers
_LINES = 1 << 16


class Written(NamedTuple):
    """What was written: the number of links, and of those across communities."""

    links: int
    across: int


def write_planted(
    planted: PlantedGraph,
    path: Path,
    features_file: Path | None = None,
    *,
    progress: bool | None = None,
) -> Written:
    """Write a graph with a known structure; links and features are never held as a whole.

    A ``.npz`` is as of :func:`vgae.data.graph_npz.write_npz`, with communities as labels, and not
    compressed; while it is written, the links take twice their 16 bytes on the disk. A ``.csv``
    has the columns source and target, and the nodes that have links.

    Args:
        planted: The graph.
        path: A ``.npz`` or ``.csv``.
        features_file: A ``.npy`` for the features, a row for each node; else they go into the
            ``.npz``.
        progress: Whether to show it on stderr; see :func:`vgae.runtime.progress.showing`.

    Raises:
        UsageError: ``EXPORT_FORMAT`` if a suffix is another one; ``FEATURES`` if the features
            have no place, or there are none for the file.
        ResourceError: As :func:`vgae.runtime.atomic.replacing`.
    """
    _check(planted, path, features_file)
    planted.rates  # noqa: B018 - or so many links do not fit
    with showing(planted.links, "links", wanted=progress) as pace:
        if features_file is not None:
            with replacing(features_file) as temporary, temporary.open("wb") as file:
                _dense(planted).write(file)
        if path.suffix == ".csv":
            return _write_csv(planted, path, pace)
        return _write_npz(planted, path, pace, with_x=features_file is None)


def _check(planted: PlantedGraph, path: Path, features_file: Path | None) -> None:
    """Raise unless the files can hold the graph."""
    if path.suffix not in (".npz", ".csv"):
        raise UsageError("EXPORT_FORMAT", f"--out must end in .npz or .csv, got {path}.")
    if features_file is None:
        if planted.features and path.suffix == ".csv":
            raise UsageError(
                "FEATURES",
                "a .csv holds the links alone; give --features-file x.npy for the features, or"
                " write a .npz.",
            )
        return
    if features_file.suffix != ".npy":
        raise UsageError("EXPORT_FORMAT", f"{features_file} must end in .npy.")
    if not planted.features or planted.sparse:
        what = "sparse features go into the .npz" if planted.sparse else "there are no features"
        cure = "leave --features-file out" + (
            "" if planted.sparse else ", or give --features with their number"
        )
        raise UsageError("FEATURES", f"{what}: {cure}.")


def _dense(planted: PlantedGraph) -> Streamed:
    shape = planted.nodes, planted.features
    return Streamed(shape, np.dtype(np.float32), planted.feature_blocks())


def _counted(planted: PlantedGraph, pace: Pace) -> Iterator[tuple[np.ndarray, Written]]:
    """Yield the strips of links, and the numbers so far."""
    community, written = planted.planted.community, Written(0, 0)
    for links in planted.strips():
        across = np.count_nonzero(community[links[0]] != community[links[1]])
        written = Written(written.links + links.shape[1], written.across + int(across))
        yield links, written
        pace(min(written.links, pace.total))
    pace(pace.total)


def _write_csv(planted: PlantedGraph, path: Path, pace: Pace) -> Written:
    written = Written(0, 0)
    with replacing(path) as temporary, temporary.open("wb") as file:
        file.write(b"source,target\n")
        for links, count in _counted(planted, pace):
            written = count
            ends = links.T.reshape(-1)
            for start in range(0, len(ends), 2 * _LINES):
                numbers = tuple(ends[start : start + 2 * _LINES].tolist())
                file.write(b"%d,%d\n" * (len(numbers) // 2) % numbers)
    return written


def _write_npz(planted: PlantedGraph, path: Path, pace: Pace, *, with_x: bool) -> Written:
    """Write the arrays; those of unknown length are collected in files without a name first."""
    written = Written(0, 0)
    with ExitStack() as open_files, writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)

        def spool() -> BinaryIO:
            return open_files.enter_context(tempfile.TemporaryFile(dir=path.parent))

        ends = spool(), spool()
        for links, count in _counted(planted, pace):
            written = count
            for row, file in zip(links, ends, strict=True):
                file.write(row.data)
        content: dict[str, Any] = {
            "format": np.array(FORMAT),
            "name": np.array(graph_name(path)),
            "num_nodes": np.array(planted.nodes),
            "edges": Streamed((2, written.links), np.dtype(np.int64), _joined(ends, np.int64)),
        }
        if with_x and planted.features:
            content |= (
                _sparse(planted, (spool(), spool())) if planted.sparse else {"x": _dense(planted)}
            )
        content |= {"y": planted.planted.community, "label_names": np.array(planted.label_names())}
        write_arrays(path, {"keys": np.array(["keys", *content]), **content})
    return written


def _sparse(planted: PlantedGraph, files: tuple[BinaryIO, BinaryIO]) -> dict[str, Any]:
    """Return sparse features as the arrays of CSR."""
    starts, size = [np.zeros(1, np.int64)], 0
    for block in planted.feature_blocks():
        starts.append(block.indptr[1:].astype(np.int64) + size)
        size += block.nnz
        files[0].write(block.indices.astype(np.int64).data)
        files[1].write(block.data.data)
    return {
        "x_indptr": np.concatenate(starts),
        "x_indices": Streamed((size,), np.dtype(np.int64), _joined(files[:1], np.int64)),
        "x_data": Streamed((size,), np.dtype(np.float32), _joined(files[1:], np.float32)),
        "x_shape": np.array([planted.nodes, planted.features]),
    }


def _joined(files: tuple[BinaryIO, ...], dtype: type) -> Iterator[np.ndarray]:
    """Yield the numbers in files, one after another."""
    for file in files:
        file.seek(0)
        while piece := file.read(_PIECE * np.dtype(dtype).itemsize):
            yield np.frombuffer(piece, dtype)
