"""The command report: a page about one or several runs, in one file."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vgae.cli.console import print_json
from vgae.cli.memory import with_limit
from vgae.cli.options import Json, Quiet, announce, check_options, refuse_options
from vgae.errors import UsageError

if TYPE_CHECKING:
    from vgae.runs.kind import FinishedRun

_TOP_K = 200


@with_limit
def report(
    context: typer.Context,
    runs: Annotated[
        list[Path],
        typer.Argument(
            help="Run folders, as 'vgae train' wrote them. For several, a page that compares them;"
            " differences are to the first.",
            metavar="RUN",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="An .html file  [default: RUN/report.html; for several, compare-RUN1-RUN2.html]",
        ),
    ] = None,
    top_k: Annotated[
        int, typer.Option("--top-k", "-k", min=1, help="Number of proposed links in the table.")
    ] = _TOP_K,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Write a page about a run, or one that compares several."""
    from vgae.report.pages.frame import plotly_js, write_page
    from vgae.runs.kind import kind_of
    from vgae.runtime.atomic import check_writable

    several = len(runs) > 1
    path = out or (_beside(runs) if several else runs[0] / "report.html")
    if path.suffix not in (".html", ".htm"):
        raise UsageError("REPORT_FORMAT", f"--out must end in .html, got {path}.")
    for run in runs:
        check_options(context, kind_of(run), run)
    if several:
        refuse_options(context, ["top_k"], "TOP_K", "a page that compares runs has no")
    announce(quiet=quiet or as_json)
    check_writable(path)
    plotly_js()  # raises before any work if plotly is missing
    size = write_page(path, _page(runs, path, top_k))
    if as_json:
        print_json({"path": str(path), "bytes": size})
    else:
        typer.echo(_written(path, size))


def written_page(run: "FinishedRun") -> str:
    """Write the page of a run into its folder; return the line about it."""
    from vgae.report.pages.frame import write_page
    from vgae.report.view import view_of

    path = run.folder / "report.html"
    page = view_of(run.config).page(run, top_k=_TOP_K)
    return _written(path, write_page(path, page))


def _written(path: Path, size: int) -> str:
    return f"{path}: {size / 1e6:.1f} MB, open it in a browser"


def _beside(runs: list[Path]) -> Path:
    """Return the default path of a comparison, with the names of the runs, cut if too long."""
    names = "-".join(run.resolve().name for run in runs)
    return runs[0].parent / f"compare-{names:.100}.html"


def _page(runs: list[Path], path: Path, top_k: int) -> str:
    from vgae.report.pages.comparison import comparison_page
    from vgae.report.view import view_of
    from vgae.runs.lifecycle import load_run

    if len(runs) > 1:
        return comparison_page(runs, path)
    return view_of(runs[0]).page(load_run(runs[0]), top_k=top_k)


COMMANDS = (report,)
