"""Evaluation and calibration of models on the held-out links of a split."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, get_args, overload

import torch
from torch import Tensor

from vgae.decoders.joint import link_decoder
from vgae.errors import DataError, LeakageError, UsageError
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
from vgae.evaluation.recommendation import RecommendationScores, recommendation_scores
from vgae.evaluation.reliability import Probabilities, balancing_weight
from vgae.graphs.graph import Graph
from vgae.graphs.grid import TwoSidedGrid
from vgae.graphs.non_links import sample_non_links
from vgae.graphs.split import LabelledPairs, LinkSplit, check_kinds
from vgae.graphs.typed import TypedGraph
from vgae.graphs.typed_split import TypedSplit
from vgae.models.embedding import Trained, embed, evaluating, model_of, parameter_like
from vgae.models.registry import check_direction
from vgae.runtime.streams import stream
from vgae.vae import VAE

if TYPE_CHECKING:
    from vgae.evaluation.typed import TypedEvaluation

log = logging.getLogger(__name__)

Messages = Literal["train", "train+val"]
_HITS = (10, 50, 100)
_MOST_RANKED_PAIRS = 1_000_000_000  # scored for the ranks among all nodes
_PAIRS_AT_ONCE = 2**17  # some 200 MB at 128 dimensions
_MOST_RESAMPLED_PAIRS = 2**28  # drawn for the bootstrap intervals; fewer resamples of larger parts
_NON_LINKS = 1_000_000  # enough to count those above a threshold that few reach


@dataclass(frozen=True, eq=False)
class LinkEvaluation:
    """Scores of one part of a split; see :func:`evaluate`.

    Attributes:
        scores: AUC and AP of the links against the non-links of the part. The AP falls with the
            number of non-links.
        intervals: Their 95 % intervals; see
            :func:`vgae.evaluation.metrics.bootstrap_intervals`.
        hits: Hits@k among the non-links of the part, by k; see
            :func:`vgae.evaluation.metrics.hits_at_k`.
        ranks: Scores of the ranks of each link's ends among all nodes, known links excluded; see
            :func:`vgae.evaluation.ranking.link_ranks`.
        num_links: Number of links of the part.
        num_non_links: Number of its non-links.
        num_ranked: Number of ranked links: all, or the first ones on a very large graph.
        sigmoid: Scores of the sigmoid of the logits.
        calibrated: Scores of calibrated probabilities, with a calibration.
        hard: Scores of the ranks among hard non-links; see
            :func:`vgae.evaluation.hard_negatives.hard_negatives`.
        given: Scores of the ranks of each link among its own non-links, if the split has those;
            ties get the mean of the best and the worst rank.
        recommended: Scores of the best targets of each node of the first side, in a two-sided
            graph; see :func:`vgae.evaluation.recommendation.recommendation_scores`. Links of the
            other parts are known.
    """

    scores: LinkScores
    intervals: LinkIntervals
    hits: dict[int, float]
    ranks: RankScores
    num_links: int
    num_non_links: int
    num_ranked: int
    sigmoid: Probabilities
    calibrated: Probabilities | None = None
    hard: RankScores | None = None
    given: RankScores | None = None
    recommended: RecommendationScores | None = None

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
            "num_non_links": self.num_non_links,
            "auc_interval": list(self.intervals.auc),
            "ap_interval": list(self.intervals.ap),
            **{f"hits_at_{k}": rate for k, rate in self.hits.items()},
            "ranks": {**self.ranks._asdict(), "num_links": self.num_ranked},
            "hard": self.hard and self.hard._asdict(),
            "given": self.given and self.given._asdict(),
            **({"recommended": self.recommended._asdict()} if self.recommended else {}),
            "sigmoid": self.sigmoid.to_dict(),
            "calibrated": self.calibrated and self.calibrated.to_dict(),
        }


@overload
def evaluate(
    model: VAE | Trained,
    graph: Graph,
    split: LinkSplit,
    *,
    messages: Messages = ...,
    calibration: Calibration | None = ...,
    hard: int = ...,
    allow_seen: bool = ...,
) -> dict[str, LinkEvaluation]: ...
@overload
def evaluate(
    model: VAE | Trained,
    graph: TypedGraph,
    split: TypedSplit,
    *,
    messages: Messages = ...,
    calibration: Calibration | None = ...,
    hard: int = ...,
    allow_seen: bool = ...,
) -> dict[str, "TypedEvaluation"]: ...
def evaluate(
    model: VAE | Trained,
    graph: Any,
    split: Any,
    *,
    messages: Messages = "train",
    calibration: Calibration | None = None,
    hard: int = 0,
    allow_seen: bool = False,
) -> "dict[str, LinkEvaluation] | dict[str, TypedEvaluation]":
    """Score the validation and test links against non-links, all nodes and hard non-links.

    The latent vectors are the posterior means. Probabilities are scored at the balanced prior:
    non-links are weighted to be as many as links.

    Args:
        model: A trained model, or the result of :func:`vgae.fit` or :func:`vgae.load_run`.
        graph: Nodes and features.
        split: Split that the model was trained on; it is audited.
        messages: Message-passing links when test links are scored: ``"train"`` as in Kipf &
            Welling (2016), or ``"train+val"`` as in PyG's ``RandomLinkSplit``; their scores are
            not comparable. Validation links are always scored over ``"train"``.
        calibration: Result of :func:`calibrate`, evaluated at the balanced prior.
        hard: Number of hard non-links to rank each link among, even; 0 omits these ranks, which
            take seconds to minutes. Li et al. (2023) use 500.
        allow_seen: Evaluate a model that was trained on other links than those of the split.

    Returns:
        Evaluations of ``"val"`` and ``"test"``; a part without links is omitted. Those of a typed
        graph are :class:`vgae.evaluation.typed.TypedEvaluation`.

    Raises:
        LeakageError: If the split does not belong to this graph, or leaks; ``SPLIT_SEEN`` if the
            model was trained on other links (:attr:`vgae.VAE.trained_on`).
    """
    if isinstance(graph, TypedGraph):
        from vgae.evaluation.typed import evaluate_typed

        given: Any = {"messages": messages, "allow_seen": allow_seen}
        return evaluate_typed(model, graph, split, calibration, hard, **given)
    balanced = calibration and replace(calibration, log_odds_shift=0.0)
    evaluations = {}
    for name, part, scorer in _scored_parts(model, graph, split, messages, allow_seen=allow_seen):
        evaluations[name] = evaluated_part(scorer, graph, split, part, balanced, hard)
    return evaluations


def evaluated_part(
    scorer: "PairScorer",
    graph: Graph,
    split: LinkSplit,
    part: LabelledPairs,
    balanced: Calibration | None = None,
    hard: int = 0,
) -> LinkEvaluation:
    """Return the scores of one part of a split; ``balanced`` is a calibration at that prior."""
    logits, label = scorer.logits(part.edge_label_index), part.edge_label
    weight = balancing_weight(label)
    pos, neg = logits.split([part.pos.shape[1], part.neg.shape[1]])
    ranked = part.pos[:, : max(_MOST_RANKED_PAIRS // (2 * graph.num_nodes), 1)]
    ranks = link_ranks(scorer.logits_of, ranked, graph.links, graph.num_nodes, grid=graph.grid)
    own = neg.view(len(pos), part.per_link) if part.per_link else None
    resamples = min(1000, max(100, _MOST_RESAMPLED_PAIRS // len(logits)))
    return LinkEvaluation(
        scores=link_scores(logits, label),
        intervals=bootstrap_intervals(logits, label, num_resamples=resamples),
        hits={k: hits_at_k(pos, neg, k) for k in _HITS},
        ranks=rank_scores(ranks.flatten()),
        num_links=len(pos),
        num_non_links=len(neg),
        num_ranked=ranked.shape[1],
        sigmoid=Probabilities.of(logits.double().sigmoid(), label, weight),
        calibrated=balanced and Probabilities.of(balanced.probability(logits), label, weight),
        hard=_hard_ranks(scorer, graph, split, ranked, hard) if hard else None,
        given=None if own is None else rank_scores(ranks_among(pos, own)),
        recommended=_recommended(scorer, graph, ranked),
    )


def evaluate_links(
    model: VAE | Trained,
    graph: Graph,
    split: LinkSplit,
    *,
    messages: Messages = "train",
    allow_seen: bool = False,
) -> dict[str, LinkScores]:
    """Return AUC and AP only; arguments and keys are those of :func:`evaluate`."""
    found = {}
    for name, part, scorer in _scored_parts(model, graph, split, messages, allow_seen=allow_seen):
        found[name] = link_scores(scorer.logits(part.edge_label_index), part.edge_label)
    return found


def calibrate(
    model: VAE | Trained,
    graph: Graph,
    split: LinkSplit,
    *,
    method: Method | None = None,
    prior: Prior = "density",
    goal: str = "f1",
    allow_seen: bool = False,
) -> Calibration:
    """Fit probabilities to the validation pairs of a split; the test pairs are not used.

    For the prior ``"density"`` more non-links are drawn, as one of them stands for hundreds.

    Args:
        model: A trained model, or the result of :func:`vgae.fit` or :func:`vgae.load_run`.
        graph: Nodes and features.
        split: Split that the model was trained on; it is audited.
        method: Method of :func:`vgae.evaluation.calibration.fit_calibration`: ``"isotonic"``, as
            no line fits the few links among the best of all pairs; ``"platt"`` for ``"balanced"``.
        prior: ``"density"``: the fraction of links among all pairs that are not training links.
            New links have it if as many are missing as were held out. Or ``"balanced"``: one half.
        goal: Goal of the threshold.
        allow_seen: As for :func:`evaluate`.

    Raises:
        LeakageError: As for :func:`evaluate`.
        DataError: If there are fewer than 2 validation links.
    """
    check_kinds(graph, split)
    split.audit(graph)
    check_unseen(model, split, allow_seen=allow_seen)
    if (num_val := split.val.pos.shape[1]) < 2:
        rule = f"a calibration needs at least 2 validation links, got {num_val}"
        raise DataError("TOO_FEW_PAIRS", f"{rule}; split with a higher val.")
    scorer = PairScorer(model, graph, split.message_edge_index)
    pairs = split.val
    unknown = graph.grid.num_pairs - split.train.shape[1]
    if prior == "density":
        known = torch.cat([split.train, split.val.pos], dim=1)
        count = min(_NON_LINKS, unknown - split.val.pos.shape[1])
        generator = stream(split.seed, "calibration")
        others = sample_non_links(known, graph.grid, count, generator)
        pairs = LabelledPairs(split.val.pos, others)
    return fit_calibration(
        scorer.logits(pairs.edge_label_index),
        pairs.edge_label,
        method=method or ("isotonic" if prior == "density" else "platt"),
        prior=prior,
        density=(graph.num_links - split.train.shape[1]) / unknown,
        goal=goal,
    )


def check_unseen(model: VAE | Trained, split: LinkSplit, *, allow_seen: bool = False) -> None:
    """Raise ``LeakageError`` if the model was trained on other links than those of the split."""
    seen = model_of(model).trained_on
    if not seen:
        log.info("it is not known which links the model was trained on")
    if not allow_seen and set(seen) - {split.train_digest}:
        raise LeakageError(
            "SPLIT_SEEN",
            "the model was trained on other links than the training links of this split, so it"
            " may have seen links that are held out here; evaluate it with its own split, or train"
            " a new model on this one; allow_seen=True (--allow-seen) evaluates it all the same.",
        )


class PairScorer:
    """Logits of pairs under a model whose nodes are embedded once.

    Args:
        model: A trained model, or the result of :func:`vgae.fit` or :func:`vgae.load_run`.
        graph: Nodes and features.
        edge_index: Message-passing edges as :attr:`vgae.Graph.edge_index`, shape ``(2, E)``; all
            by default. A pair whose link carries messages is scored by a model that has seen it.
    """

    def __init__(
        self, model: VAE | Trained, graph: Graph, edge_index: Tensor | None = None
    ) -> None:
        self.model = model_of(model)
        self.calibration: Calibration | None = getattr(model, "calibration", None)
        self.decoder = link_decoder(self.model)
        check_direction(self.decoder, graph, type(self.decoder).__name__)
        self.z = embed(self.model, graph, edge_index).mu.to(parameter_like(self.model).device)

    def logits(self, pairs: Tensor) -> Tensor:
        """Return the logits of pairs of shape ``(2, P)``, on the CPU, shape ``(P,)``."""
        with evaluating(self.model):
            chunks = pairs.to(self.z.device).split(_PAIRS_AT_ONCE, dim=1)
            return torch.cat([self.decoder.logits(self.z, chunk).cpu() for chunk in chunks])

    def probability(self, pairs: Tensor, calibration: Calibration | None = None) -> Tensor | None:
        """Return the calibrated probability of each pair, or None without a calibration."""
        calibration = calibration or self.calibration
        return calibration and calibration.probability(self.logits(pairs))

    def logits_of(self, nodes: Tensor, *, reverse: bool = False) -> Tensor:
        """Return the logits of all nodes as partners of ``nodes``, shape ``(B, N)``.

        With ``reverse`` the partners are the sources of the pairs instead of the targets.
        """
        nodes, name = nodes.to(self.z.device), f"logits_{'from' if reverse else 'to'}_all"
        with evaluating(self.model):
            if to_all := consistent_method(self.decoder, name):
                return to_all(self.z, nodes).cpu()
            if factors := consistent_method(self.decoder, "factors"):
                left, right = factors(self.z)[::-1] if reverse else factors(self.z)
                return (left.index_select(0, nodes) @ right.T).cpu()
        pairs = torch.cartesian_prod(nodes.cpu(), torch.arange(len(self.z))).T
        return self.logits(pairs.flip(0) if reverse else pairs).view(-1, len(self.z))


def consistent_method(decoder: object, name: str) -> Callable[..., Any] | None:
    """Return an optional method of a decoder, such as ``factors``, if it agrees with ``logits``.

    None without the method, and for a subclass that overrides ``logits`` without the method.
    """
    for names in (vars(decoder), *map(vars, type(decoder).__mro__)):
        if name in names:
            return getattr(decoder, name)
        if "logits" in names:
            break
    return None


def _recommended(scorer: PairScorer, graph: Graph, links: Tensor) -> RecommendationScores | None:
    """Score the best targets of the sources of held-out links, in a two-sided graph."""
    grid = graph.grid
    if not isinstance(grid, TwoSidedGrid):
        return None
    others = ~torch.isin(grid.numbers(graph.links), grid.numbers(links))
    return recommendation_scores(scorer.logits_of, links, graph.links[:, others], grid)


def _hard_ranks(
    scorer: PairScorer, graph: Graph, split: LinkSplit, links: Tensor, per_link: int
) -> RankScores:
    """Rank links of shape ``(2, P)``, each among its own hard non-links."""
    generator = stream(split.seed, "hard-negatives")
    options: Any = {"per_link": per_link, "generator": generator, "grid": split.grid}
    negatives = hard_negatives(
        graph.links, links, split.train, graph.x, graph.num_nodes, **options
    )
    neg = scorer.logits(negatives.flatten(1)).view(links.shape[1], per_link)
    return rank_scores(ranks_among(scorer.logits(links), neg))


def _scored_parts(
    model: VAE | Trained, graph: Graph, split: LinkSplit, messages: Messages, *, allow_seen: bool
) -> Iterator[tuple[str, LabelledPairs, PairScorer]]:
    """Audit the split; yield name, pairs and scorer of each part with links."""
    check_kinds(graph, split)
    split.audit(graph)
    check_unseen(model, split, allow_seen=allow_seen)
    if messages not in get_args(Messages):
        choices = "' or '".join(get_args(Messages))
        raise UsageError("MESSAGES", f"messages must be '{choices}', got {messages!r}.")
    for name, part in (("val", split.val), ("test", split.test)):
        if part.pos.shape[1]:
            edges = split.message_edge_index
            if name == "test" and messages == "train+val":
                edges = split.grid.message_edges(torch.cat([split.train, split.val.pos], dim=1))
            yield name, part, PairScorer(model, graph, edges)
