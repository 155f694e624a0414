"""Graphs of networkx, scipy and PyG, taken apart into what a Graph is made of."""

from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp
from torch import Tensor

from vgae.errors import DataError
from vgae.graphs.arrays import checked_csr, dense_array

if TYPE_CHECKING:
    import networkx as nx
    from torch_geometric.data import Data

# What the functions return are arguments of Graph.from_edges by name.
Parts = dict[str, Any]


def from_networkx(graph: "nx.Graph", x: Any, y: Any, weight: str) -> Parts:
    """Take a graph of networkx apart; arguments as for :meth:`vgae.Graph.from_networkx`."""
    ids = list(graph.nodes)
    position = {node: i for i, node in enumerate(ids)}
    edges = np.array([(position[u], position[v]) for u, v in graph.edges()], dtype=np.int64)
    weights = [value for _, _, value in graph.edges.data(weight, default=1)]
    parts: Parts = {}
    if _are_names(x):
        x, parts["feature_names"] = _node_attributes(graph, x)
    return parts | {
        "edges": edges.reshape(-1, 2).T,
        "edge_weight": weights or None,
        "num_nodes": len(ids),
        "x": x,
        "y": [graph.nodes[node].get(y, -1) for node in ids] if isinstance(y, str) else y,
        "node_ids": ids,
        "ordered": graph.is_directed(),
        "name": str(graph.name or "graph"),
    }


def from_scipy(adj: Any) -> Parts:
    """Take an adjacency apart; argument and errors as for :meth:`vgae.Graph.from_scipy`."""
    if not sp.issparse(adj):
        adj = dense_array(adj, "adj", "NOT_SQUARE")
    if adj.ndim != 2 or adj.shape[0] != adj.shape[1]:
        raise DataError("NOT_SQUARE", f"adj must have shape (N, N), got {adj.shape}.")
    if adj.dtype.kind not in "biuf":
        raise DataError("ADJ_DTYPE", f"adj must hold real numbers, got dtype {adj.dtype}.")
    coo = checked_csr(adj).tocoo()
    return {
        "edges": np.stack([coo.row, coo.col]).astype(np.int64),
        "edge_weight": coo.data,
        "num_nodes": adj.shape[0],
        "ordered": True,
    }


def from_pyg(data: "Data") -> Parts:
    """Take a ``Data`` of PyG apart; errors as for :meth:`vgae.Graph.from_pyg`."""
    if data.edge_index is None:
        raise DataError("NO_EDGES", "data.edge_index is missing; nothing says who is linked.")
    y = data.y if isinstance(data.y, Tensor) else None
    if y is not None and (y.shape != (data.num_nodes,) or y.is_floating_point()):
        y = None
    return {
        "edges": data.edge_index,
        "edge_weight": data.edge_weight,
        "num_nodes": data.num_nodes,
        "x": data.x,
        "y": y,
        "ordered": True,
    }


def to_networkx(graph: Any, *, features: bool) -> "nx.Graph":
    """Return a :class:`vgae.Graph` as :meth:`vgae.Graph.to_networkx` describes it."""
    import networkx as nx

    ids = graph.ids
    there = nx.Graph(name=graph.name)
    there.add_nodes_from(ids)
    columns = {} if graph.y is None else {"y": graph.y.tolist()}
    if features and graph.x is not None:
        x = graph.dense_x
        names = graph.feature_names
        columns |= dict(zip(names, x.T.tolist(), strict=True)) if names else {"x": x.tolist()}
    for name, values in columns.items():
        nx.set_node_attributes(there, dict(zip(ids, values, strict=True)), name)
    links = [(ids[u], ids[v]) for u, v in graph.links.T.tolist()]
    if graph.link_weight is None:
        there.add_edges_from(links)
    else:
        weights = graph.link_weight.tolist()
        there.add_weighted_edges_from((*link, w) for link, w in zip(links, weights, strict=True))
    return there


def _are_names(x: Any) -> bool:
    """Tell names of attributes from an array of features."""
    return isinstance(x, str) or (
        isinstance(x, (list, tuple)) and isinstance(next(iter(x), 0), str)
    )


def _node_attributes(graph: "nx.Graph", names: Any) -> tuple[np.ndarray, list[str]]:
    """Return attributes of the nodes of a networkx graph as columns, and the names of these.

    Raises:
        DataError: If a node lacks an attribute, or has one that is no number or list of numbers.
    """
    blocks, columns = [], []
    for name in [names] if isinstance(names, str) else names:
        values = []
        for node, attributes in graph.nodes.items():
            if name not in attributes:
                raise DataError(
                    "NODE_ATTRIBUTE",
                    f"node {node!r:.60} has no attribute {name!r}; give it one, or leave the name"
                    " out.",
                )
            values.append(attributes[name])
        block = dense_array(values, f"attribute {name!r}", "NODE_ATTRIBUTE")
        if block.ndim not in (1, 2) or block.dtype.kind not in "biuf":
            raise DataError(
                "NODE_ATTRIBUTE",
                f"attribute {name!r} must be a number, or as many numbers, at every node, got"
                f" {block.dtype} of shape {block.shape}.",
            )
        blocks.append(block.reshape(len(values), -1))
        width = blocks[-1].shape[1]
        columns += [name] if block.ndim == 1 else [f"{name}_{k}" for k in range(width)]
    return np.concatenate(blocks, axis=1), columns
