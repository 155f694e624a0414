"""The commands on data sets: list, verify, fetch, make."""

from pathlib import Path
from typing import Annotated

import typer

from vgae.cli.console import print_columns, print_json
from vgae.cli.group import Commands
from vgae.cli.options import Json, Quiet

datasets_app = typer.Typer(
    cls=Commands, help="List, verify, fetch or make data sets.", no_args_is_help=True
)


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
    """Check present files against their SHA-256. Status 3: damaged."""
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


@datasets_app.command()
def make(
    out: Annotated[Path, typer.Option("--out", "-o", help="A .npz file; a .csv of the links.")],
    links: Annotated[int, typer.Option(help="Expected number of links.")] = 100_000,
    nodes: Annotated[
        int | None,
        typer.Option(
            min=2,
            help="Number of nodes  [default: links / 10, at least as many as they need]",
            show_default=False,
        ),
    ] = None,
    communities: Annotated[int, typer.Option(help="Number of communities, the labels.")] = 10,
    features: Annotated[int, typer.Option(help="Number of features; 0 for none.")] = 0,
    exponent: Annotated[
        float, typer.Option(help="Exponent of the power law of degrees, above 2.")
    ] = 2.5,
    mixing: Annotated[
        float, typer.Option(help="Fraction of links across communities; 0 for one community.")
    ] = 0.2,
    seed: Annotated[int, typer.Option(help="Seed; the same one gives the same graph.")] = 0,
    sparse_features: Annotated[
        bool, typer.Option("--sparse-features", help="Features that are 0 or 1, in sparse rows.")
    ] = False,
    features_file: Annotated[
        Path | None, typer.Option(help="A .npy for the features, in place of the .npz.")
    ] = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Make a graph of any size, with communities and features."""
    from vgae.data.planted_files import write_planted
    from vgae.graphs.planted import PlantedGraph
    from vgae.runtime.atomic import check_writable

    for path in (out, features_file):
        if path is not None:
            check_writable(path)
    values = links, nodes or 0, communities, features, exponent, mixing, seed
    planted = PlantedGraph(*values, sparse=sparse_features)
    written = write_planted(planted, out, features_file, progress=False if quiet else None)
    if as_json:
        counts = {"nodes": planted.nodes, "communities": communities, "features": features}
        files = {"path": str(out), "features_file": features_file and str(features_file)}
        print_json({**files, **counts, **written._asdict()})
        return
    share = written.across / max(written.links, 1)
    typer.echo(
        f"{planted.nodes:,} nodes in {communities:,} communities, {written.links:,} links"
        f" ({links:,} expected), {share:.1%} of them across, {features:,} features"
    )
    typer.echo("\n".join(str(path) for path in (out, features_file) if path))
