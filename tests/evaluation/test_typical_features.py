import numpy as np
import pytest
import scipy.sparse as sp
import torch

from vgae.evaluation import typical_features as module
from vgae.evaluation.typical_features import contrast, typical_features
from vgae.graphs.arrays import torch_csr
from vgae.graphs.missing import filled, marked

LABELS = np.repeat([0, 1, 2], [40, 25, 15])


@pytest.fixture
def x():
    """Features: real with a large mean, 0/1, sparse counts, constant."""
    rng = np.random.default_rng(0)
    columns = [
        rng.normal(1990, 20, 80) + 15 * (LABELS == 1),
        rng.random(80) < 0.2 + 0.6 * (LABELS == 2),
        rng.poisson(0.3, 80),
        np.full(80, 0.1),
    ]
    return torch.from_numpy(np.stack(columns, axis=1).astype(np.float32))


def expected(x, labels, known=None):
    """Return Pearson's correlation of each feature with membership, by numpy."""
    x = x.double().numpy()
    known = np.ones(x.shape, bool) if known is None else known
    return np.array(
        [
            [
                np.corrcoef(column[k], labels[k] == g)[0, 1]
                for column, k in zip(x.T, known.T, strict=True)
            ]
            for g in range(labels.max() + 1)
        ]
    )


@pytest.mark.parametrize("block", [2**22, 21])
def test_a_correlation_is_that_of_numpy_in_blocks_and_sparse(x, block, monkeypatch):
    monkeypatch.setattr(module, "_BLOCK", block)
    sparse = torch_csr(sp.csr_array(x.numpy()))
    for form in (x, sparse):
        found = contrast(form, LABELS)
        np.testing.assert_allclose(found.correlation[:, :3], expected(x[:, :3], LABELS), rtol=1e-6)
        assert (found.correlation[:, 3] == 0).all()  # a constant
        np.testing.assert_allclose(found.mean[1], x[LABELS == 1].double().mean(0))
        np.testing.assert_allclose(found.mean_elsewhere[1], x[LABELS != 1].double().mean(0))


def test_missing_entries_are_left_out(x):
    gaps = np.random.default_rng(1).random(x.shape) < 0.2
    missing = marked(gaps)
    truth = expected(x[:, :3], LABELS, ~gaps[:, :3])
    dense = contrast(filled(x, missing), LABELS, missing)
    np.testing.assert_allclose(dense.correlation[:, :3], truth, rtol=1e-4)
    sparse = contrast(filled(torch_csr(sp.csr_array(x.numpy())), missing), LABELS, missing)
    np.testing.assert_allclose(sparse.correlation[:, :3], truth, rtol=1e-6)
    np.testing.assert_allclose(sparse.mean[0, 2], x[LABELS == 0, 2][~gaps[LABELS == 0, 2]].mean())


def test_the_order_is_that_of_cohens_d():
    rng = np.random.default_rng(0)
    values = torch.from_numpy(rng.random((80, 30)).astype(np.float32))
    inside, outside = values[LABELS == 0].double(), values[LABELS != 0].double()
    pooled = ((inside.var(0) * 39 + outside.var(0) * 39) / 78).sqrt()
    d = ((inside.mean(0) - outside.mean(0)) / pooled).numpy()
    assert contrast(values, LABELS).correlation[0].argsort().tolist() == d.argsort().tolist()


def test_a_feature_of_one_cluster_alone_has_correlation_one():
    """Forty nodes have it and forty do not: means 1 and 0, deviation 1/2, p = 1/2."""
    labels = np.repeat([0, 1], 40)
    x = torch.from_numpy((labels == 1).astype(np.float32))[:, None]
    first, second = typical_features(x, labels, names=("a",))
    assert first == []
    assert second == [("a", 1.0, 1.0, 0.0)]


def test_noise_is_not_typical_and_a_signal_comes_first(x):
    noise = torch.from_numpy(np.random.default_rng(2).random((80, 50)).astype(np.float32))
    assert typical_features(noise, LABELS) == [[], [], []]
    lists = typical_features(torch.cat([noise, x], dim=1), LABELS)
    assert [feature.name for feature in lists[2]] == ["51"]
    assert lists[2][0].mean > lists[2][0].mean_elsewhere


def test_a_single_cluster_and_no_features_have_nothing_typical(x):
    assert typical_features(x, np.zeros(80, int)) == [[]]
    assert typical_features(torch.zeros(80, 0), LABELS) == [[], [], []]
