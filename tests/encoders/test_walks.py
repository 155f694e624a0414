"""Tests of latent dimensions that are a learned polynomial of the messages."""

import pytest
import torch
from torch.autograd import gradcheck

import vgae
from vgae.encoders import GCNEncoder
from vgae.encoders.walks import Walks
from vgae.gaussian import PointMass
from vgae.graphs.graph import Graph
from vgae.kernels import EdgeOperator, SparseOperator
from vgae.kernels.csr import gcn_norm
from vgae.models.graphs import graph_encoder
from vgae.models.pretrained import from_pretrained, save_pretrained
from vgae.recipes import BEST_LINKS

EDGES = torch.tensor([[0, 1, 1, 2, 2, 3], [1, 0, 2, 1, 3, 2]])  # a path, and node 4 alone
SMALL = BEST_LINKS.override({"latent_channels": 24, "walks": 8, "hidden_channels": 16})


def messages(dtype=torch.float64):
    return SparseOperator.symmetric(gcn_norm(EDGES, 5, dtype=dtype))


def two_rings(n=30):
    """Two rings of n nodes, each node linked with those at distances of one and of two."""
    nodes = torch.arange(n)
    ends = [torch.stack([nodes, (nodes + k) % n]) + ring * n for ring in (0, 1) for k in (1, 2)]
    return Graph.from_edges(torch.cat(ends, dim=1), num_nodes=2 * n, sides="none")


@pytest.mark.parametrize("features", [False, True])
def test_they_are_the_polynomial_of_the_messages(features, generator):
    x = torch.rand(5, 3, generator=generator).double() if features else None
    walks = Walks(3 if features else 5, 4, 3, generator=generator).double()
    walks.coefficient.data = torch.tensor([0.5, -1.0, 2.0, 0.25]).double()
    mu = torch.rand(5, 2, generator=generator).double()
    found, logstd = walks((mu, mu), x, messages())
    matrix = messages().matrix.to_dense()
    start = walks.weight if x is None else x @ walks.weight
    start = start * torch.tensor([1.0, 1, 1, 1, 0])[:, None]
    powers = (torch.linalg.matrix_power(matrix, k) @ start for k in range(4))
    wanted = sum(a * power for a, power in zip([0.5, -1.0, 2.0, 0.25], powers, strict=True))
    torch.testing.assert_close(found[:, :4], wanted)
    assert torch.equal(found[:, 4:], mu)
    assert torch.equal(logstd[:, :4], walks.logstd.expand(5, 4))
    assert walks((mu,), x, messages())[0].equal(found)


@pytest.mark.parametrize("kind", ["constant", "one way", "entries"])
def test_gradients_are_those_of_the_polynomial(kind, generator):
    walks = Walks(5, 2, 4, generator=generator).double()
    mu = torch.zeros(5, 1).double()
    adj_norm = messages()
    if kind == "one way":
        adj_norm = SparseOperator.of(gcn_norm(EDGES[:, :3], 5, dtype=torch.float64))
    if kind == "entries":
        matrix = adj_norm.matrix.to_sparse_coo().coalesce()
        adj_norm = EdgeOperator(matrix.indices().flip(0), matrix.values(), 5)

    def function(weight, coefficient):
        own = {"weight": weight, "coefficient": coefficient}
        return torch.func.functional_call(walks, own, ((mu,), None, adj_norm))[0]

    given = [walks.weight, walks.coefficient]
    assert gradcheck(function, [p.detach().requires_grad_() for p in given])


def test_rows_are_dropped_in_training_only(generator):
    walks = Walks(5, 4, 2, dropout=0.5, generator=generator)
    heads, adj_norm = (torch.zeros(5, 1),), messages(torch.float32)
    drawn = [walks(heads, None, adj_norm, generator)[0] for _ in range(6)]
    assert not all(torch.equal(first, drawn[0]) for first in drawn)
    walks.eval()
    assert torch.equal(*(walks(heads, None, adj_norm, generator)[0] for _ in range(2)))


def test_the_first_coefficients():
    assert Walks(5, 2, 4).coefficient.tolist() == [0, 0.25, 0.25, 0.25, 0.25]
    assert Walks(5, 2, 3, 2.0).coefficient.tolist() == pytest.approx([0, 1.4, 0.98, 0.686])


def test_a_walk_has_a_link():
    with pytest.raises(ValueError, match="walk_length must be at least 1, got 0"):
        Walks(5, 2, 0)


def test_training_finds_the_far_part_of_a_graph_that_a_model_without_walks_misses():
    graph = two_rings()
    split = vgae.split_links(graph, seed=3)
    short = SMALL.override({"epochs": 60, "feature_dropout": 0.2})
    plain = short.override({"walks": 0})
    logits = {}
    for recipe in (short, plain):
        z = vgae.embed(vgae.fit(graph, split, recipe=recipe, progress=False), graph).mu
        z = z[:, : recipe.walks] if recipe.walks else z
        unit = torch.nn.functional.normalize(z, dim=1)
        logits[recipe.walks] = unit @ unit.T
    near, far = (
        (torch.arange(30), (torch.arange(30) + 4) % 30),
        (torch.arange(30), 30 + torch.arange(30)),
    )
    gap = {walks: float(s[near].mean() - s[far].mean()) for walks, s in logits.items()}
    assert gap[8] > 0.5
    assert gap[8] > gap[0]


def test_a_model_with_walks_and_roles_is_saved_and_embeds_its_graph(tmp_path):
    graph = two_rings(10)
    split = vgae.split_links(graph)
    result = vgae.fit(graph, split, recipe=SMALL.override({"epochs": 2}), progress=False)
    save_pretrained(result.model, tmp_path / "model")
    back = from_pretrained(tmp_path / "model")
    assert torch.equal(vgae.embed(back, graph).mu, vgae.embed(result, graph).mu)
    config = graph_encoder(back).config()
    assert (config["walks"], config["walk_length"], config["roles"]) == (8, 16, 8)


def test_a_plain_auto_encoder_and_features_have_walks_too():
    graph = two_rings(10)
    x = torch.rand(20, 6, generator=torch.Generator().manual_seed(0))
    with_features = Graph.from_edges(graph.links, num_nodes=20, x=x, sides="none")
    recipe = SMALL.override({"epochs": 2, "latent_norm": 0.0, "degrees": False, "mask": 0.0})
    for given in (graph, with_features, with_features.without_features()):
        recipe = recipe.override({"feature_dropout": 0.0})
        split = vgae.split_links(given)
        model = vgae.fit(given, split, model="gae", recipe=recipe, progress=False).model
        q = vgae.embed(model, given)
        assert isinstance(q, PointMass)
        assert q.mu.shape == (20, 24)
        # What prepare returns, and plain arguments, are the same.
        same = model.encoder(given.dense_x, given.edge_index).mu
        torch.testing.assert_close(q.mu, same, rtol=1e-4, atol=1e-5)


def test_the_seed_of_the_other_weights_is_not_used_up():
    """Models without walks have the weights that they had before there were any."""
    first = GCNEncoder(5, 4, 3, generator=torch.Generator().manual_seed(0))
    options = {"walks": (2, 4), "roles": 2}
    second = GCNEncoder(5, 4, 7, generator=torch.Generator().manual_seed(0), **options)
    assert torch.equal(first.conv0.weight, second.conv0.weight)
    assert torch.equal(first.conv1.weight, second.conv1.weight)
