import numpy as np
import pytest
import torch

from vgae.data.planetoid import NodeSplit
from vgae.errors import DataError, NumericalError, UsageError, VgaeError
from vgae.evaluation.tasks import classify_nodes, cluster_nodes

EVALUATIONS = [classify_nodes, cluster_nodes]


def blobs(spread, per_class=60, num_classes=3, seed=0):
    """Classes around the corners of a cube, in turn: node i is of class i mod C."""
    rng = np.random.default_rng(seed)
    y = np.tile(np.arange(num_classes), per_class)
    return 10 * np.eye(num_classes)[y] + spread * rng.normal(size=(len(y), num_classes)), y


def split_of(train, val, test):
    return NodeSplit(*(torch.as_tensor(part) for part in (train, val, test)))


SPLIT = split_of(range(60), range(60, 100), range(100, 180))


def test_blobs_far_apart_are_told_apart():
    scores = classify_nodes(*blobs(0.1), public=SPLIT)
    assert scores.public == scores.random == (1, 0, 1, 0)
    assert cluster_nodes(*blobs(0.1)) == (1, 1, 1)


def test_labels_drawn_at_random_are_told_apart_by_chance_only():
    embedding, y = blobs(1.0, per_class=400)
    y = np.random.default_rng(1).permutation(y)
    scores = classify_nodes(embedding, y)
    # The test nodes of all splits are of 1,200; three deviations of the mean share of 1 / 3.
    assert abs(scores.random.accuracy - 1 / 3) < 0.05
    assert scores.random.macro_f1 < 0.4
    acc, nmi, ari = cluster_nodes(embedding, y)
    assert 1 / 3 <= acc < 0.4
    assert nmi < 0.01
    assert abs(ari) < 0.01


def test_scores_equal_those_counted_by_hand():
    """On a line at 0 and 9: train 0, 9; val 0, 9; test 0, 0, 9, 9 of classes 0, 1, 1, 1.

    Predicted are 0, 0, 1, 1: accuracy 3 / 4, F1 of class 0 is 2 / 3, that of class 1 is 4 / 5.
    """
    embedding = np.array([0, 9, 0, 9, 0, 0, 9, 9.0])[:, None]
    y = np.array([0, 1, 0, 1, 0, 1, 1, 1])
    scores = classify_nodes(embedding, y, public=split_of([0, 1], [2, 3], [4, 5, 6, 7]))
    assert scores.public == pytest.approx((3 / 4, 0, (2 / 3 + 4 / 5) / 2, 0))
    # The clusters are the places: 7 of 8 nodes lie where their class is.
    assert cluster_nodes(embedding, y).acc == 7 / 8


@pytest.mark.parametrize("rename", [[2, 0, 1], [7, 30, 11]])
def test_the_numbers_of_classes_do_not_matter(rename):
    embedding, y = blobs(4.0)
    renamed = np.array(rename)[y]
    one, other = (cluster_nodes(embedding, labels) for labels in (y, renamed))
    assert one == pytest.approx(other)
    assert 0.5 < one.acc < 1
    one, other = (classify_nodes(embedding, labels, public=SPLIT) for labels in (y, renamed))
    assert one.public == pytest.approx(other.public)


def test_labels_of_test_nodes_do_not_reach_the_predictions():
    """Exchanged on the test nodes, two labels turn every hit into a miss and back."""
    embedding, y = blobs(8.0, per_class=90, num_classes=2)
    exchanged = np.where(np.arange(180) >= 100, 1 - y, y)
    one = classify_nodes(embedding, y, public=SPLIT).public
    other = classify_nodes(embedding, exchanged, public=SPLIT).public
    assert one is not None
    assert other is not None
    assert 0.5 < one.accuracy < 1
    assert one.accuracy + other.accuracy == pytest.approx(1)


def test_embeddings_of_test_nodes_do_not_reach_the_scaler_and_the_model():
    """However far away half of the test nodes lie, the other half is predicted alike."""
    embedding, y = blobs(6.0)
    moved = embedding.copy()
    moved[140:] *= -1e6
    near, far, both = (
        classify_nodes(moved, y, public=SPLIT._replace(test=torch.arange(*part))).public
        for part in ((100, 140), (140, 180), (100, 180))
    )
    unmoved = classify_nodes(embedding, y, public=SPLIT._replace(test=torch.arange(100, 140)))
    assert near is not None
    assert far is not None
    assert both is not None
    assert near == unmoved.public
    assert near.accuracy + far.accuracy == pytest.approx(2 * both.accuracy)


@pytest.mark.parametrize("truth", [0, 1])
def test_the_penalty_is_the_one_that_does_best_on_the_validation_nodes(truth):
    """One node of class 0 at -1 and nine of class 1 at 1 are learnt from.

    Under a strong penalty all are of class 1, under a weak one those at -1 are of class 0: what
    a test node at -1 is taken for is for the validation nodes there to say.
    """
    embedding = np.array([-1] + [1] * 9 + [-1] * 3)[:, None]
    y = np.array([0] + [1] * 9 + [truth] * 2 + [0])
    scores = classify_nodes(embedding, y, public=split_of(range(10), [10, 11], [12]))
    assert scores.public is not None
    assert scores.public.accuracy == 1 - truth


def test_one_seed_gives_one_result_and_leaves_the_global_generators_alone():
    embedding, y = blobs(6.0)
    np.random.seed(3)  # noqa: NPY002
    torch.manual_seed(3)
    expected = np.random.random(), torch.rand(()).item()  # noqa: NPY002
    np.random.seed(3)  # noqa: NPY002
    torch.manual_seed(3)
    results = [
        [evaluate(embedding, y, seed=seed) for evaluate in EVALUATIONS] for seed in (5, 5, 6)
    ]
    assert (np.random.random(), torch.rand(()).item()) == expected  # noqa: NPY002
    assert results[0] == results[1]
    assert results[0][0] != results[2][0]


def test_arrays_and_tensors_give_the_same():
    embedding, y = blobs(6.0)
    z = torch.from_numpy(embedding).requires_grad_()
    for evaluate in EVALUATIONS:
        assert evaluate(embedding, y) == evaluate(z, torch.from_numpy(y))


def test_nodes_of_unknown_class_are_not_used_by_the_classifier():
    """Wherever they lie, the scores are the same, on a given split and on random ones."""
    embedding, y = blobs(6.0)
    y[::4] = -1
    moved = np.where((y < 0)[:, None], 1e6, embedding)
    scores = classify_nodes(embedding, y, public=SPLIT)
    assert classify_nodes(moved, y, public=SPLIT) == scores
    assert (
        scores.public
        == classify_nodes(
            embedding, y, public=split_of(*(part[y[part] >= 0] for part in SPLIT))
        ).public
    )


def test_nodes_of_unknown_class_are_clustered_but_not_scored():
    embedding, y = blobs(0.1)
    known = y.copy()
    known[::4] = -1
    assert cluster_nodes(embedding, known) == (1, 1, 1)
    # A far blob of unknown nodes takes one of two clusters, the known ones share the other.
    known = np.where(y == 2, -1, y)
    far = embedding + 1000 * (y == 2)[:, None]
    assert cluster_nodes(far, known) == pytest.approx((0.5, 0, 0))


def test_small_classes_keep_half_of_their_nodes_for_validation_and_test():
    """Of 2 * 4 nodes 2 + 2 train, so 2 and 2 are left, and one class lies where no other does."""
    embedding, y = blobs(0.1, per_class=4, num_classes=2)
    assert classify_nodes(embedding, y).random == (1, 0, 1, 0)


def test_what_is_learnt_by_heart_does_not_help():
    """Where each node lies on an axis of its own, only training nodes could be told apart."""
    assert classify_nodes(np.eye(80), np.arange(80) % 2).random.accuracy < 0.6


@pytest.mark.parametrize(
    ("counts", "num_test"),
    [
        # Of 180 nodes 60 train; the other 120 are enough, or halved.
        ({"num_val": 50, "num_test": 7}, 7),
        ({"num_val": 100, "num_test": 20}, 20),
        ({"num_val": 100, "num_test": 21}, 60),
        # 20 a class is less than half of 60; all others can be asked for.
        ({"num_val": 1, "num_test": 119}, 119),
        ({"num_val": 1, "num_test": 173, "train_per_class": 2}, 173),
    ],
)
def test_random_splits_have_the_shape_that_is_asked_for(counts, num_test):
    """An accuracy is a whole number of test nodes over their number."""
    scores = [classify_nodes(*blobs(6.0), num_splits=1, seed=k, **counts) for k in range(3)]
    hits = np.array([score.random.accuracy * num_test for score in scores])
    np.testing.assert_allclose(hits, hits.round(), atol=1e-9)


@pytest.mark.parametrize("count", ["num_splits", "train_per_class", "num_val", "num_test"])
def test_counts_below_one_are_refused(count):
    with pytest.raises(UsageError, match="must be positive"):
        classify_nodes(*blobs(1.0), **{count: 0})


def test_one_split_deviates_by_nothing():
    scores = classify_nodes(*blobs(6.0), num_splits=1).random
    assert scores.accuracy_deviation == scores.macro_f1_deviation == 0 < scores.accuracy


def test_a_collapsed_embedding_is_evaluated_without_a_warning():
    _, y = blobs(1.0)
    assert classify_nodes(np.zeros((180, 4)), y).random.accuracy < 0.5
    assert cluster_nodes(np.zeros((180, 4)), y) == pytest.approx((1 / 3, 0, 0))


@pytest.mark.parametrize("evaluate", EVALUATIONS)
@pytest.mark.parametrize(
    ("change", "error", "code", "words"),
    [
        ({"y": None}, DataError, "NO_LABELS", "the graph has no labels"),
        ({"y": np.full(180, -1)}, DataError, "NO_LABELS", "the graph has no labels, which"),
        ({"y": np.full(180, 4)}, DataError, "ONE_CLASS", "got only 4"),
        ({"y": np.zeros(180)}, DataError, "LABELS", "float64"),
        ({"y": np.arange(9)}, DataError, "LABELS", r"of shape \(180,\), got shape \(9,\)"),
        ({"embedding": np.zeros(180)}, DataError, "EMBEDDING_SHAPE", r"shape \(N, d\)"),
        ({"embedding": np.zeros((180, 0))}, DataError, "EMBEDDING_SHAPE", r"\(180, 0\)"),
        ({"embedding": np.full((180, 2), "a")}, DataError, "EMBEDDING_SHAPE", "numbers"),
        (
            {"embedding": np.full((180, 2), np.nan)},
            NumericalError,
            "EMBEDDING_NONFINITE",
            "of node 0",
        ),
        ({"embedding": np.eye(180) * 1e40}, NumericalError, "EMBEDDING_NONFINITE", "180 rows"),
        ({"seed": -1}, UsageError, "SEED_RANGE", "seed"),
    ],
)
def test_what_cannot_be_evaluated_is_refused_in_one_line(evaluate, change, error, code, words):
    embedding, y = blobs(1.0)
    with pytest.raises(error, match=words) as caught:
        evaluate(**({"embedding": embedding, "y": y} | change))
    assert caught.value.code == code
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"train": [0, 1, 1]}, "must be distinct integers"),
        ({"test": [0, 150]}, "must be distinct integers"),
        ({"val": [180]}, r"in \[0, 180\)"),
        ({"val": [-1]}, r"in \[0, 180\)"),
        ({"val": [70.0]}, "integers"),
        ({"val": np.zeros(0, dtype=int)}, "nodes of known class in val and test"),
        ({"train": [0, 3]}, "two classes"),
    ],
)
def test_a_split_that_cannot_be_used_is_refused(change, words):
    parts = {name: torch.as_tensor(part) for name, part in change.items()}
    with pytest.raises(VgaeError, match=words) as caught:
        classify_nodes(*blobs(1.0), public=SPLIT._replace(**parts))
    assert caught.value.code == "NODE_SPLIT"


def test_classes_of_one_node_each_cannot_be_trained_and_tested():
    with pytest.raises(DataError, match="too few labels"):
        classify_nodes(np.eye(4), np.arange(4))
