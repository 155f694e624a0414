"""Typed graphs of graphs, data frames and PyG, and relations that are the same."""

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from vgae.errors import DataError, UsageError, printable
from vgae.graphs.arrays import FeatureBlock, block_features
from vgae.graphs.canonical import edge_array
from vgae.graphs.frame_kinds import is_frame
from vgae.graphs.graph import Graph
from vgae.graphs.values import is_missing

if TYPE_CHECKING:
    from torch_geometric.data import HeteroData

    from vgae.graphs.typed import TypedGraph

log = logging.getLogger(__name__)

Parts = dict[str, Any]  # keyword arguments of TypedGraph.of
MOST_RELATIONS = 2000
_TAKEN = {"edge_index", "edge_weight", "x", "y", "num_nodes"}


def of_graphs(
    graphs: Mapping[str, Graph], x: Any = None, node_type: Sequence[str] | None = None
) -> Parts:
    """Return the parts of graphs on the same nodes; see :meth:`vgae.TypedGraph.from_graphs`."""
    if not isinstance(graphs, Mapping):
        rule = f"graphs must be a dict of a graph for each relation, got {type(graphs).__name__}"
        raise UsageError("ARGUMENTS", f"{rule}.")
    if not graphs:
        raise DataError("RELATION", "there are no relations; a typed graph has at least one.")
    for name, graph in graphs.items():
        if not isinstance(graph, Graph):
            rule = f"the graph of relation {name!r:.60} must be a vgae.Graph"
            raise UsageError("ARGUMENTS", f"{rule}, got {type(graph).__name__}.")
    first, *others = graphs.values()
    for name, graph in graphs.items():
        if graph.link_sign is not None:
            refuse_signs(f"the graph of relation {name!r:.60}")
        if graph.link_attr is not None:
            log.warning("the features of the links of relation %r are left out", name)
        if graph.num_nodes != first.num_nodes or graph.node_ids != first.node_ids:
            raise DataError(
                "NODE_SET_MISMATCH",
                f"the graphs of all relations must have the same nodes in the same order, which"
                f" {name!r:.60} has not; give each of them the same node_ids.",
            )
    if x is None:
        found = next((graph for graph in graphs.values() if graph.x is not None), first)
        x, names = found.x, found.feature_names
    else:
        names = ()
    labelled = next((graph for graph in graphs.values() if graph.y is not None), first)
    number, type_names = _types_of_graphs([first, *others], node_type)
    return {
        "edges": {name: (graph.links, graph.link_weight) for name, graph in graphs.items()},
        "directed": {n: "keep" if graph.directed else "symmetrize" for n, graph in graphs.items()},
        "node_type": number,
        "node_type_names": type_names,
        "node_ids": first.node_ids,
        "x": x,
        "feature_names": names,
        "y": labelled.y,
        "label_names": labelled.label_names,
    }


def _types_of_graphs(
    graphs: Sequence[Graph], node_type: Sequence[str] | None
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return the number of the type of each node, and the names of the types."""
    num_nodes = graphs[0].num_nodes
    if node_type is not None:
        return _coded_types(node_type, num_nodes)
    sided = [graph for graph in graphs if graph.sides is not None]
    if not sided:
        return np.zeros(num_nodes, np.int64), ("node",)
    sides = np.stack([graph.sides for graph in sided], axis=1)  # pyright: ignore
    if (sides == sides[:, :1]).all():
        return sides[:, 0].astype(np.int64), sided[0].side_names or ("first", "second")
    raise DataError(
        "NODE_TYPE",
        "the two-sided graphs have different sides; give the type of each node, as in"
        " node_type=['user', 'item', ...].",
    )


def _coded_types(values: Sequence[Any], num_nodes: int) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return types by name as numbers, in the order of their names."""
    names = [*values]
    if len(names) != num_nodes:
        rule = f"node_type must name the type of each of {num_nodes} nodes"
        raise DataError("NODE_TYPE", f"{rule}, got {len(names)}.")
    if any(is_missing(name) for name in names):
        rule = "the type of a node must not be missing"
        raise DataError("NODE_TYPE", f"{rule}; {sum(map(is_missing, names)):,} are.")
    known = sorted({str(name) for name in names})
    number = {name: k for k, name in enumerate(known)}
    return np.array([number[str(name)] for name in names], np.int64), tuple(known)


def of_frames(
    edges: Any,
    nodes: Any,
    columns: Mapping[str, str | None],
    y: Any,
    encode: Any,
    options: Mapping[str, Any],
) -> Parts:
    """Return the parts of data frames; see :meth:`vgae.TypedGraph.from_pandas`.

    ``columns`` has the columns ``relation``, ``source``, ``target``, ``weight``, ``node_type``.
    """
    from vgae.graphs.frame_columns import column_of, frame_of
    from vgae.graphs.frames import edge_frame, from_frames

    relation, node_type = columns["relation"], columns["node_type"]
    if options.get("drop_zero"):
        rule = "drop_zero is not for typed graphs"
        raise UsageError("OPTION", f"{rule}; leave the edges of weight 0 out beforehand.")
    if options.get("signed"):
        refuse_signs("the edges")
    if options.get("edge_features"):
        raise UsageError("OPTION", "a typed graph has no edge_features; leave them out.")
    ends = columns["source"], columns["target"], columns["weight"]
    frame = edge_frame(edges, [name for name in (*ends, relation) if name is not None])
    if relation in ends:
        raise UsageError("RELATION", f"relation={relation!r:.60} is another column already.")
    names = column_of(frame, str(relation), "edges").to_list()
    types = None
    if node_type not in (None, "none"):
        if not is_frame(nodes):
            rule = f"node_type={node_type!r:.60} names a column of nodes"
            raise UsageError("NODE_TYPE", f"{rule}; pass nodes too.")
        table = frame_of(nodes, "nodes")
        types = column_of(table, node_type, "nodes").to_list()
        left = [name for name in table.columns if name != node_type]
        nodes = nodes[left] if hasattr(nodes, "index") else table.drop(node_type).to_native()
    rest: Any = frame.drop(str(relation)).to_native()
    given: Any = dict(options)
    parts, encoder = from_frames(rest, nodes, ends, y, encode, given)
    if encoder is not None:
        log.info("the encoder of the features is not stored with a typed graph")
    return _typed(parts, names, f"column {relation!r:.60} of edges", types, detect=not node_type)


def refuse_signs(what: str) -> NoReturn:
    """Raise ``UsageError``: links of a typed graph have no signs."""
    raise UsageError(
        "OPTION",
        f"signed=True (--signed) is not for typed graphs; {what} may have a relation for each sign"
        " instead, such as 'trusts' and 'distrusts', with weights above zero.",
    )


def of_edges(parts: Parts, relation: Sequence[Any], where: str) -> Parts:
    """Return the parts of a typed graph, given those of a graph and the relation of each edge.

    Args:
        parts: Keyword arguments of :meth:`vgae.Graph.from_edges`.
        relation: Name of the relation of each edge.
        where: What the names are called in messages.
    """
    return _typed(dict(parts), relation, where, None, detect=True)


def _typed(
    parts: Parts, relation: Sequence[Any], where: str, types: Sequence[Any] | None, *, detect: bool
) -> Parts:
    """Divide the edges by relation, and find the types of the nodes."""
    gaps = [k for k, name in enumerate(relation) if is_missing(name) or str(name) == ""]
    if gaps:
        what = f"{where} has no relation in {len(gaps):,} rows, the first is row {gaps[0]}"
        raise DataError("RELATION", f"{what}; name it, or drop these rows.")
    code, names = _coded(relation)
    if len(names) > MOST_RELATIONS:
        raise DataError(
            "RELATION",
            f"{where} has {len(names):,} different names, such as {names[0]!r:.60}, and at most"
            f" {MOST_RELATIONS:,} relations are possible; name the column of the relations.",
        )
    for name in ("sides", "side_names"):  # the types of nodes are found below
        parts.pop(name, None)
    edges, weight = np.asarray(parts.pop("edges")), parts.pop("edge_weight", None)
    num_nodes = parts.pop("num_nodes")
    if not names:
        raise DataError("NO_EDGES", f"{where} is empty: there are no edges.")
    masks = {name: code == k for k, name in enumerate(names)}
    if types is not None:
        if len(types) != num_nodes:
            rule = "nodes must have a row, and so a type, for each node of edges"
            raise DataError("NODE_TYPE", f"{rule}; {num_nodes - len(types):,} have none.")
        number, type_names = _coded_types(types, num_nodes)
    elif detect:
        number, type_names = _detected({n: edges[:, m] for n, m in masks.items()}, num_nodes)
    else:
        number, type_names = np.zeros(num_nodes, np.int64), ("node",)
    weights: Any = None if weight is None else np.asarray(weight)
    found = {n: (edges[:, m], None if weights is None else weights[m]) for n, m in masks.items()}
    return {**parts, "edges": found, "node_type": number, "node_type_names": type_names}


def _coded(relation: Sequence[Any]) -> tuple[np.ndarray, list[str]]:
    """Return names as numbers, and the distinct names, ascending."""
    texts = [str(name) for name in relation]
    names = sorted(set(texts))
    number = {name: k for k, name in enumerate(names)}
    return np.fromiter((number[text] for text in texts), np.int64, len(texts)), names


def _detected(
    edges: Mapping[str, np.ndarray], num_nodes: int
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Find types of nodes: ends of relations that share a node are of one type."""
    ends = [np.unique(side) for pairs in edges.values() for side in pairs]
    label = [f"{end} of {name}" for name in edges for end in ("source", "target")]
    row = np.repeat(np.arange(len(ends)), [len(end) for end in ends])
    shared = sp.coo_array(
        (np.ones(len(row)), (row, np.concatenate(ends))), shape=(len(ends), num_nodes)
    ).tocsr()
    count, component = sp.csgraph.connected_components(shared @ shared.T, directed=False)
    if count == 1:
        return np.zeros(num_nodes, np.int64), ("node",)
    number = np.full(num_nodes, count)
    for end, k in zip(ends, component, strict=True):
        number[end] = k
    names = [label[int(np.flatnonzero(component == k)[0])] for k in range(count)]
    if (number == count).any():
        names.append("without links")
    sizes = zip(names, np.bincount(number), strict=True)
    log.warning(
        "%d types of nodes, as the ends of relations have no node in common: %s; links are"
        " predicted between them as the relations have them; node_type='none' makes one type, and"
        " node_type=COLUMN of nodes names the types",
        *(len(names), ", ".join(f"{printable(name)} ({size:,})" for name, size in sizes)),
    )
    return number, tuple(names)


def of_pyg(data: "HeteroData") -> Parts:
    """Return the parts of a PyG ``HeteroData``; see :meth:`vgae.TypedGraph.from_pyg`."""
    if not hasattr(data, "node_types"):
        raise UsageError(
            "ARGUMENTS",
            f"data must be a PyG HeteroData, got {type(data).__name__}; vgae.Graph.from_pyg takes"
            " a Data.",
        )
    sizes = {name: data[name].num_nodes for name in data.node_types}
    unknown = {t for edge in data.edge_types for t in (edge[0], edge[2])} - sizes.keys()
    if unknown or None in sizes.values():
        lacking = sorted(unknown) or [name for name, size in sizes.items() if size is None]
        rule = f"node type {lacking[0]!r:.60} has no number of nodes"
        raise DataError("NODE_TYPE", f"{rule}; set data[{lacking[0]!r:.60}].num_nodes.")
    names = [*sizes]
    starts = dict(zip(names, np.cumsum([0, *sizes.values()])[:-1].tolist(), strict=True))
    relations = _relation_names(data.edge_types)
    edges = {}
    for edge_type, relation in relations.items():
        store = data[edge_type]
        if "edge_index" not in store:
            raise DataError("NO_EDGES", f"data[{edge_type}].edge_index is missing.")
        pairs = _within(store.edge_index, [sizes[edge_type[0]], sizes[edge_type[2]]], edge_type)
        shift = torch.tensor([[starts[edge_type[0]]], [starts[edge_type[2]]]])
        edges[relation] = (pairs + shift, store.get("edge_weight"))
    x, columns = _hetero_features(data, sizes, starts)
    y, left_out = _hetero_labels(data, sizes, starts)
    for store in (*data.node_stores, *data.edge_stores):
        left_out += [f"{key} of {store._key}" for key in store if key not in _TAKEN]
    if left_out:
        log.warning("from_pyg leaves out %s", ", ".join(left_out))
    many = len(names) > 1
    return {
        "edges": edges,
        "ordered": True,
        "node_type": np.repeat(np.arange(len(names)), [*sizes.values()]),
        "node_type_names": names,
        "node_ids": [f"{n}:{k}" for n in names for k in range(sizes[n])] if many else None,
        "x": x,
        "feature_names": columns,
        "y": y,
    }


def _relation_names(edge_types: Sequence[tuple[str, str, str]]) -> dict[tuple[str, str, str], str]:
    """Return the name of each edge type: its middle, or all of it if that is not unique."""
    middles = [edge_type[1] for edge_type in edge_types]
    return {e: e[1] if middles.count(e[1]) == 1 else "-".join(e) for e in edge_types}


def _within(edge_index: Tensor, sizes: Sequence[int], edge_type: tuple[str, str, str]) -> Tensor:
    """Return the edges of a type; raise ``DataError`` unless they are numbers of its nodes."""
    try:
        pairs = edge_array(edge_index)
    except DataError as error:
        raise DataError(error.code, f"edges of {edge_type}: {error}") from None
    for end, size in zip(pairs, sizes, strict=True):
        if end.size and (int(end.min()) < 0 or int(end.max()) >= size):
            raise DataError(
                "INDEX_RANGE",
                f"edges of {edge_type} must be numbers of nodes of the two types, below"
                f" {sizes[0]} and {sizes[1]}, got {int(end.min())} to {int(end.max())}.",
            )
    return torch.from_numpy(pairs.astype(np.int64))


def _hetero_features(
    data: "HeteroData", sizes: Mapping[str, int], starts: Mapping[str, int]
) -> tuple[Any, tuple[str, ...]]:
    """Return the features of all types in blocks, and the names of their columns."""
    given = {name: data[name].get("x") for name in sizes}
    if all(x is None for x in given.values()):
        return None, ()
    nodes = {name: starts[name] + np.arange(size) for name, size in sizes.items()}
    return block_features([FeatureBlock(name, nodes[name], x) for name, x in given.items()])


def _hetero_labels(
    data: "HeteroData", sizes: Mapping[str, int], starts: Mapping[str, int]
) -> tuple[Tensor | None, list[str]]:
    """Return the labels of the one type that has some; of several, what is left out."""
    given = {}
    for name in sizes:
        y = data[name].get("y")
        if isinstance(y, Tensor) and y.shape == (sizes[name],) and not y.is_floating_point():
            given[name] = y.long().cpu()
    has = [name for name in sizes if data[name].get("y") is not None]
    if len(given) != 1:
        return None, [f"y of {name}" for name in has]
    labels = torch.full((sum(sizes.values()),), -1)
    for name, y in given.items():
        labels[starts[name] : starts[name] + sizes[name]] = y
    return labels, [f"y of {name}" for name in has if name not in given]


def to_pyg(graph: "TypedGraph") -> "HeteroData":
    """Return a typed graph as a PyG ``HeteroData``; see :meth:`vgae.TypedGraph.to_pyg`."""
    from torch_geometric.data import HeteroData

    data, names, kind = HeteroData(), graph.node_type_names, graph.node_type
    place = torch.empty(graph.num_nodes, dtype=torch.int64)
    dense = graph.dense_x
    for number, name in enumerate(names):
        own = (kind == number).nonzero()[:, 0]
        place[own] = torch.arange(len(own))
        data[name].num_nodes = len(own)
        if dense is not None:
            x = dense[own]
            data[name].x = x if len(names) == 1 else x[:, (x != 0).any(dim=0)]
        if graph.y is not None and bool((graph.y[own] >= 0).any()):
            data[name].y = graph.y[own]
    for name, relation in graph.relations.items():
        types = kind[relation.links]
        for first, second in types.unique(dim=1).T.tolist():
            chosen = (types[0] == first) & (types[1] == second)
            triple = names[first], _middle(name, names[first], names[second]), names[second]
            data[triple].edge_index = place[relation.links[:, chosen]]
            if relation.link_weight is not None:
                data[triple].edge_weight = relation.link_weight[chosen]
    return data


def _middle(name: str, first: str, second: str) -> str:
    """Return the middle of an edge type from the name of its relation."""
    whole = name.startswith(f"{first}-") and name.endswith(f"-{second}")
    return name[len(first) + 1 : -len(second) - 1] if whole else name
