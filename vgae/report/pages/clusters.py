"""Section of a page on the clusters of the nodes, and their colours on the map."""

import io
from collections.abc import Mapping
from typing import Any

import numpy as np

from vgae.prediction.cluster_table import ClusterTable
from vgae.report.cluster_text import agreement_text, chosen_text, reason_text
from vgae.report.figures.fonts import use_fonts
from vgae.report.figures.graphs import clusters_figure
from vgae.report.pages.frame import (
    Cell,
    Column,
    Table,
    image_uri,
    numeric,
    packed,
    shown,
    unpacked,
)

_COLOURED = 30  # clusters with a colour of their own; the smaller ones share one
_ROWS = 200  # clusters in the table
_DPI = 110


def cluster_colours(labels: np.ndarray, nodes: np.ndarray) -> dict[str, Any]:
    """Return the cluster of each node on the map, and the names of the clusters."""
    count = int(labels.max()) + 1
    names = [f"cluster {k}" for k in range(min(count, _COLOURED))]
    names += ["smaller clusters"] * (count > _COLOURED)
    drawn = np.minimum(labels[nodes], len(names) - 1).astype(np.int32)
    return {"cluster": packed(drawn), "cluster_names": names}


def cluster_section(table: ClusterTable, drawn: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of the section.

    Args:
        table: The clusters.
        drawn: Data of the map of the nodes, which the figure has the positions of.
    """
    rows: list[list[Cell]] = []
    of_features: list[list[Cell]] = []
    for number, profile in enumerate(table.profiles[:_ROWS]):
        cluster = (f"{number}", number)
        features = [shown(feature.name) for feature in profile.features]
        row: list[Cell] = [cluster, "; ".join(map(shown, profile.nodes))]
        row += ["; ".join(features)] if table.has_features else []
        row += [(f"{profile.size:,}", profile.size), _number(profile.confidence)]
        rows.append(row)
        for name, feature in zip(features, profile.features, strict=True):
            of_features.append([cluster, name, *map(_number, feature[1:])])
    columns = [Column("cluster"), Column("typical nodes", help="nearest to its centre")]
    columns += [Column("typical features")] if table.has_features else []
    columns += [numeric("nodes"), numeric("confidence", "mean")]
    return {
        "chosen": f"These are {chosen_text(table.clusters)}. {reason_text(table.clusters)}",
        "agreement": agreement_text(table),
        "table": Table("Clusters, the largest first", columns, rows, sortable=True),
        "num_left_out": len(table.profiles) - len(rows),
        "features": _features(of_features),
        "image": _image(table, drawn),
    }


def _features(rows: list[list[Cell]]) -> Table | None:
    """Return the table of typical features; ``None`` without any."""
    if not rows:
        return None
    columns = [Column("cluster"), Column("feature"), numeric("correlation", "with membership")]
    columns += [numeric("mean in the cluster"), numeric("mean elsewhere")]
    return Table("Typical features of each cluster", columns, rows, sortable=True)


def _number(value: float) -> tuple[str, float]:
    return f"{value:.3g}", float(f"{value:.6g}")


def _image(table: ClusterTable, drawn: Mapping[str, Any]) -> str:
    """Return the nodes of the map coloured by cluster, as a data URI."""
    method, flat = next(iter(drawn["planes"].items()))
    plane, labels = unpacked(flat).reshape(-1, 2), unpacked(drawn["cluster"])
    title = f"{len(plane):,} nodes in {chosen_text(table.clusters)}, {method}"
    content = io.BytesIO()
    figure = use_fonts(clusters_figure(plane, labels, drawn["cluster_names"], title))
    figure.savefig(content, dpi=_DPI)
    return image_uri(content.getvalue())
