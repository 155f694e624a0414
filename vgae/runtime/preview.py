"""Short tables of values, as text for a terminal and as HTML for a notebook.

All text is escaped, since names come from files. The HTML has no colours and no style sheet, so
that it takes those of the notebook, light or dark.
"""

import html
import math
import numbers
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from vgae.errors import printable
from vgae.runtime.text import columns

MOST_ROWS = 10
"""Rows of a table that are shown; the others are counted."""

_LONGEST = 80  # characters of a cell


class Preview(NamedTuple):
    """Table with a title.

    Attributes:
        title: What the table is of.
        rows: Cells of each row: text, numbers, or ``None``.
        header: Name of each column; empty for rows of a name and a value.
        more: Number of further rows, which are not shown.
        notes: Sentences below the table.
    """

    title: str
    rows: Sequence[Sequence[Any]]
    header: Sequence[str] = ()
    more: int = 0
    notes: Sequence[str] = ()

    @classmethod
    def of_facts(
        cls, title: str, facts: Mapping[str, Any], notes: Sequence[str] = ()
    ) -> "Preview":
        """Return a table of names and values, without values that are ``None`` or empty."""
        rows = [(name, value) for name, value in facts.items() if value is not None]
        return cls(title, [row for row in rows if row[1] != ""], notes=notes)

    @classmethod
    def of_columns(
        cls, title: str, found: Mapping[str, Iterable[Any]], count: int, notes: Sequence[str] = ()
    ) -> "Preview":
        """Return a table of columns by name, which have the first rows of ``count``."""
        rows = list(zip(*found.values(), strict=True))[:MOST_ROWS]
        return cls(title, rows, list(found), count - len(rows), notes)

    def text(self) -> str:
        """Return the table as aligned lines."""
        cells = self._cells()
        head = [[_line(name) for name in self.header]] if self.header else []
        right = [k for k in range(len(cells[0])) if self._of_numbers(k)] if cells else []
        table = [columns(head + cells, right)] if head or cells else []
        return "\n".join([printable(self.title), *table, *self._below()])

    def html(self) -> str:
        """Return the table as HTML."""
        cells = self._cells()
        width = len(self.header) or max(map(len, cells), default=0)
        sides = ["right" if self._of_numbers(k) else "left" for k in range(width)]
        styles = [f' style="text-align: {side}"' for side in sides]
        rows = []
        for row in cells:
            found = [f"<td{s}>{html.escape(c)}</td>" for c, s in zip(row, styles, strict=True)]
            if not self.header:
                found[0] = f'<th scope="row"{styles[0]}>{html.escape(row[0])}</th>'
            rows.append(f"<tr>{''.join(found)}</tr>")
        names = [html.escape(_line(name)) for name in self.header]
        head = [f'<th scope="col"{s}>{n}</th>' for n, s in zip(names, styles, strict=False)]
        return "\n".join(
            [
                "<div>",
                f"<p><b>{html.escape(_line(self.title))}</b></p>",
                "<table>",
                *([f"<thead><tr>{''.join(head)}</tr></thead>"] if head else []),
                f"<tbody>{chr(10).join(rows)}</tbody>",
                "</table>",
                *(f"<p>{html.escape(line)}</p>" for line in self._below()),
                "</div>",
            ]
        )

    def _cells(self) -> list[list[str]]:
        """Return the text of the cells; the floats of a column have equally many decimals."""
        if not self.header:
            return [[_cell(value) for value in row] for row in self.rows]
        decimals = [_decimals([row[k] for row in self.rows]) for k in range(len(self.header))]
        return [
            [_cell(value, places) for value, places in zip(row, decimals, strict=True)]
            for row in self.rows
        ]

    def _of_numbers(self, column: int) -> bool:
        """Return whether a column of a table with a header has numbers alone."""
        values = [row[column] for row in self.rows] if self.header else [""]
        return all(value is None or _is_number(value) for value in values)

    def _below(self) -> list[str]:
        more = [f"... and {self.more:,} more"] if self.more > 0 else []
        return [*more, *map(printable, self.notes)]


def _is_number(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _decimals(values: Sequence[Any]) -> int | None:
    """Return 4 decimals, or those that give a largest value above 10 four digits, if any fit."""
    floats = [abs(float(value)) for value in values if _is_float(value)]
    largest = max((value for value in floats if math.isfinite(value)), default=0.0)
    if not 1e-3 <= largest < 1e6:
        return None
    return 4 if largest < 10 else max(0, 3 - math.floor(math.log10(largest)))


def _is_float(value: Any) -> bool:
    return _is_number(value) and not isinstance(value, numbers.Integral)


def _cell(value: Any, decimals: int | None = None) -> str:
    """Return a value in one line."""
    if value is None:
        return "-"
    if not _is_float(value):
        return _line(value)
    if decimals is not None:
        return f"{value:.{decimals}f}"
    return f"{value:.4g}" if abs(value) < 1e4 or not math.isfinite(value) else f"{value:,.0f}"


def _line(value: Any) -> str:
    """Return a value as one line without unprintable characters, cut to its first ones."""
    text = printable(" ".join(str(value).split()) or str(value))
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
