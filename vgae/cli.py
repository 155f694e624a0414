"""The command line: one short function a command; heavy imports inside, so that --help is fast."""

import math
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vgae.cli_datasets import datasets_app
from vgae.cli_images import COMMANDS as IMAGE_COMMANDS
from vgae.cli_images import embed_images, evaluate_images, resume_images, train_images
from vgae.cli_links import COMMANDS as LINK_COMMANDS
from vgae.cli_options import (
    Directed,
    GraphArgument,
    GraphFeatures,
    Json,
    OtherGraph,
    Quiet,
    RunArgument,
    announce,
)
from vgae.console import (
    print_calibration,
    print_json,
    print_run,
    print_scores,
    print_table,
    print_tasks,
    print_written,
)
from vgae.errors import UsageError, VgaeError
from vgae.image_recipes import IMAGE_RECIPES, KERAS2D, SMALL2D
from vgae.recipes import PAPER, RECIPES, Recipe, recipe_named
from vgae.version import __version__

if TYPE_CHECKING:
    from vgae.run import Run

app = typer.Typer(
    help="Variational graph auto-encoders: train on a graph, predict its missing links, take"
    " embeddings out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for command in (*LINK_COMMANDS, *IMAGE_COMMANDS):
    app.command()(command)
app.add_typer(datasets_app, name="datasets")

Features = Annotated[str, typer.Option(help="'raw', or 'none' to train on the links alone.")]
RecipeName = Annotated[
    str, typer.Option(help="Named settings: " + ", ".join(RECIPES) + "; see --set.")
]
Set = Annotated[
    list[str],
    typer.Option(
        "--set",
        metavar="FIELD=VALUE",
        help="Change a field of the recipe: " + ", ".join(Recipe.__dataclass_fields__) + ".",
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


@app.callback(invoke_without_command=True)
def root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,  # noqa: ARG001
) -> None:
    """Options of all commands; ``--debug`` is for :func:`main`, and stands here for the help."""
    if version:
        typer.echo(f"vgae {__version__}")
        raise typer.Exit


@app.command()
def train(
    graph: GraphArgument = "stdlib",
    model: Annotated[
        str | None,
        typer.Option(
            help="vgae, gae, linear-vgae or linear-gae; of images vae or ae  [default: vgae, vae]",
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
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Run folder  [default: runs/GRAPH-MODEL-N]")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an old run.")] = False,
    resume: Annotated[
        Path | None,
        typer.Option(
            help="Go on with this run, which was interrupted, with all of its settings; of the"
            " others only --device, --max-memory and what is printed count."
        ),
    ] = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Train on a graph or on images, score what was held out, write a run folder."""
    changes = _changes(set_, epochs=epochs, pairs=pairs)
    if max_memory is not None and not math.isfinite(max_memory):
        raise UsageError("MAX_MEMORY", f"--max-memory must be finite, got {max_memory}.")
    announce(quiet=quiet)
    max_bytes = None if max_memory is None else int(1e6 * max_memory)
    if resume is not None:
        _resume(resume, device, max_bytes, cuda_graph=cuda_graph, quiet=quiet, as_json=as_json)
        return
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
            out=out,
            overwrite=overwrite,
            quiet=quiet,
            as_json=as_json,
        )
        return
    settings = recipe_named(recipe or PAPER.name).override(changes)
    model = model or "vgae"
    from vgae.run import train_run
    from vgae.run_folder import free_path

    folder = out or free_path(f"runs/{Path(graph).stem}-{model}")
    run = train_run(
        graph,
        folder,
        features=features,
        directed=directed,  # pyright: ignore[reportArgumentType]
        model=model,  # pyright: ignore[reportArgumentType]
        recipe=settings,
        seed=seed,
        val=val,
        test=test,
        device=device,
        max_bytes=max_bytes,
        cuda_graph=cuda_graph,
        overwrite=overwrite,
        progress=False if quiet else None,
    )
    _show_run(run, as_json=as_json)


@app.command()
def evaluate(
    run: RunArgument,
    tasks: Annotated[
        str, typer.Option(help="What to judge by: links, classes, clusters; commas between.")
    ] = "links",
    messages: Annotated[
        str,
        typer.Option(help="Links that messages travel on for test: 'train', or 'train+val'."),
    ] = "train",
    hard: Annotated[
        int, typer.Option(min=0, help="Rank links among as many hard non-links, such as 500.")
    ] = 0,
    samples: Annotated[
        int, typer.Option(min=1, help="Of a run on images: samples an image, for log p(x).")
    ] = 500,
    as_json: Json = False,
) -> None:
    """Score what a run held out anew; judge the embedding of nodes by classes and clusters."""
    from vgae.embedding import embed as embed_nodes
    from vgae.evaluation import evaluate as evaluate_model
    from vgae.run import load_run
    from vgae.run_folder import is_image_run
    from vgae.tasks import judge_embedding

    wanted = _names(tasks)
    if not wanted or set(wanted) - {"links", "classes", "clusters"}:
        raise UsageError("TASKS", f"--tasks must be of links, classes, clusters, got {tasks!r}.")
    if hard % 2:
        raise UsageError("HARD", f"--hard must be even, half for each end of a link, got {hard}.")
    if is_image_run(run):
        evaluate_images(run, samples=samples, as_json=as_json)
        return
    loaded = load_run(run)
    result: dict[str, Any] = {}
    if "links" in wanted:
        scores = evaluate_model(
            loaded.model,
            loaded.graph,
            loaded.split,
            messages=messages,  # pyright: ignore[reportArgumentType]
            calibration=loaded.calibration,
            hard=hard,
        )
        result |= {part: score.to_dict() for part, score in scores.items()}
    others = {}
    if {"classes", "clusters"} & set(wanted):
        mu = embed_nodes(loaded.model, loaded.graph).mu
        others = judge_embedding(mu, loaded.graph, wanted)
    if as_json:
        print_json(result | others)
        return
    if "links" in wanted:
        print_scores(result)
    if others:
        print_tasks(others)


@app.command()
def calibrate(
    run: RunArgument,
    method: Annotated[str, typer.Option(help="'platt', 'isotonic' or 'temperature'.")] = "platt",
    prior: Annotated[
        str,
        typer.Option(
            help="Share of links: 'balanced' (one half), or their 'density' among all pairs"
            " that are not known from training."
        ),
    ] = "balanced",
    goal: Annotated[str, typer.Option(help="Of the threshold: 'f1', or 'precision=0.9'.")] = "f1",
    as_json: Json = False,
) -> None:
    """Fit probabilities to the validation pairs of a run; store and judge them with its model."""
    from vgae.evaluation import calibrate as calibrate_model
    from vgae.run import load_run, recalibrate

    loaded = load_run(run)
    calibration = calibrate_model(
        loaded.model,
        loaded.graph,
        loaded.split,
        method=method,  # pyright: ignore[reportArgumentType]
        prior=prior,  # pyright: ignore[reportArgumentType]
        goal=goal,
    )
    _draw(recalibrate(loaded, calibration))
    if as_json:
        print_json(calibration.to_dict())
    else:
        print_calibration(calibration)


@app.command()
def embed(
    run: RunArgument,
    graph: OtherGraph = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help=".npz, .npy, .csv, .tsv, .json, .parquet, .vec (word2vec) or .projector"
            " (TensorBoard)  [default: in RUN; GRAPH-embeddings.npz]",
        ),
    ] = None,
    features: GraphFeatures = "raw",
    messages: Annotated[
        str,
        typer.Option(
            help="Links that messages travel on: 'train', or 'all' of the graph; always all of"
            " another graph."
        ),
    ] = "train",
    as_json: Json = False,
) -> None:
    """Write the embedding of every node with its name, of another graph, or of test images."""
    from vgae.run_folder import is_image_run

    if is_image_run(run):
        embed_images(run, out, as_json=as_json)
        return
    from vgae.embedding import embed as embed_nodes
    from vgae.export import node_labels, write_embeddings
    from vgae.run import load_run, open_graph

    if messages not in ("train", "all"):
        raise UsageError("MESSAGES", f"--messages must be 'train' or 'all', got {messages!r}.")
    announce(quiet=as_json)
    loaded = load_run(run)
    nodes_of = loaded.graph if graph is None else open_graph(graph, features)
    edge_index = loaded.split.message_edge_index if graph is None and messages == "train" else None
    q = embed_nodes(loaded, nodes_of, edge_index)
    path = out or (
        run / "embeddings.npz" if graph is None else Path(f"{Path(graph).stem}-embeddings.npz")
    )
    write_embeddings(path, nodes_of.ids, q, labels=node_labels(nodes_of))
    nodes, dimensions = q.mu.shape
    if as_json:
        print_json({"path": str(path), "nodes": nodes, "dimensions": dimensions})
    else:
        typer.echo(f"{path}: {nodes} nodes, {dimensions} dimensions")


@app.command()
def table(
    datasets: Annotated[str, typer.Option(help="Names, separated by commas.")] = "stdlib",
    models: Annotated[str, typer.Option(help="Names, separated by commas.")] = "gae,vgae",
    recipe: RecipeName = "paper",
    set_: Set = [],
    epochs: Epochs = None,
    features: Features = "raw",
    seeds: Annotated[int, typer.Option(min=1, help="How many: 0 to SEEDS - 1.")] = 10,
    device: Device = "auto",
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="JSON file  [default: runs/table-N.json]")
    ] = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Compare models over several seeds: mean ± deviation."""
    settings = recipe_named(recipe).override(_changes(set_, epochs=epochs))
    from vgae.experiment import Trial, protocol, run_table, summarise, to_json
    from vgae.model_files import write_json
    from vgae.run_folder import free_path

    text = protocol(settings, features, seeds)
    path = out or free_path("runs/table", ".json")
    # A folder that cannot be written is found out before the first training, a table that is
    # there already is not touched before the first result.
    path.parent.mkdir(parents=True, exist_ok=True)
    TemporaryFile(dir=path.parent).close()
    done: list[Trial] = []

    def show(trial: Trial) -> None:
        done.append(trial)
        # Written each time: an interrupted table keeps its rows.
        write_json(path, to_json(summarise(done, features), settings, text))
        if not quiet:
            scores = f"AUC {100 * trial.test.auc:.2f}  AP {100 * trial.test.ap:.2f}"
            name = f"{trial.dataset} {trial.model} seed {trial.seed}"
            typer.echo(f"{name}: test {scores}  ({trial.seconds:.1f} s)", err=True)

    run_table(
        _names(datasets),
        _names(models),  # pyright: ignore[reportArgumentType]
        num_seeds=seeds,
        recipe=settings,
        features=features,  # pyright: ignore[reportArgumentType]
        device=device,
        on_trial=show,
    )
    summaries = summarise(done, features)
    if as_json:
        print_json(to_json(summaries, settings, text))
    else:
        print_table(summaries, text)
        typer.echo(f"\n{path}: the same with every seed's own row")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; every error of the package is one line and an exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in arguments  # wherever it stands
    try:
        app([word for word in arguments if word != "--debug"], prog_name="vgae")
    except VgaeError as error:
        if debug:
            raise
        typer.echo(f"error[{error.code}]: {error}", err=True)
        sys.exit(error.exit_code)
    except OSError as error:
        if debug:
            raise
        typer.echo(f"error[OS]: {error}", err=True)
        sys.exit(5)


def _changes(settings: Sequence[str], **short: object) -> dict[str, str]:
    """Return the changes of ``--set`` and of options that are short for it, as text by field."""
    changes = {}
    for setting in settings:
        field, equals, value = setting.partition("=")
        if not equals:
            raise UsageError("RECIPE", f"--set must be FIELD=VALUE, got {setting!r}.")
        changes[field] = value
    return changes | {field: str(value) for field, value in short.items() if value is not None}


def _resume(
    folder: Path,
    device: str,
    max_bytes: int | None,
    *,
    cuda_graph: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Go on with a run of either kind."""
    from vgae.run import resume_run
    from vgae.run_folder import is_image_run

    progress = False if quiet else None
    if is_image_run(folder):
        resume_images(folder, device=device, progress=progress, as_json=as_json)
        return
    run = resume_run(
        folder, device=device, max_bytes=max_bytes, cuda_graph=cuda_graph, progress=progress
    )
    _show_run(run, as_json=as_json)


def _show_run(run: "Run", *, as_json: bool) -> None:
    """Draw the figures of a run that was just trained, and print what came out."""
    _draw(run)
    if as_json:
        print_json({"run": str(run.folder), **run.metrics})
    else:
        print_run(run)
        print_written(run)


def _draw(run: "Run") -> None:
    from vgae.npz import read_arrays
    from vgae.report.figures import write_figures

    write_figures(run, read_arrays(run.folder / "embeddings.npz")["mu"])


def _names(text: str) -> list[str]:
    """Return what is between the commas."""
    return [name.strip() for name in text.split(",") if name.strip()]
