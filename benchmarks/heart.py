"""Link prediction on HeaRT's splits: ranks among hard non-links, and among all uniform ones.

One split per data set, several seeds of the weights. Messages travel over training links only.
Each training is stored with the logits of all pairs, so that an interrupted run continues, and
figures and ensembles are computed from what is stored. Settings are to be chosen by
``--validation``, which shows no figure of a test link.
"""

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from harness import CannotRun, Row, say
from heart_data import (
    EXISTING,
    OWN_RANKS,
    PARTS,
    PUBLISHED_EXISTING,
    RECALLED,
    Data,
    figures,
    read_data,
    with_own,
)
from jobs import add_options, finished
from link_peers import PEERS
from quality_tables import markdown, per_cent, spread
from report import begin, finish
from scorers import Ours, Scorer
from torch import Tensor

from vgae.cli.options import changes_of
from vgae.data.catalog import Features
from vgae.models.files import write_json
from vgae.recipes import Recipe, recipe_named
from vgae.recipes.graphs import VARIANTS
from vgae.runtime.npz import write_arrays

ROWS = ["vgae", "best", "common-neighbours", "adamic-adar", "resource-allocation", "features"]
SHORT = {"vgae": "vgae:paper", "gae": "gae:paper"}
DETERMINISTIC = {
    *("preferential-attachment", "common-neighbours", "adamic-adar", "resource-allocation"),
    *("katz", "pagerank"),
}
Logits = dict[str, dict[str, Tensor]]
"""Scores of pairs, by part and by the names of ``Held.pairs``."""


class Job(NamedTuple):
    """One training; see the options of this script."""

    dataset: str
    features: Features
    row: str
    changes: tuple[str, ...]
    select: str
    seed: int
    folder: Path

    @property
    def name(self) -> str:
        """The row and what was changed."""
        select = ("chosen by hard non-links",) * (self.select == "heart")
        return ", ".join([self.row, *self.changes, *select])

    @property
    def path(self) -> Path:
        """Where its result lies, without the suffix of the file."""
        parts = [self.row.replace(":", "-"), *self.changes, self.select, str(self.seed)]
        return self.folder / f"{self.dataset}-{self.features}" / "_".join(parts)

    def model_and_recipe(self) -> tuple[str, Recipe] | None:
        """Return name of the model and settings; ``None`` for a peer."""
        if self.row in PEERS:
            return None
        model, _, recipe = SHORT.get(self.row, self.row).rpartition(":")
        return model or "vgae", recipe_named(recipe).override(changes_of(self.changes))

    def settings(self) -> str:
        """Return what a stored result depends on besides the names in its path."""
        found = self.model_and_recipe()
        if found is None:
            return ""
        model, recipe = found
        variants = (recipe_named(name) for name in VARIANTS.get(recipe.name, ()))
        return "\n".join(map(str, (model, recipe, *variants)))

    def stored(self) -> Row | None:
        """Return the result, if there is one with the same settings."""
        path = Path(f"{self.path}.json")
        if not path.exists():
            return None
        result = json.loads(path.read_text())
        return result | {"job": self} if result["settings"] == self.settings() else None

    def run(self) -> Row:
        """Train, score all pairs and write; return the result."""
        torch.set_num_threads(1)
        row: Row = {"job": self}
        start = time.perf_counter()
        try:
            data = read_data(self.dataset, self.features, self.folder)
            scorer = self.train(data)
        except CannotRun as error:
            return row | {"skipped": str(error)}
        z = scorer.embed(data.split.message_edge_index)
        logits = {
            f"{part}_{kind}": scorer.logits(z, pairs).float().numpy()
            for part, held in data.held.items()
            for kind, pairs in held.pairs().items()
        }
        seconds = time.perf_counter() - start
        stored = {"settings": self.settings(), "seconds": seconds, "origin": data.origin}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_arrays(f"{self.path}.npz", logits)
        write_json(Path(f"{self.path}.json"), stored)
        return row | stored

    def train(self, data: Data) -> Scorer:
        """Train the row."""
        split = with_own(data) if self.select == "heart" else data.split
        ours = self.model_and_recipe()
        if ours is None:
            return PEERS[self.row](data.graph, split, self.seed)
        return Ours(data.graph, split, self.seed, model=ours[0], recipe=ours[1])

    def logits(self) -> Logits:
        """Return the stored scores."""
        found: Logits = {part: {} for part in PARTS}
        with np.load(f"{self.path}.npz") as arrays:
            for name, values in arrays.items():
                part, kind = name.split("_")
                found[part][kind] = torch.from_numpy(values)
        return found


def summarise(results: Sequence[Row], parts: Sequence[str], *, ensembles: bool) -> list[Row]:
    """Return a row per row and data set: mean and deviation of each figure over the seeds."""
    groups: dict[tuple[str, str, str], list[Row]] = defaultdict(list)
    for result in results:
        job = result["job"]
        groups[job.dataset, job.features, job.name].append(result)
    rows = []
    for (dataset, features, name), trials in groups.items():
        logits = [trial["job"].logits() for trial in trials]
        row: Row = {"dataset": dataset, "features": features, "row": name}
        row |= {"origin": trials[0]["origin"], "seeds": len(trials)}
        rows.append(row | {"seconds": spread(t["seconds"] for t in trials)})
        rows[-1] |= {part: _spreads([figures(one[part]) for one in logits]) for part in parts}
        if ensembles and len(trials) > 1:
            both = together(logits)
            rows.append(row | {"row": f"{name}, {len(trials)} seeds together", "seeds": 1})
            rows[-1] |= {part: _spreads([figures(both[part])]) for part in parts}
    return rows


def _spreads(trials: Sequence[Mapping[str, float]]) -> Row:
    return {figure: spread(trial[figure] for trial in trials) for figure in trials[0]}


def together(members: Sequence[Logits]) -> Logits:
    """Return the mean of several trainings' logits.

    Each is brought to mean 0 and deviation 1 over validation links and uniform non-links before.
    """
    scaled = []
    for one in members:
        pairs = torch.cat([one["val"]["pos"], one["val"]["neg"]])
        mean, deviation = pairs.mean(), pairs.std()
        scaled.append({(p, k): (v - mean) / deviation for p in one for k, v in one[p].items()})
    return {
        part: {kind: torch.stack([one[part, kind] for one in scaled]).mean(0) for kind in kinds}
        for part, kinds in members[0].items()
    }


def tables(rows: Sequence[Row], parts: Sequence[str]) -> str:
    """Return a table in Markdown per data set and part, then the published figures."""
    text = []
    for dataset, features, origin in dict.fromkeys(
        (row["dataset"], row["features"], row["origin"]) for row in rows
    ):
        chosen = [row for row in rows if (row["dataset"], row["features"]) == (dataset, features)]
        for part in parts:
            text.append(f"### {dataset}, features: {features}, {PARTS[part]} links; {origin}")
            text.append(_table(chosen, part))
        if "test" in parts:
            text += published(dataset)
    return "\n\n".join(text)


def _table(rows: Sequence[Row], part: str) -> str:
    columns = {"MRR": "mrr", **{f"Hits@{k}": f"hits_at_{k}" for k in OWN_RANKS}}
    columns |= {"AUC": "auc", "AP": "ap", "MRR, existing": "existing_mrr"}
    columns |= {"Hits@10, existing": "existing_hits_at_10"}
    shown = {title: name for title, name in columns.items() if name in rows[0][part]}
    order = next(iter(shown.values()))
    lines = [["row", "seeds", *shown, "s"]]
    for row in sorted(rows, key=lambda row: -row[part][order]["mean"]):
        cells = [_cell(row[part][name], row["seeds"]) for name in shown.values()]
        seconds = f"{row['seconds']['mean']:.0f}" if "seconds" in row else ""
        lines.append([row["row"], str(row["seeds"]), *cells, seconds])
    return markdown(lines)


def _cell(figure: Mapping[str, float], trials: int) -> str:
    return per_cent(figure) if trials > 1 else f"{100 * figure['mean']:.2f}"


def published(dataset: str) -> list[str]:
    """Return the published figures of a data set, those without a source marked as such."""
    text = []
    if existing := PUBLISHED_EXISTING.get(dataset):
        lines = [["published", "MRR, existing"], *([k, f"{v:.2f}"] for k, v in existing.items())]
        text += [f"Published, {EXISTING}; their splits.", markdown(lines)]
    if recalled := RECALLED.get(dataset):
        lines = [["row", "MRR", "Hits@10"]]
        for name, (mrr, hits) in recalled.items():
            lines.append([name, f"{mrr:.2f}", "" if hits is None else f"{hits:.2f}"])
        text += ["HeaRT's setting: RECALLED, NOT CHECKED against a source.", markdown(lines)]
    return text


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Predict links on HeaRT's splits.")
    parser.add_argument("--datasets", nargs="+", default=["citeseer"])
    parser.add_argument("--features", default="raw", choices=["raw", "none"])
    parser.add_argument(
        *("--rows",),
        nargs="+",
        default=ROWS,
        help=f"recipes, MODEL:RECIPE such as gae:paper, or peers: {', '.join(PEERS)}",
    )
    parser.add_argument("--set", nargs="+", default=[], help="FIELD=VALUE of the recipes")
    parser.add_argument(
        *("--select",),
        default="uniform",
        choices=["uniform", "heart"],
        help="non-links of validation links by which epochs are chosen",
    )
    parser.add_argument("--validation", action="store_true", help="no figure of a test link")
    parser.add_argument("--ensembles", action="store_true", help="rows of all seeds together")
    add_options(parser, "runs/heart")
    return parser.parse_args()


def jobs_of(args: argparse.Namespace) -> list[Job]:
    """Return all jobs, the first seed of every row before the second."""
    jobs = []
    for seed in range(args.first_seed, args.first_seed + args.seeds):
        for dataset in args.datasets:
            for row in args.rows:
                peer = row in PEERS
                changes, select = ((), "uniform") if peer else (tuple(args.set), args.select)
                job = Job(dataset, args.features, row, changes, select, seed, args.folder)
                job.settings()  # raises for a recipe that does not exist
                if seed == args.first_seed or row not in DETERMINISTIC:
                    jobs.append(job)
    return jobs


def progress(result: Row) -> str:
    """Return one line about a job that is done: figures of validation links alone."""
    job = result["job"]
    name = f"{job.dataset} {job.name}, seed {job.seed}"
    if "skipped" in result:
        return f"{name}: {result['skipped']}"
    found = figures(job.logits()["val"])
    ranks = f"MRR {100 * found.get('mrr', found['existing_mrr']):.2f}"
    return f"{name}: validation {ranks}, AUC {100 * found['auc']:.2f}, {result['seconds']:.0f} s"


def main() -> None:
    """Run what is missing, then print JSON to stdout and tables to stderr."""
    args = parse()
    report = begin(args)
    parts = ["val"] if args.validation else [*PARTS]
    results = finished(jobs_of(args), progress, args.jobs)
    report["rows"] = summarise(results, parts, ensembles=args.ensembles)
    say(tables(report["rows"], parts))
    finish(report, args.json)


if __name__ == "__main__":
    main()
