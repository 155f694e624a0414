"""Calibrations of runs on graphs: stored ones, and those for another prior."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from vgae.errors import ResourceError
from vgae.evaluation.calibration import Calibration, Prior
from vgae.evaluation.links import calibrate, evaluate
from vgae.evaluation.sampled import MOST_FITTED, has_intervals
from vgae.models.files import write_json
from vgae.runs.digests import rewriting, store_digests
from vgae.runs.graphs import Run

log = logging.getLogger(__name__)


def recalibrate(run: Run, calibration: Calibration, *, allow_seen: bool = False) -> Run:
    """Store a calibration with the model of a run, and evaluate the run with it.

    Raises:
        ArtifactError: If a file of the run is damaged, or of another run; then nothing is written.
        ResourceError: If another process is writing in its folder.
    """
    how: Any = {"calibration": calibration, "allow_seen": allow_seen}
    scores = evaluate(run.model, run.graph, run.split, **how)
    return _stored(run, calibration, {part: score.to_dict() for part, score in scores.items()})


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
    found = calibrate(run.model, run.graph, run.split, prior=prior, allow_seen=allow_seen)
    return replace(found, intervals=stored.intervals)
