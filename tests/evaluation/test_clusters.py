import importlib
import logging
import sys

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

import vgae
from vgae.errors import DataError, NumericalError, UsageError
from vgae.evaluation import _communities
from vgae.evaluation._mixture import fit_mixture

METHODS = ["auto", "kmeans", "mixture", "louvain"]


def blobs(sizes, d=6, noise=0.1, seed=0):
    """Vectors around the axes, and the axis of each."""
    y = np.repeat(np.arange(len(sizes)), sizes)
    rng = np.random.default_rng(seed)
    return 3 * np.eye(d)[y] + noise * rng.normal(size=(len(y), d)), y


def ring_of_cliques(count, size):
    """Cliques, each with one link to the next."""
    within = [
        (c * size + a, c * size + b) for c in range(count) for a in range(size) for b in range(a)
    ]
    across = [(c * size, ((c + 1) % count) * size + 1) for c in range(count)]
    return vgae.Graph.from_edges(np.array(within + across).T, num_nodes=count * size)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("k", [4, None])
def test_separate_groups_are_found(method, k):
    x, y = blobs([40, 30, 20, 10])
    found = vgae.cluster(x, k=k, method=method)
    assert found.k == 4
    assert adjusted_rand_score(y, found.labels) == 1
    assert found.labels.tolist() == y.tolist()  # numbered by falling size
    assert found.sizes.tolist() == [40, 30, 20, 10]
    assert found.labels.dtype == np.int64
    assert ((found.confidence > 0.5) & (found.confidence <= 1)).all()


@pytest.mark.parametrize("method", METHODS)
def test_seed_decides_and_scale_of_the_vectors_does_not(method):
    x, _ = blobs([30] * 4, noise=1.2)
    first, again, other = (vgae.cluster(x, k=3, method=method, seed=s) for s in (1, 1, 2))
    assert (first.labels == again.labels).all()
    assert (first.confidence == again.confidence).all()
    assert first.labels.shape == other.labels.shape
    longer = vgae.cluster(x * np.linspace(1, 5, len(x))[:, None], k=3, method=method, seed=1)
    assert adjusted_rand_score(first.labels, longer.labels) > 0.99


def test_mixture_discounts_uncertain_vectors():
    """Two close groups, and vectors of known large variance that mislead k-means."""
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 150)
    noise = np.where(rng.random(300) < 0.3, 25.0, 0.01)[:, None]
    x = np.where(y == 0, -1.0, 1.0)[:, None] + np.sqrt(noise) * rng.normal(size=(300, 1))
    certain = noise[:, 0] < 1
    q = vgae.DiagGaussian(torch.from_numpy(x), torch.from_numpy(np.log(noise)))
    found = vgae.cluster(q, k=2, method="mixture")
    k_means = KMeans(2, n_init=10, random_state=0).fit_predict(x)
    assert adjusted_rand_score(y[certain], found.labels[certain]) == 1
    assert adjusted_rand_score(y[certain], k_means[certain]) < 0.5
    assert found.confidence[certain].min() > 0.99
    assert found.confidence[~certain].mean() < 0.8


def test_mixture_recovers_its_parameters_below_the_noise():
    rng = np.random.default_rng(1)
    noise = rng.uniform(0.05, 0.5, size=(4000, 2))
    y = rng.random(4000) < 0.3
    z = np.where(y[:, None], [4.0, 0.0], [0.0, 0.0]) + [1.0, 0.5] * rng.normal(size=(4000, 2))
    found = fit_mixture(z + np.sqrt(noise) * rng.normal(size=(4000, 2)), noise, 2, 0)
    order = np.argsort(found.means[:, 0])
    np.testing.assert_allclose(found.weights[order], [0.7, 0.3], atol=0.02)
    np.testing.assert_allclose(found.means[order], [[0, 0], [4, 0]], atol=0.1)
    np.testing.assert_allclose(found.variances[order], [[1, 0.25]] * 2, atol=0.15)


def test_mixture_without_noise_has_the_likelihood_of_one_gaussian():
    x = np.random.default_rng(0).normal(size=(500, 3))
    found = fit_mixture(x, np.zeros_like(x), 1, 0)
    deviance = (np.log(2 * np.pi * x.var(axis=0)) + 1).sum() * len(x)
    assert found.bic == pytest.approx(deviance + 6 * np.log(500))


def test_links_alone_decide_between_a_few_nodes():
    graph = vgae.Graph.from_edges(np.array([[0, 2], [1, 3]]), num_nodes=4)
    found = vgae.cluster(np.ones((4, 2)), method="louvain", graph=graph)
    assert found.labels.tolist() == [0, 0, 1, 1]
    assert found.confidence.tolist() == [1, 1, 1, 1]
    assert found.scores == {1.0: 0.5}  # the modularity of two equal cliques


def test_weights_count_directions_of_neighbours_and_links():
    x = np.array([[0.0], [1.0], [3.0], [3.5], [10.0]])
    links = sp.csr_array((np.ones(2), ([1, 2], [2, 1])), shape=(5, 5))
    weights = np.zeros((5, 5))
    for u, v, weight in ((0, 1, 2), (2, 3, 2), (3, 4, 1), (1, 2, 1)):
        weights[[u, v], [v, u]] = weight
    np.testing.assert_array_equal(_communities._neighbour_graph(x, links).toarray(), weights)


@pytest.mark.parametrize("k", [2, 3, 6, 9])
def test_communities_of_a_given_number(k):
    x, y = blobs([30] * 6, noise=0.5)
    found = vgae.cluster(x, k=k, method="louvain")
    assert found.k == k
    if k <= 6:  # groups are merged, not cut
        assert all(len(np.unique(found.labels[y == group])) == 1 for group in range(6))


def test_auto_takes_louvain_for_graphs_of_neighbours(caplog):
    x, _ = blobs([20] * 3)
    few, many = ring_of_cliques(15, 4), ring_of_cliques(6, 10)
    with caplog.at_level(logging.INFO, "vgae"):
        assert vgae.cluster(x, k=3).method == "kmeans"
        assert vgae.cluster(x, k=3, graph=few).method == "kmeans"
        assert vgae.cluster(x, k=3, graph=many).method == "louvain"
    assert "no graph" in caplog.text
    assert "100.0 % of the nodes have 5 links" in caplog.text


def test_large_graphs_are_grouped_first(monkeypatch):
    monkeypatch.setattr(_communities, "MOST_NODES", 100)
    monkeypatch.setattr(_communities, "_GROUPS", 60)
    x, y = blobs([80, 70, 60])
    found = vgae.cluster(x, k=3, method="louvain")
    assert found.labels.tolist() == y.tolist()


def test_leiden_is_an_optional_package(monkeypatch):
    x, y = blobs([30, 20, 10])
    if importlib.util.find_spec("leidenalg"):
        assert vgae.cluster(x, method="leiden").labels.tolist() == y.tolist()
    monkeypatch.setitem(sys.modules, "igraph", None)
    with pytest.raises(UsageError, match="pip install igraph leidenalg") as raised:
        vgae.cluster(x, method="leiden")
    assert raised.value.code == "MISSING_PACKAGE"


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "x",
    [np.zeros((1, 3)), np.zeros((2, 3)), np.ones((5, 1)), np.eye(3), np.eye(3)[[0] * 9 + [1]]],
    ids=["one", "two equal", "constant", "all different", "one other"],
)
@pytest.mark.parametrize("k", [None, 1])
def test_few_and_equal_vectors(method, x, k):
    found = vgae.cluster(x, k=k, method=method)
    assert found.labels.shape == found.confidence.shape == (len(x),)
    assert found.sizes.sum() == len(x)
    assert k is None or found.k == 1
    assert ((found.confidence >= 0) & (found.confidence <= 1)).all()


def test_points_and_constant_columns_are_clustered_like_arrays():
    x, y = blobs([20, 15, 10])
    x = np.hstack([x, np.zeros((45, 2))]).astype(np.float32)
    for embedding in (x, torch.from_numpy(x), vgae.PointMass(torch.from_numpy(x))):
        for method in METHODS:
            assert vgae.cluster(embedding, k=3, method=method).labels.tolist() == y.tolist()


@pytest.mark.parametrize(
    ("options", "error", "code", "text"),
    [
        ({"k": 0}, UsageError, "K", "k must lie in [1, 9], the number of nodes, got 0"),
        ({"k": 10}, UsageError, "K", "k must lie in [1, 9], the number of nodes, got 10"),
        ({"k": 2.0}, UsageError, "K", "k must be an integer, got 2.0"),
        ({"k": True}, UsageError, "K", "k must be an integer, got True"),
        ({"method": "kmean"}, UsageError, "METHOD", "Did you mean kmeans?"),
        ({"seed": -1}, UsageError, "SEED_RANGE", "seed must lie in"),
        ({"embedding": np.ones(9)}, DataError, "EMBEDDING_SHAPE", "got shape (9,)"),
        ({"embedding": np.ones((9, 0))}, DataError, "EMBEDDING_SHAPE", "got shape (9, 0)"),
        ({"embedding": np.ones((0, 9))}, DataError, "EMBEDDING_SHAPE", "got shape (0, 9)"),
        ({"graph": ring_of_cliques(3, 4)}, DataError, "NODE_SET_MISMATCH", "the 12 nodes"),
    ],
)
def test_arguments_that_cannot_be_used(options, error, code, text):
    embedding = options.pop("embedding", np.eye(9))
    with pytest.raises(error) as raised:
        vgae.cluster(embedding, **options)
    assert raised.value.code == code
    assert text in str(raised.value)


@pytest.mark.parametrize("part", ["mu", "logvar"])
def test_vectors_that_are_not_finite_are_refused(part):
    arrays = {"mu": torch.zeros(4, 2), "logvar": torch.zeros(4, 2)}
    arrays[part][2, 1] = torch.nan
    with pytest.raises(NumericalError, match="got 1 rows that are not, first that of node 2"):
        vgae.cluster(vgae.DiagGaussian(**arrays), k=2)
