"""The commands on links: predict those that are missing; read a graph and write it as npz."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vgae.cli.console import graph_line, print_columns, print_json
from vgae.cli.options import (
    Directed,
    GraphArgument,
    GraphFeatures,
    Json,
    OtherGraph,
    Quiet,
    RunArgument,
    announce,
)
from vgae.errors import UsageError, printable

if TYPE_CHECKING:
    from vgae.graphs.graph import Graph
    from vgae.prediction.links import LinkTable

_SHOWN = 10  # links


def predict(
    run: RunArgument,
    graph: OtherGraph = None,
    top_k: Annotated[int, typer.Option("--top-k", "-k", min=1, help="Links for each node.")] = 10,
    overall: Annotated[
        bool, typer.Option("--overall", help="The top-k of all pairs, not of each node.")
    ] = False,
    nodes: Annotated[
        str | None, typer.Option(help="Names of the nodes to propose for, commas between.")
    ] = None,
    pairs: Annotated[
        Path | None, typer.Option(help="Score these pairs instead: a file with two names a line.")
    ] = None,
    metric: Annotated[
        str, typer.Option(help="What ranks them: 'inner_product', as trained, or 'cosine'.")
    ] = "inner_product",
    prior: Annotated[
        str,
        typer.Option(
            help="Share of links that probabilities refer to: their 'density' among all pairs"
            " that are not known, or 'balanced' (one half)."
        ),
    ] = "density",
    features: GraphFeatures = "raw",
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help=".csv, .tsv, .json, .jsonl or .parquet  [default: RUN/links.csv]"
        ),
    ] = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Propose links that a graph lacks, or score given pairs, with probabilities."""
    from vgae.data.edge_lists import read_edge_list
    from vgae.prediction.links import predict_links, score_links
    from vgae.runs.graphs import calibration_at, load_run, open_graph

    announce(quiet=quiet or as_json)
    loaded = load_run(run)
    progress = False if quiet else None
    scored = loaded.graph if graph is None else open_graph(graph, features, progress=progress)
    calibration = calibration_at(loaded, prior)  # pyright: ignore[reportArgumentType]
    if pairs is None:
        table = predict_links(
            loaded,
            scored,
            top_k,
            per_node=not overall,
            nodes=None if nodes is None else _named_nodes(nodes, scored),
            metric=metric,  # pyright: ignore[reportArgumentType]
            calibration=calibration,
            progress=progress,
        )
    else:
        given = read_edge_list(pairs)
        names = [[given.names[u], given.names[v]] for u, v in given.edges.T.tolist()]
        table = score_links(loaded, scored, names, calibration=calibration)
    path = out or run / "links.csv"
    table.save(path)
    if as_json:
        print_json({"path": str(path), "links": len(table)})
        return
    if pairs is None:
        _print_links(table, _best_rows(table))
        typer.echo(f"\n{path}: {len(table):,} links, of which these have the highest scores")
    else:
        _print_links(table, list(range(min(len(table), _SHOWN))))
        typer.echo(f"\n{path}: {len(table):,} pairs")


def convert(
    graph: GraphArgument,
    out: Annotated[Path, typer.Option("--out", "-o", help="An .npz file.")],
    features: GraphFeatures = "raw",
    directed: Directed = "symmetrize",
    merge: Annotated[
        str,
        typer.Option(help="Weight of a link given several times: 'mean', 'sum', 'max', 'first'."),
    ] = "mean",
    delimiter: Annotated[
        str | None, typer.Option(help="Of an edge list in text  [default: detected]")
    ] = None,
    header: Annotated[
        bool | None,
        typer.Option(
            "--header/--no-header",
            help="Its first line names the columns.",
            show_default="detected",
        ),
    ] = None,
    encoding: Annotated[str, typer.Option(help="Of files of text.")] = "utf-8",
    drop_zero: Annotated[
        bool, typer.Option("--drop-zero", help="Leave out edges of weight zero.")
    ] = False,
    missing_features: Annotated[
        str,
        typer.Option(help="Nodes without features are an 'error', or get 'zero' features."),
    ] = "error",
    normalize: Annotated[
        str,
        typer.Option(help="'nfc' makes one of names that differ in Unicode normalisation only."),
    ] = "none",
    as_json: Json = False,
) -> None:
    """Read a graph with care, and write it as .npz, which every command takes."""
    from vgae.data.files import read_graph, write_npz
    from vgae.data.text import TextFormat

    announce(quiet=as_json)
    read = read_graph(
        graph,
        features=None if features in ("raw", "none") else features,
        text=TextFormat(delimiter, header, encoding),
        directed=directed,  # pyright: ignore[reportArgumentType]
        merge=merge,  # pyright: ignore[reportArgumentType]
        drop_zero=drop_zero,
        missing_features=missing_features,  # pyright: ignore[reportArgumentType]
        normalize=normalize,  # pyright: ignore[reportArgumentType]
    )
    read = read.without_features() if features == "none" else read
    if out.suffix != ".npz":
        raise UsageError("EXPORT_FORMAT", f"--out must end in .npz, got {out}.")
    write_npz(read, out)
    if as_json:
        print_json({"path": str(out), **read.summary()})
    else:
        typer.echo(f"{graph_line(read.summary())}\n{out}")


def _named_nodes(text: str, graph: "Graph") -> list[Any]:
    """Return the nodes that a text names, with commas between, as the graph names them."""
    ids = {str(node): node for node in graph.ids}
    return [ids.get(name.strip(), name.strip()) for name in text.split(",") if name.strip()]


def _best_rows(table: "LinkTable") -> list[int]:
    """Return the rows of the highest scores; a pair that both ends propose counts once."""
    rows: dict[frozenset[int], int] = {}
    source, target = table.source.tolist(), table.target.tolist()
    for row in table.score.argsort(descending=True, stable=True)[: 2 * _SHOWN].tolist():
        rows.setdefault(frozenset((source[row], target[row])), row)
    return list(rows.values())[:_SHOWN]


def _print_links(table: "LinkTable", rows: Sequence[int]) -> None:
    """Print some rows of a table."""
    lines = [["", "", "score", "probability"]]
    for row in rows:
        names = [_shown(table.ids[int(ends[row])]) for ends in (table.source, table.target)]
        probability = "" if table.probability is None else f"{table.probability[row]:.3f}"
        lines.append([*names, f"{table.score[row]:.3f}", probability])
    print_columns(lines, right=(2, 3))


def _shown(name: Any) -> str:
    """Return a name that does nothing to a terminal: controls escaped, not too long."""
    text = printable(str(name))
    return text if len(text) <= 40 else text[:39] + "…"


COMMANDS = (predict, convert)
