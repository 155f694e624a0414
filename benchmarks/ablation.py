"""What each part of ``best`` is worth: the recipe without it, on validation links.

15 % of the links are held out for validation and none for test, on splits of seeds 100 and up,
which the quality table never sees. Every variant is trained on the same splits, and the epoch is
chosen as ``fit`` does, on the same links: that flatters all variants alike.
"""

import argparse
import json
import multiprocessing
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch
from harness import Row, say
from quality_tables import markdown
from report import begin

import vgae
from vgae.errors import NumericalError
from vgae.recipes import BEST, PAPER
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
Job = tuple[str, str, int]


def run(job: Job) -> Row:
    """Train one variant on one split; return its validation scores."""
    dataset, name, seed = job
    torch.set_num_threads(1)
    graph = vgae.load_dataset(dataset)
    split = vgae.split_links(graph, val=0.15, test=0, seed=seed)
    settings = dict(VARIANTS[name])
    model = settings.pop("model", "vgae")
    recipe = settings.pop("recipe", BEST)
    recipe = replace(recipe, **settings)
    try:
        result = vgae.fit(graph, split, model=model, recipe=recipe, seed=seed, progress=False)
    except NumericalError:
        return {"auc": None, "ap": None, "seconds": None}
    row = [row for row in result.history if row.val_auc is not None]
    kept = result.best_epoch if recipe.keep == "best" else len(result.history)
    scores = next(r for r in row if r.epoch == kept)
    return {"auc": scores.val_auc, "ap": scores.val_ap, "seconds": result.seconds}


def summary(results: dict[Job, Row], dataset: str, seeds: list[int]) -> list[Row]:
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
    parser.add_argument("--datasets", nargs="+", default=["cora", "citeseer"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[100, 101, 102])
    parser.add_argument("--jobs", type=int, default=2, help="processes, one thread each")
    parser.add_argument("--json", type=Path, help="also write the JSON to this file")
    args = parser.parse_args()
    head = begin(args)
    jobs = [(d, name, seed) for d in args.datasets for name in VARIANTS for seed in args.seeds]
    results: dict[Job, Row] = {}
    pace = Pace(len(jobs), "jobs")
    with multiprocessing.get_context("spawn").Pool(args.jobs) as pool:
        for job, result in zip(jobs, pool.imap(run, jobs), strict=True):
            results[job] = result
            dataset, name, seed = job
            pace(len(results))
            say(f"{pace.counts()} {dataset} {seed} {name}: {progress(result)}  {pace.time()}")
    rows = {dataset: summary(results, dataset, args.seeds) for dataset in args.datasets}
    for dataset, variants in rows.items():
        say(f"\n### {dataset}\n\n{table(variants)}")
    text = json.dumps(head | {"rows": rows}, indent=1, default=str)
    print(text)
    if args.json:
        args.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
