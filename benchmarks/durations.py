"""Whether the time that a training is predicted to take is the time that it takes.

Random graphs of 100,000 and 1,000,000 nodes with ten links a node, without features and with 128
dense ones, and data sets of the catalogue; ``paper`` and ``best``, one thread and two.
"""

import argparse
import statistics
import time
from dataclasses import replace
from functools import partial
from itertools import pairwise, product

import torch
from harness import CannotRun, Row, answer, compare, options
from problems import Problem, named_problem, random_problem
from report import bar, begin, finish, table

from vgae.recipes import recipe_named
from vgae.training.history import HistoryRow
from vgae.training.links import prepare

LINKS_PER_NODE = 10
# Nodes; 0 is a data set.
GRAPHS = {"stdlib": 0, "cora": 0, "pubmed": 0, "100k": 100_000, "1m": 1_000_000}
FEATURES = {"none": 0, "128": 128}


def problem_named(graph: str, features: str) -> Problem:
    """Return a data set of the catalogue, or a random graph."""
    if num_nodes := GRAPHS[graph]:
        options = {"num_features": FEATURES[features]}
        return random_problem(num_nodes, LINKS_PER_NODE * num_nodes, **options)
    return named_problem(graph, features)


def run_side(args: argparse.Namespace) -> Row:
    """Measure epochs of ``fit``, and compare them with the plan."""
    torch.set_num_threads(args.threads[0])
    graph, features, recipe = args.side.split("/")
    problem = problem_named(graph, features)
    settings = replace(recipe_named(recipe), epochs=args.epochs + 1)
    prepared = prepare(problem.graph, problem.split, recipe=settings, device="cpu")
    wall, cpu = [], []

    def on_row(_: HistoryRow) -> None:
        wall.append(time.perf_counter())
        cpu.append(time.process_time())

    replace(prepared, health=None).train(on_row=on_row, progress=False)
    # Rows come in groups, one for each validation; the first group compiles and warms up.
    step = prepared.recipe.eval_every
    ends = range(step - 1, len(wall), step)
    if len(ends) < 2:
        raise CannotRun(f"{args.epochs} epochs are fewer than two validations")
    gaps = [(later, earlier) for earlier, later in pairwise(ends)]
    epoch, of_cpu = (
        statistics.median((clock[b] - clock[a]) / step for b, a in gaps) for clock in (wall, cpu)
    )
    assert prepared.plan is not None  # a named model has one
    duration = prepared.plan.duration
    predicted = duration.epoch
    return {
        "epoch_s": epoch,
        "epoch_cpu_s": of_cpu,
        "predicted_s": predicted,
        "predicted_of_wall": predicted / epoch,
        # On a machine that does other things too, the time of its processors says more.
        "predicted_of_cpu": predicted * args.threads[0] / of_cpu,
        **{f"predicted_{name}_s": value for name, value in duration._asdict().items()},
    }


def main() -> None:
    """Measure, then print JSON to stdout and a table to stderr."""
    parser = options("Compare predicted and measured epochs.", threads=(1, 2), repeats=1)
    parser.add_argument("--graphs", nargs="+", choices=GRAPHS, default=["cora", "100k"])
    parser.add_argument("--features", nargs="+", default=["none", "128", "raw"])
    parser.add_argument("--recipes", nargs="+", default=["paper", "best"])
    parser.add_argument("--epochs", type=int, default=30)
    args = parser.parse_args()
    if args.side:
        answer(partial(run_side, args))
        return
    report = begin(args)
    sides = [
        "/".join(parts)
        for parts in product(args.graphs, args.features, args.recipes)
        if parts[1] in (("none", "128") if GRAPHS[parts[0]] else ("none", "raw"))
    ]
    rows = compare(
        [{"threads": n, "side": side} for n in args.threads for side in sides], args.repeats
    )
    report["sides"] = rows
    report["acceptance"] = [
        bar(
            f"predicted / CPU time, {row['side']}, {row['threads']} threads",
            row.get("predicted_of_cpu"),
            at_least=0.5,
            at_most=2.0,
        )
        for row in rows
    ]
    columns = {"epoch_s": ".3f", "epoch_cpu_s": ".3f", "predicted_s": ".3f"}
    columns |= {"predicted_of_wall": ".2f", "predicted_of_cpu": ".2f"}
    table(rows, {"threads": "d", "side": "s", **columns})
    finish(report, args.json)


if __name__ == "__main__":
    main()
