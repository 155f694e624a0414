"""Tests of the spline; logits of non-links are exact quantiles, so that only links are random."""

import numpy as np
import pytest
from scipy.stats import norm

from vgae.evaluation.spline import Held, binned, fit_points, fit_spline, fraction_above, on_line

SIZE, GAP = 1_000_000, 1.5
PAIRS = norm.isf((np.arange(SIZE) + 0.5) / SIZE)
BINS = binned(PAIRS, np.ones(SIZE))
TOP = PAIRS[[20, 200, 2000, 20_000]]


def log_ratio(s):
    """Log of the density of N(GAP, 1) over that of N(0, 1)."""
    return GAP * s - GAP**2 / 2


def above(links):
    return fraction_above(links, PAIRS, np.ones(SIZE))


def drawn(num, seed):
    return np.random.default_rng(seed).normal(GAP, 1, num)


def value(spline, s):
    return on_line(s, spline.logit, spline.log_ratio)


def test_bins_hold_all_pairs_and_are_narrow_at_the_top():
    assert BINS.pairs.sum() == SIZE
    assert BINS.last[-1] == 1
    assert (np.diff(BINS.logit) < 0).all()
    assert BINS.pairs[0] <= 5
    assert BINS.logit @ BINS.pairs == pytest.approx(PAIRS.sum(), abs=1e-6 * SIZE)


def test_equal_logits_are_in_one_bin():
    bins = binned(np.repeat([2.0, 1.0, 0.0], [50, 1, 949]), np.ones(1000))
    assert bins.logit[0] == 2
    assert bins.pairs[0] == 50
    assert bins.pairs.sum() == 1000


def test_weights_count_like_repeated_pairs():
    one, many = (
        binned(np.repeat([3.0, 2, 1], 4), np.ones(12)),
        binned(np.array([3.0, 2, 1]), 4 * np.ones(3)),
    )
    for first, second in zip(one, many, strict=True):
        np.testing.assert_allclose(first, second)


def test_the_density_ratio_is_recovered_among_the_best_of_a_million_pairs():
    """The error in standard errors is about one, over 30 draws of 4,000 links."""
    z = []
    for seed in range(30):
        spline = fit_spline(BINS, [Held(above(drawn(4000, seed)))])
        error = np.interp(TOP, spline.logit, spline.error)
        z.append((value(spline, TOP) - log_ratio(TOP)) / error)
    assert np.abs(np.mean(z, axis=0)).max() < 0.8
    assert 0.4 < np.sqrt(np.mean(np.square(z[1:]))) < 1.4


def test_other_missing_links_among_the_pairs_are_accounted_for():
    """With half of the links unknown, the best pairs would count as non-links."""
    found = {}
    for name, others in (("known", 20_000.0), ("ignored", 0.0)):
        missing = np.sort(np.append(PAIRS, drawn(20_000, 7)))[::-1]
        ones = np.ones(len(missing))
        links = drawn(20_000, 1)
        held = Held(fraction_above(links, missing, ones), others)
        found[name] = fit_spline(binned(missing, ones), [held])
    s = PAIRS[[20, 100]]
    assert value(found["known"], s) == pytest.approx(log_ratio(s), abs=0.35)
    assert (value(found["ignored"], s) < log_ratio(s) - 0.7).all()


def test_of_folds_only_the_highest_links_are_used():
    """Lower links of the folds are ranked badly here, and the fit does not see it."""
    links = np.sort(drawn(4000, 3))[::-1]
    worse = np.append(links[:1000], links[1000:] - 1)
    own = above(drawn(300, 4))
    fits = [
        fit_spline(BINS, [Held(own), Held(above(given), looks=2, top=0.25)])
        for given in (links, worse)
    ]
    np.testing.assert_allclose(value(fits[0], TOP[:3]), value(fits[1], TOP[:3]), atol=0.15)
    assert value(fits[0], TOP[:3]) == pytest.approx(log_ratio(TOP[:3]), abs=0.5)


def test_the_points_rise_strictly_also_where_links_do_not():
    """Half of the links are at one logit, so the ratio falls above it."""
    links = np.append(np.full(200, 2.0), drawn(200, 5))
    found = fit_points(links, PAIRS[::50], np.full(SIZE // 50, 50.0))
    assert (np.diff(found["x"]) > 0).all()
    assert (np.diff(found["y"]) > 0).all()
    assert min(found["error"]) > 0


def test_above_the_best_pairs_the_line_is_nearly_flat():
    """Scores are higher where messages travel on more links; no link has shown what they mean."""
    spline = fit_spline(BINS, [Held(above(drawn(4000, 6)))])
    best, far = BINS.logit[0], BINS.logit[0] + 5
    rise = value(spline, np.array([far]))[0] - value(spline, np.array([best]))[0]
    assert 0 < rise < 0.2
    assert np.interp(far, spline.logit, spline.error) == spline.error[-1] > spline.error[4]


@pytest.mark.parametrize("num", [2, 5, 30])
def test_few_links_give_a_finite_line(num):
    found = fit_points(PAIRS[:num] + 1, PAIRS[::100], np.full(SIZE // 100, 100.0))
    assert 3 <= len(found["x"]) <= 10
    assert 0.5 < max(found["y"]) < 1
    assert np.isfinite(found["error"]).all()


def test_pairs_of_one_logit_have_one_point():
    found = fit_points(np.ones(5), np.ones(9), np.ones(9))
    assert found["x"] == (1.0,)
    assert on_line(np.array([-5.0, 5.0]), np.array([1.0]), np.array([0.3])).tolist() == [0.3, 0.3]


def test_the_line_goes_on_at_its_ends():
    x, y = np.array([0.0, 1.0, 3.0]), np.array([0.0, 2.0, 3.0])
    assert on_line(np.array([-1.0, 0.5, 2, 5]), x, y).tolist() == [-2.0, 1.0, 2.5, 4.0]
