"""Tables of numbers and names in files that other programs read."""

import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from vgae.errors import UsageError
from vgae.runtime.atomic import check_writable, replacing

FORMATS = (".csv", ".tsv", ".json", ".jsonl", ".parquet")

Column = Sequence[Any] | np.ndarray

_FORMULA = tuple("=+-@\t\r\0")  # a spreadsheet runs a text that begins so
_ROWS_AT_ONCE = 4096


def write_table(path: str | os.PathLike[str], columns: Mapping[str, Column]) -> None:
    """Write equally long columns in the format that the suffix names, whole or not at all.

    ``.csv``, ``.tsv``: a header and one line per row, quoted where needed, None as an empty
    cell. A text that a spreadsheet would take for a formula (it begins with ``= + - @``, tab,
    return or NUL, perhaps after apostrophes) gets a leading apostrophe, which the readers of this
    package remove; see :func:`plain_names`. ``.json``: a list of one object per row; ``.jsonl``:
    one object per line; NaN and the infinities are null. ``.parquet`` (needs pyarrow): arrays
    keep their type; a list with a string, or an integer beyond 64 bits, is text.

    Numbers are restored bit for bit: they have the fewest digits that identify a float64, or up
    to nine for a float32.

    Args:
        path: The file; an existing one is replaced.
        columns: Numbers, names or None, by the name of the column.

    Raises:
        UsageError: ``EXPORT_FORMAT``; ``MISSING_PACKAGE`` without pyarrow.
    """
    path = Path(path)
    suffix = checked_suffix(path, FORMATS)
    lengths = sorted({len(column) for column in columns.values()})
    if len(lengths) != 1:
        raise ValueError(f"columns must be one or more, equally long, got lengths {lengths}.")
    with replacing(path) as temporary:
        if suffix == ".parquet":
            _write_parquet(temporary, columns)
        elif suffix in (".json", ".jsonl"):
            _write_json(temporary, columns)
        else:
            _write_csv(temporary, columns)


def check_table(path: str | os.PathLike[str], formats: Sequence[str] = FORMATS) -> None:
    """Raise the error that :func:`write_table` would raise, before the work for a table begins.

    Args:
        path: The file, or the folder ``.projector``.
        formats: Suffixes, where others than those of tables are written too.

    Raises:
        UsageError: ``EXPORT_FORMAT``; ``MISSING_PACKAGE`` without pyarrow.
        ResourceError: If the file cannot be written.
    """
    suffix = checked_suffix(Path(path), formats)
    if suffix == ".parquet":
        optional_module("pyarrow", "parquet")
    check_writable(Path(path) / "vectors.tsv" if suffix == ".projector" else path)


def checked_suffix(path: Path, formats: Sequence[str]) -> str:
    """Return the suffix of a path; raise ``UsageError`` if it is not one of the formats."""
    if path.suffix not in formats:
        raise UsageError(
            "EXPORT_FORMAT",
            f"{path} must end in one of {', '.join(formats)}, got {path.suffix!r}.",
        )
    return path.suffix


def exact_values(column: np.ndarray) -> list[Any]:
    """Return Python values whose ``repr`` restores the numbers of an array bit for bit."""
    if column.dtype != np.float32:
        return column.tolist()
    # Most readers round to float64 first; fewer than nine digits do not always survive that.
    return [float(f"{value:.9g}") for value in column.tolist()]


def optional_module(name: str, extra: str) -> ModuleType:
    """Import a module that an extra of this package installs.

    Raises:
        UsageError: ``MISSING_PACKAGE``.
    """
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        raise UsageError(
            "MISSING_PACKAGE", f"{error.name} is missing: pip install 'vgae[{extra}]'."
        ) from None


def _blocks(columns: Mapping[str, Column]) -> Iterator[list[Sequence[Any]]]:
    """Yield the columns in blocks of rows, as Python values."""
    for start in range(0, len(next(iter(columns.values()))), _ROWS_AT_ONCE):
        block = (column[start : start + _ROWS_AT_ONCE] for column in columns.values())
        yield [exact_values(part) if isinstance(part, np.ndarray) else part for part in block]


def _rows(columns: Mapping[str, Column]) -> Iterator[tuple[Any, ...]]:
    for block in _blocks(columns):
        yield from zip(*block, strict=True)


def csv_lines(columns: Mapping[str, Column], separator: str = ",") -> Iterator[str]:
    """Yield the lines of a table of text, which :func:`write_table` writes."""
    # Only numbers are in these arrays, whose text needs no quotes.
    plain = [isinstance(c, np.ndarray) and c.dtype.kind in "biuf" for c in columns.values()]
    yield separator.join(_cell(name, separator) for name in columns) + "\r\n"
    for block in _blocks(columns):
        cells = [
            map(str, part) if is_plain else [_cell(value, separator) for value in part]
            for part, is_plain in zip(block, plain, strict=True)
        ]
        yield from (separator.join(row) + "\r\n" for row in zip(*cells, strict=True))


def _write_csv(path: Path, columns: Mapping[str, Column]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        file.writelines(csv_lines(columns, "\t" if path.suffix == ".tsv" else ","))


def _cell(value: Any, separator: str) -> str:
    """Return a cell that a spreadsheet does not run as a formula."""
    if not isinstance(value, str):
        return "" if value is None else str(value)
    # A text that already has apostrophes gets one more, so that two texts stay different.
    text = f"'{value}" if _is_formula(value) else value
    # The csv module would not quote white space at an end, or a leading comment sign.
    plain = text == text.strip() and text[:1] not in ("#", "%")
    if not plain or any(c in text for c in f'{separator}"\r\n'):
        return '"' + text.replace('"', '""') + '"'
    return text


def _is_formula(text: str) -> bool:
    return text.lstrip("'")[:1] in _FORMULA


def plain_names(names: Sequence[str]) -> list[str]:
    """Remove the apostrophes that :func:`write_table` puts before formulas.

    A name with ``= + - @``, tab, return or NUL after apostrophes loses the first of these. If a
    name begins so without an apostrophe, :func:`write_table` did not write the file, and all
    names stay: two different names never become the same.
    """
    if not {name[:1] for name in names} & {"'", *_FORMULA}:
        return list(names)
    marked = [_is_formula(name) for name in names]
    if any(mark and name[0] != "'" for name, mark in zip(names, marked, strict=True)):
        return list(names)
    return [name[1:] if mark else name for name, mark in zip(names, marked, strict=True)]


def _write_json(path: Path, columns: Mapping[str, Column]) -> None:
    rows = (dict(zip(columns, map(_finite_or_none, row), strict=True)) for row in _rows(columns))
    objects = (json.dumps(row, allow_nan=False, default=np.generic.item) for row in rows)
    with path.open("w", encoding="utf-8", newline="\n") as file:
        if path.suffix == ".jsonl":
            file.writelines(f"{row}\n" for row in objects)
            return
        file.write(f"[\n{next(objects, '')}")
        file.writelines(f",\n{row}" for row in objects)
        file.write("\n]\n")


def _finite_or_none(value: Any) -> Any:
    return None if isinstance(value, float | np.floating) and not math.isfinite(value) else value


def _write_parquet(path: Path, columns: Mapping[str, Column]) -> None:
    pyarrow = optional_module("pyarrow", "parquet")
    parquet = optional_module("pyarrow.parquet", "parquet")
    table = pyarrow.table({name: _of_one_type(column) for name, column in columns.items()})
    parquet.write_table(table, path)


def _of_one_type(column: Column) -> Column:
    """Return an array of numbers unchanged, and other columns as a list of one type."""
    if isinstance(column, np.ndarray) and column.dtype.kind in "biuf":
        return column
    if any(
        isinstance(v, str) or (isinstance(v, int) and not -(2**63) <= v < 2**63) for v in column
    ):
        return [None if value is None else str(value) for value in column]
    return list(column)
