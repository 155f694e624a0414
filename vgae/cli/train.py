"""The command train: begin a run, or go on with one."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vgae.cli.console import print_json, print_run, print_written
from vgae.cli.images import resume_images, train_images
from vgae.cli.options import (
    Device,
    Directed,
    Epochs,
    GraphArgument,
    GraphFeatures,
    Json,
    MaxMemory,
    Pairs,
    Quiet,
    Set,
    announce,
    changes_of,
)
from vgae.errors import ArtifactError, UsageError
from vgae.models.registry import model_names
from vgae.recipes import PAPER, RECIPES, recipe_named
from vgae.recipes.images import IMAGE_RECIPES, KERAS2D, SMALL2D

if TYPE_CHECKING:
    from vgae.runs.graphs import Run

# What a run on images takes of the options with which one is resumed.
_IMAGE_OPTIONS = ("changes", "override", "device", "deterministic", "tensorboard", "progress")


def train(
    context: typer.Context,
    graph: GraphArgument = "stdlib",
    model: Annotated[
        str | None,
        typer.Option(
            help=f"{', '.join(model_names())}; of images vae or ae  [default: vgae, vae]",
            show_default=False,
        ),
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            help=f"Named settings: {', '.join(RECIPES)}; of images {', '.join(IMAGE_RECIPES)}; see"
            f" --set  [default: {PAPER.name}; {KERAS2D.name} or, of few images, {SMALL2D.name}]",
            show_default=False,
        ),
    ] = None,
    set_: Set = [],
    epochs: Epochs = None,
    features: GraphFeatures = "raw",
    directed: Directed = "symmetrize",
    seed: Annotated[int, typer.Option(min=0, help="Of split, initial weights and noise.")] = 0,
    val: Annotated[float, typer.Option(help="Share of the links to choose a model by.")] = 0.05,
    test: Annotated[float, typer.Option(help="Share of the links to judge it by.")] = 0.10,
    device: Device = "auto",
    pairs: Pairs = None,
    max_memory: MaxMemory = None,
    cuda_graph: Annotated[
        bool, typer.Option("--cuda-graph", help="Launch each epoch on a GPU as a whole.")
    ] = False,
    deterministic: Annotated[
        bool,
        typer.Option("--deterministic", help="Same bits each time on a GPU too, or an error."),
    ] = False,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Run folder  [default: runs/GRAPH-MODEL-N]")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an old run.")] = False,
    resume: Annotated[
        Path | None,
        typer.Option(
            help="Go on with this run, which was interrupted, with its own settings: others that"
            " are given must be the same, but for --epochs and what does not change the result."
            " With GRAPH, begin the run if it is not there yet."
        ),
    ] = None,
    override: Annotated[
        bool, typer.Option("--override", help="With --resume: let --set change other fields.")
    ] = False,
    tensorboard: Annotated[
        bool,
        typer.Option("--tensorboard", help="Log each epoch to RUN/tensorboard for TensorBoard."),
    ] = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Train on a graph or on images, score what was held out, write a run folder."""
    changes = changes_of(set_, epochs=epochs, pairs=pairs)
    if max_memory is not None and not math.isfinite(max_memory):
        raise UsageError("MAX_MEMORY", f"--max-memory must be finite, got {max_memory}.")
    announce(quiet=quiet)
    max_bytes = None if max_memory is None else int(1e6 * max_memory)
    if _resumed(
        context,
        resume,
        changes,
        override=override,
        device=device,
        deterministic=deterministic,
        max_bytes=max_bytes,
        cuda_graph=cuda_graph,
        tensorboard=tensorboard,
        as_json=as_json,
    ):
        return
    out = out or resume
    from vgae.data.named_images import is_images

    if is_images(graph):
        graphs_only = [
            features != "raw",
            directed != "symmetrize",
            val != 0.05,
            test != 0.10,
            max_memory,
            cuda_graph,
        ]
        if any(graphs_only):
            raise UsageError(
                "IMAGES",
                "--features, --directed, --val, --test, --max-memory and --cuda-graph are for"
                f" graphs, and {graph} holds images.",
            )
        train_images(
            graph,
            model=model,
            recipe=recipe,
            settings=changes,
            seed=seed,
            device=device,
            deterministic=deterministic,
            out=out,
            overwrite=overwrite,
            tensorboard=tensorboard,
            quiet=quiet,
            as_json=as_json,
        )
        return
    settings = recipe_named(recipe or PAPER.name).override(changes)
    model = model or "vgae"
    from vgae.runs.folder import free_path
    from vgae.runs.graphs import train_run

    folder = out or free_path(f"runs/{Path(graph).stem}-{model}")
    run = train_run(
        graph,
        folder,
        features=features,
        directed=directed,  # pyright: ignore[reportArgumentType]
        model=model,
        recipe=settings,
        seed=seed,
        val=val,
        test=test,
        device=device,
        deterministic=deterministic,
        max_bytes=max_bytes,
        cuda_graph=cuda_graph,
        overwrite=overwrite,
        tensorboard=tensorboard,
        progress=False if quiet else None,
    )
    show_run(run, as_json=as_json)


def _resumed(
    context: typer.Context,
    folder: Path | None,
    changes: Mapping[str, str],
    *,
    override: bool,
    as_json: bool,
    **options: Any,
) -> bool:
    """Go on with a run of either kind, if one is to be resumed; tell whether one was."""
    given = {n: v for n, v in context.params.items() if _is_given(context, n)}
    if folder is None:
        if override:
            raise UsageError("RESUME", "--override is for --resume RUN, and there is none.")
        return False
    for name in ("out", "overwrite"):
        if name in given:
            raise UsageError("RESUME", f"--resume {folder} names the folder; leave --{name} out.")
    if not (folder / "config.json").exists():
        if "graph" in given:
            return False
        raise ArtifactError(
            "NOT_A_RUN", f"{folder} is no run; name the GRAPH too, and one is begun there."
        )
    from vgae.runs.folder import is_image_run

    options = {"changes": changes, "override": override, **options}
    options["progress"] = False if given.get("quiet") else None
    if is_image_run(folder):
        _check_same(folder, given, "images")
        resume_images(folder, as_json=as_json, **{n: options[n] for n in _IMAGE_OPTIONS})
        return True
    from vgae.runs.folder import understood
    from vgae.runs.graphs import resume_run

    _check_same(folder, given, "graph")
    run = resume_run(folder, **options)
    with understood(folder):
        show_run(run, as_json=as_json)
    return True


def _is_given(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _check_same(folder: Path, given: Mapping[str, Any], kind: str) -> None:
    """Raise ``ArtifactError`` if an option that was given is not what the run began with."""
    from vgae.models.files import read_json
    from vgae.runs.folder import is_named, understood

    config = read_json(folder / "config.json")
    with understood(folder):
        data, split = config[kind], config.get("split", {})
        began = {
            "graph": data.get("source"),
            "features": data.get("features"),
            "directed": data.get("directed"),
            "model": config.get("model"),
            "recipe": config.get("recipe", {}).get("name"),
            "seed": config.get("seed"),
            "val": split.get("val"),
            "test": split.get("test"),
        }
    for name, value in given.items():
        is_path = name in ("graph", "features") and not is_named(value)
        if name in began and began[name] != (str(Path(value).resolve()) if is_path else value):
            raise ArtifactError(
                "RUN_OTHER",
                f"{folder} began with {name} = {began[name]}, not {value}; leave that out, or"
                " train anew, with another --out.",
            )


def show_run(run: "Run", *, as_json: bool) -> None:
    """Draw the figures of a run that was just trained, and print what came out."""
    draw_figures(run)
    if as_json:
        print_json({"run": str(run.folder), **run.metrics})
    else:
        print_run(run)
        print_written(run)


def draw_figures(run: "Run") -> None:
    """Draw the figures of a run into its folder."""
    from vgae.report.figures.graphs import write_figures
    from vgae.runtime.npz import read_arrays

    write_figures(run, read_arrays(run.folder / "embeddings.npz")["mu"])
