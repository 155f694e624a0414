import itertools
import math

import numpy as np
import pytest
from scipy import stats

from vgae.errors import DataError, UsageError
from vgae.evaluation.paired import compare_scores, corrected_t, holm, wilcoxon

DIFFERENCES = [0.02, -0.01, 0.03, 0.015, 0.005, 0.024, 0.011]


def test_without_overlap_it_is_the_paired_t_test():
    zeros = [0.0] * len(DIFFERENCES)
    assert corrected_t(DIFFERENCES, 0) == pytest.approx(stats.ttest_rel(DIFFERENCES, zeros).pvalue)


def test_the_correction_worked_by_hand():
    """d = 1, 2, 3: mean 2, variance 1; rho = 2/3: t = 2 / sqrt(1/3 + 2/3) = 2, 2 degrees.

    The t distribution with 2 degrees of freedom has P(|T| > t) = 1 - t / sqrt(t^2 + 2).
    """
    assert corrected_t([1, 2, 3], 2 / 3) == pytest.approx(1 - 2 / math.sqrt(6))


def test_it_keeps_its_level_on_overlapping_splits_where_the_usual_test_does_not():
    """Ten of 60 numbers of mean zero are a test part; two such parts have correlation 1 / 6."""
    rng = np.random.default_rng(0)
    wrong = {0.0: 0, 10 / 50: 0}
    for _ in range(600):
        data = rng.normal(size=60)
        d = [rng.permutation(data)[:10].mean() for _ in range(10)]
        for ratio in wrong:
            wrong[ratio] += corrected_t(d, ratio) < 0.05
    assert wrong[10 / 50] < 0.08 * 600
    assert wrong[0.0] > 0.15 * 600


def test_the_same_difference_each_time():
    assert corrected_t([0, 0, 0], 0.1) == 1
    assert corrected_t([0.5, 0.5], 0.1) == 0
    assert wilcoxon([0.0, 0.0]) == 1


def test_signed_ranks_equal_a_count_over_all_signs():
    ranks = np.argsort(np.argsort(np.abs(DIFFERENCES))) + 1
    seen = ranks[np.array(DIFFERENCES) > 0].sum()
    total = ranks.sum()
    sums = [
        sum(r for r, s in zip(ranks, signs, strict=True) if s)
        for signs in itertools.product((0, 1), repeat=len(ranks))
    ]
    far = abs(seen - total / 2)
    expected = np.mean([abs(value - total / 2) >= far for value in sums])
    assert wilcoxon(DIFFERENCES) == pytest.approx(expected)
    assert wilcoxon([*range(1, 7)]) == pytest.approx(2 / 2**6)
    assert 0 < wilcoxon([1, 1, 1, 2, 2, -1]) < 1  # ties


def test_holm_worked_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1, 1]
    assert holm([]) == []


def test_every_pair_is_compared_once_and_corrected_for_all():
    scores = {"a": [0.9, 0.8, 0.85], "b": [0.7, 0.65, 0.6], "c": [0.72, 0.6, 0.66]}
    found = compare_scores(scores, ratio=0.1)
    assert [row[:2] for row in found] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert found[0].difference == pytest.approx(0.2)
    assert [row.adjusted for row in found] == holm([row.p for row in found])
    assert found[0].p == pytest.approx(corrected_t([0.2, 0.15, 0.25], 0.1))
    assert compare_scores({"a": [1, 2]}) == []
    other = compare_scores(scores, test="wilcoxon")
    assert other[0].p == pytest.approx(0.25)


def test_bad_input_is_named():
    with pytest.raises(DataError, match=r"same splits, got a 2, b 3 of them"):
        compare_scores({"a": [1, 2], "b": [1, 2, 3]})
    with pytest.raises(DataError, match=r"at least 2 splits \(seeds, --seeds\), got 1"):
        compare_scores({"a": [1], "b": [1]})
    with pytest.raises(UsageError, match=r"'corrected-t', 'wilcoxon', got 'wilcoxn'. Did you"):
        compare_scores({"a": [1, 2], "b": [1, 2]}, test="wilcoxn")
    with pytest.raises(UsageError, match="ratio must be a finite number"):
        corrected_t([1, 2], -1)
