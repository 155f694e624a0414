"""What the loss alone costs on a CPU: its value, and its gradient with respect to z.

With ``--variance`` it is not time that is measured but the noise of the sampled gradients; with
``--rectangle`` how the memory and time of two sets of vectors grow with their sizes, with
``--gravity`` those of the gravity loss with the number of nodes.
"""

import argparse
import math
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from statistics import linear_regression
from typing import Any, NamedTuple

import torch
import variance
from check import check, errors, random_z, reference, stop_unless_exact
from harness import Row, answer, compare, find, options, spawn
from meter import Step, measure, timed
from ours import Loss, gradient_step, our_loss
from peers import dense_loss, keep_matrices, keops_loss, pyg_loss
from problems import is_there, named_problem, random_links, small_nodes
from report import bar, begin, finish, ratio, table
from torch import Tensor

from vgae.graphs.canonical import both_directions
from vgae.kernels import Sampled, all_pairs
from vgae.kernels.gravity import gravity_loss
from vgae.runtime.streams import stream

WARMUP = 3
PUBMED_NODES, PUBMED_LINKS = 19717, 37676  # the second are those trained on, 85 % of all
PEAK_SIZES = (256, 384, 512, 768, 1024)


class Given(NamedTuple):
    """What every side is given: links, each once, shape ``(2, M)``, and z, shape ``(N, d)``."""

    links: Tensor
    z: Tensor


def ours_exact(given: Given, impl: str = "auto") -> Loss:
    """Return the exact loss of this package, computed in one of its ways."""
    return our_loss(both_directions(given.links), len(given.z), impl=impl)


def ours_sampled(given: Given, per_node: int) -> Loss:
    """Return the estimate of this package from some pairs per node."""
    sampled = Sampled(per_node, stream(0, "pairs"))
    return our_loss(both_directions(given.links), len(given.z), sampled=sampled)


def dense(given: Given, *, kept: bool = False) -> Loss:
    """Return the loss on the N x N matrix; ``kept`` has the allocator keep its memory."""
    if kept:
        keep_matrices(len(given.z))
    return dense_loss(both_directions(given.links), len(given.z))


SAMPLED = {"ours-sampled": 32, "ours-sampled-2": 2, "ours-sampled-128": 128}

SIDES: dict[str, Callable[[Given], Loss]] = {
    "ours": ours_exact,
    "ours-tiled": partial(ours_exact, impl="tiled"),
    "ours-compiled": partial(ours_exact, impl="compiled"),
    **{side: partial(ours_sampled, per_node=number) for side, number in SAMPLED.items()},
    "dense": dense,
    "dense-kept": partial(dense, kept=True),
    "pyg": lambda given: pyg_loss(given.links),
    "keops": lambda given: keops_loss(both_directions(given.links), *given.z.shape),
}


def pairs_of(side: str, given: Given) -> int:
    """Return how many ordered pairs a side looks at, besides the links."""
    num_nodes = len(given.z)
    if side == "pyg":
        return given.links.shape[1]
    if side in SAMPLED:
        block = max(min(SAMPLED[side], num_nodes // 2), 1)
        return num_nodes // block * block**2
    return num_nodes**2


def peak_rate() -> float:
    """Return the fused multiply-adds per second of float32 products that stay in the cache."""
    rates = []
    for size in PEAK_SIZES:
        a, b = torch.randn(2, size, size)
        out = torch.empty(size, size)
        step = partial(torch.mm, a, b, out=out)
        timed(step, steps=20)
        wall, _ = timed(step, steps=10**6, seconds=0.5)
        rates.append(size**3 * len(wall) / sum(wall))
    return max(rates)


def floor_ms(num_nodes: int, dim: int, rate: float) -> float:
    """Return the least that value and gradient can take: half the grid at the machine's peak.

    A pair takes d multiply-adds for its logit, d for the gradient of either node, and 20 for
    softplus and sigmoid.
    """
    return 1e3 * num_nodes * (num_nodes + 1) / 2 * (3 * dim + 20) / rate


def run_side(args: argparse.Namespace) -> Row:
    """Measure one side in this process."""
    torch.set_num_threads(args.threads[0])
    if args.side in variance.GRAPHS:
        return variance.measure(args.side, args.epochs, args.draws)
    if args.side in RECTANGLE_SIDES:
        return measure_rectangle(args)
    if args.side == "gravity":
        return measure_gravity(args)
    if args.side == "peak":
        return {"fma_per_s": peak_rate()}
    given = Given(links_of(args.nodes), random_z(args.nodes, args.dim))
    if args.side == "check":
        return check(given.links, args.nodes, args.dim)
    if args.side == "reference":
        torch.save(reference(both_directions(given.links), given.z), args.reference)
        return {}
    return measure_side(args, given)


def measure_side(args: argparse.Namespace, given: Given) -> Row:
    """Return what a side costs, and how far it is from the reference."""
    small_n = small_nodes(args.side)
    small = Given(links_of(small_n), random_z(small_n, args.dim))
    losses: list[Loss] = []

    def make(given: Given) -> Step:
        losses.append(SIDES[args.side](given))
        return gradient_step(losses[-1], given.z)

    result = measure(
        partial(make, given),
        partial(make, small),
        steps=args.steps,
        warmup=WARMUP,
        seconds=args.seconds,
    )
    result["pairs"] = pairs_of(args.side, given)
    result["pairs_per_s"] = result["pairs"] / result["wall_ms"] * 1e3
    # What PyG minimises is another function, so that there is nothing to compare it with.
    expected = None if args.side == "pyg" else torch.load(args.reference)
    off = errors(losses[-1], given.z, expected) if expected else {}
    return {**result, "value_error": off.get("loss"), "grad_error": off.get("gradient")}


# n and m: sizes that grow while the number of pairs stays or falls, and a larger number of pairs.
RECTANGLES = [(2**14, 2**14), (2**15, 2**14), (2**16, 2**12), (2**12, 2**16), (2**18, 2**10)]
RECTANGLE_SIDES = {"rectangle-tiled": "tiled", "rectangle-compiled": "compiled"}


def measure_rectangle(args: argparse.Namespace) -> Row:
    """Return what value and gradients of two sets cost; those of a small part of them in advance.

    One step is enough for the memory, and a large rectangle takes minutes.
    """
    impl = RECTANGLE_SIDES[args.side]

    def make(scale: int) -> Step:
        rows, columns = args.nodes // scale, args.columns // scale
        z, w = (random_z(size, args.dim).requires_grad_() for size in (rows, columns))
        return lambda: all_pairs(z, w, impl=impl).backward()

    return measure(partial(make, 1), partial(make, 16), steps=1, warmup=1, seconds=1)


def rectangles(args: argparse.Namespace) -> dict[str, Any]:
    """Return the figures of each rectangle, and the exponent of the memory over n + m."""
    cells = [
        {"threads": args.threads[0], "side": side, "nodes": n, "columns": m}
        for side in RECTANGLE_SIDES
        for n, m in RECTANGLES
    ]
    rows, exponents = compare(cells, args.repeats), {}
    for side in RECTANGLE_SIDES:
        found = [row for row in rows if row["side"] == side and "skipped" not in row]
        if len(found) > 1:
            sizes = [row["nodes"] + row["columns"] for row in found]
            exponents[side] = _exponent(sizes, [row["peak_mb"] for row in found])
    return {"rectangles": rows, "memory_exponents": exponents}


GRAVITY_NODES = (2**13, 2**14, 2**15)


def measure_gravity(args: argparse.Namespace) -> Row:
    """Return what value and gradient of the gravity loss cost, at 1.9 links per node."""

    def make(num_nodes: int) -> Step:
        z, links = random_z(num_nodes, args.dim + 1).requires_grad_(), links_of(num_nodes)
        given: Any = (torch.ones(()), links, torch.ones(links.shape[1]), 1.0)
        return lambda: gravity_loss(z, *given, epsilon=0.01).backward()

    return measure(partial(make, args.nodes), partial(make, 256), steps=1, warmup=1, seconds=1)


def gravity(args: argparse.Namespace) -> dict[str, Any]:
    """Return the figures of each number of nodes, and the exponent of the memory over it."""
    threads = args.threads[0]
    cells = [{"threads": threads, "side": "gravity", "nodes": n} for n in GRAVITY_NODES]
    rows = compare(cells, args.repeats)
    sizes, memory = [row["nodes"] for row in rows], [row["peak_mb"] for row in rows]
    return {"gravity": rows, "memory_exponent": _exponent(sizes, memory)}


def _exponent(sizes: Sequence[float], figures: Sequence[float]) -> float:
    return linear_regression([*map(math.log, sizes)], [*map(math.log, figures)]).slope


def links_of(num_nodes: int) -> Tensor:
    """Return PubMed's training links where N is right, else as many random ones per node."""
    if num_nodes == PUBMED_NODES and is_there("pubmed"):
        return named_problem("pubmed", "none").split.train
    return random_links(num_nodes, round(PUBMED_LINKS / PUBMED_NODES * num_nodes))


def acceptance(rows: Sequence[Row]) -> list[Row]:
    """Return whether the bars at two threads are met; CPU time goes along with wall time."""
    found = []
    for over, under, figure, least in (
        ("dense", "ours", "wall_ms", 6.0),
        ("dense-kept", "ours", "wall_ms", 6.0),
        ("dense", "ours", "peak_mb", 100.0),
        ("pyg", "ours-sampled", "wall_ms", 5.0),
    ):
        pair = [find(rows, threads=2, side=side) for side in (over, under)]
        if None not in pair:
            name = f"{over} / {under}, {figure}, 2 threads"
            cpu_time = ratio(*pair, "cpu_ms") if figure == "wall_ms" else None
            verdict = bar(name, ratio(*pair, figure), at_least=least)
            found.append(verdict | {"cpu_time": cpu_time})
    return found


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = options("Measure the loss alone, value and gradient.", threads=(2, 1), repeats=3)
    parser.add_argument("--nodes", type=int, default=PUBMED_NODES, help="N")
    parser.add_argument("--dim", type=int, default=16, help="d")
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=list(SIDES))
    parser.add_argument("--steps", type=int, default=30, help="measured per side and round")
    parser.add_argument("--seconds", type=float, default=10.0, help="at most so long per side")
    parser.add_argument("--variance", action="store_true", help="measure that instead of time")
    parser.add_argument("--draws", type=int, default=30, help="for --variance")
    parser.add_argument("--epochs", type=int, default=50, help="of training, for --variance")
    parser.add_argument("--rectangle", action="store_true", help="measure two sets of vectors")
    parser.add_argument("--gravity", action="store_true", help="measure the gravity loss")
    parser.add_argument("--columns", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--reference", help=argparse.SUPPRESS)
    return parser.parse_args()


def measure_all(args: argparse.Namespace) -> list[Row]:
    """Return a row per thread count and side."""
    threads = args.threads
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder) / "reference.pt")
        spawn({"side": "reference", "threads": max(threads), "reference": file})
        sides = product(threads, ["peak", *args.sides])
        cells = [{"threads": n, "side": side} for n, side in sides]
        rows = compare(cells, args.repeats, lambda _: {"reference": file})
    for row in rows:
        if row.get("pairs") == args.nodes**2:
            peak = find(rows, threads=row["threads"], side="peak")
            rate = max(found["fma_per_s"] for found in peak["rounds"])
            row["of_floor"] = floor_ms(args.nodes, args.dim, rate) / row["wall_ms"]
    return rows


def main() -> None:
    """Measure, then print JSON to stdout and a table to stderr."""
    args = parse()
    if args.side:
        answer(partial(run_side, args))
        return
    if args.variance:
        variance.main(args)
        return
    if args.gravity:
        finish(begin(args) | gravity(args), args.json)
        return
    if args.rectangle:
        finish(begin(args) | rectangles(args), args.json)
        return
    report = begin(args, warmup=WARMUP, links=links_of(args.nodes).shape[1])
    report["relative_errors"] = stop_unless_exact(args.threads[0])
    report["sides"] = measure_all(args)
    if (args.nodes, args.dim) == (PUBMED_NODES, 16) and 2 in args.threads:
        report["acceptance"] = acceptance(report["sides"])
    columns = {"threads": "d", "side": "s", "wall_ms": ".2f", "cpu_ms": ".2f"}
    columns |= {"pairs_per_s": ".2e", "of_floor": ".0%", "peak_mb": ".1f"}
    columns |= {"value_error": ".0e", "grad_error": ".0e"}
    table([row for row in report["sides"] if row["side"] != "peak"], columns)
    finish(report, args.json)


if __name__ == "__main__":
    main()
