"""Fast reading of plain edge lists with pyarrow; the strict reader reads all others.

Both readers return the same for a plain file. A file with quotes within fields, comments between
its lines, or anything that must be refused, is not plain.
"""

import codecs
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from vgae.data.parquet import coded
from vgae.data.text import is_utf8, unpacked
from vgae.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

SMALLEST = 2**20  # bytes; the strict reader takes a second for five times as many

_PIECE = 2**22
_LONGEST_LINE = 2**19  # half of what the strict reader allows, in bytes
_MOST_BLANK_LINES = 1000  # at the end
_SECTION = 2**29  # bytes of names that are kept before their repeats are removed
_QUOTE, _LINE_END = b'"\n'
_WHITE = [chr(code) for code in range(0x3001) if chr(code).isspace()]


class PlainEdges(NamedTuple):
    """Columns of a plain edge list.

    Attributes:
        names: The distinct names: int64, if each is in canonical form, else text.
        edges: Ends of each edge as indices of ``names``, int64, shape ``(2, E)``.
        numbers: Columns of numbers, float64, each of shape ``(E,)``.
        texts: Columns of text: the distinct values in the order of their first lines, and the
            place among them of each, shape ``(E,)``.
        lines: Number of the line of the last edge.
    """

    names: np.ndarray | list[str]
    edges: np.ndarray
    numbers: list[np.ndarray]
    texts: list[tuple[list[str], np.ndarray]]
    lines: int


class _NotPlainError(Exception):
    pass


class PlainLayout(NamedTuple):
    """Where the edges are in a file.

    Attributes:
        delimiter: Character between fields.
        skip: Number of lines before the first edge.
        width: Number of fields in a line.
        ends: Positions of source and target.
        numbers: Positions of the numbers.
        texts: Positions of columns of text.
        zero: Whether numbers may be zero.
        negative: Whether they may be below zero.
    """

    delimiter: str
    skip: int
    width: int
    ends: tuple[int, int] = (0, 1)
    numbers: tuple[int, ...] = ()
    texts: tuple[int, ...] = ()
    zero: bool = False
    negative: bool = False


def read_plain(path: Path, layout: PlainLayout, *, encoding: str = "utf-8") -> PlainEdges | None:
    """Read the columns of a plain edge list of at least :data:`SMALLEST` bytes.

    A file is plain if, after the skipped lines, it is UTF-8 of lines with ``width`` fields each,
    without NUL and lines that begin with ``#`` or ``%``; quotes enclose whole fields, which have
    no quotes and line ends; names and texts do not begin or end with white space, and names are
    not blank; numbers are finite. Blanks around fields, several blanks where one separates, and
    blank lines are removed where there are no quotes and all is ASCII.

    Args:
        path: The file, plain or gzip.
        layout: Positions of the fields.
        encoding: Encoding of the file.

    Returns:
        ``None`` if the file is not plain, not valid or small, or if pyarrow is missing.
    """
    try:
        import pyarrow as pa
    except ModuleNotFoundError:
        return None
    delimiter = layout.delimiter
    # Other white space as a delimiter would be stripped from the ends of lines.
    if not delimiter.isascii() or (delimiter.isspace() and delimiter not in "\t "):
        return None
    if not is_utf8(encoding) or path.stat().st_size < SMALLEST:
        return None
    for kind in (pa.int64(), pa.string()):
        # The strict reader describes what is wrong.
        with suppress(_NotPlainError, DataError, UnicodeDecodeError, pa.ArrowException):
            return _read(_pieces(path, layout.skip), layout, kind)
    return None


def _pieces(path: Path, skip: int) -> Iterator[bytes]:
    """Yield whole lines of a file after the skipped ones, some megabytes at once."""
    with unpacked(path) as file:
        rest = file.read(_PIECE).removeprefix(codecs.BOM_UTF8)
        start = 0
        for _ in range(skip):
            start = rest.find(b"\n", start) + 1
            if start == 0:
                raise _NotPlainError
        _check_line_ends(rest[:start])
        rest = rest[start:]
        last = b""
        while more := file.read(_PIECE):
            end = more.rfind(b"\n") + 1
            if end == 0:
                raise _NotPlainError
            if last:
                yield last
            last = rest + more[:end]
            rest = more[end:]
        if rest and last:
            yield last
        last = _without_blank_end(rest or last)
        if last:
            yield last


def _without_blank_end(piece: bytes) -> bytes:
    """Return the last piece without blank lines at its end."""
    filled = piece.rstrip(b"\r\n")
    end = piece[len(filled) :]
    if end in (b"", b"\n", b"\r\n"):
        return piece
    _check_line_ends(piece)
    if len(end) > _MOST_BLANK_LINES:
        raise _NotPlainError
    return filled + b"\n" if filled else b""


def _read(pieces: Iterator[bytes], layout: PlainLayout, kind: "pa.DataType") -> PlainEdges:
    """Read names of a type, int64 or text, or raise."""
    import pyarrow as pa

    ends: list[list[Any]] = [[], []]
    sections: list[list[Any]] = [[], []]
    numbers: list[list[np.ndarray]] = [[] for _ in layout.numbers]
    texts = [_Texts() for _ in layout.texts]
    count, last = layout.skip, 0
    for given in pieces:
        piece = _tidied(given, layout.delimiter)
        _check_bytes(piece, layout.delimiter)
        last = count + _num_lines(given.rstrip())
        count += _num_lines(given)
        table = _parsed(piece, layout, kind)
        for values, place in zip(numbers, layout.numbers, strict=True):
            values.append(_numbers(table.column(place), layout))
        for found, place in zip(texts, layout.texts, strict=True):
            found.add(table.column(place))
        for column, place in zip(ends, layout.ends, strict=True):
            column += table.column(place).chunks
        if kind == pa.string() and sum(chunk.nbytes for chunk in chain(*ends)) > _SECTION:
            _close_section(ends, sections)
    if sections[0] and ends[0]:
        _close_section(ends, sections)
    chunks = list(chain(*(sections if sections[0] else ends)))
    if not chunks:
        raise _NotPlainError
    ends.clear()
    sections.clear()
    names, codes = coded(chunks)
    if isinstance(names, list) and (not all(names) or list(map(str.strip, names)) != names):
        raise _NotPlainError
    weights = [np.concatenate(values) for values in numbers]
    return PlainEdges(
        names, codes.reshape(2, -1), weights, [found.whole() for found in texts], last
    )


def _num_lines(piece: bytes) -> int:
    """Return the number of lines, of which the last may have no end."""
    return piece.count(b"\n") + (not piece.endswith(b"\n"))


class _Texts:
    """A column of text as numbers of its distinct values."""

    def __init__(self) -> None:
        self.number_of: dict[str, int] = {}
        self.places: list[np.ndarray] = []

    def add(self, column: "pa.ChunkedArray") -> None:
        """Add the values of a piece; raise if white space may have to be removed."""
        coded_column = column.combine_chunks().dictionary_encode()
        values = coded_column.dictionary.to_pylist()
        if any(value != value.strip() for value in values):
            raise _NotPlainError
        numbers = [self.number_of.setdefault(value, len(self.number_of)) for value in values]
        self.places.append(np.array(numbers, np.int32)[coded_column.indices.to_numpy()])

    def whole(self) -> tuple[list[str], np.ndarray]:
        """Return the distinct values, and the place of each value."""
        return list(self.number_of), np.concatenate(self.places)


def _tidied(piece: bytes, delimiter: str) -> bytes:
    """Return a piece without blanks around its fields and without blank lines.

    It is unchanged if it has quotes, or characters that are no ASCII, or more blank lines than
    are usual; it is then plain without these changes, or not at all.
    """
    sign = delimiter.encode()
    blanks = [b" " + sign, sign + b" ", b" \n", b" \r", b"\n ", b"\n\n", b"\n\r"]
    if delimiter == " ":
        blanks = [b"  ", b"\t", *blanks[2:]]
    starts = piece[:1] in (b" ", b"\n", b"\r") or piece.endswith(b" ")
    if not starts and not any(blank in piece for blank in blanks):
        return piece
    if b'"' in piece or not piece.isascii():
        return piece
    _check_line_ends(piece)
    num_lines = piece.count(b"\n")
    piece = piece.replace(b"\r\n", b"\n")
    if delimiter == " ":
        piece = piece.replace(b"\t", b" ")
        pairs = {b"  ": b" "}
    else:
        pairs = {b" " + sign: sign, sign + b" ": sign}
    for pair, single in (pairs | {b" \n": b"\n", b"\n ": b"\n", b"\n\n": b"\n"}).items():
        while pair in piece:
            piece = piece.replace(pair, single)
    piece = piece.lstrip(b" \n").rstrip(b" ")
    if num_lines - piece.count(b"\n") > _MOST_BLANK_LINES or not piece:
        raise _NotPlainError
    return piece


def _close_section(ends: list[list[Any]], sections: list[list[Any]]) -> None:
    """Move both columns to the sections, without repeats of the same names."""
    import pyarrow as pa

    for column, closed in zip(ends, sections, strict=True):
        parts = pa.chunked_array(column).dictionary_encode().chunks
        codes = pa.concat_arrays([part.indices for part in parts])
        closed.append(pa.DictionaryArray.from_arrays(codes, parts[0].dictionary))
        column.clear()


def _parsed(piece: bytes, layout: PlainLayout, kind: "pa.DataType") -> "pa.Table":
    """Return the columns of a piece: names of the given type, all others as text."""
    import pyarrow as pa
    from pyarrow import csv

    num_quotes = piece.count(b'"')
    columns = [str(place) for place in range(layout.width)]
    types = {name: pa.string() for name in columns}
    types |= {str(place): kind for place in layout.ends}
    table = csv.read_csv(
        pa.BufferReader(piece),
        csv.ReadOptions(use_threads=False, block_size=len(piece) + 1, column_names=columns),
        csv.ParseOptions(
            delimiter=layout.delimiter,
            quote_char='"' if num_quotes else False,
            double_quote=False,
            ignore_empty_lines=False,
        ),
        csv.ConvertOptions(column_types=types, null_values=[], strings_can_be_null=False),
    )
    last = table.column(layout.width - 1)
    if layout.delimiter == "\t" and last.type == pa.string():
        _check_last(last)
    if kind == pa.int64():
        # Any other form of a number, such as +7, 007 or -0, is longer than the canonical one.
        lengths = [
            _digits(column.to_numpy())
            if column.type == kind
            else sum(int(_ends(chunk)[-1] - _ends(chunk)[0]) for chunk in column.chunks)
            for column in table.columns
        ]
        between = table.num_rows * (layout.width - 1) + piece.count(b"\n") + piece.count(b"\r")
        between += num_quotes
        # A hexadecimal number may be shorter.
        if sum(lengths) + between != len(piece) or b"0x" in piece or b"0X" in piece:
            raise _NotPlainError
    return table


def _digits(values: np.ndarray) -> int:
    """Return the number of characters of integers in canonical form, all together."""
    # The absolute value of -2**63 is right as an unsigned number.
    size = np.abs(values).view(np.uint64)
    count, power, most = len(values) + np.count_nonzero(values < 0), 10, int(size.max())
    while power <= most:
        count += np.count_nonzero(size >= power)
        power *= 10
    return int(count)


def _numbers(column: "pa.ChunkedArray", layout: PlainLayout) -> np.ndarray:
    """Return text as finite numbers of the signs that the layout allows, float64, or raise."""
    import pyarrow as pa

    values = column.cast(pa.float64()).to_numpy()
    allowed = (values > 0) & (values < np.inf)
    if layout.zero:
        allowed |= values == 0
    if layout.negative:
        allowed |= (values < 0) & (values > -np.inf)
    if not allowed.all():
        raise _NotPlainError
    return values


def _check_bytes(piece: bytes, delimiter: str) -> None:
    """Raise if a piece holds what the two readers may read differently."""
    forbidden = [b"\0"]
    begins = [b"#", b"%", codecs.BOM_UTF8, b"\n", b"\r"]
    ascii_only = piece.isascii()
    if not ascii_only:
        piece.decode()
    if delimiter == " ":
        forbidden += [b"  ", b" \n", b" \r", b"\n ", b'"#"', b'"%"']
        begins.append(b" ")
        white = [c for c in _WHITE if c not in " \r\n" and (c.isascii() or not ascii_only)]
        forbidden += [c.encode() for c in white]
        if piece.endswith(b" "):
            raise _NotPlainError
    if piece.startswith(tuple(begins)) or any(text in piece for text in forbidden):
        raise _NotPlainError
    codes = np.frombuffer(piece, np.uint8)
    # Comments and blank lines after the first line.
    line_ends = np.flatnonzero(codes[:-1] == _LINE_END)
    if np.isin(codes[line_ends + 1], np.frombuffer(b"#%\n\r", np.uint8)).any():
        raise _NotPlainError
    for start in range(0, len(piece) - _LONGEST_LINE, _LONGEST_LINE):
        if piece.find(b"\n", start, start + _LONGEST_LINE) < 0:
            raise _NotPlainError
    _check_line_ends(piece)
    if b'"' in piece:
        _check_quotes(codes, ord(delimiter))


def _check_quotes(piece: np.ndarray, delimiter: int) -> None:
    """Raise unless quotes enclose whole fields, which have no quotes and line ends.

    Args:
        piece: Characters, uint8, shape ``(characters,)``.
        delimiter: Code of the delimiter.
    """
    quotes = np.flatnonzero(piece == _QUOTE)
    if len(quotes) % 2:
        raise _NotPlainError
    opening, closing = quotes[::2], quotes[1::2]
    around = np.concatenate([[_LINE_END], piece, [_LINE_END]])
    before, after = around[opening], around[closing + 2]
    line_ends = np.flatnonzero(piece == _LINE_END)
    same_line = np.searchsorted(line_ends, opening) == np.searchsorted(line_ends, closing)
    starts = np.isin(before, (delimiter, _LINE_END))
    stops = np.isin(after, (delimiter, _LINE_END, ord("\r")))
    if not (same_line & starts & stops).all():
        raise _NotPlainError


def _check_line_ends(piece: bytes) -> None:
    """Raise if a line ends in CR alone, which pyarrow may read differently."""
    if b"\r" in piece and piece.count(b"\r") != piece.count(b"\r\n"):
        raise _NotPlainError


def _check_last(column: "pa.ChunkedArray") -> None:
    """Raise unless each text ends in a visible character of ASCII.

    With tabs as delimiters, a blank last field is stripped from its line.
    """
    for chunk in column.chunks:
        ends = _ends(chunk)
        last = np.frombuffer(chunk.buffers()[2], np.uint8)[ends[1:] - 1]
        if (np.diff(ends) == 0).any() or ((last <= 0x20) | (last >= 0x7F)).any():
            raise _NotPlainError


def _ends(texts: "pa.StringArray") -> np.ndarray:
    """Return where each text ends in the data of an array, after the start of the first."""
    ends = np.frombuffer(texts.buffers()[1], np.int32)
    return ends[texts.offset : texts.offset + len(texts) + 1]
