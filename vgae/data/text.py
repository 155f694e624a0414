"""Lines and fields of text files, plain or compressed: strictly decoded, of bounded size."""

import io
import logging
import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import partial
from operator import eq
from pathlib import Path
from typing import Any

from vgae.data.packed import Unpacked, unpacked
from vgae.data.reading import Normalize
from vgae.errors import DataError, UsageError
from vgae.runtime.numerals import is_number
from vgae.runtime.reading import brief

log = logging.getLogger(__name__)

SEPARATORS = {"\t": "tabs", ";": "semicolons", ",": "commas", "|": "bars", " ": "white space"}

_LONGEST_LINE = 2**20
_MOST_EMPTY_LINES = 1_000_000
_MOST_LINES_OF_A_RECORD = 100
_BYTE_ORDER_MARKS = (b"\xff\xfe", b"\xfe\xff")
# The groups: quoted field, its end, plain field, its end. An empty end is that of the record.
_QUOTED = r' *"((?:[^"]|"")*)" *(%(d)s|\Z)|(?! *")([^%(d)s]*)(%(d)s|\Z)'
_QUOTED_WORD = r'\s*(?:"((?:[^"]|"")*)"(\s+|\Z)|(?!")(\S+)(\s+|\Z))'
_BEGINS_OF_NUMBERS = frozenset("0123456789+-.")
_MISSING = {"nan", "null", "none", "n/a", "<na>", "#n/a"}


def read_lines(
    path: Path, *, encoding: str = "utf-8", comments: str = "#%"
) -> Iterator[tuple[int, str]]:
    """Yield each line with its end (LF, CR or CR LF), and its number, from 1.

    A byte order mark of UTF-8 is removed.

    Args:
        path: The file.
        encoding: Name of its encoding.
        comments: First characters of the lines that count as blank in ``BLANK_LINES``.

    Raises:
        UsageError: ``ENCODING`` if there is no such encoding.
        DataError: ``ENCODING``; ``LINE_LENGTH`` if a line has more than 2**20 characters;
            ``BLANK_LINES`` after a million blank lines or comments in a row; or as
            :func:`vgae.data.packed.unpacked`.
    """
    empty = 0
    with unpacked(path) as file:
        try:
            for number, line in enumerate(_decoded(file, encoding), 1):
                if "\0" in line:
                    raise DataError(
                        "ENCODING",
                        f"{path}, line {number}: a NUL character; the file is not text, or not"
                        f" {encoding}: give its encoding, such as encoding='utf-16-le' (vgae"
                        " convert --encoding utf-16-le).",
                    )
                if len(line) > _LONGEST_LINE:
                    raise DataError(
                        "LINE_LENGTH",
                        f"{path}, line {number}: it has more than {_LONGEST_LINE} characters; the"
                        " file lacks line ends, or its name is wrong.",
                    )
                empty = empty + 1 if is_blank_or_comment(line, comments) else 0
                check_empty(empty, number, path)
                yield number, line
        except UnicodeError as error:
            what = f"{_undecoded(error, file.count)} is not {encoding}"
            known = "utf-16" if "UTF-16" in what else "latin-1"
            hint = f"give the encoding of the file, as in encoding='{known}' (--encoding {known})"
            raise DataError("ENCODING", f"{path}: {what}; {hint}.") from None


def check_empty(count: int, number: int, path: Path) -> None:
    """Raise ``BLANK_LINES`` if more than a million lines before one are blank or comments."""
    if count > _MOST_EMPTY_LINES:
        raise DataError(
            "BLANK_LINES",
            f"{path}, line {number}: {_MOST_EMPTY_LINES} lines before it are empty; the file is"
            " damaged, or its name is wrong.",
        )


def is_blank_or_comment(line: str, comments: str = "#%") -> bool:
    """Return whether a line is blank, or begins with one of some characters."""
    return line[0] in comments or line.isspace()


def split_records(
    lines: Iterator[tuple[int, str]], delimiter: str, path: Path
) -> Iterator[tuple[int, list[str]]]:
    """Yield the fields of each record, and the number of its first line; skip blank lines.

    A field in double quotes may hold anything, line ends too; quotes in it are doubled. White
    space around a field is removed unless it is quoted. With a space as delimiter, any white
    space separates.

    Args:
        lines: Number and text of each line.
        delimiter: Character between two fields; a space stands for any white space.
        path: The file, for messages.

    Raises:
        DataError: ``QUOTES`` if a quoted field does not end where a field may end.
    """
    quoted = re.compile(
        _QUOTED_WORD if delimiter == " " else _QUOTED % {"d": re.escape(delimiter)}
    )
    for number, line in lines:
        if line.isspace():
            continue
        if '"' in line:
            fields = _quoted_fields(line, lines, quoted, delimiter)
            if fields is None:
                before = "white space" if delimiter == " " else repr(delimiter)
                raise DataError(
                    "QUOTES",
                    f"{path}, line {number}: a quoted field does not end in a quote that is"
                    f" followed by {before} or the end of the line; double the quotes within it.",
                )
            yield number, fields
        elif delimiter == " ":
            yield number, line.split()
        else:
            yield number, [field.strip() for field in _ended(line, delimiter).split(delimiter)]


def normalised(names: Sequence[int | str], form: Normalize) -> list[Any]:
    """Return names in a normal form of Unicode; integers, and all with ``"none"``, unchanged."""
    if form == "none":
        return list(names)
    return [unicodedata.normalize("NFC", n) if isinstance(n, str) else n for n in names]


def typed_names(names: Sequence[str]) -> list[int] | list[str]:
    """Return names as integers if each is in canonical form, else unchanged."""
    try:
        numbers = list(map(int, names))
    except ValueError:
        return list(names)
    fit = min(numbers, default=0) >= -(2**63) and max(numbers, default=0) < 2**63
    return numbers if fit and all(map(eq, map(str, numbers), names)) else list(names)


def is_utf8(encoding: str) -> bool:
    """Return whether this is a name of UTF-8."""
    return encoding.lower().replace("_", "-") in ("utf-8", "utf8")


def warn_of_numbers(path: Path, names: Sequence[str]) -> None:
    """Warn once of names that may be missing, and of numbers that are written in several ways."""
    short = max(map(len, _MISSING))
    if missing := [name for name in names if len(name) <= short and name.casefold() in _MISSING]:
        what = "%s: %a is the name of a node; if it stands for a missing name, remove its lines"
        log.warning(what, path, missing[0])
    first: dict[float, str] = {}
    for name in names:
        if name[:1] in _BEGINS_OF_NUMBERS and is_number(name):
            other = first.setdefault(float(name), name)
            if other != name:
                log.warning(
                    "%s: %a and %a are two nodes, but the same number; write it in one way",
                    *(path, other, name),
                )
                return
    if len(first) == len(names) and all(map(float.is_integer, first)) and "." in names[0]:
        what = "%s: names such as %a stay text; write them without decimals to have integers"
        log.warning(what, path, names[0])


def warn_of_lookalikes(path: Path, names: Sequence[str]) -> None:
    """Warn once if two names have the same normal form of Unicode (NFC)."""
    if all(map(str.isascii, names)):
        return
    composed: dict[str, str] = {}
    for name in names:
        first = composed.setdefault(unicodedata.normalize("NFC", name), name)
        if first != name:
            log.warning(
                "%s: %a and %a are two nodes, but look the same (they differ in Unicode"
                " normalisation only); normalize='nfc' (--normalize nfc) merges them",
                path,
                first,
                name,
            )
            return


def _decoded(file: Unpacked, encoding: str) -> Iterator[str]:
    """Yield lines, cut after the longest one allowed."""
    codec = "utf-8-sig" if is_utf8(encoding) else encoding
    try:
        # The end of each line is kept: within quotes it belongs to a name.
        text = io.TextIOWrapper(file, codec, newline="")  # pyright: ignore[reportArgumentType]
    except LookupError:
        raise UsageError(
            "ENCODING", f"encoding must name a codec of Python, got {encoding!r}."
        ) from None
    return iter(partial(text.readline, _LONGEST_LINE + 1), "")


def _undecoded(error: UnicodeError, count: int) -> str:
    """Describe the bytes that could not be decoded, given the number of bytes read so far."""
    if not isinstance(error, UnicodeDecodeError):
        return brief(error)
    # The decoder received the last bytes that were read, after those it kept of earlier ones.
    start = count - len(error.object) + error.start
    byte = f"byte 0x{error.object[error.start]:02x} at offset {start}"
    if start == 0 and error.object[:2] in _BYTE_ORDER_MARKS:
        return f"{byte}, a byte order mark of UTF-16,"
    return byte


def _ended(line: str, delimiter: str) -> str:
    """Return a line without its end and white space, but with a delimiter that ends it."""
    return line.rstrip(" \r\n") if delimiter == "\t" else line.rstrip()


def _quoted_fields(
    text: str, lines: Iterator[tuple[int, str]], field: re.Pattern[str], delimiter: str
) -> list[str] | None:
    """Return the fields of a record that begins with ``text``, None if it has no end.

    Bounds keep a quote that is never closed from taking the whole file for one field.
    """
    for _ in range(_MOST_LINES_OF_A_RECORD):
        fields = _matched(_ended(text, delimiter), field)
        line = "" if fields else next(lines, (0, ""))[1]
        if not line or len(text) + len(line) > _LONGEST_LINE:
            return fields
        text += line
    return None


def _matched(text: str, field: re.Pattern[str]) -> list[str] | None:
    fields, position = [], 0
    while match := field.match(text, position):
        quoted, end, plain, plain_end = match.groups()
        fields.append(plain.strip() if quoted is None else quoted.replace('""', '"'))
        if not (end or plain_end):
            return fields
        position = match.end()
    return None
