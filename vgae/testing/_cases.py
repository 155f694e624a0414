"""Small graphs, new models and comparisons for the checks."""

import copy
import functools
import random
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vgae.decoders import InnerProductDecoder
from vgae.encoders import PosteriorEncoder
from vgae.graphs.canonical import both_directions
from vgae.graphs.graph import Graph
from vgae.models.embedding import evaluating
from vgae.vae import VAE, Posterior

NUM_NODES, IN_CHANNELS = 24, 8
TOLERANCE = 1e-4  # of the largest magnitude, for another order of summation in float32

Make = Callable[[int], nn.Module]
Check = Callable[[Make], None]


class ConformanceError(AssertionError):
    """A violation of the requirements on a model."""


def links(num_nodes: int = NUM_NODES) -> Tensor:
    """Return a ring with chords, in which each node has neighbours, shape ``(2, M)``."""
    u = np.arange(num_nodes)
    chords = u[: num_nodes // 2]
    edges = np.stack([np.r_[u, chords], np.r_[(u + 1) % num_nodes, (7 * chords + 3) % num_nodes]])
    return Graph.from_edges(edges, num_nodes=num_nodes).links


def features(num_nodes: int = NUM_NODES, in_channels: int = IN_CHANNELS) -> Tensor:
    """Return dense features between 0 and 1, the same at each call."""
    generator = torch.Generator().manual_seed(0)
    return torch.rand(num_nodes, in_channels, generator=generator, dtype=torch.float32)


def graph() -> Graph:
    """Return a new graph of :func:`links` and :func:`features`."""
    return Graph.from_edges(links(), x=features(), name="checked")


def inputs() -> tuple[Tensor, Tensor]:
    """Return new ``(x, edge_index)`` of :func:`graph`."""
    return features(), both_directions(links())


def built(make: Make, seed: int = 0) -> VAE:
    """Seed all global generators and return a new model."""
    seed_all(seed)
    part = make(IN_CHANNELS)
    if isinstance(part, VAE):
        return part
    probe = copy.deepcopy(part).eval()
    with global_state_kept(), torch.no_grad():
        adapted = isinstance(probe(*inputs()), (Tensor, tuple))
    return VAE(PosteriorEncoder(part) if adapted else part, InnerProductDecoder())


def encoded(model: VAE, *given: Any) -> Posterior:
    """Call the encoder of a model in evaluation mode, without gradients."""
    with evaluating(model):
        return model.encoder(*given)


def heads(q: Posterior) -> dict[str, Tensor]:
    """Return mean and log-variance of a posterior by their names in messages."""
    logvar = getattr(q, "logvar", None)
    return {"mean": q.mu} | ({} if logvar is None else {"log-variance": logvar})


def encoded_heads(model: VAE, *given: Any) -> dict[str, Tensor]:
    """Return the :func:`heads` of given inputs or of :func:`inputs`, in evaluation mode."""
    return heads(encoded(model, *(given or inputs())))


def expect(condition: object, message: str) -> None:
    """Raise ``ConformanceError`` with the message unless the condition holds."""
    if not condition:
        raise ConformanceError(message)


def expect_finite(tensors: Mapping[str, Tensor], where: str) -> None:
    """Raise ``ConformanceError`` unless each tensor is finite."""
    for name, value in tensors.items():
        bad = f"{int((~value.isfinite()).sum())} of {value.numel()} values of {name}"
        expect(value.isfinite().all(), f"{where}: {bad} are not finite")


def expect_same(
    got: Mapping[str, Tensor], want: Mapping[str, Tensor], where: str, tolerance: float = 0.0
) -> None:
    """Raise ``ConformanceError`` unless the tensors are equal.

    They must have the same bits, or differ by at most ``tolerance`` times the largest magnitude.
    """
    expect(got.keys() == want.keys(), f"{where}: {sorted(got)} instead of {sorted(want)}")
    for name, value in want.items():
        other = got[name]
        shapes = f"{tuple(other.shape)} and not {tuple(value.shape)}"
        expect(other.shape == value.shape, f"{where}: {name} has shape {shapes}")
        if torch.equal(other, value):
            continue
        gap = float((other.double() - value.double()).abs().max())
        allowed = tolerance * float(value.abs().max())
        within = f"at most {allowed:.2g} is allowed" if tolerance else "equal bits are expected"
        expect(gap <= allowed and tolerance, f"{where}: {name} differs by {gap:.2g}, {within}")


def seed_all(seed: int) -> None:
    """Seed all global generators, from which an encoder may draw weights or dropout."""
    torch.manual_seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - the global generator is meant
    random.seed(seed)


def global_state() -> dict[str, Any]:
    """Return the global state that a library must not change, by its names in messages."""
    kind, keys, *rest = np.random.get_state()  # noqa: NPY002
    return {
        "torch's generator": torch.get_rng_state().tolist(),
        "numpy's generator": (kind, np.asarray(keys).tolist(), *rest),
        "python's generator": random.getstate(),
        "torch.use_deterministic_algorithms": torch.are_deterministic_algorithms_enabled(),
        "torch.set_default_dtype": torch.get_default_dtype(),
        "torch.set_num_threads": torch.get_num_threads(),
        "torch.set_grad_enabled": torch.is_grad_enabled(),
        "the filters of warnings": list(warnings.filters),
    }


@contextmanager
def global_state_kept() -> Iterator[None]:
    """Restore the global state afterwards, so that checks do not affect each other."""
    kept, generators = global_state(), (torch.get_rng_state(), np.random.get_state())  # noqa: NPY002
    try:
        with warnings.catch_warnings():
            yield
    finally:
        torch.set_rng_state(generators[0])
        np.random.set_state(generators[1])  # noqa: NPY002
        random.setstate(kept["python's generator"])
        for name, value in kept.items():
            if name.startswith("torch."):
                getattr(torch, name.removeprefix("torch."))(value)


def restoring(check: Check) -> Check:
    """Return a check that restores the global state."""

    @functools.wraps(check)
    def restored(make: Make) -> None:
        with global_state_kept():
            torch.set_num_threads(1)  # faster than more threads on small graphs
            check(make)

    return restored
