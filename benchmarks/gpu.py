"""What a GPU shows in eight minutes: right numbers, the sums over all pairs, epochs, tests, peers.

Each stage is a process of its own with a time limit, so that one that fails or hangs ends alone.
The report is written after each row. ``--device cpu --small`` runs the same code at tiny sizes,
Triton in its interpreter; what only a GPU has is skipped, with the reason.
"""

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path

from harness import CannotRun, Row, find, say
from report import bar, begin, finish, table

# The module of each stage, whose function of that name returns its rows, and for how many seconds
# it may run; 480 together.
STAGES = {
    "parts": ("gpu_checks", 50),
    "pairs": ("gpu_checks", 110),
    "epochs": ("gpu_epochs", 75),
    "tests": ("gpu_checks", 100),
    "peers": ("gpu_epochs", 35),
    "images": ("gpu_epochs", 40),
    "profile": ("gpu_epochs", 35),
    "seeds": ("gpu_epochs", 35),
}
COLUMNS = {
    "pairs": {"nodes": "d", "d": "d", "precision": "s", "ms": ".3f", "pairs_per_s": ".3g"}
    | {"value_error": ".1e", "grad_error": ".1e", "first_s": ".1f"},
    "epochs": {"recipe": "s", "cuda_graph": "d", "what": "s", "fit_us": ".0f", "loop_us": ".0f"}
    | {"host_us": ".0f", "replay_us": ".0f", "us": ".0f", "error": ".1e"},
    "parts": {"check": "s", "ok": "d", "error": ".1e", "us": ".0f"},
    "tests": {"command": "s", "passed": "d", "failures": "d", "errors": "d", "skips": "d"},
    "peers": {"side": "s", "loop_us": ".0f", "pairs_per_s": ".3g"},
    "images": {"cuda_graph": "d", "epoch_ms": ".1f"},
    "profile": {"recipe": "s", "kernels_per_epoch": ".0f", "device_us_per_epoch": ".0f"},
    "seeds": {"seeds": "d", "us": ".0f", "us_per_seed": ".0f"},
}


def run(name: str, args: argparse.Namespace) -> None:
    """Measure the rows of a stage; print each as a line of JSON as soon as it is there."""
    from gpu_setting import At

    cases = getattr(import_module(STAGES[name][0]), name)
    for key, measure in cases(At(args.device, args.small)):
        begun = time.perf_counter()
        try:
            row = key | measure()
        except (CannotRun, ImportError) as reason:
            row = key | {"skipped": str(reason)}
        except Exception as error:  # the other rows may work
            text = traceback.format_exc()[-1500:]
            row = key | {"failed": f"{type(error).__name__}: {error}"[:300], "trace": text}
        row["took_s"] = round(time.perf_counter() - begun, 2)
        print(json.dumps(row), flush=True)


def measured(name: str, args: argparse.Namespace) -> Iterator[Row]:
    """Run a stage in a process of its own; yield its rows as they come.

    After its time the process is ended, with its children.
    """
    command = [sys.executable, __file__, "--stage", name, "--device", args.device]
    command += ["--small"] * args.small
    environment, limit = dict(os.environ), STAGES[name][1]
    if args.device == "cpu":
        environment |= {"TRITON_INTERPRET": "1", "CUDA_VISIBLE_DEVICES": ""}
        limit *= 10  # a busy machine is no fault
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=environment, start_new_session=True
    )
    late = threading.Event()

    def stop() -> None:
        late.set()
        os.killpg(process.pid, signal.SIGKILL)

    timer = threading.Timer(limit, stop)
    timer.start()
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("{"):
                yield json.loads(line)
            else:
                say(line.rstrip())
        status = process.wait()
    finally:
        timer.cancel()
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    if late.is_set():
        yield {"failed": f"stopped after {limit} s; the rows before are whole"}
    elif status:
        yield {"failed": f"exit status {status}; the rows before are whole"}


def acceptance(stages: dict[str, list[Row]]) -> list[Row]:
    """Return whether the bars are met, for the stages that ran."""
    found = []
    for recipe in ("paper", "best") if "epochs" in stages else ():
        row = find(stages["epochs"], recipe=recipe, cuda_graph=True) or {}
        for most in (150.0, 80.0):
            found.append(bar(f"epoch of {recipe} on Cora, us", row.get("fit_us"), at_most=most))
    if "pairs" in stages:
        row = find(stages["pairs"], nodes=1_000_000, d=16, precision="high") or {}
        seconds = None if row.get("ms") is None else row["ms"] / 1e3
        found.append(bar("all pairs of 1,000,000 nodes, d = 16, s", seconds, at_most=0.9))
    for name, rows in stages.items():
        if checked := [row.get("ok", False) for row in rows if "ok" in row or "failed" in row]:
            held = sum(checked) / len(checked)
            found.append(bar(f"checks of the stage {name} that hold", held, at_least=1.0))
    return found


def default_path(args: argparse.Namespace) -> Path | None:
    """Return the file of a whole report, named after the GPU; ``None`` for any other."""
    if args.device == "cpu" or args.small or len(args.stages) < len(STAGES):
        return None
    import torch

    name = torch.cuda.get_device_name(args.device).lower().removeprefix("nvidia ")
    return Path(__file__).parent / "results" / f"gpu-{re.sub('[^a-z0-9]+', '-', name)}.json"


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Measure and check what runs on a GPU.")
    parser.add_argument("--device", default="cuda", help="'cuda', 'cuda:1' or 'cpu'")
    parser.add_argument("--small", action="store_true", help="tiny sizes")
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=list(STAGES))
    parser.add_argument("--json", type=Path, help="default: results/gpu-NAME.json for all")
    parser.add_argument("--stage", choices=STAGES, help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def main() -> int:
    """Run the stages; return 1 if a row failed."""
    args = parse()
    if args.stage:
        run(args.stage, args)
        return 0
    import torch

    on_gpu = args.device != "cpu"
    if on_gpu and not torch.cuda.is_available():
        sys.exit("no GPU can be used here; --device cpu --small tries everything on the CPU.")
    path, stages = args.json or default_path(args), {}
    report = begin(args) | {"gpu": torch.cuda.get_device_name(args.device) if on_gpu else None}
    report |= {"cuda": torch.version.cuda, "seconds": {}, "stages": stages}
    for name in args.stages:
        start, stages[name] = time.monotonic(), []
        for row in measured(name, args):
            stages[name].append(row)
            say(f"{name}: {shown(row)}")
            report["seconds"][name] = round(time.monotonic() - start, 1)
            if path:
                path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    for name, rows in stages.items():
        lost = [{"skipped": row["failed"], **row} if "failed" in row else row for row in rows]
        table(lost, COLUMNS[name])
    report["acceptance"] = acceptance(stages) if on_gpu and not args.small else []
    finish(report, path)
    return int(any("failed" in row for rows in stages.values() for row in rows))


def shown(row: Row) -> str:
    """Return a row in one line, without long texts."""
    short = {k: f"{v:.4g}" if isinstance(v, float) else v for k, v in row.items()}
    return "  ".join(f"{k} {v}" for k, v in short.items() if len(str(v)) < 120)


if __name__ == "__main__":
    sys.exit(main())
