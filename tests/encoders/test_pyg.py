"""In PyG's auto-encoders the encoder means what it means here."""

import torch
from torch_geometric.nn import GAE, VGAE

from vgae import DiagGaussian, GCNEncoder, PointMass
from vgae.encoders import PyGEncoder


def test_vgae_of_pyg_has_our_posterior_and_kl(generator):
    edge_index = torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]])
    x = torch.rand(4, 3, generator=generator)
    encoder = GCNEncoder(3, 8, 2, generator=generator)
    theirs = VGAE(PyGEncoder(encoder)).eval()
    q = encoder(x, edge_index)
    assert torch.equal(theirs.encode(x, edge_index), q.mu)
    # Theirs is the mean over nodes.
    torch.testing.assert_close(theirs.kl_loss(), q.kl().mean())
    assert isinstance(q, DiagGaussian)
    theirs.train()
    noise = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    drawn = theirs.reparametrize(*PyGEncoder(encoder)(x, edge_index))
    torch.testing.assert_close(drawn, q.rsample(noise))


def test_gae_of_pyg_gets_the_means_alone_and_weights_reach_the_encoder(generator):
    edge_index, weight = torch.tensor([[0, 1], [1, 0]]), torch.tensor([3.0, 3.0])
    x = torch.rand(2, 3, generator=generator)
    encoder = GCNEncoder(3, 8, 2, posterior=PointMass, generator=generator)
    theirs = GAE(PyGEncoder(encoder))
    assert torch.equal(theirs.encode(x, edge_index, weight), encoder(x, edge_index, weight).mu)
    assert not torch.equal(theirs.encode(x, edge_index), encoder(x, edge_index, weight).mu)
