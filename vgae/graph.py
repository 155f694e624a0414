"""Graph: undirected, canonical, immutable."""

import hashlib
import math
import operator
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from vgae.arrays import checked_csr, dense_array, feature_tensor
from vgae.errors import DataError

if TYPE_CHECKING:
    import networkx as nx
    from torch_geometric.data import Data

NodeId = str | int

_MOST_NODES = math.isqrt(2**63 - 1)  # the number of a pair must fit into 64 bits


@dataclass(frozen=True, eq=False)
class Graph:
    """An undirected graph with optional node features and labels.

    Make one through :meth:`from_edges`, :meth:`from_networkx`, :meth:`from_scipy`,
    :meth:`from_pyg`, :func:`vgae.read_graph` or :func:`vgae.load_dataset`: they bring it to the
    one form in which each graph is written in exactly one way.

    Attributes:
        links: Each undirected link once, as ``(u, v)`` with ``u < v``, ascending, int64, shape
            ``(2, M)``.
        num_nodes: N.
        x: Node features, float32, shape ``(N, F)``, dense or sparse CSR; ``None`` without.
        y: Label of each node, int64 in ``[0, C)``, or -1 where unknown, shape ``(N,)``.
        label_names: Name of each label, of length C.
        node_ids: Name of each node; ``None`` where the names are 0 to N - 1.
        name: What messages and run folders call it.
        notes: What was dropped or merged on the way in: ``self_loops``, ``repeats`` (the same
            ordered pair again) and ``one_way`` (links given in one direction where others were
            given in both).
    """

    links: Tensor
    num_nodes: int
    x: Tensor | None = None
    y: Tensor | None = None
    label_names: tuple[str, ...] = ()
    node_ids: tuple[NodeId, ...] | None = None
    name: str = "graph"
    notes: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))

    @classmethod
    def from_edges(
        cls,
        edges: Any,
        *,
        num_nodes: int | None = None,
        x: Any = None,
        y: Any = None,
        label_names: Sequence[str] = (),
        node_ids: Sequence[NodeId] | None = None,
        name: str = "graph",
    ) -> "Graph":
        """Bring a list of edges to canonical form.

        Args:
            edges: Integers of shape ``(2, E)``, in any order, each edge once or in both
                directions. Without ``num_nodes``, ``x`` and ``node_ids`` they are names, which
                may be strings too: the nodes are those named, in ascending order.
            num_nodes: N; otherwise the rows of ``x`` or the length of ``node_ids`` say it.
            x: Node features, shape ``(N, F)``: array, tensor, or sparse matrix of scipy.
            y: Integer labels, -1 where unknown, shape ``(N,)``.
            label_names: Name of each label.
            node_ids: Name of each node, all different.
            name: What messages call the graph.

        Raises:
            DataError: If shapes, dtypes or ranges do not fit, or features are not finite.
        """
        edges = _edge_array(edges)
        num_nodes = None if num_nodes is None else operator.index(num_nodes)
        if num_nodes is None and x is None and node_ids is None:
            names, inverse = np.unique(edges, return_inverse=True)
            edges, num_nodes = inverse.reshape(edges.shape), len(names)
            if not np.array_equal(names, np.arange(num_nodes)):
                node_ids = names.tolist()
        features = None if x is None else feature_tensor(x)
        if num_nodes is None:
            num_nodes = len(node_ids) if features is None else features.shape[0]  # pyright: ignore
        links, notes = _canonical(edges, num_nodes)
        graph = cls(
            links=links,
            num_nodes=num_nodes,
            x=features,
            y=None if y is None else _labels(y),
            label_names=tuple(str(label) for label in label_names),
            node_ids=None if node_ids is None else _node_ids(node_ids, num_nodes),
            name=name,
            notes=MappingProxyType(notes),
        )
        _check_lengths(graph)
        return graph

    @classmethod
    def from_networkx(cls, graph: "nx.Graph", *, x: Any = None, y: Any = None) -> "Graph":
        """Take nodes and edges of a networkx graph of any kind; it is not changed.

        Directed edges become links, parallel ones are merged; edge attributes are left out.

        Args:
            graph: Nodes must be strings or integers.
            x: Features; rows in the order of ``graph.nodes``, such as
                ``[[graph.nodes[n]["age"]] for n in graph]``.
            y: Labels in the order of ``graph.nodes``.
        """
        ids = list(graph.nodes)
        position = {node: i for i, node in enumerate(ids)}
        edges = np.array([(position[u], position[v]) for u, v in graph.edges()], dtype=np.int64)
        return cls.from_edges(
            edges.reshape(-1, 2).T,
            num_nodes=len(ids),
            x=x,
            y=y,
            node_ids=ids,
            name=str(graph.name or "graph"),
        )

    @classmethod
    def from_scipy(cls, adj: Any, *, x: Any = None, y: Any = None, name: str = "graph") -> "Graph":
        """Take the non-zero entries of a square sparse matrix as links; values are left out.

        Args:
            adj: Sparse matrix or array of scipy, or a dense array, shape ``(N, N)``; it is not
                changed.
            x: Features, shape ``(N, F)``.
            y: Labels, shape ``(N,)``.
            name: What messages call the graph.
        """
        if not sp.issparse(adj):
            adj = dense_array(adj, "adj", "NOT_SQUARE")
        if adj.ndim != 2 or adj.shape[0] != adj.shape[1]:
            raise DataError("NOT_SQUARE", f"adj must have shape (N, N), got {adj.shape}.")
        if adj.dtype.kind not in "biufc":
            raise DataError("ADJ_DTYPE", f"adj must hold numbers, got dtype {adj.dtype}.")
        coo = checked_csr(adj).tocoo()
        return cls.from_edges(
            np.stack([coo.row, coo.col]).astype(np.int64),
            num_nodes=adj.shape[0],
            x=x,
            y=y,
            name=name,
        )

    @classmethod
    def from_pyg(cls, data: "Data", *, name: str = "graph") -> "Graph":
        """Take ``edge_index``, ``x``, ``y`` and ``num_nodes`` of a PyG ``Data``.

        Directed edges become links. Other attributes are left out, and ``y`` too if it is not an
        integer per node.
        """
        if data.edge_index is None:
            raise DataError("NO_EDGES", "data.edge_index is missing; nothing says who is linked.")
        y = data.y if isinstance(data.y, Tensor) else None
        if y is not None and (y.shape != (data.num_nodes,) or y.is_floating_point()):
            y = None
        return cls.from_edges(data.edge_index, num_nodes=data.num_nodes, x=data.x, y=y, name=name)

    def to_networkx(self) -> "nx.Graph":
        """Return a ``networkx.Graph`` whose nodes bear their names, with ``y`` as attribute."""
        import networkx as nx

        ids = self.ids
        graph = nx.Graph(name=self.name)
        labels = [None] * self.num_nodes if self.y is None else self.y.tolist()
        graph.add_nodes_from(
            (node, {} if label is None else {"y": label})
            for node, label in zip(ids, labels, strict=True)
        )
        graph.add_edges_from((ids[u], ids[v]) for u, v in self.links.T.tolist())
        return graph

    def to_scipy(self) -> sp.csr_array:
        """Return the symmetric adjacency of ones, float32, shape ``(N, N)``."""
        src, dst = self.edge_index.numpy()
        ones = np.ones(len(src), dtype=np.float32)
        return sp.coo_array((ones, (src, dst)), shape=(self.num_nodes, self.num_nodes)).tocsr()

    def to_pyg(self) -> "Data":
        """Return a PyG ``Data`` with dense ``x``, ``edge_index`` in both directions and ``y``."""
        from torch_geometric.data import Data

        return Data(x=self.dense_x, edge_index=self.edge_index, y=self.y, num_nodes=self.num_nodes)

    @property
    def num_links(self) -> int:
        """M, the number of undirected links."""
        return self.links.shape[1]

    @property
    def num_features(self) -> int:
        """F, the columns of ``x``; 0 without features."""
        return 0 if self.x is None else self.x.shape[1]

    @property
    def ids(self) -> Sequence[NodeId]:
        """Name of each node, 0 to N - 1 if it has no other."""
        return range(self.num_nodes) if self.node_ids is None else self.node_ids

    @property
    def dense_x(self) -> Tensor | None:
        """Features as a dense tensor, as most layers of other libraries take them."""
        return None if self.x is None else self.x.to_dense()

    @cached_property
    def edge_index(self) -> Tensor:
        """Both directions of every link, ascending, int64, shape ``(2, 2M)``."""
        return both_directions(self.links)

    @cached_property
    def num_isolated(self) -> int:
        """Number of nodes without a link."""
        return self.num_nodes - len(self.links.unique())

    @cached_property
    def link_fingerprint(self) -> str:
        """SHA-256 of the number of nodes and of the links, in hexadecimal."""
        return _sha256(f"vgae-links-1 {self.num_nodes}", self.links.numpy())

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of nodes, links and features, dense or sparse alike, in hexadecimal."""
        head = f"vgae-graph-1 {self.link_fingerprint} {self.num_features}"
        if self.x is None:
            return _sha256(head)
        x = _scipy_features(self.x)
        return _sha256(head, x.indptr.astype(np.int64), x.indices.astype(np.int64), x.data)

    def without_features(self) -> "Graph":
        """Return the same graph with ``x`` left out."""
        return replace(self, x=None)

    def __repr__(self) -> str:
        return (
            f"Graph({self.name!r}, {self.num_nodes} nodes, {self.num_links} links,"
            f" {self.num_features} features)"
        )


def _sha256(head: str, *arrays: np.ndarray) -> str:
    """Return the digest of a text and of arrays, alike on every machine."""
    digest = hashlib.sha256(head.encode())
    for array in arrays:
        array = array.astype(array.dtype.newbyteorder("<"), copy=False)
        digest.update(f" {array.dtype.str} {array.shape} ".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _scipy_features(x: Tensor) -> sp.csr_array:
    if x.layout != torch.sparse_csr:
        return sp.csr_array(x.numpy())
    parts = (x.values().numpy(), x.col_indices().numpy(), x.crow_indices().numpy())
    return sp.csr_array(parts, shape=tuple(x.shape))


def both_directions(links: Tensor) -> Tensor:
    """Return ``(u, v)`` and ``(v, u)`` of each link, ascending, shape ``(2, 2M)``."""
    src, dst = torch.cat([links, links.flip(0)], dim=1)
    order = np.lexsort((dst.numpy(), src.numpy()))
    return torch.stack([src, dst])[:, torch.from_numpy(order)]


def _edge_array(edges: Any) -> np.ndarray:
    """Return the edges as an array of shape (2, E), of integers or of strings."""
    edges = dense_array(edges, "edges", "EDGE_INDEX_SHAPE")
    if edges.size == 0:
        return np.zeros((2, 0), dtype=np.int64)
    if edges.ndim != 2 or edges.shape[0] != 2:
        hint = " Transpose it." if edges.ndim == 2 and edges.shape[1] == 2 else ""
        raise DataError(
            "EDGE_INDEX_SHAPE", f"edges must have shape (2, E), got {edges.shape}.{hint}"
        )
    if edges.dtype.kind in "OT" and all(isinstance(node, str) for node in edges.flat):
        edges = np.array(edges.tolist())  # as pandas hands over a column of strings
    if edges.dtype.kind not in "iuU":
        hint = (
            "; a float column has already lost digits, so read it as integers or strings in the"
            " first place."
        )
        raise DataError(
            "EDGE_INDEX_DTYPE",
            f"edges must be integers of at most 64 bits or strings, got {edges.dtype}"
            + (hint if edges.dtype.kind == "f" else "."),
        )
    return edges


def _canonical(edges: np.ndarray, num_nodes: int) -> tuple[Tensor, dict[str, int]]:
    """Return each link once with u < v, ascending, and the counts of what fell away."""
    if num_nodes < 1:
        raise DataError("GRAPH_EMPTY", "the graph has no nodes; it must have at least one.")
    if num_nodes > _MOST_NODES:
        raise DataError("GRAPH_SIZE", f"at most {_MOST_NODES} nodes can be told apart.")
    if edges.dtype.kind == "U":
        raise DataError(
            "EDGE_INDEX_DTYPE",
            "edges must be integers where num_nodes, x or node_ids is given, got strings.",
        )
    bad = ((edges < 0) | (edges >= num_nodes)).any(axis=0)
    if bad.any():
        u, v = edges[:, bad.argmax()].tolist()
        raise DataError(
            "INDEX_RANGE",
            f"edges must lie in [0, {num_nodes}), got edge {u} - {v} in column {bad.argmax()}.",
        )
    u, v = edges.astype(np.int64)
    loops = u == v
    # One number per ordered pair: sorting numbers is many times faster than sorting columns.
    code = (u * num_nodes + v)[~loops]
    ordered = _sorted_distinct(code)
    u, v = np.divmod(ordered, num_nodes)
    links = _sorted_distinct(np.minimum(u, v) * num_nodes + np.maximum(u, v))
    both_ways = len(ordered) - len(links)
    notes = {
        "self_loops": int(loops.sum()),
        "repeats": len(code) - len(ordered),
        "one_way": len(links) - both_ways if both_ways else 0,
    }
    pairs = torch.from_numpy(np.stack(np.divmod(links, num_nodes)))
    return pairs, {name: count for name, count in notes.items() if count}


def _sorted_distinct(code: np.ndarray) -> np.ndarray:
    """Return the distinct numbers, ascending; np.unique hashes them, several times slower."""
    code = np.sort(code)
    return code[np.diff(code, prepend=-1) != 0]


def _labels(y: Any) -> Tensor:
    array = dense_array(y, "y", "LABELS")
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise DataError(
            "LABELS",
            f"y must be integers of shape (N,), got shape {array.shape} of {array.dtype}.",
        )
    bad = (array < -1) | (array > np.iinfo(np.int64).max)
    if bad.any():
        raise DataError(
            "LABELS",
            "y must be integers from 0 on, or -1 where unknown,"
            f" got {array[bad.argmax()]} at node {bad.argmax()}.",
        )
    return torch.from_numpy(array.astype(np.int64))


def _node_ids(node_ids: Sequence[NodeId], num_nodes: int) -> tuple[NodeId, ...] | None:
    """Return the names of the nodes, or None if they are 0 to N - 1."""
    ids = tuple(node.item() if isinstance(node, np.generic) else node for node in node_ids)
    for node in ids:
        if not isinstance(node, str | int) or isinstance(node, bool):
            raise DataError(
                "NODE_ID",
                f"node ids must be strings or integers, got {node!r:.60}, a"
                f" {type(node).__name__}.",
            )
    if len(set(ids)) != len(ids):
        node = next(node for node, count in Counter(ids).items() if count > 1)
        raise DataError(
            "NODE_ID",
            f"node ids must differ, got {len(ids) - len(set(ids))} repeats, such as {node!r:.60}.",
        )
    return None if len(ids) == num_nodes and ids == tuple(range(num_nodes)) else ids


def _check_lengths(graph: Graph) -> None:
    """Raise unless features, labels and names count as many nodes as there are."""
    given = {"x": graph.x, "y": graph.y, "node_ids": graph.node_ids}
    for name, value in given.items():
        if value is not None and len(value) != graph.num_nodes:
            raise DataError(
                "NODE_SET_MISMATCH",
                f"{name} must have one entry per node ({graph.num_nodes}), got {len(value)}.",
            )
    if graph.y is not None and graph.label_names and graph.y.max() >= len(graph.label_names):
        raise DataError(
            "LABELS",
            f"y must lie below the number of label_names ({len(graph.label_names)}),"
            f" got {int(graph.y.max())}.",
        )
