"""How many of the best proposals come true, and how many were stated to.

A model is trained on the training links of a split alone, and proposes the best of all other
pairs. Those of them that are held out come true: the validation and test links at the prior of
both, and the test links alone, among pairs that are no validation links, at their own prior. Three
calibrations state how many: the former one (isotonic, fitted to the validation links), a spline
fitted to the validation links, and one fitted to two folds of the training links too.
"""

import argparse
import json
import logging
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from report import machine
from scipy.stats import binomtest
from torch import Tensor

import vgae
from vgae.evaluation.calibration import Calibration
from vgae.evaluation.expected import expected_true
from vgae.evaluation.folds import FoldLinks
from vgae.evaluation.links import PairScorer
from vgae.graphs.canonical import link_positions
from vgae.graphs.graph import Graph
from vgae.graphs.split import LinkSplit
from vgae.prediction.link_table import LinkTable
from vgae.recipes import RECIPES
from vgae.runs.opening import open_graph
from vgae.vae import VAE

COUNTS = (20, 50, 200, 1000)
CALIBRATIONS = ("isotonic", "validation", "folds")


def trained(
    graph: Graph, split: LinkSplit, recipe: str, num_folds: int, folder: Path
) -> tuple[VAE, FoldLinks, dict[str, float]]:
    """Train the model and those of the folds, or take them from the folder."""
    options: Any = {"recipe": RECIPES[recipe], "seed": split.seed, "progress": False}
    ranks, seconds = folder / f"folds-{num_folds}.npz", folder / "seconds.json"
    known = json.loads(seconds.read_text()) if seconds.exists() else {}
    if not (folder / "model").exists():
        start = time.process_time()
        vgae.save_pretrained(vgae.fit(graph, split, **options).model, folder / "model")
        known["fit"] = round(time.process_time() - start, 1)
    if not ranks.exists():
        start = time.process_time()
        found = vgae.cross_fit(graph, split, folds=num_folds, **options)
        np.savez(ranks, above=found.above.numpy())
        known["folds"] = round(time.process_time() - start, 1)
    seconds.write_text(json.dumps(known))
    above = torch.from_numpy(np.load(ranks)["above"])
    return vgae.from_pretrained(folder / "model"), FoldLinks(above, num_folds), known


def proposed(model: VAE, graph: Graph, split: LinkSplit, known: Tensor) -> LinkTable:
    """Return the best pairs that are none of the known links; messages on training links."""
    place = link_positions(known, graph.links, graph.grid).sort().values
    seen = replace(graph, **graph.links_at(place))
    scorer = PairScorer(model, seen, split.message_edge_index)
    return vgae.predict_links(scorer, seen, max(COUNTS), per_node=False, progress=False)


def came_true(table: LinkTable, calibration: Calibration, graph: Graph) -> list[dict[str, Any]]:
    """Return stated and observed numbers of the k best pairs, for each k."""
    pairs = torch.stack([table.source, table.target])
    is_true = link_positions(pairs, graph.links, graph.grid) >= 0
    rows = []
    for k in COUNTS:
        p, found = calibration.probability(table.score[:k]), int(is_true[:k].sum())
        wilson = binomtest(found, k).proportion_ci(method="wilson")
        stated = expected_true(calibration, table.score[:k])
        shared = 1 - len(np.unique(p.numpy())) / k
        row: dict[str, Any] = {"k": k, "true": found, "stated": round(float(p.sum()), 2)}
        row["in_wilson"] = bool(wilson.low <= float(p.mean()) <= wilson.high)
        row["share_a_probability"] = round(shared, 4)
        if stated is not None:
            row |= {"low": stated.low, "high": stated.high}
            row["in_interval"] = stated.low <= found <= stated.high
        rows.append(row)
    return rows


def measured(name: str, seed: int, recipe: str, num_folds: int, folder: Path) -> dict[str, Any]:
    """Return the numbers of one split."""
    graph = open_graph(name, "raw")
    split = vgae.split_links(graph, seed=seed)
    own = folder / f"{name}-{recipe}-{seed}"
    own.mkdir(parents=True, exist_ok=True)
    model, folds, seconds = trained(graph, split, recipe, num_folds, own)
    known = torch.cat([split.train, split.val.pos], dim=1)
    num_test, num_pairs = split.test.pos.shape[1], graph.grid.num_pairs
    tables = proposed(model, graph, split, split.train), proposed(model, graph, split, known)
    found: dict[str, Any] = {"dataset": name, "seed": seed, "seconds": seconds}
    for how in CALIBRATIONS:
        options: Any = {"method": "isotonic" if how == "isotonic" else "spline"}
        options["folds"] = folds if how == "folds" else None
        calibration = vgae.calibrate(model, graph, split, **options)
        alone = calibration.at("density", num_test / (num_pairs - known.shape[1]))
        test = vgae.evaluate(model, graph, split, calibration=calibration)["test"].to_dict()
        found[how] = {
            "held_out": came_true(tables[0], calibration, graph),
            "test": came_true(tables[1], alone, graph),
            "balanced": {key: test["calibrated"][key] for key in ("ece", "brier")},
        }
    return found


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the sums over splits: how often intervals hold, stated and true numbers."""
    found: dict[str, Any] = {}
    for how in CALIBRATIONS:
        errors = {
            key: round(float(np.mean([row[how]["balanced"][key] for row in rows])), 4)
            for key in ("ece", "brier")
        }
        found[how] = {"balanced": errors, "held_out": [], "test": []}
        for part in ("held_out", "test"):
            for i, k in enumerate(COUNTS):
                cells = [row[how][part][i] for row in rows]
                sums = {key: sum(cell[key] for cell in cells) for key in ("true", "stated")}
                sums |= {"in_wilson": sum(cell["in_wilson"] for cell in cells)}
                if "in_interval" in cells[0]:
                    sums["in_interval"] = sum(cell["in_interval"] for cell in cells)
                shared = max(cell["share_a_probability"] for cell in cells)
                head = {"k": k, "splits": len(cells), "most_share_a_probability": shared}
                found[how][part].append({**head, **sums, "stated": round(sums["stated"], 1)})
    return found


def main() -> None:
    """Print each split, and the sums of each data set and of all, as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--datasets", nargs="+", default=["cora", "citeseer"])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--recipe", default="best")
    parser.add_argument("--folds", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=Path("results/proposals"))
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    logging.getLogger("vgae").setLevel(logging.ERROR)
    rows = []
    for seed in range(chosen.first_seed, chosen.first_seed + chosen.seeds):
        for name in chosen.datasets:
            row = measured(name, seed, chosen.recipe, chosen.folds, chosen.folder)
            rows.append(row)
            print(json.dumps(row), file=sys.stderr, flush=True)
    sums = {name: summary([r for r in rows if r["dataset"] == name]) for name in chosen.datasets}
    head = {"recipe": chosen.recipe, "folds": chosen.folds, "machine": machine()}
    print(json.dumps({**head, "all": summary(rows), **sums, "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
