"""Imputation: missing features of nodes, predicted from their links and their other features."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from vgae.errors import DataError, check_choice
from vgae.evaluation.features import SAMPLES, predict_entries
from vgae.graphs.graph import Graph, NodeId
from vgae.graphs.missing import entries_of
from vgae.models.embedding import Trained
from vgae.runtime.preview import MOST_ROWS, Preview
from vgae.runtime.tables import FORMATS, checked_suffix, write_table
from vgae.vae import VAE

Entries = Literal["missing", "all"]
_MOST = 2**27  # entries of all features


@dataclass(frozen=True, eq=False)
class ImputedFeatures:
    """Predicted features, one row per entry.

    Attributes:
        rows: Node of each entry, ascending, int64, shape ``(K,)``.
        columns: Column of each entry, int64, shape ``(K,)``.
        mean: Mean of each entry, averaged over samples of the latent vectors, ``(K,)``; of a 0/1
            feature its probability of being 1.
        std: Standard deviation of each entry, of the likelihood and over the samples, ``(K,)``.
        node_ids: Name of each node of the graph.
        feature_names: Name of each column; by default 0 to F - 1.
    """

    rows: Tensor
    columns: Tensor
    mean: Tensor
    std: Tensor
    node_ids: Sequence[NodeId]
    feature_names: Sequence[str]

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        return f"ImputedFeatures({len(self)} entries)"

    def _repr_html_(self) -> str:
        parts = {k: getattr(self, k)[:MOST_ROWS] for k in ("rows", "columns", "mean", "std")}
        columns = replace(self, **parts).to_dict()
        return Preview.of_columns("Predicted features", columns, len(self)).html()

    def to_dict(self) -> dict[str, list[object]]:
        """Return the columns ``id``, ``feature``, ``mean`` and ``std`` as lists."""
        nodes, names = self.node_ids, self.feature_names
        return {
            "id": [nodes[row] for row in self.rows.tolist()],
            "feature": [names[column] for column in self.columns.tolist()],
            "mean": self.mean.tolist(),
            "std": self.std.tolist(),
        }

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the columns of :meth:`to_dict` to ``.csv``, ``.tsv``, ``.json``, ``.parquet``.

        Raises:
            UsageError: If the suffix is another one.
        """
        path = Path(path)
        checked_suffix(path, FORMATS)
        write_table(path, self.to_dict())

    def complete(self, graph: Graph) -> np.ndarray:
        """Return the features of a graph with the means in the place of the entries, ``(N, F)``.

        Args:
            graph: The graph that was imputed.
        """
        assert graph.x is not None
        x = graph.x.to_dense().clone()
        x[self.rows, self.columns] = self.mean
        return x.numpy()


def impute_features(
    trained: VAE | Trained,
    graph: Graph,
    *,
    entries: Entries = "missing",
    edge_index: Tensor | None = None,
    samples: int = SAMPLES,
    seed: int = 0,
) -> ImputedFeatures:
    """Predict features with a model that was trained to reconstruct them.

    The latent vector of a node is inferred from its links, its known features and those of its
    neighbours, so that nodes without any features, and nodes without any links, get predictions
    too.

    Args:
        trained: Result of :func:`vgae.fit` or :func:`vgae.load_run` with ``reconstruct``
            ``"features"``, or its model.
        graph: Nodes with the features of the training, some of them missing: the graph of the
            training, or another one.
        entries: ``"missing"``, or ``"all"``, which also has the smoothed value of known ones.
        edge_index: Edges that messages travel on, by default all links of the graph.
        samples: Number of samples of the latent vectors.
        seed: Their seed.

    Raises:
        UsageError: ``RECONSTRUCT`` if the model does not reconstruct features; ``SAMPLES``.
        DataError: ``NO_FEATURES`` if no feature is missing, or the graph has none;
            ``FEATURE_SHAPE`` for all entries of too many; or as :func:`vgae.embed`.
    """
    check_choice("entries", entries, Entries)
    if graph.x is None or (graph.missing is None and entries == "missing"):
        what = "has no features" if graph.x is None else "has no missing feature"
        remedy = "read it with missing_features='impute' (--missing-features impute)"
        if graph.feature_encoder is not None:
            remedy = "encode (--encode) fills missing cells in, so give numeric columns without it"
        raise DataError(
            "NO_FEATURES",
            f"{graph.name} {what} to impute; {remedy}, or take entries='all' (--entries all).",
        )
    if entries == "missing":
        rows, columns = entries_of(graph.missing)
    else:
        if graph.x.numel() > _MOST:
            what = f"{graph.name} has {graph.x.numel():,} features, more than {_MOST:,}"
            raise DataError("FEATURE_SHAPE", f"{what}; impute the missing ones, or fewer nodes.")
        rows = torch.arange(graph.num_nodes).repeat_interleave(graph.num_features)
        columns = torch.arange(graph.num_features).repeat(graph.num_nodes)
    found = predict_entries(
        trained, graph, rows, columns, edge_index=edge_index, samples=samples, seed=seed
    )
    names = graph.feature_names or tuple(map(str, range(graph.num_features)))
    return ImputedFeatures(rows, columns, found.mean, found.std, graph.ids, names)
