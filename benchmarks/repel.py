"""When dimensions that repel help: link prediction with ``repel`` = 0, d / 4 and d / 2.

Each graph is trained as one-sided, with the settings of a named recipe as they are.
"""

import argparse
import statistics
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from harness import Row, answer, compare, options
from problems import is_there
from report import begin, finish, table

import vgae
from vgae.data.named import load_dataset
from vgae.evaluation.links import evaluate_links
from vgae.graphs.graph import Graph
from vgae.recipes import recipe_named

BLOCKS, NODES = 5, 300


def block_graph(by_distance: tuple[float, float, float], seed: int) -> Graph:
    """Return 300 nodes in a ring of five blocks, of which a pair links by the blocks' distance."""
    block = np.arange(NODES) % BLOCKS
    distance = abs(block[:, None] - block)
    distance = np.minimum(distance, BLOCKS - distance)
    return _drawn(np.array(by_distance)[distance], seed, "blocks")


def two_sides(seed: int) -> Graph:
    """Return 180 and 120 nodes in five groups, which link across only, mostly within a group."""
    group, second = np.arange(NODES) % BLOCKS, np.arange(NODES) >= 180
    chance = np.where(group[:, None] == group, 0.25, 0.02)
    return _drawn(chance * (second[:, None] != second), seed, "two sides")


def _drawn(chance: np.ndarray, seed: int, name: str) -> Graph:
    drawn = np.random.default_rng(seed).random(chance.shape) < chance
    links = np.stack(np.nonzero(np.triu(drawn, k=1)))
    return Graph.from_edges(links, num_nodes=NODES, name=name, sides="none")


GRAPHS: dict[str, Callable[[int], Graph]] = {
    "two-sided": two_sides,
    "disassortative": lambda seed: block_graph((0.01, 0.12, 0.01), seed),
    "assortative": lambda seed: block_graph((0.25, 0.01, 0.01), seed),
    "cora": lambda _: load_dataset("cora"),
}


def run_side(args: argparse.Namespace) -> Row:
    """Train once per seed; return mean and standard deviation of the test scores."""
    recipe = replace(recipe_named(args.recipe), repel=args.repel, pairs="exact")
    found: dict[str, list[float]] = {"auc": [], "ap": []}
    for seed in range(args.seeds):
        graph = GRAPHS[args.side](seed)
        split = vgae.split_links(graph, seed=seed)
        result = vgae.fit(graph, split, recipe=recipe, seed=seed, progress=False)
        scores = evaluate_links(result.model, graph, split)["test"]
        found["auc"].append(scores.auc)
        found["ap"].append(scores.ap)
    row: Row = {}
    for name, values in found.items():
        deviation = statistics.stdev(values) if len(values) > 1 else None
        row |= {name: statistics.mean(values), f"{name}_std": deviation}
    return row


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = options("Measure dimensions that repel.", threads=(1,), repeats=1)
    parser.add_argument("--recipe", default="paper")
    parser.add_argument("--seeds", type=int, default=5, help="of graph, split and training")
    parser.add_argument("--graphs", nargs="+", choices=GRAPHS, default=list(GRAPHS))
    parser.add_argument("--repel", type=int, default=0, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Measure, then print JSON to stdout and a table to stderr."""
    args = parse()
    if args.side:
        answer(lambda: run_side(args))
        return
    width = recipe_named(args.recipe).latent_channels
    report = begin(args, latent_channels=width)
    names = [name for name in args.graphs if name != "cora" or is_there("cora")]
    sizes = (0, width // 4, width // 2)
    cells = [{"side": name, "repel": size} for name in names for size in sizes]
    report["rows"] = compare(cells, args.repeats)
    columns = {"side": "s", "repel": "d"}
    table(report["rows"], columns | dict.fromkeys(("auc", "auc_std", "ap", "ap_std"), ".3f"))
    finish(report, args.json)


if __name__ == "__main__":
    main()
