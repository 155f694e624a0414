"""How often credible intervals of link probabilities hold the true ones, on generated graphs.

The probabilities that the links are drawn with are known. A model is trained on a split of the
links with the default fractions, and all pairs that are no training links are scored by
``vgae.score_links``. Their 80 % intervals of 100 samples, fitted and raw, are compared with these
probabilities. Coverage is a fraction of pairs.
"""

import argparse
import json
import logging
import sys
import time
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from report import machine

import vgae
from vgae.recipes import RECIPES

LEVEL, SAMPLES = 0.8, 100
BINS = (0.2, 0.4, 0.6, 0.8, 0.95)  # of pairs by stated probability


def blocks(rng: np.random.Generator, num_nodes: int) -> np.ndarray:
    """Return link probabilities of five groups: 0.10 within and 0.008 across."""
    group = rng.integers(5, size=num_nodes)
    return np.where(group[:, None] == group, 0.10, 0.008)


def corrected_blocks(rng: np.random.Generator, num_nodes: int) -> np.ndarray:
    """Return those of three groups, times log-normal weights of the nodes."""
    group, weight = rng.integers(3, size=num_nodes), rng.lognormal(0, 0.6, size=num_nodes)
    weight /= weight.mean()
    inside = np.where(group[:, None] == group, 0.08, 0.01)
    return np.minimum(np.outer(weight, weight) * inside, 0.9)


def positions(rng: np.random.Generator, num_nodes: int) -> np.ndarray:
    """Return those of a latent space model: log odds fall with the distance in the plane."""
    x = rng.normal(size=(num_nodes, 2))
    distance = np.linalg.norm(x[:, None] - x, axis=-1)
    return 1 / (1 + np.exp(0.5 + 1.8 * distance))


GENERATORS = {"blocks": blocks, "corrected": corrected_blocks, "positions": positions}


def measured(generator: str, recipe: str, seed: int, num_nodes: int) -> dict[str, Any]:
    """Return the coverage of raw and fitted intervals on one generated graph."""
    rng = np.random.default_rng([seed, num_nodes])
    theta = GENERATORS[generator](rng, num_nodes)
    u, v = np.triu_indices(num_nodes, 1)
    drawn = rng.random(len(u)) < theta[u, v]
    graph = vgae.Graph.from_edges(np.stack([u, v])[:, drawn], num_nodes=num_nodes, sides="none")
    split = vgae.split_links(graph, seed=seed)
    result = vgae.fit(graph, split, recipe=RECIPES[recipe], seed=seed, progress=False)
    start = time.perf_counter()
    calibration = vgae.calibrate(result, graph, split, intervals=True)
    seconds = time.perf_counter() - start
    known = np.zeros((num_nodes, num_nodes), dtype=bool)
    known[tuple(split.train.numpy())] = True
    other = ~known[u, v]
    pairs = torch.from_numpy(np.stack([u, v])[:, other])
    truth = torch.from_numpy(theta[u, v][other])
    row: dict[str, Any] = {
        "generator": generator,
        "recipe": recipe,
        "seed": seed,
        "links": graph.num_links,
        "test_auc": vgae.evaluate(result, graph, split)["test"].auc,
        "seconds": round(seconds, 1),
    }
    raw = replace(calibration, intervals=None)
    for name, chosen in (("raw", raw), ("fitted", calibration)):
        options: Any = {"calibration": chosen, "samples": SAMPLES, "interval": LEVEL}
        found = vgae.score_links(result, graph, pairs.T, seed=seed, **options)
        assert found.probability is not None
        assert found.low is not None
        assert found.high is not None
        inside = ((found.low <= truth) & (truth <= found.high)).double()
        order = found.probability.argsort(stable=True)
        edges = [0, *(int(q * len(order)) for q in BINS), len(order)]
        row[name] = {
            "coverage": float(inside.mean()),
            "by_probability": [
                round(float(inside[order[a:b]].mean()), 3) for a, b in pairwise(edges)
            ],
            "best_percent": float(inside[order[-len(order) // 100 :]].mean()),
            "width_in_log_odds": float((found.high.logit() - found.low.logit()).median()),
            "mean_probability": float(found.probability.mean()),
        }
    row["mean_truth"] = float(truth.mean())
    return row


def main() -> None:
    """Print the coverage of each case, and the means over seeds, as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=10)
    parser.add_argument("--nodes", type=int, default=500)
    parser.add_argument("--recipes", nargs="+", default=["paper", "best"])
    parser.add_argument("--generators", nargs="+", default=list(GENERATORS))
    parser.add_argument("--known", type=argparse.FileType(), help="results to be completed")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    logging.getLogger("vgae").setLevel(logging.ERROR)
    known = json.load(chosen.known) if chosen.known else {"nodes": chosen.nodes, "rows": []}
    if known["nodes"] != chosen.nodes:
        parser.error(f"--known has graphs of {known['nodes']} nodes")
    measured_rows = {(r["generator"], r["recipe"], r["seed"]): r for r in known["rows"]}
    rows, means = [], {}
    for generator in chosen.generators:
        for recipe in chosen.recipes:
            seeds = range(chosen.first_seed, chosen.first_seed + chosen.seeds)
            found = []
            for seed in seeds:
                row = measured_rows.get((generator, recipe, seed))
                row = row or measured(generator, recipe, seed, chosen.nodes)
                found.append(row)
                print(json.dumps(row), file=sys.stderr, flush=True)
            rows += found
            means[f"{generator}, {recipe}"] = {
                name: {
                    "coverage": round(float(np.mean([r[name]["coverage"] for r in found])), 3),
                    "by_probability": np.mean([r[name]["by_probability"] for r in found], axis=0)
                    .round(3)
                    .tolist(),
                    "best_percent": round(
                        float(np.mean([r[name]["best_percent"] for r in found])), 3
                    ),
                }
                for name in ("raw", "fitted")
            }
    content = {"level": LEVEL, "nodes": chosen.nodes, "means": means, "rows": rows}
    print(json.dumps(content | {"machine": machine()}, indent=1))


if __name__ == "__main__":
    main()
