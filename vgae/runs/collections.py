"""Graphs of a collection in a run: their vectors, sizes and anomaly scores, and their tasks."""

from pathlib import Path
from typing import Any

from torch import Tensor

from vgae.errors import UsageError
from vgae.evaluation.graph_likelihood import Typical, graph_log_likelihood
from vgae.evaluation.graph_tasks import evaluate_graphs, num_links
from vgae.graphs.collection import GraphCollection
from vgae.graphs.graph import Graph
from vgae.models.embedding import Trained
from vgae.models.graph_vectors import Readout, graph_vectors
from vgae.prediction.export import graph_labels, write_embeddings
from vgae.runs.commands import Embedding
from vgae.vae import VAE


def embedded_graphs(
    model: VAE | Trained,
    graph: Graph,
    edge_index: Tensor | None = None,
    readout: Readout = "moments",
    *,
    typical: Typical | None = None,
) -> Embedding:
    """Return the vectors of the graphs of a collection, with a score and counts for each.

    Args:
        model: A trained model or a run.
        graph: The collection.
        edge_index: Edges that messages travel on; those of all links by default.
        readout: As for :func:`vgae.graph_vectors`.
        typical: As for :func:`vgae.evaluation.graph_likelihood.graph_log_likelihood`.

    Returns:
        The vectors, with the columns ``nodes`` and ``links``, their numbers; ``log_likelihood``
        and ``anomaly``, of :func:`vgae.evaluation.graph_likelihood.graph_log_likelihood`.

    Raises:
        UsageError: ``COLLECTION`` if the graph is no collection.
    """
    graphs = collection(graph, "vectors of graphs (--graphs)")
    found = graph_log_likelihood(model, graphs, edge_index, typical=typical)
    more = {
        "nodes": graphs.sizes.numpy(),
        "links": num_links(graphs).numpy(),
        "log_likelihood": found.log_likelihood.numpy(),
        "anomaly": found.anomaly.numpy(),
    }
    q = graph_vectors(model, graphs, readout, edge_index=edge_index)
    return Embedding(q, graphs.graph_ids, "graphs", graph_labels(graphs), more)


def typical_of(run: Any) -> Typical:
    """Return the typical values of the graphs of a run, which new graphs are compared with."""
    graphs = collection(run.graph, "vectors of graphs (--graphs)")
    return graph_log_likelihood(run, graphs).typical


def write_graphs(path: Path, found: Embedding) -> None:
    """Write the result of :func:`embedded_graphs` in the format of the suffix."""
    write_embeddings(path, found.ids, found.q, labels=found.labels, more=found.more)


def evaluate_graph_vectors(run: Any, readout: Readout) -> dict[str, Any]:
    """Return the scores of the graph vectors of a run; its graph must be a collection."""
    graphs = collection(run.graph, "the task graphs (--tasks graphs)")
    q = graph_vectors(run.model, graphs, readout)
    return {"readout": readout, **evaluate_graphs(q.mu, graphs)}


def collection(graph: Graph, what: str) -> GraphCollection:
    """Return the graph; raise ``UsageError`` if it is no collection, which ``what`` is for."""
    if not isinstance(graph, GraphCollection):
        raise UsageError(
            "COLLECTION",
            f"{what} must be of a collection of graphs, and {graph.name} is one graph; leave that"
            " out.",
        )
    return graph
