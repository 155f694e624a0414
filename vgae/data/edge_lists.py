"""Edge lists in text or parquet: two names a line, and optionally a weight."""

import logging
import math
import unicodedata
from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, compress, dropwhile, islice
from operator import ne
from pathlib import Path
from typing import NoReturn

import numpy as np

from vgae.data.parquet import coded_names, numbers, read_parquet
from vgae.data.plain_text import PlainEdges, read_plain
from vgae.data.reading import Reading
from vgae.data.text import (
    SEPARATORS,
    is_blank_or_comment,
    is_integer,
    is_number,
    normalised,
    parse_number,
    read_lines,
    split_records,
    typed_names,
    unpacked_name,
)
from vgae.data.times import parsed_times, place_of, times_of, warn_of_times, without_time
from vgae.errors import DataError
from vgae.graphs.graph import NodeId
from vgae.runtime.tables import plain_names

log = logging.getLogger(__name__)

Names = np.ndarray | list[int] | list[str]

_SAMPLE = 100
# In lower case, without blanks and underscores.
_HEADER_WORDS = {
    *("source", "target", "src", "dst", "dest", "destination", "from", "to", "u", "v", "i", "j"),
    *("head", "tail", "sender", "receiver", "start", "end", "sourceid", "targetid", "fromid"),
    *("toid", "fromnode", "tonode", "fromnodeid", "tonodeid", "node1", "node2", "id1", "id2"),
}


@dataclass(frozen=True, eq=False)
class EdgeList:
    """Edges of a file: not merged, in its order.

    Attributes:
        edges: Ends of each edge as indices of ``names``, int64, shape ``(2, E)``.
        weight: Weight of each edge, float64, shape ``(E,)``; ``None`` without weights.
        names: Name of each node, in ascending order.
        time: Time of each edge, int64 or float64, shape ``(E,)``; ``None`` unless it is read.
    """

    edges: np.ndarray
    weight: np.ndarray | None
    names: Sequence[NodeId]
    time: np.ndarray | None = None


def read_edge_list(
    path: Path,
    reading: Reading = Reading(),
    *,
    announce: bool = True,
) -> EdgeList:
    """Read an edge list in text, plain or gzip, and log the detected layout.

    Each line has two names and optionally a weight. Blank lines, and those that begin with ``#``
    or ``%``, are skipped. Names are text, or integers if each is in canonical form (``7``, not
    ``007``, ``7.0`` or ``1e3``). In ``.csv`` and ``.tsv`` files, the apostrophes that
    :func:`vgae.runtime.tables.write_table` puts before formulas are removed.

    The first line is detected as a header if its third field is not a number but that of the next
    line is, if its names are usual words such as ``source`` and ``target``, or if its names are
    not integers and all others are; it is not if the next lines use one of its names.

    Args:
        path: The file.
        reading: Options; the column ``reading.time`` is not counted as a field.
        announce: Log the layout.

    Raises:
        UsageError: ``ENCODING`` if it is unknown.
        DataError: ``FIELDS`` if a line has another number of fields; ``NODE_ID`` if a name is
            empty; ``BAD_WEIGHT``, ``NEGATIVE_WEIGHT``, ``ZERO_WEIGHT``; ``NO_EDGES``;
            ``TIME_COLUMN`` if it is missing, ``BAD_TIME`` if it holds no time; or as
            :func:`vgae.data.text.read_lines` and :func:`vgae.data.text.split_records`.
    """
    delimiter, header = reading.delimiter, reading.header
    lines = read_lines(path, encoding=reading.encoding)
    lines = dropwhile(lambda numbered: is_blank_or_comment(numbered[1]), lines)
    sample = list(islice(lines, _SAMPLE))
    if delimiter is None:
        # On a tie, the first: a comma may be a decimal sign, and a blank part of a name.
        more = reading.time is not None
        delimiter = max(
            SEPARATORS, key=lambda separator: _fit(sample, separator, path, timed=more)
        )
    if header is None and reading.time is not None:
        header = True
    if header is None:
        header = _has_header(_sampled(sample, delimiter, path))
    records = split_records(chain(sample, lines), delimiter, path)
    head = next(records, None) if header else None
    times: list[tuple[int, str]] = []
    if reading.time is not None:
        head, records = without_time(head, records, reading.time, path, times)
    collected = _Edges(path, delimiter, drop_zero=reading.drop_zero)
    if head:
        collected.check_width(*head)
    if reading.time is None:
        number = collected.add_all(records, reading.encoding)
    else:
        number = collected.add_each(records)
    log.log(
        logging.INFO if announce else logging.DEBUG,
        "%s: separated by %s, %s, %s edges in %s lines",
        path,
        SEPARATORS.get(delimiter, repr(delimiter)),
        f"header {','.join(head[1])!r:.60}" if head else "no header",
        f"{collected.found.edges.shape[1]:,}",
        f"{number:,}",
    )
    time = parsed_times(times, f"{path}, line") if times else None
    names, edges, weight = collected.parts()
    if reading.header is None and head is None:
        _warn_of_header(path, names, edges)
    if announce:
        warn_of_times(path, head[1][2] if head and collected.width == 3 else None, weight)
    del collected
    return _ordered(path, names, edges, weight, time, reading)


def read_parquet_edges(path: Path, reading: Reading = Reading()) -> EdgeList:
    """Read the columns ``source``, ``target`` and optionally ``weight`` of a parquet file.

    A file without them must have two columns of names, and optionally a third of weights. A
    column of text stays text, even if it holds digits. :class:`vgae.Graph` checks the weights.

    Args:
        path: The file.
        reading: Options.

    Raises:
        UsageError: ``MISSING_PACKAGE`` without pyarrow.
        DataError: ``PARQUET_CORRUPT``, ``PARQUET_COLUMNS``, ``NODE_ID``, ``BAD_WEIGHT``,
            ``TIME_COLUMN``, ``BAD_TIME`` or ``NO_EDGES``.
    """
    table = read_parquet(path)
    columns = table.column_names
    times, time = None, reading.time
    if time is not None:
        times = times_of(table, columns[place_of(time, columns, path)])
        columns = [name for name in columns if name != time]
    if {"source", "target"} <= set(columns):
        columns = [name for name in ("source", "target", "weight") if name in columns]
    if len(columns) not in (2, 3) or len(set(columns)) != len(columns):
        raise DataError(
            "PARQUET_COLUMNS",
            "it must have the columns source, target and optionally weight, or two or three in"
            f" this order, got {', '.join(map(repr, columns))}.",
        )
    if table.num_rows == 0:
        raise DataError("NO_EDGES", "it has no rows, hence no edges.")
    log.info("%s: columns %s, %s edges", path, ", ".join(columns), f"{table.num_rows:,}")
    names, codes = coded_names(table, columns[:2])
    weight = numbers(table, columns[2], "BAD_WEIGHT") if len(columns) == 3 else None
    warn_of_times(path, columns[-1], weight)
    edges = codes.reshape(2, -1)
    return _ordered(path, names, edges, weight, times, reading)


class _Edges:
    """Edges of a text as numbers: a million lines take about 30 MB, names not counted."""

    found: PlainEdges

    def __init__(self, path: Path, delimiter: str, *, drop_zero: bool) -> None:
        self.path = path
        self.delimiter = delimiter
        self.drop_zero = drop_zero
        self.width = 0
        self.ends = array("q")  # source and target in turn
        self.weight = array("d")
        self.number_of: dict[str, int] = {}

    def add_all(self, records: Iterator[tuple[int, list[str]]], encoding: str) -> int:
        """Add all edges, at once if the file is plain; return the number of the last line."""
        number, first = next(records, (0, []))
        width = len(first)
        if width in (2, 3) and self.width in (0, width):
            found = read_plain(
                self.path,
                delimiter=self.delimiter,
                skip=number - 1,
                width=width,
                numbers=range(2, width),
                encoding=encoding,
            )
            if found is not None:
                self.found, self.width = found, width
                return number - 1 + found.edges.shape[1]
        return self.add_each(chain([(number, first)] if first else [], records))

    def add_each(self, records: Iterable[tuple[int, list[str]]]) -> int:
        """Add one edge after another; return the number of the last line."""
        number = 0
        for number, fields in records:
            self.add(number, fields)
        edges = np.frombuffer(self.ends, np.int64).reshape(-1, 2).T.copy()
        numbers = [np.frombuffer(self.weight)] if self.width == 3 else []
        self.found = PlainEdges(list(self.number_of), edges, numbers)
        return number

    def add(self, number: int, fields: list[str]) -> None:
        if len(fields) != self.width:
            self.check_width(number, fields)
        source, target = fields[0], fields[1]
        if not (source and target):
            self._refuse("NODE_ID", number, "the name of a node must not be empty")
        number_of = self.number_of
        self.ends.append(number_of.setdefault(source, len(number_of)))
        self.ends.append(number_of.setdefault(target, len(number_of)))
        if self.width == 3:
            self.weight.append(self._weight(number, fields[2]))

    def check_width(self, number: int, fields: list[str]) -> None:
        """Raise unless there are two or three fields, as many as in the first line."""
        width = len(fields)
        if self.width == 0 and width in (2, 3):
            self.width = width
        elif width != self.width:
            expected = self.width if width in (2, 3) else "2 or 3"
            before = " as in the lines before" if width in (2, 3) else ""
            separated = SEPARATORS.get(self.delimiter, repr(self.delimiter))
            what = f"expected {expected} fields separated by {separated}{before}, got {width}"
            hint = "vgae convert --delimiter sets another separator"
            self._refuse("FIELDS", number, f"{what}; {hint}")

    def parts(self) -> tuple[Names, np.ndarray, np.ndarray | None]:
        """Return names, edges and weights, as ``_ordered`` takes them."""
        names, edges, numbers = self.found
        if not edges.size:
            raise DataError(
                "NO_EDGES", f"{self.path}: it has no edges, only a header, comments or blanks."
            )
        if isinstance(names, list):
            if unpacked_name(self.path).suffix.lower() in (".csv", ".tsv"):
                names = plain_names(names)
            names = typed_names(names)
        return names, edges, numbers[0] if numbers else None

    def _weight(self, number: int, text: str) -> float:
        try:
            weight = parse_number(text)
        except ValueError:
            weight = math.nan
        if 0 < weight < math.inf:
            return weight
        got = f"got {text!r:.60}"
        if not math.isfinite(weight):
            self._refuse("BAD_WEIGHT", number, f"a weight must be a finite number, {got}")
        if weight < 0:
            self._refuse("NEGATIVE_WEIGHT", number, f"a weight must be positive, {got}")
        if not self.drop_zero:
            hint = "drop_zero=True (vgae convert --drop-zero) drops such edges"
            self._refuse("ZERO_WEIGHT", number, f"a weight must be positive, {got}; {hint}")
        return weight

    def _refuse(self, code: str, number: int, what: str) -> NoReturn:
        raise DataError(code, f"{self.path}, line {number}: {what}.")


def _warn_of_header(path: Path, names: Names, edges: np.ndarray) -> None:
    """Warn if no other line names the nodes of the first one: it may be a header."""
    first = edges[:, 0]
    if edges.shape[1] > 1 and (np.bincount(edges.ravel())[first] == 1).all():
        log.warning(
            "%s: no other line names the nodes of the first one, %s; if it is a header,"
            " header=True (--header) skips it",
            path,
            " and ".join(f"{str(names[node])!a:.60}" for node in first),
        )


def _ordered(
    path: Path,
    names: Names,
    edges: np.ndarray,
    weight: np.ndarray | None,
    time: np.ndarray | None,
    reading: Reading,
) -> EdgeList:
    """Normalise the names, make one node of equal ones, and sort the nodes by name."""
    if reading.drop_zero and weight is not None:
        kept = weight != 0
        log.info("%s: %d edges of weight zero left out", path, len(kept) - kept.sum())
        edges, weight, time = edges[:, kept], weight[kept], None if time is None else time[kept]
    if not isinstance(names[0], str):
        ordered, places = np.unique(names, return_inverse=True)
        return EdgeList(places[edges], weight, ordered.tolist(), time)
    texts = normalised(list(names), reading.normalize)
    order = sorted(range(len(texts)), key=texts.__getitem__)
    ordered = [texts[place] for place in order]
    _warn_of_lookalikes(path, ordered)
    del names, texts
    places = np.empty(len(order), np.int64)
    if reading.normalize == "none":
        places[order] = np.arange(len(order))
    else:
        new = np.fromiter(map(ne, ordered, chain([None], ordered)), bool, len(order))
        places[order] = new.cumsum() - 1
        ordered = list(compress(ordered, new))
    return EdgeList(places[edges], weight, ordered, time)


def _warn_of_lookalikes(path: Path, names: Sequence[str]) -> None:
    """Warn once if two names have the same normal form of Unicode (NFC)."""
    if all(map(str.isascii, names)):
        return
    composed: dict[str, str] = {}
    for name in names:
        first = composed.setdefault(unicodedata.normalize("NFC", name), name)
        if first != name:
            log.warning(
                "%s: %a and %a are two nodes, but look the same (they differ in Unicode"
                " normalisation only); normalize='nfc' (vgae convert --normalize nfc) merges them",
                path,
                *sorted((first, name), key=len),
            )
            return


def _sampled(sample: Sequence[tuple[int, str]], separator: str, path: Path) -> list[list[str]]:
    """Return the fields of the first records that can be split."""
    fields = []
    # The sample may end within a quoted field, or the separator be wrong.
    with suppress(DataError):
        for _, found in split_records(iter(sample), separator, path):
            fields.append(found)
    return fields


def _fit(
    sample: Sequence[tuple[int, str]], separator: str, path: Path, *, timed: bool
) -> tuple[int, int]:
    """Count the records to which a separator gives two or three fields, and more than one."""
    widths = [len(fields) - timed for fields in _sampled(sample, separator, path)]
    return sum(width in (2, 3) for width in widths), sum(width > 1 for width in widths)


def _has_header(records: Sequence[list[str]]) -> bool:
    """Return whether the first record is a header; see :func:`read_edge_list`."""
    first, *rest = records or [[]]
    if len(first) == 3 and not is_number(first[2]) and rest and is_number(rest[0][-1]):
        return True
    pair = first[:2]
    if any(name in fields[:2] for name in pair for fields in rest):
        return False
    words = {name.casefold().replace("_", "").replace(" ", "") for name in pair}
    numbered = bool(rest) and all(all(map(is_integer, fields[:2])) for fields in rest)
    return words <= _HEADER_WORDS or (numbered and not any(map(is_integer, pair)))
