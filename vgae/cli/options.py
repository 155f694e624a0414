"""Arguments and options that several commands have, and what they tell while they work."""

import logging
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Annotated

import typer

from vgae.errors import UsageError
from vgae.recipes import RECIPES, Recipe

GraphArgument = Annotated[
    str,
    typer.Argument(
        help="Name of a data set (see 'vgae datasets list') or a file: an edge list (.csv, .tsv,"
        " .txt), .npz, .mtx, .parquet; of images .npz, .npy or a folder."
    ),
]
OtherGraph = Annotated[
    str | None,
    typer.Argument(
        help="Another graph with the same features  [default: that of RUN]", show_default=False
    ),
]
RunArgument = Annotated[Path, typer.Argument(help="Run folder, as 'vgae train' wrote it.")]
GraphFeatures = Annotated[
    str,
    typer.Option(
        "--features",
        help="'raw'; 'none' for the links alone; or a file with a row of numbers for each node"
        " (.csv, .npz, .npy, .parquet).",
    ),
]
Directed = Annotated[
    str, typer.Option(help="What one-way edges are: 'symmetrize' makes links of them, or 'error'.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress on stderr.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as one line of JSON.")]

_FIELDS = [field.name for field in fields(Recipe)]

Features = Annotated[str, typer.Option(help="'raw', or 'none' to train on the links alone.")]
RecipeName = Annotated[
    str, typer.Option(help="Named settings: " + ", ".join(RECIPES) + "; see --set.")
]
Set = Annotated[
    list[str],
    typer.Option(
        "--set",
        metavar="FIELD=VALUE",
        help=f"Change a field of the recipe: {', '.join(_FIELDS)}.",
    ),
]
Epochs = Annotated[int | None, typer.Option(help="Short for --set epochs=N.")]
Device = Annotated[str, typer.Option(help="'auto', 'cpu', 'cuda', 'cuda:1'.")]
Pairs = Annotated[
    str | None,
    typer.Option(
        help="'exact', 'sampled' or 'auto', short for --set pairs=...", show_default=False
    ),
]
MaxMemory = Annotated[
    float | None, typer.Option(min=0, help="Most memory to take, in MB  [default: what is free]")
]


class _ToStderr(logging.Handler):
    """Writes to what stderr is at the time: a bar that is drawn meanwhile makes room."""

    def emit(self, record: logging.LogRecord) -> None:
        typer.echo(self.format(record), file=sys.stderr)


def announce(*, quiet: bool) -> None:
    """Let the package say on stderr what it found and what it is about to do."""
    if not quiet:
        logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[_ToStderr()])
        logging.getLogger("vgae").setLevel(logging.INFO)


def changes_of(settings: Sequence[str], **short: object) -> dict[str, str]:
    """Return the changes of ``--set`` and of options that are short for it, as text by field."""
    changes = {}
    for setting in settings:
        field, equals, value = setting.partition("=")
        if not equals:
            raise UsageError("RECIPE", f"--set must be FIELD=VALUE, got {setting!r}.")
        changes[field] = value
    return changes | {field: str(value) for field, value in short.items() if value is not None}
