"""Stages of ``gpu.py``: single operations, the sums over all pairs, and the tests for GPUs."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from functools import cache, partial
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from xml.etree import ElementTree

import torch
from gpu_setting import At, Case, milliseconds, pictures, relative
from harness import CannotRun, Row
from ours import pair_sweep, trained
from problems import random_links
from torch import Tensor

from vgae.evaluation.images import elbo_terms
from vgae.evaluation.metrics import link_scores
from vgae.graphs.canonical import both_directions
from vgae.kernels import Blocks, SparseOperator, inner_product_nll
from vgae.kernels.csr import edges_to_csr
from vgae.models.images import build_image_model
from vgae.recipes import BEST, PAPER, Recipe
from vgae.recipes.images import CONV64
from vgae.runtime.devices import deterministic_algorithms
from vgae.runtime.streams import stream

ROOT = Path(__file__).parents[1]
# Largest relative errors of the sum and of its gradient that each precision promises.
BUDGETS = {"high": (1e-6, 1e-5), "tf32": (1e-5, 5e-4), "bf16": (1e-4, 4e-3)}
_TEST_SECONDS = 85
_ROWS = 1000  # of a gradient that is compared where no float64 sweep is affordable
_OUTCOMES = {"failure": "failures", "error": "errors", "skipped": "skips"}


def parts(at: At) -> list[Case]:
    """Return the checks of determinism and of single operations."""
    checks = {
        "sparse product, deterministic": partial(same_bits, sparse_gradient, at),
        "gradient of the links, deterministic": partial(same_bits, links_gradient, at),
        "gradient of all pairs": partial(same_bits, pairs_gradient, at),
        "training of paper, deterministic": partial(same_training, PAPER, at),
        "training of best, deterministic": partial(same_training, BEST, at),
        "no links": partial(without_links, at),
        "convolutions in float32": partial(convolution_error, at),
        "AUC and AP": partial(score_time, at),
        "pairs within many small graphs": partial(blocks_error, "small", at),
        "pairs within graphs of any size": partial(blocks_error, "ragged", at),
    }
    return [({"check": name}, measure) for name, measure in checks.items()]


def links_of(at: At) -> tuple[Tensor, Tensor]:
    """Return both directions of random links, and z."""
    num_nodes, num_links = (200, 2000) if at.small else (20_000, 400_000)
    index = both_directions(random_links(num_nodes, num_links)).to(at.device)
    return index, torch.randn(num_nodes, 16, generator=stream(0, "noise")).to(at.device)


def sparse_gradient(at: At) -> Callable[[], Tensor]:
    """Return a function that computes the gradient of a sparse product."""
    index, z = links_of(at)
    matrix = edges_to_csr(index, len(z), torch.rand(index.shape[1], device=at.device))
    operator, w = SparseOperator.of(matrix), z.requires_grad_()
    return lambda: torch.autograd.grad((operator @ w).square().sum(), w)[0]


def links_gradient(at: At) -> Callable[[], Tensor]:
    """Return a function that computes the gradient of the cost of the links."""
    index, z = links_of(at)
    w = z.requires_grad_()
    return lambda: torch.autograd.grad(inner_product_nll(w, index).edges, w)[0]


def pairs_gradient(at: At) -> Callable[[], Tensor]:
    """Return a function that computes the gradient of the sum over all pairs."""
    _, z = links_of(at)
    return lambda: pair_sweep(z, "triton" if at.is_gpu else "tiled")[1]


def same_bits(make: Callable[[At], Callable[[], Tensor]], at: At) -> Row:
    """Return whether ten calls give the same bits."""
    with deterministic_algorithms(wanted=True):
        compute = make(at)
        first = compute()
        return {"ok": all(torch.equal(first, compute()) for _ in range(9))}


def same_training(recipe: Recipe, at: At) -> Row:
    """Return whether two trainings give the same bits."""
    short = recipe.override({"epochs": "3" if at.small else "30"})
    first, second = (trained(at.problem(), short, deterministic=True).last for _ in range(2))
    return {"ok": all(torch.equal(first[name], second[name]) for name in first)}


def without_links(at: At) -> Row:
    """Return whether the loss of a graph without links is finite, and its gradient."""
    z = torch.randn(5, 4, device=at.device, requires_grad=True)
    nll = inner_product_nll(z, torch.empty(2, 0, dtype=torch.int64, device=at.device))
    (gradient,) = torch.autograd.grad(nll.non_edges, z)
    return {"ok": bool(nll.non_edges.isfinite() and gradient.isfinite().all())}


def convolution_error(at: At) -> Row:
    """Return the relative error of a convolutional model; TF32 would give about 1e-3."""
    pixels = pictures(20).train
    _, *shape = pixels.shape
    model = build_image_model("ae", tuple(shape), CONV64, stream(0, "init"))  # no noise
    exact = elbo_terms(model.double(), pixels.double(), generator=stream(0, "noise"))
    noise = stream(0, "noise", at.device)
    found = elbo_terms(model.float().to(at.device), pixels, generator=noise)
    error = relative(found.log_likelihood, exact.log_likelihood)
    return {"error": error, "ok": error < 1e-5}


def score_time(at: At) -> Row:
    """Return what AUC and AP of as many pairs as Cora's validation links cost."""
    label = (torch.arange(526) < 263).float()
    scores = torch.randn(526, generator=stream(0, "noise")).to(at.device)
    found, expected = (link_scores(scores.to(d), label.to(d)) for d in (at.device, "cpu"))
    return {
        "us": 1e3 * milliseconds(lambda: link_scores(scores, label.to(at.device)), 20, at),
        "error": max(abs(a - b) for a, b in zip(found, expected, strict=True)),
    }


def blocks_error(sizes: str, at: At) -> Row:
    """Return time and errors of the Triton kernel, summed within graphs, against float64."""
    if find_spec("triton") is None:
        raise CannotRun("triton is not installed")
    small = torch.full((20 if at.small else 10_000,), 20)
    ragged = [1, 0, 33, 64, 65, 2, 100] + ([] if at.small else [3000, 40_000, 1, 700])
    blocks = Blocks.of((small if sizes == "small" else torch.tensor(ragged)).to(at.device))
    z = torch.randn(blocks.num_nodes, 16, generator=stream(0, "noise")).to(at.device) / 2
    exact = pair_sweep(z.double(), "tiled", name="block_sweep", blocks=blocks)
    step = partial(pair_sweep, z, "triton", name="block_sweep", blocks=blocks)
    errors = [relative(*both) for both in zip(step(), exact, strict=True)]
    of_value, of_grad = BUDGETS["high"]
    row = {"value_error": errors[0], "grad_error": errors[1]}
    row["ok"] = errors[0] < of_value and errors[1] < of_grad
    return row | {"ms": milliseconds(step, 7, at) if at.is_gpu else None}


def pairs(at: At) -> list[Case]:
    """Return sizes, widths and precisions, those of the bar first."""
    if at.small:
        cells = list(product([40], [16, 64], BUDGETS))
    else:
        cells = list(product([19_717, 169_343, 1_000_000], [16], BUDGETS))
        cells += product([19_717, 169_343], [64, 128], BUDGETS)
    keys = [{"nodes": n, "d": d, "precision": precision} for n, d, precision in cells]
    return [(key, partial(pair_rate, at=at, **key)) for key in keys]


def pair_rate(*, nodes: int, d: int, precision: str, at: At) -> Row:
    """Return time, rate and errors of the Triton kernel."""
    if find_spec("triton") is None:
        raise CannotRun("triton is not installed")
    z, total, rows = exact_pairs(nodes, d, at)
    begin = time.perf_counter()
    found = pair_sweep(z, "triton", precision=precision)
    at.wait()
    first = time.perf_counter() - begin
    value_error = None if total is None else relative(found[0], total)
    grad_error = relative(found[1][: len(rows)], rows)
    of_value, of_grad = BUDGETS[precision]
    errors = {"value_error": value_error, "grad_error": grad_error}
    errors["ok"] = (value_error or 0.0) < of_value and grad_error < of_grad
    if not at.is_gpu:  # The time of the interpreter means nothing.
        return {**errors, "ms": None, "pairs_per_s": None, "reason": "needs a GPU"}
    step = partial(pair_sweep, z, "triton", precision=precision)
    ms = milliseconds(step, 2 if nodes > 500_000 else 7, at)
    return {"ms": ms, "pairs_per_s": nodes**2 / ms * 1e3, **errors, "first_s": first}


@cache
def exact_pairs(nodes: int, d: int, at: At) -> tuple[Tensor, Tensor | None, Tensor]:
    """Return z, and in float64 the sum over all pairs and the first rows of its gradient.

    Logits have variance one, whatever d. The sum is missing where it would take too long.
    """
    torch.cuda.empty_cache()
    z = d**-0.25 * torch.randn(nodes, d, generator=stream(0, "noise"))
    z = z.to(at.device)
    exact = z.double()
    if nodes <= 200_000:
        total, gradient = pair_sweep(exact, "tiled")
        return z, total, gradient[:_ROWS]
    return z, None, 2 * (exact[:_ROWS] @ exact.T).sigmoid_() @ exact


def tests(at: At) -> list[Case]:
    """Return the run of the tests for GPUs."""
    return [({"command": "pytest -m gpu -W default"}, partial(test_run, at))]


def test_run(at: At) -> Row:
    """Return counts, and the failures with the last lines of their texts."""
    for package in ("pytest", "hypothesis"):
        if find_spec(package) is None:
            raise CannotRun(f"{package} is not installed")
    if not (ROOT / "tests").is_dir():
        raise CannotRun("this checkout has no tests")
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-m", "gpu", "-W", "default", "-q"]
        command += ["-p", "no:cacheprovider", f"--junitxml={report}"]
        if at.is_gpu and find_spec("xdist") is not None:  # Compiling takes longer than running.
            command += ["-n", "8"]
        if at.small:
            command.append("tests/kernels")
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        environment.pop("TRITON_INTERPRET", None)
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
        )
        try:
            output, _ = process.communicate(timeout=_TEST_SECONDS if at.is_gpu else None)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)  # it reports what it has
            output, _ = process.communicate()
        last = output.splitlines()[-1:]
        if not report.exists():
            return {"failed": f"exit status {process.returncode}: {output[-2000:]}"}
        cases = list(ElementTree.parse(report).iter("testcase"))
    found = [(case, part) for case in cases for part in case if part.tag in _OUTCOMES]
    counts = Counter(part.tag for _, part in found)
    texts = {
        f"{case.get('classname')}::{case.get('name')}": (part.text or str(part.get("message")))
        for case, part in found
        if part.tag != "skipped"
    }
    row: Row = {
        "passed": len(cases) - len(found),
        **{name: counts[tag] for tag, name in _OUTCOMES.items()},
        "texts": {name: text[-800:] for name, text in texts.items()},
        "summary": last,
    }
    return row | ({"ok": process.returncode == 0} if at.is_gpu else {})
