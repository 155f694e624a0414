"""Features of the two sides of a graph, each in a file or data frame of its own."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from vgae.data.node_features import NodeFeatures, join_features
from vgae.errors import DataError, UsageError
from vgae.graphs.arrays import FeatureBlock, block_features
from vgae.graphs.canonical import NodeId
from vgae.graphs.defaults import MissingFeatures
from vgae.graphs.graph import Graph
from vgae.graphs.sides import kind_of


def side_files(features: Any) -> tuple[Any, Any] | None:
    """Return the features of both sides if two are given; ``None`` for those of all nodes.

    Args:
        features: A tuple of two files or frames, ``None`` for a side without features; or a path
            such as ``data/users.csv,items.csv``, of two files in one folder, or ``none``.

    Raises:
        UsageError: ``FEATURES`` if there are more than two, or they are in two folders.
    """
    if isinstance(features, tuple):
        names: Sequence[Any] = features
    elif not isinstance(features, str | Path) or "," not in str(features):
        return None
    else:
        path = Path(features)
        if path.exists():
            return None
        if "," in str(path.parent) and not path.parent.exists():
            raise UsageError(
                "FEATURES",
                "features of two sides must be two files of one folder, such as"
                f" data/users.csv,items.csv, got {str(features)!r:.90}.",
            )
        parts = [name.strip() for name in path.name.split(",")]
        names = [None if name == "none" else path.parent / name for name in parts]
    if len(names) != 2:
        raise UsageError(
            "FEATURES", f"features must be one file, or one for each side, got {len(names)}."
        )
    return names[0], names[1]


def are_there(path: str) -> bool:
    """Return whether a file exists, or each of two of :func:`side_files`."""
    return all(one is None or Path(one).exists() for one in side_files(path) or (path,))


def with_side_features(
    graph: Graph,
    features: Sequence[NodeFeatures | None],
    *,
    missing: MissingFeatures,
    counted: bool,
) -> Graph:
    """Return a two-sided graph with the features of each side as blocks of ``x``.

    The names in a file may lack what the names of nodes that are on both sides begin with:
    ``7`` for ``user_id:7``. A side without features has a column per node.

    Args:
        graph: The graph.
        features: Features of the first and of the second side.
        missing: As for :func:`vgae.data.node_features.join_features`.
        counted: Likewise.

    Raises:
        UsageError: ``SIDES`` if the graph has no sides.
        DataError: ``NODE_SET_MISMATCH``; ``LABELS`` if both files have labels.
    """
    if graph.sides is None:
        raise UsageError(
            "SIDES",
            f"two files of features are those of two sides, and {graph.name} has none;"
            " sides='columns' (--sides columns) takes the columns of its edges.",
        )
    labelled = [
        place for place, one in enumerate(features) if one is not None and one.y is not None
    ]
    if len(labelled) > 1 or any(one is not None and one.encoder for one in features):
        what = "labels of" if len(labelled) > 1 else "an encoding of"
        raise UsageError(
            "LABEL_COLUMN" if len(labelled) > 1 else "ENCODE",
            f"there is no {what} the tables of two sides; leave it out, and give numbers.",
        )
    ids, blocks = list(graph.ids), []
    second = graph.sides.tolist()
    y = np.full(len(ids), -1)
    label_names: Sequence[str] = ()
    names = graph.side_names or ("first", "second")
    for is_second, own, label in zip((False, True), features, names, strict=True):
        nodes = [node for node, side in enumerate(second) if side == is_second]
        prefix = prefix_of([ids[node] for node in nodes])
        bare = [str(ids[node])[len(prefix) :] if prefix else ids[node] for node in nodes]
        if own is None:
            blocks.append(FeatureBlock(label, np.array(nodes), None, bare))
            continue
        named = own.names is not None and prefix and _lacks(own.names, prefix)
        wanted = bare if named else [ids[node] for node in nodes]
        if own.names is None:
            wanted = list(range(len(nodes)))
        joined = join_features(wanted, own, missing=missing, counted=counted)
        old = set(joined.place.tolist())
        new = [place for place in range(len(joined.names)) if place not in old]
        order = [*joined.place.tolist(), *new]
        added = [
            f"{prefix}{joined.names[place]}" if named else joined.names[place] for place in new
        ]
        nodes += range(len(ids), len(ids) + len(added))
        ids, second = [*ids, *added], [*second, *[is_second] * len(added)]
        x = None if joined.x is None else joined.x[order]
        blocks.append(
            FeatureBlock(label, np.array(nodes), x, own.feature_names if x is not None else ())
        )
        y = np.append(y, np.full(len(added), -1))
        if joined.y is not None:
            y[nodes], label_names = joined.y[order], own.label_names
    impute = missing == "impute"
    x, feature_names = block_features(blocks, gaps=impute)
    parts: Any = {"y": graph.y, "label_names": graph.label_names}
    if label_names:
        parts = {"y": y, "label_names": label_names}
    elif graph.y is not None:
        parts["y"] = np.append(graph.y.numpy(), np.full(len(ids) - graph.num_nodes, -1))
    again = Graph.from_edges(
        graph.links,
        **graph.link_options,
        num_nodes=len(ids),
        x=x,
        feature_names=feature_names,
        node_ids=ids,
        name=graph.name,
        sides=np.array(second),
        missing_features="impute" if impute else "refuse",
        side_names=graph.side_names,
        **parts,
    )
    return replace(again, notes=graph.notes)


def placed_sides(graph: Graph, place: np.ndarray, names: Sequence[NodeId]) -> dict[str, Any]:
    """Return the arguments of ``Graph.from_edges`` for the kind of a graph with more nodes.

    Args:
        graph: The graph.
        place: Its nodes among all.
        names: Name of each node; that of an added one tells its side if all of a side begin alike.

    Raises:
        DataError: ``SIDES`` if the side of an added node is not known.
    """
    kind = kind_of(graph)
    if graph.sides is None:
        return kind
    second = np.zeros(len(names), bool)
    second[place] = graph.sides.numpy()
    added = np.setdiff1d(np.arange(len(names)), place).tolist()
    ids, sides = graph.ids, graph.sides.tolist()
    prefixes = [
        prefix_of([name for name, side in zip(ids, sides, strict=True) if side == is_second])
        for is_second in (False, True)
    ]
    for node in added:
        found = [bool(prefix) and str(names[node]).startswith(prefix) for prefix in prefixes]
        if found[0] == found[1]:
            raise DataError(
                "SIDES",
                f"{len(added)} rows of the features are of nodes without links, such as"
                f" {names[node]!r:.60}, whose side is not known; give the features of each side"
                " apart (--features users.csv,items.csv), or leave these rows out.",
            )
        second[node] = found[1]
    return kind | {"sides": second}


def prefix_of(ids: Sequence[NodeId]) -> str:
    """Return what all names begin with up to a colon, ``user_id:``; empty without it."""
    if not ids or not isinstance(ids[0], str):
        return ""
    prefix = ids[0].partition(":")[0] + ":"
    return prefix if all(str(name).startswith(prefix) for name in ids) else ""


def _lacks(names: Sequence[NodeId], prefix: str) -> bool:
    return not all(str(name).startswith(prefix) for name in names)
