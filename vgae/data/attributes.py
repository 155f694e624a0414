"""Tables of nodes: a row for each node with its name, its attributes of any type, its label."""

import logging
import math
import re
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vgae.data.column_files import FEATHER, opened
from vgae.data.dialects import TextTable, open_table
from vgae.data.packed import unpacked_name
from vgae.data.parquet import coded_names, column_cells
from vgae.data.reading import Reading
from vgae.data.text import typed_names
from vgae.errors import DataError, nearest
from vgae.graphs.cells import Cells, category_of, texts_of
from vgae.graphs.column_names import NODE_NAMES, key_of
from vgae.graphs.encoding import not_numbers
from vgae.graphs.graph import NodeId
from vgae.graphs.graph_nodes import GraphNodes, graph_texts
from vgae.runtime.numerals import is_decimal, is_integer, is_missing, is_number, parse_number
from vgae.runtime.tables import plain_names

log = logging.getLogger(__name__)

FORMATS = (".csv", ".tsv", ".txt", ".parquet", *FEATHER)
"""Suffixes of tables; those of text also with ``.gz``."""

_SAVED_INDEX = "__index_level_0__"  # of pandas, in parquet
_INDEX = re.compile(rf"|unnamed: 0|index|{_SAVED_INDEX}", re.IGNORECASE)
_MOST_CELLS = 5_000_000  # that are read again to say how to encode them
_TRUTH = {"true": 1.0, "false": 0.0}


@dataclass(frozen=True, eq=False)
class NodeTable:
    """A table with a row for each of N nodes.

    Attributes:
        names: Name of each node.
        id_column: Name of the column of the names.
        columns: Cells of each column, by name, in the order of the file; if only numbers were
            asked for, those of names and labels alone.
        attributes: Names of the columns that are neither names, labels nor an index.
        x: Numbers of the attributes, float32, shape ``(N, F)``, if they were asked for.
        graphs: Name of the graph of each node, if the table has ``reading.graph_column``.
    """

    names: Sequence[NodeId]
    id_column: str
    columns: Mapping[str, Cells]
    attributes: tuple[str, ...]
    x: np.ndarray | None = None
    graphs: Sequence[str] | None = None


class _Roles(NamedTuple):
    """Positions of columns: of names, labels, graphs, and of what may be an index."""

    names: int
    label: int | None
    graph: int | None
    counter: int | None


def read_node_table(
    path: Path, reading: Reading, *, numeric: bool, announce: bool = True
) -> NodeTable:
    """Read a table of nodes from text (a header, then a line for each node) or parquet.

    The names are in the column ``reading.id_column``; or in the one named id, node_id, node or
    name (case, blanks, ``_`` and ``:`` do not count), or else in the first. An unnamed first
    column of whole numbers beside it is the index of a table, and left out.

    Args:
        path: The file.
        reading: Options.
        numeric: Whether to read the attributes as numbers only.
        announce: Whether to log what the table holds.

    Raises:
        UsageError: ``ENCODING``; ``MISSING_PACKAGE`` without pyarrow.
        DataError: ``ID_COLUMN`` or ``LABEL_COLUMN`` if there is no such column; ``FEATURE_DTYPE``
            with all columns that are not numbers; ``FEATURE_HEADER``; ``FIELDS``; ``NODE_ID``; or
            as the reader of the format.
    """
    has_columns = unpacked_name(path).suffix.lower() in (".parquet", *FEATHER)
    table = (_from_parquet if has_columns else _from_text)(path, reading, numeric=numeric)
    if "" in table.names:
        raise DataError(
            "NODE_ID",
            f"row {table.names.index('') + 1}: the name of a node must not be empty"
            f"{of_column(table.id_column)}.",
        )
    what = "%s: %d attributes of %d nodes, named by column %r"
    level = logging.INFO if announce else logging.DEBUG
    log.log(level, what, path, len(table.attributes), len(table.names), table.id_column)
    return table


def of_column(name: str | None) -> str:
    """Return that the names may be in another column than the one of a table, if it is one."""
    rule = "id_column (--id-column) chooses another one"
    return "" if name is None else f"; the names are those of column {name!r:.60}: {rule}"


def label_codes(cells: Cells, column: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return the label of each node, int64, -1 if missing, and the names of the labels, sorted.

    Integers are sorted by value.

    Raises:
        DataError: ``LABELS`` if all are missing.
    """
    texts = list(map(category_of, texts_of(cells)))
    found = {text for text in texts if text is not None}
    if not found:
        raise DataError("LABELS", f"column {column!r:.60} of the labels has no values.")
    if len(found) == len(texts) > 1:
        log.warning("each node has a label of its own in column %r", column)
    log.info("column %r: %d labels, %d missing", column, len(found), texts.count(None))
    names = sorted(found, key=int) if all(map(is_integer, found)) else sorted(found)
    place: dict[str | None, int] = {name: k for k, name in enumerate(names)}
    return np.array([place.get(text, -1) for text in texts], np.int64), tuple(names)


def _from_text(path: Path, reading: Reading, *, numeric: bool) -> NodeTable:
    text = _opened(path, reading)
    header = text.names or []
    header = header if numeric else _different(header)
    roles = _roles(header, reading)
    special = (roles.names, roles.label, roles.graph, roles.counter)
    kept: dict[int, list[Any]] = {k: [] for k in range(len(header)) if not numeric or k in special}
    places = [k for k in range(len(header)) if k not in special[:3]]
    features = [header[k] for k in places]
    odd = _OddCells(features, text.delimiter != ",", reading.missing_features == "impute")
    values = _collected(text.records, kept, places if numeric else [], odd)
    text.log_comments()
    names = typed_names(plain_names(kept[roles.names]))
    if not names:
        raise DataError("FEATURE_SHAPE", "it has no rows.")
    index = roles.counter
    if index is not None and not _is_index(header[index], kept[index]):
        index = None
    if odd.refused:
        columns = {}
        if len(names) * len(header) <= _MOST_CELLS:
            again = _from_text(path, reading, numeric=False)
            columns = {name: again.columns[name] for name in again.attributes}
        raise not_numbers(odd.refused, columns, odd.hint + _may_be_names(odd.refused))
    if odd.comma:
        log.info("%s: commas in numbers such as %s are decimal signs", path, odd.comma)
    x = np.frombuffer(values, np.float32).reshape(len(names), len(places)) if numeric else None
    if index is not None:
        log.info("%s: the first column is the index of a table, and left out", path)
        x = None if x is None else np.delete(x, places.index(index), axis=1)
        places.remove(index)
    columns: dict[str, Cells] = {header[k]: kept[k] for k in kept if k != index}
    if not numeric and text.delimiter != ",":
        columns = {name: _with_points(name, cells) for name, cells in columns.items()}
    table = NodeTable(
        names,
        header[roles.names],
        columns,
        tuple(header[k] for k in places),
        x if places else None,
    )
    return table if roles.graph is None else _of_graphs(table, header[roles.graph])


def _of_graphs(table: NodeTable, column: str) -> NodeTable:
    """Return a table with the names ``GRAPH:NODE`` and the graphs of the nodes."""
    cells = ["" if text is None else text for text in texts_of(table.columns[column])]
    graphs = graph_texts(cells, "the table", column)
    columns = {name: cells for name, cells in table.columns.items() if name != column}
    names = GraphNodes().named(graphs, table.names)
    return replace(table, names=names, graphs=graphs, columns=columns)


def _collected(
    records: Iterator[tuple[int, list[str]]],
    kept: Mapping[int, list[Any]],
    places: Sequence[int],
    odd: "_OddCells",
) -> array:
    """Append the cells of records to columns, and return the numbers of other columns."""
    values = array("f")
    for number, cells in records:
        for k, column in kept.items():
            column.append(cells[k])
        own = [cells[k] for k in places]
        try:
            values.extend([parse_number(cell) for cell in own])
        except ValueError:
            values.extend(odd.numbers(own, f"line {number}"))
    return values


def _different(header: Sequence[str]) -> list[str]:
    """Return different names of columns: a name again gets a number, as in pandas."""
    counts: Counter[str] = Counter()
    known, names = {*header}, []
    for name in header:
        again = name
        while counts[name] and again in known:
            again = f"{name}.{counts[name]}"
            counts[name] += 1
        counts[name] += not counts[name]
        known.add(again)
        names.append(again)
    if twice := {*names} - {*header}:
        log.warning("columns with the name of another one are read as %r ...", min(twice))
    return names


def _opened(path: Path, reading: Reading) -> TextTable:
    """Return a text with the names of its columns."""
    own = Reading(encoding=reading.encoding, comment=reading.comment)
    table = open_table(path, own, header=True)
    if table.names is None:
        next(table.records, None)  # raises if the first record is damaged
    header = table.names or []
    named = bool(header) and key_of(header[0]) in NODE_NAMES
    if len(header) < 2 or (all(map(is_number, header[1:])) and not named):
        raise DataError(
            "FEATURE_HEADER",
            f"{path}, line {table.header}: expected a header, a column of nodes and then the names"
            f" of the features, got {','.join(header)!r:.60}.",
        )
    if len(header) > 2 and header[-1] == "":
        table.trailing, table.width = 1, len(header) - 1
    table.names = plain_names(header[: table.width])
    return table


class _OddCells:
    """Cells that are no plain numbers: truth values and decimal commas, and those to refuse."""

    def __init__(self, names: Sequence[str], has_commas: bool, impute: bool) -> None:  # noqa: FBT001
        self._names, self._has_commas, self._impute = names, has_commas, impute
        self.refused: dict[str, str] = {}
        self.comma = ""
        self.hint = ""

    def numbers(self, cells: Sequence[str], where: str) -> list[float]:
        """Return the numbers of a row, NaN for a cell that is none."""
        return [self._number(k, cell, where) for k, cell in enumerate(cells)]

    def _number(self, k: int, cell: str, where: str) -> float:
        if is_number(cell):
            return parse_number(cell)
        if cell.casefold() in _TRUTH:
            return _TRUTH[cell.casefold()]
        if self._has_commas and is_decimal(cell):
            self.comma = self.comma or cell
            return float(cell.replace(",", "."))
        if is_missing(cell):
            if self._impute:
                return math.nan
            self.hint = (
                "; missing_features='impute' (--missing-features impute) leaves missing cells out"
            )
        self.refused.setdefault(self._names[k], f"{cell!r:.60} in {where}")
        return math.nan


def _with_points(name: str, cells: Cells) -> Cells:
    """Return a column of numbers with decimal commas as one with decimal points."""
    texts = [text for text in texts_of(cells) if text is not None]
    commas = [text for text in texts if is_decimal(text) and not is_number(text)]
    if not commas or not all(is_number(text.replace(",", ".", 1)) for text in texts):
        return cells
    log.info("column %r: commas in numbers such as %s are decimal signs", name, commas[0])
    return [str(cell).replace(",", ".") for cell in cells]


def _from_parquet(path: Path, reading: Reading, *, numeric: bool) -> NodeTable:
    with opened(path) as file:
        header, x = file.schema.names, None
        if len(set(header)) != len(header) or file.num_rows == 0:
            raise DataError(
                "PARQUET_COLUMNS",
                f"it must have rows, and columns of different names, got {file.num_rows} rows.",
            )
        roles = _roles(header, reading)
        rest = [name for k, name in enumerate(header) if k not in roles]
        in_file = numeric and reading.missing_features != "impute"
        in_file = in_file and file.are_large_numbers(rest)
        table = file.table({*header}.difference(rest) if in_file else None)
        # Reading does not check this: text must be UTF-8.
        table.validate(full=True)
        known, codes = _coded_names(table, header[roles.names], is_given=bool(reading.id_column))
        columns = {name: column_cells(table, name) for name in table.column_names}
        if roles.counter is not None and _is_index(name := header[roles.counter], columns[name]):
            log.info("%s: column %r is an index, and left out", path, name)
            del columns[name]
        elif roles.counter is not None:
            rest = [name for k, name in enumerate(header) if k not in roles[:3]]
        x = file.numbers(rest) if in_file else None
    own = (roles.names, roles.label, roles.graph)
    special = {header[k] for k in own if k is not None}
    attributes = tuple(rest if in_file else (name for name in columns if name not in special))
    if numeric and attributes and not in_file:
        x = np.empty((table.num_rows, len(attributes)), np.float32)
        odd = {
            name: f"of type {table[name].type}"
            for name in attributes
            if not isinstance(columns[name], np.ndarray)
        }
        if odd:
            texts = {name: columns[name] for name in attributes}
            raise not_numbers(odd, texts, _may_be_names(odd))
        with np.errstate(over="ignore"):
            for place, name in enumerate(attributes):
                x[:, place] = columns[name]
    names = [known[code] for code in codes]
    found = NodeTable(names, header[roles.names], columns, attributes, x)
    return found if roles.graph is None else _of_graphs(found, header[roles.graph])


def _coded_names(table: Any, column: str, *, is_given: bool) -> tuple[list[Any], np.ndarray]:
    """Return the distinct names in a column, and the place among them of each row."""
    try:
        return coded_names(table, [column])
    except DataError as error:
        if is_given or error.code != "NODE_ID":
            raise
        rule = "id_column (--id-column) chooses the column of the names"
        what = str(error).rstrip(".")
        raise DataError(
            "NODE_ID", f"{what}; {rule}; features without names, row i of node i, are a .npy."
        ) from None


def _roles(header: Sequence[str], reading: Reading) -> _Roles:
    """Return the roles of columns by their names."""
    column = reading.graph_column
    graph = None if column is None else _position(header, column, "graph_column")
    canonical = ["" if k == graph else key_of(name) for k, name in enumerate(header)]
    given = _position(header, reading.id_column, "id_column")
    # Neo4j writes personId:ID.
    ids = [k for k, name in enumerate(header) if name.endswith(":ID")]
    found = [canonical.index(role) for role in NODE_NAMES if role in canonical] + ids
    saved = [k for k, name in enumerate(header) if name == _SAVED_INDEX]
    first = 1 if graph == 0 and len(header) > 1 else 0
    names = given if given is not None else (found or saved or [first])[0]
    label = _position(header, reading.label_column, "label_column")
    if label == names:
        raise DataError(
            "LABEL_COLUMN",
            f"column {header[names]!r:.60} has the names of the nodes and cannot be their labels.",
        )
    index = next((k for k in (0, *saved) if _INDEX.fullmatch(header[k])), None)
    return _Roles(names, label, graph, None if index in (names, label, graph) else index)


def _may_be_names(columns: Iterable[str]) -> str:
    """Return the option for one of these columns that may have the names of the nodes."""
    found = next((name for name in columns if key_of(name) in NODE_NAMES), None)
    option = f"id_column={found!r:.60} (--id-column)"
    return "" if found is None else f"; if {found!r:.60} is the name of the node: {option}"


def _position(header: Sequence[str], name: str | None, option: str) -> int | None:
    """Return the position of a column that an option names."""
    if name is None or name in header:
        return None if name is None else header.index(name)
    near = nearest(name, header)
    shown = ", ".join(f"{column!r:.60}" for column in header[:10])
    hint = f"did you mean {near!r:.60}?" if near else f"it has {shown}."
    flag = option.replace("_", "-")
    raise DataError(
        option.upper(), f"{option} (--{flag}) is {name!r:.60}, and there is no such column; {hint}"
    )


def _is_index(name: str, cells: Cells) -> bool:
    """Return whether a column is the index of a table: whole numbers, all different."""
    texts = texts_of(cells)
    if all(text and text.isdecimal() for text in texts) and len({*texts}) == len(texts):
        return True
    if name == "":
        raise DataError(
            "FEATURE_HEADER",
            "the first column has no name in the header, and is no index of whole numbers; give it"
            " a name, or make it the names of the nodes: call it id.",
        )
    return False
