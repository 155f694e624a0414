"""Validation of the inputs of graph estimators."""

from dataclasses import replace
from typing import Any

import networkx as nx
import numpy as np
import scipy.sparse as sp
from sklearn.neighbors import kneighbors_graph
from sklearn.utils.validation import validate_data

from vgae.errors import DataError, UsageError
from vgae.graphs.arrays import feature_tensor
from vgae.graphs.graph import Graph

# Errors of a graph and rows that a cross-validation has cut into parts.
_OF_PARTS = ("EDGE_INDEX_SHAPE", "INDEX_RANGE", "NODE_SET_MISMATCH", "NOT_SQUARE")
_CROSS_VALIDATION = (
    "Under cross-validation, as in GridSearchCV, X and graph are cut into rows, which does not"
    " divide a graph: choose settings by vgae.evaluate on the held-out links of vgae.split_links."
)


def validate_graph(estimator: Any, X: Any, graph: Any, *, reset: bool) -> Graph:
    """Return the graph of ``X`` and ``graph``; the counterpart of ``validate_data`` for graphs.

    Args:
        estimator: A :class:`~vgae.estimators.VGAEEmbedder`.
        X: Features of the nodes, shape ``(N, F)``; or a graph, with ``graph=None``.
        graph: Graph, scipy adjacency, or edges of shape ``(2, E)``. ``None`` links each row to its
            nearest rows or, after a fit with a graph, means that graph.
        reset: Whether to store the features on the estimator, as in ``fit``.

    Raises:
        ValueError: If the features are invalid, with scikit-learn's message.
        DataError: If the numbers of rows and nodes differ.
        UsageError: If there are two graphs, or none for rows that were not fitted.
    """
    if _is_graph(X):
        if graph is not None:
            raise UsageError("GRAPH", "X is a graph, so graph must be None; or pass a matrix X.")
        X = _as_graph(X)
        if reset:  # set the attributes that validate_data sets for a matrix
            estimator._links_neighbours = False
            x: Any = np.empty((X.num_nodes, 0)) if X.x is None else X.x
            validate_data(estimator, x, skip_check_array=True)
            if X.feature_names:
                estimator.feature_names_in_ = np.array(X.feature_names, dtype=object)
        return X
    least = 2 if reset and graph is None else 1
    options: Any = {"accept_sparse": "csr", "dtype": np.float32, "ensure_min_samples": least}
    X = validate_data(estimator, X, reset=reset, **options)
    if reset:
        estimator._links_neighbours = graph is None
    names = tuple(getattr(estimator, "feature_names_in_", ()))
    if graph is not None:
        return _given_graph(graph, X, names)
    if estimator._links_neighbours:
        others = X.shape[0] - 1
        num = min(estimator.n_neighbors, others)
        adj = kneighbors_graph(X, num) if others else sp.csr_array((1, 1))
        return _with_features(Graph.from_scipy(adj, name="X"), X, names)
    fitted = estimator.graph_
    has_rows = X.shape[0] == fitted.num_nodes
    # The fingerprint is the same for dense and sparse features.
    if has_rows and _with_features(fitted, X, names).fingerprint == fitted.fingerprint:
        return fitted
    rule = "after a fit with a graph, other rows need their own graph"
    raise UsageError("GRAPH", f"{rule}; pass it as graph=.")


def _given_graph(graph: Any, X: Any, names: tuple[str, ...]) -> Graph:
    """Return a graph that was given beside X, with the rows of X as features of its nodes."""
    try:
        return _with_features(_as_graph(graph, X.shape[0]), X, names)
    except DataError as error:
        if error.code not in _OF_PARTS:
            raise
        raise DataError(error.code, f"{error} {_CROSS_VALIDATION}") from None


def _is_graph(given: Any) -> bool:
    """Return whether the input is a graph: of networkx, or of a class with ``edge_index``."""
    return isinstance(given, nx.Graph) or hasattr(type(given), "edge_index")


def _as_graph(given: Any, num_nodes: int | None = None) -> Graph:
    """Convert a graph, an adjacency or edges, which need the number of nodes, to a graph."""
    if isinstance(given, Graph):
        return given
    if isinstance(given, nx.Graph):
        return Graph.from_networkx(given)
    if _is_graph(given):
        return Graph.from_pyg(given)
    if sp.issparse(given):
        return Graph.from_scipy(given)
    return Graph.from_edges(given, num_nodes=num_nodes)


def _with_features(graph: Graph, X: Any, names: tuple[str, ...]) -> Graph:
    """Return the graph with the rows of X as features of its nodes."""
    if X.shape[0] != graph.num_nodes:
        rule = f"X must have one row per node of {graph.name} ({graph.num_nodes})"
        raise DataError("NODE_SET_MISMATCH", f"{rule}, got {X.shape[0]}.")
    return replace(graph, x=feature_tensor(X), feature_names=names, feature_encoder=None)
