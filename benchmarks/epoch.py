"""What one training epoch costs on a CPU: forward, backward, Adam step, no evaluation."""

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from itertools import product

import torch
from check import check, stop_unless_exact
from harness import Row, answer, compare, find, options
from meter import measure
from ours import Trainer, ours
from peers import LATENT, dense, dgl, pyg
from problems import Problem, is_there, named_problem, small_problem
from report import bar, begin, finish, ratio, table

WARMUP = 10
BASE = "ours-exact"
FIGURES = ("wall_ms", "cpu_ms", "peak_mb")

SIDES: dict[str, Callable[[Problem], Trainer]] = {
    "ours-exact": partial(ours, pairs="exact"),
    "ours-sampled": partial(ours, pairs="sampled"),
    "dense": dense,
    "dense-kept": partial(dense, kept=True),
    "pyg-sampled": partial(pyg, cached=True, sparse_x=False),
    "pyg-uncached": partial(pyg, cached=False, sparse_x=False),
    "pyg-sparse-x": partial(pyg, cached=True, sparse_x=True),
    "dgl": dgl,
}


def run_side(args: argparse.Namespace) -> Row:
    """Measure one side in this process."""
    torch.set_num_threads(args.threads[0])
    problem = named_problem(args.dataset, args.features)
    if args.side == "check":
        return check(problem.split.train, problem.graph.num_nodes, LATENT)
    train, small = SIDES[args.side], small_problem(args.side)
    return measure(
        lambda: train(problem).step,
        lambda: train(small).step,
        steps=args.epochs,
        warmup=WARMUP,
        seconds=args.seconds,
    )


def add_ratios(rows: Sequence[Row]) -> None:
    """Add to each row how many times it holds the figures of ours-exact at as many threads."""
    for row in rows:
        base = find(rows, threads=row["threads"], side=BASE)
        row |= {f"{figure}_ratio": ratio(row, base, figure) for figure in FIGURES}


def acceptance(rows: Sequence[Row]) -> list[Row]:
    """Return whether the bars, of wall time at two threads, are met; CPU time goes along."""
    found = []
    for over, under, limits in (
        ("dense", BASE, {"at_least": 8.0}),
        ("dense-kept", BASE, {"at_least": 8.0}),
        (BASE, "pyg-sampled", {"at_most": 0.5}),
        (BASE, "pyg-sparse-x", {"at_most": 0.7}),
    ):
        pair = [find(rows, threads=2, side=side) for side in (over, under)]
        if None not in pair:
            name = f"{over} / {under}, wall time of an epoch, 2 threads"
            verdict = bar(name, ratio(*pair, "wall_ms"), **limits)
            found.append(verdict | {"cpu_time": ratio(*pair, "cpu_ms")})
    return found


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = options("Measure one training epoch.", threads=(2, 1), repeats=3)
    parser.add_argument("--dataset", help="default: cora if its files are there, else stdlib")
    parser.add_argument("--features", choices=["raw", "none"], default="raw")
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=list(SIDES))
    parser.add_argument("--epochs", type=int, default=50, help="measured per side and round")
    parser.add_argument("--seconds", type=float, default=60.0, help="at most so long per side")
    args = parser.parse_args()
    args.dataset = args.dataset or ("cora" if is_there("cora") else "stdlib")
    if BASE not in args.sides:
        args.sides.insert(0, BASE)
    return args


def main() -> None:
    """Measure, then print JSON to stdout and a table to stderr."""
    args = parse()
    if args.side:
        answer(partial(run_side, args))
        return
    report = begin(args, warmup=WARMUP)
    report["relative_errors"] = stop_unless_exact(args.threads[0])
    cells = [{"threads": n, "side": side} for n, side in product(args.threads, args.sides)]
    report["sides"] = compare(cells, args.repeats)
    add_ratios(report["sides"])
    # The bars were set for Cora with its features; on a small graph the dense loss costs little.
    if (args.dataset, args.features) == ("cora", "raw") and 2 in args.threads:
        report["acceptance"] = acceptance(report["sides"])
    columns = {"threads": "d", "side": "s", **dict.fromkeys(FIGURES, ".1f")}
    table(report["sides"], columns | {f"{figure}_ratio": ".2f" for figure in FIGURES})
    finish(report, args.json)


if __name__ == "__main__":
    main()
