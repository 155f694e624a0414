"""The Triton kernel: on a GPU with ``-m gpu``, else in Triton's interpreter.

The interpreter has no products of bfloat16 nor of TF32 and multiplies in float32, whatever the
precision; the budgets of the lower ones mean something on a GPU only.
"""

import importlib
import os
from itertools import pairwise, product

import pytest
import torch
import torch.nn.functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from vgae.kernels import shares
from vgae.kernels._all_pairs import Sweep, Wanted
from vgae.kernels.blocks import Blocks
from vgae.kernels.cost import triton_bytes
from vgae.runtime.processes import Team

CUDA = torch.cuda.is_available()
if not CUDA:
    os.environ["TRITON_INTERPRET"] = "1"
# Older interpreters do not work with NumPy 2.4.
pytest.importorskip("triton", None if CUDA else "3.9", reason="triton (3.9 without a GPU)")
if not CUDA:
    import triton.language

    # Whoever imported triton before left tl.sum and tl.zeros to be compiled; now they are not.
    importlib.reload(triton.language.standard)
    importlib.reload(triton.language)

from vgae.kernels import _triton  # noqa: E402

# All tests of this file, in a run of those for GPUs.
pytestmark = [pytest.mark.gpu] if CUDA else []
DEVICE = "cuda" if CUDA else "cpu"
# Relative errors of the sum, and of the gradient in the Frobenius norm.
BUDGETS = {"high": (1e-6, 1e-5), "tf32": (1e-5, 5e-4), "bf16": (1e-4, 4e-3)}
# Enough nodes for several blocks, tiles and chunks.
SOME = 1100 if CUDA else 70


def random_case(num_nodes, d=5, bias=-0.7):
    """Return z and bias; the logits of different nodes have variance one, whatever d."""
    generator = torch.Generator().manual_seed(100 * num_nodes + d)
    z = d**-0.25 * torch.randn(num_nodes, d, generator=generator)
    return z.to(DEVICE), torch.tensor(bias, device=DEVICE)


def exact_sweep(z, bias):
    """Return the same in float64 from the N x N matrix."""
    z, bias = z.double().requires_grad_(), bias.double().requires_grad_()
    total = -F.logsigmoid(-(z @ z.T + bias)).sum()
    return Sweep(total.detach(), *torch.autograd.grad(total, (z, bias)))


def relative_error(got, expected):
    return ((got - expected).norm() / expected.norm()).item()


def assert_within_budget(z, bias, precision="high"):
    got, exact = _triton.sweep(z, bias, Wanted(), precision=precision), exact_sweep(z, bias)
    assert [x.dtype for x in got] == [torch.float64, torch.float32, torch.float32]
    assert got.grad_z.shape == z.shape
    errors = [relative_error(g, e) for g, e in zip(got, exact, strict=True)]
    for_value, for_gradient = BUDGETS[precision]
    # A float32 near the bias is rounded by so much, and exp(s) has it as its relative error.
    rounding = 2**-23 * abs(bias.item())
    assert errors[0] < for_value + rounding
    assert max(errors[1:]) < for_gradient + rounding


SIZES, WIDTHS, BIASES = (
    [1, 2, 15, 16, 17, 31, 33, 63, 64, 65, 100],
    [1, 5, 16, 17, 40],
    [0.0, -0.7, -12.0],
)
# Each size, width and bias occurs; the other combinations are slow in the interpreter.
FEW = {(n, WIDTHS[k % 5], BIASES[k % 3]) for k, n in enumerate([*SIZES, *SIZES[::3]])}


@pytest.mark.parametrize(
    ("num_nodes", "d", "bias"),
    [
        pytest.param(*case, marks=() if case in FEW else pytest.mark.slow)
        for case in product(SIZES, WIDTHS, BIASES)
    ],
)
def test_high_precision_stays_in_its_budget_around_every_block_size(num_nodes, d, bias):
    assert_within_budget(*random_case(num_nodes, d, bias))


@pytest.mark.gpu
@pytest.mark.parametrize("bias", [0.0, -0.7, -12.0])
@pytest.mark.parametrize("d", [5, 16, 64, 128])
@pytest.mark.parametrize("num_nodes", [127, 128, 129, 300, 1023, 1024, 1025, 5000])
def test_high_precision_stays_in_its_budget_around_the_blocks_of_a_gpu(num_nodes, d, bias):
    assert_within_budget(*random_case(num_nodes, d, bias))


@pytest.mark.gpu
@pytest.mark.parametrize("bias", [0.0, -0.7])
@pytest.mark.parametrize("d", [5, 40])
@pytest.mark.parametrize("num_nodes", [300, 5000])
@pytest.mark.parametrize("precision", ["tf32", "bf16"])
def test_lower_precision_stays_in_its_budget(precision, num_nodes, d, bias):
    assert_within_budget(*random_case(num_nodes, d, bias), precision)


@pytest.mark.skipif(CUDA, reason="a GPU works in pieces anyway")
@pytest.mark.parametrize("d", [5, 20])
@pytest.mark.parametrize("precision", BUDGETS)
def test_the_products_of_pieces_are_all_there(precision, d, monkeypatch):
    """In float16, which the interpreter does multiply: one left out would cost three digits.

    Narrow ones are multiplied in pairs, wider ones each on its own.
    """
    monkeypatch.setattr(_triton, "_PIECE", torch.float16)
    assert_within_budget(*random_case(SOME, d), precision)


@pytest.mark.parametrize("bias", [-5.0, -10.0, -20.0, -60.0])
@pytest.mark.parametrize("num_nodes", [1, 2, SOME])
def test_very_negative_logits_keep_their_digits(num_nodes, bias):
    """All pairs alike, the worst case: no rounding error is averaged out."""
    z, bias = random_case(num_nodes, bias=bias)
    assert_within_budget(1e-3 * z, bias)


@pytest.mark.parametrize("wanted", list(map(Wanted._make, product([True, False], repeat=3))))
def test_what_is_wanted_is_the_same_without_the_rest_and_the_rest_is_zero(wanted):
    case = random_case(SOME)
    everything = _triton.sweep(*case, Wanted())
    for is_wanted, got, full in zip(wanted, _triton.sweep(*case, wanted), everything, strict=True):
        assert got.shape == full.shape
        assert relative_error(got, full) < 1e-6 if is_wanted else not got.any()


@pytest.mark.parametrize("logit", [-1000.0, -40.0, 40.0, 1000.0])
def test_saturated_logits_stay_finite_and_keep_their_gradient(logit):
    z = torch.tensor([[abs(logit)], [1.0 if logit > 0 else -1.0], [0.0]], device=DEVICE)
    assert_within_budget(z, torch.tensor(0.0, device=DEVICE))


@pytest.mark.parametrize("logit", [-1000.0, -100.0, 100.0, 1000.0])
def test_a_saturated_bias_stays_finite(logit):
    z, bias = random_case(17, bias=logit)
    got, exact = _triton.sweep(z, bias, Wanted()), exact_sweep(z, bias)
    for left, right in zip(got, exact, strict=True):
        torch.testing.assert_close(left.double(), right, rtol=1e-5, atol=1e-30)


def test_a_nan_in_z_reaches_every_result():
    z, bias = random_case(33)
    z[20, 3] = torch.nan
    assert all(x.isnan().all() for x in _triton.sweep(z, bias, Wanted()))


def test_two_calls_agree_bit_for_bit():
    case = random_case(SOME)
    for left, right in zip(*(_triton.sweep(*case, Wanted()) for _ in range(2)), strict=True):
        assert torch.equal(left, right)


@pytest.mark.parametrize("splits", [2, 3, 5])
def test_columns_shared_among_programs_give_the_same(splits, monkeypatch):
    case = random_case(SOME)
    whole = _triton.sweep(*case, Wanted())
    monkeypatch.setattr(_triton, "num_splits", lambda *_: splits)
    for got, expected in zip(_triton.sweep(*case, Wanted()), whole, strict=True):
        assert relative_error(got, expected) < 1e-6


def exact_blocks(sizes, z, w, bias, signature):
    """Return the sum over blocks, one after another, and its gradients in float64."""
    z, bias = z.double().requires_grad_(), bias.double().requires_grad_()
    w = None if w is None else w.double().requires_grad_()
    columns = w if w is not None else z if signature is None else z * signature
    parts = zip(z.split(sizes), columns.split(sizes), strict=True)
    total = sum(-F.logsigmoid(-(x @ y.T + bias)).sum() for x, y in parts)
    grads = torch.autograd.grad(total, [t for t in (z, w, bias) if t is not None])
    return Sweep(total.detach(), torch.cat(grads[:-1]), grads[-1])


@pytest.mark.parametrize("splits", [1, pytest.param(2, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", ["one set", "signature", "two sets"])
@pytest.mark.parametrize(
    "sizes",
    [
        [3, 0, 1, 7, 1, 40, 0, 5],
        [31, 2, 33, 64],
        *(
            pytest.param(sizes, marks=pytest.mark.slow)
            for sizes in ([1] * 33, [0, 20, 20, 0], [70, 1])
        ),
    ],
)
def test_the_pairs_within_blocks_are_summed_within_budget(sizes, kind, splits, monkeypatch):
    monkeypatch.setattr(_triton, "num_splits", lambda *_: splits)
    z, bias = random_case(sum(sizes))
    w = random_case(sum(sizes) + 1)[0][:-1] if kind == "two sets" else None
    signature = torch.tensor([1.0, -1, 1, 1, -1], device=DEVICE) if kind == "signature" else None
    blocks = Blocks.of(torch.tensor(sizes, device=DEVICE))
    got = _triton.block_sweep(z, bias, Wanted(), w, signature, blocks=blocks)
    exact = exact_blocks(sizes, z, w, bias, None if signature is None else signature.double())
    for found, expected, budget in zip(got, exact, (1e-6, 1e-5, 1e-5), strict=True):
        assert found.shape == expected.shape
        assert relative_error(found, expected) < budget


def total_of(shares):
    """Return the sum of the shares of all processes."""
    return Sweep(*(sum(parts[1:], parts[0]) for parts in zip(*shares, strict=True)))


@pytest.mark.parametrize("size", [3])
@pytest.mark.parametrize("kind", ["one set", "signature", "two sets"])
def test_the_shares_of_processes_add_up(kind, size, monkeypatch):
    """The whole, and with blocks of more than 30 rows divided."""
    monkeypatch.setattr(shares, "_LARGEST", 30)
    sizes = [3, 0, 1, 7, 40, 5, 14]
    z, bias = random_case(sum(sizes))
    w = random_case(sum(sizes) + 1)[0][:-1] if kind == "two sets" else None
    signature = torch.tensor([1.0, -1, 1, 1, -1], device=DEVICE) if kind == "signature" else None
    given, teams = (z, bias, Wanted(), w, signature), [Team(r, size) for r in range(size)]
    found = total_of(shares.pairs_share(_triton.sweep, us, *given) for us in teams)
    for got, expected in zip(found, _triton.sweep(*given), strict=True):
        assert relative_error(got, expected) < 1e-6
    sweeps = _triton.block_sweep, _triton.sweep
    blocks = Blocks.of(torch.tensor(sizes, device=DEVICE))
    found = total_of(shares.blocks_share(*sweeps, us, *given, blocks=blocks) for us in teams)
    for got, expected in zip(found, _triton.block_sweep(*given, blocks=blocks), strict=True):
        assert relative_error(got, expected) < 1e-6


def test_rows_in_no_block_have_no_pairs():
    sizes = [40, 3, 5]
    z, bias = random_case(48)
    blocks = Blocks.of(torch.tensor(sizes, device=DEVICE)).up_to(10)
    got = _triton.block_sweep(z, bias, Wanted(), blocks=blocks)
    exact = exact_blocks([3, 5], z[40:], None, bias, None)
    assert relative_error(got.total, exact.total) < 1e-6
    assert not got.grad_z[:40].any()
    assert relative_error(got.grad_z[40:], exact.grad_z) < 1e-5


@pytest.mark.parametrize("columns", [32, 64])
@pytest.mark.parametrize("processors", [1, 46, 132])
def test_programs_get_an_even_share_of_the_columns(columns, processors, monkeypatch):
    """Regression: on Cora, seven of ten programs had full shares, one 20 columns, two none."""
    monkeypatch.setattr(_triton, "_ROWS", 64)
    first_tile = getattr(_triton.first_tile, "fn", _triton.first_tile)
    monkeypatch.setattr(_triton.tl, "minimum", min)  # on plain integers
    for num_nodes in (*range(1, 700), 2708, 3327, 19_717, 169_343, 1_000_000, 12_345_678):
        tiles = -(-num_nodes // columns)
        splits = _triton.num_splits(num_nodes, tiles, processors)
        firsts = [first_tile(k, tiles // splits, tiles % splits) for k in range(splits + 1)]
        shares = {after - first for first, after in pairwise(firsts)}
        assert (firsts[0], firsts[-1]) == (0, tiles)
        assert min(shares) >= min(4, tiles)
        assert max(shares) <= min(min(shares) + 1, 4096)


@pytest.mark.parametrize("num_nodes", [19_717, 40_000, 169_343])
def test_a_large_graph_has_enough_programs_for_a_short_last_round(num_nodes):
    """Regression: eight programs per processor were two rounds and a bit."""
    splits = _triton.num_splits(num_nodes, -(-num_nodes // 64), 132)
    assert splits * (num_nodes / _triton._ROWS) >= 32 * 132


def test_nothing_is_tuned():
    """Regression: a trial on one pair chose the configuration of a million nodes, by noise."""
    tuner = _triton.triton.runtime.Autotuner
    assert not [name for name, value in vars(_triton).items() if isinstance(value, tuner)]


def test_the_trial_accepts_the_kernel_and_refuses_a_wrong_sum(monkeypatch):
    _triton.trial(torch.device(DEVICE), 20)
    sweep = _triton.sweep

    def wrong(*arguments):
        found = sweep(*arguments)
        return found._replace(total=found.total * 1.001)

    monkeypatch.setattr(_triton, "sweep", wrong)
    with pytest.raises(RuntimeError, match=r"value 0\.6931472 was computed as 0\.6938"):
        _triton.trial(torch.device(DEVICE), 20)


@pytest.mark.parametrize("precision", BUDGETS)
@pytest.mark.parametrize("d", [5, 40])
def test_without_a_bias_it_is_as_with_zero(d, precision):
    z, bias = random_case(SOME, d, bias=0.0)
    with_zero = _triton.sweep(z, bias, Wanted(), precision=precision)
    without = _triton.sweep(z, None, Wanted(), precision=precision)
    assert torch.equal(without.total, with_zero.total)
    assert torch.equal(without.grad_z, with_zero.grad_z)
    assert without.grad_bias == 0


# Its exponential overflows and the reciprocal is zero, as on a GPU, which does not warn.
@pytest.mark.filterwarnings("ignore:overflow encountered")
@pytest.mark.parametrize("bias", [-1000.0, -60.0, -5.0, 60.0])
def test_gradients_alone_keep_their_digits(bias):
    """They have a formula of their own."""
    z, bias = random_case(SOME, bias=bias)
    z = z if abs(bias) < 6 else 1e-3 * z
    got, exact = _triton.sweep(z, bias, Wanted(value=False)), exact_sweep(z, bias)
    for left, right in zip(got[1:], exact[1:], strict=True):
        assert (left.double() - right).norm() <= (1e-5 + 2**-23 * abs(bias)) * right.norm()


def test_whole_chunks_of_like_pairs_lose_no_digits(monkeypatch):
    """Factors that are all rounded alike are the worst case of their product."""
    chosen = _triton.configuration(16, 9) | {"TILES": 15}
    monkeypatch.setattr(_triton, "configuration", lambda *_: chosen)
    z, bias = random_case(5000 if CUDA else 245, bias=-5.0)
    assert_within_budget(1e-3 * z, bias)


@pytest.mark.parametrize("d", [1, 16, 40])
@pytest.mark.parametrize("num_nodes", [1, 70, 2708, 19_717])
def test_the_memory_is_as_predicted(num_nodes, d, monkeypatch):
    for kernel in ("_split_kernel", "_pairs_kernel"):
        monkeypatch.setattr(_triton, kernel, NoKernel())
    monkeypatch.setattr(_triton, "_ROWS", 64)
    monkeypatch.setattr(_triton, "_PIECE", torch.bfloat16)
    monkeypatch.setattr(_triton, "_hardware", lambda device: (9, 132))
    monkeypatch.setattr(
        _triton, "configuration", lambda *_: {"ROWS": 64, "COLUMNS": 64, "TILES": 15}
    )
    z = torch.zeros(num_nodes, d)
    with Allocations() as made:
        _triton.sweep(z, None, Wanted(grad_bias=False))
    predicted = triton_bytes(num_nodes, d)
    assert 0.7 * predicted - 20_000 <= made.num_bytes() <= predicted


class NoKernel:
    """Launch nothing: its arguments have been allocated."""

    def __getitem__(self, grid):
        return lambda *arguments, **options: None


class Allocations(TorchDispatchMode):
    """Keep every tensor that is made, and none that is a view."""

    def __init__(self):
        super().__init__()
        self.made = {}

    def num_bytes(self):
        return sum(tensor.untyped_storage().nbytes() for tensor in self.made.values())

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        found = func(*args, **(kwargs or {}))
        if isinstance(found, torch.Tensor) and not func.is_view:
            self.made[found.untyped_storage().data_ptr()] = found
        return found


def exact_of_two(z, w, bias):
    """Return the sum over a rectangle in float64, and the gradients of both sets in one."""
    z, w, bias = (t.double().requires_grad_() for t in (z, w, bias))
    total = -F.logsigmoid(-(z @ w.T + bias)).sum()
    *grads, grad_bias = torch.autograd.grad(total, (z, w, bias))
    return Sweep(total.detach(), torch.cat(grads), grad_bias)


@pytest.mark.parametrize("bias", [-0.7, -12.0])
@pytest.mark.parametrize("d", [5, 17])
@pytest.mark.parametrize(
    ("n", "m"), [(1, 1), (1, 70), (70, 1), (3, 5), (31, 33), (64, 17), (17, 65)]
)
def test_two_sets_stay_in_the_budget_of_one(n, m, d, bias):
    z, b = random_case(n, d, bias)
    w = random_case(m, d)[0]
    got, exact = _triton.sweep(z, b, Wanted(), w), exact_of_two(z, w, b)
    rounding = 2**-23 * abs(bias)
    assert got.grad_z.shape == (n + m, d)
    assert relative_error(got.total, exact.total) < 1e-6 + rounding
    assert relative_error(got.grad_z, exact.grad_z) < 1e-5 + rounding
    assert relative_error(got.grad_bias, exact.grad_bias) < 1e-5 + rounding


@pytest.mark.parametrize("d", [1, 5, 17])
@pytest.mark.parametrize("num_nodes", [1, 33, SOME])
def test_a_signature_is_the_product_with_one_factor(num_nodes, d):
    z, bias = random_case(num_nodes, d)
    signature = 1 - 2 * (torch.arange(d, device=DEVICE) % 2).float()
    got = _triton.sweep(z, bias, Wanted(), signature=signature)
    total, grads, grad_bias = exact_of_two(z * signature, z, bias)
    first, second = grads.chunk(2)
    exact = (total, first * signature + second, grad_bias)
    assert max(relative_error(g, e) for g, e in zip(got, exact, strict=True)) < 1e-5


@pytest.mark.parametrize("wanted", list(map(Wanted._make, product([True, False], repeat=3))))
def test_of_two_sets_what_is_wanted_is_the_same_without_the_rest(wanted):
    (z, bias), (w, _) = random_case(40), random_case(33)
    everything = _triton.sweep(z, bias, Wanted(), w)
    found = _triton.sweep(z, bias, wanted, w)
    for is_wanted, got, full in zip(wanted, found, everything, strict=True):
        assert got.shape == full.shape
        assert relative_error(got, full) < 1e-6 if is_wanted else not got.any()


def test_z_need_not_be_contiguous():
    z, bias = random_case(33)
    strided = z.T.contiguous().T
    for left, right in zip(*(_triton.sweep(x, bias, Wanted()) for x in (z, strided)), strict=True):
        assert torch.equal(left, right)


def test_a_graph_without_nodes_costs_nothing():
    total, grad_z, grad_bias = _triton.sweep(*random_case(0), Wanted())
    assert total == grad_bias == 0
    assert grad_z.shape == (0, 5)


@pytest.mark.gpu
def test_a_cuda_graph_replays_it_on_new_numbers():
    z, bias = random_case(SOME, d=16)
    _triton.sweep(z, bias, Wanted())
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = _triton.sweep(z, bias, Wanted())
    z.mul_(0.5)
    bias.add_(1)
    graph.replay()
    for left, right in zip(captured, _triton.sweep(z, bias, Wanted()), strict=True):
        assert torch.equal(left, right)
