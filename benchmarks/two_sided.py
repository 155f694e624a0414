"""Two-sided graphs: proposals across, AUC and recommendations, beside what others take.

Each seed has a planted graph, and a ratings table that ``vgae train`` reads; 10 % of the links are
held out for validation, which choose the epoch, and 10 % for test. The peers see the same training
links: item-based nearest neighbours (cosine) and scikit-learn's ``TruncatedSVD``, whose width is
chosen on validation links of other seeds, as were the settings of the recipes (``--select``).
``the planted probabilities`` are those that the links were drawn with: no model can be expected to
score higher. ``one-sided`` is trained on the same links as a graph without sides, whose loss and
validation have the pairs within a side as non-links; it is scored on the same pairs across and, as
``auc_of_any_pairs``, on non-links of any two nodes. ``best`` has other settings there, as it had
before there were sides; ``best-two-sided, one-sided`` has the same ones.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
import torch
from sklearn.decomposition import TruncatedSVD
from sklearn.preprocessing import normalize
from torch import Tensor

import vgae
from vgae.evaluation.links import PairScorer
from vgae.evaluation.metrics import link_scores
from vgae.evaluation.recommendation import recommendation_scores
from vgae.graphs.graph import Graph
from vgae.graphs.split import LinkSplit
from vgae.prediction.links import predict_links
from vgae.recipes import Recipe, recipe_named

USERS, ITEMS = 300, 200
WIDTHS = (4, 8, 16, 32, 64)  # of the SVD
TOP = 200  # proposals
Scores = Callable[[Tensor], Tensor]


class Case(NamedTuple):
    """A two-sided graph, its split, the probability of each pair, and the folder of a run, if any.

    The probabilities have the rows and columns of the grid.
    """

    graph: Graph
    split: LinkSplit
    likely: np.ndarray
    run: Path | None = None


def tastes(seed: int, *, inside: float, outside: float, spread: float) -> np.ndarray:
    """Return the probability of each link: blocks of tastes, times activity and popularity.

    Each of six groups of users likes its own group of items and, with probability 1/4, each other
    one. Activity and popularity are log-normal with this spread and mean one.
    """
    rng = np.random.default_rng(seed)
    groups = rng.integers(6, size=USERS), rng.integers(6, size=ITEMS)
    likes = np.eye(6, dtype=bool) | (rng.random((6, 6)) < 0.25)
    active, popular = (
        np.exp(spread * rng.standard_normal(size) - spread**2 / 2) for size in (USERS, ITEMS)
    )
    likely = np.where(likes[groups[0]][:, groups[1]], inside, outside)
    return np.minimum(likely * active[:, None] * popular, 0.9)


def planted(seed: int) -> Case:
    """Return a sparse graph of six latent blocks on either side."""
    likely = tastes(seed, inside=0.12, outside=0.012, spread=0.6)
    links = np.random.default_rng((seed, 1)).random((USERS, ITEMS)) < likely
    graph = Graph.from_scipy(sp.csr_array(links), sides="columns", name="planted")
    return Case(graph, vgae.split_links(graph, val=0.1, test=0.1, seed=seed), likely)


def ratings(seed: int, recipe: str, folder: Path) -> Case:
    """Write a table ``user_id,item_id,rating``; with a recipe, train on it by one command."""
    rng = np.random.default_rng((seed, 2))
    likely = tastes(seed, inside=0.25, outside=0.03, spread=0.9)
    users, items = (rng.random(likely.shape) < likely).nonzero()
    liked = likely[users, items] / likely.max()
    stars = np.clip(np.round(2.5 + 3 * liked + rng.normal(0, 0.8, len(users))), 1, 5).astype(int)
    rows = (f"{u + 1},{i + 1},{s}" for u, i, s in zip(users, items, stars, strict=True))
    table, out = folder / f"ratings-{seed}.csv", folder / f"{recipe}-{seed}"
    table.write_text("\n".join(["user_id,item_id,rating", *rows]) + "\n", encoding="utf-8")
    if not recipe:
        graph = vgae.read_graph(table)
        split = vgae.split_links(graph, val=0.1, test=0.1, seed=seed)
        return Case(graph, split, of_nodes(graph, likely))
    words = ["train", table, "--out", out, "--recipe", recipe, "--seed", str(seed), "--quiet"]
    parts = ["--val", "0.1", "--test", "0.1"]
    subprocess.run([sys.executable, "-m", "vgae", *words, *parts], check=True, stdout=sys.stderr)
    run = vgae.load_run(out)
    return Case(run.graph, run.split, of_nodes(run.graph, likely), out)


def of_nodes(graph: Graph, likely: np.ndarray) -> np.ndarray:
    """Return the probabilities of the users and items of a graph; some may have no rating."""
    grid: Any = graph.grid
    users, items = (
        [int(str(graph.ids[node]).removeprefix(name)) - 1 for node in nodes.tolist()]
        for nodes, name in ((grid.rows, "user_id:"), (grid.columns, "item_id:"))
    )
    return likely[np.ix_(users, items)]


def one_sided(case: Case) -> tuple[Graph, LinkSplit]:
    """Return the same links without sides, and the same parts with non-links of any two nodes."""
    graph = Graph.from_edges(
        case.graph.links,
        edge_weight=case.graph.link_weight,
        num_nodes=case.graph.num_nodes,
        sides="none",
        name=case.graph.name,
    )
    parts = {"val": case.split.val.pos, "test": case.split.test.pos}
    return graph, LinkSplit.from_pairs(graph, **parts, seed=case.split.seed)


def biadjacency(case: Case) -> sp.csr_array:
    """Return the training links as a matrix of users and items."""
    grid: Any = case.graph.grid
    rows, columns = (grid.places[ends].numpy() for ends in case.split.train)
    shape = len(grid.rows), len(grid.columns)
    return sp.csr_array((np.ones(len(rows)), (rows, columns)), shape=shape)


def item_neighbours(case: Case) -> np.ndarray:
    """Return the sums of the cosines of an item with the items of a user."""
    matrix = biadjacency(case)
    unit = normalize(matrix, axis=0)
    cosine = (unit.T @ unit).toarray()
    np.fill_diagonal(cosine, 0)
    return matrix @ cosine


def truncated_svd(case: Case, width: int) -> np.ndarray:
    """Return the matrix of the largest singular values."""
    svd = TruncatedSVD(width, random_state=0)
    return svd.fit_transform(biadjacency(case)) @ svd.components_


def popularity(case: Case) -> np.ndarray:
    """Return the number of links of each item."""
    matrix = biadjacency(case)
    return np.ones((matrix.shape[0], 1)) * matrix.sum(axis=0)


def on_graph(case: Case, scores: np.ndarray) -> Scores:
    """Return scores of users and items as a function of nodes."""
    grid: Any = case.graph.grid

    def rows(nodes: Tensor) -> Tensor:
        out = torch.zeros(len(nodes), case.graph.num_nodes, dtype=torch.float64)
        out[:, grid.columns] = torch.from_numpy(scores)[grid.places[nodes]]
        return out

    return rows


def measured(case: Case, scores: Scores, part: str) -> dict[str, float]:
    """Return the AUC across, and recall, precision and NDCG of the items of each user."""
    graph, pairs = case.graph, getattr(case.split, part)
    grid: Any = graph.grid
    held_out = grid.numbers(pairs.pos)
    known = graph.links[:, ~torch.isin(grid.numbers(graph.links), held_out)]
    users, items = grid.ordered(pairs.edge_label_index)
    nodes, place = users.unique(return_inverse=True)
    values = scores(nodes)[place, items]
    found = recommendation_scores(scores, pairs.pos, known, grid)
    return {"auc": link_scores(values, pairs.edge_label).auc, **found._asdict()}


def fraction_across(case: Case, model: Any, graph: Graph) -> float:
    """Return the fraction of the best proposals that join the two sides."""
    found = predict_links(model, graph, TOP, per_node=False, progress=False)
    sides: Any = case.graph.sides
    return float((sides[found.source] != sides[found.target]).double().mean())


def trained(case: Case, recipe: Recipe, seed: int) -> Any:
    """Train on the two-sided graph, unless ``vgae train`` has."""
    if case.run is not None:
        return vgae.load_run(case.run)
    return vgae.fit(case.graph, case.split, recipe=recipe, seed=seed, progress=False)


def rows_of(case: Case, name: str, seed: int, part: str, width: int) -> Iterator[dict[str, Any]]:
    """Measure a recipe on both kinds of graph."""
    recipe = recipe_named(name)
    model = trained(case, recipe, seed)
    scorer = PairScorer(model, case.graph, case.split.message_edge_index)
    across = fraction_across(case, model, case.graph)
    yield {"row": name, **measured(case, scorer.logits_of, part), "across": across}
    graph, split = one_sided(case)
    pairs = getattr(split, part)
    for own in (name, "best-two-sided") if name == "best" else (name,):
        recipe = recipe_named(own)
        model = vgae.fit(graph, split, recipe=recipe, seed=seed, progress=False)
        scorer = PairScorer(model, graph, split.message_edge_index)
        logits = scorer.logits(pairs.edge_label_index)
        yield {
            "row": f"{own}, one-sided",
            **measured(case, scorer.logits_of, part),
            "across": fraction_across(case, model, graph),
            "auc_of_any_pairs": link_scores(logits, pairs.edge_label).auc,
        }
    if name == "best":
        others = {
            "item neighbours": item_neighbours(case),
            "popularity": popularity(case),
            "truncated SVD": truncated_svd(case, width),
            "the planted probabilities": case.likely,
        }
        for peer, found in others.items():
            yield {"row": peer, **measured(case, on_graph(case, found), part)}


def svd_width(cases: list[Case]) -> int:
    """Return the width of the highest mean recall@20 on validation links."""
    recall = {
        width: statistics.mean(
            measured(case, on_graph(case, truncated_svd(case, width)), "val")["recall_at_20"]
            for case in cases
        )
        for width in WIDTHS
    }
    return max(recall, key=lambda width: recall[width])


def medians(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the median of each figure over the seeds, by row."""
    found = []
    for name in dict.fromkeys(row["row"] for row in rows):
        own = [row for row in rows if row["row"] == name]
        figures = {k: statistics.median(r[k] for r in own) for k in own[0] if k not in _TEXTS}
        found.append({"row": name, **figures})
    return found


_TEXTS = ("row", "seed")


def main() -> None:
    """Measure both data sets, and print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument(
        "--select", nargs="+", type=int, default=[100, 101, 102], help="of the SVD"
    )
    parser.add_argument("--recipes", nargs="+", default=["best", "paper"])
    parser.add_argument("--data", nargs="+", default=["planted", "ratings"])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, help="also write the JSON to this file")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    report: dict[str, Any] = {"versions": {"torch": torch.__version__, "vgae": vgae.__version__}}
    total = len(options.data) * len(options.seeds) * len(options.recipes)
    done = 0
    with tempfile.TemporaryDirectory() as name:
        for data in options.data:
            folder = Path(name)

            def case_of(seed: int, recipe: str, data: str = data, folder: Path = folder) -> Case:
                return planted(seed) if data == "planted" else ratings(seed, recipe, folder)

            width = svd_width([case_of(seed, "") for seed in options.select])
            rows = []
            for seed in options.seeds:
                for recipe in options.recipes:
                    case = case_of(seed, recipe)
                    found = rows_of(case, recipe, seed, "test", width)
                    rows += [{"seed": seed, **row} for row in found]
                    done += 1
                    print(f"{data}: {done} of {total}", file=sys.stderr)
            report[data] = {"svd_width": width, "medians": medians(rows), "sides": rows}
    text = json.dumps(report, indent=1)
    print(text)
    if options.json:
        options.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
