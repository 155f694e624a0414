"""What follows from the fields of a graph: counts, pairs, messages, fingerprints."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from vgae.graphs.arrays import graph_digest
from vgae.graphs.canonical import NodeId, known_positions, num_components
from vgae.graphs.grid import DirectedGrid, Grid, TwoSidedGrid
from vgae.graphs.kept import kept_while_used
from vgae.graphs.link_values import stored_values
from vgae.graphs.previews import graph_preview


class OfNodes:
    """Properties of features and names of nodes, of graphs of any kind."""

    num_nodes: int
    x: Tensor | None
    node_ids: tuple[NodeId, ...] | None

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


class Derived(OfNodes):
    """Properties of a :class:`vgae.Graph`, which describes the fields."""

    links: Tensor
    link_weight: Tensor | None
    name: str
    directed: bool
    sides: Tensor | None
    side_names: tuple[str, str] | tuple[()]
    notes: Mapping[str, int]
    link_sign: Tensor | None
    link_attr: Tensor | None
    link_attr_names: tuple[str, ...]
    missing: Tensor | None

    @property
    def num_links(self) -> int:
        """M, the number of links."""
        return self.links.shape[1]

    @property
    def observed(self) -> Tensor | None:
        """Whether each entry of ``x`` is known, dense bool, ``(N, F)``; ``None`` if all are."""
        return None if self.missing is None else ~self.missing.to_dense()

    @cached_property
    def grid(self) -> Grid:
        """The pairs that may be links."""
        if self.sides is not None:
            return TwoSidedGrid(self.sides)
        return DirectedGrid(self.num_nodes) if self.directed else Grid(self.num_nodes)

    @kept_while_used
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
        return self.link_weight[self._places(pairs)]

    @cached_property
    def edge_attr(self) -> Tensor | None:
        """Features of each column of :attr:`edge_index`, shape ``(E, K)``; ``None`` without."""
        return self.attr_of(self.edge_index)

    def attr_of(self, pairs: Tensor) -> Tensor | None:
        """Return the features of links, shape ``(P, K)``, as :meth:`weights_of`."""
        return None if self.link_attr is None else self.link_attr[self._places(pairs)]

    @property
    def link_value(self) -> Tensor | None:
        """Sign times weight of each link, float32, shape ``(M,)``; ``None`` without both."""
        return stored_values(self.link_weight, self.link_sign)

    def values_of(self, pairs: Tensor) -> Tensor | None:
        """Return :attr:`link_value` of links, shape ``(P,)``, as :meth:`weights_of`."""
        value = self.link_value
        return None if value is None else value[self._places(pairs)]

    @property
    def link_options(self) -> dict[str, Any]:
        """What the links have, as arguments of :meth:`vgae.Graph.from_edges`."""
        given: dict[str, Any] = {"edge_weight": self.link_value}
        given |= {} if self.link_sign is None else {"signed": True}
        if self.link_attr is not None:
            given |= {"edge_attr": self.link_attr, "edge_attr_names": self.link_attr_names}
        return given

    def links_at(self, chosen: Tensor) -> dict[str, Any]:
        """Return links, weights, signs and features of some links as fields of a graph.

        Args:
            chosen: Ascending numbers of links, shape ``(K,)``, or whether each is one, ``(M,)``.
        """
        parts = {key: getattr(self, key) for key in ("link_weight", "link_sign", "link_attr")}
        found = {key: None if part is None else part[chosen] for key, part in parts.items()}
        return {"links": self.links[:, chosen], **found}

    def _places(self, pairs: Tensor) -> Tensor:
        return known_positions(pairs, self.links, self.grid, self.name)

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
        """SHA-256 of nodes, links, weights, signs and features, dense or sparse alike."""
        own = self.link_fingerprint, self.link_weight, self.x
        return graph_digest(*own, self.missing, signs=self.link_sign)

    def summary(self) -> dict[str, Any]:
        """Return name, kind, counts and notes as plain values."""
        kind: dict[str, Any] = {"directed": True} if self.directed else {}
        if self.sides is not None:
            kind["sides"] = self._side_sizes()
            kind["side_names"] = list(self.side_names)
        values: dict[str, Any] = {"weighted": self.link_weight is not None}
        if self.link_sign is not None:
            values["num_negative"] = int((self.link_sign < 0).sum())
        if self.link_attr is not None:
            values["num_edge_features"] = self.link_attr.shape[1]
        if self.missing is not None:
            values["num_missing_features"] = len(self.missing.values())
        return {
            "name": self.name,
            **kind,
            "num_nodes": self.num_nodes,
            "num_links": self.num_links,
            "num_features": self.num_features,
            **values,
            "num_isolated": self.num_isolated,
            "num_components": self.num_components,
            "notes": dict(self.notes),
        }

    def _side_sizes(self) -> list[int]:
        grid: Any = self.grid
        return [len(grid.rows), len(grid.columns)]

    def __repr__(self) -> str:
        counts = f"{self.num_nodes} nodes, {self.num_links} links, {self.num_features} features"
        kind = ", directed" if self.directed else ""
        if self.sides is not None:
            kind = ", two sides of {} and {}".format(*self._side_sizes())
        return f"Graph({self.name!r}, {counts}{kind})"

    def _repr_html_(self) -> str:
        return graph_preview(self).html()
