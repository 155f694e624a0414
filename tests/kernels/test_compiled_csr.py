import pytest
import torch

from vgae.kernels import _available, _edges, pair_loss
from vgae.kernels._all_pairs import Wanted
from vgae.kernels.csr import csr_tensor
from vgae.kernels.patterns import EdgePattern, PairPattern
from vgae.kernels.spmm import product

_compiled_csr = pytest.importorskip("vgae.kernels._compiled_csr", reason="numba is not installed")


def random_matrix(rows, columns, share, seed=0):
    """A sparse matrix with empty rows and a full one."""
    generator = torch.Generator().manual_seed(seed)
    filled = torch.rand(rows, columns, generator=generator) < share
    filled[rows // 2] = True
    values = torch.randn(rows, columns, generator=generator) * filled
    crow = torch.cat([torch.zeros(1, dtype=torch.int64), filled.sum(1).cumsum(0)]).int()
    row, col = filled.nonzero(as_tuple=True)
    return (crow, col.int(), values[row, col]), values


def pattern_case(num_nodes, d, seed=0):
    generator = torch.Generator().manual_seed(seed)
    links = torch.randint(num_nodes, (2, 6 * num_nodes), generator=generator)
    links = links[:, links[0] != links[1]]
    links = torch.cat(
        [links, torch.stack([torch.zeros(num_nodes - 1), *[torch.arange(1, num_nodes)]]).long()], 1
    )
    edges = torch.cat([links, links.flip(0)], dim=1).unique(dim=1)
    pattern = EdgePattern.of(edges, num_nodes)
    low, high = edges.sort(dim=0).values
    weight = pattern.values(((low * 7 + high) % 5).float() / 4, 0.5)
    z = torch.randn(num_nodes, d, generator=generator) / d**0.5
    return z, torch.tensor(-0.7), pattern, weight


def relative(found, exact):
    return float((found.double() - exact).norm() / exact.norm())


# Around one, two and four vectors of columns, and beyond.
@pytest.mark.parametrize("width", [1, 15, 16, 17, 32, 48, 64, 80, 130])
def test_a_product_equals_the_dense_one(width):
    matrix, dense = random_matrix(90, 70, 0.2)
    y = torch.randn(70, width, generator=torch.Generator().manual_seed(1))
    found = _compiled_csr.csr_product(*matrix, y)
    assert relative(found, dense.double() @ y.double()) < 3e-7
    assert found.is_contiguous()
    assert not found[matrix[0].diff() == 0].any()


@pytest.mark.parametrize("d", [1, 16, 17, 33, 64, 128])
def test_a_sweep_equals_the_textbook(d):
    z, bias, pattern, weight = pattern_case(150, d)
    found = _compiled_csr.edge_sweep(z, bias, pattern.crow, pattern.col, weight, 0.3, Wanted())
    logits = (z.double() @ z.double().T + bias)[pattern.row, pattern.col.long()]
    w = weight.double()
    cost = -w * torch.nn.functional.logsigmoid(logits) + 0.3 * torch.nn.functional.logsigmoid(
        -logits
    )
    slope = w * (torch.sigmoid(logits) - 1) - 0.3 * torch.sigmoid(logits)
    grad = torch.zeros_like(z, dtype=torch.float64)
    grad.index_add_(0, pattern.row, 2 * slope[:, None] * z.double()[pattern.col.long()])
    for got, expected in zip(found, (cost.sum(), grad, slope.sum()), strict=True):
        assert relative(got, expected) < 5e-7


@pytest.mark.parametrize("bias", [-40.0, 40.0])
def test_large_logits_stay_finite_and_exact(bias):
    z, _, pattern, weight = pattern_case(40, 4)
    b = torch.tensor(bias)
    found = _compiled_csr.edge_sweep(z, b, pattern.crow, pattern.col, weight, 0.3, Wanted())
    # torch computes in float64.
    exact = _edges.sweep(z.double(), b.double(), pattern, weight.double(), 0.3, Wanted())
    assert all(relative(got, expected) < 1e-6 for got, expected in zip(found, exact, strict=True))


def test_neither_threads_nor_a_division_of_the_rows_change_a_bit(monkeypatch):
    monkeypatch.setattr(_compiled_csr, "_CHUNK", 50)
    z, bias, pattern, weight = pattern_case(300, 16)
    results = []
    threads = torch.get_num_threads()
    try:
        for number in (1, 2, 3):
            torch.set_num_threads(number)
            sweep = _compiled_csr.edge_sweep(
                z, bias, pattern.crow, pattern.col, weight, 0.3, Wanted()
            )
            found = _compiled_csr.csr_product(pattern.crow, pattern.col, weight, z)
            results.append((*sweep, found))
    finally:
        torch.set_num_threads(threads)
    first, *others = results
    assert all(torch.equal(a, b) for other in others for a, b in zip(first, other, strict=True))
    # Rows of one process: a slice of the starts, all columns.
    part = slice(100, 201)
    own = _compiled_csr.edge_sweep(
        z[100:200], bias, pattern.crow[part], pattern.col, weight, 0.3, Wanted(), z
    )
    assert torch.equal(own.grad_z, first[1][100:200])
    rows = _compiled_csr.csr_product(pattern.crow[part], pattern.col, weight, z)
    assert torch.equal(rows, first[3][100:200])


def test_one_weight_for_all_entries_needs_no_array():
    z, bias, pattern, weight = pattern_case(60, 8)
    one = weight.new_tensor(2.0).expand(len(weight))
    found, same = (
        _compiled_csr.edge_sweep(z, bias, pattern.crow, pattern.col, w, 0.3, Wanted())
        for w in (one, one.contiguous())
    )
    assert all(torch.equal(a, b) for a, b in zip(found, same, strict=True))


def test_not_a_number_is_not_hidden():
    z, bias, pattern, weight = pattern_case(60, 8)
    z[3, 2] = float("nan")
    found = _compiled_csr.edge_sweep(z, bias, pattern.crow, pattern.col, weight, 0.3, Wanted())
    assert found.total.isnan()
    assert found.grad_bias.isnan()
    assert found.grad_z[3].isnan().all()


def test_empty_matrices_and_empty_rows():
    crow, col = torch.zeros(4, dtype=torch.int32), torch.zeros(0, dtype=torch.int32)
    found = _compiled_csr.csr_product(crow, col, torch.zeros(0), torch.ones(5, 3))
    assert torch.equal(found, torch.zeros(3, 3))
    sweep = _compiled_csr.edge_sweep(
        torch.ones(3, 2), None, crow, col, torch.zeros(0), 0.3, Wanted()
    )
    assert not any(tensor.any() for tensor in sweep)


@pytest.fixture
def compiled_from(monkeypatch):
    def set_fewest(nodes):
        monkeypatch.setattr(_available, "FEWEST_SPARSE", nodes)

    return set_fewest


def test_large_matrices_take_this_code_and_small_ones_that_of_torch(compiled_from, monkeypatch):
    (crow, col, values), dense = random_matrix(40, 30, 0.3)
    matrix, y = csr_tensor(crow, col, values, (40, 30)), torch.ones(30, 5)
    called = []
    inner = _compiled_csr.csr_product
    monkeypatch.setattr(
        _compiled_csr, "csr_product", lambda *given: called.append(1) or inner(*given)
    )
    product(matrix, y)
    assert not called
    compiled_from(40)
    torch.testing.assert_close(product(matrix, y), dense @ y)
    assert called
    product(matrix.double(), y.double())
    assert len(called) == 1


@pytest.mark.parametrize(("two_sets", "signed"), [(False, False), (False, True), (True, False)])
def test_the_loss_is_that_of_torch(compiled_from, two_sets, signed):
    z, bias, pattern, weight = pattern_case(50, 6)
    options = {"signature": torch.tensor([1.0, 1, 1, 1, -1, -1])} if signed else {}
    if two_sets:
        pairs = torch.stack([torch.arange(40) % 50, torch.arange(40) * 7 % 30])
        pattern, weight = PairPattern.of(pairs, (50, 30)), torch.linspace(0.1, 2, 40)
        options = {"w": z[:30].flip(1).contiguous()}
    found = []
    for fewest in (10**9, 1):
        compiled_from(fewest)
        leaves = [t.clone().requires_grad_() for t in (z, bias, *options.values())]
        given = dict(zip(options, leaves[2:], strict=True)) if two_sets else options
        loss = pair_loss(leaves[0], pattern, weight, 0.2, leaves[1], **given)
        loss.backward()
        found.append([loss.detach(), *(t.grad for t in leaves[: 3 if two_sets else 2])])
    for ours, torchs in zip(*reversed(found), strict=True):
        torch.testing.assert_close(ours, torchs, rtol=2e-6, atol=1e-5)
