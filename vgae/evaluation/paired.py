"""Paired tests of methods that were scored on the same splits, corrected for several tests."""

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any, Literal, NamedTuple

import numpy as np

from vgae.errors import DataError, UsageError, check_choice
from vgae.graphs.defaults import TEST_FRACTION, VAL_FRACTION

PairedTest = Literal["corrected-t", "wilcoxon"]
TITLES: Mapping[str, str] = {
    "corrected-t": "corrected resampled t-test (Nadeau & Bengio 2003)",
    "wilcoxon": "Wilcoxon signed-rank test",
}


class Comparison(NamedTuple):
    """Difference of two methods over the same splits.

    Attributes:
        first: Name of the first method.
        second: Name of the second method.
        difference: Mean score of the first minus that of the second.
        p: Two-sided p-value of one test.
        adjusted: The same with Holm's correction for all pairs that were compared.
        num_splits: Number of splits.
    """

    first: str
    second: str
    difference: float
    p: float
    adjusted: float
    num_splits: int


def compare_scores(
    scores: Mapping[str, Sequence[float]],
    *,
    test: PairedTest = "corrected-t",
    ratio: float = TEST_FRACTION / (1 - TEST_FRACTION - VAL_FRACTION),
) -> list[Comparison]:
    """Compare every pair of methods, and correct the p-values for the number of pairs.

    Args:
        scores: Scores of each method by its name, all on the same splits in the same order.
        test: ``"corrected-t"``, see :func:`corrected_t`; or ``"wilcoxon"``, see :func:`wilcoxon`.
        ratio: Size of a test set over that of a training set, for the corrected t-test; by
            default that of :func:`vgae.split_links`. 0 for several seeds on one split.

    Raises:
        UsageError: If the test is unknown.
        DataError: ``TOO_FEW_PAIRS`` if methods have different numbers of scores, or fewer than 2.
    """
    check_choice("test", test, PairedTest)
    lengths = {name: len(values) for name, values in scores.items()}
    if len({*lengths.values()}) > 1:
        listed = ", ".join(f"{name} {number}" for name, number in lengths.items())
        rule = "a paired test needs the scores of every method on the same splits"
        raise DataError("TOO_FEW_PAIRS", f"{rule}, got {listed} of them.")
    if lengths and (number := min(lengths.values())) < 2:
        rule = "a paired test needs at least 2 splits (seeds, --seeds)"
        raise DataError("TOO_FEW_PAIRS", f"{rule}, got {number}.")
    if wrong := [name for name, values in scores.items() if not np.isfinite(values).all()]:
        raise DataError("TOO_FEW_PAIRS", f"the scores of {wrong[0]} are not all finite numbers.")
    found = []
    for first, second in combinations(scores, 2):
        apart = np.asarray(scores[first], float) - np.asarray(scores[second], float)
        p = corrected_t(apart, ratio) if test == "corrected-t" else wilcoxon(apart)
        found.append((first, second, float(apart.mean()), p, len(apart)))
    adjusted = holm([row[3] for row in found])
    return [
        Comparison(first, second, difference, p, corrected, number)
        for (first, second, difference, p, number), corrected in zip(found, adjusted, strict=True)
    ]


def corrected_t(differences: np.ndarray | Sequence[float], ratio: float) -> float:
    r"""Return the two-sided p-value of the corrected resampled t-test.

    .. math:: t = \frac{\bar d}{\sqrt{(1/J + \rho) \, s^2}}, \qquad
        \rho = \frac{n_\text{test}}{n_\text{train}}

    with the mean and the variance (over J - 1) of the differences of J random splits of the same
    data, and J - 1 degrees of freedom. Random splits overlap: most links of one training set are
    in every other one, so the scores are not independent, and the usual paired t-test
    (:math:`\rho = 0`) finds differences that are not there.

    Source: Nadeau & Bengio (2003), `Inference for the Generalization Error
    <https://doi.org/10.1023/A:1024068626366>`_, section 3, equation 9.

    Args:
        differences: Difference of the scores on each split, J of them, at least 2.
        ratio: :math:`\rho`; 0 for scores that are independent.
    """
    from scipy.stats import t as student

    if ratio < 0 or not math.isfinite(ratio):
        raise UsageError("PARAMETER", f"ratio must be a finite number of at least 0, got {ratio}.")
    d = np.asarray(differences, dtype=np.float64)
    center, variance = d.mean(), d.var(ddof=1)
    if variance == 0:  # the same difference on every split
        return 1.0 if center == 0 else 0.0
    statistic = center / math.sqrt((1 / len(d) + ratio) * variance)
    return float(2 * student.sf(abs(statistic), len(d) - 1))


def wilcoxon(differences: np.ndarray | Sequence[float]) -> float:
    """Return the two-sided p-value of Wilcoxon's signed-rank test.

    It takes the ranks of the differences alone. Differences of zero are left out; without ties
    the p-value is exact up to 50 differences, and at least :math:`2 / 2^J`: below 0.05 from six
    on. It takes the splits as independent, which random splits of the same data are not.

    Source: Wilcoxon (1945), `Individual Comparisons by Ranking Methods
    <https://doi.org/10.2307/3001968>`_; Demšar (2006), `Statistical Comparisons of Classifiers
    <https://jmlr.org/papers/v7/demsar06a.html>`_, section 3.1.3.

    Args:
        differences: Difference of the scores on each split.
    """
    from scipy import stats

    d = np.asarray(differences, dtype=np.float64)
    d = d[d != 0]
    if not len(d):
        return 1.0
    has_ties = len(np.unique(np.abs(d))) < len(d)
    method = "approx" if has_ties or len(d) > 50 else "exact"
    found: Any = stats.wilcoxon(d, method=method)
    return float(found.pvalue)


def holm(p: Sequence[float]) -> list[float]:
    r"""Return p-values with Holm's correction for m tests.

    .. math:: \tilde p_{(k)} = \max_{j \le k} \min(1, (m - j + 1) \, p_{(j)})

    for the ascending p-values :math:`p_{(1)}, \dots, p_{(m)}`. Rejecting where it is below 0.05
    makes the probability of any wrong rejection at most 0.05, whatever depends on what.

    Source: Holm (1979), `A Simple Sequentially Rejective Multiple Test Procedure
    <https://www.jstor.org/stable/4615733>`_.
    """
    order = sorted(range(len(p)), key=p.__getitem__)
    adjusted, highest = [0.0] * len(p), 0.0
    for place, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p) - place) * p[index]))
        adjusted[index] = highest
    return adjusted
