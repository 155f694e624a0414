"""Shared parts of the comparisons of runs on graphs and of runs on images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np

from vgae.evaluation.differences import Difference
from vgae.report.figures.style import cut
from vgae.report.pages import frame
from vgae.report.pages.frame import Cell, Chart, Table, line, minus, numeric, rounded, thinned
from vgae.report.pages.repeating import duration

NUM_COLOURS = 8  # of compare.css
NO_BEST = "No run is the best: the scores are not comparable."
_LONGEST = 24  # characters of a setting; fingerprints are longer
_NAMES = {"name": "recipe"}
Values: TypeAlias = Sequence[float] | np.ndarray


@dataclass(frozen=True)
class Compared:
    """The content of a comparison."""

    kicker: str  # number of runs and their data
    verdict: str  # the best run, in one sentence
    warnings: Sequence[str]  # reasons why scores are not comparable
    scores: Table  # one row per run that begins with its name
    charts: Mapping[str, Chart]  # one series per run
    pictures: Sequence[tuple[str, str]] = ()  # names and data URIs of images


def colour_of(index: int) -> str:
    """Return the name of the colour of a run."""
    return f"run-{index % NUM_COLOURS}"


def is_dashed(index: int) -> bool:
    """Return whether the lines of a run are dashed, as its colour is in use already."""
    return index // NUM_COLOURS % 2 == 1


def curve(index: int, name: str, x: Values, y: Values) -> frame.Series:
    """Return the line of a run, thinned to at most 500 points."""
    some = thinned(len(x), 500)
    x, y = rounded(np.asarray(x)[some]), rounded(np.asarray(y)[some])
    return line(name, x, y, colour_of(index), is_dashed(index))


def validation_chart(
    runs: Sequence[Any], names: Sequence[str], empty: Chart, score: str, scale: float = 1
) -> dict[str, Chart]:
    """Return a chart with the validation scores of each run, or none without such scores."""
    series = []
    for i, (run, name) in enumerate(zip(runs, names, strict=True)):
        values = {row.epoch: getattr(row, score) for row in run.history}
        seen = {epoch: scale * value for epoch, value in values.items() if value is not None}
        if seen:
            series.append(curve(i, name, [*seen], [*seen.values()]))
    return {"validation": replace(empty, series=series)} if series else {}


def differing(settings: Sequence[Mapping[str, str]]) -> dict[str, list[str]]:
    """Return the settings that differ, with the value of each run."""
    names = dict.fromkeys(name for one in settings for name in one)
    values = {name: [one.get(name, "") for one in settings] for name in names}
    return {
        _NAMES.get(name, name): [cut(value, _LONGEST) for value in several]
        for name, several in values.items()
        if len(set(several)) > 1
    }


def best_of(values: Sequence[float | None], *, comparable: bool) -> int | None:
    """Return the index of the highest value; ``None`` if values are not comparable."""
    known = {i: value for i, value in enumerate(values) if value is not None}
    return max(known, key=known.__getitem__) if comparable and len(known) > 1 else None


def score_cell(
    value: float | None, error: float | None, unit: tuple[int, int] = (1, 2), *, is_best: bool
) -> Cell:
    """Return a score, in a unit of a scale and a number of decimals; a star marks the best."""
    scale, digits = unit
    if value is None:
        return "–"
    text = minus(f"{scale * value:.{digits}f}") + ("" if error is None else f" ± {error:.2f}")
    return "★ " * is_best + text, value


def scores_of_runs(
    runs: Sequence[Any],
    names: Sequence[str],
    columns: Sequence[frame.Column],
    cells: Sequence[Sequence[Cell]],
    items: str,
    *,
    comparable: bool,
) -> Table:
    """Return the table of scores: name, given cells, kept epoch and time of each run."""
    rows = []
    for run, name, row in zip(runs, names, cells, strict=True):
        epoch, seconds = run.metrics["epoch"], run.metrics["seconds"]
        rows.append([name, *row, (f"{epoch:,}", epoch), (duration(seconds), seconds)])
    columns = [frame.Column("run"), *columns, numeric("epoch kept"), numeric("time")]
    caption = f"Scores of the {items}" + ("; ★ is the best of a column" if comparable else "")
    return Table(caption, columns, rows, sortable=True)


def warnings_of(names: Sequence[str], rules: Mapping[str, Sequence[bool]]) -> list[str]:
    """Return a sentence for each rule that some runs break: the names of these, then its text."""
    broken = {
        text: [name for name, holds in zip(names, kept, strict=True) if not holds]
        for text, kept in rules.items()
    }
    return [f"{listed(found)} {text}" for text, found in broken.items() if found]


def difference_text(found: Difference | None, scale: float, digits: int) -> str:
    """Return a difference with its interval; a dash if there is none."""
    if found is None:
        return "–"
    value, low, high = (minus(f"{scale * end:+.{digits}f}") for end in found)
    return f"{value} ({low} to {high})"


def lead_text(ahead: Difference, second: str, unit: tuple[float, int, str], items: str) -> str:
    """Return the end of a verdict: the lead of the best run, and whether it is significant.

    ``unit`` is scale, number of decimals and name; ``items`` is a plural noun for the test data.
    """
    scale, digits, name = unit
    value, low, high = (minus(f"{scale * end:.{digits}f}") for end in ahead)
    text = f", {value}{name} above that of {second} ({low} to {high} with 95 % confidence)"
    if is_significant(ahead):
        return f"{text}."
    return f"{text}: the difference is not significant on these {items}."


def is_significant(found: Difference) -> bool:
    """Return whether an interval excludes zero."""
    return found.low > 0 or found.high < 0


def listed(names: Sequence[str]) -> str:
    """Return names as an English list."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
