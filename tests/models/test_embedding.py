import pytest
import torch
from torch_geometric.nn import GCNConv

import vgae
from vgae.decoders import InnerProductDecoder, MLPGenerator
from vgae.encoders import GCNEncoder
from vgae.gaussian import DiagGaussian, PointMass
from vgae.models.embedding import embed
from vgae.recipes import PAPER
from vgae.vae import VAE


@pytest.mark.parametrize("posterior", [DiagGaussian, PointMass])
def test_it_is_the_encoder_on_all_links_unless_others_are_given(two_cliques, posterior):
    encoder = GCNEncoder(12, 8, 3, posterior=posterior)
    model = VAE(encoder, InnerProductDecoder())
    x, edge_index = two_cliques.x, two_cliques.edge_index
    torch.testing.assert_close(embed(model, two_cliques).mu, encoder(x, edge_index).mu)
    fewer = edge_index[:, edge_index.sum(0) != 11]  # without the bridge 5 - 6
    got = embed(model, two_cliques, fewer)
    assert isinstance(got, posterior)
    torch.testing.assert_close(got.mu, encoder(x, fewer).mu)


def test_it_is_repeatable_tracks_no_gradient_and_leaves_the_mode_alone(two_cliques):
    model = VAE(GCNEncoder(12, 8, 3), InnerProductDecoder()).train()
    first, second = embed(model, two_cliques), embed(model, two_cliques)
    assert torch.equal(first.logvar, second.logvar)
    assert not first.mu.requires_grad
    assert model.training


def test_an_encoder_of_ones_own_gets_plain_tensors(two_cliques):
    class Mine(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = GCNConv(12, 3)

        def forward(self, x, edge_index):
            assert x.layout == torch.strided
            assert edge_index.shape == (2, 62)
            return PointMass(self.conv(x, edge_index))

    assert embed(VAE(Mine(), InnerProductDecoder()), two_cliques).mu.shape == (12, 3)


def test_images_are_embedded_in_the_precision_of_the_model(generator):
    model = vgae.VAE(
        vgae.MLPEncoder((1, 4, 4), [3], 2, generator=generator),
        vgae.BernoulliDecoder(MLPGenerator(2, [3], (1, 4, 4), generator=generator)),
    )
    x = torch.rand(5, 1, 4, 4, generator=generator)
    single = vgae.embed_images(model, x).mu
    double = vgae.embed_images(model.double(), x, batch_size=2).mu
    assert double.dtype == torch.float64
    torch.testing.assert_close(double.float(), single)


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("", "the signs of links have no effect; messages and loss have the magnitudes alone"),
        ("signs", "the signs of links are in the target signs; messages have them too"),
    ],
)
def test_what_signs_are_used_for_is_logged(target, said, caplog):
    edges = [[0, 1, 2, 3, 4, 5, 0], [1, 2, 3, 4, 5, 0, 3]]
    graph = vgae.Graph.from_edges(edges, edge_weight=[1, -2, 1, -1, 3, 1, -1], signed=True)
    split = vgae.split_links(graph, val=0.0, test=0.0)
    recipe = PAPER.override({"epochs": 1, "reconstruct": target})
    with caplog.at_level("INFO"):
        vgae.fit(graph, split, recipe=recipe, progress=False, device="cpu")
    assert said in caplog.text
