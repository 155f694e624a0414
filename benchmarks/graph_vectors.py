"""Vectors of graphs, and anomaly scores, on generated molecule-like graphs; prints JSON.

    python benchmarks/graph_vectors.py > benchmarks/results/graph_vectors.json

``chains`` are 120 graphs of 12 to 28 nodes, of two families: rings in a chain, and trees. Features
are noisy types of atoms. ``molecules`` are those of ``molecules.py``. The families are classified
from vectors of a model that saw no labels. For anomalies, 12 graphs are planted among them, and
the model is trained on all: the links of a graph are as many at random (``rewired``), 2.5 times
as many (``dense``), two groups (``halves``), two fifths of its own (``sparse``), a ``star``, a
``lattice``, or others between nodes of the same degrees (``swapped``); or the features are those
of its nodes in another order (``shuffled``).

The score was chosen on seed 100.
"""

import json
import sys
from itertools import product
from typing import Any

import networkx as nx
import numpy as np
import torch
from molecules import molecules
from sklearn.metrics import roc_auc_score

import vgae
from vgae.evaluation.graph_likelihood import Typical, graph_log_likelihood
from vgae.evaluation.graph_tasks import classify_graphs, num_links

READOUTS = ("mean", "sum", "attention", "moments")
KINDS = ("rewired", "dense", "halves", "sparse", "star", "lattice", "swapped", "shuffled")


def links_of(rng: np.random.Generator, n: int, family: int) -> np.ndarray:
    """Return the links of rings in a chain (0) or of a tree of degree at most 4 (1)."""
    edges: list[tuple[int, int]] = []
    if family:
        degree = np.zeros(n, int)
        for v in range(1, n):
            u = int(rng.choice(np.flatnonzero(degree[:v] < 4)))
            edges.append((u, v))
            degree[[u, v]] += 1
        return np.array(edges).T
    first, last = 0, []
    while first < n:
        size = int(rng.integers(5, 7)) if n - first >= 6 and rng.random() < 0.8 else 1
        ring = list(range(first, first + size))
        edges += [(ring[k], ring[(k + 1) % size]) for k in range(size)] if size > 1 else []
        edges += [(int(rng.choice(last)), first)] if last else []
        first, last = first + size, ring
    return np.array(edges).T


def atoms(rng: np.random.Generator, links: np.ndarray, n: int) -> np.ndarray:
    """Return types of atoms by degree, a tenth of them at random, one-hot."""
    degree = np.bincount(links.ravel(), minlength=n)
    two = rng.choice([2, 3], n, p=[0.8, 0.2])
    kind = np.where(degree == 1, rng.choice([0, 1], n), np.where(degree == 2, two, 4))
    kind = np.where(rng.random(n) < 0.1, rng.integers(0, 5, n), kind)
    return np.eye(5, dtype=np.float32)[kind]


def planted(rng: np.random.Generator, links: np.ndarray, n: int, kind: str) -> np.ndarray:
    """Return the links of an unusual graph."""
    pairs = np.stack(np.triu_indices(n, 1))
    if kind == "rewired":
        return pairs[:, rng.choice(pairs.shape[1], links.shape[1], replace=False)]
    if kind == "dense":
        count = min(int(2.5 * links.shape[1]), pairs.shape[1])
        return pairs[:, rng.choice(pairs.shape[1], count, replace=False)]
    if kind == "halves":
        same = (pairs[0] < n // 2) == (pairs[1] < n // 2)
        return pairs[:, same & (rng.random(pairs.shape[1]) < 0.5)]
    if kind == "sparse":
        return links[:, rng.random(links.shape[1]) < 0.4]
    if kind == "lattice":
        nodes = np.arange(n)
        along, down = nodes[:-1][nodes[:-1] % 4 != 3], nodes[:-4]
        return np.hstack([[along, along + 1], [down, down + 4]])
    if kind == "swapped":
        graph = nx.empty_graph(n)
        graph.add_edges_from(links.T.tolist())
        count = 4 * links.shape[1]
        nx.double_edge_swap(graph, count, max_tries=10_000, seed=int(rng.integers(2**31)))
        return np.array(graph.edges).T
    return np.stack([np.zeros(n - 1, int), np.arange(1, n)])


def chains(seed: int) -> vgae.GraphCollection:
    """Return 120 graphs of both families."""
    rng = np.random.default_rng(seed)
    parts, families = [], rng.integers(0, 2, 120)
    for family in families.tolist():
        n = int(rng.integers(12, 29))
        links = links_of(rng, n, family)
        parts.append(vgae.Graph.from_edges(links, num_nodes=n, x=atoms(rng, links, n)))
    return vgae.GraphCollection.from_graphs(parts, y=families)


DATA = {"chains": chains, "molecules": molecules}


def collection(data: str, seed: int, kind: str) -> tuple[vgae.GraphCollection, np.ndarray]:
    """Return 120 graphs and which of them are unusual; none without a kind."""
    graphs, rng = DATA[data](seed), np.random.default_rng((seed, 1))
    is_odd = np.zeros(120, bool)
    is_odd[rng.choice(120, 12, replace=False)] = bool(kind)
    parts = [*graphs]
    for k in np.flatnonzero(is_odd).tolist():
        links, n, x = parts[k].links.numpy(), parts[k].num_nodes, parts[k].x
        if kind == "shuffled":
            x = x[torch.from_numpy(rng.permutation(n))]
        else:
            links = planted(rng, links, n, kind)
        parts[k] = vgae.Graph.from_edges(links, num_nodes=n, x=x)
    return vgae.GraphCollection.from_graphs(parts, y=graphs.graph_y), is_odd


def measured(data: str, seed: int, kind: str, *, features: bool) -> dict[str, float]:
    """Return accuracies by readout, or AUCs of anomaly scores."""
    given, is_odd = collection(data, seed, kind)
    graphs: Any = given if features else given.without_features()
    split = vgae.split_links(graphs, val=0, test=0, seed=seed)
    result = vgae.fit(graphs, split, recipe=vgae.recipes.PAPER_GRAPHS, seed=seed, progress=False)
    if not kind:
        found = {
            name: classify_graphs(vgae.graph_vectors(result, graphs, name).mu, graphs)
            for name in READOUTS
        }
        sizes = {"size": found["mean"].size.accuracy}
        return {name: score.vectors.accuracy for name, score in found.items()} | sizes
    found = graph_log_likelihood(result, graphs)
    terms = found.vectors[:, :2]
    scores = {
        "anomaly": found.anomaly,
        "both terms": Typical.of(terms).distance(terms),
        "per pair": found.per_pair,
        "per link": -found.log_likelihood / num_links(graphs).clamp(min=1),
        "KL per node": found.kl_per_node,
    }
    return {name: float(roc_auc_score(is_odd, score)) for name, score in scores.items()}


if __name__ == "__main__":
    seeds = [int(word) for word in sys.argv[1:]] or [0, 1, 2]
    rows = []
    for name, data, features in product(("", *KINDS), DATA, (True, False)):
        if name == "shuffled" and not features:
            continue
        runs = [measured(data, seed, name, features=features) for seed in seeds]
        scores = {key: [round(float(row[key]), 4) for row in runs] for key in runs[0]}
        rows.append({"data": data, "kind": name or "families", "features": features, **scores})
        print(rows[-1], file=sys.stderr)
    print(json.dumps({"seeds": seeds, "rows": rows}, indent=1))
