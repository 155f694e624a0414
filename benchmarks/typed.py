"""What typed links gain over one graph of all links, on generated graphs of three relations.

The nodes have two hidden groupings. Relation ``friend`` joins nodes of one group of the first,
``colleague`` those of one group of the second, ``rival`` those of two groups of the first that are
opposed. The untyped model is trained on the training links of all relations as one graph, and
scores the same held-out pairs of each relation. Each of the two gets the settings, of the same
candidates, that have the highest mean validation AUC.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from report import machine

import vgae
from vgae.evaluation.links import PairScorer
from vgae.evaluation.metrics import link_scores
from vgae.evaluation.typed import RelationScorer
from vgae.graphs.pairs import LabelledPairs
from vgae.models.typed import messages

BAR = 0.05
CANDIDATES: dict[str, dict[str, Any]] = {
    "paper": {},
    "biases": {"bias": True, "logit_bias": True},
    "wide": {"hidden_channels": 64, "latent_channels": 32},
    "dropout": {"dropout": 0.3, "feature_dropout": 0.1},
}
MODELS = ("rgcn-vgae", "vgae")


def planted(seed: int, num_nodes: int, num_groups: int, degree: int) -> vgae.TypedGraph:
    """Return a graph with three relations on the same nodes; a tenth of the links is noise."""
    generator = np.random.default_rng(seed)
    first, second = generator.integers(num_groups, size=(2, num_nodes))
    rules = {
        "friend": first[:, None] == first,
        "colleague": second[:, None] == second,
        "rival": first[:, None] == first ^ 1,
    }
    graphs = {}
    for name, rule in rules.items():
        inside, outside = (np.argwhere(np.triu(allowed, 1)) for allowed in (rule, ~rule))
        count = num_nodes * degree // 2
        chosen = generator.choice(len(inside), count - count // 10, replace=False)
        noise = generator.choice(len(outside), count // 10, replace=False)
        links = np.concatenate([inside[chosen], outside[noise]]).T
        graphs[name] = vgae.Graph.from_edges(links, num_nodes=num_nodes, sides="none")
    return vgae.TypedGraph.from_graphs(graphs, name="planted")


def scores(
    model: str, settings: dict[str, Any], graph: vgae.TypedGraph, split: Any, seed: int
) -> dict[str, dict[str, float]]:
    """Return the AUC of each relation on validation and test pairs."""
    recipe = vgae.recipes.PAPER.override(settings)
    how: Any = {"model": model, "recipe": recipe, "seed": seed, "progress": False}
    if model == "vgae":
        every = torch.cat([part.train for part in split.parts.values()], dim=1).unique(dim=1)
        one = vgae.Graph.from_edges(every, num_nodes=graph.num_nodes, sides="none")
        none = LabelledPairs(every[:, :0], every[:, :0])
        whole = vgae.LinkSplit(one.num_nodes, one.links, none, none, one.link_fingerprint, seed)
        scorer: PairScorer = PairScorer(vgae.fit(one, whole, **how), one)
        of = dict.fromkeys(graph.relations, scorer)
    else:
        result, edges = vgae.fit(graph, split, **how), messages(graph, split)
        of = {name: RelationScorer(result, graph, name, edges) for name in graph.relations}
    found: dict[str, dict[str, float]] = {"val": {}, "test": {}}
    for name, part in split.parts.items():
        for which, pairs in (("val", part.val), ("test", part.test)):
            logits = of[name].logits(pairs.edge_label_index)
            found[which][name] = link_scores(logits, pairs.edge_label).auc
    return found


def measured(args: argparse.Namespace) -> dict[str, Any]:
    """Return the scores of both models with the settings that validation chooses."""
    problems = []
    for seed in range(args.seeds):
        graph = planted(seed, args.nodes, args.groups, args.degree)
        problems.append((graph, vgae.split_links(graph, val=0.1, test=0.1, seed=seed), seed))
    report: dict[str, Any] = {"models": {}}
    for model in MODELS:
        tried = {}
        for name, settings in CANDIDATES.items():
            tried[name] = [scores(model, settings, *problem) for problem in problems]
            print(model, name, _mean(tried[name], "val"), file=sys.stderr)
        chosen = max(tried, key=lambda name: np.mean([*_mean(tried[name], "val").values()]))
        report["models"][model] = {
            "settings": chosen,
            "val_auc": {name: _mean(runs, "val") for name, runs in tried.items()},
            "test_auc": _mean(tried[chosen], "test"),
            "test_auc_by_seed": [run["test"] for run in tried[chosen]],
        }
    typed, untyped = (report["models"][model]["test_auc"] for model in MODELS)
    gain = {name: round(typed[name] - untyped[name], 4) for name in typed}
    report["gain"] = gain
    report["acceptance"] = [
        {"bar": f"AUC of {name} above the untyped model's", "at_least": BAR, "value": value}
        | {"met": value >= BAR}
        for name, value in gain.items()
    ]
    return report


def _mean(runs: list[dict[str, dict[str, float]]], which: str) -> dict[str, float]:
    """Return the mean over seeds of the AUC of each relation."""
    return {
        name: round(float(np.mean([run[which][name] for run in runs])), 4)
        for name in runs[0][which]
    }


def main() -> None:
    """Measure, and write JSON to stdout or to a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--nodes", type=int, default=300)
    parser.add_argument("--groups", type=int, default=6)
    parser.add_argument("--degree", type=int, default=12)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    settings = {name: value for name, value in vars(args).items() if name != "json"}
    report = {"settings": settings | {"candidates": CANDIDATES}, **machine(), **measured(args)}
    text = json.dumps(report, indent=1)
    if args.json is None:
        print(text)
    else:
        args.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
