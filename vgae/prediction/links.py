"""predict_links: the links that a model proposes. score_links: what it makes of given pairs."""

import logging
import operator
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal, TypeGuard, get_args

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vgae.decoders import InnerProductDecoder
from vgae.errors import DataError, NumericalError, UsageError
from vgae.evaluation.calibration import Calibration
from vgae.evaluation.links import PairScorer
from vgae.evaluation.ranking import known_pairs
from vgae.graphs.canonical import NodeId, link_positions
from vgae.graphs.graph import Graph
from vgae.models.embedding import Trained, model_of
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
Index = Literal["auto", "exact", "faiss"]

# From so many nodes on FAISS was measured to be faster, up to so many partners.
_INDEX_NODES, _INDEX_PARTNERS = 20_000, 100
# Nanoseconds per pair, (a, b) of a + b d, on one core at d = 16 to 128: of inner products, and of
# a decoder that is asked pair by pair and does as much as they do.
_PRODUCT, _DECODER = (2.0, 0.05), (25.0, 6.5)
_SHOWN = 5


@dataclass(frozen=True, eq=False, repr=False)
class LinkTable:
    """Pairs of nodes with their scores, a row each.

    Attributes:
        source: Numbers of the first nodes, int64, shape ``(P,)``.
        target: Numbers of the second nodes, likewise.
        score: Logits of the decoder or, if asked for, cosines; float32, shape ``(P,)``.
        probability: That the pair is a link, of a calibration, float64, shape ``(P,)``; ``None``
            without one. The plain sigmoid of a logit stands for nothing: it says 0.5 of a pair
            that nothing is known about.
        rank: 1 for the best: among the partners of its source, or among all rows; int64.
        ids: Name of each node of the graph, by number.
        known: Whether the graph has the link already, bool; ``None`` where it never has.
    """

    source: Tensor
    target: Tensor
    score: Tensor
    probability: Tensor | None
    rank: Tensor
    ids: Sequence[NodeId]
    known: Tensor | None = None

    def __len__(self) -> int:
        return len(self.source)

    def __repr__(self) -> str:
        return f"LinkTable({len(self)} links)"

    def names(self) -> list[tuple[NodeId, NodeId]]:
        """Return the names of source and target of each row."""
        pairs = zip(self.source.tolist(), self.target.tolist(), strict=True)
        return [(self.ids[u], self.ids[v]) for u, v in pairs]

    def columns(self) -> dict[str, Any]:
        """Return ``source``, ``target``, as lists of names, and all other columns, as arrays.

        They are ``score``, ``probability``, ``rank`` and ``known``; those that are ``None`` are
        left out.
        """
        source, target = zip(*self.names(), strict=True) if len(self) else ((), ())
        others = ("score", "probability", "rank", "known")
        arrays = {name: getattr(self, name) for name in others}
        arrays = {name: column.numpy() for name, column in arrays.items() if column is not None}
        return {"source": list(source), "target": list(target), **arrays}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the columns to a file, as :func:`vgae.runtime.tables.write_table` does."""
        write_table(path, self.columns())

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON: under ``"links"`` one dict per row."""
        columns = {
            name: column.tolist() if isinstance(column, np.ndarray) else column
            for name, column in self.columns().items()
        }
        rows = zip(*columns.values(), strict=True)
        return {"links": [dict(zip(columns, row, strict=True)) for row in rows]}

    def to_pandas(self) -> "pd.DataFrame":
        """Return the columns as a data frame.

        Raises:
            UsageError: If pandas is not installed.
        """
        return optional_module("pandas", "pandas").DataFrame(self.columns())

    def to_networkx(self) -> "nx.Graph":
        """Return the pairs as edges between names, with ``score`` and ``probability``.

        A pair proposed by both of its ends is one edge; nodes without a pair are left out.
        """
        import networkx as nx

        graph = nx.Graph()
        for row in self.to_dict()["links"]:
            names = ("score", "probability", "known")
            graph.add_edge(row["source"], row["target"], **{n: row[n] for n in names if n in row})
        return graph


def predict_links(
    model: VAE | Trained,
    graph: Graph,
    k: int = 10,
    *,
    per_node: bool = True,
    metric: Metric = "inner_product",
    nodes: Iterable[NodeId] | None = None,
    edge_index: Tensor | None = None,
    calibration: Calibration | None = None,
    index: Index = "auto",
    progress: bool | None = None,
) -> LinkTable:
    """Propose the best-scored pairs that are not linked yet.

    By default the k best partners of each node. The k best pairs of all, ``per_node=False``,
    tend to lie among few nodes of long vectors. No candidate is left out and none is sampled;
    equal scores go by the number of the node.

    Args:
        model: A trained model, or what :func:`vgae.fit` or :func:`vgae.load_run` returned.
        graph: Nodes, features, and the links that are not proposed again.
        k: Partners of a node, or pairs. Where fewer are left, there are fewer rows.
        per_node: Whether each node has k of its own.
        metric: ``"inner_product"`` ranks by the logits of the decoder, ``"cosine"`` by the cosine
            of the posterior means, 0 for a mean of zero. Cosines know nothing of lengths, so they
            tell partners of one node apart better than pairs of all. The probability is that of
            the logit either way.
        nodes: Names of those whose partners are wanted; all if not given.
        edge_index: Edges that messages travel on, as for :func:`vgae.embed`; all links if not
            given.
        calibration: For the probabilities; ``model.calibration`` if there is one.
        index: ``"faiss"`` searches partners by inner products or cosines with FAISS, on a CPU,
            ``"exact"`` with torch alone; they find the same. ``"auto"`` takes the faster one.
        progress: Whether to show progress on stderr; see :func:`vgae.fit`.

    Returns:
        The rows of a node together, best first.

    Raises:
        UsageError: If an option makes no sense, or FAISS is asked for and missing.
        DataError: If a node is unknown.
        NumericalError: If an embedding or a logit is not finite.
    """
    k = operator.index(k)
    _check_options(k, metric, index, per_node=per_node, nodes=nodes)
    num_nodes = graph.num_nodes
    numbers = range(num_nodes) if nodes is None else _numbers(graph, dict.fromkeys(nodes))
    scorer = _scorer(model, graph, edge_index)
    scores, device = _scores(scorer, metric), scorer.z.device
    known = known_pairs(graph.links, num_nodes)
    with showing(len(numbers), "nodes", wanted=progress) as show:
        if per_node:
            wanted = torch.tensor(numbers, dtype=torch.int64, device=device)
            few = min(k, num_nodes)
            num_bytes = partners_bytes(num_nodes, len(wanted), few)
            _announce(scorer, scores, known.nnz, len(wanted) * num_nodes, num_bytes)
            if _uses_faiss(scores, index, len(wanted), few):
                found = indexed_partners(scores, known, wanted, few, show=show)
            else:
                found = best_partners(scores, known, wanted, few, show=show)
            there = found.score > -torch.inf
            source = wanted[:, None].expand_as(found.node)[there]
            target, score = found.node[there], found.score[there]
            rank = torch.arange(1, few + 1).expand_as(there)[there.cpu()]
            lacking = int((there.sum(dim=1) < k).sum())
        else:
            num_pairs = num_nodes * (num_nodes - 1) // 2
            _announce(scorer, scores, known.nnz, num_pairs, pairs_bytes(num_nodes, k))
            pairs = best_pairs(scores, known, k, device=device, show=show)
            (source, target), score = pairs.nodes, pairs.score
            rank = torch.arange(1, len(score) + 1)
            lacking = int(len(score) < k)
    if lacking:
        whose = f"{lacking:,} nodes have" if per_node else "the graph has"
        log.info("%s fewer than %d pairs that are not linked; all of them are proposed", whose, k)
    probability = _probability(model, scorer, torch.stack([source, target]), calibration)
    return LinkTable(source.cpu(), target.cpu(), score.cpu(), probability, rank, graph.ids)


def score_links(
    model: VAE | Trained,
    graph: Graph,
    pairs: Iterable[Sequence[NodeId]] | np.ndarray | Tensor,
    *,
    edge_index: Tensor | None = None,
    calibration: Calibration | None = None,
) -> LinkTable:
    """Score given pairs; whether they are links already is marked, not judged.

    Args:
        model: A trained model, or what :func:`vgae.fit` or :func:`vgae.load_run` returned.
        graph: Nodes and features.
        pairs: Names of two different nodes each, such as an array of shape ``(P, 2)``.
        edge_index: Edges that messages travel on, as for :func:`vgae.embed`; all links if not
            given. A link that carries messages is scored by a model that has seen it.
        calibration: For the probabilities; ``model.calibration`` if there is one.

    Returns:
        A row per pair, in the order given; ranks are among all of them.

    Raises:
        DataError: If a node is unknown, or paired with itself.
        NumericalError: If an embedding or a logit is not finite.
    """
    numbers = _pair_numbers(graph, pairs)
    scorer = _scorer(model, graph, edge_index)
    score = _finite(scorer.logits(numbers)).float()
    order = score.argsort(descending=True, stable=True)
    rank = torch.empty_like(order)
    rank[order] = torch.arange(1, len(order) + 1)
    probability = _probability(model, scorer, numbers, calibration)
    is_known = link_positions(numbers, graph.links, graph.num_nodes) >= 0
    source, target = numbers
    return LinkTable(source, target, score, probability, rank, graph.ids, is_known)


def _check_options(
    k: int, metric: str, index: str, *, per_node: bool, nodes: Iterable[NodeId] | None
) -> None:
    if k < 1:
        raise UsageError("TOP_K", f"k must be at least 1, got {k}.")
    for name, value, choices in (
        ("metric", metric, get_args(Metric)),
        ("index", index, get_args(Index)),
    ):
        if value not in choices:
            raise UsageError(name.upper(), f"{name} must be one of {choices}, got {value!r}.")
    if not per_node and (nodes is not None or index == "faiss"):
        given = "nodes" if nodes is not None else "index 'faiss'"
        raise UsageError(
            "PER_NODE", f"{given} goes with per_node=True; the best pairs are of all nodes."
        )


def _scorer(model: VAE | Trained, graph: Graph, edge_index: Tensor | None) -> PairScorer:
    """Embed the nodes; raise unless all of them are somewhere."""
    edges = graph.edge_index if edge_index is None else edge_index
    scorer = PairScorer(model_of(model), graph, edges)
    if not bool(scorer.z.isfinite().all()):
        raise NumericalError(
            "EMBEDDING_NONFINITE", "the embedding is not finite; look for NaN in the weights."
        )
    return scorer


def _finite(logits: Tensor) -> Tensor:
    """Return logits, or raise if one of them has no place in an order."""
    if not bool(logits.isfinite().all()):
        raise NumericalError("SCORES_NONFINITE", "the decoder gives logits that are not finite.")
    return logits


def _scores(scorer: PairScorer, metric: Metric) -> Scores:
    """Return what scores pairs in blocks."""
    z, decoder = scorer.z, scorer.decoder
    if metric == "cosine":
        unit = F.normalize(z.double(), dim=1)
        return InnerProducts(unit, unit)
    # A subclass with logits of its own has no vectors whose products they are.
    if type(decoder).logits is InnerProductDecoder.logits:
        one = z.new_ones(len(z), 1)
        bias = decoder.bias  # pyright: ignore[reportAttributeAccessIssue]
        offset = 0 * one if bias is None else bias.detach() * one
        return InnerProducts(torch.cat([z, offset], dim=1), torch.cat([z, one], dim=1))
    return lambda nodes, first: _finite(scorer.logits_of(nodes)[:, first:]).to(z.device, copy=True)


def _uses_faiss(scores: Scores, index: Index, num_wanted: int, k: int) -> TypeGuard[InnerProducts]:
    """Return whether FAISS searches; by itself only where it is there and worth it."""
    can = isinstance(scores, InnerProducts) and scores.left.device.type == "cpu"
    if index == "faiss" and not can:
        raise UsageError(
            "INDEX", "index 'faiss' searches inner products on a CPU; use 'exact' for this model."
        )
    worth_it = num_wanted >= _INDEX_NODES and k <= _INDEX_PARTNERS
    return index == "faiss" or (
        index == "auto" and can and worth_it and find_spec("faiss") is not None
    )


def _announce(
    scorer: PairScorer, scores: Scores, num_known: int, num_pairs: int, num_bytes: int
) -> None:
    """Say how much is to be scored, and what that takes."""
    num_nodes, num_channels = scorer.z.shape
    fixed, slope = _PRODUCT if isinstance(scores, InnerProducts) else _DECODER
    # The vectors twice in float64; the known pairs, and what makes a matrix of them.
    num_bytes += 16 * num_nodes * (num_channels + 1) + 40 * num_known
    log.info(
        "%s pairs to be scored: about %.1f s on one core; takes about %s MB",
        f"{num_pairs:,}",
        1e-9 * num_pairs * (fixed + slope * num_channels),
        f"{num_bytes / 1e6:,.0f}",
    )


def _numbers(graph: Graph, names: Iterable[NodeId]) -> list[int]:
    """Return the numbers of nodes by name.

    Raises:
        DataError: If there is no node of a name.
    """
    number = {name: i for i, name in enumerate(graph.ids)}
    names = list(names)
    if unknown := [name for name in names if name not in number]:
        first = ", ".join(f"{name!r:.60}" for name in dict.fromkeys(unknown[:_SHOWN]))
        raise DataError(
            "UNKNOWN_NODE",
            f"{len(unknown)} {'name is' if len(unknown) == 1 else 'names are'} of no node of"
            f" {graph.name}, first {first}; its names are like {graph.ids[0]!r:.60}.",
        )
    return [number[name] for name in names]


def _pair_numbers(graph: Graph, pairs: Iterable[Sequence[NodeId]] | np.ndarray | Tensor) -> Tensor:
    """Return the numbers of pairs given by name, shape ``(2, P)``."""
    listed = pairs.tolist() if isinstance(pairs, np.ndarray | Tensor) else pairs
    # A text of two letters is no pair of names.
    given = [(pair,) if isinstance(pair, str) else tuple(pair) for pair in listed]
    if wrong := [pair for pair in given if len(pair) != 2]:
        raise DataError(
            "PAIR_SHAPE", f"pairs must be two names each, shape (P, 2), got {wrong[0]!r:.60}."
        )
    flat = _numbers(graph, [name for pair in given for name in pair])
    numbers = torch.tensor(flat, dtype=torch.int64).view(-1, 2).T.contiguous()
    alike = (numbers[0] == numbers[1]).nonzero()[:, 0].tolist()
    if alike:
        first = ", ".join(f"{given[k][0]!r:.60}" for k in alike[:_SHOWN])
        raise DataError(
            "SELF_PAIR", f"{len(alike)} pairs are of a node and itself, first {first}; drop them."
        )
    return numbers


def _probability(
    trained: VAE | Trained, scorer: PairScorer, pairs: Tensor, calibration: Calibration | None
) -> Tensor | None:
    """Return the calibrated probability of pairs, if there is a calibration."""
    calibration = calibration or getattr(trained, "calibration", None)
    return None if calibration is None else calibration.probability(scorer.logits(pairs))
