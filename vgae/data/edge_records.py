"""Edges of the records of a text: names as numbers, weights, times."""

import ast
import math
import re
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NoReturn

import numpy as np

from vgae.data.plain_text import PlainEdges
from vgae.errors import DataError
from vgae.graphs.link_values import SIGNED
from vgae.graphs.weights import NO_WEIGHTS
from vgae.runtime.numerals import is_decimal, parse_number

_MOST_LABELS = 20
_LONGEST_DICT = 10_000  # characters
_ONE_NUMBER = re.compile(r"\{'(\w+)': ([-+]?[0-9.]+(?:e[-+]?[0-9]+)?)\}")
_NUMPY = re.compile(r"\bnp\.\w+\(([^()]*)\)")  # np.float64(1.5)


@dataclass(frozen=True)
class Layout:
    """Where the edges are in the records of a file.

    Attributes:
        path: The file.
        delimiter: Character between the fields; a space for any white space.
        skip: Number of lines before the first record.
        width: Number of fields of a record.
        source: Field of the first name.
        target: Field of the second name.
        weight: Field of the weight; ``None`` without weights.
        time: Field of the time; ``None`` if it is not read.
        direction: Field with ``Directed`` or ``Undirected``; ``None`` without one.
        label: Field with labels of the pairs; ``None`` if they are not read.
        strict: Whether weights must be positive numbers; else other text is NaN.
        drop_zero: Whether weights may be zero.
        signed: Whether weights may be negative.
    """

    path: Path
    delimiter: str
    skip: int
    width: int
    source: int
    target: int
    weight: int | None = None
    time: int | None = None
    direction: int | None = None
    label: int | None = None
    strict: bool = True
    drop_zero: bool = False
    signed: bool = False


@dataclass(eq=False)
class EdgeRecords:
    """Edges as numbers: a million lines take about 30 MB, names not counted.

    Attributes:
        edges: Ends of each edge as indices of ``names``, int64, shape ``(2, E)``.
        weight: Weight of each edge, float64, shape ``(E,)``; of length 0 without weights.
        names: Name of each node, as text, or as int64 if each is in canonical form.
        times: Line and text of the time of each edge.
        directed: Whether a record has the direction ``Directed``.
        undirected: Numbers of the records without it, of those that have a direction at all.
        labels: Labels of the pairs, some of them if there are many.
        decimal_commas: Whether a weight has a decimal comma.
        lines: Line of the last record.
    """

    edges: np.ndarray
    weight: np.ndarray
    names: list[str] | np.ndarray
    times: list[tuple[int, str]] = field(default_factory=list)
    directed: bool = False
    undirected: Sequence[int] = ()
    labels: set[str] = field(default_factory=set)
    decimal_commas: bool = False
    lines: int = 0

    def __len__(self) -> int:
        return self.edges.shape[1]


def collect_edges(records: Iterator[tuple[int, list[str]]], layout: Layout) -> EdgeRecords:
    """Return the edges of records, each of the width of the layout.

    Args:
        records: Line and fields of each record.
        layout: Positions of the fields.

    Raises:
        DataError: ``NODE_ID`` if a name is empty; ``BAD_WEIGHT``, ``NEGATIVE_WEIGHT``,
            ``ZERO_WEIGHT``.
    """
    weigh = _Weights(layout)
    source, target, weight, time = layout.source, layout.target, layout.weight, layout.time
    number_of: dict[str, int] = {}
    ends, weights, number, directed = array("q"), array("d"), 0, False
    times: list[tuple[int, str]] = []
    labels: set[str] = set()
    undirected = array("q")
    for number, fields in records:
        first, second = fields[source], fields[target]
        if not (first and second):
            what = f"{layout.path}, line {number}: the name of a node must not be empty"
            raise DataError("NODE_ID", f"{what}.")
        ends.append(number_of.setdefault(first, len(number_of)))
        ends.append(number_of.setdefault(second, len(number_of)))
        if weight is not None:
            weights.append(weigh(number, fields[weight]))
        if time is not None:
            times.append((number, fields[time]))
        if layout.direction is not None:
            if fields[layout.direction].casefold() == "directed":
                directed = True
            else:
                undirected.append(len(ends) // 2 - 1)
        if layout.label is not None and len(labels) < _MOST_LABELS:
            labels.add(fields[layout.label])
    edges = np.frombuffer(ends, np.int64).reshape(-1, 2).T.copy()
    found = EdgeRecords(edges, np.frombuffer(weights), list(number_of), times, directed)
    found = replace(found, undirected=undirected, labels=labels)
    return replace(found, decimal_commas=weigh.decimal_commas, lines=number)


def plain_records(found: PlainEdges, layout: Layout) -> EdgeRecords:
    """Return the edges of a plain file as :func:`collect_edges` does."""
    weight = found.numbers[0] if found.numbers else np.empty(0)
    records = EdgeRecords(found.edges, weight, found.names, lines=found.lines)
    texts = iter(found.texts)
    if layout.direction is not None:
        values, places = next(texts)
        is_directed = np.array([value.casefold() == "directed" for value in values])[places]
        undirected = np.flatnonzero(~is_directed)
        records = replace(records, directed=bool(is_directed.any()), undirected=undirected)
    if layout.label is not None:
        records.labels.update(next(texts)[0][:_MOST_LABELS])
    return records


def put_first(found: EdgeRecords, first: EdgeRecords) -> EdgeRecords:
    """Return records with one edge before them."""
    texts = [str(first.names[end]) for end in first.edges[:, 0]]
    names, places = found.names, []
    if isinstance(names, np.ndarray):
        for text in texts:
            if not len(known := np.flatnonzero(names == int(text))):
                names, known = np.append(names, int(text)), [len(names)]
            places.append([known[0]])
    else:
        number_of = {name: number for number, name in enumerate(names)}
        places = [[number_of.setdefault(text, len(number_of))] for text in texts]
        names = list(number_of)
    return replace(
        found,
        edges=np.concatenate([np.array(places, np.int64), found.edges], axis=1),
        weight=np.concatenate([first.weight, found.weight]),
        names=names,
        times=first.times + found.times,
    )


def states_size(size: list[str], found: EdgeRecords) -> bool:
    """Return whether a line states the number of nodes and of the lines that follow.

    It is ``N``, ``N M`` or ``N N M`` with N nodes at least and M lines. Without M, N is also at
    least the largest integer that names a node, or it is the number of lines.
    """
    numbers = [int(text) for text in size]
    if len(numbers) > 1:
        return numbers[-1] == len(found) and min(numbers[:-1]) >= len(found.names)
    if numbers[0] == len(found):
        return True
    named = (int(name) for name in map(str, found.names) if name.isascii() and name.isdecimal())
    return numbers[0] >= max(len(found.names), max(named, default=0))


class _Weights:
    """Weights as numbers."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.decimal_commas = False
        self.commas = layout.delimiter != ","

    def __call__(self, number: int, text: str) -> float:
        try:
            weight = parse_number(text)
        except ValueError:
            weight = math.nan
            if self.commas and is_decimal(text):
                weight = float(text.replace(",", "."))
                self.decimal_commas = True
        if 0 < weight < math.inf or not self.layout.strict:
            return weight
        if self.layout.signed and -math.inf < weight < 0:
            return weight
        got = f"got {text!r:.60}"
        if not math.isfinite(weight):
            self._refuse("BAD_WEIGHT", number, f"a weight must be a finite number, {got}")
        if weight < 0:
            self._refuse("NEGATIVE_WEIGHT", number, f"a weight must be positive, {got}; {SIGNED}")
        if not self.layout.drop_zero:
            hint = "drop_zero=True (--drop-zero) drops such edges"
            self._refuse("ZERO_WEIGHT", number, f"a weight must be positive, {got}; {hint}")
        return weight

    def _refuse(self, code: str, number: int, what: str) -> NoReturn:
        raise DataError(code, f"{self.layout.path}, line {number}: {what}; {NO_WEIGHTS}.")


def with_weights(
    records: Iterator[tuple[int, list[str]]], path: Path, key: str | None, left_out: set[str]
) -> Iterator[tuple[int, list[str]]]:
    """Replace the dictionary at the end of each record by the weight in it.

    If the first record has no weight, the records have two fields.

    Args:
        records: Line and fields; the last one is a dictionary, as networkx writes it.
        path: The file, for messages.
        key: Key of the weight; ``None`` for no weights.
        left_out: Receives the other keys.

    Raises:
        DataError: ``BAD_WEIGHT`` if it is no dictionary, or has no weight as that before.
    """
    weighted = None
    for number, fields in records:
        attributes = _attributes(fields[-1])
        if attributes is None:
            what = f"expected a dictionary such as {{'weight': 1.5}}, got {fields[-1]!r:.60}"
            raise DataError("BAD_WEIGHT", f"{path}, line {number}: {what}.")
        has = key is not None and key in attributes
        if weighted is None:
            weighted = has
        elif has != weighted and key is not None:
            what = f"{'no ' if weighted else ''}{key!r}, other than in the lines before"
            raise DataError("BAD_WEIGHT", f"{path}, line {number}: {what}; {NO_WEIGHTS}.")
        left_out.update(str(name) for name in attributes if name != key)
        yield number, [*fields[:-1], str(attributes[key])] if has else fields[:-1]


def _attributes(text: str) -> dict | None:
    """Return a dictionary that Python wrote; ``None`` if it is none, or too long."""
    if text == "{}":
        return {}
    if match := _ONE_NUMBER.fullmatch(text):
        return {match[1]: match[2]}
    if len(text) > _LONGEST_DICT:
        return None
    try:
        found = ast.literal_eval(_NUMPY.sub(r"\1", text))
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return None
    return found if isinstance(found, dict) else None
