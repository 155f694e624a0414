import math

import torch
from torch_geometric.nn import GCNConv

from vgae.encoders import LinearGCNEncoder
from vgae.gaussian import PointMass
from vgae.kernels.csr import gcn_norm

EDGES = torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]])


def test_it_equals_one_gcnconv_layer_per_head(generator):
    encoder = LinearGCNEncoder(4, 3, generator=generator)
    x = torch.rand(5, 4, generator=generator)
    q = encoder(x, EDGES)
    for columns, head in ((slice(0, 3), q.mu), (slice(3, 6), q.logvar / 2)):
        layer = GCNConv(4, 3)
        layer.lin.weight.data.copy_(encoder.conv.weight[:, columns].T)
        torch.testing.assert_close(head, layer(x, EDGES), atol=1e-6, rtol=1e-5)


def test_prepared_inputs_and_no_features_give_the_same(generator):
    encoder = LinearGCNEncoder(5, 3, posterior=PointMass, bias=False, generator=generator)
    expected = encoder(torch.eye(5), EDGES).mu
    torch.testing.assert_close(encoder(None, EDGES).mu, expected)
    torch.testing.assert_close(encoder(*encoder.prepare(None, EDGES)).mu, expected)


def test_with_messages_of_one_length_it_is_the_encoder_of_vgnae(generator):
    x = torch.rand(5, 4, generator=generator)
    encoder = LinearGCNEncoder(4, 3, latent_norm=1.8, generator=generator)
    h = x @ encoder.conv.weight[:, :3]
    expected = gcn_norm(EDGES, 5).to_dense() @ (1.8 * h / h.norm(dim=1, keepdim=True))
    torch.testing.assert_close(encoder(x, EDGES).mu, expected)
    for masked in (False, True):
        torch.testing.assert_close(encoder(*encoder.prepare(x, EDGES, masked=masked)).mu, expected)


def test_it_drops_features_in_training(generator):
    x = torch.rand(5, 4, generator=generator)
    encoder = LinearGCNEncoder(4, 3, dropout=0.5, generator=generator)
    inputs = encoder.prepare(x, EDGES)
    assert not torch.equal(encoder(*inputs).mu, encoder(*inputs).mu)
    assert torch.equal(encoder.eval()(*inputs).mu, encoder(*inputs).mu)


def test_degrees_are_more_columns_of_x_here_too(generator):
    x = torch.rand(5, 4, generator=generator)
    encoder = LinearGCNEncoder(4, 3, degrees=True, generator=generator)
    columns = torch.zeros(5, 16)
    columns[[0, 2], 1] = 1  # one neighbour
    columns[1, 1:3] = torch.tensor([2 - math.log2(3), math.log2(3) - 1])  # two
    columns[3:, 0] = 1
    h = x @ encoder.conv.weight + columns @ encoder.conv.degree_weight
    expected = (gcn_norm(EDGES, 5).to_dense() @ h)[:, :3]
    for masked in (False, True):
        torch.testing.assert_close(encoder(*encoder.prepare(x, EDGES, masked=masked)).mu, expected)
