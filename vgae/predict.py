"""predict_links: the links that a model proposes. score_links: what it makes of given pairs."""

import logging
import operator
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vgae.best_pairs import (
    MAX_ENTRIES,
    InnerProducts,
    Scores,
    best_pairs,
    best_partners,
    indexed_partners,
)
from vgae.calibration import Calibration
from vgae.canonical import NodeId, link_positions
from vgae.decoders import InnerProductDecoder
from vgae.embedding import Trained, model_of
from vgae.errors import DataError, NumericalError, UsageError
from vgae.evaluation import PairScorer
from vgae.graph import Graph
from vgae.history import progress_bar
from vgae.ranking import known_pairs
from vgae.tables import optional_module, write_table
from vgae.vae import VAE

if TYPE_CHECKING:
    import networkx as nx
    import pandas as pd

log = logging.getLogger(__name__)

Metric = Literal["inner_product", "cosine"]
Index = Literal["auto", "exact", "faiss"]

# From so many nodes on FAISS was measured to be faster, up to so many partners.
_INDEX_NODES, _INDEX_PARTNERS = 20_000, 100
_PAIRS_A_SECOND = 1.5e8  # on one core of 2020, 16 dimensions
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
        """Write the columns to a file; see :func:`vgae.tables.write_table` for the formats."""
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
        index: ``"faiss"`` searches with FAISS on the CPU, ``"exact"`` with torch alone; they find
            the same. ``"auto"`` takes the one that is faster.
        progress: Whether to draw a bar; by default where stderr is a terminal.

    Returns:
        The rows of a node together, best first.

    Raises:
        UsageError: If an option makes no sense, or FAISS is asked for and missing.
        DataError: If a node is unknown.
        NumericalError: If an embedding or a logit is not finite.
    """
    k = operator.index(k)
    _check_options(k, metric, index, per_node=per_node, nodes=nodes)
    scorer = PairScorer(model_of(model), graph, _messages(graph, edge_index))
    scores = _scores(scorer, metric)
    device = scorer.z.device
    known = known_pairs(graph.links, graph.num_nodes)
    with progress_bar(graph.num_nodes, 1, wanted=progress) as show_row:

        def show(done: int) -> None:
            show_row(done, [])

        if per_node:
            wanted = torch.arange(graph.num_nodes, device=device)
            if nodes is not None:
                wanted = torch.tensor(_numbers(graph, dict.fromkeys(nodes)), device=device)
            _announce(len(wanted) * graph.num_nodes, graph.num_nodes)
            few = min(k, graph.num_nodes)
            if _uses_faiss(index, scores, graph.num_nodes, few):
                assert isinstance(scores, InnerProducts)
                found = indexed_partners(scores, known, wanted, few, show=show)
            else:
                found = best_partners(scores, known, wanted, few, show=show)
            there = found.score > -torch.inf
            source = wanted[:, None].expand_as(found.node)[there]
            target, score = found.node[there], found.score[there]
            rank = torch.arange(1, few + 1).expand_as(there)[there.cpu()]
            lacking = int((there.sum(dim=1) < k).sum())
        else:
            _announce(graph.num_nodes * (graph.num_nodes - 1) // 2, graph.num_nodes)
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
    pairs: Iterable[Sequence[NodeId]] | np.ndarray,
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
    scorer = PairScorer(model_of(model), graph, _messages(graph, edge_index))
    score = scorer.logits(numbers).float()
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
    if nodes is not None and not per_node:
        raise UsageError(
            "NODES", "nodes goes with per_node=True; the best pairs are of all nodes."
        )


def _messages(graph: Graph, edge_index: Tensor | None) -> Tensor:
    return graph.edge_index if edge_index is None else edge_index


def _scores(scorer: PairScorer, metric: Metric) -> Scores:
    """Return what scores pairs in blocks.

    Raises:
        NumericalError: If an embedding is not finite.
    """
    z, decoder = scorer.z, scorer.decoder
    if not bool(z.isfinite().all()):
        raise NumericalError(
            "SCORES_NONFINITE", "the embedding is not finite; look for NaN in the weights."
        )
    if metric == "cosine":
        unit = F.normalize(z.double(), dim=1)
        return InnerProducts(unit, unit)
    # A subclass with logits of its own has no vectors whose products they are.
    if type(decoder).logits is InnerProductDecoder.logits:
        one = z.new_ones(len(z), 1)
        bias = decoder.bias  # pyright: ignore[reportAttributeAccessIssue]
        offset = 0 * one if bias is None else bias.detach() * one
        return InnerProducts(torch.cat([z, offset], dim=1), torch.cat([z, one], dim=1))
    return lambda nodes, first: scorer.logits_of(nodes)[:, first:].to(z.device, copy=True)


def _uses_faiss(index: Index, scores: Scores, num_nodes: int, k: int) -> bool:
    """Return whether FAISS searches; by itself only where it is there and worth it."""
    if index != "auto":
        return index == "faiss" and isinstance(scores, InnerProducts)
    return (
        isinstance(scores, InnerProducts)
        and scores.left.device.type == "cpu"
        and num_nodes >= _INDEX_NODES
        and k <= _INDEX_PARTNERS
        and find_spec("faiss") is not None
    )


def _announce(num_pairs: int, num_nodes: int) -> None:
    """Say how much is to be scored, and what that takes."""
    log.info(
        "%s pairs to be scored in blocks of %.0f MB: about %.1f s on one core",
        f"{num_pairs:,}",
        8e-6 * max(min(MAX_ENTRIES, num_pairs), num_nodes),
        num_pairs / _PAIRS_A_SECOND,
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
            f"{len(unknown)} names are of no node of {graph.name}, first {first}; its names are"
            f" like {graph.ids[0]!r:.60}.",
        )
    return [number[name] for name in names]


def _pair_numbers(graph: Graph, pairs: Iterable[Sequence[NodeId]] | np.ndarray) -> Tensor:
    """Return the numbers of pairs given by name, shape ``(2, P)``."""
    given = [tuple(pair) for pair in (pairs.tolist() if isinstance(pairs, np.ndarray) else pairs)]
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
