"""Table of scores over data sets, models and seeds, beside published scores."""

import itertools
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from statistics import mean, stdev
from typing import Any, NamedTuple

import torch

from vgae.errors import ArtifactError, UsageError
from vgae.evaluation.metrics import LinkScores
from vgae.graphs.whole_graphs import HIDE
from vgae.models.files import read_json, write_json
from vgae.models.registry import graph_model
from vgae.recipes import Recipe
from vgae.runs.folder import stored_recipe, understood, versions
from vgae.runs.resume import tell_changes
from vgae.runs.trials import (
    TableSettings,
    Task,
    Trial,
    in_this_process,
    in_workers,
    trial_threads,
)
from vgae.runtime.devices import Compute
from vgae.runtime.progress import showing

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
    jobs: int | None = None,
    out: str | os.PathLike[str] | None = None,
    resume: bool = False,
    on_trial: Callable[[Trial], None] | None = None,
    progress: bool | None = None,
    **settings: Any,
) -> list[Summary]:
    """Train every model on every data set, once per seed 0, 1, ...; each seed has its own split.

    Args:
        datasets: Names of data sets or paths of graph files.
        models: Names of models; see :func:`vgae.models.graphs.build_model`.
        jobs: Number of worker processes, at least 1, by default none. With it, each training on a
            CPU has the same number of threads (:func:`vgae.runs.trials.trial_threads`), so that
            the scores do not depend on it; 1 trains in this process. With several, trainings are
            divided among the GPUs too, the training of a process that is killed is repeated, and a
            script must call this under ``if __name__ == "__main__":``.
        out: JSON file, which is written after each training.
        resume: Do not repeat the trainings that are in ``out``, if it exists. The command may have
            more data sets, models or seeds than the one before.
        on_trial: Called after each training, in the order of completion.
        progress: See :func:`vgae.fit`.
        **settings: Fields of :class:`vgae.runs.trials.TableSettings`.

    Raises:
        ArtifactError: If ``out`` has trainings on another graph, with other settings, or that this
            table does not have.
        ResourceError: ``WORKER_LOST`` if the process of one training is killed three times.
        UsageError: If ``split`` is given with several data sets, or has no test links.
        VgaeError: As :func:`vgae.fit`, with the name of the training.
    """
    rule = TableSettings(**settings)
    datasets, models = list(dict.fromkeys(datasets)), list(dict.fromkeys(models))
    if not datasets or not models:
        raise UsageError("TABLE", "a table is of at least one data set and one model; name them.")
    if rule.split is not None and len(datasets) != 1:
        listed = ", ".join(datasets)
        raise UsageError("SPLIT", f"a split is one of a single data set, not of {listed}.")
    # Names are validated before hours of training, not after.
    opened = {dataset: rule.open(dataset, progress=progress) for dataset in datasets}
    for model in models:
        graph_model(model)
    seeds = range(rule.num_seeds)
    tasks = [Task.of(*one) for one in itertools.product(opened.items(), models, seeds)]
    text = protocol(rule.recipe, rule.features, rule.num_seeds, rule.split, models, rule.split_by)
    head = _head(rule, tasks, trial_threads(jobs))
    done = _done(out, rule, head, tasks) if resume else {}
    left = [number for number in range(len(tasks)) if number not in done]

    def summaries() -> list[Summary]:
        return summarise([done[number] for number in sorted(done)], rule.features)

    with showing(len(tasks), "trials", wanted=progress) as show:
        show.begin(len(done))

        def wait(at_work: Sequence[Task]) -> None:
            show(len(done), partial(_so_far, done, at_work))

        def finish(index: int, trial: Trial) -> None:
            done[left[index]] = trial
            if out is not None:  # each time, so that an interrupted table keeps its rows
                write_json(out, to_json(summaries(), rule.recipe, text, **head))
            if on_trial is not None:
                on_trial(trial)

        todo = [tasks[number] for number in left]
        if jobs is not None and jobs > 1:
            opened.clear()
            in_workers(rule, todo, jobs, on_trial=finish, on_wait=wait)
        else:
            in_this_process(rule, todo, jobs, opened, on_trial=finish, on_wait=wait)
        show(len(tasks))
    return summaries()


def _so_far(trials: Mapping[int, Trial], at_work: Sequence[Task]) -> str:
    """Return the trainings at work, and the mean scores of the earlier ones like the first."""
    first = at_work[0].data, at_work[0].model
    like = [t.test for t in list(trials.values()) if (t.data, t.model) == first]
    done = len(like) and (
        f"mean AUC {100 * mean(row.auc for row in like):.1f}"
        f" AP {100 * mean(row.ap for row in like):.1f} of {len(like)}, "
    )
    return f"{done or ''}{', '.join(map(str, at_work))}"


def _head(rule: TableSettings, tasks: Sequence[Task], threads: int) -> dict[str, Any]:
    """Return the entries of a table's JSON on the split and on what may change the last bits."""
    name = Compute.of(rule.device).device
    has_gpu = name == "auto" and torch.cuda.is_available()
    return {
        "features": rule.features,
        "split": next((task.split for task in tasks if task.split), rule.split_by),
        "device": "cuda" if has_gpu or name.startswith("cuda") else "cpu",
        "threads": threads,
        "versions": versions(),
    }


def _done(
    out: str | os.PathLike[str] | None,
    rule: TableSettings,
    head: Mapping[str, Any],
    tasks: Sequence[Task],
) -> dict[int, Trial]:
    """Return the finished trainings in a table's JSON by their numbers; see :func:`run_table`."""
    if out is None or not (path := Path(out)).exists():
        return {}
    content = read_json(path)
    with understood(path):
        stored = asdict(stored_recipe(Recipe, content)) | {k: content[k] for k in head}
        trials = [_trial(row) for summary in content["rows"] for row in summary["trials"]]
    for name, value in {**asdict(rule.recipe), **head}.items():
        if stored[name] != value and name not in ("device", "threads", "versions"):
            raise ArtifactError(
                "RUN_OTHER",
                f"{path} began with {name} = {stored[name]}, not {value}; leave that as it was, or"
                " choose another file (out, --out).",
            )
    tell_changes(content, head["device"], head["threads"])
    numbers = {(task.data, task.model, task.seed): n for n, task in enumerate(tasks)}
    found = {numbers.get((trial.data, trial.model, trial.seed), -1): trial for trial in trials}
    if (other := found.get(-1)) is not None:
        what = f"{path} has {other.dataset} {other.model} seed {other.seed}"
        end = "or choose another file (out, --out)."
        if other.dataset in {t.name for t in tasks} and other.data not in {t.data for t in tasks}:
            text = f"{what} of a graph that has changed since; restore the data, {end}"
            raise ArtifactError("DATA_CHANGED", text)
        text = f"{what}, which the table would lose; name its data set, model and seed too, {end}"
        raise ArtifactError("RUN_OTHER", text)
    return found


def _trial(row: Mapping[str, Any]) -> Trial:
    """Return a training in a table's JSON."""
    val, test = row["val"], row["test"]
    values: Any = {name: int(row[name]) for name in ("seed", "epochs", "best_epoch")}
    values |= {name: str(row[name]) for name in ("dataset", "model", "recipe", "data", "split")}
    values["val"] = None if val is None else LinkScores(float(val["auc"]), float(val["ap"]))
    values["test"] = LinkScores(float(test["auc"]), float(test["ap"]))
    return Trial(**values)


def summarise(trials: Sequence[Trial], features: str) -> list[Summary]:
    """Return mean and deviation of the test scores over the seeds, per data set and model."""
    groups: dict[tuple[str, str, str], list[Trial]] = {}
    for trial in trials:
        groups.setdefault((trial.dataset, trial.data, trial.model), []).append(trial)
    summaries = []
    for (dataset, _, model), rows in groups.items():
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
    split_by: str = "links",
) -> str:
    """Return the protocol of a table as one paragraph; for arguments see :func:`run_table`."""
    directed = any(getattr(graph_model(name).decoder_class, "directed", False) for name in models)
    scores = "logits of the decoders at" if directed else "inner products of"
    kept = "the last epoch" if recipe.keep == "last" else "the best epoch by validation AUC + AP"
    sizes = "85 % train, 5 % validation, 10 % test"
    links = f"each with its own random split of the links ({sizes}, as many non-links)"
    if split_by == "graphs":
        links = (
            f"each with its own random split of the graphs ({sizes}; {100 * HIDE:g} % of the links"
            " of a held-out graph, as many non-links)"
        )
    if split is not None:
        links = f"all with the same split of the links and the same non-links, {Path(split).name}"
    return (
        f"Test AUC / AP in per cent, mean ± standard deviation over {num_seeds} seeds, {links}."
        f" Messages travel on no held-out link, also at test. Scores are {scores} the posterior"
        f" means after {kept}."
        f" Recipe: {recipe.name}, at most {recipe.epochs} epochs; features: {features}."
        " Published: Kipf & Welling (2016), table 1: one fixed split, mean over 10"
        " initialisations."
    )


def to_json(
    summaries: Sequence[Summary], recipe: Recipe, text: str, **more: Any
) -> dict[str, Any]:
    """Return the table as plain values, with a row per seed but without its seconds.

    Equal trainings give equal values.

    Args:
        summaries: Rows.
        recipe: Settings of the trainings.
        text: Protocol.
        **more: Further entries.
    """
    rows = []
    for summary in summaries:
        row: dict[str, Any] = summary._asdict()
        for key in ("mean", "deviation", "published"):
            row[key] = row[key] and row[key]._asdict()
        row["trials"] = [
            {
                **{name: value for name, value in trial._asdict().items() if name != "seconds"},
                "val": trial.val and trial.val._asdict(),
                "test": trial.test._asdict(),
            }
            for trial in summary.trials
        ]
        rows.append(row)
    return {"protocol": text, "recipe": asdict(recipe), **more, "rows": rows}
