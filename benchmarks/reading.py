"""Time and memory of ``vgae convert`` on a random edge list: CSV and parquet to .npz.

The strict reader of CSV takes every file; the plain one, on pyarrow, takes those without quotes
and faults.
"""

import argparse
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
from harness import CannotRun, Row, answer, compare, options
from meter import peak_mb
from report import bar, begin, finish, table

from vgae.data import plain_text
from vgae.data.files import read_graph, write_npz

SIDES = {"csv-strict": "links.csv", "csv-plain": "links.csv", "parquet": "links.parquet"}
MOST_CPU_S, MOST_MB = 15.0, 1500.0


def run_side(args: argparse.Namespace) -> Row:
    """Read and write in this process; figures are those of the whole process, imports too."""
    if args.side == "csv-strict":
        plain_text.SMALLEST = 2**62
    elif args.side == "csv-plain":
        plain_text.SMALLEST = 0
    start, loaded = time.perf_counter(), time.process_time()
    graph = read_graph(args.folder / SIDES[args.side])
    read = time.process_time()
    write_npz(graph, args.folder / f"{args.side}.npz")
    graph.summary()
    return {
        "wall_s": time.perf_counter() - start,
        "cpu_s": time.process_time(),
        "import_cpu_s": loaded,
        "read_cpu_s": read - loaded,
        "process_mb": peak_mb(),
        "links": graph.num_links,
    }


def write_files(args: argparse.Namespace) -> None:
    """Write random links as CSV and parquet."""
    try:
        import pyarrow as pa
        from pyarrow import csv, parquet
    except ImportError as error:
        raise CannotRun(str(error)) from None
    rng = np.random.default_rng(0)
    ends = rng.integers(0, args.nodes, (2, args.links))
    columns = {"source": pa.array(ends[0]), "target": pa.array(ends[1])}
    if args.names == "text":
        names = pa.array([f"user_{node}" for node in range(args.nodes)])
        columns = {end: names.take(places) for end, places in columns.items()}
    if args.weights:
        columns["weight"] = pa.array(1 - rng.random(args.links))
    frame = pa.table(columns)
    csv.write_csv(frame, args.folder / "links.csv", csv.WriteOptions(quoting_style="none"))
    parquet.write_table(frame, args.folder / "links.parquet")


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = options("Measure the reading of edge lists.", threads=[1], repeats=3)
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=list(SIDES))
    parser.add_argument("--links", type=int, default=10**7)
    parser.add_argument("--nodes", type=int, default=10**6)
    parser.add_argument("--names", choices=["integers", "text"], default="integers")
    parser.add_argument("--weights", action="store_true", help="add a column of weights")
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Measure, then print JSON to stdout and a table to stderr."""
    args = parse()
    if args.side:
        answer(partial(run_side, args))
        return
    report = begin(args)
    with tempfile.TemporaryDirectory() as folder:
        args.folder = Path(folder)
        write_files(args)
        cells = [
            {"threads": threads, "side": side, "folder": folder}
            for threads in args.threads
            for side in args.sides
        ]
        rows = compare(cells, args.repeats)
    report["sides"] = [{k: v for k, v in row.items() if k != "folder"} for row in rows]
    fast = [row for row in report["sides"] if row["side"] != "csv-strict"]
    report["acceptance"] = [
        bar(f"{what}, {row['side']}", row.get(figure), at_most=most)
        for row in fast
        for figure, what, most in (
            ("cpu_s", "CPU seconds", MOST_CPU_S),
            ("process_mb", "MB of the process", MOST_MB),
        )
    ]
    figures = dict.fromkeys(("wall_s", "cpu_s", "import_cpu_s", "read_cpu_s"), ".1f")
    table(report["sides"], {"threads": "d", "side": "s", **figures, "process_mb": ".0f"})
    finish(report, args.json)


if __name__ == "__main__":
    main()
