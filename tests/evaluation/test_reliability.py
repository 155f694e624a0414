import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve

from vgae.errors import DataError, UsageError
from vgae.evaluation.reliability import probability_scores, reliability

LABELS = torch.tensor([1.0, 1, 1, 0, 0, 0])


def test_reliability_worked_by_hand():
    # Two bins: 0, 0.2 and 0.5 in the first, as it is closed on the right; 0.9 in the second.
    probability, labels = torch.tensor([0.0, 0.2, 0.5, 0.9]), torch.tensor([0, 0, 1, 1])
    found = reliability(probability, labels, bins=2)
    mean, share, num_pairs, weight = found
    assert weight is None
    np.testing.assert_allclose(mean, [0.7 / 3, 0.9], rtol=1e-6)
    np.testing.assert_allclose(share, [1 / 3, 1])
    assert num_pairs.tolist() == [3, 1]
    assert found.calibration_error() == pytest.approx((3 * (1 / 3 - 0.7 / 3) + 1 * 0.1) / 4)


@given(st.integers(0, 2**32), st.integers(1, 20))
def test_reliability_equals_sklearn(seed, bins):
    rng = np.random.default_rng(seed)
    probability, labels = rng.random(50) ** 3, np.arange(50) % 2
    mean, share, num_pairs, _ = reliability(
        torch.tensor(probability), torch.tensor(labels), bins=bins
    )
    share_there, mean_there = calibration_curve(labels, probability, n_bins=bins)
    np.testing.assert_allclose((mean, share), (mean_there, share_there))
    assert num_pairs.sum() == 50


def test_probability_scores_worked_by_hand():
    # ECE: bins of one pair each, |1 - 0.8| and |0 - 0.4|.
    scores = probability_scores(torch.tensor([0.8, 0.4]).double(), torch.tensor([1, 0]))
    log_loss = -(np.log(0.8) + np.log(0.6)) / 2
    assert scores == pytest.approx(((0.04 + 0.16) / 2, (0.2 + 0.4) / 2, log_loss))


def test_certainty_that_is_right_scores_zero():
    assert probability_scores(LABELS, LABELS) == pytest.approx((0, 0, 0), abs=1e-12)


def test_logits_are_not_taken_for_probabilities():
    with pytest.raises(DataError, match=r"must lie in \[0, 1\], got \[-2, 3\]"):
        probability_scores(torch.tensor([-2.0, 3]), torch.tensor([0, 1]))
    with pytest.raises(UsageError, match="bins must be at least 1"):
        reliability(LABELS, LABELS, bins=0)
