"""Graphs by name or path, also as those of a run."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from vgae.data.catalog import Features
from vgae.data.files import read_graph, taken_options
from vgae.data.named import load_dataset
from vgae.data.node_features import TABLE_OPTIONS, is_table, refuse_table_options
from vgae.data.reading import Reading
from vgae.data.splits import has_columns
from vgae.errors import ArtifactError, DataError, UsageError
from vgae.graphs.encoding import TableEncoder
from vgae.graphs.graph import Graph
from vgae.models.files import read_text
from vgae.runs.folder import is_named, read_config, understood
from vgae.runtime.reading import parsed_json


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
    if reading.time is not None and reading.graph_column is not None:
        rule = "held-out links are chosen by time in one graph"
        raise UsageError("SPLIT_BY_TIME", f"{rule}; leave graph_column (--graph-column) out.")
    if is_named(source):
        refuse_table_options(reading, f"beside the data set {source}")
        if given := [*reading.to_dict()]:
            raise UsageError(
                "OPTION",
                f"{given[0]} (--{given[0].replace('_', '-')}) is about files, and {source} is a"
                " data set; leave it out.",
            )
        known = cast(Features, features)  # load_dataset validates it
        return load_dataset(source, features=known, progress=progress)
    path = None if features in ("raw", "none") else features
    if path is not None and is_named(path):
        hint = f"; a folder is ./{path}" if Path(path).is_dir() else ""
        rule = "features must be 'raw', 'none' or a file such as features.csv"
        raise UsageError("FEATURES", f"{rule}, got {features!r}{hint}.")
    graph = read_graph(source, features=path, **vars(reading))
    return graph.without_features() if features == "none" else graph


def open_like(
    config: Mapping[str, Any],
    source: str,
    features: str = "raw",
    reading: Reading = Reading(),
    *,
    encoder: TableEncoder | None = None,
    progress: bool | None = None,
) -> Graph:
    """Open another graph with the options of a run; it may lack times and labels.

    Args:
        config: Content of ``config.json`` of the run.
        source: As for :func:`open_graph`.
        features: Likewise.
        reading: Options that go before those of the run.
        encoder: Encoder of the run, which encodes a table of ``features``.
        progress: Likewise.

    Raises:
        UsageError: ``ENCODE`` if ``reading`` has another encoding beside ``encoder``.
        DataError: ``FEATURE_NAMES`` if the file has features of another encoder.
    """
    options = reading_of(config).to_dict()
    if not is_table(features):
        options = {name: value for name, value in options.items() if name not in TABLE_OPTIONS}
    elif encoder is not None:
        options["encode"] = encoder
        if "encode" in reading.to_dict():
            raise UsageError(
                "ENCODE",
                "this model takes features that its own encoder makes of the table; leave encode"
                " (--encode) out.",
            )
    both = Reading.of({**options, **reading.to_dict()})
    both = _without_others(both, reading, source, features)
    may_lack = {"TIME_COLUMN": "time", "LABEL_COLUMN": "label_column"}
    may_lack |= {"GRAPH_COLUMN": "graph_column"}
    while True:
        try:
            graph = open_graph(source, features, both, progress=progress)
            break
        except DataError as error:
            field = may_lack.pop(error.code, "")
            if not field or getattr(reading, field) is not None:
                raise
            both = replace(both, **{field: None})
    if encoder is not None and graph.feature_encoder not in (None, encoder):
        raise DataError(
            "FEATURE_NAMES",
            f"{source} has features of another encoder than this model's, whose numbers mean"
            " something else; give its links and its table (--features FILE).",
        )
    return graph


def _without_others(both: Reading, given: Reading, source: str, features: str) -> Reading:
    """Return the options of a run that another graph takes, and those that are given for it."""
    taken = frozenset[str]()
    if not is_named(source):
        taken = taken_options(source, has_features=features not in ("raw", "none"))
    taken -= {"graph_labels"}  # those of the graphs of the run
    if is_named(source) or not has_columns(source):
        taken -= {"time"}
    left = both.to_dict().keys() - taken - given.to_dict().keys()
    return replace(both, **{name: getattr(Reading(), name) for name in left})


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


def reading_entry(reading: Reading) -> dict[str, Any]:
    """Return the entry of ``config.json`` on the options of reading, if some are given."""
    labels = None if reading.graph_labels is None else Path(reading.graph_labels).name
    kept: dict[str, Any] = {"directed": "symmetrize", "time": None, "graph_labels": labels}
    given = replace(reading, **kept).to_dict()
    return {"reading": given} if given else {}


def located_labels(reading: Reading, paths: Mapping[str, str]) -> Reading:
    """Return options of reading with the path of the labels of graphs on this machine.

    Args:
        reading: Options, with the name of the file of labels.
        paths: Absolute paths of files by field, with that of ``graph_labels``.
    """
    path, name = Path(paths.get("graph_labels", "")), reading.graph_labels
    is_same = name is not None and path.name == Path(name).name and path.exists()
    return replace(reading, graph_labels=str(path)) if is_same else reading


def split_config(split: str | os.PathLike[str] | None) -> Mapping[str, Any]:
    """Return ``config.json`` of the run that a split is of, given its folder or file.

    Empty for a split of no run.
    """
    if split is not None:
        folder = Path(split) if Path(split).is_dir() else Path(split).parent
        if (folder / "config.json").is_file() and (folder / "split.npz").is_file():
            return read_config(folder)
    return {}


def check_names(folder: Path, graph: Graph) -> None:
    """Raise ``ArtifactError`` if the nodes have other names than in the training."""
    path = folder / "model" / "node_ids.json"
    with understood(folder):
        names = parsed_json(read_text(path)) if path.exists() else None
    if names != (None if graph.node_ids is None else list(graph.node_ids)):
        raise ArtifactError(
            "DATA_CHANGED",
            f"the nodes of {graph.name} have other names than those of {path}; restore the data,"
            " or train again with another --out.",
        )
