import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vgae.graphs.graph import Graph
from vgae.kernels import Sampled, _tiled, inner_product_nll
from vgae.kernels.patterns import EdgePattern


def random_case(num_nodes, d=5, seed=0, scale=1.0):
    """Return z, both directions of random edges, and a bias; all float64."""
    generator = torch.Generator().manual_seed(seed)
    z = scale * torch.randn(num_nodes, d, generator=generator, dtype=torch.float64)
    edges = torch.randint(num_nodes, (2, 3 * num_nodes), generator=generator)
    edge_index = Graph.from_edges(edges, num_nodes=num_nodes).edge_index
    return z, edge_index, torch.tensor(-0.7, dtype=torch.float64)


def value_and_grads(z, edge_index, bias, impl):
    z, bias = z.clone().requires_grad_(), bias.clone().requires_grad_()
    nll = inner_product_nll(z, edge_index, bias, impl=impl)
    # Different weights, so that a gradient on the wrong side shows.
    weighted = 3 * nll.edges + 2 * nll.non_edges + 5 * nll.self_pairs
    grads = torch.autograd.grad(weighted, (z, bias))
    return *nll, *grads


@pytest.fixture
def small_tiles(monkeypatch):
    """Tiles of 4 rows and 8 columns: every kind of tile occurs in a graph of 30 nodes."""
    monkeypatch.setitem(_tiled._TILE, "cpu", (4, 8))


@pytest.mark.parametrize("num_nodes", [1, 2, 3, 4, 5, 7, 8, 9, 11, 12, 13, 16, 17, 29, 30])
@pytest.mark.usefixtures("small_tiles")
def test_tiled_equals_dense_in_value_and_gradient_around_every_tile_size(num_nodes):
    case = random_case(num_nodes)
    tiled, dense = value_and_grads(*case, "tiled"), value_and_grads(*case, "dense")
    torch.testing.assert_close(tiled, dense, rtol=1e-12, atol=1e-11)


@pytest.mark.parametrize("num_nodes", [255, 256, 257, 512, 2255, 2256, 2257, 2513])
def test_tiled_equals_dense_around_the_real_tile_size(num_nodes):
    case = random_case(num_nodes, d=2)
    tiled, dense = value_and_grads(*case, "tiled"), value_and_grads(*case, "dense")
    torch.testing.assert_close(tiled, dense, rtol=1e-11, atol=1e-9)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.integers(1, 20), st.integers(0, 2**31), st.floats(0.01, 8))
def test_tiled_equals_dense_at_any_size_and_scale(num_nodes, d, seed, scale):
    case = random_case(num_nodes, d, seed, scale)
    tiled, dense = value_and_grads(*case, "tiled"), value_and_grads(*case, "dense")
    torch.testing.assert_close(tiled, dense, rtol=1e-10, atol=1e-10)


@pytest.mark.usefixtures("small_tiles")
def test_gradcheck():
    z, edge_index, bias = random_case(9, d=2)
    inputs = (z.requires_grad_(), edge_index, bias.requires_grad_())
    assert torch.autograd.gradcheck(lambda *a: tuple(inner_product_nll(*a, impl="tiled")), inputs)


def test_in_float32_the_error_against_float64_stays_in_its_budget():
    z, edge_index, bias = random_case(2708, d=16)
    exact = value_and_grads(z, edge_index, bias, "dense")
    fast = value_and_grads(z.float(), edge_index, bias.float(), "tiled")
    for got, expected in zip(fast[:3], exact[:3], strict=True):
        assert (got - expected).abs() / expected < 1e-6
    error = (fast[3] - exact[3]).norm() / exact[3].norm()
    assert error < 1e-6


@pytest.mark.parametrize("logit", [-1000.0, -40.0, 40.0, 1000.0])
def test_saturated_logits_stay_finite_and_keep_their_gradient(logit):
    z = torch.tensor([[abs(logit)], [1.0 if logit > 0 else -1.0], [0.0]], requires_grad=True)
    edge_index = torch.tensor([[0, 1], [1, 0]])
    nll = inner_product_nll(z, edge_index)
    grad = torch.autograd.grad(nll.edges + nll.non_edges, z)[0]
    assert torch.isfinite(nll.edges)
    assert torch.isfinite(nll.non_edges)
    assert torch.isfinite(grad).all()
    if logit < 0:  # a link with a logit of -1000 costs 1000 nats each way and still pulls
        assert nll.edges.item() == pytest.approx(-2 * logit)
        assert grad[1].item() == pytest.approx(2 * logit)


def test_a_rotation_of_z_changes_nothing():
    z, edge_index, bias = random_case(20, d=4)
    rotation = torch.linalg.qr(random_case(4, d=4, seed=1)[0])[0]
    torch.testing.assert_close(
        inner_product_nll(z @ rotation, edge_index, bias), inner_product_nll(z, edge_index, bias)
    )


def test_permuting_the_nodes_changes_nothing(generator):
    z, edge_index, bias = random_case(20)
    order = torch.randperm(20, generator=generator)
    permuted = inner_product_nll(z[order], order.argsort()[edge_index], bias)
    torch.testing.assert_close(permuted, inner_product_nll(z, edge_index, bias))


def test_edges_that_are_sorted_once_give_the_same():
    z, edge_index, bias = random_case(20)
    pattern = EdgePattern.of(edge_index, 20)
    sorted_once, given_edges = (
        value_and_grads(z, e, bias, "tiled") for e in (pattern, edge_index)
    )
    for left, right in zip(sorted_once, given_edges, strict=True):
        assert torch.equal(left, right)


def test_half_precision_is_computed_in_float32():
    z, edge_index, _ = random_case(20)
    half = z.bfloat16()
    nll = inner_product_nll(half, edge_index)
    assert nll.edges.dtype == torch.float32
    torch.testing.assert_close(nll, inner_product_nll(half.float(), edge_index))


def test_without_gradients_the_value_is_the_same():
    z, edge_index, bias = random_case(300)
    with torch.no_grad():
        nll = inner_product_nll(z, edge_index, bias)
    torch.testing.assert_close(tuple(nll), value_and_grads(z, edge_index, bias, "tiled")[:3])


def test_a_second_derivative_is_refused_instead_of_being_zero():
    z, edge_index, bias = random_case(5)
    z.requires_grad_()
    nll = inner_product_nll(z, edge_index, bias)
    for part in (nll.edges, nll.non_edges):
        with pytest.raises(RuntimeError, match="differentiated once"):
            torch.autograd.grad(part, z, create_graph=True)


def test_memory_grows_with_the_nodes_and_not_with_their_pairs():
    # The N x N matrix of 30,000 nodes takes 3.6 GB in float32, and more with its gradient.
    import resource

    z = torch.randn(30_000, 2, requires_grad=True)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    inner_product_nll(z, torch.tensor([[0, 1], [1, 0]])).non_edges.backward()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kB


def test_two_clusters_that_are_all_but_certain_cost_next_to_nothing():
    """Of 4e7 nats over all pairs the non-links' share is nought: 1e-8 may be left of it."""
    z = torch.cat([torch.full((500, 1), 9.0), torch.full((500, 1), -9.0)])
    z = z + 0.01 * torch.randn(1000, 1, generator=torch.Generator().manual_seed(0))
    index = torch.arange(1000)
    together = (index[:, None] < 500) == (index < 500)
    together &= ~torch.eye(1000, dtype=torch.bool)
    nll = inner_product_nll(z, together.nonzero().T)
    assert nll.non_edges.abs() < 0.4
    assert nll.edges.abs() < 1e-6


@pytest.mark.gpu
@pytest.mark.parametrize("num_nodes", [1, 300, 5000])
def test_on_a_gpu_it_is_as_exact_as_on_a_cpu(num_nodes):
    z, edge_index, bias = random_case(num_nodes, d=16)
    exact = value_and_grads(z, edge_index, bias, "tiled")
    on_gpu = value_and_grads(z.float().cuda(), edge_index.cuda(), bias.float().cuda(), "tiled")
    for got, expected in zip(on_gpu, exact, strict=True):
        torch.testing.assert_close(got.cpu().double(), expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(
    ("edge_index", "message"),
    [
        ([[0, 1], [1, 2]], "both directions"),
        ([[0, 1, 2], [1, 0, 2]], "without self-loops"),
        ([[0, 1, 0, 1], [1, 0, 1, 0]], "once each"),
        ([[0, 7], [7, 0]], r"\[0, 3\), got values from 0 to 7"),
        ([[0, -1], [-1, 0]], "got values from -1"),
        ([[0.0, 1.0], [1.0, 0.0]], "must be int64, got torch.float32"),
    ],
)
def test_edges_that_would_give_a_wrong_gradient_are_refused(edge_index, message):
    with pytest.raises(ValueError, match=message):
        inner_product_nll(torch.zeros(3, 2), torch.tensor(edge_index))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"impl": "cuda"}, "impl must be one of"),
        ({"precision": "fp8"}, "precision must be one of"),
        ({"impl": "triton"}, "needs float32, a GPU"),
        ({"impl": "compiled"}, "got torch.float64 on cpu; 'tiled' works anywhere"),
    ],
)
def test_options_without_meaning_are_named(options, message):
    z, edge_index, _ = random_case(5)
    with pytest.raises(ValueError, match=message):
        inner_product_nll(z, edge_index, **options)


def test_fewer_than_one_sampled_pair_per_node_are_refused():
    with pytest.raises(ValueError, match="pairs_per_node must be at least 1, got 0"):
        Sampled(0)


@pytest.mark.parametrize("shape", [(0, 3), (2500, 0)])
def test_nothing_to_multiply_is_no_error(shape):
    z = torch.zeros(shape, requires_grad=True)
    nll = inner_product_nll(z, torch.zeros(2, 0, dtype=torch.int64))
    torch.autograd.grad(nll.non_edges, z)
    pairs = shape[0] * (shape[0] - 1)
    assert nll.non_edges.item() == pytest.approx(pairs * 0.6931472, rel=1e-6)


def test_under_autocast_it_is_computed_in_float32():
    z, edge_index, _ = random_case(20)
    expected = inner_product_nll(z.float(), edge_index)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(inner_product_nll(z.float(), edge_index), expected)


@pytest.mark.parametrize(
    ("z", "edge_index", "message"),
    [
        (torch.zeros(3), torch.zeros(2, 0, dtype=torch.int64), r"\(N, d\), got \(3,\)"),
        (torch.zeros(3, 2), torch.zeros(0, 2, dtype=torch.int64), r"\(2, E\), got \(0, 2\)"),
        (torch.zeros(3, 2), EdgePattern.of(torch.tensor([[0, 1], [1, 0]]), 4), "4 rows.*got 3"),
    ],
)
def test_shapes_that_do_not_fit_are_named(z, edge_index, message):
    with pytest.raises(ValueError, match=message):
        inner_product_nll(z, edge_index)


@pytest.mark.parametrize("with_z", [False, True])
@pytest.mark.parametrize("with_bias", [False, True])
@pytest.mark.parametrize("enabled", [False, True])
def test_only_gradients_that_are_needed_are_computed(with_z, with_bias, enabled, monkeypatch):
    z, edge_index, bias = random_case(5)
    wanted = []
    sweep = _tiled.sweep
    monkeypatch.setattr(_tiled, "sweep", lambda *a: (wanted.append(a[2]), sweep(*a))[1])
    with torch.set_grad_enabled(enabled):
        z, bias = z.requires_grad_(with_z), bias.requires_grad_(with_bias)
        inner_product_nll(z, edge_index, bias, impl="tiled")
    assert wanted == [(True, with_z and enabled, with_bias and enabled)]
