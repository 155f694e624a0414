"""Arguments and options that several commands have, and what they tell while they work."""

import logging
from pathlib import Path
from typing import Annotated

import typer

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


def announce(*, quiet: bool) -> None:
    """Let the package say on stderr what it found and what it is about to do."""
    if not quiet:
        logging.basicConfig(level=logging.WARNING, format="%(message)s")
        logging.getLogger("vgae").setLevel(logging.INFO)
