import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from vgae.kernels import inner_product_nll
from vgae.kernels._all_pairs import Wanted

_compiled = pytest.importorskip("vgae.kernels._compiled", reason="numba is not installed")


def case(num_nodes, d=5, bias=-0.7, scale=1.0):
    generator = torch.Generator().manual_seed(num_nodes)
    return scale * torch.randn(num_nodes, d, generator=generator), torch.tensor(bias)


def textbook(z, bias):
    """Value and gradients in float64, on the N x N matrix."""
    z, bias = z.double(), bias.double()
    s = z @ z.T + bias
    total = -torch.nn.functional.logsigmoid(-s).sum()
    return total, 2 * torch.sigmoid(s) @ z, torch.sigmoid(s).sum()


def errors(sweep, exact):
    """Relative errors of a sweep; of the gradient in the Frobenius norm."""
    return [
        ((got.double() - expected).norm() / expected.norm()).item()
        for got, expected in zip(sweep, exact, strict=True)
    ]


# Around a group of rows, a cache line, a strip of columns and a block of rows.
@pytest.mark.parametrize(
    "num_nodes", [1, 2, 3, 4, 5, 15, 16, 17, 63, 65, 255, 256, 257, 513, 1281, 1537]
)
@pytest.mark.parametrize("d", [1, 4, 16, 17])
def test_value_and_gradients_equal_the_textbook_around_every_size(num_nodes, d):
    z, bias = case(num_nodes, d)
    found = errors(_compiled.sweep(z, bias, Wanted()), textbook(z, bias))
    # A single node is one pair of the 16 that it is rounded up to.
    assert max(found) < (2e-6 if num_nodes == 1 else 1e-6)


@pytest.mark.parametrize("d", [64, 128, 200])
def test_wide_latent_vectors_have_narrower_strips(d):
    z, bias = case(900, d, scale=d**-0.5)
    assert max(errors(_compiled.sweep(z, bias, Wanted()), textbook(z, bias))) < 1e-6


@pytest.mark.parametrize("bias", [-30.0, -12.0, -5.0, 5.0, 30.0])
def test_a_prior_of_any_strength_keeps_its_digits(bias):
    """With a bias of -12 a pair costs 6e-6 nats: float32's rounding of 1 + 6e-6 is 1 % of that."""
    z, b = case(300, 4, bias, scale=0.1)
    # The logit itself is rounded, to 6e-8 of its size.
    allowed = 1e-6 + 1.2e-7 * abs(bias)
    assert max(errors(_compiled.sweep(z, b, Wanted()), textbook(z, b))) < allowed


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_any_number_of_threads_gives_the_same_up_to_rounding_and_itself_bit_for_bit(threads):
    z, bias = case(1500, 16)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        first, second = (_compiled.sweep(z, bias, Wanted()) for _ in range(2))
    finally:
        torch.set_num_threads(before)
    assert max(errors(first, textbook(z, bias))) < 1e-6
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize(
    "wanted",
    [Wanted(value=True, grad_z=False, grad_bias=False), Wanted(value=False), Wanted(grad_z=False)],
)
def test_what_is_not_asked_for_changes_nothing_else(wanted):
    z, bias = case(700, 8)
    sweep, exact = _compiled.sweep(z, bias, wanted), textbook(z, bias)
    for asked, got, expected in zip(wanted, sweep, exact, strict=True):
        if asked:
            assert errors([got], [expected])[0] < 1e-6


@pytest.mark.parametrize("logit", [-1000.0, -126.0, -40.0, 40.0, 126.0, 1000.0])
def test_saturated_logits_are_finite_and_right(logit):
    z = torch.tensor([[abs(logit)], [1.0 if logit > 0 else -1.0], [0.0]])
    bias = torch.tensor(0.0)
    assert max(errors(_compiled.sweep(z, bias, Wanted()), textbook(z, bias))) < 1e-6


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_what_is_not_a_number_stays_so(bad):
    z, bias = case(40)
    z[17, 2] = bad
    sweep = _compiled.sweep(z, bias, Wanted())
    assert not torch.isfinite(sweep.total)
    assert not torch.isfinite(sweep.grad_z[17]).all()


def test_it_agrees_with_the_torch_tiles_to_a_millionth():
    z, _ = case(2300, 16)
    edge_index = torch.tensor([[0, 1], [1, 0]])
    results = []
    for impl in ("compiled", "tiled"):
        z = z.detach().requires_grad_()
        nll = inner_product_nll(z, edge_index, impl=impl)
        results.append((nll.non_edges.detach(), torch.autograd.grad(nll.non_edges, z)[0]))
    (value, grad), (tiled, tiled_grad) = results
    assert abs(value - tiled) / tiled < 1e-6
    assert (grad - tiled_grad).norm() / tiled_grad.norm() < 1e-6


def test_two_python_threads_do_not_disturb_each_other():
    cases = [case(1200, 8, bias) for bias in (-1.0, 1.0)]
    alone = [_compiled.sweep(*one, Wanted()) for one in cases]
    with ThreadPoolExecutor(2) as pool:
        together = [pool.submit(_compiled.sweep, *one, Wanted()) for one in 4 * cases]
    for found, expected in zip(together, 4 * alone, strict=True):
        assert max(errors(found.result(), expected)) < 1e-6


def test_other_defaults_of_torch_change_nothing():
    z, bias = case(300, 8)
    expected = _compiled.sweep(z, bias, Wanted())
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        found = _compiled.sweep(z, bias, Wanted())
    finally:
        torch.set_default_dtype(before)
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_a_forked_process_has_threads_of_its_own():
    code = (
        "import os, torch\nfrom vgae.kernels import _compiled\n"
        "from vgae.kernels._all_pairs import Wanted\n"
        "torch.set_num_threads(2)\n"
        "run = lambda: _compiled.sweep(torch.ones(600, 4), torch.tensor(0.), Wanted())\n"
        "run()\n"
        "pid = os.fork()\n"
        "if pid == 0:\n    torch.set_num_threads(2); run(); os._exit(7)\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "2"},
    )
    assert done.stdout.strip() == "7"
