"""Searches for the best partners of nodes and for the best pairs, exact or by groups."""

import logging
import math
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from typing import Any, Literal, NamedTuple

import numpy as np
import scipy.sparse as sp
import torch
import torch.nn.functional as F
from torch import Tensor

from vgae.errors import NumericalError
from vgae.evaluation.links import PairScorer, consistent_method
from vgae.graphs.graph import Graph
from vgae.models.embedding import evaluating
from vgae.prediction.best_pairs import (
    InnerProducts,
    Scores,
    Show,
    best_pairs,
    best_pairs_between,
    best_partners,
    indexed_partners,
    pairs_bytes,
    partners_bytes,
)
from vgae.prediction.ends import Search
from vgae.prediction.grouped_search import GroupedProducts, grouped_pairs, grouped_partners
from vgae.prediction.within_graphs import SMALL, Per, best_within

log = logging.getLogger(__name__)

Metric = Literal["inner_product", "cosine"]

# FAISS was measured to be faster from this number of nodes on, up to this number of partners.
_INDEX_NODES, _INDEX_PARTNERS = 20_000, 100
_MOST_SECONDS = 10.0  # predicted for an exact search; a longer one is approximate
_FEWEST_GROUPED = 1000  # nodes that get partners; fewer are searched exactly, however long


class Found(NamedTuple):
    """Pairs ``(2, P)`` with scores and ranks, and the number of nodes with fewer than k.

    ``recall`` is the fraction of the exact best that an approximate search found, else ``None``.
    """

    pairs: Tensor
    score: Tensor
    rank: Tensor
    lacking: int
    recall: float | None = None


def nothing(lacking: int) -> Found:
    """Return no pairs."""
    return Found(torch.empty(2, 0).long(), torch.empty(0), torch.empty(0).long(), lacking)


def partners_found(
    scorer: PairScorer, graph: Graph, search: Search, k: int, metric: Metric, show: Show
) -> Found:
    """Search for the k best partners of each node."""
    device, count = scorer.z.device, len(search.nodes)
    few = min(k, len(search.candidates))
    if not few or not count:
        return nothing(count)
    scores, known = _scores(scorer, metric, search), _known(graph, search)
    wanted = search.nodes.to(device)
    width, recall = len(search.candidates), None
    if _is_long(scorer, scores, search, count * width):
        found, recall = grouped_partners(scores, known, wanted, few, show)
        _tell(recall)
    else:
        _announce(scorer, scores, known.nnz, count * width, partners_bytes(width, count, few))
        use_faiss = _uses_faiss(scores, count, few)
        found = (indexed_partners if use_faiss else best_partners)(
            scores, known, wanted, few, show
        )
    there = found.score > -torch.inf
    near = wanted[:, None].expand_as(found.node)[there].cpu()
    far = search.candidates[found.node[there].cpu()]
    rank = torch.arange(1, few + 1).expand_as(there)[there.cpu()]
    pairs = torch.stack([far, near] if search.swapped else [near, far])
    lacking = int((there.sum(dim=1) < k).sum())
    return Found(pairs, found.score[there].cpu(), rank, lacking, recall)


def pairs_found(
    scorer: PairScorer, graph: Graph, search: Search, k: int, metric: Metric, show: Show
) -> Found:
    """Search for the k best of all pairs."""
    device, sizes = scorer.z.device, (len(search.nodes), len(search.candidates))
    pairs, score, recall = torch.empty(2, 0, dtype=torch.int64), torch.empty(0), None
    if min(sizes):
        scores, known = _scores(scorer, metric, search), _known(graph, search)
        ordered = graph.directed or graph.sides is not None
        half = not ordered and min(sizes) == graph.num_nodes
        num_pairs = math.comb(sizes[0], 2) if half else math.prod(sizes)
        if _is_long(scorer, scores, search, num_pairs):
            pairs, score, recall = _grouped(scores, known, search, k, ordered=ordered, show=show)
        else:
            _announce(scorer, scores, known.nnz, num_pairs, pairs_bytes(*sizes, k))
        if recall is not None:
            _tell(recall)
        elif half:
            pairs, score = best_pairs(scores, known, k, device=device, show=show)
        else:
            ends = search.nodes.to(device), search.candidates.to(device)
            pairs, score = best_pairs_between(scores, known, *ends, k, ordered=ordered, show=show)
    rank = torch.arange(1, len(score) + 1)
    return Found(pairs.cpu(), score.cpu(), rank, int(len(score) < k), recall)


def _grouped(
    scores: Any, known: sp.csr_array, search: Search, k: int, *, ordered: bool, show: Show
) -> tuple[Tensor, Tensor, float]:
    """Return about the k best pairs, their scores, and the fraction that is found."""
    # Both ends may find a pair without order.
    found, recall = grouped_pairs(scores, known, search.nodes, k if ordered else 2 * k, show)
    pairs = torch.stack([found.nodes[0].cpu(), search.candidates[found.nodes[1].cpu()]])
    score = found.score.cpu()
    if not ordered:
        near, far = pairs
        swapped = (
            (far < near) & torch.isin(far, search.nodes) & torch.isin(near, search.candidates)
        )
        pairs = torch.where(swapped, pairs.flip(0), pairs)
        code = pairs[0] * len(known.indptr) + pairs[1]
        _, first = np.unique(code.numpy(), return_index=True)
        first = torch.from_numpy(first)
        first = first[score[first].argsort(descending=True, stable=True)][:k]
        pairs, score = pairs[:, first], score[first]
    return pairs, score, recall


def found_within(
    scorer: PairScorer,
    graph: Any,
    search: Search,
    k: int,
    metric: Metric,
    show: Show,
    *,
    per: Per,
) -> Found:
    """Search within the graphs of a collection, large ones one after the other."""
    near, far = torch.zeros(2, graph.num_nodes, dtype=torch.bool)
    near[search.nodes], far[search.candidates] = True, True
    log.info("%s pairs to be scored", f"{graph.grid.num_pairs:,}")

    def scores(pairs: Tensor) -> Tensor:
        if metric == "inner_product":
            return finite(scorer.logits(pairs))
        u, v = F.normalize(scorer.z.double(), dim=1)[pairs.to(scorer.z.device)]
        return (u * v).sum(dim=1).cpu()

    parts = [Found(*best_within(scores, graph, near, far, k, per, show))]
    find = partners_found if per == "node" else pairs_found
    for number in (graph.sizes > SMALL).nonzero()[:, 0].tolist():
        own = replace(
            search,
            nodes=search.nodes[graph.batch[search.nodes] == number],
            candidates=search.candidates[graph.batch[search.candidates] == number],
            swapped=False,
        )
        parts.append(find(scorer, graph, own, k, metric, lambda _: None))
    pairs, score, rank = (
        torch.cat(columns, dim=-1)
        for columns in zip(*((p.pairs, p.score, p.rank) for p in parts), strict=True)
    )
    pairs = pairs.flip(0) if search.swapped else pairs
    lacking = sum(part.lacking for part in parts)
    recall = least_recall(parts)
    if per == "all":
        order = score.argsort(descending=True, stable=True)[:k]
        rank, lacking = torch.arange(1, len(order) + 1), int(len(order) < k)
    else:
        place = torch.zeros(graph.num_nodes, dtype=torch.int64)
        place[search.nodes] = torch.arange(len(search.nodes))
        of = pairs[int(search.swapped)]
        order = (place[of] if per == "node" else graph.batch[of]).argsort(stable=True)
        rank = rank[order]
    return Found(pairs[:, order], score[order], rank, lacking, recall)


def least_recall(parts: Sequence[Found]) -> float | None:
    """Return the lowest recall of approximate searches; ``None`` if all are exact."""
    return min((part.recall for part in parts if part.recall is not None), default=None)


def finite(logits: Tensor) -> Tensor:
    """Return the logits, or raise an error if one is NaN or infinite."""
    if not bool(logits.isfinite().all()):
        raise NumericalError("SCORES_NONFINITE", "the decoder gives logits that are not finite.")
    return logits


def _known(graph: Graph, search: Search) -> sp.csr_array:
    """Return the known pairs of all nodes with the candidates, shape ``(N, m)``."""
    known = graph.grid.known(graph.links, reverse=search.reverse)
    if len(search.candidates) == graph.num_nodes:
        return known
    return known[:, search.candidates.numpy()]


def _scores(scorer: PairScorer, metric: Metric, search: Search) -> Any:
    """Return what scores nodes with the candidates of a search, in blocks or by groups."""
    z, reverse = scorer.z, search.reverse
    chosen = search.candidates.to(z.device) if len(search.candidates) < len(z) else slice(None)
    if metric == "cosine":
        unit = F.normalize(z.double(), dim=1)
        return GroupedProducts(unit, unit[chosen])
    if factors := consistent_method(scorer.decoder, "factors"):
        with evaluating(scorer.model):
            left, right = map(finite, factors(z))
        return GroupedProducts(*((right, left[chosen]) if reverse else (left, right[chosen])))
    return _Decoded(scorer, search)


class _Decoded:
    """Scores of a decoder without inner products; see :mod:`vgae.prediction.grouped_search`."""

    def __init__(self, scorer: PairScorer, search: Search) -> None:
        self.scorer, self.reverse = scorer, search.reverse
        self.candidates = search.candidates.to(scorer.z.device)
        self.is_all = len(self.candidates) == len(scorer.z)

    def __call__(self, nodes: Tensor, first: int) -> Tensor:
        block = self.scorer.logits_of(nodes, reverse=self.reverse).to(self.scorer.z.device)
        block = block if self.is_all else block[:, self.candidates]
        return finite(block[:, first:]).clone()

    def vectors(self, nodes: Tensor) -> Tensor:
        return self.scorer.z[nodes].float()

    def of_centres(self, centres: Tensor, nearest: Tensor) -> Tensor:  # noqa: ARG002
        return self(nearest, 0)

    def between(self, nodes: Tensor, candidates: Tensor) -> Tensor:
        pairs = torch.cartesian_prod(nodes, candidates).T
        return self.of_pairs(pairs).view(len(nodes), -1)

    def of_pairs(self, pairs: Tensor) -> Tensor:
        ends = torch.stack([pairs[0], self.candidates[pairs[1]]])
        logits = self.scorer.logits(ends.flip(0) if self.reverse else ends)
        return finite(logits).float().to(self.scorer.z.device)


def _is_long(scorer: PairScorer, scores: Scores, search: Search, num_pairs: int) -> bool:
    """Return whether a search is approximate, as an exact one takes too long; log so."""
    fast = isinstance(scores, InnerProducts)
    seconds = scorer.seconds(num_pairs, fast=fast)
    most = _MOST_SECONDS * (1 if scorer.z.device.type == "cpu" else 100)
    if search.exact or seconds <= most or len(search.nodes) < _FEWEST_GROUPED:
        return False
    log.info(
        "the best of %s pairs are searched for approximately; an exact search takes about %s s on"
        " one core (exact=True, --exact)",
        *(f"{num_pairs:,}", f"{seconds:,.0f}"),
    )
    return True


def _tell(recall: float) -> None:
    """Log the recall of an approximate search."""
    text = "approximate: about %.1f %% of the exact best partners are found, by a sample of nodes"
    log.info(text, 100 * recall)


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
    # The vectors twice in float64; the known pairs and the arrays that their matrix is built from.
    num_bytes += 16 * num_nodes * (num_channels + 1) + 40 * num_known
    seconds = scorer.seconds(num_pairs, fast=isinstance(scores, InnerProducts))
    cost = f"about {seconds:.1f} s on one core; takes about {num_bytes / 1e6:,.0f} MB"
    log.info("%s pairs to be scored: %s", f"{num_pairs:,}", cost)
