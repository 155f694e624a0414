"""K-means, and Gaussian mixtures of vectors that have a variance each."""

import math
from typing import Any, NamedTuple

import numpy as np
from scipy.special import logsumexp
from sklearn.cluster import KMeans

_STEPS = 200
_TOLERANCE = 1e-6  # nats a vector
_FLOOR = 1e-3  # least variance of a component, relative to that of all vectors in its dimension


class Mixture(NamedTuple):
    """A fitted mixture.

    Attributes:
        weights: Fraction of each component, shape ``(k,)``.
        means: Shape ``(k, d)``.
        variances: Shape ``(k, d)``.
        responsibilities: Probability of each component given a vector, shape ``(N, k)``.
        bic: Bayesian information criterion; less is better.
    """

    weights: np.ndarray
    means: np.ndarray
    variances: np.ndarray
    responsibilities: np.ndarray
    bic: float


def distinct_rows(x: np.ndarray) -> int:
    """Return the number of different vectors."""
    return len(np.unique(x, axis=0))


def k_means(
    x: np.ndarray,
    k: int,
    random_state: int,
    *,
    starts: int = 10,
    weight: np.ndarray | None = None,
) -> Any:
    """Return scikit-learn's fitted k-means, the best of some starts."""
    n_init: Any = starts  # scikit-learn annotates "auto" only
    return KMeans(k, n_init=n_init, random_state=random_state).fit(x, sample_weight=weight)


def fit_mixture(x: np.ndarray, noise: np.ndarray, k: int, random_state: int) -> Mixture:
    r"""Fit a mixture to uncertain vectors.

    Vector i is a latent vector and noise of known variance:

    .. math:: x_i \sim N(z_i, \operatorname{diag} s_i), \qquad
        z_i \sim \sum_k \pi_k N(m_k, \operatorname{diag} v_k), \qquad
        \log p(x) = \sum_i \log \sum_k \pi_k N(x_i \mid m_k, v_k + s_i)

    An uncertain vector thus counts less than a certain one. A step infers :math:`z_i` of
    component k, with mean :math:`b = m_k + g (x_i - m_k)` and variance :math:`v_k (1 - g)`, where
    :math:`g = v_k / (v_k + s_i)`, and takes means and variances over i with the responsibilities.

    Source: Bovy, Hogg & Roweis (2011), `Extreme deconvolution
    <https://arxiv.org/abs/0905.2979>`_, equations 14 to 16, with diagonal covariances.

    Args:
        x: Vectors, float64, shape ``(N, d)``.
        noise: Variances :math:`s_i`, not negative, shape ``(N, d)``.
        k: Number of components, at most N.
        random_state: Seed of the k-means that gives the initial responsibilities.
    """
    n, d = x.shape
    scale = x.var(axis=0) + noise.mean(axis=0)
    floor = _FLOOR * np.where(scale > 0, scale, 1.0)
    # Certain vectors decide where the components begin.
    certain = 1 / (1 + noise.mean(axis=1) / floor.mean())
    start = np.eye(k)[k_means(x, k, random_state, starts=3, weight=certain).labels_]
    start *= certain[:, None]
    mass = np.maximum(start.sum(axis=0), 1e-300)[:, None]
    means = start.T @ x / mass
    variances = np.maximum(start.T @ (x * x - noise) / mass - means**2, floor)
    r = start
    weights, before, likelihood = np.full(k, 1 / k), -math.inf, -math.inf
    for _ in range(_STEPS):
        log_p: Any = np.stack(
            [_log_density(x, m, v + noise) for m, v in zip(means, variances, strict=True)], axis=1
        )
        log_p += np.log(weights)
        total: Any = logsumexp(log_p, axis=1)
        r = np.exp(log_p - total[:, None])
        likelihood = total.mean()
        if likelihood - before < _TOLERANCE:
            break
        before = likelihood
        mass = np.maximum(r.sum(axis=0), 1e-10)
        weights = mass / mass.sum()
        for j in range(k):
            gain = variances[j] / (variances[j] + noise)
            b = means[j] + gain * (x - means[j])
            spread = variances[j] * (1 - gain)
            means[j] = r[:, j] @ b / mass[j]
            variances[j] = np.maximum(r[:, j] @ ((b - means[j]) ** 2 + spread) / mass[j], floor)
    free = 2 * k * d + k - 1
    return Mixture(weights, means, variances, r, float(free * math.log(n) - 2 * n * likelihood))


def _log_density(x: np.ndarray, mean: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Return the log-density of a diagonal Gaussian at each row of x, shape ``(N,)``."""
    return -0.5 * (np.log(2 * np.pi * variance) + (x - mean) ** 2 / variance).sum(axis=1)
