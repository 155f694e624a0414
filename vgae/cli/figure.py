"""The command figure: one figure of a run, or of several, for a paper."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vgae.cli.console import print_json
from vgae.cli.options import Json
from vgae.errors import UsageError

if TYPE_CHECKING:
    from vgae.runs.graphs import Run
    from vgae.runs.images import ImageRun


def figure(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN...", help="Run folders; several for roc and pr, each with its own curve."
        ),
    ],
    kind: Annotated[
        str,
        typer.Argument(
            help="Of graphs roc, pr, reliability, histogram, curves, embedding; of images curves,"
            " embedding, reconstructions, manifold."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help=".pdf, .svg or .png  [default: RUN/figures/KIND.pdf]"),
    ] = None,
    width: Annotated[float, typer.Option(help="Inches; 3.3 is a column of two.")] = 3.3,
    dpi: Annotated[
        int,
        typer.Option(min=50, max=2400, help="Dots an inch of .png, and of images in the others."),
    ] = 600,
    labels: Annotated[
        str | None,
        typer.Option(help="Names of the runs for the legend, commas between  [default: folders]"),
    ] = None,
    title: Annotated[
        str | None, typer.Option(help="Above the figure  [default: none]", show_default=False)
    ] = None,
    as_json: Json = False,
) -> None:
    """Draw a figure for a paper: as wide as a column, vectors, letters of 8 points."""
    from vgae.report.figures.paper import check_kind, check_suffix, paper_figure

    path = out or runs[0] / "figures" / f"{kind}.pdf"
    check_suffix(path)
    names = None if labels is None else [name.strip() for name in labels.split(",")]
    if names is not None and len(names) != len(runs):
        raise UsageError(
            "LABELS", f"--labels must name each of the {len(runs)} runs, got {len(names)}."
        )
    # Before any of them is opened: a folder is no kind, in whatever place it stands.
    check_kind(kind, [])
    drawn = paper_figure(
        kind, *(_opened(run) for run in runs), labels=names, title=title, width=width
    )
    drawn.save(path, dpi=dpi)
    if as_json:
        print_json({"path": str(path), "kind": kind, "caption": drawn.caption})
    else:
        typer.echo(f"{path}: {drawn.caption}")


def _opened(folder: Path) -> "Run | ImageRun":
    from vgae.runs.folder import is_image_run
    from vgae.runs.graphs import load_run
    from vgae.runs.images import load_image_run

    return load_image_run(folder) if is_image_run(folder) else load_run(folder)
