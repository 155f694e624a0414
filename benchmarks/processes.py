"""How training scales with the number of processes, and how far its results depend on it.

    python benchmarks/processes.py --json benchmarks/results/processes.json
    python benchmarks/processes.py --json PATH --docs docs/processes.md

The second one writes a table of the results into a page. Each training is repeated with 1, 2 and 4
processes of one thread each, started as ``torchrun`` starts them. With more processes than cores
the wall time says little; the CPU seconds of an epoch are then the better measure of what one
process would need on a core of its own. ``training_mb`` is the peak while it trains beyond that of
an idle process. Features of the planted graph are Normal, 64 of float32; ``VGAE_DATA`` is the
folder of the others.
"""

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise, product
from pathlib import Path
from typing import Any

from harness import Row, say
from meter import forget_peak, peak_mb
from report import insert, machine

GRAPHS = ("cora", "citeseer", "pubmed", "planted")
RECIPES = ("paper", "best")
PAIRS = ("exact", "sampled")
PARTITION = ("no", "yes")  # whether the rows of features and adjacency are divided, too
KEYS = ("graph", "recipe", "pairs", "partition", "size", "double", "epochs", "links")
ALIKE = ("graph", "recipe", "pairs", "partition", "size", "links")
HEAD = ("graph", "recipe", "pairs", "K", "epochs", "CPU s an epoch", "MB sent an epoch")
HEAD += ("peak MB", "of which training", "scores", "weights, float64")
NODES, LINKS, FEATURES = 200_000, 2_000_000, 64


def main() -> None:
    """Run all trainings, or be one process of one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--graphs", nargs="+", choices=GRAPHS, default=GRAPHS)
    parser.add_argument("--recipes", nargs="+", choices=RECIPES, default=RECIPES)
    parser.add_argument("--pairs", nargs="+", choices=PAIRS, default=PAIRS)
    parser.add_argument("--partition", nargs="+", choices=PARTITION, default=("no",))
    parser.add_argument("--sizes", nargs="+", type=int, default=[1, 2, 4])
    parser.add_argument("--epochs", type=int, default=0, help="0 for all of the recipe")
    parser.add_argument("--double", action="store_true", help="an own model in float64")
    parser.add_argument("--links", type=int, default=LINKS, help="of the planted graph")
    parser.add_argument("--features", type=int, default=FEATURES, help="of the planted graph")
    parser.add_argument(
        "--most-exact",
        type=int,
        default=20_000,
        help="nodes of the planted graph with exact sums: 200,000 take minutes an epoch",
    )
    parser.add_argument("--timeout", type=float, default=3600, help="of all with K processes")
    parser.add_argument("--json", type=Path, help="file to which results are added")
    parser.add_argument("--docs", type=Path, help="page to which the table is written")
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker is not None:
        run(args)
        return
    if args.docs is not None:
        insert(table(json.loads(args.json.read_text())["rows"]), args.docs, "processes")
        return
    rows = compared(args)
    if args.json is None:
        print(json.dumps({"rows": rows, **machine()}, indent=1))


def settings(args: argparse.Namespace) -> Iterator[tuple[str, ...]]:
    """Yield graph, recipe, pairs and partition of each training."""
    for setting in product(args.graphs, args.recipes, args.pairs, args.partition):
        graph, _, pairs, _ = setting
        if pairs == "sampled" or graph != "planted" or args.links <= 10 * args.most_exact:
            yield setting


def write(path: Path | None, rows: Sequence[Row]) -> None:
    """Add rows to a file, in the place of those of the same training."""
    if path is None:
        return
    found = json.loads(path.read_text()) if path.exists() else {"rows": []}
    kept = {tuple(row[key] for key in KEYS): row for row in (*found["rows"], *rows)}
    path.write_text(json.dumps({"rows": list(kept.values()), **machine()}, indent=1) + "\n")


def compared(args: argparse.Namespace) -> list[Row]:
    """Train with each number of processes; return times, and differences from the first."""
    rows: list[Row] = []
    first: dict[tuple[str, ...], Row] = {}
    for size in args.sizes:
        for setting, processes in zip(settings(args), together(args, size), strict=False):
            lead = processes[0]
            one = first.setdefault(setting, lead)
            row = dict(zip(KEYS, setting, strict=False))
            row |= {"size": size, "double": args.double, "epochs": lead["epochs"]}
            row |= {"links": args.links if setting[0] == "planted" else None}
            row |= {"seconds": lead["seconds"]}
            row |= {name: max(p[name] for p in processes) for name in ("cpu_seconds", "sent")}
            row |= {
                name: [round(p[name]) for p in processes] for name in ("peak_mb", "training_mb")
            }
            row |= {"scores": lead["scores"]}
            scores = zip(lead["scores"], one["scores"], strict=True)
            row["score_difference"] = max(abs(a - b) for a, b in scores)
            row["parameter_difference"] = difference(lead["weights"], one["weights"])
            row["equal_processes"] = all(p["weights"] == lead["weights"] for p in processes)
            rows.append(row)
            say(json.dumps(row))
        write(args.json, rows)
    return rows


def table(rows: Sequence[Row]) -> str:
    """Return the strong scaling in float32, and differences in both precisions, in Markdown."""
    doubles = {tuple(row[key] for key in ALIKE): row for row in rows if row["double"]}
    lines = [f"| {' | '.join(HEAD)} |", "| --- | --- | --- |" + " ---: |" * (len(HEAD) - 3)]
    for row in sorted((row for row in rows if not row["double"]), key=place):
        double = doubles.get(tuple(row[key] for key in ALIKE))
        divided = "--partition" if row["partition"] == "yes" else ""
        words = (name_of(row), f"`{row['recipe']}`", f"{row['pairs']} {divided}".strip())
        figures = (
            f"{row['size']}",
            f"{row['epochs']}",
            f"{row['cpu_seconds']:.4f}",
            f"{row['sent'] / 1e6:.2f}",
            f"{max(row['peak_mb'])}",
            f"{max(row.get('training_mb', ['']))}",
            f"{row['score_difference']:.0e}",
            "" if double is None else f"{double['parameter_difference']:.0e}",
        )
        lines.append(f"| {' | '.join((*words, *figures))} |")
    return "\n".join(lines)


def name_of(row: Row) -> str:
    """Return the name of the graph of a row; of a planted one its number of links."""
    return row["graph"] if row["links"] is None else f"{row['links']:,} links"


def place(row: Row) -> tuple[Any, ...]:
    """Return the place of a row in the table."""
    graph = GRAPHS.index(row["graph"])
    return graph, row["recipe"] != "paper", row["pairs"], row["partition"], row["size"]


def difference(weights: Sequence[float], others: Sequence[float]) -> float:
    """Return the largest difference, relative to the largest weight."""
    return max(abs(a - b) for a, b in zip(weights, others, strict=True)) / max(map(abs, others))


def together(args: argparse.Namespace, size: int) -> list[tuple[Row, ...]]:
    """Return what each process of each training reports, as far as they got."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        started = [
            subprocess.Popen(
                [sys.executable, __file__, *sys.argv[1:], "--worker", folder],
                env=os.environ | environment(rank, size, port),
            )
            for rank in range(size)
        ]
        end = time.monotonic() + args.timeout
        try:
            for process in started:
                process.wait(max(end - time.monotonic(), 0.1))
        except subprocess.TimeoutExpired as error:
            say(f"{size} processes: {error}")
        finally:
            for process in started:
                process.kill()
                process.wait()
        if failed := [process.returncode for process in started if process.returncode]:
            say(f"{size} processes: exit statuses {failed}")
        files = [Path(folder, f"{rank}.jsonl") for rank in range(size)]
        found = [file.read_text().splitlines() if file.exists() else [] for file in files]
        return [tuple(map(json.loads, lines)) for lines in zip(*found, strict=False)]


def environment(rank: int, size: int, port: int) -> Mapping[str, str]:
    """Return what ``torchrun`` sets."""
    place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": size, "LOCAL_WORLD_SIZE": size}
    place |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "OMP_NUM_THREADS": 1}
    return {name: str(value) for name, value in place.items()}


def run(args: argparse.Namespace) -> None:
    """Be one of the processes of all trainings; write what it found."""
    import torch

    import vgae
    from vgae.runtime.processes import joined

    torch.set_num_threads(1)
    small = vgae.load_dataset("stdlib")
    recipe = replace(vgae.recipes.RECIPES["paper"], epochs=1)
    vgae.fit(small, vgae.split_links(small), recipe=recipe, progress=False)
    idle = forget_peak()  # libraries are loaded
    with joined() as us, Path(args.worker, f"{us.rank}.jsonl").open("w") as file:
        for setting in settings(args):
            file.write(json.dumps(trained(args, idle, us, *setting)) + "\n")
            file.flush()


def trained(
    args: argparse.Namespace, idle: float, us: Any, name: str, recipe: str, pairs: str, rows: str
) -> Row:
    """Return what a training takes, and what comes of it."""
    import vgae
    from vgae.evaluation.links import evaluate_links
    from vgae.runtime.devices import Compute
    from vgae.runtime.processes import alone
    from vgae.training import links, prepared

    graph = graph_of(name, args.links, args.features)
    split = vgae.split_links(graph)
    chosen = replace(vgae.recipes.RECIPES[recipe], pairs=pairs, eval_every=50, warmup=0)
    chosen = replace(chosen, epochs=args.epochs or chosen.epochs)
    ends: list[tuple[float, float, int]] = []
    loop = prepared.epochs

    def epochs(*given: Any, **options: Any) -> Any:
        """Note time and bytes at the beginning, and at the end of each epoch."""
        ends.append((time.perf_counter(), time.process_time(), us.sent))
        for epoch in loop(*given, **options):
            ends.append((time.perf_counter(), time.process_time(), us.sent))
            yield epoch

    model: Any = own_model(graph, chosen) if args.double else "vgae"
    compute = Compute("cpu", partition=rows == "yes")
    training = links.prepare(graph, split, model=model, recipe=chosen, device=compute)
    forget_peak()
    prepared.epochs = epochs
    try:
        # The health check may train again.
        result = replace(training, health=None).train(progress=False)
    finally:
        prepared.epochs = loop
    peak = peak_mb()
    # The first epoch, which also allocates, only counts alone.
    steps = [[b - a for a, b in pairwise(x)] for x in zip(*ends, strict=True)]
    seconds, cpu, sent = (statistics.median(values[1:] or values) for values in steps)
    weights = [w for p in result.last.values() for w in p.double().flatten().tolist()]
    with alone():
        scores = evaluate_links(result.model, graph, split) if us.leads else {}
    row = {"epochs": chosen.epochs, "seconds": seconds, "cpu_seconds": cpu, "sent": sent}
    row |= {"peak_mb": peak, "training_mb": peak - idle, "weights": weights}
    return row | {"scores": [x for found in scores.values() for x in (found.auc, found.ap)]}


def own_model(graph: Any, recipe: Any) -> Any:
    """Return a model in float64 with the widths and the pairs of a recipe."""
    import torch

    import vgae

    width = graph.num_features
    generator = torch.Generator().manual_seed(0)
    encoder = vgae.GCNEncoder(
        width, recipe.hidden_channels, recipe.latent_channels, generator=generator
    )
    decoder = vgae.InnerProductDecoder(weighting="kipf", bias=True, pairs=recipe.pairs)
    return vgae.VAE(encoder, decoder).double()


def graph_of(name: str, links: int, features: int) -> Any:
    """Return a graph by its name; large features of the planted one stay in a file."""
    import numpy as np

    import vgae
    from vgae.graphs.planted import PlantedGraph
    from vgae.runtime.mapped import spilled

    if name != "planted":
        return vgae.load_dataset(name)
    planted = PlantedGraph(links=links, nodes=links // 10, features=features)
    x = spilled((planted.nodes, features), planted.feature_blocks())
    edges = np.concatenate(list(planted.strips()), axis=1)
    return vgae.Graph.from_edges(edges, x=x, num_nodes=planted.nodes, name=name)


if __name__ == "__main__":
    main()
