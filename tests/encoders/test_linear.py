import torch
from torch_geometric.nn import GCNConv

from vgae.encoders import LinearGCNEncoder
from vgae.gaussian import PointMass

EDGES = torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]])


def test_it_equals_one_gcnconv_layer_per_head(generator):
    encoder = LinearGCNEncoder(4, 3, generator=generator)
    x = torch.rand(5, 4, generator=generator)
    q = encoder(x, EDGES)
    for columns, head in ((slice(0, 3), q.mu), (slice(3, 6), q.logvar / 2)):
        layer = GCNConv(4, 3)
        layer.lin.weight.data.copy_(encoder.weight[:, columns].T)
        torch.testing.assert_close(head, layer(x, EDGES), atol=1e-6, rtol=1e-5)


def test_prepared_inputs_and_no_features_give_the_same(generator):
    encoder = LinearGCNEncoder(5, 3, posterior=PointMass, bias=False, generator=generator)
    expected = encoder(torch.eye(5), EDGES).mu
    torch.testing.assert_close(encoder(None, EDGES).mu, expected)
    torch.testing.assert_close(encoder(*encoder.prepare(None, EDGES)).mu, expected)
