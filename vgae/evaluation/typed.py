"""Evaluation of models of typed graphs, for each relation."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from torch import Tensor

from vgae.decoders.dist_mult import DistMultDecoder
from vgae.errors import UsageError, check_choice
from vgae.evaluation.links import (
    LinkEvaluation,
    Messages,
    PairScorer,
    check_unseen,
    evaluated_part,
)
from vgae.evaluation.shown import Evaluations, typed_evaluation_preview
from vgae.graphs.graph import Graph
from vgae.graphs.typed import TypedGraph
from vgae.graphs.typed_split import TypedSplit, check_typed
from vgae.models.embedding import Trained
from vgae.models.typed import messages as messages_of
from vgae.vae import VAE


@dataclass(frozen=True, eq=False, repr=False)
class TypedEvaluation:
    """Scores of one part of the split of a typed graph.

    Attributes:
        relations: :class:`~vgae.evaluation.links.LinkEvaluation` of each relation that has links
            in the part.
    """

    relations: Mapping[str, LinkEvaluation]

    @property
    def auc(self) -> float:
        """Mean over relations of the area under the ROC curve, in [0, 1]."""
        return _mean(score.auc for score in self.relations.values())

    @property
    def ap(self) -> float:
        """Mean over relations of the average precision, in [0, 1]."""
        return _mean(score.ap for score in self.relations.values())

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        own = {name: score.to_dict() for name, score in self.relations.items()}
        return {"auc": self.auc, "ap": self.ap, "relations": own}

    def __repr__(self) -> str:
        scores = f"auc={self.auc:.4f}, ap={self.ap:.4f}"
        return f"TypedEvaluation({scores}, {len(self.relations)} relations)"

    def _repr_html_(self) -> str:
        return typed_evaluation_preview(self.relations).html()


def _mean(values: Any) -> float:
    found = list(values)
    return sum(found) / len(found)


class RelationScorer(PairScorer):
    """Logits of pairs under one relation; see :class:`~vgae.evaluation.links.PairScorer`.

    Args:
        model: A trained model with a :class:`vgae.decoders.DistMultDecoder`.
        graph: Nodes, features and relations.
        relation: Name of the relation.
        edges: Messages, from :func:`vgae.models.typed.messages`; those of all links by default.

    Raises:
        UsageError: If there is no such relation, or the decoder has none.
    """

    def __init__(
        self, model: VAE | Trained, graph: TypedGraph, relation: str, edges: Any = None
    ) -> None:
        super().__init__(model, cast(Any, graph), edges)
        decoder = self.model.decoder
        if not isinstance(decoder, DistMultDecoder):
            raise UsageError(
                "DECODER",
                "relations are scored by a DistMultDecoder, got"
                f" {type(decoder).__name__}; train an rgcn-vgae.",
            )
        self.decoder = decoder.of(relation)

    def of(self, relation: str) -> "RelationScorer":
        """Return the scorer of another relation, with the same embedding."""
        other = object.__new__(RelationScorer)
        vars(other).update(vars(self))
        other.decoder = cast(DistMultDecoder, self.model.decoder).of(relation)
        return other

    def logits(self, pairs: Tensor) -> Tensor:
        """Return the logits of pairs of shape ``(2, P)``, on the CPU, shape ``(P,)``."""
        return super().logits(pairs).detach()


def evaluate_typed(
    model: VAE | Trained,
    graph: TypedGraph,
    split: TypedSplit,
    calibration: object = None,
    hard: int = 0,
    *,
    messages: Messages = "train",
    allow_seen: bool = False,
) -> dict[str, TypedEvaluation]:
    """Score the held-out links of each relation; arguments as for :func:`vgae.evaluate`.

    ``calibration`` and ``hard`` are refused.

    Each link is ranked among the pairs that may be links of its relation.

    Returns:
        Evaluations of ``"val"`` and ``"test"``; a part without links is omitted.

    Raises:
        LeakageError: As for :func:`vgae.evaluate`.
    """
    check_typed(graph, split)
    if calibration is not None or hard:
        raise UsageError(
            "TYPED_GRAPH",
            "calibration and hard (--hard) are not for typed graphs; leave them out.",
        )
    split.audit(graph)
    check_unseen(model, cast(Any, split), allow_seen=allow_seen)
    check_choice("messages", messages, Messages)
    first, found = next(iter(graph.relations)), Evaluations()
    for name in ("val", "test"):
        parts = {r: getattr(part, name) for r, part in split.parts.items()}
        parts = {r: part for r, part in parts.items() if part.pos.shape[1]}
        if not parts:
            continue
        edges = messages_of(graph, split, val=name == "test" and messages == "train+val")
        scorer = RelationScorer(model, graph, first, edges)
        found[name] = TypedEvaluation(
            {
                r: evaluated_part(scorer.of(r), graph.relations[r], split.parts[r], part)
                for r, part in parts.items()
            }
        )
    return found


def of_relation(model: Any, graph: Any, relation: str | None) -> tuple[Any, Graph]:
    """Return model and graph, of a typed graph the scorer and the links of a relation.

    Args:
        model: A trained model or a scorer.
        graph: A graph or a typed graph.
        relation: Name of the relation; ``None`` for a graph, or for the only one.

    Raises:
        UsageError: ``RELATION`` if none is named of several, there is none of this name, or the
            graph has none.
    """
    if not isinstance(graph, TypedGraph):
        if relation is not None:
            rule = "relation (--relation) is for typed graphs, which have several"
            raise UsageError("RELATION", f"{rule}; leave it out.")
        return model, graph
    names = [*graph.relations]
    if relation is None and len(names) > 1:
        listed = ", ".join(map(repr, names))
        rule = f"name one of the relations {listed:.400} by relation (--relation)"
        raise UsageError("RELATION", f"{rule}.")
    links = graph.relation(names[0] if relation is None else relation)
    name = next(name for name, other in graph.relations.items() if other is links)
    if isinstance(model, RelationScorer):
        return model.of(name), links
    return RelationScorer(model, graph, name), links
