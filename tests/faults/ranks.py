"""Two processes of torchrun, one of which is killed with SIGKILL again and again.

Most kills come while it trains, with a checkpoint after each epoch, every fifth in the eight
seconds after the start of both. After each the other process must have ended within 30 seconds,
with one line that names the one that was lost, and the newest checkpoint that was acknowledged
must be there, whole. The same command goes on then; at the end all files must be those of a run
that was never killed. Prints JSON.

    python tests/faults/ranks.py --kills 20 --json benchmarks/results/rank-kills.json

adds what it counts to a file after each run, which is killed up to five times.
"""

import argparse
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from kill_loop import digests, found_epoch

ROOT = Path(__file__).parents[2]
RUNS = {
    "links": ["stdlib", "--recipe", "best", "--epochs", "300"],
    "images": ["digits", "--epochs", "100", "--set", "hidden_channels=32"],
}
PATIENCE = 30.0  # seconds
MOST = 5  # kills of one run
BAD = (
    "lost_process_not_named",
    "later_than_30_s",
    "status_0",
    "checkpoints_lost",
    "runs_that_did_not_resume",
    "runs_with_other_results",
    "runs_with_stale_files",
)
COUNTS = ("kills", "kills_before_they_had_joined", "runs_finished", *BAD)


def run_command(options):
    """Be one of the processes: many checkpoints, which are acknowledged."""
    folder, rank = Path(options["folder"]), os.environ["RANK"]
    (folder / f"pid-{rank}").write_text(str(os.getpid()))
    import vgae.cli.train
    import vgae.training.checkpoint
    from vgae.cli.app import main
    from vgae.training.checkpoint import Checkpoints

    vgae.training.checkpoint.SECONDS = 0
    vgae.cli.train.draw_figures = id
    save = Checkpoints.save

    def acknowledging(self, epoch, checkpoint):
        save(self, epoch, checkpoint)
        with (folder / "acknowledged").open("a") as file:
            file.write(f"{epoch}\n")

    Checkpoints.save = acknowledging
    main(["train", *options["arguments"], "--quiet", "--json"])


class Job:
    """A torchrun with two processes."""

    def __init__(self, folder, arguments, *options):
        self.folder = folder
        for path in folder.glob("pid-*"):
            path.unlink()
        given = json.dumps({"folder": str(folder), "arguments": [*map(str, arguments)]})
        torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
        worker = ["--nproc-per-node", "2", *options, __file__, "--command", given]
        with (folder / "stderr").open("w") as log:
            self.process = subprocess.Popen(
                [*torchrun, *worker],
                stdout=subprocess.DEVNULL,
                stderr=log,
                cwd=folder,
                env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            )

    def pid(self, rank, before=None):
        """Return the number of one of the processes, other than that of the one before it."""
        path = self.folder / f"pid-{rank}"
        while not (path.exists() and path.read_text() not in ("", str(before))):
            self.check_alive()
            time.sleep(0.01)
        return int(path.read_text())

    def wait_for_epoch(self, history):
        """Wait until one more epoch is told; return whether it came before the end."""
        before = history.stat().st_mtime_ns if history.exists() else 0
        while not (history.exists() and history.stat().st_mtime_ns != before):
            if self.process.poll() is not None:
                return False
            time.sleep(0.002)
        return True

    def check_alive(self):
        if self.process.poll() is not None:
            raise RuntimeError(self.err())

    def err(self):
        return (self.folder / "stderr").read_text()

    def names(self, rank):
        """Return whether one line, of the other process, tells that one is lost."""
        lines = [line for line in self.err().splitlines() if line.startswith("error[")]
        lost = f"error[RANK_LOST]: process {rank} of 2 is gone"
        return len(lines) == 1 and lines[0].startswith(lost)

    def reports(self, rank):
        """Return whether torchrun tells so: one is killed before it has joined the other."""
        lost = rf"failed \(exitcode: -9\) local_rank: {rank} "
        lines = [line for line in self.err().splitlines() if line.startswith("error[")]
        ended = all(line.startswith("error[INTERRUPTED]: SIGTERM ended it") for line in lines)
        return ended and re.search(lost, self.err()) is not None

    def finish(self):
        status = self.process.wait(600)
        if status:
            raise RuntimeError(self.err())


def lives(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class Harness:
    """Kills one of two processes, and counts what came of it."""

    def __init__(self, folder, arguments, seed):
        self.folder, self.arguments, self.chance = folder, arguments, random.Random(seed)
        self.counts, self.seconds = Counter(), []
        Job(folder, [*arguments, "-o", folder / "whole"]).finish()
        self.expected = digests(folder / "whole")

    def run(self, kills):
        """Kill and resume one run so often, unless it ends before."""
        run, done = self.folder / "run", 0
        shutil.rmtree(run, ignore_errors=True)
        (self.folder / "acknowledged").unlink(missing_ok=True)
        while True:
            job = Job(self.folder, [*self.arguments, "--resume", run])
            if done < kills and self.kill(job, run):
                done += 1
                continue
            status = job.process.wait(600)
            if status:
                print(job.err(), file=sys.stderr)
                self.counts["runs_that_did_not_resume"] += 1
            else:
                self.compare(run)
            return done

    def compare(self, run):
        self.counts["runs_finished"] += 1
        self.counts["runs_with_other_results"] += digests(run) != self.expected
        stale = any(path.name.startswith(".tmp-") for path in run.rglob("*"))
        self.counts["runs_with_stale_files"] += stale

    def kill(self, job, run):
        """Kill one process; return whether both were there then."""
        victim, early = self.chance.randrange(2), self.chance.random() < 0.2
        pids = [job.pid(rank) for rank in (0, 1)]
        if not (early or job.wait_for_epoch(run / "history.jsonl")):
            return False
        time.sleep(self.chance.uniform(0, 8.0 if early else 3.0))
        if not all(map(lives, pids)) or (run / "metrics.json").exists():
            return False
        os.kill(pids[victim], signal.SIGKILL)
        start = time.monotonic()
        while lives(pids[1 - victim]) and time.monotonic() < start + 2 * PATIENCE:
            time.sleep(0.02)
        seconds = round(time.monotonic() - start, 1)
        job.process.wait(2 * PATIENCE)
        named, reported = job.names(victim), early and job.reports(victim)
        self.seconds.append(seconds)
        self.counts["kills_before_they_had_joined"] += reported
        self.counts["lost_process_not_named"] += not (named or reported)
        self.counts["later_than_30_s"] += seconds > PATIENCE
        self.counts["status_0"] += job.process.returncode == 0
        self.counts["checkpoints_lost"] += self.is_lost(run)
        how = "named" if named else "reported by torchrun" if reported else job.err()
        line = f"process {victim} killed, {how}; the other ended after {seconds} s"
        print(line, file=sys.stderr, flush=True)
        return True

    def is_lost(self, run):
        """Return whether the newest checkpoint that was acknowledged is missing, or not whole."""
        acknowledged = self.folder / "acknowledged"
        promised = acknowledged.read_text().split() if acknowledged.exists() else [0]
        return found_epoch(run / "checkpoints", in_place=False) < int(promised[-1])

    def restart(self, *place):
        """Kill both processes, one after the other, of a run that torchrun starts again."""
        runs, before = self.folder / "runs", [None, None]
        shutil.rmtree(runs, ignore_errors=True)
        job = Job(self.folder, [*self.arguments, *place], "--max-restarts", "2")
        for victim in (1, 0):
            pids = [job.pid(rank, old) for rank, old in enumerate(before)]
            while not (found := [*runs.glob("*/history.jsonl")]):
                job.check_alive()
                time.sleep(0.01)
            if not job.wait_for_epoch(found[0]):
                raise RuntimeError(job.err())
            os.kill(pids[victim], signal.SIGKILL)
            before = pids
        job.finish()
        (run,) = runs.iterdir()
        self.compare(run)


def added(path, name, harness):
    """Add what was counted to a file; return all that it has."""
    found = json.loads(path.read_text()) if path and path.exists() else {}
    row = found.setdefault(name, dict.fromkeys(COUNTS, 0) | {"seconds": []})
    for key in COUNTS:
        row[key] += harness.counts[key]
    row["seconds"] = sorted(row["seconds"] + harness.seconds)
    harness.counts, harness.seconds = Counter(), []
    if path:
        path.write_text(json.dumps(found, indent=1) + "\n")
    return found


def measure(options):
    """Kill each kind of run as often as asked; return what was counted."""
    found = {}
    for name in [options.only] if options.only else RUNS:
        with tempfile.TemporaryDirectory() as folder:
            harness, left = Harness(Path(folder), RUNS[name], options.seed), options.kills
            while left > 0:
                harness.counts["kills"] += (done := harness.run(min(left, MOST)))
                left -= done
                found |= added(options.json, name, harness)
            for place in [["-o", "runs/one"], []] if options.restarts else []:
                harness.restart(*place)
                found |= added(options.json, name, harness)
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20, help="of each kind of run")
    parser.add_argument("--restarts", action="store_true", help="and runs under --max-restarts 2")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=RUNS)
    parser.add_argument("--json", type=Path, help="file to which counts are added")
    parser.add_argument("--command", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.command:
        run_command(json.loads(arguments.command))
    else:
        result = measure(arguments)
        print(json.dumps(result, indent=1))
        sys.exit(any(row[key] for row in result.values() for key in BAD))
