"""How long training takes until validation links are told from non-links so well.

The clock runs from the first epoch on, evaluations included. Each seed is another split, other
initial weights and other noise, the same for all sides.
"""

import argparse
import statistics
import time
from functools import partial

import torch
from epoch import SIDES
from harness import Row, answer, options, take_turns
from ours import Trainer
from problems import Problem, named_problem, small_problem
from report import begin, finish, table

from vgae.evaluation.metrics import link_scores

DEFAULT = ("ours-exact", "ours-sampled", "dense", "pyg-sampled")
LEVELS = {"cora": 0.90, "pubmed": 0.80}
FEATURES = {"pubmed": "none"}


def run_side(args: argparse.Namespace) -> Row:
    """Train one side with one seed in this process, until it is there."""
    torch.set_num_threads(args.threads[0])
    problem = named_problem(args.dataset, args.features, args.seed)
    train = SIDES[args.side]
    # Libraries are loaded and code is compiled before the clock is started.
    start = time.perf_counter()
    rehearsal = train(small_problem(args.side))
    rehearsal.step()
    rehearsal.means()
    result = {"rehearsal_s": time.perf_counter() - start}
    trainer = train(problem)
    return result | train_until(trainer, problem, args.level, args.epochs, args.eval_every)


def train_until(
    trainer: Trainer, problem: Problem, level: float, num_epochs: int, eval_every: int
) -> Row:
    """Return seconds and epochs until the validation AUC reached a level; ``None`` if never."""
    start = time.perf_counter()
    best = 0.0
    for number in range(1, num_epochs + 1):
        trainer.step()
        if number % eval_every:
            continue
        best = max(best, auc(trainer, problem))
        if best >= level:
            return {"seconds": time.perf_counter() - start, "epochs": number, "best_auc": best}
    return {"seconds": None, "epochs": None, "best_auc": best}


def auc(trainer: Trainer, problem: Problem) -> float:
    """Return the AUC of the validation links, in [0, 1], from the posterior means."""
    val = problem.split.val
    src, dst = trainer.means()[val.edge_label_index]
    return link_scores((src * dst).sum(dim=1), val.edge_label).auc


def summary(cell: Row, results: list[Row]) -> Row:
    """Return how many seeds got there, and the medians over all; one that did not took forever."""
    lost = [result["skipped"] for result in results if "skipped" in result]
    if lost:
        return {**cell, "skipped": lost[0]}
    figures = {"seeds": len(results), "reached": sum(r["epochs"] is not None for r in results)}
    for name in ("seconds", "epochs"):
        values = [float("inf") if r[name] is None else r[name] for r in results]
        middle = statistics.median(values)
        figures[name] = None if middle == float("inf") else middle
    figures["best_auc"] = statistics.median(r["best_auc"] for r in results)
    return {**cell, **figures, "rounds": results}


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = options("Measure the time to a validation AUC.", threads=[2], repeats=5)
    parser.add_argument("--dataset", default="cora")
    parser.add_argument("--features", choices=["raw", "none"], help="none for pubmed, else raw")
    parser.add_argument("--level", type=float, help="0.80 for pubmed, else 0.90")
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=list(DEFAULT))
    parser.add_argument("--epochs", type=int, default=200, help="at most")
    parser.add_argument("--eval-every", type=int, default=5)
    parser.add_argument("--seed", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.features = args.features or FEATURES.get(args.dataset, "raw")
    args.level = args.level or LEVELS.get(args.dataset, 0.90)
    return args


def main() -> None:
    """Measure, then print JSON to stdout and a table to stderr."""
    args = parse()
    if args.side:
        answer(partial(run_side, args))
        return
    report = begin(args)
    cells = [{"threads": n, "side": side} for n in args.threads for side in args.sides]
    turns = take_turns(cells, args.repeats, lambda number: {"seed": number})
    report["sides"] = [summary(*pair) for pair in zip(cells, turns, strict=True)]
    columns = {"threads": "d", "side": "s", "seconds": ".2f", "epochs": ".0f", "reached": "d"}
    table(report["sides"], columns | {"seeds": "d", "best_auc": ".3f"})
    finish(report, args.json)


if __name__ == "__main__":
    main()
