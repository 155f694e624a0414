"""Held-out features of a run: entries that its graph lacks, and their scores."""

from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from vgae.evaluation.features import evaluate_features
from vgae.graphs.feature_split import FeatureSplit, split_features
from vgae.graphs.graph import Graph
from vgae.graphs.split import LinkSplit
from vgae.runs.kind import Config
from vgae.vae import VAE


class SplitModel(NamedTuple):
    """A trained model and the split of its links, as a run has them."""

    model: VAE
    split: LinkSplit


def without_held_out(graph: Graph, fraction: float) -> Graph:
    """Return a graph in which a fraction of the known features is missing, if it is above 0.

    The entries depend on the graph and the fraction alone, so that a run has the same ones when
    it reads its graph again.
    """
    return _split(graph, fraction).graph if fraction else graph


def feature_scores(kind: Any, folder: Path, config: Config, trained: SplitModel) -> dict[str, Any]:
    """Return the scores of the held-out features of a run; empty without any.

    Args:
        kind: Kind of the run, which reads its source.
        folder: Its folder.
        config: Its ``config.json``.
        trained: Model of the run, and the split of its links.

    Raises:
        ArtifactError: If the graph has changed.
    """
    source = kind.located(folder, config)
    if not source.hold_features or "features" not in config["recipe"].get("reconstruct", ""):
        return {}
    whole = kind.open(replace(source, hold_features=0.0))
    held = _split(whole, source.hold_features)
    edges = trained.split.message_edge_index
    scores = evaluate_features(trained.model, held.graph, held.test, edge_index=edges)
    return {"features": {"test": scores.to_dict()}}


def _split(graph: Graph, fraction: float) -> FeatureSplit:
    return split_features(graph, test=fraction, seed=0)
