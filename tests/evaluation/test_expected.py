"""Tests of how many pairs come true."""

import numpy as np
import pytest
import torch
from scipy.stats import binom

from vgae.errors import UsageError
from vgae.evaluation.calibration import Calibration
from vgae.evaluation.expected import expected_true
from vgae.evaluation.spline import Held, binned, fit_points, fraction_above


def calibration(method="spline", **fields):
    fixed = {"goal": "f1", "threshold": 0.5, "precision": 0.5, "recall": 0.5, "f1": 0.5}
    given = {"prior": "density", "log_odds_shift": 0.0, **fixed, **fields}
    return Calibration(method, **given)


def sure(error):
    """The sigmoid of the logit, with these errors at both ends."""
    ends = tuple(torch.tensor([-10.0, 10.0]).double().sigmoid().tolist())
    return calibration(x=(-10.0, 10.0), y=ends, error=error)


def test_without_errors_of_the_map_the_interval_is_binomial():
    logits = torch.full((300,), -2.0)
    found = expected_true(sure((0.0, 0.0)), logits, 0.9)
    p = float(torch.sigmoid(logits[0]))
    assert found.expected == pytest.approx(300 * p)
    assert (found.low, found.high) == tuple(binom.ppf([0.05, 0.95], 300, p))
    assert (found.num_pairs, found.level) == (300, 0.9)


def test_errors_of_the_map_widen_the_interval():
    logits = torch.linspace(-4, 0, 200)
    widths = []
    for error in (0.0, 0.2, 0.5, 50.0):
        found = expected_true(sure((error, error)), logits)
        assert 0 <= found.low <= found.expected <= found.high <= 200
        widths.append(found.high - found.low)
    assert widths == sorted(set(widths))


def test_no_pairs_and_certain_pairs_have_intervals_without_width():
    assert expected_true(sure((0.1, 0.1)), torch.empty(0))[:3] == (0.0, 0, 0)
    certain = expected_true(sure((0.0, 0.0)), torch.full((5,), 900.0))
    assert certain[:3] == (5.0, 5, 5)
    assert expected_true(sure((0.3, 0.3)), torch.tensor([0.0]))[1:3] == (0, 1)


def test_other_methods_have_no_errors_and_no_number():
    assert expected_true(calibration("platt", slope=1.0, intercept=0.0), torch.ones(3)) is None


@pytest.mark.parametrize("level", [0, 1, -0.5, 95])
def test_a_level_out_of_range_is_refused(level):
    with pytest.raises(UsageError, match="between 0 and 1"):
        expected_true(sure((0.0, 0.0)), torch.ones(3), level)


def test_intervals_of_a_simulated_model_hold_as_often_as_they_say():
    """Log odds of known form, links drawn from them: held-out links fit, missing ones come true.

    Of 120 intervals of 80 % for three numbers of best pairs, the true number is in 80 % and more,
    as their ends are whole numbers and the errors of pairs are taken to be one.
    """
    size, missing = 100_000, 400
    rng = np.random.default_rng(0)
    s = np.sort(rng.gumbel(size=size))[::-1]
    ratio = np.exp(1.2 * s - 0.1 * s**2)
    chance = ratio / ratio.sum()
    inside = []
    for _ in range(40):
        held = rng.choice(s, 250, p=chance)
        ones = np.ones(size)
        points = fit_points(held, s, ones, [Held(fraction_above(held, s, ones), 0.0)])
        shift = float(np.log(missing / size))
        found = calibration(log_odds_shift=shift, **points)
        is_true = rng.random(size) < missing * chance / (1 + missing * chance)
        for k in (50, 200, 1000):
            stated = expected_true(found, torch.from_numpy(s[:k].copy()), 0.8)
            inside.append(stated.low <= is_true[:k].sum() <= stated.high)
    assert 0.78 <= np.mean(inside) <= 0.97


def test_bins_of_a_simulated_model_are_all_pairs():
    assert binned(np.arange(9.0)[::-1], np.ones(9)).pairs.sum() == 9
