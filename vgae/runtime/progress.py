"""Progress on stderr: count, rate, remaining time and a text.

A terminal gets one line that is redrawn. A notebook gets a bar in the output of its cell, which
needs neither ipywidgets nor a script, and is stored as one short line. A file or a pipe gets a
plain line every ten seconds, the first after five, so short work writes none. Work goes on if
stderr can no longer be written, as after the terminal was closed.
"""

import html
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from vgae.errors import printable

_FIRST, _BETWEEN = 5.0, 10.0  # seconds before a plain line
_REDRAWN = 4  # times a second
_WITH_BAR = 60  # columns of the narrowest terminal with a bar
_SHORT = 0.5  # seconds of work that leaves no bar in a notebook

Text = Callable[[], str]


class Pace:
    """Progress and rate of work; a call stores the current count for the display.

    For ``total``, at least 1, and ``unit`` see :func:`showing`; ``clock`` returns seconds.
    """

    def __init__(
        self, total: int, unit: str, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.total, self.unit, self.clock = total, unit, clock
        self.text: Text = str
        self.begin(0)

    def begin(self, done: int) -> None:
        """Start the clock, excluding work done before a resume from the rate."""
        self.first = self.done = float(done)
        self.start = self.seen = self.clock()

    def __call__(self, done: float, text: Text | None = None) -> None:
        """Store the count, of which a fraction moves the bar; ``text`` is called when shown."""
        self.done, self.seen = done, self.clock()
        if text is not None:
            self.text = text

    def counts(self) -> str:
        """Return the count and the total: ``"120/200"``."""
        if self.unit == "bytes":
            return f"{self.done / 1e6:.1f}/{self.total / 1e6:.1f} MB"
        return f"{int(self.done):,}/{self.total:,}"

    def rate(self) -> str:
        """Return the rate, ``"24/s"`` or ``"3.1 s each"``; empty before the first count."""
        per_second = self._per_second()
        if not per_second:
            return ""
        if self.unit == "bytes":
            return f"{per_second / 1e6:.1f} MB/s"
        if per_second < 1:
            return f"{1 / per_second:.1f} s each"
        return f"{per_second:,.1f}/s" if per_second < 10 else f"{per_second:,.0f}/s"

    def time(self) -> str:
        """Return the remaining time or, at the end, the total time."""
        if self.done >= self.total:
            return f"in {_clock_time(self.seen - self.start)}"
        per_second = self._per_second()
        if not per_second:
            return ""
        # It decreases while the next count is awaited.
        left = (self.total - self.done) / per_second - (self.clock() - self.seen)
        return f"{_clock_time(max(left, 0))} left"

    def message(self) -> str:
        """Return the text, on one line."""
        return printable(" ".join(self.text().split()))

    def _per_second(self) -> float:
        seconds = self.seen - self.start
        return (self.done - self.first) / seconds if seconds > 0 else 0.0


@contextmanager
def showing(total: int, unit: str, *, wanted: bool | None = None) -> Iterator[Pace]:
    """Yield a :class:`Pace` to call with the current count; stderr shows it meanwhile.

    Args:
        total: Total count.
        unit: Unit of the count, in the plural; ``"bytes"`` are shown in MB.
        wanted: ``False`` shows nothing, ``True`` a redrawn line, also of short work; by default
            stderr decides. A notebook gets its bar in both cases.
    """
    pace = Pace(max(total, 1), unit)
    if wanted is False or total < 1 or sys.stderr is None:
        yield pace
    elif in_notebook():
        bar = _Cell(pace, after=0.0 if wanted else _SHORT)
        yield bar
        bar.end()
    elif wanted or (sys.stderr.isatty() and os.environ.get("TERM") != "dumb"):
        with _drawn(pace):
            yield pace
    else:
        lines = _Lines(pace)
        yield lines
        lines.end()


@contextmanager
def _drawn(pace: Pace) -> Iterator[None]:
    """Redraw the progress on a terminal."""
    from rich.console import Console
    from rich.live import Live
    from rich.progress_bar import ProgressBar
    from rich.table import Column, Table
    from rich.text import Text as Line

    console = Console(file=_Stream(sys.stderr))  # pyright: ignore[reportArgumentType]

    def line() -> Table:
        bar = [ProgressBar(pace.total, pace.done, width=5)] if console.width >= _WITH_BAR else []
        speed = Line(" ".join(filter(None, (pace.rate(), pace.time()))))
        cells = [Line(pace.counts()), *bar, speed, Line(pace.message())]
        # On a narrow terminal the text is cut, not the numbers.
        columns = [*(Column(no_wrap=True) for _ in cells[1:]), Column(ratio=1, no_wrap=True)]
        row = Table.grid(*columns, padding=(0, 1), expand=True)
        row.add_row(*cells)
        return row

    # Output to a file must not be redirected to the terminal.
    to_terminal = sys.stdout is not None and sys.stdout.isatty()
    with Live(
        get_renderable=line,
        console=console,
        refresh_per_second=_REDRAWN,
        redirect_stdout=to_terminal,
    ):
        yield


class _Lines(Pace):
    """Progress that writes a plain line at intervals."""

    def __init__(self, pace: Pace) -> None:
        super().__init__(pace.total, pace.unit, clock=pace.clock)
        self.due = self.start + _FIRST
        self.written = -1.0

    def __call__(self, done: float, text: Text | None = None) -> None:
        super().__call__(done, text)
        if self.seen >= self.due:
            self._write()
            self.due = self.seen + _BETWEEN

    def end(self) -> None:
        """Write the final line if any line was written before."""
        if 0 <= self.written < self.done:
            self._write()

    def _write(self) -> None:
        self.written = self.done
        unit = "" if self.unit == "bytes" else f" {self.unit}"
        parts = (self.counts() + unit, self.rate(), self.time(), self.message())
        stream = _Stream(sys.stderr)
        stream.write(", ".join(filter(None, parts)) + "\n")
        stream.flush()


class _Cell(Pace):
    """Progress as a bar in the output of a cell, which is replaced until the work has ended."""

    def __init__(self, pace: Pace, *, after: float) -> None:
        super().__init__(pace.total, pace.unit, clock=pace.clock)
        self.due = self.start + after
        self.handle: Any = None

    def __call__(self, done: float, text: Text | None = None) -> None:
        super().__call__(done, text)
        if self.seen >= self.due:
            self._show()
            self.due = self.seen + 1 / _REDRAWN

    def end(self) -> None:
        """Show the final state, if any was shown before."""
        if self.handle is not None:
            self._show()

    def _show(self) -> None:
        from IPython.display import display

        words = (self.counts(), self.rate(), self.time(), self.message())
        line = " ".join(filter(None, words))
        bar = f'<progress value="{self.done}" max="{self.total}"></progress>'
        # A front end that shows no HTML gets the text alone.
        state = {"text/plain": line, "text/html": f"<div>{bar} {html.escape(line)}</div>"}
        if self.handle is None:
            self.handle = display(state, raw=True, display_id=True)
        else:
            self.handle.update(state, raw=True)


def in_notebook() -> bool:
    """Return whether the code runs in the kernel of a notebook, not in a terminal."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return getattr(shell, "kernel", None) is not None


class _Stream:
    """Text stream that ignores failing writes."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        with suppress(OSError):
            self.stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            self.stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def _clock_time(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
