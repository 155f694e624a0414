"""Tests of calibrations of runs for a prior; storing them is in test_digests."""

from dataclasses import replace

from vgae.recipes import PAPER
from vgae.runs.calibrations import calibration_at
from vgae.runs.graphs import train_run


def test_a_calibration_is_the_stored_one_or_fitted_for_another_prior(sbm_file, tmp_path):
    run = train_run(str(sbm_file), tmp_path / "run", recipe=replace(PAPER, epochs=3))
    assert run.calibration is not None
    assert calibration_at(run, run.calibration.prior) is run.calibration
    other = "balanced" if run.calibration.prior == "density" else "density"
    fitted = calibration_at(run, other)
    assert fitted is not None
    assert fitted.prior == other
    assert fitted.to_dict() != run.calibration.to_dict()
    assert calibration_at(replace(run, calibration=None), "density") is None
