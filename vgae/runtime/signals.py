"""Handlers of SIGTERM and SIGINT that end a training between two epochs."""

import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from vgae.errors import Interrupted, Terminated

_USUAL = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}


class SignalNote:
    """Record of a received signal: its number in ``received``, 0 without one."""

    def __init__(self) -> None:
        self.received = 0

    def note(self, number: int, _: Any) -> None:
        """Record a signal, and restore the usual handlers for the next one."""
        self.received = number
        _handle(_USUAL)

    def check(self, epoch: int, folder: Path) -> None:
        """Raise ``Interrupted`` or ``Terminated`` if a signal was received.

        The message has the number of the completed epoch and the folder of its checkpoint.
        """
        if self.received:
            kind = Terminated if self.received == signal.SIGTERM else Interrupted
            raise kind(
                "INTERRUPTED",
                f"{signal.Signals(self.received).name} ended the training after epoch {epoch}; its"
                f" checkpoint is in {folder}: go on with the same call, or with 'vgae train"
                f" --resume {folder.parent}' if that is a run.",
            )


@contextmanager
def exit_on_signals(report: Callable[[str], object]) -> Iterator[None]:
    """Report SIGINT or SIGTERM and exit with status 130 or 143, outside of a training."""

    def end(number: int, _: Any) -> None:
        _handle(_USUAL)
        report(f"{signal.Signals(number).name} ended it; files written before are complete")
        raise SystemExit(128 + number)

    with _handled(end):
        yield


@contextmanager
def ended_by_signals(*, wanted: bool) -> Iterator[SignalNote]:
    """Yield a record of signals, and restore the handlers afterwards.

    Without ``wanted``, and outside the main thread, where Python runs no handlers, none is
    recorded. A signal that was ignored before, as in a background job, stays ignored.
    """
    signals = SignalNote()
    with _handled(signals.note) if wanted else nullcontext():
        yield signals


@contextmanager
def _handled(handler: Callable[[int, Any], None]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {s: signal.getsignal(s) for s in _USUAL}
    _handle({number: handler for number, old in before.items() if old is not signal.SIG_IGN})
    try:
        yield
    finally:
        _handle(before)


def _handle(handlers: Mapping[signal.Signals, Any]) -> None:
    for number, handler in handlers.items():
        signal.signal(number, handler)
