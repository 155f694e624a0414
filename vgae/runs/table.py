"""Table of scores over data sets, models and seeds, beside published scores."""

import itertools
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from statistics import mean, stdev
from typing import Any, NamedTuple

from vgae.data.catalog import Features
from vgae.data.splits import read_split
from vgae.errors import UsageError
from vgae.evaluation.links import evaluate_links
from vgae.evaluation.metrics import LinkScores
from vgae.graphs.graph import Graph
from vgae.graphs.split import LinkSplit, split_links
from vgae.models.registry import graph_model
from vgae.recipes import PAPER, Recipe, for_graph
from vgae.runs.opening import open_like, split_config
from vgae.runtime.progress import showing
from vgae.training.links import fit

PUBLISHED = {
    ("cora", "gae", "raw"): LinkScores(0.910, 0.920),
    ("cora", "vgae", "raw"): LinkScores(0.914, 0.926),
    ("citeseer", "gae", "raw"): LinkScores(0.895, 0.899),
    ("citeseer", "vgae", "raw"): LinkScores(0.908, 0.920),
    ("pubmed", "gae", "raw"): LinkScores(0.964, 0.965),
    ("pubmed", "vgae", "raw"): LinkScores(0.944, 0.947),
    ("cora", "gae", "none"): LinkScores(0.843, 0.881),
    ("cora", "vgae", "none"): LinkScores(0.840, 0.877),
    ("citeseer", "gae", "none"): LinkScores(0.787, 0.841),
    ("citeseer", "vgae", "none"): LinkScores(0.789, 0.841),
    ("pubmed", "gae", "none"): LinkScores(0.822, 0.874),
    ("pubmed", "vgae", "none"): LinkScores(0.827, 0.875),
}
"""Test AUC and AP of Kipf & Welling (2016), table 1, by data set, model and features."""


class Trial(NamedTuple):
    """One training: data set, model, seed, recipe for this graph, scores of parts with links."""

    dataset: str
    model: str
    seed: int
    recipe: str
    val: LinkScores | None
    test: LinkScores
    epochs: int
    best_epoch: int
    seconds: float


class Summary(NamedTuple):
    """Mean and standard deviation (n - 1; 0 for one seed) of the test scores over the seeds."""

    dataset: str
    model: str
    features: str
    mean: LinkScores
    deviation: LinkScores
    published: LinkScores | None
    trials: list[Trial]


def run_table(
    datasets: Sequence[str],
    models: Sequence[str],
    *,
    num_seeds: int = 10,
    recipe: Recipe = PAPER,
    features: Features = "raw",
    split: str | os.PathLike[str] | None = None,
    device: str = "auto",
    on_trial: Callable[[Trial], None] | None = None,
    progress: bool | None = None,
) -> list[Summary]:
    """Train every model on every data set, once per seed 0, 1, ...; each seed has its own split.

    Args:
        datasets: Names of data sets or paths of graph files.
        models: Names of models; see :func:`vgae.models.graphs.build_model`.
        num_seeds: Number of seeds, at least 1.
        recipe: Settings of all trainings.
        features: ``"none"`` trains on the links alone.
        split: Path of a split of the one data set, the same for every seed; see
            :func:`vgae.read_split`. If it is of a run by time, the times are no weights here
            either.
        device: See :func:`vgae.fit`.
        on_trial: Called after each training.
        progress: See :func:`vgae.fit`.

    Raises:
        UsageError: If ``split`` is given with several data sets, or has no test links.
    """
    if split is not None and len(datasets) != 1:
        listed = ", ".join(datasets)
        raise UsageError("SPLIT", f"a split is one of a single data set, not of {listed}.")
    # Names are validated before hours of training, not after.
    like = split_config(split)
    graphs = [open_like(like, dataset, features, progress=progress) for dataset in datasets]
    for model in models:
        graph_model(model)
    given = None if split is None else read_split(split, graphs[0])
    if given is not None and not given.test.pos.shape[1]:
        raise UsageError("SPLIT", f"{split} has no test links; a table shows their scores.")
    trials: list[Trial] = []
    planned = list(itertools.product(graphs, models, range(num_seeds)))
    with showing(len(planned), "trials", wanted=progress) as show:
        for number, (graph, model, seed) in enumerate(planned):
            show(number, partial(_so_far, trials, graph.name, model, seed))
            trials.append(_trial(graph, given, model, seed, recipe, device))
            if on_trial is not None:
                on_trial(trials[-1])
        show(len(planned))
    return summarise(trials, features)


def _so_far(trials: Sequence[Trial], dataset: str, model: str, seed: int) -> str:
    """Return the current trial, and the mean scores of the earlier ones like it."""
    like = [trial.test for trial in trials if (trial.dataset, trial.model) == (dataset, model)]
    done = len(like) and (
        f"mean AUC {100 * mean(row.auc for row in like):.1f}"
        f" AP {100 * mean(row.ap for row in like):.1f} of {len(like)}, "
    )
    return f"{done or ''}{dataset} {model} seed {seed}"


def _trial(
    graph: Graph, split: LinkSplit | None, model: str, seed: int, recipe: Recipe, device: str
) -> Trial:
    """Split, unless a split is given, train and test with one seed."""
    split = split or split_links(graph, seed=seed)
    recipe = for_graph(recipe, graph)
    result = fit(
        graph, split, model=model, recipe=recipe, seed=seed, device=device, progress=False
    )
    scores = evaluate_links(result.model, graph, split)
    return Trial(
        dataset=graph.name,
        model=model,
        seed=seed,
        recipe=recipe.name,
        val=scores.get("val"),
        test=scores["test"],
        epochs=len(result.history),
        best_epoch=result.best_epoch,
        seconds=result.seconds,
    )


def summarise(trials: Sequence[Trial], features: str) -> list[Summary]:
    """Return mean and deviation of the test scores over the seeds, per data set and model."""
    groups: dict[tuple[str, str], list[Trial]] = {}
    for trial in trials:
        groups.setdefault((trial.dataset, trial.model), []).append(trial)
    summaries = []
    for (dataset, model), rows in groups.items():
        columns = list(zip(*(row.test for row in rows), strict=True))
        means = LinkScores(*map(mean, columns))
        deviation = LinkScores(*(stdev(c) if len(c) > 1 else 0.0 for c in columns))
        published = PUBLISHED.get((dataset, model, features))
        summaries.append(Summary(dataset, model, features, means, deviation, published, rows))
    return summaries


def protocol(
    recipe: Recipe,
    features: str,
    num_seeds: int,
    split: str | os.PathLike[str] | None = None,
    models: Sequence[str] = (),
) -> str:
    """Return the protocol of a table as one paragraph; for arguments see :func:`run_table`."""
    directed = any(getattr(graph_model(name).decoder_class, "directed", False) for name in models)
    scores = "logits of the decoders at" if directed else "inner products of"
    kept = "the last epoch" if recipe.keep == "last" else "the best epoch by validation AUC + AP"
    links = (
        "each with its own random split of the links (85 % train, 5 % validation, 10 % test, as"
        " many non-links)"
        if split is None
        else f"all with the same split of the links and the same non-links, {Path(split).name}"
    )
    return (
        f"Test AUC / AP in per cent, mean ± standard deviation over {num_seeds} seeds, {links}."
        f" Messages travel on no held-out link, also at test. Scores are {scores} the posterior"
        f" means after {kept}."
        f" Recipe: {recipe.name}, at most {recipe.epochs} epochs; features: {features}."
        " Published: Kipf & Welling (2016), table 1: one fixed split, mean over 10"
        " initialisations."
    )


def to_json(summaries: Sequence[Summary], recipe: Recipe, text: str) -> dict[str, Any]:
    """Return the table as plain values, with a row per seed."""
    rows = []
    for summary in summaries:
        row: dict[str, Any] = summary._asdict()
        for key in ("mean", "deviation", "published"):
            row[key] = row[key] and row[key]._asdict()
        row["trials"] = [
            {
                **trial._asdict(),
                "val": trial.val and trial.val._asdict(),
                "test": trial.test._asdict(),
            }
            for trial in summary.trials
        ]
        rows.append(row)
    return {"protocol": text, "recipe": asdict(recipe), "rows": rows}
