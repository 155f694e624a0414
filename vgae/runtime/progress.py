"""showing: on stderr, how far long work is, how fast it goes, what is left, and how it does.

A terminal gets one line that is drawn anew. A file or a pipe gets a plain line every ten seconds,
the first after five, so that short work leaves none.
"""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from vgae.errors import printable

_FIRST, _BETWEEN = 5.0, 10.0  # seconds before a plain line
_REDRAWN = 4  # times a second
_WITH_BAR = 60  # columns of a terminal, at least

Text = Callable[[], str]


class Pace:
    """How far work is, and how fast it goes.

    A call notes how much is done, and costs a fraction of a microsecond: whoever draws or writes
    looks at it when it is time.

    Args:
        total: What there is to do, at least 1.
        unit: What is counted, in the plural; ``"bytes"`` are told in MB.
        clock: Returns seconds.
    """

    def __init__(
        self, total: int, unit: str, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.total, self.unit, self.clock = total, unit, clock
        self.text: Text = str
        self.begin(0)

    def begin(self, done: int) -> None:
        """Start the clock; what was done in another life says nothing of the pace of this one."""
        self.first = self.done = done
        self.start = self.seen = self.clock()

    def __call__(self, done: int, text: Text | None = None) -> None:
        """Note how much is done; ``text`` is asked for how it does, and only when it is shown."""
        self.done, self.seen = done, self.clock()
        if text is not None:
            self.text = text

    def counts(self) -> str:
        """Return how much of how much: ``"120/200"``."""
        if self.unit == "bytes":
            return f"{self.done / 1e6:.1f}/{self.total / 1e6:.1f} MB"
        return f"{self.done:,}/{self.total:,}"

    def rate(self) -> str:
        """Return how fast it goes: ``"24/s"``, or ``"3.1 s each"``; nothing before the first."""
        per_second = self._per_second()
        if not per_second:
            return ""
        if self.unit == "bytes":
            return f"{per_second / 1e6:.1f} MB/s"
        if per_second < 1:
            return f"{1 / per_second:.1f} s each"
        return f"{per_second:,.1f}/s" if per_second < 10 else f"{per_second:,.0f}/s"

    def time(self) -> str:
        """Return how long the rest will take or, when all is done, how long it took."""
        if self.done >= self.total:
            return f"in {_clock_time(self.seen - self.start)}"
        per_second = self._per_second()
        if not per_second:
            return ""
        # It goes down while the next one is waited for.
        left = (self.total - self.done) / per_second - (self.clock() - self.seen)
        return f"{_clock_time(max(left, 0))} left"

    def said(self) -> str:
        """Return the text, on one line."""
        return printable(" ".join(self.text().split()))

    def _per_second(self) -> float:
        seconds = self.seen - self.start
        return (self.done - self.first) / seconds if seconds > 0 else 0.0


@contextmanager
def showing(total: int, unit: str, *, wanted: bool | None = None) -> Iterator[Pace]:
    """Yield what is to be called with how much is done; it is shown on stderr meanwhile.

    Args:
        total: What there is to do.
        unit: What is counted, in the plural; ``"bytes"`` are told in MB.
        wanted: Whether it is shown. By default as fits stderr, a line that is redrawn or plain
            lines; if True, as on a terminal, whatever stderr is.
    """
    pace = Pace(max(total, 1), unit)
    if wanted is False or total < 1 or sys.stderr is None:
        yield pace
    elif wanted or (sys.stderr.isatty() and os.environ.get("TERM") != "dumb"):
        with _drawn(pace):
            yield pace
    else:
        lines = _Lines(pace)
        yield lines
        lines.end()


@contextmanager
def _drawn(pace: Pace) -> Iterator[None]:
    """Draw it on a terminal, again and again."""
    from rich.console import Console, RenderableType
    from rich.progress import Progress, ProgressColumn, Task
    from rich.progress_bar import ProgressBar
    from rich.table import Column
    from rich.text import Text as Line

    class Said(ProgressColumn):
        def __init__(self, say: Callable[[], RenderableType], column: Column) -> None:
            super().__init__(column)
            self.say = say

        def render(self, task: Task) -> RenderableType:  # noqa: ARG002
            return self.say()

    def fixed(words: Callable[[], str]) -> Said:
        return Said(lambda: Line(words()), Column(no_wrap=True))

    console = Console(stderr=True)
    bar = Said(lambda: ProgressBar(pace.total, pace.done, width=5), Column(no_wrap=True))
    # It is the text that is cut where there is no room, not the numbers.
    rest = Said(lambda: Line(pace.said()), Column(ratio=1, no_wrap=True, overflow="ellipsis"))
    numbers = fixed(pace.counts), fixed(lambda: " ".join(filter(None, (pace.rate(), pace.time()))))
    columns = (numbers[0], bar, numbers[1]) if console.width >= _WITH_BAR else numbers
    with Progress(
        *columns,
        rest,
        console=console,
        expand=True,
        refresh_per_second=_REDRAWN,
        # What is printed to a file meanwhile must go there.
        redirect_stdout=sys.stdout is not None and sys.stdout.isatty(),
    ) as progress:
        progress.add_task("", total=pace.total)
        yield


class _Lines(Pace):
    """Writes a plain line now and then."""

    def __init__(self, pace: Pace) -> None:
        super().__init__(pace.total, pace.unit, clock=pace.clock)
        self.due = self.start + _FIRST
        self.written = -1

    def __call__(self, done: int, text: Text | None = None) -> None:
        super().__call__(done, text)
        if self.seen >= self.due:
            self._write()
            self.due = self.seen + _BETWEEN

    def end(self) -> None:
        """Say how it ended, if anything was said before."""
        if 0 <= self.written < self.done:
            self._write()

    def _write(self) -> None:
        self.written = self.done
        unit = "" if self.unit == "bytes" else f" {self.unit}"
        parts = (self.counts() + unit, self.rate(), self.time(), self.said())
        sys.stderr.write(", ".join(filter(None, parts)) + "\n")
        sys.stderr.flush()


def _clock_time(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
