"""Canonical, immutable graphs: undirected, directed or two-sided."""

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NoReturn, Unpack

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from vgae.errors import DataError, UsageError
from vgae.graphs.arrays import feature_tensor, graph_digest, label_tensor
from vgae.graphs.canonical import (
    NodeId,
    canonical_links,
    check_lengths,
    edge_array,
    known_positions,
    node_names,
    num_components,
)
from vgae.graphs.defaults import Directed, Merge
from vgae.graphs.encoding import TableEncoder
from vgae.graphs.frame_kinds import is_frame, is_series
from vgae.graphs.grid import DirectedGrid, Grid, TwoSidedGrid
from vgae.graphs.interop import from_networkx, from_pyg, from_scipy, to_networkx, to_pyg, to_scipy

if TYPE_CHECKING:
    import networkx as nx
    from torch_geometric.data import Data

    from vgae.graphs.frames import FrameOptions


@dataclass(frozen=True, eq=False)
class Graph:
    """Graph with optional node features and labels, undirected unless it says otherwise.

    The methods ``from_edges``, ``from_pandas``, ``from_networkx``, ``from_scipy``, ``from_pyg``,
    :func:`vgae.read_graph` and :func:`vgae.load_dataset` bring a graph to its canonical form.

    Attributes:
        links: Each link once, ascending, int64, shape ``(2, M)``: with ``u < v``; from source to
            target if ``directed``; with the node of the first side first if there are ``sides``.
        num_nodes: N.
        link_weight: Weight of each link, float32, above zero, ``(M,)``; ``None`` if all are 1.
        x: Node features, float32, shape ``(N, F)``, dense or sparse CSR; ``None`` without.
        feature_names: Name of each column of ``x``, of length F; empty if unknown.
        y: Label of each node, int64 in ``[0, C)``, or -1 if unknown, shape ``(N,)``.
        label_names: Name of each label, of length C.
        node_ids: Name of each node; ``None`` if the names are 0 to N - 1.
        name: Name of the graph in messages and run folders.
        feature_encoder: Encoder of a table of mixed columns that made ``x``; ``None`` without.
        notes: Counts of dropped and merged edges: ``self_loops``, ``repeats`` (of an ordered
            pair) and, if only some links were given in both directions, the numbers of links
            given ``both_ways`` and ``one_way``. Of E edges then
            ``M = E - self_loops - repeats - both_ways``.
        directed: Whether (u, v) and (v, u) are different links.
        sides: Whether each node is of the second side of a two-sided (bipartite) graph, bool,
            shape ``(N,)``; ``None`` if any two nodes may be linked.
        side_names: Names of the two sides, such as ``("user", "item")``.
    """

    links: Tensor
    num_nodes: int
    link_weight: Tensor | None = None
    x: Tensor | None = None
    feature_names: tuple[str, ...] = ()
    y: Tensor | None = None
    label_names: tuple[str, ...] = ()
    node_ids: tuple[NodeId, ...] | None = None
    name: str = "graph"
    feature_encoder: TableEncoder | None = None
    notes: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    directed: bool = False
    sides: Tensor | None = None
    side_names: tuple[str, str] | tuple[()] = ()

    @classmethod
    def from_edges(  # noqa: PLR0913 - each is given by name
        cls,
        edges: Any,
        *,
        edge_weight: Any = None,
        num_nodes: int | None = None,
        x: Any = None,
        feature_names: Sequence[str] = (),
        y: Any = None,
        label_names: Sequence[str] = (),
        node_ids: Sequence[NodeId] | None = None,
        merge: Merge = "mean",
        directed: Directed = "symmetrize",
        ordered: bool = False,
        name: str = "graph",
    ) -> "Graph":
        """Make a graph from a list of edges.

        Args:
            edges: Integers of shape ``(2, E)``, in any order, each edge once or in both
                directions. Without ``num_nodes``, ``x`` and ``node_ids`` they are names, integers
                or strings, and the nodes are the distinct names in ascending order.
            edge_weight: Weight of each edge, above zero, shape ``(E,)``; ones if not given.
            num_nodes: N; by default the rows of ``x`` or the length of ``node_ids``.
            x: Node features, shape ``(N, F)``: array, tensor, sparse matrix of scipy, or data
                frame. The rows of a frame are assigned by name: by the index of pandas, unless it
                is the default one, or a column ``id`` or ``node_id``. Without ``node_ids`` they
                are the nodes.
            feature_names: Name of each column of ``x``, which a model stores.
            y: Integer labels, -1 if unknown, shape ``(N,)``; or a series, whose labels are
                assigned like ``x``, and may be strings.
            label_names: Name of each label.
            node_ids: Name of each node, all different.
            merge: Weight of a repeated link, in either direction: the ``"mean"``, ``"sum"``,
                ``"max"`` or ``"first"`` of its weights.
            directed: Treatment of edges in one direction while others are in both:
                ``"symmetrize"`` makes links of them and counts them, ``"error"`` refuses them.
            ordered: Whether the source of the edges is directed, so that ``directed`` applies
                even if all edges are in one direction.
            name: Name of the graph in messages.

        Raises:
            DataError: If shapes, dtypes or ranges do not fit, or features are not finite.
        """
        if is_frame(edges):
            raise DataError("EDGE_INDEX_SHAPE", "edges is a data frame: use Graph.from_pandas.")
        edges = edge_array(edges)
        if is_frame(x) or is_series(y):
            from vgae.graphs.aligning import align

            given: Any = {"num_nodes": num_nodes, "x": x, "y": y, "node_ids": node_ids}
            given |= {"feature_names": feature_names, "label_names": label_names}
            options: Any = {"merge": merge, "directed": directed, "ordered": ordered, "name": name}
            return cls.from_edges(**align(edges, **given), edge_weight=edge_weight, **options)
        num_nodes = None if num_nodes is None else operator.index(num_nodes)
        if num_nodes is None and x is None and node_ids is None:
            names, inverse = np.unique(edges, return_inverse=True)
            edges, num_nodes = inverse.reshape(edges.shape), len(names)
            if not np.array_equal(names, np.arange(num_nodes)):
                node_ids = names.tolist()
        features = None if x is None else feature_tensor(x)
        if num_nodes is None:
            num_nodes = len(node_ids) if features is None else features.shape[0]  # pyright: ignore
        grid = DirectedGrid(num_nodes) if directed == "keep" else Grid(num_nodes)
        links = canonical_links(
            edges, grid, edge_weight, merge=merge, directed=directed, ordered=ordered
        )
        graph = cls(
            links=links.links,
            num_nodes=num_nodes,
            link_weight=links.weight,
            x=features,
            feature_names=tuple(str(name) for name in feature_names),
            y=None if y is None else label_tensor(y, "y", None, "node"),
            label_names=tuple(str(label) for label in label_names),
            node_ids=None if node_ids is None else node_names(node_ids, num_nodes),
            name=name,
            notes=MappingProxyType(links.notes),
            directed=grid.directed,
        )
        check_lengths(graph)
        return graph

    @classmethod
    def from_pandas(
        cls,
        edges: Any,
        nodes: Any = None,
        *,
        source: str | None = None,
        target: str | None = None,
        weight: str | None = None,
        y: Any = None,
        encode: Any = "none",
        **options: "Unpack[FrameOptions]",
    ) -> "Graph":
        """Make a graph from data frames of pandas, polars, pyarrow or another eager library.

        Nodes are in the order of ``nodes``, or else in ascending order of their names.

        Args:
            edges: A row for each edge, with the names of both ends: integers or strings.
            nodes: A row for each node: its name and its features, which are numbers or booleans.
                The names are the index of pandas, unless it is the default one; else a column
                ``id``, ``node_id``, ``node`` or ``name``; else, without an index, the first.
            source: Column of the first ends; found by its name, such as ``source``, ``from`` or
                ``u``, as in a file (:func:`vgae.read_graph`), if not given.
            target: Column of the second ends; ``source`` and ``target`` go together.
            weight: Column of the weights, by default one with a name of weights, or the only
                other one of numbers that may be weights; ``"none"`` for links without weights.
                What becomes of the other columns is logged.
            y: Column of ``nodes`` with the label, or a series, assigned by its index; integers,
                or strings, which are numbered in sorted order. A missing label is -1.
            encode: ``"none"``: features must be numbers. ``"auto"``, or kinds of columns such as
                ``{"notes": "hash"}``: see :meth:`vgae.graphs.encoding.TableEncoder.fit`. The
                ``feature_encoder`` of another graph, to encode a later table alike.
            **options: ``id_column``, the column of ``nodes`` with the names;
                ``missing_features``, ``"zero"`` or ``"mean"`` (of the columns) for nodes of edges
                that have no row, by default ``"refuse"``; ``drop_zero``, to leave out edges of
                weight 0; ``two_sided``, to make two nodes of a name in both columns; ``name``,
                ``merge`` and ``directed`` as for :meth:`from_edges`.

        Raises:
            DataError: If columns are missing, or names missing, repeated or floats; if a node has
                no row; with all columns that are no features; or as :meth:`from_edges`.
            UsageError: If an option is invalid, or a frame is lazy.

        Example:
            >>> import pandas as pd
            >>> edges = pd.DataFrame({"source": ["Ann", "Bob"], "target": ["Bob", "Cid"]})
            >>> nodes = pd.DataFrame({"age": [30, 40, 50]}, index=["Cid", "Bob", "Ann"])
            >>> Graph.from_pandas(edges, nodes).node_ids
            ('Cid', 'Bob', 'Ann')
        """
        from vgae.graphs.frames import from_frames

        parts, encoder = from_frames(edges, nodes, (source, target, weight), y, encode, options)
        return replace(cls.from_edges(**parts), feature_encoder=encoder)

    @classmethod
    def from_networkx(
        cls,
        graph: "nx.Graph",
        *,
        x: Any = None,
        y: Any = None,
        weight: str = "weight",
        merge: Merge = "mean",
        directed: Directed = "symmetrize",
    ) -> "Graph":
        """Make a graph from a networkx graph of any kind.

        Directed edges become links; parallel edges are merged.

        Args:
            graph: networkx graph whose nodes are strings or integers.
            x: Names of the node attributes with the features, such as ``["age", "height"]``, each
                a number or a list of numbers; or an array in the order of ``graph.nodes``, or a
                frame with the names of the nodes, as for :meth:`from_edges`.
            y: Name of the node attribute with the label, an integer or string, -1 where it is
                missing; or the labels as ``x``.
            weight: Name of the edge attribute with the weight; an edge without it has weight 1.
            merge: As for :meth:`from_edges`.
            directed: As for :meth:`from_edges`.

        Raises:
            DataError: If a node lacks a feature, or all lack an attribute, or
                :meth:`from_edges` refuses the input.
        """
        return cls.from_edges(**from_networkx(graph, x, y, weight), merge=merge, directed=directed)

    @classmethod
    def from_scipy(
        cls,
        adj: Any,
        *,
        x: Any = None,
        y: Any = None,
        merge: Merge = "mean",
        directed: Directed = "symmetrize",
        name: str = "graph",
    ) -> "Graph":
        """Make a graph from the non-zero entries of a square matrix; their values are weights.

        Args:
            adj: Sparse matrix of scipy, dense array, or data frame whose rows and columns have
                the names of the nodes, shape ``(N, N)``. Booleans, and values that are all 1, make
                an unweighted graph.
            x: Features as for :meth:`from_edges`; the rows of a frame name the nodes of a matrix.
            y: Labels as for :meth:`from_edges`.
            merge: See :meth:`from_edges`.
            directed: See :meth:`from_edges`.
            name: Name of the graph in messages.
        """
        parts = from_scipy(adj, x)
        return cls.from_edges(**parts, x=x, y=y, merge=merge, directed=directed, name=name)

    @classmethod
    def from_pyg(
        cls,
        data: "Data",
        *,
        merge: Merge = "mean",
        directed: Directed = "symmetrize",
        name: str = "graph",
    ) -> "Graph":
        """Make a graph from ``edge_index``, ``edge_weight``, ``x`` and ``y`` of a PyG ``Data``.

        Directed edges become links; ``y`` is left out unless it has an integer per node. What
        else is left out is logged. For ``merge`` and ``directed`` see :meth:`from_edges`.
        """
        return cls.from_edges(**from_pyg(data), merge=merge, directed=directed, name=name)

    def to_networkx(self, *, features: bool = False) -> "nx.Graph":
        """Return a ``networkx.Graph`` with the names of the nodes, labels ``y`` and ``weight``.

        Args:
            features: Whether nodes get their features: an attribute for each of
                ``feature_names``, or without names one list ``x``.
        """
        return to_networkx(self, features=features)

    def to_scipy(self) -> sp.csr_array:
        """Return the symmetric adjacency, ones or weights, float32, shape ``(N, N)``."""
        return to_scipy(self)

    def to_pyg(self) -> "Data":
        """Return a PyG ``Data``: dense ``x``, ``edge_index`` both ways, ``edge_weight``, ``y``."""
        return to_pyg(self)

    @property
    def num_links(self) -> int:
        """M, the number of links."""
        return self.links.shape[1]

    @property
    def num_features(self) -> int:
        """F, the columns of ``x``; 0 without features."""
        return 0 if self.x is None else self.x.shape[1]

    @property
    def ids(self) -> Sequence[NodeId]:
        """Name of each node, by default 0 to N - 1."""
        return range(self.num_nodes) if self.node_ids is None else self.node_ids

    @property
    def dense_x(self) -> Tensor | None:
        """Features as a dense tensor."""
        return None if self.x is None else self.x.to_dense()

    @cached_property
    def grid(self) -> Grid:
        """The pairs that may be links."""
        if self.sides is not None:
            return TwoSidedGrid(self.sides)
        return DirectedGrid(self.num_nodes) if self.directed else Grid(self.num_nodes)

    @cached_property
    def edge_index(self) -> Tensor:
        """Edges of the messages, ascending, int64, shape ``(2, E)``.

        Both directions of every link, so that E = 2M; or the links of a directed graph.
        """
        return self.grid.message_edges(self.links)

    @cached_property
    def edge_weight(self) -> Tensor | None:
        """Weight of each column of :attr:`edge_index`, shape ``(E,)``; ``None`` if all are 1."""
        return self.weights_of(self.edge_index)

    def weights_of(self, pairs: Tensor) -> Tensor | None:
        """Return the weights of links, float32, shape ``(P,)``; ``None`` if all weights are 1.

        Args:
            pairs: Links, in either direction unless ``directed``, shape ``(2, P)``.

        Raises:
            DataError: If a pair is no link.
        """
        if self.link_weight is None:
            return None
        return self.link_weight[known_positions(pairs, self.links, self.grid, self.name)]

    @cached_property
    def num_isolated(self) -> int:
        """Number of nodes without a link."""
        isolated = torch.ones(self.num_nodes, dtype=torch.bool)
        isolated[self.links] = False
        return int(isolated.sum())

    @cached_property
    def num_components(self) -> int:
        """Number of connected components, isolated nodes included."""
        return num_components(self.links, self.num_nodes)

    @cached_property
    def link_fingerprint(self) -> str:
        """SHA-256 of the number of nodes, the kind of the graph and the links, in hexadecimal."""
        return self.grid.digest(self.links)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of nodes, links, weights and features, dense or sparse alike, in hexadecimal."""
        return graph_digest(self.link_fingerprint, self.link_weight, self.x)

    def summary(self) -> dict[str, Any]:
        """Return name, counts and notes as plain values."""
        return {
            "name": self.name,
            "num_nodes": self.num_nodes,
            "num_links": self.num_links,
            "num_features": self.num_features,
            "weighted": self.link_weight is not None,
            "num_isolated": self.num_isolated,
            "num_components": self.num_components,
            "notes": dict(self.notes),
        }

    def without_features(self) -> "Graph":
        """Return the same graph with ``x`` left out."""
        return replace(self, x=None, feature_names=(), feature_encoder=None)

    def __array__(self, *_: object, **__: object) -> NoReturn:
        """Raise ``UsageError``: numpy and scikit-learn would make one object of a graph."""
        raise UsageError(
            "GRAPH",
            f"{self!r} is no array: take its x or to_scipy(). Cross-validation, as in"
            " GridSearchCV, cannot divide it into rows; vgae.split_links divides its links.",
        )

    def __getstate__(self) -> dict[str, Any]:
        # A read-only view of a dict cannot be pickled.
        return {**self.__dict__, "notes": dict(self.notes)}

    def __repr__(self) -> str:
        counts = f"{self.num_nodes} nodes, {self.num_links} links, {self.num_features} features"
        return f"Graph({self.name!r}, {counts})"
