"""Figure of a run on a collection: vectors of the graphs, their sizes, and some of the graphs."""

from typing import Any

import networkx as nx
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vgae.errors import printable
from vgae.graphs.collection import GraphCollection
from vgae.models.graph_vectors import standardised
from vgae.prediction.link_table import LinkTable
from vgae.report.figures.points import draw_classes, draw_values, projections
from vgae.report.figures.style import BLUE, CLASS_COLOURS, ORANGE, TEXT, cut, legend, titled

SHOWN = 5  # graphs of each row
_LAID_OUT = 150  # nodes; larger graphs are drawn at the projection of their embedding
PROPOSED = 3  # links of each graph


def collection_figure(graphs: GraphCollection, vectors: np.ndarray, anomaly: np.ndarray) -> Figure:
    """Draw the vectors in the plane, and the sizes.

    Args:
        graphs: The collection.
        vectors: Vectors of the graphs, shape ``(G, k)``.
        anomaly: Anomaly score of each graph, NaN where it has none, shape ``(G,)``.
    """
    figure = Figure(figsize=(11, 3.8), layout="constrained")
    plane, sizes = figure.subplots(1, 2, width_ratios=[1.6, 1])
    _draw_vectors(plane, graphs, vectors, anomaly)
    counts = graphs.sizes.numpy()
    sizes.hist(counts, min(30, int(np.ptp(counts)) + 1), color=BLUE, edgecolor="white", lw=0.3)
    titled(sizes, "Graphs by number of nodes")
    return figure


def examples_figure(
    graphs: GraphCollection, anomaly: np.ndarray, embedding: np.ndarray, proposals: LinkTable
) -> Figure:
    """Draw the most usual and the most unusual graphs.

    Args:
        graphs: The collection.
        anomaly: Anomaly score of each graph, NaN where it has none, shape ``(G,)``.
        embedding: Means of the nodes, shape ``(N, d)``, which place those of large graphs.
        proposals: Proposed links, of which some of each drawn graph are shown.
    """
    figure = Figure(figsize=(11, 4.4), layout="constrained")
    drawn = figure.subplots(2, SHOWN, squeeze=False)
    for axes in drawn.flat:
        axes.set_axis_off()
    for row, (what, numbers) in zip(drawn, chosen_graphs(anomaly).items(), strict=True):
        for place, (axes, number) in enumerate(zip(row, numbers, strict=False)):
            draw_graph(axes, graphs, number, embedding, proposals)
            name = cut(printable(str(graphs.graph_ids[number])), 18)
            text = name if place else f"{what}: {name}"
            axes.set_title(text, loc="left", fontsize=TEXT, parse_math=False)
    return figure


def chosen_graphs(anomaly: np.ndarray) -> dict[str, list[int]]:
    """Return the numbers of the most usual and of the most unusual graphs, without overlap."""
    order = [k for k in np.argsort(anomaly, kind="stable").tolist() if anomaly[k] == anomaly[k]]
    usual = order[: min(SHOWN, (len(order) + 1) // 2)]
    return {"usual": usual, "unusual": order[len(usual) :][::-1][:SHOWN]}


def _draw_vectors(
    axes: Axes, graphs: GraphCollection, vectors: np.ndarray, anomaly: np.ndarray
) -> None:
    """Draw the vectors coloured by label or, without labels, by anomaly score."""
    method, plane = next(projections(standardised(vectors)))
    size = float(np.clip(4000 / len(plane), 2, 30))
    figure: Any = axes.figure
    if graphs.graph_y is None:
        known = ~np.isnan(anomaly)
        drawn = draw_values(axes, plane[known], anomaly[known], size)
        figure.colorbar(drawn, label="anomaly score")
    else:
        names = graphs.graph_label_names
        labels = graphs.graph_y.numpy()
        draw_classes(axes, plane, labels, size, name_of=lambda k: names[k] if names else str(k))
        legend(axes, loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    axes.set_axis_off()
    titled(axes, f"{graphs.name}: vectors of {graphs.num_graphs:,} graphs, {method}")


def draw_graph(
    axes: Axes,
    graphs: GraphCollection,
    number: int,
    embedding: np.ndarray,
    proposals: LinkTable,
) -> None:
    """Draw one graph with its first proposed links, dashed; nodes are coloured by degree."""
    first, last = graphs.grid.ptr[number : number + 2].tolist()
    links = graphs.links[:, graphs.batch[graphs.links[0]] == number].numpy() - first
    network = nx.empty_graph(last - first)
    network.add_edges_from(links.T.tolist())
    if len(network) <= _LAID_OUT:
        whole = nx.is_connected(network)
        found = nx.kamada_kawai_layout(network) if whole else nx.spring_layout(network, seed=0)
        place = np.array([found[node] for node in range(len(network))])
    else:
        place = next(projections(embedding[first:last]))[1]
    own = (graphs.batch[proposals.source] == number).nonzero()[:PROPOSED, 0]
    proposed = np.stack([proposals.source[own].numpy(), proposals.target[own].numpy()]) - first
    for pairs, look in ((links, {"color": "#999999", "lw": 0.8}), (proposed, _DASHED)):
        for pair in pairs.T:
            axes.plot(*place[pair].T, zorder=1, solid_capstyle="round", **look)
    degree = np.bincount(links.ravel(), minlength=len(network))
    colours = [CLASS_COLOURS[0] if d <= 1 else BLUE if d <= 3 else "#08306b" for d in degree]
    size = float(np.clip(700 / len(network), 4, 26))
    axes.scatter(*place.T, s=size, c=colours, linewidths=0, zorder=2)
    axes.set_axis_off()
    axes.margins(0.08)


_DASHED = {"color": ORANGE, "lw": 1.0, "ls": (0, (3, 2))}
