"""Weights of edges: whether numbers look like weights, and what is logged of them."""

import logging

import numpy as np

from vgae.errors import printable
from vgae.graphs.column_names import is_of_time
from vgae.graphs.columns import Roles

log = logging.getLogger(__name__)

_FEW = 20  # weights, which may all be different integers
_SECONDS = 1e8  # since 1970: later than 1973
_NANOSECONDS = 1e19  # likewise: before 2286
_YEARS = (1900, 2100)
NO_WEIGHTS = "weight='none' (--weight none) reads the links without weights"


def doubt(values: np.ndarray) -> str | None:
    """Return what numbers look like if they are hardly weights, else ``None``.

    Whole numbers are times if all are in [1e8, 1e19), or years if all are in [1900, 2100] and
    differ; more than 20 of them are numbers of rows or nodes if no two are equal.

    Args:
        values: Positive numbers, float64, shape ``(E,)``.
    """
    if not len(values) or not (values == np.floor(values)).all():
        return None
    low, high = values.min(), values.max()
    if _SECONDS <= low <= high < _NANOSECONDS:
        return "times"
    if _YEARS[0] <= low < high <= _YEARS[1]:
        return "years"
    if len(values) > _FEW and len(np.unique(values)) == len(values):
        return "ids"
    return None


def checked_weights(
    values: np.ndarray,
    roles: Roles,
    place: str,
    *,
    level: int = logging.INFO,
    in_frame: bool = False,
) -> np.ndarray | None:
    """Return the weights, or ``None`` if they are none by their name or values; log their range.

    Args:
        values: Numbers, NaN for another text, float64, shape ``(E,)``.
        roles: Roles of the columns, one of them that of ``values``.
        place: File or frame, for messages.
        level: Level of the message; one higher for numbers that are not used and could be weights.
        in_frame: Whether it is a data frame, for messages.
    """
    assert roles.weight is not None
    name = roles.name(roles.weight)
    what = f"column {name!a:.60}" if roles.names else "the third column"
    option = f"weight={name!r:.60}"
    option += "" if in_frame else f" (--weight {printable(name):.60})"
    if roles.names is None:
        option = "columns=('source', 'target', 'weight') (--columns source,target,weight)"
    found = None if roles.sure else doubt(values)
    if not roles.refused and found is None:
        log.log(level, "%s: weights are %s, %s", place, what, _range(values))
        return values
    plain = np.isfinite(values).all()
    of_time = found in ("times", "years") or is_of_time(name)
    looks = f"looks like {found}" if found else "has another name"
    by_time = of_time and roles.names and not in_frame
    log.log(
        level + 10 if plain and (values > 0).all() else level,
        "%s: %s, %s, is not read as weights: it %s; %s reads it%s",
        *(place, what, _range(values), looks, option),
        ", vgae train --split-by-time COLUMN splits by it" if by_time else "",
    )
    return None


def _range(values: np.ndarray) -> str:
    """Return the lowest and highest number as text."""
    numbers = values[np.isfinite(values)]
    if not len(numbers):
        return "no numbers"
    return " to ".join(_shown(float(value)) for value in (numbers.min(), numbers.max()))


def _shown(value: float) -> str:
    return f"{value:.0f}" if value.is_integer() and abs(value) < 1e15 else f"{value:.6g}"
