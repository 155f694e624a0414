"""Canonical, immutable graphs: undirected, directed or two-sided."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, NoReturn, Unpack

import scipy.sparse as sp
from torch import Tensor

from vgae.errors import UsageError
from vgae.graphs import interop
from vgae.graphs.building import Given, fields_of
from vgae.graphs.canonical import NodeId, check_lengths
from vgae.graphs.defaults import Directed, Merge
from vgae.graphs.derived import Derived
from vgae.graphs.directions import refuse_undirected
from vgae.graphs.encoding import TableEncoder
from vgae.graphs.hetero import to_hetero

if TYPE_CHECKING:
    import networkx as nx
    from torch_geometric.data import Data, HeteroData

    from vgae.graphs.frames import FrameOptions


@dataclass(frozen=True, eq=False, repr=False)
class Graph(Derived):
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
        missing: Missing entries of ``x``, sparse CSR of True, shape ``(N, F)``; ``None`` if all
            are known. ``x`` has a neutral value there: see :func:`vgae.graphs.missing.filled`.
        feature_encoder: Encoder of a table of mixed columns that made ``x``; ``None`` without.
        notes: Counts of dropped and merged edges: ``self_loops``, ``repeats`` (of an ordered
            pair) and, if only some links were given in both directions, the numbers of links
            given ``both_ways`` and ``one_way``. Of E edges then
            ``M = E - self_loops - repeats - both_ways``.
        directed: Whether (u, v) and (v, u) are different links.
        sides: Whether each node is of the second side of a two-sided (bipartite) graph, bool,
            shape ``(N,)``; ``None`` if any two nodes may be linked.
        side_names: Names of the two sides, such as ``("user", "item")``; empty if unknown.
        link_sign: Sign of each link of a signed graph, 1 or -1, int8, ``(M,)``; else ``None``.
        link_attr: Features of each link, float32, shape ``(M, K)``; ``None`` without.
        link_attr_names: Name of each column of ``link_attr``; empty if unknown.
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
    link_sign: Tensor | None = None
    link_attr: Tensor | None = None
    link_attr_names: tuple[str, ...] = ()
    missing: Tensor | None = None

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
        sides: Any = "auto",
        side_names: Sequence[str] = (),
        signed: bool = False,
        edge_attr: Any = None,
        edge_attr_names: Sequence[str] = (),
        name: str = "graph",
        missing_features: Literal["refuse", "impute"] = "refuse",
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
                are the nodes. A tuple of two has the features of each side apart, ``None`` for one
                column per node; they become blocks of ``x``.
            feature_names: Name of each column of ``x``, which a model stores.
            y: Integer labels, -1 if unknown, shape ``(N,)``; or a series, whose labels are
                assigned like ``x``, and may be strings.
            label_names: Name of each label.
            node_ids: Name of each node, all different.
            merge: Weight of a repeated link, in either direction: the ``"mean"``, ``"sum"``,
                ``"max"`` or ``"first"`` of its weights, which are negative for a link of sign
                -1; those of opposite signs that cancel to 0 are refused. The same for its
                features, column by column.
            directed: ``"keep"`` makes a directed graph, with links from the first row of
                ``edges`` to the second. Otherwise edges in one direction while others are in both
                become links and are counted (``"symmetrize"``), or are refused (``"error"``).
            ordered: Whether the source of the edges is directed, so that ``directed`` applies
                even if all edges are in one direction.
            sides: Sides of the nodes: ``"columns"``, the rows of ``edges``, of which a name in
                both is two nodes; one of two labels for each node, or booleans, True for the
                second side, also as a series; ``"none"``. ``"auto"`` detects and announces two
                sides: see :func:`vgae.graphs.side_detection.detected`.
            side_names: Names of the two sides.
            signed: Whether weights may be negative: ``link_weight`` has their magnitudes, which
                messages use, and ``link_sign`` their signs.
            edge_attr: Features of each edge, finite numbers, shape ``(E, K)`` or ``(E,)``.
            edge_attr_names: Name of each column of ``edge_attr``.
            name: Name of the graph in messages.
            missing_features: ``"impute"`` takes NaN in ``x`` for :attr:`missing` entries.

        Raises:
            DataError: If shapes, dtypes or ranges do not fit, features are not finite, or links
                do not go from side to side.
            UsageError: ``SIDES`` if a graph should be directed and two-sided.
        """
        given = {key: value for key, value in locals().items() if key != "cls"}
        graph = cls(**fields_of(Given(**given)))
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
                that have no row, ``"impute"`` for :attr:`missing` values and rows, by default
                ``"refuse"``; ``drop_zero``, to leave out edges of weight 0; ``edge_features``,
                names of columns of ``edges`` with features of links; ``sides`` as for
                :meth:`from_edges`, or a column of ``nodes``; ``"auto"`` also takes columns such
                as ``user_id`` and ``item_id`` for two sides; ``name``, ``merge``, ``directed`` and
                ``signed`` as for :meth:`from_edges`.

        Raises:
            DataError: If columns are missing, or names missing, repeated or floats; if a node has
                no row; with all columns that are no features; or as :meth:`from_edges`.
            UsageError: If an option is invalid, or a frame is lazy.
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
        sides: Any = "auto",
        merge: Merge = "mean",
        directed: Directed = "symmetrize",
        signed: bool = False,
        missing_features: Literal["refuse", "impute"] = "refuse",
    ) -> "Graph":
        """Make a graph from a networkx graph of any kind.

        Directed edges become links unless ``directed="keep"``; parallel edges are merged.

        Args:
            graph: networkx graph whose nodes are strings or integers.
            x: Names of the node attributes with the features, such as ``["age", "height"]``, each
                a number or a list of numbers; or an array in the order of ``graph.nodes``, or a
                frame with the names of the nodes, as for :meth:`from_edges`.
            y: Name of the node attribute with the label, an integer or string, -1 where it is
                missing; or the labels as ``x``.
            weight: Name of the edge attribute with the weight; an edge without it has weight 1.
            sides: Name of the node attribute with the side; or as for :meth:`from_edges`, where
                ``"auto"`` takes the attribute ``bipartite`` if every node has it.
            merge: As for :meth:`from_edges`; so are the next.
            directed: Treatment of directions.
            signed: Whether weights may be negative.
            missing_features: As for :meth:`from_edges`.

        Raises:
            DataError: If a node lacks a feature, or all lack an attribute; ``DIRECTED`` if the
                direction of an undirected graph should be kept; or as :meth:`from_edges`.
        """
        if directed == "keep" and not graph.is_directed():
            refuse_undirected("the graph", "pass graph.to_directed() for both directions")
        parts = interop.from_networkx(graph, x, y, weight, sides)
        how: Any = {"signed": signed, "missing_features": missing_features}
        return cls.from_edges(**parts, merge=merge, directed=directed, **how)

    @classmethod
    def from_scipy(
        cls,
        adj: Any,
        *,
        x: Any = None,
        y: Any = None,
        sides: Any = "auto",
        merge: Merge = "mean",
        directed: Directed = "symmetrize",
        signed: bool = False,
        name: str = "graph",
        missing_features: Literal["refuse", "impute"] = "refuse",
    ) -> "Graph":
        """Make a graph from the non-zero entries of a matrix; their values are weights.

        Args:
            adj: Sparse matrix of scipy, dense array, or data frame whose rows and columns have
                the names of the nodes, shape ``(N, N)``, with sources as rows. Of another shape,
                or with ``sides="columns"``, the rows are the nodes of the first side and the
                columns those of the second. Booleans, and values that are all 1, make an
                unweighted graph.
            x: Features as for :meth:`from_edges`; the rows of a frame name the nodes of a matrix.
            y: Labels; this and what follows as for :meth:`from_edges`.
            sides: Sides of the nodes.
            merge: Weight of a repeated link.
            directed: Treatment of directions.
            signed: Whether entries may be negative.
            name: Name of the graph.
            missing_features: As for :meth:`from_edges`.
        """
        parts = interop.from_scipy(adj, x, sides)
        how: Any = {"merge": merge, "directed": directed, "signed": signed, "name": name}
        how["missing_features"] = missing_features
        return cls.from_edges(**parts, x=x, y=y, **how)

    @classmethod
    def from_pyg(
        cls,
        data: "Data | HeteroData | Sequence[Data]",
        *,
        sides: Any = "auto",
        merge: Merge = "mean",
        directed: Directed = "symmetrize",
        signed: bool = False,
        name: str = "graph",
        missing_features: Literal["refuse", "impute"] = "refuse",
    ) -> "Graph":
        """Make a graph from ``edge_index``, ``edge_weight``, ``x`` and ``y`` of a PyG ``Data``.

        Directed edges become links unless ``directed="keep"``; ``y`` is left out unless it has an
        integer per node. ``edge_attr`` of several columns becomes ``link_attr``. What else is left
        out is logged. For the arguments see :meth:`from_edges`. A ``Batch`` or list of graphs
        makes a :class:`vgae.GraphCollection`; a ``HeteroData`` of two node types and one relation
        between them (its transpose aside), and a ``Data`` with ``x_s`` and ``x_t``, a two-sided
        graph.
        """
        how: Any = {"merge": merge, "directed": directed, "signed": signed, "name": name}
        how["missing_features"] = missing_features
        if interop.is_batch(data):
            from vgae.graphs.collection_pyg import collection_of

            return collection_of(data, sides, how)
        return cls.from_edges(**interop.from_pyg(data, sides), **how)

    def to_networkx(self, *, features: bool = False) -> "nx.Graph":
        """Return a networkx graph with the names of the nodes, labels ``y`` and ``weight``.

        Weights of links of sign -1 are negative, here and below. It is a ``DiGraph`` if directed;
        nodes of two sides have ``bipartite``, 0 or 1.

        Args:
            features: Whether nodes get their features: an attribute for each of
                ``feature_names``, or without names one list ``x``.
        """
        return interop.to_networkx(self, features=features)

    def to_scipy(self, *, biadjacency: bool = False) -> sp.csr_array:
        """Return the adjacency, ones or signed weights, float32, shape ``(N, N)``.

        It is symmetric unless the graph is directed. With ``biadjacency`` it has the nodes of the
        first side as rows and those of the second as columns, in the order of the nodes.
        """
        return interop.to_scipy(self, biadjacency=biadjacency)

    def to_pyg(self) -> "Data":
        """Return a PyG ``Data`` with dense ``x``, edges, their weights and features, and ``y``."""
        return interop.to_pyg(self)

    def to_hetero(self) -> "HeteroData":
        """Return a two-sided graph as a PyG ``HeteroData`` with the sides as node types.

        The relation ``to`` goes from the first side to the second, ``rev_to`` back.
        """
        return to_hetero(self)

    def without_features(self) -> "Graph":
        """Return the same graph with ``x`` left out."""
        return replace(self, x=None, feature_names=(), feature_encoder=None, missing=None)

    def __array__(self, *_: object, **__: object) -> NoReturn:
        """Raise ``UsageError``: numpy and scikit-learn would make one object of a graph."""
        raise UsageError(
            "GRAPH",
            f"{self!r} is no array: take its x or to_scipy(). Cross-validation, as in"
            " GridSearchCV, cannot divide it into rows; vgae.LinkSearch holds out links.",
        )

    def __getstate__(self) -> dict[str, Any]:
        # A read-only view of a dict cannot be pickled.
        return {**self.__dict__, "notes": dict(self.notes)}
