import itertools

import pytest
import torch
import torch.nn.functional as F
from torch.distributions import Bernoulli

from vgae.decoders import InnerProductDecoder, MaskedLinks
from vgae.graphs.graph import Graph
from vgae.kernels.csr import edges_to_csr

EDGES = torch.tensor([[0, 1, 1, 2, 3, 0], [1, 0, 2, 1, 0, 3]])


def latent(generator):
    return torch.randn(5, 3, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("bias", [False, True])
def test_likelihood_equals_independent_bernoullis_over_unordered_pairs(generator, bias):
    z = latent(generator)
    decoder = InnerProductDecoder(bias=bias).double()
    if bias:
        decoder.bias.data.fill_(-0.8)
    pairs = torch.tensor(list(itertools.combinations(range(5), 2))).T
    links = {frozenset(pair) for pair in EDGES.T.tolist()}
    label = torch.tensor([float(frozenset(p) in links) for p in pairs.T.tolist()])
    expected = Bernoulli(logits=decoder.logits(z, pairs)).log_prob(label.double()).sum()
    torch.testing.assert_close(decoder.log_prob(z, EDGES), expected)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("csr", [False, True])
def test_kipfs_weighting_is_norm_times_weighted_cross_entropy_over_all_entries(
    generator, bias, csr
):
    z = latent(generator)
    decoder = InnerProductDecoder(weighting="kipf", bias=bias).double()
    b = torch.tensor(0.4 if bias else 0.0, dtype=torch.float64)
    if bias:
        decoder.bias.data.copy_(b)
    adj = edges_to_csr(EDGES, 5).to_dense().double()
    pos_weight = (25 - adj.sum()) / adj.sum()
    norm = 25 / (2 * (25 - adj.sum()))
    kipf = norm * F.binary_cross_entropy_with_logits(
        z @ z.T + b, adj + torch.eye(5), pos_weight=pos_weight
    )
    target = decoder.prepare(EDGES, 5) if csr else EDGES
    torch.testing.assert_close(-decoder.log_prob(z, target) / 25, kipf)


@pytest.mark.parametrize("weighting", ["kipf", "likelihood"])
def test_a_mask_in_float32_rounds_no_float64(generator, weighting):
    """Its entries are 0 and 1: as weights in float64 they are the same."""
    decoder = InnerProductDecoder(weighting=weighting).double()
    z, nodes = torch.randn(7, 3, generator=generator, dtype=torch.float64), torch.arange(7)
    ring = Graph.from_edges(torch.stack([nodes, nodes.roll(1)])).edge_index
    prepared, masked = decoder.prepare(ring, 7), ring.sum(0) % 7 < 3  # costs 49 / 12 and 14 / 12
    found, expected = (
        decoder.log_prob(z, MaskedLinks(prepared, masked.to(dtype), int(masked.sum())))
        for dtype in (torch.float32, torch.float64)
    )
    torch.testing.assert_close(found, expected, rtol=1e-15, atol=0)


def test_log_prob_is_never_positive_and_the_complete_graph_is_finite(generator):
    complete = torch.tensor([(i, j) for i in range(5) for j in range(5) if i != j]).T
    for weighting in ("kipf", "likelihood"):
        decoder = InnerProductDecoder(weighting=weighting)
        value = decoder.log_prob(latent(generator).float(), complete)
        assert torch.isfinite(value)
        assert value <= 0


def test_logits_are_inner_products_plus_the_bias():
    z = torch.tensor([[1.0, 2.0], [3.0, -1.0]])
    decoder = InnerProductDecoder(bias=True)
    decoder.bias.data.fill_(0.5)
    assert decoder.logits(z, torch.tensor([[0, 0], [1, 0]])).tolist() == [1.5, 5.5]


def test_the_bias_learns_the_density_of_the_graph():
    graph = Graph.from_edges(torch.randint(40, (2, 100), generator=torch.Generator()))
    decoder = InnerProductDecoder(bias=True)
    z = torch.zeros(graph.num_nodes, 2)
    optimizer = torch.optim.LBFGS(decoder.parameters(), max_iter=50)

    def cost():
        optimizer.zero_grad()
        nll = -decoder.log_prob(z, graph.edge_index)
        nll.backward()
        return nll

    optimizer.step(cost)
    pairs = graph.num_nodes * (graph.num_nodes - 1) / 2
    assert decoder.bias.sigmoid().item() == pytest.approx(graph.num_links / pairs, rel=1e-4)


def test_without_edges_kipfs_weights_do_not_exist():
    with pytest.raises(ValueError, match="number of edges, got none"):
        InnerProductDecoder(weighting="kipf").log_prob(torch.zeros(3, 2), EDGES[:, :0])


def test_called_like_a_module_it_gives_logits(generator):
    z, decoder = latent(generator), InnerProductDecoder()
    assert torch.equal(decoder(z, EDGES), decoder.logits(z, EDGES))


def test_an_unknown_weighting_is_refused():
    with pytest.raises(ValueError, match="'kipf' or 'likelihood', got 'none'"):
        InnerProductDecoder(weighting="none")


def test_the_decoder_knows_no_automatic_choice_of_pairs():
    with pytest.raises(ValueError, match="'exact' or 'sampled', got 'auto'"):
        InnerProductDecoder(pairs="auto")


@pytest.mark.parametrize("weighting", ["kipf", "likelihood"])
def test_sampled_pairs_give_the_same_on_average(generator, weighting):
    z = latent(generator)
    exact = InnerProductDecoder(weighting=weighting).log_prob(z, EDGES)
    sampled = InnerProductDecoder(
        weighting=weighting, pairs="sampled", pairs_per_node=1, generator=generator
    )
    draws = torch.stack([sampled.log_prob(z, EDGES) for _ in range(400)])
    assert draws.std() > 0
    assert (draws.mean() - exact).abs() < 4 * draws.std() / 20
