"""The command table: compare models and recipes over several seeds."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from vgae.cli import options as o
from vgae.cli.console import print_json, print_table
from vgae.cli.memory import MaxMemory
from vgae.cli.memory import max_bytes as memory_bytes
from vgae.errors import UsageError, check_choice
from vgae.recipes import DEFAULT, RECIPES, recipe_named
from vgae.runtime.atomic import check_writable

if TYPE_CHECKING:
    from vgae.runs.table_rows import Table
    from vgae.runs.trials import Trial

Features = Annotated[
    str,
    typer.Option(
        help="'raw', 'none' to train on the links alone, or a file with a row for each node of a"
        " graph that is a file, such as users.csv."
    ),
]
RecipeNames = Annotated[
    str,
    typer.Option(
        "--recipes",
        "--recipe",
        help="Named settings, separated by commas, for each of which every model has a row: "
        + ", ".join(RECIPES)
        + "; see --set.",
    ),
]
ModelNames = Annotated[
    str,
    typer.Option(
        help="Names, separated by commas; MODULE:NAME for an encoder of your own, such as"
        " gat:make for make in gat.py."
    ),
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
Seeds = Annotated[
    str,
    typer.Option(help="Number of seeds, 0 to SEEDS - 1; or the seeds themselves: 1,5,9 or 7,."),
]
Outputs = Annotated[
    list[Path],
    typer.Option(
        "--out",
        "-o",
        help="File: .json with every training, which --resume takes; or the table as .tex (LaTeX),"
        " .md, .csv and the like; may be repeated  [default: runs/table-N.json]",
        show_default=False,
    ),
]
Latex = Annotated[bool, typer.Option("--latex", help="Print the table for LaTeX.")]
Markdown = Annotated[bool, typer.Option("--markdown", help="Print the table in Markdown.")]
Csv = Annotated[bool, typer.Option("--csv", help="Print the table as CSV.")]
Significances = Literal["corrected-t", "wilcoxon", "none"]
Significance = Annotated[
    str,
    typer.Option(
        help="Paired test of all pairs of rows: 'corrected-t' (Nadeau & Bengio), 'wilcoxon' or"
        " 'none'; with Holm's correction."
    ),
]
Resume = Annotated[
    Path | None,
    typer.Option(
        help="JSON file of an interrupted table: do the trainings that it lacks, or begin it if it"
        " does not exist. There may be more data sets, models, recipes or seeds than before."
    ),
]


def table(
    datasets: Names = "stdlib",
    models: ModelNames = "gae,vgae",
    recipes: RecipeNames = DEFAULT.name,
    set_: o.Set = [],
    epochs: o.Epochs = None,
    features: Features = "raw",
    split: o.Split = None,
    split_by: o.SplitBy = "links",
    seeds: Seeds = "10",
    significance: Significance = "corrected-t",
    jobs: Jobs = None,
    device: o.Device = "auto",
    max_memory: MaxMemory = None,
    out: Outputs = [],
    latex: Latex = False,
    markdown: Markdown = False,
    csv: Csv = False,
    resume: Resume = None,
    quiet: o.Quiet = False,
    as_json: o.Json = False,
) -> None:
    """Compare models and recipes over several seeds: mean ± deviation, paired tests."""
    changes = o.changes_of(set_, epochs=epochs)
    settings = [recipe_named(name).override(changes) for name in o.names(recipes)]
    form = _form(json=as_json, latex=latex, markdown=markdown, csv=csv)
    check_choice("significance", significance, Significances)
    store, others = _outputs(out, resume)
    if store is not None:
        if resume is None and store.exists():
            again = f"go on with --resume {store}, or choose another --out"
            raise UsageError("RUN_EXISTS", f"{store} has a table; {again}.")
        check_writable(store)
    max_bytes = memory_bytes(max_memory)
    from vgae.runs.lock import reserved
    from vgae.runs.table import run_table
    from vgae.runtime.devices import Compute

    done: list[Trial] = []

    def show(trial: "Trial") -> None:
        done.append(trial)
        # A log has a line every ten seconds instead.
        if not quiet and sys.stderr.isatty():
            scores = f"AUC {100 * trial.test.auc:.2f}  AP {100 * trial.test.ap:.2f}"
            name = f"{trial.dataset} {trial.model}, {trial.settings}, seed {trial.seed}"
            typer.echo(f"{name}: test {scores}  ({trial.seconds:.1f} s)", file=sys.stderr)

    how: dict[str, Any] = {"seeds": _seeds(seeds), "recipes": settings, "features": features}
    how |= {"split": split, "split_by": split_by, "device": Compute(device, max_bytes)}
    how |= {"jobs": jobs, "on_trial": show, "progress": False if quiet else None}
    how |= {"test": None if significance == "none" else significance}
    # Fails before the first training if the file cannot be written; an existing table stays until
    # the first result.
    with reserved(store, "runs/table", ".json") as path:
        try:
            found = run_table(
                o.names(datasets), o.names(models), out=path, resume=resume is not None, **how
            )
        except BaseException:
            if done:
                kept = f"{path} has the finished trainings; go on with --resume {path}"
                typer.echo(kept, file=sys.stderr)
            raise
        for other in others:
            found.save(other)
        _print(found, path, form)
    for other in others if form == "text" else ():
        typer.echo(f"{other}: the table")


def _form(**wanted: bool) -> str:
    """Return the one form that is printed."""
    forms = [form for form, on in wanted.items() if on]
    if len(forms) > 1:
        rule = f"--{forms[0]} and --{forms[1]} are two forms of what is printed"
        raise UsageError("USAGE", f"{rule}; give one, and files with -o for more.")
    return forms[0] if forms else "text"


def _print(table: "Table", path: Path, form: str) -> None:
    from vgae.models.files import read_json

    if form == "json":
        print_json(read_json(path))
    elif form == "text":
        print_table(table)
        typer.echo(f"\n{path}: the same, with one row per seed")
    else:
        written = {"latex": table.to_latex, "markdown": table.to_markdown, "csv": table.to_csv}
        typer.echo(written[form](), nl=False)


def _outputs(out: Sequence[Path], resume: Path | None) -> tuple[Path | None, list[Path]]:
    """Return the JSON file of the trainings, if one is named, and the files of the table."""
    stores = [path for path in out if path.suffix == ".json"]
    others = [path for path in out if path.suffix != ".json"]
    if resume is not None and stores:
        rule = f"--resume {resume} names the .json file"
        raise UsageError("RESUME", f"{rule}; leave --out {stores[0]} out.")
    if len(stores) > 1:
        raise UsageError(
            "EXPORT_FORMAT", f"--out takes one .json file, got {stores[0]} and {stores[1]}."
        )
    if others:
        from vgae.runs.table_rows import SUFFIXES
        from vgae.runtime.tables import checked_suffix

        for path in others:
            checked_suffix(path, (".json", *SUFFIXES))
            check_writable(path)
    return resume or next(iter(stores), None), others


def _seeds(text: str) -> int | list[int]:
    """Return the number of seeds, or the seeds of a text with commas."""
    parts = o.names(text)
    if not parts or not all(part.isascii() and part.isdecimal() for part in parts):
        rule = "--seeds must be a number of seeds, or seeds separated by commas, such as 1,5,9"
        raise UsageError("SEEDS", f"{rule}, got {text!r:.60}.")
    if "," in text:
        return [int(part) for part in parts]
    if int(text) < 1:
        raise UsageError("SEEDS", "a table needs at least 1 seed (seeds, --seeds), got 0.")
    return int(text)
