"""Worker processes that carry out tasks; a task whose process is lost goes to another one."""

import logging
import multiprocessing
import os
import signal
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from typing import Any, NamedTuple

from vgae.errors import ResourceError, VgaeError

log = logging.getLogger(__name__)

ATTEMPTS = 3

Work = Callable[[int, Any], Any]
"""Function of the number of a process, from 0, and of a task; like tasks and results, it must be
one that can be pickled."""


def run_in_workers(
    work: Work,
    tasks: Sequence[Any],
    jobs: int,
    *,
    on_result: Callable[[int, Any], object],
    on_wait: Callable[[Sequence[Any]], object] = lambda _: None,
    on_note: Callable[[int, Any], object] = lambda *_: None,
) -> None:
    """Carry out tasks in processes, each of which has one task at a time.

    The processes are started by ``spawn``: a script that calls this must do so under
    ``if __name__ == "__main__":``. They end with this function, whatever ends it, and soon after
    this process if it is killed. Signals from a terminal do not reach them.

    Args:
        work: Function that carries out a task.
        tasks: Tasks, whose texts name them in messages; begun in this order.
        jobs: Most processes at a time.
        on_result: Called with the index of a task and its result, in the order of completion.
        on_wait: Called with the tasks that are being carried out, when they change.
        on_note: Called with the index of a task and what ``work`` has given to :func:`tell`.

    Raises:
        ResourceError: ``WORKER_LOST`` if the process of a task is lost three times, or cannot
            start.
        VgaeError: As ``work`` raises it; the first one ends all.
    """
    waiting, losses = deque(range(len(tasks))), Counter[int]()
    numbers, idle, busy = deque(range(jobs)), list[_Worker](), list[_Worker]()
    try:
        while waiting or busy:
            while waiting and (idle or numbers):
                busy.append(idle.pop() if idle else _Worker(work, numbers.popleft()))
                busy[-1].give(index := waiting.popleft(), tasks[index])
            on_wait([tasks[worker.index] for worker in busy])
            ready = wait([worker.pipe for worker in busy])
            for worker in [worker for worker in busy if worker.pipe in ready]:
                answer = worker.answer()
                if answer is None:  # it has started
                    continue
                if isinstance(answer, Note):
                    on_note(worker.index, answer.values)
                    continue
                busy.remove(worker)
                if answer[0]:
                    idle.append(worker)
                    on_result(worker.index, answer[1])
                    continue
                losses[worker.index] += 1
                name, count = str(tasks[worker.index]), losses[worker.index]
                numbers.append(worker.number)
                _tell_loss(name, worker.ended(), count, started=worker.started)
                waiting.appendleft(worker.index)
    finally:
        for worker in (*idle, *busy):
            worker.end()


class Note(NamedTuple):
    """What a worker process tells during a task."""

    values: Sequence[Any]


def tell(*values: Any) -> None:
    """Tell the process that began this one how far a task is; at most four times a second."""
    global _told
    if _pipe is None or time.monotonic() < _told + _BETWEEN:
        return
    _told = time.monotonic()
    with suppress(OSError):  # the other process has ended, and this one ends soon
        _pipe.send(Note(values))


_BETWEEN = 0.25  # seconds
_pipe: Connection | None = None
_told = 0.0


class _Worker:
    """A process, its number among those at work, and the index of its task."""

    def __init__(self, work: Work, number: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.number, self.index, self.started = number, -1, False
        self.process = context.Process(target=_serve, args=(work, number, theirs), daemon=True)
        with _signals_blocked():
            self.process.start()
        theirs.close()

    def give(self, index: int, task: Any) -> None:
        """Give it a task."""
        self.index = index
        with suppress(OSError):  # it is lost, which the answer tells
            self.pipe.send(task)

    def answer(self) -> tuple[bool, Any] | Note | None:
        """Return its result, ``None`` when it has started, ``(False, None)`` if it is lost.

        While it works, it is a note.
        """
        try:
            answer = self.pipe.recv()
        except (EOFError, OSError):
            return False, None
        if answer is None:
            self.started = True
            return None
        if isinstance(answer, Note):
            return answer
        succeeded, value = answer
        if not succeeded:
            raise value
        return True, value

    def ended(self) -> int:
        """Return the exit status of a lost process; -9 if SIGKILL ended it."""
        self.process.join(timeout=5)
        status = self.process.exitcode
        self.end()
        return -signal.SIGTERM if status is None else status

    def end(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.join()
        self.process.close()
        self.pipe.close()


def _tell_loss(name: str, status: int, count: int, *, started: bool) -> None:
    """Log that a process is lost; raise ``WORKER_LOST`` if its task is not to be repeated."""
    cause = f"was ended by {_signal(-status)}" if status < 0 else f"ended with status {status}"
    if status > 0 and not started:
        raise ResourceError(
            "WORKER_LOST",
            f"the process of {name} {cause} before its work; call it in a script under"
            " if __name__ == '__main__':, or leave jobs (--jobs) out.",
        )
    if count == ATTEMPTS:
        raise ResourceError(
            "WORKER_LOST",
            f"the process of {name} {cause}, and so were {count - 1} before it; if the memory does"
            " not suffice, use fewer of them (jobs, --jobs).",
        )
    log.warning("the process of %s %s; this is repeated", name, cause)


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


@contextmanager
def _signals_blocked() -> Iterator[None]:
    """Block the signals of a terminal and of a batch system, also in processes started here.

    They reach the whole group of processes; this one ends the others.
    """
    if not hasattr(signal, "pthread_sigmask"):  # absent on Windows
        yield
        return
    # Else it is started with the first process, and lets the signals through again.
    resource_tracker.ensure_running()
    numbers = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(work: Work, number: int, pipe: Connection) -> None:
    """Carry out tasks from a pipe until its other end is closed."""
    global _pipe
    _pipe = pipe
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with suppress(EOFError, OSError):
        pipe.send(None)
        while True:
            task = pipe.recv()
            try:
                answer = True, work(number, task)
            except Exception as error:
                answer = False, _sendable(error)
            pipe.send(answer)


def _end_with_parent() -> None:
    """Wait for the end of the process that started this one, and end this one at once."""
    if (parent := multiprocessing.parent_process()) is not None:
        parent.join()
        os._exit(1)


def _sendable(error: Exception) -> Exception:
    """Return an exception that passes between processes, with its traceback as a note."""
    if isinstance(error, VgaeError | OSError):
        return error
    import traceback

    found = RuntimeError(f"{type(error).__name__}: {error}")
    found.add_note("".join(traceback.format_exception(error)))
    return found
