import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve

from vgae.errors import DataError, UsageError
from vgae.evaluation.reliability import balancing_weight, probability_scores, reliability

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


def test_weights_of_one_change_no_bit():
    rng = np.random.default_rng(0)
    probability, labels = torch.tensor(rng.random(99)), torch.tensor(np.arange(99) % 3 == 0).int()
    ones = torch.ones(99)
    assert probability_scores(probability, labels) == probability_scores(probability, labels, ones)
    plain, weighted = (reliability(probability, labels, weight=w) for w in (None, ones))
    for found, same in zip(plain[:3], weighted[:3], strict=True):
        assert np.array_equal(found, same)
    assert weighted.weight.tolist() == plain.num_pairs.tolist()


@given(st.integers(0, 2**32), st.integers(2, 7))
def test_weights_of_non_links_are_as_if_each_link_were_there_several_times(seed, times):
    rng = np.random.default_rng(seed)
    probability = torch.tensor(rng.random(10 + 10 * times))
    labels = (torch.arange(10 + 10 * times) < 10).int()
    weight = balancing_weight(labels)
    assert weight.unique().tolist() == [1 / times, 1]
    again = torch.cat([probability[:10].repeat(times - 1), probability])
    copies = torch.cat([labels[:10].repeat(times - 1), labels])
    assert balancing_weight(copies) is None
    expected = probability_scores(again, copies)
    assert probability_scores(probability, labels, weight) == pytest.approx(expected)
    ours, copied = reliability(probability, labels, weight=weight), reliability(again, copies)
    np.testing.assert_allclose(ours.share, copied.share)
    np.testing.assert_allclose(ours.mean_probability, copied.mean_probability)
    assert ours.num_pairs.sum() == len(labels)
    assert ours.calibration_error() == pytest.approx(copied.calibration_error())


def test_weights_that_are_none_are_refused():
    for weight in (torch.ones(3), torch.tensor([1.0, 0.0])):
        with pytest.raises(DataError, match="weight must be above zero, of shape"):
            probability_scores(torch.tensor([0.5, 0.5]), torch.tensor([0, 1]), weight)
    assert balancing_weight(torch.tensor([0, 1, 1, 0])) is None
    assert balancing_weight(torch.ones(3)) is None
