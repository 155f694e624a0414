"""Link prediction: proposals of unknown links, and scores of given pairs."""

import logging
import math
import operator
from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from typing import Any, Literal, NamedTuple, cast

import numpy as np
import scipy.sparse as sp
import torch
import torch.nn.functional as F
from torch import Tensor

from vgae.errors import DataError, NumericalError, UsageError, check_choice
from vgae.evaluation.calibration import Calibration
from vgae.evaluation.links import PairScorer, consistent_method
from vgae.evaluation.typed import of_relation
from vgae.graphs.canonical import NodeId, link_positions
from vgae.graphs.collection import GraphCollection
from vgae.graphs.graph import Graph
from vgae.graphs.typed import TypedGraph
from vgae.models.embedding import Trained, evaluating
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
from vgae.prediction.ends import Names, Search, pair_numbers, restricted, searches
from vgae.prediction.link_columns import (
    Ranked,
    calibration_of,
    link_table,
    sampling_of,
    stored_pairs,
)
from vgae.prediction.link_table import LinkTable
from vgae.prediction.weights import checked_level
from vgae.prediction.within_graphs import SMALL, Per, best_within
from vgae.runtime.progress import showing
from vgae.vae import VAE

log = logging.getLogger(__name__)

Metric = Literal["inner_product", "cosine"]

# FAISS was measured to be faster from this number of nodes on, up to this number of partners.
_INDEX_NODES, _INDEX_PARTNERS = 20_000, 100
# Nanoseconds per pair, (a, b) of a + b d, on one core at d = 16 to 128: for inner products, and
# for a decoder of the same arithmetic that is called with pairs.
_PRODUCT, _DECODER = (2.0, 0.05), (25.0, 6.5)


def predict_links(  # noqa: PLR0913 - each is given by name
    model: VAE | Trained | PairScorer,
    graph: Graph | TypedGraph,
    k: int = 10,
    *,
    per_node: bool = True,
    per_graph: bool = False,
    within: Names = None,
    metric: Metric = "inner_product",
    nodes: Names = None,
    sources: Names = None,
    targets: Names = None,
    relation: str | None = None,
    calibration: Calibration | None = None,
    samples: int = 0,
    interval: float = PairScorer.interval,
    seed: int = 0,
    progress: bool | None = None,
) -> LinkTable:
    """Propose the unlinked pairs of the highest scores.

    By default the k best partners of each node; ``per_node=False`` gives the k best pairs of the
    graph, which tend to lie among few nodes of long vectors. The search is exact; equal scores are
    in the order of the nodes. FAISS, if installed, does large searches on a CPU, exactly too.

    Only pairs that may be links are proposed: of a directed graph, links from source to target; of
    a two-sided graph, pairs across, by default partners for each node of the first side; of a
    collection, pairs within graphs, with the name of the graph in the column ``graph``.

    Args:
        model: A trained model, or the result of :func:`vgae.fit` or :func:`vgae.load_run`, with
            messages over all links; or a :class:`~vgae.evaluation.links.PairScorer`, with messages
            over the edges of your choice.
        graph: Nodes, features, and the links that are excluded.
        k: Number of partners of a node, or of pairs; there are fewer rows if fewer are left.
        per_node: Whether each node gets its own k partners.
        per_graph: Whether each graph of a collection gets its own k pairs, in place of each node.
        within: Names of the graphs of a collection to propose links in; all by default.
        metric: ``"inner_product"`` ranks by the logits of the decoder, ``"cosine"`` by the cosine
            of the posterior means, 0 for a mean of zero. They ignore lengths, which suits partners
            of one node more than pairs of the graph. Probabilities are always those of the logits.
        nodes: Names of the nodes that get partners: of either side of a two-sided graph, as
            sources in a directed graph. Integers and texts of integers name the same nodes.
        sources: Names of the first nodes of the pairs, which get the partners: nodes, or the name
            of a side, such as ``"user"`` or ``"users"``, ``"first"`` or ``"source"``.
        targets: The same for the second nodes. Nodes given without sources get the k best sources
            each; a side is proposed to the other one.
        relation: Name of the relation of a typed graph whose links are proposed.
        calibration: Calibration of the probabilities; ``model.calibration`` by default, if any.
            With samples, the default is brought to the prior ``"graph"`` of
            :func:`vgae.calibrate`, and missing intervals are fitted if the model is a result or
            run, and the graph the one that it was trained on.
        samples: Number of samples of the posterior that probabilities are averaged over, such as
            100, with credible intervals; 0 for the posterior means alone. The 2 k + 10 best by the
            logit at the means are then ranked by mean probability, equal ones in their order.
        interval: Probability of the equal-tailed intervals, from 0.02 to 0.98, and of those of
            predicted weights; see :func:`vgae.prediction.weights.value_columns`.
        seed: Seed of the samples.
        progress: Whether to show progress on stderr; see :func:`vgae.fit`.

    Returns the rows of a node together, best first.

    Raises:
        UsageError: If an option is invalid.
        DataError: If a node is unknown, the nodes are others, or (``SIDES``) of the same side.
        NumericalError: If an embedding or a logit is not finite.
    """
    model, graph = of_relation(model, graph, relation)
    k = operator.index(k)
    if k < 1:
        raise UsageError("TOP_K", f"k must be at least 1, got {k}.")
    check_choice("metric", metric, Metric)
    sampling = sampling_of(samples, interval, seed, k)
    if sampling and metric == "cosine":
        rule = "samples (--samples) rank by mean probability; leave metric (--metric) out"
        raise UsageError("METRIC", f"{rule}, or the samples.")
    if isinstance(graph, GraphCollection):
        per: Per = "graph" if per_graph else "node" if per_node else "all"
        find = partial(_best_within, per=per)
    elif per_graph or within is not None:
        rule = "per_graph (--per-graph) and within (--within) are for collections of graphs"
        raise UsageError("COLLECTION", f"{rule}, and {graph.name} is one graph; leave them out.")
    else:
        find = _best_partners if per_node else _best_pairs
    wanted = searches(graph, nodes, sources, targets, per_node=per_node and not per_graph)
    if within is not None:
        wanted = [restricted(search, cast(GraphCollection, graph), within) for search in wanted]
    scorer = _scorer(model, graph, interval)
    if metric == "cosine" and (graph.directed or getattr(scorer.decoder, "repel", 0)):
        rule = "cosines know no direction and no repel; use metric='inner_product' (--metric)."
        raise UsageError("METRIC", rule)
    parts, done = [_nothing(0)], 0
    with showing(sum(len(search.nodes) for search in wanted), "nodes", wanted=progress) as show:
        for search in wanted:
            later = partial(lambda done, count: show(done + count), done)
            count = sampling.searched if sampling else k
            parts.append(find(scorer, graph, search, count, metric, later))
            done += len(search.nodes)
    rank = torch.cat([part.rank for part in parts])
    lacking = sum(part.lacking for part in parts)
    if sampling:  # those above lack candidates
        lacking = int((rank == 1).sum() - (rank == k).sum())
    if lacking:
        whose = f"{lacking:,} graphs have" if per_graph else "the graph has"
        whose = f"{lacking:,} nodes have" if per_node and not per_graph else whose
        log.info("%s fewer than %d pairs that are not linked; all of them are proposed", whose, k)
    pairs = torch.cat([part.pairs for part in parts], dim=1)
    score = torch.cat([part.score for part in parts])
    calibration = calibration_of(model, scorer, graph, calibration, sampling=bool(sampling))
    return link_table(scorer, graph, Ranked(pairs, score, rank), calibration, sampling)


class _Found(NamedTuple):
    """Pairs ``(2, P)`` with scores and ranks, and the number of nodes with fewer than k."""

    pairs: Tensor
    score: Tensor
    rank: Tensor
    lacking: int


def _nothing(lacking: int) -> _Found:
    return _Found(torch.empty(2, 0).long(), torch.empty(0), torch.empty(0).long(), lacking)


def _best_partners(
    scorer: PairScorer, graph: Graph, search: Search, k: int, metric: Metric, show: Show
) -> _Found:
    """Search for the k best partners of each node."""
    device, count = scorer.z.device, len(search.nodes)
    few = min(k, len(search.candidates))
    if not few or not count:
        return _nothing(count)
    scores, known = _scores(scorer, metric, search), _known(graph, search)
    wanted = search.nodes.to(device)
    width = len(search.candidates)
    _announce(scorer, scores, known.nnz, count * width, partners_bytes(width, count, few))
    use_faiss = _uses_faiss(scores, count, few)
    found = (indexed_partners if use_faiss else best_partners)(scores, known, wanted, few, show)  # pyright: ignore[reportArgumentType]
    there = found.score > -torch.inf
    near = wanted[:, None].expand_as(found.node)[there].cpu()
    far = search.candidates[found.node[there].cpu()]
    rank = torch.arange(1, few + 1).expand_as(there)[there.cpu()]
    pairs = torch.stack([far, near] if search.swapped else [near, far])
    return _Found(pairs, found.score[there].cpu(), rank, int((there.sum(dim=1) < k).sum()))


def _best_pairs(
    scorer: PairScorer, graph: Graph, search: Search, k: int, metric: Metric, show: Show
) -> _Found:
    """Search for the k best of all pairs."""
    device, sizes = scorer.z.device, (len(search.nodes), len(search.candidates))
    pairs, score = torch.empty(2, 0, dtype=torch.int64), torch.empty(0)
    if min(sizes):
        scores, known = _scores(scorer, metric, search), _known(graph, search)
        ordered = graph.directed or graph.sides is not None
        half = not ordered and min(sizes) == graph.num_nodes
        num_pairs = math.comb(sizes[0], 2) if half else math.prod(sizes)
        _announce(scorer, scores, known.nnz, num_pairs, pairs_bytes(*sizes, k))
        if half:
            pairs, score = best_pairs(scores, known, k, device=device, show=show)
        else:
            ends = search.nodes.to(device), search.candidates.to(device)
            pairs, score = best_pairs_between(scores, known, *ends, k, ordered=ordered, show=show)
    rank = torch.arange(1, len(score) + 1)
    return _Found(pairs.cpu(), score.cpu(), rank, int(len(score) < k))


def _best_within(
    scorer: PairScorer,
    graph: Any,
    search: Search,
    k: int,
    metric: Metric,
    show: Show,
    *,
    per: Per,
) -> _Found:
    """Search within the graphs of a collection, large ones one after the other."""
    near, far = torch.zeros(2, graph.num_nodes, dtype=torch.bool)
    near[search.nodes], far[search.candidates] = True, True
    log.info("%s pairs to be scored", f"{graph.grid.num_pairs:,}")

    def scores(pairs: Tensor) -> Tensor:
        if metric == "inner_product":
            return _finite(scorer.logits(pairs))
        u, v = F.normalize(scorer.z.double(), dim=1)[pairs.to(scorer.z.device)]
        return (u * v).sum(dim=1).cpu()

    parts = [_Found(*best_within(scores, graph, near, far, k, per, show))]
    find = _best_partners if per == "node" else _best_pairs
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
    if per == "all":
        order = score.argsort(descending=True, stable=True)[:k]
        rank, lacking = torch.arange(1, len(order) + 1), int(len(order) < k)
    else:
        place = torch.zeros(graph.num_nodes, dtype=torch.int64)
        place[search.nodes] = torch.arange(len(search.nodes))
        of = pairs[int(search.swapped)]
        order = (place[of] if per == "node" else graph.batch[of]).argsort(stable=True)
        rank = rank[order]
    return _Found(pairs[:, order], score[order], rank, lacking)


def score_links(
    model: VAE | Trained | PairScorer,
    graph: Graph | TypedGraph,
    pairs: Iterable[Sequence[NodeId]] | np.ndarray | Tensor,
    *,
    relation: str | None = None,
    calibration: Calibration | None = None,
    samples: int = 0,
    interval: float = PairScorer.interval,
    seed: int = 0,
) -> LinkTable:
    """Score given pairs, one row each in their order, and mark those that are links of the graph.

    Args:
        model: Model or scorer, as for :func:`predict_links`. Over a link that carries messages, a
            pair is scored by a model that has seen it.
        graph: Nodes and features.
        pairs: Names of two different nodes each, from the first to the second, such as an array of
            shape ``(P, 2)`` or a frame with the columns ``source`` and ``target``, or of two
            columns; they are ranked among each other.
        relation: Name of the relation of a typed graph.
        calibration: As for :func:`predict_links`.
        samples: As for :func:`predict_links`; pairs are then ranked by mean probability.
        interval: As for :func:`predict_links`.
        seed: As for :func:`predict_links`.

    Raises:
        DataError: If a node is unknown, paired with itself or a node of its side (``SIDES``).
        NumericalError: If an embedding or a logit is not finite.
    """
    sampling = sampling_of(samples, interval, seed)
    model, graph = of_relation(model, graph, relation)
    numbers = pair_numbers(graph, pairs)
    scorer = _scorer(model, graph, interval)
    score = _finite(scorer.logits(stored_pairs(graph, numbers))).float()
    rank = score.argsort(descending=True, stable=True).argsort() + 1
    is_known = link_positions(numbers, graph.links, graph.grid) >= 0
    ranked = Ranked(numbers, score, rank, is_known)
    calibration = calibration_of(model, scorer, graph, calibration, sampling=bool(sampling))
    return link_table(scorer, graph, ranked, calibration, sampling)


def _scorer(model: VAE | Trained | PairScorer, graph: Graph, interval: float) -> PairScorer:
    """Return the scorer of a model, or raise an error if its embedding cannot be used."""
    level = checked_level(interval)
    scorer = copy(model) if isinstance(model, PairScorer) else PairScorer(model, graph)
    scorer.interval = level
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


def _known(graph: Graph, search: Search) -> sp.csr_array:
    """Return the known pairs of all nodes with the candidates, shape ``(N, m)``."""
    known = graph.grid.known(graph.links, reverse=search.reverse)
    if len(search.candidates) == graph.num_nodes:
        return known
    return known[:, search.candidates.numpy()]


def _scores(scorer: PairScorer, metric: Metric, search: Search) -> Scores:
    """Return a function that scores nodes with the candidates of a search, in blocks."""
    z, reverse = scorer.z, search.reverse
    chosen = search.candidates.to(z.device) if len(search.candidates) < len(z) else slice(None)
    if metric == "cosine":
        unit = F.normalize(z.double(), dim=1)
        return InnerProducts(unit, unit[chosen])
    if factors := consistent_method(scorer.decoder, "factors"):
        with evaluating(scorer.model):
            left, right = map(_finite, factors(z))
        return InnerProducts(*((right, left[chosen]) if reverse else (left, right[chosen])))

    def scores(nodes: Tensor, first: int) -> Tensor:
        block = scorer.logits_of(nodes, reverse=reverse).to(z.device)[:, chosen]
        return _finite(block[:, first:]).clone()

    return scores


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
