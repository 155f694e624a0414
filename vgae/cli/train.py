"""The command train: begin or continue a run."""

import logging
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeGuard

import typer

from vgae.cli import options as o
from vgae.cli.console import print_json
from vgae.cli.link_lines import print_links
from vgae.cli.memory import MaxMemory, with_limit
from vgae.cli.memory import max_bytes as memory_bytes
from vgae.cli.report import written_page
from vgae.data.reading import Reading
from vgae.errors import ArtifactError, UsageError
from vgae.graphs.defaults import TEST_FRACTION, VAL_FRACTION

if TYPE_CHECKING:
    from vgae.prediction.link_table import LinkTable
    from vgae.runs.kind import FinishedRun

log = logging.getLogger(__name__)

Reconstruct = Annotated[
    str | None,
    typer.Option(
        metavar="NAMES",
        help="Targets beside the links, separated by commas: features, weights, signs.",
        show_default=False,
    ),
]
HoldFeatures = Annotated[
    float,
    typer.Option(
        min=0, max=0.99, help="Fraction of the features that are held out, to be predicted."
    ),
]
Partition = Annotated[
    bool | None,
    typer.Option(
        "--partition/--no-partition",
        help="Whether the processes of torchrun divide the nodes of a graph."
        " [default: where useful]",
    ),
]
Track = Annotated[
    list[str],
    typer.Option(
        metavar="NAME",
        help="Tell a tracker of each epoch and of the scores: tensorboard, mlflow or wandb; may be"
        " repeated. A resumed run goes on in those it had.",
    ),
]
Page = Annotated[
    bool,
    typer.Option("--page", help="Also write a page about the run, RUN/report.html."),
]


@with_limit
@o.with_reading
def train(
    context: typer.Context,
    reading: Reading,
    graph: o.GraphArgument = "stdlib",
    model: o.Model = None,
    recipe: o.TrainRecipe = None,
    set_: o.Set = [],
    epochs: o.Epochs = None,
    reconstruct: Reconstruct = None,
    hold_features: HoldFeatures = 0.0,
    relation: o.Relation = None,
    features: o.GraphFeatures = "raw",  # noqa: ARG001
    seed: o.SplitSeed = 0,
    val: o.Val = VAL_FRACTION,  # noqa: ARG001
    test: o.Test = TEST_FRACTION,  # noqa: ARG001
    split: o.Split = None,  # noqa: ARG001
    split_by_time: o.SplitByTime = None,  # noqa: ARG001
    task: o.Task = "general",  # noqa: ARG001
    split_by: o.SplitBy = "links",  # noqa: ARG001
    device: o.Device = "auto",
    pairs: o.Pairs = None,
    max_memory: MaxMemory = None,
    cuda_graph: o.CudaGraph = None,
    deterministic: o.Deterministic = False,
    partition: Partition = None,
    out: o.NewRun = None,
    overwrite: o.Overwrite = False,
    resume: o.Resume = None,
    override: o.Override = False,
    tensorboard: o.Tensorboard = False,
    track: Track = [],
    propose: o.Propose = None,
    page: Page = False,
    quiet: o.Quiet = False,
    as_json: o.Json = False,
) -> None:
    """Train on a graph or on images; write scores and a run folder."""
    changes = o.changes_of(set_, epochs=epochs, pairs=pairs, reconstruct=reconstruct)
    max_bytes = memory_bytes(max_memory)
    o.announce(quiet=quiet)
    o.import_code([model or ""])
    from vgae.runs.folder import Output, source_stem, understood
    from vgae.runs.kind import kind_for, kind_of
    from vgae.runs.lifecycle import resume as resume_run
    from vgae.runs.lifecycle import train as train_run
    from vgae.runtime.atomic import check_writable
    from vgae.runtime.devices import Compute

    if page:
        from vgae.report.pages.frame import plotly_js

        plotly_js()  # raises before any work if plotly is missing
    compute = Compute(device, max_bytes, cuda_graph, deterministic, partition)
    how: dict[str, Any] = {"device": compute, "progress": False if quiet else None}
    given = o.given_options(context)
    if begun := _begun(resume, out, graph, given):
        o.check_options(context, kind_of(begun), begun)
        _check_same(begun, given)
        how |= {"paths": _paths(given), "tensorboard": tensorboard, "track": track}
        run = resume_run(begun, changes=changes, override=override, **how)
        with understood(begun):
            show_run(run, as_json=as_json, propose=propose, page=page)
        return
    kind = kind_for(graph, relation=relation)
    o.check_options(context, kind, graph)
    _check_split(given)
    settings = kind.named_recipe(recipe, graph, progress=how["progress"]).override(changes)
    if hold_features and "features" not in getattr(settings, "reconstruct", ""):
        what = f"--hold-features {hold_features:g} holds out features, and nothing predicts them"
        raise UsageError("RECONSTRUCT", f"{what}; add --reconstruct features, or leave it out.")
    place = out or resume or f"runs/{source_stem(graph)}"
    names = [field.name for field in fields(kind.source)[1:]]
    values = {n: reading if n == "reading" else context.params[n] for n in names}
    values |= {name: str(value) for name, value in values.items() if isinstance(value, Path)}
    output = Output(place, overwrite, tensorboard, numbered=not (out or resume), track=track)
    check_writable(Path(place) / "config.json")
    data = kind.source(graph, **values)
    run = train_run(kind, data, output, model=model, recipe=settings, seed=seed, **how)
    show_run(run, as_json=as_json, propose=propose, page=page)


def _is_begun(folder: Path | None, given: Mapping[str, Any]) -> TypeGuard[Path]:
    """Return whether ``--resume`` names a run to continue."""
    if folder is None:
        if given.get("override"):
            raise UsageError("RESUME", "--override is for --resume RUN, which is missing.")
        return False
    for name in ("out", "overwrite"):
        if name in given:
            raise UsageError("RESUME", f"--resume {folder} names the folder; leave --{name} out.")
    if (folder / "config.json").exists():
        return True
    if "graph" not in given:
        raise ArtifactError(
            "NOT_A_RUN", f"{folder} is not a run; to begin one there, name the GRAPH too."
        )
    return False


def _begun(
    resume: Path | None, out: Path | None, graph: str, given: Mapping[str, Any]
) -> Path | None:
    """Return the run to continue, as the first of several processes sees it.

    It is that of ``--resume``, or the one that the same command has begun before torchrun started
    its processes again.
    """
    from vgae.runs.folder import source_stem
    from vgae.runs.jobs import begun_before
    from vgae.runtime.processes import team

    def find() -> str | None:
        if _is_begun(resume, given):
            return str(resume)
        place = out or resume or Path(f"runs/{source_stem(graph)}")
        found = begun_before(place, numbered=not (out or resume))
        if found is not None:
            log.info("started again by torchrun: going on with %s", found)
        return None if found is None else str(found)

    found = team().led(find)
    return None if found is None else Path(found)


def _check_split(given: Mapping[str, Any]) -> None:
    """Raise ``UsageError`` if a split is given together with what would make another one."""
    others = [
        name for name in ("val", "test", "split_by_time", "task", "split_by") if name in given
    ]
    if "split" in given and others:
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in others)
        raise UsageError("SPLIT", f"--split is the whole split; leave {flags} out.")


def _paths(given: Mapping[str, Any]) -> dict[str, str]:
    """Return the absolute paths of the files among the options, by the field of the source."""
    from vgae.runs.folder import is_named

    files = {"source": given.get("graph"), "features": given.get("features")}
    files = {name: file for name, file in files.items() if file and not is_named(file)}
    files |= {"split": given["split"]} if given.get("split") else {}
    return {name: str(Path(file).resolve()) for name, file in files.items()}


def _check_same(folder: Path, given: Mapping[str, Any]) -> None:
    """Raise ``ArtifactError`` if an option has another value than the run began with."""
    from vgae.models.registry import AUTO
    from vgae.recipes.graphs import VARIANTS
    from vgae.runs.folder import is_named, read_config, read_paths, shown_source, understood
    from vgae.runs.kind import kind_of
    from vgae.runs.opening import reading_of

    config, paths = read_config(folder), read_paths(folder)
    with understood(folder):
        data, split = config[kind_of(folder).name], config.get("split", {})
        began = {
            "graph": paths.get("source", data.get("source")),
            "features": paths.get("features", data.get("features")),
            **(vars(reading_of(config)) if "graph" in config else {}),
            "model": config.get("model"),
            "recipe": config.get("recipe", {}).get("name"),
            "seed": config.get("seed"),
            "val": split.get("val"),
            "test": split.get("test"),
            "split": paths.get("split", split.get("path")),
            "split_by_time": split.get("by_time"),
            "task": split.get("task", "general"),
            "split_by": split.get("by", "links"),
            "reconstruct": config.get("recipe", {}).get("reconstruct", ""),
            "hold_features": data.get("hold_features", 0.0),
        }
    reading = vars(o.reading_of({name: given[name] for name in o.READING if name in given}))
    for name, value in given.items():
        value = reading.get(name, value)
        is_path = name == "split" or (name in ("graph", "features") and not is_named(value))
        if name == "recipe" and began[name] in VARIANTS.get(value, ()):
            continue  # the rule for the graph chose it
        if (name, value) == ("model", AUTO):
            continue
        # Without its path, a run of another machine has the name of a file.
        same = [str(Path(value).resolve()), shown_source(str(value))] if is_path else [value]
        if name in began and began[name] not in same:
            raise ArtifactError(
                "RUN_OTHER",
                f"{folder} began with {name} = {began[name]}, not {value}; leave that out, or"
                " train again with another --out.",
            )


def show_run(
    run: "FinishedRun", *, as_json: bool, propose: int | None = None, page: bool = False
) -> None:
    """Draw the figures of a run after its training, and print its scores and proposals."""
    from vgae.report.view import view_of

    proposed = None
    if propose is not None:
        run, proposed = _proposed(run, propose)
    draw_figures(run)
    paths = {"links": run.folder / "links.csv", "nodes": run.folder / "nodes.csv"}
    html = written_page(run) if page else None
    if as_json:
        written = {} if proposed is None else {name: str(path) for name, path in paths.items()}
        written |= {} if html is None else {"page": str(run.folder / "report.html")}
        print_json({"run": str(run.folder), **written, **run.metrics})
        return
    typer.echo(view_of(run.config).text(run))
    if proposed is not None:
        typer.echo("\nProposed links:")
        print_links(proposed, paths["links"], proposed=True)
        typer.echo(f"{paths['nodes']}: {len(proposed.ids):,} nodes, attributes and embedding")
    if html is not None:
        typer.echo(f"\n{html}")


def _proposed(run: Any, count: int) -> "tuple[Any, LinkTable]":
    """Write the best pairs of a run on a graph, and its nodes with their embedding.

    Return the run, of which the calibration may be a better one, and the pairs.
    """
    from vgae.prediction.links import predict_links
    from vgae.runs.calibrations import calibration_at, with_folds
    from vgae.runs.nodes import node_columns
    from vgae.runtime.tables import write_table

    run = with_folds(run)
    calibration = calibration_at(run, "density")
    table = predict_links(run, run.graph, count, overall=True, calibration=calibration)
    table.save(run.folder / "links.csv")
    write_table(run.folder / "nodes.csv", node_columns(run))
    return run, table


def draw_figures(run: "FinishedRun") -> None:
    """Draw the figures of a run into its folder."""
    from vgae.report.view import view_of

    view_of(run.config).draw(run)
