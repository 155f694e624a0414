"""The command under torchrun: several processes, of which the first speaks for all."""

import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout, suppress
from pathlib import Path

from vgae.cli.console import described
from vgae.errors import UsageError
from vgae.runtime.processes import joined, place_of_torchrun
from vgae.runtime.watch import Note, Watch

Tell = Callable[[str, object], object]


@contextmanager
def among_ranks(words: Sequence[str], tell: Tell) -> Iterator[Tell]:
    """Join the processes of torchrun; errors end all of them with one line and the same status.

    Args:
        words: Words of the command line.
        tell: Function that prints an error, given its code and message.

    Yields:
        The function for errors of one process, of which only the first of all is printed.

    Raises:
        UsageError: If the command is one for one process.
    """
    rank, size = place_of_torchrun()
    if size == 1:
        yield tell
        return
    stderr = sys.stderr

    def tell_note(note: Note) -> None:
        with suppress(OSError), redirect_stderr(stderr):
            tell(note.code, note.what)

    with _silent(wanted=rank > 0):
        try:
            if not words or "--help" in words or "--version" in words:
                yield tell
                return
            _check_command(words)
            with joined() as us:
                assert us.watch is not None
                us.watch.tell = tell_note
                yield from _watched(us.watch)
        except Exception as error:
            known = described(error)
            if rank == 0 or known is None or known[0] == "RANK_LOST":
                raise
            raise SystemExit(known[2]) from error  # the first process has the same error


def _watched(watch: Watch) -> Iterator[Tell]:
    """Yield the function that tells an error; tell an exception, or leave that to another one."""

    def report(code: str, what: object) -> None:
        note, mine = watch.settled(code, str(what), 1)
        if mine:
            watch.tell(note)

    try:
        yield report
    except Exception as error:
        if watch.stopped:  # the others have left
            raise
        for number in (signal.SIGINT, signal.SIGTERM):  # torchrun sends one when a process ends
            signal.signal(number, signal.SIG_IGN)
        known = described(error)
        name = f"{type(error).__name__}: {error}".partition("\n")[0]
        note, mine = watch.settled(*(known or ("FAULT", name[:200], 1)))
        watch.stop()
        if mine and known is None:
            raise
        if mine:
            watch.tell(note)
        raise SystemExit(note.status) from error


def _check_command(words: Sequence[str]) -> None:
    command = next((word for word in words if not word.startswith("-")), "")
    if command == "train":
        return
    hint = "; --jobs N spreads its trainings over processes" if command == "table" else ""
    raise UsageError(
        "TORCHRUN",
        f"torchrun divides a training, 'vgae train', among processes, not 'vgae {command:.40}';"
        f" start that without torchrun{hint}.",
    )


@contextmanager
def _silent(*, wanted: bool) -> Iterator[None]:
    """Discard what is printed."""
    with ExitStack() as stack:
        if wanted:
            null = stack.enter_context(Path(os.devnull).open("w", encoding="utf-8"))
            stack.enter_context(redirect_stdout(null))
            stack.enter_context(redirect_stderr(null))
        yield
