"""Encoding of tables of mixed columns as numbers: fitted once, stored as JSON, used again."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp

from vgae.errors import ArtifactError, DataError, UsageError, nearest
from vgae.graphs.cells import KINDS, Cells, Refused, cells_of, kind_of
from vgae.graphs.column_encoding import (
    ColumnEncoder,
    column_of,
    described,
    fitted_column,
    remedy,
)

log = logging.getLogger(__name__)

_FORMAT = "vgae-table-1"
_MOST_FEATURES = 100_000
_WIDE = 256  # features above which a matrix is sparse
_MOST_SHOWN = 10


@dataclass(frozen=True)
class TableEncoder:
    """Encoding of a table of mixed columns as standardised numbers and zeros and ones.

    A later table is encoded as the one of :meth:`fit`: with its means, scales and categories.

    Attributes:
        columns: Encoding of each column.
    """

    columns: tuple[ColumnEncoder, ...]

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Name of each feature, such as ``age``, ``age=missing``, ``city=Bern``, ``notes#0``."""
        return tuple(name for column in self.columns for name in column.feature_names)

    @classmethod
    def fit(
        cls, table: Mapping[str, Any], kinds: Mapping[str, str] | None = None
    ) -> "TableEncoder":
        """Fit the encoding of each column.

        A column without a given kind is a truth value if it has two values such as yes and no, or
        0 and 1; a date if all values are dates in ISO 8601, or can be read with either the day or
        the month first; a number if all are numbers without leading zeros; and a category if it
        has at most 20 (or the root of the number of rows) different values, each twice on average.
        A constant column is left out. Missing are None, NaN, empty cells, and the usual marks: NA,
        N/A, nan, null, None, missing, -, ?. Categories rarer than 1 % of the rows become one; if
        most are, those of one row do.

        Args:
            table: Columns of N cells, by name: arrays of numbers or dates, or lists of text and
                None.
            kinds: Kind of some columns, such as ``{"notes": "hash"}``; see
                :class:`ColumnEncoder`.

        Raises:
            UsageError: ``ENCODE`` if there is no such column or kind.
            DataError: ``FEATURE_DTYPE`` with all columns that are free text, identifiers, or not
                of the given kind; ``FEATURE_NONFINITE``; ``FEATURE_SHAPE`` if no column is left,
                or for more than 100,000 features.
        """
        columns, kinds = _columns(table), dict(kinds or {})
        _check_kinds(kinds, [*columns])
        found, refused = [], {}
        for name, cells in columns.items():
            try:
                found.append(fitted_column(name, cells, kinds.get(name)))
            except Refused as error:
                refused[name] = error
        if refused:
            raise _not_encoded(refused, kinds)
        encoder = cls(tuple(found))
        if not encoder.feature_names:
            raise DataError(
                "FEATURE_SHAPE", "no column is left: each is constant, empty or of kind 'drop'."
            )
        if (width := len(encoder.feature_names)) > _MOST_FEATURES:
            widest = max(found, key=lambda column: len(column.feature_names)).name
            raise DataError(
                "FEATURE_SHAPE",
                f"the columns become {width} features, more than {_MOST_FEATURES}; leave out or"
                f" hash the widest: {remedy({**kinds, widest: 'hash'})}.",
            )
        log.info("encoded columns: %s", ", ".join(map(described, found)))
        return encoder

    def transform(self, table: Mapping[str, Any]) -> np.ndarray | sp.csr_array:
        """Return the features of a table with the same columns, in any order.

        Returns:
            Float32, shape ``(N, F)``; a CSR matrix for more than 256 features.

        Raises:
            DataError: ``FEATURE_NAMES`` if columns are missing; ``FEATURE_DTYPE`` with all columns
                that have cells of another kind.
        """
        columns = _columns(table)
        used = [column for column in self.columns if column.kind != "drop"]
        if lacking := [column.name for column in used if column.name not in columns]:
            raise DataError(
                "FEATURE_NAMES",
                f"the table lacks {_listed(lacking)}, which the encoder was fitted with; it has"
                f" {_listed([*columns])}.",
            )
        blocks, refused = [], {}
        for column in used:
            try:
                blocks.append(column.transform(columns[column.name]))
            except ValueError as error:
                refused[column.name] = f"{column.name!r:.60} must be a {column.kind}, got {error}"
        if refused:
            raise DataError(
                "FEATURE_DTYPE",
                f"{'; '.join(refused.values())}; correct these cells, or leave them empty.",
            )
        if len(self.feature_names) > _WIDE:
            return sp.csr_array(sp.hstack(blocks, format="csr"), dtype=np.float32)
        dense = [block.toarray() if sp.issparse(block) else block for block in blocks]
        with np.errstate(over="ignore"):
            return np.hstack(dense).astype(np.float32)

    def tell_differences(self, table: Mapping[str, Any]) -> None:
        """Log what a later table has and the table of the fit did not have."""
        columns = _columns(table)
        if extra := sorted(columns.keys() - {column.name for column in self.columns}):
            log.warning("left out are columns that the encoder does not have: %s", _listed(extra))
        for column in self.columns:
            for what in column.differences(columns.get(column.name, ())):
                log.warning("%r: %s", column.name, what)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; :meth:`from_dict` reads them."""
        return {"format": _FORMAT, "columns": [asdict(column) for column in self.columns]}

    @classmethod
    def from_dict(cls, content: Any) -> "TableEncoder":
        """Return the encoder that :meth:`to_dict` wrote; nothing in it is code.

        Raises:
            ArtifactError: ``ENCODER_CORRUPT`` if the content is not one.
        """
        try:
            if content.keys() != {"format", "columns"} or content["format"] != _FORMAT:
                raise ValueError(f"its format must be {_FORMAT}, with columns")
            encoder = cls(tuple(map(column_of, content["columns"])))
            names = [column.name for column in encoder.columns]
            if len(set(names)) < len(names):
                raise ValueError("two columns have the same name")
            if not 0 < len(encoder.feature_names) <= _MOST_FEATURES:
                raise ValueError(f"it must have 1 to {_MOST_FEATURES} features")
        except (AttributeError, LookupError, TypeError, ValueError, OverflowError) as error:
            reason = str(error).rstrip(".") or type(error).__name__
            raise ArtifactError(
                "ENCODER_CORRUPT", f"the encoder of the features is not readable: {reason:.200}."
            ) from None
        return encoder


class Encoded(NamedTuple):
    """Features of an encoded table.

    Attributes:
        x: Float32, shape ``(N, F)``, dense or CSR; ``None`` without columns.
        feature_names: Name of each feature.
        encoder: What encodes a later table alike; ``None`` if the columns are the features.
    """

    x: Any
    feature_names: tuple[str, ...]
    encoder: TableEncoder | None


def encode_table(table: Mapping[str, Any], encode: Any) -> Encoded:
    """Encode a table of mixed columns.

    Args:
        table: See :meth:`TableEncoder.fit`.
        encode: ``"auto"`` or kinds of columns, to fit an encoder; or a :class:`TableEncoder`, or
            the content of its :meth:`~TableEncoder.to_dict`, to use it.

    Raises:
        UsageError: ``ENCODE``.
        ArtifactError: ``ENCODER_CORRUPT``.
        DataError: See :class:`TableEncoder`.
    """
    if isinstance(encode, Mapping) and "format" in encode and "columns" in encode:
        encode = TableEncoder.from_dict(encode)
    if isinstance(encode, TableEncoder):
        encode.tell_differences(table)
    elif encode == "auto" or isinstance(encode, Mapping):
        encode = TableEncoder.fit(table, {} if encode == "auto" else encode)
    else:
        raise UsageError(
            "ENCODE",
            f"encode must be 'auto', kinds of columns such as {remedy({'notes': 'hash'})}, or a"
            f" TableEncoder, got {encode!r:.60}.",
        )
    return Encoded(encode.transform(table), encode.feature_names, encode)


def not_numbers(found: Mapping[str, str], table: Mapping[str, Any], hint: str = "") -> DataError:
    """Return the error for columns that are not numbers, where none are encoded.

    Args:
        found: What each such column holds, as text: ``"'Bern' in line 2"``.
        table: All columns, see :meth:`TableEncoder.fit`, for the option that encodes them.
        hint: Text before the end of the message.
    """
    kinds = {}
    for name, cells in _columns(table).items():
        try:
            kind_of(cells)
        except Refused as error:
            kinds[name] = error.kind
    option = remedy(kinds) if kinds else "encode='auto' (--encode auto)"
    shown = [f"{name!r:.60} is {what}" for name, what in [*found.items()][:_MOST_SHOWN]]
    more = f", and {len(found) - _MOST_SHOWN} more columns" if len(found) > _MOST_SHOWN else ""
    return DataError(
        "FEATURE_DTYPE",
        f"each feature must be a number: {', '.join(shown)}{more}; {option} makes numbers of"
        f" categories, dates, truth values and missing cells{hint}.",
    )


def _not_encoded(refused: Mapping[str, Refused], kinds: Mapping[str, str]) -> DataError:
    """Return the error for all refused columns, with the kinds to give in place of ``kinds``."""
    shown = [*refused.items()][:_MOST_SHOWN]
    more = f"; and {len(refused) - len(shown)} more columns" if len(refused) > len(shown) else ""
    reasons = "; ".join(f"{name!r:.60} {error}" for name, error in shown)
    kinds = {**kinds, **{name: error.kind for name, error in refused.items()}}
    return DataError(
        "FEATURE_DTYPE",
        f"{reasons}{more}. Correct them, or choose a kind of {', '.join(KINDS)}: {remedy(kinds)}.",
    )


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_SHOWN} more" if len(names) > _MOST_SHOWN else ""
    return ", ".join(f"{name!r:.60}" for name in names[:_MOST_SHOWN]) + more or "nothing"


def _columns(table: Mapping[str, Any]) -> dict[str, Cells]:
    """Return the columns of a table as numbers, or as text and None."""
    columns = {str(name): cells_of(cells) for name, cells in table.items()}
    lengths = {len(cells) for cells in columns.values()}
    if len(lengths) > 1 or lengths == {0}:
        raise DataError(
            "FEATURE_SHAPE", f"columns must be equally long, with rows, got {sorted(lengths)}."
        )
    return columns


def _check_kinds(kinds: Mapping[str, str], names: Sequence[str]) -> None:
    """Raise ``UsageError`` if there is no such column or kind."""
    for name, kind in kinds.items():
        for value, known, what in ((name, names, "column"), (kind, KINDS, "kind")):
            if value not in known:
                near = nearest(value, known)
                hint = f"did you mean {near!r:.60}?" if near else f"there are {_listed(known)}."
                raise UsageError("ENCODE", f"encode has no {what} {value!r:.60}; {hint}")
