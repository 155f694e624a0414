"""The real command under SIGKILL, again and again: is anything lost, and does it always go on?

Graph and image runs are killed at random times and at named points of their work, and resumed.
After each kill the newest checkpoint that was acknowledged must still be there, whole; after the
last resume all files must be those of a run that was never killed. Prints JSON.

    python tests/faults/kill_loop.py --kills 1000

``--in-place`` writes checkpoints the usual way instead, ``torch.save`` over the file before: the
control, which shows that the kills bite.

To start a Python with torch takes seconds, so most runs are forked from a process that has
imported everything; every ``--fresh``-th one is a process of its own.
"""

import argparse
import contextlib
import hashlib
import io
import json
import math
import os
import random
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

import torch

import vgae.cli.train
import vgae.runs.folder
import vgae.runs.lifecycle
import vgae.runtime.atomic
import vgae.training.checkpoint
import vgae.training.history
from vgae.cli.app import main
from vgae.errors import ArtifactError
from vgae.runs.folder import history_file
from vgae.training.checkpoint import Checkpoint, Checkpoints, read_checkpoint

RUNS = {
    "links, best": ["stdlib", "--recipe", "best", "--epochs", "120"],
    "links, paper": ["stdlib", "--model", "gae", "--epochs", "200"],
    "images, mlp": ["digits", "--epochs", "40", "--set", "hidden_channels=32"],
    "images, ae": ["digits", "--model", "ae", "--epochs", "40", "--set", "hidden_channels=16"],
}
CORA = {"links, Cora": ["cora", "--recipe", "best", "--epochs", "60"]}
POINTS = (
    "mid_epoch",  # before the step of the optimizer
    "mid_log_write",  # half a line of the history is written
    "mid_write",  # half of a temporary file is written
    "before_fsync",
    "after_fsync",
    "before_replace",
    "after_replace",
    "after_dirsync",
    "mid_export",  # between two files of the result
)
FILES = (
    "history.jsonl",
    "embeddings.npz",
    "model/config.json",
    "model/model.safetensors",
    "checkpoints/best.safetensors",
    "checkpoints/last.safetensors",
)


def die():
    os.kill(os.getpid(), signal.SIGKILL)


# In the process that will be killed.


class Countdown:
    """Ends the process when a point is passed for the n-th time."""

    def __init__(self, point, passes):
        self.point, self.passes = point, passes

    def at(self, point):
        if point == self.point:
            self.passes -= 1
            if self.passes <= 0:
                die()


def instrument(point, passes, acknowledged, *, in_place, figures):
    """Have checkpoints after every epoch, acknowledge them, and die at a point."""
    countdown = Countdown(point, passes)
    vgae.training.checkpoint.SECONDS = 0
    torch.set_num_threads(1)
    _kill_in_files(countdown)
    _kill_in_training(countdown)
    if in_place:
        _save_in_place()
    if not figures:
        vgae.cli.train.draw_figures = _nothing
    save = Checkpoints.save

    def acknowledging(self, epoch, checkpoint):
        save(self, epoch, checkpoint)
        with acknowledged.open("a") as file:
            file.write(f"{epoch}\n")

    Checkpoints.save = acknowledging


def _nothing(*_):
    pass


def _kill_in_files(countdown):
    fsync, replace, write_bytes = os.fsync, Path.replace, Path.write_bytes

    def dying_fsync(handle):
        is_folder = stat.S_ISDIR(os.fstat(handle).st_mode)
        if not is_folder:
            countdown.at("before_fsync")
        fsync(handle)
        countdown.at("after_dirsync" if is_folder else "after_fsync")

    def dying_replace(self, target):
        countdown.at("before_replace")
        result = replace(self, target)
        countdown.at("after_replace")
        return result

    def dying_write(self, data):
        if countdown.point == "mid_write" and countdown.passes == 1:
            write_bytes(self, data[: len(data) // 2])
        countdown.at("mid_write")
        return write_bytes(self, data)

    os.fsync, Path.replace, Path.write_bytes = dying_fsync, dying_replace, dying_write


def _kill_in_training(countdown):
    step = torch.optim.Adam.step

    def dying_step(self, *arguments, **options):
        countdown.at("mid_epoch")
        return step(self, *arguments, **options)

    torch.optim.Adam.step = dying_step

    @contextlib.contextmanager
    def dying_history(folder, **options):
        with history_file(folder, **options) as write:

            def dying_write(row):
                if countdown.point == "mid_log_write" and countdown.passes == 1:
                    with (folder / "history.jsonl").open("a") as file:
                        file.write('{"epoch": ')
                countdown.at("mid_log_write")
                write(row)

            yield dying_write

    write_result = vgae.runs.lifecycle._write_result

    def exporting(*arguments, **options):
        if countdown.point == "mid_export":
            countdown.point = "before_replace"
        return write_result(*arguments, **options)

    vgae.runs.lifecycle.history_file = dying_history
    vgae.runs.lifecycle._write_result = exporting


def _save_in_place():
    """Write checkpoints as most programs do."""

    def save(self, epoch, checkpoint):
        self.folder.mkdir(parents=True, exist_ok=True)
        torch.save([epoch, checkpoint.values, checkpoint.tensors], self.folder / "in-place.pt")

    def load(self):
        path = self.folder / "in-place.pt"
        return Checkpoint(*torch.load(path)[1:]) if path.exists() else None

    Checkpoints.save, Checkpoints.load = save, load


def run_command(options):
    """Be the command, in a process of its own."""
    instrument(
        options["point"],
        options["passes"],
        Path(options["acknowledged"]),
        in_place=options["in_place"],
        figures=options["figures"],
    )
    main(["train", *options["arguments"], "--quiet", "--json"])


# In the process that kills.


class Child:
    """A run of the command, forked or started anew."""

    def __init__(self, options, log, *, fresh):
        self.process = self.status = None
        if fresh:
            self.process = subprocess.Popen(
                [sys.executable, __file__, "--command", json.dumps(options)],
                stdout=subprocess.DEVNULL,
                stderr=log.open("w"),
            )
            self.pid = self.process.pid
            return
        self.pid = os.fork()
        if self.pid == 0:
            status = 1
            try:
                for number, path in ((1, os.devnull), (2, log)):
                    os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
                run_command(options)
                status = 0
            except SystemExit as end:
                status = end.code or 0
            except BaseException:
                os.write(2, traceback.format_exc().encode())
            finally:
                os._exit(status)

    def poll(self):
        """Return the exit status, minus the signal, or None while it runs."""
        if self.process is not None:
            return self.process.poll()
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.status = os.waitstatus_to_exitcode(status) if pid else None
        return self.status

    def wait(self, seconds=300.0):
        end = time.monotonic() + seconds
        while (status := self.poll()) is None and time.monotonic() < end:
            time.sleep(0.002)
        return status

    def kill(self):
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)
        return self.wait()


class Harness:
    """Kills runs, and counts what came of it."""

    def __init__(self, folder, seed, *, in_place, fresh, figures):
        self.folder, self.chance = folder, random.Random(seed)
        self.in_place, self.fresh, self.figures, self.started = in_place, fresh, figures, 0
        self.counts = Counter()
        self.points = Counter()

    def start(self, arguments, acknowledged, point=None):
        self.started += 1
        options = {
            "arguments": [*map(str, arguments)],
            "acknowledged": str(acknowledged),
            "point": point,
            # Few for what happens once, more for what happens in each epoch.
            "passes": self.chance.randint(1, 5 if point == "mid_export" else 30),
            "in_place": self.in_place,
            "figures": self.figures,
        }
        fresh = self.fresh > 0 and self.started % self.fresh == 0
        return Child(options, self.folder / "stderr", fresh=fresh)

    def reference(self, name, arguments):
        """Return what a run that is left alone writes."""
        folder = self.folder / f"{name}-whole"
        child = self.start([*arguments, "-o", folder], self.folder / "whole.acknowledged")
        if child.wait() != 0:
            raise RuntimeError((self.folder / "stderr").read_text())
        return digests(folder)

    def kill_until_done(self, arguments, expected, most):
        """Kill and resume one run until it ends by itself, or was killed often enough."""
        run, acknowledged = self.folder / "run", self.folder / "acknowledged"
        shutil.rmtree(run, ignore_errors=True)
        acknowledged.unlink(missing_ok=True)
        kills, status = 0, None
        while status != 0:
            point = None
            if kills < most and not self.in_place and self.chance.random() < 0.5:
                point = self.chance.choice(POINTS)
            # The same line begins the run and goes on with it.
            child = self.start([*arguments, "--resume", run], acknowledged, point)
            if kills < most and point is None:
                self._wait_and_kill(child, run)
            status = child.wait()
            if status == -signal.SIGKILL:
                kills += 1
                self.points[point or "random time"] += 1
                self._check(run, acknowledged)
            elif status != 0:
                self.counts["failed"] += 1
                print((self.folder / "stderr").read_text(), file=sys.stderr)
                return kills
        self.counts["runs"] += 1
        self.counts["differing"] += digests(run) != expected
        self.counts["stale"] += any(p.name.startswith(".tmp-") for p in run.rglob("*"))
        return kills

    def _wait_and_kill(self, child, run):
        """Kill at some time: mostly while it trains, sometimes at any."""
        anywhere = self.chance.random() < 0.1
        history = run / "history.jsonl"
        before = history.stat().st_mtime_ns if history.exists() else 0
        while child.poll() is None and not anywhere:
            if history.exists() and history.stat().st_mtime_ns != before:
                break
            time.sleep(0.001)
        time.sleep(self.chance.uniform(0, 2.0 if anywhere else 0.3))
        child.kill()

    def _check(self, run, acknowledged):
        """See whether the newest checkpoint that was acknowledged is there, and whole."""
        if (run / "metrics.json").exists() or not acknowledged.exists():
            return
        promised = int(acknowledged.read_text().split()[-1])
        found = found_epoch(run / "checkpoints", in_place=self.in_place)
        if found < promised:
            self.counts["lost"] += 1
        if found == 0:  # only in place: what is damaged would stop the next start
            shutil.rmtree(run / "checkpoints", ignore_errors=True)
            acknowledged.unlink()


def found_epoch(folder, *, in_place):
    """Return the epoch of the newest checkpoint that can be read; 0 if there is none."""
    if in_place:
        try:
            return torch.load(folder / "in-place.pt")[0]
        except Exception:  # whatever torch makes of half a file
            return 0
    for path in sorted(folder.glob("epoch-*.ckpt"), reverse=True):
        with contextlib.suppress(ArtifactError):
            return len(read_checkpoint(path).values["history"])
    return 0


def digests(folder):
    """What must not depend on how often it was killed."""
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in FILES}


def warm_up(folder):
    """Import all that the command imports late, so that forked ones find it there."""
    os.environ["NUMBA_NUM_THREADS"] = "1"  # threads do not pass through a fork
    for source in ("stdlib", "digits"):
        options = ["--epochs", "0", "--quiet", "-o", str(folder / f"{source}-warm")]
        with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
            main(["train", source, *options])


def measure(kills, seed, **options):
    """Kill as often as asked, over all kinds of runs in turn; return what was counted."""
    runs = RUNS | (CORA if os.environ.get("VGAE_DATA") else {})
    with tempfile.TemporaryDirectory() as folder:
        harness = Harness(Path(folder), seed, **options)
        warm_up(harness.folder)
        expected = {name: harness.reference(name, runs[name]) for name in runs}
        done, by_run = 0, Counter()
        most = min(25, math.ceil(kills / len(runs)))
        while done < kills and not harness.counts["failed"]:
            for name, arguments in runs.items():
                new = harness.kill_until_done(arguments, expected[name], min(most, kills - done))
                by_run[name] += new
                done += new
            print(f"{done} kills, {dict(harness.counts)}", file=sys.stderr, flush=True)
    counts = harness.counts
    return {
        "checkpoints": "torch.save in place"
        if options["in_place"]
        else "vgae.training.checkpoint",
        "kills": done,
        "kills_by_point": dict(sorted(harness.points.items())),
        "kills_by_run": dict(by_run),
        "runs_finished": counts["runs"],
        "checkpoints_lost": counts["lost"],
        "runs_that_did_not_resume": counts["failed"],
        "runs_with_other_results": counts["differing"],
        "runs_with_stale_files": counts["stale"],
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=25)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--in-place", action="store_true")
    parser.add_argument("--fresh", type=int, default=25, help="0: all are forked")
    parser.add_argument("--no-figures", action="store_false", dest="figures")
    parser.add_argument("--command", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.command:
        run_command(json.loads(arguments.command))
    else:
        result = measure(**{k: v for k, v in vars(arguments).items() if k != "command"})
        print(json.dumps(result, indent=2))
        bad = sum(result[name] for name in result if name.startswith(("checkpoints_", "runs_w")))
        sys.exit(0 if arguments.in_place or not bad + result["runs_that_did_not_resume"] else 1)
