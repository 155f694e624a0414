"""Figures of a run on a graph: training curves, embeddings, and scores of the test links."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure

from vgae.evaluation.links import PairScorer
from vgae.evaluation.metrics import link_scores
from vgae.graphs.collection import GraphCollection
from vgae.graphs.graph import Graph
from vgae.prediction.links import predict_links
from vgae.report.figures.collections import (
    PROPOSED,
    chosen_graphs,
    collection_figure,
    examples_figure,
)
from vgae.report.figures.link_panels import (
    draw_operating_point,
    draw_precision_recall,
    draw_reliability,
    draw_roc,
    scored_test_pairs,
)
from vgae.report.figures.points import (
    MOST_DOTS,
    draw_classes,
    draw_density,
    draw_values,
    projections,
)
from vgae.report.figures.style import legend, save_figures, titled
from vgae.report.figures.training_panels import draw_loss, draw_parts, draw_scores
from vgae.report.node_columns import NodeClasses, NodeValues, label_classes
from vgae.runs.collections import embedded_graphs
from vgae.runs.graphs import Run
from vgae.training.history import HistoryRow


def write_figures(run: Run, embedding: np.ndarray) -> list[Path]:
    """Write ``training.png`` and ``embedding.png`` of a run, and others that it has.

    They are ``links.png``, with test links; ``graphs.png`` and ``examples.png``, of a collection.
    ``embedding`` has the mean of each node, shape ``(N, d)``. Return the paths of the files.
    """
    figures = {
        "training.png": lambda: training_figure(run.history, run.metrics),
        "embedding.png": lambda: embedding_figure(run.graph, embedding),
    }
    if run.split.test.pos.shape[1]:
        figures["links.png"] = lambda: links_figure(run)
    graphs = run.graph
    if isinstance(graphs, GraphCollection):
        found = embedded_graphs(run, graphs, run.split.message_edge_index, "moments")
        anomaly = found.more["anomaly"]
        figures["graphs.png"] = lambda: collection_figure(graphs, found.q.mu.numpy(), anomaly)
        figures["examples.png"] = lambda: _examples(run, graphs, anomaly, embedding)
    return save_figures(run.folder / "figures", figures, dpi=150)


def _examples(
    run: Run, graphs: GraphCollection, anomaly: np.ndarray, embedding: np.ndarray
) -> Figure:
    """Draw some of the graphs with links that are proposed from the training links."""
    drawn = [graphs.graph_ids[k] for row in chosen_graphs(anomaly).values() for k in row]
    scorer = PairScorer(run, graphs, run.split.message_edge_index)
    how: Any = {"per_graph": True, "within": drawn, "progress": False}
    return examples_figure(
        graphs, anomaly, embedding, predict_links(scorer, graphs, PROPOSED, **how)
    )


def training_figure(history: Sequence[HistoryRow], metrics: dict) -> Figure:
    """Draw the loss, its two parts, and the validation scores over the epochs."""
    figure = Figure(figsize=(11, 3.6), layout="constrained")
    loss, parts, scores = figure.subplots(1, 3)
    draw_loss(loss, history)
    titled(loss, "Loss, nats per pair of nodes")
    draw_parts(parts, history)
    titled(parts, "Its two parts, nats in all")
    draw_scores(scores, history, metrics)
    titled(scores, "Validation links, per cent")
    return figure


def embedding_figure(graph: Graph, embedding: np.ndarray) -> Figure:
    """Draw the nodes in the plane, coloured by label or, without labels, by side or degree."""
    method, plane = next(projections(embedding))
    figure = Figure(figsize=(9, 6.5), layout="constrained")
    axes = figure.subplots()
    size = float(np.clip(8000 / len(plane), 1, 22))
    if graph.y is None and graph.sides is not None:
        named = graph.side_names or ("first side", "second side")
        draw_classes(axes, plane, np.asarray(graph.sides, int), size, name_of=named.__getitem__)
        legend(axes, loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    elif graph.y is None:
        dots, label = draw_unlabelled(axes, plane, graph, size)
        figure.colorbar(dots, label=label)
    else:
        draw_nodes(axes, plane, graph, size)
        legend(axes, loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    axes.set_axis_off()
    what = "density of " if len(plane) > MOST_DOTS else ""
    name = f"{graph.name}: {what}{len(plane):,} nodes, {embedding.shape[1]} latent dimensions"
    titled(axes, f"{name}, {method}")
    return figure


def clusters_figure(
    plane: np.ndarray, labels: np.ndarray, names: Sequence[str], title: str
) -> Figure:
    """Draw nodes in the plane, coloured by cluster.

    Args:
        plane: Positions, shape ``(n, 2)``.
        labels: Cluster of each node, from 0, shape ``(n,)``.
        names: Name of each cluster.
        title: Title.
    """
    figure = Figure(figsize=(9, 6.5), layout="constrained")
    axes = figure.subplots()
    size = float(np.clip(8000 / len(plane), 1, 22))
    draw_classes(axes, plane, labels, size, name_of=names.__getitem__)
    legend(axes, loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    axes.set_axis_off()
    titled(axes, title)
    return figure


def links_figure(run: Run) -> Figure:
    """Draw ROC, precision and recall, and reliability of the test links and non-links."""
    test = scored_test_pairs(run)
    scores = link_scores(test.logits, test.label)
    figure = Figure(figsize=(11, 3.8), layout="constrained")
    roc, precision_recall, calibration = figure.subplots(1, 3)
    draw_roc(roc, {"": test})
    titled(roc, f"Test links, ROC: AUC {100 * scores.auc:.2f} %")
    draw_precision_recall(precision_recall, {"": test})
    titled(precision_recall, f"Precision and recall: AP {100 * scores.ap:.2f} %")
    if run.calibration is not None:
        predicted = run.calibration.predict(test.logits)
        draw_operating_point(roc, precision_recall, predicted, test.label)
    draw_reliability(calibration, run, test)
    legend(calibration, loc="best")
    titled(calibration, "Reliability, as many non-links as links")
    return figure


def draw_nodes(
    axes: Axes, plane: np.ndarray, graph: Graph, size: float, *, counted: bool = True
) -> None:
    """Draw the nodes of a graph with labels in the colours of these."""
    draw_column(axes, plane, label_classes(graph), size, counted=counted)


def draw_column(
    axes: Axes,
    plane: np.ndarray,
    column: NodeClasses | NodeValues,
    size: float,
    *,
    counted: bool = True,
) -> ScalarMappable | None:
    """Draw nodes in the colours of a column; return the scale of its values, if it has some."""
    if isinstance(column, NodeClasses):
        look: Any = {"name_of": column.names.__getitem__, "counted": counted}
        draw_classes(axes, plane, column.code, size, **look)
        return None
    return draw_values(axes, plane, column.value, size)


def draw_unlabelled(
    axes: Axes, plane: np.ndarray, graph: Graph, size: float
) -> tuple[ScalarMappable, str]:
    """Draw nodes coloured by degree, or the density of very many; return it and its scale."""
    if len(plane) > MOST_DOTS:
        return draw_density(axes, plane), "nodes in a cell"
    return draw_values(axes, plane, degrees(graph), size), DEGREES


DEGREES = "log10(1 + degree)"


def degrees(graph: Graph) -> np.ndarray:
    """Return log10(1 + degree) of each node, for colours."""
    links = graph.links.flatten().numpy()
    return np.log10(1 + np.bincount(links, minlength=graph.num_nodes))
