"""Calibrations of runs on graphs: stored ones, those of folds, and those for another prior."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from vgae.errors import ResourceError, VgaeError
from vgae.evaluation.calibration import Calibration, Prior
from vgae.evaluation.folds import FoldLinks
from vgae.evaluation.held_pairs import link_fraction
from vgae.evaluation.links import calibrate, evaluate
from vgae.evaluation.sampled import MOST_FITTED, has_intervals
from vgae.models.files import write_json
from vgae.recipes import Recipe
from vgae.runs.digests import rewriting, store_digests
from vgae.runs.folder import stored_recipe
from vgae.runs.graphs import Run
from vgae.training.durations import seconds_text
from vgae.training.folds import FOLDS, check_folds, cross_fit, without_details
from vgae.training.links import prepare

log = logging.getLogger(__name__)

MOST_SECONDS = 120.0
"""Predicted time of the longest trainings on folds that are made without being asked for."""


def recalibrate(run: Run, calibration: Calibration, *, allow_seen: bool = False) -> Run:
    """Store a calibration with the model of a run, and evaluate the run with it.

    Raises:
        ArtifactError: If a file of the run is damaged, or of another run; then nothing is written.
        ResourceError: If another process is writing in its folder.
    """
    how: Any = {"calibration": calibration, "allow_seen": allow_seen}
    scores = evaluate(run.model, run.graph, run.split, **how)
    return _stored(run, calibration, {part: score.to_dict() for part, score in scores.items()})


def folds_of_run(run: Run, folds: int = FOLDS, *, progress: bool | None = None) -> FoldLinks:
    """Train models as that of a run on folds; see :func:`vgae.cross_fit`."""
    return cross_fit(run.graph, run.split, folds=folds, progress=progress, **_training(run))


def with_folds(run: Run, *, progress: bool | None = None) -> Run:
    """Fit and store the calibration of a run by folds too, unless that takes over two minutes.

    The run is returned as it is, with a line on what takes too long, and without one if it has no
    calibration as a training makes it, or a split that has no folds. If its folder cannot be
    written, the calibration is not stored, with a warning.
    """
    stored, first = run.calibration, ("spline", "density", "f1", 0)
    if stored is None or (stored.method, stored.prior, stored.goal, stored.folds) != first:
        return run
    try:
        check_folds(run.split, FOLDS)
    except VgaeError as error:
        log.info("probabilities are by validation links alone: %s", error)
        return run
    seconds = FOLDS * _seconds(run)
    models = f"{FOLDS} models without a fifth of the training links each ({seconds_text(seconds)})"
    if seconds > MOST_SECONDS:
        number, command = (
            run.split.val.pos.shape[1],
            f"vgae calibrate {run.folder} --folds {FOLDS}",
        )
        log.info(
            "probabilities are by %d validation links; '%s' trains %s", number, command, models
        )
        return run
    log.info("training %s, once for this run", models)
    folds = folds_of_run(run, progress=progress)
    found = calibrate(run.model, run.graph, run.split, folds=folds)
    found = replace(found, intervals=stored.intervals)
    try:
        return recalibrate(run, found)
    except ResourceError as error:
        log.warning("the calibration is not stored: %s", error)
        return replace(run, calibration=found)


def _seconds(run: Run) -> float:
    """Predict the time of a training as that of a run."""
    with without_details():
        plan = prepare(run.graph, run.split, **_training(run)).plan
    return plan.epochs * plan.duration.epoch if plan else 0.0


def _training(run: Run) -> dict[str, Any]:
    """Return the arguments that the model of a run was trained with."""
    recipe = stored_recipe(Recipe, run.config)
    return {"model": run.config["model"], "recipe": recipe, "seed": run.config["seed"]}


def with_intervals(run: Run, *, allow_seen: bool = False) -> Run:
    """Fit and store the intervals of a run that has none, unless it is a very large graph.

    The run is returned as it is without a calibration, and for graphs that have no fitted
    intervals. If its folder cannot be written, the intervals are not stored, with a warning.

    Raises:
        ArtifactError: If a file of the run is damaged, or of another run.
        UsageError: ``POSTERIOR`` if the model has no posterior.
    """
    graph, stored = run.graph, run.calibration
    if stored is None or stored.intervals is not None or not has_intervals(graph):
        return run
    size = graph.num_nodes + graph.num_links
    if size > MOST_FITTED:
        rule = f"intervals are not fitted by themselves to {size:,} nodes and links, which takes"
        log.warning("%s minutes or more; 'vgae calibrate %s --intervals' does", rule, run.folder)
        return run
    log.info("fitting the intervals, once for this run")
    options: Any = {"intervals": True, "prior": stored.prior, "allow_seen": allow_seen}
    found = calibrate(run.model, graph, run.split, **options)
    calibration = replace(stored, intervals=found.intervals)
    try:
        return _stored(run, calibration, {})
    except ResourceError as error:
        log.warning("the intervals are not stored: %s", error)
        return replace(run, calibration=calibration)


def _stored(run: Run, calibration: Calibration, scores: Mapping[str, Any]) -> Run:
    """Store a calibration and scores with a run, and return it."""
    name, folder = "model/calibration.json", run.folder
    kept = {"graph": run.graph, "embedding": run.embedding}
    with rewriting(folder, run.metrics):
        write_json(folder / name, calibration.to_dict())
        # After a kill between the two, the digest shows that the scores are of another one.
        metrics = store_digests(folder, [name], **scores)
    changed = replace(run, metrics=metrics, calibration=calibration)
    vars(changed).update(kept)
    return changed


def calibration_at(run: Run, prior: Prior, *, allow_seen: bool = False) -> Calibration | None:
    """Return the calibration for a prior; ``None`` without validation links to fit it on."""
    stored = run.calibration
    if stored is None or stored.prior == prior:
        return stored
    if stored.folds and prior in ("density", "graph"):
        return stored.at(prior, link_fraction(run.graph, run.split, prior))
    found = calibrate(run.model, run.graph, run.split, prior=prior, allow_seen=allow_seen)
    return replace(found, intervals=stored.intervals)
