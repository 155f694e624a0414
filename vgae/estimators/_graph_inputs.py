"""Validation of the inputs of graph estimators."""

import logging
from dataclasses import replace
from typing import Any

import networkx as nx
import numpy as np
import scipy.sparse as sp
from sklearn.neighbors import kneighbors_graph
from sklearn.utils.validation import validate_data

from vgae.errors import DataError, UsageError
from vgae.graphs.arrays import feature_tensor
from vgae.graphs.collection import GraphCollection
from vgae.graphs.defaults import Directed
from vgae.graphs.frame_kinds import is_frame
from vgae.graphs.graph import Graph, NodeId
from vgae.kernels.csr import scipy_csr
from vgae.models.typed import is_typed

log = logging.getLogger(__name__)

# Errors of a graph and rows that a cross-validation has cut into parts.
_OF_PARTS = ("EDGE_INDEX_SHAPE", "INDEX_RANGE", "NODE_SET_MISMATCH", "NOT_SQUARE")
_CROSS_VALIDATION = (
    "Under cross-validation, as in GridSearchCV, X and graph are cut into rows, which does not"
    " divide a graph: choose settings with vgae.LinkSearch, which holds out links."
)


def validate_graph(estimator: Any, X: Any, graph: Any, *, reset: bool) -> Graph:
    """Return the graph of ``X`` and ``graph``; the counterpart of ``validate_data`` for graphs.

    Args:
        estimator: A :class:`~vgae.estimators.VGAEEmbedder`.
        X: Features of the nodes, shape ``(N, F)``; or a graph, with ``graph=None``. The result
            has the nodes in the order of these rows.
        graph: Graph, scipy adjacency, or edges of shape ``(2, E)``. ``None`` links each row to its
            nearest rows or, after a fit with a graph, means that graph. The nodes of a graph with
            names belong to the rows of a frame by its index; those of others by their order.
        reset: Whether to store the features on the estimator, as in ``fit``.

    Raises:
        ValueError: If the features are invalid, with scikit-learn's message.
        DataError: If the numbers of rows and nodes differ.
        UsageError: If there are two graphs, or none for rows that were not fitted, or X is an
            adjacency.
    """
    if is_typed(X) or is_typed(graph):
        raise UsageError(
            "TYPED_GRAPH",
            "estimators take one relation, graph.relations[name], or graph.untyped(); got a"
            " TypedGraph, for which there is vgae.fit.",
        )
    if _is_graph(X):
        if graph is not None:
            raise UsageError("GRAPH", "X is a graph, so graph must be None; or pass a matrix X.")
        found = _as_graph(X, directed=estimator.directed)
        if reset:
            _store_features(estimator, found)
        return found
    least = 2 if reset and graph is None else 1
    options: Any = {"accept_sparse": "csr", "dtype": np.float32, "ensure_min_samples": least}
    given, X = X, validate_data(estimator, X, reset=reset, **options)
    if reset:
        _check_features(X, graph)
        estimator._links_neighbours = graph is None
    names = tuple(getattr(estimator, "feature_names_in_", ()))
    if graph is not None:
        return _given_graph(graph, X, names, given, estimator.directed)
    if estimator._links_neighbours:
        others = X.shape[0] - 1
        num = min(estimator.n_neighbors, others)
        adj = kneighbors_graph(X, num) if others else sp.csr_array((1, 1))
        return _with_features(Graph.from_scipy(adj, name="X", sides="none"), X, names)
    return _fitted_graph(estimator.graph_, X, names, given)


def _store_features(estimator: Any, graph: Graph) -> None:
    """Set the attributes that ``validate_data`` sets for a matrix."""
    estimator._links_neighbours = False
    x: Any = np.empty((graph.num_nodes, 0)) if graph.x is None else graph.x
    validate_data(estimator, x, skip_check_array=True)
    if graph.feature_names:
        estimator.feature_names_in_ = np.array(graph.feature_names, dtype=object)


def _fitted_graph(fitted: Graph, X: Any, names: tuple[str, ...], given: Any) -> Graph:
    """Return the fitted graph, in the order of rows X that have its features.

    Raises:
        UsageError: If they are other rows.
    """
    has_rows = X.shape[0] == fitted.num_nodes
    # The fingerprint is the same for dense and sparse features.
    if has_rows and _with_features(fitted, X, names).fingerprint == fitted.fingerprint:
        return fitted
    own = _row_names(given)
    if own is not None and set(own) == set(fitted.ids):
        again = _in_order(fitted, _rows_of(fitted, own, len(own)))
        if _with_features(again, X, names).fingerprint == again.fingerprint:
            return again
    rule = "after a fit with a graph, other rows need their own graph"
    raise UsageError("GRAPH", f"{rule}; pass it as graph=.")


def _given_graph(
    graph: Any, X: Any, names: tuple[str, ...], given: Any, directed: Directed
) -> Graph:
    """Return a graph that was given beside X, with the rows of X as features of its nodes.

    ``given`` is X as the caller passed it, perhaps a frame with the names of the rows.
    """
    found = None
    try:
        found = _as_graph(graph, X.shape[0], directed=directed)
        has_names = isinstance(graph, Graph | nx.Graph) or found.node_ids is not None
        if has_names and is_frame(given):
            found = _in_order(found, _rows_of(found, _row_names(given), X.shape[0]))
        return _with_features(found, X, names)
    except DataError as error:
        # A part of the rows has not the number of nodes.
        if error.code not in _OF_PARTS or (found is not None and X.shape[0] == found.num_nodes):
            raise
        raise DataError(error.code, f"{error} {_CROSS_VALIDATION}") from None


def _row_names(given: Any) -> list[NodeId] | None:
    """Return the names in the index of a frame, ``None`` without names."""
    if not is_frame(given):
        return None
    from vgae.graphs.frame_columns import index_names

    return index_names(given, "X")


def _rows_of(graph: Graph, own: list[NodeId] | None, num_rows: int) -> np.ndarray:
    """Return the row of X of each node of a graph."""
    from vgae.graphs.aligning import aligned_rows

    return aligned_rows(graph.ids, own, num_rows, "X")


def _is_graph(given: Any) -> bool:
    """Return whether the input is a graph, of networkx or of a class with ``edge_index``, or many.

    Many graphs are a list or array of these.
    """
    return _is_many(given) or isinstance(given, nx.Graph) or hasattr(type(given), "edge_index")


def _is_many(given: Any) -> bool:
    """Return whether the input is a list or an array of graphs."""
    is_list = isinstance(given, list | tuple | np.ndarray) and len(given) > 0
    return is_list and all(map(_is_graph, given))


def _as_graph(given: Any, num_nodes: int | None = None, *, directed: Directed) -> Graph:
    """Convert a graph, an adjacency or edges, which need the number of nodes, to a graph."""
    if isinstance(given, Graph):
        return given
    if _is_many(given):
        graphs = [_as_graph(one, directed=directed) for one in given]
        return GraphCollection.from_graphs(graphs, name="X")
    if isinstance(given, nx.Graph):
        return Graph.from_networkx(given, directed=directed)
    if _is_graph(given):
        return Graph.from_pyg(given, directed=directed)
    if sp.issparse(given):
        return Graph.from_scipy(given, directed=directed)
    if is_frame(given):
        if given.shape[0] != given.shape[1]:
            cure = "pass graph=Graph.from_pandas(edges, nodes), with an edge list and the nodes"
            raise UsageError("GRAPH", f"a frame as graph must be an adjacency (N, N); {cure}.")
        return Graph.from_scipy(given, directed=directed)
    return Graph.from_edges(given, num_nodes=num_nodes, directed=directed)


def _in_order(graph: Graph, place: np.ndarray) -> Graph:
    """Return the graph with node i at ``place[i]``."""
    order = np.argsort(place)
    if np.array_equal(order, place) and np.array_equal(order, np.arange(len(order))):
        return graph
    x = graph.x
    if x is not None:
        x = scipy_csr(x)[order] if x.is_sparse_csr else x[order]
    again = Graph.from_edges(
        place[graph.links.numpy()],
        **graph.link_options,
        num_nodes=graph.num_nodes,
        x=x,
        feature_names=graph.feature_names,
        y=None if graph.y is None else graph.y[order],
        label_names=graph.label_names,
        node_ids=[graph.ids[node] for node in order],
        name=graph.name,
        directed="keep" if graph.directed else "symmetrize",
        sides="none" if graph.sides is None else graph.sides[order],
        side_names=graph.side_names,
    )
    return replace(again, notes=graph.notes)


def _check_features(X: Any, graph: Any) -> None:
    """Raise ``UsageError`` if X without a graph is an adjacency, and log if it may be one."""
    if graph is not None:
        return
    num = X.shape[0]
    values = X.data if sp.issparse(X) else X
    if num < 3 or X.shape[1] != num or X.diagonal().any() or not values.any() or values.min() < 0:
        return
    differs = X != X.T
    if differs.nnz if sp.issparse(X) else differs.any():
        log.warning(
            "X is square with zeros on its diagonal; if it is an adjacency, pass it as"
            " Graph.from_scipy(X)"
        )
        return
    raise UsageError(
        "GRAPH",
        "X is square and symmetric with zeros on its diagonal, so it is no matrix of features but"
        " an adjacency, or has distances; pass Graph.from_scipy(X) as X, or X=features, graph=X."
        " Of distances, sklearn.neighbors.kneighbors_graph(X, 10, metric='precomputed') makes an"
        " adjacency.",
    )


def _with_features(graph: Graph, X: Any, names: tuple[str, ...]) -> Graph:
    """Return the graph with the rows of X as features of its nodes."""
    if X.shape[0] != graph.num_nodes:
        rule = f"X must have one row per node of {graph.name} ({graph.num_nodes})"
        raise DataError("NODE_SET_MISMATCH", f"{rule}, got {X.shape[0]}.")
    return replace(graph, x=feature_tensor(X), feature_names=names, feature_encoder=None)
