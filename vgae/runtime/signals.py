"""ended_by_signals: SIGTERM and SIGINT end a training between two epochs, not within one."""

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
    """Which signal came, if one did.

    Attributes:
        received: Its number; 0 before.
    """

    def __init__(self) -> None:
        self.received = 0

    def note(self, number: int, _: Any) -> None:
        """Remember a signal, and let the next one end the process as it usually does."""
        self.received = number
        for known in _SIGNALS:
            signal.signal(known, _USUAL[known])

    def check(self, epoch: int, folder: Path) -> None:
        """Raise ``Interrupted``, or ``Terminated``, if a signal came.

        Args:
            epoch: Number of the one that is over.
            folder: Of the checkpoints.
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
def told_of_signals(tell: Callable[[str], object]) -> Iterator[None]:
    """End the process with 130 or 143 on SIGINT or SIGTERM, and tell so first.

    For a command that has nothing to finish: while it trains, :func:`ended_by_signals` takes over.
    """

    def end(number: int, _: Any) -> None:
        for known in _SIGNALS:
            signal.signal(known, _USUAL[known])
        tell(f"{signal.Signals(number).name} ended it; what was written before is whole")
        raise SystemExit(128 + number)

    with _handled(end):
        yield


@contextmanager
def ended_by_signals(*, wanted: bool) -> Iterator[SignalNote]:
    """Yield what notes signals meanwhile; handlers are afterwards what they were before.

    Python runs handlers in the main thread only; elsewhere, and where it is not wanted, nothing
    is noted. A signal that was ignored before, as in a background job, stays ignored.
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
