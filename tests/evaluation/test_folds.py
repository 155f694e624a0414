"""Tests of a calibration by folds of the training links."""

import pytest
import torch

from vgae import calibrate, fit, split_links
from vgae.errors import UsageError
from vgae.evaluation.folds import TOP, FoldLinks
from vgae.evaluation.links import PairScorer
from vgae.recipes import PAPER


def test_links_of_folds_that_are_ranked_higher_raise_the_best_pairs_alone(sbm):
    """The lower three quarters of the links are known by the validation links."""
    split = split_links(sbm)
    result = fit(sbm, split, recipe=PAPER.override({"epochs": 30}), progress=False)
    number = split.train.shape[1]
    even = torch.linspace(0.001, 0.999, number).double()
    high, low = (FoldLinks(0.3 * even**power, 2) for power in (3, 1))
    moved = high.above.where(high.above < high.above.quantile(TOP), torch.tensor(0.9).double())
    first, second, third = (
        calibrate(result, sbm, split, folds=folds) for folds in (high, low, FoldLinks(moved, 2))
    )
    best = PairScorer(result, sbm, split.message_edge_index).logits(split.test.pos).max()
    assert first.probability(best) > second.probability(best)
    assert third.probability(best) > second.probability(best)
    assert first.folds == 2
    assert calibrate(result, sbm, split).folds == 0


def test_folds_are_for_a_spline_alone(sbm):
    split = split_links(sbm)
    result = fit(sbm, split, recipe=PAPER.override({"epochs": 1}), progress=False)
    with pytest.raises(UsageError, match="for the method 'spline', got 'isotonic'") as error:
        calibrate(result, sbm, split, method="isotonic", folds=FoldLinks(torch.rand(9), 1))
    assert error.value.code == "FOLDS"
    balanced = calibrate(result, sbm, split, prior="balanced", folds=FoldLinks(torch.rand(9), 1))
    assert (balanced.method, balanced.log_odds_shift) == ("spline", 0)
