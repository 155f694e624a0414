"""How training scales with the number of processes, and how far its results depend on it.

    python benchmarks/processes.py --json benchmarks/results/processes.json

Each training is repeated with 1, 2 and 4 processes of one thread each, started as ``torchrun``
starts them. With more processes than cores the wall time says little; the CPU seconds of an epoch
are then the better measure of what one process would need on a core of its own. ``training_mb`` is
the peak while it trains beyond that of an idle process. Features of the planted graph are Normal,
64 of float32; ``VGAE_DATA`` is the folder of the others.
"""

import argparse
import json
import os
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise, product
from pathlib import Path
from typing import Any

from harness import Row, say
from meter import forget_peak, peak_mb
from report import machine

GRAPHS = ("cora", "citeseer", "pubmed", "planted")
RECIPES = ("paper", "best")
PAIRS = ("exact", "sampled")
PARTITION = ("no", "yes")  # whether the rows of features and adjacency are divided, too
MOST_EXACT = 20_000  # nodes: one exact epoch of the planted graph takes minutes
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
    parser.add_argument("--timeout", type=float, default=470)
    parser.add_argument("--json", type=Path, help="file to which results are added")
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker is not None:
        run(args)
        return
    rows = []
    for graph, recipe, pairs, partition in product(
        args.graphs, args.recipes, args.pairs, args.partition
    ):
        if pairs == "exact" and graph == "planted" and args.links > 10 * MOST_EXACT:
            continue
        rows += compared(args, graph, recipe, pairs, partition)
        write(args.json, rows)
    if args.json is None:
        print(json.dumps({"rows": rows, **machine()}, indent=1))


def write(path: Path | None, rows: Sequence[Row]) -> None:
    """Add rows to a file, in the place of those of the same training."""
    if path is None:
        return
    keys = ("graph", "recipe", "pairs", "partition", "size", "double", "epochs")
    found = json.loads(path.read_text()) if path.exists() else {"rows": []}
    kept = {tuple(row[key] for key in keys): row for row in (*found["rows"], *rows)}
    path.write_text(json.dumps({"rows": list(kept.values()), **machine()}, indent=1) + "\n")


def compared(args: argparse.Namespace, *setting: str) -> list[Row]:
    """Train with each number of processes; return times, and differences from the first."""
    rows, first = [], None
    for size in args.sizes:
        try:
            processes = together(args, size, *setting)
        except (subprocess.TimeoutExpired, subprocess.CalledProcessError) as error:
            say(f"{setting} {size}: {error}")
            continue
        lead = processes[0]
        first = lead if first is None else first
        row = dict(zip(("graph", "recipe", "pairs", "partition"), setting, strict=True))
        row |= {"size": size, "double": args.double, "epochs": lead["epochs"]}
        row |= {
            "seconds": lead["seconds"],
            "cpu_seconds": max(p["cpu_seconds"] for p in processes),
        }
        row |= {"sent": max(p["sent"] for p in processes)}
        row |= {"peak_mb": [round(p["peak_mb"]) for p in processes]}
        row |= {"training_mb": [round(p["training_mb"]) for p in processes]}
        row |= {"scores": lead["scores"]}
        scores = zip(lead["scores"], first["scores"], strict=True)
        row["score_difference"] = max(abs(a - b) for a, b in scores)
        row["parameter_difference"] = difference(lead["weights"], first["weights"])
        row["equal_processes"] = all(p["weights"] == lead["weights"] for p in processes)
        rows.append(row)
        say(json.dumps(row))
    return rows


def difference(weights: Sequence[float], others: Sequence[float]) -> float:
    """Return the largest difference, relative to the largest weight."""
    return max(abs(a - b) for a, b in zip(weights, others, strict=True)) / max(map(abs, others))


def together(args: argparse.Namespace, size: int, *setting: str) -> list[Row]:
    """Return what each process of a training reports."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    given = zip(("--graphs", "--recipes", "--pairs", "--partition"), setting, strict=True)
    command = [sys.executable, __file__, *(word for pair in given for word in pair)]
    command += ["--epochs", str(args.epochs), "--links", str(args.links)]
    command += ["--features", str(args.features)]
    command += ["--double"] * args.double
    with tempfile.TemporaryDirectory() as folder:
        started = [
            subprocess.Popen(
                [*command, "--worker", folder], env=os.environ | environment(rank, size, port)
            )
            for rank in range(size)
        ]
        end = time.monotonic() + args.timeout
        try:
            for process in started:
                process.wait(max(end - time.monotonic(), 0.1))
        finally:
            for process in started:
                process.kill()
                process.wait()
        for process in started:
            if process.returncode:
                raise subprocess.CalledProcessError(process.returncode, command)
        return [json.loads(Path(folder, f"{rank}.json").read_text()) for rank in range(size)]


def environment(rank: int, size: int, port: int) -> Mapping[str, str]:
    """Return what ``torchrun`` sets."""
    place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": size, "LOCAL_WORLD_SIZE": size}
    place |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "OMP_NUM_THREADS": 1}
    return {name: str(value) for name, value in place.items()}


def run(args: argparse.Namespace) -> None:
    """Be one of the processes of a training; write what it found."""
    import torch

    import vgae
    from vgae.evaluation.links import evaluate_links
    from vgae.runtime.devices import Compute
    from vgae.runtime.processes import joined
    from vgae.training import links, prepared

    torch.set_num_threads(1)
    recipe = replace(vgae.recipes.RECIPES[args.recipes[0]], pairs=args.pairs[0], eval_every=50)
    small = vgae.load_dataset("stdlib")
    vgae.fit(small, vgae.split_links(small), recipe=replace(recipe, epochs=1), progress=False)
    idle = forget_peak()  # libraries are loaded
    graph = graph_of(args.graphs[0], args.links, args.features)
    split = vgae.split_links(graph)
    recipe = replace(recipe, epochs=args.epochs or recipe.epochs, warmup=0)
    ends: list[tuple[float, float, int]] = []
    loop = prepared.epochs

    def epochs(*given: Any, **options: Any) -> Any:
        """Note time and bytes at the end of each epoch."""
        for epoch in loop(*given, **options):
            ends.append((time.perf_counter(), time.process_time(), us.sent))
            yield epoch

    prepared.epochs = epochs
    compute = Compute("cpu", partition=args.partition[0] == "yes")
    with joined() as us:
        model: Any = own_model(graph, recipe) if args.double else "vgae"
        training = links.prepare(graph, split, model=model, recipe=recipe, device=compute)
        forget_peak()
        # The health check may train again.
        result = replace(training, health=None).train(progress=False)
        training_mb = peak_mb() - idle
        scores = evaluate_links(result.model, graph, split) if us.leads else {}
    spent = [[b - a for a, b in pairwise(x)] for x in zip(*ends, strict=True)]
    seconds, cpu, sent = (statistics.median(values) for values in spent)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    weights = [w for p in result.last.values() for w in p.double().flatten().tolist()]
    row = {"epochs": recipe.epochs, "seconds": seconds, "cpu_seconds": cpu, "sent": sent}
    row |= {"peak_mb": peak, "training_mb": training_mb, "weights": weights}
    row["scores"] = [x for found in scores.values() for x in (found.auc, found.ap)]
    Path(args.worker, f"{us.rank}.json").write_text(json.dumps(row))


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
