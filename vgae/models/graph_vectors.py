"""Graph vectors: one Gaussian per graph of a collection, from the posteriors of its nodes."""

from typing import Literal, cast, overload

import numpy as np
import torch
from torch import Tensor

from vgae.encoders.positions import Positions
from vgae.errors import DataError, check_choice
from vgae.gaussian import DiagGaussian, PointMass
from vgae.graphs.collection import GraphCollection
from vgae.models.embedding import Trained, embed, model_of
from vgae.vae import VAE, Posterior

Readout = Literal["mean", "sum", "attention", "moments"]


@overload
def graph_vectors(
    q: DiagGaussian,
    graphs: GraphCollection,
    readout: Readout = ...,
    *,
    edge_index: Tensor | None = ...,
) -> DiagGaussian: ...
@overload
def graph_vectors(
    q: VAE | Trained | Posterior,
    graphs: GraphCollection,
    readout: Readout = ...,
    *,
    edge_index: Tensor | None = ...,
) -> DiagGaussian | PointMass: ...
def graph_vectors(
    q: VAE | Trained | Posterior,
    graphs: GraphCollection,
    readout: Readout = "moments",
    *,
    edge_index: Tensor | None = None,
) -> DiagGaussian | PointMass:
    r"""Return the Gaussian of each graph that the posteriors of its nodes imply.

    The nodes of a graph are independent, :math:`z_i \sim N(\mu_i, \sigma_i^2)`, so that a weighted
    sum of them is Gaussian, in each dimension:

    .. math:: z_g = \sum_{i \in g} a_i z_i
        \sim N\Big(\sum_i a_i \mu_i, \; \sum_i a_i^2 \sigma_i^2\Big)

    - ``"mean"``: :math:`a_i = 1 / n`, with n nodes. It does not depend on the size.
    - ``"sum"``: :math:`a_i = 1`. Its length grows with the size.
    - ``"attention"``: :math:`a_i = \operatorname{softmax}_i(-\log \sigma_i^2) = \sigma_i^{-2} /
      \sum_j \sigma_j^{-2}`, of each dimension. The weights are the precisions, so that nodes with
      a certain position count more; of all weighted means it has the smallest variance. It has no
      parameters; for a point mass it is the mean.
    - ``"moments"``: the means of :math:`z_i` and of :math:`z_i^2`, 2 d dimensions. Positions on
      opposite sides of the origin cancel in a mean, and their squares do not. The squares are not
      Gaussian; the result has their mean and variance:

      .. math:: E[z^2] = \mu^2 + \sigma^2, \qquad
          \operatorname{Var}[z^2] = 2 \sigma^4 + 4 \mu^2 \sigma^2

    Vectors are comparable between graphs that the same model has embedded, not between models,
    since the positions that an inner product needs are defined up to a rotation.

    Given a model, the p dimensions with the place of a node in its own graph
    (:mod:`vgae.encoders.positions`) are replaced by two, their squared length :math:`l` and
    :math:`l^2`. The order of those p is that of the nodes, which says nothing about the graph,
    while the length is a number of closed walks, such as along rings. With
    :math:`m_k = \mu_k^2 + \sigma_k^2`,

    .. math:: E[l] = \sum_k m_k, \quad
        \operatorname{Var}[l] = \sum_k (2 \sigma_k^4 + 4 \mu_k^2 \sigma_k^2), \quad
        E[l^2] \approx E[l]^2, \quad \operatorname{Var}[l^2] \approx 4 E[l]^2 \operatorname{Var}[l]

    Args:
        q: A trained model, or the result of :func:`vgae.fit` or :func:`vgae.load_run`; or a
            posterior of the nodes, as :func:`vgae.embed` returns it, ``.mu`` of shape ``(N, d)``,
            of which all dimensions are used.
        graphs: Collection of these nodes.
        readout: ``"mean"``, ``"sum"``, ``"attention"`` or ``"moments"``.
        edge_index: Edges that messages travel on, for a model; those of all links by default.

    Returns:
        One vector per graph, ``.mu`` and ``.logvar`` (log sigma squared) of shape ``(G, d)``, or
        ``(G, 2 d)`` for ``"moments"``, where d is the width of a node, of a model with positions
        d - p + 2; a :class:`~vgae.PointMass` if the nodes have one.

    Raises:
        DataError: ``NODE_SET_MISMATCH`` if the posterior is of other nodes; ``COLLECTION`` if the
            graph is no collection.
        UsageError: ``READOUT`` if there is no such readout.
    """
    check_choice("readout", readout, Readout)
    check_collection(graphs, "graph vectors")
    if not hasattr(q, "mu"):
        model = model_of(cast("VAE | Trained", q))
        q = _comparable(model, embed(model, graphs, edge_index))
    q = cast("Posterior", q)
    if len(q.mu) != graphs.num_nodes:
        rule = f"q must have the {graphs.num_nodes} nodes of {graphs.name}"
        raise DataError("NODE_SET_MISMATCH", f"{rule}, got {len(q.mu)}.")
    batch = graphs.batch.to(q.mu.device)
    sizes = graphs.sizes.to(q.mu)[:, None]
    logvar = q.logvar if isinstance(q, DiagGaussian) else None
    if readout == "attention" and logvar is not None:
        total = _log_sums(-logvar, batch, len(sizes))
        weight = (-logvar - total[batch]).exp()
        return DiagGaussian(_sums(weight * q.mu, batch, len(sizes)), -total)
    z, log_spread = q.mu, logvar
    if readout == "moments":
        variance = 0 if logvar is None else logvar.exp()
        z = torch.cat([z, z * z + variance], dim=1)
        if logvar is not None:
            of_squares = logvar + (2 * variance + 4 * q.mu * q.mu).log()
            log_spread = torch.cat([logvar, of_squares], dim=1)
    sums = _sums(z, batch, len(sizes))
    count = torch.ones_like(sizes) if readout == "sum" else sizes
    if log_spread is None:
        return PointMass(sums / count)
    return DiagGaussian(sums / count, _log_sums(log_spread, batch, len(sizes)) - 2 * count.log())


def standardised(vectors: np.ndarray) -> np.ndarray:
    """Return vectors whose columns have the mean 0 and deviation 1, or 0 if they are constant.

    Squares and lengths have other units than means; distances then weigh all columns alike.
    """
    mean, deviation = vectors.mean(axis=0), vectors.std(axis=0)
    varies = deviation > 1e-6 * np.abs(mean)  # else it is rounding
    return np.where(varies, vectors - mean, 0) / np.where(varies, deviation, 1)


def num_positions(model: VAE) -> int:
    """Return the number of latent dimensions, the first ones, with positions in a graph."""
    place = getattr(model.encoder, "place", None)
    return place.width if isinstance(place, Positions) else 0


def _comparable(model: VAE, q: Posterior) -> Posterior:
    """Return the posterior in dimensions that are comparable between graphs."""
    p = num_positions(model)
    if not p or not isinstance(q, DiagGaussian | PointMass):
        return q
    place, mu = q.mu[:, :p], q.mu[:, p:]
    length = (place * place).sum(dim=1, keepdim=True)
    if isinstance(q, PointMass):
        return PointMass(torch.cat([length, length * length, mu], dim=1))
    variance = q.logvar[:, :p].exp()
    spread = (2 * variance * variance + 4 * place * place * variance).sum(dim=1, keepdim=True)
    length = length + variance.sum(dim=1, keepdim=True)
    logvar = torch.cat([spread, 4 * length * length * spread], dim=1).log()
    means = torch.cat([length, length * length, mu], dim=1)
    return DiagGaussian(means, torch.cat([logvar, q.logvar[:, p:]], dim=1))


def check_collection(graphs: object, what: str) -> None:
    """Raise ``DataError`` unless graphs are a collection; ``what`` needs one."""
    if not isinstance(graphs, GraphCollection):
        raise DataError(
            "COLLECTION",
            f"{what} need a collection of graphs, got {type(graphs).__name__}; make one with"
            " vgae.GraphCollection.from_graphs(graphs).",
        )


def _sums(values: Tensor, batch: Tensor, num_graphs: int) -> Tensor:
    """Return the sum of each graph, added in double precision, shape ``(G, d)``."""
    zero = values.new_zeros(num_graphs, values.shape[1], dtype=torch.float64)
    return zero.index_add_(0, batch, values.double()).to(values.dtype)


def _log_sums(logs: Tensor, batch: Tensor, num_graphs: int) -> Tensor:
    """Return the logarithm of the sum of each graph, given logarithms, shape ``(G, d)``."""
    low = logs.new_full((num_graphs, logs.shape[1]), -torch.inf)
    top = low.scatter_reduce(0, batch[:, None].expand_as(logs), logs, "amax")
    return top + _sums((logs - top[batch]).exp(), batch, num_graphs).log()
