"""Handlers of SIGTERM and SIGINT that end a training between two epochs."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from vgae.errors import Interrupted, Terminated

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_USUAL = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}


class SignalNote:
    """Record of a received signal.

    Attributes:
        received: Number of the signal; 0 without one.
    """

    def __init__(self) -> None:
        self.received = 0

    def note(self, number: int, _: Any) -> None:
        """Record a signal, and restore the usual handlers for the next one."""
        self.received = number
        for known in _SIGNALS:
            signal.signal(known, _USUAL[known])

    def check(self, epoch: int, folder: Path) -> None:
        """Raise ``Interrupted`` or ``Terminated`` if a signal was received.

        Args:
            epoch: Number of the completed epoch.
            folder: Folder of the checkpoints.
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
    """Report SIGINT or SIGTERM and exit with status 130 or 143; for commands without a training.

    During a training, :func:`ended_by_signals` replaces the handlers.
    """

    def end(number: int, _: Any) -> None:
        for known in _SIGNALS:
            signal.signal(known, _USUAL[known])
        report(f"{signal.Signals(number).name} ended it; files written before are complete")
        raise SystemExit(128 + number)

    with _handled(end):
        yield


@contextmanager
def ended_by_signals(*, wanted: bool) -> Iterator[SignalNote]:
    """Yield a record of signals, and restore the handlers afterwards.

    Without ``wanted``, and outside the main thread, where Python runs no handlers, no signal is
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
    before = {s: signal.getsignal(s) for s in _SIGNALS}
    for number, usual in before.items():
        if usual is not signal.SIG_IGN:
            signal.signal(number, handler)
    try:
        yield
    finally:
        for number, usual in before.items():
            signal.signal(number, usual)
