"""Separators of tables in text: which one splits the first lines best."""

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from vgae.data.text import SEPARATORS, split_records
from vgae.errors import DataError
from vgae.runtime.numerals import is_decimal

Record = tuple[int, list[str]]


class Fit:
    """Fields of the first records by a separator, without those that look like comments.

    Attributes:
        records: Number and fields of each record, without trailing fields.
        widths: Number of fields of each record.
        trailing: Number of empty fields at the end of each record.
    """

    def __init__(
        self, sample: Sequence[Record | tuple[int, str]], separator: str, path: Path, signs: str
    ) -> None:
        records: list[Record] = []
        # The sample may end within a quoted field, or the separator be wrong.
        with suppress(DataError):
            records.extend(split_records(iter(sample), separator, path))  # pyright: ignore[reportArgumentType]
        is_plain = [fields[0][:1] not in tuple(signs) for _, fields in records]
        plain = [record for record, kept in zip(records, is_plain, strict=True) if kept] or records
        empty = [_num_trailing(fields) for _, fields in plain]
        lengths = [len(fields) for _, fields in plain]
        self.trailing = min(empty[1:] or empty or [0])
        if self.trailing:
            most = max(lengths[1:] or lengths)
            self.trailing = max(0, min(self.trailing, most - (lengths[0] - empty[0])))
        width = max(lengths, default=0)
        self.records = [
            (number, fields[: len(fields) - min(self.trailing, _num_trailing(fields))])
            for (number, fields), kept in zip(records, is_plain, strict=True)
            if kept or plain is records or len(fields) == width
        ]
        self.widths = [len(fields) for _, fields in self.records]

    @property
    def fields(self) -> list[list[str]]:
        """Fields of each record."""
        return [fields for _, fields in self.records]

    @property
    def even(self) -> bool:
        """Whether all records but perhaps the first have one number of fields."""
        return len(set(self.widths[1:] or self.widths)) == 1

    @property
    def width(self) -> int:
        """Number of fields of a record."""
        if self.even:
            return (self.widths[1:] or self.widths)[0]
        return self.widths[0] if self.widths else 0

    def rank(self) -> tuple[bool, bool, int]:
        """Return a rank that is higher if the separator fits better."""
        even = self.even and self.width > 1
        counts = Counter(width for width in self.widths if width > 1)
        return even and len(set(self.widths)) == 1, even, max(counts.values(), default=0)

    def has_decimal_commas(self) -> bool:
        """Return whether commas are decimal signs, in some columns beside two without commas."""
        if not self.even or self.width < 3:
            return False
        columns = list(zip(*(f for f in self.fields if len(f) == self.width), strict=True))
        with_comma = [values for values in columns if any("," in value for value in values)]
        return 0 < len(with_comma) <= self.width - 2 and all(
            is_decimal(value)
            for values in with_comma
            for value in values[1:] or values
            if "," in value
        )


def detected(sample: list[tuple[int, str]], path: Path, signs: str) -> str:
    """Return the separator of the first lines; see :func:`vgae.data.dialects.open_table`."""
    fits = {separator: Fit(sample, separator, path, signs) for separator in SEPARATORS}
    ranks: Mapping[str, tuple[bool, bool, int]] = {s: fit.rank() for s, fit in fits.items()}
    if any(ranks[s][1] and fits[s].has_decimal_commas() for s in SEPARATORS if s != ","):
        ranks = {s: rank for s, rank in ranks.items() if s != ","}
    best = max(ranks, key=lambda separator: ranks[separator])
    # Names and texts have blanks: white space does not separate if a sign does so in each line.
    others = [s for s in ranks if s != " " and min(fits[s].widths, default=0) > 1]
    return max(others, key=lambda separator: ranks[separator]) if best == " " and others else best


def refuse_single(records: Sequence[Sequence[str]], where: str) -> None:
    """Raise ``FIELDS`` if another character than the usual separators splits single fields.

    Args:
        records: Fields of the first records.
        where: File and line, for messages.
    """
    texts = [fields[0] for fields in records if len(fields) == 1]
    if not texts or len(texts) < len(records):
        return
    signs = {c for c in texts[0] if not (c.isalnum() or c.isspace() or c in "_\"'.#%")}
    for sign in sorted(signs):
        parts = [[part.strip() for part in text.split(sign)] for text in texts]
        width = len(parts[0])
        if width in (2, 3) and all(len(part) == width and all(part) for part in parts):
            raise DataError(
                "FIELDS",
                f"{where}: expected 2 or 3 fields, got {texts[0]!r:.60}; delimiter={sign!r}"
                f" (--delimiter '{sign}') separates it into {width}.",
            )


def refuse_square(records: Sequence[Sequence[str]], where: str) -> None:
    """Raise ``FIELDS`` if the first records are all of a file and may be an adjacency.

    Three records of three numbers are one if they are symmetric, with zeros on the diagonal.
    """
    size = len(records)
    if size < 3 or any(len(fields) != size for fields in records):
        return
    symmetric = [list(column) for column in zip(*records, strict=True)] == [*map(list, records)]
    loops = any(is_decimal(f[k]) and float(f[k].replace(",", ".")) for k, f in enumerate(records))
    if not all(all(map(is_decimal, fields)) for fields in records):
        return
    if size > 3 or (symmetric and not loops):
        raise DataError(
            "FIELDS",
            f"{where}: {size} lines of {size} numbers may be an adjacency; format='adjacency'"
            " (--format adjacency) reads it, columns=... (--columns) a list of links.",
        )


def _num_trailing(fields: Sequence[str]) -> int:
    """Return the number of empty fields at the end, the first field not counted."""
    count = 0
    while count < len(fields) - 1 and not fields[-1 - count]:
        count += 1
    return count
