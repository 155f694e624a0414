"""Tests of latent dimensions that know a node by degrees alone."""

import pytest
import torch

import vgae
from vgae.encoders import GCNEncoder
from vgae.encoders._degrees import degree_features
from vgae.encoders.roles import HOPS, Roles
from vgae.graphs.graph import Graph
from vgae.kernels import SparseOperator
from vgae.kernels.csr import gcn_norm
from vgae.recipes import BEST_LINKS

EDGES = torch.tensor([[0, 1, 1, 2, 1, 3], [1, 0, 2, 1, 3, 1]])  # a star around 1, and node 4 alone
C = 4.0


def messages(num_nodes=5, edges=EDGES):
    return SparseOperator.symmetric(gcn_norm(edges, num_nodes, self_loop_weight=C))


def test_they_are_a_linear_map_of_the_degrees_around(generator):
    roles = Roles(6, C, generator)
    mu = torch.rand(5, 2, generator=generator)
    found, logstd = roles((mu, mu), messages())
    phi, matrix = degree_features(messages(), C), messages().matrix.to_dense()
    powers = [torch.linalg.matrix_power(matrix, k) @ phi for k in range(HOPS + 1)]
    torch.testing.assert_close(found[:, 2:], torch.cat(powers, dim=1) @ roles.weight)
    assert torch.equal(found[:, :2], mu)
    assert torch.equal(logstd[:, 2:], roles.logstd.expand(5, 6))


def test_the_first_logit_is_the_sum_of_two_popularities(generator):
    roles = Roles(2, C, generator)
    r = roles((torch.zeros(5, 0),), messages())[0].double()
    logits = r[:, :1] @ r[:, :1].T - r[:, 1:] @ r[:, 1:].T
    popularity = logits.diagonal() / 2
    torch.testing.assert_close(logits, popularity[:, None] + popularity)


def test_nodes_alike_in_degrees_have_one_role_and_one_vector_without_links():
    """Without neighbours, a node has no weights of its own in any dimension."""
    edges = torch.tensor([[0, 1, 2, 3], [1, 0, 3, 2]])
    encoder = GCNEncoder(6, 8, 12, walks=(3, 4), roles=4, self_loop_weight=C, degrees=True).eval()
    q = encoder(None, edges)
    torch.testing.assert_close(q.mu[4], q.mu[5])
    assert torch.equal(q.logvar[4], q.logvar[5])
    torch.testing.assert_close(q.mu[0, -4:], q.mu[2, -4:])
    assert not torch.allclose(q.mu[0, :-4], q.mu[2, :-4])
    x = torch.eye(6)
    assert not torch.equal(encoder(x, edges).mu[4], encoder(x, edges).mu[5])


def test_training_learns_that_links_join_leaves_and_hubs():
    """Held-out leaves of stars are alone: only roles can tell that they belong to hubs."""
    hubs, leaves = torch.arange(10).repeat_interleave(20), torch.arange(10, 210)
    ring = torch.stack([torch.arange(10), (torch.arange(10) + 1) % 10])
    links = torch.cat([torch.stack([hubs, leaves]), ring], dim=1)
    graph = Graph.from_edges(links, num_nodes=210, sides="none")
    split = vgae.split_links(graph, seed=0)
    recipe = BEST_LINKS.override({"latent_channels": 16, "walks": 4, "epochs": 60})
    result = vgae.fit(graph, split, recipe=recipe, progress=False)
    plain = recipe.override({"walks": 0, "roles": 0, "repel": 0})
    before = vgae.fit(graph, split, recipe=plain, progress=False)
    auc = [max(row.val_auc for row in r.history if row.val_auc) for r in (result, before)]
    assert auc[0] > 0.9
    assert auc[0] > auc[1] + 0.1


@pytest.mark.parametrize("weight", [0.001, 5.0])
def test_a_node_with_a_weighted_link_is_not_alone(weight):
    encoder = GCNEncoder(3, 4, 6, roles=2).eval()
    edges = torch.tensor([[0, 1], [1, 0]])
    q = encoder(None, edges, torch.tensor([weight, weight]))
    encoder.conv0.alone_alike = False
    torch.testing.assert_close(
        encoder(None, edges, torch.tensor([weight, weight])).mu[:2], q.mu[:2]
    )
