"""Conversion of graphs of networkx, scipy and PyG."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from vgae.errors import DataError, LeakageError
from vgae.graphs.arrays import checked_csr, dense_array

if TYPE_CHECKING:
    import networkx as nx
    from torch_geometric.data import Data

Parts = dict[str, Any]  # keyword arguments of Graph.from_edges


def from_networkx(graph: "nx.Graph", x: Any, y: Any, weight: str) -> Parts:
    """Return the parts of a networkx graph; see :meth:`vgae.Graph.from_networkx`."""
    ids = list(graph.nodes)
    position = {node: i for i, node in enumerate(ids)}
    edges = np.array([(position[u], position[v]) for u, v in graph.edges()], dtype=np.int64)
    weights = [value for _, _, value in graph.edges.data(weight, default=1)]
    names: list[str] = []
    is_list = isinstance(x, (list, tuple))
    if isinstance(x, str) or (is_list and isinstance(next(iter(x), 0), str)):
        x, names = _node_attributes(graph, x)
    return {
        "edges": edges.reshape(-1, 2).T,
        "edge_weight": weights or None,
        "num_nodes": len(ids),
        "x": x,
        "feature_names": names,
        "y": [graph.nodes[node].get(y, -1) for node in ids] if isinstance(y, str) else y,
        "node_ids": ids,
        "ordered": graph.is_directed(),
        "name": str(graph.name or "graph"),
    }


def from_scipy(adj: Any) -> Parts:
    """Return the parts of an adjacency; see :meth:`vgae.Graph.from_scipy`."""
    if not sp.issparse(adj):
        adj = dense_array(adj, "adj", "NOT_SQUARE")
    if adj.ndim != 2 or adj.shape[0] != adj.shape[1]:
        raise DataError("NOT_SQUARE", f"adj must have shape (N, N), got {adj.shape}.")
    if adj.dtype.kind not in "biuf":
        raise DataError("ADJ_DTYPE", f"adj must hold real numbers, got dtype {adj.dtype}.")
    coo = checked_csr(adj).tocoo()
    edges = np.stack([coo.row, coo.col]).astype(np.int64)
    return {"edges": edges, "edge_weight": coo.data, "num_nodes": adj.shape[0], "ordered": True}


def from_pyg(data: "Data") -> Parts:
    """Return the parts of a PyG ``Data``; see :meth:`vgae.Graph.from_pyg`."""
    if data.edge_index is None:
        raise DataError("NO_EDGES", "data.edge_index is missing; the links come from it.")
    y = data.y if isinstance(data.y, Tensor) else None
    if y is not None and (y.shape != (data.num_nodes,) or y.is_floating_point()):
        y = None
    links = {"edges": data.edge_index, "edge_weight": data.edge_weight, "ordered": True}
    return {**links, "num_nodes": data.num_nodes, "x": data.x, "y": y}


def labelled_pairs(data: "Data", name: str) -> tuple[Tensor, Tensor | None]:
    """Return links and non-links of a part; see :meth:`vgae.graphs.split.LinkSplit.from_pyg`.

    The links of ``"train"`` include those that carry messages. Non-links are ``None`` without any.
    """
    pos, neg = data.get("pos_edge_label_index"), data.get("neg_edge_label_index")
    if pos is None and data.get("edge_label_index") is not None:
        pairs, label = data.edge_label_index, data.get("edge_label")
        if label is not None and label.shape != pairs.shape[1:]:
            raise DataError(
                "SPLIT_PARTS",
                f"{name}.edge_label must have a label for each pair of edge_label_index"
                f" {tuple(pairs.shape)}, got {tuple(label.shape)}.",
            )
        is_link = torch.ones(pairs.shape[1], dtype=torch.bool) if label is None else label > 0
        pos, neg = pairs[:, is_link], pairs[:, ~is_link]
    if name == "train" and data.edge_index is not None:
        every = [data.edge_index, *([] if pos is None else [pos])]
        pos = torch.cat(every, dim=1).sort(dim=0).values.unique(dim=1)
    if pos is None:
        raise DataError(
            "SPLIT_PARTS",
            f"{name} has no labelled pairs: edge_label_index and edge_label, as RandomLinkSplit"
            " writes them.",
        )
    return pos, neg if neg is not None and neg.shape[1] else None


def check_undirected(train: "Data", held_out: Iterable[Tensor]) -> None:
    """Raise ``LeakageError`` if held-out links are in train in the other direction alone.

    PyG's default, ``RandomLinkSplit(is_undirected=False)``, splits the directions of a link.
    """
    n, edge_index = train.num_nodes, train.edge_index
    if n is None or edge_index is None:
        return
    codes = edge_index[0] * n + edge_index[1]
    u, v = torch.cat([pos.to(edge_index) for pos in held_out], dim=1)
    one_way = torch.isin(v * n + u, codes) & ~torch.isin(u * n + v, codes)
    if count := int((one_way & (u != v)).sum()):
        raise LeakageError(
            "SPLIT_LEAKS",
            f"the reverse of {count:,} held-out links is in train; graphs are undirected here:"
            " split with RandomLinkSplit(is_undirected=True).",
        )


def to_networkx(graph: Any, *, features: bool) -> "nx.Graph":
    """Return a :class:`vgae.Graph` as a networkx graph; see :meth:`vgae.Graph.to_networkx`."""
    import networkx as nx

    ids = graph.ids
    result = nx.Graph(name=graph.name)
    result.add_nodes_from(ids)
    columns = {} if graph.y is None else {"y": graph.y.tolist()}
    if features and graph.x is not None:
        x = graph.dense_x
        names = graph.feature_names
        columns |= dict(zip(names, x.T.tolist(), strict=True)) if names else {"x": x.tolist()}
    for name, values in columns.items():
        nx.set_node_attributes(result, dict(zip(ids, values, strict=True)), name)
    links = [(ids[u], ids[v]) for u, v in graph.links.T.tolist()]
    result.add_edges_from(links)
    if graph.link_weight is not None:
        weights = dict(zip(links, graph.link_weight.tolist(), strict=True))
        nx.set_edge_attributes(result, weights, "weight")
    return result


def _node_attributes(graph: "nx.Graph", names: Any) -> tuple[np.ndarray, list[str]]:
    """Return node attributes as columns, and the names of the columns.

    Raises:
        DataError: If an attribute of a node is missing, or is no number or list of numbers.
    """
    blocks, columns = [], []
    for name in [names] if isinstance(names, str) else names:
        values = []
        for node, attributes in graph.nodes.items():
            if name not in attributes:
                raise DataError(
                    "NODE_ATTRIBUTE",
                    f"node {node!r:.60} has no attribute {name!r}; add it, or omit the name.",
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
