"""Processes that train one model together: those of torch.distributed, or one alone.

Programs are started by ``torchrun``, which sets the environment that :func:`joined` reads. Every
process reads the same data, draws the same random numbers and holds the same weights; a sum over
many parts, such as the pairs of nodes, is divided: each process computes its share, and the shares
are added. The first process, of rank 0, writes files and messages.
"""

import json
import logging
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor

from vgae import errors
from vgae.errors import Interrupted, ResourceError, UsageError, VgaeError

if TYPE_CHECKING:
    from vgae.runtime.watch import Watch

log = logging.getLogger(__name__)

_WAIT = 10.0  # seconds until a process says that it waits for the others to begin
_LONG = timedelta(days=30)  # nobody waits in vain: a watch ends all when one is lost
_START = timedelta(minutes=10)  # imports over a network take minutes
_JSON = (dict, list, str, int, float, bool, type(None))
R = TypeVar("R")


class Team:
    """The processes that train together.

    Args:
        rank: Number of this process, from 0.
        size: Number of the processes.

    Attributes:
        sent: Bytes that this process has sent in collective operations, as the usual ring
            algorithms do.
        watch: The watch over the processes that :func:`joined` has started, if it has.
    """

    def __init__(self, rank: int = 0, size: int = 1, watch: "Watch | None" = None) -> None:
        self.rank, self.size, self.watch, self.sent = rank, size, watch, 0
        self._led = 0

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

    def passed_on(self, block: Tensor, arriving: Tensor) -> Callable[[], None]:
        """Send a tensor to the next process while one arrives from the process before.

        Returns:
            Function that waits until both are done.
        """
        distributed, size = torch.distributed, self.size
        ends = (self.rank + 1) % size, (self.rank - 1) % size
        pairs = zip((distributed.isend, distributed.irecv), (block, arriving), ends, strict=True)
        # Nothing is sent of no rows.
        operations = [distributed.P2POp(*pair) for pair in pairs if pair[1].numel()]
        self.sent += block.nbytes
        with _reached():
            works = distributed.batch_isend_irecv(operations) if operations else []

        def wait() -> None:
            with _reached():
                for work in works:
                    work.wait()

        return wait

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
            if size == 0:  # no tensor has no bytes
                return b""
            data = torch.empty(int(size), dtype=torch.uint8)
            if self.leads:
                data = torch.frombuffer(bytearray(content), dtype=torch.uint8)
            torch.distributed.broadcast(data, 0)
        self.sent += data.nbytes if self.leads else 0
        return data.numpy().tobytes()

    def agreed(self, value: Any) -> Any:
        """Return the value of the first process, which is one of JSON, in every process."""
        return value if self.size == 1 else json.loads(self.from_first(json.dumps(value).encode()))

    def of_all(self, value: Any) -> list[Any]:
        """Return the values of all processes, each one of JSON, in every process.

        In a group of the caller, a process that waits for the others for ten seconds logs that.
        """
        if self.size == 1:
            return [value]
        content = json.dumps(value).encode()
        told = _told_after(_WAIT, _WAITING, self.size) if self.watch is None else nullcontext()
        with told:
            longest = self.most(len(content))
        data = torch.frombuffer(bytearray(content.ljust(longest)), dtype=torch.uint8)
        found = [torch.empty_like(data) for _ in range(self.size)]
        with _reached():
            torch.distributed.all_gather(found, data)
        self.sent += data.nbytes * (self.size - 1)
        return [json.loads(part.numpy().tobytes()) for part in found]

    def led(self, work: Callable[[], R]) -> R:
        """Have the first process do something alone, however long it takes; the others wait.

        What it returns, a value of JSON or nothing, is returned in every process. An error of the
        package is raised in every process.
        """
        if self.size == 1:
            return work()
        store, self._led = _store(), self._led + 1
        key = f"vgae/led/{self._led}"
        if not self.leads:
            with _reached():
                store.wait([key], _LONG)
                value, error = json.loads(store.get(key))
            if error is not None:
                raise _error_of(*error)
            return value
        try:
            with alone():
                value = work()
        except BaseException as error:
            store.set(key, json.dumps([None, _described(error)]))
            raise
        store.set(key, json.dumps([value if isinstance(value, _JSON) else None, None]))
        return value

    def part(self) -> None:
        """End the training together: of a joined team, go on in the first process alone.

        The others end with ``SystemExit``, without waiting for it. A group of the caller stays.
        """
        if self.watch is None:
            return
        if self.leads:
            # Nobody goes before it has all that was sent to it.
            _store().set("vgae/over", "")
        else:
            with _reached():
                _store().wait(["vgae/over"], _LONG)
        _leave(self.watch)
        if not self.leads:
            raise SystemExit(0)


_WAITING = (
    "waiting for the others of %d processes, all of which must train; to train in this one alone,"
    " do so within vgae.runtime.processes.alone()"
)


@contextmanager
def _told_after(seconds: float, text: str, *values: object) -> Iterator[None]:
    """Log a warning unless the block ends within some seconds."""
    timer = threading.Timer(seconds, log.warning, (text, *values))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


ALONE = Team()
_sharing: ContextVar[Team] = ContextVar("sharing", default=ALONE)
_is_alone: ContextVar[bool] = ContextVar("is_alone", default=False)


def team() -> Team:
    """Return the processes of torch's default group, or the one process alone."""
    distributed = torch.distributed
    if not (distributed.is_available() and distributed.is_initialized()) or _is_alone.get():
        return ALONE
    global _team
    found = distributed.get_rank(), distributed.get_world_size()
    if (_team.rank, _team.size) != found:
        _team = Team(*found)
    return _team


_team = ALONE


@contextmanager
def alone() -> Iterator[None]:
    """Let this process work by itself, such as evaluate a model, without the others."""
    before = _is_alone.set(True)
    try:
        with sharing(ALONE):
            yield
    finally:
        _is_alone.reset(before)


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
    """Join the processes that ``torchrun`` has started, if it has, until the end of the block.

    They watch over each other (:class:`vgae.runtime.watch.Watch`): when one is lost, the program
    ends within 30 seconds in all others, also while they wait for it.

    Raises:
        UsageError: If the environment is not that of torchrun.
    """
    rank, size = place_of_torchrun()
    if size == 1:
        yield ALONE
        return
    from torch.distributed.rendezvous import rendezvous

    from vgae.runtime.watch import Watch

    global _team
    gpus = torch.cuda.device_count() if _has_gpu() else 0
    here = int(os.environ.get("LOCAL_RANK", rank))
    if here < gpus:
        torch.cuda.set_device(here)
    with _reached():
        store = _of_this_start(next(rendezvous("env://", timeout=_LONG))[0], rank, size)
        holds = rank == 0 and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True"
        watch = Watch(store.clone(), rank, size, holds=holds)
        watch.start()
    try:
        with _reached():
            place: Any = {"store": store, "rank": rank, "world_size": size, "timeout": _LONG}
            backend = "cpu:gloo,cuda:nccl" if gpus else "gloo"
            torch.distributed.init_process_group(backend, **place)
        _team = Team(rank, size, watch)
        yield _team
    finally:
        _leave(watch)


def _of_this_start(store: Any, rank: int, size: int) -> Any:
    """Return a part of a store that no processes have used before.

    torchrun keeps its store when it starts processes again, with the addresses and the errors of
    those that have ended. Its count of the starts is not the same on all machines. So the first
    process makes a name up, and takes those that answer to it; each other one takes a name only
    when it is taken itself, because it may have read the name of a start before.
    """
    from torch.distributed.distributed_c10d import PrefixStore

    mine, end = uuid.uuid4().hex, time.monotonic() + _START.total_seconds()
    if rank == 0:
        store.set("vgae/start", mine)
        keys = [f"{mine}/{other}" for other in range(1, size)]
        store.wait(keys, _START)
        store.set(f"{mine}/taken", b" ".join(map(store.get, keys)))
        return PrefixStore(mine, store)
    store.wait(["vgae/start"], _START)
    while time.monotonic() < end:
        name = store.get("vgae/start").decode()
        store.set(f"{name}/{rank}", mine)
        if store.check([f"{name}/taken"]) and mine in store.get(f"{name}/taken").decode():
            return PrefixStore(name, store)
        time.sleep(0.05)
    raise RuntimeError(f"process 0 did not answer within {_START.total_seconds():.0f} s")


def _leave(watch: "Watch") -> None:
    global _team
    watch.stop()
    _team = ALONE
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def place_of_torchrun() -> tuple[int, int]:
    """Return number of this process and of all, as torchrun names them; (0, 1) without it."""
    given = [os.environ.get(name) for name in ("RANK", "WORLD_SIZE")]
    if None in given:
        return 0, 1
    try:
        rank, size = map(int, given)  # pyright: ignore[reportArgumentType]
    except ValueError:
        rank, size = -1, 0
    if not 0 <= rank < size:
        raise UsageError(
            "TORCHRUN",
            "the environment has RANK = {!r:.20} and WORLD_SIZE = {!r:.20}; start with torchrun,"
            " which sets both, or unset them.".format(*given),
        )
    return rank, size


def _store() -> Any:
    """Return the store of torch's default group."""
    return torch.distributed.distributed_c10d._get_default_store()


def _described(error: BaseException) -> list[Any]:
    """Return an error as JSON: its class, its arguments."""
    if not isinstance(error, VgaeError):
        what = str(error).partition("\n")[0][:200]
        return ["ResourceError", "RANK_LOST", f"process 0 failed: {type(error).__name__}: {what}"]
    number = [error.exit_code - 128] if isinstance(error, Interrupted) else []
    return [type(error).__name__, error.code, str(error), *number]


def _error_of(name: str, *arguments: Any) -> VgaeError:
    return getattr(errors, name)(*arguments)


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
