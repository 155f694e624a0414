"""Roles of the columns of an edge list: source, target, weight, time."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from vgae.errors import DataError, nearest, printable
from vgae.graphs.column_names import (
    are_of_two_kinds,
    is_id,
    is_index,
    is_label,
    is_no_weight,
    is_usual_pair,
    is_weight,
    key_of,
    pairs_of,
)
from vgae.runtime.numerals import is_decimal, is_missing, is_running

# Columns of vgae.prediction.LinkTable beside the names and the score.
_PREDICTED = {
    f"{prior}probability{end}" for prior in ("", "balanced_") for end in ("", "_low", "_high")
} | {"rank", "known", "expected_weight", "weight_low", "weight_high", "positive"}
LINK = ("1", "1.0", "True", "true", "TRUE")
NO_LINK = ("0", "0.0", "False", "false", "FALSE")


class Chosen(Protocol):
    """Options for columns; for their meaning see :class:`vgae.data.reading.Reading`."""

    @property
    def columns(self) -> Sequence[str] | None:
        """Names of the columns."""

    @property
    def weight(self) -> str | None:
        """Name of the column of the weights."""

    @property
    def time(self) -> str | None:
        """Name of the column of the times."""


@dataclass(frozen=True)
class Roles:
    """Positions of the columns of an edge list.

    Attributes:
        source: Column of the first name.
        target: Column of the second name.
        weight: Column of the weights, or of numbers that may be; ``None`` without one.
        sure: Whether the column is one of weights by its name or by an option. Else its values
            decide, see :func:`vgae.graphs.weights.doubt`.
        refused: Whether its name is no name of weights, so that it is read for its range alone.
        time: Column of the times.
        direction: Column ``Type`` of Gephi, with ``Directed`` or ``Undirected``.
        label: Column of numbers 0 and 1, of which 0 may mark pairs without a link.
        names: Name of each column; ``None`` without names.
        known: Whether the names are known as those of two ends.
    """

    source: int
    target: int
    weight: int | None = None
    sure: bool = True
    refused: bool = False
    time: int | None = None
    direction: int | None = None
    label: int | None = None
    names: tuple[str, ...] | None = None
    known: bool = True

    def name(self, column: int) -> str:
        """Return the name of a column, or else its number."""
        return f"column {column + 1}" if self.names is None else self.names[column]

    def left_out(self) -> list[str]:
        """Return the names of the columns that have no role."""
        used = {self.source, self.target, self.time, None if self.refused else self.weight}
        left = [name for column, name in enumerate(self.names or ()) if column not in used]
        return [name or "a column without a name" for name in left]


@dataclass(frozen=True, eq=False)
class Columns:
    """Names and first values of the columns of a table, which decide their roles.

    Attributes:
        names: Name of each column by a header; ``None`` without one.
        sample: Fields of the first records.
        where: File and line, for messages.
        chosen: Options.
        separated: Text on the separator, for messages.
        in_frame: Whether it is a data frame, for messages.
    """

    names: tuple[str, ...] | None
    sample: Sequence[Sequence[str]]
    where: str
    chosen: Chosen
    separated: str = ""
    in_frame: bool = False

    @property
    def width(self) -> int:
        """Number of columns."""
        return len(self.sample[0] if self.names is None else self.names)

    def roles(
        self,
        *,
        positional: Sequence[str] | None = None,
        ends: tuple[str, str] | None = None,
    ) -> Roles:
        """Return the roles of the columns.

        Args:
            positional: Names of the columns by their position, where the format defines them.
            ends: Names of the columns of source and target, if they are given.

        Raises:
            DataError: ``COLUMNS`` if an option names no column, or if several columns fit a role;
                ``FIELDS`` if names do not decide; ``TIME_COLUMN``; ``FRAME_COLUMNS`` for each of
                these in a data frame.
        """
        selected = self.chosen.columns
        if self.names is None and selected is not None:
            positional = self._by_position(selected)
        names = self.names
        if names is None and positional is not None:
            names = tuple(positional[: self.width])
        if names is None:
            return self._unnamed()
        time = None if self.chosen.time is None else self._time(self.chosen.time, names)
        chosen = [column for column in range(len(names)) if column != time]
        if ends is not None:
            found = Roles(self._place(ends[0], names), self._place(ends[1], names))
        elif self.names is not None and selected is not None:
            found = self._selected(names, selected)
        else:
            pair = self._pair(names, chosen)
            found = self._in_order(names, chosen) if pair is None else Roles(*pair)
        rest = [column for column in chosen if column not in (found.source, found.target)]
        directs = [column for column in rest if self._directs(names[column], column)]
        found = replace(found, time=time, names=names, direction=directs[0] if directs else None)
        if (wanted := self.chosen.weight) == "none":
            return replace(found, weight=None, sure=True)
        if wanted is not None:
            return replace(found, weight=self._place(wanted, names), sure=True)
        if self.names and selected:
            return found
        labels = [column for column in rest if self._labels(names[column], column)]
        found = replace(found, label=labels[0] if labels else None)
        return found if found.weight is not None else self._with_weight(found, rest)

    def _unnamed(self) -> Roles:
        """Return the roles without names: two columns, perhaps a third of weights."""
        first = (" " if "white" in self.separated else ",").join(self.sample[0])
        names = ["source", "target", *(f"c{k}" for k in range(3, self.width + 1))]
        if self.width not in (2, 3):
            cure = f" name each column, {self._select(names)} ('weight' for weights), or"
            raise self._error(
                "FIELDS",
                f"expected 2 or 3 fields{self.separated}, got {self.width}: {first!r:.60};"
                f"{cure if self.width > 3 else ''} delimiter=... (--delimiter) sets another"
                " separator",
            )
        wanted = self.chosen.weight
        if wanted not in (None, "none"):
            names = [*names[:2], "weight"]
            raise self._error(
                "COLUMNS",
                f"weight={wanted!r:.60} names a column, and there is no header; name the columns,"
                f" {self._select(names)}",
            )
        if self.chosen.time is not None:
            self._time(self.chosen.time, ())
        if self.width == 2:
            return Roles(0, 1)
        if (relation := self._relation()) is not None:
            names = ["source", "target"]
            names.insert(relation, "relation")
            raise self._error(
                "COLUMNS",
                f"the {('second', 'third')[relation - 1]} of 3 fields looks like a relation, got"
                f" {first!r:.60}; {self._select(names)} reads the links without it",
            )
        return Roles(0, 1) if wanted == "none" else Roles(0, 1, weight=2, sure=False)

    def _relation(self) -> int | None:
        """Return which of three columns holds text that names no nodes; ``None`` without one."""
        records = [record for record in self.sample if len(record) == 3]
        first, second, third = ({record[column] for record in records} for column in range(3))
        if self.is_numeric(2):
            text = self.is_numeric(0) and not any(map(is_decimal, second))
            return 1 if text and second.isdisjoint(first | third) else None
        if any(is_decimal(text) or is_missing(text) for text in third):
            return None  # weights, some of them damaged
        if third.isdisjoint(first | second) and not first.isdisjoint(second):
            return 2
        if second.isdisjoint(first | third) and not first.isdisjoint(third):
            return 1
        return 1 if len(second) < len(third) else 2

    def _by_position(self, columns: Sequence[str]) -> Sequence[str]:
        """Return the names of the columns of a table without a header."""
        both = {"source", "target"} <= set(map(key_of, columns))
        if len(columns) != self.width or not (both or len(columns) in (2, 3)):
            names = ["source", "target", *(f"c{k}" for k in range(3, self.width + 1))]
            raise self._error(
                "COLUMNS",
                f"columns has {len(columns)} names, {','.join(columns)!r:.60}, and a line without"
                f" a header has {self.width} fields{self.separated}; name each of them, two of"
                f" them source and target, {self._select(names)}",
            )
        return columns if both else ("source", "target", "weight")

    def _selected(self, names: tuple[str, ...], columns: Sequence[str]) -> Roles:
        """Return the roles of the columns that are selected by name."""
        places = [self._place(name, names) for name in columns]
        pair = self._pair(names, places)
        if len(set(places)) != len(places) or not (2 <= len(places) <= 3 or pair):
            raise self._error(
                "COLUMNS",
                "columns must name those of source, target and optionally weight, got"
                f" {','.join(columns)!r:.60}",
            )
        by_role = pair is not None and is_usual_pair([names[place] for place in places])
        source, target = pair if pair and by_role else places[:2]
        rest = [place for place in places if place not in (source, target)]
        weights = rest if len(rest) == 1 else [c for c in rest if is_weight(names[c])]
        return Roles(source, target, weights[0] if weights else None, known=pair is not None)

    def _place(self, name: str, names: tuple[str, ...]) -> int:
        """Return the position of a column by its name, or raise."""
        keys = [key_of(column) for column in names]
        for wanted, known in ((name, list(names)), (key_of(name), keys)):
            if known.count(wanted) == 1:
                return known.index(wanted)
        near = nearest(name, names)
        hint = "." if near is None else f"; did you mean {near!r:.60}?"
        count = "no column" if name not in names else "more than one column"
        hint = "; rename one of them." if name in names else hint
        listed = ", ".join(map(repr, names))
        raise self._error("COLUMNS", f"there is {count} {name!r:.60} among {listed:.200}{hint}")

    def _pair(self, names: tuple[str, ...], among: Sequence[int]) -> tuple[int, int] | None:
        """Return the columns of source and target by their names; ``None`` without such names."""
        found = pairs_of(names, among)
        if len(found) > 1:
            listed = " and ".join(f"{names[a]},{names[b]}" for a, b in found[:3])
            pair = [names[column] for column in found[0]]
            cure = f"select two of them, {self._select(pair)}"
            if len(set(pair)) < 2 or len({names[c] for p in found for c in p}) < 3:
                cure = "rename some of them"
            raise self._error(
                "COLUMNS", f"several columns may be the ends of links, {listed:.120}; {cure}"
            )
        return found[0] if found else None

    def _in_order(self, names: tuple[str, ...], chosen: Sequence[int]) -> Roles:
        """Return the roles of columns with other names, by their order, if it is certain.

        Raises:
            DataError: ``FIELDS`` unless they are two, and a third for weights.
        """
        rest = [c for c in chosen if c or not (is_index(names[c]) and self._is_index(names[c], c))]
        nodes = self._are_nodes(names, rest)
        wanted = self.chosen.weight
        if wanted not in (None, "none"):
            weights = [self._place(wanted, names)]
        else:
            weights = [column for column in rest if is_weight(names[column])]
            if not weights and len(rest) == 3 and self.is_numeric(rest[2]):
                weights = [] if is_no_weight(names[rest[2]]) else rest[2:]
        ends = [column for column in rest if column not in weights]
        if len(ends) == 2 and len(weights) < 2 and not nodes:
            return Roles(ends[0], ends[1], known=False)
        ends = ends[1:] if nodes and len(ends) > 2 else ends
        pair = [names[column] for column in (ends if len(ends) > 1 else chosen)[:2]]
        if self.in_frame:
            listed = ", ".join(map(repr, names)) or "none"
            raise self._error(
                "FRAME_COLUMNS",
                f"it is not clear which of the columns, {listed:.200}, have the ends of the edges;"
                f" name them, as in {self._select(pair if len(pair) == 2 else ['a', 'b'])}",
            )
        cure = f"; select them, {self._select(pair)}" if len(pair) == 2 else ""
        if len(pair) == 2 and are_of_two_kinds(*pair):
            cure += ", and, if they are numbers of different things, two_sided=True (--two-sided)"
        if nodes:
            cure += "; a table of nodes is read as features=... (--features)"
        raise self._error(
            "FIELDS",
            f"expected 2 or 3 fields{self.separated}, or a header with names such as source and"
            f" target, got {self.width} fields under the header {','.join(names)!r:.90}{cure}",
        )

    def _are_nodes(self, names: tuple[str, ...], columns: Sequence[int]) -> bool:
        """Return whether the rows are hardly links, but nodes with an id and attributes."""
        if len(columns) < 2 or not is_id(names[columns[0]]) or is_id(names[columns[1]]):
            return False
        if len(columns) > 2:
            return True
        first, second = ([record[column] for record in self.sample] for column in columns)
        return len({*first}) == len(first) > 2 and {*first}.isdisjoint(second)

    def _with_weight(self, found: Roles, rest: Sequence[int]) -> Roles:
        """Add the column of weights by its name, or one whose values may be weights."""
        names = found.names or ()
        others = {names[column] for column in rest}
        if "score" in others and len(rest) > 1 and others <= {"score", *_PREDICTED}:
            return found
        words = [column for column in rest if is_weight(names[column])]
        best = [column for column in words if key_of(names[column]) == "weight"] or words
        if len(best) > 1:
            listed, name = ", ".join(names[column] for column in best), names[best[0]]
            flags = ("", "") if self.in_frame else (f" (--weight {name:.60})", " (--weight none)")
            raise self._error(
                "COLUMNS",
                f"several columns may be weights, {listed:.120}; weight={name!r:.60}{flags[0]}"
                f" takes one of them, weight='none'{flags[1]} no weights",
            )
        if best:
            return replace(found, weight=best[0])
        left = [column for column in rest if not self._is_index(names[column], column)]
        if self.names is None or len(left) != 1 or not self.is_numeric(left[0]):
            return found
        refused = is_no_weight(names[left[0]]) or left[0] < max(found.source, found.target)
        return replace(found, weight=left[0], sure=False, refused=refused)

    def is_numeric(self, column: int) -> bool:
        """Return whether a column has numbers in the sample, and no other text."""
        values = [record[column] for record in self.sample if column < len(record)]
        found = [value for value in values if not is_missing(value)]
        return bool(found) and all(map(is_decimal, found))

    def _is_index(self, name: str, column: int) -> bool:
        """Return whether a column is the index of a table: integers, each one more."""
        if not (is_index(name) or is_id(name)):
            return False
        values = [record[column] for record in self.sample if column < len(record)]
        return is_running(values, strict=not is_index(name))

    def _directs(self, name: str, column: int) -> bool:
        values = {record[column].casefold() for record in self.sample if column < len(record)}
        return key_of(name) in ("type", "edgetype") and values <= {"directed", "undirected"}

    def _labels(self, name: str, column: int) -> bool:
        values = {record[column] for record in self.sample if column < len(record)}
        return is_label(name) and values != set() and values <= {*LINK, *NO_LINK}

    def _time(self, name: str, names: Sequence[str]) -> int:
        """Return the position of the column of the times, or raise."""
        if names.count(name) != 1:
            listed = f"{', '.join(map(repr, names)) or 'no header':.120}"
            what = f"the header must have one column {name!r:.60} with the times, got {listed}"
            raise self._error("TIME_COLUMN", what)
        return names.index(name)

    def _select(self, names: Sequence[str]) -> str:
        """Return the option that selects columns."""
        if self.in_frame:
            given = zip(("source", "target"), names, strict=False)
            given = ", ".join(f"{end}={name!r:.60}" for end, name in given)
            return f"{given} (in read_graph, columns={tuple(names)!r:.200})"
        return _option("columns", names)

    def _error(self, code: str, what: str) -> DataError:
        code = "FRAME_COLUMNS" if self.in_frame else code
        return DataError(code, f"{self.where}: {printable(what)}{'' if what[-1] in '.?' else '.'}")


def refuse_labels(values: Collection[str], roles: Roles, place: str) -> None:
    """Raise ``LABELS`` if the values of the column of labels are 0 and 1, or 0 alone."""
    if roles.label is None or not {*values} <= {*LINK, *NO_LINK} or {*values} <= {*LINK}:
        return
    name = roles.name(roles.label)
    pair = [roles.name(roles.source), roles.name(roles.target)]
    raise DataError(
        "LABELS",
        f"{place}: column {name!r:.60} has 0 and 1, and 0 may mark pairs without a link; keep the"
        f" rows of 1 alone, or read all rows as links, {_option('columns', pair)}.",
    )


def _option(name: str, values: Sequence[str]) -> str:
    """Return an option with names in Python and on the command line."""
    listed = ",".join(values)
    python = f"{name}={tuple(values)!r:.200}"
    if not listed.isprintable() or any("," in value or "'" in value for value in values):
        return python
    quoted = f"'{listed}'" if re.search(r"[^\w,.:-]", listed) else listed
    return f"{python} (--{name} {quoted:.200})"
