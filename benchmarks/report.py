"""What a script says in the end: a table and verdicts to stderr, one JSON object to stdout."""

import argparse
import json
import os
import platform
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from harness import Row, say

_PACKAGES = ("torch", "numpy", "numba", "torch-geometric", "dgl", "pykeops", "triton")
BUSY = 0.7  # jobs that run besides, of which some may have just ended
_VARIABLES = ("OMP_", "MKL_", "KMP_", "MALLOC_", "DGLBACKEND")


def begin(args: argparse.Namespace, **constants: Any) -> Row:
    """Return a report that holds the settings, and what else the figures depend on."""
    load = os.getloadavg()[0]
    if load > BUSY:
        say(f"load average {load:.1f}: this machine is busy, and times at two threads mean little")
    named = {name: v for name, v in vars(args).items() if v is not None and name != "json"}
    return {"settings": named | constants, **machine()}


def machine() -> Row:
    """Return what the figures depend on besides code and settings."""
    import torch

    from vgae.version import __version__

    return {
        "versions": {
            "vgae": __version__,
            "python": platform.python_version(),
            **{package: _version(package) for package in _PACKAGES},
        },
        "cpus": os.cpu_count(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "load_average": os.getloadavg(),
        "environment": {name: v for name, v in os.environ.items() if name.startswith(_VARIABLES)},
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def ratio(over: Row | None, under: Row | None, figure: str) -> float | None:
    """Return how many times one row's figure is another's; ``None`` if either is missing."""
    a, b = (None if row is None else row.get(figure) for row in (over, under))
    return None if a is None or b is None else a / b


def bar(
    name: str,
    value: float | None,
    *,
    at_least: float | None = None,
    at_most: float | None = None,
) -> Row:
    """Return whether a figure is within its bar; one that is missing is not."""
    limits = {"at_least": at_least, "at_most": at_most}
    limits = {name: limit for name, limit in limits.items() if limit is not None}
    ok = value is not None and (
        limits.get("at_least", value) <= value <= limits.get("at_most", value)
    )
    return {"name": name, "value": value, **limits, "ok": ok}


def table(rows: Sequence[Row], columns: Mapping[str, str]) -> None:
    """Write rows to stderr.

    Args:
        rows: A row that was skipped shows its reason.
        columns: Format of each figure, such as ``"9.1f"``; those that name the row come first.
    """
    widths = {
        name: max(len(name), *(len(_text(row, name, form)) for row in rows)) + 2
        for name, form in columns.items()
    }
    say("\n" + "".join(f"{name:>{width}}" for name, width in widths.items()))
    for row in rows:
        cells = {name: _text(row, name, form) for name, form in columns.items()}
        line = "".join(f"{text:>{widths[name]}}" for name, text in cells.items())
        say(f"{line.rstrip()}  {row['skipped']}" if "skipped" in row else line)


def _text(row: Row, name: str, form: str) -> str:
    value = row.get(name)
    return "" if value is None else format(value, form)


def finish(report: Row, path: Path | None) -> None:
    """Write the verdicts to stderr and the report to stdout and, if given, to a file."""
    for item in report.get("acceptance", []):
        limits = [f"{k.replace('_', ' ')} {item[k]}" for k in ("at_least", "at_most") if k in item]
        value = "not measured" if item["value"] is None else f"{item['value']:.3g}"
        verdict = "ok" if item["ok"] else "MISSED"
        also = f" (CPU time {item['cpu_time']:.3g})" if item.get("cpu_time") else ""
        say(f"{verdict:>7} {item['name']}: {value}{also}, {', '.join(limits)}")
    text = json.dumps(report, indent=1, default=str)
    print(text)
    if path:
        path.write_text(text + "\n", encoding="utf-8")


def insert(text: str, page: Path, name: str) -> None:
    """Replace what is between the marks of that name in a page in Markdown."""
    first, last = f"<!-- {name} -->", f"<!-- end of {name} -->"
    before, _, rest = page.read_text(encoding="utf-8").partition(first)
    after = rest.partition(last)[2]
    page.write_text(f"{before}{first}\n\n{text}\n\n{last}{after}", encoding="utf-8")
