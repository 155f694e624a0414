"""Link prediction: proposals of unknown links, and scores of given pairs."""

import logging
import operator
from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import replace
from functools import partial
from typing import cast

import numpy as np
import torch
from torch import Tensor

from vgae.errors import DataError, NumericalError, UsageError, check_choice
from vgae.evaluation.calibration import Calibration
from vgae.evaluation.links import PairScorer
from vgae.evaluation.typed import of_relation
from vgae.graphs.canonical import NodeId, link_positions
from vgae.graphs.collection import GraphCollection
from vgae.graphs.graph import Graph
from vgae.graphs.typed import TypedGraph
from vgae.models.embedding import Trained
from vgae.prediction.ends import Names, pair_numbers, restricted, searches
from vgae.prediction.link_columns import (
    Ranked,
    calibration_of,
    link_table,
    sampling_of,
    stored_pairs,
)
from vgae.prediction.link_table import LinkTable
from vgae.prediction.searches import (
    Metric,
    finite,
    found_within,
    least_recall,
    nothing,
    pairs_found,
    partners_found,
)
from vgae.prediction.weights import checked_level
from vgae.prediction.within_graphs import Per
from vgae.runtime.progress import showing
from vgae.vae import VAE

log = logging.getLogger(__name__)


def predict_links(  # noqa: PLR0913 - each is given by name
    model: VAE | Trained | PairScorer,
    graph: Graph | TypedGraph,
    k: int = 10,
    *,
    per_node: bool = True,
    overall: bool = False,
    per_graph: bool = False,
    within: Names = None,
    metric: Metric = "inner_product",
    exact: bool = False,
    nodes: Names = None,
    sources: Names = None,
    targets: Names = None,
    relation: str | None = None,
    calibration: Calibration | None = None,
    samples: int = 0,
    interval: float | None = None,
    seed: int = 0,
    progress: bool | None = None,
) -> LinkTable:
    """Propose the unlinked pairs of the highest scores.

    By default the k best partners of each node; ``overall=True`` gives the k best pairs of the
    graph, which tend to lie among few nodes of long vectors. Equal scores are in the order of the
    nodes. The search is exact up to some 10 seconds on one core, as for 60,000 nodes of 16 latent
    dimensions. FAISS, if installed, does large searches on a CPU, exactly too. A longer search is
    approximate (:mod:`vgae.prediction.grouped_search`), and its recall is logged.

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
        overall: The same as ``per_node=False``, by the name of the command line (``--overall``).
        per_graph: Whether each graph of a collection gets its own k pairs, in place of each node.
        within: Names of the graphs of a collection to propose links in; all by default.
        metric: ``"inner_product"`` ranks by the logits of the decoder, ``"cosine"`` by the cosine
            of the posterior means, 0 for a mean of zero. They ignore lengths, which suits partners
            of one node more than pairs of the graph. Probabilities are always those of the logits.
        exact: Whether a long search is exact too.
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
        interval: Probability of the equal-tailed intervals, from 0.02 to 0.98: by default 0.8
            with samples and for predicted weights, see
            :func:`vgae.prediction.weights.value_columns`, and 0.95 for
            :attr:`LinkTable.come_true`, the number of proposals that come true.
        seed: Seed of the samples.
        progress: Whether to show progress on stderr; see :func:`vgae.fit`.

    Returns the rows of a node together, best first.

    Raises:
        UsageError: If an option is invalid.
        DataError: If a node is unknown, the nodes are others, or (``SIDES``) of the same side.
        NumericalError: If an embedding or a logit is not finite.
    """
    model, graph = of_relation(model, graph, relation)
    k, per_node = operator.index(k), per_node and not overall
    if k < 1:
        raise UsageError("TOP_K", f"k must be at least 1, got {k}.")
    check_choice("metric", metric, Metric)
    sampling = sampling_of(samples, interval, seed, k)
    if sampling and metric == "cosine":
        rule = "samples (--samples) rank by mean probability; leave metric (--metric) out"
        raise UsageError("METRIC", f"{rule}, or the samples.")
    check_collection(graph, per_graph=per_graph, within=within)
    if isinstance(graph, GraphCollection):
        per: Per = "graph" if per_graph else "node" if per_node else "all"
        find = partial(found_within, per=per)
    else:
        find = partners_found if per_node else pairs_found
    wanted = searches(graph, nodes, sources, targets, per_node=per_node and not per_graph)
    if within is not None:
        wanted = [restricted(search, cast(GraphCollection, graph), within) for search in wanted]
    scorer = _scorer(model, graph, interval)
    if metric == "cosine" and (graph.directed or getattr(scorer.decoder, "repel", 0)):
        rule = "cosines know no direction and no repel; use metric='inner_product' (--metric)."
        raise UsageError("METRIC", rule)
    wanted = [replace(search, exact=exact) for search in wanted]
    parts, done = [nothing(0)], 0
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
    table = link_table(scorer, graph, Ranked(pairs, score, rank), calibration, sampling, interval)
    return replace(table, recall=least_recall(parts))


def check_collection(graph: Graph, *, per_graph: bool, within: Names) -> None:
    """Raise ``UsageError`` if options of collections are given for another graph."""
    if (per_graph or within is not None) and not isinstance(graph, GraphCollection):
        rule = "per_graph (--per-graph) and within (--within) are for collections of graphs"
        raise UsageError("COLLECTION", f"{rule}, and {graph.name} is one graph; leave them out.")


def score_links(
    model: VAE | Trained | PairScorer,
    graph: Graph | TypedGraph,
    pairs: Iterable[Sequence[NodeId]] | np.ndarray | Tensor,
    *,
    relation: str | None = None,
    calibration: Calibration | None = None,
    samples: int = 0,
    interval: float | None = None,
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
    score = finite(scorer.logits(stored_pairs(graph, numbers))).float()
    rank = score.argsort(descending=True, stable=True).argsort() + 1
    is_known = link_positions(numbers, graph.links, graph.grid) >= 0
    ranked = Ranked(numbers, score, rank, is_known)
    calibration = calibration_of(model, scorer, graph, calibration, sampling=bool(sampling))
    return link_table(scorer, graph, ranked, calibration, sampling)


def _scorer(model: VAE | Trained | PairScorer, graph: Graph, interval: float | None) -> PairScorer:
    """Return the scorer of a model, or raise an error if its embedding cannot be used."""
    level = checked_level(PairScorer.interval if interval is None else interval)
    scorer = copy(model) if isinstance(model, PairScorer) else PairScorer(model, graph)
    scorer.interval = level
    if len(scorer.z) != graph.num_nodes:
        rule = f"the scorer must have the {graph.num_nodes} nodes of {graph.name}"
        raise DataError("NODE_SET_MISMATCH", f"{rule}, got {len(scorer.z)}.")
    if not bool(scorer.z.isfinite().all()):
        rule = "the embedding is not finite; look for NaN in the weights."
        raise NumericalError("EMBEDDING_NONFINITE", rule)
    return scorer
