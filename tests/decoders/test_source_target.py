import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits, softplus

from vgae.decoders import MaskedLinks
from vgae.decoders.source_target import SourceTargetDecoder
from vgae.errors import UsageError
from vgae.graphs.grid import DirectedGrid, Grid
from vgae.recipes import PAPER

EDGES = torch.tensor([[0, 0, 1, 2, 4], [1, 2, 2, 0, 3]])


@pytest.fixture
def z(generator):
    return torch.randn(6, 8, generator=generator, dtype=torch.float64)


@pytest.fixture
def decoder():
    decoder = SourceTargetDecoder(bias=True).double()
    torch.nn.init.constant_(decoder.bias, -0.7)
    return decoder


def all_logits(decoder, z):
    return z[:, :4] @ z[:, 4:].T + decoder.bias


def test_logits_of_pairs_rows_columns_and_factors_agree(z, decoder):
    expected = all_logits(decoder, z)
    pairs = torch.cartesian_prod(torch.arange(6), torch.arange(6)).T
    torch.testing.assert_close(decoder(z, pairs), expected.flatten())
    nodes = torch.tensor([4, 1])
    torch.testing.assert_close(decoder.logits_to_all(z, nodes), expected[nodes])
    torch.testing.assert_close(decoder.logits_from_all(z, nodes), expected.T[nodes])
    left, right = decoder.factors(z)
    torch.testing.assert_close(left @ right.T, expected)


@pytest.mark.parametrize("form", ["prepared", "weighted", "masked"])
def test_the_likelihood_has_each_ordered_pair_once(z, decoder, form):
    s, weight = all_logits(decoder, z), torch.ones(5)
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


def test_kipfs_weighting_and_the_gradients_are_those_of_weighted_cross_entropy(z):
    decoder = SourceTargetDecoder(weighting="kipf").double()
    label = torch.eye(6, dtype=torch.float64)
    label[tuple(EDGES)] = 1
    s = z.requires_grad_()[:, :4] @ z[:, 4:].T
    pos_weight = torch.tensor((36 - 5) / 5)
    loss = binary_cross_entropy_with_logits(s, label, pos_weight=pos_weight, reduction="sum")
    expected = -36 / (2 * (36 - 5)) * loss
    found = decoder.log_prob(z, decoder.prepare(EDGES, 6, grid=DirectedGrid(6)))
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(*(torch.autograd.grad(x, z)[0] for x in (found, expected)))


def test_settings_and_graphs_that_do_not_fit_are_refused(z):
    with pytest.raises(UsageError, match="even latent_channels") as caught:
        SourceTargetDecoder.from_recipe(PAPER.override({"latent_channels": 17}))
    assert caught.value.code == "RECIPE"
    with pytest.raises(UsageError, match="no repel"):
        SourceTargetDecoder.from_recipe(PAPER.override({"repel": 2}))
    with pytest.raises(UsageError, match="--directed keep") as caught:
        SourceTargetDecoder().prepare(EDGES, 6, grid=Grid(6))
    assert caught.value.code == "DECODER"
    with pytest.raises(ValueError, match="even number of columns, got 7"):
        SourceTargetDecoder().logits(z[:, :7], EDGES)
