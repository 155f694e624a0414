"""Collections of graphs from and to PyG: batches, lists of ``Data``, data sets."""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from vgae.errors import DataError, UsageError
from vgae.graphs.collection_labels import GraphLabels, coded_numbers
from vgae.graphs.interop import Parts, is_batch, link_features, to_pyg, unused_weights

if TYPE_CHECKING:
    from torch_geometric.data import Batch

    from vgae.graphs.collection import GraphCollection

log = logging.getLogger(__name__)

_LINKS = ("edge_index", "edge_weight")
_TAKEN = {*_LINKS, "x", "y", "node_y", "num_nodes", "batch", "ptr"}


class Many(NamedTuple):
    """Parts of a collection.

    Attributes:
        own: Arguments of :meth:`vgae.Graph.from_edges` for all nodes; and ``num_graphs``, if it is
            known to be more than the largest number in ``batch``.
        batch: Number of the graph of each node, int64, shape ``(N,)``.
        y: Labels of the graphs.
    """

    own: Parts
    batch: Tensor
    y: GraphLabels


def collection_of(data: Any, sides: Any, options: Parts) -> Any:
    """Return the :class:`vgae.GraphCollection` of several graphs of PyG, which is announced."""
    from vgae.graphs.collection import GraphCollection

    if not (isinstance(sides, str) and sides in ("auto", "none")):
        what = "a collection has graphs without sides"
        raise UsageError("SIDES", f"{what}; leave sides out.")
    graphs = GraphCollection.from_pyg(data, **options)
    log.info("%s", graphs.announcement)
    return graphs


def many_of(data: Any) -> Many:
    """Return the parts of a collection; see :meth:`vgae.GraphCollection.from_pyg`."""
    if hasattr(data, "edge_index") or hasattr(data, "node_types"):
        return _of_batch(data)
    given = list(data)
    if not given:
        raise DataError("COLLECTION", "there are no graphs; a collection has at least one.")
    for number, item in enumerate(given):
        if not hasattr(item, "edge_index") or hasattr(item, "node_types"):
            rule = "a list of graphs must have a Data of PyG for each"
            raise DataError(
                "COLLECTION", f"{rule}, got a {type(item).__name__} as graph {number}."
            )
        if is_batch(item):
            what = f"graph {number} is a batch of several graphs"
            raise DataError("COLLECTION", f"{what}; give them apart, as batch.to_data_list().")
        if item.num_nodes is None:
            what = f"graph {number} has no edge_index, x or num_nodes"
            raise DataError("COLLECTION", f"{what}; a graph needs its number of nodes.")
    return _of_list(given)


def _of_batch(data: Any) -> Many:
    """Return the parts of a ``Batch``, or of a ``Data`` with ``batch``."""
    if hasattr(data, "node_types"):
        what = "a batch of HeteroData has nodes of several types"
        cure = "convert each graph by .to_homogeneous()"
        raise DataError("COLLECTION", f"{what}; {cure} and give the list.")
    if data.edge_index is None:
        raise DataError("NO_EDGES", "data.edge_index is missing; the links come from it.")
    batch = data.batch
    if not isinstance(batch, Tensor) or batch.shape != (data.num_nodes,):
        rule = f"data.batch must have the number of the graph of each of {data.num_nodes} nodes"
        raise DataError("COLLECTION", f"{rule}.")
    ptr = getattr(data, "ptr", None)
    num_graphs = int(batch.max()) + 1 if batch.numel() else 0
    num_graphs = max(num_graphs, 0 if ptr is None else len(ptr) - 1)
    y, node_y = data.y, data.get("node_y")
    if isinstance(y, Tensor) and y.shape == (data.num_nodes,) and num_graphs != data.num_nodes:
        y, node_y = None, y
    own = {"edges": data.edge_index, "edge_weight": data.edge_weight, "x": data.x}
    own |= {"num_nodes": data.num_nodes, "y": _classes_of_nodes(node_y, data.num_nodes)}
    own |= {"num_graphs": num_graphs}
    attr = link_features(data.edge_attr, data.edge_index.shape[1])
    own |= {} if attr is None else {"edge_attr": attr}
    labels = _labels(y, num_graphs)
    _tell_left_out([data], has_attr=attr is not None)
    return Many(own, batch, labels)


def _of_list(given: Sequence[Any]) -> Many:
    """Return the parts of a list of ``Data``."""
    sizes = torch.tensor([item.num_nodes for item in given])
    starts = (sizes.cumsum(0) - sizes).tolist()
    empty = torch.zeros(2, 0, dtype=torch.int64)
    edges = [empty if item.edge_index is None else item.edge_index for item in given]
    for number, (part, size) in enumerate(zip(edges, sizes.tolist(), strict=True)):
        if part.numel() and (int(part.min()) < 0 or int(part.max()) >= size):
            what = f"edge_index of graph {number} leads to node"
            node = int(part.max() if part.max() >= size else part.min())
            raise DataError("EDGE_INDEX_RANGE", f"{what} {node}, and it has {size} nodes.")
    weights = [item.edge_weight for item in given]
    if any(weight is not None for weight in weights):
        pairs = zip(weights, edges, strict=True)
        weights = [torch.ones(e.shape[1]) if w is None else w.float() for w, e in pairs]
    values = [_tensor(item.y) for item in given]
    known = [value for value in values if value is not None]
    counts = zip(values, sizes.tolist(), strict=True)
    of_nodes = bool(known) and all(v is None or v.shape == (n,) for v, n in counts)
    of_graphs = all(value.numel() == 1 for value in known)
    node_y = [item.get("node_y") for item in given]
    if of_nodes and not of_graphs:
        values, node_y = [None] * len(given), values
    own = {
        "edges": torch.cat([part + start for part, start in zip(edges, starts, strict=True)], 1),
        "edge_weight": None if weights[0] is None else torch.cat(weights),
        "num_nodes": int(sizes.sum()),
        "x": _features([item.x for item in given]),
        "y": _classes_of_nodes(_stacked(node_y, sizes.tolist()), int(sizes.sum())),
    }
    labels = _labels(_stacked(_rows(values), [1] * len(given)), len(given))
    attrs = [item.edge_attr for item in given]
    attr = link_features(torch.cat(attrs), own["edges"].shape[1]) if _are_alike(attrs) else None
    own |= {} if attr is None else {"edge_attr": attr}
    _tell_left_out(given, has_attr=attr is not None)
    own["num_graphs"] = len(given)
    return Many(own, torch.arange(len(given)).repeat_interleave(sizes), labels)


def _are_alike(values: Sequence[Any]) -> bool:
    """Return whether all values are tables of the same number of columns."""
    are_tables = all(isinstance(value, Tensor) and value.dim() == 2 for value in values)
    return are_tables and len({value.shape[1] for value in values}) == 1


def _tensor(value: Any) -> Tensor | None:
    """Return a label as a tensor; ``None`` if it is none."""
    if isinstance(value, int | float | np.generic):
        value = torch.tensor(value)
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        value = torch.from_numpy(value)
    return value if isinstance(value, Tensor) else None


def _rows(values: Sequence[Tensor | None]) -> list[Tensor | None]:
    """Return the labels of each graph as one row."""
    return [None if value is None else value.reshape(1, -1) for value in values]


def _stacked(values: Sequence[Tensor | None], lengths: Sequence[int]) -> Tensor | None:
    """Return labels one after another, NaN where there are none; ``None`` without any.

    Rows of different widths stay apart: they are no labels.
    """
    known = [value for value in values if value is not None]
    if not known:
        return None
    shapes = {value.shape[1:] for value in known}
    if len(shapes) > 1:
        return known[0].new_zeros(0, 2)
    (shape,) = shapes
    if len(known) == len(values):
        return torch.cat(known)
    pairs = zip(values, lengths, strict=True)
    unknown = torch.nan
    return torch.cat([torch.full((n, *shape), unknown) if v is None else v for v, n in pairs])


def _features(values: Sequence[Tensor | None]) -> Tensor | None:
    """Return the features of all graphs, or raise unless all have the same number of columns."""
    widths = [None if x is None else tuple(x.shape[1:]) for x in values]
    other = next((k for k, width in enumerate(widths) if width != widths[0]), None)
    if other is not None:
        shown = ["no x" if w is None else f"x of {w} columns" for w in (widths[0], widths[other])]
        what = f"graph 0 has {shown[0]} and graph {other} {shown[1]}"
        raise DataError("COLLECTION", f"{what}; give all graphs the same features, or none.")
    known = [x for x in values if x is not None]
    return torch.cat([x.to_dense() for x in known]) if known else None


def _classes_of_nodes(y: Any, num_nodes: int) -> Tensor | None:
    """Return labels of nodes, ``None`` if they are not an integer per node."""
    if not isinstance(y, Tensor) or y.shape != (num_nodes,):
        return None
    if y.is_floating_point():
        known = y[~y.isnan()]
        if (known != known.floor()).any():
            log.warning("y of the nodes is left out: it has numbers with fractions, not classes")
            return None
        y = y.nan_to_num(-1).long()
    return y.long() if y.dtype == torch.bool else y


def _labels(y: Any, num_graphs: int) -> GraphLabels:
    """Return the labels of the graphs, none if ``y`` has no integer for each."""
    y = _tensor(y)
    if y is None:
        return GraphLabels()
    if y.shape[:1] != (num_graphs,):
        what = "y %s is left out: it has neither one number per graph (%d) nor per node"
        log.warning(what, tuple(y.shape), num_graphs)
        return GraphLabels()
    return coded_numbers(y.detach().cpu().numpy(), "y")


def _tell_left_out(given: Sequence[Any], *, has_attr: bool) -> None:
    """Log the attributes that are not read."""
    left: dict[str, str] = {}
    taken = _TAKEN | ({"edge_attr"} if has_attr else set())
    for item in given:
        for name in item.keys():  # noqa: SIM118 - no dictionary
            value = item[name]
            if name not in taken and name not in left and value is not None:
                shape = f" {tuple(value.shape)}" if isinstance(value, Tensor) else ""
                left[name] = f"{name}{shape}"
    if left:
        log.warning("from_pyg leaves out %s%s", ", ".join(left.values()), unused_weights(given[0]))


def batch_of(graphs: "GraphCollection") -> "Batch":
    """Return a collection as a ``Batch``; see :meth:`vgae.GraphCollection.to_pyg`."""
    from torch_geometric.data import Batch, Data

    whole, ptr = to_pyg(graphs), graphs.grid.ptr
    cuts = torch.searchsorted(graphs.edge_index[0].contiguous(), ptr).tolist()
    nodes = ptr.tolist()
    of_nodes: dict[str, Any] = {k: v for k, v in (("x", whole.x), ("y", whole.y)) if v is not None}
    stored: dict[str, Any] = whole.to_dict()
    of_edges = {k: v for k, v in stored.items() if k in ("edge_weight", "edge_attr")}
    items = []
    for number in range(graphs.num_graphs):
        first, last = nodes[number], nodes[number + 1]
        begin, end = cuts[number], cuts[number + 1]
        own: dict[str, Any] = {key: value[first:last] for key, value in of_nodes.items()}
        own |= {key: value[begin:end] for key, value in of_edges.items()}
        edge_index = whole.edge_index[:, begin:end] - first  # pyright: ignore[reportOptionalSubscript]
        if graphs.graph_y is not None:
            own |= {"node_y": own.pop("y")} if "y" in own else {}
            own["y"] = graphs.graph_y[number : number + 1]
        items.append(Data(edge_index=edge_index, num_nodes=last - first, **own))
    return Batch.from_data_list(items)
