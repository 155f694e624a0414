"""The command env: what a report of a fault needs."""

import typer

from vgae.cli.console import print_json
from vgae.cli.options import Json


def env(as_json: Json = False) -> None:
    """Show versions, threads and devices, for reports of faults; no paths or names."""
    from vgae.runtime.environment import environment

    found = environment()
    if as_json:
        print_json(found)
        return
    packages, optional = found.pop("packages"), found.pop("optional")
    gpus = ", ".join(found.pop("gpus")) or "none"
    lines = {**found, "cuda": found["cuda"] or "none", "gpus": gpus, **packages, **optional}
    width = max(map(len, lines))
    for name, value in lines.items():
        typer.echo(f"{name:{width}}  {'not installed' if value is None else value}")
