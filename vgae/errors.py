"""Errors of the package for faulty inputs, files and machines.

Every error is a ``ValueError`` with a stable ``code`` and the exit status of the command line.
The message is one line: what is wrong, where, and how to mend it.
"""

import difflib
import heapq
import re
from collections.abc import Iterable
from functools import partial
from typing import Any, get_args

_COMPARED = 500  # names that are compared in full with a misspelt one


def printable(text: str, *, keep: str = "") -> str:
    """Return a text that is safe for a terminal: unprintable characters are escaped.

    Args:
        text: Any text.
        keep: Characters that are not escaped.
    """
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() or c in keep else c.encode("unicode_escape").decode() for c in text
    )


def nearest(name: object, known: Iterable[object]) -> Any:
    """Return the known name that a misspelt one most likely stands for, or ``None``.

    Case does not count, nor does the order of words (``"Anna Baur"`` is near ``"Baur, Anna"``).
    """
    text = str(name)[:200].casefold()
    texts = {str(one).casefold(): one for one in known}
    if text in texts:
        return texts[text]
    words = sorted(re.findall(r"\w+", text))
    if len(words) > 1:
        for other in texts:
            if all(word in other for word in words) and sorted(re.findall(r"\w+", other)) == words:
                return texts[other]
    most, half = 2 + len(text) // 4, len(text) // 2
    likely = [other for other in texts if abs(len(other) - len(text)) <= most]
    if len(likely) > _COMPARED:
        # One wrong character leaves the first half or the second one.
        start, end = text[:half], text[half:]
        halves = [other for other in likely if other.startswith(start) or other.endswith(end)]
        close = partial(_agreement, text)
        likely = heapq.nlargest(_COMPARED, halves or likely, key=close)
    found = difflib.get_close_matches(text, likely, n=1)
    return texts[found[0]] if found else None


def _agreement(text: str, other: str) -> int:
    """Return the length of the common start and the common end of two texts."""
    shorter = min(len(text), len(other))
    start = next((k for k in range(shorter) if text[k] != other[k]), shorter)
    end = next((k for k in range(shorter) if text[-1 - k] != other[-1 - k]), shorter)
    return min(start + end, shorter)


def did_you_mean(name: object, known: Iterable[object]) -> str:
    """Return a question for the end of a message, or an empty text if no name is near."""
    near = nearest(name, known)
    if near is None:
        return ""
    is_word = isinstance(near, str) and re.fullmatch(r"[\w.-]+", near)
    return f" Did you mean {near if is_word else repr(near):.60}?"


class VgaeError(ValueError):
    """Base of all errors that the package raises on purpose.

    Args:
        code: Stable name of the fault, in capitals, such as ``"NO_EDGES"``.
        message: One line: what is wrong, where, how to mend it. Control characters, as of a
            quoted file, are escaped.
    """

    exit_code: int = 1

    def __init__(self, code: str, message: str) -> None:
        super().__init__(printable(message, keep="\n"))
        self.code = code

    def __reduce__(self) -> Any:
        """Support pickling, so that an error passes between processes with its code."""
        return type(self), (self.code, str(self))


class UsageError(VgaeError):
    """An option or argument that makes no sense (exit status 2)."""

    exit_code = 2


def check_choice(name: str, value: object, choices: Any) -> None:
    """Raise ``UsageError`` unless an argument is one of the values of a ``Literal``."""
    if value not in get_args(choices):
        listed = ", ".join(map(repr, get_args(choices)))
        near = did_you_mean(value, get_args(choices))
        raise UsageError(name.upper(), f"{name} must be one of {listed}, got {value!r}.{near}")


class DataError(VgaeError):
    """A graph, feature matrix, label vector or data file that cannot be used (exit status 3)."""

    exit_code = 3


class LeakageError(DataError):
    """A link split that breaks one of its invariants (exit status 3)."""


class ArtifactError(VgaeError):
    """A run folder, model or checkpoint that cannot be used (exit status 4)."""

    exit_code = 4


class ResourceError(VgaeError):
    """Memory, disk or a device that is missing or too small (exit status 5)."""

    exit_code = 5


class NumericalError(VgaeError):
    """Training that left the finite numbers (exit status 6)."""

    exit_code = 6


class Interrupted(VgaeError):
    """A training that a signal ended, with a checkpoint (exit status 128 + its number).

    Args:
        code: See :class:`VgaeError`.
        message: See :class:`VgaeError`.
        number: Number of the signal: 2 for SIGINT, 15 for SIGTERM, 1 for SIGHUP.
    """

    def __init__(self, code: str, message: str, number: int = 2) -> None:
        super().__init__(code, message)
        self.exit_code = 128 + number

    def __reduce__(self) -> Any:
        """Support pickling; see :class:`VgaeError`."""
        return type(self), (self.code, str(self), self.exit_code - 128)
