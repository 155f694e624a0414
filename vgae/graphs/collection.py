"""Collections of graphs: many graphs as one, whose pairs lie within graphs."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vgae.errors import DataError, UsageError, did_you_mean
from vgae.graphs import collection_parts as parts
from vgae.graphs.block_grid import BlockGrid
from vgae.graphs.canonical import check_lengths
from vgae.graphs.graph import Graph


@dataclass(frozen=True, eq=False)
class GraphCollection(Graph):
    """Many undirected graphs, such as molecules, with their nodes one after another.

    It is a :class:`vgae.Graph` of all nodes in which links, and whatever is predicted, are within
    graphs. It is a sequence of :class:`vgae.Graph`; a slice or a list of numbers is a collection.
    Nodes have the names ``GRAPH:NODE``. The methods ``from_graphs``, ``from_edges``,
    ``from_pandas``, ``from_networkx``, ``from_scipy`` and ``from_pyg``, and
    :func:`vgae.read_graph`, make one.

    Attributes:
        sizes: Number of nodes of each graph, above zero, int64, shape ``(G,)``.
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
        graphs: Iterable[Graph] | Mapping[Any, Graph],
        *,
        names: Sequence[Any] = (),
        y: Any = None,
        label_names: Sequence[Any] = (),
        name: str = "graphs",
    ) -> "GraphCollection":
        """Make a collection of graphs.

        Args:
            graphs: Undirected graphs without sides, all with the same features; or a mapping from
                their names to them.
            names: Name of each graph, all different; by default its number.
            y: Label of each graph, an integer or string, shape ``(G,)``; or a mapping, or a series
                with an index, from names of graphs to labels. -1, None and NaN are unknown;
                if all labels are -1 and 1, they are two classes.
            label_names: Name of each label, if ``y`` has the numbers of labels.
            name: Name of the collection in messages.

        Raises:
            DataError: ``COLLECTION`` if there is no graph, one is directed or has two sides,
                their features differ, or names are equal; ``LABELS``.
        """
        names = tuple(map(str, names))
        if isinstance(graphs, Mapping):
            names, graphs = names or tuple(map(str, graphs)), graphs.values()
        own, batch, node_names = parts.joined(list(graphs), names)
        known = {"names": names, "y": y, "label_names": label_names, "node_names": node_names}
        return cls.from_batch(Graph(**own, name=name), batch, **known)

    @classmethod
    def from_batch(
        cls,
        graph: Graph,
        batch: Any,
        *,
        names: Sequence[Any] = (),
        y: Any = None,
        label_names: Sequence[Any] = (),
        node_names: Sequence[Any] | None = None,
        num_graphs: int | None = None,
    ) -> "GraphCollection":
        """Make a collection of one graph, given the number of the graph of each of its nodes.

        The nodes of each graph keep their order. Graphs without nodes are left out.

        Args:
            graph: Undirected graph of all nodes, with links within graphs alone.
            batch: Number of the graph of each node, in any order, shape ``(N,)``.
            names: Name of each graph; ``y`` and ``label_names`` as for :meth:`from_graphs`.
            y: Label of each graph.
            label_names: Name of each label.
            node_names: Name of each node in its graph, by default that in ``graph``, or its
                number.
            num_graphs: Number of graphs, with those without nodes.

        Raises:
            DataError: ``COLLECTION`` if a link joins two graphs, or as :meth:`from_graphs`.
        """
        given = parts.Given(tuple(map(str, names)), y, tuple(label_names), node_names, num_graphs)
        own = parts.grouped(graph, batch, given)
        collection = cls(**own)
        check_lengths(collection)
        return collection

    @classmethod
    def from_edges(  # pyright: ignore[reportIncompatibleMethodOverride]
        cls,
        edges: Any,
        *,
        batch: Any,
        graph_names: Sequence[Any] = (),
        graph_y: Any = None,
        graph_label_names: Sequence[Any] = (),
        **options: Any,
    ) -> "GraphCollection":
        """Make a collection of the edges of all graphs.

        Args:
            edges: Numbers of nodes of all graphs, shape ``(2, E)``; see
                :meth:`vgae.Graph.from_edges`.
            batch: Number of the graph of each node, in any order, shape ``(N,)``.
            graph_names: Name of each graph; this and what follows as ``names``, ``y`` and
                ``label_names`` of :meth:`from_graphs`.
            graph_y: Label of each graph.
            graph_label_names: Name of each label.
            **options: As for :meth:`vgae.Graph.from_edges`, without sides.
        """
        options = {"num_nodes": len(batch), "sides": "none"} | options
        graph = Graph.from_edges(edges, **options)
        known = {"names": graph_names, "y": graph_y, "label_names": graph_label_names}
        return cls.from_batch(graph, batch, **known)

    @classmethod
    def from_pandas(  # pyright: ignore[reportIncompatibleMethodOverride]
        cls,
        edges: Any,
        nodes: Any = None,
        *,
        graph: str = "graph_id",
        labels: Any = None,
        **options: Any,
    ) -> "GraphCollection":
        """Make a collection of data frames with a column that has the graph of each row.

        Args:
            edges: A row for each edge; see :meth:`vgae.Graph.from_pandas`. Different graphs may
                have nodes of the same names.
            nodes: A row for each node with its features. Graphs and nodes without edges are kept.
            graph: Column of ``edges`` and ``nodes`` with the name of the graph.
            labels: Series with the label of each graph, and the names of the graphs as its index;
                a mapping; or a frame with two columns, names and labels.
            **options: As for :meth:`vgae.Graph.from_pandas`, without sides and directions.

        Raises:
            DataError: ``GRAPH_COLUMN`` if there is no such column, or it has gaps; or as
                :meth:`vgae.Graph.from_pandas` and :meth:`from_graphs`.
        """
        from vgae.graphs.collection_frames import composed

        edges, nodes, table, options = composed(edges, nodes, graph, options)
        whole = Graph.from_pandas(edges, nodes, **options)
        return table.collection(cls, whole, labels, ordered=nodes is not None)

    @classmethod
    def from_networkx(  # pyright: ignore[reportIncompatibleMethodOverride]
        cls,
        graphs: Any,
        *,
        names: Sequence[Any] = (),
        graph_y: Any = None,
        name: str = "graphs",
        **options: Any,
    ) -> "GraphCollection":
        """Make a collection of networkx graphs.

        Args:
            graphs: The graphs; or a mapping from their names to them.
            names: Name of each graph; by default its number.
            graph_y: Label of each graph, as ``y`` of :meth:`from_graphs`; or the name of the
                attribute of the graphs (``graph.graph``) that has it.
            name: Name of the collection.
            **options: As for :meth:`vgae.Graph.from_networkx`, without sides.
        """
        names = tuple(names)
        if isinstance(graphs, Mapping):
            names, graphs = names or tuple(graphs), graphs.values()
        given = list(graphs)
        if isinstance(graph_y, str):
            if not any(graph_y in graph.graph for graph in given):
                raise DataError("LABELS", f"no graph has an attribute {graph_y!r:.60}.")
            graph_y = [graph.graph.get(graph_y) for graph in given]
        options = {"sides": "none"} | options
        made = [Graph.from_networkx(graph, **options) for graph in given]
        return cls.from_graphs(made, names=names, y=graph_y, name=name)

    @classmethod
    def from_scipy(
        cls,
        adj: Iterable[Any],
        *,
        x: Iterable[Any] | None = None,
        names: Sequence[Any] = (),
        graph_y: Any = None,
        name: str = "graphs",
        **options: Any,
    ) -> "GraphCollection":
        """Make a collection of adjacencies.

        Args:
            adj: Adjacency of each graph, or a dense array of shape ``(G, N, N)``.
            x: Features of each graph.
            names: Name of each graph; this and what follows as for :meth:`from_networkx`.
            graph_y: Label of each graph.
            name: Name of the collection.
            **options: As for :meth:`vgae.Graph.from_scipy`, without sides.
        """
        given = list(adj)
        features = [None] * len(given) if x is None else list(x)
        if len(features) != len(given):
            what = f"there are {len(given)} adjacencies and features of {len(features)} graphs"
            raise DataError("COLLECTION", f"{what}; give features of each graph.")
        pairs = zip(given, features, strict=True)
        options = {"sides": "none"} | options
        made = [Graph.from_scipy(matrix, x=rows, **options) for matrix, rows in pairs]
        return cls.from_graphs(made, names=names, y=graph_y, name=name)

    @classmethod
    def from_pyg(
        cls, data: Any, *, names: Sequence[Any] = (), name: str = "graphs", **options: Any
    ) -> "GraphCollection":
        """Make a collection of a PyG ``Batch``, a list of ``Data``, or a data set of several.

        A ``y`` with an integer for each graph has the labels of the graphs; for each node, those
        of the nodes. What is left out is logged.

        Args:
            data: ``Batch``, or ``Data`` with ``batch``; list of ``Data``; or ``Dataset``.
            names: Name of each graph; by default its number.
            name: Name of the collection.
            **options: ``merge`` and ``directed`` as for :meth:`vgae.Graph.from_edges`.

        Raises:
            DataError: ``COLLECTION`` if it has no graph, or as :meth:`from_graphs`.
        """
        from vgae.graphs.collection_pyg import many_of

        own, batch, y = many_of(data)
        num_graphs = own.pop("num_graphs")
        graph = Graph.from_edges(**own, **options, sides="none", name=name)
        y = None if y.codes is None else y
        return cls.from_batch(graph, batch, names=names, y=y, num_graphs=num_graphs)

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

    @cached_property
    def link_ptr(self) -> Tensor:
        """First link of each graph, and M at the end, int64, shape ``(G + 1,)``."""
        return torch.searchsorted(self.links[0].contiguous(), self.grid.ptr)

    def __len__(self) -> int:
        return self.num_graphs

    def __iter__(self) -> Iterator[Graph]:
        return (self[number] for number in range(self.num_graphs))

    def __getitem__(self, index: Any) -> Graph:
        """Return one graph, or a collection of those of a slice or of an array of numbers.

        A graph is also found by its name, a string. Names of nodes that are integers in text
        become integers.
        """
        if isinstance(index, slice):
            return self.select(range(self.num_graphs)[index])
        if isinstance(index, str):
            if index not in self._number_of:
                near = did_you_mean(index, self._number_of)
                raise UsageError("COLLECTION", f"there is no graph {index!r:.60}.{near}")
            index = self._number_of[index]
        if np.ndim(index):
            return self.select(index)
        return parts.one_of(self, range(self.num_graphs)[int(index)])

    @cached_property
    def _number_of(self) -> dict[str, int]:
        return {str(name): number for number, name in enumerate(self.graph_ids)}

    def select(self, numbers: Any) -> "GraphCollection":
        """Return the collection of some graphs, in the order of their numbers.

        It takes time for the chosen graphs alone. ``notes``, counts of all, stay only with all.

        Args:
            numbers: Numbers of graphs, all different, shape ``(K,)``; or whether each is one of
                them, bool, shape ``(G,)``.

        Raises:
            UsageError: ``COLLECTION`` for numbers of no graph, or equal ones.
        """
        chosen = parts.chosen_numbers(numbers, self.num_graphs)
        sizes, ptr = self.sizes[chosen], self.grid.ptr
        rows = parts.ranges(ptr[chosen], sizes)
        first, last = self.link_ptr[chosen], self.link_ptr[chosen + 1]
        kept = parts.ranges(first, last - first)
        shift = (sizes.cumsum(0) - sizes - ptr[chosen]).repeat_interleave(last - first)
        ids, names = self.node_ids, self.graph_ids
        return replace(
            self,
            **{**self.links_at(kept), "links": self.links[:, kept] + shift},
            num_nodes=len(rows),
            **parts.features_at(self, rows),
            y=None if self.y is None else self.y[rows],
            node_ids=None if ids is None else tuple(ids[k] for k in rows.tolist()),
            notes=self.notes if len(chosen) == self.num_graphs else {},
            sizes=sizes,
            graph_names=tuple(str(names[k]) for k in chosen.tolist()),
            graph_y=None if self.graph_y is None else self.graph_y[chosen],
        )

    def to_pyg(self) -> Any:
        """Return a PyG ``Batch`` of ``Data``, with labels of graphs, or else of nodes, as ``y``.

        If there are both, those of the nodes are ``node_y``. ``[graph.to_pyg() for graph in
        graphs]`` is a list of ``Data`` with labels of nodes.
        """
        from vgae.graphs.collection_pyg import batch_of

        return batch_of(self)

    @property
    def announcement(self) -> str:
        """What is read, in one line."""
        low, high = int(self.sizes.min()), int(self.sizes.max())
        sizes = f"{low:,}" if low == high else f"{low:,} to {high:,}"
        return (
            f"{self.name}: {self.num_graphs:,} graphs of {sizes} nodes; links are predicted within"
            " graphs, and pairs of nodes of two graphs are never scored"
        )

    def summary(self) -> dict[str, Any]:
        """Return name, counts and notes as plain values; of sizes least, median and most."""
        low, middle, high = self.sizes.min(), self.sizes.median(), self.sizes.max()
        sizes = {"num_graphs": self.num_graphs, "graph_sizes": [int(low), int(middle), int(high)]}
        return {**super().summary(), **sizes}

    def __repr__(self) -> str:
        counts = f"{self.num_nodes} nodes, {self.num_links} links, {self.num_features} features"
        return f"GraphCollection({self.name!r}, {self.num_graphs} graphs, {counts})"
