"""Hidden features of Cora: reconstruction beside column means, neighbours and an encoder alone.

A fraction of all entries of the features is hidden, and 5 and 10 % of the links. All methods get
the same graph without them. The number of neighbours, the weight of the column mean beside them
and the settings of the encoder without links are those with the highest log-likelihood of the
hidden entries of another seed, ``--choose``, on which the dropout of ``paper`` was chosen too.

* ``column means``: the fraction of ones among the known entries of the column.
* ``neighbours in features``: the mean of the known entries of the k nearest rows, by the distance
  over entries known in both (scikit-learn's ``nan_euclidean_distances``, as its ``KNNImputer``).
* ``neighbours in the graph``: the mean of the known entries of the linked nodes.

  Both have the column mean as a prior: with KNNImputer's plain means, the log-likelihood of a one
  among zeros is minus infinity.
* ``encoder without links``: the same model on a graph without links, and no links as target.
* ``paper``, ``best``: the recipes with ``reconstruct="features"``, which gives ``paper`` a dropout
  of the features of 0.5; ``paper without dropout``: the same without it. "links without" has the
  same settings without the reconstruction.

Run it as ``python benchmarks/imputation.py --out benchmarks/results/imputation.json``.
"""

import argparse
import json
import logging
import statistics
import sys
import time
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from report import machine
from sklearn.metrics.pairwise import nan_euclidean_distances

import vgae
from vgae.decoders import JointDecoder
from vgae.decoders.features import FeatureDecoder
from vgae.evaluation.features import evaluate_features
from vgae.evaluation.metrics import auc_and_ap
from vgae.graphs.feature_split import FeatureEntries, FeatureSplit
from vgae.graphs.missing import column_sums
from vgae.recipes import PAPER, RECIPES, Recipe

NEIGHBOURS, PRIORS = (5, 20, 50), (1.0, 5.0, 20.0)
JOINT = {
    **RECIPES,
    # Half of the features that the encoder gets are dropped, while all are to be predicted.
    "paper": PAPER.override({"feature_dropout": 0.5}),
    "paper without dropout": PAPER.override({"feature_dropout": 0.0}),
}
ALONE = ({}, {"feature_dropout": 0.5}, {"weight_decay": 1e-3})


def scores(p: torch.Tensor, entries: FeatureEntries) -> dict[str, float]:
    """Return AUC, AP and mean log-likelihood of probabilities of hidden entries."""
    x = entries.values.double()
    p = p.double().clamp(1e-6, 1 - 1e-6)
    auc, ap = auc_and_ap(p, x).tolist()
    nats = torch.xlogy(x, p) + torch.xlogy(1 - x, 1 - p)
    return {"auc": auc, "ap": ap, "log_likelihood": float(nats.mean())}


class Neighbours:
    """Predictions of the hidden entries from column means and from neighbours."""

    def __init__(self, hidden: FeatureSplit, edge_index: torch.Tensor) -> None:
        graph, self.entries = hidden.graph, hidden.test
        total, count = column_sums(graph.x, graph.missing)
        self.mean = (total + 0.5) / (count + 1)
        self.x = graph.x.to_dense().double()
        self.known = graph.observed.double()
        self.edge_index = edge_index

    def at(self, p: torch.Tensor) -> torch.Tensor:
        """Return the predictions of the hidden entries."""
        return p[self.entries.rows, self.entries.columns]

    def of_columns(self) -> torch.Tensor:
        """Return the column means."""
        return self.mean[self.entries.columns]

    @cached_property
    def nearest(self) -> torch.Tensor:
        """Return the nearest rows of each row, by their known entries, the nearest first."""
        given = np.where(self.known.numpy() > 0, self.x.numpy(), np.nan)
        distance = torch.from_numpy(nan_euclidean_distances(given))
        distance.fill_diagonal_(torch.inf)
        return distance.topk(max(NEIGHBOURS), largest=False).indices

    def in_features(self, k: int, prior: float) -> torch.Tensor:
        """Return the means over the k nearest rows, with ``prior`` rows of the column mean."""
        dst = self.nearest[:, :k].flatten()
        return self._means(torch.arange(len(self.x)).repeat_interleave(k), dst, prior)

    def in_graph(self, prior: float) -> torch.Tensor:
        """Return the means over linked nodes, with ``prior`` nodes of the column mean."""
        return self._means(*self.edge_index, prior)

    def _means(self, src: torch.Tensor, dst: torch.Tensor, prior: float) -> torch.Tensor:
        shape = self.x.shape[0], self.x.shape[0]
        near = torch.sparse_coo_tensor(
            torch.stack([src, dst]), torch.ones(len(src)).double(), shape
        )
        ones, count = near @ (self.x * self.known), near @ self.known
        return self.at((ones + prior * self.mean) / (count + prior))


def joint(
    hidden: FeatureSplit, split: vgae.LinkSplit, recipe: Recipe, seed: int
) -> dict[str, Any]:
    """Return the scores of links without and with reconstruction, and of the hidden entries."""
    found: dict[str, Any] = {}
    graph = hidden.graph
    for name, reconstruct in {"links without": "", "links with": "features"}.items():
        start = time.perf_counter()
        own = recipe.override({"reconstruct": reconstruct})
        result = vgae.fit(graph, split, recipe=own, seed=seed, progress=False)
        links = vgae.evaluate(result, graph, split)["test"].scores
        found[name] = {"auc": links.auc, "ap": links.ap}
        found[name]["seconds"] = round(time.perf_counter() - start, 1)
        if reconstruct:
            edges = split.message_edge_index
            features = evaluate_features(result, graph, hidden.test, edge_index=edges)
            found["features"] = _three(features)
    return found


def alone(hidden: FeatureSplit, recipe: Recipe, seed: int) -> dict[str, float]:
    """Return the scores of an encoder and a decoder of features, without links."""
    graph = replace(hidden.graph, links=torch.zeros(2, 0, dtype=torch.int64))
    generator = torch.Generator().manual_seed(seed)
    encoder = vgae.GCNEncoder.from_recipe(
        recipe, graph.num_features, posterior=vgae.DiagGaussian, generator=generator
    )
    decoder = FeatureDecoder.from_graph(recipe, graph, None, generator)
    model = vgae.VAE(encoder, decoder)
    options = {"lr": recipe.lr, "weight_decay": recipe.weight_decay}
    optimizer = torch.optim.Adam(model.parameters(), **options)
    inputs = encoder.prepare(graph.x, graph.edge_index)
    nats = decoder.prepare(graph)
    given = {"num_items": graph.num_nodes, "generator": generator}
    for epoch in vgae.epochs(model, optimizer, inputs, nats, **given):
        if epoch.number == recipe.epochs:
            break
    decoder = JointDecoder(vgae.InnerProductDecoder(), {"features": decoder})
    return _three(evaluate_features(vgae.VAE(encoder, decoder), graph, hidden.test))


def _three(found: Any) -> dict[str, float]:
    return {name: getattr(found, name) for name in ("auc", "ap", "log_likelihood")}


def baselines(
    hidden: FeatureSplit, split: vgae.LinkSplit, recipe: Recipe, seed: int, chosen: dict[str, Any]
) -> dict[str, Any]:
    """Return the scores of all other methods."""
    near = Neighbours(hidden, split.message_edge_index)
    mean, entries = near.of_columns(), hidden.test
    of_features = near.in_features(chosen["k"], chosen["prior of features"])
    return {
        "column means": scores(mean, entries),
        "neighbours in features": scores(of_features, entries),
        "neighbours in the graph": scores(near.in_graph(chosen["prior of links"]), entries),
        "encoder without links": alone(hidden, recipe.override(chosen["alone"]), seed),
    }


def choose(
    hidden: FeatureSplit, split: vgae.LinkSplit, recipe: Recipe, seed: int
) -> dict[str, Any]:
    """Return the settings of the other methods with the highest log-likelihood."""
    near, entries = Neighbours(hidden, split.message_edge_index), hidden.test
    table = [
        (scores(near.in_features(k, prior), entries)["log_likelihood"], k, prior)
        for k in NEIGHBOURS
        for prior in PRIORS
    ]
    _, k, prior = max(table)
    links = [(scores(near.in_graph(c), entries)["log_likelihood"], c) for c in PRIORS]
    own = [
        (alone(hidden, recipe.override(change), seed)["log_likelihood"], place)
        for place, change in enumerate(ALONE)
    ]
    return {
        "k": k,
        "prior of features": prior,
        "prior of links": max(links)[1],
        "alone": ALONE[max(own)[1]],
    }


def main() -> None:
    """Write the scores as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--dataset", default="cora")
    parser.add_argument("--recipes", nargs="*", default=["paper", "paper without dropout", "best"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument(
        "--choose", type=int, default=101, help="Seed that settings are chosen on."
    )
    parser.add_argument("--fraction", type=float, default=0.3)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    graph = vgae.load_dataset(args.dataset)
    runs: list[dict[str, Any]] = []
    chosen: dict[str, Any] = {}
    content: dict[str, Any] = {"dataset": args.dataset, "fraction": args.fraction}
    content |= {"machine": machine(), "chosen": chosen, "runs": runs}
    for seed in [args.choose, *args.seeds]:
        hidden = vgae.split_features(graph, test=args.fraction, seed=seed)
        split = vgae.split_links(graph, seed=seed)
        if seed == args.choose:
            chosen |= choose(hidden, split, RECIPES["paper"], seed)
            print(json.dumps(chosen), file=sys.stderr, flush=True)
            continue
        found = {"seed": seed, **baselines(hidden, split, RECIPES["paper"], seed, chosen)}
        for name in args.recipes:
            found[name] = joint(hidden, split, JOINT[name], seed)
        runs.append(found)
        print(json.dumps(found), file=sys.stderr, flush=True)
        content["median"] = median(runs)
        if args.out is not None:
            args.out.write_text(json.dumps(content, indent=1) + "\n")
    print(json.dumps(content["median"]))


def median(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the medians of all numbers over runs of the same form."""
    first = runs[0]
    return {
        key: median([run[key] for run in runs])
        if isinstance(value, dict)
        else statistics.median(run[key] for run in runs)
        for key, value in first.items()
        if key != "seed"
    }


if __name__ == "__main__":
    main()
