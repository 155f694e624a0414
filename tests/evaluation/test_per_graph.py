"""Tests of the averages over graphs against scikit-learn, one graph at a time."""

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, roc_auc_score

from vgae.errors import NumericalError
from vgae.evaluation.per_graph import averages_per_graph


@pytest.mark.parametrize("num_scores", [3, 1000])
def test_averages_are_those_of_each_graph(num_scores):
    rng = np.random.default_rng(0)
    batch, label = rng.integers(0, 40, 400) * 3, rng.integers(0, 2, 400)
    scores = rng.integers(0, num_scores, 400) / 7 + label
    label[batch == 6], label[batch == 9] = 0, 1  # these have one class only
    own = [batch == g for g in np.unique(batch) if 0 < label[batch == g].mean() < 1]
    found = averages_per_graph(*map(torch.from_numpy, (scores, label, batch)))
    assert found is not None
    assert found.num_graphs == len(own) < 40
    auc = np.mean([roc_auc_score(label[k], scores[k]) for k in own])
    ap = np.mean([average_precision_score(label[k], scores[k]) for k in own])
    assert found.auc == pytest.approx(auc, abs=1e-12)
    assert found.ap == pytest.approx(ap, abs=1e-12)
    names = {"auc_per_graph": found.auc, "ap_per_graph": found.ap}
    assert found.to_dict() == {**names, "num_graphs_scored": len(own)}


def test_what_pools_well_may_rank_nothing_within_graphs():
    batch = torch.tensor([0, 0, 0, 0, 1, 1, 1, 1])
    scores = torch.tensor([5.0, 5, 5, 5, 1, 1, 1, 1])
    label = torch.tensor([1, 1, 1, 0, 0, 0, 0, 1])
    found = averages_per_graph(scores, label, batch)
    assert found is not None
    assert found == (0.5, 0.5, 2)
    assert roc_auc_score(label, scores) == 0.75


def test_without_a_graph_of_both_classes_there_are_none():
    assert averages_per_graph(torch.ones(2), torch.tensor([0, 1]), torch.tensor([0, 1])) is None
    with pytest.raises(NumericalError):
        averages_per_graph(torch.tensor([1, torch.nan]), torch.tensor([0, 1]), torch.zeros(2))
