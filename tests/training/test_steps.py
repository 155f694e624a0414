"""What a training step asks of a device: few operations, none of which waits for it.

On a GPU each operation is a launch, and a step with a wait cannot be recorded. The log is made on
a CPU: the operations are the same, but for the sums over all pairs, which are one call there.
"""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import vgae
from vgae.recipes import RECIPES
from vgae.recipes.images import IMAGE_RECIPES
from vgae.runtime.streams import stream
from vgae.training import images, links
from vgae.training.loop import epochs
from vgae.training.optimizers import optimizer_for

NODES = 2708  # enough for compiled code
# Neither of these starts work on a device.
FREE = {
    *(
        "promote_types",
        "scalar_tensor",
        "detach",
        "alias",
        "lift_fresh",
        "sparse_compressed_tensor",
    ),
    *(
        "empty",
        "empty_like",
        "new_empty",
        "empty_strided",
        "crow_indices",
        "col_indices",
        "values",
    ),
    *("_record_function_enter_new", "_record_function_exit", "_sparse_csr_tensor_unsafe"),
}
WAITS = {
    *("_local_scalar_dense", "item", "nonzero", "is_nonzero", "equal", "unique_consecutive"),
    *("_unique2", "unique_dim", "masked_select", "bincount", "repeat_interleave"),
}
ELSEWHERE = torch.device("meta")  # the default device while an epoch is logged


class Log(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.calls = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.calls.append((function, args, kwargs or {}))
        return function(*args, **(kwargs or {}))


def name(function):
    return function._schema.name.split("::")[1]


def is_view(function):
    returned = [r.alias_info for r in function._schema.returns]
    return bool(returned) and all(alias and not alias.is_write for alias in returned)


def launches(calls):
    """The operations that start work on a device."""
    return [name(f) for f, *_ in calls if name(f) not in FREE and not is_view(f)]


def faults(calls):
    """Operations that wait for the device, and tensors made on torch's default device."""
    for function, args, kwargs in calls:
        op = name(function)
        masks = [a for a in args[1:2] if op in ("index", "index_put_") for a in a]
        if op in WAITS or any(
            m is not None and m.dtype in (torch.bool, torch.uint8) for m in masks
        ):
            yield f"{op} waits"
        if torch.device(kwargs.get("device") or "cpu") == ELSEWHERE:
            yield f"{op} names no device"


def log_of(prepared, default_device="cpu"):
    """Return the operations of the fourth epoch of a training."""
    model, problem = prepared.model, prepared.problem
    model.encoder.generator, model.decoder.generator = (stream(0, n) for n in ("dropout", "pairs"))
    loop = epochs(
        model,
        optimizer_for(model, prepared.recipe),
        problem.inputs,
        problem.target,
        num_items=problem.num_items,
        generator=stream(0, "noise"),
        steps=problem.steps,
    )
    for _ in range(3):
        next(loop)
    with torch.device(default_device), Log() as log:
        next(loop)
    return log.calls


@pytest.fixture(autouse=True)
def one_thread():
    """The sum over all pairs has a buffer per thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def graph():
    rng = np.random.default_rng(0)
    x = sp.random_array((NODES, 64), density=0.1, rng=rng, format="csr", dtype=np.float32)
    return vgae.Graph.from_edges(rng.integers(NODES, size=(2, 5400)), num_nodes=NODES, x=x)


@pytest.mark.parametrize(
    ("recipe", "budget"), [("paper", 60), ("best", 200), ("best-dense", 200), ("best-links", 330)]
)
def test_a_step_on_a_graph_keeps_its_budget_and_never_waits(graph, recipe, budget):
    pytest.importorskip("numba")
    given = graph.without_features() if recipe == "best-links" else graph
    if recipe == "best-dense":
        given = replace(graph, x=graph.dense_x)
    settings = replace(RECIPES[recipe], pairs="exact") if recipe == "paper" else RECIPES[recipe]
    prepared = links.prepare(given, vgae.split_links(given), recipe=settings, device="cpu")
    calls = log_of(prepared, ELSEWHERE)
    assert not list(faults(calls))
    assert 30 < len(launches(calls)) <= budget, launches(calls)


@pytest.mark.parametrize("recipe", ["small2d", "bernoulli200", "conv64"])
def test_a_step_on_images_never_waits(recipe):
    """Adagrad is left out: torch keeps the number of its steps on the CPU."""
    pixels = np.random.default_rng(0).random((64, 1, 12, 12), np.float32)
    given = vgae.Images.from_arrays(pixels)
    settings = replace(IMAGE_RECIPES[recipe], batch_size=32, optimizer="adam")
    calls = log_of(images.prepare(given, recipe=settings, device="cpu"))
    assert not list(faults(calls))


def test_the_log_sees_what_it_looks_for():
    x = torch.arange(4.0)
    with ELSEWHERE, Log() as log:
        (x > 1).any().item()
        x[x > 1]
        torch.zeros(2)
        torch.zeros(2, device=x.device)
        x.view(2, 2)
    assert list(faults(log.calls)) == [
        "_local_scalar_dense waits",
        "index waits",
        "zeros names no device",
    ]
    assert "view" not in launches(log.calls)
