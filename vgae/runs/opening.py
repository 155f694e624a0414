"""Graphs by name or path, also as those of a run."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from vgae.data.catalog import Features
from vgae.data.files import read_graph
from vgae.data.named import load_dataset
from vgae.data.splits import has_columns
from vgae.data.text import TextFormat
from vgae.errors import DataError, UsageError
from vgae.graphs.canonical import Directed
from vgae.graphs.graph import Graph
from vgae.runs.folder import is_named, read_config


def open_graph(
    source: str,
    features: str = "raw",
    directed: Directed = "symmetrize",
    *,
    time: str | None = None,
    progress: bool | None = None,
) -> Graph:
    """Open a graph by the name of a data set, or by the path of a file (with a suffix).

    Args:
        source: Name or path; see :func:`vgae.load_dataset` and :func:`vgae.read_graph`.
        features: ``"raw"`` for those of the data set or file; ``"none"``; or, for a file, the
            path of another file with features.
        directed: See :meth:`vgae.Graph.from_edges`.
        time: Column of an edge list with the time of each edge, which is no weight.
        progress: Show the progress of a download; see :func:`vgae.fit`.
    """
    if time is not None and (is_named(source) or not has_columns(source)):
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
    text = TextFormat(time=time)
    graph = read_graph(source, features=path, directed=directed, text=text)
    return graph.without_features() if features == "none" else graph


def open_like(
    config: Mapping[str, Any], source: str, features: str = "raw", *, progress: bool | None = None
) -> Graph:
    """Open another graph as that of a run: the run's column of times is no weight here either.

    Args:
        config: Content of ``config.json`` of the run.
        source: As for :func:`open_graph`.
        features: Likewise.
        progress: Likewise.
    """
    column = config.get("split", {}).get("by_time")
    if column is not None and not is_named(source) and has_columns(source):
        try:
            return open_graph(source, features, time=column, progress=progress)
        except DataError as error:
            if error.code != "TIME_COLUMN":
                raise
    return open_graph(source, features, progress=progress)


def split_config(split: str | os.PathLike[str] | None) -> Mapping[str, Any]:
    """Return ``config.json`` of the run that a split is of, given its folder or file.

    Empty for a split of no run.
    """
    if split is not None:
        folder = Path(split) if Path(split).is_dir() else Path(split).parent
        if (folder / "config.json").is_file() and (folder / "split.npz").is_file():
            return read_config(folder)
    return {}
