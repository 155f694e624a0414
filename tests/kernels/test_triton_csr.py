"""The sparse Triton kernels: on a GPU with ``-m gpu``, else in Triton's interpreter.

The interpreter has small tiles and chunks, so that seventy nodes fill several.
"""

import importlib
import os
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from vgae.kernels import SparseOperator, _edges, spmm
from vgae.kernels._all_pairs import Sweep, Wanted
from vgae.kernels.csr import csr_tensor
from vgae.kernels.patterns import EdgePattern, PairPattern
from vgae.kernels.shares import PatternShare
from vgae.runtime.devices import deterministic_algorithms
from vgae.runtime.processes import Team

CUDA = torch.cuda.is_available()
if not CUDA:
    os.environ["TRITON_INTERPRET"] = "1"
# Older interpreters do not work with NumPy 2.4.
triton = pytest.importorskip(
    "triton", None if CUDA else "3.9", reason="triton (3.9 without a GPU)"
)
if not CUDA:
    import triton.language

    # Whoever imported triton before left tl.sum and tl.zeros to be compiled; now they are not.
    importlib.reload(triton.language.standard)
    importlib.reload(triton.language)

from vgae.kernels import _available, _triton_csr  # noqa: E402
from vgae.kernels._triton_csr import csr_product, edge_sweep  # noqa: E402

# All tests of this file, in a run of those for GPUs.
pytestmark = [pytest.mark.gpu] if CUDA else []
DEVICE = "cuda" if CUDA else "cpu"
SIZES = [0, 1, 2, 15, 16, 17, 31, 32, 33, 70]
WIDTHS = [1, 5, 16, 17, 40]
# Nodes of a graph whose hub has several chunks of entries, and entries of one long row.
SOME, MANY = (6000, 100_000) if CUDA else (70, 500)


def csr_parts(dense, index=torch.int32):
    """Return crow, col and values of a dense matrix; zeros have no entry."""
    row, col = dense.nonzero().T
    crow = F.pad((dense != 0).sum(dim=1).cumsum(dim=0), (1, 0))
    return crow.to(index), col.to(index), dense[row, col].float()


def random_matrix(rows, columns, seed=0):
    """Return a matrix with a full first row, every third row empty and few entries elsewhere."""
    generator = torch.Generator().manual_seed(seed + 100 * rows + columns)
    dense = torch.randn(rows, columns, generator=generator)
    dense *= torch.rand(rows, columns, generator=generator) < 4 / max(columns, 1)
    dense[1::3] = 0
    dense[:1] = torch.randn(columns, generator=generator)
    return dense.to(DEVICE)


def random_graph(num_nodes, d=5, bias=-0.7):
    """Return z, bias, and A + I with a hub in the middle as dense matrix of the weights alpha."""
    generator = torch.Generator().manual_seed(100 * num_nodes + d)
    z = d**-0.25 * torch.randn(num_nodes, d, generator=generator)
    weight = torch.rand(num_nodes, num_nodes, generator=generator) + 0.5
    kept = torch.rand(num_nodes, num_nodes, generator=generator) < 2 / max(num_nodes, 1)
    kept[num_nodes // 2 :][:1] = True
    weight = weight + weight.T
    weight *= kept | kept.T | torch.eye(num_nodes, dtype=torch.bool)
    return z.to(DEVICE), torch.tensor(bias, device=DEVICE), weight.to(DEVICE)


def swept(z, bias, weight, beta=0.3, wanted=Wanted(), index=torch.int32):  # noqa: B008
    return edge_sweep(z, bias, *csr_parts(weight, index), beta, wanted)


def exact_sweep(z, bias, weight, beta=0.3):
    """Return the same in float64 from N x N matrices."""
    z, weight = z.double().requires_grad_(), weight.double()
    bias = (z.new_zeros(()) if bias is None else bias.double()).requires_grad_()
    s = z @ z.T + bias
    terms = torch.where(weight == 0, 0, -weight * F.logsigmoid(s) - beta * s)
    total = terms.sum()
    return Sweep(total.detach(), *torch.autograd.grad(total, (z, bias)))


def relative_error(got, expected):
    return ((got - expected).norm() / expected.norm()).item()


def assert_within_budget(z, bias, weight, beta=0.3, **options):
    got, exact = swept(z, bias, weight, beta, **options), exact_sweep(z, bias, weight, beta)
    assert [x.dtype for x in got] == [torch.float64, torch.float32, torch.float32]
    assert got.grad_z.shape == z.shape
    # A float32 near the bias is rounded by so much, and exp(s) has it as its relative error.
    rounding = 0 if bias is None else 2**-23 * abs(bias.item())
    assert relative_error(got.total, exact.total) < 1e-6 + rounding
    assert relative_error(got.grad_z, exact.grad_z) < 1e-5 + rounding
    assert relative_error(got.grad_bias, exact.grad_bias) < 1e-5 + rounding


class Interpreted:
    """The kernels as ``_edges`` calls them for tensors on a CPU, or on a GPU."""

    @staticmethod
    def edge_sweep(z, bias, crow, col, weight, beta, *others):
        weight = weight if CUDA else weight - beta
        return edge_sweep(z, bias, crow, col, weight, beta, *others)


@pytest.mark.parametrize(
    ("rows", "columns", "wanted"),
    [
        # All that may be wanted of one shape, and all at once of the others.
        pytest.param(
            *shape, wanted, marks=() if shape == (17, 33) or all(wanted) else pytest.mark.slow
        )
        for shape in [(1, 1), (1, 60), (60, 1), (17, 33), (70, 40)]
        for wanted in map(Wanted._make, product([True, False], repeat=3))
    ],
)
def test_the_sums_over_a_rectangle_are_those_of_torch(rows, columns, wanted, monkeypatch):
    dense = random_matrix(rows, columns).abs()
    pairs = dense.nonzero().T
    pattern = PairPattern.of(pairs, dense.shape)
    weight = pattern.values(dense[tuple(pairs)])
    z, w = (torch.randn(size, 5, device=DEVICE) for size in dense.shape)
    bias = torch.tensor(-0.7, device=DEVICE)
    expected = _edges.sweep(
        z.double(), bias.double(), pattern, weight.double(), 0.3, wanted, w.double()
    )
    monkeypatch.setattr(_edges, "sparse_kernels", lambda *_: Interpreted)
    found = _edges.sweep(z, bias, pattern, weight, 0.3, wanted, w)
    for is_wanted, got, exact in zip(wanted, found, expected, strict=True):
        assert not is_wanted or relative_error(got, exact) < 1e-5


def test_the_sums_under_a_signature_are_those_of_torch(monkeypatch):
    z, bias, dense = random_graph(70)
    pairs = (dense.triu(1) != 0).nonzero().T
    pattern = EdgePattern.of(torch.cat([pairs, pairs.flip(0)], dim=1), 70)
    weight = pattern.values(dense[tuple(pairs)].repeat(2), 0.4)
    sign = torch.tensor([1.0, -1, 1, -1, -1], device=DEVICE)
    doubles = (z.double(), bias.double(), pattern, weight.double(), 0.3, Wanted(), None)
    expected = _edges.sweep(*doubles, sign.double())
    monkeypatch.setattr(_edges, "sparse_kernels", lambda *_: Interpreted)
    found = _edges.sweep(z, bias, pattern, weight, 0.3, Wanted(), None, sign)
    for got, exact in zip(found, expected, strict=True):
        assert relative_error(got, exact) < 1e-5


@pytest.mark.parametrize("columns", [None, 12])
def test_the_shares_of_processes_add_up(columns, monkeypatch):
    monkeypatch.setattr(_edges, "sparse_kernels", lambda *_: Interpreted)
    if columns is None:
        z, bias, dense = random_graph(20)
        dense, w = dense.fill_diagonal_(1), None
        pairs = (dense.triu(1) != 0).nonzero().T
        pattern = EdgePattern.of(torch.cat([pairs, pairs.flip(0)], dim=1), 20)
        weight = pattern.values(dense[tuple(pairs)].repeat(2), 0.4)
    else:
        dense, bias = random_matrix(20, columns).abs(), torch.tensor(-0.7, device=DEVICE)
        pattern = PairPattern.of(dense.nonzero().T, dense.shape)
        weight = pattern.values(dense[tuple(dense.nonzero().T)])
        z, w = (torch.randn(n, 5, device=DEVICE) for n in (20, columns))
    shares = [PatternShare.of(pattern, Team(rank, 2)) for rank in range(2)]
    parts = [_edges.sweep(z, bias, part, weight, 0.3, Wanted(), w) for part in shares]
    whole = _edges.sweep(z, bias, pattern, weight, 0.3, Wanted(), w)
    for one, other, expected in zip(*parts, whole, strict=True):
        assert relative_error(one + other, expected) < 1e-6


def assert_is_product(dense, x, index=torch.int32):
    got = csr_product(*csr_parts(dense, index), x)
    assert got.dtype == torch.float32
    exact = dense.double() @ x.double()
    size = dense.double().abs() @ x.double().abs()
    assert ((got - exact).abs() <= 1e-6 * size).all()


@pytest.mark.parametrize("size", SIZES)
def test_the_product_is_that_of_dense_matrices_for_every_number_of_rows(size):
    assert_is_product(random_matrix(size, 40), torch.randn(40, 5, device=DEVICE))


@pytest.mark.parametrize("size", SIZES)
def test_the_product_is_that_of_dense_matrices_for_every_number_of_columns(size):
    assert_is_product(random_matrix(7, size), torch.randn(size, 5, device=DEVICE))


@pytest.mark.parametrize("width", [0, *WIDTHS, 128, 300])
def test_the_product_is_that_of_dense_matrices_for_every_width(width):
    assert_is_product(random_matrix(7, SOME), torch.randn(SOME, width, device=DEVICE))


@pytest.mark.parametrize("rows", [1, 5])
def test_a_matrix_without_entries_has_the_product_zero(rows):
    dense = torch.zeros(rows, 3, device=DEVICE)
    assert (
        csr_product(*csr_parts(dense), torch.ones(3, 4, device=DEVICE)).tolist()
        == [[0.0] * 4] * rows
    )


def test_indices_may_have_64_bits():
    assert_is_product(random_matrix(9, SOME), torch.randn(SOME, 5, device=DEVICE), torch.int64)
    assert_within_budget(*random_graph(17), index=torch.int64)


@pytest.mark.parametrize("start", [0, 1, 31, 32, 33, 65])
@pytest.mark.parametrize("length", [0, 1, 31, 32, 33, 63, 64, 100])
def test_every_place_of_a_row_among_the_chunks_gives_its_sum(start, length, monkeypatch):
    monkeypatch.setattr(_triton_csr, "_CHUNK", 32)
    monkeypatch.setattr(_triton_csr, "_LONG", 0)
    num_entries = start + length + 40
    crow = torch.tensor([0, start, start + length, num_entries], device=DEVICE)
    values = torch.arange(1.0, num_entries + 1, device=DEVICE)
    col = torch.zeros(num_entries, dtype=torch.int64, device=DEVICE)
    sums = [values[crow[i] : crow[i + 1]].sum().item() for i in range(3)]
    got = csr_product(crow, col, values, torch.ones(1, 1, device=DEVICE))
    assert got.squeeze(1).tolist() == sums  # integers: exact


def test_the_sum_of_a_long_row_keeps_its_digits():
    values = torch.full((MANY,), 0.1, device=DEVICE)
    crow = torch.tensor([0, 0, MANY, MANY], device=DEVICE)
    x = torch.rand(MANY, 1, device=DEVICE) + 0.5
    got = csr_product(crow, torch.arange(MANY, device=DEVICE), values, x)
    exact = values.double() @ x.double()
    assert got[[0, 2]].tolist() == [[0], [0]]
    torch.testing.assert_close(got[1].double(), exact, rtol=3e-7, atol=0)


@pytest.mark.parametrize("view", ["transposed", "columns", "rows", "expanded", "expanded rows"])
def test_the_dense_matrix_need_not_be_contiguous(view):
    x = torch.randn(40, 40, device=DEVICE)
    x = {
        "transposed": x.T,
        "columns": x[:, 3:8],
        "rows": x.repeat(2, 1)[::2],
        "expanded": x[:1, :1].expand(40, 40),
        "expanded rows": x[:1].expand(40, 40),
    }[view]
    assert_is_product(random_matrix(9, 40), x)


def test_what_is_not_finite_stays_in_its_rows():
    dense = random_matrix(9, 40)
    x = torch.randn(40, 3, device=DEVICE)
    x[5, 1] = torch.nan
    got = csr_product(*csr_parts(dense), x)
    reached = dense[:, 5] != 0
    assert reached.any()
    assert torch.equal(got[:, 1].isnan(), reached)
    assert got[:, [0, 2]].isfinite().all()


@pytest.mark.parametrize("num_nodes", SIZES[1:])
def test_the_sweep_stays_in_its_budget_for_every_number_of_nodes(num_nodes):
    assert_within_budget(*random_graph(num_nodes))


def test_without_a_bias_logits_are_products():
    z, _, weight = random_graph(17)
    assert_within_budget(z, None, weight)


@pytest.mark.parametrize("d", [*WIDTHS, 256])
def test_the_sweep_stays_in_its_budget_for_every_width(d):
    assert_within_budget(*random_graph(17, d))


@pytest.mark.parametrize("beta", [0.0, 1.0, -2.5])
def test_the_sweep_stays_in_its_budget_for_every_beta(beta):
    assert_within_budget(*random_graph(17), beta)


def test_an_entry_of_weight_zero_counts_for_beta():
    z, bias, weight = random_graph(17)
    crow, col, alpha = csr_parts(weight)
    got = edge_sweep(z, bias, crow, col, 0 * alpha, 2.0, Wanted())
    s = (z @ z.T + bias)[weight != 0].double()
    torch.testing.assert_close(got.total, -2 * s.sum(), rtol=1e-6, atol=1e-6 * s.abs().sum())
    assert got.grad_bias == -2 * len(col)


def test_a_sweep_by_hand():
    """Two linked nodes at 2 and 1: logits 4, 2, 2 and 1; bias -1 makes them 3, 1, 1 and 0."""
    z = torch.tensor([[2.0], [1.0]], device=DEVICE)
    weight = torch.tensor([[1.0, 3.0], [3.0, 1.0]], device=DEVICE)
    got = swept(z, torch.tensor(-1.0, device=DEVICE), weight, beta=2.0)
    cost = [0.0485873516, 0.3132616875, 0.6931471806]  # log(1 + exp(-s)) for 3, 1 and 0
    total = cost[0] + 6 * cost[1] + cost[2] - 2.0 * (3 + 1 + 1 + 0)
    slope = [-0.0474258732 - 2, -3 * 0.2689414214 - 2, -0.5 - 2]  # alpha (sigmoid(s) - 1) - beta
    assert got.total.item() == pytest.approx(total, rel=1e-6)
    assert got.grad_bias.item() == pytest.approx(slope[0] + 2 * slope[1] + slope[2], rel=1e-6)
    expected = [2 * (2 * slope[0] + slope[1]), 2 * (2 * slope[1] + slope[2])]
    assert got.grad_z.squeeze(1).tolist() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("logit", [-1000.0, -40.0, -10.0, 3.0, 10.0, 20.0, 40.0])
def test_costs_keep_their_digits_for_a_logit_of_any_size(logit):
    """Without beta, cost and slope of a certain link are tiny, and all digits count."""
    z, _, weight = random_graph(5)
    assert_within_budget(1e-3 * z, torch.tensor(logit, device=DEVICE), weight, beta=0.0)


@pytest.mark.parametrize("beta", [0.0, 1.0])
@pytest.mark.parametrize("logit", [-1000.0, 1000.0])
def test_saturated_logits_stay_finite(logit, beta):
    z, bias, weight = random_graph(17, bias=logit)
    got, exact = swept(z, bias, weight, beta), exact_sweep(z, bias, weight, beta)
    for left, right in zip(got, exact, strict=True):
        torch.testing.assert_close(left.double(), right, rtol=1e-5, atol=1e-30)


@pytest.mark.parametrize("wanted", list(map(Wanted._make, product([True, False], repeat=3))))
def test_what_is_wanted_is_the_same_without_the_rest_and_the_rest_is_zero(wanted, monkeypatch):
    monkeypatch.setattr(_triton_csr, "_LONG", 0)
    case = random_graph(15)
    everything = swept(*case)
    for is_wanted, got, full in zip(wanted, swept(*case, wanted=wanted), everything, strict=True):
        assert (got.shape, got.dtype) == (full.shape, full.dtype)
        assert relative_error(got, full) < 1e-6 if is_wanted else not got.any()


def test_a_nan_in_z_reaches_every_result():
    z, bias, weight = random_graph(33)
    z[20, 3] = torch.nan
    got = swept(z, bias, weight)
    linked = weight[20] != 0
    assert got.total.isnan()
    assert got.grad_bias.isnan()
    assert torch.equal(got.grad_z.isnan().all(dim=1), linked)
    assert got.grad_z[~linked].isfinite().all()
    assert all(x.isnan().all() for x in swept(z.nan_to_num(), bias * torch.nan, weight))


@pytest.mark.parametrize("num_nodes", [0, 3])
def test_a_graph_without_entries_costs_nothing(num_nodes):
    z = torch.ones(num_nodes, 4, device=DEVICE)
    got = swept(z, None, torch.zeros(num_nodes, num_nodes, device=DEVICE))
    assert [x.count_nonzero().item() for x in got] == [0, 0, 0]
    assert got.grad_z.shape == z.shape


def test_z_and_alpha_need_not_be_contiguous():
    z, bias, weight = random_graph(17)
    weight = (weight != 0).float()
    crow, col, alpha = csr_parts(weight)
    one = torch.ones((), device=DEVICE)
    got = edge_sweep(z.T.contiguous().T, bias, crow, col, one.expand(len(col)), 0.3, Wanted())
    for left, right in zip(got, edge_sweep(z, bias, crow, col, alpha, 0.3, Wanted()), strict=True):
        assert torch.equal(left, right)


def test_two_calls_agree_bit_for_bit():
    matrix, x = csr_parts(random_matrix(9, SOME)), torch.randn(SOME, 5, device=DEVICE)
    assert torch.equal(csr_product(*matrix, x), csr_product(*matrix, x))
    case = random_graph(SOME if CUDA else 50)
    for left, right in zip(swept(*case), swept(*case), strict=True):
        assert torch.equal(left, right)


def test_an_operator_uses_the_product_forwards_and_backwards(monkeypatch):
    monkeypatch.setattr(spmm, "sparse_kernels", lambda *_: _triton_csr)
    calls = []

    def counted(*parts):
        calls.append(parts)
        return csr_product(*parts)

    monkeypatch.setattr(_triton_csr, "csr_product", counted)
    dense = random_matrix(9, SOME)
    a = SparseOperator.scalable(csr_tensor(*csr_parts(dense), dense.shape))
    x = torch.randn(SOME, 6, device=DEVICE, requires_grad=True)
    factors = torch.rand(a.matrix.values().shape, device=DEVICE) + 0.5
    scaled = dense.clone()
    scaled[dense != 0] *= factors
    grads = []
    for matrix in (a.scaled(factors), scaled):
        left, right = (matrix @ x).chunk(2, dim=1)
        grads += torch.autograd.grad((left * right).sum() + left.sum(), x)
    assert len(calls) == 2
    torch.testing.assert_close(grads[0], grads[1])
    assert (a @ x.detach().half()).dtype == torch.float16
    assert len(calls) == 3


def test_the_product_of_matrices_that_do_not_fit_is_refused(monkeypatch):
    """The kernel would read whatever lies behind the last row."""
    monkeypatch.setattr(spmm, "sparse_kernels", lambda *_: _triton_csr)
    dense = random_matrix(9, 40)
    a = SparseOperator.of(csr_tensor(*csr_parts(dense), dense.shape))
    with pytest.raises(RuntimeError):
        a @ torch.ones(39, 2, device=DEVICE)


def test_doubles_are_left_to_torch(monkeypatch):
    monkeypatch.setattr(_available, "works", lambda impl, device: pytest.fail("asked for doubles"))
    dense = random_matrix(9, 40).double()
    a = SparseOperator.of(csr_tensor(*csr_parts(dense)[:2], dense[dense != 0], dense.shape))
    x = torch.randn(40, 3, dtype=torch.float64, device=DEVICE)
    torch.testing.assert_close(a @ x, dense @ x)


def test_the_trial_rejects_a_wrong_product(monkeypatch):
    _triton_csr.trial(torch.device(DEVICE))
    monkeypatch.setattr(_triton_csr, "csr_product", lambda *parts: parts[-1])
    with pytest.raises(RuntimeError, match=r"computed as \[\[1\.0, 0\.0\]"):
        _triton_csr.trial(torch.device(DEVICE))


@pytest.mark.gpu
def test_on_a_gpu_an_operator_has_the_same_bits_each_time_whatever_the_flag():
    assert spmm.works("triton_csr", torch.zeros(1, device="cuda").device)
    dense = random_matrix(500, SOME)
    a = SparseOperator.of(csr_tensor(*csr_parts(dense), dense.shape))
    x = torch.randn(SOME, 64, device="cuda", requires_grad=True)
    found = []
    for wanted in (True, False, True):
        with deterministic_algorithms(wanted=wanted):
            found += torch.autograd.grad((a @ x).square().sum(), x)
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


@pytest.mark.gpu
def test_a_cuda_graph_replays_both_on_new_numbers():
    z, bias, weight = random_graph(SOME, d=16)
    crow, col, alpha = csr_parts(weight)

    def both():
        sweep = edge_sweep(z, bias, crow, col, alpha, 0.3, Wanted())
        return *sweep, csr_product(crow, col, alpha, z)

    both()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = both()
    z.mul_(0.5)
    bias.add_(1)
    alpha.mul_(2)
    graph.replay()
    for left, right in zip(captured, both(), strict=True):
        assert torch.equal(left, right)


COMPILE = """
from triton import compile
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from vgae.kernels import _triton_csr

for kernel, index, launch, width in [
    ("product", "*i64", 1, 32), ("product", "*i32", 2, 1),
    ("sweep", "*i32", 0, 16), ("sweep", "*i64", 2, 256),
]:
    kernel = getattr(_triton_csr, f"_{kernel}_kernel")
    types = {"crow_ptr": index, "col_ptr": index, "sums_ptr": "*fp64", "beta": "fp32"}
    options = _triton_csr._options(1000, 5000, width)
    wanted = {"VALUE": True, "GRAD_Z": True, "GRAD_BIAS": True}
    given = {"PASS": launch, **wanted, **options, **({} if launch else {"bias_ptr": None})}
    signature, constants = {}, {}
    for place, name in enumerate(kernel.arg_names):
        if name in given:
            signature[name], constants[(place,)] = "constexpr", given[name]
        else:
            signature[name] = types.get(name, "*fp32" if name.endswith("_ptr") else "i32")
    # As at run time: memory of torch is aligned, and this width is a multiple of 16.
    attrs = {
        (place,): [["tt.divisibility", 16]]
        for place, name in enumerate(kernel.arg_names)
        if name.endswith("_ptr") or (name in ("width", "stride") and width >= 16)
    }
    options = {name: value for name, value in options.items() if name not in kernel.arg_names}
    for capability in (80, 90, 100):
        source = ASTSource(kernel, signature, constexprs=constants, attrs=attrs)
        target = GPUTarget("cuda", capability, 32)
        ptx = compile(source, target=target, options=options).asm["ptx"]
        print(f"sm_{capability}" in ptx, "atom" not in ptx, "v4" in ptx or width < 16)
"""


def test_both_kernels_compile_for_three_generations_of_gpus_without_atomics(tmp_path):
    """Other than the interpreter, the compiler checks types."""
    if not (Path(triton.__file__).parent / "backends/nvidia/bin/ptxas").is_file():
        pytest.skip("triton without ptxas")
    environment = os.environ | {"TRITON_CACHE_DIR": str(tmp_path)}
    environment.pop("TRITON_INTERPRET", None)
    found = subprocess.run(
        [sys.executable, "-c", COMPILE], env=environment, capture_output=True, text=True
    )
    assert found.returncode == 0, found.stderr
    assert found.stdout.splitlines() == ["True True True"] * 12
