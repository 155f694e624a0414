"""Tests of positions of nodes in their graph."""

import pytest
import torch

from vgae.encoders import GCNEncoder, LinearGCNEncoder
from vgae.encoders.positions import Placed, rows_of
from vgae.gaussian import PointMass
from vgae.graphs.collection import GraphCollection
from vgae.graphs.graph import Graph
from vgae.models.embedding import embed
from vgae.models.graphs import build_model
from vgae.models.pretrained import from_pretrained, save_pretrained
from vgae.recipes import PAPER_GRAPHS
from vgae.runtime.streams import stream

RING = torch.stack([torch.arange(6), (torch.arange(6) + 1) % 6])
RECIPE = PAPER_GRAPHS.override({"positions": 8, "repel": 4, "latent_channels": 16})


def ring(n: int = 6) -> Graph:
    nodes = torch.arange(n)
    return Graph.from_edges(torch.stack([nodes, (nodes + 1) % n]), num_nodes=n)


def model(recipe=RECIPE, name="vgae"):
    return build_model(name, 0, recipe, stream(0, "init")).eval()


def test_rows_are_orthonormal_up_to_the_width_and_depend_on_the_size_alone():
    rows = rows_of(torch.tensor([5, 8, 20]), 8)
    assert torch.equal(rows[:5] @ rows[:5].T, torch.eye(5))
    assert torch.equal(rows[5:13], torch.eye(8))
    assert torch.equal(rows[13:], rows_of(torch.tensor([20]), 8))
    assert torch.equal(rows[13:].abs().sum(dim=1), torch.ones(20))


def test_rows_of_a_large_graph_are_orthogonal_on_average():
    rows = rows_of(torch.tensor([3000]), 64)
    product = (rows[:1000] @ rows[1000:2000].T).flatten()
    assert abs(float(product.mean())) < 0.002  # 5 deviations of a mean of a million
    assert abs(float(product.square().mean()) - 1 / 64) < 0.002


def test_nodes_of_a_ring_can_be_distinguished_and_their_logits_do_not_depend_on_their_order():
    z = embed(model(), ring()).mu
    signs = torch.ones(16)
    signs[-4:] = -1
    logits = (z * signs) @ z.T
    assert logits[0, 1] > logits[0, 2] > logits[0, 3]
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    moved = Graph.from_edges(order.argsort()[ring().links], num_nodes=6)
    z = embed(model(), moved).mu
    assert torch.allclose((z * signs) @ z.T, logits[order][:, order], atol=1e-5)


@pytest.mark.parametrize("size", [6, 30])
def test_a_graph_has_the_same_embedding_alone_and_among_others(size):
    graphs = GraphCollection.from_graphs([ring(5), ring(size), ring(9)])
    alone = embed(model(), ring(size)).mu
    among = embed(model(), graphs).mu[5 : 5 + size]
    reversed_ = embed(model(), graphs.select([2, 1])).mu[9:]
    assert torch.allclose(alone, among, atol=1e-6)
    assert torch.allclose(alone, reversed_, atol=1e-6)


def test_positions_see_the_messages_that_they_are_given_only():
    graphs = GraphCollection.from_graphs([ring(6)])
    whole = embed(model(), graphs).mu
    cut = embed(model(), graphs, graphs.grid.message_edges(graphs.links[:, 1:])).mu
    none = embed(model(), graphs, graphs.edge_index[:, :0]).mu
    assert not torch.allclose(whole, cut)
    assert torch.count_nonzero(none[:, :8] @ none[:, :8].T) == 6  # each node by itself


def test_a_model_with_positions_is_saved_and_embeds_new_graphs(tmp_path):
    first = model()
    first.encoder.place.weight.data.uniform_()
    save_pretrained(first, tmp_path / "model")
    back = from_pretrained(tmp_path / "model")
    assert back.encoder.positions == 8
    assert torch.equal(embed(back, ring(7)).mu, embed(first, ring(7)).mu)


@pytest.mark.parametrize("kind", [GCNEncoder, LinearGCNEncoder])
def test_an_encoder_takes_rows_or_is_on_one_graph(kind):
    encoder = kind(3, latent_channels=8, positions=6, posterior=PointMass)
    x, edges = torch.rand(6, 3), torch.cat([RING, RING.flip(0)], dim=1)
    placed = Placed(x, rows_of(torch.tensor([6]), 6))
    assert torch.equal(encoder(placed, edges).mu, encoder(x, edges).mu)
    assert encoder(x, edges).mu.shape == (6, 8)
    assert kind(3, latent_channels=8).positions == 0
