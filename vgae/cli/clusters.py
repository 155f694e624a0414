"""The command clusters: communities of the nodes of a run."""

from pathlib import Path
from typing import Annotated, Any

import typer

from vgae.cli.console import print_json
from vgae.cli.memory import with_limit
from vgae.cli.options import (
    READING,
    GraphFeatures,
    Json,
    OtherGraph,
    Quiet,
    RunArgument,
    announce,
    check_options,
    refuse_options,
    with_reading,
)
from vgae.data.reading import Reading


@with_limit
@with_reading
def clusters(
    context: typer.Context,
    run: RunArgument,
    reading: Reading,
    other: OtherGraph = None,
    k: Annotated[
        int | None,
        typer.Option("-k", help="Number of clusters  [default: chosen]", show_default=False),
    ] = None,
    method: Annotated[
        str,
        typer.Option(
            help="'kmeans', 'mixture' (of Gaussians), 'louvain' or 'leiden' (communities of the"
            " nearest neighbours and links), or 'auto'."
        ),
    ] = "auto",
    seed: Annotated[int, typer.Option(min=0, help="Seed of the starts.")] = 0,
    features: GraphFeatures = "raw",
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help=".csv, .tsv, .json, .jsonl or .parquet  [default: RUN/clusters.csv;"
            " GRAPH-clusters.csv]",
        ),
    ] = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Find communities of nodes, and what is typical of each."""
    from vgae.report.cluster_text import clusters_text
    from vgae.runs.clusters import cluster_run
    from vgae.runs.kind import kind_of
    from vgae.runs.opening import open_like
    from vgae.runtime.tables import check_table

    kind, graph = kind_of(run), None
    check_options(context, kind, run)
    if other is None:
        refuse_options(context, ["features", *READING], "FEATURES", "without another GRAPH no")
    announce(quiet=quiet or as_json)
    own = run / "clusters.csv"
    path = out or (own if other is None else Path(f"{Path(other).stem}-clusters.csv"))
    check_table(path)
    loaded = kind.load(run)
    if other is not None:
        given: Any = {"features": features, "reading": reading}
        given |= {"progress": False if quiet else None, "encoder": loaded.feature_encoder}
        graph = open_like(loaded.config, other, **given)
    found = cluster_run(loaded, graph, k=k, method=method, seed=seed)  # pyright: ignore[reportArgumentType]
    found.save(path)
    if as_json:
        print_json({"path": str(path), "nodes": len(found), **found.to_dict()})
    else:
        typer.echo(f"{clusters_text(found)}\n\n{path}: {len(found):,} nodes")
