"""Lines before the data of a text: comments, and what SNAP and KONECT state in them."""

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from vgae.data.reading import Reading
from vgae.data.text import check_empty

_KEPT = 100  # comments
_LONGEST = 500  # characters of a comment
_SEPARATOR = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)
_SNAP = re.compile(r"\b(un)?directed\s+graph\b", re.IGNORECASE)
_SNAP_SIZE = re.compile(r"\bnodes:\s*([\d,]+)\s+edges:\s*([\d,]+)", re.IGNORECASE)
_KONECT = re.compile(r"%\s*(sym|asym|bip)\b\s*(\w*)")
_KONECT_SIZE = re.compile(r"%\s*(\d+)(\s+\d+){0,2}\s*")
_KONECT_COLUMNS = ("source", "target", "weight", "time")


@dataclass(frozen=True)
class Preamble:
    """Contents of the lines before the data.

    Attributes:
        comments: Number of lines of comments.
        last: The last of these lines, with their numbers.
        separator: Separator by a first line such as ``sep=;``.
        ordered: Whether the edges are directed; ``None`` if it is not stated.
        two_sided: Whether the ends are of two kinds, each with names of its own.
        num_edges: Stated number of edges.
        columns: Names of the columns by their position, in files of KONECT.
        unweighted: Whether the links have no weights, in files of KONECT.
        as_data: Number of lines that begin as comments do, and are data.
    """

    comments: int = 0
    last: tuple[tuple[int, str], ...] = ()
    separator: str | None = None
    ordered: bool | None = None
    two_sided: bool = False
    num_edges: int | None = None
    columns: tuple[str, ...] | None = None
    unweighted: bool = False
    as_data: int = 0

    @property
    def stated(self) -> str:
        """What the comments state, for messages; empty if it is nothing."""
        found = {None: [], False: ["undirected edges"], True: ["directed edges"]}[self.ordered]
        found = ["two sides"] if self.two_sided else found
        if self.num_edges is not None:
            found = [*found, f"{self.num_edges:,} edges"]
        return ", ".join(found)

    def names(self, line: int) -> str | None:
        """Return the text of a comment directly above a line, without the sign, else ``None``."""
        number, text = self.last[-1] if self.last else (0, "")
        return text.lstrip(text[:1]).strip() if number == line - 1 and text else None


def comment_signs(reading: Reading) -> str:
    """Return the characters that begin a comment."""
    if reading.comment is None:
        return "#%"
    return "" if reading.comment == "none" else reading.comment


def read_preamble(
    lines: Iterator[tuple[int, str]], signs: str, path: Path
) -> tuple[Preamble, Iterator[tuple[int, str]]]:
    """Read the lines before the data; return them, and the lines from the first of data on.

    Source: the headers of `SNAP <https://snap.stanford.edu/data>`_ and of Kunegis (2013), `KONECT
    <http://konect.cc/files/download.konect-handbook.pdf>`_, section 9.

    Args:
        lines: Number and text of each line.
        signs: First characters of a comment.
        path: The file, for messages.

    Raises:
        DataError: ``BLANK_LINES`` after a million comments.
    """
    first: list[str] = []
    last: deque[tuple[int, str]] = deque(maxlen=_KEPT)
    count, separator = 0, None
    for number, line in lines:
        if not count and separator is None and (match := _SEPARATOR.fullmatch(line)):
            separator = match[1]
        elif line[0] in signs:
            count += 1
            check_empty(count, number, path)
            last.append((number, line[:_LONGEST]))
            if len(first) < _KEPT:
                first.append(line[:_LONGEST])
        elif not line.isspace():
            lines = chain([(number, line)], lines)
            break
    return _stated(first, count, tuple(last), separator), lines


def _stated(
    first: list[str], count: int, last: tuple[tuple[int, str], ...], separator: str | None
) -> Preamble:
    """Return what the comments state; see :class:`Preamble`."""
    ordered, edges, columns = None, None, None
    two_sided = unweighted = False
    if first and (match := _KONECT.match(first[0])):
        ordered, two_sided = match[1] == "asym", match[1] == "bip"
        columns, unweighted = _KONECT_COLUMNS, match[2] == "unweighted"
        if len(first) > 1 and (size := _KONECT_SIZE.fullmatch(first[1])):
            edges = int(size[1])
    for line in first if columns is None else ():
        if match := _SNAP.search(line):
            ordered = match[1] is None
        if match := _SNAP_SIZE.search(line):
            edges = int(match[2].replace(",", "") or 0)
    return Preamble(count, last, separator, ordered, two_sided, edges, columns, unweighted)
