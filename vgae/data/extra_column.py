"""Edge lists in text with one more column, such as the relation or the graph of each edge."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path

from vgae.data.dialects import TextTable
from vgae.data.edge_lists import EdgeList, read_edge_list
from vgae.data.reading import Reading
from vgae.data.separators import Record
from vgae.errors import DataError, did_you_mean


def read_with_column(
    path: Path, reading: Reading, column: str, code: str
) -> tuple[EdgeList, list[str]]:
    """Return an edge list in text without one of its columns, and the cells of this column.

    Args:
        path: The file.
        reading: Options, without ``drop_zero``.
        column: Name of the column, by the header or ``reading.columns``.
        code: Code of the error without such a column.

    Raises:
        DataError: ``code``; or as :func:`vgae.data.edge_lists.read_edge_list`.
    """
    cells: list[str] = []

    def take(table: TextTable, reading: Reading) -> tuple[TextTable, Reading]:
        columns = table.names or list(reading.columns or ())
        place = column_place(columns, column, code, has_header=table.names is not None)
        if len(columns) != table.width:
            rule = f"columns (--columns) must name each of {table.width} columns"
            raise DataError("COLUMNS", f"{rule} without a header, got {len(columns)}.")
        first = [] if table.size is None else [table.size]
        left = replace(
            table,
            records=_without(chain(first, table.records), place, cells),
            size=None,
            sample=[_left(fields, place) for fields in table.sample],
            width=table.width - 1,
            names=None if table.names is None else _left(table.names, place),
        )
        if table.names is not None:
            return left, reading
        return left, replace(reading, columns=tuple(_left(columns, place)))

    return read_edge_list(path, reading, take=take), cells


def column_place(columns: list[str], column: str, code: str, *, has_header: bool) -> int:
    """Return the place of a column, or raise ``DataError``."""
    if column in columns:
        return columns.index(column)
    if not has_header and not columns:
        raise DataError(
            code,
            f"it has no header that names a column {column!r:.60}; name all columns, as by"
            f" columns=('source', {column!r:.60}, 'target') (--columns"
            f" source,{column:.60},target).",
        )
    near = did_you_mean(column, columns)
    listed = ", ".join(map(repr, columns))
    raise DataError(code, f"it has no column {column!r:.60}, but {listed:.200}.{near}")


def _without(records: Iterator[Record], place: int, taken: list[str]) -> Iterator[Record]:
    """Yield records without one field, which is appended to a list."""
    for number, fields in records:
        taken.append(fields[place].strip())
        yield number, _left(fields, place)


def _left(fields: list[str], place: int) -> list[str]:
    return [*fields[:place], *fields[place + 1 :]]
