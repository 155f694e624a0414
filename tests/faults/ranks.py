"""Two processes of torchrun, one of which is killed with SIGKILL again and again.

After each kill the other process must have ended within 30 seconds, with one line that names the
one that was lost, and the newest checkpoint that was acknowledged must be there, whole. The same
command goes on then; at the end all files must be those of a run that was never killed. Last, one
process is killed under ``--max-restarts``, and nobody starts anything again. Prints JSON.

    python tests/faults/ranks.py --kills 20
"""

import argparse
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from kill_loop import digests, found_epoch

ROOT = Path(__file__).parents[2]
RUNS = {
    "links": ["stdlib", "--recipe", "best", "--epochs", "400"],
    "images": ["digits", "--epochs", "60", "--set", "hidden_channels=32"],
}
PATIENCE = 30.0  # seconds


def run_command(options):
    """Be one of the processes: many checkpoints, which are acknowledged."""
    import vgae.cli.train
    import vgae.training.checkpoint
    from vgae.cli.app import main
    from vgae.training.checkpoint import Checkpoints

    folder, rank = Path(options["folder"]), os.environ["RANK"]
    (folder / f"pid-{rank}").write_text(str(os.getpid()))
    vgae.training.checkpoint.SECONDS = 0.1
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
                env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            )

    def pid(self, rank):
        path = self.folder / f"pid-{rank}"
        while not (path.exists() and path.read_text()):
            if self.process.poll() is not None:
                raise RuntimeError(self.err())
            time.sleep(0.01)
        return int(path.read_text())

    def err(self):
        return (self.folder / "stderr").read_text()

    def lines(self):
        return [line for line in self.err().splitlines() if line.startswith("error[")]

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

    def __init__(self, folder, seed):
        self.folder, self.chance = folder, random.Random(seed)
        self.counts, self.seconds = Counter(), []

    def reference(self, arguments):
        """Return what a run that is left alone writes."""
        Job(self.folder, [*arguments, "-o", self.folder / "whole"]).finish()
        return digests(self.folder / "whole")

    def kill_until_done(self, arguments, expected, most):
        """Kill and resume one run until it ends by itself; return how often it was killed."""
        run, kills = self.folder / "run", 0
        shutil.rmtree(run, ignore_errors=True)
        (self.folder / "acknowledged").unlink(missing_ok=True)
        while True:
            job = Job(self.folder, [*arguments, "--resume", run])
            if kills < most and self.kill(job, run):
                kills += 1
                continue
            job.finish()
            break
        self.counts["runs"] += 1
        self.counts["differing"] += digests(run) != expected
        self.counts["stale"] += any(p.name.startswith(".tmp-") for p in run.rglob("*"))
        return kills

    def kill(self, job, run):
        """Kill one process some time after the training has begun; return whether it was in it."""
        pids, victim = [job.pid(rank) for rank in (0, 1)], self.chance.randrange(2)
        history = run / "history.jsonl"
        before = history.stat().st_mtime_ns if history.exists() else 0
        while not (history.exists() and history.stat().st_mtime_ns != before):
            if job.process.poll() is not None:
                return False
            time.sleep(0.002)
        time.sleep(self.chance.uniform(0, 2.0))
        if not all(map(lives, pids)) or (run / "metrics.json").exists():
            return False
        os.kill(pids[victim], signal.SIGKILL)
        start = time.monotonic()
        while lives(pids[1 - victim]) and time.monotonic() < start + 2 * PATIENCE:
            time.sleep(0.02)
        self.seconds.append(time.monotonic() - start)
        job.process.wait(2 * PATIENCE)
        lines = job.lines()
        named = len(lines) == 1 and lines[0].startswith(f"error[RANK_LOST]: process {victim} of 2")
        if not named:
            print(job.err(), file=sys.stderr)
        self.counts["unnamed"] += not named
        self.counts["late"] += self.seconds[-1] > PATIENCE
        self.counts["succeeded"] += job.process.returncode == 0
        self.check(run)
        line = f"process {victim} killed, the other ended after {self.seconds[-1]:.1f} s"
        print(f"{line}, {dict(self.counts)}", file=sys.stderr, flush=True)
        return True

    def check(self, run):
        """See whether the newest checkpoint that was acknowledged is there, and whole."""
        acknowledged = self.folder / "acknowledged"
        if acknowledged.exists():
            promised = int(acknowledged.read_text().split()[-1])
            self.counts["lost"] += found_epoch(run / "checkpoints", in_place=False) < promised

    def restart(self, arguments, expected):
        """Kill one process of a run that torchrun starts again by itself."""
        run = self.folder / "restarted"
        job = Job(self.folder, [*arguments, "-o", run], "--max-restarts", "1")
        pid = job.pid(1)
        while not (run / "history.jsonl").exists():
            time.sleep(0.002)
        time.sleep(0.5)
        os.kill(pid, signal.SIGKILL)
        job.finish()
        self.counts["restarted"] += 1
        self.counts["differing"] += digests(run) != expected
        shutil.rmtree(run)


def measure(kills, seed, only):
    """Kill as often as asked each kind of run; return what was counted."""
    found = {}
    for name in [only] if only else RUNS:
        with tempfile.TemporaryDirectory() as folder:
            harness, done = Harness(Path(folder), seed), 0
            expected = harness.reference(RUNS[name])
            while done < kills:
                done += harness.kill_until_done(RUNS[name], expected, kills - done)
                print(f"{name}: {done} kills", file=sys.stderr, flush=True)
            harness.restart(RUNS[name], expected)
        counts = harness.counts
        found[name] = {
            "kills": done,
            "seconds_until_the_other_ended": {
                "median": round(statistics.median(harness.seconds), 2),
                "longest": round(max(harness.seconds), 2),
            },
            "later_than_30_s": counts["late"],
            "lost_process_not_named": counts["unnamed"],
            "status_0": counts["succeeded"],
            "checkpoints_lost": counts["lost"],
            "runs_finished": counts["runs"],
            "runs_started_again_by_torchrun": counts["restarted"],
            "runs_with_other_results": counts["differing"],
            "runs_with_stale_files": counts["stale"],
        }
    return found


BAD = ("later_", "lost_", "status_", "checkpoints_", "runs_with_")

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20, help="of each kind of run")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=RUNS)
    parser.add_argument("--command", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.command:
        run_command(json.loads(arguments.command))
    else:
        result = measure(arguments.kills, arguments.seed, arguments.only)
        print(json.dumps(result, indent=2))
        bad = sum(n for row in result.values() for k, n in row.items() if k.startswith(BAD))
        sys.exit(1 if bad else 0)
