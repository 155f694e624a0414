"""Tests of the relational graph convolutional encoder."""

import numpy as np
import pytest
import torch

from vgae.encoders.rgcn import Message, RelationalConvolution, RGCNEncoder, stacked
from vgae.errors import DataError
from vgae.gaussian import PointMass

NODES = 5
MESSAGES = [
    Message(torch.tensor([[0, 1, 2, 3], [1, 0, 1, 4]])),
    Message(torch.tensor([[4, 0], [2, 2]]), torch.tensor([1.0, 3.0])),
]


def dense(messages):
    """The averages as matrices, written with loops."""
    found = np.zeros((len(messages), NODES, NODES))
    for matrix, (edges, weight) in zip(found, messages, strict=True):
        for k, (source, target) in enumerate(edges.T.tolist()):
            matrix[target, source] += 1 if weight is None else float(weight[k])
        total = matrix.sum(1, keepdims=True)
        matrix /= np.where(total > 0, total, 1)
    return torch.from_numpy(found)


def test_messages_are_averages_of_each_relation():
    matrix = stacked(MESSAGES, NODES, dtype=torch.float64).matrix.to_dense()
    wanted = torch.cat([*dense(MESSAGES)], dim=1)
    assert torch.equal(matrix, wanted)
    assert matrix[2, NODES:].tolist() == [0.75, 0, 0, 0, 0.25]
    assert matrix[0].sum() == 1  # of node 1; the second relation sends node 0 nothing


@pytest.mark.parametrize("has_features", [True, False])
def test_a_layer_is_its_formula(has_features):
    generator = torch.Generator().manual_seed(0)
    layer = RelationalConvolution(3 if has_features else NODES, 4, 2, 2, generator=generator)
    layer = layer.double()
    x = torch.randn(NODES, 3, dtype=torch.float64, generator=generator) if has_features else None
    (h,) = layer(x, stacked(MESSAGES, NODES, dtype=torch.float64))
    x = torch.eye(NODES, dtype=torch.float64) if x is None else x
    first, second, own = layer.weight.chunk(3, dim=1)
    wanted = x @ own + layer.bias
    for coefficients, average in zip(layer.coefficients, dense(MESSAGES), strict=True):
        wanted = wanted + average @ x @ (coefficients[0] * first + coefficients[1] * second)
    torch.testing.assert_close(h, wanted)


def test_the_encoder_does_not_see_the_order_of_nodes():
    encoder = RGCNEncoder(3, 8, 2, messages=["a", "b"]).double().eval()
    x, order = torch.randn(NODES, 3).double(), torch.tensor([3, 1, 4, 0, 2])
    moved = [Message(order.argsort()[edges], weight) for edges, weight in MESSAGES]
    q, again = encoder(x, MESSAGES), encoder(x[order], moved)
    torch.testing.assert_close(again.mu, q.mu[order])
    torch.testing.assert_close(again.logvar, q.logvar[order])


@pytest.mark.parametrize("layout", ["dense", "sparse", "none"])
def test_prepared_arguments_give_the_same_and_all_weights_learn(layout):
    encoder = RGCNEncoder(NODES if layout == "none" else 3, 8, 2, messages=["a", "b"], bases=1)
    x = None if layout == "none" else torch.rand(NODES, 3).round()
    given = x.to_sparse_csr() if layout == "sparse" else x
    mu = encoder(*encoder.prepare(given, MESSAGES)).mu
    torch.testing.assert_close(mu, encoder(x, MESSAGES).mu)
    q = encoder(x, MESSAGES)
    (q.mu.square().sum() + q.logvar.sum()).backward()
    assert all(bool(p.grad.abs().sum() > 0) for p in encoder.parameters())


def test_dropout_is_of_training_alone():
    encoder = RGCNEncoder(3, 8, 2, messages=["a", "b"], dropout=(0.5, 0.5), posterior=PointMass)
    encoder.generator = torch.Generator().manual_seed(0)
    x = torch.rand(NODES, 3)
    assert not torch.equal(encoder(x, MESSAGES).mu, encoder(x, MESSAGES).mu)
    encoder.eval()
    assert torch.equal(encoder(x, MESSAGES).mu, encoder(x, MESSAGES).mu)


def test_bad_options_and_messages_are_refused():
    for options in ({"messages": []}, {"messages": ["a"], "bases": 2}, {"messages": "ab"}):
        with pytest.raises(ValueError, match="messages"):
            RGCNEncoder(3, **options)
    with pytest.raises(ValueError, match="activation"):
        RGCNEncoder(3, messages=["a"], activation="tanh")
    with pytest.raises(ValueError, match="dropout"):
        RGCNEncoder(3, messages=["a"], dropout=(1.0, 0.0))
    with pytest.raises(DataError, match="2 kinds of messages, a, b; got 1"):
        RGCNEncoder(3, messages=["a", "b"])(torch.rand(NODES, 3), MESSAGES[:1])
