"""report: a page about a run, in one file that opens anywhere."""

from pathlib import Path
from typing import Annotated

import typer

from vgae.cli_options import Json, Quiet, RunArgument, announce
from vgae.console import print_json
from vgae.errors import UsageError


def report(
    run: RunArgument,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="An .html file  [default: RUN/report.html]")
    ] = None,
    top_k: Annotated[
        int, typer.Option("--top-k", "-k", min=1, help="Proposed links in its table.")
    ] = 200,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Write a page about a run: one file of HTML, which loads nothing from elsewhere."""
    from vgae.report.graph_page import graph_page
    from vgae.report.page import plotly_js, write_page
    from vgae.run import load_run
    from vgae.run_folder import is_image_run

    path = out or run / "report.html"
    if path.suffix not in (".html", ".htm"):
        raise UsageError("REPORT_FORMAT", f"--out must end in .html, got {path}.")
    if is_image_run(run):
        raise UsageError(
            "REPORT_IMAGES",
            f"{run} is a run on images, of which there are no pages yet; its figures are in"
            f" {run / 'figures'}.",
        )
    announce(quiet=quiet or as_json)
    plotly_js()  # what is missing is told before any work
    size = write_page(path, graph_page(load_run(run), top_k=top_k))
    if as_json:
        print_json({"path": str(path), "bytes": size})
    else:
        typer.echo(f"{path}: {size / 1e6:.1f} MB, open it in a browser")


COMMANDS = (report,)
