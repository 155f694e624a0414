"""Columns of a table of links that are computed from the model, the posterior and the pairs."""

import logging
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor

from vgae.errors import UsageError
from vgae.evaluation.calibration import Calibration
from vgae.evaluation.expected import LEVEL, ExpectedTrue, expected_true
from vgae.evaluation.links import PairScorer, calibrate
from vgae.evaluation.sampled import (
    MOST_FITTED,
    averaged_probability,
    check_samples,
    has_intervals,
    sampled_logits,
)
from vgae.evaluation.typed import RelationScorer
from vgae.graphs.canonical import NodeId, link_positions
from vgae.graphs.collection import GraphCollection
from vgae.graphs.graph import Graph
from vgae.prediction.link_table import RAW, LinkTable
from vgae.prediction.weights import value_columns

log = logging.getLogger(__name__)

FURTHER: tuple[Callable[[PairScorer, Tensor], Mapping[str, Tensor]], ...] = (value_columns,)
"""Functions that return further columns by name, of length P, from a scorer and the pairs
``(2, P)``, which are in the order that the decoder takes; none for another model."""


class Ranked(NamedTuple):
    """Pairs of nodes ``(2, P)`` with their scores, ranks, and whether they are known links."""

    pairs: Tensor
    score: Tensor
    rank: Tensor
    known: Tensor | None = None


class Sampling(NamedTuple):
    """Samples of the posterior that probabilities are averaged over.

    Attributes:
        num_samples: Number of samples.
        level: Probability of the credible intervals.
        seed: Seed of the samples.
        k: Number of rows that are kept of each node, or of the graph; all if ``None``.
    """

    num_samples: int
    level: float
    seed: int
    k: int | None = None

    @property
    def searched(self) -> int:
        """Number of candidates, by the logit at the posterior means, that are sampled."""
        return 2 * (self.k or 0) + 10


def sampling_of(
    samples: int, interval: float | None, seed: int, k: int | None = None
) -> Sampling | None:
    """Return the sampling that is asked for; ``None`` for 0 samples."""
    level = PairScorer.interval if interval is None else interval
    return Sampling(check_samples(samples), level, seed, k) if samples else None


def calibration_of(
    model: Any, scorer: PairScorer, graph: Graph, given: Calibration | None, *, sampling: bool
) -> Calibration | None:
    """Return the calibration of a table: the given one, or that of the model.

    With samples, that of the model is brought to the prior ``"graph"``; and if a model knows its
    split, as the result of :func:`vgae.fit` and a run do, and the graph is the one of the split, a
    calibration and intervals which are missing are fitted, but not to very large graphs.

    Raises:
        UsageError: ``TYPED_GRAPH`` if there are samples, and a typed graph has no calibration.
    """
    found = given or scorer.calibration
    if given is not None or not sampling:
        return found
    split: Any = getattr(model, "split", None)
    if (found is None or found.intervals is None) and _is_of(split, graph):
        fits = has_intervals(graph) and graph.num_nodes + graph.num_links <= MOST_FITTED
        if fits:
            log.info(
                "fitting intervals; calibration=vgae.calibrate(..., intervals=True) or, on the"
                " command line, 'vgae calibrate RUN --intervals' fits them once for all tables"
            )
        if fits or found is None:
            found = calibrate(model, graph, split, intervals=fits)
    if found is None and isinstance(scorer, RelationScorer):
        rule = "samples (--samples) need calibrated probabilities, which typed graphs have not"
        raise UsageError("TYPED_GRAPH", f"{rule}; leave them out.")
    return found and found.for_graph(graph)


def _is_of(split: Any, graph: Graph) -> bool:
    """Return whether the links of a split are those of the graph, with some for validation."""
    if split is None or split.val.pos.shape[1] < 2:
        return False
    links = torch.cat([split.message_links, split.val.pos, split.test.pos], dim=1)
    return (
        links.shape[1] == graph.num_links
        and int(links.max()) < graph.num_nodes
        and bool((link_positions(links, graph.links, graph.grid) >= 0).all())
    )


def link_table(
    scorer: PairScorer,
    graph: Graph,
    ranked: Ranked,
    calibration: Calibration | None = None,
    sampling: Sampling | None = None,
    level: float | None = None,
) -> LinkTable:
    """Return the table of ranked pairs, with all columns that the model has.

    With a sampling, pairs are ranked by their mean probability instead; equal ones keep their
    order.

    Args:
        scorer: The model with the posterior of the nodes, ``scorer.q``.
        graph: Graph of the pairs.
        ranked: The pairs; those of a node are together, and begin with rank 1.
        calibration: Calibration of the probabilities, if any; see :func:`calibration_of`.
        sampling: Samples that probabilities are averaged over; none for those of the means.
        level: Probability of the interval of the number of proposals that come true.

    Raises:
        UsageError: ``CALIBRATION`` if there are samples and no calibration; see
            :func:`vgae.evaluation.sampled.sampled_logits`.
    """
    stored = stored_pairs(graph, ranked.pairs)
    own: dict[str, Any] = {}
    if sampling is None:
        probability = calibration and scorer.probability(stored, calibration)
        if calibration is not None and ranked.known is None:
            own = {"come_true": _come_true(scorer, graph, stored, calibration, level or LEVEL)}
    else:
        averaged, ranked = _averaged(scorer, stored, ranked, calibration, sampling)
        probability, stored = averaged.pop("probability"), stored_pairs(graph, ranked.pairs)
        raw = calibration is not None and calibration.intervals is None
        own = {**averaged, "interval": sampling.level, "raw": raw}
    further: dict[str, Tensor] = {}
    for columns in FURTHER:
        further |= columns(scorer, stored)
    if own.get("come_true") and bool((ranked.rank.diff() == 1).all()):  # one list of pairs
        further["expected_true"] = cast(Tensor, probability).cumsum(0)
    pairs, score, rank, known = ranked
    return LinkTable(
        *(pairs[0], pairs[1], score, probability, rank, graph.ids),
        known=known,
        prior="density" if calibration is None else calibration.prior,
        directed=graph.directed,
        further=further,
        graphs=_graphs_of(graph, pairs[0]),
        **own,
    )


def _come_true(
    scorer: PairScorer, graph: Graph, stored: Tensor, calibration: Calibration, level: float
) -> ExpectedTrue | None:
    """Return how many of the proposed pairs come true; one that both ends propose counts once."""
    if calibration.prior != "density" or not stored.shape[1]:
        return None
    number = graph.grid.numbers(graph.grid.ordered(stored)).numpy()
    once = torch.from_numpy(np.unique(number, return_index=True)[1])
    return expected_true(calibration, scorer.logits(stored[:, once]), level)


def _averaged(
    scorer: PairScorer,
    stored: Tensor,
    ranked: Ranked,
    calibration: Calibration | None,
    sampling: Sampling,
) -> tuple[dict[str, Tensor], Ranked]:
    """Return averaged probabilities, ``low`` and ``high``, and the pairs ranked by them."""
    sampled = sampled_logits(scorer, stored, sampling.num_samples, sampling.seed)
    if calibration is None:
        raise UsageError(
            "CALIBRATION",
            "probabilities over samples need a calibration, and there is none: pass"
            " calibration=vgae.calibrate(model, graph, split, intervals=True), or train with"
            " validation links (--val).",
        )
    found = averaged_probability(sampled, calibration, sampling.level)._asdict()
    if calibration.intervals is None:
        log.warning("%s", RAW)
    best_first = -found["probability"].numpy()
    if sampling.k is None:  # rows stay where they are
        order = np.argsort(best_first, kind="stable")
        rank = torch.empty_like(ranked.rank)
        rank[torch.from_numpy(order)] = torch.arange(1, len(order) + 1)
        return found, ranked._replace(rank=rank)
    owner = (ranked.rank == 1).cumsum(0).numpy()
    order = torch.from_numpy(np.lexsort((ranked.rank.numpy(), best_first, owner)))
    first = torch.from_numpy(np.searchsorted(owner, owner))  # row of the owner's first
    rank = torch.arange(len(owner)) - first + 1
    kept = rank <= sampling.k
    order = order[kept]
    moved = Ranked(ranked.pairs[:, order], ranked.score[order], rank[kept])
    return {name: values[order] for name, values in found.items()}, moved


def _graphs_of(graph: Graph, nodes: Tensor) -> list[NodeId] | None:
    """Return the name of the graph of each node, ``None`` unless they are of a collection."""
    if not isinstance(graph, GraphCollection):
        return None
    return [graph.graph_ids[number] for number in graph.batch[nodes].tolist()]


def stored_pairs(graph: Graph, pairs: Tensor) -> Tensor:
    """Return pairs as the decoder takes them, the first side first."""
    return pairs if graph.sides is None else graph.grid.ordered(pairs)
