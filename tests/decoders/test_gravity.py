import pytest
import torch
from torch.nn.functional import softplus

from vgae.decoders import MaskedLinks
from vgae.decoders.gravity import GravityDecoder
from vgae.errors import DataError, UsageError
from vgae.graphs.grid import DirectedGrid, Grid
from vgae.recipes import BEST, PAPER

EDGES = torch.tensor([[0, 0, 1, 2, 4], [1, 2, 2, 0, 3]])


@pytest.fixture
def z(generator):
    return torch.randn(6, 4, generator=generator, dtype=torch.float64)


def all_logits(decoder, z):
    x, mass = z[:, :-1], z[:, -1]
    r = (x[:, None] - x).square().sum(-1)
    bias = 0 if decoder.bias is None else decoder.bias
    return mass - decoder.distance_weight * (r + decoder.epsilon).log() + bias


@pytest.mark.parametrize("bias", [False, True])
def test_logits_of_pairs_rows_and_columns_agree(z, bias):
    decoder = GravityDecoder(bias=bias, distance_weight=0.7).double()
    if bias:
        torch.nn.init.constant_(decoder.bias, -1.5)
    expected = all_logits(decoder, z)
    pairs = torch.cartesian_prod(torch.arange(6), torch.arange(6)).T
    torch.testing.assert_close(decoder(z, pairs), expected.flatten())
    nodes = torch.tensor([4, 1])
    torch.testing.assert_close(decoder.logits_to_all(z, nodes), expected[nodes])
    torch.testing.assert_close(decoder.logits_from_all(z, nodes), expected.T[nodes])


def test_of_two_nodes_the_heavier_one_is_the_target(z):
    decoder = GravityDecoder().double()
    s = all_logits(decoder, z)
    torch.testing.assert_close(s - s.T, z[:, -1] - z[:, -1:])


@pytest.mark.parametrize("form", ["edges", "prepared", "weighted", "masked"])
def test_the_likelihood_has_each_ordered_pair_once(z, form):
    decoder = GravityDecoder().double()
    s, weight = all_logits(decoder, z), torch.ones(5)
    target = EDGES
    if form != "edges":
        given = torch.tensor([1.0, 2, 3, 4, 5]) if form == "weighted" else None
        target = decoder.prepare(EDGES, 6, given, grid=DirectedGrid(6))
        weight = weight if given is None else given / 3
    if form == "masked":
        masked = torch.tensor([1.0, 0, 0, 1, 0])
        target, weight = MaskedLinks(target, masked, 2), masked * 5 / 2
    others = ~torch.eye(6, dtype=torch.bool)
    others[tuple(EDGES)] = False
    expected = -(weight * softplus(-s[tuple(EDGES)])).sum() - softplus(s[others]).sum()
    torch.testing.assert_close(decoder.log_prob(z, target), expected)


def test_kipfs_weighting_is_that_of_weighted_cross_entropy(z):
    """With self-pairs as links, pos_weight and norm of the directed links."""
    decoder = GravityDecoder(weighting="kipf", bias=True).double()
    torch.nn.init.constant_(decoder.bias, 0.3)
    label = torch.eye(6, dtype=torch.float64)
    label[tuple(EDGES)] = 1
    pos_weight = torch.tensor((36 - 5) / 5)
    loss = torch.nn.functional.binary_cross_entropy_with_logits(
        all_logits(decoder, z), label, pos_weight=pos_weight, reduction="sum"
    )
    expected = -36 / (2 * (36 - 5)) * loss
    torch.testing.assert_close(decoder.log_prob(z, EDGES), expected)


def test_latent_vectors_and_bias_get_the_gradients_of_the_whole_matrix(z):
    """A bias is a mass of all nodes."""
    decoder = GravityDecoder(bias=True, distance_weight=0.5).double()
    z.requires_grad_()
    decoder.log_prob(z, EDGES).backward()
    assert float(z.grad[:, -1].sum()) == pytest.approx(float(decoder.bias.grad))
    other = z.detach().clone().requires_grad_()
    s, label = all_logits(decoder, other), torch.zeros(6, 6, dtype=torch.float64)
    label[tuple(EDGES)] = 1
    cost = softplus(torch.where(label > 0, -s, s)).masked_fill(torch.eye(6, dtype=torch.bool), 0)
    (-cost.sum()).backward()
    torch.testing.assert_close(z.grad, other.grad)


def test_sampled_pairs_are_an_estimate(z):
    decoder = GravityDecoder(pairs="sampled", pairs_per_node=2).double()
    decoder.generator = torch.Generator().manual_seed(0)
    draws = torch.stack([decoder.log_prob(z, EDGES).detach() for _ in range(400)])
    exact = GravityDecoder().double().log_prob(z, EDGES)
    assert abs(draws.mean() - exact) < 5 * draws.std() / 400**0.5
    assert draws.std() > 0


def test_it_is_rebuilt_from_its_configuration():
    recipe = BEST.override({"distance_weight": 0.2})
    decoder = GravityDecoder.from_recipe(recipe, epsilon=0.5)
    assert decoder.pairs == "sampled"
    assert decoder.config() == {
        "weighting": "kipf",
        "logit_bias": True,
        "distance_weight": 0.2,
        "epsilon": 0.5,
    }


def test_bad_options_targets_and_grids_are_refused(z):
    for options in ({"distance_weight": 0}, {"epsilon": -1}, {"weighting": "x"}, {"pairs": "x"}):
        with pytest.raises(ValueError, match=next(iter(options))):
            GravityDecoder(**options)
    with pytest.raises(UsageError, match="2 or more"):
        GravityDecoder.from_recipe(PAPER.override({"latent_channels": 1}))
    with pytest.raises(UsageError, match="--directed keep") as caught:
        GravityDecoder().prepare(EDGES, 6, grid=Grid(6))
    assert caught.value.code == "DECODER"
    with pytest.raises(DataError, match="lie in"):
        GravityDecoder().prepare(EDGES, 4)
    with pytest.raises(DataError, match="got none"):
        GravityDecoder(weighting="kipf").double().log_prob(z, EDGES[:, :0])
