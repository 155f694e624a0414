import json
import logging
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import f1_score, precision_score, recall_score

from vgae.errors import ArtifactError, DataError, NumericalError, UsageError
from vgae.evaluation.calibration import Calibration, fit_calibration, load_calibration
from vgae.evaluation.reliability import reliability
from vgae.models.files import write_json

METHODS = ("platt", "isotonic", "temperature", "spline")


def balanced_pairs(slope, intercept, num, seed=0):
    """Logits with P(link | s) = expit(slope s + intercept): normal densities of equal variance.

    For means m1, m0 and variance v the log odds are (m1 - m0) / v s - (m1^2 - m0^2) / 2v.
    """
    variance = 2.0
    gap, middle = slope * variance, -intercept / slope
    labels = torch.tensor([1.0, 0.0]).repeat_interleave(num)
    noise = torch.randn(2 * num, generator=torch.Generator().manual_seed(seed)).double()
    return middle + gap * (labels.double() - 0.5) + math.sqrt(variance) * noise, labels


LOGITS, LABELS = balanced_pairs(0.8, -1.2, 250)


def test_platt_finds_the_slope_and_intercept_that_made_the_data():
    found = fit_calibration(*balanced_pairs(0.8, -1.2, 100_000))
    assert (found.slope, found.intercept) == pytest.approx((0.8, -1.2), rel=0.02)


def test_temperature_finds_the_scale_that_made_the_data():
    found = fit_calibration(*balanced_pairs(0.6, 0.0, 100_000), method="temperature")
    assert (found.slope, found.intercept) == (pytest.approx(0.6, rel=0.02), 0.0)


def test_the_slope_undoes_any_scale_and_offset_of_the_logits():
    plain, moved = fit_calibration(LOGITS, LABELS), fit_calibration(5 + 300 * LOGITS, LABELS)
    there, back = plain.probability(LOGITS), moved.probability(5 + 300 * LOGITS)
    torch.testing.assert_close(there, back, rtol=1e-5, atol=1e-7)


def test_the_smoothed_likelihood_is_at_its_maximum():
    """Platt (1999), the two score equations: sum (t - p) = 0 and sum (t - p) s = 0."""
    p = fit_calibration(LOGITS, LABELS).probability(LOGITS)
    target = torch.where(LABELS == 1, 251 / 252, 1 / 252)
    assert float((target - p).mean()) == pytest.approx(0, abs=1e-6)
    assert float(((target - p) * LOGITS).mean()) == pytest.approx(0, abs=1e-6)


def test_classes_weigh_the_same_whatever_their_numbers():
    few = torch.cat([LOGITS[:250], LOGITS[250:].repeat(4)])
    labels = torch.cat([LABELS[:250], LABELS[250:].repeat(4)])
    many = fit_calibration(few, labels)
    once = fit_calibration(LOGITS, LABELS)
    assert (many.slope, many.intercept) == pytest.approx((once.slope, once.intercept), rel=0.05)
    assert many.precision == pytest.approx(once.precision, abs=0.02)
    points = fit_calibration(few, labels, method="isotonic")
    reference = fit_calibration(LOGITS, LABELS, method="isotonic")
    inside = [v for v in reference.y if 0.01 < v < 0.99]
    assert [v for v in points.y if 0.01 < v < 0.99] == pytest.approx(inside)


@pytest.mark.parametrize("method", METHODS)
def test_probabilities_of_new_pairs_are_calibrated(method):
    slope, intercept = (0.8, 0.0) if method == "temperature" else (0.8, -1.2)
    found = fit_calibration(*balanced_pairs(slope, intercept, 5000), method=method)
    logits, labels = balanced_pairs(slope, intercept, 20_000, seed=1)
    assert reliability(found.probability(logits), labels).calibration_error() < 0.015
    # The sigmoid of the logits themselves is far off, or this would say nothing.
    assert reliability(logits.sigmoid(), labels).calibration_error() > 0.03


def test_isotonic_equals_sklearn():
    found = fit_calibration(LOGITS, LABELS, method="isotonic")
    reference = IsotonicRegression(y_min=1 / 1000, y_max=1 - 1 / 1000, out_of_bounds="clip")
    reference.fit(LOGITS.numpy(), LABELS.numpy())
    new = torch.linspace(-20, 20, 333, dtype=torch.float64)
    np.testing.assert_allclose(found.probability(new), reference.predict(new.numpy()), atol=1e-12)


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.floats(-1e4, 1e4), min_size=4, max_size=30),
    st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30),
    st.sampled_from(METHODS),
)
def test_a_higher_logit_never_gets_a_lower_probability(fitted, new, method):
    labels = torch.arange(len(fitted)) % 2
    logits = torch.tensor(fitted, dtype=torch.float64)
    found = fit_calibration(logits, labels, method=method, prior="density", density=0.01)
    p = found.probability(torch.tensor(sorted(new), dtype=torch.float64)).numpy()
    # The last digit is the exponential function's.
    assert (np.diff(p) >= -4 * np.spacing(p[1:])).all()
    assert p.min() >= 0
    assert p.max() <= 1


def test_platt_at_a_density_is_the_line_of_a_sample_with_so_few_links():
    """Most likely where links and rare non-links meet, not where most pairs are."""
    generator = torch.Generator().manual_seed(0)
    share, n = 0.02, 400_000
    labels = (torch.rand(n, generator=generator) < share).long()
    # Non-links with a long tail: no line fits all of it.
    logits = torch.where(
        labels == 1,
        3 + 2 * torch.randn(n, generator=generator),
        -torch.log(torch.rand(n, generator=generator)) - 2,
    ).double()
    links = torch.cat([logits[labels == 1], logits[labels == 0][:200_000]])
    equal = torch.cat([torch.ones(int(labels.sum())), torch.zeros(200_000)]).long()
    found = fit_calibration(links, equal, prior="density", density=share)
    plain = fit_calibration(links, equal)
    said = found.probability(logits)
    moved = (torch.special.logit(plain.probability(logits)) + found.log_odds_shift).sigmoid()
    # A line with an intercept says as many links as there are, where it was fitted.
    assert float(said.sum()) == pytest.approx(float(labels.sum()), rel=0.05)
    best = logits >= logits.quantile(0.99)
    true = float(labels[best].double().mean())
    assert true < float(said[best].mean()) < float(moved[best].mean()) - 0.02


@pytest.mark.parametrize("method", ["isotonic", "temperature"])
def test_density_moves_the_log_odds_and_nothing_else(method):
    plain = fit_calibration(LOGITS, LABELS, method=method)
    dense = fit_calibration(LOGITS, LABELS, method=method, prior="density", density=0.001)
    assert plain.log_odds_shift == 0
    assert dense.log_odds_shift == math.log(0.001 / 0.999)
    assert (dense.slope, dense.intercept, dense.x, dense.y) == (
        plain.slope,
        plain.intercept,
        plain.x,
        plain.y,
    )
    moved = logit(dense.probability(LOGITS).numpy()) - logit(plain.probability(LOGITS).numpy())
    np.testing.assert_allclose(moved, math.log(0.001 / 0.999), rtol=1e-9)


def measured(found, share):
    """Precision, recall and F1 by sklearn at the calibration's threshold, at a share of links."""
    weight = np.where(LABELS == 1, 1.0, (1 - share) / share)
    predicted = found.predict(LOGITS)
    return [
        score(LABELS, predicted, sample_weight=weight)
        for score in (precision_score, recall_score, f1_score)
    ]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("goal", ["f1", "precision=0.7"])
@pytest.mark.parametrize("share", [0.5, 0.2])
def test_what_the_threshold_gave_is_what_predict_gives(method, goal, share):
    prior = "balanced" if share == 0.5 else "density"
    found = fit_calibration(LOGITS, LABELS, method=method, prior=prior, density=share, goal=goal)
    assert [found.precision, found.recall, found.f1] == pytest.approx(measured(found, share))


def at_each_threshold(found, share):
    """Precision and recall of every threshold that tells pairs apart, counted one by one."""
    p, links = found.probability(LOGITS), LABELS == 1
    predicted = p >= p.unique()[:, None]
    tp, fp = (predicted & links).sum(dim=1), (predicted & ~links).sum(dim=1)
    return tp / (tp + fp * (1 - share) / share), tp / links.sum()


@pytest.mark.parametrize("share", [0.5, 0.2])
def test_the_precision_goal_is_reached_and_no_other_threshold_finds_more_links(share):
    found = fit_calibration(LOGITS, LABELS, prior="density", density=share, goal="precision=0.8")
    assert measured(found, share)[0] >= 0.8
    precision, recall = at_each_threshold(found, share)
    assert float(recall[precision >= 0.8].max()) == pytest.approx(found.recall)


@pytest.mark.parametrize("share", [0.5, 0.2])
def test_no_other_threshold_has_a_higher_f1(share):
    found = fit_calibration(LOGITS, LABELS, prior="density", density=share)
    precision, recall = at_each_threshold(found, share)
    assert float((2 / (1 / precision + 1 / recall)).max()) == pytest.approx(found.f1)


def test_the_threshold_stands_between_two_probabilities():
    """One unit in the last place, from another batch size, must not turn a prediction."""
    found = fit_calibration(LOGITS, LABELS)
    assert float((found.probability(LOGITS) - found.threshold).abs().min()) > 1e-9


def test_worked_by_hand_threshold():
    # Falling: link, link, non-link, link, non-link, non-link.
    # Precision 1, 1, 2/3, 3/4, 3/5, 1/2; recall 1/3, 2/3, 2/3, 1, 1, 1.
    logits, labels = torch.tensor([6.0, 5, 4, 3, 2, 1]), torch.tensor([1, 1, 0, 1, 0, 0])
    best = fit_calibration(logits, labels)
    assert (best.precision, best.recall, best.f1) == pytest.approx((3 / 4, 1, 6 / 7))
    assert best.predict(logits).tolist() == [True] * 4 + [False] * 2
    sure = fit_calibration(logits, labels, goal="precision=0.9")
    assert (sure.precision, sure.recall, sure.f1) == pytest.approx((1, 2 / 3, 4 / 5))
    # A non-link counts nine times at a density of 0.1: precision 3 / (3 + 9) after four pairs.
    rare = fit_calibration(logits, labels, prior="density", density=0.1)
    assert (rare.precision, rare.recall) == pytest.approx((1, 2 / 3))


@pytest.mark.parametrize("method", METHODS)
def test_pairs_that_a_threshold_separates_get_no_certainty(method):
    logits, labels = torch.tensor([-3.0, -2, -1, 1, 2, 3]), torch.tensor([0, 0, 0, 1, 1, 1])
    found = fit_calibration(logits, labels, method=method, prior="density", density=1e-4)
    p = found.probability(logits)
    assert torch.isfinite(p).all()
    assert float(p.min()) > 0
    assert float(p.max()) < 1
    assert (found.precision, found.recall, found.f1) == (1, 1, 1)


@pytest.mark.parametrize("method", METHODS)
def test_a_model_worse_than_chance_gets_one_probability_and_a_warning(method, caplog):
    logits = torch.tensor([-3.0, -2, -1, 1, 2, 3])
    with caplog.at_level(logging.WARNING):
        found = fit_calibration(logits, torch.tensor([1, 1, 1, 0, 0, 0]), method=method)
    assert "no better than chance" in caplog.text
    torch.testing.assert_close(found.probability(logits), torch.full((6,), 0.5).double())
    assert found.predict(logits).all()
    assert (found.precision, found.recall) == (0.5, 1)


@pytest.mark.parametrize("method", METHODS)
def test_equal_logits_get_the_density(method, caplog):
    found = fit_calibration(
        torch.full((6,), 0.1),
        torch.tensor([1, 0, 1, 0, 1, 0]),
        method=method,
        prior="density",
        density=0.03,
    )
    assert "no better than chance" in caplog.text
    assert float(found.probability(torch.tensor(7.0))) == pytest.approx(0.03)


def test_probabilities_keep_the_shape():
    found = fit_calibration(LOGITS, LABELS)
    assert found.probability(LOGITS.reshape(5, 100)).shape == (5, 100)
    assert found.predict(torch.tensor(100.0)).shape == ()
    assert found.predict(torch.empty(0)).dtype == torch.bool


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("prior", ["balanced", "density"])
def test_json_brings_the_same_calibration_back(method, prior):
    found = fit_calibration(LOGITS, LABELS, method=method, prior=prior, density=0.013)
    back = Calibration.from_dict(json.loads(json.dumps(found.to_dict(), allow_nan=False)))
    assert back == found
    assert torch.equal(back.probability(LOGITS), found.probability(LOGITS))


def test_the_calibration_of_a_folder_comes_back_exactly(tmp_path):
    assert load_calibration(tmp_path) is None
    found = fit_calibration(LOGITS, LABELS)
    write_json(tmp_path / "calibration.json", found.to_dict())
    assert load_calibration(tmp_path) == found


def test_a_damaged_file_is_one_error(tmp_path):
    write_json(tmp_path / "calibration.json", PLATT | {"threshold": "high"})
    with pytest.raises(ArtifactError, match="threshold must be a finite number, got 'high'"):
        load_calibration(tmp_path)


PLATT = fit_calibration(LOGITS, LABELS).to_dict()
POINTS = {"x": [0, 1], "y": [0.4, 0.6], "error": [0.1, 0.1], "folds": 0}
SPLINE = PLATT | {"method": "spline", "parameters": POINTS}
ISOTONIC = fit_calibration(LOGITS, LABELS, method="isotonic").to_dict()
LINE = {"slope": 1.0, "intercept": 0.0}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ([], "expected a JSON object, got list"),
        ({}, "missing or unknown keys f1, format"),
        (PLATT | {"extra": 1}, "unknown keys extra"),
        (PLATT | {"format": "vgae-calibration-0"}, "format must be vgae-calibration-1"),
        (
            PLATT | {"method": "beta"},
            "method must be one of platt, isotonic, temperature, spline, got",
        ),
        (PLATT | {"method": ["platt"]}, "method must be one of"),
        (PLATT | {"prior": "none"}, "prior must be one of balanced, density, graph, got 'none'"),
        (PLATT | {"goal": 1}, "goal must be text"),
        (PLATT | {"goal": "recall"}, "goal must be f1, or precision=P"),
        (PLATT | {"threshold": float("nan")}, "threshold must be a finite number, got nan"),
        (PLATT | {"threshold": True}, "threshold must be a finite number, got True"),
        (PLATT | {"threshold": "0.5"}, "threshold must be a finite number, got '0.5'"),
        (PLATT | {"threshold": 10**400}, "int too large"),
        (PLATT | {"recall": 1.5}, r"must lie in \[0, 1\]"),
        (PLATT | {"log_odds_shift": -3.0}, "log_odds_shift must be 0 for balanced"),
        (PLATT | {"parameters": None}, "expected a JSON object, got NoneType"),
        (PLATT | {"parameters": {"slope": 1.0}}, "missing or unknown keys intercept"),
        (PLATT | {"parameters": LINE | {"slope": -1.0}}, "slope must not be negative"),
        (
            PLATT | {"method": "temperature", "parameters": LINE | {"intercept": 1.0}},
            "temperature has no intercept",
        ),
        (PLATT | {"method": "isotonic"}, "missing or unknown keys intercept, slope, x, y"),
        (SPLINE | {"parameters": POINTS | {"folds": -1}}, "folds must not be negative"),
        (SPLINE | {"parameters": POINTS | {"error": [-1.0, 0.1]}}, "must not be negative"),
        (ISOTONIC | {"parameters": {"x": 1, "y": [0.5]}}, "not iterable"),
        (ISOTONIC | {"parameters": {"x": [], "y": []}}, "x and y must be equally long"),
        (ISOTONIC | {"parameters": {"x": [0, 1], "y": [0.5]}}, "x and y must be equally long"),
        (ISOTONIC | {"parameters": {"x": [1, 1], "y": [0.5, 0.6]}}, "x must rise"),
        (ISOTONIC | {"parameters": {"x": [0, 1], "y": [0.6, 0.5]}}, "y must never fall"),
        (ISOTONIC | {"parameters": {"x": [0, 1], "y": [0.0, 0.5]}}, r"y must lie in \(0, 1\)"),
    ],
)
def test_a_corrupt_calibration_is_refused_in_one_line(content, reason):
    with pytest.raises(ArtifactError, match=reason) as error:
        Calibration.from_dict(content)
    assert error.value.code == "CALIBRATION_CORRUPT"
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (
            {"method": "beta"},
            "CALIBRATION_METHOD",
            "platt, isotonic, temperature, spline, got 'beta'",
        ),
        ({"prior": "none"}, "CALIBRATION_PRIOR", "balanced, density, graph, got 'none'"),
        ({"prior": "density"}, "CALIBRATION_DENSITY", "needs the fraction of pairs"),
        ({"prior": "density", "density": 1.0}, "CALIBRATION_DENSITY", "got 1.0"),
        ({"goal": "recall=0.9"}, "CALIBRATION_GOAL", "got 'recall=0.9'"),
        ({"goal": "precision=high"}, "CALIBRATION_GOAL", "got 'precision=high'"),
        ({"goal": "precision=0"}, "CALIBRATION_GOAL", "P in"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, code, words):
    with pytest.raises(UsageError, match=words) as error:
        fit_calibration(LOGITS, LABELS, **options)
    assert error.value.code == code


def test_an_unreachable_precision_says_what_can_be_reached():
    # A non-link weighs 2/3, so that both classes weigh the same: 2 / (2 + 2/3) after three pairs.
    logits, labels = torch.tensor([5.0, 4, 3, 2, 1]), torch.tensor([0, 1, 1, 0, 0])
    with pytest.raises(UsageError, match=r"precision 0.9: .* is 0.75, at recall 1;") as error:
        fit_calibration(logits, labels, goal="precision=0.9")
    assert error.value.code == "GOAL_UNREACHABLE"


def test_a_single_link_is_too_few():
    with pytest.raises(DataError, match="at least 2 links and 2 non-links, got 1 and 2") as error:
        fit_calibration(torch.tensor([1.0, 2, 3]), torch.tensor([1, 0, 0]))
    assert error.value.code == "TOO_FEW_PAIRS"


def test_logits_that_are_not_finite_are_refused():
    found = fit_calibration(LOGITS, LABELS)
    with pytest.raises(NumericalError, match="1 scores are not finite"):
        found.probability(torch.tensor([0.0, math.nan]))


def test_the_formula_is_that_of_the_module():
    found = fit_calibration(LOGITS, LABELS, prior="density", density=0.25)
    log_odds = found.slope * 1.5 + found.intercept + math.log(0.25 / 0.75)
    assert float(found.probability(torch.tensor(1.5))) == pytest.approx(expit(log_odds))
