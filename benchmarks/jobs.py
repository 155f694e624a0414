"""Trainings as jobs whose results are files, so that an interrupted run continues."""

import argparse
import multiprocessing
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from harness import Row, say

from vgae.runtime.progress import Pace


class Stored(Protocol):
    """One training; ``str`` names it in a line of progress."""

    def stored(self) -> Row | None:
        """Return its result, or ``None`` if there is none with the same settings."""
        ...

    def run(self) -> Row:
        """Train and write the result, or return why that is impossible under ``skipped``."""
        ...


J = TypeVar("J", bound=Stored)


def finished(jobs: Sequence[J], progress: Callable[[Row], str], processes: int) -> list[Row]:
    """Run the jobs without a stored result, and return all results that are stored.

    Args:
        jobs: Trainings, in the order of the results.
        progress: Returns one line about a result.
        processes: Processes that run jobs, one thread each.
    """
    missing = [job for job in jobs if job.stored() is None]
    pace = Pace(max(len(missing), 1), "jobs")
    if missing:
        with multiprocessing.get_context("spawn").Pool(min(processes, len(missing))) as pool:
            for number, result in enumerate(pool.imap(_run, missing), 1):
                pace(number)
                say(f"{pace.counts()} {progress(result)}  {pace.time()}")
    done = (job.stored() for job in jobs)
    return [result for result in done if result is not None]


def _run(job: Stored) -> Row:
    return job.run()


def add_options(parser: argparse.ArgumentParser, folder: str) -> None:
    """Add the options of all scripts with jobs; results lie in ``folder`` by default."""
    parser.add_argument("--seeds", type=int, default=10, help="seeds 0 to SEEDS - 1")
    parser.add_argument("--first-seed", type=int, default=0, help="settings are chosen on 100 up")
    parser.add_argument("--jobs", type=int, default=2, help="processes, one thread each")
    parser.add_argument("--folder", type=Path, default=Path(folder))
    parser.add_argument("--json", type=Path, help="also write the JSON to this file")
