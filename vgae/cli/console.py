"""Output of the commands on stdout: aligned columns, or one line of JSON."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import typer

from vgae.errors import VgaeError
from vgae.report.text import per_cent
from vgae.runtime.atomic import exhausted
from vgae.runtime.text import columns, p_text

if TYPE_CHECKING:
    from vgae.evaluation.calibration import Calibration
    from vgae.runs.table_rows import Table


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


def print_table(table: "Table") -> None:
    """Print mean and deviation of each method, beside the published scores, and the tests."""
    from vgae.runs.table_rows import SOURCE

    has_published = any(row.published for row in table)
    heads = ["published AUC", "AP"] if has_published else []
    lines = [["data set", "model", "recipe", "AUC", "AP", *heads]]
    for row in table:
        ours = [
            f"{100 * m:.2f}" + (f" ± {100 * d:.2f}" if len(row.trials) > 1 else "")
            for m, d in zip(row.mean, row.deviation, strict=True)
        ]
        published = [f"{100 * p:.1f}" for p in row.published] if row.published else ["-", "-"]
        lines.append([row.dataset, row.model, row.recipe, *ours, *published[: len(heads)]])
    print_columns(lines, right=(3, 4, 5, 6))
    for rows, found in table.comparisons():
        lines = [["", "difference of AUC", "p", "of AP", "p"]]
        for auc, ap in zip(found["auc"], found["ap"], strict=True):
            cells = (f"{100 * c.difference:+.2f}" for c in (auc, ap))
            ps = (p_text(c.adjusted) for c in (auc, ap))
            numbers = [cell for pair in zip(cells, ps, strict=True) for cell in pair]
            lines.append([f"{auc.first} - {auc.second}", *numbers])
        lines[0][0] = rows[0].dataset
        typer.echo()
        print_columns(lines, right=(1, 2, 3, 4))
    if table.tests:
        typer.echo(f"\n{table.tests}")
    typer.echo(f"\n{table.protocol}" + f" {SOURCE}" * has_published)


def print_columns(lines: Sequence[Sequence[str]], right: Sequence[int] = ()) -> None:
    """Print aligned columns; those in ``right`` are flush right."""
    typer.echo(columns(lines, right))
