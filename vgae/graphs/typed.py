"""Graphs with several relations, and with nodes of several types."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
import torch
from torch import Tensor

from vgae.errors import DataError, UsageError, did_you_mean
from vgae.graphs.arrays import feature_tensor, graph_digest, label_tensor, sha256
from vgae.graphs.canonical import NodeId, check_lengths, node_names
from vgae.graphs.defaults import Directed, Merge
from vgae.graphs.derived import OfNodes
from vgae.graphs.graph import Graph
from vgae.graphs.previews import typed_graph_preview
from vgae.graphs.relations import Relation, distinct_relations, relation_of

if TYPE_CHECKING:
    from torch_geometric.data import HeteroData

    from vgae.graphs.frames import FrameOptions


@dataclass(frozen=True, eq=False)
class TypedGraph(OfNodes):
    """Graph with named relations between nodes of one type or several.

    The methods ``from_graphs``, ``from_pandas``, ``from_pyg`` and
    :func:`vgae.data.typed_edges.read_typed_graph` make one.

    Attributes:
        num_nodes: N, nodes of all types.
        relations: Links of each relation by its name; each relation has a grid of its own.
        node_type: Number of the type of each node, int64, shape ``(N,)``.
        node_type_names: Names of the types.
        x: Node features, float32, shape ``(N, F)``, dense or sparse CSR; ``None`` without. Types
            with columns of their own have blocks of their own.
        feature_names: Name of each column of ``x``; empty if unknown.
        y: Label of each node, int64, -1 if unknown, shape ``(N,)``.
        label_names: Name of each label.
        node_ids: Name of each node; ``None`` if the names are 0 to N - 1.
        name: Name of the graph in messages and run folders.
        notes: Names of relations that were merged into others, by name of the other.
    """

    num_nodes: int
    relations: Mapping[str, Relation]
    node_type: Tensor
    node_type_names: tuple[str, ...]
    x: Tensor | None = None
    feature_names: tuple[str, ...] = ()
    y: Tensor | None = None
    label_names: tuple[str, ...] = ()
    node_ids: tuple[NodeId, ...] | None = None
    name: str = "graph"
    notes: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    @classmethod
    def from_graphs(
        cls,
        graphs: Mapping[str, Graph],
        *,
        x: Any = None,
        node_type: Sequence[str] | None = None,
        name: str = "graph",
    ) -> "TypedGraph":
        """Make a typed graph from one graph for each relation, all with the same nodes.

        Args:
            graphs: Graph of each relation by its name.
            x: Node features; by default those of the first graph that has some.
            node_type: Name of the type of each node, of length N; without it, the nodes are of
                one type, or of the two sides of a two-sided graph.
            name: Name of the graph in messages.

        Raises:
            DataError: If the graphs have other nodes, or ``node_type`` does not fit.
        """
        from vgae.graphs.typed_sources import of_graphs

        return cls.of(**of_graphs(graphs, x, node_type), name=name)

    @classmethod
    def from_pandas(
        cls,
        edges: Any,
        nodes: Any = None,
        *,
        relation: str,
        source: str | None = None,
        target: str | None = None,
        weight: str | None = None,
        node_type: str | None = None,
        y: Any = None,
        encode: Any = "none",
        **options: "Unpack[FrameOptions]",
    ) -> "TypedGraph":
        """Make a typed graph from data frames, with the relation of each edge in a column.

        Without ``node_type``, ends of relations that have no node in common, not even by way of
        other relations, are of different types, which is logged.

        Args:
            edges: A row for each edge; see :meth:`vgae.Graph.from_pandas`, also for the other
                arguments.
            nodes: A row for each node.
            relation: Column of ``edges`` with the name of the relation.
            source: Column of the first ends.
            target: Column of the second ends.
            weight: Column of the weights.
            node_type: Column of ``nodes`` with the type of each node; ``"none"`` for one type.
            y: Column of ``nodes`` with the label, or a series.
            encode: How numbers are made of the columns of ``nodes``.
            **options: As for :meth:`vgae.Graph.from_pandas`, without ``drop_zero``.

        Raises:
            DataError: ``RELATION`` if there is no such column, or it has gaps or too many names;
                or as :meth:`vgae.Graph.from_pandas`.
            UsageError: If an option is invalid.
        """
        from vgae.graphs.typed_sources import of_frames

        columns = {"source": source, "target": target, "weight": weight}
        columns |= {"relation": relation, "node_type": node_type}
        return cls.of(**of_frames(edges, nodes, columns, y, encode, options))

    @classmethod
    def from_pyg(
        cls,
        data: "HeteroData",
        *,
        merge: Merge = "mean",
        directed: Directed = "symmetrize",
        name: str = "graph",
    ) -> "TypedGraph":
        """Make a typed graph from a PyG ``HeteroData``.

        Nodes are named ``type:number``, relations by the middle of their edge type, or by all of
        it where several have the same. An edge type that is the transpose of another one, as
        ``T.ToUndirected`` adds them, is merged with it, which is logged. Features of each type get
        columns of their own; a type without features gets one column for each node, unless no
        type has features.

        Args:
            data: Graph with ``edge_index``, ``edge_weight``, ``x`` and ``y`` of each type.
            merge: As for :meth:`vgae.Graph.from_edges`.
            directed: Treatment of one-way edges within one node type, as for
                :meth:`vgae.Graph.from_edges`; ``"keep"`` makes a directed relation.
            name: Name of the graph in messages.

        Raises:
            DataError: If there is no edge type, or a part does not fit.
        """
        from vgae.graphs.typed_sources import of_pyg

        return cls.of(**of_pyg(data), merge=merge, directed=directed, name=name)

    @classmethod
    def of(
        cls,
        edges: Mapping[str, tuple[Any, Any]],
        *,
        node_type: np.ndarray,
        node_type_names: Sequence[str],
        x: Any = None,
        node_ids: Sequence[NodeId] | None = None,
        merge: Merge = "mean",
        directed: Directed | Mapping[str, Directed] = "symmetrize",
        **parts: Any,
    ) -> "TypedGraph":
        """Make a typed graph from the edges of each relation.

        Which pairs may be links of a relation follows from the types of the ends of its edges: two
        nodes of the types that both ends have, or nodes of the one set of types with nodes of the
        other if each edge joins the two.

        Args:
            edges: Edges of each relation by its name, integers of shape ``(2, E)``, and their
                weights, shape ``(E,)`` or ``None``.
            node_type: Number of the type of each node, shape ``(N,)``.
            node_type_names: Names of the types.
            x: As for :meth:`vgae.Graph.from_edges`.
            node_ids: Name of each node, all different.
            merge: As for :meth:`vgae.Graph.from_edges`.
            directed: As for :meth:`vgae.Graph.from_edges`, for relations that are not two-sided;
                one for all, or one for each by name.
            **parts: Other fields: ``feature_names``, ``y``, ``label_names``, ``name``; and
                ``ordered``, as for :meth:`vgae.Graph.from_edges`.

        Raises:
            DataError: If a part does not fit; ``RELATION`` without relations; ``NO_EDGES``
                without links. A relation without links is left out, which is logged.
        """
        if not edges:
            raise DataError("RELATION", "there are no relations; a typed graph has at least one.")
        num_nodes = len(node_type)
        types = torch.from_numpy(np.asarray(node_type, np.int64))
        ids = None if node_ids is None else node_names(node_ids, num_nodes)
        name, ordered = parts.pop("name", "graph"), parts.pop("ordered", False)
        y = parts.pop("y", None)
        options: Any = {"merge": merge, "ordered": ordered}
        relations = {}
        for relation, given in edges.items():
            how = directed if isinstance(directed, str) else directed[relation]
            known = relation_of(*given, types, tuple(node_type_names), directed=how, **options)
            relations[str(relation)] = replace(known, node_ids=ids, name=f"{name}, {relation}")
        kept, merged = distinct_relations(relations)
        graph = cls(
            num_nodes=num_nodes,
            relations=MappingProxyType(kept),
            node_type=types,
            node_type_names=tuple(node_type_names),
            x=None if x is None else feature_tensor(x),
            y=None if y is None else label_tensor(y, "y", None, "node"),
            node_ids=ids,
            name=name,
            notes=MappingProxyType(merged),
            **{key: tuple(map(str, value)) for key, value in parts.items()},
        )
        check_lengths(graph)
        return graph

    def to_pyg(self) -> "HeteroData":
        """Return a PyG ``HeteroData`` with the links of each relation in one direction.

        There are no reverse edge types. Columns of ``x`` that are zero for a whole type are left
        out of its rows. A relation of several types at one end becomes an edge type for each pair
        of types.
        """
        from vgae.graphs.typed_sources import to_pyg

        return to_pyg(self)

    @property
    def num_links(self) -> int:
        """Number of links of all relations."""
        return sum(relation.num_links for relation in self.relations.values())

    @cached_property
    def link_fingerprint(self) -> str:
        """SHA-256 of node types, relations and their links, in hexadecimal."""
        parts = {name: relation.link_fingerprint for name, relation in self.relations.items()}
        head = f"vgae-typed-1 {self.num_nodes} {list(self.node_type_names)} {list(parts.items())}"
        return sha256(head, self.node_type.numpy())

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of nodes, links, weights and features, in hexadecimal."""
        weighted = [graph_digest("", r.link_weight, None) for r in self.relations.values()]
        return graph_digest(sha256(f"{self.link_fingerprint} {weighted}"), None, self.x)

    def summary(self) -> dict[str, Any]:
        """Return name and counts as plain values."""
        counts = torch.bincount(self.node_type, minlength=len(self.node_type_names)).tolist()
        return {
            "name": self.name,
            "num_nodes": self.num_nodes,
            "num_links": self.num_links,
            "num_features": self.num_features,
            "node_types": dict(zip(self.node_type_names, counts, strict=True)),
            "relations": {name: r.num_links for name, r in self.relations.items()},
            "merged": dict(self.notes),
        }

    def relation(self, name: str) -> Relation:
        """Return a relation by name.

        Raises:
            UsageError: ``RELATION`` if there is none, with the nearest name.
        """
        if name not in self.relations:
            listed = ", ".join(map(repr, self.relations))
            near = did_you_mean(name, self.relations)
            raise UsageError("RELATION", f"no relation {name!r:.60}; there are {listed}.{near}")
        return self.relations[name]

    def only(self, *names: str) -> "TypedGraph":
        """Return the graph with these relations alone, and with all nodes.

        Raises:
            UsageError: ``RELATION`` if one is not there, or none is named.
        """
        if not names:
            raise UsageError("RELATION", "name the relations to keep.")
        return replace(self, relations=MappingProxyType({n: self.relation(n) for n in names}))

    def without_features(self) -> "TypedGraph":
        """Return the same graph with ``x`` left out."""
        return replace(self, x=None, feature_names=())

    def untyped(self) -> Graph:
        """Return the links of all relations as one graph, which does not distinguish them."""
        links = torch.cat([r.links for r in self.relations.values()], dim=1).sort(dim=0).values
        given: Any = {"node_ids": self.node_ids, "num_nodes": self.num_nodes, "name": self.name}
        given["sides"] = "none"
        return replace(Graph.from_edges(links, **given), x=self.x, y=self.y)

    def __getstate__(self) -> dict[str, Any]:
        # Read-only views of dicts cannot be pickled.
        return {**self.__dict__, "relations": dict(self.relations), "notes": dict(self.notes)}

    def __repr__(self) -> str:
        types = len(self.node_type_names)
        return (
            f"TypedGraph({self.name!r}, {self.num_nodes} nodes of {types}"
            f" type{'s' * (types > 1)}, {self.num_links} links of {len(self.relations)}"
            f" relation{'s' * (len(self.relations) > 1)}, {self.num_features} features)"
        )

    def _repr_html_(self) -> str:
        return typed_graph_preview(self).html()
