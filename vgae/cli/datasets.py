"""The commands on data sets: list, verify, fetch."""

from typing import Annotated

import typer

from vgae.cli.console import print_columns, print_json
from vgae.cli.options import Json, Quiet

datasets_app = typer.Typer(help="List, verify or fetch data sets.", no_args_is_help=True)


@datasets_app.command("list")
def list_datasets(as_json: Json = False) -> None:
    """List the data sets and whether their files are present."""
    from vgae.data.catalog import catalogue, data_home, locate

    rows = []
    for entry in catalogue().values():
        missing = sorted(set(entry.files) - set(locate(entry)))
        rows.append({"name": entry.name, "title": entry.title, **entry.counts, "missing": missing})
    if as_json:
        print_json(rows)
        return
    lines = [["name", "nodes, images", "links", "features, pixels", "at hand", ""]]
    for row in rows:
        items = row.get("nodes", row.get("images", 0))
        numbers = row.get("features", row.get("height", 0) * row.get("width", 0))
        counts = [f"{items:,}", f"{row['links']:,}" if "links" in row else "", f"{numbers:,}"]
        count = len(row["missing"])
        at_hand = f"{count} file{'s' if count > 1 else ''} missing" if count else "yes"
        lines.append([row["name"], *counts, at_hand, row["title"]])
    print_columns(lines, right=(1, 2, 3))
    typer.echo(f"\nFiles are looked for in {data_home()} (set VGAE_DATA to change it).")
    typer.echo("Those of PyG and OGB have names such as pyg:Planetoid/Cora and ogb:ogbl-collab.")


@datasets_app.command()
def verify(
    names: Annotated[list[str] | None, typer.Argument(help="Data sets; all if not given.")] = None,
    as_json: Json = False,
) -> None:
    """Check the files that are present against their SHA-256; exit status 3 if one is damaged."""
    from vgae.data.catalog import catalogue, entry
    from vgae.data.catalog import verify as verify_entry

    states = {name: verify_entry(entry(name)) for name in names or list(catalogue())}
    if as_json:
        print_json(states)
    else:
        for name, files in states.items():
            for file, state in files.items():
                typer.echo(f"{name:10} {state:8} {file}")
    if any(state == "damaged" for files in states.values() for state in files.values()):
        raise typer.Exit(3)


@datasets_app.command()
def fetch(
    names: Annotated[list[str], typer.Argument(help="Data sets.")], quiet: Quiet = False
) -> None:
    """Download the missing files of data sets and check them."""
    from vgae.data.catalog import entry
    from vgae.data.catalog import fetch as fetch_entry

    for name in names:
        paths = fetch_entry(entry(name), progress=False if quiet else None)
        typer.echo(f"{name}: {len(paths)} files at hand")
