import pytest
import torch

from vgae.decoders import InnerProductDecoder, MaskedLinks
from vgae.encoders import GCNEncoder
from vgae.errors import DataError
from vgae.graphs.canonical import both_directions
from vgae.kernels import Sampled, inner_product_nll
from vgae.training.masking import LinkMasking

LINKS = torch.tensor([[0, 0, 1, 2, 3], [1, 2, 2, 3, 4]])
EDGES = both_directions(LINKS)


def as_set(links):
    return {frozenset(pair) for pair in links.T.tolist()}


def predicted(target):
    return EDGES[:, target.masked > 0]


@pytest.mark.parametrize("share", [0.01, 0.4, 0.99])
def test_each_link_is_either_seen_or_predicted(generator, share):
    masking = LinkMasking(EDGES, share, generator)
    (_, seen), target = masking((None, EDGES), EDGES)[0]
    assert as_set(seen).isdisjoint(as_set(predicted(target)))
    assert as_set(seen) | as_set(predicted(target)) == as_set(LINKS)
    assert 2 <= predicted(target).shape[1] == target.num_masked <= 8
    assert torch.equal(target.links, EDGES)


def test_both_directions_of_a_hidden_link_are_hidden(generator):
    (_, seen), _ = LinkMasking(EDGES, 0.4, generator)((None, EDGES), EDGES)[0]
    assert {tuple(e) for e in seen.T.tolist()} == {tuple(e) for e in seen.flip(0).T.tolist()}


def test_every_link_is_hidden_equally_often(generator):
    masking = LinkMasking(EDGES, 0.4, generator)
    counts = torch.zeros(5)
    for _ in range(2000):
        hidden = as_set(predicted(masking((None, EDGES), EDGES)[0][1]))
        counts += torch.tensor([frozenset(link) in hidden for link in LINKS.T.tolist()]).float()
    assert (counts / 2000 - 0.4).abs().max() < 0.04


def test_on_average_nodes_hear_as_much_as_without_masks(generator):
    encoder = GCNEncoder(5, 3, 2, generator=generator)
    inputs = encoder.prepare(None, EDGES, masked=True)
    masking = LinkMasking(EDGES, 0.4, generator)
    weights = torch.stack([masking(inputs, EDGES)[0][0][2] for _ in range(2000)])
    assert (weights.mean(0) - 1).abs().max() < 0.1


def test_an_encoder_that_knows_weights_and_one_that_does_not_see_the_same_links(generator):
    encoder = GCNEncoder(5, 3, 2, generator=generator)
    state = generator.get_state()
    masking = LinkMasking(EDGES, 0.4, generator)
    (_, _, weight), _ = masking(encoder.prepare(None, EDGES, masked=True), EDGES)[0]
    generator.set_state(state)
    (_, seen), _ = masking((None, EDGES), EDGES)[0]
    assert torch.equal(EDGES[:, weight > 0], seen)
    q, expected = encoder(None, EDGES, weight), encoder(None, seen, torch.full((6,), 5 / 3))
    torch.testing.assert_close(q.mu, expected.mu)


def test_no_gradient_tells_the_encoder_of_a_hidden_link(generator):
    """What is predicted does not depend on what a hidden link would carry."""
    encoder = GCNEncoder(5, 3, 2, generator=generator)
    masking = LinkMasking(EDGES, 0.4, generator)
    (x, edges, weight), target = masking(encoder.prepare(None, EDGES, masked=True), EDGES)[0]
    hidden = predicted(target)[:, 0]
    mu = encoder(x, edges, weight).mu
    known = both_directions(
        LINKS[:, [frozenset(p) not in as_set(predicted(target)) for p in LINKS.T.tolist()]]
    )
    expected = encoder(None, known, torch.full((known.shape[1],), 5 / 3)).mu
    torch.testing.assert_close(mu[hidden], expected[hidden])


@pytest.mark.parametrize("weighting", ["kipf", "likelihood"])
def test_with_all_links_to_be_predicted_the_objective_is_the_usual_one(generator, weighting):
    z = torch.randn(5, 3, generator=generator, dtype=torch.float64)
    decoder = InnerProductDecoder(weighting=weighting, bias=True).double()
    masked = decoder.log_prob(z, MaskedLinks(EDGES, torch.ones(10), 10))
    torch.testing.assert_close(masked, decoder.log_prob(z, EDGES))


@pytest.mark.parametrize("weighting", ["kipf", "likelihood"])
def test_a_link_that_was_seen_counts_neither_as_link_nor_as_non_link(generator, weighting):
    z = torch.randn(5, 3, generator=generator, dtype=torch.float64)
    decoder = InnerProductDecoder(weighting=weighting).double()
    z.requires_grad_()
    first_two = torch.tensor(
        [float(frozenset(e) <= {0, 1} or frozenset(e) <= {0, 2}) for e in EDGES.T.tolist()]
    )
    # Node 4 has one link, to 3, and it is seen: what is left are its pairs with 0, 1 and 2.
    value = decoder.log_prob(z, MaskedLinks(EDGES, first_two, 4))
    others = torch.sigmoid(z[4] @ z[:3].T) @ z[:3]
    norm = 25 / (2 * (25 - 10))
    selves = 2 * (25 - 10) / 4 * torch.sigmoid(-(z[4] @ z[4])) * z[4]
    expected = {"likelihood": -others, "kipf": norm * (selves - 2 * others)}[weighting]
    torch.testing.assert_close(torch.autograd.grad(value, z)[0][4], expected)


def test_edges_in_another_order_or_too_few_are_refused(generator):
    with pytest.raises(DataError, match="sorted by row"):
        LinkMasking(EDGES.flip(1), 0.5, generator)
    with pytest.raises(DataError, match="masking needs two links"):
        LinkMasking(torch.tensor([[0, 1], [1, 0]]), 0.5, generator)


def test_both_directions_of_a_pair_are_hidden_together(generator):
    """The encoder of a directed graph may receive one-way edges, or both directions of each."""
    links = torch.tensor([[0, 0, 1, 2, 3], [1, 2, 0, 3, 4]])
    both = both_directions(links[:, [0, 1, 3, 4]])
    for edges in (links, both):
        masking = LinkMasking(edges, 0.5, generator, links)
        assert masking.num_masked == 2.5  # of five edges, of four pairs of which two are hidden
        [((_, seen), target)] = masking((None, edges), links)
        hidden = {frozenset(link) for link in links[:, target.masked == 1].T.tolist()}
        assert len(hidden) == 2
        shown = {frozenset(link) for link in seen.T.tolist()}
        assert shown == {frozenset(link) for link in links.T.tolist()} - hidden


@pytest.mark.parametrize(
    "weight", [torch.ones(9), torch.ones(10, 1), torch.ones(10).requires_grad_()]
)
def test_weights_that_do_not_fit_are_refused_before_any_sum(generator, weight):
    encoder = GCNEncoder(5, 3, 2, generator=generator)
    with pytest.raises(ValueError, match=r"edge_weight must have shape \(10,\) and no gradient"):
        encoder(*encoder.prepare(None, EDGES, masked=True), weight)
    with pytest.raises(ValueError, match=r"edge_weight must have shape \(10,\) and no gradient"):
        inner_product_nll(torch.ones(5, 2), EDGES, edge_weight=weight)


@pytest.mark.parametrize("is_sampled", [False, True])
def test_weighted_edges_cost_their_weight_and_non_edges_what_they_did(generator, is_sampled):
    z = torch.randn(5, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    weight = torch.zeros(5, 5, dtype=torch.float64)
    weight[EDGES[0], EDGES[1]] = torch.rand(10, generator=generator, dtype=torch.float64)
    weight = (weight + weight.T)[EDGES[0], EDGES[1]]
    sampled = Sampled(generator=generator) if is_sampled else None
    state = generator.get_state()
    found = inner_product_nll(z, EDGES, edge_weight=weight, sampled=sampled)
    generator.set_state(state)
    plain = inner_product_nll(z, EDGES, sampled=sampled)
    expected = (weight * torch.nn.functional.softplus(-(z[EDGES[0]] * z[EDGES[1]]).sum(1))).sum()
    torch.testing.assert_close(found.edges, expected)
    torch.testing.assert_close(found.non_edges, plain.non_edges)
    gradients = (torch.autograd.grad(value, z)[0] for value in (found.edges, expected))
    torch.testing.assert_close(*gradients)
