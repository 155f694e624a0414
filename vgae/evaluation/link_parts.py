"""Scores of the held-out links of one part of a split."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import torch
from torch import Tensor

from vgae.evaluation.calibration import Calibration
from vgae.evaluation.hard_negatives import Hard, Rule, hard_negatives
from vgae.evaluation.link_values import ValueScores, value_scores
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
from vgae.evaluation.per_graph import GraphAverages, averages_per_graph
from vgae.evaluation.ranking import RankIntervals, link_ranks, rank_intervals
from vgae.evaluation.recommendation import RecommendationScores, recommendation_scores
from vgae.evaluation.reliability import Probabilities, balancing_weight
from vgae.evaluation.shown import Evaluations, evaluation_text, link_evaluation_preview
from vgae.graphs.collection import GraphCollection
from vgae.graphs.collection_parts import feature_rows
from vgae.graphs.graph import Graph
from vgae.graphs.grid import Grid, TwoSidedGrid
from vgae.graphs.split import LabelledPairs, LinkSplit
from vgae.runtime.streams import stream

if TYPE_CHECKING:
    from vgae.evaluation.likelihood import GraphEvidence
    from vgae.evaluation.links import PairScorer
    from vgae.models.embedding import Trained
    from vgae.vae import VAE

log = logging.getLogger(__name__)

_HITS = (10, 50, 100)
# Scores of the ranks of all links of a part among all nodes; of more, a sample of the links is
# ranked, and at least so many of them, by decoders with inner products and by others.
_MOST_SCORES = 250_000_000
_FEWEST, _FEWEST_SLOW = 1000, 200
_FEWEST_HARD = 100  # hard non-links of a link of a large graph take a second


@dataclass(frozen=True, eq=False, repr=False)
class LinkEvaluation:
    """Scores of one part of a split; see :func:`vgae.evaluate`.

    Attributes:
        scores: AUC and AP of the links against the non-links of the part. The AP falls with the
            number of non-links.
        intervals: Their 95 % intervals; see
            :func:`vgae.evaluation.metrics.bootstrap_intervals`.
        hits: Hits@k among the non-links of the part, by k; see
            :func:`vgae.evaluation.metrics.hits_at_k`.
        ranks: Scores of the ranks of each link's ends among all nodes, known links excluded; see
            :func:`vgae.evaluation.ranking.link_ranks`. In a collection, among those of its graph.
        num_links: Number of links of the part.
        num_non_links: Number of its non-links.
        num_ranked: Number of ranked links: all, or a random sample in a large graph. The ranks of
            a link take 2 N scores, N the number of nodes (of its graph, in a collection). If those
            of all links are more than 250 million, so many links are ranked as have that many, and
            at least 1,000, or 200 if the decoder has no inner products.
        rank_intervals: 95 % intervals of the scores of the ranks of all links, if a sample was
            ranked; see :func:`vgae.evaluation.ranking.rank_intervals`.
        sigmoid: Scores of the sigmoid of the logits.
        calibrated: Scores of calibrated probabilities, with a calibration.
        hard: Scores of the ranks among hard non-links; see
            :func:`vgae.evaluation.hard_negatives.hard_negatives`. In a large graph, of a sample of
            the links by the same rule, and at least 100.
        num_hard: Number of links that were ranked among hard non-links.
        hard_rule: Rule of the hard non-links.
        given: Scores of the ranks of each link among its own non-links, if the split has those;
            ties get the mean of the best and the worst rank.
        recommended: Scores of the best targets of each node of the first side, in a two-sided
            graph; see :func:`vgae.evaluation.recommendation.recommendation_scores`. Links of the
            other parts are known. In a large graph, of a random sample of at least 1,000 nodes.
        per_graph: Means of the AUC and AP of each graph, in a collection, whose other scores are
            pooled over the pairs of all graphs; see
            :func:`vgae.evaluation.per_graph.averages_per_graph`. ``None`` too if no graph has
            both a link and a non-link.
        values: Scores of the weights and signs of the links, if they were targets.
        likelihood: Estimate of log p(A | X), with samples.
    """

    scores: LinkScores
    intervals: LinkIntervals
    hits: dict[int, float]
    ranks: RankScores
    num_links: int
    num_non_links: int
    num_ranked: int
    sigmoid: Probabilities
    rank_intervals: RankIntervals | None = None
    calibrated: Probabilities | None = None
    hard: RankScores | None = None
    num_hard: int = 0
    hard_rule: Rule = "positive"
    given: RankScores | None = None
    recommended: RecommendationScores | None = None
    per_graph: GraphAverages | None = None
    values: ValueScores | None = None
    likelihood: "GraphEvidence | None" = None

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
        ranks = {**self.ranks._asdict(), "num_links": self.num_ranked}
        if self.rank_intervals is not None:
            ranks["sampled_of"] = self.num_links
            ends = self.rank_intervals._asdict().items()
            ranks |= {f"{name}_interval": list(interval) for name, interval in ends}
        hard = self.hard and self.hard._asdict()
        if hard and self.num_hard < self.num_links:
            hard |= {"num_links": self.num_hard, "sampled_of": self.num_links}
        if hard and self.hard_rule != "positive":
            hard |= {"rule": self.hard_rule}
        return {
            **self.scores._asdict(),
            "num_links": self.num_links,
            "num_non_links": self.num_non_links,
            "auc_interval": list(self.intervals.auc),
            "ap_interval": list(self.intervals.ap),
            **(self.per_graph.to_dict() if self.per_graph else {}),
            **{f"hits_at_{k}": rate for k, rate in self.hits.items()},
            "ranks": ranks,
            "hard": hard,
            "given": self.given and self.given._asdict(),
            **({"recommended": self.recommended._asdict()} if self.recommended else {}),
            **(self.values.to_dict() if self.values else {}),
            **({"likelihood": self.likelihood.to_dict()} if self.likelihood else {}),
            "sigmoid": self.sigmoid.to_dict(),
            "calibrated": self.calibrated and self.calibrated.to_dict(),
        }

    def __repr__(self) -> str:
        return evaluation_text(self)

    def _repr_html_(self) -> str:
        return link_evaluation_preview(self).html()


def with_likelihood(
    evaluations: dict[str, LinkEvaluation],
    model: "VAE | Trained",
    graph: Graph,
    split: LinkSplit,
    num_samples: int,
) -> dict[str, LinkEvaluation]:
    """Return evaluations with estimates of log p(A | X), of the graphs of each part, or of all."""
    from vgae.evaluation.likelihood import graph_log_marginal

    part_of = getattr(split, "graph_part", None)
    options: Any = {"num_samples": num_samples, "seed": split.seed}
    if part_of is None:
        whole = graph_log_marginal(model, graph, **options)
        return Evaluations({k: replace(e, likelihood=whole) for k, e in evaluations.items()})
    likelihoods = {
        name: graph_log_marginal(
            model, cast(GraphCollection, graph).select(part_of == number), **options
        )
        for number, name in enumerate(("val", "test"), 1)
        if name in evaluations
    }
    found = {k: replace(found, likelihood=likelihoods[k]) for k, found in evaluations.items()}
    return Evaluations(found)


def evaluated_part(
    scorer: "PairScorer",
    graph: Graph,
    split: LinkSplit,
    part: LabelledPairs,
    balanced: Calibration | None = None,
    hard: Hard | None = None,
) -> LinkEvaluation:
    """Return the scores of one part of a split; ``balanced`` is a calibration at that prior."""
    logits, label = scorer.logits(part.edge_label_index), part.edge_label
    weight = balancing_weight(label)
    pos, neg = logits.split([part.pos.shape[1], part.neg.shape[1]])
    ranges = _Ranges.of(graph.grid)
    scored = 2 * int(ranges.widths[ranges.of_nodes(part.pos[0])].sum())
    fewest = _FEWEST if scorer.is_fast else _FEWEST_SLOW
    generator = stream(split.seed, "ranked")
    chosen = _drawn(len(pos), scored, fewest, generator)
    if len(chosen) < len(pos):
        seconds = scorer.seconds(scored * len(chosen) // len(pos))
        log.info(
            "ranks among all nodes are those of %s of the %s held-out links, drawn at random:"
            " about %.0f s on one core",
            *(f"{len(chosen):,}", f"{len(pos):,}", seconds),
        )
    ranked = part.pos[:, chosen.sort().values]
    ranks = _ranks(scorer, graph, ranked, ranges)
    hard_links = part.pos[:, chosen[: len(_drawn(len(pos), scored, _FEWEST_HARD))].sort().values]
    hard, known = hard or Hard(), graph.links
    if hard.rule == "heart":
        earlier = [split.val.pos] * (part is split.test)
        known = torch.cat([split.message_links, *earlier], dim=1)
    own = neg.view(len(pos), part.per_link) if part.per_link else None
    averages = None
    if isinstance(graph, GraphCollection):
        averages = averages_per_graph(logits, label, graph.batch[part.edge_label_index[0]])
    return LinkEvaluation(
        scores=link_scores(logits, label),
        intervals=bootstrap_intervals(logits, label),
        hits={k: hits_at_k(pos, neg, k) for k in _HITS},
        ranks=rank_scores(ranks.flatten()),
        num_links=len(pos),
        num_non_links=len(neg),
        num_ranked=ranked.shape[1],
        rank_intervals=rank_intervals(ranks, len(pos)) if len(chosen) < len(pos) else None,
        sigmoid=Probabilities.of(logits.double().sigmoid(), label, weight),
        calibrated=balanced and Probabilities.of(balanced.probability(logits), label, weight),
        hard=_hard_ranks(scorer, graph, split, hard_links, known, hard) if hard.per_link else None,
        num_hard=hard_links.shape[1] if hard.per_link else 0,
        hard_rule=hard.rule,
        given=None if own is None else rank_scores(ranks_among(pos, own)),
        recommended=_recommended(scorer, graph, part.pos, generator),
        per_graph=averages,
        values=value_scores(scorer, graph, part.pos),
    )


def _drawn(
    count: int, scored: int, fewest: int, generator: torch.Generator | None = None
) -> Tensor:
    """Return the places of all items, or a random sample in random order.

    ``scored`` is the number of scores of all of them, and ``fewest`` that of a sample. Without a
    generator, the first ones are taken.
    """
    if scored <= _MOST_SCORES:
        return torch.arange(count)
    most = min(count, max(fewest, count * _MOST_SCORES // scored))
    if generator is None or most == count:
        return torch.arange(most)
    return torch.randperm(count, generator=generator)[:most]


class _Ranges(NamedTuple):
    """Ranges of nodes without pairs between them; see :meth:`vgae.graphs.grid.Grid.parts`.

    ``starts`` and ``widths`` are the first nodes and the numbers of nodes, shape ``(R,)``.
    """

    starts: Tensor
    widths: Tensor
    grids: list[Grid]

    @classmethod
    def of(cls, grid: Grid) -> "_Ranges":
        starts, grids = zip(*grid.parts(), strict=True)
        return cls(torch.tensor(starts), torch.tensor([g.num_nodes for g in grids]), [*grids])

    def of_nodes(self, nodes: Tensor) -> Tensor:
        """Return the number of the range of each node."""
        return torch.searchsorted(self.starts, nodes, right=True) - 1

    def split(self, *links: Tensor) -> Iterator[tuple[int, Grid, list[Any]]]:
        """Yield first node, grid, and places of the links of each range with first ones."""
        if len(self.grids) == 1:  # all in their order, which takes no memory
            if links[0].shape[1]:
                yield int(self.starts[0]), self.grids[0], [slice(None)] * len(links)
            return
        sorted_places = []
        for given in links:
            number = self.of_nodes(given[0])
            counts = torch.bincount(number, minlength=len(self.grids)).tolist()
            sorted_places.append(number.argsort(stable=True).split(counts))
        for start, grid, *places in zip(
            self.starts.tolist(), self.grids, *sorted_places, strict=True
        ):
            if len(places[0]):
                yield start, grid, places


def _ranks(scorer: "PairScorer", graph: Graph, links: Tensor, ranges: _Ranges) -> Tensor:
    """Return the ranks of the ends of links, shape ``(2, P)``."""
    ranks = torch.empty(links.shape, dtype=torch.float64)
    for first, grid, (own, known) in ranges.split(links, graph.links):
        part, size = scorer.part(first, grid.num_nodes), grid.num_nodes
        ends, others = links[:, own], graph.links[:, known]
        if first:
            ends, others = ends - first, others - first
        ranks[:, own] = link_ranks(part.logits_of, ends, others, size, grid=grid).cpu()
    return ranks


def _recommended(
    scorer: "PairScorer", graph: Graph, links: Tensor, generator: torch.Generator
) -> RecommendationScores | None:
    """Score the best targets of the sources of held-out links, in a two-sided graph."""
    grid = graph.grid
    if not isinstance(grid, TwoSidedGrid):
        return None
    links = grid.ordered(links)
    sources = links[0].unique()
    chosen = _drawn(len(sources), len(sources) * grid.num_nodes, _FEWEST, generator)
    if len(chosen) < len(sources):
        count = f"{len(chosen):,} of {len(sources):,}"
        log.info("recommendations are scored for %s nodes, drawn at random", count)
        links = links[:, torch.isin(links[0], sources[chosen])]
    others = ~torch.isin(grid.numbers(graph.links), grid.numbers(links))
    return recommendation_scores(scorer.logits_of, links, graph.links[:, others], grid)


def _hard_ranks(
    scorer: "PairScorer", graph: Graph, split: LinkSplit, links: Tensor, known: Tensor, hard: Hard
) -> RankScores:
    """Rank links of shape ``(2, P)``, each among its own hard non-links, no links of ``known``."""
    options: Any = {**hard._asdict(), "generator": stream(split.seed, "hard-negatives")}
    negatives = torch.empty(2, links.shape[1], hard.per_link, dtype=torch.int64)
    ranges = _Ranges.of(split.grid)
    seen = split.message_links
    for first, grid, places in ranges.split(links, known, seen):
        given = zip((links, known, seen), places, strict=True)
        own, others, train = (links[:, place] - first for links, place in given)
        nodes = torch.arange(first, first + grid.num_nodes)
        x = graph.x if graph.x is None or len(ranges.grids) == 1 else feature_rows(graph.x, nodes)
        found = hard_negatives(others, own, train, x, grid.num_nodes, grid=grid, **options)
        negatives[:, places[0]] = found + first
    neg = scorer.logits(negatives.flatten(1)).view(links.shape[1], hard.per_link)
    return rank_scores(ranks_among(scorer.logits(links), neg))
