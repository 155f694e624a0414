"""link_ranks against two plain loops, on small graphs whose scores tie often."""

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from vgae.errors import DataError, NumericalError
from vgae.evaluation.metrics import rank_scores
from vgae.evaluation.ranking import link_ranks, rank_intervals
from vgae.graphs.grid import Grid


def naive_ranks(matrix, links, graph_links):
    known = {(u, v) for u, v in graph_links} | {(v, u) for u, v in graph_links}
    rows = []
    for pairs in (links, [(v, u) for u, v in links]):
        row = []
        for u, v in pairs:
            rivals = [w for w in range(len(matrix)) if w not in (u, v) and (u, w) not in known]
            better = sum(matrix[u][w] > matrix[u][v] for w in rivals)
            row.append(1 + better + sum(matrix[u][w] == matrix[u][v] for w in rivals) / 2)
        rows.append(row)
    return rows


@st.composite
def cases(draw):
    """A score matrix of few values, not symmetric; links, some of them to be ranked."""
    n = draw(st.integers(2, 9))
    values = st.sampled_from([-np.inf, -1.0, 0.0, 0.5, np.inf])
    matrix = draw(st.lists(st.lists(values, min_size=n, max_size=n), min_size=n, max_size=n))
    pairs = [(u, v) for v in range(n) for u in range(v)]
    graph_links = draw(st.lists(st.sampled_from(pairs), unique=True))
    links = draw(st.lists(st.sampled_from(pairs), max_size=8))  # known ones and others, repeats
    return matrix, links, graph_links


def as_index(pairs):
    return torch.tensor(pairs, dtype=torch.int64).reshape(-1, 2).T


def ranks_of(matrix, links, graph_links):
    scores = torch.as_tensor(matrix, dtype=torch.float64)
    return link_ranks(lambda i: scores[i], links, graph_links, len(scores))


@settings(max_examples=300, deadline=None)
@given(cases(), st.integers(1, 200))
@example(([[0.0] * 4] * 4, [(0, 3)], []), 1)  # isolated nodes, all scores alike
@example(([[0.0] * 3] * 3, [(0, 1)], [(0, 1), (0, 2), (1, 2)]), 1)  # no candidate
def test_ranks_are_those_of_two_loops_whatever_the_block(case, max_entries):
    matrix, links, graph_links = case
    expected = torch.tensor(naive_ranks(matrix, links, graph_links), dtype=torch.float64)
    pairs, known = as_index(links), as_index(graph_links)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vgae.evaluation.ranking._BLOCK", max_entries)
        assert torch.equal(ranks_of(matrix, pairs, known), expected)
    assert torch.equal(ranks_of(matrix, pairs, known), expected)


@given(cases(), st.randoms(use_true_random=False))
def test_ranks_follow_the_links_in_any_order_and_direction(case, random):
    matrix, links, graph_links = case
    known = as_index([random.choice([(u, v), (v, u)]) for u, v in graph_links * 2])
    ranks = ranks_of(matrix, as_index(links), as_index(graph_links))
    order = random.sample(range(len(links)), len(links))
    assert torch.equal(ranks_of(matrix, as_index(links)[:, order], known), ranks[:, order])
    assert torch.equal(ranks_of(matrix, as_index(links).flip(0), known), ranks.flip(0))


def test_ranks_worked_by_hand():
    """Node 0 is known to link to 1 and 2. For 0 - 1 stay 3 (above), 4 (tie): 1 + 1 + 1/2."""
    matrix = torch.zeros(5, 5)
    matrix[0] = torch.tensor([9.0, 2.0, 8.0, 3.0, 2.0])
    matrix[1] = torch.tensor([4.0, 9.0, 1.0, 2.0, 3.0])
    ranks = ranks_of(matrix, as_index([(0, 1)]), as_index([(0, 1), (0, 2)]))
    assert ranks.dtype == torch.float64
    assert ranks.tolist() == [[2.5], [1.0]]


def test_a_constant_score_gets_the_middle_rank():
    ranks = ranks_of(np.zeros((11, 11)), as_index([(0, 1)]), as_index([(0, 1)]))
    assert ranks.tolist() == [[5.5], [5.5]]  # ten candidates with the link itself


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.int64, torch.bool])
def test_scores_of_any_dtype_are_ranked_and_left_as_they_were(dtype, generator):
    matrix = torch.randint(0, 2, (6, 6), generator=generator).to(dtype)
    kept = matrix.clone()
    links = as_index([(0, 1), (2, 5), (3, 4)])
    ranks = link_ranks(lambda _: matrix, links, links, 6)  # every node is asked for, in order
    assert torch.equal(matrix, kept)
    assert ranks.tolist() == naive_ranks(matrix.tolist(), links.T.tolist(), links.T.tolist())


def test_each_node_is_scored_once_and_no_more_than_fit_are_held(generator, monkeypatch):
    matrix = torch.rand(30, 30, generator=generator)
    links = as_index([(0, v) for v in range(1, 5)] + [(u, u + 1) for u in range(5, 25)])
    asked = []
    link_ranks(lambda i: asked.append(i) or matrix[i], links, links, 30)
    assert [i.tolist() for i in asked] == [links.unique().tolist()]
    asked.clear()
    monkeypatch.setattr("vgae.evaluation.ranking._BLOCK", 300)
    link_ranks(lambda i: asked.append(i) or matrix[i], links, links, 30)
    assert len(asked) > 1
    assert all(0 < 2 * len(i) * 30 <= 300 for i in asked)


def test_scores_with_a_gradient_are_ranked_without_it():
    z = torch.eye(4, requires_grad=True)
    links = as_index([(0, 1)])
    assert not link_ranks(lambda i: z[i] @ z.T, links, links, 4).requires_grad


def test_without_links_there_is_nothing_to_score():
    assert ranks_of(np.zeros((3, 3)), as_index([]), as_index([(0, 1)])).shape == (2, 0)


def test_nan_is_refused_even_where_no_candidate_is():
    matrix = np.zeros((4, 4))
    matrix[1, 1] = np.nan
    with pytest.raises(NumericalError, match="1 scores are NaN") as caught:
        ranks_of(matrix, as_index([(0, 1)]), as_index([(0, 1)]))
    assert caught.value.code == "SCORES_NONFINITE"


def test_scores_of_another_shape_are_refused():
    links = as_index([(0, 1)])
    with pytest.raises(DataError, match=r"shape \(2, 4\), got \(2, 3\)") as caught:
        link_ranks(lambda i: torch.zeros(len(i), 3), links, links, 4)
    assert caught.value.code == "SCORES_SHAPE"


@pytest.mark.parametrize("which", [0, 1])
def test_links_out_of_range_are_refused(which):
    links = [as_index([(0, 1)]), as_index([(0, 1)])]
    links[which] = as_index([(0, 4)])
    with pytest.raises(DataError, match=r"in \[0, 4\)"):
        ranks_of(np.zeros((4, 4)), *links)


def test_known_pairs_are_links_both_ways_and_the_diagonal():
    known = Grid(4).known(as_index([(0, 2), (2, 0), (1, 2)])).toarray() > 0
    expected = [[1, 0, 1, 0], [0, 1, 1, 0], [1, 1, 1, 0], [0, 0, 0, 1]]
    assert known.astype(int).tolist() == expected


def test_the_interval_of_a_sample_covers_the_score_of_all_links(generator):
    """As often as it states: of 400 samples of 100 of 400 links, about 95 %."""
    ranks = (torch.rand(2, 400, generator=generator, dtype=torch.float64) ** 4 * 500).long() + 1
    whole = rank_scores(ranks.flatten())
    covered = torch.zeros(2)
    for _ in range(400):
        drawn = ranks[:, torch.randperm(400, generator=generator)[:100]]
        ends = rank_intervals(drawn, 400)
        for i, name in enumerate(("mrr", "hits_at_10")):
            low, high = getattr(ends, name)
            covered[i] += low <= getattr(whole, name) <= high
    assert bool(((covered / 400) > 0.92).all())
    assert bool(((covered / 400) < 0.98).all())


def test_all_ranks_have_no_width_and_equal_ones_have_some():
    ranks = torch.tensor([[1, 20, 3, 40], [1, 2, 300, 4]])
    whole = rank_scores(ranks.flatten())
    assert rank_intervals(ranks, 4).mrr == pytest.approx((whole.mrr, whole.mrr), abs=0.5)
    low, high = rank_intervals(torch.full((2, 50), 11), 1000).hits_at_10
    assert (low, round(high, 3)) == (0, 0.071)
