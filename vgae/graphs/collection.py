"""Collections of graphs: many graphs as one, whose pairs lie within graphs."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vgae.errors import DataError, UsageError
from vgae.graphs.arrays import label_tensor, torch_csr
from vgae.graphs.block_grid import BlockGrid
from vgae.graphs.canonical import check_lengths
from vgae.graphs.graph import Graph
from vgae.graphs.missing import filled, marked
from vgae.kernels.csr import scipy_csr


@dataclass(frozen=True, eq=False)
class GraphCollection(Graph):
    """Many undirected graphs, such as molecules, with their nodes one after another.

    It is a :class:`vgae.Graph` of all nodes in which links, and whatever is predicted, are within
    graphs. It is a sequence of :class:`vgae.Graph`; a slice or a list of numbers is a collection.
    :meth:`from_graphs` and :meth:`from_pyg` make one.

    Attributes:
        sizes: Number of nodes of each graph, int64, shape ``(G,)``.
        graph_names: Name of each graph, of length G; empty if the names are 0 to G - 1.
        graph_y: Label of each graph, int64 in ``[0, C)``, or -1 if unknown, shape ``(G,)``.
        graph_label_names: Name of each label of a graph, of length C.
    """

    sizes: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.int64))
    graph_names: tuple[str, ...] = ()
    graph_y: Tensor | None = None
    graph_label_names: tuple[str, ...] = ()

    @classmethod
    def from_graphs(
        cls,
        graphs: Iterable[Graph],
        *,
        names: Sequence[Any] = (),
        y: Any = None,
        label_names: Sequence[Any] = (),
        name: str = "graphs",
    ) -> "GraphCollection":
        """Make a collection of graphs, with the names of nodes ``GRAPH:NODE``.

        Args:
            graphs: Undirected graphs without sides, all with the same features.
            names: Name of each graph, all different; by default its number.
            y: Integer label of each graph, -1 if unknown, shape ``(G,)``.
            label_names: Name of each label.
            name: Name of the collection in messages.

        Raises:
            DataError: ``COLLECTION`` if there is no graph, one is directed or has two sides, or
                their features differ.
        """
        parts = list(graphs)
        names = tuple(str(given) for given in names)
        _check_parts(parts, names)
        sizes = torch.tensor([part.num_nodes for part in parts])
        starts = (sizes.cumsum(0) - sizes).tolist()
        shifted = zip(parts, starts, strict=True)
        own = {
            "links": torch.cat([part.links + start for part, start in shifted], dim=1),
            "num_nodes": int(sizes.sum()),
            "link_weight": _filled([part.link_weight for part in parts], parts, "num_links", 1.0),
            "x": _stacked([part.x for part in parts]),
            "missing": _stacked_gaps(parts),
            "y": _filled([part.y for part in parts], parts, "num_nodes", -1),
        }
        first = parts[0]
        collection = cls(
            **own,
            feature_names=first.feature_names,
            label_names=first.label_names,
            name=name,
            sizes=sizes,
            graph_names=names,
            graph_y=None if y is None else label_tensor(y, "y", None, "graph"),
            graph_label_names=tuple(map(str, label_names)),
        )
        collection = replace(collection, node_ids=_node_names(collection, parts))
        if collection.x is not None:
            collection = replace(collection, x=filled(collection.x, collection.missing))
        check_lengths(collection)
        return collection

    @cached_property
    def grid(self) -> BlockGrid:
        """The pairs of nodes of the same graph."""
        return BlockGrid(self.sizes)

    @property
    def num_graphs(self) -> int:
        """G, the number of graphs."""
        return len(self.sizes)

    @property
    def batch(self) -> Tensor:
        """Number of the graph of each node, ascending, int64, shape ``(N,)``."""
        return self.grid.batch

    @property
    def graph_ids(self) -> Sequence[Any]:
        """Name of each graph, by default 0 to G - 1."""
        return self.graph_names or range(self.num_graphs)

    def __len__(self) -> int:
        return self.num_graphs

    def __iter__(self) -> Iterator[Graph]:
        return (self[number] for number in range(self.num_graphs))

    def __getitem__(self, index: Any) -> Graph:
        """Return one graph, or a collection of those of a slice or of an array of numbers."""
        if isinstance(index, slice):
            return self.select(range(self.num_graphs)[index])
        if np.ndim(index):
            return self.select(index)
        number = range(self.num_graphs)[int(index)]
        part = self.select([number])
        own = {f.name: getattr(part, f.name) for f in fields(Graph)}
        ids = None
        if self.node_ids is not None:
            head = f"{self.graph_ids[number]}:"
            ids = tuple(str(node).removeprefix(head) for node in part.ids)
        return Graph(**own | {"name": f"{self.name}, {self.graph_ids[number]}", "node_ids": ids})

    def select(self, numbers: Any) -> "GraphCollection":
        """Return the collection of some graphs, in the order of their numbers.

        Args:
            numbers: Ascending numbers of graphs, all different, shape ``(K,)``; or whether each is
                one of them, bool, shape ``(G,)``.
        """
        chosen = torch.as_tensor(numbers)
        if chosen.dtype == torch.bool:
            chosen = chosen.nonzero()[:, 0]
        is_chosen = torch.zeros(self.num_graphs, dtype=torch.bool)
        is_chosen[chosen] = True
        if not torch.equal(is_chosen.nonzero()[:, 0], chosen):
            raise UsageError("COLLECTION", "numbers of graphs must ascend, each once.")
        nodes = is_chosen[self.batch]
        place = nodes.long().cumsum(0) - 1
        kept = nodes[self.links[0]]
        rows = nodes.nonzero()[:, 0]
        ids = None if self.node_ids is None else tuple(self.node_ids[k] for k in rows.tolist())
        x = None if self.x is None else _rows(self.x, rows)
        missing = None if self.missing is None else marked(scipy_csr(_rows(self.missing, rows)))
        return replace(
            self,
            links=place[self.links[:, kept]],
            num_nodes=len(rows),
            link_weight=None if self.link_weight is None else self.link_weight[kept],
            x=None if x is None else filled(x, missing),  # by the means of these graphs alone
            missing=missing,
            y=None if self.y is None else self.y[rows],
            node_ids=ids,
            sizes=self.sizes[chosen],
            graph_names=tuple(str(self.graph_ids[k]) for k in chosen.tolist()),
            graph_y=None if self.graph_y is None else self.graph_y[chosen],
        )

    def summary(self) -> dict[str, Any]:
        """Return name, counts and notes as plain values."""
        return {**super().summary(), "num_graphs": self.num_graphs}

    def __repr__(self) -> str:
        counts = f"{self.num_nodes} nodes, {self.num_links} links, {self.num_features} features"
        return f"GraphCollection({self.name!r}, {self.num_graphs} graphs, {counts})"


def _check_parts(parts: Sequence[Graph], names: Sequence[str]) -> None:
    """Raise ``DataError`` unless graphs can be in one collection."""
    if not parts:
        raise DataError("COLLECTION", "there are no graphs; a collection has at least one.")
    if names and len(set(names)) != len(parts):
        raise DataError(
            "COLLECTION",
            f"names must be {len(parts)} different ones, got {len(set(names))} of {len(names)}.",
        )
    first = parts[0]
    for number, part in enumerate(parts):
        which = f"graph {names[number] if names else number!r:.60}"
        if part.directed or part.sides is not None:
            kind = "directed" if part.directed else "two-sided"
            raise DataError(
                "COLLECTION", f"{which} is {kind}; a collection has undirected graphs only."
            )
        if part.num_features != first.num_features or part.feature_names != first.feature_names:
            raise DataError(
                "COLLECTION",
                f"{which} has {part.num_features} features and the first graph"
                f" {first.num_features}, or their names differ; give all graphs the same ones.",
            )


def _filled(values: Sequence[Any], parts: Sequence[Any], length: str, fill: float) -> Any:
    """Return the values of all graphs, ``fill`` where a graph has none; ``None`` without any."""
    known = next((value for value in values if value is not None), None)
    if known is None:
        return None
    return torch.cat(
        [
            known.new_full((getattr(part, length),), fill) if value is None else value
            for value, part in zip(values, parts, strict=True)
        ]
    )


def _stacked(parts: Sequence[Any]) -> Tensor | None:
    """Return the features of all graphs, sparse if one is."""
    import scipy.sparse as sp

    if parts[0] is None:
        return None
    if not any(part.is_sparse_csr for part in parts):
        return torch.cat(list(parts))
    return torch_csr(sp.vstack([scipy_csr(part) for part in parts], format="csr"))


def _stacked_gaps(parts: Sequence[Graph]) -> Tensor | None:
    """Return the missing entries of all graphs."""
    import scipy.sparse as sp

    if all(part.missing is None for part in parts):
        return None
    gaps = [
        sp.csr_array((part.num_nodes, part.num_features), dtype=bool)
        if part.missing is None
        else scipy_csr(part.missing)
        for part in parts
    ]
    return marked(sp.vstack(gaps, format="csr"))


def _rows(x: Tensor, rows: Tensor) -> Tensor:
    """Return some rows of features, dense or sparse."""
    return torch_csr(scipy_csr(x)[rows.numpy()]) if x.is_sparse_csr else x[rows]


def _node_names(collection: GraphCollection, parts: Sequence[Graph]) -> tuple[str, ...]:
    """Return ``GRAPH:NODE`` for each node."""
    named = zip(collection.graph_ids, parts, strict=True)
    return tuple(f"{graph}:{node}" for graph, part in named for node in part.ids)
