import itertools
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch.distributions import Bernoulli

from vgae.decoders import InnerProductDecoder, MaskedLinks
from vgae.graphs.block_grid import BlockGrid
from vgae.graphs.canonical import both_directions
from vgae.graphs.graph import Graph
from vgae.graphs.grid import DirectedGrid, Grid, TwoSidedGrid
from vgae.kernels.csr import edges_to_csr
from vgae.recipes import PAPER

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


class SourceTarget(InnerProductDecoder):
    """The first half of a vector meets the second half of the other."""

    def left(self, z):
        return z[:, : z.shape[1] // 2]

    def right(self, z):
        return z[:, z.shape[1] // 2 :]


SIDES = torch.tensor([True, False, False, True, True, False, False])
GRIDS = {
    "undirected": Grid(7),
    "directed": DirectedGrid(7),
    "two-sided": TwoSidedGrid(SIDES),
    "blocks": BlockGrid(torch.tensor([4, 0, 3])),
}


def links_of(grid, seed=0):
    """Return some links of a grid, the edges that carry messages, and a weight for each edge."""
    generator = torch.Generator().manual_seed(seed)
    numbers = torch.randperm(grid.num_pairs, generator=generator)[:6]
    links = grid.pairs(numbers)
    weight = torch.rand(6, generator=generator, dtype=torch.float64) + 0.5
    if grid.directed:
        return links, links, weight
    edges = torch.cat([links, links.flip(0)], dim=1)
    order = torch.randperm(12, generator=generator)
    return links, edges[:, order], weight.repeat(2)[order]


def by_hand(decoder, z, grid, edges, weight, masked):
    """Return the objective from the matrices of logits, links and pairs."""
    num_nodes = len(z)
    logits = decoder.left(z) @ decoder.right(z).T + decoder.bias
    adj, cost = torch.zeros(2, num_nodes, num_nodes, dtype=torch.float64)
    adj[tuple(edges)] = 1
    cost[tuple(edges)] = weight / weight.mean() * masked
    in_grid = 1 - torch.eye(num_nodes, dtype=torch.float64)
    if grid.sides is not None:
        in_grid = (~grid.sides[:, None] & grid.sides).double()
        adj, cost = adj * in_grid, cost * in_grid
    if isinstance(grid, BlockGrid):
        in_grid = in_grid * (grid.batch[:, None] == grid.batch)
    counted = 1 if grid.directed or grid.sides is not None else 2
    missing, present = F.softplus(-logits), F.softplus(logits)
    share = (adj * in_grid).sum() / (adj * in_grid * (cost > 0)).sum()
    if decoder.weighting == "likelihood":
        total = share * (cost * missing).sum() + ((in_grid - adj) * present).sum()
        return -total / counted
    pairs = in_grid.sum() + (num_nodes if grid.sides is None else 0)
    pos_weight, norm = (pairs - adj.sum()) / adj.sum(), pairs / (2 * (pairs - adj.sum()))
    if grid.sides is None:
        cost = cost + torch.eye(num_nodes)
    total = pos_weight * share * (cost * missing).sum() + ((in_grid - adj) * present).sum()
    return -norm * total * (1 if grid.sides is None else 2)  # both directions


@pytest.mark.parametrize("use", ["plain", "weights", "mask"])
@pytest.mark.parametrize("weighting", ["kipf", "likelihood"])
@pytest.mark.parametrize("kind", ["source-target", "repel", "inner product"])
@pytest.mark.parametrize("name", GRIDS)
def test_each_grid_is_scored_as_by_hand(name, kind, weighting, use, generator):
    grid, z = GRIDS[name], torch.randn(7, 4, generator=generator, dtype=torch.float64)
    make = SourceTarget if kind == "source-target" else InnerProductDecoder
    decoder = make(weighting=weighting, bias=True, repel=3 if kind == "repel" else 0).double()
    decoder.bias.data.fill_(-0.4)
    _, edges, weight = links_of(grid)
    weight = weight if use == "weights" else torch.ones_like(weight)
    masked = torch.ones_like(weight)
    target = decoder.prepare(edges, 7, weight if use == "weights" else None, grid=grid)
    if use == "mask":  # both directions of a link alike
        masked = (edges.sum(0) % 2).double()
        assert 0 < masked.sum() < len(masked)
        target = MaskedLinks(target, masked.float(), int(masked.sum()))
    z.requires_grad_()
    found = decoder.log_prob(z, target)
    expected = by_hand(decoder, z, grid, edges, weight, masked)
    torch.testing.assert_close(found, expected)
    variables = (z, decoder.bias)
    torch.testing.assert_close(
        torch.autograd.grad(found, variables), torch.autograd.grad(expected, variables)
    )


@pytest.mark.parametrize("make", [InnerProductDecoder, SourceTarget])
def test_all_ways_to_a_logit_agree(make, generator):
    z, decoder = torch.randn(6, 4, generator=generator), make(bias=True, repel=1)
    decoder.bias.data.fill_(0.3)
    pairs = torch.cartesian_prod(torch.arange(6), torch.arange(6)).T
    logits = decoder.logits(z, pairs).view(6, 6)
    left, right = decoder.factors(z)
    torch.testing.assert_close(left @ right.T, logits)
    nodes = torch.tensor([4, 1])
    torch.testing.assert_close(decoder.logits_to_all(z, nodes), logits[nodes])
    torch.testing.assert_close(decoder.logits_from_all(z, nodes), logits.T[nodes])
    assert torch.equal(logits, logits.T) == (make is InnerProductDecoder)


def test_the_last_dimensions_repel():
    z = torch.tensor([[2.0, 1.0, 3.0], [1.0, 5.0, 2.0]])
    logits = InnerProductDecoder(repel=2).logits(z, torch.tensor([[0], [1]]))
    assert logits.tolist() == [2 * 1 - 1 * 5 - 3 * 2]


def test_a_decoder_that_repels_is_built_from_a_recipe_and_says_so():
    decoder = InnerProductDecoder.from_recipe(replace(PAPER, repel=4))
    assert decoder.repel == decoder.config()["repel"] == 4
    assert "repel" not in SourceTarget(repel=4).config()  # which ignores it


@pytest.mark.parametrize("repel", [-1, 4])
def test_more_dimensions_than_there_are_cannot_repel(repel):
    with pytest.raises(ValueError, match=f"repel must be at .* got {repel}"):
        InnerProductDecoder(repel=repel).log_prob(torch.zeros(5, 3), EDGES)


def test_a_complete_two_sided_graph_is_finite(generator):
    grid, z = GRIDS["two-sided"], torch.randn(7, 4, generator=generator, requires_grad=True)
    links = grid.pairs(torch.arange(grid.num_pairs))
    decoder = InnerProductDecoder(weighting="kipf")
    value = decoder.log_prob(z, decoder.prepare(both_directions(links), 7, grid=grid))
    expected = F.logsigmoid(decoder.logits(z, links)).sum()
    torch.testing.assert_close(value, expected)


@pytest.mark.parametrize("name", GRIDS)
def test_a_graph_without_links_is_scored_by_its_other_pairs(name, generator):
    grid, z = GRIDS[name], torch.randn(7, 4, generator=generator, dtype=torch.float64)
    decoder = SourceTarget()
    found = decoder.log_prob(z, decoder.prepare(EDGES[:, :0], 7, grid=grid))
    pairs = grid.pairs(torch.arange(grid.num_pairs))
    expected = F.logsigmoid(-decoder.logits(z, pairs)).sum()
    if not grid.directed and grid.sides is None:  # the mean of both directions
        expected = (expected + F.logsigmoid(-decoder.logits(z, pairs.flip(0))).sum()) / 2
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("name", ["directed", "two-sided", "blocks"])
def test_sampled_pairs_of_a_grid_give_the_same_on_average(name, generator):
    grid, z = GRIDS[name], torch.randn(7, 4, generator=generator)
    target = SourceTarget().prepare(links_of(grid)[1], 7, grid=grid)
    sampled = SourceTarget(pairs="sampled", pairs_per_node=2, generator=generator)
    draws = torch.stack([sampled.log_prob(z, target) for _ in range(400)])
    assert (draws.std() > 1e-5) == (name != "blocks")  # small graphs are summed exactly
    assert (draws.mean() - SourceTarget().log_prob(z, target)).abs() < 4 * draws.std() / 20 + 1e-5


@pytest.mark.parametrize(
    ("grid", "edges", "message"),
    [
        (GRIDS["directed"], [[0, 1, 2], [1, 2, 2]], "every link once, no self-loop"),
        (GRIDS["directed"], [[0, 1, 0], [1, 2, 1]], "once each"),
        (GRIDS["two-sided"], [[0, 3], [3, 0]], "a link within one side"),
        (GRIDS["two-sided"], [[1], [0]], "both directions"),
        (GRIDS["blocks"], [[1, 4], [4, 1]], "between two graphs"),
        (Grid(8), [[1, 0], [0, 1]], "grid must have 7 nodes, got 8"),
    ],
)
def test_edges_that_are_not_of_the_grid_are_refused(grid, edges, message):
    with pytest.raises(ValueError, match=message):
        SourceTarget().prepare(torch.tensor(edges), 7, grid=grid)


def test_a_target_of_another_decoder_is_refused():
    target = InnerProductDecoder().prepare(EDGES, 5)
    with pytest.raises(ValueError, match="prepare it with this one"):
        SourceTarget().log_prob(torch.zeros(5, 2), target)


def test_a_number_of_dimensions_that_is_no_integer_is_refused():
    with pytest.raises(TypeError, match="float"):
        InnerProductDecoder(repel=1.5)
