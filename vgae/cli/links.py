"""The commands predict, for missing links, and convert, for graph files."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vgae.cli.console import print_json
from vgae.cli.link_lines import numbers_true, print_links
from vgae.cli.memory import with_limit
from vgae.cli.options import (
    READING,
    AllowSeen,
    GraphArgument,
    GraphFeatures,
    Json,
    OtherGraph,
    Quiet,
    RunArgument,
    announce,
    given_options,
    refuse_options,
    with_reading,
)
from vgae.data.reading import Reading
from vgae.errors import DataError, UsageError, check_choice, did_you_mean
from vgae.report.text import graph_line

if TYPE_CHECKING:
    from vgae.graphs.graph import Graph

log = logging.getLogger(__name__)

_NODES = ("nodes", "nodes_file")
_ENDS = ("from_", "from_file", "to", "to_file")
_OF_PROPOSALS = (
    "top_k",
    "overall",
    "per_graph",
    "within",
    "nodes",
    "nodes_file",
    *_ENDS,
    "metric",
    "exact",
)


_TopK = Annotated[int, typer.Option("--top-k", "-k", min=1, help="Links for each node.")]
_Overall = Annotated[
    bool, typer.Option("--overall", help="The top-k of all pairs, not of each node.")
]
_PerGraph = Annotated[
    bool, typer.Option("--per-graph", help="The top-k pairs of each graph of a collection.")
]
_Within = Annotated[
    list[str],
    typer.Option(
        metavar="NAME", help="Graph of a collection to propose links in; may be repeated."
    ),
]
_Nodes = Annotated[
    list[str],
    typer.Option(
        metavar="NAME",
        help="Node to propose for; may be repeated. A text that is no name is taken as"
        " several, separated by commas; names may contain commas too.",
    ),
]
_NodesFile = Annotated[
    Path | None,
    typer.Option(
        help="File with the names of nodes to propose for, one a line. A line that begins with #"
        " is a comment, unless it is the name of a node."
    ),
]
_From = Annotated[
    list[str],
    typer.Option(
        "--from",
        metavar="NAME",
        help="First nodes of the links: a side of a two-sided graph, such as users, or nodes as"
        " for --nodes; the sources in a directed graph.",
    ),
]
_To = Annotated[
    list[str],
    typer.Option(
        "--to", metavar="NAME", help="Second nodes: a side, such as items, or nodes; targets."
    ),
]
_FromFile = Annotated[Path | None, typer.Option(help="File with the first nodes, one a line.")]
_ToFile = Annotated[Path | None, typer.Option(help="File with the second nodes, one a line.")]
_Pairs = Annotated[
    Path | None, typer.Option(help="Score these pairs instead: a file, two names per line.")
]
_Metric = Annotated[
    str, typer.Option(help="Score that ranks links: 'inner_product', as trained, or 'cosine'.")
]
_Exact = Annotated[bool, typer.Option("--exact", help="Search a large graph exactly too.")]
_Prior = Annotated[
    str | None,
    typer.Option(
        help="Fraction of links that probabilities refer to: 'density', of held-out links among"
        " all pairs that are not known; 'graph', of links among all pairs; or 'balanced' (one"
        " half)  [default: density; graph with --samples]",
        show_default=False,
    ),
]


_Relation = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Relation of a typed graph whose links are proposed."),
]


_Samples = Annotated[
    int,
    typer.Option(
        min=0,
        help="Samples of the posterior that probabilities are averaged over, such as 100, with"
        " credible intervals; 0 for none.",
    ),
]
_Interval = Annotated[
    float | None,
    typer.Option(
        help="Probability of the intervals of probabilities, with --samples, of predicted weights,"
        " and of the number of links that come true  [default: 0.8; 0.95 for the number]",
        show_default=False,
    ),
]
_Seed = Annotated[int, typer.Option(min=0, help="Seed of the samples.")]


@with_limit
@with_reading
def predict(
    context: typer.Context,
    run: RunArgument,
    reading: Reading,
    graph: OtherGraph = None,
    top_k: _TopK = 10,
    overall: _Overall = False,
    per_graph: _PerGraph = False,
    within: _Within = [],
    nodes: _Nodes = [],
    nodes_file: _NodesFile = None,
    from_: _From = [],
    to: _To = [],
    from_file: _FromFile = None,
    to_file: _ToFile = None,
    pairs: _Pairs = None,
    metric: _Metric = "inner_product",
    exact: _Exact = False,
    prior: _Prior = None,
    samples: _Samples = 0,
    interval: _Interval = None,
    seed: _Seed = 0,
    features: GraphFeatures = "raw",
    allow_seen: AllowSeen = False,
    relation: _Relation = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help=".csv, .tsv, .json, .jsonl or .parquet  [default: RUN/links.csv]"
        ),
    ] = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Propose missing links, or score pairs, with probabilities."""
    from vgae.cli.train import draw_figures
    from vgae.evaluation.typed import of_relation
    from vgae.prediction.ends import searches
    from vgae.prediction.links import check_collection, predict_links, score_links
    from vgae.prediction.searches import Metric
    from vgae.prediction.weights import checked_level
    from vgae.runs.calibrations import calibration_at, with_folds, with_intervals
    from vgae.runs.clusters import with_clusters_of_ends
    from vgae.runs.graphs import GRAPHS
    from vgae.runs.kind import kind_of
    from vgae.runs.opening import open_like
    from vgae.runs.typed import TYPED
    from vgae.runtime.tables import check_table

    _check_given(context)
    announce(quiet=quiet or as_json)
    progress = False if quiet else None
    other: dict[str, Any] = {"features": features, "progress": progress}
    if pairs is None:  # else the options are for that file
        other["reading"] = reading
    unchecked = ["split.npz"] if allow_seen else []
    is_typed, path = kind_of(run) is TYPED, out or run / "links.csv"
    check_table(path)
    if is_typed:
        why = "a run on a typed graph has no"
        refuse_options(context, ["graph", "features", "prior", "samples"], "TYPED_GRAPH", why)
        loaded, calibration = TYPED.load(run, unchecked=unchecked), None
        scored: Any = loaded.graph
    else:
        loaded = GRAPHS.load(run, unchecked=unchecked)
        other["encoder"] = loaded.feature_encoder
        scored = loaded.graph if graph is None else open_like(loaded.config, graph, **other)
        loaded = with_intervals(loaded, allow_seen=allow_seen) if samples else loaded
        prior = prior or ("graph" if samples else "density")
        if overall and graph is None and prior == "density" and not (samples or allow_seen):
            # What is wrong is refused before the trainings.
            check_choice("metric", metric, Metric)
            checked_level(0.8 if interval is None else interval)
            ends = (_side_or_nodes(*of, scored) for of in ((from_, from_file), (to, to_file)))
            searches(scored, None, *ends, per_node=False)
            check_collection(scored, per_graph=per_graph, within=within or None)
            before, loaded = loaded.metrics, with_folds(loaded, progress=progress)
            if loaded.metrics is not before:  # another calibration is stored
                draw_figures(loaded)
        calibration = calibration_at(loaded, prior, allow_seen=allow_seen)  # pyright: ignore[reportArgumentType]
    model, scored = of_relation(loaded, scored, relation)
    has_weights = "weights" in getattr(loaded.model.decoder, "parts", {})
    if pairs is not None and not samples and not has_weights:
        refuse_options(context, ["interval"], "INTERVAL", "without --samples there is no")
    sampled: Any = {"samples": samples, "interval": interval, "seed": seed}
    if pairs is None:
        table = predict_links(
            model,
            scored,
            top_k,
            per_node=not overall,
            per_graph=per_graph,
            within=within or None,
            nodes=_named_nodes(nodes, nodes_file, scored),
            sources=_side_or_nodes(from_, from_file, scored),
            targets=_side_or_nodes(to, to_file, scored),
            metric=metric,  # pyright: ignore[reportArgumentType]
            exact=exact,
            calibration=calibration,
            progress=progress,
            **sampled,
        )
    else:
        given = _named_pairs(pairs, reading)
        table = score_links(model, scored, given, calibration=calibration, **sampled)
    if graph is None and kind_of(run) is GRAPHS:
        table = with_clusters_of_ends(loaded, table)
    table.save(path)
    if as_json:
        recall = {} if table.recall is None else {"recall": round(table.recall, 4)}
        print_json({"path": str(path), "links": len(table), **recall, **numbers_true(table)})
    else:
        print_links(table, path, proposed=pairs is None, metric=metric)


def _check_given(context: typer.Context) -> None:
    """Raise ``UsageError`` if an option is given beside another one that excludes it."""
    given = given_options(context)
    of_file = ["features", *(() if "pairs" in given else READING)]
    excluded = [
        ("pairs" in given, _OF_PROPOSALS, "PAIRS", "with --pairs"),
        ("overall" in given, [*_NODES, "per_graph"], "PER_NODE", "with --overall"),
        ("per_graph" in given, _NODES, "PER_NODE", "with --per-graph"),
        (given.keys() & _NODES, _ENDS, "PER_NODE", "with --nodes"),
        ("graph" not in given, of_file, "FEATURES", "without another GRAPH"),
        (not context.params["samples"], ["seed"], "INTERVAL", "without --samples"),
    ]
    for is_given, names, code, why in excluded:
        if is_given:
            refuse_options(context, names, code, f"{why} there is no")


@with_limit
@with_reading
def convert(
    graph: GraphArgument,
    reading: Reading,
    out: Annotated[Path, typer.Option("--out", "-o", help="An .npz file.")],
    features: GraphFeatures = "raw",
    as_json: Json = False,
) -> None:
    """Read a graph, and write it as .npz, which every command takes."""
    from vgae.data.files import write_npz
    from vgae.runs.opening import open_graph
    from vgae.runtime.atomic import check_writable

    announce(quiet=as_json)
    if out.suffix != ".npz":
        raise UsageError("EXPORT_FORMAT", f"--out must end in .npz, got {out}.")
    check_writable(out)
    read = open_graph(graph, features, reading)
    write_npz(read, out)
    if as_json:
        print_json({"path": str(out), **read.summary()})
    else:
        typer.echo(f"{graph_line(read.summary())}\n{out}")


def _side_or_nodes(texts: list[str], path: Path | None, graph: "Graph") -> list[Any] | str | None:
    """Return the name of a side, if it is all that is given, or the named nodes."""
    from vgae.prediction.ends import side_named

    if path is None and len(texts) == 1 and side_named(graph, texts[0]) is not None:
        return texts[0]
    return _named_nodes(texts, path, graph)


def _named_nodes(texts: list[str], path: Path | None, graph: "Graph") -> list[Any] | None:
    """Return the named nodes, in the type of the graph; ``None`` if none are named.

    Args:
        texts: Names, which are taken as they are, or else several names, separated by commas.
        path: File of names, one a line, which are taken as they are. Other lines that begin with
            # are comments.
        graph: Graph of the nodes.
    """
    if not texts and path is None:
        return None
    ids = {str(node): node for node in graph.ids}
    lines = [] if path is None else _lines(path)
    names = [line for line in lines if line in ids or not line.startswith("#")]
    for text in texts:
        names += _names_in(text, ids, graph.name)
    return [ids.get(name, name) for name in names]


def _names_in(text: str, ids: Mapping[str, Any], graph: str) -> list[str]:
    """Return the names in a text: the whole, or names between commas, the longest ones first.

    Raises:
        DataError: ``UNKNOWN_NODE`` if a text with commas consists of no names.
    """
    if text in ids or "," not in text:
        return [text if text in ids else text.strip()]
    names, parts = [], text.split(",")
    longest = 1 + max(name.count(",") for name in ids)
    while parts:
        sizes = range(min(longest, len(parts)), 0, -1)
        tried = [(size, ",".join(parts[:size])) for size in sizes]
        found = [(size, t) for size, name in tried for t in (name, name.strip()) if t in ids]
        if not found and parts[0].strip():
            near = did_you_mean(text, ids) or did_you_mean(parts[0].strip(), ids)
            raise DataError(
                "UNKNOWN_NODE",
                f"{text!r:.120} is no name in {graph}, and as a list of names between commas it"
                f" has {parts[0].strip()!r:.60}, which is none either.{near}",
            )
        size, name = found[0] if found else (1, "")
        if size > 1 and all(part.strip() in ids for part in parts[:size]):
            log.warning("%r is taken as one name, though its parts are names too", name)
        names += [name] if name else []
        parts = parts[size:]
    return names


def _lines(path: Path) -> list[str]:
    """Return the lines of a text file that are not empty, with blanks at their ends."""
    from vgae.runtime.reading import brief, read_regular

    try:
        text = read_regular(path).decode("utf-8-sig")
    except (OSError, ValueError) as error:
        raise DataError("CANNOT_READ", f"{path}: {brief(error)}.") from None
    return [line for line in text.replace("\r\n", "\n").split("\n") if line]


def _named_pairs(path: Path, reading: Reading) -> list[list[Any]]:
    """Return the pairs of names in a file."""
    from vgae.data.edge_lists import read_edges

    given = read_edges(path, replace(reading, weight=reading.weight or "none"))
    return [[given.names[u], given.names[v]] for u, v in given.edges.T.tolist()]


COMMANDS = (predict, convert)
