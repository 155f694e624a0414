"""evaluate: how well a model predicts the held-out links of a split, and what else it knows."""

from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple, cast, get_args

import torch
from torch import Tensor

from vgae.decoders import InnerProductDecoder
from vgae.errors import DataError, UsageError
from vgae.evaluation.calibration import Calibration, Method, Prior, fit_calibration
from vgae.evaluation.hard_negatives import hard_negatives
from vgae.evaluation.metrics import (
    LinkIntervals,
    LinkScores,
    RankScores,
    bootstrap_intervals,
    hits_at_k,
    link_scores,
    rank_scores,
    ranks_among,
)
from vgae.evaluation.ranking import link_ranks
from vgae.evaluation.reliability import (
    ProbabilityScores,
    Reliability,
    probability_scores,
    reliability,
)
from vgae.graphs.graph import Graph, both_directions
from vgae.graphs.split import LabelledPairs, LinkSplit, sample_non_links
from vgae.models.embedding import embed, evaluating, parameter_like
from vgae.runtime.streams import stream
from vgae.vae import VAE, LinkDecoder

Messages = Literal["train", "train+val"]
_HITS = (10, 50, 100)
# Links are ranked among all nodes as long as that is no more than so many pairs.
_MOST_RANKED_PAIRS = 1_000_000_000
_PAIRS_AT_ONCE = 2**17  # some 200 MB at 128 dimensions
_NON_LINKS = 1_000_000  # to see how many lie above a threshold that few should reach


class Probabilities(NamedTuple):
    """How much probabilities mean what they say, and the bins of a reliability diagram."""

    scores: ProbabilityScores
    reliability: Reliability


@dataclass(frozen=True, eq=False)
class LinkEvaluation:
    """What :func:`evaluate` says of one part of a split.

    Attributes:
        scores: AUC and AP of links against as many non-links.
        intervals: Bootstrap intervals of the two, 95 %.
        hits: Hits@k among the non-links of the part, by k; see
            :func:`vgae.evaluation.metrics.hits_at_k`.
        ranks: Of each link's ends among all nodes, known links left out; see
            :func:`vgae.evaluation.ranking.link_ranks`.
        num_links: Links of the part.
        num_ranked: How many of them are ranked: all, or the first that take reasonable time.
        hard: Ranks among hard non-links of its own; see
            :func:`vgae.evaluation.hard_negatives.hard_negatives`.
        sigmoid: Of the sigmoid of the logits, as the decoder has it.
        calibrated: Of calibrated probabilities, if there is a calibration.
    """

    scores: LinkScores
    intervals: LinkIntervals
    hits: dict[int, float]
    ranks: RankScores
    num_links: int
    num_ranked: int
    sigmoid: Probabilities
    calibrated: Probabilities | None = None
    hard: RankScores | None = None

    @property
    def auc(self) -> float:
        """Area under the ROC curve, in [0, 1]."""
        return self.scores.auc

    @property
    def ap(self) -> float:
        """Average precision, in [0, 1]."""
        return self.scores.ap

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            **self.scores._asdict(),
            "num_links": self.num_links,
            "auc_interval": list(self.intervals.auc),
            "ap_interval": list(self.intervals.ap),
            **{f"hits_at_{k}": share for k, share in self.hits.items()},
            "ranks": {**self.ranks._asdict(), "num_links": self.num_ranked},
            "hard": self.hard and self.hard._asdict(),
            "sigmoid": _probabilities_dict(self.sigmoid),
            "calibrated": self.calibrated and _probabilities_dict(self.calibrated),
        }


def evaluate(
    model: VAE,
    graph: Graph,
    split: LinkSplit,
    *,
    messages: Messages = "train",
    calibration: Calibration | None = None,
    hard: int = 0,
) -> dict[str, LinkEvaluation]:
    """Score validation and test links against their non-links, against all nodes, and hard ones.

    The latent vectors are the posterior means, without noise.

    Args:
        model: A trained model.
        graph: Nodes and features.
        split: The one that the model was trained on; it is audited.
        messages: Links that messages travel on when test links are scored: ``"train"`` as in
            Kipf & Welling (2016), or ``"train+val"`` as in PyG's ``RandomLinkSplit``. Figures of
            the two are not comparable. Validation links are always scored over ``"train"``.
        calibration: Of :func:`calibrate`; judged beside the sigmoid, at the balanced prior.
        hard: How many hard non-links to rank each link among, even; 0 leaves them out, which
            saves seconds to minutes. Source: Li et al. (2023), 500 a link.

    Returns:
        Under ``"val"`` and ``"test"``; a part that holds no links is left out.

    Raises:
        LeakageError: If the split is not one of this graph, or leaks.
    """
    split.audit(graph)
    # There are as many non-links as links: under another prior no probability would fit them.
    balanced = calibration and replace(calibration, log_odds_shift=0.0)
    evaluations = {}
    for name, part in _parts(split).items():
        scorer = PairScorer(model, graph, _message_edges(split, name, messages))
        logits = scorer.logits(part.edge_label_index)
        pos, neg = logits.split([part.pos.shape[1], part.neg.shape[1]])
        ranked = part.pos[:, : max(_MOST_RANKED_PAIRS // (2 * graph.num_nodes), 1)]
        ranks = link_ranks(scorer.logits_of, ranked, graph.links, graph.num_nodes)
        evaluations[name] = LinkEvaluation(
            scores=link_scores(logits, part.edge_label),
            intervals=bootstrap_intervals(logits, part.edge_label),
            hits={k: hits_at_k(pos, neg, k) for k in _HITS},
            ranks=rank_scores(ranks.flatten()),
            num_links=part.pos.shape[1],
            num_ranked=ranked.shape[1],
            sigmoid=_judged(logits.double().sigmoid(), part.edge_label),
            calibrated=balanced and _judged(balanced.probability(logits), part.edge_label),
            hard=hard_ranks(scorer, graph, split, ranked, hard) if hard else None,
        )
    return evaluations


def evaluate_links(
    model: VAE, graph: Graph, split: LinkSplit, *, messages: Messages = "train"
) -> dict[str, LinkScores]:
    """Return AUC and AP alone; arguments and keys as for :func:`evaluate`."""
    split.audit(graph)
    scores = {}
    for name, part in _parts(split).items():
        scorer = PairScorer(model, graph, _message_edges(split, name, messages))
        scores[name] = link_scores(scorer.logits(part.edge_label_index), part.edge_label)
    return scores


def calibrate(
    model: VAE,
    graph: Graph,
    split: LinkSplit,
    *,
    method: Method | None = None,
    prior: Prior = "balanced",
    goal: str = "f1",
) -> Calibration:
    """Fit probabilities to the validation pairs of a split; the test pairs are not looked at.

    For the prior ``"density"``, where one non-link above the threshold stands for hundreds, more
    non-links are drawn: pairs of nodes that are linked in neither training nor validation.

    Args:
        model: A trained model.
        graph: Nodes and features.
        split: The one that the model was trained on; it is audited.
        method: See :func:`vgae.evaluation.calibration.fit_calibration`, as for the others; by
            default ``"platt"``, and ``"isotonic"`` for the prior ``"density"``: no line follows
            how few of the very best of all pairs are links.
        prior: ``"density"`` is the share of links among all pairs that are not known from
            training: what a proposal of new links meets, if as many are missing as were held out.
        goal: What the threshold is chosen for.

    Raises:
        LeakageError: If the split is not one of this graph, or leaks.
        DataError: If there are fewer than 2 validation links.
    """
    split.audit(graph)
    if split.val.pos.shape[1] < 2:
        raise DataError(
            "TOO_FEW_PAIRS", "a calibration needs validation links; split with val above 0."
        )
    scorer = PairScorer(model, graph, split.message_edge_index)
    pairs = split.val
    unknown = graph.num_nodes * (graph.num_nodes - 1) // 2 - split.train.shape[1]
    if prior == "density":
        known = torch.cat([split.train, split.val.pos], dim=1)
        count = min(_NON_LINKS, unknown - split.val.pos.shape[1])
        generator = stream(split.seed, "calibration")
        pairs = pairs._replace(neg=sample_non_links(known, graph.num_nodes, count, generator))
    return fit_calibration(
        scorer.logits(pairs.edge_label_index),
        pairs.edge_label,
        method=method or ("isotonic" if prior == "density" else "platt"),
        prior=prior,
        density=(graph.num_links - split.train.shape[1]) / unknown,
        goal=goal,
    )


class PairScorer:
    """The logits of pairs under a model whose nodes are embedded once.

    Args:
        model: A trained model.
        graph: Nodes and features.
        edge_index: Edges that messages travel on, both directions, shape ``(2, E)``.
    """

    def __init__(self, model: VAE, graph: Graph, edge_index: Tensor) -> None:
        self.model = model
        self.decoder = cast(LinkDecoder, model.decoder)
        self.z = embed(model, graph, edge_index).mu.to(parameter_like(model).device)

    def logits(self, pairs: Tensor) -> Tensor:
        """Return the logits of pairs of shape ``(2, P)``, on the CPU, shape ``(P,)``."""
        with evaluating(self.model):
            chunks = pairs.to(self.z.device).split(_PAIRS_AT_ONCE, dim=1)
            return torch.cat([self.decoder.logits(self.z, chunk).cpu() for chunk in chunks])

    def logits_of(self, nodes: Tensor) -> Tensor:
        """Return the logits of all nodes as partners of ``nodes``, shape ``(B, N)``."""
        # A subclass with logits of its own has no fast way to all of them.
        if type(self.decoder).logits is InnerProductDecoder.logits:
            with evaluating(self.model):
                to_all = cast(InnerProductDecoder, self.decoder).logits_to_all
                return to_all(self.z, nodes.to(self.z.device)).cpu()
        num_nodes = self.z.shape[0]
        pairs = torch.cartesian_prod(nodes.cpu(), torch.arange(num_nodes)).T
        return self.logits(pairs).view(-1, num_nodes)


def hard_ranks(
    scorer: PairScorer, graph: Graph, split: LinkSplit, links: Tensor, per_link: int
) -> RankScores:
    """Rank links of shape ``(2, P)``, each among hard non-links of its own."""
    negatives = hard_negatives(
        graph.links,
        links,
        split.train,
        graph.x,
        graph.num_nodes,
        per_link=per_link,
        generator=stream(split.seed, "hard-negatives"),
    )
    neg = scorer.logits(negatives.flatten(1)).view(links.shape[1], per_link)
    return rank_scores(ranks_among(scorer.logits(links), neg))


def _parts(split: LinkSplit) -> dict[str, LabelledPairs]:
    """Return the parts that hold links, by name."""
    parts = {"val": split.val, "test": split.test}
    return {name: part for name, part in parts.items() if part.pos.shape[1]}


def _message_edges(split: LinkSplit, part: str, messages: Messages) -> Tensor:
    """Return what messages travel on when a part is scored."""
    if messages not in get_args(Messages):
        choices = "' or '".join(get_args(Messages))
        raise UsageError("MESSAGES", f"messages must be '{choices}', got {messages!r}.")
    if part == "val" or messages == "train":
        return split.message_edge_index
    return both_directions(torch.cat([split.train, split.val.pos], dim=1))


def _judged(probability: Tensor, edge_label: Tensor) -> Probabilities:
    return Probabilities(
        probability_scores(probability, edge_label), reliability(probability, edge_label)
    )


def _probabilities_dict(probabilities: Probabilities) -> dict[str, Any]:
    bins = {name: value.tolist() for name, value in probabilities.reliability._asdict().items()}
    return {**probabilities.scores._asdict(), "reliability": bins}
