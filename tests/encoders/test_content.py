"""Tests of latent dimensions that compare features: values, widths, extreme features."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from vgae.encoders import GCNEncoder, content
from vgae.encoders.content import Content, content_weights, trained_dimensions
from vgae.gaussian import DiagGaussian, PointMass
from vgae.graphs.graph import Graph
from vgae.kernels import SparseOperator
from vgae.kernels.csr import gcn_norm
from vgae.runtime import mapped

EDGES = torch.tensor([[0, 1, 1, 2, 2, 3], [1, 0, 2, 1, 3, 2]])  # a path, and nodes without links
LOOPS = 2.0


def words(num_nodes=12, num_features=7, rate=0.3):
    """Return sparse features: one of all nodes, one of none, and a node without features."""
    x = (np.random.default_rng(0).random((num_nodes, num_features)) < rate).astype(np.float32)
    x[:, 0], x[:, 1], x[2] = 1, 0, 0
    return x


def messages(num_nodes, dtype=torch.float32):
    return SparseOperator.symmetric(
        gcn_norm(EDGES, num_nodes, self_loop_weight=LOOPS, dtype=dtype)
    )


def fixed(x, width, norm=10.0):
    """Return the content of features, with its weights."""
    found = content_weights(x, EDGES, width, LOOPS)
    part = Content(x.shape[1], found["weight"].shape[1], norm)
    part.load_state_dict(found)
    return part


def unit_rows(x):
    """Return the weighted features with rows of length 1, and the messages, dense float64."""
    count = (x != 0).sum(axis=0)
    weight = np.log(len(x) / np.maximum(count, 1)) * (count > 0)
    values = x.astype(np.float64) * weight
    length = np.linalg.norm(values, axis=1, keepdims=True)
    values = np.divide(values, length, out=np.zeros_like(values), where=length > 0)
    return values, messages(len(x), torch.float64).matrix.to_dense().numpy()


def csr(x):
    return Graph.from_edges(EDGES, num_nodes=len(x), x=sp.csr_array(x)).x


@pytest.mark.parametrize("form", ["sparse", "dense", "operator"])
def test_they_are_the_average_of_the_weighted_features(form):
    x = words()
    values, adj = unit_rows(x)
    features = torch.from_numpy(x) if form == "dense" else csr(x)
    part = fixed(features, 512)
    features = SparseOperator.of(features) if form == "operator" else features
    mu = torch.rand(12, 3)
    found, logstd = part((mu, mu), features, messages(12))
    assert found.shape == logstd.shape == (12, 10)
    wanted = torch.from_numpy(10 * adj @ adj @ values).float()
    torch.testing.assert_close(found[:, :7], wanted, rtol=1e-4, atol=1e-5)
    assert torch.equal(found[:, 7:], mu)
    assert part((mu,), features, messages(12))[0].equal(found)


def test_fewer_columns_keep_the_largest_singular_values():
    x = words(40, 30)
    values, adj = unit_rows(x)
    *_, vectors = np.linalg.svd(adj @ values)
    (found,) = fixed(csr(x), 8)((torch.zeros(40, 0),), csr(x), messages(40))
    product = 10 * adj @ adj @ values @ vectors[:8].T
    wanted = torch.from_numpy(product @ product.T).float()
    torch.testing.assert_close(found @ found.T, wanted, rtol=0, atol=0.1)  # of up to 100


def test_width_is_at_most_that_of_features_and_nodes_and_falls_with_size(monkeypatch):
    def width(num_nodes, num_features, most):
        x = words(num_nodes, num_features)
        return content_weights(csr(x), EDGES, most, LOOPS)["weight"].shape

    assert width(12, 7, 512) == (7, 7)
    assert width(12, 90, 50) == (90, 12)
    assert width(40, 90, 25) == (90, 25)
    monkeypatch.setattr(content, "_MOST_WEIGHTS", 90 * 20)
    assert width(40, 90, 25) == (90, 20)
    monkeypatch.setattr(content, "_MOST_ENTRIES", 40 * 18)
    assert width(40, 90, 25) == (90, 18)


def test_a_node_without_telling_features_has_zeros():
    x = words()
    x[5] = 0
    x[5, 0] = 1  # which all nodes but one have
    x[2] = 0
    x[:, 0] = 1
    (found,) = fixed(csr(x), 512)((torch.zeros(12, 0),), csr(x), messages(12))
    assert found.isfinite().all()
    assert torch.equal(found[5], torch.zeros(7))
    assert found[7].norm() > 1


@pytest.mark.parametrize("x", [np.zeros((9, 5)), np.ones((9, 5)), np.zeros((9, 30))])
def test_features_that_tell_nothing_have_no_rarity(x):
    found = content_weights(csr(x.astype(np.float32)), EDGES, 16, LOOPS)
    assert not found["rarity"].any()
    assert not found["weight"].any()


def test_counts_are_weighted_and_fractions_are_not():
    x = words() * np.random.default_rng(1).integers(1, 5, (12, 7)).astype(np.float32)
    count = np.maximum((x != 0).sum(axis=0), 1)
    wanted = np.log(12 / count) * (x != 0).any(axis=0)
    for features in (csr(-x), torch.from_numpy(x)):
        rarity = content_weights(features, EDGES, 16, LOOPS)["rarity"]
        np.testing.assert_allclose(rarity, wanted, rtol=1e-6)
    for features in (csr(x / 3), torch.from_numpy(x / 3)):
        rarity = content_weights(features, EDGES, 16, LOOPS)["rarity"]
        assert rarity.tolist() == [1, 0, 1, 1, 1, 1, 1]


def test_features_in_a_file_have_the_same_weights(monkeypatch):
    monkeypatch.setattr(mapped, "BLOCK", 4 * 30 * 7)
    x = words(40, 30)
    in_file = mapped.tensor_of(mapped.spilled((40, 30), [x]))
    assert mapped.is_mapped(in_file)
    wanted = content_weights(csr(x), EDGES, 8, LOOPS)
    found = content_weights(in_file, EDGES, 8, LOOPS)
    for name in wanted:
        torch.testing.assert_close(found[name], wanted[name], rtol=1e-4, atol=1e-5)


def test_they_are_absent_in_training_and_stored_with_the_model():
    encoder = GCNEncoder(7, 6, 4, content=(3, 5.0))
    encoder.content.load_state_dict(content_weights(csr(words()), EDGES, 3, LOOPS))
    x = csr(words())
    assert encoder.train()(x, EDGES).mu.shape == (12, 4)
    q = encoder.eval()(x, EDGES)
    assert q.mu.shape == (12, 7)
    assert not [name for name, _ in encoder.named_parameters() if "content" in name]
    encoder.content.weight.zero_()
    assert torch.equal(encoder(x, EDGES).mu[:, 3:], q.mu[:, 3:])
    assert encoder.config()["content"] == 3
    assert encoder.config()["content_norm"] == 5


def test_trained_dimensions_are_the_others():
    encoder, mu = GCNEncoder(7, 6, 4, content=(3, 5.0)), torch.rand(12, 7)
    q = DiagGaussian(mu, -mu)
    found = trained_dimensions(encoder, q)
    assert torch.equal(found.mu, mu[:, 3:])
    assert torch.equal(found.logvar, -mu[:, 3:])
    assert torch.equal(trained_dimensions(encoder, PointMass(mu)).mu, mu[:, 3:])
    assert trained_dimensions(GCNEncoder(7, 6, 4), q) is q
