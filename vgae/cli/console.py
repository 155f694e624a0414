"""Output of the commands on stdout: aligned columns, or one line of JSON."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import typer

from vgae.errors import VgaeError
from vgae.report.text import per_cent
from vgae.runtime.atomic import exhausted
from vgae.runtime.text import columns

if TYPE_CHECKING:
    from vgae.evaluation.calibration import Calibration
    from vgae.runs.table import Summary


def described(error: BaseException) -> tuple[str, str, int] | None:
    """Return code, message and exit status of an error for the user; ``None`` for a fault of ours.

    An error of the operating system has the code ``OS``.
    """
    known = exhausted(error) or error
    if isinstance(known, VgaeError):
        return known.code, str(known), known.exit_code
    if not isinstance(known, OSError):
        return None
    reason = f"{known.filename or 'the output'}: {known.strerror}" if known.strerror else None
    return "OS", reason or str(known), 5


def print_json(content: Any) -> None:
    """Print strict JSON on one line."""
    typer.echo(json.dumps(content, allow_nan=False))


def print_calibration(calibration: "Calibration") -> None:
    """Print the map of a calibration and its threshold."""
    c = calibration
    rule = {
        "platt": f"log odds = {c.slope:.4g} * logit {c.intercept:+.4g}",
        "temperature": f"log odds = {c.slope:.4g} * logit",
        "isotonic": f"a rising line through {len(c.x)} points",
        "spline": f"log odds on a rising line through {len(c.x)} points",
    }[c.method]
    folds = f" and {c.folds} fifths of the training links" * (c.folds > 0)
    typer.echo(
        f"{c.method}: {rule}, fitted on validation pairs{folds}; prior {c.prior}"
        f" ({c.log_odds_shift:+.4g})\n"
        f"threshold {c.threshold:.4g} for {c.goal}: precision {per_cent(c.precision)}, recall"
        f" {per_cent(c.recall)}, F1 {per_cent(c.f1)} on validation pairs"
    )
    if c.intervals:
        low, high = c.intervals.quantiles[0][9], c.intervals.quantiles[0][89]
        typer.echo(
            f"intervals of 80 %: {low:+.2f} to {high:+.2f} standard deviations of the posterior"
        )


def print_table(summaries: "Sequence[Summary]", text: str) -> None:
    """Print mean and deviation of each data set and model, beside the published scores."""
    lines = [["data set", "model", "AUC", "AP", "published AUC", "AP"]]
    for row in summaries:
        ours = [
            f"{100 * m:.2f} ± {100 * d:.2f}" for m, d in zip(row.mean, row.deviation, strict=True)
        ]
        published = (
            ["-", "-"] if row.published is None else [f"{100 * p:.1f}" for p in row.published]
        )
        lines.append([row.dataset, row.model, *ours, *published])
    print_columns(lines, right=(2, 3, 4, 5))
    typer.echo(f"\n{text}")


def print_columns(lines: Sequence[Sequence[str]], right: Sequence[int] = ()) -> None:
    """Print aligned columns; those in ``right`` are flush right."""
    typer.echo(columns(lines, right))
