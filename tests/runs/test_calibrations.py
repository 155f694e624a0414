"""Tests of calibrations of runs for a prior; storing them is in test_digests."""

import logging
import math
from dataclasses import replace

import pytest

from vgae.evaluation import block_model
from vgae.recipes import PAPER
from vgae.runs import calibrations
from vgae.runs.calibrations import calibration_at, with_folds, with_intervals
from vgae.runs.graphs import GRAPHS, train_run


def test_a_calibration_is_the_stored_one_or_fitted_for_another_prior(sbm_file, tmp_path):
    run = train_run(str(sbm_file), tmp_path / "run", recipe=replace(PAPER, epochs=3))
    assert run.calibration is not None
    assert calibration_at(run, run.calibration.prior) is run.calibration
    other = "balanced" if run.calibration.prior == "density" else "density"
    fitted = calibration_at(run, other)
    assert fitted is not None
    assert fitted.prior == other
    assert fitted.to_dict() != run.calibration.to_dict()
    graph = calibration_at(run, "graph")
    assert graph is not None
    links = run.graph.num_links
    assert graph.log_odds_shift == pytest.approx(math.log(links / (120 * 119 / 2 - links)))
    assert calibration_at(replace(run, calibration=None), "density") is None


def test_folds_are_fitted_and_stored_once_where_that_is_quick(
    sbm_file, tmp_path, monkeypatch, caplog
):
    run = train_run(str(sbm_file), tmp_path / "run", recipe=replace(PAPER, epochs=3))
    assert run.calibration is not None
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(calibrations, "MOST_SECONDS", 0.0)
    assert with_folds(run) is run
    assert "'vgae calibrate" in caplog.text
    assert "--folds 2' trains 2 models without a fifth of the training links each" in caplog.text
    monkeypatch.undo()
    caplog.clear()
    fitted = with_folds(run, progress=False)
    lines = [record.getMessage() for record in caplog.records]
    assert [line for line in lines if "training" in line and "once for this run" in line]
    assert not [line for line in lines if line.startswith("pairs ")]  # details of a training
    stored = GRAPHS.load(run.folder)
    assert stored.calibration == fitted.calibration
    assert stored.calibration.folds == 2
    assert with_folds(stored) is stored
    kept = calibration_at(stored, "graph")
    assert (kept.x, kept.y, kept.folds) == (
        stored.calibration.x,
        stored.calibration.y,
        2,
    )
    links = run.graph.num_links
    assert kept.log_odds_shift == pytest.approx(math.log(links / (120 * 119 / 2 - links)))
    for other in ({"method": "isotonic"}, {"goal": "precision=0.5"}, {"prior": "graph"}):
        chosen = replace(run, calibration=replace(run.calibration, **other))
        assert with_folds(chosen) is chosen
    assert with_folds(replace(run, calibration=None)).calibration is None


def test_missing_intervals_are_fitted_and_stored_once(sbm_file, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(block_model, "_SWEEPS", 20)
    monkeypatch.setattr(block_model, "_TRIED", 10)
    run = train_run(str(sbm_file), tmp_path / "run", recipe=replace(PAPER, epochs=3))
    assert run.calibration is not None
    monkeypatch.setattr(calibrations, "MOST_FITTED", 10)
    with caplog.at_level(logging.WARNING):
        assert with_intervals(run) is run
    assert "intervals are not fitted by themselves" in caplog.text
    monkeypatch.undo()
    monkeypatch.setattr(block_model, "_SWEEPS", 20)
    monkeypatch.setattr(block_model, "_TRIED", 10)
    fitted = with_intervals(run)
    assert fitted.calibration is not None
    assert replace(fitted.calibration, intervals=None) == run.calibration
    stored = GRAPHS.load(run.folder)
    assert stored.calibration == fitted.calibration
    assert stored.metrics["test"] == run.metrics["test"]
    assert with_intervals(stored) is stored
