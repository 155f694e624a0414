"""Sides in processes of their own, which take turns.

A script calls itself once per side and round with ``--side NAME`` and whatever else the side is
to know; that process measures and prints one JSON object as its last line.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from vgae.runtime.progress import Pace

Row = dict[str, Any]


class CannotRun(Exception):
    """A side that is not installed or does not fit; the message is what its row says."""


def options(description: str, *, threads: Sequence[int], repeats: int) -> argparse.ArgumentParser:
    """Return a parser with the options that all scripts have."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--threads", nargs="+", type=int, default=list(threads))
    parser.add_argument("--repeats", type=int, default=repeats, help="rounds")
    parser.add_argument("--json", type=Path, help="also write the JSON to this file")
    parser.add_argument("--side", help=argparse.SUPPRESS)
    return parser


def answer(measure_side: Callable[[], Mapping[str, Any]]) -> None:
    """In the process of a side, print what was measured, or why nothing could be."""
    try:
        result = measure_side()
    except (CannotRun, ImportError, MemoryError) as error:
        result = {"skipped": str(error) or type(error).__name__}
    print(json.dumps(result))


def spawn(cell: Mapping[str, Any]) -> Row:
    """Run this script again, in a process of its own; return what it printed.

    Args:
        cell: Options on top of those that this process was started with, ``side`` among them.
    """
    flags = [text for name, value in cell.items() for text in (f"--{name}", str(value))]
    environment = dict(os.environ)
    if "threads" in cell:  # Not all libraries ask torch how many they may use.
        environment["OMP_NUM_THREADS"] = str(cell["threads"])
    command = [sys.executable, *sys.argv, *flags]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=environment)
    *others, last = done.stdout.splitlines() or [""]
    for line in others:
        say(line)
    if done.returncode == 0:
        return json.loads(last)
    killed = f"killed by signal {-done.returncode}; out of memory?"
    return {"skipped": killed if done.returncode < 0 else f"exit status {done.returncode}"}


def take_turns(
    cells: Sequence[Row], repeats: int, of_round: Callable[[int], Row] | None = None
) -> list[list[Row]]:
    """Measure all cells in turn, round after round, so that noise hits all alike.

    Args:
        cells: Options of each process, ``side`` among them.
        repeats: Rounds; a cell that cannot run is not tried again.
        of_round: Further options, from the number of the round, 0 for the first.

    Returns:
        The results of each cell, one per round.
    """
    results: list[list[Row]] = [[] for _ in cells]
    pace = Pace(repeats * len(cells), "measurements")
    for number in range(repeats):
        extra = {} if of_round is None else of_round(number)
        for done, (cell, found) in enumerate(zip(cells, results, strict=True)):
            if found and "skipped" in found[-1]:
                continue
            pace(number * len(cells) + done)
            shown = ", ".join(f"{name} {value}" for name, value in cell.items())
            say(f"round {number + 1} of {repeats}: {shown}  {pace.time()}")
            found.append(spawn(cell | extra))
    return results


def compare(
    cells: Sequence[Row], repeats: int, of_round: Callable[[int], Row] | None = None
) -> list[Row]:
    """Return a row per cell: the median of each figure over the rounds, and the rounds."""
    rows = []
    for cell, results in zip(cells, take_turns(cells, repeats, of_round), strict=True):
        lost = find(results, skipped=...)
        rows.append({**cell, **(lost or {**medians(results), "rounds": results})})
    return rows


def medians(results: Sequence[Mapping[str, Any]]) -> Row:
    """Return the median of each figure over the rounds; ``None`` where one is missing."""
    columns = {name: [result[name] for result in results] for name in results[0]}
    return {
        name: None if None in values else statistics.median(values)
        for name, values in columns.items()
    }


def find(rows: Iterable[Row], **wanted: Any) -> Row | None:
    """Return the first row with these values; ``...`` stands for any."""
    for row in rows:
        if all(name in row and value in (..., row[name]) for name, value in wanted.items()):
            return row
    return None


def say(text: str) -> None:
    """Write to stderr; stdout is for the JSON."""
    print(text, file=sys.stderr, flush=True)
