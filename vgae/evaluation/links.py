"""Evaluation and calibration of models on the held-out links of a split."""

import logging
from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, Self, get_args, overload

import torch
from torch import Tensor

from vgae.decoders.joint import link_decoder
from vgae.errors import DataError, LeakageError, UsageError
from vgae.evaluation.calibration import (
    Calibration,
    Method,
    Prior,
    check_spline,
    fit_calibration,
)
from vgae.evaluation.folds import FoldLinks
from vgae.evaluation.hard_negatives import Hard
from vgae.evaluation.held_pairs import drawn_pairs, held_pairs, link_fraction
from vgae.evaluation.link_parts import LinkEvaluation, evaluated_part, with_likelihood
from vgae.evaluation.metrics import LinkScores, link_scores
from vgae.evaluation.shown import Evaluations
from vgae.graphs.graph import Graph
from vgae.graphs.split import LabelledPairs, LinkSplit, check_kinds
from vgae.graphs.typed import TypedGraph
from vgae.graphs.typed_split import TypedSplit
from vgae.models.embedding import Trained, embed, evaluating, model_of, parameter_like
from vgae.models.registry import check_direction
from vgae.vae import VAE

if TYPE_CHECKING:
    from vgae.evaluation.typed import TypedEvaluation

log = logging.getLogger(__name__)

Messages = Literal["train", "train+val"]
_PAIRS_AT_ONCE = 2**17  # some 200 MB at 128 dimensions
# Nanoseconds per pair, (a, b) of a + b d, on one core at d = 16 to 128: for inner products, and
# for a decoder of the same arithmetic that is called with pairs.
_PRODUCT, _DECODER = (2.0, 0.05), (25.0, 6.5)


@overload
def evaluate(
    model: VAE | Trained,
    graph: Graph,
    split: LinkSplit,
    *,
    messages: Messages = ...,
    calibration: Calibration | None = ...,
    hard: int | str = ...,
    samples: int = ...,
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
    hard: int | str = ...,
    samples: int = ...,
    allow_seen: bool = ...,
) -> dict[str, "TypedEvaluation"]: ...
def evaluate(
    model: VAE | Trained,
    graph: Any,
    split: Any,
    *,
    messages: Messages = "train",
    calibration: Calibration | None = None,
    hard: int | str = 0,
    samples: int = 0,
    allow_seen: bool = False,
) -> "dict[str, LinkEvaluation] | dict[str, TypedEvaluation]":
    """Score the validation and test links against non-links, all nodes and hard non-links.

    The latent vectors are the posterior means. Probabilities are scored at the balanced prior:
    non-links are weighted to be as many as links.

    Args:
        model: A trained model, or the result of :func:`vgae.fit` or :func:`vgae.load_run`. A
            :class:`PairScorer` of the same graph and edges saves the time of another embedding.
        graph: Nodes and features.
        split: Split that the model was trained on; it is audited.
        messages: Message-passing links when test links are scored: ``"train"`` as in Kipf &
            Welling (2016), or ``"train+val"`` as in PyG's ``RandomLinkSplit``; their scores are
            not comparable. Validation links are always scored over ``"train"``.
        calibration: Result of :func:`calibrate`, evaluated at the balanced prior.
        hard: Number of hard non-links to rank each link among, even; 0 omits these ranks, which
            take seconds to minutes. Li et al. (2023) use 500. ``"heart"`` stands for 500 by
            HeaRT's own rule, and ``"heart:100"`` for 100; see
            :func:`vgae.evaluation.hard_negatives.hard_negatives`.
        samples: Number of samples of the posterior for the estimate of log p(A | X); 0 omits it.
            With held-out graphs it is that of the graphs of the part, else that of all links of
            the graph; see :func:`vgae.evaluation.likelihood.graph_log_marginal`.
        allow_seen: Evaluate a model that was trained on other links than those of the split.

    Returns:
        Evaluations of ``"val"`` and ``"test"``; a part without links is omitted. Those of a typed
        graph are :class:`vgae.evaluation.typed.TypedEvaluation`.

    Raises:
        LeakageError: If the split does not belong to this graph, or leaks; ``SPLIT_SEEN`` if the
            model was trained on other links (:attr:`vgae.VAE.trained_on`).
    """
    wanted = Hard.of(hard)
    if isinstance(graph, TypedGraph):
        from vgae.evaluation.typed import evaluate_typed

        if samples:
            rule = "log p(A | X) is for graphs of one kind of links"
            raise UsageError("TYPED_GRAPH", f"{rule}; leave samples (--samples) out.")
        given: Any = {"messages": messages, "allow_seen": allow_seen}
        return evaluate_typed(model, graph, split, calibration, wanted.per_link, **given)
    evaluations: dict[str, LinkEvaluation] = Evaluations()
    balanced = calibration and replace(calibration, log_odds_shift=0.0)
    for name, part, scorer in _scored_parts(model, graph, split, messages, allow_seen=allow_seen):
        evaluations[name] = evaluated_part(scorer, graph, split, part, balanced, wanted)
    if samples:
        return with_likelihood(evaluations, model, graph, split, samples)
    return evaluations


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
    prior: Prior | None = None,
    goal: str = "f1",
    intervals: bool = False,
    folds: FoldLinks | None = None,
    allow_seen: bool = False,
) -> Calibration:
    """Fit probabilities to the validation pairs of a split; the test pairs are not used.

    For a prior other than ``"balanced"`` all pairs that are not known as links are counted: the
    few best of them, which are proposed, are rare among non-links that are drawn.

    Args:
        model: A trained model, or the result of :func:`vgae.fit` or :func:`vgae.load_run`.
        graph: Nodes and features.
        split: Split that the model was trained on; it is audited.
        method: Method of :func:`vgae.evaluation.calibration.fit_calibration`: ``"spline"``, as
            no line fits the few links among the best of all pairs; ``"platt"`` for ``"balanced"``.
        prior: ``"density"``: the fraction of links among all pairs that are not training links.
            New links have it if as many are missing as were held out. In a split by whole graphs,
            the pairs are those of the validation graphs. ``"graph"``: the fraction of links among
            all pairs, so that probabilities are those which the links of the graph were drawn
            with. ``"balanced"``: one half. The default is ``"density"``, and ``"graph"`` with
            intervals.
        goal: Goal of the threshold.
        intervals: Whether the intervals of :func:`vgae.predict_links` with ``samples`` are fitted
            too, which takes seconds to minutes; see
            :func:`vgae.evaluation.sampled.fit_intervals`.
        folds: Result of :func:`vgae.cross_fit`: training links that a spline is fitted to beside
            the validation links.
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
    scorer = scorer_of(model, graph, split.message_edge_index)
    prior = prior or ("graph" if intervals else "density")
    method = method or ("platt" if prior == "balanced" and folds is None else "spline")
    if folds is not None:
        check_spline(method)
    fitted = None
    if intervals:
        from vgae.evaluation.sampled import fit_intervals

        fitted = fit_intervals(scorer, graph, split)
    options: Any = {"method": method, "prior": prior, "goal": goal}
    options["density"] = link_fraction(graph, split, prior)
    if method == "spline":
        pairs = held_pairs(scorer, graph, split, folds)
        options |= {"weight": pairs.weight, "held": pairs.held}
        found = fit_calibration(pairs.logits, pairs.edge_label, **options)
    else:
        few = split.val if prior == "balanced" else drawn_pairs(graph, split)
        logits = scorer.logits(few.edge_label_index)
        found = fit_calibration(logits, few.edge_label, **options)
    used = folds.num_folds if folds and method == "spline" else 0
    return replace(found, intervals=fitted, folds=used)


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
    """Logits of pairs under a model whose nodes are embedded once, as the posterior ``q``.

    Args:
        model: A trained model, or the result of :func:`vgae.fit` or :func:`vgae.load_run`.
        graph: Nodes and features.
        edge_index: Message-passing edges as :attr:`vgae.Graph.edge_index`, shape ``(2, E)``; all
            by default. A pair whose link carries messages is scored by a model that has seen it.
    """

    interval = 0.8
    """Level of the intervals of predicted weights."""

    def __init__(
        self, model: VAE | Trained, graph: Graph, edge_index: Tensor | None = None
    ) -> None:
        self.model = model_of(model)
        self.calibration: Calibration | None = getattr(model, "calibration", None)
        self.decoder = link_decoder(self.model)
        check_direction(self.decoder, graph, type(self.decoder).__name__)
        self.graph, self.edge_index = graph, edge_index
        self.q = embed(self.model, graph, edge_index)
        self.z = self.q.mu.to(parameter_like(self.model).device)

    def part(self, first: int, num_nodes: int) -> Self:
        """Return the scorer of consecutive nodes from ``first`` on, which it numbers from 0."""
        other = copy(self)
        other.z = self.z[first : first + num_nodes]
        return other

    @property
    def is_fast(self) -> bool:
        """Whether the decoder scores many pairs by inner products or the like."""
        names = ("factors", "logits_to_all")
        return any(consistent_method(self.decoder, name) for name in names)

    def seconds(self, num_pairs: int, *, fast: bool | None = None) -> float:
        """Predict the seconds of so many scores on one core; ``fast`` is :attr:`is_fast`."""
        fixed, slope = _PRODUCT if (self.is_fast if fast is None else fast) else _DECODER
        return 1e-9 * num_pairs * (fixed + slope * self.z.shape[1])

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


def scorer_of(model: VAE | Trained, graph: Graph, edge_index: Tensor) -> PairScorer:
    """Return a model that is a scorer of these nodes and edges already, or else its scorer."""
    if isinstance(model, PairScorer) and model.graph is graph and model.edge_index is edge_index:
        return model
    return PairScorer(model, graph, edge_index)


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
                edges = split.grid.message_edges(
                    torch.cat([split.message_links, split.val.pos], 1)
                )
            model = scorer_of(model, graph, edges)  # of both parts, if their messages are the same
            yield name, part, model
