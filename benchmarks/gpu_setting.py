"""What the stages of ``gpu.py`` have in common: device and sizes, clocks, errors."""

import os
import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from harness import CannotRun, Row
from problems import Problem, cora_like, is_there, named_problem
from torch import Tensor

from vgae.data.images import Images
from vgae.recipes import BEST, PAPER

RECIPES = {"paper": PAPER, "best": BEST}


class At(NamedTuple):
    """Where to measure, and whether at tiny sizes."""

    device: str
    small: bool

    @property
    def is_gpu(self) -> bool:
        """Whether the device is a GPU."""
        return self.device.startswith("cuda")

    def need_gpu(self) -> None:
        """Raise ``CannotRun`` on a CPU."""
        if not self.is_gpu:
            raise CannotRun("needs a GPU")

    def wait(self) -> None:
        """Wait for the device."""
        if self.is_gpu:
            torch.cuda.synchronize()

    def problem(self, seed: int = 0) -> Problem:
        """Return Cora if its files are there, else a graph of its size."""
        real = bool(os.environ.get("VGAE_DATA")) and is_there("cora") and not self.small
        made = named_problem("cora", "raw", seed) if real else cora_like(small=self.small)
        return made._replace(seed=seed, device=self.device)


Case = tuple[Row, Callable[[], Row]]


def milliseconds(step: Callable[[], Any], repeats: int, at: At) -> float:
    """Return the median time of a step on the device, after one that does not count."""
    step()
    at.wait()
    found = []
    for _ in range(repeats):
        if at.is_gpu:
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            step()
            end.record()
            at.wait()
            found.append(start.elapsed_time(end))
        else:
            begin = time.perf_counter()
            step()
            found.append(1e3 * (time.perf_counter() - begin))
    return statistics.median(found)


def relative(found: Tensor, expected: Tensor) -> float:
    """Return the relative error, in the Frobenius norm."""
    found, expected = (x.detach().cpu().double() for x in (found, expected))
    return float((found - expected).norm() / expected.norm())


def pictures(number: int) -> Images:
    """Return random images of MNIST's size."""
    return Images.from_arrays(np.random.default_rng(0).random((number, 28, 28), np.float32))
