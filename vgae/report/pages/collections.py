"""Section of a page on the graphs of a collection: their vectors, sizes, and anomaly scores."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from vgae.graphs.collection import GraphCollection
from vgae.models.graph_vectors import standardised
from vgae.report.figures.points import projections
from vgae.report.pages.frame import Cell, Chart, Column, Series, Table, numeric, rounded, shown
from vgae.runs.collections import embedded_graphs
from vgae.runs.graphs import Run

_ROWS = 500  # graphs in the table
_COLOURS = ("accent", "second", "third", "muted")  # of labels; more share the last one
_CAPTION = "Graphs, the most unusual first"


def collection_section(run: Run) -> tuple[dict[str, Any] | None, dict[str, Chart]]:
    """Return the content of the section and its charts; ``None`` for a run on one graph."""
    graphs = run.graph
    if not isinstance(graphs, GraphCollection):
        return None, {}
    found = embedded_graphs(run, graphs, run.split.message_edge_index, "moments")
    anomaly = found.more["anomaly"]
    charts = {
        "graph-map": _map(graphs, found.q.mu.double().numpy(), anomaly),
        "graph-sizes": _sizes(graphs.sizes.numpy()),
    }
    labels = found.labels or [None] * graphs.num_graphs
    order = np.argsort(-np.nan_to_num(anomaly, nan=-np.inf), kind="stable")[:_ROWS].tolist()
    rows: list[list[Cell]] = []
    for rank, g in enumerate(order, 1):
        cells: list[Cell] = [(f"{rank}", rank), shown(graphs.graph_ids[g])]
        cells += [] if found.labels is None else [shown(_label(labels[g]))]
        counts = (int(found.more[name][g]) for name in ("nodes", "links"))
        cells += [(f"{count:,}", count) for count in counts]
        log_likelihood, value = float(found.more["log_likelihood"][g]), float(anomaly[g])
        cells.append((f"{log_likelihood:,.1f}".replace("-", "\N{MINUS SIGN}"), log_likelihood))
        cells.append(("–", -1.0) if value != value else (f"{value:.3f}", value))
        rows.append(cells)
    columns = [Column("rank"), Column("graph")]
    columns += [] if found.labels is None else [Column("label")]
    columns += [
        numeric("nodes"),
        numeric("links"),
        numeric("log-likelihood", "of its links, in nats; lower for larger graphs"),
        numeric("anomaly score", "distance from typical graphs; the median graph has 1"),
    ]
    content = {
        "table": Table(_CAPTION, columns, rows, sortable=True),
        "num_left_out": graphs.num_graphs - len(rows),
        "averages": _averages(run.metrics),
    }
    return content, charts


def _averages(metrics: Mapping[str, Any]) -> list[list[str]]:
    """Return pooled scores and averages over graphs as rows of a table."""
    rows = []
    for part, name in (("test", "test"), ("val", "validation")):
        row = metrics.get(part) or {}
        if "auc_per_graph" in row:
            keys = ("auc_per_graph", "ap_per_graph", "auc", "ap")
            values = [f"{100 * row[key]:.2f}" for key in keys]
            rows.append([name, f"{row['num_graphs_scored']:,}", *values])
    return rows


def _label(label: object) -> str:
    return "unknown" if label is None else str(label)


def _map(graphs: GraphCollection, vectors: np.ndarray, anomaly: np.ndarray) -> Chart:
    """Return the vectors in the plane, a series of dots for each label."""
    method, plane = next(projections(standardised(vectors)))
    names = [shown(name) for name in graphs.graph_ids]
    text = [
        f"{name}: {size:,} nodes, anomaly score {value:.3f}"
        for name, size, value in zip(names, graphs.sizes.tolist(), anomaly, strict=True)
    ]
    y = np.zeros(len(plane), dtype=int) if graphs.graph_y is None else graphs.graph_y.numpy()
    present, counts = np.unique(y, return_counts=True)
    present = present[np.argsort(-counts, kind="stable")]
    known = graphs.graph_label_names
    series = []
    groups = [[int(label)] for label in present[: len(_COLOURS) - 1]]
    groups += [rest] if (rest := present[len(_COLOURS) - 1 :].tolist()) else []
    for colour, group in zip(_COLOURS, groups, strict=False):
        which = np.flatnonzero(np.isin(y, group))
        name = "other labels"
        if len(group) == 1:
            label = group[0]
            name = shown(known[label]) if known and label >= 0 else f"label {label}"
            name = "unknown" if label < 0 else name
        named = "" if graphs.graph_y is None else name
        x, height = (rounded(plane[which, axis]) for axis in (0, 1))
        series.append(Series(named, x, height, "dots", colour, text=[text[k] for k in which]))
    return Chart(
        "Vectors of the graphs",
        f"Each dot is a graph: the means of the vectors of its nodes and of their squares,"
        f" standardised ({method}). Graphs whose nodes are alike are close to each other."
        + " The labels were not used in training."
        * (graphs.graph_y is not None),
        series,
    )


def _sizes(sizes: np.ndarray) -> Chart:
    """Return the histogram of the numbers of nodes."""
    edges = np.linspace(sizes.min() - 0.5, sizes.max() + 0.5, min(30, int(np.ptp(sizes)) + 1) + 1)
    counts = np.histogram(sizes, edges)[0].tolist()
    middle = rounded((edges[:-1] + edges[1:]) / 2)
    middle_size = f"{int(np.median(sizes)):,} nodes"
    text = f"Half of the graphs have {middle_size} or fewer."
    if np.ptp(sizes) == 0:
        text = f"All graphs have {middle_size}."
    bars = [Series("graphs", middle, counts, "bars")]
    return Chart("Sizes of the graphs", text, bars, "nodes", "graphs")
