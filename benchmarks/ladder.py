"""The commands, from making a graph to its page, on graphs with a known structure of every size.

Each command is a process of its own, whose seconds, CPU seconds and peak memory the system
counts. The AUC of the model on its held-out links stands beside that of the probabilities that
the graph was drawn from, which no model exceeds but by chance, and of simple scores.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from harness import Row, say

RUNGS = (10**4, 10**5, 10**6, 10**7)
FOLLOWING = ("evaluate", "embed", "predict", "report")
_UNIT = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, in bytes


def measured(command: list[str], folder: Path, limit: float) -> Row:
    """Run a command in a folder; return what it took, or why it failed.

    This process stays small: on Linux, the peak of a process begins with that of its parent.
    """
    begin = time.perf_counter()
    with (folder / "out.txt").open("w") as out, (folder / "err.txt").open("w") as err:
        process = subprocess.Popen(command, cwd=folder, stdout=out, stderr=err)
        try:
            while True:
                pid, status, used = os.wait4(process.pid, os.WNOHANG)
                if pid:
                    break
                if time.perf_counter() - begin > limit:
                    process.kill()
                time.sleep(0.02)
        except BaseException:
            process.kill()
            raise
    process.returncode = os.waitstatus_to_exitcode(status)
    row: Row = {
        "wall_s": round(time.perf_counter() - begin, 2),
        "cpu_s": round(used.ru_utime + used.ru_stime, 2),
        "peak_mb": round(used.ru_maxrss * _UNIT / 1e6),
    }
    if process.returncode:
        last = ((folder / "err.txt").read_text().strip().splitlines() or [""])[-1]
        what = "took too long" if row["wall_s"] > limit else f"status {process.returncode}: {last}"
        row["skipped"] = what
    return row


def climb(links: int, args: argparse.Namespace, folder: Path) -> list[Row]:
    """Return a row per command on one rung, and one of scores."""
    vgae = [sys.executable, "-m", "vgae"]
    made = [*vgae, "datasets", "make", "--links", str(links), "--seed", str(args.seed)]
    made += ["--communities", str(args.communities), "--quiet"]
    made += ["--nodes", str(args.nodes)] if args.nodes else []
    features = ["--features", "x.npy"] if args.features else []
    with_x = ["--features", str(args.features), "--features-file", "x.npy"] if features else []
    train = [*vgae, "train", "g.npz", *features, "--epochs", str(args.epochs), "-o", "run"]
    train += ["--recipe", args.recipe, "--quiet", "--json"]
    train += [word for change in args.set for word in ("--set", change)]
    limit = ["--max-memory", args.max_memory] if args.max_memory else []
    commands = {
        "make": [*made, *with_x, "-o", "g.npz"],
        "make-csv": [*made, "-o", "g.csv"],
        "convert": [*vgae, "convert", "g.csv", "-o", "converted.npz", *limit],
        "train": [*train, *limit],
        "evaluate": [*vgae, "evaluate", "run", *limit],
        "embed": [*vgae, "embed", "run", "-o", "z.npz", *limit],
        "predict": [*vgae, "predict", "run", "-k", "5", "-o", "links.csv", "--quiet", *limit],
        "report": [*vgae, "report", "run", *limit],
        "scores": [
            sys.executable,
            str(Path(__file__).resolve()),
            "--links-of",
            str(links),
            *sys.argv[1:],
        ],
    }
    written = {"make": ["g.npz", "x.npy"], "make-csv": ["g.csv"], "convert": ["converted.npz"]}
    written |= {"train": ["run"], "embed": ["z.npz"], "predict": ["links.csv"]}
    rows = []
    for name, command in commands.items():
        if name in args.skip or (name in (*FOLLOWING, "scores") and not _trained(folder)):
            continue
        before = size_of(folder / "run")
        row = {"links": links, "command": name, **measured(command, folder, args.limit)}
        files = written.get(name, [])
        row["mb_written"] = round(sum(size_of(folder / f) for f in files) / 1e6, 1)
        if name == "report":
            row["mb_written"] = round((size_of(folder / "run") - before) / 1e6, 1)
        if "skipped" not in row:
            row |= _more(name, folder, row, links, " ".join([args.recipe, *args.set]))
        say(f"{links:>11,} {name:9} {json.dumps({k: row[k] for k in list(row)[2:]})}")
        rows.append(row)
    return rows


def _trained(folder: Path) -> bool:
    return (folder / "run" / "metrics.json").exists()


def _more(name: str, folder: Path, row: Row, links: int, recipe: str) -> Row:
    """Return what a command says of itself."""
    if name == "scores":
        return json.loads((folder / "out.txt").read_text().splitlines()[-1])
    if name != "train":
        return {"links_per_s": round(links / max(row["wall_s"], 0.01))}
    metrics = json.loads((folder / "run" / "metrics.json").read_text())
    seconds = metrics["seconds"]
    return {
        "recipe": recipe,
        "epochs": metrics["epochs"],
        "epochs_s": round(seconds, 2),
        **_predicted((folder / "err.txt").read_text()),
        "links_per_s": round(links * metrics["epochs"] / max(seconds, 1e-9)),
        "val_auc": metrics["val"]["auc"],
        "auc": metrics["test"]["auc"],
    }


def _predicted(messages: str) -> Row:
    """Return what the training said beforehand of its epochs and its memory."""
    plan = re.search(r"epoch of about ([\d.]+) (ms|s|minutes).*takes about ([\d,]+) MB", messages)
    if plan is None:
        return {}
    unit = {"ms": 1e-3, "s": 1.0, "minutes": 60.0}[plan[2]]
    return {
        "predicted_epoch_s": round(unit * float(plan[1]), 4),
        "predicted_mb": int(plan[3].replace(",", "")),
    }


def size_of(path: Path) -> int:
    """Return the bytes of a file, or of all files in a folder; 0 if it is missing."""
    if path.is_dir():
        return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return path.stat().st_size if path.exists() else 0


def scores(links: int, args: argparse.Namespace) -> Row:
    """Return the AUC of known probabilities and of simple scores on the held-out links.

    It runs in the folder of a rung, in a process of its own.
    """
    import torch

    from vgae.evaluation.metrics import auc_and_ap
    from vgae.evaluation.simple_scores import SimpleScores
    from vgae.graphs.planted import PlantedGraph
    from vgae.graphs.split import LinkSplit

    planted = PlantedGraph(links, args.nodes, communities=args.communities, seed=args.seed)
    split = LinkSplit.load("run/split.npz")
    simple, found = SimpleScores(split.train, split.grid), {}
    for name, part in (("val", split.val), ("test", split.test)):
        pairs, label = part.edge_label_index, part.edge_label
        known = {
            "true_probabilities": torch.from_numpy(planted.probabilities(pairs.numpy())),
            "degree_product": simple.degree_products(pairs),
            "common_neighbours": simple.shortest_paths(pairs),
        }
        for score, values in known.items():
            found[f"{name}_{score}"] = float(auc_and_ap(values, label)[0])
    return found


def summary(report: Row) -> str:
    """Return the rows as tables in Markdown, of time and memory, and of AUC."""
    done = [row for row in report["sides"] if "skipped" not in row]
    load, cpus = report["load_average"][0], report["cpus"]
    cpu, wall = (sum(row[key] for row in done) for key in ("cpu_s", "wall_s"))
    lines = [f"{cpus} cores, load average {load:.1f} when the last rung ended."]
    if load > cpus:
        lines[0] += (
            " Other programs kept them busy: seconds, and the links per second of training, are"
            f" those of {cpu / max(wall, 0.01):.1f} of a core on average; CPU seconds are less"
            " affected."
        )
    lines += ["", "| links | command | seconds | CPU s | peak MB | MB written | links/s |"]
    lines += ["| ---: | --- | ---: | ---: | ---: | ---: | ---: |"]
    for row in done:
        if row["command"] == "scores":
            continue
        cells = [f"{row['links']:,}", row["command"], f"{row['wall_s']:,.1f}"]
        cells += [f"{row['cpu_s']:,.1f}", f"{row['peak_mb']:,}", f"{row['mb_written']:,.1f}"]
        cells.append(f"{row['links_per_s']:,}")
        lines.append(f"| {' | '.join(cells)} |")
        if row["command"] == "report":
            lines.append(_of_all([r for r in done if r["links"] == row["links"]]))
    head = "model | true probabilities | degree product | common neighbours"
    lines += ["", f"| links | training | {head} |"]
    lines += ["| ---: | --- | ---: | ---: | ---: | ---: |"]
    trained = {row["links"]: row for row in done if row["command"] == "train"}
    for row in done:
        if row["command"] == "scores":
            names = ("true_probabilities", "degree_product", "common_neighbours")
            train = trained[row["links"]]
            values = [train["auc"], *(row[f"test_{name}"] for name in names)]
            cells = [f"{row['links']:,}", f"`{train['recipe']}`, {train['epochs']} epochs"]
            lines.append(f"| {' | '.join([*cells, *(f'{v:.3f}' for v in values)])} |")
    return "\n".join(lines)


def _of_all(rows: list[Row]) -> str:
    """Return the sums of the commands of a rung, and their highest peak, as a line of a table."""
    rows = [row for row in rows if row["command"] != "scores"]
    wall, cpu, written = (sum(r[k] for r in rows) for k in ("wall_s", "cpu_s", "mb_written"))
    cells = [f"{rows[0]['links']:,}", "all", f"{wall:,.1f}", f"{cpu:,.1f}"]
    cells += [f"{max(row['peak_mb'] for row in rows):,}", f"{written:,.1f}", ""]
    return f"| {' | '.join(cells)} |"


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Measure each command on graphs of every size.")
    parser.add_argument("--rungs", nargs="+", type=int, default=list(RUNGS), help="links of each")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--features", type=int, default=32, help="columns; 0 for none")
    parser.add_argument("--nodes", type=int, default=0, help="a tenth of the links by default")
    parser.add_argument("--communities", type=int, default=10)
    parser.add_argument("--recipe", default="paper")
    parser.add_argument("--set", nargs="+", default=[], help="settings, such as repel=4")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--max-memory", help="of each command that takes it, such as 4G")
    parser.add_argument("--limit", type=float, default=3600, help="seconds of a command")
    parser.add_argument("--skip", nargs="+", default=[], help="commands that are left out")
    parser.add_argument("--folder", type=Path, help="for the files, which then stay")
    parser.add_argument(
        "--json", type=Path, help="also write it to this file; other rows in it stay"
    )
    parser.add_argument("--table", type=Path, help="print the tables of such a file, and stop")
    parser.add_argument("--page", type=Path, help="with --table: put them into docs/scale.md")
    parser.add_argument("--links-of", type=int, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Measure, then print JSON to stdout and tables to stderr."""
    args = parse()
    if args.table:
        text = summary(json.loads(args.table.read_text()))
        print(text)
        if args.page:
            from report import insert

            insert(text, args.page, "ladder")
        return
    if args.links_of:
        print(json.dumps(scores(args.links_of, args)))
        return
    rows: list[Row] = []
    for links in args.rungs:
        folder = (args.folder or Path(tempfile.mkdtemp())) / f"{links}"
        folder.mkdir(parents=True, exist_ok=True)
        try:
            rows += climb(links, args, folder.resolve())
        finally:
            if not args.folder:
                shutil.rmtree(folder.parent)
    from report import begin, finish  # torch is imported by them alone

    report: dict[str, Any] = begin(args) | {"sides": rows}
    report["settings"].pop("folder", None)
    if args.json and args.json.exists():  # rows that were measured before stay
        new = {(row["links"], row["command"]) for row in rows}
        old = json.loads(args.json.read_text())["sides"]
        old = [row for row in old if (row["links"], row["command"]) not in new]
        report["sides"] = sorted(old + rows, key=lambda row: row["links"])
    say(summary(report))
    finish(report, args.json)


if __name__ == "__main__":
    main()
