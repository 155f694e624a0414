r"""Features that are typical of clusters, by their correlation with membership.

For feature :math:`f` and cluster :math:`g`, with the fraction :math:`p` of the nodes in it, the
mean :math:`m_1` of the feature in the cluster, :math:`m_0` elsewhere, and its standard deviation
:math:`s` over all nodes,

.. math:: r = \frac{m_1 - m_0}{s} \sqrt{p (1 - p)}

is Pearson's correlation of the feature with the indicator of membership: the point-biserial
correlation, and for a 0/1 feature the phi coefficient. Within one cluster it ranks features as
Cohen's d does, the difference of the means over the pooled standard deviation, but it is finite
for a feature that the cluster alone has.

Source: De Cáceres & Legendre (2009), `Associations between species and groups of sites: indices
and statistical inference <https://doi.org/10.1890/08-1823.1>`_ (species are features, groups of
sites are clusters).
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
import torch
from scipy.stats import norm
from torch import Tensor

from vgae.graphs.missing import column_sums
from vgae.kernels.csr import scipy_csr

_LEVEL = 0.05  # of the test, for all features and clusters together
_EXACT = 1e-12  # of the mean square: a smaller variance is that of rounding
_BLOCK = 2**22  # entries of dense features at once


class TypicalFeature(NamedTuple):
    """A feature that is more frequent, or larger, in a cluster than elsewhere.

    Attributes:
        name: Its name.
        correlation: Correlation of the feature with membership in the cluster, in (0, 1].
        mean: Mean in the cluster: of a 0/1 feature the fraction of nodes that have it.
        mean_elsewhere: Mean over the other nodes.
    """

    name: str
    correlation: float
    mean: float
    mean_elsewhere: float


class Contrast(NamedTuple):
    """Correlation, and means in and outside each cluster, of each feature: shape ``(k, F)``."""

    correlation: np.ndarray
    mean: np.ndarray
    mean_elsewhere: np.ndarray


def typical_features(
    x: Tensor,
    labels: np.ndarray,
    *,
    missing: Tensor | None = None,
    names: Sequence[str] = (),
    most: int = 5,
) -> list[list[TypicalFeature]]:
    """Return the features that are typical of each cluster, the most typical first.

    They have a positive correlation that a normal test finds at the level of 5 %, with the
    correction of Bonferroni for all features and clusters. This removes noise; it is no proof, as
    clusters of an embedding may come from the same features.

    Args:
        x: Features, dense or sparse CSR, shape ``(N, F)``.
        labels: Cluster of each node, from 0, shape ``(N,)``.
        missing: Missing entries, which are left out; see :attr:`vgae.Graph.missing`.
        names: Name of each feature; by default 0 to F - 1.
        most: Most features of a cluster.

    Returns:
        A list for each cluster, which may be empty.
    """
    found = contrast(x, labels, missing)
    named = names or range(x.shape[1])
    least = norm.isf(_LEVEL / max(1, found.correlation.size)) / np.sqrt(max(1, len(labels)))
    lists = []
    for rows in zip(*found, strict=True):
        order = np.argsort(-rows[0], kind="stable")[:most]
        columns = [column for column in order.tolist() if rows[0][column] > least]
        lists.append(
            [TypicalFeature(str(named[c]), *(float(row[c]) for row in rows)) for c in columns]
        )
    return lists


def contrast(x: Tensor, labels: np.ndarray, missing: Tensor | None = None) -> Contrast:
    """Return how features differ between each cluster and the other nodes.

    Arguments are those of :func:`typical_features`. A correlation is 0 for a constant feature, and
    for a single cluster; a mean over no known entries is NaN.
    """
    sizes = np.bincount(labels)
    members = _indicator(labels)
    known = np.repeat(sizes[:, None].astype(float), x.shape[1], axis=1)
    if missing is not None:
        known -= (members @ scipy_csr(missing)).toarray()
    shift = np.zeros(x.shape[1])
    if x.layout == torch.strided:
        total, count = column_sums(x, missing)
        shift = (total / count.clamp(min=1)).numpy()
    sums, squares = np.zeros_like(known), np.zeros(x.shape[1])
    for rows, block in _blocks(x, shift):
        part = members[:, rows] @ block
        sums += part.toarray() if sp.issparse(part) else part
        squares += (block * block).sum(axis=0)
    count = known.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = sums / known
        elsewhere = (sums.sum(axis=0) - sums) / (count - known)
        p, square = known / count, squares / count
        variance = square - (sums.sum(axis=0) / count) ** 2
        variance[~(variance > _EXACT * square)] = np.nan
        correlation = (mean - elsewhere) * np.sqrt(p * (1 - p) / variance)
    return Contrast(np.nan_to_num(correlation).clip(-1, 1), mean + shift, elsewhere + shift)


def _indicator(labels: np.ndarray) -> Any:
    """Return the matrix of ones where node n is in cluster k, sparse, shape ``(k, N)``."""
    return sp.csr_array((np.ones(len(labels)), (labels, np.arange(len(labels)))))


def _blocks(x: Tensor, shift: np.ndarray) -> Iterator[tuple[slice, Any]]:
    """Yield rows and their features in float64, from dense ones less the mean of the column.

    A missing entry counts as 0 then, as in :func:`vgae.graphs.missing.filled`.
    """
    if x.layout != torch.strided:
        yield slice(None), sp.csr_array(scipy_csr(x), dtype=np.float64)
        return
    step = max(1, _BLOCK // max(1, x.shape[1]))
    for start in range(0, len(x), step):
        rows = slice(start, start + step)
        yield rows, x[rows].double().numpy() - shift
