"""Messages on many files or graphs that are read one after another."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def few_messages(count: int) -> Iterator[Callable[[], None]]:
    """Log the messages on the first file; later each kind of warning once, with their number.

    Args:
        count: Number of files or graphs.

    Yields:
        A function to call before each file.
    """
    gathered = _Gathered()
    package = logging.getLogger("vgae")
    names = [name for name in logging.root.manager.loggerDict if name.startswith("vgae.")]
    loggers = [logging.getLogger(name) for name in names]
    for logger in loggers:
        logger.addFilter(gathered)
    try:
        yield gathered.begin
    finally:
        for logger in loggers:
            logger.removeFilter(gathered)
    for records in gathered.found.values():
        more = f" (likewise {len(records)} of {count})" if len(records) > 1 else ""
        package.log(records[0].levelno, "%s%s", records[0].getMessage(), more)


class _Gathered(logging.Filter):
    """Filter that keeps the warnings on all files but the first."""

    def __init__(self) -> None:
        super().__init__()
        self._file = 0
        self.found: dict[str, list[logging.LogRecord]] = {}

    def begin(self) -> None:
        """Begin the next file."""
        self._file += 1

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a record is on the first file, and keep later warnings."""
        if self._file > 1 and record.levelno >= logging.WARNING:
            self.found.setdefault(str(record.msg), []).append(record)
        return self._file <= 1
