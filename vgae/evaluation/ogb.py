"""The scores of OGB's link benchmarks, by the definitions of ``ogb.linkproppred.Evaluator``.

Source: Hu et al. (2020), `Open Graph Benchmark <https://arxiv.org/abs/2005.00687>`_, and
``ogb/linkproppred/evaluate.py`` and ``master.csv``, ogb 1.3.6.
"""

import re

import torch
from torch import Tensor

from vgae.errors import DataError, UsageError, did_you_mean
from vgae.evaluation.links import PairScorer, check_unseen
from vgae.evaluation.metrics import hits_at_k, link_scores, ranks_among
from vgae.graphs.graph import Graph
from vgae.graphs.split import LinkSplit, check_kinds
from vgae.models.embedding import Trained
from vgae.vae import VAE

METRICS = {
    "ogbl-ppa": "hits@100",
    "ogbl-collab": "hits@50",
    "ogbl-ddi": "hits@20",
    "ogbl-citation2": "mrr",
    "ogbl-wikikg2": "mrr",
    "ogbl-biokg": "mrr",
    "ogbl-vessel": "rocauc",
}
"""Metric of each data set."""


def ogb_evaluate(metric: str, pos: Tensor, neg: Tensor) -> dict[str, float | Tensor]:
    r"""Return what ``Evaluator(name=...).eval({"y_pred_pos": pos, "y_pred_neg": neg})`` returns.

    ==========  ==================================================================================
    ``hits@K``  fraction of links that score above the K-th best of all non-links, a tie is no
                hit; 1 with fewer than K non-links; under ``"hits@K"``
    ``mrr``     of each link, among its own non-links, ``1 / r`` and ``r <= k`` with the rank
                :math:`r = 1 + \tfrac{1}{2} (\#\{n > s\} + \#\{n \ge s\})`, float32, shape
                ``(P,)``; under ``"mrr_list"`` and ``"hits@1_list"``, ``"hits@3_list"``,
                ``"hits@10_list"``
    ``rocauc``  area under the ROC curve; under ``"rocauc"``
    ==========  ==================================================================================

    Args:
        metric: One of these, such as ``"hits@50"``, or the name of a data set in :data:`METRICS`.
        pos: Scores of links, shape ``(P,)``.
        neg: Scores of non-links: shape ``(Q,)``, or ``(P, K)`` for ``mrr``.

    Raises:
        DataError: If there are no links or the shapes do not fit.
        NumericalError: If a score is NaN or infinite.
        UsageError: ``METRIC`` if there is no such metric.
    """
    name = METRICS.get(metric, metric)
    if name == "mrr":
        ranks = ranks_among(pos, neg)
        hits = {f"hits@{k}_list": (ranks <= k).float() for k in (1, 3, 10)}
        return {**hits, "mrr_list": 1 / ranks.float()}
    if name == "rocauc":
        if pos.ndim != 1 or neg.ndim != 1:
            raise DataError("SCORE_SHAPE", "pos must have shape (P,), and neg (Q,).")
        label = torch.cat([torch.ones(len(pos)), torch.zeros(len(neg))])
        return {name: link_scores(torch.cat([pos, neg]), label).auc}
    if not (found := re.fullmatch(r"hits@([1-9]\d{0,9})", name)):
        known = ("hits@K", "mrr", "rocauc", *METRICS)
        rule = f"metric must be one of {', '.join(known)}"
        raise UsageError("METRIC", f"{rule}, got {metric!r:.60}.{did_you_mean(metric, known)}")
    return {name: hits_at_k(pos, neg, int(found[1]))}


def ogb_scores(
    model: VAE | Trained,
    graph: Graph,
    split: LinkSplit,
    metric: str,
    *,
    allow_seen: bool = False,
) -> dict[str, float]:
    """Score a model on an official split, on its own non-links.

    Messages travel over training links.

    Args:
        model: A trained model, or the result of :func:`vgae.fit` or :func:`vgae.load_run`.
        graph: Nodes and features.
        split: Split of OGB, by :func:`vgae.read_split`; it is audited.
        metric: Metric or name of a data set; see :func:`ogb_evaluate`.
        allow_seen: As for :func:`vgae.evaluate`.

    Returns:
        The metric, of ``mrr`` the mean, of ``"val"`` and ``"test"``, in [0, 1]; a part without
        links is omitted.

    Raises:
        DataError: ``SCORE_SHAPE`` for ``mrr`` on a split without non-links of each link.
        LeakageError: As for :func:`vgae.evaluate`.
        UsageError: ``METRIC``.
    """
    check_kinds(graph, split)
    split.audit(graph)
    check_unseen(model, split, allow_seen=allow_seen)
    scorer, scores = PairScorer(model, graph, split.message_edge_index), {}
    for name, part in (("val", split.val), ("test", split.test)):
        if not part.pos.shape[1]:
            continue
        neg = scorer.logits(part.neg)
        if METRICS.get(metric, metric) == "mrr" and part.per_link:
            neg = neg.view(-1, part.per_link)
        found = ogb_evaluate(metric, scorer.logits(part.pos), neg)
        scores[name] = float(torch.as_tensor([*found.values()][-1], dtype=torch.float64).mean())
    return scores
