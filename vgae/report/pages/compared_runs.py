"""compared_runs: what the comparison of any kind of runs is made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from vgae.evaluation.differences import Difference
from vgae.report.pages.frame import Chart, Series, Table, rounded, thinned

NUM_COLOURS = 8  # of compare.css
_LONGEST = 24  # letters of a setting; fingerprints are longer
_NAMES = {"name": "recipe"}


@dataclass(frozen=True)
class Compared:
    """What there is to say of some runs beside each other.

    Attributes:
        kicker: What they are runs on.
        verdict: Which is best, in plain words.
        warnings: Why their scores must not be compared, if so.
        scores: A row for each run, whose name is the first cell.
        charts: Curves, a series for each run.
        pictures: A name and the address of an image each.
    """

    kicker: str
    verdict: str
    warnings: Sequence[str]
    scores: Table
    charts: Mapping[str, Chart]
    pictures: Sequence[tuple[str, str]] = field(default=())


def colour_of(index: int) -> str:
    """Return the name of the colour of a run."""
    return f"run-{index % NUM_COLOURS}"


def is_dashed(index: int) -> bool:
    """Tell whether the lines of a run are dashed: colours are used twice then."""
    return index // NUM_COLOURS % 2 == 1


def curve(
    index: int, name: str, x: Sequence[float] | np.ndarray, y: Sequence[float] | np.ndarray
) -> Series:
    """Return the line of a run, thinned to what can be seen."""
    some = thinned(len(x), 500)
    kind = "line" if len(x) > 9 else "line+dots"
    return Series(
        name,
        rounded(np.asarray(x)[some]),
        rounded(np.asarray(y)[some]),
        kind,
        colour_of(index),
        dash=is_dashed(index),
    )


def differing(settings: Sequence[Mapping[str, str]]) -> dict[str, list[str]]:
    """Return the settings that are not the same everywhere: a value for each run."""
    names = dict.fromkeys(name for one in settings for name in one)
    found = {}
    for name in names:
        values = [one.get(name, "") for one in settings]
        if len(set(values)) > 1:
            found[_NAMES.get(name, name)] = [_short(value) for value in values]
    return found


def _short(value: str) -> str:
    return value if len(value) <= _LONGEST else f"{value[: _LONGEST - 1]}…"


def best_of(values: Sequence[float | None], *, comparable: bool) -> int | None:
    """Return which value is highest; ``None`` where none may be called best."""
    known = [i for i, value in enumerate(values) if value is not None]
    if not comparable or len(known) < 2:
        return None
    return max(known, key=lambda i: values[i] or 0.0)


def marked(text: str, *, is_best: bool) -> str:
    """Return a score as text, with a star if it is the best."""
    return f"★ {text}" if is_best else text


def difference_text(found: Difference | None, scale: float, digits: int) -> str:
    """Return a difference with its interval; a dash where there is none."""
    if found is None:
        return "–"
    value, low, high = (
        f"{scale * end:+.{digits}f}".replace("-", "\N{MINUS SIGN}") for end in found
    )
    return f"{value} ({low} to {high})"


def told_apart(found: Difference) -> bool:
    """Tell whether an interval leaves zero out."""
    return found.low > 0 or found.high < 0


def listed(names: Sequence[str]) -> str:
    """Return names as an English list."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
