"""Graphs by name or path, also as those of a run."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from vgae.data.catalog import Features
from vgae.data.files import read_graph
from vgae.data.named import load_dataset
from vgae.data.reading import Reading
from vgae.data.splits import has_columns
from vgae.errors import DataError, UsageError
from vgae.graphs.graph import Graph
from vgae.runs.folder import is_named, read_config


def open_graph(
    source: str,
    features: str = "raw",
    reading: Reading = Reading(),
    *,
    progress: bool | None = None,
) -> Graph:
    """Open a graph by the name of a data set, or by the path of a file (with a suffix).

    Args:
        source: Name or path; see :func:`vgae.load_dataset` and :func:`vgae.read_graph`.
        features: ``"raw"`` for those of the data set or file; ``"none"``; or, for a file, the
            path of another file with features.
        reading: Options, for a file.
        progress: Show the progress of a download; see :func:`vgae.fit`.
    """
    if reading.time is not None and (is_named(source) or not has_columns(source)):
        raise UsageError(
            "SPLIT_BY_TIME",
            f"times are in a column of an edge list in text or .parquet, not in {source}.",
        )
    if is_named(source):
        known = cast(Features, features)  # load_dataset validates it
        return load_dataset(source, features=known, progress=progress)
    path = None if features in ("raw", "none") else features
    if path is not None and is_named(path):
        raise UsageError(
            "FEATURES",
            f"features must be 'raw', 'none' or a file such as features.csv, got {features!r}.",
        )
    graph = read_graph(source, features=path, **vars(reading))
    return graph.without_features() if features == "none" else graph


def open_like(
    config: Mapping[str, Any],
    source: str,
    features: str = "raw",
    reading: Reading = Reading(),
    *,
    progress: bool | None = None,
) -> Graph:
    """Open another graph with the options of a run; its column of times may be missing.

    Args:
        config: Content of ``config.json`` of the run.
        source: As for :func:`open_graph`.
        features: Likewise.
        reading: Options that go before those of the run.
        progress: Likewise.
    """
    reading = Reading.of({**reading_of(config).to_dict(), **reading.to_dict()})
    if reading.time is not None and not is_named(source) and has_columns(source):
        try:
            return open_graph(source, features, reading, progress=progress)
        except DataError as error:
            if error.code != "TIME_COLUMN":
                raise
    return open_graph(source, features, replace(reading, time=None), progress=progress)


def reading_of(config: Mapping[str, Any]) -> Reading:
    """Return the options with which the graph of a run was read, times of edges included."""
    graph, split = config.get("graph", {}), config.get("split", {})
    return Reading.of(
        {
            **graph.get("reading", {}),
            "directed": graph.get("directed", "symmetrize"),
            "time": split.get("by_time"),
        }
    )


def split_config(split: str | os.PathLike[str] | None) -> Mapping[str, Any]:
    """Return ``config.json`` of the run that a split is of, given its folder or file.

    Empty for a split of no run.
    """
    if split is not None:
        folder = Path(split) if Path(split).is_dir() else Path(split).parent
        if (folder / "config.json").is_file() and (folder / "split.npz").is_file():
            return read_config(folder)
    return {}
