"""The command impute: missing features of nodes."""

from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer

from vgae.cli.console import print_columns, print_json
from vgae.cli.options import (
    READING,
    GraphFeatures,
    Json,
    OtherGraph,
    Quiet,
    RunArgument,
    announce,
    refuse_options,
    with_reading,
)
from vgae.data.reading import Reading

_SHOWN = 10  # entries


@with_reading
def impute(
    context: typer.Context,
    run: RunArgument,
    reading: Reading,
    graph: OtherGraph = None,
    features: GraphFeatures = "raw",
    entries: Annotated[
        str, typer.Option(help="'missing' features, or 'all', with those that are known.")
    ] = "missing",
    samples: Annotated[
        int, typer.Option(min=1, help="Samples of the latent vectors to average over.")
    ] = 100,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help=".csv, .tsv, .json, .jsonl or .parquet  [default: RUN/features.csv]",
        ),
    ] = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Predict missing features, with mean and deviation."""
    from vgae.prediction.features import impute_features
    from vgae.runs.graphs import GRAPHS
    from vgae.runs.opening import open_like
    from vgae.runtime.tables import check_table

    if graph is None:
        refuse_options(context, ["features", *READING], "FEATURES", "without another GRAPH no")
    announce(quiet=quiet or as_json)
    path = out or run / "features.csv"
    check_table(path)
    loaded = GRAPHS.load(run)
    scored = loaded.graph
    if graph is not None:
        other: dict[str, Any] = {"features": features, "reading": reading}
        other |= {"progress": False if quiet else None, "encoder": loaded.feature_encoder}
        scored = open_like(loaded.config, graph, **other)
    found = impute_features(loaded, scored, entries=entries, samples=samples)  # pyright: ignore
    found.save(path)
    if as_json:
        print_json({"path": str(path), "entries": len(found)})
        return
    lines = [["id", "feature", "mean", "std"]]
    for node, name, mean, std in islice(zip(*found.to_dict().values(), strict=True), _SHOWN):
        lines.append([str(node), str(name), f"{mean:.4g}", f"{std:.4g}"])
    print_columns(lines, right=range(2, 4))
    typer.echo(f"\n{path}: {len(found):,} features")
