"""Pairs of commands at once in one folder: is a run ever mixed, or a row lost?

Each pair is two processes with random delays, forked from one that has imported everything. Then
all files must belong together: a run that says it is complete has one configuration, split, model
and calibration, and its scores are those that ``vgae evaluate`` finds. Prints JSON.

    python tests/faults/pair_loop.py --pairs 200
"""

import argparse
import contextlib
import io
import json
import os
import random
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

import vgae.cli.app
import vgae.cli.train
import vgae.training.checkpoint
from vgae.cli.app import main
from vgae.data.files import write_npz
from vgae.evaluation.links import evaluate
from vgae.graphs.graph import Graph
from vgae.runs.lifecycle import load_run

OVERLAP = 0.4  # seconds of the longest delay, about as long as a command takes
Outcome = tuple[int, str]


class Pairs:
    """The kinds of pairs, each a method that runs one in a new folder and returns what is wrong.

    Args:
        home: Folder with a graph and an interrupted run.
        rng: Source of the delays.
    """

    def __init__(self, home: Path, rng: random.Random) -> None:
        self.home, self.rng = home, rng
        self.graph = home / "graph.npz"
        side = np.repeat([0, 1], 40)
        chance = np.where(side[:, None] == side, 0.3, 0.02)
        drawn = np.random.default_rng(0).random((80, 80)) < chance
        edges = np.stack(np.nonzero(np.triu(drawn, k=1)))
        write_npz(Graph.from_edges(edges, x=np.eye(80), name="pairs"), self.graph)
        # They take longer than such trainings.
        vgae.cli.train.draw_figures = vgae.cli.app.draw_figures = lambda run: None
        self.train = ["train", str(self.graph), "--epochs", "100", "--quiet"]
        self.began = home / "began"
        self.at_once([[*self.train, "-o", str(self.began)]], stop_after=50)

    def at_once(
        self, commands: Sequence[Sequence[str]], cwd: Path | None = None, stop_after: int = 0
    ) -> list[Outcome]:
        """Run commands at once, each after a random delay; return status and stderr of each."""
        started = []
        for number, command in enumerate(commands):
            log = self.home / f"log-{number}"
            delay = self.rng.uniform(0, OVERLAP) if len(commands) > 1 else 0.0
            pid = os.fork()
            if pid == 0:
                _child(command, log, delay, cwd, stop_after)
            started.append((pid, log))
        ends = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid, _ in started]
        return [(end, log.read_text()) for end, (_, log) in zip(ends, started, strict=True)]

    def same_folder(self, folder: Path) -> list[str]:
        """Two trainings with different seeds begin in one new folder."""
        out = ["-o", str(folder / "run")]
        ends = self.at_once([[*self.train, *out, "--seed", str(seed)] for seed in (0, 1)])
        return _one_of(ends, ("LOCKED", "RUN_EXISTS")) + _mixed(folder / "run")

    def default_folder(self, folder: Path) -> list[str]:
        """Two trainings begin without a folder."""
        ends = self.at_once([[*self.train, "--seed", str(s)] for s in (0, 1)], folder)
        found = sorted((folder / "runs").iterdir())
        seeds = sorted(json.loads((run / "config.json").read_text())["seed"] for run in found)
        wrong = [f"seeds {seeds}"] if seeds != [0, 1] else []
        return wrong + _all_of(ends) + [text for run in found for text in _mixed(run)]

    def overwritten(self, folder: Path) -> list[str]:
        """A training replaces a run that another process reads."""
        run = folder / "run"
        self.at_once([[*self.train, "-o", str(run)]])
        again = [*self.train, "-o", str(run), "--overwrite", "--seed", "1"]
        reader = self.rng.choice([["evaluate", str(run)], ["calibrate", str(run)]])
        ends = self.at_once([again, reader])
        allowed = ("NOT_COMPLETE", "LOCKED", "RUN_MIXED", "NOT_A_RUN")
        wrong = [] if ends[1][0] == 0 or _code(ends[1]) in allowed else [str(ends[1])]
        held = ends[0][0] == 0 or _code(ends[0]) == "LOCKED"
        return wrong + ([] if held else [str(ends[0])]) + _mixed(run)

    def resumed(self, folder: Path) -> list[str]:
        """An interrupted run is resumed twice, once with another learning rate."""
        run = folder / "run"
        shutil.copytree(self.began, run)
        resume = ["train", "--resume", str(run), "--quiet"]
        ends = self.at_once([resume, [*resume, "--override", "--set", "lr=0.5"]])
        wrong = _mixed(run)
        codes = [_code(end) for end in ends]
        if codes not in ([None, "LOCKED"], ["LOCKED", None], [None, "RUN_COMPLETE"], [None, None]):
            wrong.append(f"ended with {ends}")
        rate = json.loads((run / "config.json").read_text())["recipe"]["lr"]
        if (run / "model" / "model.safetensors").read_bytes() != self.resumed_alone(rate):
            wrong.append(f"the model is not the one of lr = {rate}")
        return wrong

    def resumed_alone(self, rate: float) -> bytes:
        """Return the model of a resume with one learning rate, with no other process."""
        run = self.home / f"alone-{rate}"
        if not run.exists():
            shutil.copytree(self.began, run)
            change = ["--override", "--set", f"lr={rate}"] if rate != 0.01 else []
            self.at_once([["train", "--resume", str(run), "--quiet", *change]])
        return (run / "model" / "model.safetensors").read_bytes()

    def tables(self, folder: Path) -> list[str]:
        """Two tables are begun without a file."""
        table = ["table", "--datasets", str(self.graph), "--seeds", "2", "--models", "vgae,gae"]
        ends = self.at_once([[*table, "--epochs", "20", "--quiet"]] * 2, folder)
        found = sorted((folder / "runs").glob("table-*.json"))
        rows = [
            sum(len(row["trials"]) for row in json.loads(p.read_text())["rows"]) for p in found
        ]
        return _all_of(ends) + ([] if rows == [4, 4] else [f"rows {rows}"])

    def calibrations(self, folder: Path) -> list[str]:
        """A run is calibrated twice, by different methods, and embedded again."""
        run = folder / "run"
        self.at_once([[*self.train, "-o", str(run)]])
        commands = [
            ["calibrate", str(run), "--method", "platt"],
            ["calibrate", str(run), "--method", "temperature"],
            ["embed", str(run)],
        ]
        ends = self.at_once(self.rng.sample(commands, 2))
        bad = [str(end) for end in ends if _code(end) not in (None, "LOCKED")]
        return bad + _mixed(run)


def _child(command, log: Path, delay: float, cwd: Path | None, stop_after: int) -> None:
    """Run a command in a forked process, which ends."""
    status = 99
    try:
        with log.open("w") as err, contextlib.redirect_stderr(err):
            try:
                if cwd is not None:
                    os.chdir(cwd)
                if stop_after:
                    _stop_after(stop_after)
                time.sleep(delay)
                with contextlib.redirect_stdout(io.StringIO()):
                    main(list(command))
                status = 0
            except SystemExit as end:
                status = end.code or 0
            except BaseException:
                traceback.print_exc()
    finally:
        os._exit(status)


def _stop_after(epochs: int) -> None:
    """Kill the process when the checkpoint of an epoch is written."""
    vgae.training.checkpoint.SECONDS = 0
    save = vgae.training.checkpoint.Checkpoints.save

    def saving(self, epoch, checkpoint):
        save(self, epoch, checkpoint)
        if epoch == epochs:
            os.kill(os.getpid(), 9)

    vgae.training.checkpoint.Checkpoints.save = saving


def _code(end: Outcome) -> str | None:
    """Return the code of the error that a command ended with; ``None`` after a success."""
    status, text = end
    if status == 0:
        return None
    start = text.rfind("error[")
    return text[start:].partition("]")[0].removeprefix("error[") if start >= 0 else text


def _one_of(ends: Sequence[Outcome], codes: Sequence[str]) -> list[str]:
    """Return what is wrong unless one command succeeded and the other was refused."""
    found = [_code(end) for end in ends]
    refused = [code for code in found if code is not None]
    return [] if len(refused) == 1 and refused[0] in codes else [f"ended with {found}"]


def _all_of(ends: Sequence[Outcome]) -> list[str]:
    return [f"ended with {end}" for end in ends if end[0] != 0]


def _mixed(folder: Path) -> list[str]:
    """Return what in a run does not belong together."""
    try:
        run = load_run(folder)
        run.embedding.sum()
        found = evaluate(run.model, run.graph, run.split, calibration=run.calibration)
    except ValueError as error:
        return [f"{folder.name}: {error}"]
    wrong = [] if run.split.seed == run.config["seed"] else ["the split is of another seed"]
    for part, score in found.items():
        if run.metrics[part] != json.loads(json.dumps(score.to_dict())):
            wrong.append(f"the scores of {part} are of another model or calibration")
    return wrong


KINDS: dict[str, Callable[[Pairs, Path], list[str]]] = {
    "two trainings in one new folder": Pairs.same_folder,
    "two trainings in the default folder": Pairs.default_folder,
    "a training over a run that is read": Pairs.overwritten,
    "two resumes, one with another learning rate": Pairs.resumed,
    "two tables in the default file": Pairs.tables,
    "two of calibrate, calibrate, embed": Pairs.calibrations,
}


def loop(num_pairs: int, seed: int = 0) -> dict[str, object]:
    """Run pairs of each kind in turn; return the counts and all that was wrong."""
    torch.set_num_threads(1)
    counts, wrong = Counter(), []
    with tempfile.TemporaryDirectory() as home:
        pairs = Pairs(Path(home), random.Random(seed))
        for number in range(num_pairs):
            name, run = list(KINDS.items())[number % len(KINDS)]
            folder = Path(home) / str(number)
            folder.mkdir()
            found = run(pairs, folder)
            counts[name] += 1
            wrong += [f"{name}, pair {number}: {text}" for text in found]
            shutil.rmtree(folder)
    return {"pairs": num_pairs, "kinds": dict(counts), "wrong": wrong}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    result = loop(given.pairs, given.seed)
    sys.stdout.write(json.dumps(result, indent=2) + "\n")
    sys.exit(bool(result["wrong"]))
