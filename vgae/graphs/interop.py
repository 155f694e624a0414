"""Conversion of graphs of networkx, scipy and PyG."""

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from vgae.errors import DataError, LeakageError, did_you_mean
from vgae.graphs.arrays import checked_csr, dense_array
from vgae.graphs.frame_kinds import is_frame
from vgae.graphs.values import checked_names, coded_labels, listed

if TYPE_CHECKING:
    import networkx as nx
    from torch_geometric.data import Data

log = logging.getLogger(__name__)

Parts = dict[str, Any]  # keyword arguments of Graph.from_edges


def from_networkx(graph: "nx.Graph", x: Any, y: Any, weight: str) -> Parts:
    """Return the parts of a networkx graph; see :meth:`vgae.Graph.from_networkx`."""
    ids = list(graph.nodes)
    position = {node: i for i, node in enumerate(ids)}
    edges = np.array([(position[u], position[v]) for u, v in graph.edges()], dtype=np.int64)
    if weight not in ("weight", "none") and graph.number_of_edges():
        known = {name for _, _, attributes in graph.edges(data=True) for name in attributes}
        _check_attribute(weight, known, "edge")
    weights = [value for _, _, value in graph.edges.data(weight, default=1)]
    parts: Parts = {"x": x, "y": y}
    if names := _attribute_names(x):
        parts["x"], parts["feature_names"] = _node_attributes(graph, names)
    if isinstance(y, str):
        _check_attribute(y, _attributes(graph), "node")
        values = [attributes.get(y) for attributes in graph.nodes.values()]
        parts["y"], parts["label_names"] = coded_labels(values)
    return {
        **parts,
        "edges": edges.reshape(-1, 2).T,
        "edge_weight": weights or None,
        "num_nodes": len(ids),
        "node_ids": ids,
        "ordered": graph.is_directed(),
        "name": str(graph.name or "graph"),
    }


def from_scipy(adj: Any, x: Any = None) -> Parts:
    """Return the parts of an adjacency; see :meth:`vgae.Graph.from_scipy`."""
    names: Any = None
    if is_frame(adj):
        adj, names = _adjacency(adj)
    if not sp.issparse(adj):
        adj = dense_array(adj, "adj", "NOT_SQUARE")
    if adj.ndim != 2 or adj.shape[0] != adj.shape[1]:
        raise DataError("NOT_SQUARE", f"adj must have shape (N, N), got {adj.shape}.")
    if adj.dtype.kind not in "biuf":
        raise DataError("ADJ_DTYPE", f"adj must hold real numbers, got dtype {adj.dtype}.")
    coo = checked_csr(adj).tocoo()
    edges = np.stack([coo.row, coo.col]).astype(np.int64)
    num_nodes = adj.shape[0]
    if names is None and is_frame(x) and (rows := _row_names(x)) is not None:
        # The rows of the adjacency have no names of their own.
        is_numbered = set(rows) == set(range(num_nodes))
        names = range(num_nodes) if is_numbered else rows
        if not is_numbered:
            log.info("the nodes get the names of the rows of x, in this order")
    return {
        "edges": edges,
        "edge_weight": coo.data,
        "num_nodes": num_nodes,
        "node_ids": names,
        "ordered": True,
    }


def _row_names(x: Any) -> list[Any] | None:
    """Return the names of the rows of a frame, ``None`` without names."""
    from vgae.graphs.aligning import node_table

    return node_table(x, "x").names


def from_pyg(data: "Data") -> Parts:
    """Return the parts of a PyG ``Data``; see :meth:`vgae.Graph.from_pyg`."""
    if data.edge_index is None:
        raise DataError("NO_EDGES", "data.edge_index is missing; the links come from it.")
    y = data.y if isinstance(data.y, Tensor) else None
    if y is not None and (y.shape != (data.num_nodes,) or y.is_floating_point()):
        y = None
    taken = {"edge_index", "edge_weight", "x", "num_nodes", *(() if y is None else ("y",))}
    left_out = [
        f"{name} {tuple(value.shape)}" if isinstance(value, Tensor) else name
        for name, value in data.to_dict().items()
        if name not in taken and value is not None
    ]
    if left_out:
        log.warning("from_pyg leaves out %s%s", ", ".join(left_out), _unused_weights(data))
    links = {"edges": data.edge_index, "edge_weight": data.edge_weight, "ordered": True}
    return {**links, "num_nodes": data.num_nodes, "x": data.x, "y": y}


def _unused_weights(data: "Data") -> str:
    """Return advice if the attributes of edges look like weights; else an empty text."""
    found = data.edge_attr
    if data.edge_weight is not None or not isinstance(found, Tensor) or found.dim() not in (1, 2):
        return ""
    is_column = found.dim() == 1 or found.shape[1] == 1
    column = "data.edge_attr" if found.dim() == 1 else "data.edge_attr[:, 0]"
    return f"; if edge_attr has weights, set data.edge_weight = {column}" if is_column else ""


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
        pos = torch.cat(every, dim=1).unique(dim=1)
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


def to_scipy(graph: Any) -> sp.csr_array:
    """Return a :class:`vgae.Graph` as a matrix; see :meth:`vgae.Graph.to_scipy`."""
    pairs, weight = graph.edge_index.numpy(), graph.edge_weight
    values = np.ones(pairs.shape[1], np.float32) if weight is None else weight.numpy()
    return sp.coo_array((values, tuple(pairs)), shape=(graph.num_nodes,) * 2).tocsr()


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


def to_pyg(graph: Any) -> "Data":
    """Return a :class:`vgae.Graph` as a PyG ``Data``; see :meth:`vgae.Graph.to_pyg`."""
    from torch_geometric.data import Data

    weight = {} if graph.edge_weight is None else {"edge_weight": graph.edge_weight}
    parts = {"edge_index": graph.edge_index, "y": graph.y, "num_nodes": graph.num_nodes}
    return Data(x=graph.dense_x, **parts, **weight)


def _adjacency(frame: Any) -> tuple[np.ndarray, list[Any] | None]:
    """Return a square frame as an array, and the names of its nodes, if it has any.

    Raises:
        DataError: ``NOT_SQUARE``; ``NODE_ID`` if rows and columns have different names;
            ``ADJ_DTYPE`` if a column has no numbers.
    """
    from vgae.graphs.frame_columns import frame_of, index_names, numbers_of

    found = frame_of(frame, "adj")
    given = list(frame.columns) if hasattr(frame, "index") else found.columns
    rows = index_names(frame, "adj")
    if rows is None and len(found.columns) == len(found) + 1:
        # A first column of names, as frames without an index have it.
        rows = checked_names(found[:, 0].to_list(), "the first column of adj")
        found, given = found[:, 1:], given[1:]
    if len(found.columns) != len(found):
        shape = (len(found), len(found.columns))
        raise DataError("NOT_SQUARE", f"adj must have shape (N, N), got {shape}.")
    names = list(range(len(given))) if rows is None else rows
    texts, columns = list(map(str, names)), found.columns
    if rows is None and not hasattr(frame, "index"):
        rows, texts = columns, columns
    if set(texts) != set(columns) or len(set(texts)) != len(texts):
        raise DataError(
            "NODE_ID",
            f"the rows and columns of adj must have the same names, each once, got rows"
            f" {listed(names[:3])} and columns {listed(given[:3])}; for names in the order of the"
            " rows, set adj.columns = adj.index.",
        )
    values = [numbers_of(found[name]) for name in texts]
    if bad := [name for name, column in zip(texts, values, strict=True) if column is None]:
        raise DataError("ADJ_DTYPE", f"adj must hold real numbers, unlike columns {listed(bad)}.")
    return np.stack(values, axis=1), rows  # pyright: ignore[reportArgumentType, reportCallIssue]


def _attribute_names(x: Any) -> list[str]:
    """Return the names of node attributes, if these are given; else an empty list."""
    if isinstance(x, str):
        return [x]
    is_list = isinstance(x, list | tuple) or getattr(x, "ndim", 0) == 1
    names = list(x) if is_list else []
    return names if all(isinstance(name, str) for name in names) else []


def _attributes(graph: "nx.Graph") -> set[Any]:
    """Return the names of all attributes of nodes."""
    return {name for attributes in graph.nodes.values() for name in attributes}


def _check_attribute(name: str, known: set[Any], of: str) -> None:
    """Raise ``DataError`` unless an attribute is known."""
    if name not in known:
        there = f"; there are {listed(sorted(map(str, known)))}" if known else ""
        raise DataError(
            "NODE_ATTRIBUTE" if of == "node" else "BAD_WEIGHT",
            f"no {of} has an attribute {name!r:.60}{there}.{did_you_mean(name, known)}",
        )


def _node_attributes(graph: "nx.Graph", names: list[str]) -> tuple[np.ndarray, list[str]]:
    """Return node attributes as columns, and the names of the columns.

    Raises:
        DataError: If an attribute of a node is missing, or is no number or list of numbers.
    """
    blocks, columns, bad = [], [], []
    known = _attributes(graph)
    for name in names:
        _check_attribute(name, known, "node")
        lacking = [node for node, attributes in graph.nodes.items() if name not in attributes]
        if lacking:
            raise DataError(
                "NODE_ATTRIBUTE",
                f"{len(lacking)} of {len(graph)} nodes have no attribute {name!r:.60}, such as"
                f" node {lacking[0]!r:.60}; add it, or omit the name.",
            )
        values = [attributes[name] for attributes in graph.nodes.values()]
        block = dense_array(values, f"attribute {name!r}", "NODE_ATTRIBUTE")
        if block.ndim not in (1, 2) or block.dtype.kind not in "biuf":
            value = next((v for v in values if not isinstance(v, int | float)), values[0])
            bad.append(f"{name!r:.60} (such as {value!r:.60})")
            continue
        blocks.append(block.reshape(len(values), -1))
        width = blocks[-1].shape[1]
        columns += [name] if block.ndim == 1 else [f"{name}_{k}" for k in range(width)]
    if bad:
        raise DataError(
            "NODE_ATTRIBUTE",
            f"attributes must be a number, or as many numbers, at every node, unlike"
            f" {', '.join(bad)}; omit them, or make numbers of text by Graph.from_pandas("
            "networkx.to_pandas_edgelist(graph), nodes, encode='auto') with a frame of nodes.",
        )
    return np.concatenate(blocks, axis=1), columns
