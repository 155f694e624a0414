"""Conversion of graphs of networkx, scipy and PyG."""

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from vgae.errors import DataError, LeakageError, UsageError, did_you_mean
from vgae.graphs.arrays import checked_csr, dense_array
from vgae.graphs.frame_kinds import is_frame
from vgae.graphs.hetero import from_hetero, from_two_sided_data, is_two_sided_data, without_sides
from vgae.graphs.values import coded_labels, listed

if TYPE_CHECKING:
    import networkx as nx
    from torch_geometric.data import Data, HeteroData

log = logging.getLogger(__name__)

Parts = dict[str, Any]  # keyword arguments of Graph.from_edges

SIDES_OF_MATRIX = ("row", "column")


def from_networkx(graph: "nx.Graph", x: Any, y: Any, weight: str, sides: Any) -> Parts:
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
        "sides": _node_sides(graph, sides),
        "edges": edges.reshape(-1, 2).T,
        "edge_weight": weights or None,
        "num_nodes": len(ids),
        "node_ids": ids,
        "ordered": graph.is_directed(),
        "name": str(graph.name or "graph"),
    }


def _node_sides(graph: "nx.Graph", sides: Any) -> Any:
    """Return a label for each node by the attribute that has the sides, else ``sides``."""
    if not isinstance(sides, str) or sides in ("columns", "none"):
        return sides
    name = "bipartite" if sides == "auto" else sides
    values = [attributes.get(name) for attributes in graph.nodes.values()]
    if sides == "auto":
        usable = None not in values and len({*map(str, values)}) == 2
        if usable:
            log.info("two sides by the attribute 'bipartite' of the nodes")
        return values if usable else sides
    _check_attribute(name, _attributes(graph), "node")
    if None in values:
        raise DataError(
            "SIDES",
            f"{values.count(None)} of {len(values)} nodes have no attribute {name!r:.60}, which"
            " has the sides; add it.",
        )
    return values


def from_scipy(adj: Any, x: Any = None, sides: Any = "none") -> Parts:
    """Return the parts of an adjacency or biadjacency; see :meth:`vgae.Graph.from_scipy`."""
    names: Any = None
    wanted = sides if isinstance(sides, str) else "none"
    if is_frame(adj):
        from vgae.graphs.frame_matrices import matrix_in_frame

        adj, names = matrix_in_frame(adj, wanted)
    if not sp.issparse(adj):
        adj = dense_array(adj, "adj", "NOT_SQUARE")
    is_square = adj.ndim == 2 and adj.shape[0] == adj.shape[1]
    if adj.ndim != 2 or not (is_square or (wanted != "none" and _has_entries(adj))):
        raise DataError("NOT_SQUARE", f"adj must have shape (N, N), got {adj.shape}.")
    if adj.dtype.kind not in "biuf":
        raise DataError("ADJ_DTYPE", f"adj must hold real numbers, got dtype {adj.dtype}.")
    coo = checked_csr(adj).tocoo()
    edges = np.stack([coo.row, coo.col]).astype(np.int64)
    if wanted == "columns" or not is_square:
        return _biadjacency(coo, edges, names, announce=wanted == "auto")
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
        "sides": sides,
    }


def _has_entries(adj: Any) -> bool:
    return bool(adj.nnz if sp.issparse(adj) else adj.size)


def _biadjacency(coo: Any, edges: np.ndarray, names: Any, *, announce: bool) -> Parts:
    """Return the parts of a matrix whose rows are the first side and columns the second."""
    rows, columns = coo.shape
    if announce:
        log.warning(
            "a matrix of shape (%d, %d): its rows and columns are two sides, links go across"
            " alone; sides='none' (--sides none) refuses it",
            *coo.shape,
        )
    labels = SIDES_OF_MATRIX
    if names is not None:
        first, second, labels = names
        if {*map(str, first)} & {*map(str, second)}:
            first = [f"{labels[0]}:{name}" for name in first]
            second = [f"{labels[1]}:{name}" for name in second]
        names = [*first, *second]
        if len({*map(type, names)}) > 1:
            names = list(map(str, names))
    return {
        "edges": edges + np.array([[0], [rows]]),
        "edge_weight": coo.data,
        "num_nodes": rows + columns,
        "node_ids": names,
        "sides": np.arange(rows + columns) >= rows,
        "side_names": labels,
    }


def _row_names(x: Any) -> list[Any] | None:
    """Return the names of the rows of a frame, ``None`` without names."""
    from vgae.graphs.aligning import node_table

    return node_table(x, "x").names


def from_pyg(data: Any, sides: Any) -> Parts:
    """Return the parts of a graph of PyG; see :meth:`vgae.Graph.from_pyg`."""
    if hasattr(data, "node_types"):
        parts = from_hetero(cast("HeteroData", data))
        return without_sides(parts) if isinstance(sides, str) and sides == "none" else parts
    data = cast("Data", data)
    if data.edge_index is None:
        raise DataError("NO_EDGES", "data.edge_index is missing; the links come from it.")
    if is_two_sided_data(data):
        parts = from_two_sided_data(data)
        return without_sides(parts) if isinstance(sides, str) and sides == "none" else parts
    y = data.y if isinstance(data.y, Tensor) else None
    if y is not None and (y.shape != (data.num_nodes,) or y.is_floating_point()):
        y = None
    # A batch of one graph has batch and ptr.
    taken = {"edge_index", "edge_weight", "x", "num_nodes", "batch", "ptr"}
    taken |= set() if y is None else {"y"}
    attr = link_features(data.edge_attr, data.edge_index.shape[1])
    taken |= set() if attr is None else {"edge_attr"}
    left_out = [
        f"{name} {tuple(value.shape)}" if isinstance(value, Tensor) else name
        for name, value in data.to_dict().items()
        if name not in taken and value is not None
    ]
    if left_out:
        log.warning("from_pyg leaves out %s%s", ", ".join(left_out), unused_weights(data))
    links = {"edges": data.edge_index, "edge_weight": data.edge_weight, "ordered": True}
    links |= {} if attr is None else {"edge_attr": attr}
    return {**links, "num_nodes": data.num_nodes, "x": data.x, "y": y, "sides": sides}


def link_features(found: Any, num_edges: int) -> Tensor | None:
    """Return attributes of edges that are a row of several numbers each; else ``None``.

    One number for each edge is a weight as often as a feature, and the caller has to say which.
    """
    is_table = isinstance(found, Tensor) and found.dim() == 2 and len(found) == num_edges
    if not is_table or found.shape[1] < 2 or found.is_complex():
        return None
    log.info("edge_attr %s becomes link_attr, the features of links", tuple(found.shape))
    return found


def is_batch(data: Any) -> bool:
    """Return whether ``data`` is of several graphs: a batch, a list or a data set of PyG."""
    if isinstance(data, list | tuple) or (hasattr(data, "get") and hasattr(data, "indices")):
        return True
    batch = getattr(data, "batch", None)
    has_several = isinstance(batch, Tensor) and batch.numel() > 0 and int(batch.max()) > 0
    return has_several or getattr(data, "num_graphs", 1) > 1


def unused_weights(data: "Data") -> str:
    """Return advice if the attributes of edges look like weights; else an empty text."""
    found = data.edge_attr
    if data.edge_weight is not None or not isinstance(found, Tensor) or found.dim() not in (1, 2):
        return ""
    is_column = found.dim() == 1 or found.shape[1] == 1
    column = "data.edge_attr" if found.dim() == 1 else "data.edge_attr[:, 0]"
    if not is_column:
        return ""
    return (
        f"; if edge_attr has weights, set data.edge_weight = {column}, or give it to"
        " Graph.from_edges as edge_attr= if it is a feature of the links"
    )


def labelled_pairs(data: "Data", name: str) -> tuple[Tensor, Tensor | None]:
    """Return links and non-links of a part; see :meth:`vgae.graphs.split.LinkSplit.from_pyg`.

    The links of ``"train"`` include those that carry messages. Non-links are ``None`` without any.
    """
    if hasattr(data, "edge_types"):
        raise DataError(
            "SPLIT_PARTS",
            f"{name} is a HeteroData; give its pairs to LinkSplit.from_pairs, as numbers of nodes"
            " in graph.ids: nodes of the second type are after those of the first.",
        )
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


def split_pairs(train: "Data", val: "Data", test: "Data", *, directed: bool) -> Parts:
    """Return the pairs of the parts as arguments of :meth:`vgae.LinkSplit.from_pairs`."""
    parts = {"train": train, "val": val, "test": test}
    pairs = {name: labelled_pairs(data, name) for name, data in parts.items()}
    if not directed:
        check_undirected(train, [pairs["val"][0], pairs["test"][0]])
    found: Parts = {name: pos for name, (pos, _) in pairs.items()}
    return found | {f"{name}_neg": pairs[name][1] for name in ("val", "test")}


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
            f"the reverse of {count:,} held-out links is in train; split with"
            " RandomLinkSplit(is_undirected=True), or, if the graph is directed, give"
            " graph=Graph.from_pyg(data, directed='keep').",
        )


def to_scipy(graph: Any, *, biadjacency: bool) -> sp.csr_array:
    """Return a :class:`vgae.Graph` as a matrix; see :meth:`vgae.Graph.to_scipy`."""
    if biadjacency:
        if graph.sides is None:
            raise UsageError(
                "SIDES", f"{graph!r} has no sides, which a biadjacency needs; use to_scipy()."
            )
        grid, weight = graph.grid, graph.link_value
        values = np.ones(graph.num_links, np.float32) if weight is None else weight.numpy()
        places, shape = grid.places[graph.links].numpy(), (len(grid.rows), len(grid.columns))
        return sp.coo_array((values, tuple(places)), shape=shape).tocsr()
    pairs, weight = graph.edge_index.numpy(), graph.values_of(graph.edge_index)
    values = np.ones(pairs.shape[1], np.float32) if weight is None else weight.numpy()
    return sp.coo_array((values, tuple(pairs)), shape=(graph.num_nodes,) * 2).tocsr()


def to_networkx(graph: Any, *, features: bool) -> "nx.Graph":
    """Return a :class:`vgae.Graph` as a networkx graph; see :meth:`vgae.Graph.to_networkx`."""
    import networkx as nx

    ids = graph.ids
    result = nx.DiGraph(name=graph.name) if graph.directed else nx.Graph(name=graph.name)
    result.add_nodes_from(ids)
    columns = {} if graph.y is None else {"y": graph.y.tolist()}
    if graph.sides is not None:
        columns["bipartite"] = graph.sides.long().tolist()
    if features and graph.x is not None:
        x = graph.dense_x
        names = graph.feature_names
        columns |= dict(zip(names, x.T.tolist(), strict=True)) if names else {"x": x.tolist()}
    for name, values in columns.items():
        nx.set_node_attributes(result, dict(zip(ids, values, strict=True)), name)
    links = [(ids[u], ids[v]) for u, v in graph.links.T.tolist()]
    result.add_edges_from(links)
    if graph.link_value is not None:
        weights = dict(zip(links, graph.link_value.tolist(), strict=True))
        nx.set_edge_attributes(result, weights, "weight")
    return result


def to_pyg(graph: Any) -> "Data":
    """Return a :class:`vgae.Graph` as a PyG ``Data``; see :meth:`vgae.Graph.to_pyg`."""
    from torch_geometric.data import Data

    if graph.missing is not None:
        count = len(graph.missing.values())
        log.warning("%s: x of the Data has %d missing features filled in", graph.name, count)
    own = {"edge_weight": graph.values_of(graph.edge_index), "edge_attr": graph.edge_attr}
    parts = {"edge_index": graph.edge_index, "y": graph.y, "num_nodes": graph.num_nodes}
    return Data(x=graph.dense_x, **parts, **{k: v for k, v in own.items() if v is not None})


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
