"""Dialects of tables in text: comments, separator, header, and lines that state sizes."""

import logging
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from pathlib import Path

from vgae.data.foreign import refuse_foreign, refuse_title
from vgae.data.preambles import Preamble, comment_signs, read_preamble
from vgae.data.reading import Reading
from vgae.data.separators import Fit, Record, detected
from vgae.data.text import SEPARATORS, check_empty, read_lines, split_records
from vgae.errors import DataError
from vgae.graphs.canonical import NodeId
from vgae.graphs.column_names import (
    are_two_ids,
    is_id,
    is_index,
    is_usual_pair,
    key_of,
    pairs_of,
    stems,
)
from vgae.runtime.numerals import is_decimal, is_integer, is_missing, is_running

log = logging.getLogger(__name__)

_SAMPLE = 100  # lines
_DATE = re.compile(r"\d{4}-\d\d-\d\d\b")
_CODED = re.compile(r"%[0-9A-F]{2}")
_SIZE = re.compile(r"[1-9][0-9]{0,17}")
_NO_COMMENTS = "comment='none' (--comment none) reads such lines as data"


@dataclass(eq=False)
class TextTable:
    """A table in text whose dialect is known.

    Attributes:
        path: The file.
        delimiter: Character between the fields; a space for any white space.
        names: Name of each column by a header or a comment, else ``None``.
        header: Line of the header, 0 without one.
        width: Number of fields of a record.
        sample: Fields of the first records.
        skip: Number of lines before the first record.
        preamble: Lines before the data.
        size: Line that may state the size, number and integers, which is not among the records.
        attributes: Whether each record ends in a dictionary of Python, which is its last field.
        trailing: Number of separators at the end of each line, which are dropped.
        records: Number of the first line, and fields, of each record.
        hint: Cure for lines of another width, for messages.
        skipped: Number of later comments that are skipped, and the first of their lines.
    """

    path: Path
    delimiter: str
    names: list[str] | None
    header: int
    width: int
    sample: list[list[str]]
    skip: int
    preamble: Preamble
    size: Record | None
    attributes: bool
    trailing: int
    records: Iterator[Record] = field(default_factory=lambda: iter(()))
    skipped: list[int] = field(default_factory=lambda: [0, 0])
    hint: str = "; delimiter=... (--delimiter) sets another separator"

    @property
    def separated(self) -> str:
        """Name of the separator."""
        return SEPARATORS.get(self.delimiter, repr(self.delimiter))

    def log_comments(self, level: int = logging.INFO) -> None:
        """Log what is skipped as comments; call it once the records are read."""
        count, (number, last) = self.preamble.comments, (self.preamble.last or ((0, ""),))[-1]
        if self.preamble.as_data:
            lines = _lines(self.preamble.as_data)
            what = "%s: %s of data begin with a sign of comments: it is part of their first name"
            log.log(level, what, self.path, lines)
        if stated := self.preamble.stated:
            log.log(level, "%s: its comments state %s", self.path, stated)
        elif count and not (self.names and not self.header):
            # A comment of the width of the data may be data.
            fields = last.strip().split(self.delimiter)
            alike = self.delimiter != " " and len(fields) == self.width and not self.names
            log.log(
                level + 10 if alike and number == self.skip else level,
                "%s: %s before the data skipped as comments, the last is %a; %s",
                *(self.path, _lines(count), last.strip()[:60], _NO_COMMENTS),
            )
        count, number = self.skipped
        if count:
            where = f"the first is line {number}"
            log.log(level, "%s: %s skipped as comments, %s", self.path, _lines(count), where)


def open_table(path: Path, reading: Reading, *, header: bool = False) -> TextTable:
    """Open a table in text, plain or gzip, and detect its dialect by its first lines.

    The separator is the one of tab, semicolon, comma, bar and white space that splits the first
    100 lines into the same number of fields above 1; on a tie the first of these, but no comma
    that is a decimal sign. Lines that begin with ``#`` or ``%`` are comments before the first line
    of data, later only if they have another number of fields. A first line ``sep=;`` names the
    separator; a separator that ends each line is dropped.

    Args:
        path: The file.
        reading: Options: delimiter, header, comment, encoding; columns, weight and time of a
            header.
        header: True for a table of nodes: it has a header, and the names of the rows may be in a
            column without one.

    Raises:
        UsageError: ``ENCODING`` if it is unknown.
        DataError: ``FIELDS`` if a line has another number of fields than those before, also while
            the records are read; or as :func:`vgae.data.text.read_lines` and
            :func:`vgae.data.text.split_records`.
    """
    signs = comment_signs(reading)
    lines = read_lines(path, encoding=reading.encoding, comments="")
    preamble, lines = read_preamble(lines, signs, path)
    sample = list(islice(lines, _SAMPLE))
    refuse_foreign([line for _, line in sample], path)
    full = [line for _, line in sample if not line.isspace()]
    attributes = bool(full) and all(map(_attributes_at, full))
    delimiter = reading.delimiter or preamble.separator
    if delimiter is None:
        bare = sample
        if attributes:
            bare = [(n, line[: _attributes_at(line)]) for n, line in sample if not line.isspace()]
        delimiter = detected(bare, path, signs)
    sample, preamble = _with_comments_of_data(sample, preamble, delimiter, path)
    fit = Fit(sample, delimiter, path, signs)
    lines = chain(sample, lines)
    if attributes:
        raw = _with_attributes(lines, delimiter, path)
        fit.records = list(_with_attributes(iter(sample), delimiter, path))
        fit.widths, fit.trailing = [len(fields) for _, fields in fit.records], 0
    else:
        raw = split_records(lines, delimiter, path)
    table = TextTable(
        *(path, delimiter, None, 0, fit.width, fit.fields, 0, preamble, None),
        *(attributes, fit.trailing),
    )
    first = _begun(table, fit, reading, header=header)
    if header:
        table.hint = ""
    # The sample has no comments: those before the first record are skipped as later ones.
    table.records = _checked(raw, table, signs, first)
    return table


def _begun(table: TextTable, fit: Fit, reading: Reading, *, header: bool) -> int:
    """Set header, size and first records of a table; return the line of its first record."""
    if not fit.records:
        return 0
    number, first = fit.records[0]
    rest = table.sample[1:]
    given = header or _given(first, reading, table)
    found = _has_header(first, rest) if given is None else given
    if found:
        table.names, table.header, table.width = first, number, len(first)
        narrow = fit.even and len(first) == fit.width - 1
        if narrow and (header or is_running([fields[0] for fields in rest])):  # row names of R
            table.names, table.width = ["", *first], fit.width
        if not (header or is_usual_pair(first)) and len(rest) > 1 and fit.even:
            # Above a line that states the size there may be a title of words.
            table.size = fit.records[1] if _may_be_size(rest[0], fit.width) else None
    elif given is not True and (names := _commented_names(table, number)):
        table.names = names
    elif given is None and rest and fit.even and _may_be_size(first, fit.width):
        table.size = fit.records[0]
    elif not table.attributes:
        refuse_title(fit.records, table.separated, table.path)
        table.width = len(first)
    if before := bool(found) + bool(table.size):
        table.sample = table.sample[before:]
        last = fit.records[min(before, len(fit.records)) - 1][0]
        following = fit.records[before][0] if len(fit.records) > before else last + 1
        table.skip = following - 1
        return following
    table.skip = number - 1
    return number


def _given(first: Sequence[str], reading: Reading, table: TextTable) -> bool | None:
    """Return whether options or the format imply a header; ``None`` if they do not."""
    if reading.header is not None:
        return reading.header
    if table.preamble.columns is not None or table.attributes:
        return False
    keys = set(map(key_of, first))
    if reading.columns is not None:
        return True if {key_of(name) for name in reading.columns} <= keys else None
    if reading.time is not None:
        return True
    return True if reading.weight != "none" and reading.weight in first else None


def _has_header(first: Sequence[str], rest: Sequence[Sequence[str]]) -> bool:
    """Return whether the first record names the columns.

    It does if it names two ends and the next records do not use these names, if a column after the
    second, or the first two, have numbers below text, or if the first name is missing above
    numbers of rows. It does not if it has a number.
    """
    if len(first) == 3 and is_missing(first[2]):
        return False
    columns = [
        [fields[c] for fields in rest if len(fields) == len(first)] for c in range(len(first))
    ]
    if len(first) > 1 and rest and are_two_ids(*first[:2]):
        return not {*first[:2]} & {value for values in columns[:2] for value in values}
    pairs = pairs_of(first, range(len(first)))
    words = {key_of(first[end]) for pair in pairs for end in pair}
    if is_usual_pair(first) or (len(first) > 2 and max(map(len, words), default=0) > 1):
        if first in rest:
            return True
        ends = pairs[0]
        used = {value for end in ends for value in columns[end]}
        words = stems(first)
        return not (
            used & {first[end] for end in ends}
            or any(key_of(value)[:-1] in words or _stem(value) in words for value in used)
        )
    counted = is_index(first[0]) or is_id(first[0])
    if counted and len(first) > 1 and is_running(columns[0], strict=False):
        return len(first) > 2 or is_id(first[0])
    if any(map(is_decimal, first)) or not rest:
        return False
    if len(first) > 2 and any(map(_are_values, columns[2:])):
        named = {value for values in columns[:2] for value in values}
        return named.isdisjoint(first[:2])
    return len(first) > 1 and all(
        values and all(map(is_integer, values)) for values in columns[:2]
    )


def _stem(name: str) -> str:
    return key_of(name).rstrip("0123456789")


def _are_values(values: Sequence[str]) -> bool:
    """Return whether most values of a column are numbers or dates."""
    found = [value for value in values if not is_missing(value)]
    return sum(is_decimal(v) or _DATE.match(v) is not None for v in found) * 2 > len(found)


def _may_be_size(first: Sequence[str], width: int) -> bool:
    """Return whether a record is of integers that may state numbers of nodes and lines."""
    if width < 2 or len(first) > 3 or not all(map(_SIZE.fullmatch, first)):
        return False
    return len(first) != width or len(first) == 2 or first[0] == first[1]


def _commented_names(table: TextTable, line: int) -> list[str] | None:
    """Return the names of the columns by a comment directly above the data, if they are such."""
    text = table.preamble.names(line)
    for separator in (table.delimiter, None) if text else ():
        split = text.split(None if separator == " " else separator) if text else []
        names = [name.strip().strip('"') for name in split]
        if len(names) == table.width and is_usual_pair(names):
            return names
    return None


def _with_comments_of_data(
    sample: list[tuple[int, str]], preamble: Preamble, delimiter: str, path: Path
) -> tuple[list[tuple[int, str]], Preamble]:
    """Take the comments directly above the data for data that have its names or coded ones.

    Such a line has the width of the data, and its first field is text as theirs. It has one of
    their names that is no number; or it begins with a name as web addresses have, ``%C3%A9t``.
    """
    if not preamble.last or not sample:
        return sample, preamble
    below = Fit(sample, delimiter, path, "")
    names = {name for fields in below.fields for name in fields if not is_decimal(name)}
    if below.width < 2 or all(is_integer(fields[0]) for fields in below.fields):
        return sample, preamble
    back: list[tuple[int, str]] = []
    following = sample[0][0]
    for number, line in reversed(preamble.last):
        fields = Fit([(number, line)], delimiter, path, "").fields
        if number != following - 1 or not fields or len(fields[0]) != below.width:
            break
        first, *others = fields[0]
        named = len(first) > 1 and not names.isdisjoint([first, *others])
        if not (named or _CODED.match(first)) or not line.endswith(("\n", "\r")):
            break
        back.insert(0, (number, line))
        following = number
    if not back:
        return sample, preamble
    kept = tuple(line for line in preamble.last if line not in back)
    count = preamble.comments - len(back)
    return back + sample, replace(preamble, comments=count, last=kept, as_data=len(back))


def _attributes_at(line: str) -> int:
    """Return where a dictionary at the end of a line begins, 0 if there is none after a field."""
    start = line.find("{")
    before = line[: max(start, 0)].rstrip(" \t,;|")
    return start if before and len(before) < start and line.rstrip().endswith("}") else 0


def _with_attributes(
    lines: Iterator[tuple[int, str]], delimiter: str, path: Path
) -> Iterator[Record]:
    """Yield the fields of each line before a dictionary, and the dictionary as text."""
    for number, line in lines:
        start = _attributes_at(line)
        plain = line[:start].rstrip(f" {delimiter}") if start else line
        for _, fields in split_records(iter([(number, plain)]), delimiter, path):
            yield number, [*fields, line[start:].strip()] if start else fields


def _checked(raw: Iterator[Record], table: TextTable, signs: str, first: int) -> Iterator[Record]:
    """Yield the records from a line on, without trailing fields and comments."""
    width, trims = table.width, bool(table.trailing) or table.delimiter == "\t"
    sign, last, run = tuple(signs), 0, 0
    words = tuple(signs) if table.delimiter == " " else ()
    for number, fields in raw:
        if number < first:
            continue
        if len(fields) == width and fields[0] not in words:
            yield number, fields
        elif len(fields) > width and trims and not any(fields[width:]):
            yield number, fields[:width]
        elif fields[0][:1] in sign:
            run = run + 1 if number == last + 1 else 1
            check_empty(run, number, table.path)
            last = number
            table.skipped[0] += 1
            table.skipped[1] = table.skipped[1] or number
        else:
            _refuse_width(table, number, fields)


def _refuse_width(table: TextTable, number: int, fields: list[str]) -> None:
    """Raise ``FIELDS`` for a line with another number of fields."""
    before = "the header" if table.header else "the lines before"
    hint = table.hint
    if not table.header and (lists := neighbours(table)):
        hint = f"; {lists}{hint}"
    raise DataError(
        "FIELDS",
        f"{table.path}, line {number}: expected {table.width} fields separated by"
        f" {table.separated} as in {before}, got {len(fields)}{hint}.",
    )


def neighbours(table: TextTable) -> str | None:
    """Return how to read a table whose lines are a node and its neighbours, else ``None``."""
    widths = {len(fields) for fields in table.sample}
    first = {fields[0] for fields in table.sample}
    if len(widths) < 2 or first.isdisjoint(v for fields in table.sample for v in fields[2:]):
        return None
    comma = "" if table.delimiter == " " else f", delimiter={table.delimiter!r}"
    return (
        "if each line has a node and then its neighbours,"
        f" vgae.Graph.from_networkx(networkx.read_adjlist({table.path.name!r}{comma})) reads it"
    )


def _lines(count: int) -> str:
    return f"{count:,} line{'s' * (count > 1)}"


def header_hint(path: Path, reading: Reading, known: Collection[NodeId]) -> str:
    """Return that the first line may be a header if none of its names is known, else nothing."""
    if reading.header is not None or not known:
        return ""
    table = open_table(path, reading)
    first = table.sample[0][:2] if table.sample and table.names is None else []
    if not first or not {*first}.isdisjoint(map(str, known)):
        return ""
    return (
        f"the first line, {' and '.join(map(ascii, first)):.120}, is read as a link, and may be a"
        " header: header=True (--header) reads it as one; as it is, "
    )
