"""What each part of ``best`` is worth: the recipe without it, on validation links.

15 % of the links are held out for validation and none for test, on splits of seeds 100 and up,
which the quality table never sees. Every variant is trained on the same splits, and the epoch is
chosen as ``fit`` does, on the same links: that flatters all variants alike. A result is stored, so
that an interrupted run goes on where it was.
"""

import argparse
import json
import multiprocessing
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any, NamedTuple

import torch
from harness import Row, say
from problems import named_graph
from quality_tables import markdown
from report import begin

import vgae
from vgae.errors import NumericalError
from vgae.graphs.graph import Graph
from vgae.models.files import write_json
from vgae.recipes import BEST, PAPER, Recipe
from vgae.recipes.graphs import for_graph
from vgae.runtime.progress import Pace

VARIANTS: dict[str, dict[str, Any]] = {
    "best": {},
    "links seen while they are predicted": {"mask": 0.0},
    "messages of any length": {"latent_norm": 0.0},
    "no bias in the logit": {"logit_bias": False},
    "degrees not told": {"degrees": False},
    "no weight decay": {"weight_decay": 0.0},
    "log sigma starts at 0": {"initial_logstd": 0.0},
    "lr 0.01": {"lr": 0.01},
    "self-loops weigh 1": {"self_loop_weight": 1.0},
    "no dropout of features": {"feature_dropout": 0.0},
    "no dropout of the hidden layer": {"dropout": 0.0},
    "last weights instead of their average": {"average": False},
    "relu": {"activation": "relu"},
    "32 hidden, 16 latent": {"hidden_channels": 32, "latent_channels": 16},
    "features as they are": {"scale_features": False},
    "all pairs instead of samples": {"pairs": "exact"},
    "no KL divergence": {"beta": 0.0},
    "no noise either (GAE)": {"model": "gae"},
    "paper": {"recipe": PAPER},
    "paper, best epoch": {"recipe": replace(PAPER, keep="best")},
}
PUNCTUATION = str.maketrans(",()", "   ")
Key = tuple[str, str, int]  # data set, variant, seed


class Job(NamedTuple):
    """One training; see the options of this script."""

    dataset: str
    features: str
    variant: str
    seed: int
    folder: Path

    @property
    def path(self) -> Path:
        """Where its result lies."""
        name = "-".join([*self.variant.translate(PUNCTUATION).split(), str(self.seed)])
        return self.folder / f"{Path(self.dataset).stem}-{self.features}" / f"{name}.json"


def run(job: Job) -> Row:
    """Return the validation scores of one variant on one split, stored ones if they are there."""
    graph = named_graph(job.dataset, job.features)
    settings = dict(VARIANTS[job.variant])
    model = settings.pop("model", "vgae")
    recipe = for_graph(replace(settings.pop("recipe", BEST), **settings), graph)
    described = f"model = {model}\n{recipe}"
    if job.path.exists():
        result = json.loads(job.path.read_text())
        if result["settings"] == described:
            return result
    result = {"settings": described} | trained(graph, model, recipe, job.seed)
    job.path.parent.mkdir(parents=True, exist_ok=True)
    write_json(job.path, result)
    return result


def trained(graph: Graph, model: Any, recipe: Recipe, seed: int) -> Row:
    """Return the validation scores after a training."""
    torch.set_num_threads(1)
    split = vgae.split_links(graph, val=0.15, test=0, seed=seed)
    try:
        result = vgae.fit(graph, split, model=model, recipe=recipe, seed=seed, progress=False)
    except NumericalError:
        return {"auc": None, "ap": None, "seconds": None}
    row = [row for row in result.history if row.val_auc is not None]
    kept = result.best_epoch if recipe.keep == "best" else len(result.history)
    scores = next(r for r in row if r.epoch == kept)
    return {"auc": scores.val_auc, "ap": scores.val_ap, "seconds": result.seconds}


def summary(results: dict[Key, Row], dataset: str, seeds: range) -> list[Row]:
    """Return each variant's mean over the splits, and its mean difference to ``best``."""
    rows = []
    for name in VARIANTS:
        row: Row = {"dataset": dataset, "variant": name}
        for figure in ("auc", "ap", "seconds"):
            values = [results[dataset, name, seed][figure] for seed in seeds]
            if None in values:
                continue  # it left the finite numbers
            row[figure] = mean(values)
            lost = [
                v - results[dataset, "best", s][figure] for v, s in zip(values, seeds, strict=True)
            ]
            row[f"{figure}_difference"] = mean(lost)
            row[f"{figure}_deviation"] = stdev(lost) if len(lost) > 1 else 0.0
        rows.append(row)
    return rows


def table(rows: list[Row]) -> str:
    """Return the variants of one data set in Markdown, the costliest loss first."""
    lines = [["best without a part", "AUC", "AP", "AUC - best", "AP - best", "s"]]
    for row in sorted(rows, key=lambda row: -row.get("auc", 0) - 2 * (row["variant"] == "best")):
        if "auc" not in row:
            lines.append([row["variant"], "diverged", *[""] * 4])
            continue
        differences = [
            f"{100 * row[f'{f}_difference']:+.2f} ± {100 * row[f'{f}_deviation']:.2f}"
            for f in ("auc", "ap")
        ]
        scores = [f"{100 * row[f]:.2f}" for f in ("auc", "ap")]
        lines.append([row["variant"], *scores, *differences, f"{row['seconds']:.0f}"])
    return markdown(lines)


def progress(result: Row) -> str:
    """Return one line about a training that is done."""
    if result["auc"] is None:
        return "diverged"
    return f"{100 * result['auc']:.2f} / {100 * result['ap']:.2f}, {result['seconds']:.0f} s"


def main() -> None:
    """Train all variants, then print JSON to stdout and tables to stderr."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--datasets", nargs="+", default=["cora", "citeseer"], help="or files")
    parser.add_argument("--features", default="raw", choices=["raw", "none"])
    parser.add_argument("--seeds", type=int, default=3, help="splits")
    parser.add_argument("--first-seed", type=int, default=100, help="seed of the first split")
    parser.add_argument("--jobs", type=int, default=2, help="processes, one thread each")
    parser.add_argument("--folder", type=Path, default=Path("runs/ablation"))
    parser.add_argument("--json", type=Path, help="also write the JSON to this file")
    args = parser.parse_args()
    head = begin(args)
    seeds = range(args.first_seed, args.first_seed + args.seeds)
    jobs = [
        Job(dataset, args.features, name, seed, args.folder)
        for dataset in args.datasets
        for seed in seeds
        for name in VARIANTS
    ]
    results: dict[Key, Row] = {}
    pace = Pace(len(jobs), "jobs")
    with multiprocessing.get_context("spawn").Pool(args.jobs) as pool:
        for job, result in zip(jobs, pool.imap(run, jobs), strict=True):
            results[job.dataset, job.variant, job.seed] = result
            pace(len(results))
            name = f"{job.dataset} {job.seed} {job.variant}"
            say(f"{pace.counts()} {name}: {progress(result)}  {pace.time()}")
    rows = {dataset: summary(results, dataset, seeds) for dataset in args.datasets}
    for dataset, variants in rows.items():
        say(f"\n### {dataset}\n\n{table(variants)}")
    text = json.dumps(head | {"rows": rows}, indent=1, default=str)
    print(text)
    if args.json:
        args.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
