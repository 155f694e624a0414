"""Lines of the terminal on proposed links."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from vgae.cli.console import print_columns
from vgae.errors import printable

if TYPE_CHECKING:
    from vgae.evaluation.expected import ExpectedTrue
    from vgae.prediction.link_table import LinkTable

_SHOWN = 10  # links


def _best_rows(table: "LinkTable") -> list[int]:
    """Return the rows with the highest scores; a pair that both ends propose counts once."""
    rows: dict[Any, int] = {}
    pair = tuple if table.directed else frozenset
    source, target = table.source.tolist(), table.target.tolist()
    best = table.score if table.low is None or table.probability is None else table.probability
    for row in best.argsort(descending=True, stable=True)[: 2 * _SHOWN].tolist():
        rows.setdefault(pair((source[row], target[row])), row)
    return list(rows.values())[:_SHOWN]


def print_links(
    table: "LinkTable", path: Path, *, proposed: bool, metric: str = "inner_product"
) -> None:
    """Print the best proposed links, or the first given pairs, and the path of the table."""
    rows = _best_rows(table) if proposed else range(min(len(table), _SHOWN))
    ends = ["from", "to"] if table.directed else ["", ""]
    lines = [[*ends, "score", table.probability_name.replace("_", " ")]]
    if table.interval is not None:
        lines[0].append(f"{100 * table.interval:g} % interval{' (raw)' if table.raw else ''}")
    lines[0] += [name.replace("_", " ") for name in table.further]
    for row in rows:
        names = [_shown(table.ids[int(end[row])]) for end in (table.source, table.target)]
        probability = "" if table.probability is None else f"{table.probability[row]:.3f}"
        lines.append([*names, f"{table.score[row]:.3f}", probability])
        if table.low is not None and table.high is not None:
            lines[-1].append(f"{table.low[row]:.3f} - {table.high[row]:.3f}")
        lines[-1] += [f"{column[row]:.4g}" for column in table.further.values()]
    print_columns(lines, right=range(2, len(lines[0])))
    what = "scores" if table.low is None else "probabilities"
    rest = f"links; those shown have the highest {what}" if proposed else "pairs"
    typer.echo(f"\n{path}: {len(table):,} {rest}")
    typer.echo(columns_text(table, [line[3] for line in lines[1:]], metric))
    if table.recall is not None:
        found = f"about {100 * table.recall:.1f} % of the exact best partners"
        typer.echo(f"approximate: {found} are found, measured on a sample of nodes; see --exact")
    if table.come_true is not None:
        typer.echo(true_text(table.come_true))


def columns_text(table: "LinkTable", probabilities: Sequence[str], metric: str) -> str:
    """Return what scores and probabilities are, and how many of the shown pairs share one.

    Args:
        table: The links.
        probabilities: The probabilities that are shown, as text.
        metric: Score that the links were ranked by.
    """
    text = "score: logit of the model, which only ranks pairs; its size has no meaning of its own"
    if metric == "cosine":
        text = "score: cosine of the vectors of both nodes, from -1 to 1"
    if table.probability is None:
        return f"{text}; no probabilities, as the run has no calibration"
    text += f"\n{table.probability_name.replace('_', ' ')}: {table.meaning}"
    most = max(map(probabilities.count, probabilities), default=0)
    ranked = "" if table.low is not None else ", and the score ranks them"
    shared = f"; {most} of those shown have the same one to three digits{ranked}"
    return text + shared * (most > 1)


def true_text(found: "ExpectedTrue") -> str:
    """Return how many proposed links come true, in a sentence."""
    return (
        f"about {found.expected:,.1f} of these {found.num_pairs:,} pairs come true"
        f" ({100 * found.level:g} % interval {found.low:,} to {found.high:,}): are missing links,"
        " if as many are missing as were held out"
    )


def numbers_true(table: "LinkTable") -> dict[str, float]:
    """Return how many proposed links come true as entries of JSON; none without."""
    found = table.come_true
    if found is None:
        return {}
    return {
        "expected_true": round(found.expected, 2),
        "expected_true_low": found.low,
        "expected_true_high": found.high,
        "expected_true_interval": found.level,
    }


def _shown(name: Any) -> str:
    """Return a name with control characters escaped, cut if too long."""
    text = printable(str(name))
    return text if len(text) <= 40 else text[:39] + "…"
