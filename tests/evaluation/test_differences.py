import math

import numpy as np
import pytest
import torch

from vgae.errors import DataError
from vgae.evaluation.differences import auc_difference, mean_difference
from vgae.evaluation.metrics import link_scores


def scored(seed, pairs=200, ties=False):
    """Scores of two models that agree in part, and labels."""
    rng = np.random.default_rng(seed)
    label = rng.permutation(np.arange(pairs) % 2)
    shared = rng.normal(size=pairs) + label
    first, second = shared + rng.normal(size=pairs) * 0.5, shared + rng.normal(size=pairs)
    if ties:
        first, second = first.round(), second.round()
    return tuple(torch.tensor(values) for values in (first, second, label))


def by_definition(first, second, label):
    """DeLong's variance from all products of a link and a non-link, one by one."""
    kernels = []
    for scores in (first.numpy(), second.numpy()):
        links, others = scores[label == 1], scores[label == 0]
        kernels.append(
            np.array([[1.0 if a > b else 0.5 if a == b else 0.0 for b in others] for a in links])
        )
    apart = kernels[0] - kernels[1]
    rows, columns = apart.mean(axis=1), apart.mean(axis=0)
    return rows.var(ddof=1) / len(rows) + columns.var(ddof=1) / len(columns)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_the_difference_is_that_of_the_aucs_and_its_variance_that_of_the_definition(seed, ties):
    first, second, label = scored(seed, ties=ties)
    found = auc_difference(first, second, label)
    expected = link_scores(first, label).auc - link_scores(second, label).auc
    assert found.value == pytest.approx(expected, abs=1e-12)
    reach = 1.959964 * math.sqrt(by_definition(first, second, label))
    assert found.high - found.value == pytest.approx(reach, rel=1e-5)
    assert found.value - found.low == pytest.approx(reach, rel=1e-5)


def test_the_interval_holds_the_true_difference_as_often_as_it_says():
    # The true AUCs, of 0.5 z + noise, are Phi(1 / sqrt(2 v)) with v the variance of a score.
    def true_auc(variance):
        return 0.5 * math.erfc(-1 / math.sqrt(2 * variance) / math.sqrt(2))

    truth = true_auc(1.25) - true_auc(2)
    found = [auc_difference(*scored(seed)) for seed in range(400)]
    share = np.mean([one.low <= truth <= one.high for one in found])
    assert 0.92 <= share <= 0.98


def test_a_model_does_not_differ_from_itself_or_from_its_scale():
    first, _, label = scored(0)
    assert auc_difference(first, 3 * first + 1, label) == (0, 0, 0)


def test_exchanged_models_have_the_opposite_difference():
    first, second, label = scored(1)
    one, other = auc_difference(first, second, label), auc_difference(second, first, label)
    assert one == pytest.approx((-other.value, -other.high, -other.low))


def test_too_few_pairs_have_no_interval():
    scores = torch.tensor([0.0, 1.0, 2.0])
    with pytest.raises(DataError, match="needs 2 links and 2 non-links, got 1 and 2"):
        auc_difference(scores, scores, torch.tensor([0, 1, 0]))


def test_a_mean_difference_by_hand():
    found = mean_difference(torch.tensor([1.0, 2.0, 6.0]), torch.tensor([1.0, 1.0, 1.0]))
    # Differences 0, 1, 5: mean 2, variance 7.
    assert found.value == pytest.approx(2)
    assert found.high - 2 == pytest.approx(1.959964 * math.sqrt(7 / 3), rel=1e-6)
    assert found.value - found.low == pytest.approx(found.high - found.value)


@pytest.mark.parametrize("sizes", [(1, 1), (3, 2)])
def test_means_of_other_items_are_refused(sizes):
    with pytest.raises(DataError, match="at least 2, got shapes"):
        mean_difference(torch.zeros(sizes[0]), torch.zeros(sizes[1]))
