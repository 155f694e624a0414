"""Link prediction: proposals of unknown links, and scores of given pairs."""

import logging
import operator
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vgae.errors import DataError, NumericalError, UsageError, check_choice, nearest
from vgae.evaluation.calibration import Calibration, Prior
from vgae.evaluation.links import PairScorer, consistent_method
from vgae.evaluation.ranking import known_pairs
from vgae.graphs.canonical import NodeId, link_positions
from vgae.graphs.frame_kinds import is_frame
from vgae.graphs.graph import Graph
from vgae.models.embedding import Trained, evaluating
from vgae.prediction.best_pairs import (
    InnerProducts,
    Scores,
    best_pairs,
    best_partners,
    indexed_partners,
    pairs_bytes,
    partners_bytes,
)
from vgae.runtime.progress import showing
from vgae.runtime.tables import optional_module, write_table
from vgae.vae import VAE

if TYPE_CHECKING:
    import networkx as nx
    import pandas as pd

log = logging.getLogger(__name__)

Metric = Literal["inner_product", "cosine"]

# FAISS was measured to be faster from this number of nodes on, up to this number of partners.
_INDEX_NODES, _INDEX_PARTNERS = 20_000, 100
# Nanoseconds per pair, (a, b) of a + b d, on one core at d = 16 to 128: for inner products, and
# for a decoder of the same arithmetic that is called with pairs.
_PRODUCT, _DECODER = (2.0, 0.05), (25.0, 6.5)
_SHOWN = 5
_MANY = 100_000  # nodes, from which on the nearest name is found for one unknown name alone


@dataclass(frozen=True, eq=False, repr=False)
class LinkTable:
    """Pairs of nodes with their scores, one row per pair.

    Attributes:
        source: Numbers of the first nodes, int64, shape ``(P,)``.
        target: Numbers of the second nodes, int64, shape ``(P,)``.
        score: Logits of the decoder, or cosines with that metric; float32, shape ``(P,)``.
        probability: Calibrated probability of a link, float64, shape ``(P,)``; ``None`` without a
            calibration. The sigmoid of a logit is no substitute: it is 0.5 for a pair without
            evidence. In :meth:`columns` and files it is called ``balanced_probability`` if it
            refers to as many non-links as links.
        rank: Rank from 1, the best, among the partners of the source or among all rows; int64.
        ids: Name of each node of the graph, by number.
        known: Whether the pair is a link of the graph, bool; ``None`` for proposals, which never
            are.
        prior: Prior of ``probability``: ``"density"``, the fraction of links in the graph, or
            ``"balanced"``, one half; see :func:`vgae.calibrate`.
    """

    source: Tensor
    target: Tensor
    score: Tensor
    probability: Tensor | None
    rank: Tensor
    ids: Sequence[NodeId]
    known: Tensor | None = None
    prior: Prior = "density"

    def __len__(self) -> int:
        return len(self.source)

    def __repr__(self) -> str:
        return f"LinkTable({len(self)} links)"

    @property
    def probability_name(self) -> str:
        """Name of the column of probabilities, by their prior."""
        return "probability" if self.prior == "density" else "balanced_probability"

    def names(self) -> list[tuple[NodeId, NodeId]]:
        """Return the names of source and target of each row."""
        pairs = zip(self.source.tolist(), self.target.tolist(), strict=True)
        return [(self.ids[u], self.ids[v]) for u, v in pairs]

    def columns(self) -> dict[str, Any]:
        """Return the columns by name, without those that are ``None``.

        ``source`` and ``target`` are lists of names; ``score``, ``probability`` (or
        ``balanced_probability``), ``rank`` and ``known`` are arrays.
        """
        source, target = zip(*self.names(), strict=True) if len(self) else ((), ())
        others = {
            "score": self.score,
            self.probability_name: self.probability,
            "rank": self.rank,
            "known": self.known,
        }
        arrays = {name: column.numpy() for name, column in others.items() if column is not None}
        return {"source": list(source), "target": list(target), **arrays}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the columns to a file with :func:`vgae.runtime.tables.write_table`."""
        write_table(path, self.columns())

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON: one dict per row under ``"links"``."""
        columns = self.columns()
        lists = (c.tolist() if isinstance(c, np.ndarray) else c for c in columns.values())
        rows = zip(*lists, strict=True)
        return {"links": [dict(zip(columns, row, strict=True)) for row in rows]}

    def to_pandas(self) -> "pd.DataFrame":
        """Return the columns as a data frame; without pandas raise ``UsageError``."""
        return optional_module("pandas", "pandas").DataFrame(self.columns())

    def to_networkx(self) -> "nx.Graph":
        """Return the pairs as edges between names, with the other columns except ``rank``.

        A pair proposed by both of its ends is one edge; nodes without a pair are omitted.
        """
        import networkx as nx

        graph = nx.Graph()
        for row in self.to_dict()["links"]:
            del row["rank"]
            graph.add_edge(row.pop("source"), row.pop("target"), **row)
        return graph


def predict_links(
    model: VAE | Trained | PairScorer,
    graph: Graph,
    k: int = 10,
    *,
    per_node: bool = True,
    metric: Metric = "inner_product",
    nodes: Iterable[NodeId] | None = None,
    calibration: Calibration | None = None,
    progress: bool | None = None,
) -> LinkTable:
    """Propose the unlinked pairs of the highest scores.

    By default the k best partners of each node; ``per_node=False`` gives the k best pairs of the
    graph, which tend to lie among few nodes of long vectors. The search is exact. Equal scores
    are ordered by node number. With FAISS installed, large searches on a CPU use its exact index.

    Args:
        model: A trained model, or the result of :func:`vgae.fit` or :func:`vgae.load_run`, with
            messages over all links; or a :class:`~vgae.evaluation.links.PairScorer`, with messages
            over the edges of your choice.
        graph: Nodes, features, and the links that are excluded.
        k: Number of partners of a node, or of pairs; there are fewer rows if fewer are left.
        per_node: Whether each node gets its own k partners.
        metric: ``"inner_product"`` ranks by the logits of the decoder, ``"cosine"`` by the cosine
            of the posterior means, 0 for a mean of zero. Cosines ignore lengths: they suit
            partners of one node better than pairs of the graph. Probabilities are those of the
            logits in both cases.
        nodes: Names of the nodes that get partners; all by default. An integer also names the
            node whose name is its text, and the reverse.
        calibration: Calibration of the probabilities; ``model.calibration`` by default, if any.
        progress: Whether to show progress on stderr; see :func:`vgae.fit`.

    Returns:
        The rows of a node together, best first.

    Raises:
        UsageError: If an option is invalid.
        DataError: If a node is unknown, or the scorer has another number of nodes.
        NumericalError: If an embedding or a logit is not finite.
    """
    k = operator.index(k)
    if k < 1:
        raise UsageError("TOP_K", f"k must be at least 1, got {k}.")
    check_choice("metric", metric, Metric)
    if nodes is not None and not per_node:
        raise UsageError("PER_NODE", "nodes requires per_node=True, got per_node=False.")
    num_nodes = graph.num_nodes
    nodes = [nodes] if isinstance(nodes, str) else nodes
    numbers = range(num_nodes) if nodes is None else _numbers(graph, dict.fromkeys(nodes))
    scorer = _scorer(model, graph)
    scores, device = _scores(scorer, metric), scorer.z.device
    known = known_pairs(graph.links, num_nodes)
    with showing(len(numbers), "nodes", wanted=progress) as show:
        if per_node:
            wanted = torch.tensor(numbers, dtype=torch.int64, device=device)
            few = min(k, num_nodes)
            num_bytes = partners_bytes(num_nodes, len(wanted), few)
            _announce(scorer, scores, known.nnz, len(wanted) * num_nodes, num_bytes)
            use_faiss = _uses_faiss(scores, len(wanted), few)
            search: Any = indexed_partners if use_faiss else best_partners
            found = search(scores, known, wanted, few, show=show)
            there = found.score > -torch.inf
            source = wanted[:, None].expand_as(found.node)[there]
            target, score = found.node[there], found.score[there]
            rank = torch.arange(1, few + 1).expand_as(there)[there.cpu()]
            lacking = int((there.sum(dim=1) < k).sum())
        else:
            num_pairs = num_nodes * (num_nodes - 1) // 2
            _announce(scorer, scores, known.nnz, num_pairs, pairs_bytes(num_nodes, k))
            (source, target), score = best_pairs(scores, known, k, device=device, show=show)
            rank = torch.arange(1, len(score) + 1)
            lacking = int(len(score) < k)
    if lacking:
        whose = f"{lacking:,} nodes have" if per_node else "the graph has"
        log.info("%s fewer than %d pairs that are not linked; all of them are proposed", whose, k)
    pairs = torch.stack([source, target]).cpu()
    probability, prior = _probability(scorer, pairs, calibration)
    columns = pairs[0], pairs[1], score.cpu(), probability, rank
    return LinkTable(*columns, graph.ids, prior=prior)


def score_links(
    model: VAE | Trained | PairScorer,
    graph: Graph,
    pairs: Iterable[Sequence[NodeId]] | np.ndarray | Tensor,
    *,
    calibration: Calibration | None = None,
) -> LinkTable:
    """Score given pairs, one row each in their order, and mark those that are links of the graph.

    Args:
        model: Model or scorer, as for :func:`predict_links`. Over a link that carries messages, a
            pair is scored by a model that has seen it.
        graph: Nodes and features.
        pairs: Names of two different nodes each, such as an array of shape ``(P, 2)`` or a frame
            with the columns ``source`` and ``target``, or of two columns; they are ranked among
            each other.
        calibration: Calibration of the probabilities; ``model.calibration`` by default, if any.

    Raises:
        DataError: If a node is unknown, or paired with itself, or the scorer has another number
            of nodes.
        NumericalError: If an embedding or a logit is not finite.
    """
    numbers = _pair_numbers(graph, pairs)
    scorer = _scorer(model, graph)
    score = _finite(scorer.logits(numbers)).float()
    order = score.argsort(descending=True, stable=True)
    rank = order.argsort() + 1
    probability, prior = _probability(scorer, numbers, calibration)
    is_known = link_positions(numbers, graph.links, graph.grid) >= 0
    source, target = numbers
    return LinkTable(source, target, score, probability, rank, graph.ids, is_known, prior)


def _probability(
    scorer: PairScorer, pairs: Tensor, calibration: Calibration | None
) -> tuple[Tensor | None, Prior]:
    """Return the probabilities of pairs and their prior."""
    calibration = calibration or scorer.calibration
    prior = "density" if calibration is None else calibration.prior
    return scorer.probability(pairs, calibration), prior


def _scorer(model: VAE | Trained | PairScorer, graph: Graph) -> PairScorer:
    """Return the scorer of a model, or raise an error if its embedding cannot be used."""
    scorer = model if isinstance(model, PairScorer) else PairScorer(model, graph)
    if len(scorer.z) != graph.num_nodes:
        rule = f"the scorer must have the {graph.num_nodes} nodes of {graph.name}"
        raise DataError("NODE_SET_MISMATCH", f"{rule}, got {len(scorer.z)}.")
    if not bool(scorer.z.isfinite().all()):
        rule = "the embedding is not finite; look for NaN in the weights."
        raise NumericalError("EMBEDDING_NONFINITE", rule)
    return scorer


def _finite(logits: Tensor) -> Tensor:
    """Return the logits, or raise an error if one is NaN or infinite."""
    if not bool(logits.isfinite().all()):
        raise NumericalError("SCORES_NONFINITE", "the decoder gives logits that are not finite.")
    return logits


def _scores(scorer: PairScorer, metric: Metric) -> Scores:
    """Return a function that scores pairs in blocks."""
    z = scorer.z
    if metric == "cosine":
        unit = F.normalize(z.double(), dim=1)
        return InnerProducts(unit, unit)
    if factors := consistent_method(scorer.decoder, "factors"):
        with evaluating(scorer.model):
            return InnerProducts(*map(_finite, factors(z)))
    return lambda nodes, first: _finite(scorer.logits_of(nodes)[:, first:]).to(z.device, copy=True)


def _uses_faiss(scores: Scores, num_wanted: int, k: int) -> bool:
    """Return whether FAISS is applicable, faster and installed."""
    can = isinstance(scores, InnerProducts) and scores.left.device.type == "cpu"
    is_faster = num_wanted >= _INDEX_NODES and k <= _INDEX_PARTNERS
    return can and is_faster and find_spec("faiss") is not None


def _announce(
    scorer: PairScorer, scores: Scores, num_known: int, num_pairs: int, num_bytes: int
) -> None:
    """Log the number of pairs, and the predicted time and memory."""
    num_nodes, num_channels = scorer.z.shape
    fixed, slope = _PRODUCT if isinstance(scores, InnerProducts) else _DECODER
    # The vectors twice in float64; the known pairs and the arrays that their matrix is built from.
    num_bytes += 16 * num_nodes * (num_channels + 1) + 40 * num_known
    seconds = 1e-9 * num_pairs * (fixed + slope * num_channels)
    cost = f"about {seconds:.1f} s on one core; takes about {num_bytes / 1e6:,.0f} MB"
    log.info("%s pairs to be scored: %s", f"{num_pairs:,}", cost)


def _numbers(graph: Graph, names: Iterable[NodeId]) -> list[int]:
    """Return the numbers of nodes by name, or raise an error with the unknown names."""
    number: dict[Any, int] = {name: i for i, name in enumerate(graph.ids)}
    names = list(names)
    if any(name not in number for name in names):
        # A name that was read from text may have the other type.
        texts = {str(name): i for name, i in number.items()}
        others = [name for name in names if isinstance(name, str | int | np.integer)]
        number |= {n: texts[str(n)] for n in others if n not in number and str(n) in texts}
    if unknown := [name for name in names if name not in number]:
        first = list(dict.fromkeys(unknown[:_SHOWN]))
        raise DataError(
            "UNKNOWN_NODE",
            f"{len(unknown)} {'name is' if len(unknown) == 1 else 'names are'} not in"
            f" {graph.name}, first {', '.join(f'{name!r:.60}' for name in first)}; names of its"
            f" nodes are like {graph.ids[0]!r:.60}.{_near_names(graph, first)}",
        )
    return [number[name] for name in names]


def _near_names(graph: Graph, unknown: Sequence[Any]) -> str:
    """Return a question with the nearest name of each unknown one; empty if there is none."""
    tried = unknown[:1] if graph.num_nodes > _MANY else unknown
    near = {name: nearest(name, graph.ids) for name in tried}
    found = [
        f"{known!r:.60} for {name!r:.60}" for name, known in near.items() if known is not None
    ]
    return f" Did you mean {', '.join(found)}?" if found else ""


def _pair_numbers(graph: Graph, pairs: Iterable[Sequence[NodeId]] | np.ndarray | Tensor) -> Tensor:
    """Return the numbers of pairs of names, shape ``(2, P)``."""
    if is_frame(pairs):
        from vgae.graphs.aligning import pairs_of_names

        pairs = pairs_of_names(pairs)
    listed = pairs.tolist() if isinstance(pairs, np.ndarray | Tensor) else pairs
    # A string of two letters is no pair of names.
    given = [(pair,) if isinstance(pair, str) else tuple(pair) for pair in listed]
    if wrong := [pair for pair in given if len(pair) != 2]:
        rule = "pairs must be two names each, shape (P, 2)"
        raise DataError("PAIR_SHAPE", f"{rule}, got {wrong[0]!r:.60}.")
    flat = _numbers(graph, [name for pair in given for name in pair])
    numbers = torch.tensor(flat, dtype=torch.int64).view(-1, 2).T.contiguous()
    if alike := [pair for pair, (u, v) in zip(given, numbers.T.tolist(), strict=True) if u == v]:
        first = ", ".join(f"{pair[0]!r:.60}" for pair in alike[:_SHOWN])
        rule = f"{len(alike)} pairs link a node to itself"
        raise DataError("SELF_PAIR", f"{rule}, first {first}; drop them.")
    return numbers
