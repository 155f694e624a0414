"""Recall, precision and NDCG of the best targets, against plain loops over all orders."""

import itertools
import math

import pytest
import torch

from vgae.errors import DataError, NumericalError
from vgae.evaluation.recommendation import recommendation_scores
from vgae.graphs.grid import TwoSidedGrid


def by_loop(scores, held_out, known, grid, k):
    """Recall, precision and NDCG from the sorted candidates of each source; no ties."""
    rows = []
    for u in sorted({u for u, _ in held_out}):
        relevant = {v for source, v in held_out if source == u}
        candidates = [v for v in grid.columns.tolist() if (u, v) not in known]
        best = sorted(candidates, key=lambda v: -float(scores[u, v]))[:k]
        gains = [1 / math.log2(i + 2) for i, v in enumerate(best) if v in relevant]
        ideal = sum(1 / math.log2(i + 2) for i in range(min(k, len(relevant))))
        rows.append((len(gains) / len(relevant), len(gains) / k, sum(gains) / ideal))
    return [sum(column) / len(rows) for column in zip(*rows, strict=True)]


def drawn(generator, num_links=90):
    sides = torch.rand(70, generator=generator) < 0.6
    grid = TwoSidedGrid(sides)
    numbers = torch.randperm(grid.num_pairs, generator=generator)[:num_links]
    return grid, grid.pairs(numbers)


def pairs(links):
    return list(zip(*links.tolist(), strict=True))


@pytest.mark.parametrize("block", [1, 1 << 24])
def test_scores_are_those_of_a_plain_loop(generator, monkeypatch, block):
    monkeypatch.setattr("vgae.evaluation.recommendation._BLOCK", block)
    grid, links = drawn(generator)
    scores = torch.randn(70, 70, generator=generator)
    held_out, known = links[:, :50], links[:, 50:]
    found = recommendation_scores(lambda nodes: scores[nodes], held_out, known.flip(0), grid)
    for k in (10, 20):
        expected = by_loop(scores, pairs(held_out), set(pairs(known)), grid, k)
        assert [getattr(found, f"{name}_at_{k}") for name in ("recall", "precision", "ndcg")] == (
            pytest.approx(expected)
        )
    assert found.num_sources == len(set(held_out[0].tolist()))


def test_equal_scores_have_the_mean_of_all_orders():
    grid = TwoSidedGrid(torch.tensor([False] + 12 * [True]))
    # Nine better targets, so that of three equal ones exactly one is among the first ten.
    scores = torch.tensor([[0.0, *range(20, 11, -1), 5, 5, 5]]).expand(13, 13)
    held_out, none = torch.tensor([[0, 0], [10, 12]]), torch.empty(2, 0, dtype=torch.int64)
    found = recommendation_scores(lambda nodes: scores[nodes], held_out, none, grid)
    orders = list(itertools.permutations((10, 11, 12)))
    hits = sum(order[0] in (10, 12) for order in orders) / len(orders)
    assert found.recall_at_10 == pytest.approx(hits / 2)
    assert found.recall_at_20 == pytest.approx(1)
    ideal = 1 + 1 / math.log2(3)
    assert found.ndcg_at_10 == pytest.approx(hits / math.log2(11) / ideal)


def test_a_constant_score_finds_what_chance_does(generator):
    grid, links = drawn(generator)
    found = recommendation_scores(
        lambda nodes: torch.zeros(len(nodes), 70), links[:, :40], links[:, 40:], grid
    )
    known = links[:, 40:]
    free = [len(grid.columns) - int((known[0] == u).sum()) for u in links[0, :40].unique()]
    assert found.recall_at_10 == pytest.approx(sum(10 / count for count in free) / len(free))


def test_what_cannot_be_scored_is_refused(generator):
    grid, links = drawn(generator)
    none = torch.empty(2, 0, dtype=torch.int64)
    with pytest.raises(DataError, match="held-out links that are not known"):
        recommendation_scores(lambda nodes: torch.zeros(len(nodes), 70), links, links[:, :1], grid)
    with pytest.raises(DataError, match="or none"):
        recommendation_scores(lambda nodes: torch.zeros(len(nodes), 70), none, links, grid)
    nan = torch.full((70, 70), torch.nan)
    with pytest.raises(NumericalError):
        recommendation_scores(lambda nodes: nan[nodes], links, none, grid)
