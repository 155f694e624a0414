"""Processes that train one model together: those of torch.distributed, or one alone.

Programs are started by ``torchrun``, which sets the environment that :func:`joined` reads. Every
process reads the same data, draws the same random numbers and holds the same weights; a sum over
many parts, such as the pairs of nodes, is divided: each process computes its share, and the shares
are added. The first process, of rank 0, writes files and messages.
"""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor

from vgae.errors import ResourceError


class Team:
    """The processes that train together.

    Args:
        rank: Number of this process, from 0.
        size: Number of the processes.

    Attributes:
        sent: Bytes that this process has sent in collective operations, as the usual ring
            algorithms do.
    """

    def __init__(self, rank: int = 0, size: int = 1) -> None:
        self.rank, self.size, self.sent = rank, size, 0

    @property
    def leads(self) -> bool:
        """Whether this process writes files and messages."""
        return self.rank == 0

    def share(self, count: int) -> range:
        """Return the part of ``range(count)`` of this process, one of equal consecutive parts."""
        return range(count * self.rank // self.size, count * (self.rank + 1) // self.size)

    def sum_(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its sum over the processes, in one operation for each dtype."""
        if self.size == 1:
            return
        for dtype in dict.fromkeys(t.dtype for t in tensors):  # everywhere in one order
            alike = [t for t in tensors if t.dtype == dtype]
            whole = len(alike) == 1 and alike[0].is_contiguous()
            flat = alike[0].view(-1) if whole else torch.cat([t.reshape(-1) for t in alike])
            self.sent += 2 * flat.nbytes * (self.size - 1) // self.size
            with _reached():
                torch.distributed.all_reduce(flat)
            if whole:
                continue
            sizes = [t.numel() for t in alike]
            for t, part in zip(alike, flat.split(sizes), strict=True):
                t.copy_(part.view(t.shape))

    def most(self, number: int) -> int:
        """Return the largest of the numbers of all processes."""
        if self.size == 1:
            return number
        found = torch.tensor(number)
        with _reached():
            torch.distributed.all_reduce(found, torch.distributed.ReduceOp.MAX)
        return int(found)

    def from_first(self, content: bytes) -> bytes:
        """Return the bytes that the first process passes, in every process."""
        if self.size == 1:
            return content
        size = torch.tensor(len(content))
        with _reached():
            torch.distributed.broadcast(size, 0)
            data = torch.empty(int(size), dtype=torch.uint8)
            if self.leads:
                data = torch.frombuffer(bytearray(content), dtype=torch.uint8)
            torch.distributed.broadcast(data, 0)
        self.sent += data.nbytes if self.leads else 0
        return data.numpy().tobytes()

    def agreed(self, value: Any) -> Any:
        """Return the value of the first process, which is one of JSON, in every process."""
        return value if self.size == 1 else json.loads(self.from_first(json.dumps(value).encode()))


ALONE = Team()
_sharing: ContextVar[Team] = ContextVar("sharing", default=ALONE)


def team() -> Team:
    """Return the processes of torch's default group, or the one process alone."""
    distributed = torch.distributed
    if not (distributed.is_available() and distributed.is_initialized()):
        return ALONE
    global _team
    found = distributed.get_rank(), distributed.get_world_size()
    if (_team.rank, _team.size) != found:
        _team = Team(*found)
    return _team


_team = ALONE


@contextmanager
def sharing(team: Team) -> Iterator[None]:
    """Divide the large sums of this thread among the processes of a team, all of which do so."""
    before = _sharing.set(team)
    try:
        yield
    finally:
        _sharing.reset(before)


def sharers() -> Team:
    """Return the processes among which sums are divided: by default, this one alone."""
    return _sharing.get()


@contextmanager
def joined() -> Iterator[Team]:
    """Join the processes that ``torchrun`` has started, if it has, until the end of the block."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield ALONE
        return
    with _reached():
        torch.distributed.init_process_group("cpu:gloo,cuda:nccl" if _has_gpu() else "gloo")
    try:
        yield team()
    finally:
        torch.distributed.destroy_process_group()


def _has_gpu() -> bool:
    return torch.cuda.is_available() and torch.distributed.is_nccl_available()


@contextmanager
def _reached() -> Iterator[None]:
    """Name the loss of another process in one line."""
    try:
        yield
    except RuntimeError as error:
        reason = [*str(error).splitlines(), type(error).__name__][0].rstrip(".")
        raise ResourceError(
            "RANK_LOST",
            f"another process of the training is gone ({reason:.120}); start all of them again,"
            " with --resume RUN to go on from the last checkpoint.",
        ) from error
