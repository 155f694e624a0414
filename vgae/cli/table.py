"""The command table: compare models over several seeds."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vgae.cli import options as o
from vgae.cli.console import print_json, print_table
from vgae.cli.memory import MaxMemory
from vgae.cli.memory import max_bytes as memory_bytes
from vgae.errors import UsageError
from vgae.recipes import DEFAULT, RECIPES, recipe_named

if TYPE_CHECKING:
    from vgae.runs.trials import Trial

Features = Annotated[str, typer.Option(help="'raw', or 'none' to train on the links alone.")]
RecipeName = Annotated[
    str, typer.Option(help="Named settings: " + ", ".join(RECIPES) + "; see --set.")
]
Jobs = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Processes, and GPUs, that the trainings are divided among; on a CPU each has one"
        " thread, or OMP_NUM_THREADS, so that the table does not depend on their number.",
        show_default=False,
    ),
]
Names = Annotated[str, typer.Option(help="Names, separated by commas.")]
Seeds = Annotated[int, typer.Option(min=1, help="Number of seeds: 0 to SEEDS - 1.")]
NewTable = Annotated[
    Path | None, typer.Option("--out", "-o", help="JSON file  [default: runs/table-N.json]")
]
Resume = Annotated[
    Path | None,
    typer.Option(
        help="JSON file of an interrupted table: do the trainings that it lacks, or begin it if it"
        " does not exist. There may be more data sets, models or seeds than before."
    ),
]


def table(
    datasets: Names = "stdlib",
    models: Names = "gae,vgae",
    recipe: RecipeName = DEFAULT.name,
    set_: o.Set = [],
    epochs: o.Epochs = None,
    features: Features = "raw",
    split: o.Split = None,
    split_by: o.SplitBy = "links",
    seeds: Seeds = 10,
    jobs: Jobs = None,
    device: o.Device = "auto",
    max_memory: MaxMemory = None,
    out: NewTable = None,
    resume: Resume = None,
    quiet: o.Quiet = False,
    as_json: o.Json = False,
) -> None:
    """Compare models over several seeds: mean ± deviation."""
    settings = recipe_named(recipe).override(o.changes_of(set_, epochs=epochs))
    if resume is not None and out is not None:
        raise UsageError("RESUME", f"--resume {resume} names the file; leave --out out.")
    max_bytes = memory_bytes(max_memory)
    from vgae.models.files import read_json
    from vgae.runs.lock import reserved
    from vgae.runs.table import run_table
    from vgae.runtime.devices import Compute

    done: list[Trial] = []

    def show(trial: "Trial") -> None:
        done.append(trial)
        # A log has a line every ten seconds instead.
        if not quiet and sys.stderr.isatty():
            scores = f"AUC {100 * trial.test.auc:.2f}  AP {100 * trial.test.ap:.2f}"
            name = f"{trial.dataset} {trial.model} seed {trial.seed}"
            typer.echo(f"{name}: test {scores}  ({trial.seconds:.1f} s)", file=sys.stderr)

    how: dict[str, Any] = {"num_seeds": seeds, "recipe": settings, "features": features}
    how |= {"split": split, "split_by": split_by, "device": Compute(device, max_bytes)}
    how |= {"jobs": jobs, "on_trial": show, "progress": False if quiet else None}
    # Fails before the first training if the file cannot be written; an existing table stays until
    # the first result.
    with reserved(resume or out, "runs/table", ".json") as path:
        try:
            summaries = run_table(
                o.names(datasets), o.names(models), out=path, resume=resume is not None, **how
            )
        except BaseException:
            if done:
                kept = f"{path} has the finished trainings; go on with --resume {path}"
                typer.echo(kept, file=sys.stderr)
            raise
        content = read_json(path)
    if as_json:
        print_json(content)
    else:
        print_table(summaries, content["protocol"])
        typer.echo(f"\n{path}: the same, with one row per seed")
