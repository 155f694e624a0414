"""Stages of ``gpu.py``: epochs of graphs and images, those of others, and their kernels."""

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from itertools import product
from typing import Any
from unittest import mock

import numpy as np
import torch
from gpu_setting import RECIPES, At, Case, milliseconds, pictures
from harness import Row
from ours import epochs_of, trained
from peers import dense, pyg
from problems import Problem

from vgae.recipes import PAPER, Recipe
from vgae.recipes.images import CONV64
from vgae.runtime.devices import Compute
from vgae.training.images import fit_images

REPLAYS = 300


def epochs(at: At) -> list[Case]:
    """Return recipes, each as single kernels and as a CUDA graph."""
    cases: list[Case] = [
        ({"recipe": name, "cuda_graph": graph}, partial(epoch_time, RECIPES[name], at, graph))
        for name, graph in product(RECIPES, (False, True))
    ]
    for what, measure in {"look": look_time, "same losses": same_losses}.items():
        cases += [
            ({"recipe": name, "what": what}, partial(measure, recipe, at))
            for name, recipe in RECIPES.items()
        ]
    return cases


def per_epoch_us(problem: Problem, recipe: Recipe, at: At, **options: Any) -> float:
    """Return what ``fit`` takes for an epoch more: capture and compilation do not count."""
    few, many = (1, 3) if at.small else (20, 320)
    seconds: dict[int, list[float]] = {few: [], many: []}
    for number in 2 * (few, many):
        short = replace(recipe, epochs=number, patience=0)
        seconds[number].append(trained(problem, short, **options).seconds)
    return 1e6 * (min(seconds[many]) - min(seconds[few])) / (many - few)


def epoch_time(recipe: Recipe, at: At, cuda_graph: bool) -> Row:  # noqa: FBT001
    """Return the time of an epoch: in ``fit``, of the loop alone, of host and device."""
    if cuda_graph:
        at.need_gpu()
    problem = at.problem()
    rare = replace(recipe, eval_every=10**6)
    row: Row = {"fit_us": per_epoch_us(problem, rare, at, cuda_graph=cuda_graph)}
    with recorded_graphs() as graphs:
        loop = epochs_of(problem, recipe, cuda_graph=cuda_graph)
        row["losses"] = [float(next(loop).loss) for _ in range(5)]
        for _ in range(1 if at.small else 20):
            next(loop)
        at.wait()
        count, replayed = (2 if at.small else REPLAYS), sum(g.replays for g in graphs)
        begin = time.perf_counter()
        for _ in range(count):
            next(loop)
        host = time.perf_counter() - begin
        at.wait()
        row |= {
            "loop_us": 1e6 * (time.perf_counter() - begin) / count,
            "host_us": 1e6 * host / count,
        }
        if replays := sum(g.replays for g in graphs) - replayed:
            row["epochs_per_replay"] = count / replays
            alone = milliseconds(graphs[-1].replay, REPLAYS // 3, at)
            row["replay_us"] = 1e3 * alone * replays / count
    return row


@contextmanager
def recorded_graphs() -> Iterator[list[Any]]:
    """Collect the CUDA graphs that are made, which count their replays."""
    made: list[Any] = []

    class Counted(torch.cuda.CUDAGraph):
        replays = 0

        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            made.append(self)

        def replay(self) -> None:
            self.replays += 1
            super().replay()

    with mock.patch.object(torch.cuda, "CUDAGraph", Counted):
        yield made


def look_time(recipe: Recipe, at: At) -> Row:
    """Return what a look at the validation links adds to an epoch."""
    problem = at.problem()
    always, rarely = (
        per_epoch_us(problem, replace(recipe, eval_every=every), at) for every in (1, 10**6)
    )
    return {"us": always - rarely}


def same_losses(recipe: Recipe, at: At) -> Row:
    """Return how far the losses with and without a CUDA graph are apart."""
    at.need_gpu()
    short = replace(recipe, epochs=20, patience=0)
    eager, captured = (
        np.array([row.loss for row in trained(at.problem(), short, cuda_graph=graph).history])
        for graph in (False, True)
    )
    error = float(np.abs(captured / eager - 1).max())
    return {"error": error, "ok": error < 1e-3}


PUBLISHED = [
    {
        "side": "siglip-kernel 0.1.1, bf16, forward and backward",
        "pairs": 65_536**2,
        "d": 768,
        "seconds": 0.0488,
        "pairs_per_s": 65_536**2 / 0.0488,
        "hardware": "GH200 or H100",
        "source": "https://pypi.org/project/siglip-kernel/0.1.1/",
    },
    {
        "side": "KeOps, sum of Gaussians, forward",
        "pairs": 10**12,
        "d": 3,
        "seconds": 1.39,
        "pairs_per_s": 10**12 / 1.39,
        "hardware": "RTX 2080 Ti",
        "source": "https://github.com/getkeops/keops/blob/main/benchmarks/README.md",
    },
]


def peers(at: At) -> list[Case]:
    """Return PyG's example, the loss on the N x N matrix, and published figures."""
    sides = {
        "pyg": partial(pyg, cached=True, sparse_x=False),
        "pyg-uncached": partial(pyg, cached=False, sparse_x=False),
        "pyg-sparse-x": partial(pyg, cached=True, sparse_x=True),
        "dense": dense,
    }
    cases: list[Case] = [
        ({"side": name}, partial(peer_time, train, at)) for name, train in sides.items()
    ]
    return cases + [({**row, "published": True}, dict) for row in PUBLISHED]


def peer_time(train: Callable[[Problem], Any], at: At) -> Row:
    """Return the time of an epoch of a peer."""
    step, count = train(at.problem()).step, (2 if at.small else 50)
    for _ in range(1 if at.small else 10):
        step()
    at.wait()
    begin = time.perf_counter()
    for _ in range(count):
        step()
    at.wait()
    return {"loop_us": 1e6 * (time.perf_counter() - begin) / count}


def images(at: At) -> list[Case]:
    """Return a training with and without a CUDA graph."""
    return [({"cuda_graph": graph}, partial(image_time, at, graph)) for graph in (False, True)]


def image_time(at: At, cuda_graph: bool) -> Row:  # noqa: FBT001
    """Return the time of an epoch of ``conv64``."""
    if cuda_graph:
        at.need_gpu()
    data, (few, many) = pictures(200 if at.small else 20_000), (1, 2 if at.small else 6)
    compute, seconds = Compute(at.device, cuda_graph=cuda_graph), {}
    for number in (few, many):
        recipe = replace(CONV64, epochs=number, keep="last", eval_every=10**6)
        result = fit_images(data, recipe=recipe, device=compute, progress=False)
        seconds[number] = result.seconds
    losses = [row.loss for row in result.history]
    epoch = (seconds[many] - seconds[few]) / (many - few)
    return {"epoch_ms": 1e3 * epoch, "images_per_s": len(data.train) / epoch, "losses": losses}


def profile(at: At) -> list[Case]:
    """Return the recipes."""
    return [({"recipe": name}, partial(kernels, recipe, at)) for name, recipe in RECIPES.items()]


def kernels(recipe: Recipe, at: At) -> Row:
    """Return the kernels of an epoch, or the operations where there is no GPU."""
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as profiler

    loop, count = epochs_of(at.problem(), recipe, cuda_graph=False), (1 if at.small else 10)
    for _ in range(count):
        next(loop)
    at.wait()
    activities = [ProfilerActivity.CPU, *[ProfilerActivity.CUDA] * at.is_gpu]
    with profiler(activities=activities) as found:
        for _ in range(count):
            next(loop)
        at.wait()
    kind = torch.autograd.DeviceType.CUDA if at.is_gpu else torch.autograd.DeviceType.CPU
    spent: dict[str, list[float]] = {}
    for event in found.events():
        if event.device_type == kind:
            us = event.time_range.elapsed_us() if at.is_gpu else event.self_cpu_time_total
            spent.setdefault(event.name, []).append(us)
    top = sorted(spent.items(), key=lambda item: -sum(item[1]))[:15]
    return {
        "kernels_per_epoch" if at.is_gpu else "operations_per_epoch": sum(map(len, spent.values()))
        / count,
        "device_us_per_epoch": sum(map(sum, spent.values())) / count if at.is_gpu else None,
        "top": [
            {"name": name[:120], "per_epoch": len(us) / count, "us": statistics.fmean(us)}
            for name, us in top
        ],
    }


def seeds(at: At) -> list[Case]:
    """Return numbers of seeds."""
    numbers = (1, 2) if at.small else (1, 2, 4, 8)
    return [({"seeds": number}, partial(lockstep, number, at)) for number in numbers]


def lockstep(number: int, at: At) -> Row:
    """Return the time of an epoch of each of several trainings, each on a stream of its own."""
    loops = [epochs_of(at.problem(k), PAPER, cuda_graph=at.is_gpu) for k in range(number)]
    streams = [
        torch.cuda.stream(torch.cuda.Stream()) if at.is_gpu else nullcontext() for _ in loops
    ]

    def step() -> None:
        for loop, own in zip(loops, streams, strict=True):
            with own:
                next(loop)

    at.wait()
    for _ in range(2 if at.small else 10):
        step()
    at.wait()
    count, begin = (2 if at.small else REPLAYS), time.perf_counter()
    for _ in range(count):
        step()
    at.wait()
    us = 1e6 * (time.perf_counter() - begin) / count
    return {"us": us, "us_per_seed": us / number}
