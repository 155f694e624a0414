"""Planted weights and signs of links: coverage of stated intervals, errors, AUC of signs.

Links and weights follow planted blocks or latent positions, with noise of a known kind. Each case
is trained with the recipe paper and ``reconstruct`` on the same seeds; nothing is chosen on them.

    python benchmarks/weights.py --seeds 5 > benchmarks/results/weights.json

Coverage is that of the 50, 80 and 95 % intervals on test links. Errors are compared with the mean
of the training links (``rmse_of_mean``), and with a ridge regression on both ends of a link that
knows no blocks (``rmse_of_nodes``). The error is that of logarithms for log-normal weights.
"""

import argparse
import json
import time
from collections.abc import Callable
from statistics import mean, stdev
from typing import Any

import numpy as np
import torch

import vgae
from vgae.decoders.weight_likelihoods import LogNormal
from vgae.graphs.graph import Graph
from vgae.recipes import PAPER

Rng = np.random.Generator


def blocks(rng: Rng, n: int, k: int, inside: float, across: float) -> tuple[Any, Any]:
    """Return the block of each node, and the links."""
    block = rng.integers(k, size=n)
    u, v = np.triu_indices(n, 1)
    kept = rng.random(len(u)) < np.where(block[u] == block[v], inside, across)
    return block, np.stack([u[kept], v[kept]])


def table(rng: Rng, k: int, low: float, high: float) -> np.ndarray:
    """Return a symmetric table of a value for each pair of blocks."""
    values = rng.uniform(low, high, (k, k))
    return (values + values.T) / 2


def positions(rng: Rng, n: int, degree: float) -> tuple[Any, Any]:
    """Return positions in the plane, and links of near ones."""
    z = rng.normal(size=(n, 2))
    u, v = np.triu_indices(n, 1)
    near, shift = -1.5 * ((z[u] - z[v]) ** 2).sum(axis=1), 0.0
    for _ in range(50):
        shift -= 0.5 * np.log((1 / (1 + np.exp(-near - shift))).sum() / (n * degree / 2))
    kept = rng.random(len(u)) < 1 / (1 + np.exp(-near - shift))
    return z, np.stack([u[kept], v[kept]])


def normal_blocks(rng: Rng) -> Graph:
    """Signed weights: a mean for each pair of blocks, and Normal noise."""
    block, edges = blocks(rng, 300, 4, 0.25, 0.04)
    weight = table(rng, 4, -3, 3)[*block[edges]] + rng.normal(scale=0.5, size=edges.shape[1])
    return Graph.from_edges(edges, edge_weight=weight, num_nodes=300, signed=True)


def log_normal_positions(rng: Rng) -> Graph:
    """Logarithms are products of positions, and Normal noise."""
    z, edges = positions(rng, 300, 20)
    product = (z[edges[0]] * z[edges[1]]).sum(axis=1)
    weight = np.exp(0.5 + 0.8 * product + rng.normal(scale=0.4, size=len(product)))
    return Graph.from_edges(edges, edge_weight=weight, num_nodes=300)


def poisson_blocks(rng: Rng) -> Graph:
    """Counts with a rate for each pair of blocks; pairs with count 0 are no links."""
    block, edges = blocks(rng, 300, 4, 0.25, 0.04)
    count = rng.poisson(np.exp(table(rng, 4, 0, 2.5))[*block[edges]])
    kept = count > 0
    return Graph.from_edges(edges[:, kept], edge_weight=count[kept], num_nodes=300)


def heavy_tails(rng: Rng) -> Graph:
    """As :func:`normal_blocks`, with noise of Student's t with 2 degrees of freedom."""
    block, edges = blocks(rng, 300, 4, 0.25, 0.04)
    noise = 0.5 * rng.standard_t(2, size=edges.shape[1])
    weight = table(rng, 4, -3, 3)[*block[edges]] + noise
    return Graph.from_edges(edges, edge_weight=weight, num_nodes=300, signed=True)


def ratings(rng: Rng) -> Graph:
    """Ratings 1 to 5 of two sides, by blocks and by the user."""
    user, item = rng.integers(3, size=200), rng.integers(3, size=150)
    seen = rng.random((200, 150)) < np.where(user[:, None] == item, 0.25, 0.06)
    u, v = np.nonzero(seen)
    level = table(rng, 3, 1.5, 4.5)[user[u], item[v]] + rng.normal(scale=0.3, size=200)[u]
    weight = np.clip(np.round(level + rng.normal(scale=0.7, size=len(u))), 1, 5)
    sides = np.arange(350) >= 200
    edges = np.stack([u, v + 200])
    return Graph.from_edges(edges, edge_weight=weight, num_nodes=350, sides=sides)


def directed_blocks(rng: Rng) -> Graph:
    """Log-normal weights that differ by direction."""
    block = rng.integers(4, size=250)
    chance = np.where((block[:, None] + 1) % 4 == block, 0.2, 0.04)
    linked = rng.random((250, 250)) < chance
    np.fill_diagonal(linked, val=False)
    edges = np.stack(np.nonzero(linked))
    center = rng.uniform(0, 2, (4, 4))[*block[edges]]
    weight = np.exp(center + rng.normal(scale=0.3, size=edges.shape[1]))
    return Graph.from_edges(edges, edge_weight=weight, num_nodes=250, directed="keep")


def factions(rng: Rng) -> Graph:
    """Signs + within and - across two factions, a tenth flipped; links everywhere alike."""
    block, edges = blocks(rng, 200, 2, 0.1, 0.1)
    u, v = block[edges]
    flipped = rng.random(edges.shape[1]) < 0.1
    sign = np.where((u == v) != flipped, 1, -1)
    return Graph.from_edges(edges, edge_weight=sign, num_nodes=200, signed=True)


CASES: dict[str, Callable[[Rng], Graph]] = {
    "normal blocks": normal_blocks,
    "log-normal positions": log_normal_positions,
    "Poisson blocks": poisson_blocks,
    "heavy tails": heavy_tails,
    "ratings": ratings,
    "directed blocks": directed_blocks,
}


def node_error(graph: Graph, split: vgae.LinkSplit, *, log_scale: bool) -> float:
    """Return the test error of a ridge regression on the ends of a link."""
    train, test = (graph.values_of(pairs) for pairs in (split.train, split.test.pos))
    assert train is not None
    assert test is not None
    y, y_test = (LogNormal.plain(v) if log_scale else v for v in (train.double(), test.double()))
    ends = torch.zeros(len(y), graph.num_nodes, dtype=torch.float64)
    for row in split.train:
        ends[torch.arange(len(y)), row] += 1
    ridge = ends.T @ ends + torch.eye(graph.num_nodes, dtype=torch.float64)
    effect = torch.linalg.solve(ridge, ends.T @ (y - y.mean()))
    found = y.mean() + effect[split.test.pos].sum(dim=0)
    return float(((y_test - found) ** 2).mean().sqrt())


def run(make: Callable[[Rng], Graph], target: str, seed: int) -> dict[str, Any]:
    """Train on one planted graph; return the scores of its test links."""
    graph = make(np.random.default_rng(seed))
    split = vgae.split_links(graph, seed=seed)
    start = time.perf_counter()
    recipe = PAPER.override({"reconstruct": target})
    result = vgae.fit(graph, split, recipe=recipe, seed=seed, progress=False, device="cpu")
    seconds = time.perf_counter() - start
    found = vgae.evaluate(result, graph, split)["test"]
    row: dict[str, Any] = {**found.to_dict()[target], "link_auc": found.auc, "seconds": seconds}
    if target == "weights":
        row["rmse_of_nodes"] = node_error(graph, split, log_scale=row["log_scale"])
        row |= {f"coverage_{level}": share for level, share in row.pop("coverage").items()}
    return row


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return mean and standard deviation of each number over seeds."""
    found: dict[str, Any] = {}
    for name, value in rows[0].items():
        values = [row[name] for row in rows]
        if isinstance(value, bool | str):
            found[name] = value
        else:
            spread = stdev(values) if len(values) > 1 else 0.0
            found[name] = {"mean": round(mean(values), 4), "sd": round(spread, 4)}
    return found


def main() -> None:
    """Run all cases and print their scores as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first", type=int, default=0, help="first seed")
    given = parser.parse_args()
    seeds = range(given.first, given.first + given.seeds)
    found: dict[str, Any] = {"seeds": [*seeds], "recipe": PAPER.name, "weights": {}, "signs": {}}
    for name, make in CASES.items():
        found["weights"][name] = summary([run(make, "weights", seed) for seed in seeds])
    found["signs"]["factions"] = summary([run(factions, "signs", seed) for seed in seeds])
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
