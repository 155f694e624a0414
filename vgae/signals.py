"""ended_by_signals: SIGTERM and SIGINT end a training between two epochs, not within one."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
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

    def check(self, epoch: int) -> None:
        """Raise ``Interrupted``, or ``Terminated``, if a signal came."""
        if self.received:
            kind = Terminated if self.received == signal.SIGTERM else Interrupted
            raise kind(
                "INTERRUPTED",
                f"{signal.Signals(self.received).name} ended the training after epoch {epoch}; a"
                " checkpoint was written, and 'vgae train --resume RUN' goes on from there.",
            )


@contextmanager
def ended_by_signals(*, wanted: bool) -> Iterator[SignalNote]:
    """Yield what notes signals meanwhile; handlers are afterwards what they were before.

    Python runs handlers in the main thread only; elsewhere, and where it is not wanted, nothing
    is noted. A signal that was ignored before, as in a background job, stays ignored.
    """
    signals = SignalNote()
    if not wanted or threading.current_thread() is not threading.main_thread():
        yield signals
        return
    before = {s: signal.getsignal(s) for s in _SIGNALS}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, signals.note)
    try:
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
