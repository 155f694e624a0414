"""Directed models on the three tasks of directed graphs, beside the symmetric one.

Two graphs are generated, with known direction. Cora's citations need the file cora.cites of LINQS
("cited paper, citing paper" a line; github.com/tkipf/pygcn has it in data/cora), as the file of
Planetoid lists every link in both directions. For each graph, task and model, the settings are
those with the highest validation AUC + AP of the first seed.
"""

import argparse
import hashlib
import json
import logging
import statistics
import sys
from pathlib import Path
from typing import Any

import torch
from report import machine

import vgae
from vgae.evaluation.links import evaluate_links
from vgae.recipes import PAPER, Recipe

MODELS = ("vgae", "source-target-vgae", "source-target-gae", "gravity-vgae", "gravity-gae")
TASKS = ("biased", "general", "bidirectional")
CITES = "ec1a372391b7f0f60a6aff0084e8abd8f19f0faa7e1f2441a41c492042d5945e"
SETTINGS = {
    # As in the code of the gravity paper, with a lower learning rate.
    "paper": {"lr": 0.05, "hidden_channels": 64, "latent_channels": 32},
    # Degrees of both kinds, which a heavy self-loop keeps apart from those of the targets.
    "degrees": {
        **{"lr": 0.05, "hidden_channels": 64, "latent_channels": 32, "keep": "best"},
        **{"degrees": True, "bias": True, "logit_bias": True, "self_loop_weight": 100.0},
        **{"mask": 0.5, "feature_dropout": 0.95, "initial_logstd": -2.0},
    },
}
# As in the gravity paper's code for this task; the smaller, the more the masses count.
MASSES = {**SETTINGS["paper"], "distance_weight": 0.05}


def gravity_graph(num_nodes: int = 500) -> vgae.Graph:
    """Return a graph of the gravity model: places in a square, and masses."""
    generator = torch.Generator().manual_seed(0)
    x = 2 * torch.rand(num_nodes, 2, generator=generator)
    mass = 1.5 * torch.randn(num_nodes, generator=generator)
    logits = mass - (torch.cdist(x, x).square() + 0.01).log() - 5
    return _drawn(logits.sigmoid(), generator, "planted-gravity")


def block_graph(num_nodes: int = 500) -> vgae.Graph:
    """Return a graph of five blocks in an order: most links go to later blocks.

    Half of the links within a block are reciprocal.
    """
    generator = torch.Generator().manual_seed(1)
    block = torch.arange(num_nodes) * 5 // num_nodes
    later = block[None] - block[:, None]
    p = torch.where(later > 0, 0.04, torch.where(later < 0, 0.003, 0.01))
    within = (later == 0).triu(1)
    both = (torch.rand(num_nodes, num_nodes, generator=generator) < 0.008) & within
    return _drawn(torch.where(both | both.T, 1.0, p), generator, "planted-blocks")


def _drawn(p: torch.Tensor, generator: torch.Generator, name: str) -> vgae.Graph:
    adj = torch.rand(p.shape, generator=generator) < p
    edges = adj.fill_diagonal_(0).nonzero().T
    return vgae.Graph.from_edges(edges, num_nodes=len(p), directed="keep", name=name)


def cora(path: Path) -> vgae.Graph:
    """Return Cora's citations, from the citing to the cited paper."""
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != CITES:
        raise SystemExit(f"{path} is not LINQS's cora.cites, of sha256 {CITES}.")
    lines = [line.split() for line in content.decode().splitlines()]
    edges = torch.tensor([[int(citing), int(cited)] for cited, citing in lines]).T
    return vgae.Graph.from_edges(edges, directed="keep", name="cora-citations")


def trial(graph: vgae.Graph, task: Any, model: str, recipe: Recipe, seed: int) -> dict[str, Any]:
    """Return AUC and AP of the validation and test links of one training."""
    split = vgae.split_links(graph, seed=seed, task=task)
    result = vgae.fit(
        graph, split, model=model, recipe=recipe, seed=seed, device="cpu", progress=False
    )
    scores = evaluate_links(result.model, graph, split)
    return {part: score._asdict() for part, score in scores.items()}


def settings_of(task: str, model: str) -> dict[str, dict[str, Any]]:
    """Return the settings among which those of a task and model are chosen, by name."""
    masses = task == "biased" and model.startswith("gravity")
    return SETTINGS | ({"masses": MASSES} if masses else {})


def cell(graph: vgae.Graph, task: str, model: str, epochs: int, seeds: int) -> dict[str, Any]:
    """Choose the settings on the validation links of seed 0; return the scores of all seeds."""
    common, settings = {"epochs": epochs, "pairs": "exact"}, settings_of(task, model)
    recipes = {name: PAPER.override({**chosen, **common}) for name, chosen in settings.items()}
    first = {name: trial(graph, task, model, recipe, 0) for name, recipe in recipes.items()}
    best = max(first, key=lambda name: sum(first[name]["val"].values()))
    trials = [first[best], *(trial(graph, task, model, recipes[best], s) for s in range(1, seeds))]
    row: dict[str, Any] = {"graph": graph.name, "task": task, "model": model, "settings": best}
    row["considered"] = {name: scores["val"] for name, scores in first.items()}
    for name in ("auc", "ap"):
        values = [scores["test"][name] for scores in trials]
        row[name] = statistics.mean(values)
        row[f"{name}_deviation"] = statistics.stdev(values) if seeds > 1 else 0.0
    return row | {"trials": trials}


def main() -> None:
    """Measure, print the JSON, and write it after each row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cites", type=Path, help="LINQS's cora.cites")
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--tasks", nargs="+", default=TASKS)
    parser.add_argument("--nodes", type=int, default=500, help="of the generated graphs")
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="also write the JSON to this file")
    given = parser.parse_args()
    logging.getLogger("vgae").setLevel(logging.ERROR)
    graphs = [gravity_graph(given.nodes), block_graph(given.nodes)]
    graphs += [] if given.cites is None else [cora(given.cites)]
    report: dict[str, Any] = {
        **machine(),
        "epochs": given.epochs,
        "seeds": given.seeds,
        "settings": SETTINGS | {"masses": MASSES},
        "graphs": [graph.summary() for graph in graphs],
        "rows": [],
    }
    for graph in graphs:
        for task in given.tasks:
            for model in given.models:
                row = cell(graph, task, model, given.epochs, given.seeds)
                report["rows"].append(row)
                print(
                    f"{graph.name} {task} {model}: AUC {row['auc']:.3f} AP {row['ap']:.3f}"
                    f" ({row['settings']})",
                    file=sys.stderr,
                )
                if given.json is not None:
                    given.json.write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(report))


if __name__ == "__main__":
    main()
