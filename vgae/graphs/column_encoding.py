"""Encoding of one column of a table as numbers."""

import logging
import math
import shlex
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, cast

import numpy as np
import scipy.sparse as sp

from vgae.errors import DataError
from vgae.graphs.cells import (
    KINDS,
    Cells,
    Kind,
    Refused,
    category_of,
    is_identifier,
    kind_of,
    texts_of,
    values_of,
)

log = logging.getLogger(__name__)

_HASHED = 64  # features of a column of hashed text


@dataclass(frozen=True)
class ColumnEncoder:
    """Encoding of one column.

    Attributes:
        name: Name of the column.
        kind: ``"number"``: ``(v - mean) / scale``; ``"boolean"``: 0 or 1; ``"category"``: a
            feature ``name=value``, 0 or 1, for each of the categories; ``"date"`` (ISO 8601),
            ``"date-dmy"`` and ``"date-mdy"`` (day or month first): days as numbers; ``"hash"``:
            64 features ``name#k`` of hashed words; ``"drop"``: none.
        mean: Mean in the table of the fit.
        scale: Standard deviation in the table of the fit.
        categories: Categories, sorted.
        other: Whether a feature ``name=other`` counts the other values of a category.
        missing: Whether a feature ``name=missing`` marks missing cells, which are 0 in the rest.
    """

    name: str
    kind: Kind
    mean: float = 0.0
    scale: float = 1.0
    categories: tuple[str, ...] = ()
    other: bool = False
    missing: bool = False

    @property
    def feature_names(self) -> list[str]:
        """Names of the features of this column."""
        if self.kind == "drop":
            return []
        values = [*self.categories, *(["other"] if self.other else [])]
        names = [f"{self.name}={value}" for value in values]
        if self.kind == "hash":
            names = [f"{self.name}#{k}" for k in range(_HASHED)]
        elif self.kind != "category":
            names = [self.name]
        return names + ([f"{self.name}=missing"] if self.missing else [])

    def transform(self, cells: Cells) -> Any:
        """Return the features of each cell, ``(N, F)``, sparse for categories and hashed text.

        Raises:
            ValueError: If a cell is not of this kind.
        """
        if self.kind == "hash":
            from sklearn.feature_extraction.text import HashingVectorizer  # takes a while

            return HashingVectorizer(n_features=_HASHED).transform(
                [text or "" for text in texts_of(cells)]
            )
        if self.kind == "category":
            return self._one_hot(cells)
        values = values_of(cells, self.kind)
        absent = np.isnan(values)
        with np.errstate(over="ignore", invalid="ignore"):
            values = np.where(absent, 0.0, (values - self.mean) / self.scale)
        return np.stack([values, absent] if self.missing else [values], axis=1)

    def differences(self, cells: Cells) -> list[str]:
        """Return what these cells have that those of the fit did not have, as text."""
        if self.kind in ("hash", "drop"):
            return []
        found, texts = [], texts_of(cells)
        absent = sum(text is None for text in texts)
        if absent and not self.missing:
            as_what = {"category": "no category", "boolean": "no"}.get(self.kind, "the mean")
            found.append(f"{absent} missing cells, which had none before, count as {as_what}")
        known = {None, *self.categories}
        new = [text for text in map(category_of, texts) if text not in known]
        if new and self.kind == "category":
            as_what = f"{self.name}=other" if self.other else "no category"
            such = f"such as {new[0]!r:.60}"
            found.append(f"{len(new)} cells without a category of their own, {such}: {as_what}")
        return found

    def _one_hot(self, cells: Cells) -> sp.csr_array:
        place: dict[Any, int] = {value: k for k, value in enumerate(self.categories)}
        width = len(self.feature_names)
        if self.missing:
            place[None] = width - 1
        other = len(self.categories) if self.other else -1
        values = map(category_of, texts_of(cells))
        codes = np.array([place.get(v, -1 if v is None else other) for v in values])
        rows = np.flatnonzero(codes >= 0)
        entries = np.ones(len(rows)), (rows, codes[rows])
        return sp.coo_array(entries, shape=(len(codes), width)).tocsr()


def fitted_column(name: str, cells: Cells, given: Any) -> ColumnEncoder:
    """Fit the encoding of a column, of the given kind or of its own.

    Raises:
        Refused: If it is not of that kind, or of none.
        DataError: ``FEATURE_NONFINITE``.
    """
    kind: Kind = given or kind_of(cells)
    column = ColumnEncoder(name, kind)
    if kind == "drop" and given is None:
        log.info("%r is constant or empty, and left out", name)
    if kind in ("hash", "drop"):
        return column
    if kind == "category":
        return _fitted_categories(name, cells)
    try:
        values = values_of(cells, kind)
    except ValueError as error:
        raise Refused(f"is no {kind}: {error}", "drop") from None
    present = values[~np.isnan(values)]
    missing = len(present) < len(values)
    if not len(present):
        raise Refused("has no values", "drop")
    if kind == "boolean":
        return ColumnEncoder(name, kind, missing=missing)
    try:
        # Exact sums, so that the same table is the same features on each machine.
        mean = math.fsum(present) / len(present)
        with np.errstate(over="ignore"):
            scale = math.sqrt(math.fsum((present - mean) ** 2) / len(present))
    except (OverflowError, ValueError):  # of infinities
        mean = scale = math.inf
    if not math.isfinite(mean + scale):
        raise DataError("FEATURE_NONFINITE", f"the numbers of {name!r:.60} are too large.")
    if given is None and kind == "number" and is_identifier(values):
        log.warning(
            "%r is another whole number in each row; if these are identifiers, leave it out: %s",
            *(name, remedy({name: "drop"})),
        )
    return ColumnEncoder(name, kind, mean, scale or 1.0, missing=missing)


def _fitted_categories(name: str, cells: Cells) -> ColumnEncoder:
    """Return the encoding of a column of categories, the rare ones pooled."""
    counts = Counter(map(category_of, texts_of(cells)))
    missing = counts.pop(None, 0) > 0
    least = max(2.0, len(cells) / 100)
    if sum(count for count in counts.values() if count >= least) < counts.total() / 2:
        least = 2.0  # many categories, of which few are that common
    # A category of this name is one with the pooled ones.
    common = sorted(cast(str, v) for v, n in counts.items() if n >= least and v != "other")
    if not common:
        raise Refused("has no value in two rows, which a category needs", "drop")
    return ColumnEncoder(
        name,
        "category",
        categories=tuple(common),
        other=len(common) < len(counts),
        missing=missing,
    )


def described(column: ColumnEncoder) -> str:
    """Return name and kind of a column, and how many features it has if not one."""
    count = len(column.feature_names)
    kind = "left out" if column.kind == "drop" else column.kind
    notes = [f"{count} features"] if count > 1 else []
    notes += ["rare ones as other"] if column.other else []
    return f"{column.name!r:.60} {kind}" + (f" ({', '.join(notes)})" if notes else "")


def column_of(content: Any) -> ColumnEncoder:
    """Return the encoding of a column in the content of JSON, or raise ``ValueError``."""
    if content.keys() != {field.name for field in fields(ColumnEncoder)}:
        raise ValueError("a column must have each of the entries of one, and no other")
    column = ColumnEncoder(**{**content, "categories": tuple(content["categories"])})
    numbers = column.mean, column.scale
    valid = (
        column.kind in KINDS
        and all(isinstance(text, str) for text in (column.name, *column.categories))
        and len({*column.categories}) == len(column.categories)
        and all(type(number) in (int, float) and math.isfinite(number) for number in numbers)
        and column.scale > 0
        and type(column.other) is type(column.missing) is bool
    )
    if not valid:
        raise ValueError(f"column {column.name!r:.60} is not valid")
    return column


def remedy(kinds: Mapping[str, str]) -> str:
    """Return the option that gives columns these kinds, in Python and on the command line."""
    words = (shlex.quote(f"{name}={kind}") for name, kind in kinds.items())
    return f"encode={dict(kinds)} ({' '.join(f'--encode {word}' for word in words)})"
