"""The command figure: a figure of one or several runs for a paper."""

from pathlib import Path
from typing import Annotated, Any

import typer

from vgae.cli.console import print_json
from vgae.cli.options import Json
from vgae.errors import UsageError


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
            help="Graphs: roc, pr, reliability, histogram, curves, embedding, clusters; images:"
            " curves, embedding, reconstructions, manifold."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help=".pdf, .svg or .png  [default: RUN/figures/KIND.pdf]"),
    ] = None,
    width: Annotated[
        float, typer.Option(help="Width in inches; 3.3 is one of two columns.")
    ] = 3.3,
    dpi: Annotated[
        int,
        typer.Option(min=50, max=2400, help="Dots per inch of .png, and of images in the others."),
    ] = 600,
    labels: Annotated[
        str | None,
        typer.Option(
            help="Names of the runs for the legend, separated by commas  [default: folders]"
        ),
    ] = None,
    title: Annotated[
        str | None, typer.Option(help="Title of the figure  [default: none]", show_default=False)
    ] = None,
    color: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="Colours of embedding: a column of the table of nodes, a feature, label, degree"
            "  [default: label, else degree]",
            show_default=False,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Draw a figure for a paper: vector graphics, column width."""
    from vgae.report.figures.paper import check_kind, check_suffix, paper_figure
    from vgae.runs.lifecycle import load_run
    from vgae.runtime.atomic import check_writable

    path = out or runs[0] / "figures" / f"{kind}.pdf"
    check_suffix(path)
    names = None if labels is None else [name.strip() for name in labels.split(",")]
    if names is not None and len(names) != len(runs):
        raise UsageError(
            "LABELS", f"--labels must name each of the {len(runs)} runs, got {len(names)}."
        )
    # Before any run is opened: the kind may be missing, and a folder in its place.
    check_kind(kind, [])
    check_writable(path)
    look: Any = {"labels": names, "title": title, "width": width, "color": color}
    drawn = paper_figure(kind, *map(load_run, runs), **look)
    drawn.save(path, dpi=dpi)
    if as_json:
        print_json({"path": str(path), "kind": kind, "caption": drawn.caption})
    else:
        typer.echo(f"{path}: {drawn.caption}")
