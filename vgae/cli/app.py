"""Command line: one short function per command, which imports slow modules itself."""

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from vgae.cli.clusters import clusters
from vgae.cli.console import described, print_calibration, print_json
from vgae.cli.datasets import datasets_app
from vgae.cli.env import env
from vgae.cli.export import COMMANDS as EXPORT_COMMANDS
from vgae.cli.figure import figure
from vgae.cli.group import Commands
from vgae.cli.images import COMMANDS as IMAGE_COMMANDS
from vgae.cli.impute import impute
from vgae.cli.links import COMMANDS as LINK_COMMANDS
from vgae.cli.memory import with_limit
from vgae.cli.options import (
    READING,
    AllowSeen,
    GraphFeatures,
    Json,
    OtherGraph,
    Quiet,
    Readout,
    RunArgument,
    announce,
    check_options,
    names,
    refuse_options,
    with_reading,
)
from vgae.cli.report import COMMANDS as REPORT_COMMANDS
from vgae.cli.table import table
from vgae.cli.train import draw_figures, train
from vgae.cli.tune import tune
from vgae.data.reading import Reading
from vgae.errors import UsageError
from vgae.runtime.signals import exit_on_signals
from vgae.version import __version__

app = typer.Typer(
    cls=Commands,
    help="Variational graph auto-encoders: train on a graph, predict its missing links, take"
    " embeddings out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
COMMANDS = (
    *(train, *LINK_COMMANDS, *EXPORT_COMMANDS, clusters, impute),
    *(*IMAGE_COMMANDS, figure, table, tune, *REPORT_COMMANDS, env),
)
for command in COMMANDS:
    app.command()(command)
app.add_typer(datasets_app, name="datasets")


@app.callback(invoke_without_command=True)
def root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,  # noqa: ARG001
    code: Annotated[  # noqa: ARG001
        list[str],
        typer.Option(
            metavar="MODULE:NAME",
            help="Import a model of your own, of which a run is: gat:make for make in gat.py. No"
            " file makes vgae import code; this option does.",
        ),
    ] = [],
) -> None:
    """Options of all commands; :func:`main` reads most, in any place, and the help has them."""
    if version:
        typer.echo(f"vgae {__version__}")
        raise typer.Exit


@app.command()
@with_limit
def evaluate(
    context: typer.Context,
    run: RunArgument,
    tasks: Annotated[
        str,
        typer.Option(
            help="Tasks: links, classes, clusters (of nodes), graphs (classes and clusters of the"
            " graphs of a collection); separated by commas."
        ),
    ] = "links",
    readout: Readout = "moments",
    messages: Annotated[
        str,
        typer.Option(help="Links that messages travel on for test: 'train', or 'train+val'."),
    ] = "train",
    hard: Annotated[
        str,
        typer.Option(
            help="Rank links among this number of hard non-links, such as 500; heart or heart:100"
            " for 500 or 100 by HeaRT's rule."
        ),
    ] = "0",
    samples: Annotated[
        int | None,
        typer.Option(
            min=1,
            show_default=False,
            help="Samples in the estimate of log p(x) of each image, or of log p(A | X) of the"
            " graphs  [default: 500 for images; graphs have none]",
        ),
    ] = None,
    allow_seen: AllowSeen = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Score a run on held-out data, classes and clusters."""
    from vgae.evaluation.hard_negatives import Hard
    from vgae.report.view import view_of
    from vgae.runs.commands import EvaluationOptions
    from vgae.runs.kind import kind_of

    wanted = names(tasks)
    if not wanted or set(wanted) - {"links", "classes", "clusters", "graphs"}:
        rule = "--tasks must be of links, classes, clusters, graphs"
        raise UsageError("TASKS", f"{rule}, got {tasks!r}.")
    if "graphs" not in wanted:
        refuse_options(context, ["readout"], "READOUT", "without --tasks graphs there is no")
    Hard.of(hard)
    kind = kind_of(run)
    check_options(context, kind, run)
    progress = False if quiet else None
    how: Any = (wanted, messages, hard, samples, allow_seen, readout, progress)
    options = EvaluationOptions(*how)
    found = kind.evaluate(kind.load(run, unchecked=["split.npz"] if allow_seen else []), options)
    if as_json:
        print_json(found)
    else:
        typer.echo(view_of(kind).scores(found))


@app.command()
@with_limit
def calibrate(
    run: RunArgument,
    method: Annotated[
        str | None,
        typer.Option(
            help="'spline', 'isotonic', 'platt' or 'temperature'  [default: spline; platt for"
            " balanced]",
            show_default=False,
        ),
    ] = None,
    prior: Annotated[
        str,
        typer.Option(
            help="Fraction of links that probabilities and threshold refer to: 'density', of"
            " held-out links among all pairs that are not known from training; 'graph', of links"
            " among all pairs; or 'balanced' (one half)."
        ),
    ] = "density",
    goal: Annotated[
        str, typer.Option(help="Goal of the threshold: 'f1', or 'precision=0.9'.")
    ] = "f1",
    intervals: Annotated[
        bool,
        typer.Option(
            "--intervals",
            help="Also fit the credible intervals of 'vgae predict --samples', which does so"
            " itself for all but very large graphs.",
        ),
    ] = False,
    folds: Annotated[
        int,
        typer.Option(
            min=0,
            max=5,
            help="Also fit to so many fifths of the training links, for each of which a model is"
            " trained without it; 'vgae predict --overall' does so itself where it is quick.",
        ),
    ] = 0,
    allow_seen: AllowSeen = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Fit probabilities to validation pairs; evaluate and store."""
    from vgae.evaluation.calibration import check_spline
    from vgae.evaluation.links import calibrate as calibrate_model
    from vgae.runs.calibrations import folds_of_run, recalibrate
    from vgae.runs.graphs import GRAPHS
    from vgae.runtime.atomic import check_writable

    announce(quiet=quiet or as_json)
    if folds:
        check_spline(method or "spline")
    progress = False if quiet else None
    unchecked = ["model/calibration.json", *(["split.npz"] if allow_seen else [])]
    loaded = GRAPHS.load(run, unchecked=unchecked)
    how: Any = {"method": method, "prior": prior, "goal": goal, "allow_seen": allow_seen}
    fit = partial(calibrate_model, loaded.model, loaded.graph, loaded.split, **how)
    found = None
    if folds:
        check_writable(loaded.folder / "model" / "calibration.json")
        fit()  # what is wrong is refused before the trainings
        found = folds_of_run(loaded, folds, progress=progress)
    calibration = fit(intervals=intervals, folds=found)
    draw_figures(recalibrate(loaded, calibration))
    if as_json:
        print_json(calibration.to_dict())
    else:
        print_calibration(calibration)


@app.command()
@with_limit
@with_reading
def embed(
    context: typer.Context,
    run: RunArgument,
    reading: Reading,
    other: OtherGraph = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help=".npz, .npy, .csv, .tsv, .json, .parquet, .vec (word2vec), .projector"
            " (TensorBoard) or .h5ad (AnnData; into the file if it exists)  [default: in RUN;"
            " GRAPH-embeddings.npz]",
        ),
    ] = None,
    features: GraphFeatures = "raw",
    graphs: Annotated[
        bool,
        typer.Option(
            "--graphs",
            help="One vector for each graph of a collection, with its size, log-likelihood and"
            " anomaly score (high for unusual links)  [default file: RUN/graphs.npz]",
        ),
    ] = False,
    readout: Readout = "moments",
    messages: Annotated[
        str,
        typer.Option(
            help="Links that messages travel on: 'train', or 'all' of the graph; always all of"
            " another graph."
        ),
    ] = "train",
    as_json: Json = False,
) -> None:
    """Write the embedding of each node, graph or test image."""
    from vgae.prediction.export import FORMATS, write_embeddings
    from vgae.runs.clusters import with_clusters
    from vgae.runs.commands import EmbeddingOptions
    from vgae.runs.digests import rewriting, store_digests
    from vgae.runs.kind import kind_of
    from vgae.runtime.tables import check_table

    announce(quiet=as_json)
    kind, own = kind_of(run), run / "embeddings.npz"
    check_options(context, kind, run)
    if not graphs:
        refuse_options(context, ["readout"], "READOUT", "without --graphs there is no")
    is_own = other is None and messages == "train"
    if other is None:
        refuse_options(
            context, ["features", *READING], "FEATURES", "without another GRAPH there is no"
        )
    what = "graphs" if graphs else "embeddings"
    name = run / f"{what}-all.npz" if other is None else f"{Path(other).stem}-{what}.npz"
    path = out or (run / f"{what}.npz" if is_own else Path(name))
    is_stored = path.resolve() == own.resolve()
    if is_stored and (graphs or not is_own):
        raise UsageError(
            "EMBEDDINGS",
            f"{own} is the embedding of the nodes over the training links, which figures and pages"
            " show;"
            " choose another --out.",
        )
    check_table(path, FORMATS)
    loaded = kind.load(run)
    given: Any = (other, features, messages, reading, graphs, readout)
    found = kind.embed(loaded, EmbeddingOptions(*given))
    if other is None and not graphs and not is_stored:
        found = with_clusters(loaded, found)
    with rewriting(run, loaded.metrics) if is_stored else nullcontext():
        write_embeddings(path, found.ids, found.q, labels=found.labels, more=found.more)
        if is_stored:
            store_digests(run, ["embeddings.npz"])
    count, dimensions = found.q.mu.shape
    if as_json:
        items = found.items.split()[-1]
        print_json({"path": str(path), items: count, "dimensions": dimensions})
    else:
        typer.echo(f"{path}: {count} {found.items}, {dimensions} dimensions")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; print errors of the package as one line and exit with their status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in arguments  # in any place
    words, tell = [word for word in arguments if word != "--debug"], _tell
    try:
        words = _without_code(words)
        with exit_on_signals(lambda text: tell("INTERRUPTED", text)), _processes(words) as tell:
            app(words, prog_name="vgae")
    except Exception as error:
        known = described(error)
        if debug or known is None:
            raise
        with suppress(OSError):  # stderr may be a terminal that was closed
            _tell(*known[:2])
        sys.exit(known[2])


def _without_code(words: Sequence[str]) -> list[str]:
    """Import the models that ``--code`` names, in any place; return the other words."""
    left = iter(words)
    others = []
    for word in left:
        if word != "--code" and not word.startswith("--code="):
            others.append(word)
            continue
        path = word.partition("=")[2] or next(left, "")
        from vgae.models.own import use_code

        use_code(path)
    return others


def _processes(words: Sequence[str]) -> AbstractContextManager[Callable[[str, object], object]]:
    """Return what joins the processes of torchrun, if it started this one; it yields ``_tell``."""
    if not {"RANK", "WORLD_SIZE"} <= os.environ.keys():
        return nullcontext(_tell)
    from vgae.cli.ranks import among_ranks

    return among_ranks(words, _tell)


def _tell(code: str, what: object) -> None:
    typer.echo(f"error[{code}]: {what}", err=True)
