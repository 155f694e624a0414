import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.metrics import auc, average_precision_score, roc_auc_score
from torch.utils._python_dispatch import TorchDispatchMode

from vgae.errors import DataError, NumericalError, UsageError
from vgae.evaluation import metrics
from vgae.evaluation.metrics import (
    LinkScores,
    RankScores,
    _counted_scores,
    _resampled,
    auc_and_ap,
    bootstrap_intervals,
    curves,
    hits_at_k,
    link_scores,
    rank_scores,
    ranks_among,
)
from vgae.evaluation.reliability import probability_scores, reliability

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


# Zeros of both signs are equal, subnormal numbers of the dtype are not.
TIED = [0.0, -0.0, 1.0, -1.0, 6e-8, 1.2e-7, -6e-8, 1e-45, 3e-45, 5e-324, -5e-324, 3e38, 65504.0]
DTYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64]


def scores_of_scikit_learn(scores, labels):
    values = scores.double().numpy()
    return roc_auc_score(labels, values), average_precision_score(labels, values)


@given(
    st.lists(st.sampled_from(TIED), min_size=1, max_size=12),
    st.lists(st.sampled_from(TIED), min_size=1, max_size=12),
    st.sampled_from(DTYPES),
    st.randoms(use_true_random=False),
)
def test_ties_count_as_in_scikit_learn(pos, neg, dtype, random):
    pairs = [(score, 1) for score in pos] + [(score, 0) for score in neg]
    random.shuffle(pairs)
    scores, labels = torch.tensor(pairs, dtype=torch.float64).T
    scores = scores.clamp(-torch.finfo(dtype).max, torch.finfo(dtype).max).to(dtype)
    expected = scores_of_scikit_learn(scores, labels)
    assert link_scores(scores, labels) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize(
    ("dtype", "share"), [(torch.float16, 0.5), (torch.float32, 1e-6), (torch.float64, 0.5)]
)
def test_a_million_pairs_score_as_in_scikit_learn(dtype, share, generator):
    """With one link among them too; scores of 16 bits have many ties."""
    count = 1_000_000
    labels = torch.zeros(count)
    labels[: int(share * count)] = 1
    scores = (torch.randn(count, generator=generator) + labels).to(dtype)
    expected = scores_of_scikit_learn(scores, labels)
    assert link_scores(scores, labels) == pytest.approx(expected, rel=1e-12)


class Waits(TorchDispatchMode):
    """Operations for which a GPU is waited for."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name, kwargs = func.name().removeprefix("aten::").split(".")[0], kwargs or {}
        moves = name == "_to_copy" and "device" in kwargs
        if moves or name in ("_local_scalar_dense", "nonzero", "masked_select", "equal"):
            self.names.append(name)
        return func(*args, **kwargs)


@pytest.mark.parametrize("labels", [LABELS, LABELS * 2, torch.ones(6)])
@pytest.mark.parametrize("bad", [0.5, float("nan"), float("-inf")])
def test_scores_on_a_gpu_are_not_waited_for(labels, bad):
    """Not even to refuse them: they are NaN then."""
    scores = torch.tensor([bad, 0.1, 0.2, 0.3, 0.4, 0.6])
    with Waits() as waits:
        found = auc_and_ap(scores, labels)
    assert waits.names == []
    refused = bad != 0.5 or labels is not LABELS
    assert found.isnan().tolist() == [refused, refused]
    assert found.dtype == torch.float64


@pytest.mark.parametrize("labels", [torch.ones(3), torch.zeros(3), torch.empty(0)])
def test_one_class_is_refused_instead_of_scoring_one(labels):
    with pytest.raises(DataError, match="needs links and non-links") as error:
        link_scores(torch.rand(len(labels)), labels)
    assert error.value.code == "ONE_CLASS"


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_scores_that_are_not_finite_are_refused(bad):
    with pytest.raises(NumericalError, match="1 scores are not finite"):
        link_scores(torch.tensor([bad, 0, 0, 0, 0, 0]), LABELS)


METRICS = [link_scores, curves, bootstrap_intervals, probability_scores, reliability]


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(
    ("scores", "labels", "code"),
    [
        (torch.rand(3), torch.ones(4), "SCORE_SHAPE"),
        (torch.rand(2, 2), torch.ones(2, 2), "SCORE_SHAPE"),
        (torch.rand(3), torch.tensor([0, 1, 2]), "LABEL_VALUE"),
        (torch.rand(3), torch.tensor([0, 1, float("nan")]), "LABEL_VALUE"),
        (torch.rand(3), torch.zeros(3), "ONE_CLASS"),
        (torch.tensor([float("nan"), 0, 1]), torch.tensor([0, 1, 1]), "SCORES_NONFINITE"),
    ],
)
def test_every_score_refuses_the_same_input(metric, scores, labels, code):
    with pytest.raises((DataError, NumericalError)) as error:
        metric(scores, labels)
    assert error.value.code == code


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.bool, torch.int32])
def test_labels_may_be_of_any_type(dtype):
    assert link_scores(LABELS.to(torch.bfloat16), LABELS.to(dtype)) == LinkScores(1.0, 1.0)


def test_hits_worked_by_hand():
    # Of 0.9, 0.5, 0.1 the second non-link is 0.5: 0.6 and 0.8 are above it, the tie is not.
    pos, neg = torch.tensor([0.6, 0.5, 0.8, 0.2]), torch.tensor([0.1, 0.9, 0.5])
    assert [hits_at_k(pos, neg, k) for k in (1, 2, 3, 4)] == [0, 0.5, 1, 1]


@given(st.lists(st.integers(0, 9), min_size=1), st.lists(st.integers(0, 9)), st.integers(1, 20))
def test_hits_are_those_of_ogb(pos, neg, k):
    """The lines of ogb.linkproppred.Evaluator._eval_hits, ogb 1.3.6."""
    pos, neg = torch.tensor(pos).float(), torch.tensor(neg).float()
    if len(neg) < k:
        expected = 1.0
    else:
        kth_score_in_negative_edges = torch.topk(neg, k)[0][-1]
        expected = float(torch.sum(pos > kth_score_in_negative_edges)) / len(pos)
    assert hits_at_k(pos, neg, k) == pytest.approx(expected)


def test_hits_refuse_what_has_no_answer():
    with pytest.raises(UsageError, match="k must be at least 1, got 0"):
        hits_at_k(torch.ones(2), torch.ones(2), 0)
    with pytest.raises(DataError, match="P > 0"):
        hits_at_k(torch.ones(0), torch.ones(2), 1)
    with pytest.raises(NumericalError, match="1 scores are not finite"):
        hits_at_k(torch.tensor([float("nan")]), torch.ones(2), 1)


def test_ranks_worked_by_hand():
    pos = torch.tensor([3.0, 3, 3, 3])
    neg = torch.tensor([[1.0, 2], [4, 1], [3, 4], [3, 3]])
    ranks = ranks_among(pos, neg)
    assert ranks.tolist() == [1, 2, 2.5, 2]
    assert ranks.dtype == torch.float64


@given(st.integers(0, 2**32))
def test_the_mean_rank_tells_the_auc(seed):
    """Among shared non-links AUC = 1 - (mean rank - 1) / K, ties included."""
    generator = torch.Generator().manual_seed(seed)
    pos, neg = torch.randint(10, (2, 20), generator=generator).float()
    ranks = ranks_among(pos, neg.expand(20, 20))
    labels = torch.tensor([1, 0]).repeat_interleave(20)
    expected = link_scores(torch.cat([pos, neg]), labels).auc
    assert 1 - (float(ranks.mean()) - 1) / 20 == pytest.approx(expected)


def test_ranks_refuse_shapes_that_do_not_fit():
    with pytest.raises(DataError, match=r"neg \(P, K\), got \(2,\) and \(3, 4\)"):
        ranks_among(torch.ones(2), torch.ones(3, 4))


def test_rank_scores_worked_by_hand():
    # A rank between two places, 1.5, is no hit at 1.
    scores = rank_scores(torch.tensor([1.0, 1.5, 10, 50, 51, 1000]))
    mrr = (1 + 1 / 1.5 + 0.1 + 0.02 + 1 / 51 + 0.001) / 6
    assert scores == pytest.approx(RankScores(mrr, 1 / 6, 3 / 6, 4 / 6, 5 / 6))


@pytest.mark.parametrize("ranks", [torch.ones(0), torch.tensor([0.5, 2]), torch.ones(2, 2)])
def test_rank_scores_refuse_what_is_no_rank(ranks):
    with pytest.raises(DataError, match="ranks must be at least 1"):
        rank_scores(ranks)


def tied_pairs(num, seed=0):
    """As many links as non-links, links a little higher, with many ties."""
    rng = np.random.default_rng(seed)
    labels = np.repeat([1, 0], num)
    scores = np.round(rng.normal(labels, 1.0) * 4) / 4
    return torch.from_numpy(scores), torch.from_numpy(labels)


@pytest.mark.parametrize("seed", range(5))
def test_a_resample_is_scored_as_sklearn_scores_weighted_pairs(seed):
    scores, labels = tied_pairs(60)
    rng = np.random.default_rng(seed)
    # Many weights are zero, as in a resample; often those of the best pairs too.
    weight = rng.multinomial(60, rng.dirichlet(np.full(120, 0.3)))
    weight[[0, 119]] = 1
    distinct, group = np.unique(-scores.numpy(), return_inverse=True)
    assert len(distinct) < 40
    links, non_links = (
        np.bincount(group, weights=weight * (labels.numpy() == k), minlength=len(distinct))
        for k in (1, 0)
    )
    expected = [
        score(labels, scores, sample_weight=weight)
        for score in (roc_auc_score, average_precision_score)
    ]
    found = _counted_scores(links[None], non_links[None])
    np.testing.assert_allclose(found[:, 0], expected, rtol=1e-12)


def test_a_resample_keeps_the_number_and_favours_nobody():
    group = np.array([0, 0, 1, 3])
    counts = _resampled(group, np.random.default_rng(0), 5, 20_000)
    assert (counts.sum(axis=1) == 4).all()
    # Standard error of a mean count: at most 1 / sqrt(20,000) = 0.007.
    np.testing.assert_allclose(counts.mean(axis=0), [2, 1, 0, 1, 0], atol=0.035)


def test_intervals_are_those_of_a_plain_loop():
    """Resampled by indexing and evaluated by sklearn, with other random numbers."""
    scores, labels = tied_pairs(100)
    rng = np.random.default_rng(7)
    plain = []
    for _ in range(300):
        drawn = np.concatenate([rng.integers(100, size=100), 100 + rng.integers(100, size=100)])
        plain.append(link_scores(scores[drawn], labels[drawn]))
    expected = np.quantile(plain, [0.025, 0.975], axis=0)
    found = bootstrap_intervals(scores, labels)
    # A 2.5 % quantile of 300 draws has a standard error of 0.15 of their spread, here 0.005.
    np.testing.assert_allclose(np.array(found).T, expected, atol=0.02)


def test_intervals_hold_the_score_and_widen_with_the_level():
    scores, labels = tied_pairs(200)
    narrow, wide = (bootstrap_intervals(scores, labels, level=level) for level in (0.5, 0.99))
    for value, inner, outer in zip(link_scores(scores, labels), narrow, wide, strict=True):
        assert outer[0] < inner[0] < value < inner[1] < outer[1]


def test_intervals_depend_on_the_seed_alone():
    scores, labels = tied_pairs(50)
    shuffled = torch.randperm(100, generator=torch.Generator().manual_seed(0))
    assert bootstrap_intervals(scores, labels) == bootstrap_intervals(scores, labels)
    assert bootstrap_intervals(scores, labels) == bootstrap_intervals(3 * scores - 1, labels)
    assert bootstrap_intervals(scores, labels, seed=1) != bootstrap_intervals(scores, labels)
    moved = bootstrap_intervals(scores[shuffled], labels[shuffled])
    np.testing.assert_allclose(moved, bootstrap_intervals(scores, labels), atol=0.03)


@pytest.mark.parametrize("count", [1, 3, 9, 10, 200])
@pytest.mark.parametrize("level", [0.8, 0.95])
def test_a_perfect_ranking_has_the_exact_interval_of_equal_trials(count, level):
    labels = torch.tensor([1.0] * count + [0.0] * count)
    exact = binomtest(count, count).proportion_ci(confidence_level=level, method="exact")
    for interval in bootstrap_intervals(labels, labels, level=level):
        np.testing.assert_allclose(interval, (exact.low, exact.high), rtol=1e-9)
    low, high = bootstrap_intervals(-labels, labels, level=level).auc
    np.testing.assert_allclose((low, high), (0, 1 - exact.low), rtol=1e-9, atol=1e-12)


def test_few_links_or_non_links_are_not_resampled():
    """Three links above all non-links but one do not fix the AUC to a few per cent."""
    labels = torch.tensor([1.0] * 3 + [0.0] * 100)
    scores = torch.cat([torch.tensor([3.0, 2.0, 1.0]), torch.arange(100) / 99])
    auc = link_scores(scores, labels).auc
    low, high = bootstrap_intervals(scores, labels).auc
    assert low == pytest.approx(auc * 0.025 ** (1 / 3))
    assert high == pytest.approx(1 - (1 - auc) * 0.025 ** (1 / 3))
    few_others = bootstrap_intervals(-scores, 1 - labels)
    assert few_others.auc == pytest.approx((low, high))
    assert few_others.ap[0] > 0.9  # 100 links


def test_equal_scores_of_all_pairs_have_an_interval():
    scores, labels = torch.zeros(40), torch.tensor([1.0, 0.0]).repeat(20)
    (low, high), _ = bootstrap_intervals(scores, labels)
    assert low < 0.5 < high


def test_resampled_intervals_keep_their_values():
    scores, labels = tied_pairs(100)
    expected = [[0.72649375, 0.844655], [0.7333046674845213, 0.8443818283742077]]
    np.testing.assert_allclose(bootstrap_intervals(scores, labels), expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"level": 0.0}, "BOOTSTRAP_LEVEL"),
        ({"level": 95.0}, "BOOTSTRAP_LEVEL"),
        ({"num_resamples": 0}, "BOOTSTRAP_RESAMPLES"),
        ({"seed": -1}, "SEED_RANGE"),
    ],
)
def test_intervals_refuse_options_out_of_range(options, code):
    with pytest.raises(UsageError) as error:
        bootstrap_intervals(LABELS, LABELS, **options)
    assert error.value.code == code


def test_curves_enclose_the_areas_that_the_scores_name():
    scores, labels = tied_pairs(100)
    fpr, tpr, precision, recall = curves(scores, labels)
    expected = link_scores(scores, labels)
    assert auc(fpr, tpr) == pytest.approx(expected.auc)
    assert float(-(np.diff(recall) * precision[:-1]).sum()) == pytest.approx(expected.ap)
    assert len(precision) == len(recall) == len(np.unique(scores.numpy())) + 1


def test_many_pairs_are_resampled_in_groups_of_neighbouring_scores(monkeypatch):
    """The interval is that of all pairs within the error of a thousand resamples."""
    rng = np.random.default_rng(0)
    scores = torch.from_numpy(np.concatenate([rng.normal(1, 1, 3000), rng.normal(0, 1, 9000)]))
    label = torch.tensor([1] * 3000 + [0] * 9000)
    exact = bootstrap_intervals(scores, label)
    monkeypatch.setattr(metrics, "_MOST_RESAMPLED", 100)
    found = bootstrap_intervals(scores, label)
    for name in ("auc", "ap"):
        np.testing.assert_allclose(getattr(found, name), getattr(exact, name), atol=2e-3)
