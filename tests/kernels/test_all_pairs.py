"""The sum over the pairs of two sets, or of one under a signature, in each implementation."""

import importlib.util
import math

import pytest
import torch
import torch.nn.functional as F

from vgae.errors import DataError
from vgae.kernels import Sampled, _tiled, all_pairs, pair_loss
from vgae.kernels.patterns import EdgePattern, PairPattern

needs_numba = pytest.mark.skipif(
    importlib.util.find_spec("numba") is None, reason="numba is not installed"
)
IMPLS = ["dense", "tiled", pytest.param("compiled", marks=needs_numba)]


def case(n, m=None, d=5, dtype=torch.float64, bias=-0.7):
    """Return z, w and a bias; the logits have variance one, whatever d."""
    generator = torch.Generator().manual_seed(1000 * n + 10 * (m or 0) + d)
    z, w = (
        size and d**-0.25 * torch.randn(size, d, generator=generator, dtype=dtype)
        for size in (n, m)
    )
    return z, w, torch.tensor(bias, dtype=dtype)


def signature(d, dtype=torch.float64):
    """Of an odd d, one more dimension attracts than repels."""
    return 1 - 2 * (torch.arange(d, dtype=dtype) % 2)


def with_gradients(function, *tensors):
    """Return the value and the gradients of each tensor that is one, as a list."""
    tensors = [t if t is None else t.detach().clone().requires_grad_() for t in tensors]
    value = function(*tensors)
    return [value, *torch.autograd.grad(value, [t for t in tensors if t is not None])]


def on_the_whole_matrix(z, w, bias, sign=None):
    rows = z if sign is None else z * sign
    return F.softplus(rows @ (z if w is None else w).T + bias, threshold=50).sum()


def errors(found, expected):
    return [((a - b).norm() / b.norm()).item() for a, b in zip(found, expected, strict=True)]


@pytest.mark.parametrize("impl", IMPLS)
@pytest.mark.parametrize("m", [1, 3, 5, 255, 257, 1000])
@pytest.mark.parametrize("n", [1, 3, 5, 255, 257, 1000])
def test_two_sets_equal_the_whole_matrix_in_value_and_all_gradients(n, m, impl):
    given = case(n, m, dtype=torch.float32)
    found = with_gradients(lambda z, w, b: all_pairs(z, w, b, impl=impl), *given)
    expected = with_gradients(on_the_whole_matrix, *(t.double() for t in given))
    # A single row is one of the four that it is rounded up to.
    assert max(errors(found, expected)) < (4e-6 if min(n, m) == 1 else 1e-6)


@pytest.mark.parametrize("impl", IMPLS)
@pytest.mark.parametrize("d", [1, 3, 16, 17])
@pytest.mark.parametrize("n", [1, 3, 5, 255, 257, 1000])
def test_a_signature_equals_the_whole_matrix_in_value_and_gradients(n, d, impl):
    z, _, bias = case(n, d=d, dtype=torch.float32)
    sign = signature(d, torch.float32)
    found = with_gradients(lambda z, b: all_pairs(z, None, b, signature=sign, impl=impl), z, bias)
    expected = with_gradients(
        lambda z, b: on_the_whole_matrix(z, None, b, sign.double()), z.double(), bias.double()
    )
    # A single node is one pair of the 16 that it is rounded up to.
    assert max(errors(found, expected)) < (2e-5 if n == 1 else 1e-6)


@pytest.mark.parametrize("sizes", [(9, 4), (4, 9), (1, 9), (9, 1), (9, None)])
def test_gradcheck(sizes, monkeypatch):
    monkeypatch.setitem(_tiled._TILE, "cpu", (2, 3))
    z, w, bias = case(*sizes, d=3)
    given = [t for t in (z, w, bias) if t is not None]
    sign = signature(3) if w is None else None

    def total(z, *rest):
        return all_pairs(z, rest[0] if len(rest) > 1 else None, rest[-1], signature=sign)

    assert torch.autograd.gradcheck(total, [t.requires_grad_() for t in given])


@pytest.mark.parametrize(("n", "m"), [(23, 10), (10, 23), (40, 1), (5, 64), (300, 257)])
@pytest.mark.parametrize("impl", IMPLS[1:])
def test_the_rows_and_columns_of_a_rectangle_can_be_exchanged(n, m, impl):
    z, w, bias = case(n, m, dtype=torch.float32)
    found = with_gradients(lambda z, w: all_pairs(z, w, bias, impl=impl), z, w)
    value, grad_w, grad_z = with_gradients(lambda w, z: all_pairs(w, z, bias, impl=impl), w, z)
    torch.testing.assert_close(found, [value, grad_z, grad_w])


@needs_numba
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_any_number_of_threads_gives_the_same_rectangle(threads):
    given = case(1500, 700, 16, torch.float32)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        found = with_gradients(lambda *t: all_pairs(*t, impl="compiled"), *given)
    finally:
        torch.set_num_threads(before)
    expected = with_gradients(on_the_whole_matrix, *(t.double() for t in given))
    assert max(errors(found, expected)) < 1e-6


@pytest.mark.parametrize("impl", IMPLS)
def test_the_gradients_of_two_sets_that_are_one_add_up_to_its_own(impl):
    z, _, bias = case(300, dtype=torch.float32)
    value, left, right = with_gradients(lambda z, w: all_pairs(z, w, bias, impl=impl), z, z)
    expected = with_gradients(lambda z: all_pairs(z, None, bias, impl=impl), z)
    torch.testing.assert_close([value, left + right], expected)


def drawn(z, w, bias, sign, count, per_node):
    """Return the estimates of ``count`` draws, each as one vector of value and gradients."""
    sampled = Sampled(per_node, torch.Generator().manual_seed(1))

    def estimate(*given):
        w = given[1] if len(given) > 2 else None
        return all_pairs(given[0], w, given[-1], signature=sign, sampled=sampled)

    given = [t for t in (z, w, bias) if t is not None]
    draws = (with_gradients(estimate, *given) for _ in range(count))
    return torch.stack([torch.cat([t.flatten() for t in draw]) for draw in draws])


@pytest.mark.parametrize(
    ("n", "m", "per_node"), [(23, 10, 4), (10, 23, 3), (2, 3, 1), (37, None, 4), (2, None, 1)]
)
def test_the_mean_of_many_draws_is_the_exact_sum_and_gradient(n, m, per_node):
    z, w, bias = case(n, m, d=3)
    sign = signature(3) if w is None else None
    found = drawn(z, w, bias, sign, 1000, per_node)
    given = [t for t in (z, w, bias) if t is not None]
    exact = with_gradients(
        lambda *t: on_the_whole_matrix(t[0], t[1] if m else None, t[-1], sign), *given
    )
    exact = torch.cat([t.flatten() for t in exact])
    # Within 4.5 standard errors in each of at most 113 entries; the draws are seeded.
    allowed = 4.5 * found.std(dim=0) / len(found) ** 0.5 + 1e-9 * exact.abs().max()
    assert ((found.mean(dim=0) - exact).abs() < allowed).all()


@pytest.mark.parametrize(("n", "m"), [(40, 1), (64, 8), (8, 64)])
def test_a_side_that_fits_into_one_block_leaves_no_noise(n, m):
    given = case(n, m)
    found = drawn(*given, None, 2, 8)
    exact = with_gradients(on_the_whole_matrix, *given)
    exact = torch.cat([t.flatten() for t in exact])
    torch.testing.assert_close(found, exact.expand_as(found))


@pytest.mark.parametrize(("n", "m"), [(400, 300), (400, None)])
def test_the_variance_is_far_below_that_of_pairs_drawn_alone(n, m):
    """Against the same number of pairs, each drawn on its own, for value and gradients."""
    z, w, bias = case(n, m, d=8)
    sign = signature(8) if w is None else None
    found = drawn(z, w, bias, sign, 60, 8).var(dim=0)
    columns, num_pairs = len(z if w is None else w), 8 * n
    generator = torch.Generator().manual_seed(2)

    def uniform(z, w, bias):
        i = torch.randint(n, (num_pairs,), generator=generator)
        j = torch.randint(columns, (num_pairs,), generator=generator)
        s = (z[i] * (1 if sign is None else sign) * w[j]).sum(1) + bias
        return F.softplus(s).sum() * n * columns / num_pairs

    draws = [with_gradients(uniform, z, z if w is None else w, bias) for _ in range(60)]
    if w is None:
        draws = [[v, g + h, b] for v, g, h, b in draws]
    plain = torch.stack([torch.cat([t.flatten() for t in draw]) for draw in draws]).var(dim=0)
    assert found[0] < 0.1 * plain[0]
    assert found[1:-1].sum() < 0.2 * plain[1:-1].sum()


@needs_numba
@pytest.mark.parametrize(("n", "m"), [(2100, 2300), (2300, None)])
def test_compiled_blocks_estimate_the_same_as_torch(n, m, monkeypatch):
    z, w, bias = case(n, m, d=6, dtype=torch.float32)
    sign = signature(6, torch.float32) if w is None else None
    compiled = drawn(z, w, bias, sign, 1, 16)
    monkeypatch.setattr("vgae.kernels._sampled.is_compiled", lambda *_: False)
    torch.testing.assert_close(compiled, drawn(z, w, bias, sign, 1, 16), rtol=1e-4, atol=1e-2)


def random_pairs(n, m, seed=0):
    """Return a fifth of the pairs in any order, and a weight for each, some of them zero."""
    generator = torch.Generator().manual_seed(seed)
    pairs = (torch.rand(n, m, generator=generator) < 0.2).nonzero().T
    pairs = pairs[:, torch.randperm(pairs.shape[1], generator=generator)]
    weight = torch.rand(pairs.shape[1], generator=generator, dtype=torch.float64)
    weight[::3] = 0
    return pairs, weight


def cost_on_the_whole_matrix(z, w, bias, pairs, weight, others):
    s = z @ w.T + bias
    weights = torch.zeros_like(s).index_put(tuple(pairs), weight)
    is_pair = torch.zeros_like(s).index_put(tuple(pairs), torch.ones_like(weight))
    return (weights * F.softplus(-s) + others * (1 - is_pair) * F.softplus(s)).sum()


@pytest.mark.parametrize("others", [0.0, 0.7])
@pytest.mark.parametrize(
    ("n", "m"), [(1, 1), (1, 7), (7, 1), (3, 5), (30, 50), (50, 30), (257, 40)]
)
def test_the_cost_of_a_rectangle_equals_the_whole_matrix(n, m, others):
    given, (pairs, weight) = case(n, m), random_pairs(n, m)
    pattern = PairPattern.of(pairs, (n, m))
    found = with_gradients(
        lambda z, w, b: pair_loss(z, pattern, pattern.values(weight), others, b, w=w), *given
    )
    expected = with_gradients(
        lambda *t: cost_on_the_whole_matrix(*t, pairs, weight, others), *given
    )
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("d", [1, 3, 4])
def test_the_cost_under_a_signature_equals_the_whole_matrix(d):
    z, _, bias = case(30, d=d)
    pairs, weight = random_pairs(30, 30)
    upper = pairs[0] < pairs[1]
    edges = torch.cat([pairs[:, upper], pairs[:, upper].flip(0)], dim=1)
    pattern = EdgePattern.of(edges, 30)
    given = pattern.values(weight[upper].repeat(2), 0.3)
    sign, entries = signature(d), torch.stack([pattern.row, pattern.col.long()])
    found = with_gradients(
        lambda z, b: pair_loss(z, pattern, given, 0.7, b, signature=sign), z, bias
    )
    expected = with_gradients(
        lambda z, b: cost_on_the_whole_matrix(z * sign, z, b, entries, given, 0.7), z, bias
    )
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


def test_the_memory_of_a_rectangle_grows_with_the_nodes_and_not_with_their_pairs():
    # The matrix of 30,000 x 20,000 logits takes 2.4 GB in float32, and more with its gradient.
    import resource

    z, w, _ = case(30_000, 20_000, 2, torch.float32)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    all_pairs(z.requires_grad_(), w).backward()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kB


@pytest.mark.parametrize(("n", "m"), [(0, 3), (3, 0), (0, 0)])
def test_an_empty_set_has_no_pairs(n, m):
    z, w = torch.zeros(n, 2, requires_grad=True), torch.zeros(m, 2)
    for sampled in (None, Sampled(4)):
        total = all_pairs(z, w, sampled=sampled)
        assert total.item() == 0
        assert not torch.autograd.grad(total, z)[0].any()


def test_half_precision_is_computed_in_float32():
    z, w, bias = case(20, 9)
    found = all_pairs(z.bfloat16(), w.bfloat16(), bias)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, all_pairs(z.bfloat16().float(), w.bfloat16().float(), bias))


def test_a_second_derivative_is_refused_instead_of_being_zero():
    z, w, _ = case(5, 3)
    with pytest.raises(RuntimeError, match="differentiated once"):
        torch.autograd.grad(all_pairs(z.requires_grad_(), w), z, create_graph=True)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"w": torch.zeros(4, 3)}, r"w must have shape \(m, 2\), got \(4, 3\)"),
        ({"signature": torch.ones(3)}, r"signature must have shape \(2,\), got \(3,\)"),
        ({"w": torch.zeros(4, 2), "signature": torch.ones(2)}, "signature is for one set"),
        ({"impl": "cuda"}, "impl must be one of"),
        ({"precision": "fp8"}, "precision must be one of"),
    ],
)
def test_what_does_not_fit_is_named(given, message):
    with pytest.raises(ValueError, match=message):
        all_pairs(torch.zeros(5, 2), **given)


@pytest.mark.parametrize(
    ("shape", "w"), [((5, 4), None), ((5, 4), torch.zeros(3, 2)), ((4, 3), torch.zeros(3, 2))]
)
def test_a_pattern_of_another_shape_is_refused(shape, w):
    pattern = PairPattern.of(torch.tensor([[0], [1]]), shape)
    with pytest.raises(ValueError, match="needs z and w of as many rows"):
        pair_loss(torch.zeros(5, 2), pattern, torch.ones(1), 1.0, w=w)


def test_edges_of_one_set_are_no_pairs_of_two():
    pattern = EdgePattern.of(torch.tensor([[0, 1], [1, 0]]), 5)
    with pytest.raises(ValueError, match="two sets of vectors need a PairPattern"):
        pair_loss(torch.zeros(5, 2), pattern, torch.ones(7), 1.0, w=torch.zeros(5, 2))


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([[0, 2], [1, 0]], r"a row must lie in \[0, 2\), got 2"),
        ([[0, 1], [1, 3]], r"\[0, 3\), got values from 0 to 3"),
        ([[0, 0], [1, 1]], "once each"),
        ([[0, -1], [1, 1]], "got values from -1"),
    ],
)
def test_pairs_that_are_no_places_of_a_rectangle_are_refused(pairs, message):
    with pytest.raises(DataError, match=message):
        PairPattern.of(torch.tensor(pairs), (2, 3))


@pytest.mark.parametrize("n", [1, 4, 9])
@pytest.mark.parametrize("m", [1, 6])
def test_the_transpose_of_a_pattern_is_that_of_its_matrix(n, m):
    pairs, weight = random_pairs(n, m, seed=3)
    pattern = PairPattern.of(pairs, (n, m))
    values = pattern.values(weight)
    matrix = torch.zeros(n, m, dtype=torch.float64).index_put(tuple(pairs), weight)
    parts = (pattern.crow_t, pattern.col_t, values[pattern.order], (m, n))
    transpose = torch.sparse_csr_tensor(*parts, check_invariants=True)
    assert torch.equal(transpose.to_dense(), matrix.T)
    assert pattern.shape == (n, m)


@pytest.mark.parametrize("impl", ["tiled", "compiled"])
@pytest.mark.parametrize(("n", "m", "d"), [(0, 0, 3), (5, 4, 0), (0, None, 3), (5, None, 0)])
def test_empty_sets_and_vectors_without_dimensions_are_taken(n, m, d, impl):
    z = torch.empty(n, d, requires_grad=True)
    w = None if m is None else torch.empty(m, d)
    total = all_pairs(z, w, torch.tensor(0.5), impl=impl)
    expected = n * (n if m is None else m) * math.log1p(math.exp(0.5))
    assert float(total.detach()) == pytest.approx(expected)
    total.backward()
    assert z.grad.shape == (n, d)


def test_a_sample_of_no_vectors_is_empty():
    z = torch.empty(0, 3, requires_grad=True)
    all_pairs(z, sampled=Sampled(8)).backward()
    assert z.grad.shape == (0, 3)


def test_a_bias_of_another_shape_is_named():
    with pytest.raises(ValueError, match=r"bias must have shape \(\), got \(3,\)"):
        all_pairs(torch.zeros(5, 4), bias=torch.zeros(3))
