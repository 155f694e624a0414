"""Train, resume and load runs of every kind."""

import logging
import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch

from vgae.errors import ArtifactError
from vgae.models.files import save_weights, write_json
from vgae.recipes.base import Training
from vgae.runs.cards import write_run_card
from vgae.runs.digests import digests
from vgae.runs.folder import (
    FORMAT,
    Output,
    history_file,
    new_folder,
    read_config,
    read_paths,
    remove_checkpoints,
    remove_stale,
    stored_recipe,
    understood,
    versions,
    write_paths,
)
from vgae.runs.jobs import note_job
from vgae.runs.kind import FinishedRun, RunKind, Source, kind_of
from vgae.runs.lock import locked
from vgae.runs.resume import recipe_to_resume, store_recipe, tell_changes
from vgae.runtime.devices import Compute
from vgae.runtime.processes import Team, team
from vgae.runtime.streams import checked_seed
from vgae.training.prepared import PreparedTraining
from vgae.training.trackers import Tracker, Tracking, checked_trackers, tracking
from vgae.training.trainer import FitResult

log = logging.getLogger(__name__)

R = TypeVar("R", bound=FinishedRun)


def train(
    kind: RunKind[R],
    source: str | Source,
    folder: str | os.PathLike[str] | Output,
    *,
    model: str | None = None,
    recipe: Training | None = None,
    seed: int = 0,
    device: str | Compute = "auto",
    progress: bool | None = None,
) -> R:
    """Train a model, evaluate it on held-out data, and write the run folder.

    In a process group (``torch.distributed``), all processes of which call it with the same
    arguments, the first one writes the folder, and evaluates; the others wait for it and load the
    run, from a folder that all machines share.

    Args:
        kind: Kind of the run.
        source: Name or path of the data, or a value of the class ``kind.source``.
        folder: New or empty folder, or an :class:`~vgae.runs.folder.Output`.
        model: Name of the model; by default, that of the kind.
        recipe: Settings; by default, those of the kind for these data.
        seed: Seed of the split, the initial weights and the noise.
        device: See :func:`vgae.fit`.
        progress: See :func:`vgae.fit`.

    Raises:
        DataError: If the data cannot be read.
        ResourceError: If the folder cannot be written, or the memory does not suffice.
        UsageError: If an argument is not valid, or the folder is not empty.
    """
    output = folder if isinstance(folder, Output) else Output(folder)
    source = kind.source(source) if isinstance(source, str) else source
    seed, compute = checked_seed(seed), Compute.of(device)
    data = kind.divide(kind.open(source, progress=progress), source, seed)
    model = kind.model_for(data, model)
    checked_trackers(output.trackers)
    # Every argument is validated before anything is written.
    prepared = kind.prepare(data, model=model, recipe=recipe, seed=seed, device=compute)
    config = {
        "format": FORMAT,
        **kind.describe(source, data, model, prepared),
        "device": str(compute.resolved()),
        "threads": torch.get_num_threads(),
        **({"processes": team().size} if team().size > 1 else {}),
        "versions": versions(),
    }
    shown: Any = {"track": output.trackers, "progress": progress}
    if output.numbered:
        place = f"{output.folder}-{kind.label(model, prepared.recipe)}"
        output = replace(output, folder=place)
    with ExitStack() as held:

        def begin() -> str:
            path = held.enter_context(new_folder(output))
            write_paths(path, kind.paths(source))
            note_job(path)
            # First: a folder with a configuration is a run that can be resumed.
            write_json(path / "config.json", config)
            return str(path)

        return _trained(kind, Path(team().led(begin)), config, data, prepared, **shown)


def resume(
    folder: str | os.PathLike[str],
    *,
    changes: Mapping[str, str] | None = None,
    override: bool = False,
    paths: Mapping[str, str] | None = None,
    device: str | Compute = "auto",
    tensorboard: bool = False,
    track: Sequence[str | Tracker] = (),
    progress: bool | None = None,
) -> Any:
    """Continue an interrupted run of any kind from its newest intact checkpoint.

    On a CPU, with the same versions and numbers of threads and processes, its files become those
    of a run without interruption, bit for bit, except the seconds in ``metrics.json``. Without a
    checkpoint it begins again; a finished run is returned as it is.

    Args:
        folder: Folder of the run, whose ``config.json`` has all settings.
        changes: Changes of the recipe; see :meth:`vgae.recipes.base.Training.override`. Without
            ``override``, only of ``epochs`` and ``patience``.
        override: Allow changes of the other fields.
        paths: Absolute paths of the files of the data by their fields in the source, such as
            ``"source"``, for a run that comes from another machine.
        device: See :func:`vgae.fit`.
        tensorboard: See :class:`~vgae.runs.folder.Output`.
        track: Trackers beside those that the run had.
        progress: See :func:`vgae.fit`.

    Raises:
        ArtifactError: If the folder is not a run, its data have changed, or ``changes`` are not
            allowed.
        ResourceError: If another process is training in it.
    """
    folder, compute, us = Path(folder), Compute.of(device), team()
    trackers = Output(folder, tensorboard=tensorboard, track=track).trackers
    checked_trackers(trackers)
    shown: Any = {"track": trackers, "progress": progress}
    kind = kind_of(folder)  # before the lock, which would be written in any folder
    with ExitStack() as held:
        us.led(lambda: held.enter_context(locked(folder)))
        config = read_config(folder, kind.keys)
        recipe = recipe_to_resume(folder, config, kind.recipe, changes or {}, override=override)
        if recipe is None:
            us.part()
            return kind.load(folder)
        tell_changes(config, compute.resolved())
        model, seed = config["model"], config["seed"]
        data = kind.reopen(folder, config, paths, progress=progress)
        with understood(folder):
            data = kind.divide(data, kind.located(folder, config, paths), seed, folder)
            kind.check_data(folder, config, data)
        prepared = kind.prepare(data, model=model, recipe=recipe, seed=seed, device=compute)
        # Nothing is written before all of it is accepted.
        us.led(partial(store_recipe, folder, config, recipe))
        if paths:
            us.led(lambda: write_paths(folder, {**read_paths(folder), **paths}))
        return _trained(kind, folder, config, data, prepared, **shown)


def load_run(folder: str | os.PathLike[str]) -> Any:
    """Return the run in a folder: a ``Run`` on a graph, an ``ImageRun`` on images.

    Raises:
        ArtifactError: If the folder is not a finished run, or a file in it is damaged.
    """
    return kind_of(Path(folder)).load(folder)


def _trained(
    kind: RunKind[R],
    folder: Path,
    config: dict[str, Any],
    data: Any,
    prepared: PreparedTraining,
    *,
    track: Sequence[str | Tracker],
    progress: bool | None,
) -> R:
    """Train, or continue training, in a locked folder with a configuration; write the results."""
    us = team()

    def begin() -> None:
        remove_stale(folder)
        kind.write_data(folder, data)

    def finish() -> None:
        metrics = _write_result(kind, folder, config, data, result, progress=progress)
        told.scores(metrics)
        remove_checkpoints(folder)

    us.led(begin)
    with tracking(folder, config, track) if us.leads else nullcontext(Tracking()) as told:
        history = history_file(folder, tell=told.row) if us.leads else nullcontext()
        with history as write_row:
            result = prepared.train(
                on_row=write_row, progress=progress, checkpoints=folder / "checkpoints"
            )
        vars(prepared).clear()  # its inputs take as much memory as the links
        us.part()
        team().led(finish)
    _check_shared(folder, us)
    run = kind.load(folder)
    kind.attach(run, data)
    return run


def _check_shared(folder: Path, us: Team) -> None:
    if not us.leads and not (folder / "config.json").exists():
        raise ArtifactError(
            "NOT_A_RUN",
            f"the first process has written the run {folder} on its machine, and it is not on this"
            " one; choose a folder that all machines share.",
        )


def _write_result(
    kind: RunKind[Any],
    folder: Path,
    config: dict[str, Any],
    data: Any,
    result: FitResult,
    *,
    progress: bool | None,
) -> dict[str, Any]:
    """Write weights, embeddings and scores, which are returned."""
    log.info("scoring the held-out data, writing model and embeddings")
    (folder / "checkpoints").mkdir(exist_ok=True)
    # A process that was killed during the write may have left half of a model.
    shutil.rmtree(folder / "model", ignore_errors=True)
    save_weights(folder / "checkpoints" / "best.safetensors", result.best)
    save_weights(folder / "checkpoints" / "last.safetensors", result.last)
    kept = stored_recipe(kind.recipe, config).keep
    metrics = {
        "kept": kept,
        "epoch": result.best_epoch if kept == "best" else len(result.history),
        "best_epoch": result.best_epoch,
        "epochs": len(result.history),
        "seconds": round(result.seconds, 3),
        "health": list(result.health),
        **kind.write(folder, config, data, result, progress=progress),
        "files": digests(folder, kind.tied),
    }
    write_run_card(folder, config, metrics)
    # Last: with it, the run is complete.
    write_json(folder / "metrics.json", metrics)
    return metrics
