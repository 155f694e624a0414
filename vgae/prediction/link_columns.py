"""Columns of a table of links that are computed from the model, the posterior and the pairs."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from torch import Tensor

from vgae.evaluation.calibration import Calibration
from vgae.evaluation.links import PairScorer
from vgae.graphs.canonical import NodeId
from vgae.graphs.collection import GraphCollection
from vgae.graphs.graph import Graph
from vgae.prediction.link_table import LinkTable
from vgae.prediction.weights import value_columns

FURTHER: tuple[Callable[[PairScorer, Tensor], Mapping[str, Tensor]], ...] = (value_columns,)
"""Functions that return further columns by name, of length P, from a scorer and the pairs
``(2, P)``, which are in the order that the decoder takes; none for another model."""


class Ranked(NamedTuple):
    """Pairs of nodes ``(2, P)`` with their scores, ranks, and whether they are known links."""

    pairs: Tensor
    score: Tensor
    rank: Tensor
    known: Tensor | None = None


def link_table(
    scorer: PairScorer, graph: Graph, ranked: Ranked, calibration: Calibration | None = None
) -> LinkTable:
    """Return the table of ranked pairs, with all columns that the model has.

    Args:
        scorer: The model with the posterior of the nodes, ``scorer.q``.
        graph: Graph of the pairs.
        ranked: The pairs.
        calibration: Calibration of the probabilities; ``scorer.calibration`` by default, if any.
    """
    pairs, score, rank, known = ranked
    stored = stored_pairs(graph, pairs)
    calibration = calibration or scorer.calibration
    further: dict[str, Tensor] = {}
    for columns in FURTHER:
        further |= columns(scorer, stored)
    return LinkTable(
        *(pairs[0], pairs[1], score, scorer.probability(stored, calibration), rank, graph.ids),
        known=known,
        prior="density" if calibration is None else calibration.prior,
        directed=graph.directed,
        further=further,
        graphs=_graphs_of(graph, pairs[0]),
    )


def _graphs_of(graph: Graph, nodes: Tensor) -> list[NodeId] | None:
    """Return the name of the graph of each node, ``None`` unless they are of a collection."""
    if not isinstance(graph, GraphCollection):
        return None
    return [graph.graph_ids[number] for number in graph.batch[nodes].tolist()]


def stored_pairs(graph: Graph, pairs: Tensor) -> Tensor:
    """Return pairs as the decoder takes them, the first side first."""
    return pairs if graph.sides is None else graph.grid.ordered(pairs)
