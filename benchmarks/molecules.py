"""Many small graphs: AUC within graphs, by held-out links and by whole held-out graphs.

Each seed has 120 graphs. ``molecules`` are rings of five or six nodes and chains, joined at free
places, with at most four neighbours a node, in two families (many rings; many chains); their
features are one-hot types that depend on the family and the number of neighbours.
``geometric`` graphs join points that are near each other, ``blocks`` nodes of the same of three
groups; their features are random numbers. A tenth of the links of all graphs, or a fifth of the
links of a tenth of the graphs, are for test, and as many non-links of the same graphs.

``one graph`` is what a batch of graphs was before there were collections: the same links as one
graph, split and trained on pairs across graphs; its model is scored on the same links against
non-links within graphs. ``degrees`` and ``Katz`` are scores without training: minus the product of
the numbers of neighbours, and the sum of walks of all lengths.

The settings of ``paper-graphs`` and ``best-graphs`` were chosen on seeds 100 and 101.
The rate of masked links helps on molecules and costs up to 0.06 on ``blocks``.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import vgae
from vgae.evaluation.links import PairScorer
from vgae.evaluation.metrics import link_scores
from vgae.graphs.collection import GraphCollection
from vgae.graphs.graph import Graph
from vgae.graphs.split import LinkSplit, split_links
from vgae.recipes import PAPER, recipe_named

COUNT = 120
TYPES = ("C", "N", "O", "F", "S")
SHARES = ((0.78, 0.14, 0.04, 0.0, 0.04), (0.68, 0.06, 0.22, 0.0, 0.04))  # of types, by family
MOST = (4, 3, 2, 1, 2)  # neighbours of an atom of each type
Made = tuple[np.ndarray, np.ndarray]


def molecule(rng: np.random.Generator, family: int) -> Made:
    """Return the edges, shape ``(2, E)``, and the type of each node; family 0 has more rings."""
    edges: list[tuple[int, int]] = []
    degree: list[int] = []
    in_ring: set[int] = set()
    size = rng.integers(12, 25)
    while len(degree) < size:
        start, is_ring = len(degree), rng.random() < (0.75, 0.15)[family]
        count = int(rng.choice([5, 6])) if is_ring else int(rng.integers(1, 6))
        piece = range(start, start + count)
        degree += [0] * count
        joined = [(u, u + 1) for u in piece[:-1]] + ([(piece[-1], start)] if is_ring else [])
        if start:
            free = [u for u in range(start) if degree[u] < (3 if u in in_ring else 4)]
            weight = np.array([1.0 if degree[u] < 3 else 0.2 for u in free])
            place = int(rng.choice(free, p=weight / weight.sum()))
            joined.append((place, start + int(rng.integers(count)) * is_ring))
        in_ring |= set(piece) if is_ring else set()
        for u, v in joined:
            degree[u] += 1
            degree[v] += 1
        edges += joined
    kinds = rng.choice(len(TYPES), len(degree), p=SHARES[family])
    kinds = [0 if degree[u] > MOST[kind] else kind for u, kind in enumerate(kinds)]
    kinds = [3 if degree[u] == 1 and rng.random() < 0.15 else k for u, k in enumerate(kinds)]
    order = rng.permutation(len(degree))
    types = np.empty(len(degree), dtype=np.int64)
    types[order] = kinds
    return order[np.array(edges)].T, types


def rewired(rng: np.random.Generator, made: Made) -> Made:
    """Return an outlier: as many random links between the same nodes."""
    edges, types = made
    pairs = np.stack(np.triu_indices(len(types), k=1))
    chosen = rng.choice(pairs.shape[1], min(edges.shape[1], pairs.shape[1]), replace=False)
    return pairs[:, chosen], types


def molecules(seed: int, count: int = COUNT, outliers: float = 0.0) -> GraphCollection:
    """Return molecules of two families, which are ``graph_y``; the first ones are outliers.

    Args:
        seed: Seed.
        count: Number of graphs.
        outliers: Fraction of the graphs that are :func:`rewired`.
    """
    rng = np.random.default_rng(seed)
    family = np.arange(count) % 2
    made = [molecule(rng, kind) for kind in family]
    made = [rewired(rng, m) if k < round(outliers * count) else m for k, m in enumerate(made)]
    graphs = [Graph.from_edges(e, num_nodes=len(t), x=np.eye(len(TYPES))[t]) for e, t in made]
    return GraphCollection.from_graphs(graphs, y=family, name="molecules")


def geometric(seed: int, count: int = COUNT) -> GraphCollection:
    """Return graphs of 15 to 25 points of a square, linked within 0.3, with random features."""
    rng = np.random.default_rng((seed, 1))

    def chance(size: int) -> np.ndarray:
        place = rng.random((size, 2))
        return (((place[:, None] - place) ** 2).sum(axis=-1) < 0.3**2) * 1.0

    return _drawn(rng, chance, count, "geometric")


def blocks(seed: int, count: int = COUNT) -> GraphCollection:
    """Return graphs of 15 to 25 nodes in three groups, with random features."""
    rng = np.random.default_rng((seed, 2))

    def chance(size: int) -> np.ndarray:
        group = rng.integers(3, size=size)
        return np.where(group[:, None] == group, 0.6, 0.08)

    return _drawn(rng, chance, count, "blocks")


def _drawn(
    rng: np.random.Generator, chance: Callable[[int], np.ndarray], count: int, name: str
) -> GraphCollection:
    graphs = []
    for _ in range(count):
        size = int(rng.integers(15, 26))
        edges = np.stack(np.nonzero(np.triu(rng.random((size, size)) < chance(size), k=1)))
        graphs.append(Graph.from_edges(edges, num_nodes=size, x=rng.standard_normal((size, 8))))
    return GraphCollection.from_graphs(graphs, name=name)


DATA = {"molecules": molecules, "geometric": geometric, "blocks": blocks}


def auc(score: Callable[[Tensor], Tensor], split: LinkSplit) -> float:
    """Return the AUC of the test links against non-links of the same graphs."""
    return link_scores(score(split.test.edge_label_index), split.test.edge_label).auc


def as_one_graph(graphs: GraphCollection, split: LinkSplit, seed: int) -> float:
    """Return the AUC within graphs of a model of one graph of all links, with any non-links."""
    one = Graph.from_edges(graphs.links, num_nodes=graphs.num_nodes, x=graphs.x, sides="none")
    parts = {"val": split.val.pos, "test": split.test.pos}
    own = LinkSplit.from_pairs(one, **parts, seed=seed)
    model = vgae.fit(one, own, recipe=replace(PAPER), seed=seed, progress=False)
    return auc(PairScorer(model, one, own.message_edge_index).logits, split)


def untrained(graphs: GraphCollection, split: LinkSplit) -> dict[str, float]:
    """Return the AUC of scores of the messages alone."""
    adj = torch.zeros(graphs.num_nodes, graphs.num_nodes, dtype=torch.float64)
    adj[tuple(split.message_edge_index)] = 1
    degree = adj.sum(dim=1)
    scale = degree.clamp(min=1).rsqrt()
    katz = torch.linalg.inv(torch.eye(len(adj)) - 0.5 * scale[:, None] * adj * scale)
    return {
        "degrees": auc(lambda pairs: -degree[pairs].prod(dim=0), split),
        "Katz": auc(lambda pairs: katz[tuple(pairs)], split),
    }


def rows_of(
    graphs: GraphCollection, seed: int, by: str, recipes: list[str]
) -> Iterator[dict[str, Any]]:
    """Measure all rows on one collection."""
    split = split_links(graphs, by=by, val=0.1, test=0.1, seed=seed)
    for name, value in untrained(graphs, split).items():
        yield {"row": name, "auc": value}
    if by == "links":
        yield {"row": "one graph, paper", "auc": as_one_graph(graphs, split, seed)}
    for name in recipes:
        options = {"recipe": recipe_named(name), "seed": seed, "progress": False}
        model = vgae.fit(graphs, split, **options)
        scorer = PairScorer(model, graphs, split.message_edge_index)
        yield {"row": name, "auc": auc(scorer.logits, split), "seconds": model.seconds}


def main() -> None:
    """Measure all collections, and print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--data", nargs="+", default=[*DATA], choices=[*DATA])
    parser.add_argument("--recipes", nargs="+", default=["paper", "best"])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, help="also write the JSON to this file")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rows = []
    for data in options.data:
        for seed in options.seeds:
            graphs = DATA[data](seed)
            for features in (True, False):
                given: Any = graphs if features else graphs.without_features()
                for by in ("links", "graphs"):
                    own = {"data": data, "by": by, "features": features}
                    found = rows_of(given, seed, by, options.recipes)
                    rows += [{**own, "seed": seed, **r} for r in found]
                    print(f"{data}, seed {seed}, by {by}: done", file=sys.stderr)
    keys = dict.fromkeys((r["data"], r["by"], r["features"], r["row"]) for r in rows)
    means = []
    for key in keys:
        own = [r["auc"] for r in rows if (r["data"], r["by"], r["features"], r["row"]) == key]
        named = dict(zip(("data", "by", "features", "row"), key, strict=True))
        means.append({**named, "auc": statistics.mean(own), "least": min(own)})
    versions = {"torch": torch.__version__, "vgae": vgae.__version__}
    text = json.dumps({"versions": versions, "means": means, "rows": rows}, indent=1)
    print(text)
    if options.json:
        options.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
