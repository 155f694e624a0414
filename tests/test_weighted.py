"""Weights of links: they reach the messages and, on request, the objective."""

import pytest
import torch
from torch_geometric.nn import GCNConv

import vgae
from vgae.decoders import InnerProductDecoder
from vgae.encoders import GCNEncoder
from vgae.errors import UsageError
from vgae.models.embedding import encoder_inputs
from vgae.recipes import BEST, PAPER
from vgae.training.masking import LinkMasking
from vgae.vae import VAE


@pytest.fixture
def weighted(sbm, generator):
    weight = 0.5 + 4 * torch.rand(sbm.num_links, generator=generator)
    return vgae.Graph.from_edges(sbm.links, edge_weight=weight, x=sbm.x)


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_the_posterior_is_that_of_two_weighted_gcn_layers(weighted, generator, train, dropout):
    """Whatever form the arguments are prepared in: averaged, as a pattern, as a matrix."""
    encoder = GCNEncoder(weighted.num_features, 8, 4, dropout=(dropout, 0), generator=generator)
    model = VAE(encoder, InnerProductDecoder()).train(train)
    inputs = encoder_inputs(model, weighted, weighted.edge_index)
    q = encoder.eval()(*inputs)
    layers = [GCNConv(weighted.num_features, 8), GCNConv(8, 8)]
    for layer, weight in zip(layers, (encoder.conv0.weight, encoder.conv1.weight), strict=True):
        layer.lin.weight.data = weight.data.T
    args = (weighted.edge_index, weighted.edge_weight)
    expected = layers[1](layers[0](weighted.dense_x, *args).relu(), *args)
    torch.testing.assert_close(torch.cat([q.mu, q.logvar / 2], dim=1), expected)


def test_hidden_links_lose_their_weight_and_the_others_keep_theirs(weighted, generator):
    encoder = GCNEncoder(weighted.num_features, 8, 4, generator=generator)
    model = VAE(encoder, InnerProductDecoder())
    inputs = encoder_inputs(model, weighted, weighted.edge_index, masked=True)
    masking = LinkMasking(weighted.edge_index, 0.4, generator)
    (((_, _, weight), target),) = masking(
        inputs, model.decoder.prepare(weighted.edge_index, weighted.num_nodes)
    )
    seen = target.masked == 0
    torch.testing.assert_close(weight[seen], masking.weight * weighted.edge_weight[seen])
    assert not weight[~seen].any()

    class Own(torch.nn.Module):
        def forward(self, x, edge_index, edge_weight):
            raise NotImplementedError

    plain = encoder_inputs(VAE(Own(), model.decoder), weighted, weighted.edge_index, masked=True)
    (((_, edges, weight), target),) = masking(plain, weighted.edge_index)
    torch.testing.assert_close(weight, weighted.weights_of(edges))
    assert edges.shape[1] == int((target.masked == 0).sum())


def test_weighted_links_count_as_much_as_they_weigh(weighted, generator):
    z = torch.randn(weighted.num_nodes, 4, generator=generator)
    decoder = InnerProductDecoder(weighting="likelihood")
    order = torch.randperm(weighted.edge_index.shape[1], generator=generator)
    edges, weight = weighted.edge_index[:, order], weighted.edge_weight[order]
    target = decoder.prepare(edges, weighted.num_nodes, weight)
    u, v = torch.triu_indices(len(z), len(z), offset=1)
    logits = decoder.logits(z, torch.stack([u, v])).double()
    adj = torch.from_numpy(weighted.to_scipy().toarray())[u, v].double()
    relative = adj / weighted.link_weight.double().mean()
    log_likelihood = relative * torch.nn.functional.logsigmoid(logits)
    log_likelihood += torch.where(adj > 0, 0, torch.nn.functional.logsigmoid(-logits))
    torch.testing.assert_close(
        decoder.log_prob(z, target).double(), log_likelihood.sum(), rtol=1e-5, atol=0
    )
    ones = decoder.prepare(edges, weighted.num_nodes, torch.full_like(weight, 7))
    torch.testing.assert_close(decoder.log_prob(z, ones), decoder.log_prob(z, edges))


@pytest.mark.parametrize("recipe", [PAPER, BEST])
@pytest.mark.parametrize("asked", ["true", "false"])
def test_weighted_graphs_are_trained_on_split_and_judged(weighted, sbm, recipe, asked):
    recipe = recipe.override({"epochs": "3", "weighted": asked})
    split = vgae.split_links(weighted)
    result = vgae.fit(weighted, split, recipe=recipe)
    assert 0 <= vgae.evaluate(result.model, weighted, split)["test"].auc <= 1
    mu = vgae.embed(result, weighted, split.message_edge_index).mu
    unweighted = vgae.Graph.from_edges(sbm.links, x=sbm.x)
    assert not torch.equal(vgae.embed(result, unweighted, split.message_edge_index).mu, mu)
    train, _, _ = split.to_pyg(weighted)
    assert torch.equal(train.edge_weight, weighted.weights_of(train.edge_index))


def test_only_an_inner_product_decoder_can_be_told_weights(weighted):
    class Own(torch.nn.Module):
        def log_prob(self, z, target):
            return -z.square().sum()

    model = VAE(GCNEncoder(weighted.num_features), Own())
    with pytest.raises(UsageError, match="weighted = true needs a decoder that is a GraphDecoder"):
        vgae.fit(
            weighted,
            vgae.split_links(weighted, val=0),
            model=model,
            recipe=PAPER.override({"weighted": "true"}),
        )
