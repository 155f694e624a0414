"""The command tune: search for the settings of a recipe."""

import shlex
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vgae.cli import options as o
from vgae.cli.console import print_columns, print_json
from vgae.cli.memory import MaxMemory, with_limit
from vgae.cli.memory import max_bytes as memory_bytes
from vgae.errors import ArtifactError, UsageError
from vgae.recipes import DEFAULT, RECIPES, Recipe, recipe_named

if TYPE_CHECKING:
    from vgae.graphs.graph import Graph
    from vgae.graphs.split import LinkSplit
    from vgae.runs.tuning import Tuning

_SHOWN = 5  # of the best trials
_DEFAULTS: dict[str, Any] = {
    "features": "raw",
    "split": None,
    "model": "auto",
    "seed": 0,
    "splits": 2,
    "trials": 30,
}

TuneRecipe = Annotated[
    str | None,
    typer.Option(
        help=f"Recipe to begin with: {', '.join(RECIPES)}  [default: {DEFAULT.name}]",
        show_default=False,
    ),
]
Trials = Annotated[
    int | None,
    typer.Option(min=1, help="Number of trials, with the recipe as it is.  [default: 30]"),
]
Search = Annotated[
    list[str],
    typer.Option(
        metavar="FIELD[=VALUES]",
        help="Field to search in place of those of the recipe: lr=0.001:0.1:log, mask=0:0.5,"
        " hidden_channels=32,64; or lr alone for its own values. May be repeated.",
    ),
]
Splits = Annotated[
    int | None,
    typer.Option(min=1, help="Splits of the training links for each trial.  [default: 2]"),
]
Timeout = Annotated[
    float | None,
    typer.Option(min=0, help="Seconds after which no trial begins.", show_default=False),
]
NewTuning = Annotated[
    Path | None,
    typer.Option("--out", "-o", help="New folder  [default: runs/tune-GRAPH-RECIPE-N]"),
]
ResumeTuning = Annotated[
    Path | None,
    typer.Option(
        help="Folder of an interrupted search: go on with its settings, perhaps to more --trials."
        " With GRAPH, begin it if it does not exist."
    ),
]


@with_limit
def tune(
    context: typer.Context,
    graph: o.GraphArgument = "stdlib",
    model: o.Model = None,
    recipe: TuneRecipe = None,
    set_: o.Set = [],
    epochs: o.Epochs = None,
    trials: Trials = None,  # noqa: ARG001
    search: Search = [],
    splits: Splits = None,  # noqa: ARG001
    features: o.GraphFeatures = "raw",  # noqa: ARG001
    split: o.Split = None,  # noqa: ARG001
    seed: o.SplitSeed = 0,  # noqa: ARG001
    timeout: Timeout = None,
    device: o.Device = "auto",
    max_memory: MaxMemory = None,
    out: NewTuning = None,
    resume: ResumeTuning = None,
    quiet: o.Quiet = False,
    as_json: o.Json = False,
) -> None:
    """Search for settings with a higher validation AUC, without the test links."""
    changes = o.changes_of(set_, epochs=epochs)
    wanted = _searched(search)
    compute_bytes = memory_bytes(max_memory)
    o.announce(quiet=quiet)
    o.import_code([model or ""])
    if resume is not None and out is not None:
        raise UsageError("RESUME", f"--resume {resume} names the folder; leave --out out.")
    from vgae.runs.folder import source_stem
    from vgae.runs.tuning import tune as search_settings
    from vgae.runtime.devices import Compute
    from vgae.runtime.tables import optional_module

    optional_module("optuna", "tune")
    began = _began(resume, context)
    given = {name: value for name, value in o.given_options(context).items() if value is not None}
    values = {**_DEFAULTS, "graph": graph, **began}
    values |= {name: value for name, value in given.items() if name in values}
    start = began.get("start") if recipe is None else recipe_named(recipe)
    start = (start or DEFAULT).override(changes)
    place = resume or out or _numbered(f"runs/tune-{source_stem(values['graph'])}-{start.name}")
    how: dict[str, Any] = {name: values[name] for name in ("model", "trials", "splits", "seed")}
    how |= {"device": Compute(device, compute_bytes), "timeout": timeout, "out": place}
    how |= {"search": wanted or began.get("search"), "resume": resume is not None}
    how |= {"progress": False if quiet else None, "described": _described(values)}
    try:
        found = search_settings(*_opened(values), recipe=start, **how)
    except BaseException:
        if (place / "tuning.json").exists():
            _write_paths(place, values)
            kept = f"{place} has the finished trials; go on with --resume {place}"
            typer.echo(kept, err=True)
        raise
    _write_paths(place, values)
    _finish(found, place, values, as_json=as_json)


def _searched(search: Sequence[str]) -> dict[str, str]:
    """Return the values of ``--search`` by field, empty for those of the field itself."""
    return {name.strip(): values for name, _, values in (one.partition("=") for one in search)}


def _numbered(stem: str) -> Path:
    """Return the first of ``stem-1``, ``stem-2``, ... that does not exist."""
    return next(path for k in count(1) if not (path := Path(f"{stem}-{k}")).exists())


def _began(resume: Path | None, context: typer.Context) -> dict[str, Any]:
    """Return the settings of a search that is to go on, by the names of the options."""
    from vgae.runs.folder import read_paths, stored_recipe, understood
    from vgae.runs.tuning_folder import FILE, read_tuning

    if resume is None:
        return {}
    if not (resume / FILE).exists():
        if "graph" in o.given_options(context):
            return {}
        what = f"{resume} is no search; to begin one there, name the GRAPH too"
        raise ArtifactError("NOT_A_RUN", f"{what}.")
    content = read_tuning(resume)
    with understood(resume):
        kept = {"model": str, "splits": int, "seed": int, "graph": str, "features": str}
        found: dict[str, Any] = {name: kind(content[name]) for name, kind in kept.items()}
        found |= {"split": content["split"], "trials": int(content["num_trials"])}
        found |= read_paths(resume)
        recipe = stored_recipe(Recipe, content)
        found["start"] = recipe.override({f: getattr(recipe, f) for f in content["fixed"]})
        found["search"] = {str(name): str(values) for name, values in content["space"].items()}
    return found


def _opened(values: Mapping[str, Any]) -> "tuple[Graph, LinkSplit | None]":
    """Return the graph, and the split that is given for it."""
    from vgae.data.splits import read_split
    from vgae.runs.opening import open_like, split_config

    like = split_config(values["split"])
    graph = open_like(like, values["graph"], values["features"])
    return graph, None if values["split"] is None else read_split(values["split"], graph)


def _described(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the origin of the graph for ``tuning.json``, without folders."""
    from vgae.runs.folder import shown_source

    split = None if values["split"] is None else Path(values["split"]).name
    shown = {name: shown_source(str(values[name])) for name in ("graph", "features")}
    return {**shown, "split": split}


def _write_paths(place: Path, values: Mapping[str, Any]) -> None:
    from vgae.runs.folder import is_named, write_paths

    paths = {n: str(values[n]) for n in ("graph", "features", "split") if values[n] is not None}
    write_paths(place, {n: str(Path(p).resolve()) for n, p in paths.items() if not is_named(p)})


def _finish(found: "Tuning", place: Path, values: Mapping[str, Any], *, as_json: bool) -> None:
    """Draw the figure; print the best trials, what matters, and the command that follows."""
    from vgae.models.files import read_json
    from vgae.report.figures.tuning import write_tuning_figure
    from vgae.runs.tuning_folder import FILE, FILES

    write_tuning_figure(place, found)
    words = ["vgae", "train", str(values["graph"]), *found.words]
    words += [] if values["features"] == "raw" else ["--features", str(values["features"])]
    words += [] if values["split"] is None else ["--split", str(values["split"])]
    words += ["--model", found.model] if found.model != "vgae" else []
    words += ["--seed", str(values["seed"])] if values["seed"] else []
    if as_json:
        more = {"importances": found.importances(), "command": words}
        print_json({"folder": str(place), **read_json(place / FILE), **more})
        return
    columns = found.columns()
    lines = [[*columns]]
    shown = range(min(_SHOWN, len(found.trials)))
    rows = [[_cell(name, columns[name][k]) for name in columns] for k in shown]
    if 0 not in columns["trial"][:_SHOWN]:
        k = columns["trial"].index(0)
        rows.append([_cell(name, columns[name][k]) for name in columns])
    print_columns(lines + rows, right=range(len(columns)))
    typer.echo("\nTrial 0 is the recipe as it is. AUC and AP, %, of held-out training links.")
    if importances := found.importances():
        top = ", ".join(f"{name} {100 * value:.0f} %" for name, value in importances.items())
        typer.echo(f"\nVariance of the AUC that each setting explains: {top}")
    if check := found.check:
        parts = [f"AUC {100 * check[k].auc:.2f}  AP {100 * check[k].ap:.2f}" for k in check]
        typer.echo(
            f"\nValidation links, which no trial has seen:\n  {found.recipe.name:12} {parts[0]}"
            f"\n  {'best trial':12} {parts[1]}"
        )
    typer.echo(f"\nWritten to {place}:")
    print_columns([[f"  {name}", text] for name, text in FILES.items()])
    typer.echo(f"\nTry next:\n  {shlex.join(words)}")


def _cell(name: str, value: Any) -> str:
    """Return a value of a trial as text."""
    if value is None:
        return "-"
    if name in ("auc", "ap"):
        return f"{100 * value:.2f}"
    return f"{value:.3g}" if isinstance(value, float) else str(value)
