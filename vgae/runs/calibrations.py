"""Calibrations of runs on graphs: stored ones, and those for another prior."""

from dataclasses import replace
from typing import Any

from vgae.evaluation.calibration import Calibration, Prior
from vgae.evaluation.links import calibrate, evaluate
from vgae.models.files import write_json
from vgae.runs.digests import rewriting, store_digests
from vgae.runs.graphs import Run


def recalibrate(run: Run, calibration: Calibration, *, allow_seen: bool = False) -> Run:
    """Store a calibration with the model of a run, and evaluate the run with it.

    Raises:
        ArtifactError: If a file of the run is damaged, or of another run; then nothing is written.
        ResourceError: If another process is writing in its folder.
    """
    name, folder = "model/calibration.json", run.folder
    kept = {"graph": run.graph, "embedding": run.embedding}
    how: Any = {"calibration": calibration, "allow_seen": allow_seen}
    scores = evaluate(run.model, run.graph, run.split, **how)
    parts = {part: score.to_dict() for part, score in scores.items()}
    with rewriting(folder, run.metrics):
        write_json(folder / name, calibration.to_dict())
        # After a kill between the two, the digest shows that the scores are of another one.
        metrics = store_digests(folder, [name], **parts)
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
