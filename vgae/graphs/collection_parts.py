"""What a collection of graphs is made of: nodes, links, names and labels of many graphs."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, NamedTuple, NoReturn

import numpy as np
import torch
from torch import Tensor

from vgae.errors import DataError, UsageError
from vgae.graphs.arrays import dense_array, torch_csr
from vgae.graphs.collection_labels import GraphLabels, graph_labels, node_labels
from vgae.graphs.graph import Graph
from vgae.graphs.missing import filled, marked
from vgae.kernels.csr import scipy_csr

log = logging.getLogger(__name__)

Parts = dict[str, Any]  # fields of GraphCollection


def joined(
    graphs: Sequence[Graph], names: Sequence[str]
) -> tuple[Parts, Tensor, list[Any] | None]:
    """Return the fields of one graph of all nodes, the graph of each node, and its name in it.

    Raises:
        DataError: ``COLLECTION`` if there is no graph, or they do not fit together.
    """
    _check_graphs(graphs, names)
    sizes = torch.tensor([graph.num_nodes for graph in graphs])
    starts = (sizes.cumsum(0) - sizes).tolist()
    shifted = zip(graphs, starts, strict=True)
    first = graphs[0]
    labels, label_names = node_labels(graphs)
    gaps = _gaps(graphs)
    counts = [graph.num_links for graph in graphs]
    own = {
        "links": torch.cat([graph.links + start for graph, start in shifted], dim=1),
        "num_nodes": int(sizes.sum()),
        "link_weight": _filled([graph.link_weight for graph in graphs], counts, 1),
        "link_sign": _filled([graph.link_sign for graph in graphs], counts, 1),
        "link_attr": _stacked([graph.link_attr for graph in graphs]),
        "link_attr_names": first.link_attr_names,
        "x": None if first.x is None else filled(_stacked([g.x for g in graphs]), gaps),
        "missing": gaps,
        "y": _filled(labels, [graph.num_nodes for graph in graphs], -1),
        "feature_names": first.feature_names,
        "label_names": label_names,
        "feature_encoder": first.feature_encoder,
        "notes": _notes(graphs),
    }
    batch = torch.arange(len(graphs)).repeat_interleave(sizes)
    has_names = any(graph.node_ids is not None for graph in graphs)
    return own, batch, [node for graph in graphs for node in graph.ids] if has_names else None


class Given(NamedTuple):
    """Arguments of :meth:`vgae.GraphCollection.from_batch`, which describes them."""

    names: tuple[str, ...] = ()
    y: Any = None
    label_names: tuple[Any, ...] = ()
    node_names: Sequence[Any] | None = None
    num_graphs: int | None = None


def grouped(graph: Graph, batch: Any, given: Given) -> Parts:
    """Return the fields of a collection; see :meth:`vgae.GraphCollection.from_batch`."""
    names, y, node_names = given.names, given.y, given.node_names
    if len({*names}) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(
            "COLLECTION", f"graphs must have different names, got {twice!r:.60} twice."
        )
    _check_kind(graph, graph.name)
    block = _numbers_of_graphs(batch, graph.num_nodes, names)
    is_list = not (y is None or isinstance(y, Mapping | GraphLabels) or hasattr(y, "columns"))
    least = max(given.num_graphs or 0, len(y) if is_list else 0)  # pyright: ignore[reportArgumentType]
    num_graphs = len(names) or max(int(block.max(initial=-1)) + 1, least)
    _check_within(graph, block, names)
    labels = graph_labels(y, names or range(num_graphs), given.label_names)
    sizes = np.bincount(block, minlength=num_graphs)
    own = _fields(graph)
    own_names: Any = graph.node_ids if node_names is None else node_names
    if (block[1:] < block[:-1]).any():
        log.info("%s: the nodes of each graph are put together", graph.name)
        own, order = _reordered(own, block)
        block = block[order]
        own_names = None if own_names is None else [own_names[k] for k in order.tolist()]
    if own_names is None:
        own_names = (np.arange(len(block)) - (sizes.cumsum() - sizes)[block]).tolist()
    kept = np.flatnonzero(sizes)
    if len(kept) < num_graphs:
        first = int(np.flatnonzero(sizes == 0)[0])
        shown = names[first] if names else first
        what = "%s: %d of %d graphs have no nodes and are left out, the first is %.60s"
        log.warning(what, graph.name, num_graphs - len(kept), num_graphs, shown)
        names = tuple(str(names[k] if names else k) for k in kept.tolist())
    if not len(kept):
        raise DataError("COLLECTION", "there are no graphs; a collection has at least one.")
    shown = names or range(num_graphs)
    place = (sizes > 0).cumsum() - 1
    pairs = zip(place[block].tolist(), own_names, strict=True)
    ids = tuple(f"{shown[number]}:{node}" for number, node in pairs)
    _check_ids(ids, "nodes")
    codes = None if labels.codes is None else torch.from_numpy(labels.codes[kept])
    return own | {
        "node_ids": ids,
        "sizes": torch.from_numpy(sizes[kept]),
        "graph_names": tuple(names),
        "graph_y": codes,
        "graph_label_names": labels.names,
    }


def chosen_numbers(numbers: Any, num_graphs: int) -> Tensor:
    """Return numbers of graphs, given also from the end, or as booleans."""
    numbers = list(numbers) if isinstance(numbers, range) else numbers
    chosen = torch.as_tensor(numbers)
    if chosen.dtype == torch.bool:
        if chosen.shape != (num_graphs,):
            _refuse_numbers(f"one boolean for each of {num_graphs} graphs", chosen)
        return chosen.nonzero()[:, 0]
    if not chosen.numel():
        return torch.zeros(0, dtype=torch.int64)
    if chosen.dim() != 1 or chosen.is_floating_point() or chosen.is_complex():
        _refuse_numbers("a list of integers", chosen)
    chosen = chosen.long()
    chosen = torch.where(chosen < 0, chosen + num_graphs, chosen)
    if chosen.min() < 0 or chosen.max() >= num_graphs or len(chosen.unique()) != len(chosen):
        _refuse_numbers(f"different, from 0 to {num_graphs - 1}", chosen)
    return chosen


def _refuse_numbers(rule: str, got: Tensor) -> NoReturn:
    shown = f"{got.tolist()!s:.60}" if got.dim() == 1 else f"shape {tuple(got.shape)}"
    raise UsageError("COLLECTION", f"numbers of graphs must be {rule}, got {shown}.")


def ranges(starts: Tensor, lengths: Tensor) -> Tensor:
    """Return ``start, start + 1, ...`` of each range one after another, shape ``(sum,)``."""
    before = lengths.cumsum(0) - lengths
    return torch.arange(int(lengths.sum())) + (starts - before).repeat_interleave(lengths)


def feature_rows(x: Tensor, rows: Tensor) -> Tensor:
    """Return some rows of features, dense or sparse."""
    return torch_csr(scipy_csr(x)[rows.numpy()]) if x.is_sparse_csr else x[rows]


def features_at(graph: Graph, rows: Tensor) -> Parts:
    """Return the features of some nodes, in which the others have no effect, as fields."""
    if graph.x is None:
        return {}
    gaps = None if graph.missing is None else feature_rows(graph.missing, rows)
    gaps = None if gaps is None else marked(scipy_csr(gaps))
    return {"x": filled(feature_rows(graph.x, rows), gaps), "missing": gaps}


def one_of(graphs: Any, number: int) -> Graph:
    """Return one graph of a collection; its tensors are views where possible."""
    first, last = graphs.grid.ptr[number : number + 2].tolist()
    begin, end = graphs.link_ptr[number : number + 2].tolist()
    own = {f.name: getattr(graphs, f.name) for f in fields(Graph)}
    own |= graphs.links_at(slice(begin, end))
    own["links"] = own["links"] - first
    if graphs.x is not None and graphs.missing is None and not graphs.x.is_sparse_csr:
        own["x"] = graphs.x[first:last]
    else:
        own |= features_at(graphs, torch.arange(first, last))
    name, ids = graphs.graph_ids[number], graphs.node_ids
    own["node_ids"] = None if ids is None else names_within(ids[first:last], name)
    own["y"] = None if graphs.y is None else graphs.y[first:last]
    own |= {"num_nodes": last - first, "name": f"{graphs.name}, {name}", "notes": {}}
    return Graph(**own)


def names_in_graphs(graphs: Any) -> list[str]:
    """Return the name of each node of a collection without that of its graph."""
    heads = [f"{name}:" for name in graphs.graph_ids]
    pairs = zip(graphs.batch.tolist(), graphs.ids, strict=True)
    return [str(node).removeprefix(heads[number]) for number, node in pairs]


def names_within(ids: Sequence[Any], graph: Any) -> tuple[Any, ...] | None:
    """Return the names of the nodes of a graph without its own, ``None`` if they are numbers.

    Names are integers if each is one in canonical form.
    """
    texts = [str(node).removeprefix(f"{graph}:") for node in ids]
    if not all(text.isascii() and text.isdecimal() and len(text) < 19 for text in texts):
        return tuple(texts)
    numbers = tuple(map(int, texts))
    if any(str(number) != text for number, text in zip(numbers, texts, strict=True)):
        return tuple(texts)
    return None if numbers == tuple(range(len(numbers))) else numbers


def _check_graphs(graphs: Sequence[Graph], names: Sequence[str]) -> None:
    """Raise ``DataError`` unless graphs can be in one collection."""
    if not graphs:
        raise DataError("COLLECTION", "there are no graphs; a collection has at least one.")
    if names and len(names) != len(graphs):
        what = f"there are {len(graphs)} graphs and {len(names)} names"
        raise DataError("COLLECTION", f"{what}; give each graph a name.")
    shown = names or range(len(graphs))
    has_x = [getattr(graph, "x", None) is not None for graph in graphs]
    with_x = has_x.index(True) if True in has_x else 0
    first = graphs[with_x]
    for number, graph in enumerate(graphs):
        which = f"graph {shown[number]!r:.60}"
        if not isinstance(graph, Graph):
            what = f"{which} must be a vgae.Graph, got a {type(graph).__name__}"
            raise DataError("COLLECTION", f"{what}; see from_networkx, from_scipy, from_pyg.")
        _check_kind(graph, which)
        if has_x[number] != has_x[with_x]:
            count = has_x.count(False)
            what = f"{count} of {len(graphs)} graphs have no features, as {which}, and others have"
            raise DataError(
                "COLLECTION",
                f"{what}; give all graphs features, or take them from the others by"
                " graph.without_features().",
            )
        if graph.num_features != first.num_features or graph.feature_names != first.feature_names:
            raise DataError(
                "COLLECTION",
                f"{which} has {graph.num_features} features{_some(graph.feature_names)} and graph"
                f" {shown[with_x]!r:.60} {first.num_features}{_some(first.feature_names)}; give"
                " all graphs the same ones.",
            )
        widths = [0 if g.link_attr is None else g.link_attr.shape[1] for g in (graph, first)]
        if widths[0] != widths[1] or graph.link_attr_names != first.link_attr_names:
            raise DataError(
                "COLLECTION",
                f"{which} has {widths[0]} features of links and the first graph {widths[1]}, or"
                " their names differ; give all graphs the same ones.",
            )
        if graph.feature_encoder != first.feature_encoder:
            raise DataError(
                "COLLECTION",
                f"the features of {which} are encoded otherwise than those of the first graph;"
                " encode one table of the nodes of all graphs, with a column of graphs"
                " (--graph-column).",
            )


def _some(names: Sequence[str]) -> str:
    shown = f"{', '.join(names[:4])}{', ...' if len(names) > 4 else ''}"
    return f" ({shown:.100})" if names else ""


def _check_kind(graph: Graph, which: str) -> None:
    kind = "directed" if graph.directed else "two-sided" if graph.sides is not None else None
    if kind is None and hasattr(graph, "sizes"):
        kind = "a collection itself"
    if kind is not None:
        cure = {
            "directed": "leave directed='keep' (--directed keep) out",
            "two-sided": "give sides='none' (--sides none)",
        }.get(kind, "give its graphs, as [*first, *second]")
        raise DataError(
            "COLLECTION", f"{which} is {kind}; a collection has undirected graphs only: {cure}."
        )


def _numbers_of_graphs(batch: Any, num_nodes: int, names: Sequence[str]) -> np.ndarray:
    """Return the number of the graph of each node, int64."""
    block = dense_array(batch, "batch", "COLLECTION")
    if block.shape != (num_nodes,) or block.dtype.kind not in "iu":
        raise DataError(
            "COLLECTION",
            f"batch must be integers of shape ({num_nodes},), the number of the graph of each"
            f" node, got shape {block.shape} of {block.dtype}.",
        )
    low, high = int(block.min(initial=0)), int(block.max(initial=0))
    if low < 0 or high >= (len(names) or max(2 * num_nodes, 2**20)):
        rule = f"from 0 to {len(names) - 1}" if names else "from 0 on, without large gaps"
        what = f"batch must have numbers of graphs {rule}, got {low if low < 0 else high}"
        raise DataError("COLLECTION", f"{what}.")
    return block.astype(np.int64)


def _check_within(graph: Graph, block: np.ndarray, names: Sequence[str]) -> None:
    """Raise ``DataError`` if a link joins two graphs."""
    ends = block[graph.links.numpy()]
    across = np.flatnonzero(ends[0] != ends[1])
    if len(across):
        link = graph.links[:, across[0]].tolist()
        shown = [names[k] if names else k for k in ends[:, across[0]].tolist()]
        u, v = (
            f"{str(graph.ids[node])!a:.60} of graph {own!s:.60}"
            for node, own in zip(link, shown, strict=True)
        )
        raise DataError(
            "COLLECTION",
            f"{len(across)} of {graph.num_links} links join nodes of two graphs, the first {u} and"
            f" {v}; in a collection links are within graphs.",
        )


def reordered(graph: Graph, block: np.ndarray) -> tuple[Graph, np.ndarray]:
    """Return a graph with its nodes in ascending order of ``block``, and the order.

    The names of its nodes are left out.
    """
    own, order = _reordered(_fields(graph), block)
    return Graph(**{**own, "node_ids": None}), order


def _fields(graph: Graph) -> dict[str, Any]:
    return {f.name: getattr(graph, f.name) for f in fields(Graph)}


def _reordered(own: Parts, block: np.ndarray) -> tuple[dict[str, Any], np.ndarray]:
    """Return the fields of a graph with its nodes in another order, and the order."""
    order = block.argsort(kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    links = np.sort(place[own["links"].numpy()], axis=0)
    by_first = np.lexsort((links[1], links[0]))
    rows = torch.from_numpy(order)
    y, of_links = own["y"], ("link_weight", "link_sign", "link_attr")
    values = {key: own[key] for key in of_links if own[key] is not None}
    values = {key: value[torch.from_numpy(by_first)] for key, value in values.items()}
    return own | {
        **values,
        "links": torch.from_numpy(np.ascontiguousarray(links[:, by_first])),
        **{k: None if own[k] is None else feature_rows(own[k], rows) for k in ("x", "missing")},
        "y": None if y is None else y[rows],
    }, order


def _check_ids(ids: Sequence[str], what: str) -> None:
    """Raise ``DataError`` if two of the names ``GRAPH:NODE`` are equal."""
    if len({*ids}) < len(ids):
        seen: set[str] = set()
        twice = next(name for name in ids if name in seen or seen.add(name))
        raise DataError(
            "COLLECTION",
            f"two {what} have the name {twice!r:.60}: a graph has two nodes of one name, or a name"
            " of a graph has a colon; rename it.",
        )


def _notes(graphs: Sequence[Graph]) -> dict[str, int]:
    """Return the sums of the notes of graphs."""
    notes: dict[str, int] = {}
    for graph in graphs:
        for key, count in graph.notes.items():
            notes[key] = notes.get(key, 0) + count
    return notes


def _filled(values: Sequence[Any], lengths: Sequence[int], fill: float) -> Any:
    """Return the values of all graphs, ``fill`` where a graph has none; ``None`` without any."""
    known = next((value for value in values if value is not None), None)
    if known is None:
        return None
    pairs = zip(values, lengths, strict=True)
    return torch.cat([known.new_full((n,), fill) if v is None else v for v, n in pairs])


def _stacked(values: Sequence[Any]) -> Any:
    """Return the features of all graphs, sparse if one is; ``None`` without."""
    import scipy.sparse as sp

    if values[0] is None:
        return None
    if not any(x.is_sparse_csr for x in values):
        return torch.cat(list(values))
    return torch_csr(sp.vstack([scipy_csr(x) for x in values], format="csr"))


def _gaps(graphs: Sequence[Graph]) -> Tensor | None:
    """Return the missing entries of all graphs; ``None`` without any."""
    import scipy.sparse as sp

    if all(graph.missing is None for graph in graphs):
        return None
    none = [sp.csr_array((graph.num_nodes, graph.num_features), dtype=bool) for graph in graphs]
    pairs = zip(graphs, none, strict=True)
    own = [gaps if graph.missing is None else scipy_csr(graph.missing) for graph, gaps in pairs]
    return marked(sp.vstack(own, format="csr"))
