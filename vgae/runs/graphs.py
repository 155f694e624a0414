"""A run is a folder: everything that one training wrote, and the way back from it.

``config.json`` (all settings and versions), ``split.npz``, ``history.jsonl`` (a row per epoch),
``metrics.json``, ``model/`` (``config.json``, ``model.safetensors``, ``node_ids.json``,
``calibration.json``), ``checkpoints/`` (weights of the best and of the last epoch),
``embeddings.npz``, ``figures/``.
"""

import operator
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import torch

from vgae.data.catalog import Features
from vgae.data.files import read_graph
from vgae.data.named import load_dataset
from vgae.errors import ArtifactError, UsageError
from vgae.evaluation.calibration import Calibration, Prior, load_calibration
from vgae.evaluation.links import calibrate, evaluate
from vgae.graphs.canonical import Directed
from vgae.graphs.graph import Graph
from vgae.graphs.split import LinkSplit, split_links
from vgae.models.embedding import embed
from vgae.models.files import read_json, save_weights, write_json
from vgae.models.pretrained import from_pretrained, save_pretrained
from vgae.prediction.export import write_embeddings
from vgae.recipes import PAPER, Recipe
from vgae.runs.folder import (
    FORMAT,
    history_file,
    is_named,
    locked,
    new_folder,
    read_config,
    read_finished,
    read_history,
    remove_checkpoints,
    remove_stale,
    stored_recipe,
    understood,
    versions,
)
from vgae.runs.resume import recipe_to_resume, tell_changes
from vgae.runtime.devices import Compute
from vgae.training.history import HistoryRow
from vgae.training.links import prepare
from vgae.training.prepared import FitResult, PreparedTraining
from vgae.training.tensorboard import check_tensorboard
from vgae.vae import VAE

_CONFIG_KEYS = {"graph": dict, "model": str, "recipe": dict, "seed": int, "split": dict}


@dataclass(frozen=True, eq=False, repr=False)
class Run:
    """A finished training, as it lies in its folder.

    Attributes:
        folder: Where it lies.
        config: Content of ``config.json``.
        split: The links held out.
        model: The trained model, on the CPU.
        history: One row per epoch.
        metrics: Content of ``metrics.json``.
        calibration: From logits to probabilities; ``None`` without validation links.
    """

    folder: Path
    config: dict[str, Any]
    split: LinkSplit
    model: VAE
    history: list[HistoryRow]
    metrics: dict[str, Any]
    calibration: Calibration | None = None

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r}, {self.config['model']}, {self.metrics})"

    @cached_property
    def graph(self) -> Graph:
        """The graph, read anew from where the run had it.

        Raises:
            ArtifactError: If it is no longer the same graph.
        """
        return _graph_of(self.folder, self.config)


def _graph_of(folder: Path, config: Mapping[str, Any], *, progress: bool | None = None) -> Graph:
    """Return the graph that a run is of, read anew and compared."""
    try:
        described = config["graph"]
        source, features = str(described["source"]), str(described["features"])
        directed = cast(Directed, described.get("directed", "symmetrize"))
    except (AttributeError, KeyError, TypeError):
        raise ArtifactError(
            "RUN_CORRUPT", f"{folder / 'config.json'} does not say what its graph is."
        ) from None
    graph = open_graph(source, features, directed, progress=progress)
    if graph.fingerprint != described.get("fingerprint"):
        raise ArtifactError(
            "DATA_CHANGED",
            f"{source} is not the graph that {folder} was trained on; bring that one back, or"
            " train anew.",
        )
    return graph


def open_graph(
    source: str,
    features: str = "raw",
    directed: Directed = "symmetrize",
    *,
    progress: bool | None = None,
) -> Graph:
    """Open a graph by the name of a data set, or by the path of a file (it has a suffix).

    Args:
        source: Name or path; see :func:`vgae.load_dataset` and :func:`vgae.read_graph`.
        features: ``"raw"``, those of the data set or file; ``"none"``; or, of a file, the path of
            another file that holds them.
        directed: See :meth:`vgae.Graph.from_edges`.
        progress: Of a download; see :func:`vgae.fit`.
    """
    if is_named(source):
        known = cast(Features, features)  # which load_dataset checks
        return load_dataset(source, features=known, progress=progress)
    path = None if features in ("raw", "none") else features
    if path is not None and is_named(path):
        raise UsageError(
            "FEATURES",
            f"features must be 'raw', 'none' or a file such as features.csv, got {features!r}.",
        )
    graph = read_graph(source, features=path, directed=directed)
    return graph.without_features() if features == "none" else graph


def train_run(  # noqa: PLR0913
    source: str,
    folder: str | os.PathLike[str],
    *,
    features: str = "raw",
    directed: Directed = "symmetrize",
    model: str = "vgae",
    recipe: Recipe = PAPER,
    seed: int = 0,
    val: float = 0.05,
    test: float = 0.10,
    device: str = "auto",
    max_bytes: int | None = None,
    cuda_graph: bool = False,
    deterministic: bool = False,
    overwrite: bool = False,
    tensorboard: bool = False,
    progress: bool | None = None,
) -> Run:
    """Split a graph, train on it, evaluate, and write the run folder.

    Args:
        source: Name of a data set, or path of a graph file.
        folder: New or empty, unless ``overwrite``.
        features: See :func:`open_graph`; ``"none"`` trains on the links alone.
        directed: See :meth:`vgae.Graph.from_edges`.
        model: See :func:`vgae.models.graphs.build_model`.
        recipe: Settings.
        seed: Of the split, the initial weights and the noise.
        val: Share of the links to choose by; see :func:`vgae.split_links`.
        test: Share of the links to judge by.
        device: See :func:`vgae.fit`.
        max_bytes: See :func:`vgae.fit`.
        cuda_graph: See :func:`vgae.fit`.
        deterministic: See :func:`vgae.fit`.
        overwrite: Whether to delete a run that is in ``folder``; anything else there is left
            alone. Nothing is deleted before all arguments are known to be good.
        tensorboard: Whether to log each epoch for TensorBoard, too, in ``tensorboard/``.
        progress: See :func:`vgae.fit`.

    Raises:
        ResourceError: If the folder cannot be written or the memory does not suffice; before any
            work is done.
        UsageError: If the folder holds something already.
    """
    seed = operator.index(seed)
    graph = open_graph(source, features, directed, progress=progress)
    split = split_links(graph, val=val, test=test, seed=seed)
    # Every argument is checked before anything is written.
    compute = Compute(device, max_bytes, cuda_graph, deterministic)
    if tensorboard:
        check_tensorboard()
    prepared = prepare(graph, split, model=model, recipe=recipe, seed=seed, device=compute)
    config = {
        "format": FORMAT,
        "graph": {**_description(graph, source, features), "directed": directed},
        "model": model,
        "in_channels": graph.num_features or graph.num_nodes,
        "recipe": asdict(prepared.recipe),
        "seed": seed,
        "split": {"val": val, "test": test},
        "device": str(prepared.device),
        "threads": torch.get_num_threads(),
        "versions": versions(),
    }
    folder = new_folder(Path(folder), overwrite=overwrite)
    # First: with it the folder is a run that can be resumed.
    write_json(folder / "config.json", config)
    split.save(folder / "split.npz")
    return _trained(
        folder, config, graph, split, prepared, tensorboard=tensorboard, progress=progress
    )


def resume_run(
    folder: str | os.PathLike[str],
    *,
    changes: Mapping[str, str] | None = None,
    override: bool = False,
    device: str = "auto",
    max_bytes: int | None = None,
    cuda_graph: bool = False,
    deterministic: bool = False,
    tensorboard: bool = False,
    progress: bool | None = None,
) -> Run:
    """Go on with a run that was interrupted, from its newest checkpoint that is whole.

    On a CPU, with the same versions and thread count, its files become those of a run that was
    never interrupted, bit for bit, but for the seconds in ``metrics.json``. A run without a
    checkpoint starts anew, a finished one is returned as it is.

    Args:
        folder: Of the run; its ``config.json`` has all settings.
        changes: Fields of the recipe to change on the way, as :meth:`vgae.Recipe.override` takes
            them: ``{"epochs": "400"}``. Only ``epochs`` and ``patience``, unless ``override``.
        override: Whether to change fields that make another training of it.
        device: See :func:`vgae.fit`.
        max_bytes: See :func:`vgae.fit`.
        cuda_graph: See :func:`vgae.fit`.
        deterministic: See :func:`vgae.fit`.
        tensorboard: See :func:`train_run`; a run that has been logged is so further on.
        progress: See :func:`vgae.fit`.

    Raises:
        ArtifactError: If the folder is not a run, its graph has changed, or ``changes`` are not
            allowed.
        ResourceError: If another process is training in it.
    """
    folder = Path(folder)
    config = read_config(folder, _CONFIG_KEYS)
    recipe = recipe_to_resume(folder, config, Recipe, changes or {}, override=override)
    if recipe is None:
        return load_run(folder)
    compute = Compute(device, max_bytes, cuda_graph, deterministic)
    tell_changes(config, compute.resolved())
    graph = _graph_of(folder, config, progress=progress)
    if (folder / "split.npz").exists():
        split = LinkSplit.load(folder / "split.npz")
    else:  # killed before it was written
        with understood(folder):
            split = split_links(graph, **config["split"], seed=config["seed"])
        split.save(folder / "split.npz")
    model, seed = config["model"], config["seed"]
    prepared = prepare(graph, split, model=model, recipe=recipe, seed=seed, device=compute)
    return _trained(
        folder, config, graph, split, prepared, tensorboard=tensorboard, progress=progress
    )


def _trained(
    folder: Path,
    config: dict[str, Any],
    graph: Graph,
    split: LinkSplit,
    prepared: PreparedTraining,
    *,
    tensorboard: bool,
    progress: bool | None,
) -> Run:
    """Train, or go on training, in a folder that has its configuration, and write the rest."""
    with locked(folder):
        remove_stale(folder)
        with history_file(folder, tensorboard=tensorboard) as write_row:
            result = prepared.train(
                on_row=write_row, progress=progress, checkpoints=folder / "checkpoints"
            )
        metrics, calibration = _write_result(folder, result, config, graph, split)
        remove_checkpoints(folder)
    trained = result.model.cpu()
    run = Run(folder, config, split, trained, result.history, metrics, calibration)
    vars(run)["graph"] = graph  # is here already
    return run


def _description(graph: Graph, source: str, features: str) -> dict[str, Any]:
    """Return what ``config.json`` says of the graph, enough to find it again and to know it."""
    return {
        "source": source if is_named(source) else str(Path(source).resolve()),
        "features": features if is_named(features) else str(Path(features).resolve()),
        **graph.summary(),
        "fingerprint": graph.fingerprint,
    }


def _write_result(
    folder: Path, result: FitResult, config: Mapping[str, Any], graph: Graph, split: LinkSplit
) -> tuple[dict[str, Any], Calibration | None]:
    """Write weights, embeddings, calibration and scores; return the scores and the calibration."""
    (folder / "checkpoints").mkdir(exist_ok=True)
    # Half a model may be left of a process that was killed while it wrote.
    shutil.rmtree(folder / "model", ignore_errors=True)
    save_weights(folder / "checkpoints" / "best.safetensors", result.best)
    save_weights(folder / "checkpoints" / "last.safetensors", result.last)
    q = embed(result.model, graph, split.message_edge_index)
    write_embeddings(folder / "embeddings.npz", graph.ids, q)
    calibration = None
    if split.val.pos.shape[1] > 1:
        calibration = calibrate(result.model, graph, split)
    save_pretrained(
        result.model, folder / "model", node_ids=graph.node_ids, calibration=calibration
    )
    scores = evaluate(result.model, graph, split, calibration=calibration)
    kept = stored_recipe(Recipe, dict(config)).keep
    metrics = {
        "kept": kept,
        "epoch": result.best_epoch if kept == "best" else len(result.history),
        "best_epoch": result.best_epoch,
        "epochs": len(result.history),
        "seconds": round(result.seconds, 3),
        "pairs": result.plan.pairs if result.plan else None,
        **{part: score.to_dict() for part, score in scores.items()},
    }
    write_json(folder / "metrics.json", metrics)
    return metrics, calibration


def recalibrate(run: Run, calibration: Calibration) -> Run:
    """Store a calibration with the model of a run, and score the run anew with it."""
    write_json(run.folder / "model" / "calibration.json", calibration.to_dict())
    scores = evaluate(run.model, run.graph, run.split, calibration=calibration)
    metrics = run.metrics | {part: score.to_dict() for part, score in scores.items()}
    write_json(run.folder / "metrics.json", metrics)
    return replace(run, metrics=metrics, calibration=calibration)


def calibration_at(run: Run, prior: Prior) -> Calibration | None:
    """Return what gives probabilities at a prior; ``None`` if nothing was held out to fit it."""
    stored = run.calibration
    if stored is None or stored.prior == prior:
        return stored
    return calibrate(run.model, run.graph, run.split, prior=prior)


def load_run(folder: str | os.PathLike[str]) -> Run:
    """Bring a run back from its folder.

    Raises:
        ArtifactError: If the folder is not a finished run, or a file of it is damaged.
    """
    folder = Path(folder)
    config = read_finished(folder, _CONFIG_KEYS)
    return Run(
        folder=folder,
        config=config,
        split=LinkSplit.load(folder / "split.npz"),
        model=from_pretrained(folder / "model"),
        history=read_history(folder),
        metrics=read_json(folder / "metrics.json"),
        calibration=load_calibration(folder / "model"),
    )
