"""Edge lists in text or parquet: two names a line, and optionally a weight."""

import logging
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import chain, compress, islice
from operator import ne
from pathlib import Path
from typing import Any

import numpy as np

from vgae.data.dialects import TextTable, neighbours, open_table
from vgae.data.edge_records import (
    EdgeRecords,
    Layout,
    collect_edges,
    plain_records,
    put_first,
    states_size,
    with_weights,
)
from vgae.data.packed import unpacked_name
from vgae.data.parquet import coded_names, numbers, read_parquet
from vgae.data.plain_text import PlainLayout, read_plain
from vgae.data.reading import Reading
from vgae.data.separators import refuse_single, refuse_square
from vgae.data.text import normalised, typed_names, warn_of_lookalikes, warn_of_numbers
from vgae.data.times import parsed_times, times_of
from vgae.errors import DataError, printable
from vgae.graphs.columns import Columns, Roles, refuse_labels
from vgae.graphs.directions import directions, refuse_undirected, with_reverse
from vgae.graphs.graph import NodeId
from vgae.graphs.sides import of_columns
from vgae.graphs.weights import checked_weights
from vgae.runtime.numerals import is_number
from vgae.runtime.tables import plain_names

log = logging.getLogger(__name__)

_SAMPLE = 100  # rows


@dataclass(frozen=True, eq=False)
class EdgeList:
    """Edges of a file: not merged, in its order.

    Attributes:
        edges: Ends of each edge as indices of ``names``, int64, shape ``(2, E)``.
        weight: Weight of each edge, float64, shape ``(E,)``; ``None`` without weights.
        names: Name of each node, in ascending order.
        time: Time of each edge, int64 or float64, shape ``(E,)``; ``None`` unless it is read.
        ordered: Whether the file says that its edges are directed.
        left_out: Names of the columns that are not read.
        side_names: Names of the two sides that the rows of ``edges`` are, if they are sides.
    """

    edges: np.ndarray
    weight: np.ndarray | None
    names: Sequence[NodeId]
    time: np.ndarray | None = None
    ordered: bool = False
    left_out: Sequence[str] = ()
    side_names: tuple[str, str] | None = None


def read_edges(path: Path, reading: Reading = Reading(), *, announce: bool = True) -> EdgeList:
    """Read an edge list in text or parquet, by the format or else the suffix.

    Raises:
        UsageError: As :func:`read_edge_list` and :func:`read_parquet_edges`.
        DataError: Likewise.
    """
    kind = (reading.format or unpacked_name(path).suffix).lower().lstrip(".")
    if kind == "parquet":
        return read_parquet_edges(path, reading, announce=announce)
    return read_edge_list(path, reading, announce=announce)


def _whole(table: TextTable, reading: Reading) -> tuple[TextTable, Reading]:
    return table, reading


def read_edge_list(
    path: Path,
    reading: Reading = Reading(),
    *,
    announce: bool = True,
    take: Callable[[TextTable, Reading], tuple[TextTable, Reading]] = _whole,
) -> EdgeList:
    """Read an edge list in text, plain or gzip, and log the detected layout.

    Each line has two names and optionally a weight, or columns that a header or
    ``reading.columns`` names. Comments, separator, header and lines of sizes are detected as by
    :func:`vgae.data.dialects.open_table`, columns as by
    :meth:`vgae.graphs.columns.Columns.roles`; numbers without a name of weights are weights if
    :func:`vgae.graphs.weights.doubt` sees no other meaning. The headers of SNAP and KONECT,
    Gephi's column ``Type`` and the dictionaries of ``networkx.write_edgelist`` are read.

    Names are text, or integers if each is in canonical form (``7``, not ``007``, ``7.0`` or
    ``1e3``). Apostrophes before formulas (:func:`vgae.runtime.tables.write_table`) are removed.

    Args:
        path: The file.
        reading: Options.
        announce: Log the layout.
        take: Returns the table without a column, and the options without its name.

    Raises:
        DataError: ``FIELDS`` if a line has other fields, or no names decide which are the ends;
            ``COLUMNS``; ``NODE_ID`` if a name is empty; ``BAD_WEIGHT``, ``NEGATIVE_WEIGHT``,
            ``ZERO_WEIGHT``; ``NO_EDGES``; ``LABELS`` if there are 0 and 1; ``TIME_COLUMN``,
            ``BAD_TIME``; or as :func:`vgae.data.text.read_lines`.
    """
    level = logging.INFO if announce else logging.DEBUG
    table, reading = take(open_table(path, reading), reading)
    if table.attributes:
        _open_attributes(table, reading, level)
    if table.width == 0 or not (table.sample or table.size):
        _refuse_empty(table)
    roles = _roles(table, reading)
    layout = Layout(
        *(path, table.delimiter, table.skip, table.width, roles.source, roles.target),
        *(roles.weight, roles.time, roles.direction, roles.label, not roles.refused),
        *(reading.drop_zero, reading.signed),
    )
    found = _collected(table, layout, reading, read_each=take is not _whole)
    found = _settle_size(table, found, layout, level)
    if not len(found):
        _refuse_empty(table)
    refuse_labels(found.labels, roles, str(path))
    _refuse_repeated_header(table, roles, found)
    _log_layout(table, roles, found, level)
    weight = None
    if roles.weight is not None:
        weight = checked_weights(found.weight, roles, str(path), level=level)
        if found.decimal_commas and weight is not None:
            log.log(level, "%s: commas in the weights are decimal signs", path)
    if reading.header is None and table.names is None and not table.size:
        _warn_of_header(path, found)
    typed: Any = found.names
    if isinstance(typed, list):
        is_table = unpacked_name(path).suffix.lower() in (".csv", ".tsv")
        typed = typed_names(plain_names(typed) if is_table else typed)
    time = parsed_times(found.times, f"{path}, line") if found.times else None
    ordered = bool(table.preamble.ordered) or found.directed
    edges, undirected = found.edges, found.undirected
    del found
    if reading.directed == "keep":
        stated = table.preamble.ordered if not table.preamble.two_sided else None
        if stated is False or (len(undirected) and not ordered):
            refuse_undirected(str(path), "state in the file that it is directed")
        edges, weight, time, _ = with_reverse(edges, weight, time, undirected)
    sides = "columns" if table.preamble.two_sided and reading.sides == "auto" else reading.sides
    typed, edges, side_names, _ = of_columns(str(path), typed, edges, roles, sides, level)
    read = EdgeList(edges, weight, typed, time, side_names=side_names)
    return replace(_ordered(path, read, reading), ordered=ordered, left_out=roles.left_out())


def read_parquet_edges(
    path: Path, reading: Reading = Reading(), *, announce: bool = True
) -> EdgeList:
    """Read an edge list in parquet; its columns have the roles of those under a header in text.

    A column of text stays text, even if it holds digits. :class:`vgae.Graph` checks the weights.

    Args:
        path: The file.
        reading: Options.
        announce: Log the columns.

    Raises:
        UsageError: ``MISSING_PACKAGE`` without pyarrow.
        DataError: ``PARQUET_CORRUPT``, ``PARQUET_COLUMNS``, ``COLUMNS``, ``FIELDS``, ``NODE_ID``,
            ``BAD_WEIGHT``, ``TIME_COLUMN``, ``BAD_TIME`` or ``NO_EDGES``.
    """
    level = logging.INFO if announce else logging.DEBUG
    table = read_parquet(path)
    columns = tuple(table.column_names)
    if len(columns) < 2 or len(set(columns)) != len(columns):
        raise DataError(
            "PARQUET_COLUMNS",
            "it must have two columns or more, of different names, got"
            f" {', '.join(map(repr, columns)):.200}.",
        )
    if table.num_rows == 0:
        raise DataError("NO_EDGES", "it has no rows, hence no edges.")
    first = table.slice(0, _SAMPLE)
    texts = [["" if v is None else str(v) for v in c.to_pylist()] for c in first.columns]
    roles = Columns(columns, list(zip(*texts, strict=True)), str(path), reading).roles()
    left = f", left out {', '.join(roles.left_out())}" if roles.left_out() else ""
    log.log(
        level,
        "%s: columns %s and %s%s, %s edges",
        *(path, *map(printable, (columns[roles.source], columns[roles.target], left))),
        f"{table.num_rows:,}",
    )
    names, codes = coded_names(table, [columns[roles.source], columns[roles.target]])
    weight = time = None
    if roles.weight is not None:
        weight = numbers(table, columns[roles.weight], "BAD_WEIGHT")
        weight = checked_weights(weight, roles, str(path), level=level)
    if roles.time is not None:
        time = times_of(table, columns[roles.time])
    if roles.label is not None:
        labels = map(str, table.column(columns[roles.label]).unique().to_pylist())
        refuse_labels(set(labels), roles, str(path))
    edges, directed = codes.reshape(2, -1), False
    if roles.direction is not None:
        kinds = table.column(columns[roles.direction]).to_pylist()
        edges, weight, time, directed = directions(kinds, edges, weight, time, reading.directed)
    found = of_columns(str(path), names, edges, roles, reading.sides, level)
    read = EdgeList(found.edges, weight, found.names, time, side_names=found.side_names)
    read = _ordered(path, read, reading)
    return replace(read, ordered=directed, left_out=roles.left_out())


def _open_attributes(table: TextTable, reading: Reading, level: int) -> None:
    """Replace the dictionaries of ``networkx.write_edgelist`` by their weights."""
    key = None if reading.weight == "none" else reading.weight or "weight"
    left_out: set[str] = set()
    first = list(islice(table.records, _SAMPLE))
    read = with_weights(chain(first, table.records), table.path, key, left_out)
    records = list(islice(read, _SAMPLE))
    table.records = chain(records, read)
    table.sample = [fields for _, fields in records]
    table.width = len(table.sample[0]) if table.sample else 0
    if table.width == 3:
        table.names = ["source", "target", key or "weight"]
    others = f", others are left out: {printable(', '.join(sorted(left_out)))}" if left_out else ""
    log.log(level, "%s: with dictionaries of networkx%s", table.path, others)


def _roles(table: TextTable, reading: Reading) -> Roles:
    """Return the roles of the columns of a text."""
    line = table.header or table.skip + 1
    if table.names is None and reading.columns is None and (lists := neighbours(table)):
        widths = sorted({len(fields) for fields in table.sample})
        weighted = all(is_number(fields[-1]) for fields in table.sample if len(fields) == 3)
        if widths != [2, 3] or not weighted:
            found = (
                f"its lines have {widths[0]} to {widths[-1]} fields separated by {table.separated}"
            )
            raise DataError("FIELDS", f"{table.path}: {found}; {lists}.")
    names = None if table.names is None else tuple(table.names)
    if names is None and reading.columns is None and table.preamble.columns is None:
        refuse_square(table.sample, f"{table.path}, line {line}")
        if reading.delimiter is None:
            refuse_single(table.sample, f"{table.path}, line {line}")
    columns = Columns(
        *(names, table.sample, f"{table.path}, line {line}", reading),
        separated=f" separated by {table.separated}",
    )
    positional = table.preamble.columns
    if positional is not None and table.width > len(positional):
        positional = None
    roles = columns.roles(positional=positional)
    if table.preamble.unweighted and reading.weight is None:
        roles = replace(roles, weight=None)
    return roles


def _collected(
    table: TextTable, layout: Layout, reading: Reading, *, read_each: bool
) -> EdgeRecords:
    """Return the edges of a text, at once if it is plain."""
    if not (read_each or table.attributes or table.trailing or layout.time is not None):
        more = [place for place in (layout.direction, layout.label) if place is not None]
        plain = PlainLayout(
            *(table.delimiter, layout.skip, layout.width, (layout.source, layout.target)),
            () if layout.weight is None else (layout.weight,),
            texts=tuple(more),
            zero=layout.drop_zero,
            negative=layout.signed,
        )
        if (found := read_plain(table.path, plain, encoding=reading.encoding)) is not None:
            return plain_records(found, layout)
    return collect_edges(table.records, layout)


def _settle_size(table: TextTable, found: EdgeRecords, layout: Layout, level: int) -> EdgeRecords:
    """Log a line that states the size, or else put it before the edges that are returned."""
    stated = table.preamble.num_edges
    if table.size is not None:
        number, fields = table.size
        if states_size(fields, found):
            alike = len(fields) == table.width
            cure = "; header=False (--no-header) reads it as one" if alike else ""
            log.log(
                level + 10 * alike,
                "%s, line %d: %r states the numbers of nodes and lines, it is no edge%s",
                *(table.path, number, " ".join(fields), cure),
            )
        elif len(fields) != table.width:
            raise DataError(
                "FIELDS",
                f"{table.path}, line {number}: expected {table.width} fields separated by"
                f" {table.separated} as in the lines after, got {len(fields)}; it does not state"
                f" the size, {len(found):,} lines and {len(found.names):,} names; remove it.",
            )
        else:
            found = put_first(found, collect_edges(iter([table.size]), layout))
    if stated is not None and stated != len(found):
        log.warning(
            "%s: its comments state %s edges, it has %s; it may be cut short",
            *(table.path, f"{stated:,}", f"{len(found):,}"),
        )
    return found


def _refuse_repeated_header(table: TextTable, roles: Roles, found: EdgeRecords) -> None:
    """Raise ``FIELDS`` if a later line repeats the header, as in joined files."""
    ends = [roles.name(roles.source), roles.name(roles.target)]
    names = found.names if isinstance(found.names, list) else []
    if not (table.header and roles.known and {*ends} <= {*names}):
        return
    source, target = map(names.index, ends)
    if ((found.edges[0] == source) & (found.edges[1] == target)).any():
        name = shlex.quote(table.path.name)
        raise DataError(
            "FIELDS",
            f"{table.path}: a later line repeats the header, {','.join(ends)!r:.60}; remove it:"
            f" awk 'NR == {table.header} {{h = $0}} NR <= {table.header} || $0 != h' {name} >"
            " plain.csv, then read plain.csv.",
        )


def _log_layout(table: TextTable, roles: Roles, found: EdgeRecords, level: int) -> None:
    """Log the layout, what is left out, and what is skipped."""
    header = f"header {','.join(table.names)!r:.60}" if table.names else "no header"
    log.log(
        level,
        "%s: separated by %s, %s, %s edges in %s lines",
        *(table.path, table.separated, header, f"{len(found):,}", f"{found.lines:,}"),
    )
    if roles.names and (left := roles.left_out()):
        ends = f"{roles.name(roles.source)!r:.60} to {roles.name(roles.target)!r:.60}"
        log.log(
            level,
            "%s: edges from %s; left out: %.200s",
            table.path,
            ends,
            printable(", ".join(left)),
        )
    table.log_comments(level)


def _refuse_empty(table: TextTable) -> None:
    """Raise ``NO_EDGES``, or what is wrong with the first record."""
    next(table.records, None)
    comments = table.preamble.comments + table.skipped[0]
    hint = ""
    if comments:
        hint = f"; {comments:,} lines are comments, comment='none' (--comment none) reads them"
    raise DataError(
        "NO_EDGES",
        f"{table.path}: it has no edges, only a header, comments or blanks{hint}.",
    )


def _warn_of_header(path: Path, found: EdgeRecords) -> None:
    """Warn if no other line names the nodes of the first one: it may be a header."""
    first = found.edges[:, 0]
    if len(found) > 1 and (np.bincount(found.edges.ravel())[first] == 1).all():
        log.warning(
            "%s: no other line names the nodes of the first one, %s; if it is a header,"
            " header=True (--header) skips it",
            path,
            " and ".join(f"{str(found.names[end])!a:.60}" for end in first),
        )


def _ordered(path: Path, read: EdgeList, reading: Reading) -> EdgeList:
    """Normalise the names, make one node of equal ones, and sort the nodes by name."""
    names, edges, weight, time = read.names, read.edges, read.weight, read.time
    if reading.drop_zero and weight is not None:
        kept = weight != 0
        log.info("%s: %d edges of weight zero left out", path, len(kept) - kept.sum())
        edges, weight, time = edges[:, kept], weight[kept], None if time is None else time[kept]
    if not isinstance(names[0], str):
        ordered, places = np.unique(names, return_inverse=True)
        return replace(read, edges=places[edges], weight=weight, names=ordered.tolist(), time=time)
    texts = normalised(list(names), reading.normalize)
    order = sorted(range(len(texts)), key=texts.__getitem__)
    ordered = [texts[place] for place in order]
    warn_of_lookalikes(path, ordered)
    warn_of_numbers(path, ordered)
    del names, texts
    places = np.empty(len(order), np.int64)
    if reading.normalize == "none":
        places[order] = np.arange(len(order))
    else:
        new = np.fromiter(map(ne, ordered, chain([None], ordered)), bool, len(order))
        places[order] = new.cumsum() - 1
        ordered = list(compress(ordered, new))
    return replace(read, edges=places[edges], weight=weight, names=ordered, time=time)
