"""Nodes that arrive after the training: how well their links are predicted.

A tenth of the nodes is taken away, features, links and all, and a model is trained on the rest.
Then they arrive with a share of their links; the others are to be told from as many non-links of
theirs.
"""

import argparse
import statistics
from typing import NamedTuple

import torch
from harness import Row, options
from problems import is_there
from report import bar, begin, finish, table
from torch import Tensor

import vgae
from vgae.evaluation.links import PairScorer
from vgae.evaluation.metrics import link_scores
from vgae.graphs.canonical import both_directions
from vgae.graphs.non_links import sample_non_links
from vgae.recipes import RECIPES

NEW = 0.1  # share of the nodes


class Arrival(NamedTuple):
    """A graph in two parts.

    Attributes:
        before: The graph of the nodes that were there in training.
        is_new: Whether a node of the whole graph is none of them, shape ``(N,)``.
    """

    before: vgae.Graph
    is_new: Tensor


def arrival(graph: vgae.Graph, generator: torch.Generator) -> Arrival:
    """Take a share of the nodes away."""
    is_new = torch.zeros(graph.num_nodes, dtype=torch.bool)
    order = torch.randperm(graph.num_nodes, generator=generator)
    is_new[order[: round(NEW * graph.num_nodes)]] = True
    place = (~is_new).cumsum(dim=0) - 1
    links = graph.links[:, ~is_new[graph.links].any(dim=0)]
    assert graph.x is not None  # without features no new node can be embedded
    x = graph.x.to_dense()[~is_new]
    return Arrival(vgae.Graph.from_edges(place[links], x=x, name="before"), is_new)


def judged_pairs(
    graph: vgae.Graph, is_new: Tensor, seen: float, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Return links that messages travel on, and links and non-links of new nodes to be told apart.

    Args:
        graph: The whole graph.
        is_new: Which nodes arrive.
        seen: Share of their links that arrive with them; half of the links are judged, always.
        generator: Of what is drawn.
    """
    of_new = is_new[graph.links].any(dim=0)
    links = graph.links[:, of_new]
    links = links[:, torch.randperm(links.shape[1], generator=generator)]
    half = links.shape[1] // 2
    shown, judged = links[:, : round(2 * seen * half)], links[:, half:]
    # One in five pairs or so has a new node in it: enough are drawn to keep as many.
    others = sample_non_links(graph.links, graph.grid, 20 * judged.shape[1], generator)
    others = others[:, is_new[others].any(dim=0)][:, : judged.shape[1]]
    return torch.cat([graph.links[:, ~of_new], shown], dim=1), judged, others


def run(graph: vgae.Graph, recipe: str, seed: int) -> list[Row]:
    """Train once; return a row per share of links that arrive."""
    generator = torch.Generator().manual_seed(seed)
    before, is_new = arrival(graph, generator)
    split = vgae.split_links(before, test=0, seed=seed)
    model = vgae.fit(before, split, recipe=RECIPES[recipe], seed=seed, progress=False).model
    rows = []
    for seen in (0.5, 0.0):
        pairs = torch.Generator().manual_seed(seed)
        messages, links, others = judged_pairs(graph, is_new, seen, pairs)
        scorer = PairScorer(model, graph, both_directions(messages))
        logits = scorer.logits(torch.cat([links, others], dim=1))
        labels = torch.cat([torch.ones(links.shape[1]), torch.zeros(others.shape[1])])
        scores = link_scores(logits, labels)
        rows.append({"recipe": recipe, "seed": seed, "links_seen": seen, **scores._asdict()})
    return rows


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = options("Judge the links of nodes that arrive later.", threads=(1,), repeats=1)
    parser.add_argument("--dataset", help="default: cora if its files are there, else stdlib")
    parser.add_argument("--recipes", nargs="+", choices=RECIPES, default=["best", "paper"])
    parser.add_argument("--seeds", type=int, default=5)
    args = parser.parse_args()
    args.dataset = args.dataset or ("cora" if is_there("cora") else "stdlib")
    return args


def main() -> None:
    """Measure, then print JSON to stdout and a table to stderr."""
    args = parse()
    torch.set_num_threads(args.threads[0])
    graph = vgae.load_dataset(args.dataset)
    report = begin(args, new=NEW)
    report["trials"] = [
        row
        for recipe in args.recipes
        for seed in range(args.seeds)
        for row in run(graph, recipe, seed)
    ]
    report["rows"] = []
    for recipe in args.recipes:
        for seen in (0.5, 0.0):
            found = [
                r for r in report["trials"] if (r["recipe"], r["links_seen"]) == (recipe, seen)
            ]
            row: Row = {"recipe": recipe, "links_seen": seen}
            for figure in ("auc", "ap"):
                values = [trial[figure] for trial in found]
                row[figure] = statistics.fmean(values)
                row[f"{figure}_deviation"] = statistics.stdev(values) if len(values) > 1 else None
            report["rows"].append(row)
    report["acceptance"] = [
        bar("AUC, half of the links seen", report["rows"][0]["auc"], at_least=0.85)
    ]
    columns = {"recipe": "s", "links_seen": ".1f", "auc": ".4f", "auc_deviation": ".4f"}
    table(report["rows"], columns | {"ap": ".4f", "ap_deviation": ".4f"})
    finish(report, args.json)


if __name__ == "__main__":
    main()
