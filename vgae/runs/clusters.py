"""Clusters of the nodes of a run: found, stored in its folder, read again, and exported."""

import logging
from dataclasses import replace
from typing import Any, NamedTuple, get_args

import numpy as np
import torch
from torch import Tensor

from vgae.errors import ArtifactError, DataError, ResourceError
from vgae.evaluation.clusters import Clusters, Method, cluster
from vgae.graphs.graph import Graph, NodeId
from vgae.graphs.typed import TypedGraph
from vgae.models.embedding import embed
from vgae.models.files import read_json
from vgae.prediction.cluster_table import ClusterTable, describe_clusters
from vgae.prediction.export import id_array
from vgae.prediction.link_table import LinkTable
from vgae.runs.commands import Embedding, EmbeddingOptions
from vgae.runs.digests import check_digests, rewriting, settled, store_digests
from vgae.runs.images import ImageRun
from vgae.runs.kind import FinishedRun, kind_of
from vgae.runtime.npz import read_arrays, write_arrays
from vgae.vae import Posterior

log = logging.getLogger(__name__)

CLUSTERS = "clusters.npz"


class _Items(NamedTuple):
    """What is clustered: posteriors, and the names, features and classes for the description."""

    q: Posterior
    graph: Graph | TypedGraph | None = None
    y: Tensor | None = None


def cluster_run(
    run: FinishedRun,
    graph: Graph | None = None,
    *,
    k: int | None = None,
    method: Method = "auto",
    seed: int = 0,
) -> ClusterTable:
    """Find clusters of the nodes of a run, describe them, and store them in its folder.

    The nodes are embedded with messages over all links of the graph. Of a run on images, the test
    images are clustered. If the folder cannot be written, the clusters are not stored, with a
    warning; those of another graph never are.

    Args:
        run: Result of :func:`vgae.load_run`.
        graph: Another graph with the same features, for a run on a graph.
        k: Number of clusters; see :func:`vgae.cluster`.
        method: See :func:`vgae.cluster`.
        seed: See :func:`vgae.cluster`.

    Returns:
        The table, which stored clusters give again by :func:`stored_table`.

    Raises:
        ArtifactError: If a file of the run is damaged, or of another run; then nothing is written.
        DataError: ``NO_IMAGES`` without test images.
        VgaeError: The errors of :func:`vgae.cluster`.
    """
    items = _items(run, graph)
    links = items.graph if isinstance(items.graph, Graph) else None
    found = cluster(items.q, k=k, method=method, graph=links, seed=seed)
    table = describe_clusters(found, items.graph, items.q, y=items.y)
    if graph is None:
        try:
            _store(run, table)
        except ResourceError as error:
            log.warning("the clusters are not stored: %s", error)
    return table


def stored_clusters(run: FinishedRun, ids: Any) -> Clusters | None:
    """Return the clusters that :func:`cluster_run` stored with a run; ``None`` without any.

    Args:
        run: A run.
        ids: Names of the N nodes that they must be of.

    Raises:
        ArtifactError: ``RUN_MIXED`` if they are of another run; ``RUN_CORRUPT``.
    """
    path = run.folder / CLUSTERS

    def read() -> Clusters | None:
        if not path.exists():
            return None
        # The current digest, as another process may have found other clusters since.
        files = read_json(run.folder / "metrics.json").get("files", {})
        stored = {"files": {CLUSTERS: None, **files} if isinstance(files, dict) else files}
        check_digests(run.folder, stored, [CLUSTERS])
        return _checked(read_arrays(path), ids)

    try:
        return settled(read)
    except (KeyError, ValueError) as error:
        if isinstance(error, ArtifactError):
            raise
        reason = f"it lacks {error}" if isinstance(error, KeyError) else str(error).rstrip(".")
        raise ArtifactError(
            "RUN_CORRUPT",
            f"{path}: {reason:.200}; write it again with 'vgae clusters {run.folder}'.",
        ) from None


def stored_table(run: FinishedRun) -> ClusterTable | None:
    """Return the stored clusters of a run with their description; ``None`` without any."""
    if not (run.folder / CLUSTERS).exists():
        return None
    items = _items(run, None)
    found = stored_clusters(run, _names(items))
    return None if found is None else describe_clusters(found, items.graph, items.q, y=items.y)


def with_clusters(run: FinishedRun, found: Embedding) -> Embedding:
    """Return an embedding of a run with its stored clusters, if there are some.

    They are the columns ``cluster`` and ``cluster_confidence``.
    """
    clusters = stored_clusters(run, found.ids)
    if clusters is None:
        return found
    columns = {"cluster": clusters.labels, "cluster_confidence": clusters.confidence}
    return found._replace(more={**found.more, **columns})


def with_clusters_of_ends(run: FinishedRun, table: LinkTable) -> LinkTable:
    """Return pairs of a run with the stored clusters of both ends, if there are some.

    They are the columns ``source_cluster`` and ``target_cluster``.
    """
    clusters = stored_clusters(run, table.ids)
    if clusters is None:
        return table
    labels = torch.from_numpy(clusters.labels)
    ends = {"source_cluster": labels[table.source], "target_cluster": labels[table.target]}
    return replace(table, further={**table.further, **ends})


def _items(run: Any, graph: Graph | None) -> _Items:
    if isinstance(run, ImageRun):
        if not len(run.images.test):
            raise DataError("NO_IMAGES", f"{run.images.name} has no test images to cluster.")
        found = kind_of(run.config).embed(run, EmbeddingOptions())
        return _Items(found.q, None, run.images.y_test)
    known = run.graph if graph is None else graph
    return _Items(embed(run, known), known)


def _names(items: _Items) -> Any:
    return range(len(items.q.mu)) if items.graph is None else items.graph.ids


def _store(run: FinishedRun, table: ClusterTable) -> None:
    """Write the clusters and then their digest."""
    clusters = table.clusters
    scores = np.array([*clusters.scores.items()], dtype=np.float64).reshape(-1, 2)
    arrays = {
        "ids": id_array(table.ids),
        "labels": clusters.labels,
        "confidence": clusters.confidence,
        "method": np.array(clusters.method),
        "scores": scores,
    }
    with rewriting(run.folder, run.metrics):
        write_arrays(run.folder / CLUSTERS, arrays)
        store_digests(run.folder, [CLUSTERS])


def _checked(arrays: dict[str, np.ndarray], ids: list[NodeId]) -> Clusters:
    """Return stored clusters; raise ``ValueError`` or ``KeyError`` if they are no such."""
    labels, confidence, scores = (arrays[name] for name in ("labels", "confidence", "scores"))
    names, stored = id_array(ids), arrays["ids"]
    if stored.dtype.kind != names.dtype.kind or not np.array_equal(stored, names):
        raise ValueError(f"its ids are not the names of the {len(ids)} nodes")
    for name, array, kind in (("labels", labels, "i"), ("confidence", confidence, "f")):
        if array.shape != (len(ids),) or array.dtype.kind != kind:
            raise ValueError(f"{name} has shape {array.shape} of {array.dtype}")
    sizes = np.bincount(labels) if 0 <= labels.min() <= labels.max() < len(ids) else np.zeros(1)
    if not (sizes.all() and (np.diff(sizes) <= 0).all()):
        raise ValueError("labels are not numbered from 0 by falling size")
    if not ((confidence >= 0) & (confidence <= 1)).all():
        raise ValueError("confidence has values outside of [0, 1]")
    method = str(arrays["method"])
    if scores.dtype != np.float64 or scores.shape[1:] != (2,) or method not in get_args(Method):
        raise ValueError("scores or method are not those of clusters")
    return Clusters(labels.astype(np.int64), confidence, method, dict(scores.tolist()))
