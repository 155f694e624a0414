"""How time and memory grow with the number of nodes, at an average degree of 10.

With ``--million`` it is two large graphs whose training epoch is measured.
"""

import argparse
import math
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from check import random_z
from harness import Row, answer, compare, options
from meter import Step, measure, peak_mb, timed
from ours import gradient_step, our_loss, ours
from problems import random_links, random_problem, small_nodes
from report import bar, begin, finish, table

from vgae.graphs.canonical import both_directions
from vgae.kernels import Sampled
from vgae.runtime.streams import stream

LINKS_PER_NODE = 5  # an average degree of 10
DIM = 16
LEAST_LOG2 = 11
# Below, figures are noise of the clock and of the allocator, or a constant part.
FLOORS = {"wall_ms": 3.0, "peak_mb": 6.0}
MILLION = {"million-links-alone": 0, "million-128-features": 128}
MOST_MB = 8000.0


def loss_alone(num_nodes: int, pairs: str) -> Callable[[], Step]:
    """Make links and z, and return what makes the loss of them."""
    links = random_links(num_nodes, LINKS_PER_NODE * num_nodes)
    z = random_z(num_nodes, DIM)
    sampled = Sampled(generator=stream(0, "pairs")) if pairs == "sampled" else None
    loss = our_loss(both_directions(links), num_nodes, sampled=sampled)
    return lambda: gradient_step(loss, z)


def sampled_epoch(num_nodes: int) -> Callable[[], Step]:
    """Make a graph and its split, and return what makes model, optimizer and target."""
    problem = random_problem(num_nodes, LINKS_PER_NODE * num_nodes)
    return lambda: ours(problem, pairs="sampled").step


SIDES: dict[str, Callable[[int], Callable[[], Step]]] = {
    "exact-loss": partial(loss_alone, pairs="exact"),
    "sampled-loss": partial(loss_alone, pairs="sampled"),
    "sampled-epoch": sampled_epoch,
}


def run_side(args: argparse.Namespace) -> Row:
    """Measure one side at one size in this process."""
    torch.set_num_threads(args.threads[0])
    if args.side in MILLION:
        return million(MILLION[args.side], args)
    make, rehearsal = (SIDES[args.side](n) for n in (2**args.log2, small_nodes("ours")))
    return measure(make, rehearsal, steps=args.steps, warmup=2, seconds=args.seconds)


def million(num_features: int, args: argparse.Namespace) -> Row:
    """Do what ``fit`` does on a large graph; return seconds, and the peak of the process in MB."""
    begin = time.perf_counter()
    problem = random_problem(args.million_nodes, args.million_links, num_features=num_features)
    made = time.perf_counter()
    problem.split.audit(problem.graph)
    audited = time.perf_counter()
    trainer = ours(problem, pairs="sampled")
    trainer.step()
    started = time.perf_counter()
    wall, cpu = timed(trainer.step, steps=args.steps, seconds=args.seconds, least=3)
    trainer.means()
    return {
        "graph_s": made - begin,
        "audit_s": audited - made,
        "first_epoch_s": started - audited,
        "epoch_s": statistics.median(wall),
        "epoch_cpu_s": statistics.median(cpu),
        "process_mb": peak_mb(),
    }


def exponents(rows: Sequence[Row]) -> list[Row]:
    """Return the slopes of log figure against log N, where the figure is above its floor."""
    found = []
    for side in dict.fromkeys(row["side"] for row in rows):
        slopes: Row = {"side": side}
        for figure, least in FLOORS.items():
            above = [r for r in rows if r["side"] == side and r.get(figure, 0) >= least]
            sizes = [row["log2"] for row in above]
            logs = [math.log2(row[figure]) for row in above]
            if len(sizes) >= 3:
                slopes[f"{figure}_exponent"] = float(np.polyfit(sizes, logs, 1)[0])
                slopes[f"{figure}_sizes"] = f"2^{sizes[0]} to 2^{sizes[-1]}"
        found.append(slopes)
    return found


def acceptance(found: Sequence[Row]) -> list[Row]:
    """Return whether the memory of the losses grows as N does."""
    return [
        bar(
            f"exponent of memory, {row['side']}, {row.get('peak_mb_sizes', 'too few')} nodes",
            row.get("peak_mb_exponent"),
            at_least=0.9,
            at_most=1.1,
        )
        for row in found
        if row["side"].endswith("-loss")
    ]


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = options("Measure how time and memory grow.", threads=[2], repeats=3)
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=list(SIDES))
    parser.add_argument("--max-log2", type=int, default=20, help="largest N, as a power of two")
    parser.add_argument("--exact-max-log2", type=int, default=17, help="the same for exact-loss")
    parser.add_argument("--steps", type=int, default=20, help="measured per side and round")
    parser.add_argument("--seconds", type=float, default=5.0, help="at most so long per side")
    parser.add_argument("--million", action="store_true", help="measure two large graphs instead")
    parser.add_argument("--million-nodes", type=int, default=10**6)
    parser.add_argument("--million-links", type=int, default=10**7)
    parser.add_argument("--log2", type=int, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Measure, then print JSON to stdout and a table to stderr."""
    args = parse()
    if args.side:
        answer(partial(run_side, args))
        return
    report = begin(args, dim=DIM, links_per_node=LINKS_PER_NODE, floors=FLOORS)
    (measure_million if args.million else measure_sizes)(args, report)
    finish(report, args.json)


def measure_million(args: argparse.Namespace, report: Row) -> None:
    """Add a row per large graph to the report, and whether the memory is within its bar."""
    rows = compare(
        [{"threads": n, "side": s} for n in args.threads for s in MILLION], args.repeats
    )
    report["sides"] = rows
    report["acceptance"] = [
        bar(f"MB of the process, {r['side']}", r.get("process_mb"), at_most=MOST_MB) for r in rows
    ]
    columns = dict.fromkeys(
        ("graph_s", "audit_s", "first_epoch_s", "epoch_s", "epoch_cpu_s"), ".1f"
    )
    table(rows, {"threads": "d", "side": "s", **columns, "process_mb": ".0f"})


def measure_sizes(args: argparse.Namespace, report: Row) -> None:
    """Add a row per side and size to the report, the exponents, and whether they are right."""
    largest = dict.fromkeys(SIDES, args.max_log2)
    largest["exact-loss"] = min(args.exact_max_log2, args.max_log2)
    cells = [
        {"threads": args.threads[0], "side": side, "log2": log2}
        for side in args.sides
        for log2 in range(LEAST_LOG2, largest[side] + 1)
    ]
    report["sides"] = compare(cells, args.repeats)
    report["exponents"] = exponents(report["sides"])
    report["acceptance"] = acceptance(report["exponents"])
    columns = {"side": "s", "log2": "d", "wall_ms": ".1f", "cpu_ms": ".1f", "peak_mb": ".1f"}
    table(report["sides"], columns)
    forms = {"exponent": ".2f", "sizes": "s"}
    columns = {f"{figure}_{name}": form for figure in FLOORS for name, form in forms.items()}
    table(report["exponents"], {"side": "s", **columns})


if __name__ == "__main__":
    main()
