"""Random streams: one seed, one independent generator per purpose."""

import hashlib
import operator
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from vgae.errors import UsageError
from vgae.runtime.draws import normal, rows_of_draw

StreamName = (
    Literal["init", "split", "noise", "evaluation", "sample", "pairs", "mask", "dropout"]
    | Literal["hard-negatives", "calibration", "batches", "binarize", "torch", "parts", "ranked"]
    | Literal["folds"]
)


def stream(seed: int, name: StreamName, device: torch.device | str = "cpu") -> torch.Generator:
    """Return the generator for one purpose, derived from ``seed`` and ``name`` by SHA-256.

    Streams of one seed are independent: a change of the split never changes the initial weights.

    Args:
        seed: Any integer in ``[0, 2**63)``.
        name: ``"init"`` (weights), ``"split"`` (held-out links and non-links), ``"noise"``
            (posterior samples in training), ``"evaluation"`` (posterior samples when a model is
            evaluated on validation or test images), ``"sample"`` (samples of the prior),
            ``"pairs"`` (of the sampled decoder loss), ``"mask"`` (links hidden in an epoch),
            ``"dropout"``, ``"hard-negatives"`` (order of equals), ``"calibration"`` (non-links
            beyond those of the split), ``"batches"`` (order of the images), ``"binarize"``
            (pixels drawn by their grey value), ``"ranked"`` (links and nodes that stand for all in
            the evaluation of a large graph), ``"folds"`` (parts of the training links),
            ``"parts"`` (weights of decoders of further targets, and held-out entries of features)
            or ``"torch"`` (:func:`seeded_torch`).
        device: Device of the generator.

    Raises:
        UsageError: If ``seed`` is no integer, or out of range.
    """
    seed = checked_seed(seed)
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    # 63 bits: manual_seed takes a signed 64-bit integer.
    return torch.Generator(device).manual_seed(int.from_bytes(digest[:8], "big") >> 1)


def checked_seed(seed: object) -> int:
    """Return a seed as an integer.

    Raises:
        UsageError: ``SEED`` if it is no integer, ``SEED_RANGE`` if it is not in ``[0, 2**63)``.
    """
    try:
        number = operator.index(seed)  # pyright: ignore[reportArgumentType]
    except TypeError:
        message = f"seed must be an integer, such as 0, got {seed!r:.60}."
        raise UsageError("SEED", message) from None
    if not 0 <= number < 2**63:
        raise UsageError("SEED_RANGE", f"seed must lie in [0, 2**63), got {number}.")
    return number


@contextmanager
def seeded_torch(seed: int, device: torch.device) -> Iterator[dict[str, torch.Generator]]:
    """Seed torch's own generators for a time, and restore their states afterwards.

    Parts of a model that are not of this package, such as ``torch.nn.Dropout``, draw from them.

    Args:
        seed: Seed of the stream ``"torch"``.
        device: A GPU has a generator of its own, besides that of the CPU.

    Yields:
        The generators by name, whose states belong to a checkpoint.
    """
    is_cuda = device.type == "cuda"
    with torch.random.fork_rng([device] if is_cuda else []):
        found = {"torch": torch.default_generator}
        if is_cuda:
            index = torch.cuda.current_device() if device.index is None else device.index
            found["torch_cuda"] = torch.cuda.default_generators[index]
        for generator in found.values():
            generator.manual_seed(stream(seed, "torch").initial_seed())
        yield found


@contextmanager
def drawing_from(part: Any, generator: torch.Generator) -> Iterator[None]:
    """Lend a generator to an encoder or decoder that draws random numbers without its own."""
    own = getattr(part, "generator", generator)
    lent = own is None
    if isinstance(own, torch.Generator) and own.device.type != generator.device.type:
        here, there = own.device.type, generator.device
        raise UsageError(
            "GENERATOR",
            f"the generator of {type(part).__name__} is on {here} and the training on {there};"
            f" make it by torch.Generator({str(there)!r}), or leave it out.",
        )
    if lent:
        part.generator = generator
    try:
        yield
    finally:
        if lent:
            part.generator = None  # it is bound to the device; the model may go elsewhere


@dataclass
class Rows:
    """Consecutive rows of a matrix that one of several processes computes.

    Attributes:
        count: Rows of the whole matrix.
        own: Those of this process.
    """

    count: int
    own: range


class RowNoise:
    """Source of the noise of some rows, which is drawn for all, so that all processes draw alike.

    It stands in for a generator in :meth:`vgae.DiagGaussian.rsample`.

    Args:
        generator: Generator of the noise.
        rows: The rows, which may change from draw to draw.
    """

    def __init__(self, generator: torch.Generator, rows: Rows) -> None:
        self.generator, self.rows = generator, rows

    def normal(self, like: Tensor) -> Tensor:
        """Return standard normal noise of the shape of a tensor, whose rows are the own ones."""
        return rows_of_draw(self.rows, like, normal, self.generator)
