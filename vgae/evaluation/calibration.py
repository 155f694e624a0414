"""Calibrated link probabilities: a monotone map from logits, fitted on validation pairs.

The sigmoid of an inner product is 0.5 for a pair without evidence, and training on reweighted
pairs moves it further from the frequency of links. So a map f from logit to log odds is fitted on
validation pairs and shifted to the wanted fraction of links pi:

    log odds (s) = f(s) + log(pi / (1 - pi))

In the fit, links and non-links have equal weight. Only a line with an intercept (Platt) is fitted
with non-links weighted by (1 - pi) / pi, and then shifted back: the best line depends on the
logits at which links and non-links meet, and these are higher the rarer links are. The steps of an
isotonic f do not depend on the weights. A spline (:mod:`vgae.evaluation.spline`) is fitted to
links beside all pairs, as they are, so that it holds for the few best of all pairs too.
"""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from scipy.special import expit, logit
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import precision_recall_curve
from torch import Tensor

from vgae.errors import ArtifactError, DataError, UsageError
from vgae.evaluation.intervals import Intervals
from vgae.evaluation.metrics import finite_array, labelled_scores
from vgae.evaluation.spline import Held, fit_points, on_line
from vgae.graphs.graph import Graph
from vgae.models.files import read_json

log = logging.getLogger(__name__)

Method = Literal["platt", "isotonic", "temperature", "spline"]
Prior = Literal["balanced", "density", "graph"]

_FORMAT = "vgae-calibration-1"
_NUMBERS = ("log_odds_shift", "threshold", "precision", "recall", "f1")


@dataclass(frozen=True)
class Calibration:
    """A monotone map from logit to probability, and the threshold from which a pair is a link.

    Attributes:
        method: ``"platt"``: f(s) = slope * s + intercept; ``"temperature"``: the same with
            intercept 0; ``"isotonic"``: log odds of the line through the points (x, y);
            ``"spline"``: line through the points (x, log odds of y), which goes on at its ends.
        prior: Fraction of links that probabilities refer to: one half (``"balanced"``), that of
            held-out links among all pairs but the training links (``"density"``), or that of all
            links among all pairs (``"graph"``).
        log_odds_shift: log(pi / (1 - pi)) of that fraction pi; 0 for ``"balanced"``.
        goal: Goal of the threshold: ``"f1"``, or ``"precision=0.9"``.
        threshold: Lowest probability at which a pair is predicted to be a link, in [0, 1].
        precision: Fraction of links among the validation pairs at or above the threshold, with
            non-links weighted to the prior, in [0, 1].
        recall: Fraction of validation links at or above the threshold, in [0, 1].
        f1: Harmonic mean of the two.
        slope: Slope of platt and temperature, at least 0.
        intercept: Intercept of platt.
        x: Logits of isotonic and spline, strictly increasing.
        y: Their probabilities for as many links as non-links, non-decreasing, in (0, 1).
        intervals: What the intervals of probabilities over samples are of; ``None`` if they were
            not fitted.
        error: Standard errors of the log odds at the points of a spline.
        folds: Number of folds of the training links that a spline was fitted to beside the
            validation links; 0 for the validation links alone.
    """

    method: Method
    prior: Prior
    log_odds_shift: float
    goal: str
    threshold: float
    precision: float
    recall: float
    f1: float
    slope: float = 1.0
    intercept: float = 0.0
    x: tuple[float, ...] = field(default=(), repr=False)
    y: tuple[float, ...] = field(default=(), repr=False)
    intervals: Intervals | None = None
    error: tuple[float, ...] = field(default=(), repr=False)
    folds: int = 0

    def probability(self, logits: Tensor) -> Tensor:
        """Return the probability that each pair is a link, non-decreasing in the logit.

        It has the shape of the logits, float64 in [0, 1] on the CPU. A logit that is NaN or
        infinite raises ``NumericalError``.
        """
        values = finite_array(logits)
        if self.method == "isotonic":
            log_odds = logit(np.interp(values, self.x, self.y))
        elif self.method == "spline":
            log_odds = on_line(values, np.array(self.x), logit(self.y))
        else:
            log_odds = self.slope * values + self.intercept
        return torch.as_tensor(expit(log_odds + self.log_odds_shift))

    def standard_error(self, logits: Tensor) -> Tensor:
        """Return the standard error of the log odds of each pair; NaN but for a spline."""
        if self.method != "spline":
            return torch.full(logits.shape, math.nan, dtype=torch.float64)
        return torch.as_tensor(np.interp(finite_array(logits), self.x, self.error))

    def predict(self, logits: Tensor) -> Tensor:
        """Return whether each pair reaches the threshold, bool on the CPU, same shape."""
        return self.probability(logits) >= self.threshold

    def for_graph(self, graph: Graph) -> "Calibration":
        """Return the calibration of the same probabilities at the prior ``"graph"``.

        The threshold and its scores are of the prior before.
        """
        return self.at("graph", graph.num_links / graph.grid.num_pairs)

    def at(self, prior: Prior, density: float) -> "Calibration":
        """Return the calibration at another prior; the threshold is of the prior before."""
        return replace(self, prior=prior, log_odds_shift=float(logit(density)))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; :meth:`from_dict` reads them."""
        line = {"slope": self.slope, "intercept": self.intercept}
        points = {"x": list(self.x), "y": list(self.y)}
        spline = {**points, "error": list(self.error), "folds": self.folds}
        parameters = {"isotonic": points, "spline": spline}.get(self.method, line)
        return {
            "format": _FORMAT,
            **{name: getattr(self, name) for name in ("method", "prior", "goal", *_NUMBERS)},
            "parameters": parameters,
            **({"intervals": self.intervals.to_dict()} if self.intervals else {}),
        }

    @classmethod
    def from_dict(cls, content: Any) -> "Calibration":
        """Return the calibration that :meth:`to_dict` wrote.

        Raises:
            ArtifactError: If the content is not a calibration, or its map is not monotone.
        """
        try:
            return _read(content)
        except (AttributeError, OverflowError, TypeError, ValueError) as error:
            reason = f"the calibration is not readable: {str(error).rstrip('.')}."
            raise ArtifactError("CALIBRATION_CORRUPT", reason) from None


def fit_calibration(
    logits: Tensor,
    edge_label: Tensor,
    *,
    method: Method = "platt",
    prior: Prior = "balanced",
    density: float | None = None,
    goal: str = "f1",
    weight: Tensor | None = None,
    held: Sequence[Held] | None = None,
) -> Calibration:
    r"""Fit probabilities to validation pairs, and choose the best threshold for a goal.

    Platt and temperature maximise the likelihood of Platt's smoothed labels,
    :math:`(N_+ + 1) / (N_+ + 2)` for a link and :math:`1 / (N_- + 2)` for a non-link; they keep
    the slope finite if a threshold separates the classes. Isotonic stays :math:`1 / 2n` away from
    0 and 1. If the model ranks no better than chance, all pairs get the same probability, with a
    warning.

    Source: Platt (1999), `Probabilistic Outputs for Support Vector Machines`, section 2.2;
    Zadrozny & Elkan (2002), `Transforming Classifier Scores into Accurate Multiclass Probability
    Estimates`; Guo et al. (2017), `On Calibration of Modern Neural Networks
    <https://arxiv.org/abs/1706.04599>`_, section 4.2.

    Args:
        logits: Logits of validation pairs, not of the test pairs, shape ``(P,)``.
        edge_label: 1 for a link, 0 for a non-link, shape ``(P,)``, in any proportion.
        method: Platt has two parameters, temperature one, isotonic up to one per pair, a spline
            about one for each doubling of the number of links.
        prior: Fraction of links that probabilities, precision and F1 refer to.
        density: That fraction, in (0, 1); not used by ``prior="balanced"``.
        goal: ``"f1"`` for the highest F1, or ``"precision=0.9"`` for the highest recall at
            that precision.
        weight: Number of pairs that each pair stands for, shape ``(P,)``; of those with the label
            1 it is 1. By default, 1 for all. It has no meaning but for a spline.
        held: Links that a spline is fitted to; by default those with the label 1. The knots are
            chosen by the last ones.

    Raises:
        DataError: If the shapes differ, or a class has fewer than 2 pairs.
        NumericalError: If a logit is NaN or infinite.
        UsageError: If an option is unknown, or no threshold reaches the precision.
    """
    least_precision = _least_precision(goal)
    if method not in get_args(Method):
        raise UsageError("CALIBRATION_METHOD", _one_of("method", Method, method))
    fraction = _link_fraction(prior, density)
    values, labels = labelled_scores(logits, edge_label)
    num_links = int(labels.sum())
    num_non_links = len(labels) - num_links
    if min(num_links, num_non_links) < 2:
        rule = "a calibration needs at least 2 links and 2 non-links"
        got = f"got {num_links} and {num_non_links}"
        raise DataError("TOO_FEW_PAIRS", f"{rule}, {got}; hold more links out for validation.")
    # Both classes have the same total weight.
    counts = np.ones(len(labels)) if weight is None else weight.numpy()
    balance = num_links / counts[labels == 0].sum()
    weights = np.where(labels == 1, 1.0, balance * counts)
    prior_weight = weights * np.where(labels == 1, 1.0, (1 - fraction) / fraction)
    shift = math.log(fraction / (1 - fraction))
    parameters: dict[str, Any]
    if method == "spline":
        parameters = fit_points(
            values[labels == 1], values[labels == 0], counts[labels == 0], held
        )
    elif method == "isotonic":
        edge = 1 / (2 * len(values))
        steps = IsotonicRegression(y_min=edge, y_max=1 - edge, out_of_bounds="clip")
        steps.fit(values, labels, weights)
        x, y = steps.X_thresholds_.tolist(), steps.y_thresholds_.tolist()
        parameters = {"x": tuple(x), "y": tuple(y)}
    elif method == "temperature":
        parameters = _linear(values, labels, weights, has_intercept=False)
    else:
        parameters = _linear(values, labels, prior_weight, has_intercept=True)
        if parameters["slope"] > 0:  # otherwise the intercept is 0 for any prior
            parameters["intercept"] -= shift
    draft = Calibration(method, prior, shift, goal, 0.0, 0.0, 0.0, 0.0, **parameters)
    probability = draft.probability(logits).numpy()
    if np.ptp(probability) == 0:
        log.warning(
            "the model ranks validation links no better than chance: all pairs get the same"
            " probability; FitResult.health, which vgae train prints, has the setting to change"
        )
    return replace(draft, **_threshold(probability, labels, prior_weight, least_precision))


def check_spline(method: str) -> None:
    """Raise ``UsageError`` if links of folds are for a calibration by another method."""
    if method != "spline":
        rule = "folds (--folds) are for the method 'spline'"
        raise UsageError("FOLDS", f"{rule}, got {method!r}; leave one of them out.")


def load_calibration(folder: Path) -> Calibration | None:
    """Return the calibration in the folder of a model, or None if it has none."""
    path = folder / "calibration.json"
    return Calibration.from_dict(read_json(path)) if path.exists() else None


def _linear(
    values: np.ndarray, labels: np.ndarray, weight: np.ndarray, *, has_intercept: bool
) -> dict[str, Any]:
    """Fit slope and intercept to smoothed labels: each pair counts in part for both classes."""
    num_links = labels.sum()
    smoothed = (num_links + 1) / (num_links + 2), 1 / (len(labels) - num_links + 2)
    target = np.where(labels == 1, *smoothed)
    center = float(values.mean()) if has_intercept else 0.0
    scale = float(np.sqrt(np.mean((values - center) ** 2)))
    slope = intercept = 0.0
    if np.ptp(values) > 0 and scale > 0:
        model = LogisticRegression(C=np.inf, fit_intercept=has_intercept, tol=1e-8, max_iter=1000)
        model.fit(
            np.tile((values - center) / scale, 2)[:, None],
            np.repeat([1, 0], len(values)),
            np.concatenate([weight * target, weight * (1 - target)]),
        )
        slope = float(model.coef_[0, 0]) / scale
        # scikit-learn returns an array if the intercept is fitted, else a number.
        intercept = float(np.ravel(model.intercept_)[0]) - slope * center
    if not (0 < slope < math.inf and math.isfinite(intercept)):
        slope = intercept = 0.0
    return {"slope": slope, "intercept": intercept}


def _threshold(
    probability: np.ndarray, labels: np.ndarray, weight: np.ndarray, least_precision: float | None
) -> dict[str, float]:
    """Return the best threshold, with its precision, recall and F1."""
    curve = precision_recall_curve(labels, probability, sample_weight=weight)
    precision, recall, distinct = curve[0][:-1], curve[1][:-1], curve[2]
    f1 = 2 * precision * recall / np.maximum(precision + recall, np.finfo(float).tiny)
    merit = f1
    if least_precision is not None:
        merit = np.where(precision >= least_precision, recall, -1)
        if merit.max() < 0:
            top = len(precision) - 1 - int(np.argmax(precision[::-1]))
            rule = f"no threshold reaches precision {least_precision:g}"
            highest = f"the highest is {precision[top]:.4g}, at recall {recall[top]:.4g}"
            raise UsageError("GOAL_UNREACHABLE", f"{rule}: {highest}; choose a lower precision.")
    # On ties take the highest threshold, which predicts the fewest links.
    best = len(merit) - 1 - int(np.argmax(merit[::-1]))
    # Midway to the next lower probability: rounding must not move a pair across.
    lower = distinct[best - 1] if best else 0.0
    middle = (distinct[best] + lower) / 2
    threshold = middle if middle > lower else distinct[best]
    scores = {"precision": precision, "recall": recall, "f1": f1}
    return {"threshold": float(threshold)} | {k: float(v[best]) for k, v in scores.items()}


def _least_precision(goal: str) -> float | None:
    """Return the precision of a goal, or None for F1."""
    if goal == "f1":
        return None
    name, _, number = goal.partition("=")
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    if name != "precision" or not 0 < value <= 1:
        rule = "goal must be f1, or precision=P with P in (0, 1]"
        raise UsageError("CALIBRATION_GOAL", f"{rule}, got {goal!r}.")
    return value


def _link_fraction(prior: Prior, density: float | None) -> float:
    """Return the fraction of links of a prior."""
    if prior not in get_args(Prior):
        raise UsageError("CALIBRATION_PRIOR", _one_of("prior", Prior, prior))
    if prior == "balanced":
        return 0.5
    if density is None or not 0 < density < 1:
        rule = f'prior "{prior}" needs the fraction of pairs that are links, in (0, 1)'
        raise UsageError("CALIBRATION_DENSITY", f"{rule}, got {density}.")
    return density


def _one_of(name: str, choices: Any, got: Any) -> str:
    return f"{name} must be one of {', '.join(get_args(choices))}, got {got!r}."


def _read(content: Any) -> Calibration:
    """Return the calibration of a dict, or raise an error with the reason."""
    names = {"format", "method", "prior", "goal", "parameters", *_NUMBERS}
    fitted_intervals = None
    if isinstance(content, dict) and "intervals" in content:
        fitted_intervals, names = Intervals.from_dict(content["intervals"]), {*names, "intervals"}
    head = _exactly(content, names)
    wanted = {"isotonic": {"x", "y"}, "spline": {"x", "y", "error", "folds"}}
    named = wanted.get(str(head["method"]), {"slope", "intercept"})
    fitted: dict[str, Any] = {
        name: tuple(_number(name, v) for v in value)
        if name in ("x", "y", "error")
        else _number(name, value)
        for name, value in _exactly(head["parameters"], named).items()
    }
    if "folds" in fitted and type(head["parameters"]["folds"]) is not int:
        raise ValueError("folds must be an integer")
    if "folds" in fitted:
        fitted["folds"] = head["parameters"]["folds"]
    numbers = {name: _number(name, head[name]) for name in _NUMBERS}
    fitted["intervals"] = fitted_intervals
    c = Calibration(head["method"], head["prior"], goal=head["goal"], **numbers, **fitted)
    rules = {
        f"format must be {_FORMAT}": head["format"] == _FORMAT,
        _one_of("method", Method, c.method): c.method in get_args(Method),
        _one_of("prior", Prior, c.prior): c.prior in get_args(Prior),
        "goal must be text": isinstance(c.goal, str),
        "log_odds_shift must be 0 for balanced": c.prior != "balanced" or c.log_odds_shift == 0,
        "threshold, precision, recall and f1 must lie in [0, 1]": all(
            0 <= value <= 1 for value in (c.threshold, c.precision, c.recall, c.f1)
        ),
        "slope must not be negative": c.slope >= 0,
        "temperature has no intercept": c.method != "temperature" or c.intercept == 0,
        "x and y must be equally long": len(c.x) == len(c.y) and bool(c.x) == ("x" in named),
        "a spline has errors": (len(c.error) == len(c.x)) if "error" in named else not c.error,
        "error and folds must not be negative": all(value >= 0 for value in (*c.error, c.folds)),
        "x must rise": all(a < b for a, b in pairwise(c.x)),
        "y must never fall": all(a <= b for a, b in pairwise(c.y)),
        "y must lie in (0, 1)": all(0 < value < 1 for value in c.y),
    }
    if broken := [rule for rule, holds in rules.items() if not holds]:
        raise ValueError(broken[0])
    _least_precision(c.goal)
    return c


def _exactly(content: Any, names: set[str]) -> dict[str, Any]:
    """Return the dict if it has exactly these keys."""
    if not isinstance(content, dict):
        raise TypeError(f"expected a JSON object, got {type(content).__name__}")
    if differing := sorted(str(name) for name in names ^ content.keys()):
        raise ValueError(f"missing or unknown keys {', '.join(differing)}")
    return content


def _number(name: str, value: Any) -> float:
    if type(value) not in (int, float) or not math.isfinite(value):
        raise ValueError(f"{name} must be a finite number, got {value!r}")
    return float(value)
