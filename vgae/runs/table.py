"""Table of scores over data sets, models, recipes and seeds, beside published scores."""

import itertools
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from statistics import mean
from typing import Any

import torch

from vgae.errors import ArtifactError, UsageError
from vgae.evaluation.metrics import LinkScores
from vgae.evaluation.paired import PairedTest
from vgae.graphs.whole_graphs import HIDE
from vgae.models.files import read_json, write_json
from vgae.models.own import is_code, use_code
from vgae.models.registry import graph_model
from vgae.recipes import Recipe
from vgae.runs.folder import is_named, stored_recipe, understood, versions
from vgae.runs.resume import tell_changes
from vgae.runs.table_rows import Summary, Table, summarise
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


def run_table(
    datasets: str | Sequence[str],
    models: str | Sequence[str] = ("gae", "vgae"),
    *,
    jobs: int | None = None,
    out: str | os.PathLike[str] | None = None,
    resume: bool = False,
    test: PairedTest | None = "corrected-t",
    on_trial: Callable[[Trial], None] | None = None,
    progress: bool | None = None,
    **settings: Any,
) -> Table:
    """Train every model by every recipe on every data set, once per seed.

    Each seed has its own split, which is the same for all models and recipes.

    Args:
        datasets: Names of data sets or paths of graph files; one text has them between commas.
        models: Names of models, see :func:`vgae.models.graphs.build_model`, likewise; or paths to
            code of your own, ``"package.module:name"``, see :func:`vgae.use_code`.
        jobs: Number of worker processes, at least 1, by default none. With it, each training on a
            CPU has the same number of threads (:func:`vgae.runs.trials.trial_threads`), so that
            the scores do not depend on it; 1 trains in this process. With several, trainings are
            divided among the GPUs too, the training of a process that is killed is repeated, and a
            script must call this under ``if __name__ == "__main__":``.
        out: JSON file, which is written after each training.
        resume: Do not repeat the trainings that are in ``out``, if it exists. The command may have
            more data sets, models, recipes or seeds than the one before.
        test: Paired test of the rows, ``"corrected-t"`` or ``"wilcoxon"``; see
            :func:`vgae.compare`.
        on_trial: Called after each training, in the order of completion.
        progress: See :func:`vgae.fit`.
        **settings: Fields of :class:`vgae.runs.trials.TableSettings`, such as
            ``recipes=["paper", "best"]`` and ``seeds=10``.

    Returns:
        The table, a sequence of rows with ``to_pandas``, ``to_latex`` and ``save``.

    Raises:
        ArtifactError: If ``out`` has trainings on another graph, with other settings, or that this
            table does not have.
        ResourceError: ``WORKER_LOST`` if the process of one training is killed three times.
        UsageError: If ``split`` is given with several data sets, or has no test links.
        VgaeError: As :func:`vgae.fit`, with the name of the training.
    """
    rule = TableSettings(**settings)
    datasets, models = _listed(datasets), _listed(models)
    _check(rule, datasets, models)
    empty = Table([], protocol(rule, models), test)  # validates the test
    # Names are validated before hours of training, not after.
    opened = {dataset: rule.open(dataset, progress=progress) for dataset in datasets}
    names = [recipe.name for recipe in rule.given_recipes]
    wanted = itertools.product(opened.items(), models, names, rule.given_seeds)
    tasks = [Task.of(*one) for one in wanted]
    head = _head(rule, tasks, trial_threads(jobs))
    done = _done(out, rule, head, tasks) if resume else {}
    left = [number for number in range(len(tasks)) if number not in done]

    def found() -> Table:
        rows = summarise([done[number] for number in sorted(done)], rule.features)
        return Table(rows, empty.protocol, test)

    with showing(len(tasks), "trials", wanted=progress) as show:
        show.begin(len(done))
        at_work: dict[int, float] = {}

        def wait(tasks: Sequence[Task]) -> None:
            show(len(done), partial(_so_far, done, tasks))

        def note(index: int, epoch: int, most: int) -> None:
            at_work[index] = epoch / max(most, 1)
            task = tasks[left[index]]
            text = partial(_so_far, done, [task], f" epoch {epoch} of {most}")
            show(len(done) + min(sum(at_work.values()), len(at_work) - 0.01), text)

        def finish(index: int, trial: Trial) -> None:
            done[left[index]] = trial
            at_work.pop(index, None)
            if out is not None:  # each time, so that an interrupted table keeps its rows
                write_json(out, to_json(found(), rule.given_recipes, **head))
            if on_trial is not None:
                on_trial(trial)

        todo = [tasks[number] for number in left]
        told: Any = {"on_trial": finish, "on_wait": wait, "on_epoch": note}
        if jobs is not None and jobs > 1:
            opened.clear()
            in_workers(rule, todo, jobs, **told)
        else:
            in_this_process(rule, todo, jobs, opened, **told)
        show(len(tasks))
    if out is not None and not left:  # with other columns or another order than before
        write_json(out, to_json(found(), rule.given_recipes, **head))
    return found()


def _listed(names: str | Sequence[str]) -> list[str]:
    """Return names, each once; one text has them between commas."""
    listed = names.split(",") if isinstance(names, str) else [str(name) for name in names]
    return list(dict.fromkeys(name.strip() for name in listed if name.strip()))


def _check(rule: TableSettings, datasets: Sequence[str], models: Sequence[str]) -> None:
    """Raise ``UsageError`` unless the names of a table are there; import models that are code."""
    if not datasets or not models:
        raise UsageError("TABLE", "a table is of at least one data set and one model; name them.")
    if rule.split is not None and len(datasets) != 1:
        listed = ", ".join(datasets)
        raise UsageError("SPLIT", f"a split is one of a single data set, not of {listed}.")
    if rule.features not in ("raw", "none") and (len(datasets) != 1 or is_named(datasets[0])):
        listed = ", ".join(datasets)
        what = "a file of features (--features) is for a single graph that is a file"
        raise UsageError("FEATURES", f"{what}, not for {listed}; or take 'raw' or 'none'.")
    for model in models:
        if is_code(model):
            use_code(model)
        graph_model(model)


def _so_far(trials: Mapping[int, Trial], at_work: Sequence[Task], epoch: str = "") -> str:
    """Return the trainings at work, and the mean scores of the earlier ones like the first."""
    first = at_work[0].data, at_work[0].model, at_work[0].recipe
    all_of = list(trials.values())  # while another thread draws
    like = [t.test for t in all_of if (t.data, t.model, t.settings) == first]
    done = len(like) and (
        f"mean AUC {100 * mean(row.auc for row in like):.1f}"
        f" AP {100 * mean(row.ap for row in like):.1f} of {len(like)}, "
    )
    return f"{done or ''}{', '.join(map(str, at_work))}{epoch}"


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
        # The first tables had one recipe, and trials without the name of theirs.
        listed = content["recipes"] if "recipes" in content else [content["recipe"]]
        recipes = [stored_recipe(Recipe, {"recipe": one}) for one in listed]
        stored = {k: content[k] for k in head}
        rows = [row for summary in content["rows"] for row in summary["trials"]]
        trials = [_trial({"settings": recipes[0].name, **row}) for row in rows]
    pairs = [(stored, head)]
    now = {recipe.name: asdict(recipe) for recipe in rule.given_recipes}
    pairs += [(asdict(one), now[one.name]) for one in recipes if one.name in now]
    for before, after in pairs:
        for name, value in after.items():
            if before[name] != value and name not in ("device", "threads", "versions"):
                raise ArtifactError(
                    "RUN_OTHER",
                    f"{path} began with {name} = {before[name]}, not {value}; leave that as it"
                    " was, or choose another file (out, --out).",
                )
    tell_changes(content, head["device"], head["threads"])
    numbers = {(task.data, *task[4:]): n for n, task in enumerate(tasks)}
    found = {numbers.get((t.data, t.model, t.settings, t.seed), -1): t for t in trials}
    if (other := found.get(-1)) is not None:
        what = f"{path} has {other.dataset} {other.model}, {other.settings}, seed {other.seed}"
        end = "or choose another file (out, --out)."
        if other.dataset in {t.name for t in tasks} and other.data not in {t.data for t in tasks}:
            text = f"{what} of a graph that has changed since; restore the data, {end}"
            raise ArtifactError("DATA_CHANGED", text)
        text = f"{what}, which the table would lose; name all of these too, {end}"
        raise ArtifactError("RUN_OTHER", text)
    return found


_TEXTS = ("dataset", "model", "recipe", "data", "split", "settings")


def _trial(row: Mapping[str, Any]) -> Trial:
    """Return a training in a table's JSON."""
    val, test = row["val"], row["test"]
    values: Any = {name: int(row[name]) for name in ("seed", "epochs", "best_epoch")}
    values |= {name: str(row[name]) for name in _TEXTS}
    values["val"] = None if val is None else LinkScores(float(val["auc"]), float(val["ap"]))
    values["test"] = LinkScores(float(test["auc"]), float(test["ap"]))
    return Trial(**values)


def protocol(rule: TableSettings, models: Sequence[str] = ()) -> str:
    """Return the protocol of a table as one paragraph; for arguments see :func:`run_table`."""
    directed = any(getattr(graph_model(name).decoder_class, "directed", False) for name in models)
    scores = "logits of the decoders at" if directed else "inner products of"
    sizes = "85 % train, 5 % validation, 10 % test"
    links = f"each with its own random split of the links ({sizes}, as many non-links)"
    if rule.split_by == "graphs":
        links = (
            f"each with its own random split of the graphs ({sizes}; {100 * HIDE:g} % of the links"
            " of a held-out graph, as many non-links)"
        )
    if rule.split is not None:
        name = Path(rule.split).name
        links = f"all with the same split of the links and the same non-links, {name}"
    seeds = rule.given_seeds
    which = "" if seeds == tuple(range(len(seeds))) else f" ({', '.join(map(str, seeds))})"
    features = rule.features if is_named(rule.features) else Path(rule.features).name
    return (
        f"Test AUC / AP in per cent, mean ± standard deviation over {len(seeds)}"
        f" seed{'s' * (len(seeds) > 1)}{which}, {links}."
        f" Messages travel on no held-out link, also at test. Scores are {scores} the posterior"
        f" means after {_kept(rule.given_recipes)}; features: {features}."
    )


def _kept(recipes: Sequence[Recipe]) -> str:
    """Return which epoch each recipe keeps, and how many it has at most."""
    epochs = {"last": "the last epoch", "best": "the best epoch by validation AUC + AP"}
    if len(recipes) == 1:
        (recipe,) = recipes
        return f"{epochs[recipe.keep]}. Recipe: {recipe.name}, at most {recipe.epochs} epochs"
    listed = "; ".join(
        f"{recipe.name}, {epochs[recipe.keep]} of at most {recipe.epochs}" for recipe in recipes
    )
    return f"an epoch that depends on the recipe: {listed}"


def to_json(table: Table, recipes: Sequence[Recipe], **more: Any) -> dict[str, Any]:
    """Return the table as plain values, with a row per seed but without its seconds.

    Equal trainings give equal values.

    Args:
        table: Rows and protocol.
        recipes: Settings of the trainings.
        **more: Further entries.
    """
    content = {"protocol": table.protocol, "recipes": [asdict(recipe) for recipe in recipes]}
    tests = [
        {"dataset": rows[0].dataset, **{m: [c._asdict() for c in v] for m, v in found.items()}}
        for rows, found in table.comparisons()
    ]
    rows = [_row(summary) for summary in table]
    return {**content, **more, "test": table.test, "comparisons": tests, "rows": rows}


def _row(summary: Summary) -> dict[str, Any]:
    """Return a row as plain values."""
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
    return row
