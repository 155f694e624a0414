"""Intervals of log odds by quantiles of a group, and their stored form."""

import numpy as np
import pytest
import torch

from vgae.evaluation.intervals import LEVELS, Intervals


@pytest.fixture
def intervals():
    wide = tuple(float(q) for q in 10 * (LEVELS - 0.5))
    narrow = tuple(float(q) for q in LEVELS)
    return Intervals(2.0, -1.0, (3.0,), (wide, narrow), 100)


def test_ends_are_quantiles_in_standard_deviations(intervals):
    averaged, deviation = (
        torch.tensor([0.0, 2.9, 3.0]).double(),
        torch.tensor([0.5, 1, 2]).double(),
    )
    low, high = intervals.ends(averaged, deviation, 0.8)
    assert low.tolist() == pytest.approx([-1 - 4 * 0.5, 4.8 - 4, 5.0])  # extended to the center
    assert high.tolist() == pytest.approx([-1 + 4 * 0.5, 4.8 + 4, 5 + 0.9 * 2])
    inner = intervals.ends(averaged, deviation, 0.5)
    assert (inner[0] >= low).all()
    assert (inner[1] <= high).all()


def test_what_is_written_is_read(intervals):
    assert Intervals.from_dict(intervals.to_dict()) == intervals


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"slope": -1.0}, "slope must not be negative"),
        ({"slope": float("nan")}, "finite"),
        ({"from_logit": [2.0, 1.0]}, "from_logit must rise"),
        ({"from_logit": []}, "one group more"),
        ({"quantiles": [[0.0] * 99, [0.0] * 98]}, "quantiles must be 99"),
        ({"quantiles": [[0.0] * 99, np.linspace(1, 0, 99).tolist()]}, "never fall"),
        ({"num_samples": 1.5}, "integer"),
        ({"other": 1}, "must be an object of"),
    ],
)
def test_what_is_no_interval_is_refused(intervals, change, words):
    with pytest.raises(ValueError, match=words):
        Intervals.from_dict({**intervals.to_dict(), **change})
