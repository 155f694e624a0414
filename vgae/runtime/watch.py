"""Watch over processes that train together: who is there, and why one of them has ended.

A collective operation ends with an error in all processes if the connection to one is closed, but
waits without end for one that is stopped, hangs or is cut off. So each process counts up a number
in the store of the group every two seconds, and looks at the numbers of the others. A process that
computes, reads or writes for minutes goes on counting, in a thread; one that sleeps with its
machine does not count the time that others are silent either.

A process that ends with an error notes it in the store first. The first to note one tells it; the
others end quietly, with the same status.
"""

import json
import os
import platform
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from itertools import product
from typing import Any, NamedTuple

import psutil

_BEAT = 2.0  # seconds between two numbers
_PATIENCE = 22  # seconds of silence after which a process is lost
_NEVER = 10**9
_START = 600  # seconds for the first number: imports over a network take minutes
_QUIET = 6  # seconds of silence that explain a connection that broke
_GRACE = 5  # seconds for the main thread to end by itself
_LED = 3.0  # seconds for the first process to note an error that all have
_TOLD = 5.0  # seconds that the process with the store waits for the others to read a note

AGAIN = "start all of them again, with --resume RUN to go on from the last checkpoint"


class Note(NamedTuple):
    """Error that ends all processes.

    Attributes:
        rank: Process that noted it.
        code: Code of the error.
        what: Message.
        status: Exit status.
    """

    rank: int
    code: str
    what: str
    status: int


class Watch:
    """Threads that watch over the processes of a group, from :meth:`start` to :meth:`stop`.

    Args:
        store: Connection to the store of the group, for this class alone.
        rank: Number of this process.
        size: Number of processes.
        holds: Whether the store is in this process.

    Attributes:
        tell: Called with the note that ends this process, before it ends, if it is to tell it.
    """

    def __init__(self, store: Any, rank: int, size: int, *, holds: bool = False) -> None:
        self.store, self.rank, self.size, self.holds = store, rank, size, holds
        self.tell: Callable[[Note], object] = lambda _: None
        self._others = [other for other in range(size) if other != rank]
        self._counts: dict[int, bytes] = {}
        self._here: dict[int, tuple[int, float] | None] = {}
        self._used: dict[int, float] = {}
        self._silent = dict.fromkeys(range(-1, size), 0)  # -1: the store
        self._note: Note | None = None
        self._known_for = 0
        self._told = False
        self._settling = threading.RLock()  # a handler of a signal may come between
        self._stopped = threading.Event()
        self._threads = [
            threading.Thread(target=run, daemon=True, name=f"vgae {run.__name__}")
            for run in (self._count, self._look)
        ]
        store.set_timeout(timedelta(seconds=_PATIENCE))

    def start(self) -> None:
        """Begin to count, and to look at the others."""
        self.store.set(f"vgae/who/{self.rank}", json.dumps(_identity()))
        for thread in self._threads:
            thread.start()

    @property
    def stopped(self) -> bool:
        """Whether the watch has ended."""
        return self._stopped.is_set()

    def stop(self) -> None:
        """End the watch."""
        self._stopped.set()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(3.0)

    def settled(self, code: str, what: str, status: int) -> tuple[Note, bool]:
        """Return the error that ends all processes, and whether this thread is to tell it.

        Args:
            code: Code of the error of this process, which is noted if there is none yet. That
                another process is lost explains ``RANK_LOST`` and ``INTERRUPTED``.
            what: Message.
            status: Exit status.
        """
        caused = code in ("RANK_LOST", "INTERRUPTED")
        # Errors that all processes have, such as of an option, are those of the first.
        seconds = 2.0 * _QUIET if code == "RANK_LOST" else _LED * (self.rank > 0)
        own = f"{self._name(self.rank)}: " if self.rank and not caused else ""
        with self._settling, suppress(RuntimeError):
            note = self._reason(seconds, lost=caused)
            return self._agreed(note or Note(self.rank, code, own + what, status))
        return self._without_store(), not self._told  # it is lost too

    def _agreed(self, note: Note) -> tuple[Note, bool]:
        """Note an error; return the one that was noted first, and whether to tell it."""
        with self._settling:
            content = self.store.compare_set("vgae/note", "", json.dumps(note))
            found = self._note = Note(*json.loads(content))
            self.store.add("vgae/read", 1)
            if self.holds:  # until the others have read it
                end = time.monotonic() + _TOLD
                while time.monotonic() < end and self.store.add("vgae/read", 0) < self.size:
                    time.sleep(0.1)
            mine, self._told = found.rank == self.rank and not self._told, True
            return found, mine

    def _reason(self, seconds: float, *, lost: bool) -> Note | None:
        """Return what is noted or, with ``lost``, which process is, as soon as it is known."""
        end = time.monotonic() + seconds
        while True:
            if self.store.check(["vgae/note"]):
                return Note(*json.loads(self.store.get("vgae/note")))
            for other in self._others if lost else ():
                self._see(other)  # the thread may not have seen it yet
            found = self._lost(_QUIET) if lost else None
            if found is not None or time.monotonic() >= end:
                return found
            time.sleep(0.2)

    def _lost(self, patience: int) -> Note | None:
        """Return the error that a process is lost, if one is."""
        # One that is gone explains more than one that is silent.
        for seconds, other in product((_NEVER, patience), self._others):
            if (what := self._fate(other, seconds)) is not None:
                return Note(self.rank, "RANK_LOST", f"{self._name(other)} {what}; {AGAIN}.", 5)
        return None

    def _fate(self, other: int, patience: int) -> str | None:
        """Return what has become of another process, if it is lost."""
        # While the store is silent, nobody can be heard.
        silent = self._silent[other] - self._silent[-1]
        if other not in self._here:
            return None if silent < _START else f"did not start within {_START} s"
        here = self._here[other]
        process = None if here is None else _process(*here)
        if here is not None and process is None:
            return "is gone: it was killed, or taken by the system for lack of memory"
        if silent < patience:
            return None
        if process is not None and _is_stopped(process):
            return f"has been stopped for {silent} s"
        if self._computes(other, process):
            self._silent[other] = 0  # in one long operation that lets no other thread run
            return None
        return f"has been silent for {silent} s: it hangs, or is cut off"

    def _computes(self, other: int, process: psutil.Process | None) -> bool:
        """Return whether a process on this machine has used the processor since the last look."""
        if process is None:
            return False
        before, self._used[other] = self._used.get(other), _seconds(process)
        return before is not None and self._used[other] > before + 0.5

    def _without_store(self) -> Note:
        what = f"{self._name(0)}, or torchrun on its machine, is gone; {AGAIN}."
        return Note(self.rank, "RANK_LOST", what, 5)

    def _name(self, rank: int) -> str:
        return f"process {rank} of {self.size}"

    def _count(self) -> None:
        """Count up, and see the numbers of the others."""
        number = 0
        try:
            while not self._stopped.is_set():
                number += 1
                self.store.set(f"vgae/beat/{self.rank}", str(number))
                for other in self._others:
                    self._see(other)
                if self._note is None and self.store.check(["vgae/note"]):
                    self._note = Note(*json.loads(self.store.get("vgae/note")))
                self._silent[-1] = 0
                self._stopped.wait(_BEAT)
        except RuntimeError:  # the connection is closed
            self._silent[-1] = _PATIENCE - _GRACE

    def _see(self, other: int) -> None:
        who, key = f"vgae/who/{other}", f"vgae/beat/{other}"
        if other not in self._here and self.store.check([who]):
            machine, pid, started = json.loads(self.store.get(who))
            self._here[other] = (pid, started) if machine == _machine() else None
        if not self.store.check([key]):
            return
        if (count := self.store.get(key)) != self._counts.get(other):
            self._counts[other], self._silent[other] = count, 0
            here = self._here.get(other)
            if here is not None and (process := _process(*here)) is not None:
                self._used[other] = _seconds(process)

    def _look(self) -> None:
        """End the process if another one is lost and the main thread does not notice it.

        Seconds are counted by this loop, which stands still as long as the process does.
        """
        while not self._stopped.wait(1.0):
            for rank in self._silent:
                self._silent[rank] += 1
            if self._silent[-1] >= _PATIENCE:
                self._end(self._without_store(), mine=True)
            note = self._note or self._lost(_PATIENCE)
            if note is None:
                continue
            # A connection that closes ends the main thread; silence does not.
            self._known_for += 1
            longest = max(self._silent[other] - self._silent[-1] for other in self._others)
            if self._known_for > _GRACE or longest >= _PATIENCE:
                with suppress(RuntimeError):
                    self._end(*self._agreed(note))
                self._end(self._without_store(), mine=True)

    def _end(self, note: Note, mine: bool) -> None:  # noqa: FBT001
        if self._stopped.is_set():
            return
        if mine:
            self.tell(note)
        os._exit(note.status)  # the main thread may wait without end


def _identity() -> list[Any]:
    """Return the machine, number and start of this process."""
    me = psutil.Process()
    return [_machine(), me.pid, me.create_time()]


def _machine() -> str:
    """Return the name of this machine; in a container, with which processes it can see."""
    space = ""
    with suppress(OSError):
        space = os.readlink("/proc/self/ns/pid")  # noqa: PTH115
    return f"{platform.node()} {space}"


def _process(pid: int, started: float) -> psutil.Process | None:
    """Return a process of this machine; ``None`` if it has ended."""
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        if process.create_time() == started and process.status() != psutil.STATUS_ZOMBIE:
            return process
    return None


def _is_stopped(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return process.status() == psutil.STATUS_STOPPED
    return False


def _seconds(process: psutil.Process) -> float:
    """Return the seconds of the processor that a process has used."""
    with suppress(psutil.Error):
        return sum(process.cpu_times()[:2])
    return 0.0
