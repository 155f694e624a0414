"""Tables of clusters: their nodes with confidence, and a description of each cluster."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from vgae.errors import DataError
from vgae.evaluation.clusters import Clusters, lengths
from vgae.evaluation.typical_features import TypicalFeature, typical_features
from vgae.graphs.arrays import dense_array
from vgae.graphs.graph import Graph, NodeId
from vgae.graphs.typed import TypedGraph
from vgae.runtime.preview import Preview
from vgae.runtime.tables import optional_module, write_table

if TYPE_CHECKING:
    import pandas as pd


class Profile(NamedTuple):
    """Description of one cluster.

    Attributes:
        size: Number of its nodes.
        confidence: Mean confidence of its nodes, in [0, 1].
        nodes: Names of its most typical nodes, those nearest to its centre, by Euclidean distance.
            As in :func:`vgae.cluster`, vectors have length 1, unless they have one column.
        features: Its most typical features; see :mod:`vgae.evaluation.typical_features`.
    """

    size: int
    confidence: float
    nodes: tuple[NodeId, ...]
    features: tuple[TypicalFeature, ...]


class Agreement(NamedTuple):
    """Agreement of clusters with known classes; 1 is perfect, and about 0 is chance.

    Attributes:
        ari: Adjusted Rand index, in [-0.5, 1].
        nmi: Mutual information over the arithmetic mean of the two entropies, in [0, 1].
        num_nodes: Number of nodes of known class, which these are of.
    """

    ari: float
    nmi: float
    num_nodes: int


@dataclass(frozen=True, eq=False, repr=False)
class ClusterTable:
    """Clusters with the names of the nodes, and a description of each cluster.

    Attributes:
        clusters: Cluster and confidence of each node.
        ids: Name of each node.
        profiles: Description of each cluster, by its number.
        has_features: Whether there are features, which may be typical.
        agreement: Agreement with known classes; ``None`` without.
    """

    clusters: Clusters
    ids: Sequence[NodeId]
    profiles: Sequence[Profile]
    has_features: bool = False
    agreement: Agreement | None = None

    def __len__(self) -> int:
        return len(self.clusters.labels)

    def __repr__(self) -> str:
        return f"ClusterTable({len(self)} nodes in {self.clusters.k} clusters)"

    def _repr_html_(self) -> str:
        return self._preview().html()

    def _preview(self) -> Preview:
        """Return size, confidence, typical nodes and features of each cluster."""
        profiles = self.profiles
        columns: dict[str, Any] = {
            "cluster": range(len(profiles)),
            "nodes": [profile.size for profile in profiles],
            "mean confidence": [profile.confidence for profile in profiles],
            "typical nodes": [", ".join(map(str, profile.nodes)) for profile in profiles],
        }
        if self.has_features:
            names = ([str(feature.name) for feature in p.features] for p in profiles)
            columns["typical features"] = [", ".join(found) for found in names]
        notes = []
        if self.agreement is not None:
            ari, nmi, count = self.agreement
            scores = f"ARI {ari:.3f}, NMI {nmi:.3f}"
            notes = [f"Agreement with the known classes of {count:,} nodes: {scores}."]
        title = f"{len(self):,} nodes in {self.clusters.k} clusters, {self.clusters.method}"
        return Preview.of_columns(title, columns, len(profiles), notes)

    def columns(self) -> dict[str, Any]:
        """Return the columns ``id``, ``cluster`` and ``confidence``, one row per node."""
        return {
            "id": self.ids,
            "cluster": self.clusters.labels,
            "confidence": self.clusters.confidence,
        }

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the columns to a file with :func:`vgae.runtime.tables.write_table`."""
        write_table(path, self.columns())

    def to_dict(self) -> dict[str, Any]:
        """Return the description of the clusters as plain values for JSON."""
        rows = [
            {
                "cluster": number,
                **profile._asdict(),
                "nodes": list(profile.nodes),
                "features": [feature._asdict() for feature in profile.features],
            }
            for number, profile in enumerate(self.profiles)
        ]
        agreement = {} if self.agreement is None else {"agreement": self.agreement._asdict()}
        return {
            "method": self.clusters.method,
            "k": self.clusters.k,
            "scores": [[int(n) if n % 1 == 0 else n, s] for n, s in self.clusters.scores.items()],
            **agreement,
            "clusters": rows,
        }

    def to_pandas(self) -> "pd.DataFrame":
        """Return the columns as a data frame; without pandas raise ``UsageError``."""
        return optional_module("pandas", "pandas").DataFrame(self.columns())


def describe_clusters(
    clusters: Clusters,
    graph: Graph | TypedGraph | None,
    embedding: Any,
    *,
    y: Any = None,
    num_nodes: int = 5,
    num_features: int = 5,
) -> ClusterTable:
    """Describe clusters: size, confidence, typical nodes and features, agreement with classes.

    Args:
        clusters: Result of :func:`vgae.cluster`.
        graph: Graph of the nodes, whose names, features and classes are used; ``None`` for
            vectors alone, which are named 0 to N - 1.
        embedding: Posterior of the nodes, or their vectors, shape ``(N, d)``.
        y: Class of each node, -1 where unknown, shape ``(N,)``; by default that of the graph.
        num_nodes: Most typical nodes of a cluster.
        num_features: Most typical features of a cluster.

    Returns:
        A table, ``.save(path)`` of which writes the cluster of each node.

    Raises:
        DataError: ``EMBEDDING_SHAPE`` if clusters, graph and embedding are not of the same nodes.
    """
    mu = dense_array(getattr(embedding, "mu", embedding), "embedding", "EMBEDDING_SHAPE")
    labels, count = clusters.labels, len(clusters.labels)
    ids = range(count) if graph is None else graph.ids
    if len(ids) != count or len(mu) != count:
        raise DataError(
            "EMBEDDING_SHAPE",
            f"clusters are of {count} nodes, the graph has {len(ids)} and the embedding"
            f" {len(mu)}; pass those that were clustered.",
        )
    x = None if graph is None else graph.x
    features: list[list[TypicalFeature]] = [[] for _ in range(clusters.k)]
    if graph is not None and x is not None:
        how: Any = {"missing": getattr(graph, "missing", None), "names": graph.feature_names}
        features = typical_features(x, labels, most=num_features, **how)
    sure = np.bincount(labels, weights=clusters.confidence) / clusters.sizes
    typical = _nearest(mu.astype(np.float64), labels, num_nodes)
    profiles = [
        Profile(int(size), float(mean), tuple(ids[n] for n in nodes), tuple(row))
        for size, mean, nodes, row in zip(clusters.sizes, sure, typical, features, strict=True)
    ]
    if y is None and graph is not None:
        y = graph.y
    return ClusterTable(clusters, ids, profiles, x is not None, _agreement(labels, y))


def _nearest(mu: np.ndarray, labels: np.ndarray, most: int) -> list[list[int]]:
    """Return the nodes nearest to the mean of each cluster, the nearest first."""
    mu = mu / lengths(mu)
    order = np.argsort(labels, kind="stable")
    found = []
    for nodes in np.split(order, np.cumsum(np.bincount(labels))[:-1]):
        distance = ((mu[nodes] - mu[nodes].mean(axis=0)) ** 2).sum(axis=1)
        found.append(nodes[np.argsort(distance, kind="stable")[:most]].tolist())
    return found


def _agreement(labels: np.ndarray, y: Any) -> Agreement | None:
    """Return the agreement with classes; ``None`` if fewer than two are known."""
    if y is None:
        return None
    classes = dense_array(y, "y", "LABELS")
    known = classes >= 0
    if len(np.unique(classes[known])) < 2:
        return None
    pair = classes[known], labels[known]
    nmi = normalized_mutual_info_score(*pair, average_method="arithmetic")
    return Agreement(float(adjusted_rand_score(*pair)), float(nmi), int(known.sum()))
