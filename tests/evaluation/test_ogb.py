"""OGB's scores, by numbers that are worked out by hand."""

import pytest
import torch

from vgae.errors import DataError, NumericalError, UsageError
from vgae.evaluation.ogb import METRICS, ogb_evaluate

POS = torch.tensor([0.9, 0.5, 0.1])


def test_hits_at_k_are_above_the_kth_best_of_all_non_links():
    neg = torch.tensor([0.5, 0.2, 0.8, 0.5])
    # The second best is 0.5: only 0.9 is above it, a tie is no hit. The fourth is 0.2.
    assert ogb_evaluate("hits@1", POS, neg) == {"hits@1": pytest.approx(1 / 3)}
    assert ogb_evaluate("hits@2", POS, neg) == {"hits@2": pytest.approx(1 / 3)}
    assert ogb_evaluate("hits@4", POS, neg) == {"hits@4": pytest.approx(2 / 3)}
    assert ogb_evaluate("hits@5", POS, neg) == {"hits@5": 1.0}  # fewer than 5 non-links
    for name, k in (("ogbl-ddi", 20), ("ogbl-collab", 50), ("ogbl-ppa", 100)):
        many = torch.arange(200) / 200
        assert ogb_evaluate(name, POS, many) == ogb_evaluate(f"hits@{k}", POS, many)


def test_ranks_are_the_mean_of_the_best_and_the_worst():
    neg = torch.tensor([[0.1, 0.2, 0.3], [0.5, 0.9, 0.5], [0.2, 0.3, 0.1]])
    # Nothing above 0.9; 0.9 above 0.5, which two equal: 2 to 4; two above 0.1, one equal: 3 or 4.
    found = ogb_evaluate("mrr", POS, neg)
    assert found["mrr_list"].tolist() == pytest.approx([1, 1 / 3, 1 / 3.5])
    assert found["mrr_list"].dtype == torch.float32
    assert found["hits@1_list"].tolist() == [1, 0, 0]
    assert found["hits@3_list"].tolist() == [1, 1, 0]
    assert found["hits@10_list"].tolist() == [1, 1, 1]
    assert found.keys() == {"mrr_list", "hits@1_list", "hits@3_list", "hits@10_list"}
    assert torch.equal(ogb_evaluate("ogbl-citation2", POS, neg)["mrr_list"], found["mrr_list"])


def test_area_under_the_curve_counts_ties_half():
    # Of 6 pairs, 0.9 is above both, 0.5 above one and equal to one, 0.1 below both.
    assert ogb_evaluate("rocauc", POS, torch.tensor([0.5, 0.2])) == {"rocauc": 3.5 / 6}


def test_every_data_set_has_a_metric():
    for name, metric in METRICS.items():
        neg = torch.rand(3, 4) if metric == "mrr" else torch.rand(4)
        assert ogb_evaluate(name, POS, neg)


def test_what_cannot_be_scored_is_refused():
    with pytest.raises(UsageError, match=r"hits@K, mrr, .* Did you mean ogbl-collab\?") as caught:
        ogb_evaluate("ogbl-colab", POS, POS)
    assert caught.value.code == "METRIC"
    for metric in ("hits@0", "hits@", "hits@1.5", "auc"):
        with pytest.raises(UsageError, match="metric must be one of"):
            ogb_evaluate(metric, POS, POS)
    for metric, neg in (("mrr", POS), ("hits@3", POS[None]), ("rocauc", POS[None])):
        with pytest.raises(DataError, match="must have shape"):
            ogb_evaluate(metric, POS, neg)
    with pytest.raises(NumericalError):
        ogb_evaluate("rocauc", POS, torch.tensor([0.5, torch.nan]))
