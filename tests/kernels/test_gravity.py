import pytest
import torch
from torch.nn.functional import softplus

from vgae.kernels import Sampled
from vgae.kernels import gravity as module
from vgae.kernels.gravity import gravity_loss, squared_distances

EPSILON = 0.01


def problem(num_nodes, width=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(num_nodes, width, generator=generator, dtype=torch.float64)
    adj = torch.rand(num_nodes, num_nodes, generator=generator) < 0.2
    adj.fill_diagonal_(True)
    links = adj.nonzero().T
    weight = torch.rand(links.shape[1], generator=generator, dtype=torch.float64)
    return z, torch.tensor(0.7, dtype=torch.float64), links, weight


def dense(z, scale, links, weight, non_link_weight):
    """The definition, on the whole matrix."""
    x, mass = z[:, :-1], z[:, -1]
    r = (x[:, None] - x).square().sum(-1)
    s = mass - scale * (r + EPSILON).log()
    others = torch.ones(len(z), len(z), dtype=torch.bool)
    others[tuple(links)] = False
    cost = (weight * softplus(-s[tuple(links)])).sum()
    return cost + non_link_weight * softplus(s[others]).sum()


def with_gradients(function, z, scale):
    z, scale = (t.clone().requires_grad_() for t in (z, scale))
    value = function(z, scale)
    return value.detach(), *torch.autograd.grad(value, (z, scale))


@pytest.fixture
def small_tiles(monkeypatch):
    monkeypatch.setitem(module.TILE, "cpu", (4, 6))
    monkeypatch.setattr(module, "LINKS_AT_ONCE", 20)


@pytest.mark.parametrize("num_nodes", [1, 2, 3, 4, 5, 9, 10, 11, 23])
@pytest.mark.parametrize("non_link_weight", [0.0, 0.6])
def test_value_and_gradients_are_those_of_the_whole_matrix(
    small_tiles, num_nodes, non_link_weight
):
    z, scale, links, weight = problem(num_nodes)
    given = links, weight, non_link_weight
    expected = with_gradients(lambda z, s: dense(z, s, *given), z, scale)
    found = with_gradients(lambda z, s: gravity_loss(z, s, *given, epsilon=EPSILON), z, scale)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)


def test_gradcheck(small_tiles):
    z, scale, links, weight = problem(9)
    function = lambda z, s: gravity_loss(z, s, links, weight, 0.6, epsilon=EPSILON)  # noqa: E731
    assert torch.autograd.gradcheck(function, (z.requires_grad_(), scale.requires_grad_()))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_single_precision_is_close_to_the_truth_far_from_the_origin(dtype):
    z, scale, links, weight = problem(300, width=9)
    z = z.to(dtype)
    z[:, :-1] += 10
    given = links, weight, 0.6
    exact = z.double()
    expected = with_gradients(lambda z, s: dense(z, s, *given), exact, scale)
    found = with_gradients(lambda z, s: gravity_loss(z, s, *given, epsilon=EPSILON), z, scale)
    tolerances = (1e-6, 1e-4, 1e-5) if dtype == torch.float32 else (1e-6, 1e-2, 1e-5)
    for one, other, tolerance in zip(found, expected, tolerances, strict=True):
        error = (one.double() - other).abs().max() / other.abs().max()
        assert error < tolerance


@pytest.mark.parametrize("num_nodes", [2, 3, 7, 12])
def test_the_estimate_is_unbiased(num_nodes):
    """The mean over draws approaches the exact sum; its error is known from their spread."""
    z, scale, links, weight = problem(num_nodes)
    given = links, weight, 0.6
    expected = with_gradients(lambda z, s: dense(z, s, *given), z, scale)
    sampled = Sampled(3, torch.Generator().manual_seed(1))
    draws = [
        with_gradients(
            lambda z, s: gravity_loss(z, s, *given, epsilon=EPSILON, sampled=sampled), z, scale
        )
        for _ in range(300)
    ]
    for found, exact in zip(map(torch.stack, zip(*draws, strict=True)), expected, strict=True):
        error = (found.mean(0) - exact).abs()
        # Fixed seed: five standard errors.
        assert (error <= 5 * found.std(0) / 300**0.5 + 1e-9).all()


def test_distances_are_never_negative():
    x = torch.full((50, 3), 123.456)
    assert (squared_distances(x, x) >= 0).all()
    y = torch.randn(2, 7, 3, dtype=torch.float64)
    torch.testing.assert_close(squared_distances(y, y), torch.cdist(y, y).square())


def test_a_second_derivative_is_refused():
    z, scale, links, weight = problem(5)
    z.requires_grad_()
    loss = gravity_loss(z, scale, links, weight, 1.0, epsilon=EPSILON)
    with pytest.raises(RuntimeError, match="create_graph"):
        torch.autograd.grad(loss, z, create_graph=True)
