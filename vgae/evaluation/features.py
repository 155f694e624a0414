"""Prediction of features given the posterior, and its scores on held-out entries."""

import logging
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from vgae.decoders.features import FeatureDecoder
from vgae.decoders.joint import part_decoder
from vgae.errors import DataError, UsageError
from vgae.evaluation.metrics import auc_and_ap
from vgae.graphs.feature_split import FeatureEntries
from vgae.graphs.graph import Graph
from vgae.graphs.missing import column_sums, entries_of
from vgae.models.embedding import Trained, embed, evaluating, model_of, parameter_like
from vgae.runtime.streams import stream
from vgae.vae import VAE

log = logging.getLogger(__name__)

SAMPLES = 100
LEVEL = 0.8
_QUANTILE = 1.2815515655446004  # of the standard Normal distribution at (1 + LEVEL) / 2
_VALUES_AT_ONCE = 2**23


class PredictedEntries(NamedTuple):
    """Distribution of features, averaged over samples of the latent vectors.

    Attributes:
        mean: Mean of each entry, float32, shape ``(K,)``.
        std: Standard deviation: that of the likelihood and that over the samples, ``(K,)``.
        log_likelihood: Log-likelihood of the true value of each entry in nats, ``(K,)``; ``None``
            without values.
    """

    mean: Tensor
    std: Tensor
    log_likelihood: Tensor | None


@dataclass(frozen=True)
class FeatureScores:
    r"""Scores of predicted features; see :func:`evaluate_features`.

    Attributes:
        likelihood: That of the model.
        num_entries: Number of entries.
        log_likelihood: Mean log-likelihood of an entry in nats.
        auc: Area under the ROC curve of 1 against 0; ``None`` unless Bernoulli.
        ap: Average precision of 1; ``None`` unless Bernoulli.
        rmse: Root of the mean squared error of the mean.
        coverage: Fraction of the values within the central 80 % interval; ``None`` unless Normal.
        deviance: Mean Poisson deviance,
            :math:`2 (x \log (x / \lambda) - x + \lambda)`; ``None`` unless Poisson.
    """

    likelihood: str
    num_entries: int
    log_likelihood: float
    auc: float | None
    ap: float | None
    rmse: float
    coverage: float | None
    deviance: float | None

    def to_dict(self) -> dict[str, Any]:
        """Return the scores that there are, as plain values."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def feature_decoder(trained: VAE | Trained) -> FeatureDecoder:
    """Return the decoder of the features; ``UsageError`` if the model has none."""
    return cast(FeatureDecoder, part_decoder(model_of(trained), "features"))


@torch.no_grad()
def predict_entries(
    trained: VAE | Trained,
    graph: Graph,
    rows: Tensor,
    columns: Tensor,
    *,
    values: Tensor | None = None,
    edge_index: Tensor | None = None,
    samples: int = SAMPLES,
    seed: int = 0,
) -> PredictedEntries:
    r"""Predict entries of the features from the posterior of their nodes.

    .. math:: E[x] = \tfrac{1}{S} \sum_s E[x \mid z_s], \quad
        Var[x] = \tfrac{1}{S} \sum_s Var[x \mid z_s] + Var_s[E[x \mid z_s]]

    Args:
        trained: Model that reconstructs features, or the result of a training of it.
        graph: Nodes with features, some of them missing.
        rows: Node of each entry, ascending, int64, shape ``(K,)``.
        columns: Column of each entry, int64, shape ``(K,)``.
        values: True value of each entry, whose log-likelihood is returned,
            :math:`\log \tfrac{1}{S} \sum_s p(x \mid z_s)`.
        edge_index: As for :func:`vgae.embed`.
        samples: S, at least 1; a model without noise needs one.
        seed: Seed of the samples.

    Raises:
        UsageError: If the model does not reconstruct features, or ``samples`` is below 1.
        DataError: As :func:`vgae.embed`.
    """
    if type(samples) is not int or samples < 1:
        what = f"samples must be an integer, at least 1, got {samples!r:.60}"
        raise UsageError("SAMPLES", f"{what} (--samples 100).")
    model = model_of(trained)
    decoder = feature_decoder(model)
    q = embed(model, graph, edge_index)
    generator = stream(seed, "sample")
    device = parameter_like(model).device
    mean, second, noise = (torch.zeros(len(rows), dtype=torch.float64) for _ in range(3))
    nats = None if values is None else torch.full((len(rows),), -math.inf, dtype=torch.float64)
    blocks = [*_blocks(rows, max(1, _VALUES_AT_ONCE // len(decoder.column_mean)))]
    with evaluating(model):
        for _ in range(samples):
            z = q.rsample(generator).to(device)
            for nodes, part in blocks:
                at = rows[part] - nodes[0], columns[part]
                given = decoder.moments(z[nodes[0] : nodes[1]])
                own, variance = (values[at].double().cpu() for values in given)
                mean[part] += own / samples
                second[part] += own * own / samples
                noise[part] += variance / samples
                if nats is not None and values is not None:
                    found = decoder.nats_given(*given, at, values[part].to(device)).double().cpu()
                    nats[part] = torch.logaddexp(nats[part], found - math.log(samples))
    std = (noise + (second - mean * mean).clamp(min=0)).sqrt()
    return PredictedEntries(mean.float(), std.float(), None if nats is None else nats)


def evaluate_features(
    trained: VAE | Trained,
    graph: Graph,
    entries: FeatureEntries,
    *,
    edge_index: Tensor | None = None,
    samples: int = SAMPLES,
    seed: int = 0,
) -> FeatureScores:
    """Score the predicted features of held-out entries.

    Args:
        trained: Model that reconstructs features, or the result of a training of it.
        graph: The graph of the training, in which the entries are missing:
            :attr:`vgae.graphs.feature_split.FeatureSplit.graph`.
        entries: Held-out entries, such as ``split.test`` of :func:`vgae.split_features`.
        edge_index: Edges that messages travel on, by default all links of the graph.
        samples: Samples of the latent vectors.
        seed: Their seed.

    Raises:
        DataError: ``FEATURES_SEEN`` if an entry is not missing in the graph, so that the encoder
            receives it, or the model was trained on the graph with these entries;
            ``NO_FEATURES`` if there is no entry.
        UsageError: As :func:`predict_entries`.
    """
    check_hidden(graph, entries)
    _check_unseen(feature_decoder(trained), graph, entries)
    x = entries.values
    given: Any = {"values": x, "edge_index": edge_index, "samples": samples, "seed": seed}
    found = predict_entries(trained, graph, entries.rows, entries.columns, **given)
    mean, x = found.mean.double(), x.double()
    kind = feature_decoder(trained).likelihood
    auc = ap = coverage = deviance = None
    if kind == "bernoulli" and ((x == 0) | (x == 1)).all():
        scores = [float(score) for score in auc_and_ap(mean, x)]
        auc, ap = (None if math.isnan(score) else score for score in scores)
    if kind == "normal":
        within = (x - mean).abs() <= _QUANTILE * found.std.double()
        coverage = float(within.double().mean())
    if kind == "poisson":
        deviance = float(2 * (torch.xlogy(x, x / mean.clamp(min=1e-30)) - x + mean).mean())
    nats = cast(Tensor, found.log_likelihood)
    rmse = float((x - mean).square().mean().sqrt())
    return FeatureScores(kind, len(x), float(nats.mean()), auc, ap, rmse, coverage, deviance)


def check_hidden(graph: Graph, entries: FeatureEntries) -> None:
    """Raise ``DataError`` unless there are entries, all of which are missing in a graph."""
    if not len(entries.rows):
        raise DataError("NO_FEATURES", "there are no held-out entries of the features to score.")
    gaps = entries_of(graph.missing)
    codes = gaps[0] * graph.num_features + gaps[1]
    seen = ~torch.isin(entries.rows * graph.num_features + entries.columns, codes)
    if seen.any():
        first = int(seen.nonzero()[0])
        raise DataError(
            "FEATURES_SEEN",
            f"{int(seen.sum())} of {len(seen)} held-out features are known in {graph.name}, the"
            f" first of node {int(entries.rows[first])}, column {int(entries.columns[first])}:"
            " the encoder would receive what it must predict; pass the graph of"
            " vgae.split_features.",
        )


def _check_unseen(decoder: FeatureDecoder, graph: Graph, entries: FeatureEntries) -> None:
    """Raise ``DataError`` if the means of the training are those with the held-out entries.

    Means of other features are a warning, unless the graph is a collection, of which a part may
    have been trained on.
    """
    total, count = column_sums(cast(Tensor, graph.x), graph.missing)
    stored = decoder.column_mean.double().cpu()
    if len(stored) != len(total) or torch.allclose(stored, total / count.clamp(min=1)):
        return
    total = total.index_add(0, entries.columns, entries.values.double())
    count = count + torch.bincount(entries.columns, minlength=len(count))
    if torch.allclose(stored, total / count.clamp(min=1)):
        raise DataError(
            "FEATURES_SEEN",
            f"the model was trained on {graph.name} with the held-out features; train it on the"
            " graph of vgae.split_features.",
        )
    if graph.grid.name != "blocks":
        log.warning(
            "the model was trained on other features than those known in %s; if the held-out ones"
            " were among them, the scores are of what it has seen",
            graph.name,
        )


def _blocks(rows: Tensor, size: int) -> Iterator[tuple[tuple[int, int], slice]]:
    """Yield a range of nodes and the entries of them, for ascending rows."""
    if not len(rows):
        return
    last = int(rows[-1]) + 1
    for start in range(int(rows[0]), last, size):
        end = min(start + size, last)
        low, high = torch.searchsorted(rows, torch.tensor([start, end])).tolist()
        if high > low:
            yield (start, end), slice(low, high)
