"""Networks of Pajek.

Source: Mrvar & Batagelj, `Pajek reference manual <http://mrvar.fdv.uni-lj.si/pajek/>`_, 5.3.
"""

import logging
import re
from pathlib import Path

from vgae.data.attributed import Document, graph_of_document
from vgae.data.reading import Reading
from vgae.data.text import read_lines
from vgae.errors import DataError
from vgae.graphs.graph import Graph

log = logging.getLogger(__name__)

_FIELD = re.compile(r""" "([^"]*)"(?!\S) | '([^']*)'(?!\S) | ([^"'\s]\S*) """, re.VERBOSE)
_LINKS = ("*edges", "*arcs", "*edgeslist", "*arcslist", "*matrix")
_ALWAYS_NODES = 10**6
_NODES_PER_LINE = 100


def read_pajek(path: Path, reading: Reading, name: str) -> Graph:
    """Return the first network of a Pajek file (``.net`` or ``.paj``).

    The names of the nodes are their labels if these are unique, else their numbers. Vertices may
    have no line of their own. Coordinates, relations, and partitions and vectors of a project are
    left out.

    Raises:
        DataError: ``PAJEK_CORRUPT``, with the line; ``PAJEK_NETWORKS`` if it has several networks;
            ``GRAPH_SIZE``; or as :func:`vgae.data.text.read_lines` and
            :func:`vgae.data.attributed.graph_of_document`.
    """
    parsed = _Network(path, keep_direction=reading.directed == "keep")
    for number, line in read_lines(path, encoding=reading.encoding):
        if line.lstrip().startswith(("%", "/*")):
            continue
        fields = ["".join(groups) for groups in _FIELD.findall(line)]
        # A label may be empty, a line of fields not.
        if _FIELD.sub("", line).strip():
            raise parsed.corrupt(number, "a quote at the end of each quoted label, none within it")
        if fields:
            parsed.add(number, fields)
    if parsed.left:
        log.info("%s: left out: %s", path, ", ".join(sorted(parsed.left)))
    if len(parsed.relations) > 1:
        log.warning(
            "%s: the links of %d relations are those of one graph", path, len(parsed.relations)
        )
    if parsed.section == "*matrix" and parsed.row != (parsed.first or parsed.count):
        raise DataError("PAJEK_CORRUPT", f"its matrix has {parsed.row} rows; is it truncated?")
    stated = len(parsed.labels) + len(parsed.edges)
    if parsed.count > max(_ALWAYS_NODES, _NODES_PER_LINE * stated):
        raise DataError(
            "GRAPH_SIZE", f"it states {parsed.count} vertices and has {stated} lines of them."
        )
    ids = range(1, parsed.count + 1)
    none: dict[str, str] = {}
    labels = [{"label": parsed.labels[k]} if k in parsed.labels else none for k in ids]
    document = Document(
        path,
        ids,
        labels,
        parsed.edges,
        [{} if w is None else {"weight": w} for w in parsed.weights],
        directed=parsed.directed,
        name_attribute="label",
        sides=[k > parsed.first for k in ids] if parsed.first else None,
    )
    return graph_of_document(document, reading, name)


class _Network:
    """What the lines of a file have stated so far."""

    def __init__(self, path: Path, *, keep_direction: bool) -> None:
        self.path = path
        self.keep_direction = keep_direction
        self.section = ""
        self.count = -1
        self.first = 0  # vertices of the first of two kinds
        self.relations: set[str] = set()
        self.row = 0
        self.labels: dict[int, str] = {}
        self.edges: list[tuple[int, int]] = []
        self.weights: list[str | None] = []
        self.directed = False
        self.left: set[str] = set()

    def add(self, number: int, fields: list[str]) -> None:
        if fields[0].startswith("*"):
            self._open(number, fields)
        elif self.section == "*vertices":
            node = self._node(number, fields[0])
            if len(fields) > 1:
                self.labels[node + 1] = fields[1]
        elif self.section in _LINKS:
            self._check_count(number)
            self._links(number, fields)
        elif self.section == "":
            raise self.corrupt(number, "*Vertices N")

    def _open(self, number: int, fields: list[str]) -> None:
        self.section = section = fields[0].lower()
        if section == "*network":
            if self.count >= 0:
                raise DataError(
                    "PAJEK_NETWORKS",
                    f"{self.path}: it has several networks; save one of them as .net.",
                )
        elif section == "*vertices" and not self.left:
            if self.count >= 0:
                raise self.corrupt(number, "*Vertices once")
            self.count = self._integer(number, fields[1] if len(fields) > 1 else "")
            self.first = self._integer(number, fields[2]) if len(fields) > 2 else 0
            if self.first > self.count:
                raise self.corrupt(number, "no more vertices of the first kind than of both")
        elif section in _LINKS:
            # A matrix of two kinds has a row for each of one and a column for each of the other.
            is_square = section == "*matrix" and not self.first
            self.directed |= section in ("*arcs", "*arcslist") or is_square
            if len(fields) > 1:
                self.relations.add(fields[1])
        elif section != "*vertices":
            self.left.add(section)
        else:
            self.section = "*left out"  # the vertices of a partition

    def _links(self, number: int, fields: list[str]) -> None:
        if fields[0].endswith(":"):
            self.relations.add(fields[0])
            fields = fields[1:]
        if self.section == "*matrix":
            rows, columns = self.first or self.count, self.count - self.first
            if len(fields) != columns or self.row >= rows:
                raise self.corrupt(number, f"{rows} rows of {columns} numbers")
            found: list[tuple[int, int, str | None]] = [
                (self.row, self.first + k, value)
                for k, value in enumerate(fields)
                if value.strip("0.") != ""
            ]
            self.row += 1
        elif self.section.endswith("list"):
            source, *targets = (self._node(number, text) for text in fields)
            found = [(source, target, None) for target in targets]
        else:
            if len(fields) < 2:
                raise self.corrupt(number, "two numbers of vertices")
            ends = self._node(number, fields[0]), self._node(number, fields[1])
            found = [(*ends, fields[2] if len(fields) > 2 else None)]
        if self.keep_direction and self.section in ("*edges", "*edgeslist"):
            found += [(target, source, weight) for source, target, weight in found]
        for source, target, weight in found:
            self.edges.append((source, target))
            self.weights.append(weight)

    def _node(self, number: int, text: str) -> int:
        node = self._integer(number, text) - 1
        if not 0 <= node < self.count:
            raise self.corrupt(number, f"a vertex from 1 to {self.count}")
        return node

    def _integer(self, number: int, text: str) -> int:
        if not (text.isascii() and text.isdecimal() and len(text) < 19):
            raise self.corrupt(number, f"a whole number instead of {text!a:.40}")
        return int(text)

    def _check_count(self, number: int) -> None:
        if self.count < 0:
            raise self.corrupt(number, "*Vertices N before the links")

    def corrupt(self, number: int, expected: str) -> DataError:
        """Return the error for a line."""
        return DataError("PAJEK_CORRUPT", f"{self.path}, line {number}: expected {expected}.")
