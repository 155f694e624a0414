import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vgae.errors import DataError, NumericalError
from vgae.metrics import LinkScores, link_scores

LABELS = torch.tensor([1.0, 1, 1, 0, 0, 0])


def test_a_perfect_ranking_scores_one_and_a_reversed_one_zero_auc():
    assert link_scores(LABELS, LABELS) == LinkScores(1.0, 1.0)
    assert link_scores(-LABELS, LABELS).auc == 0.0


def test_equal_scores_are_a_coin_flip():
    assert link_scores(torch.zeros(6), LABELS) == LinkScores(0.5, 0.5)


def test_worked_by_hand():
    # Order: link, non-link, link, non-link. Pairs ranked right: 2 + 1 of 4. Precision at the
    # links: 1/1 and 2/3.
    scores = link_scores(torch.tensor([4.0, 3, 2, 1]), torch.tensor([1, 0, 1, 0]))
    assert scores == pytest.approx((3 / 4, (1 + 2 / 3) / 2))


@given(st.lists(st.integers(-50, 50), min_size=6, max_size=6))
def test_a_monotone_map_changes_nothing(values):
    scores = torch.tensor(values, dtype=torch.float64)
    assert link_scores(scores / 10, LABELS) == link_scores((scores / 10).sigmoid() * 3, LABELS)


@pytest.mark.parametrize("labels", [torch.ones(3), torch.zeros(3), torch.empty(0)])
def test_one_class_is_refused_instead_of_scoring_one(labels):
    with pytest.raises(DataError, match="need links and non-links") as error:
        link_scores(torch.rand(len(labels)), labels)
    assert error.value.code == "ONE_CLASS"


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_scores_that_are_not_finite_are_refused(bad):
    with pytest.raises(NumericalError, match="1 scores are not finite"):
        link_scores(torch.tensor([bad, 0, 0, 0, 0, 0]), LABELS)
