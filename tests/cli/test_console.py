import pytest
import torch

from vgae.cli.console import print_calibration
from vgae.evaluation.calibration import fit_calibration


@pytest.mark.parametrize("method", ["platt", "temperature", "isotonic", "spline"])
def test_a_calibration_says_what_it_does_and_what_its_threshold_gave(capsys, method, generator):
    logits = torch.randn(60, generator=generator)
    print_calibration(fit_calibration(logits, (logits > 0).float().roll(1), method=method))
    out = capsys.readouterr().out
    assert out.startswith(method)
    assert "for f1: precision" in out
