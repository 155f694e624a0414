"""Handlers of SIGINT, SIGTERM and SIGHUP that end a training between two epochs."""

import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

from vgae.errors import Interrupted

_USUAL = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
if hasattr(signal, "SIGHUP"):  # absent on Windows
    _USUAL[signal.SIGHUP] = signal.SIG_DFL


class SignalNote:
    """Record of a received signal: its number in ``received``, 0 without one."""

    def __init__(self) -> None:
        self.received = 0

    def note(self, number: int, _: Any) -> None:
        """Record a signal, and restore the usual handlers for the next one."""
        self.received = number
        _restore_usual()

    def check(self, epoch: int, folder: Path) -> None:
        """Raise ``Interrupted`` if a signal was received.

        The message has the number of the completed epoch and the folder of its checkpoint.
        """
        if self.received:
            raise Interrupted(
                "INTERRUPTED",
                f"{signal.Signals(self.received).name} ended the training after epoch {epoch}; its"
                f" checkpoint is in {folder}: go on with the same call, or with 'vgae train"
                f" --resume {folder.parent}' if that is a run.",
                self.received,
            )


@contextmanager
def exit_on_signals(report: Callable[[str], object]) -> Iterator[None]:
    """Report a signal and exit with status 128 + its number, outside of a training."""

    def end(number: int, _: Any) -> None:
        _restore_usual()
        with suppress(OSError):  # stderr may be a terminal that was closed
            report(f"{signal.Signals(number).name} ended it; files written before are complete")
        raise SystemExit(128 + number)

    with _handled(end):
        yield


@contextmanager
def ended_by_signals(*, wanted: bool) -> Iterator[SignalNote]:
    """Yield a record of signals, and restore the handlers afterwards.

    Without ``wanted``, and outside the main thread, where Python runs no handlers, none is
    recorded. A signal that was ignored before stays ignored: SIGINT in a background job, SIGHUP
    under ``nohup``.
    """
    signals = SignalNote()
    with _handled(signals.note) if wanted else nullcontext():
        yield signals


@contextmanager
def _handled(handler: Callable[[int, Any], None]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in _USUAL}
    _handle(dict.fromkeys(_USUAL, handler))
    try:
        yield
    finally:
        _handle(before)


def _restore_usual() -> None:
    _handle(_USUAL)


def _handle(handlers: Mapping[signal.Signals, Any]) -> None:
    """Set handlers, but of no signal that is ignored."""
    for number, handler in handlers.items():
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handler)
