"""Tests of the decoder of several relations."""

import pytest
import torch
import torch.nn.functional as F

from vgae.decoders import DistMultDecoder
from vgae.errors import UsageError
from vgae.graphs.grid import DirectedGrid, Grid, TwoSidedGrid
from vgae.graphs.subset_grid import SubsetGrid

NODES, DIM = 9, 3
MEMBERS = torch.tensor([True, False, True, True, True, False, True, True, False])
SIDES = torch.tensor([True, False, True, False, True, False, True, False, True])
GRIDS = {
    "undirected": Grid(NODES),
    "directed": DirectedGrid(NODES),
    "two-sided": TwoSidedGrid(SIDES),
    "some": SubsetGrid(MEMBERS, Grid(6)),
    "some directed": SubsetGrid(MEMBERS, DirectedGrid(6)),
    "some two-sided": SubsetGrid(MEMBERS, TwoSidedGrid(SIDES[:6])),
}


def drawn(names, **options):
    generator = torch.Generator().manual_seed(1)
    decoder = DistMultDecoder(DIM, names, bias=True, **options).double()
    decoder.draw_weights(generator)
    decoder.bias.data.normal_(generator=generator)
    links = {
        name: (GRIDS[name].pairs(torch.arange(0, GRIDS[name].num_pairs, 4)), GRIDS[name])
        for name in names
    }
    z = torch.randn(NODES, DIM, dtype=torch.float64, generator=generator)
    return decoder, links, z.requires_grad_()


def log_likelihoods(decoder, links, z):
    """Sums over links and over other pairs of each relation, pair by pair."""
    for name, (positive, grid) in links.items():
        pairs = grid.pairs(torch.arange(grid.num_pairs))
        is_link = torch.isin(grid.numbers(pairs), grid.numbers(positive))
        s = decoder.of(name).logits(z, pairs)
        yield F.logsigmoid(s)[is_link], F.logsigmoid(-s)[~is_link]


@pytest.mark.parametrize("name", GRIDS)
def test_the_likelihood_counts_each_pair_once(name):
    decoder, links, z = drawn([name])
    nats = decoder.log_prob(z, decoder.prepare(links))
    ((pos, neg),) = log_likelihoods(decoder, links, z)
    torch.testing.assert_close(nats, pos.sum() + neg.sum())
    found = torch.autograd.grad(nats, [z, decoder.weight, decoder.bias])
    wanted = torch.autograd.grad(pos.sum() + neg.sum(), [z, decoder.weight, decoder.bias])
    for ours, theirs in zip(found, wanted, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_kipf_balances_links_and_relations():
    decoder, links, z = drawn([*GRIDS], weighting="kipf")
    target = decoder.prepare(links)
    nats = decoder.log_prob(z, target)
    total = sum(part.num_cells for part in target.values())
    means = [(pos.mean() + neg.mean()) / 2 for pos, neg in log_likelihoods(decoder, links, z)]
    torch.testing.assert_close(nats, total * torch.stack(means).mean())
    assert [part.num_cells for part in target.values()] == [72, 72, 20, 30, 30, 9]


def test_sampled_pairs_estimate_the_sum():
    decoder, links, z = drawn(["undirected", "some two-sided"])
    exact = decoder.log_prob(z, decoder.prepare(links)).item()
    decoder.pairs, decoder.generator = "sampled", torch.Generator().manual_seed(0)
    target = decoder.prepare(links)
    runs = torch.tensor([decoder.log_prob(z, target).item() for _ in range(200)])
    assert abs(runs.mean() - exact) < 4 * runs.std() / 200**0.5 + 1e-6 * abs(exact)


def test_factors_give_the_logits():
    decoder, _, z = drawn(["undirected", "two-sided"])
    pairs = torch.cartesian_prod(torch.arange(NODES), torch.arange(NODES)).T
    left, right = decoder.of("two-sided").factors(z)
    logits = decoder.of("two-sided").logits(z, pairs)
    torch.testing.assert_close((left @ right.T).flatten(), logits)
    assert not torch.allclose(logits, decoder.of("undirected").logits(z, pairs))


def test_a_relation_must_be_named():
    decoder, _, z = drawn(["undirected"])
    with pytest.raises(UsageError, match=r"no relation 'undirecte'.*Did you mean undirected\?"):
        decoder.of("undirecte")
    with pytest.raises(UsageError, match="name one"):
        decoder.logits(z, torch.tensor([[0], [1]]))
    for options in ({"relations": []}, {"weighting": "none"}, {"pairs": "some"}):
        with pytest.raises(ValueError, match=next(iter(options))):
            DistMultDecoder(**{"latent_channels": 2, "relations": ["a"], **options})
