r"""A rising density ratio of links to non-links, fitted to few held-out links and to all pairs.

Of all pairs that a model does not know as links, proposals are the few of the highest logits, and
few held-out links are among them. So pairs are counted, and only links are a sample. With g(s) the
density of the logits of links over that of non-links, a pair of logit s is one of f N held-out
links, rather than one of N non-links or of t N other missing links, with probability

.. math:: q(s) = \frac{f g(s)}{1 + (f + t) \, g(s)}.

:math:`\log g` is a linear spline that never falls. The numbers of links above its knots double
from one to the next, so that it is as fine at the top as the links allow. The fit has the highest
likelihood, with a weak normal prior on each rise, and the standard error is that of its Fisher
information. Above the best pairs that were seen, the line is nearly flat.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

_TOP_LINKS = 10  # above the highest knot, and at least between two
_BODY = (0.7, 0.85, 0.95, 0.99)  # fractions of the links above the lower knots
_RISE = 5.0  # standard deviation of a rise before links are seen
_LEAST_SLOPE = 0.01  # of the mean slope
_MOST_LOG_ODDS = 30.0
_LEAST_WIDTH = 1e-6  # between knots, of the range of logits
_FIRST_BIN, _BIN_RATIO, _BODY_BINS = 4, 1.1, 50


class Bins(NamedTuple):
    """Pairs that are not known as links, in bins of descending logits, arrays of length B.

    Attributes:
        logit: Mean logit of a bin.
        pairs: Number of its pairs.
        last: Fraction of all pairs that are in this bin or in a higher one, up to 1.
    """

    logit: np.ndarray
    pairs: np.ndarray
    last: np.ndarray

    def counted(self, above: np.ndarray) -> np.ndarray:
        """Return the number of links in each bin, by the fraction of pairs above each link."""
        return np.bincount(self.place(above), minlength=len(self.last)).astype(float)

    def place(self, above: np.ndarray) -> np.ndarray:
        """Return the bin of each link."""
        return np.minimum(np.searchsorted(self.last, above, "right"), len(self.last) - 1)


class Held(NamedTuple):
    """Held-out links that are scored beside all pairs.

    Attributes:
        above: Fraction of pairs above each link, shape ``(n,)``.
        others: Number of other missing links among the pairs.
        looks: Number of models, each of which scored its own links and all pairs.
        top: Fraction of the links, the highest ones, that are used; for the others, none of the
            lower pairs are.
    """

    above: np.ndarray
    others: float = 0.0
    looks: int = 1
    top: float = 1.0


class Spline(NamedTuple):
    r"""Points of :math:`\log g`, ascending, with its standard error; arrays of equal length."""

    logit: np.ndarray
    log_ratio: np.ndarray
    error: np.ndarray


def binned(logits: np.ndarray, weight: np.ndarray) -> Bins:
    """Return bins of pairs: of 4 pairs at the top, then of more and more.

    Args:
        logits: Logits in descending order, shape ``(P,)``.
        weight: Number of pairs that each stands for, shape ``(P,)``.
    """
    total = np.cumsum(weight)
    num_steps = np.log(max(total[-1] / _FIRST_BIN, 1)) / np.log(_BIN_RATIO)
    tops = _FIRST_BIN * _BIN_RATIO ** np.arange(num_steps)
    edges = np.sort(np.append(tops, total[-1] * np.arange(1, _BODY_BINS) / _BODY_BINS))
    ends = np.append(np.searchsorted(total, edges), len(logits) - 1).clip(max=len(logits) - 1)
    # Equal logits are in one bin.
    ends = np.unique(np.searchsorted(-logits, -logits[ends], "right")) - 1
    starts = np.append(0, ends[:-1] + 1)
    count, sums = (np.add.reduceat(values, starts) for values in (weight, weight * logits))
    return Bins(sums / count, count, total[ends] / total[-1])


def fit_points(
    links: np.ndarray, others: np.ndarray, weight: np.ndarray, held: Sequence[Held] | None = None
) -> dict[str, Any]:
    """Return the fields of a :class:`~vgae.evaluation.calibration.Calibration` by a spline.

    Args:
        links: Logits of held-out links, shape ``(n,)``.
        others: Logits of other pairs, shape ``(P,)``.
        weight: Number of pairs that each of these stands for.
        held: Held-out links to fit to; by default the given ones.
    """
    order = np.argsort(-others, kind="stable")
    logits, weight = others[order], weight[order]
    held = held or [Held(fraction_above(links, logits, weight))]
    found = fit_spline(binned(logits, weight), held)
    found = found or Spline(logits[:1], np.zeros(1), np.zeros(1))
    y = expit(found.log_ratio.clip(-_MOST_LOG_ODDS, _MOST_LOG_ODDS))
    points = {"x": found.logit, "y": y, "error": found.error}
    return {name: tuple(part.tolist()) for name, part in points.items()}


def on_line(values: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the line through the points (x, y), which goes on at its ends."""
    if len(x) == 1:
        return np.full_like(values, y[0])
    first, last = ((y[i + 1] - y[i]) / (x[i + 1] - x[i]) for i in (0, len(x) - 2))
    below, above = (values - x[0]).clip(max=0), (values - x[-1]).clip(min=0)
    return np.interp(values, x, y) + first * below + last * above


def fraction_above(values: np.ndarray, logits: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return the fraction of pairs above each value; equal ones count one half.

    Args:
        values: Logits, shape ``(n,)``.
        logits: Logits of pairs in descending order, shape ``(P,)``.
        weight: Number of pairs that each stands for, shape ``(P,)``.
    """
    total = np.append(0.0, np.cumsum(weight))
    ends = (np.searchsorted(-logits, -values, side) for side in ("left", "right"))
    return np.add(*(total[end] for end in ends)) / (2 * total[-1])


def fit_spline(bins: Bins, held: Sequence[Held]) -> Spline | None:
    """Fit the spline; the knots are chosen by the last of the held-out links.

    ``None`` if the pairs have one logit.
    """
    knots = _knots(bins, held[-1].above)
    if len(knots) < 2:
        return None
    basis = _basis(knots, bins.logit)
    terms = [_Term.of(links, bins, basis) for links in held]

    def cost(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        rise = np.append(0.0, parameters[1:] / _RISE)
        parts = [term.cost(parameters) for term in terms]
        gradient = sum((part[1] for part in parts), rise / _RISE)
        return float(sum(part[0] for part in parts) + rise @ rise / 2), gradient

    bounds = [(None, None), *[(0, None)] * (len(knots) - 1)]
    options = {"maxiter": 1000, "maxfun": 5000, "ftol": 1e-11, "gtol": 1e-6}
    start = np.zeros(len(knots))
    found = minimize(cost, start, jac=True, bounds=bounds, method="L-BFGS-B", options=options)
    parameters = found.x
    information = np.diag(np.append(0.0, np.full(len(knots) - 1, _RISE**-2)))
    information += sum(term.information(parameters) for term in terms)
    free = np.append(True, parameters[1:] > 0)
    covariance = np.zeros_like(information)
    covariance[np.ix_(free, free)] = np.linalg.pinv(information[np.ix_(free, free)])
    slope = _LEAST_SLOPE * parameters[1:].sum() / (knots[-1] - knots[0])
    parameters[1:] = np.maximum(parameters[1:], slope * np.diff(knots))
    # The line goes on to the best pairs, and from there with the least slope.
    points = np.unique(np.append(knots, max(bins.logit[0], knots[-1])))
    at = _basis(knots, points)
    error, ratio = np.sqrt(np.einsum("ij,jk,ik->i", at, covariance, at)), at @ parameters
    width = points[-1] - points[0]
    return Spline(
        np.append(points, points[-1] + width),
        np.append(ratio, ratio[-1] + slope * width),
        np.append(error, error[-1]),
    )


class _Term(NamedTuple):
    """Likelihood of one set of held-out links: what is counted in each bin, f and t."""

    basis: np.ndarray
    links: np.ndarray
    pairs: np.ndarray
    fraction: float
    others: float

    @classmethod
    def of(cls, held: Held, bins: Bins, basis: np.ndarray) -> "_Term":
        lowest = bins.place(np.quantile(held.above, held.top)) if held.top < 1 else len(bins.last)
        used = slice(int(lowest) + 1)
        size = bins.pairs.sum()
        fraction = len(held.above) / held.looks / size
        pairs = held.looks * bins.pairs[used]
        return cls(
            basis[used], bins.counted(held.above)[used], pairs, fraction, held.others / size
        )

    def cost(self, parameters: np.ndarray) -> tuple[float, np.ndarray]:
        """Return minus the log-likelihood, up to a constant, and its gradient."""
        ratio = self.basis @ parameters
        known = ratio + np.log(self.fraction + self.others)
        other = ratio + np.log(self.others) if self.others else np.full_like(ratio, -np.inf)
        not_linked = np.logaddexp(0, known)
        cost = self.links @ (not_linked - ratio) + self.pairs @ (
            not_linked - np.logaddexp(0, other)
        )
        slope = (self.links + self.pairs) * expit(known) - self.links - self.pairs * expit(other)
        return float(cost), self.basis.T @ slope

    def information(self, parameters: np.ndarray) -> np.ndarray:
        """Return the Fisher information."""
        all_links = self.fraction + self.others
        linked = expit(self.basis @ parameters + np.log(all_links))
        q = self.fraction / all_links * linked
        weight = (self.pairs + self.links) * q / (1 - q) * (1 - linked) ** 2
        return self.basis.T @ (weight[:, None] * self.basis)


def _knots(bins: Bins, above: np.ndarray) -> np.ndarray:
    """Return the logits of the knots, ascending; fewer than two if all bins have one logit."""
    tops = np.cumsum(_TOP_LINKS * np.append(1, 2.0 ** np.arange(60)))  # 10, 20, 40, ...
    tops = tops[tops <= len(above) / 2]
    body = len(above) * np.array(_BODY)
    body = body[np.diff(body, prepend=0.0) >= min(_TOP_LINKS, len(above) / 20)]
    levels = np.append(tops, body) / len(above)
    range_of = bins.logit[0] - bins.logit[-1]
    knots = np.unique(bins.logit[bins.place(np.quantile(above, levels))])
    knots = knots[np.append(True, np.diff(knots) > _LEAST_WIDTH * range_of)]
    if len(knots) > 1:
        return knots
    return bins.logit[[-1, 0]] if range_of > 0 else knots


def _basis(knots: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """Return what each parameter adds: the first one everywhere, the others between two knots."""
    ramps = (logits[:, None] - knots[:-1]) / np.diff(knots)
    least, most = np.zeros(len(knots) - 1), np.ones(len(knots) - 1)
    least[0], most[-1] = -np.inf, np.inf  # the ends go on
    return np.column_stack([np.ones(len(logits)), ramps.clip(least, most)])
